//! How an attempt ended, and what was measured of it.

use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::time::Millis;

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// How it ended.
    pub outcome: Outcome,
    /// From its begin to the first content, where it was streamed.
    pub first_token_ms: Option<Millis>,
    /// Tokens written, where known.
    pub output_tokens: Option<u64>,
}

impl Sample {
    /// An outcome without measurements.
    pub fn of(outcome: Outcome) -> Self {
        Self { outcome, first_token_ms: None, output_tokens: None }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It served the client, to the end.
    Served,
    /// It failed, before the commit point or after it. What that says about the deployment is decided here, by the class.
    Failed {
        /// The class of the failure.
        class: ErrorClass,
        /// How long the deployment asked to be left alone.
        hint_ms: Option<Millis>,
    },
    /// The request's own deadline ended it, not a limit of the deployment: it is slow at least, and where it was silent for much
    /// longer than usual that is a timeout.
    CutShort,
    /// The client left, or a hedge was not needed any more: nothing was learned.
    Abandoned,
}
