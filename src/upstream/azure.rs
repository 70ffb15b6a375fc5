//! Azure OpenAI (Foundry): the v1 API, and the dated one before it.
//!
//! Sources: <https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle>,
//! <https://learn.microsoft.com/azure/foundry/openai/reference>.

use super::Address;
use crate::request::operation::Operation;
use crate::request::percent;

/// The first version in which the dated API has Responses (a preview; versions compare as text).
const FIRST_WITH_RESPONSES: &str = "2025-03-01";

/// Where `operation` is done by `deployment` of `resource`.
///
/// - v1: `{resource}/openai/v1/{operation}`; a version that is no date (`preview`) goes into the query;
/// - dated: `{resource}/openai/deployments/{deployment}/{operation}`, or `{resource}/openai/{operation}` for what is not kept
///   below a deployment, and the version in the query.
pub(super) fn address(
    resource: &str,
    deployment: &str,
    version: Option<&str>,
    operation: Operation,
) -> Address {
    let path = operation.path();
    let url = match version {
        Some(version) if is_dated(version) && is_below_deployment(operation) => {
            format!("{resource}/openai/deployments/{}/{path}", percent::encode(deployment))
        }
        Some(version) if is_dated(version) => format!("{resource}/openai/{path}"),
        _ => format!("{resource}/openai/v1/{path}"),
    };
    Address { url, api_version: version.map(str::to_owned) }
}

/// The key of the resource. Its own header works on both APIs.
pub(super) fn credentials(key: &str) -> Option<(&'static str, String)> {
    (!key.is_empty()).then(|| ("api-key", key.to_owned()))
}

/// Whether Azure has `operation` in this version of its API. It has no moderations (that is another service) and no image
/// variations; Responses came late to the dated API.
pub(super) fn supports(version: Option<&str>, operation: Operation) -> bool {
    match operation {
        Operation::Moderations | Operation::ImagesVariations => false,
        Operation::Responses | Operation::ResponsesInputTokens | Operation::ResponsesCompact => {
            version.is_none_or(|version| !is_dated(version) || version >= FIRST_WITH_RESPONSES)
        }
        _ => true,
    }
}

/// Operations that the dated API keeps below a deployment: the list of Microsoft's clients (openai-python, `lib/azure.py`).
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

/// `2024-10-21` and `2025-04-01-preview` are, `preview` and `v1` are not.
pub(super) fn is_dated(version: &str) -> bool {
    version.starts_with(|first: char| first.is_ascii_digit())
}
