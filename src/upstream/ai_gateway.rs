//! Cloudflare AI Gateway as the way to a provider.
//!
//! It adds logs, spend and data loss prevention. The choice of a deployment, and what happens when
//! it fails, stay here, so AI Gateway is asked for one attempt only. Its cache is not changed:
//! whoever configures that gateway decides whether equal requests may share an answer. A cache hit
//! is an answer like any other.
//!
//! Sources: <https://developers.cloudflare.com/ai-gateway/usage/providers/openai/>,
//! `…/azureopenai/`, <https://developers.cloudflare.com/ai-gateway/glossary/>.

use std::fmt::Write;

use serde::Serialize;

use super::address::{Address, authority_of};
use super::azure;
use super::upstream_request::UpstreamCall;
use crate::request::percent;
use crate::routes::graph::{AzureApi, Via};
use crate::vocabulary::operation::Operation;

/// `{base}/openai/{path}`: without `/v1`, which AI Gateway adds itself.
pub(super) fn openai_address(via: &Via, path: &str) -> Address {
    Address { url: format!("{}/openai/{path}", via.base), api_version: None }
}

/// `{base}/azure-openai/{resource name}/{deployment}/{operation}`: without `/openai/deployments`.
/// It leads to the dated API only, and compiled routes ask for no other.
pub(super) fn azure_address(
    via: &Via,
    resource: &str,
    deployment: &str,
    api: &AzureApi,
    operation: Operation,
) -> Address {
    let resource = percent::encode(resource_name(resource));
    let deployment = percent::encode(deployment);
    Address {
        url: format!("{}/azure-openai/{resource}/{deployment}/{}", via.base, operation.path()),
        api_version: azure::version(api),
    }
}

/// Whether AI Gateway supports `operation` on Azure. Its path names a deployment, so it cannot
/// reach operations that Azure has elsewhere, such as Responses.
pub(super) fn supports_azure(operation: Operation) -> bool {
    azure::is_below_deployment(operation)
}

/// AI Gateway's own headers: its token, the limit of one attempt, and the metadata for its logs.
pub(super) fn headers(
    via: &Via,
    deployment: &str,
    call: &UpstreamCall<'_>,
) -> impl Iterator<Item = (&'static str, String)> {
    let token =
        via.token.as_ref().map(|token| ("cf-aig-authorization", format!("Bearer {}", token.reveal())));
    [("cf-aig-max-attempts", "1".to_owned()), ("cf-aig-metadata", metadata(deployment, call))]
        .into_iter()
        .chain(token)
}

/// What the logs of AI Gateway are to say of a call. Five entries is what it keeps, and behind
/// Cloudflare Access it needs one of them itself: so the least useful one is last.
#[derive(Serialize)]
struct Metadata<'a> {
    request_id: &'a str,
    client: &'a str,
    deployment: &'a str,
    node: &'a str,
    attempt: u32,
}

/// Header values are bytes to HTTP and Latin-1 to the platform, so that anything beyond ASCII is
/// escaped.
fn metadata(deployment: &str, call: &UpstreamCall<'_>) -> String {
    let UpstreamCall { request_id, client, node, attempt, .. } = *call;
    let metadata = Metadata { request_id, client, deployment, node, attempt };
    ascii(&serde_json::to_string(&metadata).unwrap_or_default())
}

/// The same JSON in ASCII.
fn ascii(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        // DEL is the one ASCII control character that JSON leaves as it is.
        if matches!(character, ' '..='~') {
            escaped.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "\\u{unit:04x}");
        }
    }
    escaped
}

/// `NAME` of `https://NAME.openai.azure.com`.
fn resource_name(resource: &str) -> &str {
    let host = authority_of(resource);
    host.split(['.', ':']).next().unwrap_or(host)
}
