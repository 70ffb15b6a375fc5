//! A set of counters, and how finished requests are added to it.

use super::finished_request::{FinishedAttempt, FinishedRequest};
use super::histogram::cell_of;
use super::label_table::{EMPTY, LabelId, LabelTable, OTHER};
use super::series::{Family, Series, SeriesKey};
use super::usage_cells;
use crate::vocabulary::request_outcome::{CLIENT_LEFT, OK};
use crate::vocabulary::time::Millis;
use crate::vocabulary::usage::Usage;

/// A batch with so many series should not wait for its time.
const LARGE: usize = 1_000;

/// A set of counters. Adding to a series that exists allocates nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counters {
    labels: LabelTable,
    /// The positions of all series, in the order of their keys.
    index: Vec<(SeriesKey, usize)>,
    /// In the order of their first use.
    series: Vec<Series>,
    /// The number of series of each family.
    sizes: [usize; Family::ALL.len()],
}

impl Counters {
    /// Adds a finished request, with its attempts in their order.
    pub fn on_request<'a>(
        &mut self,
        request: &FinishedRequest<'a>,
        attempts: impl IntoIterator<Item = FinishedAttempt<'a>>,
    ) {
        let model = self.labels.id(request.model);
        let client = self.labels.id(request.client);
        let outcome = self.labels.id(request.outcome);
        self.add_one(Family::Requests, [client, model, outcome]);
        self.observe(Family::RequestDuration, model, request.duration_ms);
        self.observe(Family::ClientDuration, client, request.duration_ms);
        if let Some(cache) = request.cache {
            let cache = self.labels.id(cache.name());
            self.add_one(Family::CacheRequests, [model, cache, EMPTY]);
        }
        let (mut first, mut has_changed) = (None, false);
        for attempt in attempts {
            let deployment = self.labels.id(attempt.deployment);
            let outcome = self.labels.id(attempt.outcome);
            self.add_one(Family::Attempts, [deployment, outcome, EMPTY]);
            self.observe(Family::AttemptDuration, deployment, attempt.duration_ms);
            has_changed |= *first.get_or_insert(attempt.deployment) != attempt.deployment;
        }
        let has_failed = !matches!(request.outcome, OK | CLIENT_LEFT);
        let result = match request.is_fallback {
            true => Some("served"),
            false if has_changed && has_failed => Some("failed"),
            false => None,
        };
        if let Some(result) = result {
            let result = self.labels.id(result);
            self.add_one(Family::Fallbacks, [model, result, EMPTY]);
        }
        let Some(deployment) = request.deployment else { return };
        if let Some(first_token_ms) = request.first_token_ms {
            let deployment = self.labels.id(deployment);
            self.observe(Family::FirstToken, deployment, first_token_ms);
        }
        self.on_usage(request.client, request.model, deployment, &request.usage, request.micro_usd);
    }

    /// Adds what a deployment charges for: a request, or one of its failed attempts.
    pub fn on_usage(&mut self, client: &str, model: &str, deployment: &str, usage: &Usage, micro_usd: u64) {
        let mut cells = [0; usage_cells::COUNT];
        for (cell, amount) in [
            (usage_cells::INPUT, usage.input_tokens),
            (usage_cells::CACHED_INPUT, usage.cached_input_tokens),
            (usage_cells::OUTPUT, usage.output_tokens),
            (usage_cells::REASONING, usage.reasoning_tokens),
            (usage_cells::IMAGES, usage.images),
            (usage_cells::AUDIO_MS, usage.audio_ms),
            (usage_cells::CHARACTERS, usage.characters),
            (usage_cells::MICRO_USD, micro_usd),
        ] {
            if let Some(cell) = cells.get_mut(cell) {
                *cell = amount;
            }
        }
        if cells.iter().any(|amount| *amount > 0) {
            let labels = [client, model, deployment].map(|label| self.labels.id(label));
            self.add(SeriesKey { family: Family::Usage, labels }, &cells);
        }
    }

    /// Adds an ejection of a deployment. Returns the position of the series.
    pub fn on_ejection(&mut self, deployment: &str, reason: &str) -> usize {
        let labels = [self.labels.id(deployment), self.labels.id(reason), EMPTY];
        self.add(SeriesKey { family: Family::Ejections, labels }, &[1])
    }

    /// Whether nothing has been added.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Whether there are so many series that they should be sent soon.
    pub fn is_large(&self) -> bool {
        self.series.len() >= LARGE
    }

    /// The sum of a cell over all series of a family whose labels have these values. An empty list
    /// of labels stands for all series. For tests and reports, not for the path of a request.
    pub fn sum(&self, family: Family, labels: &[(usize, &str)], cell: usize) -> u64 {
        let is_meant = |series: &&Series| {
            series.key.family == family
                && labels.iter().all(|(at, label)| self.labels_of(series.key).nth(*at) == Some(label))
        };
        let cells = self.series.iter().filter(is_meant).filter_map(|series| series.cells.get(cell));
        cells.fold(0, |sum, amount| sum.saturating_add(*amount))
    }

    fn add_one(&mut self, family: Family, labels: [LabelId; 3]) {
        self.add(SeriesKey { family, labels }, &[1]);
    }

    fn observe(&mut self, family: Family, label: LabelId, duration_ms: Millis) {
        let (_, cells) = self.cells(SeriesKey { family, labels: [label, EMPTY, EMPTY] });
        for (cell, amount) in [(0, duration_ms.get()), (cell_of(duration_ms), 1)] {
            if let Some(cell) = cells.get_mut(cell) {
                *cell = cell.saturating_add(amount);
            }
        }
    }

    /// Adds to the cells of a series. Returns its position.
    pub(super) fn add(&mut self, key: SeriesKey, amounts: &[u64]) -> usize {
        let (at, cells) = self.cells(key);
        for (cell, amount) in cells.iter_mut().zip(amounts) {
            *cell = cell.saturating_add(*amount);
        }
        at
    }

    /// The position and the cells of a series. A new one is added, if there is room; otherwise
    /// these are the cells for everything else.
    fn cells(&mut self, key: SeriesKey) -> (usize, &mut [u64]) {
        let at = match self.find(key) {
            Ok(at) => at,
            Err(place) => self.insert(key, place),
        };
        (at, self.series.get_mut(at).map(|series| series.cells.as_mut_slice()).unwrap_or_default())
    }

    /// The position of a series, or else its place in the index.
    fn find(&self, key: SeriesKey) -> Result<usize, usize> {
        let found = self.index.binary_search_by(|(known, _)| known.cmp(&key))?;
        self.index.get(found).map(|(_, at)| *at).ok_or(found)
    }

    fn insert(&mut self, key: SeriesKey, mut place: usize) -> usize {
        let family = key.family;
        let other = SeriesKey::other(family);
        let size = self.sizes.get_mut(family.index());
        let has_room = size.as_ref().is_some_and(|size| **size < family.most_series());
        // A label without room makes the whole series one of the others.
        let is_other = !has_room || key.labels.contains(&OTHER);
        if let Some(size) = size.filter(|_| !is_other) {
            *size += 1;
        }
        let key = if is_other { other } else { key };
        if is_other {
            match self.find(key) {
                Ok(at) => return at,
                Err(of_other) => place = of_other,
            }
        }
        let at = self.series.len();
        self.series.push(Series { key, cells: vec![0; family.cells()] });
        self.index.insert(place, (key, at));
        at
    }

    /// All series, in the order of their first use.
    pub(super) fn series(&self) -> &[Series] {
        &self.series
    }

    /// The labels of a series.
    pub(super) fn labels_of(&self, key: SeriesKey) -> impl Iterator<Item = &str> {
        key.labels.into_iter().take(key.family.labels()).map(|label| self.labels.label(label))
    }

    pub(super) fn labels(&self) -> &LabelTable {
        &self.labels
    }

    pub(super) fn labels_mut(&mut self) -> &mut LabelTable {
        &mut self.labels
    }
}
