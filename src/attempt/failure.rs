//! The result of an attempt that did not serve: a value with an error class, never an exception.

use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::time::Millis;

/// Why one attempt failed, and what the upstream answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The error class.
    pub class: ErrorClass,
    /// The status of the upstream, if one arrived. 200 if the error was in a 200 answer.
    pub status: Option<u16>,
    /// The failure is about an object that the client named (an earlier response, a file, an
    /// encrypted item) and that this account does not have. Another account may have it. Such a
    /// failure does not count against the deployment.
    pub is_unknown_object: bool,
    /// The hint: how long the upstream asks the gateway to wait (`retry-after-ms`, `retry-after`).
    pub hint_ms: Option<Millis>,
    /// A short name for the logs: the `code` of the upstream, or the phase that timed out. Never
    /// free text of the upstream, never a secret.
    pub reason: String,
    /// The error response of the upstream. The client gets it if no other attempt serves.
    pub response: Option<ErrorResponse>,
}

impl Failure {
    /// A failure without an answer: a connection error, a timeout, a broken stream.
    pub fn silent(class: ErrorClass, reason: impl Into<String>) -> Self {
        Self {
            class,
            status: None,
            is_unknown_object: false,
            hint_ms: None,
            reason: reason.into(),
            response: None,
        }
    }
}

/// An error response as it arrived, but only with headers that may reach a client (see
/// `upstream::headers`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorResponse {
    /// HTTP status; 2xx if the error was in a 2xx answer.
    pub status: u16,
    /// The headers that may reach a client.
    pub headers: Headers,
    /// The body. The edge limits it to 64 KiB.
    pub body: Vec<u8>,
}
