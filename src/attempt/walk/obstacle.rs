//! Why a deployment may not be tried: the document forbids it, or its health forbids it.

use crate::health::gate::Refusal;
use crate::health::reason::Reason;
use crate::vocabulary::needs::Lack;
use crate::vocabulary::time::{Instant, Millis};

/// Why a deployment may not be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// A variable that it needs is missing or invalid.
    Disabled,
    /// Its provider does not offer the operation.
    Unsupported,
    /// Its `quality` is too low.
    Quality {
        /// The quality that the document requires.
        required: u32,
    },
    /// It lacks a tag.
    Tag {
        /// The tag that the document requires.
        required: String,
    },
    /// Its model cannot do what the request needs.
    Lacks(Lack),
    /// It has already failed in this request.
    Tried,
    /// Its gate is open.
    Ejected {
        /// When it may come back; `None` if only an administrator can bring it back.
        until: Option<Instant>,
        /// The reason of the ejection.
        reason: Reason,
    },
}

impl Obstacle {
    /// The refusal of a gate.
    pub fn of(Refusal { until, reason, .. }: Refusal) -> Self {
        Self::Ejected { until, reason }
    }

    /// Its short name.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Unsupported => "unsupported",
            Self::Quality { .. } => "min_quality",
            Self::Tag { .. } => "require_tags",
            Self::Lacks(Lack::Feature(_)) => "capability",
            Self::Lacks(Lack::ContextTokens { .. }) => "context_tokens",
            Self::Lacks(Lack::OutputTokens { .. }) => "output_tokens",
            Self::Tried => "tried",
            Self::Ejected { until: None, .. } => "drained",
            Self::Ejected { .. } => "ejected",
        }
    }

    /// How long the obstacle lasts; `None` if it does not end with time.
    pub fn ends_in_ms(&self, now: Instant) -> Option<Millis> {
        match self {
            Self::Ejected { until, .. } => until.map(|until| until - now),
            _ => None,
        }
    }
}

impl std::fmt::Display for Obstacle {
    /// The text for a client: what is missing, without the name of a deployment or a variable.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Disabled => formatter.write_str("a variable is not set, or its value is of no use"),
            Self::Unsupported => formatter.write_str("the provider does not offer the operation"),
            Self::Quality { required } => write!(formatter, "quality is below {required}"),
            Self::Tag { required } => write!(formatter, "the tag '{required}' is missing"),
            Self::Lacks(lack) => lack.fmt(formatter),
            Self::Tried => formatter.write_str("tried already"),
            Self::Ejected { reason, .. } => reason.fmt(formatter),
        }
    }
}
