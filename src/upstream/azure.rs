//! Azure OpenAI (Foundry): the v1 API, and the older dated API.
//!
//! Sources: <https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle>,
//! <https://learn.microsoft.com/azure/foundry/openai/reference>.

use super::address::Address;
use super::credential::Credential;
use crate::request::percent;
use crate::routes::graph::AzureApi;
use crate::vocabulary::operation::Operation;

/// The first version in which the dated API has Responses (a preview; versions compare as text).
const FIRST_WITH_RESPONSES: &str = "2025-03-01";

/// The address for `operation`, whose path is `path`, at `deployment` of `resource`.
///
/// - v1: `{resource}/openai/v1/{path}`;
/// - dated: `{resource}/openai/deployments/{deployment}/{path}`, or `{resource}/openai/{path}` for
///   operations that are not below a deployment.
pub(super) fn address(
    resource: &str,
    deployment: &str,
    api: &AzureApi,
    operation: Operation,
    path: &str,
) -> Address {
    let url = match api {
        AzureApi::V1 { .. } => format!("{resource}/openai/v1/{path}"),
        AzureApi::Dated(_) if is_below_deployment(operation) => {
            format!("{resource}/openai/deployments/{}/{path}", percent::encode(deployment))
        }
        AzureApi::Dated(_) => format!("{resource}/openai/{path}"),
    };
    Address { url, api_version: version(api) }
}

/// The `api-version` in the query.
pub(super) fn version(api: &AzureApi) -> Option<String> {
    match api {
        AzureApi::V1 { preview: false } => None,
        AzureApi::V1 { preview: true } => Some("preview".to_owned()),
        AzureApi::Dated(version) => Some(version.clone()),
    }
}

/// The key of the resource, or a token of Entra ID. Both headers work on both APIs.
pub(super) fn credentials(credential: Credential<'_>) -> Option<(&'static str, String)> {
    match credential {
        Credential::Key(key) => (!key.is_empty()).then(|| ("api-key", key.to_owned())),
        Credential::Token(_) => credential.bearer(),
    }
}

/// Whether Azure has `operation` in this version of its API. It has no moderations (that is another
/// service) and no image variations. The dated API has Responses only since
/// [`FIRST_WITH_RESPONSES`], and lacks newer operations.
pub(super) fn supports(api: &AzureApi, operation: Operation) -> bool {
    match operation {
        Operation::Moderations | Operation::ImagesVariations => false,
        Operation::Responses
        | Operation::ResponsesInputTokens
        | Operation::ResponsesCompact
        | Operation::StoredResponses => {
            !matches!(api, AzureApi::Dated(version) if version.as_str() < FIRST_WITH_RESPONSES)
        }
        Operation::Conversations | Operation::Containers | Operation::Videos => {
            matches!(api, AzureApi::V1 { .. })
        }
        _ => true,
    }
}

/// Operations that the dated API has below a deployment: the list of Microsoft's clients
/// (openai-python, `lib/azure.py`).
pub(super) fn is_below_deployment(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::ChatCompletions
            | Operation::Completions
            | Operation::Embeddings
            | Operation::ImagesGenerations
            | Operation::ImagesEdits
            | Operation::AudioSpeech
            | Operation::AudioTranscriptions
            | Operation::AudioTranslations
    )
}
