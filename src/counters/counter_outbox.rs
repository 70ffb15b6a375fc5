//! The sending side: what has been added up and not been counted by the receiver.
//!
//! A batch is sent with its number until the receiver says that it has counted this number. So a
//! batch whose report or answer is lost is sent again, and is counted once. What is added meanwhile
//! goes into the next batch.

use super::counter_batch::CounterBatch;
use super::counter_set::Counters;
use super::finished_request::{FailedUsage, FinishedAttempt, FinishedRequest};
use crate::vocabulary::time::{Instant, Millis};

/// The shortest time between two batches, and between two attempts to send one. Each batch writes
/// rows of the receiver's storage, which cost money.
pub const BATCH_EVERY_MS: Millis = Millis::new(10_000);

/// The time in which a report goes anyway, if there are requests. After it a batch is sent with a
/// report of its own.
const IDLE_MS: Millis = Millis::new(5_000);

/// How long work may run after the request that it belongs to: less than the 30 seconds that the
/// runtime allows.
const IN_BACKGROUND_MS: Millis = Millis::new(25_000);

/// How long an isolate repeats a batch. The receiver remembers the numbers of its batches for
/// longer. So a batch that the receiver may not remember is not sent again.
pub const RETENTION_MS: Millis = Millis::new(3_000_000);

/// The outbox of one reporter.
#[derive(Debug, Clone)]
pub struct CounterOutbox {
    gathered: Counters,
    /// The number that the next batch gets.
    next: u64,
    sent: Option<CounterBatch>,
    /// When the batch that is not counted yet was first sent.
    first_sent_at: Instant,
    /// When a batch was last sent.
    sent_at: Instant,
    /// Since when something waits to be sent.
    since: Instant,
    /// Until when work in the background sends what waits.
    flushed_until: Instant,
    /// How long a batch is repeated.
    retention_ms: Millis,
}

impl Default for CounterOutbox {
    fn default() -> Self {
        Self {
            gathered: Counters::default(),
            next: 1,
            sent: None,
            first_sent_at: Instant::EPOCH,
            sent_at: Instant::EPOCH,
            since: Instant::EPOCH,
            flushed_until: Instant::EPOCH,
            retention_ms: RETENTION_MS,
        }
    }
}

impl CounterOutbox {
    /// The outbox of a reporter that stores its batches. `next`: the number of the next batch.
    /// `sent`: the batch that is not counted yet.
    pub(super) fn restore(gathered: Counters, next: u64, sent: Option<CounterBatch>) -> Self {
        Self { gathered, next, sent, retention_ms: Millis::MAX, ..Self::default() }
    }

    /// Adds a finished request.
    pub fn on_request<'a>(
        &mut self,
        request: &FinishedRequest<'a>,
        attempts: impl IntoIterator<Item = FinishedAttempt<'a>>,
        now: Instant,
    ) {
        self.gathered_mut(now).on_request(request, attempts);
    }

    /// Adds what a deployment charges for one of the failed attempts of a request.
    pub fn on_failed_usage(
        &mut self,
        request: &FinishedRequest<'_>,
        attempt: &FailedUsage<'_>,
        now: Instant,
    ) {
        let FailedUsage { deployment, usage, micro_usd } = attempt;
        let counters = self.gathered_mut(now);
        counters.on_usage(request.client, request.model, deployment, usage, *micro_usd);
    }

    /// What has been gathered, to add to it.
    pub(super) fn gathered_mut(&mut self, now: Instant) -> &mut Counters {
        if self.is_empty() {
            self.since = now;
        }
        &mut self.gathered
    }

    /// What has been gathered for the next batch.
    pub fn gathered(&self) -> &Counters {
        &self.gathered
    }

    /// The batch that has been sent, while the receiver has not said that it counted it.
    pub fn sent(&self) -> Option<&CounterBatch> {
        self.sent.as_ref()
    }

    /// The number that the next batch gets.
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.gathered.is_empty() && self.sent.is_none()
    }

    /// When a report that goes anyway should take a batch with it. `None`: there is nothing to
    /// send.
    pub fn due_at(&self) -> Option<Instant> {
        if self.is_empty() {
            return None;
        }
        let is_early = self.sent.is_none() && self.gathered.is_large();
        Some(if is_early { Instant::EPOCH } else { self.sent_at + BATCH_EVERY_MS })
    }

    /// When a batch should go without waiting for other reports.
    pub fn flush_at(&self) -> Option<Instant> {
        Some(self.due_at()?.max(self.since + IDLE_MS))
    }

    /// What waits may go at once. For work in the background that must end: the next request, which
    /// would begin another one, may never come.
    pub fn hasten(&mut self) {
        (self.sent_at, self.since) = (Instant::EPOCH, Instant::EPOCH);
    }

    /// Whether work in the background has to begin, which sends what waits at [`Self::flush_at`] if
    /// no report takes it before. If so: until when that work may run. It counts as begun.
    pub fn begin_flush(&mut self, now: Instant) -> Option<Instant> {
        if self.flush_at()?.max(now) <= self.flushed_until {
            return None;
        }
        self.flushed_until = now + IN_BACKGROUND_MS;
        Some(self.flushed_until)
    }

    /// The work in the background that may run until then has ended.
    pub fn end_flush(&mut self, until: Instant) {
        if self.flushed_until == until {
            self.flushed_until = Instant::EPOCH;
        }
    }

    /// The batch for a report that goes now, if one is due.
    pub fn batch(&mut self, now: Instant) -> Option<CounterBatch> {
        if now < self.due_at()? {
            return None;
        }
        if now >= self.first_sent_at + self.retention_ms {
            self.sent = None;
        }
        if self.sent.is_none() {
            self.seal(now)?;
        }
        self.sent_at = now;
        self.sent.clone()
    }

    /// Makes a batch of what has been gathered, if there is anything.
    fn seal(&mut self, now: Instant) -> Option<()> {
        if self.gathered.is_empty() {
            return None;
        }
        self.sent = Some(CounterBatch::new(self.next, &self.gathered));
        self.gathered = Counters::default();
        self.next += 1;
        self.first_sent_at = now;
        self.since = now;
        Some(())
    }

    /// The receiver has counted all batches up to this number. Returns whether the batch that was
    /// sent is one of them.
    pub fn on_counted(&mut self, n: u64) -> bool {
        let is_counted = self.sent.as_ref().is_some_and(|sent| sent.n <= n);
        if is_counted {
            self.sent = None;
        }
        is_counted
    }
}
