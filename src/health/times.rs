//! How long the latest requests took. A percentile of these times decides when to send a hedge.

use crate::vocabulary::time::Millis;

/// The number of stored times: small enough that the percentile follows a change within minutes,
/// large enough for a p95.
const CAPACITY: usize = 64;

/// With fewer times, a percentile is not meaningful.
const FEWEST: usize = 20;

/// The latest times. Nothing is allocated before the first one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RecentTimes {
    latest: Vec<u32>,
    /// The index for the next time.
    next: usize,
}

impl RecentTimes {
    pub(super) fn add(&mut self, ms: Millis) {
        let ms = u32::try_from(ms.get()).unwrap_or(u32::MAX);
        match self.latest.get_mut(self.next) {
            Some(oldest) => *oldest = ms,
            None => self.latest.push(ms),
        }
        self.next = (self.next + 1) % CAPACITY;
    }

    /// The time that the part `p` (`0.0..=1.0`) of the times did not exceed (nearest rank); `None`
    /// with too few times.
    pub(super) fn percentile(&self, p: f64) -> Option<Millis> {
        if self.latest.len() < FEWEST {
            return None;
        }
        let mut sorted = Vec::with_capacity(self.latest.len());
        for ms in &self.latest {
            sorted.insert(sorted.partition_point(|other| other < ms), *ms);
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "64 at most; `as` saturates, and takes what is no number for 0"
        )]
        let rank = (p * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.clamp(1, sorted.len()) - 1).map(|ms| Millis::new(u64::from(*ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::time::short::ms;

    fn times(samples: impl Iterator<Item = u64>) -> RecentTimes {
        let mut times = RecentTimes::default();
        samples.for_each(|sample| times.add(ms(sample)));
        times
    }

    #[test]
    fn twenty_samples_make_a_percentile() {
        assert_eq!(times(1..=19).percentile(0.5), None);
        for (p, expected) in
            [(0.5, 10), (0.95, 19), (0.951, 20), (1.0, 20), (0.0, 1), (7.0, 20), (-1.0, 1), (f64::NAN, 1)]
        {
            assert_eq!(times(1..=20).percentile(p), Some(ms(expected)), "{p}");
        }
    }

    #[test]
    fn only_the_latest_count() {
        let times = times((1..=1_000).rev().chain([u64::MAX]));
        assert_eq!(times.percentile(0.0), Some(ms(1)));
        assert_eq!(times.percentile(0.98), Some(ms(63)));
        assert_eq!(times.percentile(1.0), Some(ms(u64::from(u32::MAX))));
    }
}
