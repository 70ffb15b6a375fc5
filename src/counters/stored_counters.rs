//! What a receiver of batches stores, as rows of text.
//!
//! | Row | Text |
//! |---|---|
//! | `numbers` | `[next, counted]`: the number of the next batch, and of the last one counted |
//! | `seen/GROUP` | `[reporter, number, time]` of each reporter of a group |
//! | `NUMBER/labels/CHUNK` | 64 labels of the batch with this number |
//! | `NUMBER/series/CHUNK` | 64 series of it |
//!
//! A row has 64 series in the order of their first use, so that a report writes few rows, and rows
//! stay short. What is gathered has the number of the next batch. So it becomes a batch, and is
//! removed when that batch is counted, without being written again.

use serde::Serialize;

use super::counter_batch::{CounterBatch, read_series, write_series};
use super::counter_set::Counters;
use super::label_table::{EMPTY, LabelId, OTHER, RESERVED};
use super::seen_batches::SeenBatches;
use crate::scan::json_value;
use crate::vocabulary::time::Instant;

/// The labels or series of a row.
pub(super) const CHUNK: usize = 64;

/// The most rows of labels, and of series, of a batch.
const MOST_CHUNKS: usize = 1_000;

/// A row to store, or to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterRow {
    /// Its name.
    pub id: String,
    /// Its text; `None`: the row is removed.
    pub json: Option<String>,
}

/// Lists of numbers: all rows but those of labels. One type for all of them keeps the Wasm small.
pub(super) type Numbers = Vec<Vec<u64>>;

/// The numbers of batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchNumbers {
    /// The number of the next batch.
    pub(super) next: u64,
    /// The number of the last batch that the receiver counted.
    pub(super) counted: u64,
}

impl Default for BatchNumbers {
    fn default() -> Self {
        Self { next: 1, counted: 0 }
    }
}

/// What was read of the rows of one batch.
#[derive(Debug, Default)]
struct StoredBatch {
    number: u64,
    /// By chunk.
    labels: Vec<Vec<String>>,
    /// By chunk.
    series: Vec<Numbers>,
    rows: Vec<String>,
}

/// What was read of all rows.
#[derive(Debug, Default)]
pub(super) struct Restored {
    pub(super) numbers: BatchNumbers,
    pub(super) seen: SeenBatches,
    pub(super) gathered: Counters,
    pub(super) sent: Option<CounterBatch>,
    /// The rows of `sent`.
    pub(super) sent_rows: Vec<String>,
    /// Whether the rows of `gathered` are not those that it would be stored as.
    pub(super) is_damaged: bool,
    /// Rows without a use.
    pub(super) unused: Vec<String>,
}

impl Restored {
    pub(super) fn of(rows: impl IntoIterator<Item = (String, String)>) -> Self {
        let (mut restored, mut batches) = (Self::default(), Vec::<StoredBatch>::new());
        for (id, json) in rows {
            let mut parts = id.split('/');
            match (parts.next(), parts.next(), parts.next()) {
                (Some("numbers"), None, None) => {
                    if let Some([next, counted]) = numbers(&json).first().map(Vec::as_slice) {
                        restored.numbers = BatchNumbers { next: *next, counted: *counted };
                    }
                }
                (Some("seen"), Some(_), None) => {
                    for reporter in numbers(&json) {
                        if let [reporter, n, at] = *reporter {
                            restored.seen.restore(reporter, n, Instant::from_epoch_ms(at));
                        }
                    }
                }
                (Some(number), Some(kind), Some(chunk)) => {
                    let (Ok(number), Ok(chunk)) = (number.parse(), chunk.parse()) else { continue };
                    if !batches.iter().any(|batch| batch.number == number) {
                        batches.push(StoredBatch { number, ..StoredBatch::default() });
                    }
                    let batch = batches.iter_mut().find(|batch| batch.number == number);
                    if let Some(batch) = batch.filter(|_| chunk < MOST_CHUNKS) {
                        batch.add(kind, chunk, &json);
                        batch.rows.push(id);
                    }
                }
                _ => {}
            }
        }
        let BatchNumbers { next, counted } = restored.numbers;
        for batch in batches {
            let (number, counters) = (batch.number, batch.counters());
            if number == next {
                restored.is_damaged = batch.rows.len() != rows_of(number, &counters).count()
                    || counters.series().len() != batch.series.iter().map(Vec::len).sum::<usize>();
                restored.gathered = counters;
                if restored.is_damaged {
                    restored.unused.extend(batch.rows);
                }
            } else if number > counted && number.checked_add(1) == Some(next) {
                restored.sent = Some(CounterBatch::new(number, &counters));
                restored.sent_rows = batch.rows;
            } else {
                restored.unused.extend(batch.rows);
            }
        }
        restored
    }
}

