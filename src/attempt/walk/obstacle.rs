//! Why a deployment may not be tried: the document forbids it, or its health does.

use crate::health::reason::Reason;
use crate::vocabulary::time::{Instant, Millis};

/// Why a deployment may not be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// A variable that it needs is missing or of no use.
    Disabled,
    /// Its provider does not offer the operation.
    Unsupported,
    /// Its `quality` is too low.
    Quality {
        /// What is asked for.
        required: u32,
    },
    /// It lacks a tag.
    Tag {
        /// The tag that is asked for.
        required: String,
    },
    /// It failed in this request already.
    Tried,
    /// Its gate is open.
    Ejected {
        /// When it may be back; `None` where only an administrator can tell.
        until: Option<Instant>,
        /// Why.
        reason: Reason,
    },
}

impl Obstacle {
    /// For how long it stays, where time takes it away.
    pub fn ends_in_ms(&self, now: Instant) -> Option<Millis> {
        match self {
            Self::Ejected { until, .. } => until.map(|until| until - now),
            _ => None,
        }
    }
}

impl std::fmt::Display for Obstacle {
    /// For a client: what is missing, and no name of a deployment or a variable.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Disabled => formatter.write_str("a variable is not set, or its value is of no use"),
            Self::Unsupported => formatter.write_str("the provider does not offer the operation"),
            Self::Quality { required } => write!(formatter, "quality is below {required}"),
            Self::Tag { required } => write!(formatter, "the tag '{required}' is missing"),
            Self::Tried => formatter.write_str("tried already"),
            Self::Ejected { reason, .. } => reason.fmt(formatter),
        }
    }
}
