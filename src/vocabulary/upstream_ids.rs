//! The ids by which a provider, or AI Gateway, knows an answer.

use super::headers::Headers;

/// The ids by which others know an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamIds {
    /// `x-request-id`, or Azure's `apim-request-id`.
    pub request_id: String,
    /// `cf-aig-log-id`: the entry in the log of AI Gateway.
    pub aig_log_id: String,
}

impl UpstreamIds {
    /// Reads the headers of an upstream's response.
    pub fn of(headers: &Headers) -> Self {
        let id = |name| headers.get(name).filter(|id| is_id(id));
        let owned = |id: Option<&str>| id.unwrap_or_default().to_owned();
        Self {
            request_id: owned(id("x-request-id").or_else(|| id("apim-request-id"))),
            aig_log_id: owned(id("cf-aig-log-id")),
        }
    }
}

/// Whether a header of somebody else is short and plain enough for a log.
pub fn is_id(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    !text.is_empty() && text.len() <= 128 && text.bytes().all(is_plain)
}
