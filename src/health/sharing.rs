//! The state of an isolate's contact with its shard, and what is urgent to report.

use super::gate::Probes;
use crate::vocabulary::time::{Instant, Millis};

/// The shortest time between two reports that are not urgent, and between two that ask for a lease.
pub const BASE_MS: Millis = Millis::new(1_000);

/// The time between the reports of an isolate that has just seen failures and waits for what other
/// isolates saw.
pub const AFTER_FAILURE_MS: Millis = Millis::new(250);

/// The longest time until the next report, for any rate.
pub(super) const LATEST_MS: Millis = Millis::new(3_600_000);

/// The time until the next report, from the answer of a shard. A senseless one must not silence the
/// reporter.
pub(super) fn until_next_report(next_ms: Millis) -> Millis {
    next_ms.clamp(AFTER_FAILURE_MS, LATEST_MS)
}

/// A report without an answer for this long is lost, and so is the contact with the shard.
pub const UNANSWERED_MS: Millis = Millis::new(5_000);

/// After an ejection has ended without any probe for this long, the isolate probes by itself,
/// although it is in contact with the shard.
pub(super) const OVERDUE_MS: Millis = Millis::new(10_000);

/// An average from another isolate or shard, if it is usable: no time and no speed is larger than
/// this.
pub(super) fn plausible(value: Option<f64>) -> Option<f64> {
    value.filter(|value| (0.0..=1e9).contains(value))
}

/// The state of an isolate's contact with its shard.
#[derive(Debug, Clone, Default)]
pub(super) struct Sharing {
    /// The latest report was answered.
    pub(super) is_in_contact: bool,
    /// When the report under way was sent.
    pub(super) asked_at: Option<Instant>,
    /// The time after which the shard wants the next report, as a length.
    pub(super) next_ms: Millis,
    /// The shard was asked about every deployment.
    pub(super) is_complete: bool,
    /// The report under way asks about every deployment.
    pub(super) asks_for_all: bool,
    pub(super) urgent: Urgent,
}

/// Why a report should not wait.
#[derive(Debug, Clone, Default)]
pub(super) struct Urgent {
    /// A probe began or ended. Only one isolate at a time has this, so it does not wait for the
    /// others.
    pub(super) has_probe: bool,
    /// A gate moved, first at this time.
    pub(super) tripped_at: Option<Instant>,
    /// A lease is wanted, first at this time.
    pub(super) wanted_at: Option<Instant>,
    /// A run of failures began, first at this time.
    pub(super) failed_at: Option<Instant>,
}

impl Sharing {
    pub(super) fn on_probe(&mut self) {
        self.urgent.has_probe = true;
    }

    pub(super) fn on_trip(&mut self, now: Instant) {
        self.urgent.tripped_at.get_or_insert(now);
    }

    pub(super) fn on_probe_wanted(&mut self, now: Instant) {
        self.urgent.wanted_at.get_or_insert(now);
    }

    pub(super) fn on_failure(&mut self, now: Instant) {
        self.urgent.failed_at.get_or_insert(now);
    }

    pub(super) fn ask_for_all(&mut self) {
        (self.is_complete, self.asks_for_all) = (false, false);
    }

    /// Who decides about probes at this time.
    pub(super) fn probes(&self, now: Instant) -> Probes {
        let is_lost = self.asked_at.is_some_and(|at| now >= at + UNANSWERED_MS);
        if self.is_in_contact && !is_lost {
            Probes::Leased { overdue_ms: self.next_ms + OVERDUE_MS }
        } else {
            Probes::Own
        }
    }
}
