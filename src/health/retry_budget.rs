//! The retry budget: further attempts are limited to a share of the traffic, so that waiting
//! clients do not multiply the load of an outage (after the budgets of Finagle and tower).
//!
//! Within any window of ten seconds an isolate makes at most a fifth of a further attempt per
//! request, plus a reserve. Gates do most of the work in an outage, but only after failures. The
//! budget applies before them, and where nothing is ejected.

use super::ring::Ring;
use crate::vocabulary::time::{Instant, Millis};

/// Further attempts per request.
const SHARE: f64 = 0.2;

/// Further attempts per second that need no traffic, for isolates with few requests: one request a
/// second may fail over as often as it is allowed to (four attempts by default).
const FLOOR_PER_SECOND: u32 = 3;

/// The floor over the window of ten seconds. It may be spent at once, because requests come in
/// bursts.
const RESERVE: u32 = 10 * FLOOR_PER_SECOND;

/// The length of a bucket. The window has ten buckets.
const BUCKET_MS: Millis = Millis::new(1_000);

/// The retry budget of one entry node in one isolate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryBudget {
    requests: Ring,
    retries: Ring,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { requests: Ring::new(BUCKET_MS), retries: Ring::new(BUCKET_MS) }
    }
}

impl RetryBudget {
    /// A request makes its first attempt.
    pub fn deposit(&mut self, now: Instant) {
        self.requests.add(1, now);
    }

    /// A request asks for a further attempt. If this returns `false`, the request is answered with
    /// the result that it has.
    pub fn try_withdraw(&mut self, now: Instant) -> bool {
        let allowed = SHARE * f64::from(self.requests.sum(now)) + f64::from(RESERVE);
        let is_allowed = f64::from(self.retries.sum(now)) + 1.0 <= allowed;
        if is_allowed {
            self.retries.add(1, now);
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::time::short::at;
    use proptest::prelude::*;

    #[test]
    fn a_quiet_isolate_may_fail_over_with_every_request() {
        let mut budget = RetryBudget::default();
        for second in 0..120 {
            budget.deposit(at(second * 1_000));
            assert!((0..3).all(|_| budget.try_withdraw(at(second * 1_000))), "second {second}");
        }
    }

    #[test]
    fn a_busy_isolate_gets_a_fifth_and_the_reserve() {
        let mut budget = RetryBudget::default();
        for _ in 0..1_000 {
            budget.deposit(at(0));
        }
        let granted = (0..1_000).filter(|_| budget.try_withdraw(at(0))).count();
        assert_eq!(granted, 200 + 30);
        assert!(!budget.try_withdraw(at(9_999)));
        assert!(budget.try_withdraw(at(10_000)), "what was spent ten seconds ago is forgotten");
    }

    #[test]
    fn a_long_healthy_time_saves_nothing_up() {
        let mut budget = RetryBudget::default();
        for ms in 0..600_000 {
            budget.deposit(at(ms));
        }
        let granted = (0..1_000_000).filter(|_| budget.try_withdraw(at(600_000))).count();
        assert!(granted <= 2_030, "{granted}");
    }

    proptest! {
        /// Every attempt fails, and every request asks for three more.
        #[test]
        fn in_a_full_outage_calls_stay_below_a_share_of_the_requests_and_the_floor(
            gaps in prop::collection::vec(0u64..2_500, 1..400),
        ) {
            let mut budget = RetryBudget::default();
            let mut now = 1_000_000;
            let (mut requests, mut calls) = (0_u32, 0_u32);
            for gap_ms in gaps {
                now += gap_ms;
                requests += 1;
                budget.deposit(at(now));
                calls += 1 + (0..3).map(|_| u32::from(budget.try_withdraw(at(now)))).sum::<u32>();
                #[expect(clippy::cast_precision_loss, reason = "a few minutes")]
                let seconds = (now - 1_000_000) as f64 / 1_000.0;
                // One reserve at the start, and one more for every window since. The window slides
                // by a bucket, so it is nine seconds long.
                let floor = f64::from(RESERVE) * (1.0 + seconds / 9.0);
                prop_assert!(f64::from(calls) <= 1.2 * f64::from(requests) + floor);
            }
        }
    }
}
