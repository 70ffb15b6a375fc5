//! Recognises an endpoint that is the URL of an operation, as portals and examples show it, and
//! finds the endpoint that was meant. Such an endpoint looks valid, but every call would fail.

use super::url;
use crate::routes::raw::RawProvider;
use crate::vocabulary::operation::Operation;

/// What belongs into the document instead of the URL of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MeantEndpoint {
    /// The provider, if it is not the one in the document.
    provider: Option<&'static str>,
    /// The endpoint.
    endpoint: String,
    /// The deployment that the URL names.
    deployment: Option<String>,
    /// The version that the URL names.
    api_version: Option<String>,
}

impl MeantEndpoint {
    /// What was meant by this endpoint of that provider; `None` if it is not the URL of an
    /// operation.
    pub(super) fn of(text: &str, provider: RawProvider) -> Option<Self> {
        let (address, query) = text.split_once('?').unwrap_or((text, ""));
        let url = url::parse(address)?;
        let origin = url.text.strip_suffix(url.path)?;
        let segments = url.path.split('/').filter(|segment| !segment.is_empty());
        let segments: Vec<&str> = segments.map(in_usual_case).collect();
        let is_azure = provider == RawProvider::Azure;
        let host = url.host.to_ascii_lowercase();
        let is_foundry = host.ends_with(".services.ai.azure.com");
        // On these hosts there are no paths but those of the API.
        let is_of_provider = host == "api.openai.com" || host.ends_with(".azure.com");
        let address = |before: &[&str]| before.iter().fold(origin.to_owned(), |url, part| url + "/" + part);
        let (before, after) = around_openai(&segments);
        let mut meant = Self { provider: None, endpoint: String::new(), deployment: None, api_version: None };
        match (after, before) {
            (["deployments", deployment, ..], _) => {
                meant.provider = (!is_azure).then_some("azure");
                meant.endpoint = address(before);
                meant.deployment = Some(*deployment).filter(|name| is_plain(name)).map(str::to_owned);
            }
            // The inference API of Foundry. The same models are behind `/openai/v1`.
            ([], ["models", ..]) if is_foundry => {
                meant.endpoint = address(if is_azure { &[] } else { &["openai", "v1"] });
            }
            (after, _) if is_azure && !after.is_empty() => {
                before_operation(&segments, is_of_provider)?;
                meant.endpoint = address(before);
            }
            _ => {
                let base = before_operation(&segments, is_of_provider)?;
                meant.endpoint = address(match base {
                    [before @ .., "v1"] if is_azure => before,
                    [] if host == "api.openai.com" => &["v1"],
                    base => base,
                });
            }
        }
        if is_azure || meant.provider.is_some() {
            let version = query.split('&').find_map(|parameter| parameter.strip_prefix("api-version="));
            meant.api_version = version.filter(|version| is_plain(version)).map(str::to_owned);
        }
        Some(meant)
    }

    /// The `expected` text of the issue.
    pub(super) fn expected(&self) -> String {
        let keys = [
            ("provider", self.provider),
            ("deployment", self.deployment.as_deref()),
            ("api_version", self.api_version.as_deref()),
        ];
        let mut expected = format!("{:?}", self.endpoint);
        let mut joint = ", with";
        for (key, value) in keys.into_iter().filter_map(|(key, value)| Some((key, value?))) {
            expected.extend([joint, &format!(" {key:?}: {value:?}")]);
            joint = " and";
        }
        expected + REASON
    }
}

/// The `expected` text of an issue with the value of a variable, which is not shown.
pub(super) fn expected_of_variable(provider: RawProvider) -> String {
    let base = match provider {
        RawProvider::Azure => "the URL of the resource, such as https://NAME.openai.azure.com",
        RawProvider::OpenAi => "the base URL, such as https://api.openai.com/v1",
    };
    format!("{base}{REASON}")
}

const REASON: &str = " (the gateway adds the path of the operation)";

/// A segment as the paths of the API have it. Servers take them in any case.
fn in_usual_case(segment: &str) -> &str {
    let of_operations = Operation::ALL.into_iter().flat_map(|operation| operation.path().split('/'));
    let mut known = ["openai", "deployments", "v1", "models", "realtime"].into_iter().chain(of_operations);
    known.find(|known| known.eq_ignore_ascii_case(segment)).unwrap_or(segment)
}

/// The segments before and after the last `openai`; after it without `v1`. All are before it if
/// there is none.
fn around_openai<'s, 'p>(segments: &'s [&'p str]) -> (&'s [&'p str], &'s [&'p str]) {
    let Some(at) = segments.iter().rposition(|segment| *segment == "openai") else { return (segments, &[]) };
    let (before, after) = segments.split_at(at);
    let after = after.get(1..).unwrap_or_default();
    (before, after.strip_prefix(&["v1"]).unwrap_or(after))
}

/// The segments before the operation at the end; `None` if there is no operation. A single word
/// such as `embeddings` may be the path of a proxy, unless it stands after `v1` or `openai`, or at
/// a host of the provider.
fn before_operation<'s, 'p>(segments: &'s [&'p str], is_of_provider: bool) -> Option<&'s [&'p str]> {
    let operations = Operation::ALL.into_iter().map(Operation::path).chain(["models", "realtime"]);
    let before = operations.filter_map(|path| {
        let parts: Vec<&str> = path.split('/').collect();
        let before = segments.strip_suffix(parts.as_slice())?;
        let is_after_version = before.last().is_some_and(|last| matches!(*last, "v1" | "openai"));
        let is_sure = parts.len() > 1 || is_after_version || is_of_provider;
        is_sure.then_some(before)
    });
    before.min_by_key(|before| before.len())
}

