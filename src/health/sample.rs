//! How an attempt ended, and what was measured.

use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::scope::Scope;
use crate::vocabulary::time::Millis;

/// The result of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// How it ended.
    pub outcome: Outcome,
    /// Time from the start to the first content, if the answer was streamed.
    pub first_token_ms: Option<Millis>,
    /// The number of generated tokens, where known.
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
    /// The client was served completely.
    Served,
    /// It failed, before or after the commit point.
    Failed {
        /// The class of the failure.
        class: ErrorClass,
        /// What the failure is about.
        scope: Scope,
        /// The hint: how long the deployment asked for no requests.
        hint_ms: Option<Millis>,
    },
    /// The deadline of the request ended it, not a limit of the deployment. The deployment is at
    /// least slow. If it was silent for much longer than usual, this counts as a timeout.
    CutShort,
    /// The client left, or its own time was over, or a hedge was not needed any more: the attempt
    /// shows nothing.
    Abandoned,
}

impl Outcome {
    /// A failure with the usual scope of its class.
    pub fn failed(class: ErrorClass, hint_ms: Option<Millis>) -> Self {
        Self::Failed { class, scope: Scope::usual(class), hint_ms }
    }
}
