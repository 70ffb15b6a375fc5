//! What an isolate has not reported to its shard yet, for one deployment.
//!
//! Counting costs a few additions for each attempt; the rest happens when a report is written. The
//! content of a report under way is stored until the answer arrives, and is restored if none
//! arrives.

use super::answer_kind::{AnswerKind, ByKind};
use super::wire::{Latency, Probe, ProbeUrgency};
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::time::Instant;

/// What still has to be reported about one deployment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Pending {
    pub(super) successes: u32,
    pub(super) failures: u32,
    pub(super) has_answered: bool,
    /// When the latest of the answered attempts began. The answers show the state at that time.
    pub(super) answered_at: Option<Instant>,
    pub(super) run: u32,
    /// When the first failed attempt of the run began.
    pub(super) run_since: Option<Instant>,
    pub(super) class: Option<ErrorClass>,
    /// When the first of the failed attempts began.
    pub(super) began_at: Option<Instant>,
    pub(super) latency: ByKind<Option<Latency>>,
    /// The isolate ejected it, or extended the ejection.
    pub(super) has_ejected: bool,
    /// Operations whose gates moved.
    pub(super) operations: Vec<Operation>,
    pub(super) probe: Option<Probe>,
    pub(super) probe_urgency: Option<ProbeUrgency>,
}

impl Pending {
    pub(super) fn on_success(&mut self, began_at: Instant) {
        self.successes = self.successes.saturating_add(1);
        self.on_response(began_at);
    }

    /// `began_at`: when the attempt began.
    pub(super) fn on_response(&mut self, began_at: Instant) {
        self.has_answered = true;
        self.answered_at = self.answered_at.max(Some(began_at));
        if self.run_since.is_none_or(|since| began_at >= since) {
            (self.run, self.run_since) = (0, None);
        }
    }

    /// `began_at`: when the attempt began.
    pub(super) fn on_failure(&mut self, class: ErrorClass, began_at: Instant) {
        self.run_since.get_or_insert(began_at);
        self.failures = self.failures.saturating_add(1);
        self.run = self.run.saturating_add(1);
        self.class = Some(class);
        self.began_at = Some(self.began_at.map_or(began_at, |first| first.min(began_at)));
    }

    pub(super) fn record_latency(&mut self, kind: AnswerKind, more: Latency) {
        let latency = self.latency.of_mut(kind);
        *latency = Some(match *latency {
            None => more,
            Some(Latency { mean_ms, count }) => {
                let total = count.saturating_add(more.count).max(1);
                let part = f64::from(more.count) / f64::from(total);
                Latency { mean_ms: mean_ms + (more.mean_ms - mean_ms) * part, count: total }
            }
        });
    }

    /// The gate closed: the failures before that do not count any more.
    pub(super) fn on_close(&mut self) {
        (self.failures, self.run, self.class, self.began_at) = (0, 0, None, None);
        self.run_since = None;
        self.has_ejected = false;
        self.probe_urgency = None;
    }

    pub(super) fn on_operation_moved(&mut self, operation: Operation) {
        if !self.operations.contains(&operation) {
            self.operations.push(operation);
        }
    }

    /// Whether the isolate ended the ejection by its own probe, and has not reported it yet.
    pub(super) fn has_recovered(&self) -> bool {
        self.probe == Some(Probe::Passed)
    }

    /// Whether other isolates wait for this.
    pub(super) fn is_urgent(&self) -> bool {
        self.has_ejected || self.probe.is_some() || !self.operations.is_empty()
    }

    /// A report probably did not arrive. Its content is merged before what happened since.
    pub(super) fn restore(&mut self, earlier: Self) {
        let later = std::mem::replace(self, earlier);
        let recovered = later.has_recovered();
        if recovered {
            self.on_close();
        }
        self.successes = self.successes.saturating_add(later.successes);
        self.failures = self.failures.saturating_add(later.failures);
        let is_over = self.run_since.is_none_or(|since| later.answered_at.is_some_and(|at| at >= since));
        if is_over {
            (self.run, self.run_since) = (later.run, later.run_since);
        } else {
            self.run = self.run.saturating_add(later.run);
        }
        self.answered_at = self.answered_at.max(later.answered_at);
        self.has_answered |= later.has_answered;
        self.class = later.class.or(self.class);
        self.began_at = match (self.began_at, later.began_at) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        for kind in [AnswerKind::Whole, AnswerKind::Stream] {
            if let Some(latency) = *later.latency.of(kind) {
                self.record_latency(kind, latency);
            }
        }
        self.has_ejected |= later.has_ejected;
        for operation in later.operations {
            self.on_operation_moved(operation);
        }
        self.probe = later.probe.or(self.probe);
        self.probe_urgency = later.probe_urgency.or(self.probe_urgency.filter(|_| !recovered));
    }
}
