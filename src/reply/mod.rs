//! What the client gets.

pub mod cors;
pub mod error;
pub mod exhausted;
pub mod headers;
pub mod models;

use crate::headers::Headers;
use crate::time::Millis;
use error::ClientError;

/// An error on its way to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorReply {
    /// HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: Headers,
    /// JSON in OpenAI's shape.
    pub body: Vec<u8>,
}

/// When to come back, in both spellings that clients read.
fn retry_after(ms: Millis) -> [(&'static str, String); 2] {
    [("retry-after-ms", ms.to_string()), ("retry-after", ms.div_ceil(1_000).max(1).to_string())]
}

impl From<&ClientError> for ErrorReply {
    fn from(error: &ClientError) -> Self {
        let mut headers = Headers::of([("content-type", "application/json")]);
        headers.push("x-should-retry", if error.retryable() { "true" } else { "false" });
        match error {
            ClientError::MethodNotAllowed { allow, .. } => headers.push("allow", allow),
            ClientError::NoEligibleDeployment { returns_in_ms: Some(ms), .. } => {
                headers.extend(retry_after(*ms));
            }
            ClientError::InvalidApiKey | ClientError::NoClients | ClientError::InvalidAdminToken => {
                headers.push("www-authenticate", "Bearer");
            }
            _ => {}
        }
        Self { status: error.status(), headers, body: error.body().into_bytes() }
    }
}
