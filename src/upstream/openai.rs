//! OpenAI and compatible servers.
//!
//! Source: <https://platform.openai.com/docs/api-reference>.

use super::address::Address;
use super::credential::Credential;

/// `{base}/{path}`: the base URL includes `/v1`.
pub(super) fn address(base: &str, path: &str) -> Address {
    Address { url: format!("{base}/{path}"), api_version: None }
}

/// The key as a bearer token, and the organization and project that are billed. Without a key there
/// is no header: compatible servers may need none, and AI Gateway uses a stored key only if the
/// request has none.
pub(super) fn credentials(
    credential: Credential<'_>,
    organization: Option<&str>,
    project: Option<&str>,
) -> impl Iterator<Item = (&'static str, String)> {
    let authorization = credential.bearer();
    let organization = organization.map(|organization| ("openai-organization", organization.to_owned()));
    let project = project.map(|project| ("openai-project", project.to_owned()));
    [authorization, organization, project].into_iter().flatten()
}
