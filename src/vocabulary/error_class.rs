//! Error classes: the terms for failures in the routes document, the trail, the logs and the state
//! machine.

use serde::{Deserialize, Serialize};

/// Why an attempt failed. The order of the variants has no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// 429 that passes with time.
    RateLimit,
    /// 429 for billing: waiting does not help.
    Quota,
    /// 5xx, 529: the upstream can be reached but cannot serve.
    Unavailable,
    /// A phase took longer than allowed.
    Timeout,
    /// No answer: refused, reset, DNS, 52x without an upstream request id.
    Connection,
    /// The gateway's own credential was refused.
    Auth,
    /// The deployment does not exist, or cannot do this operation.
    NotFound,
    /// The prompt is longer than the model's context.
    ContextWindow,
    /// A content filter rejected the prompt.
    ContentPolicy,
    /// The request is invalid: the caller's fault.
    BadRequest,
    /// The answer ended before it was complete.
    Truncated,
}

impl ErrorClass {
    /// Every class.
    pub const ALL: [Self; 11] = [
        Self::RateLimit,
        Self::Quota,
        Self::Unavailable,
        Self::Timeout,
        Self::Connection,
        Self::Auth,
        Self::NotFound,
        Self::ContextWindow,
        Self::ContentPolicy,
        Self::BadRequest,
        Self::Truncated,
    ];

    /// The name in documents, trails and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::RateLimit => "rate_limit",
            Self::Quota => "quota",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Connection => "connection",
            Self::Auth => "auth",
            Self::NotFound => "not_found",
            Self::ContextWindow => "context_window",
            Self::ContentPolicy => "content_policy",
            Self::BadRequest => "bad_request",
            Self::Truncated => "truncated",
        }
    }

    /// The class of that name, or of a name that LiteLLM uses.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "rate_limit_error" => Self::RateLimit,
            "service_unavailable_error" => Self::Unavailable,
            "api_connection_error" => Self::Connection,
            "timeout_error" => Self::Timeout,
            _ => return Self::ALL.into_iter().find(|class| class.name() == name),
        })
    }

    /// Whether a second attempt at the same deployment, moments later, may succeed.
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::RateLimit | Self::Unavailable | Self::Timeout | Self::Connection | Self::Truncated
        )
    }

    /// Whether another deployment of the same model could serve what this one could not.
    pub fn is_curable_elsewhere(self) -> bool {
        !matches!(self, Self::ContextWindow | Self::ContentPolicy | Self::BadRequest)
    }
}

/// A set of error classes and statuses, as listed in `fallback_on` and `retry.on`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Triggers {
    /// Classes in the set.
    pub classes: Vec<ErrorClass>,
    /// Inclusive ranges of statuses in the set: `429` is `(429, 429)`, `"5xx"` is `(500, 599)`.
    pub statuses: Vec<(u16, u16)>,
}

impl Triggers {
    /// The classes for which `is_in` is true, and no statuses.
    pub fn of(is_in: impl Fn(ErrorClass) -> bool) -> Self {
        Self {
            classes: ErrorClass::ALL.into_iter().filter(|class| is_in(*class)).collect(),
            statuses: Vec::new(),
        }
    }

    /// Whether a failure of this class and status is in the set.
    pub fn contains(&self, class: ErrorClass, status: Option<u16>) -> bool {
        self.classes.contains(&class)
            || status.is_some_and(|status| {
                self.statuses.iter().any(|(low, high)| (*low..=*high).contains(&status))
            })
    }
}
