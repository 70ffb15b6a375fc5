//! The counts of all isolates, and when a canary ends, and how.

use serde::{Deserialize, Serialize};

use super::canary_tally::{BothCounts, FIRST_PACE_MS};
use super::sequential_test::{EventCounts, log_evidence};
use super::version_counts::{NUMBERS, VersionCounts};
use crate::vocabulary::time::{Instant, Millis};

/// The evidence that takes a version back: a probability of one in 300 for each of the three tests,
/// so of at most 1 % that a version that is not worse is taken back because of them.
pub const ENOUGH_EVIDENCE: f64 = 300.0;
/// How much more probable a failure may be with the new version.
pub const FAILURE_TOLERANCE: f64 = 0.005;
/// How much more probable a failed attempt may be with the new version.
pub const FALLBACK_TOLERANCE: f64 = 0.02;
/// How much more probable an answer may be with the new version that begins later than nine of ten
/// answers of the old one.
pub const SLOWNESS_TOLERANCE: f64 = 0.05;
/// An answer is slow if it begins later than this percentage of the old version's.
const SLOW_PERCENT: u64 = 90;
/// The times of the old version that must be known before an answer can be slow.
const KNOWN_TIMES: u64 = 50;
/// The requests that a new version must have served to take over by itself.
pub const LEAST_REQUESTS: u64 = 50;
/// The most reports a second that all isolates send together, once they know how many they are.
pub const REPORTS_PER_SECOND: u64 = 150;
/// The time after which an isolate that does not report any more is not expected to report.
const EPOCH_MS: Millis = Millis::new(600_000);

/// The terms of a canary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryTerms {
    /// Its number. A later canary has a larger one.
    pub id: u64,
    /// The new version.
    pub version: String,
    /// The version that serves the rest.
    pub base: String,
    /// The percentage of requests that draw it.
    pub share: u32,
    /// When it ends by itself.
    pub until: Instant,
}

/// Which of the tests says that the new version is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CanaryFinding {
    /// More requests fail.
    Failures,
    /// More attempts fail.
    Fallbacks,
    /// Answers begin later.
    Slowness,
}

impl CanaryFinding {
    /// The reason for people.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Failures => "more of its requests failed",
            Self::Fallbacks => "more of its attempts failed",
            Self::Slowness => "its answers began later",
        }
    }
}

/// The end of a canary that nobody ended by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The new version is worse.
    Worse(CanaryFinding),
    /// The time is over, and the new version is not worse.
    TakesOver,
    /// The time is over, and the new version has not served enough requests.
    TooFewRequests,
}

/// The evidence of each test: how much a bet of 1 against "the new version is not worse" has won.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Evidence {
    /// That more requests fail.
    pub failures: f64,
    /// That more attempts fail.
    pub fallbacks: f64,
    /// That answers begin later.
    pub slowness: f64,
}

/// What all isolates have counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CanaryTrial {
    /// The sums of all reports.
    pub counts: BothCounts,
    slow: EventCounts,
    /// The times that were compared are those of isolates that reported in this period of time.
    epoch: u64,
    /// The isolates that reported in it, and in the one before.
    isolates: (u64, u64),
}

impl From<BothCounts> for CanaryTrial {
    fn from(counts: BothCounts) -> Self {
        Self { counts, ..Self::default() }
    }
}

impl CanaryTrial {
    /// All numbers, to store them.
    pub fn numbers(&self) -> Vec<u64> {
        let EventCounts { new_requests, new_events, old_events } = self.slow;
        let rest = [new_requests, new_events, old_events, self.epoch, self.isolates.0, self.isolates.1];
        self.counts.numbers().chain(rest).collect()
    }

    /// Reads what was stored. Missing numbers are 0.
    pub fn of_numbers(numbers: &[u64]) -> Self {
        let number = |at: usize| numbers.get(2 * NUMBERS + at).copied().unwrap_or_default();
        Self {
            counts: BothCounts::of_numbers(numbers),
            slow: EventCounts { new_requests: number(0), new_events: number(1), old_events: number(2) },
            epoch: number(3),
            isolates: (number(4), number(5)),
        }
    }

    /// Adds what an isolate has counted since its last report. Returns when it should report again.
    /// `before`: its last report, with the time at which it came.
    pub fn on_report(
        &mut self,
        before: Option<(&BothCounts, Instant)>,
        report: &BothCounts,
        now: Instant,
    ) -> Millis {
        let epoch = now.period(EPOCH_MS);
        if epoch != self.epoch {
            let last = if epoch == self.epoch + 1 { self.isolates.0 } else { 0 };
            (self.epoch, self.isolates) = (epoch, (0, last));
        }
        if before.is_none_or(|(_, at)| at.period(EPOCH_MS) != epoch) {
            self.isolates.0 += 1;
        }
        let nothing = BothCounts::default();
        let known = before.map_or(&nothing, |(counts, _)| counts);
        self.add(&report.old.since(&known.old), &report.new.since(&known.new));
        let isolates = self.isolates.0.max(self.isolates.1);
        Millis::new(isolates * 1_000 / REPORTS_PER_SECOND).max(FIRST_PACE_MS)
    }

    /// What counts as slow is known before these requests are: that keeps the test valid.
    fn add(&mut self, old: &VersionCounts, new: &VersionCounts) {
        let is_known = self.counts.old.timed() >= KNOWN_TIMES;
        if let Some(cell) = self.counts.old.percentile_cell(SLOW_PERCENT).filter(|_| is_known) {
            self.slow.new_requests += new.requests;
            self.slow.new_events += new.slower_than(cell);
            self.slow.old_events += old.slower_than(cell);
        }
        self.counts.old.add(old);
        self.counts.new.add(new);
    }

    /// The evidence of each test.
    pub fn evidence(&self, terms: &CanaryTerms) -> Evidence {
        let BothCounts { old, new } = &self.counts;
        let of = |new_events, old_events| EventCounts { new_requests: new.requests, new_events, old_events };
        let share = f64::from(terms.share) / 100.0;
        let test = |counts: &EventCounts, tolerance| {
            // A long number helps nobody.
            let evidence = log_evidence(counts, share, tolerance).exp().min(1e9);
            (evidence * 1_000.0).round() / 1_000.0
        };
        Evidence {
            failures: test(&of(new.failed, old.failed), FAILURE_TOLERANCE),
            fallbacks: test(&of(new.fell_back, old.fell_back), FALLBACK_TOLERANCE),
            slowness: test(&self.slow, SLOWNESS_TOLERANCE),
        }
    }

    /// How the canary ends now; `None` if it goes on.
    pub fn verdict(&self, terms: &CanaryTerms, now: Instant) -> Option<Verdict> {
        let Evidence { failures, fallbacks, slowness } = self.evidence(terms);
        let tests = [
            (failures, CanaryFinding::Failures),
            (fallbacks, CanaryFinding::Fallbacks),
            (slowness, CanaryFinding::Slowness),
        ];
        if let Some((_, finding)) = tests.into_iter().find(|(evidence, _)| *evidence >= ENOUGH_EVIDENCE) {
            return Some(Verdict::Worse(finding));
        }
        if now < terms.until {
            return None;
        }
        let is_enough = self.counts.new.requests >= LEAST_REQUESTS;
        Some(if is_enough { Verdict::TakesOver } else { Verdict::TooFewRequests })
    }
}
