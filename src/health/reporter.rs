//! An isolate's side of sharing: when a report is due, and how its outcome is handled.
//!
//! ```text
//!  due? --> report --> (round trip) -+-> answered --> due after `next_ms`, or when urgent
//!                                    +-> failed   --> due after a growing, jittered time
//! ```
//!
//! One report is under way at a time. There may be neither an answer nor a failure, because a
//! runtime may stop work that runs after a request. The report then counts as failed after
//! [`UNANSWERED_MS`].
//!
//! These events are urgent: a gate moved; a probe began or ended; a lease is wanted (reported at
//! most once a second); a run of failures began (at most one such report among five others). While
//! the shard has capacity for one report a second, an urgent report is sent at once. Otherwise it
//! waits for a random part of the time between two reports, so that the urgent reports of all
//! isolates at once are no more than the scheduled ones. A report about a probe never waits,
//! because only one isolate probes at a time.

use super::change::GateChange;
use super::gate::jittered;
use super::isolate_health::Health;
pub use super::sharing::UNANSWERED_MS;
use super::sharing::{BASE_MS, until_next_report};
use super::wire::{HealthReport, KnownHistory, ShardAnswer, VERSION};
use crate::vocabulary::peer_id::PeerId;
use crate::vocabulary::rng::Rng;
use crate::vocabulary::time::{Instant, Millis};

/// The wait after the first failed report. It doubles with every further failure.
const FIRST_BACKOFF_MS: Millis = Millis::new(1_000);

/// The longest wait while reports fail.
const LONGEST_BACKOFF_MS: Millis = Millis::new(30_000);

/// The sending side of one isolate.
#[derive(Debug, Clone)]
pub struct Reporter {
    id: PeerId,
    known: Option<KnownHistory>,
    /// The number of the latest report.
    n: u64,
    /// When it was sent, while it is under way.
    sent_at: Option<Instant>,
    /// When the next report is due; 0: at once.
    next_at: Instant,
    /// How long an urgent report waits.
    patience_ms: Millis,
    /// When the latest report was sent.
    reported_at: Instant,
    /// When the latest report was sent that was not due by time.
    early_at: Instant,
    /// The time between two reports that are due by time.
    next_ms: Millis,
    failures: u32,
}

impl Reporter {
    /// A reporter that has not reported yet, so a report is due. `id`: a random number.
    pub fn new(id: u64) -> Self {
        Self {
            id: PeerId(id),
            known: None,
            n: 0,
            sent_at: None,
            next_at: Instant::EPOCH,
            patience_ms: Millis::ZERO,
            reported_at: Instant::EPOCH,
            early_at: Instant::EPOCH,
            next_ms: BASE_MS,
            failures: 0,
        }
    }

    /// Whether a report should be sent now.
    pub fn is_due(&self, health: &Health, now: Instant) -> bool {
        now >= self.due_at(health)
    }

    /// When the next report should be sent, in the current state. For callers that can wait for an
    /// urgent one.
    pub fn due_at(&self, health: &Health) -> Instant {
        if let Some(sent_at) = self.sent_at {
            return sent_at + UNANSWERED_MS;
        }
        if self.failures > 0 {
            return self.next_at;
        }
        let urgent = health.urgent();
        if urgent.has_probe {
            return Instant::EPOCH;
        }
        let after_latest = |at: Instant| at.max(self.reported_at + BASE_MS);
        // At most one report more among five others: occasional failures are not reported earlier.
        let after_early = |at: Instant| at.max(self.early_at + self.next_ms * 5);
        let urgent =
            [urgent.tripped_at, urgent.wanted_at.map(after_latest), urgent.failed_at.map(after_early)]
                .into_iter()
                .flatten()
                .min();
        let urgent = urgent.map_or(Instant::MAX, |since| since + self.patience_ms);
        urgent.min(self.next_at)
    }

    /// The report to send. It is under way until [`Self::on_answer`] or [`Self::on_failure`]. An
    /// earlier report that is still under way counts as failed. `reports_per_second`: the largest
    /// rate of reports for the shard, by the settings.
    pub fn report(
        &mut self,
        health: &mut Health,
        reports_per_second: u32,
        now: Instant,
        rng: &mut dyn Rng,
    ) -> HealthReport {
        if self.sent_at.is_some() {
            self.on_failure(health, now, rng);
        }
        self.n += 1;
        self.sent_at = Some(now);
        self.reported_at = now;
        if now < self.next_at {
            self.early_at = now;
        }
        HealthReport {
            v: VERSION,
            n: self.n,
            reporter: self.id,
            known: self.known.filter(|_| health.is_complete()),
            reports_per_second,
            deployments: health.batches(now),
            ..HealthReport::default()
        }
    }

    /// An answer has arrived. An answer to another report than the one under way is ignored.
    pub fn on_answer(
        &mut self,
        health: &mut Health,
        answer: &ShardAnswer,
        now: Instant,
        rng: &mut dyn Rng,
    ) -> Vec<GateChange> {
        let Some(asked_at) = self.sent_at.filter(|_| answer.n == self.n) else { return Vec::new() };
        self.sent_at = None;
        self.failures = 0;
        let next_ms = until_next_report(answer.next_ms);
        self.next_at = now + next_ms;
        self.next_ms = next_ms;
        // Twice the time until the next report, so that half of the urgent events go with that
        // report.
        self.patience_ms = part((next_ms - BASE_MS) * 2, rng);
        let changes = health.merge(answer, self.known, asked_at, now);
        self.known = Some(KnownHistory { epoch: answer.epoch, change: answer.change });
        changes
    }

    /// The report could not be sent, was refused, or its answer is invalid. The next report repeats
    /// its content.
    pub fn on_failure(&mut self, health: &mut Health, now: Instant, rng: &mut dyn Rng) {
        if self.sent_at.take().is_none() {
            return;
        }
        let backoff_ms = (FIRST_BACKOFF_MS << self.failures.min(5)).min(LONGEST_BACKOFF_MS);
        self.failures = self.failures.saturating_add(1);
        self.next_at = now + jittered(backoff_ms, rng);
        health.restore_unsent();
    }
}

/// A random part of a time.
fn part(length_ms: Millis, rng: &mut dyn Rng) -> Millis {
    Millis::from_f64(length_ms.as_f64() * rng.unit())
}
