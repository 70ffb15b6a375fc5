//! The result of an attempt that did not serve: a value with a class, never an exception.

use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::time::Millis;

/// Why one attempt failed, and what the upstream said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure it is.
    pub class: ErrorClass,
    /// The upstream's status, where one arrived. 200 where an error hid behind it.
    pub status: Option<u16>,
    /// It is about an object that the caller named (an earlier response, a file, an encrypted item) and that this account does not
    /// have. Another account may; it says nothing of the deployment.
    pub is_unknown_object: bool,
    /// How long the upstream asks to be left alone (`retry-after-ms`, `retry-after`).
    pub hint_ms: Option<Millis>,
    /// A word or two for the logs: the upstream's `code`, or the phase that timed out. Never upstream prose, never a secret.
    pub reason: String,
    /// The upstream's own error response, to pass on if nothing better comes.
    pub response: Option<ErrorResponse>,
}

impl Failure {
    /// A failure without an answer: connection, timeout, a broken stream.
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

/// An upstream's error as it arrived: only headers that may reach a client (see `upstream::headers`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorResponse {
    /// HTTP status; 2xx where the error hid behind it.
    pub status: u16,
    /// Its headers.
    pub headers: Headers,
    /// The body, bounded by the edge to 64 KiB.
    pub body: Vec<u8>,
}