impl StoredBatch {
    /// Adds a row.
    fn add(&mut self, kind: &str, chunk: usize, json: &str) {
        if kind == "labels" {
            if self.labels.len() <= chunk {
                self.labels.resize(chunk + 1, Vec::new());
            }
            if let Some(place) = self.labels.get_mut(chunk) {
                *place = json_value::parse(json).unwrap_or_default();
            }
        } else {
            if self.series.len() <= chunk {
                self.series.resize(chunk + 1, Vec::new());
            }
            if let Some(place) = self.series.get_mut(chunk) {
                *place = numbers(json);
            }
        }
    }

    /// Its counters. Series that are not understood are left out.
    fn counters(&self) -> Counters {
        let mut counters = Counters::default();
        // By number. Labels of a row that is missing are not known.
        let mut ids: Vec<Option<LabelId>> = vec![Some(EMPTY), Some(OTHER)];
        for (chunk, labels) in self.labels.iter().enumerate() {
            ids.resize(RESERVED + chunk * CHUNK, None);
            ids.extend(labels.iter().map(|label| Some(counters.labels_mut().id(label))));
        }
        for series in self.series.iter().flatten() {
            let id = |number: u64| *ids.get(usize::try_from(number).ok()?)?;
            if let Some((key, cells)) = read_series(series, id) {
                counters.add(key, cells);
            }
        }
        counters
    }
}

/// The names of the rows of these counters, as the batch with this number.
pub(super) fn rows_of(number: u64, counters: &Counters) -> impl Iterator<Item = String> {
    let labels = 0..counters.labels().added().len().div_ceil(CHUNK);
    let series = 0..counters.series().len().div_ceil(CHUNK);
    labels.map(move |chunk| labels_id(number, chunk)).chain(series.map(move |chunk| series_id(number, chunk)))
}

/// The row with a chunk of the labels.
pub(super) fn labels_row(number: u64, chunk: usize, counters: &Counters) -> CounterRow {
    let labels = counters.labels().added().chunks(CHUNK).nth(chunk).unwrap_or_default();
    let labels: Vec<&str> = labels.iter().map(AsRef::as_ref).collect();
    row(labels_id(number, chunk), &labels)
}

/// The row with a chunk of the series.
pub(super) fn series_row(number: u64, chunk: usize, counters: &Counters) -> CounterRow {
    let series = counters.series().chunks(CHUNK).nth(chunk).unwrap_or_default();
    numbers_row(series_id(number, chunk), &series.iter().map(write_series).collect())
}

/// A row of numbers.
pub(super) fn numbers_row(id: String, numbers: &Numbers) -> CounterRow {
    row(id, numbers)
}

fn row(id: String, value: &impl Serialize) -> CounterRow {
    CounterRow { id, json: Some(serde_json::to_string(value).unwrap_or_default()) }
}

fn labels_id(number: u64, chunk: usize) -> String {
    format!("{number}/labels/{chunk}")
}

fn series_id(number: u64, chunk: usize) -> String {
    format!("{number}/series/{chunk}")
}

fn numbers(json: &str) -> Numbers {
    json_value::parse(json).unwrap_or_default()
}
