//! Why a deployment gets no traffic: a value for programs, and a sentence for people.

use std::fmt::{Display, Formatter, Result};

use serde::{Deserialize, Serialize};

use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::time::Millis;

/// Why a gate is not open to all. A reason of another version is read with `tolerant::lenient`: one
/// that is not understood is [`Reason::Other`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reason {
    /// It failed many times in a row.
    ConsecutiveFailures {
        /// How many times.
        failures: u32,
        /// The last failure.
        class: ErrorClass,
    },
    /// Too many of its latest requests failed.
    FailureRate {
        /// How many failed.
        failures: u32,
        /// Of how many.
        requests: u32,
        /// The last failure.
        class: ErrorClass,
    },
    /// The probe after an earlier ejection failed.
    ProbeFailed {
        /// How.
        class: ErrorClass,
    },
    /// It said that it gets too many requests.
    RateLimited {
        /// How long it asked to be left alone, if it said so.
        hint_ms: Option<Millis>,
    },
    /// Its account has nothing left to spend.
    Quota,
    /// It refused the gateway's credential.
    Auth,
    /// It does not know this operation, or is not there itself.
    NotFound {
        /// What it was asked for.
        operation: Operation,
    },
    /// An administrator took it out.
    Drained,
    /// Another version of the gateway says so, for a reason that this one does not know.
    #[default]
    Other,
}

impl Reason {
    /// Whether it holds wherever the deployment is called from: its own word on the account, not what the way to it was like.
    pub fn holds_everywhere(self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Quota | Self::Auth | Self::NotFound { .. })
    }

    /// Whether counting led to it, so that the next ejection is longer.
    pub fn is_trip(self) -> bool {
        matches!(self, Self::ConsecutiveFailures { .. } | Self::FailureRate { .. } | Self::ProbeFailed { .. })
    }
}

impl Display for Reason {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        match self {
            Self::ConsecutiveFailures { failures, class } => {
                write!(formatter, "{failures} failures in a row, the last: {}", class.name())
            }
            Self::FailureRate { failures, requests, class } => write!(
                formatter,
                "{failures} of the latest {requests} requests failed, the last: {}",
                class.name()
            ),
            Self::ProbeFailed { class } => write!(formatter, "the probe failed: {}", class.name()),
            Self::RateLimited { hint_ms: Some(hint_ms) } => {
                write!(formatter, "rate limited; it asked to be left alone for {hint_ms} ms")
            }
            Self::RateLimited { hint_ms: None } => {
                formatter.write_str("rate limited; it did not say for how long")
            }
            Self::Quota => formatter.write_str("the account's quota is used up"),
            Self::Auth => formatter.write_str("the deployment refused the credential"),
            Self::NotFound { operation } => {
                write!(formatter, "the deployment is not there or does not offer {}", operation.path())
            }
            Self::Drained => formatter.write_str("drained by an administrator"),
            Self::Other => formatter.write_str("ejected for a reason that this version does not know"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::time::short::ms;

    #[test]
    fn every_reason_is_a_sentence_for_people() {
        let class = ErrorClass::Unavailable;
        let sentences: Vec<String> = [
            Reason::ConsecutiveFailures { failures: 5, class },
            Reason::FailureRate { failures: 6, requests: 11, class },
            Reason::ProbeFailed { class },
            Reason::RateLimited { hint_ms: Some(ms(20_000)) },
            Reason::RateLimited { hint_ms: None },
            Reason::Quota,
            Reason::Auth,
            Reason::NotFound { operation: Operation::Responses },
            Reason::Drained,
            Reason::Other,
        ]
        .map(|reason| format!("{reason}\n    {}", serde_json::to_string(&reason).unwrap()))
        .to_vec();
        insta::assert_snapshot!(sentences.join("\n"), @r#"
        5 failures in a row, the last: unavailable
            {"kind":"consecutive_failures","failures":5,"class":"unavailable"}
        6 of the latest 11 requests failed, the last: unavailable
            {"kind":"failure_rate","failures":6,"requests":11,"class":"unavailable"}
        the probe failed: unavailable
            {"kind":"probe_failed","class":"unavailable"}
        rate limited; it asked to be left alone for 20000 ms
            {"kind":"rate_limited","hint_ms":20000}
        rate limited; it did not say for how long
            {"kind":"rate_limited","hint_ms":null}
        the account's quota is used up
            {"kind":"quota"}
        the deployment refused the credential
            {"kind":"auth"}
        the deployment is not there or does not offer responses
            {"kind":"not_found","operation":"responses"}
        drained by an administrator
            {"kind":"drained"}
        ejected for a reason that this version does not know
            {"kind":"other"}
        "#);
    }
}
