//! The answer of a Durable Object, or why there is none.

use std::fmt;

use super::platform::{Clock, PlatformError};
use super::timing::until;
use crate::vocabulary::time::Millis;

/// Why a Durable Object did not answer as expected, for logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskError {
    /// The platform could not reach it.
    Unreachable(PlatformError),
    /// The status of its answer is not 200.
    Status(u16, String),
    /// There was no answer within this time.
    Late(Millis),
    /// The text of its answer is not valid.
    Malformed(String),
    /// There is no binding to it.
    Unbound,
}

impl fmt::Display for AskError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => error.fmt(formatter),
            Self::Status(status, text) => write!(formatter, "status {status}: {text}"),
            Self::Late(within_ms) => write!(formatter, "no answer within {within_ms} ms"),
            Self::Malformed(error) => formatter.write_str(error),
            Self::Unbound => formatter.write_str("the binding HEALTH is missing"),
        }
    }
}

/// The text of the answer of a Durable Object, if it has status 200 and comes within this time.
///
/// # Errors
/// There is no such answer.
pub(super) async fn text_within<C: Clock>(
    clock: &C,
    within_ms: Millis,
    asked: impl Future<Output = Result<(u16, String), PlatformError>>,
) -> Result<String, AskError> {
    match until(clock, clock.now() + within_ms, asked).await {
        Some(Ok((200, text))) => Ok(text),
        Some(Ok((status, text))) => Err(AskError::Status(status, text)),
        Some(Err(error)) => Err(AskError::Unreachable(error)),
        None => Err(AskError::Late(within_ms)),
    }
}
