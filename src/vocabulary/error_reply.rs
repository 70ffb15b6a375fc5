//! An error as it is sent to the client.

use super::client_error::ClientError;
use super::headers::Headers;
use super::retry_after;
use super::time::Millis;

/// When a client may try again that found no room for its body, or whose key cannot be looked up.
const BODIES_END_MS: Millis = Millis::new(1_000);

/// An error response to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorReply {
    /// HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: Headers,
    /// JSON in OpenAI's shape.
    pub body: Vec<u8>,
}

impl From<&ClientError> for ErrorReply {
    fn from(error: &ClientError) -> Self {
        let mut headers = Headers::of([("content-type", "application/json")]);
        headers.push("x-should-retry", if error.is_retryable() { "true" } else { "false" });
        match error {
            ClientError::MethodNotAllowed { allow, .. } => headers.push("allow", allow),
            ClientError::NoEligibleDeployment { returns_in_ms: Some(ms), .. }
            | ClientError::LimitReached { retry_ms: Some(ms), .. } => {
                headers.extend(retry_after::headers(*ms));
            }
            ClientError::TooManyBodies
            | ClientError::KeysUnavailable
            | ClientError::LimitsUnavailable
            | ClientError::ObjectsUnavailable => {
                headers.extend(retry_after::headers(BODIES_END_MS));
            }
            ClientError::InvalidApiKey
            | ClientError::NoClients
            | ClientError::InvalidAdminToken
            | ClientError::KeyExpired
            | ClientError::KeyRevoked
            | ClientError::AccessTokenRefused(_)
                if error.status() == 401 =>
            {
                headers.push("www-authenticate", "Bearer");
            }
            _ => {}
        }
        Self { status: error.status(), headers, body: error.body().into_bytes() }
    }
}
