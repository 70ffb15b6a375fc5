//! The receiving side: it counts each batch once, and remembers that it did.
//!
//! A ledger gathers what its reporters send. That of a region passes it on as batches of its own;
//! that of the hub keeps it. What changes is to be stored before the reporters hear of it: the
//! counters and the number of the batch in one step. So neither an eviction nor a lost answer makes
//! a batch count twice or not at all.

use super::counter_batch::CounterBatch;
use super::counter_outbox::CounterOutbox;
use super::counter_set::Counters;
use super::seen_batches::SeenBatches;
use super::stored_counters::{
    BatchNumbers, CHUNK, CounterRow, Restored, labels_row, numbers_row, rows_of, series_row,
};
use crate::vocabulary::time::Instant;

/// The counters of a receiver.
#[derive(Debug, Clone, Default)]
pub struct CounterLedger {
    outbox: CounterOutbox,
    seen: SeenBatches,
    /// The rows of the batch that was sent.
    sent_rows: Vec<String>,
    /// Chunks of the gathered series that changed since they were stored.
    unsaved: Vec<usize>,
    /// How many of the gathered labels are stored.
    saved_labels: usize,
    /// The numbers as they are stored.
    saved_numbers: BatchNumbers,
    /// The number of the last batch that the next receiver counted.
    counted: u64,
    /// Rows to remove.
    unused: Vec<String>,
}

impl CounterLedger {
    /// Continues with what was stored.
    pub fn restore(rows: impl IntoIterator<Item = (String, String)>) -> Self {
        let Restored { numbers, seen, gathered, sent, sent_rows, is_damaged, unused } = Restored::of(rows);
        let mut ledger = Self {
            seen,
            sent_rows,
            saved_labels: gathered.labels().added().len(),
            outbox: CounterOutbox::restore(gathered, numbers.next, sent),
            saved_numbers: numbers,
            counted: numbers.counted,
            unused,
            ..Self::default()
        };
        if is_damaged {
            ledger.rewrite();
        }
        ledger
    }

    /// Stores everything that is gathered again.
    fn rewrite(&mut self) {
        let gathered = self.outbox.gathered();
        (self.unsaved, self.saved_labels) = ((0..gathered.series().len().div_ceil(CHUNK)).collect(), 0);
        let rewritten: Vec<String> = rows_of(self.outbox.next_number(), gathered).collect();
        self.unused.retain(|row| !rewritten.contains(row));
    }

    /// Counts a batch, if it is not counted yet. Returns the number of the last batch of this
    /// reporter that is counted.
    pub fn merge(&mut self, reporter: u64, batch: &CounterBatch, now: Instant) -> u64 {
        let last = self.seen.last(reporter);
        if batch.n <= last || !self.seen.note(reporter, batch.n, now) {
            return last;
        }
        let unsaved = &mut self.unsaved;
        batch.add_to(self.outbox.gathered_mut(now), |at| note(unsaved, at));
        batch.n
    }

    /// Counts an ejection.
    pub fn on_ejection(&mut self, deployment: &str, reason: &str, now: Instant) {
        let at = self.outbox.gathered_mut(now).on_ejection(deployment, reason);
        note(&mut self.unsaved, at);
    }

    /// What has been gathered.
    pub fn gathered(&self) -> &Counters {
        self.outbox.gathered()
    }

    /// The outbox: when a batch is due, and who sends it.
    pub fn outbox(&mut self) -> &mut CounterOutbox {
        &mut self.outbox
    }

    /// When a batch should go without waiting for other reports.
    pub fn flush_at(&self) -> Option<Instant> {
        self.outbox.flush_at()
    }

    /// The batch for a report that goes now, if one is due.
    pub fn batch(&mut self, now: Instant) -> Option<CounterBatch> {
        let number = self.outbox.next_number();
        // The storage failed at the last step. What is not stored must not leave yet: the rows of
        // the batch are not complete.
        let is_stored =
            self.unsaved.is_empty() && self.saved_labels == self.gathered().labels().added().len();
        if self.outbox.sent().is_none() && !is_stored {
            return None;
        }
        let rows = rows_of(number, self.gathered()).collect();
        let batch = self.outbox.batch(now);
        if self.outbox.next_number() != number {
            (self.sent_rows, self.saved_labels) = (rows, 0);
        }
        batch
    }

    /// The next receiver has counted all batches up to this number.
    pub fn on_counted(&mut self, n: u64) {
        if self.outbox.on_counted(n) {
            self.counted = self.outbox.next_number() - 1;
            self.unused.append(&mut self.sent_rows);
        }
    }

    fn numbers(&self) -> BatchNumbers {
        BatchNumbers { next: self.outbox.next_number(), counted: self.counted }
    }

    /// What has to be stored, all of it in one step.
    pub fn unsaved(&self) -> Vec<CounterRow> {
        let (numbers, gathered) = (self.numbers(), self.gathered());
        let mut rows = Vec::new();
        if numbers != self.saved_numbers {
            let BatchNumbers { next, counted } = numbers;
            rows.push(numbers_row("numbers".to_owned(), &vec![vec![next, counted]]));
        }
        let seen = self.seen.unsaved();
        rows.extend(seen.map(|(group, reporters)| numbers_row(format!("seen/{group}"), &reporters)));
        let labels = gathered.labels().added().len();
        if self.saved_labels < labels {
            let chunks = self.saved_labels / CHUNK..labels.div_ceil(CHUNK);
            rows.extend(chunks.map(|chunk| labels_row(numbers.next, chunk, gathered)));
        }
        rows.extend(self.unsaved.iter().map(|chunk| series_row(numbers.next, *chunk, gathered)));
        rows.extend(self.unused.iter().map(|id| CounterRow { id: id.clone(), json: None }));
        rows
    }

    /// All of [`Self::unsaved`] is stored.
    pub fn on_saved(&mut self) {
        self.saved_numbers = self.numbers();
        self.seen.on_saved();
        self.saved_labels = self.gathered().labels().added().len();
        self.unsaved.clear();
        self.unused.clear();
    }
}

/// Notes that the series at this position changed.
fn note(unsaved: &mut Vec<usize>, at: usize) {
    let chunk = at / CHUNK;
    if !unsaved.contains(&chunk) {
        unsaved.push(chunk);
    }
}
