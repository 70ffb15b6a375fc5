//! What one isolate counts of both versions, and when it reports.
//!
//! Reports are cumulative: the next one has everything that a lost one had, and one that arrives
//! twice adds nothing. A report is a list of numbers: code that reads and writes fields by name
//! costs kilobytes of Wasm.

use serde::{Deserialize, Serialize};

use super::version_counts::{CountedEnd, NUMBERS, VersionCounts};
use crate::vocabulary::rng::Rng;
use crate::vocabulary::time::{Instant, Millis};

/// The time between two reports until the registry states another one.
pub const FIRST_PACE_MS: Millis = Millis::new(5_000);
/// The longest time that is believed.
const LONGEST_PACE_MS: Millis = Millis::new(600_000);

/// What an isolate has counted since it serves both versions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BothCounts {
    /// Of the version that served before.
    pub old: VersionCounts,
    /// Of the new version.
    pub new: VersionCounts,
}

impl BothCounts {
    /// All numbers, in their order in a report.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.old.numbers().chain(self.new.numbers())
    }

    /// The counts with these numbers. Missing ones are 0.
    pub fn of_numbers(numbers: &[u64]) -> Self {
        let of = |from: usize| VersionCounts::of_numbers(numbers.iter().skip(from).take(NUMBERS).copied());
        Self { old: of(0), new: of(NUMBERS) }
    }

    /// The requests of both versions.
    pub fn requests(&self) -> u64 {
        self.old.requests.saturating_add(self.new.requests)
    }
}

/// A report of an isolate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanaryReport {
    /// The number of the canary.
    pub canary: u64,
    /// A random number of the isolate, below 2^53.
    pub isolate: u64,
    /// All that it has counted.
    pub counts: BothCounts,
}

impl CanaryReport {
    /// The report as it is sent.
    pub fn numbers(&self) -> Vec<u64> {
        [self.canary, self.isolate].into_iter().chain(self.counts.numbers()).collect()
    }

    /// Reads what was sent.
    pub fn of_numbers(numbers: &[u64]) -> Option<Self> {
        let [canary, isolate, counts @ ..] = numbers else { return None };
        Some(Self { canary: *canary, isolate: *isolate, counts: BothCounts::of_numbers(counts) })
    }
}

/// The answer to a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryAnswer {
    /// When to report next.
    pub next_ms: Millis,
    /// Why the canary has ended; `None` while it runs.
    pub ended: Option<String>,
}

/// The counts of one isolate.
#[derive(Debug, Clone)]
pub struct CanaryTally {
    canary: u64,
    isolate: u64,
    counts: BothCounts,
    /// The requests that were reported.
    reported: u64,
    next_at: Instant,
    pace_ms: Millis,
}

impl CanaryTally {
    /// Nothing is counted yet.
    pub fn new(canary: u64, rng: &mut dyn Rng) -> Self {
        Self {
            canary,
            isolate: rng.next_u64() >> 11,
            counts: BothCounts::default(),
            reported: 0,
            next_at: Instant::EPOCH,
            pace_ms: FIRST_PACE_MS,
        }
    }

    /// Counts a request that drew one of both versions.
    pub fn count(&mut self, is_new: bool, end: &CountedEnd) {
        let counts = if is_new { &mut self.counts.new } else { &mut self.counts.old };
        counts.count(end);
    }

    /// What was counted.
    pub fn counts(&self) -> &BothCounts {
        &self.counts
    }

    /// When to report what was counted; `None` if there is nothing new.
    pub fn due_at(&self) -> Option<Instant> {
        (self.counts.requests() > self.reported).then_some(self.next_at)
    }

    /// The report to send now. The next one follows after a while, whether this one arrives or not.
    /// The time between two reports varies, so that the isolates do not report at the same moment.
    pub fn report(&mut self, now: Instant, rng: &mut dyn Rng) -> CanaryReport {
        self.reported = self.counts.requests();
        let pace_ms = Millis::from_f64(self.pace_ms.as_f64() * (0.8 + 0.4 * rng.unit()));
        self.next_at = now + pace_ms;
        CanaryReport { canary: self.canary, isolate: self.isolate, counts: self.counts }
    }

    /// The registry has answered to a report.
    pub fn on_answer(&mut self, answer: &CanaryAnswer, now: Instant, rng: &mut dyn Rng) {
        self.pace_ms = answer.next_ms.clamp(FIRST_PACE_MS, LONGEST_PACE_MS);
        self.next_at = now + Millis::from_f64(self.pace_ms.as_f64() * (0.8 + 0.4 * rng.unit()));
    }
}
