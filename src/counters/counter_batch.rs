//! A batch of counters in a message.

use serde::{Deserialize, Serialize};

use super::counter_set::Counters;
use super::label_table::{LabelId, OTHER, RESERVED};
use super::series::{Family, Series, SeriesKey};

/// A batch of counters, with its number. A reporter numbers its batches from 1, and sends the next
/// one after the receiver has counted this one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CounterBatch {
    /// The number of the batch.
    pub n: u64,
    /// The labels. The first of them has the number 2: 0 is the empty label, and 1 stands for
    /// everything that had no room.
    labels: Vec<String>,
    /// The series, as [`write_series`] writes them.
    series: Vec<Vec<u64>>,
}

impl CounterBatch {
    /// The batch with this number.
    pub fn new(n: u64, counters: &Counters) -> Self {
        Self::of_families(n, counters, |_| true)
    }

    /// The same, of some families alone.
    pub(super) fn of_families(n: u64, counters: &Counters, is_meant: fn(Family) -> bool) -> Self {
        let series = counters.series().iter().filter(|series| is_meant(series.key.family));
        Self {
            n,
            labels: counters.labels().added().iter().map(ToString::to_string).collect(),
            series: series.map(write_series).collect(),
        }
    }

    /// Its counters.
    pub fn counters(&self) -> Counters {
        let mut counters = Counters::default();
        self.add_to(&mut counters, |_| ());
        counters
    }

    /// Adds it to these counters. Calls `on_change` with the position of each series that changes.
    /// Series that are not understood are left out.
    pub fn add_to(&self, counters: &mut Counters, mut on_change: impl FnMut(usize)) {
        let ids: Vec<LabelId> = self.labels.iter().map(|label| counters.labels_mut().id(label)).collect();
        let id = |number: u64| match usize::try_from(number) {
            Ok(reserved) if reserved < RESERVED => LabelId::try_from(reserved).ok(),
            Ok(number) => ids.get(number - RESERVED).copied(),
            Err(_) => None,
        };
        for numbers in &self.series {
            if let Some((key, cells)) = read_series(numbers, id) {
                on_change(counters.add(key, cells));
            }
        }
    }
}

/// The numbers of a series: its family, its labels, its cells.
pub(super) fn write_series(series: &Series) -> Vec<u64> {
    let SeriesKey { family, labels } = series.key;
    let labels = labels.iter().take(family.labels()).map(|label| u64::from(*label));
    std::iter::once(family as u64).chain(labels).chain(series.cells.iter().copied()).collect()
}

/// The series with these numbers. `id`: the label with a number. `None`: it is not understood.
pub(super) fn read_series(
    numbers: &[u64],
    id: impl Fn(u64) -> Option<LabelId>,
) -> Option<(SeriesKey, &[u64])> {
    let (family, rest) = numbers.split_first()?;
    let family = Family::of(*family)?;
    let (named, cells) = rest.split_at_checked(family.labels())?;
    if cells.len() != family.cells() {
        return None;
    }
    let mut key = SeriesKey::other(family);
    for (label, number) in key.labels.iter_mut().zip(named) {
        *label = id(*number)?;
    }
    // A part of the labels without room means that none of them is named.
    let key = if key.labels.contains(&OTHER) { SeriesKey::other(family) } else { key };
    Some((key, cells))
}
