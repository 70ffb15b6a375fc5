//! The keys that nodes and `settings` share: failures, limits, further attempts.

use serde::Deserialize;
use serde_json::Value;

use crate::scan::json_value::{self, Mismatch};
use crate::vocabulary::time::Millis;

raw! {

/// Retries of the same target before the next one.
pub struct RawRetry {
    /// Failures to retry. Default: the transient ones.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub on: Option<Vec<RawTrigger>>,
    /// The number of retries of one target. 0 disables retries. Default: 1.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0, max = 10)))]
    pub attempts: Option<u32>,
    /// The first wait. It doubles each time. Default: 500.
    pub backoff_ms: Option<RawDurationMs>,
    /// The longest wait that the gateway itself chooses. Default: 8000.
    pub max_backoff_ms: Option<RawDurationMs>,
    /// The longest `Retry-After` that the gateway waits for if no other target can be tried.
    /// Default: 5000.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0, max = 3_600_000)))]
    pub max_wait_ms: Option<u32>,
    /// The longest `Retry-After` that the gateway waits for at the same target even while another
    /// target is left. Default: 0.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0, max = 3_600_000)))]
    pub before_fallback_ms: Option<u32>,
}

/// A second attempt before the first has failed.
pub struct RawHedge {
    /// How long to wait for the first attempt: milliseconds, or a percentile of the usual time of
    /// its deployment (`"p95"`).
    pub after: RawHedgeAfter,
    /// The largest share of the requests that may be hedged, 0 to 1. Default: 0.05.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0.0, max = 1.0)))]
    pub max_share: Option<f64>,
}

/// Sends requests with the same affinity key to the same deployment.
pub struct RawSticky {
    /// The affinity key: `client`, `key`, `user`, `prompt_cache_key`, `header:NAME` or
    /// `metadata:KEY`.
    pub by: String,
    /// How many seconds a key stays on its deployment before it gets a new one. Default: 3600.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 86_400)))]
    pub ttl: Option<u32>,
}

/// Limits for each phase of an attempt.
pub struct RawTimeout {
    /// Until the headers of a streamed answer.
    pub connect_ms: Option<RawDurationMs>,
    /// Until the headers of any answer.
    pub headers_ms: Option<RawDurationMs>,
    /// Until the first content of a streamed answer.
    pub first_token_ms: Option<RawDurationMs>,
    /// Between two pieces of a streamed answer.
    pub idle_ms: Option<RawDurationMs>,
    /// Until the end of the attempt.
    pub total_ms: Option<RawDurationMs>,
}

/// The commit point: when an answer starts to flow to the client and switching ends.
#[derive(Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum RawCommit {
    /// After a good status.
    Headers,
    /// After the first event with content.
    FirstToken,
    /// When the upstream has finished.
    Complete,
}

/// What to do when every candidate is ejected.
#[derive(Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum RawWhenAllEjected {
    /// Try the candidate whose ejection ends first.
    Probe,
    /// Answer 503, with the time that remains.
    Fail,
}

}

/// A duration in milliseconds, from one millisecond to one hour.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
pub struct RawDurationMs(
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 3_600_000)))] pub u64,
);

impl From<RawDurationMs> for Millis {
    fn from(raw: RawDurationMs) -> Self {
        Self::new(raw.0)
    }
}

/// An error class or a status.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema), schemars(untagged, !try_from))]
#[serde(try_from = "Value")]
pub enum RawTrigger {
    /// An HTTP status: `429`.
    Status(#[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 400, max = 599)))] u16),
    /// An error class (`rate_limit`), a range of statuses (`"5xx"`) or a status (`"429"`).
    Word(String),
}

impl TryFrom<Value> for RawTrigger {
    type Error = Mismatch;

    fn try_from(json: Value) -> Result<Self, Mismatch> {
        match json {
            Value::String(word) => Ok(Self::Word(word)),
            status => json_value::read(status).map(Self::Status),
        }
    }
}

/// When a hedge starts.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema), schemars(untagged, !try_from))]
#[serde(try_from = "Value")]
pub enum RawHedgeAfter {
    /// After this number of milliseconds.
    Ms(#[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 3_600_000)))] u32),
    /// After this percentile of the deployment's usual time: `"p95"`.
    Percentile(String),
}

impl TryFrom<Value> for RawHedgeAfter {
    type Error = Mismatch;

    fn try_from(json: Value) -> Result<Self, Mismatch> {
        match json {
            Value::String(percentile) => Ok(Self::Percentile(percentile)),
            ms => json_value::read(ms).map(Self::Ms),
        }
    }
}
