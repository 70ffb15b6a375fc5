//! How long to wait before a retry of the same target.

use super::failure::Failure;
use crate::routes::graph::Retry;
use crate::vocabulary::rng::Rng;
use crate::vocabulary::time::Millis;

/// The wait before retry number `tried` (1 for the first). `None` if the hint of the upstream is
/// longer than `retry.max_wait_ms`. A hint is never shortened. Without a hint, the wait doubles
/// with each retry, up to `max_backoff_ms`. A random part of up to one half is subtracted, so that
/// many clients do not come back at the same time.
pub fn wait_ms(failure: &Failure, retry: &Retry, tried: u32, rng: &mut dyn Rng) -> Option<Millis> {
    if let Some(hint_ms) = failure.hint_ms {
        return (hint_ms <= retry.max_wait_ms).then_some(hint_ms);
    }
    let doublings = tried.saturating_sub(1).min(32);
    let longest_ms = (retry.backoff_ms << doublings).min(retry.max_backoff_ms);
    let half_ms = longest_ms / 2;
    let drawn_ms = Millis::from_f64(rng.unit() * half_ms.as_f64());
    Some(longest_ms - drawn_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::error_class::{ErrorClass, Triggers};
    use crate::vocabulary::rng::SplitMix64;
    use crate::vocabulary::time::short::ms;

    const RETRY: Retry = Retry {
        states_on: false,
        on: Triggers { classes: Vec::new(), statuses: Vec::new() },
        attempts: 9,
        backoff_ms: ms(100),
        max_backoff_ms: ms(1000),
        max_wait_ms: ms(5000),
        before_fallback_ms: Millis::ZERO,
    };

    fn failure(hint_ms: Option<Millis>) -> Failure {
        Failure { hint_ms, ..Failure::silent(ErrorClass::RateLimit, "") }
    }

    #[test]
    fn a_hint_is_waited_for_exactly_or_not_at_all() {
        let mut rng = SplitMix64::new(1);
        for (hint_ms, expected) in [(0, Some(0)), (1, Some(1)), (5000, Some(5000)), (5001, None)] {
            assert_eq!(wait_ms(&failure(Some(ms(hint_ms))), &RETRY, 1, &mut rng), expected.map(ms));
        }
    }

    #[test]
    fn backoff_doubles_up_to_its_cap_and_keeps_at_least_half() {
        let mut rng = SplitMix64::new(1);
        for (tried, longest) in [(1, 100), (2, 200), (4, 800), (5, 1000), (40, 1000), (u32::MAX, 1000)] {
            for _ in 0..100 {
                let waited = wait_ms(&failure(None), &RETRY, tried, &mut rng).unwrap();
                assert!((ms(longest / 2)..=ms(longest)).contains(&waited), "try {tried} waited {waited} ms");
            }
        }
    }

    #[test]
    fn absurd_settings_do_not_overflow() {
        let retry = Retry { backoff_ms: ms(u64::MAX), max_backoff_ms: ms(u64::MAX), ..RETRY };
        assert!(wait_ms(&failure(None), &retry, 3, &mut SplitMix64::new(1)).is_some());
    }
}
