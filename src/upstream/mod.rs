//! How each provider is called: maps a deployment and a call to a URL, headers and a model.
//!
//! These are pure functions. The sender of the request adds the client's headers that
//! [`forwarding::not_forwarded`] does not name, sets ours over them, and writes `model` into the
//! body ([`crate::request::json_body::edit`], or [`crate::request::multipart`]).

pub mod address;
pub mod ai_gateway;
pub mod azure;
pub mod credential;
pub mod entra_token;
pub mod forwarding;
pub mod key_choices;
pub mod openai;
pub mod token_store;
mod upstream_request;

use crate::request::percent;
use crate::routes::graph::{Deployment, Upstream};
use crate::vocabulary::operation::Operation;
pub use credential::Credential;
pub use upstream_request::{UpstreamCall, UpstreamRequest};

/// The request to send to `deployment` for `call`, with its first key.
pub fn prepare(deployment: &Deployment, call: &UpstreamCall<'_>) -> UpstreamRequest {
    prepare_with(deployment, Credential::key(deployment, 0), call)
}

/// The request to send to `deployment` for `call`, with this credential.
pub fn prepare_with(
    deployment: &Deployment,
    credential: Credential<'_>,
    call: &UpstreamCall<'_>,
) -> UpstreamRequest {
    let UpstreamCall { operation, query, .. } = *call;
    let path = call.stored_object.map_or(operation.path(), |stored| &stored.path);
    // Bodies are passed on as they come, and the gateway must be able to read them.
    let mut headers = vec![("accept-encoding", "identity".to_owned())];
    let (address, model) = match &deployment.upstream {
        Upstream::OpenAi { base, model, organization, project } => {
            headers.extend(openai::credentials(credential, organization.as_deref(), project.as_deref()));
            let address = match &deployment.via {
                Some(via) => ai_gateway::openai_address(via, path),
                None => openai::address(base, path),
            };
            (address, model)
        }
        Upstream::Azure { resource, deployment: name, api } => {
            headers.extend(azure::credentials(credential));
            let address = match &deployment.via {
                Some(via) => ai_gateway::azure_address(via, resource, name, api, operation),
                None => azure::address(resource, name, api, operation, path),
            };
            // In the body, Azure's `model` is the deployment. Dated paths also name it; both are
            // the same.
            (address, name)
        }
    };
    if let Some(via) = &deployment.via {
        headers.extend(ai_gateway::headers(via, &deployment.name, call));
    }
    let query = merge_query(query, address.api_version.as_deref());
    let model = call.stored_object.is_none().then(|| model.clone());
    UpstreamRequest { url: address.url + &query, headers, model }
}

/// Whether `deployment` supports `operation`, according to the documents of its provider. If the
/// documents are wrong, the upstream's answer is classified as `not_found`.
pub fn supports(deployment: &Deployment, operation: Operation) -> bool {
    match &deployment.upstream {
        Upstream::OpenAi { .. } => true,
        Upstream::Azure { api, .. } => {
            azure::supports(api, operation)
                && (deployment.via.is_none() || ai_gateway::supports_azure(operation))
        }
    }
}

/// Query parameters of the client that are not forwarded: the deployment decides on the API
/// version, the keys are the client's own (`subscription-key` is the name in Azure API Management),
/// and `_method` asks some servers to act on another method.
const DROPPED_PARAMETERS: [&str; 4] = ["api-version", "api-key", "subscription-key", "_method"];

/// The client's query without [`DROPPED_PARAMETERS`], then `api_version`. It begins with a `?`
/// unless it is empty.
fn merge_query(query: &str, api_version: Option<&str>) -> String {
    let is_forwarded = |parameter: &&str| {
        let name = parameter.split('=').next().unwrap_or_default();
        let name = percent::decode(name);
        !parameter.is_empty() && !DROPPED_PARAMETERS.iter().any(|dropped| dropped.eq_ignore_ascii_case(&name))
    };
    let version = api_version.map(|version| format!("api-version={}", percent::encode(version)));
    let mut merged = String::new();
    for parameter in query.split('&').filter(is_forwarded).chain(version.as_deref()) {
        merged.push(if merged.is_empty() { '?' } else { '&' });
        merged.push_str(parameter);
    }
    merged
}
