//! OpenAI and whatever is compatible.
//!
//! Source: <https://platform.openai.com/docs/api-reference>.

use super::address::Address;

/// `{base}/{path}`: the base URL has its `/v1`.
pub(super) fn address(base: &str, path: &str) -> Address {
    Address { url: format!("{base}/{path}"), api_version: None }
}

/// The key as a bearer token, and what the account is billed by. Without a key there is no header: compatible servers may
/// need none, and AI Gateway looks for a stored key only where none comes with the request.
pub(super) fn credentials(
    key: &str,
    organization: Option<&str>,
    project: Option<&str>,
) -> impl Iterator<Item = (&'static str, String)> {
    let authorization = (!key.is_empty()).then(|| ("authorization", format!("Bearer {key}")));
    let organization = organization.map(|organization| ("openai-organization", organization.to_owned()));
    let project = project.map(|project| ("openai-project", project.to_owned()));
    [authorization, organization, project].into_iter().flatten()
}
