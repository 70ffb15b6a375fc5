//! Attempts under way.
//!
//! The runtime may drop a request whose client has left without a word to anybody, so an end may never be heard of. An attempt
//! therefore counts for two minutes at most: what was lost is forgotten then, and streams that last longer tell little of how soon
//! the next request is answered.

use super::ring::Ring;
use crate::vocabulary::time::{Instant, Millis};

/// Ten of them are the time for which an attempt counts.
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
    /// One more, now.
    pub fn begin(&mut self, now: Instant) {
        self.0.add(1, now);
    }

    /// One that began at `at` has ended.
    pub fn end(&mut self, at: Instant) {
        self.0.remove(1, at);
    }

    /// How many there are.
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
