//! What nodes and the settings have in common: what a failure leads to, how long to wait, when to
//! commit.

use super::affinity_key::AffinityKey;
use crate::vocabulary::error_class::{ErrorClass, Triggers};
use crate::vocabulary::time::Millis;

/// Settings that nodes inherit. `None` means: take the value of the outer node, and last that of
/// `settings`.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Failures after which a node tries its next target.
    pub fallback_on: Option<Triggers>,
    /// Retries of the same target.
    pub retry: Option<Retry>,
    /// Limits for each phase of an attempt.
    pub timeout: Timeouts,
    /// The commit point: when the answer starts to flow to the client.
    pub commit: Option<Commit>,
    /// A second attempt before the first has failed.
    pub hedge: Option<Hedge>,
    /// Sends requests with the same affinity key to the same deployment.
    pub sticky: Option<Sticky>,
    /// What to do when every candidate is ejected.
    pub when_all_ejected: Option<WhenAllEjected>,
}

/// A second attempt that starts before the first has failed. The first answer is used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hedge {
    /// How long to wait for the first attempt.
    pub after: HedgeAfter,
    /// The largest share of the node's requests that may be hedged, `0.0..=1.0`.
    pub max_share: f64,
}

/// When a hedge starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HedgeAfter {
    /// After this number of milliseconds.
    Ms(Millis),
    /// After this percentile of the deployment's usual time, `1..=99`.
    Percentile(u8),
}

/// Sends requests with the same affinity key to the same deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sticky {
    /// The affinity key.
    pub by: AffinityKey,
    /// How long a key stays on its deployment before it gets a new one.
    pub ttl_ms: Millis,
}

/// What to do when every candidate is ejected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhenAllEjected {
    /// Try the candidate whose ejection ends first, with one request at a time.
    #[default]
    Probe,
    /// Answer with an error at once.
    Fail,
}

/// Retries of the same target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Whether the document states `on`, so that it is more than the default.
    pub states_on: bool,
    /// Failures to retry.
    pub on: Triggers,
    /// The number of retries of one target. 0 disables retries.
    pub attempts: u32,
    /// The first wait. It doubles each time.
    pub backoff_ms: Millis,
    /// The longest wait that the gateway itself chooses.
    pub max_backoff_ms: Millis,
    /// The longest `Retry-After` that the gateway waits for.
    pub max_wait_ms: Millis,
    /// The longest hint to wait for at the same target while another target is left.
    pub before_fallback_ms: Millis,
}

impl Default for Retry {
    /// One retry of transient failures, with the same waits as OpenAI's own SDKs. A timeout is not
    /// retried at the same deployment: it has had its time.
    fn default() -> Self {
        Self {
            states_on: false,
            on: Triggers::of(|class| class.is_transient() && class != ErrorClass::Timeout),
            attempts: 1,
            backoff_ms: Millis::new(500),
            max_backoff_ms: Millis::new(8_000),
            max_wait_ms: Millis::new(5_000),
            before_fallback_ms: Millis::ZERO,
        }
    }
}

/// Limits for each phase of an attempt. `None` means no limit here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the headers of a streamed answer. It stands for a limit on connecting: the platform
    /// does not show when a connection is open, and an answer that is not streamed sends its
    /// headers only when it is finished.
    pub connect_ms: Option<Millis>,
    /// Until the headers of any answer.
    pub headers_ms: Option<Millis>,
    /// Until the first content of a streamed answer.
    pub first_token_ms: Option<Millis>,
    /// Between two pieces of a streamed answer.
    pub idle_ms: Option<Millis>,
    /// Until the end of the attempt.
    pub total_ms: Option<Millis>,
}

impl Timeouts {
    /// These limits, with those of `other` for the phases that have none.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            connect_ms: self.connect_ms.or(other.connect_ms),
            headers_ms: self.headers_ms.or(other.headers_ms),
            first_token_ms: self.first_token_ms.or(other.first_token_ms),
            idle_ms: self.idle_ms.or(other.idle_ms),
            total_ms: self.total_ms.or(other.total_ms),
        }
    }
}

/// The commit point: when the answer starts to flow to the client. After it, the target cannot
/// change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// After a good status.
    Headers,
    /// After the first event with content.
    FirstToken,
    /// When the upstream has finished.
    Complete,
}
