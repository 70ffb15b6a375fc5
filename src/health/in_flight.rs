//! Attempts under way.
//!
//! The runtime may drop a request whose client has left, without running any more code. So the end
//! of an attempt may never be recorded, and an attempt counts for at most two minutes. Lost
//! attempts leave the count then. Streams that last longer show little about how soon the next
//! request is answered.

use super::ring::Ring;
use crate::vocabulary::time::{Instant, Millis};

/// The length of a bucket. An attempt counts for ten buckets.
const BUCKET_MS: Millis = Millis::new(12_000);

/// The attempts of one isolate at one deployment.
#[derive(Debug, Clone)]
pub struct InFlight(Ring);

impl Default for InFlight {
    fn default() -> Self {
        Self(Ring::new(BUCKET_MS))
    }
}

impl InFlight {
    /// An attempt begins now.
    pub fn begin(&mut self, now: Instant) {
        self.0.add(1, now);
    }

    /// An attempt that began at `at` has ended.
    pub fn end(&mut self, at: Instant) {
        self.0.remove(1, at);
    }

    /// The number of attempts under way.
    pub fn count(&self, now: Instant) -> u32 {
        self.0.sum(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::time::short::at;

    #[test]
    fn an_attempt_counts_until_it_ends_and_for_two_minutes_at_most() {
        let mut in_flight = InFlight::default();
        for began_at in [0, 30_000, 60_000] {
            in_flight.begin(at(began_at));
        }
        assert_eq!(in_flight.count(at(60_000)), 3);
        in_flight.end(at(30_000));
        assert_eq!(in_flight.count(at(60_000)), 2);
        assert_eq!(in_flight.count(at(120_000)), 1, "the first was lost");
        in_flight.end(at(0));
        assert_eq!(in_flight.count(at(120_000)), 1, "a late end takes nothing from the others");
        in_flight.end(at(60_000));
        assert_eq!(in_flight.count(at(120_000)), 0);
    }
}
