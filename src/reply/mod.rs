//! What the client gets.

pub mod cors;
pub mod error;
pub mod exhausted;
pub mod headers;
pub mod models;

use crate::time::Millis;
use error::ClientError;

/// An error on its way to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorReply {
    /// HTTP status.
    pub status: u16,
    /// Header names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// JSON in OpenAI's shape.
    pub body: Vec<u8>,
}

/// When to come back, in both spellings that clients read.
fn retry_after(ms: Millis) -> [(String, String); 2] {
    [
        ("retry-after-ms".to_owned(), ms.to_string()),
        ("retry-after".to_owned(), ms.div_ceil(1_000).max(1).to_string()),
    ]
}

impl From<&ClientError> for ErrorReply {
    fn from(error: &ClientError) -> Self {
        let mut headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("x-should-retry".to_owned(), error.retryable().to_string()),
        ];
        match error {
            ClientError::MethodNotAllowed { allow, .. } => {
                headers.push(("allow".to_owned(), (*allow).to_owned()));
            }
            ClientError::NoEligibleDeployment { returns_in_ms: Some(ms), .. } => {
                headers.extend(retry_after(*ms));
            }
            ClientError::InvalidApiKey | ClientError::NoClients | ClientError::InvalidAdminToken => {
                headers.push(("www-authenticate".to_owned(), "Bearer".to_owned()));
            }
            _ => {}
        }
        Self { status: error.status(), headers, body: error.body().into_bytes() }
    }
}
