//! What was used on each day, in UTC: a difference of totals.
//!
//! When a day begins, the hub stores what the totals are then: the start of the day. What was used
//! on a day is the next start, or the totals of now, without its own start. So a batch writes
//! nothing for the sake of days, no batch is on two days or on none, and the days add up to the
//! growth of the totals, whatever is repeated, lost or evicted.
//!
//! A batch is on the day on which it reaches the hub: usually up to 20 seconds after its requests,
//! later while the hub or the object of the region does not answer.
//!
//! Invariants:
//! - Days begin in their order. If the clock steps back, the day that has begun goes on.
//! - A day without a start is one on which nobody called the hub. Nothing was counted on it.
//! - A start is one row, named `day/` and the number of the day. Versions of the gateway that know
//!   no days ignore these rows, and leave them as they are.

use std::fmt::Write;

use super::counter_batch::CounterBatch;
use super::counter_set::Counters;
use super::series::{Family, Series};
use super::stored_counters::CounterRow;
use super::usage_cells;
use crate::scan::json_value::{self, json};
use crate::vocabulary::time::{Instant, Millis};

/// For how many days it is known what was used, including today: the longest month, and four
/// days to look at it.
pub const MOST_DAYS: u64 = 35;

const DAY_MS: Millis = Millis::new(86_400_000);
/// The names of rows have five digits, so that their order is that of days. This is in 2243.
const LAST_DAY: u64 = 99_999;
const ROW: &str = "day/";

/// The amounts of a row in the report: requests, those that a limit refused, and the cells of
/// [`Family::Usage`] in their order.
const AMOUNTS: [&str; 2 + usage_cells::COUNT] = [
    "requests",
    "refused",
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "images",
    "audio_ms",
    "characters",
    "micro_usd",
];

/// The outcomes of requests that a limit refused (docs/limits.md).
const REFUSALS: [&str; 3] = ["rate_limit_exceeded", "insufficient_quota", "limits_unavailable"];

/// A day in UTC, by its number since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsageDay(u64);

impl UsageDay {
    /// The day of a point in time.
    pub fn of(at: Instant) -> Self {
        Self(at.period(DAY_MS).min(LAST_DAY))
    }

    /// So many days before.
    #[must_use]
    pub fn before(self, days: u64) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// The name of the row of its start.
    pub fn row(self) -> String {
        format!("{ROW}{:05}", self.0)
    }

    /// The day whose start has a row of this name.
    pub fn of_row(row: &str) -> Option<Self> {
        Some(Self(row.strip_prefix(ROW)?.parse().ok()?))
    }

    /// The row of its start, with these totals.
    pub fn start(self, totals: &Counters) -> CounterRow {
        let is_used = |family| matches!(family, Family::Requests | Family::Attempts | Family::Usage);
        let batch = CounterBatch::of_families(0, totals, is_used);
        CounterRow { id: self.row(), json: Some(json(&batch)) }
    }

    /// `2026-11-30`
    fn text(self) -> String {
        let mut text = Instant::from_epoch_ms(self.0.saturating_mul(DAY_MS.get())).utc().to_string();
        text.truncate(10);
        text
    }
}

/// What the rows of a report are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsedBy {
    /// The client.
    Client = 0,
    /// The entry node.
    Model = 1,
    /// The deployment. Its requests are those that it served, as requests have no deployment.
    Deployment = 2,
}

impl UsedBy {
    const NAMES: [(&str, Self); 3] =
        [("client", Self::Client), ("model", Self::Model), ("deployment", Self::Deployment)];

    /// The one with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, by)| by)
    }

    fn name(self) -> &'static str {
        Self::NAMES.into_iter().find(|(_, by)| *by == self).map_or("", |(name, _)| name)
    }
}

/// What is asked of the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DaysAsked {
    /// By what.
    pub by: UsedBy,
    /// For how many days, including today: 1 to [`MOST_DAYS`].
    pub days: u64,
}

impl DaysAsked {
    /// What these texts ask for.
    pub fn parse(by: &str, days: &str) -> Option<Self> {
        let days = days.parse().ok().filter(|days| (1..=MOST_DAYS).contains(days))?;
        Some(Self { by: UsedBy::parse(by)?, days })
    }

