//! Configured limits, counted locally: for deployments that do not state how much is left, or that
//! are shared with others.
//!
//! An isolate sees only its own requests, so the count is a lower bound of the usage. The first 429
//! shows the rest.

use super::ring::Ring;
use crate::routes::graph::RateLimits;
use crate::vocabulary::time::{Instant, Millis};

/// What the isolate sent recently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalUsage {
    /// The last ten seconds.
    requests: Ring,
    /// The last minute.
    tokens: Ring,
}

impl Default for LocalUsage {
    fn default() -> Self {
        Self { requests: Ring::new(Millis::new(1_000)), tokens: Ring::new(Millis::new(6_000)) }
    }
}

impl LocalUsage {
    /// A request is sent. `tokens`: those of its prompt plus the longest answer that it allows.
    /// Azure counts the same number when the request arrives.
    pub fn add(&mut self, tokens: u32, now: Instant) {
        self.requests.add(1, now);
        self.tokens.add(tokens, now);
    }

    /// The part of the limits that is left, `0.0..=1.0`; `None` without limits.
    ///
    /// Azure checks requests per minute in windows of one or ten seconds (Microsoft, "Manage Azure
    /// OpenAI quota": 600 a minute are 10 a second). So it refuses a burst even if the minute has
    /// room for it. Azure does not document which of the two windows it uses, so both are respected
    /// here. Tokens are counted per minute.
    pub fn remaining(&self, limits: &RateLimits, now: Instant) -> Option<f64> {
        let requests = limits.rpm.map(|rpm| {
            let second = left(self.requests.latest(now), rpm, 60);
            second.min(left(self.requests.sum(now), rpm, 6))
        });
        let tokens = limits.tpm.map(|tpm| left(self.tokens.sum(now), tpm, 1));
        requests.into_iter().chain(tokens).reduce(f64::min)
    }
}

/// What is left of a part of the limit per minute. Even the smallest limit allows one request in
/// each part.
fn left(used: u32, per_minute: u32, parts: u32) -> f64 {
    let limit = (f64::from(per_minute) / f64::from(parts)).max(1.0);
    (1.0 - f64::from(used) / limit).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::time::short::{at, ms};

    fn left_after(requests: u32, tokens: u32, limits: RateLimits, wait_ms: Millis) -> Option<f64> {
        let mut usage = LocalUsage::default();
        for _ in 0..requests {
            usage.add(tokens, at(60_000));
        }
        usage.remaining(&limits, at(60_000) + wait_ms).map(|left| (left * 1_000.0).round() / 1_000.0)
    }

    #[test]
    fn what_is_left_is_judged_by_the_shortest_window() {
        let rpm = |rpm| RateLimits { rpm: Some(rpm), tpm: None };
        let tpm = |tpm| RateLimits { rpm: None, tpm: Some(tpm) };
        for (requests, tokens, limits, wait_ms, expected) in [
            (9, 1, RateLimits::default(), 0, None),
            (0, 0, rpm(600), 0, Some(1.0)),
            (9, 0, rpm(600), 0, Some(0.1)),      // 10 a second
            (10, 0, rpm(600), 999, Some(0.0)),   // the same second
            (10, 0, rpm(600), 1_000, Some(0.9)), // the next one: 100 in ten seconds
            (10, 0, rpm(600), 10_000, Some(1.0)),
            (1, 0, rpm(6), 9_999, Some(0.0)), // 1 in ten seconds
            (1, 0, rpm(6), 10_000, Some(1.0)),
            (4, 200, tpm(1_000), 0, Some(0.2)),
            (4, 200, tpm(1_000), 59_999, Some(0.2)),
            (4, 200, tpm(1_000), 60_000, Some(1.0)),
            (9, 200, tpm(1_000), 0, Some(0.0)), // beyond the limit, and not below zero
            (5, 100, RateLimits { rpm: Some(600), tpm: Some(2_000) }, 0, Some(0.5)), // the scarcer one
            (1, 0, rpm(0), 0, Some(0.0)),
        ] {
            assert_eq!(
                left_after(requests, tokens, limits, ms(wait_ms)),
                expected,
                "{requests} {tokens} {limits:?} {wait_ms}"
            );
        }
    }
}
