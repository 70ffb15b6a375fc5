//! What a receiver of batches stores, as rows of text.
//!
//! | Row | Text |
//! |---|---|
//! | `numbers` | the number of the next batch, and that of the last one that is counted |
//! | `seen/GROUP` | `[reporter, number, time]` of each reporter of a group |
//! | `NUMBER/labels/CHUNK` | 64 labels of the batch with this number |
//! | `NUMBER/series/CHUNK` | 64 series of it |
//!
//! A row has 64 series in the order of their first use, so that a report writes few rows, and rows
//! stay short. What is gathered has the number of the next batch. So it becomes a batch, and is
//! removed when that batch is counted, without being written again.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::counter_batch::{CounterBatch, read_series, write_series};
use super::counter_set::Counters;
use super::label_table::{LabelId, RESERVED};
use super::seen_batches::SeenBatches;
use crate::scan::json_value;
use crate::vocabulary::time::Instant;

/// The labels or series of a row.
pub(super) const CHUNK: usize = 64;

/// A row to store, or to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterRow {
    /// Its name.
    pub id: String,
    /// Its text; `None`: the row is removed.
    pub json: Option<String>,
}

/// The numbers of batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    labels: BTreeMap<usize, Vec<String>>,
    series: BTreeMap<usize, Vec<Vec<u64>>>,
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
        let (mut restored, mut batches) = (Self::default(), BTreeMap::<u64, StoredBatch>::new());
        for (id, json) in rows {
            let mut parts = id.split('/');
            match (parts.next(), parts.next(), parts.next()) {
                (Some("numbers"), None, None) => restored.numbers = read(&json).unwrap_or_default(),
                (Some("seen"), Some(_), None) => {
                    for (reporter, n, at) in read::<Vec<(u64, u64, Instant)>>(&json).unwrap_or_default() {
                        restored.seen.restore(reporter, n, at);
                    }
                }
                (Some(number), Some(kind), Some(chunk)) => {
                    let (Ok(number), Ok(chunk)) = (number.parse(), chunk.parse::<u16>()) else { continue };
                    let batch = batches.entry(number).or_default();
                    match kind {
                        "labels" => drop(batch.labels.insert(chunk.into(), read(&json).unwrap_or_default())),
                        _ => drop(batch.series.insert(chunk.into(), read(&json).unwrap_or_default())),
                    }
                    batch.rows.push(id);
                }
                _ => {}
            }
        }
        let BatchNumbers { next, counted } = restored.numbers;
        for (number, batch) in batches {
            let counters = batch.counters();
            if number == next {
                restored.is_damaged = batch.rows.len() != rows_of(number, &counters).count()
                    || counters.series().len() != batch.series.values().map(Vec::len).sum::<usize>();
                restored.gathered = counters;
                if restored.is_damaged {
                    restored.unused.extend(batch.rows);
                }
            } else if number > counted && number + 1 == next {
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
    /// Its counters. Series that are not understood are left out.
    fn counters(&self) -> Counters {
        let mut counters = Counters::default();
        let mut ids: BTreeMap<u64, LabelId> = BTreeMap::new();
        for reserved in 0..RESERVED {
            if let (Ok(number), Ok(id)) = (u64::try_from(reserved), LabelId::try_from(reserved)) {
                ids.insert(number, id);
            }
        }
        for (chunk, labels) in &self.labels {
            for (number, label) in (RESERVED + chunk * CHUNK..).zip(labels) {
                ids.insert(number as u64, counters.labels_mut().id(label));
            }
        }
        for series in self.series.values().flatten() {
            if let Some((key, cells)) = read_series(series, |number| ids.get(&number).copied()) {
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
    let series: Vec<Vec<u64>> = series.iter().map(write_series).collect();
    row(series_id(number, chunk), &series)
}

/// The rows of reporters and of numbers, and those of any other part.
pub(super) fn row(id: String, value: &impl Serialize) -> CounterRow {
    CounterRow { id, json: Some(serde_json::to_string(value).unwrap_or_default()) }
}

fn labels_id(number: u64, chunk: usize) -> String {
    format!("{number}/labels/{chunk}")
}

fn series_id(number: u64, chunk: usize) -> String {
    format!("{number}/series/{chunk}")
}

fn read<T: DeserializeOwned>(json: &str) -> Option<T> {
    json_value::read(serde_json::from_str(json).ok()?).ok()
}