    /// The days as JSON, the latest first. Days before the first start that is kept are not known,
    /// so they are left out.
    ///
    /// - `last`: the day that runs.
    /// - `totals`: those of now.
    /// - `start`: reads the row of a start.
    ///
    /// # Errors
    /// Those of `start`.
    pub fn report<E>(
        self,
        last: UsageDay,
        totals: &Counters,
        start: impl Fn(&str) -> Result<Option<String>, E>,
    ) -> Result<String, E> {
        let mut end = UsageSums::of(totals, self.by);
        let mut text = ["{\"by\":\"", self.by.name(), "\",\"days\":["].concat();
        let mut known = text.len();
        for age in 0..self.days {
            let day = last.before(age);
            let separator = if age == 0 { "" } else { "," };
            let (is_over, date) = (age > 0, day.text());
            let _ = write!(text, "{separator}{{\"day\":\"{date}\",\"is_over\":{is_over},\"rows\":[");
            // As an option, as it is read in a report: the Wasm then has one reader of it.
            let batch = start(&day.row())?.and_then(|text| json_value::parse::<Option<CounterBatch>>(&text)?);
            let is_known = batch.is_some();
            if let Some(batch) = batch {
                let start = UsageSums::of(&batch.counters(), self.by);
                end.write_rows(&start, &mut text);
                end = start;
            }
            text.push_str("]}");
            if is_known {
                known = text.len();
            }
        }
        // Nothing was counted on days without a start, if there is an earlier one.
        for age in self.days..MOST_DAYS {
            if known < text.len() && start(&last.before(age).row())?.is_some() {
                known = text.len();
            }
        }
        text.truncate(known);
        text.push_str("]}");
        Ok(text)
    }
}

/// The amounts of each name, in the order of names.
#[derive(Debug, Default)]
struct UsageSums(Vec<(String, [u64; AMOUNTS.len()])>);

impl UsageSums {
    fn of(counters: &Counters, by: UsedBy) -> Self {
        let mut sums = Self::default();
        for Series { key, cells } in counters.series() {
            let outcome = counters.labels_of(*key).last().unwrap_or_default();
            let at = match key.family {
                Family::Usage => by as usize,
                Family::Requests if by != UsedBy::Deployment => by as usize,
                Family::Attempts if by == UsedBy::Deployment && outcome == "ok" => 0,
                _ => continue,
            };
            let count = cells.first().copied().unwrap_or(0);
            let requests = [count, if REFUSALS.contains(&outcome) { count } else { 0 }];
            let (first, added) = match key.family {
                Family::Usage => (requests.len(), cells.as_slice()),
                _ => (0, requests.as_slice()),
            };
            let name = counters.labels_of(*key).nth(at).unwrap_or_default();
            for (amount, added) in sums.amounts(name).iter_mut().skip(first).zip(added) {
                *amount = amount.saturating_add(*added);
            }
        }
        sums
    }

    /// The amounts of a name.
    fn amounts(&mut self, name: &str) -> &mut [u64] {
        let at = match self.find(name) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (name.to_owned(), [0; AMOUNTS.len()]));
                at
            }
        };
        self.0.get_mut(at).map(|(_, amounts)| amounts.as_mut_slice()).unwrap_or_default()
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_str().cmp(name))
    }

    /// Writes the rows of what came after `start`.
    fn write_rows(&self, start: &Self, text: &mut String) {
        let nothing = [0; AMOUNTS.len()];
        for (name, amounts) in &self.0 {
            let before = start.find(name).ok().and_then(|at| start.0.get(at));
            let before = before.map_or(&nothing, |(_, amounts)| amounts);
            if amounts.iter().zip(before).all(|(amount, before)| amount <= before) {
                continue;
            }
            if text.ends_with('}') {
                text.push(',');
            }
            text.push_str("{\"name\":");
            text.push_str(&json(name));
            for ((what, amount), before) in AMOUNTS.iter().zip(amounts).zip(before) {
                let _ = write!(text, ",\"{what}\":{}", amount.saturating_sub(*before));
            }
            text.push('}');
        }
    }
}