/// Whether a part of the URL can be shown and needs no decoding.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::{MeantEndpoint, RawProvider};

    #[test]
    fn the_url_of_an_operation_leads_to_the_endpoint_that_was_meant() {
        let azure = "https://x.openai.azure.com";
        for (provider, text, expected) in [
            (
                RawProvider::Azure,
                "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
                Some((None, azure, Some("d"), Some("2024-10-21"))),
            ),
            (
                RawProvider::Azure,
                "https://x.openai.azure.com/openai/deployments/d",
                Some((None, azure, Some("d"), None)),
            ),
            (
                RawProvider::Azure,
                "https://x.openai.azure.com/openai/responses?api-version=2025-04-01-preview",
                Some((None, azure, None, Some("2025-04-01-preview"))),
            ),
            (
                RawProvider::Azure,
                "https://x.openai.azure.com/openai/realtime?deployment=d",
                Some((None, azure, None, None)),
            ),
            (
                RawProvider::Azure,
                "https://x.openai.azure.com/openai/v1/responses/",
                Some((None, azure, None, None)),
            ),
            (RawProvider::Azure, "https://x.openai.azure.com/v1/embeddings", Some((None, azure, None, None))),
            (
                RawProvider::Azure,
                "https://apim.example.com/team/openai/deployments/a%20b/embeddings",
                Some((None, "https://apim.example.com/team", None, None)),
            ),
            (
                RawProvider::Azure,
                "https://x.services.ai.azure.com/models",
                Some((None, "https://x.services.ai.azure.com", None, None)),
            ),
            (
                RawProvider::Azure,
                "https://x.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview",
                Some((None, "https://x.services.ai.azure.com", None, Some("2024-05-01-preview"))),
            ),
            (
                RawProvider::OpenAi,
                "https://x.services.ai.azure.com/models",
                Some((None, "https://x.services.ai.azure.com/openai/v1", None, None)),
            ),
            (
                RawProvider::OpenAi,
                "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
                Some((Some("azure"), azure, Some("d"), Some("2024-10-21"))),
            ),
            (
                RawProvider::OpenAi,
                "https://api.openai.com/v1/responses",
                Some((None, "https://api.openai.com/v1", None, None)),
            ),
            (
                RawProvider::OpenAi,
                "https://host/base/v1/responses/compact",
                Some((None, "https://host/base/v1", None, None)),
            ),
            (
                RawProvider::OpenAi,
                "https://api.openai.com/responses",
                Some((None, "https://api.openai.com/v1", None, None)),
            ),
            (RawProvider::OpenAi, "https://host/v1/models", Some((None, "https://host/v1", None, None))),
            (
                RawProvider::OpenAi,
                "https://host/proxy/chat/completions",
                Some((None, "https://host/proxy", None, None)),
            ),
            // What is right, or may be.
            (RawProvider::OpenAi, "https://api.openai.com/v1", None),
            (RawProvider::OpenAi, "https://x.openai.azure.com/openai/v1", None),
            (RawProvider::OpenAi, "https://host/proxy/embeddings", None),
            (RawProvider::OpenAi, "https://host/embeddings", None),
            (RawProvider::Azure, "https://apim.example.com/openai/team/embeddings", None),
            (RawProvider::OpenAi, "https://host", None),
            (RawProvider::Azure, "https://x.openai.azure.com", None),
            (RawProvider::Azure, "https://x.openai.azure.com/openai", None),
            (RawProvider::Azure, "https://x.openai.azure.com/openai/v1/", None),
            (RawProvider::Azure, "https://apim.example.com/openai/team", None),
            (RawProvider::Azure, "https://x.services.ai.azure.com/api/projects/p", None),
            // What is no endpoint at all is reported elsewhere.
            (RawProvider::OpenAi, "http://host/v1/responses", None),
            (RawProvider::OpenAi, "https://user:secret@host/v1/responses", None),
            (RawProvider::OpenAi, "", None),
        ] {
            let meant = MeantEndpoint::of(text, provider);
            let found = meant.as_ref().map(|meant| {
                (
                    meant.provider,
                    meant.endpoint.as_str(),
                    meant.deployment.as_deref(),
                    meant.api_version.as_deref(),
                )
            });
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn an_operation_is_recognised_in_any_case() {
        for (provider, text, endpoint, deployment) in [
            (
                RawProvider::Azure,
                "https://apim.example.com/Team/OpenAI/Deployments/My-GPT/Chat/Completions",
                "https://apim.example.com/Team",
                Some("My-GPT"),
            ),
            (RawProvider::OpenAi, "https://host/Proxy/V1/Responses", "https://host/Proxy/v1", None),
        ] {
            let meant = MeantEndpoint::of(text, provider).unwrap();
            assert_eq!((meant.endpoint.as_str(), meant.deployment.as_deref()), (endpoint, deployment));
        }
    }
}
