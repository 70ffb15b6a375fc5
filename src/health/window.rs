//! The successes and failures of the last ten seconds.

use super::ring::Ring;
use crate::vocabulary::time::{Instant, Millis};

/// The length of a bucket: one second. With ten buckets the window is ten seconds long. In this
/// time a busy isolate sees enough requests for a failure rate; a quiet isolate trips by its run of
/// failures.
const BUCKET_MS: Millis = Millis::new(1_000);

/// Outcomes within the last ten seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    successes: Ring,
    failures: Ring,
}

/// The counts in a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that were served.
    pub successes: u32,
    /// Requests that failed by the deployment's fault.
    pub failures: u32,
}

impl Counts {
    /// All requests.
    pub fn total(self) -> u32 {
        self.successes.saturating_add(self.failures)
    }
}

impl Default for Window {
    fn default() -> Self {
        Self { successes: Ring::new(BUCKET_MS), failures: Ring::new(BUCKET_MS) }
    }
}

impl Window {
    /// Adds outcomes, now.
    pub fn add(&mut self, more: Counts, now: Instant) {
        self.successes.add(more.successes, now);
        self.failures.add(more.failures, now);
    }

    /// The outcomes within the window that ends now.
    pub fn counts(&self, now: Instant) -> Counts {
        Counts { successes: self.successes.sum(now), failures: self.failures.sum(now) }
    }
}
