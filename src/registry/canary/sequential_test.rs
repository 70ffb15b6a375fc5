//! Whether something happens more often with the new version than with the old one, beyond chance.
//!
//! Each request draws its version, independently of everything else: the new one with probability
//! `s`, the share. So a request that fails anyway, because an upstream is down or because the
//! client has sent nonsense, belongs to the new version with probability `s`, whatever happens
//! meanwhile.
//!
//! The hypothesis to refute: for each request, the probability of the event with the new version is
//! at most that with the old version plus a tolerance `d`. A gambler bets against it, and begins
//! with a wealth of 1. With a stake `b`, each request multiplies the wealth by
//!
//! ```text
//! new version, event      1 + b (1 - d) / s
//! new version, no event   1 - b d / s
//! old version, event      1 - b / (1 - s)
//! old version, no event   1
//! ```
//!
//! If the hypothesis holds, the mean of this factor is `1 + b (p_new - d - p_old)`, at most one. So
//! the wealth is a supermartingale that is never negative, and the probability that it ever reaches
//! `1 / a` is at most `a` (Ville 1939). It may be looked at after each request. The wealth is the
//! mean over several stakes ("betting", Waudby-Smith and Ramdas 2024): the best stake depends on
//! how much worse the new version is. No stake depends on what happened, so the order of the
//! requests does not matter: the counts are enough.
//!
//! The statement needs outcomes that become known at times that do not depend on the version. If
//! the new version fails at once where the old one fails after a minute, its failures are known
//! first.

/// The number of stakes. Each is half of the one before.
const STAKES: usize = 10;
/// The part of the largest possible stake that is the first one. With the whole one, a single
/// request could end the game.
const FIRST_STAKE: f64 = 0.95;

/// How often something happened with each version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// The requests of the new version.
    pub new_requests: u64,
    /// Those of them with the event.
    pub new_events: u64,
    /// The requests of the old version with the event.
    pub old_events: u64,
}

/// The natural logarithm of the gambler's wealth. `share`: the probability with which a request
/// draws the new version, between 0 and 1. `tolerance`: how much more probable the event may be
/// with it, between 0 and 1.
pub fn log_evidence(counts: &EventCounts, share: f64, tolerance: f64) -> f64 {
    let count = |count: u64| {
        #[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
        let count = count as f64;
        count
    };
    let most = (1.0 - share).min(share / tolerance) * FIRST_STAKE;
    let calm = counts.new_requests.saturating_sub(counts.new_events);
    let mut logs = [0.0; STAKES];
    let mut stake = most;
    for log in &mut logs {
        *log = count(counts.new_events) * (stake * (1.0 - tolerance) / share).ln_1p()
            + count(calm) * (-stake * tolerance / share).ln_1p()
            + count(counts.old_events) * (-stake / (1.0 - share)).ln_1p();
        stake /= 2.0;
    }
    // The mean of numbers whose logarithms are known, without an overflow.
    let largest = logs.into_iter().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logs.into_iter().map(|log| (log - largest).exp()).sum();
    largest + (sum / count(STAKES as u64)).ln()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::{EventCounts, log_evidence};
    use crate::vocabulary::rng::{Rng, SplitMix64};

    fn evidence(new_events: u64, new_requests: u64, old_events: u64) -> f64 {
        log_evidence(&EventCounts { new_requests, new_events, old_events }, 0.05, 0.005).exp()
    }

    #[test]
    fn without_requests_the_wealth_is_one() {
        assert!((evidence(0, 0, 0) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn evidence_grows_with_events_of_the_new_version_and_shrinks_with_all_others() {
        assert!(evidence(3, 10, 0) > evidence(2, 10, 0));
        assert!(evidence(3, 10, 0) > evidence(3, 20, 0));
        assert!(evidence(3, 10, 0) > evidence(3, 10, 1));
        // Three failures among ten requests, and none among 190.
        assert!(evidence(3, 10, 0) > 300.0);
        // As many as the share says.
        assert!(evidence(5, 100, 95) < 1.0);
        // An outage that hits all requests of both.
        assert!(evidence(5_000, 5_000, 95_000) < 1.0);
    }

    #[test]
    fn a_difference_within_the_tolerance_is_no_evidence_however_many_requests_there_are() {
        // 0.4 % more failures, in a hundred million requests.
        let counts = EventCounts { new_requests: 5_000_000, new_events: 25_000, old_events: 95_000 };
        assert!(log_evidence(&counts, 0.05, 0.005) < 0.0);
        // 0.7 % more.
        let counts = EventCounts { new_requests: 5_000_000, new_events: 40_000, old_events: 95_000 };
        assert!(log_evidence(&counts, 0.05, 0.005) > 300.0_f64.ln());
    }

    /// Looks at the wealth after each request, which is what Ville's inequality allows.
    #[test]
    fn a_version_that_is_as_good_reaches_the_threshold_in_fewer_than_one_of_300_games() {
        let mut rng = SplitMix64::new(1);
        for (share, rate) in [(0.01, 0.3), (0.05, 0.02), (0.05, 1.0), (0.5, 0.1)] {
            let games = 1_500;
            let mut lost = 0;
            for _ in 0..games {
                let mut counts = EventCounts::default();
                for _ in 0..400 {
                    let (is_new, is_event) = (rng.unit() < share, rng.unit() < rate);
                    counts.new_requests += u64::from(is_new);
                    counts.new_events += u64::from(is_new && is_event);
                    counts.old_events += u64::from(!is_new && is_event);
                    if is_event && is_new && log_evidence(&counts, share, 0.005) >= 300.0_f64.ln() {
                        lost += 1;
                        break;
                    }
                }
            }
            assert!(lost * 300 <= games * 2, "share {share}, rate {rate}: {lost} of {games}");
        }
    }

    proptest! {
        /// The mean of the next factor is at most 1 for any probabilities within the tolerance.
        #[test]
        fn no_next_request_is_expected_to_add_wealth(
            share in 0.01_f64..0.5, tolerance in 0.001_f64..0.1, old in 0.0_f64..1.0,
            more in 0.0_f64..1.0, new_events in 0_u64..20, calm in 0_u64..50, old_events in 0_u64..50,
        ) {
            let new = (old + tolerance * more).min(1.0);
            let wealth = |counts: EventCounts| log_evidence(&counts, share, tolerance).exp();
            let before = EventCounts { new_requests: new_events + calm, new_events, old_events };
            let new_requests = before.new_requests + 1;
            let with_event = wealth(EventCounts { new_requests, new_events: new_events + 1, ..before });
            let without = wealth(EventCounts { new_requests, ..before });
            let old_event = wealth(EventCounts { old_events: old_events + 1, ..before });
            let now = wealth(before);
            let mean = share * (new * with_event + (1.0 - new) * without)
                + (1.0 - share) * (old * old_event + (1.0 - old) * now);
            prop_assert!(mean <= now * (1.0 + 1e-9), "{mean} of {now}");
        }
    }
}
