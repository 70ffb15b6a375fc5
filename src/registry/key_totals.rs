//! What the registry has added up for each issued key: when it was last used, and how much it has
//! used, in this month and since it was issued.
//!
//! Each message of an isolate counts once: its number is stored with what it adds.

use super::key_pace::KeyPace;
use super::version_ledger::{RegistryStorage, RowKind};
use crate::keys::key_uses::{HOUR_MS, KeyUse, UsesMessage, first_of, hour_of};
use crate::scan::json_value::{self, json};
use crate::vocabulary::time::{Instant, Millis};

/// What a key has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyTotals {
    /// The last hour in which a request came with it, since the epoch.
    hour: u64,
    /// The end of the month that `month` belongs to.
    month_end: Instant,
    month: KeyUse,
    total: KeyUse,
}

impl KeyTotals {
    /// Reads a row. An older one has the hour alone.
    pub(super) fn of(row: &str) -> Self {
        let numbers: Vec<u64> =
            json_value::parse(row).or_else(|| Some(vec![row.parse().ok()?])).unwrap_or_default();
        let number = |place: usize| numbers.get(place).copied().unwrap_or_default();
        let used =
            |at: usize| KeyUse { requests: number(at), tokens: number(at + 1), micro_usd: number(at + 2) };
        Self { hour: number(0), month_end: Instant::from_epoch_ms(number(1)), month: used(2), total: used(5) }
    }

    fn row(&self) -> String {
        let KeyTotals { hour, month_end, month, total } = *self;
        let used = |used: KeyUse| [used.requests, used.tokens, used.micro_usd];
        json(&[&[hour, month_end.epoch_ms()][..], &used(month), &used(total)].concat())
    }

    fn add(&mut self, used: KeyUse, now: Instant) {
        self.hour = self.hour.max(now.period(HOUR_MS));
        if now >= self.month_end {
            (self.month, self.month_end) = (KeyUse::default(), now.month_end());
        }
        self.month.add(used);
        self.total.add(used);
    }

    /// The members of a key in the admin API, as of this time.
    pub(super) fn members(&self, now: Instant) -> String {
        let last_used = (self.hour > 0).then(|| Instant::EPOCH + HOUR_MS * self.hour);
        let month = if now < self.month_end { self.month } else { KeyUse::default() };
        let used = |KeyUse { requests, tokens, micro_usd }: KeyUse| {
            format!("{{\"requests\":{requests},\"tokens\":{tokens},\"micro_usd\":{micro_usd}}}")
        };
        format!(
            "\"last_used\":{},\"usage\":{{\"month\":{},\"total\":{}}}",
            json(&last_used),
            used(month),
            used(self.total)
        )
    }
}

/// Counts what an isolate says, and returns after what time it may say more. `last`: the number of
/// the last key.
///
/// # Errors
/// The storage failed.
pub(super) fn count<S: RegistryStorage>(
    rows: &S,
    said: &UsesMessage,
    last: u64,
    now: Instant,
) -> Result<Millis, S::Error> {
    let oldest = now.period(HOUR_MS).saturating_sub(1);
    rows.remove(RowKind::KeyReporter, 0, first_of(oldest))?;
    let known = rows.rows(RowKind::KeyReporter, said.reporter, said.reporter.saturating_add(1))?;
    // The number of its last message, and when it came. A row of an earlier version has no time.
    // That version reads a row with a time as 0, so a message that is repeated after a rollback
    // counts twice.
    let mut known = known.first().map_or("", |(_, row)| row).split(' ').map(|number| number.parse().ok());
    let (counted, reported_at) = (known.next().flatten().unwrap_or(0), known.next().flatten());
    let mut pace = KeyPace::read(rows)?;
    pace.on_message(reported_at.map(Instant::from_epoch_ms), now);
    pace.write(rows)?;
    // Whether an older message was counted is not known any more.
    if said.number <= counted || hour_of(said.reporter) < oldest {
        return Ok(pace.next_ms());
    }
    rows.put(RowKind::KeyReporter, said.reporter, 0, &format!("{} {}", said.number, now.epoch_ms()))?;
    for (key, used) in said.uses.iter().filter(|(key, _)| (1..=last).contains(key)) {
        let known = rows.rows(RowKind::KeyUse, *key, key + 1)?;
        let mut totals = known.first().map(|(_, row)| KeyTotals::of(row)).unwrap_or_default();
        totals.add(*used, now);
        rows.put(RowKind::KeyUse, *key, 0, &totals.row())?;
    }
    Ok(pace.next_ms())
}
