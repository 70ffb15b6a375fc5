//! A sum over the latest period, in a fixed amount of memory.
//!
//! Time is divided into buckets, and a ring contains the newest ones. So the window slides by whole
//! buckets: it is between nine and ten of them long. The clock may stand still (Workers advance it
//! with I/O only) and may step back. A time a little before the newest one counts as the newest. A
//! time that is a whole window earlier shows that the newest one was wrong, so the count starts
//! again there.

use crate::vocabulary::time::{Instant, Millis};

/// Buckets in a ring. Ten, so that the length of the window is wrong by at most a tenth.
pub const BUCKETS: usize = 10;

/// A count per bucket of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    /// The length of a bucket; 0 counts as 1.
    bucket_ms: Millis,
    /// The number of the newest bucket since the epoch.
    newest: u64,
    /// The counts, newest first.
    counts: [u32; BUCKETS],
}

impl Ring {
    /// An empty ring over ten buckets of this length.
    pub fn new(bucket_ms: Millis) -> Self {
        Self { bucket_ms, newest: 0, counts: [0; BUCKETS] }
    }

    /// Counts `n` more, now.
    pub fn add(&mut self, n: u32, now: Instant) {
        let bucket = self.bucket(now);
        if self.is_out_of_sight(bucket) {
            self.counts = [0; BUCKETS];
            self.newest = bucket;
        }
        while self.newest < bucket {
            self.counts.rotate_right(1);
            self.counts[0] = 0;
            self.newest += 1;
        }
        self.counts[0] = self.counts[0].saturating_add(n);
    }

    /// Removes a count made at `at`, if it is still in the window.
    pub fn remove(&mut self, n: u32, at: Instant) {
        let bucket = self.bucket(at);
        let passed = usize::try_from(self.newest.saturating_sub(bucket)).unwrap_or(BUCKETS);
        if let Some(count) = self.counts.get_mut(passed).filter(|_| bucket <= self.newest) {
            *count = count.saturating_sub(n);
        }
    }

    /// The count within the window that ends now.
    pub fn sum(&self, now: Instant) -> u32 {
        let bucket = self.bucket(now);
        if self.is_out_of_sight(bucket) {
            return 0;
        }
        let passed = usize::try_from(bucket.saturating_sub(self.newest)).unwrap_or(BUCKETS);
        self.counts
            .iter()
            .take(BUCKETS.saturating_sub(passed))
            .fold(0, |sum: u32, count| sum.saturating_add(*count))
    }

    /// The count in the current bucket.
    pub fn latest(&self, now: Instant) -> u32 {
        let bucket = self.bucket(now);
        if bucket > self.newest || self.is_out_of_sight(bucket) { 0 } else { self.counts[0] }
    }

    fn bucket(&self, now: Instant) -> u64 {
        now.period(self.bucket_ms)
    }

    fn is_out_of_sight(&self, bucket: u64) -> bool {
        bucket.abs_diff(self.newest) >= BUCKETS as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::time::short::{at, ms};
    use proptest::prelude::*;

    const BUCKET_MS: Millis = Millis::new(1_000);

    #[test]
    fn a_count_leaves_with_its_bucket() {
        let mut ring = Ring::new(BUCKET_MS);
        ring.add(3, at(5_999));
        for (now, expected) in [(5_999, 3), (6_000, 3), (14_999, 3), (15_000, 0), (u64::MAX, 0)] {
            assert_eq!(ring.sum(at(now)), expected, "at {now}");
        }
    }

    #[test]
    fn counts_of_the_same_millisecond_add_up() {
        let mut ring = Ring::new(BUCKET_MS);
        for _ in 0..100 {
            ring.add(1, at(7_000));
        }
        assert_eq!(ring.sum(at(7_000)), 100);
        assert_eq!((ring.latest(at(7_999)), ring.latest(at(8_000))), (100, 0));
    }

    #[test]
    fn an_idle_gap_of_any_length_clears_the_ring_at_once() {
        let mut ring = Ring::new(ms(1));
        ring.add(1, at(0));
        ring.add(1, at(u64::MAX)); // Years of buckets, and no loop over them.
        assert_eq!(ring.sum(at(u64::MAX)), 1);
    }

    #[test]
    fn a_clock_that_steps_back_a_little_loses_nothing() {
        let mut ring = Ring::new(BUCKET_MS);
        ring.add(1, at(20_000));
        ring.add(1, at(15_000));
        assert_eq!((ring.sum(at(15_000)), ring.sum(at(20_000))), (2, 2));
    }

    #[test]
    fn a_time_from_the_far_future_does_not_freeze_the_ring() {
        let mut ring = Ring::new(BUCKET_MS);
        ring.add(1, at(9_000_000));
        ring.add(1, at(20_000));
        assert_eq!((ring.sum(at(20_000)), ring.sum(at(30_000))), (1, 0));
    }

    #[test]
    fn counts_saturate() {
        let mut ring = Ring::new(BUCKET_MS);
        ring.add(u32::MAX, at(0));
        ring.add(1, at(0));
        ring.add(1, at(1_000));
        assert_eq!(ring.sum(at(1_000)), u32::MAX);
    }

    proptest! {
        #[test]
        fn it_equals_a_list_of_everything(steps in prop::collection::vec((0u64..4_000, 0u32..50), 0..60), bucket_ms in 1u64..2_000) {
            let mut ring = Ring::new(ms(bucket_ms));
            let mut list = Vec::new();
            let mut now = 1_000_000;
            for (wait_ms, n) in steps {
                now += wait_ms;
                ring.add(n, at(now));
                list.push((now / bucket_ms, n));
                for later in [now, now + bucket_ms, now + 9 * bucket_ms, now + 10 * bucket_ms] {
                    let naive: u32 =
                        list.iter().filter(|(bucket, _)| bucket + 10 > later / bucket_ms).map(|(_, n)| n).sum();
                    prop_assert_eq!(ring.sum(at(later)), naive);
                }
            }
        }

        #[test]
        fn no_clock_breaks_it(times in prop::collection::vec(any::<u64>(), 0..20), bucket_ms in any::<u64>()) {
            let mut ring = Ring::new(ms(bucket_ms));
            for now in times.into_iter().map(at) {
                ring.add(1, now);
                prop_assert!(ring.sum(now) >= 1);
            }
        }
    }
}
