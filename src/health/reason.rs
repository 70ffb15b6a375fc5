//! Why a deployment gets no traffic: a value for programs, and a sentence for people.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter, Result};

use serde::{Deserialize, Serialize};

use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::time::Millis;

/// Why a gate is not open to all. A reason of another version that is not understood is
/// [`Reason::Other`]. `json_value::lenient` does the same for fields that are not understood.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", try_from = "ReasonMembers")]
pub enum Reason {
    /// Many requests failed in a row.
    ConsecutiveFailures {
        /// The number of failures.
        failures: u32,
        /// The class of the last failure.
        class: ErrorClass,
    },
    /// Too many of the latest requests failed.
    FailureRate {
        /// The number of failed requests.
        failures: u32,
        /// The number of all requests.
        requests: u32,
        /// The class of the last failure.
        class: ErrorClass,
    },
    /// The probe after an earlier ejection failed.
    ProbeFailed {
        /// The class of the failure.
        class: ErrorClass,
    },
    /// The deployment reported too many requests.
    RateLimited {
        /// The hint: how long it asked for no requests, if it did.
        hint_ms: Option<Millis>,
    },
    /// The account has no budget left.
    Quota,
    /// The deployment refused the gateway's credential.
    Auth,
    /// The deployment does not exist, or does not know this operation.
    NotFound {
        /// The operation of the request.
        operation: Operation,
    },
    /// The credential is not allowed to use this operation.
    Forbidden {
        /// The operation of the request.
        operation: Operation,
    },
    /// The upstream refuses calls from this place: its country or its network.
    Blocked,
    /// An administrator drained the deployment.
    Drained,
    /// Another version of the gateway ejected it, for a reason that this version does not know.
    #[default]
    Other,
}

/// The members of a reason of any kind. Read at once: what serde derives for a tag beside the
/// members is ten times as much Wasm.
#[derive(Deserialize)]
struct ReasonMembers {
    kind: String,
    failures: Option<u32>,
    requests: Option<u32>,
    class: Option<ErrorClass>,
    hint_ms: Option<Millis>,
    operation: Option<Operation>,
}

impl TryFrom<ReasonMembers> for Reason {
    type Error = &'static str;

    fn try_from(members: ReasonMembers) -> std::result::Result<Self, Self::Error> {
        members.reason().ok_or("a reason that lacks a member")
    }
}

impl ReasonMembers {
    fn reason(self) -> Option<Reason> {
        let Self { failures, requests, class, hint_ms, operation, .. } = self;
        Some(match self.kind.as_str() {
            "consecutive_failures" => Reason::ConsecutiveFailures { failures: failures?, class: class? },
            "failure_rate" => Reason::FailureRate { failures: failures?, requests: requests?, class: class? },
            "probe_failed" => Reason::ProbeFailed { class: class? },
            "rate_limited" => Reason::RateLimited { hint_ms },
            "quota" => Reason::Quota,
            "auth" => Reason::Auth,
            "not_found" => Reason::NotFound { operation: operation? },
            "forbidden" => Reason::Forbidden { operation: operation? },
            "blocked" => Reason::Blocked,
            "drained" => Reason::Drained,
            _ => Reason::Other,
        })
    }
}

impl Reason {
    /// The name of its kind, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures { .. } => "consecutive_failures",
            Self::FailureRate { .. } => "failure_rate",
            Self::ProbeFailed { .. } => "probe_failed",
            Self::RateLimited { .. } => "rate_limited",
            Self::Quota => "quota",
            Self::Auth => "auth",
            Self::NotFound { .. } => "not_found",
            Self::Forbidden { .. } => "forbidden",
            Self::Blocked => "blocked",
            Self::Drained => "drained",
            Self::Other => "other",
        }
    }

    /// Whether the reason holds for calls from everywhere: the deployment stated it about the
    /// account, so it does not depend on the network path.
    pub fn holds_everywhere(self) -> bool {
        matches!(
            self,
            Self::RateLimited { .. }
                | Self::Quota
                | Self::Auth
                | Self::NotFound { .. }
                | Self::Forbidden { .. }
        )
    }

    /// Why an operation is ejected, as another isolate or shard says it. If it does not say it,
    /// what is `known` counts. Older versions of the gateway say it of no operation.
    pub fn of_operation(operation: Operation, said: &BTreeMap<Operation, Self>, known: Option<Self>) -> Self {
        said.get(&operation).copied().or(known).unwrap_or(Self::NotFound { operation })
    }

    /// Whether both are of one kind: two rate limits, or two ways to count the same failures.
    pub fn is_like(self, other: Self) -> bool {
        (self.is_trip() && other.is_trip()) || std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    /// Whether counting led to the ejection. The next ejection is then longer.
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
            Self::Forbidden { operation } => {
                write!(formatter, "the credential may not use {}", operation.path())
            }
            Self::Blocked => formatter.write_str("the upstream refuses calls from this place"),
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
            Reason::Forbidden { operation: Operation::Responses },
            Reason::Blocked,
            Reason::Drained,
            Reason::Other,
        ]
        .map(|reason| {
            let json = serde_json::to_string(&reason).unwrap();
            assert_eq!(serde_json::from_str::<Reason>(&json).unwrap(), reason);
            assert!(json.starts_with(&format!(r#"{{"kind":"{}""#, reason.name())), "{json}");
            format!("{reason}\n    {json}")
        })
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
        the credential may not use responses
            {"kind":"forbidden","operation":"responses"}
        the upstream refuses calls from this place
            {"kind":"blocked"}
        drained by an administrator
            {"kind":"drained"}
        ejected for a reason that this version does not know
            {"kind":"other"}
        "#);
    }
}
