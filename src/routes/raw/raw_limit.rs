//! Limits of clients and of the gateway.

use serde::Deserialize;

raw! {

/// A limit: exactly one of `requests`, `tokens`, `usd` and `concurrent`.
pub struct RawLimit {
    /// The most requests in the time `per`.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1_000_000_000_000_u64)))]
    pub requests: Option<u64>,
    /// The most tokens of input and output in the time `per`.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1_000_000_000_000_u64)))]
    pub tokens: Option<u64>,
    /// The most US dollars in the time `per`, by the `cost` of the deployments.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0.000_001, max = 1_000_000_000.0)))]
    pub usd: Option<f64>,
    /// The most requests at the same time.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1_000_000)))]
    pub concurrent: Option<u64>,
    /// The time, for all but `concurrent`.
    pub per: Option<RawPeriod>,
    /// What it is counted for, each value by itself: `client`, `key`, `user`, `country`, `colo`,
    /// `header:NAME` or `metadata:KEY`. Default: all requests together.
    pub by: Option<String>,
    /// Names of the nodes whose requests count, with `*` as a wildcard. Default: all.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub models: Option<Vec<String>>,
}

/// The time of a limit.
#[derive(Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum RawPeriod {
    /// It comes back evenly within a minute.
    Minute,
    /// It comes back evenly within an hour.
    Hour,
    /// A calendar day in UTC.
    Day,
    /// A calendar month in UTC.
    Month,
}

/// What happens to a request whose limits cannot be checked.
#[derive(Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum RawUnreachable {
    /// It is refused.
    FailClosed,
    /// It is served. What it uses is counted later.
    FailOpen,
}

}
