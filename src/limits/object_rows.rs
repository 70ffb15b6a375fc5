//! Which stored objects a client has made, as rows of one ledger object. An object that nobody has
//! noted belongs to nobody.
//!
//! The row of an object is removed when the gateway sees the object deleted. Objects that providers
//! remove by themselves are also forgotten when they were not used for [`UNUSED_DAYS`], much longer
//! than any provider keeps them. All others are kept: a provider keeps a file until somebody
//! deletes it, and without its row its maker could not reach it any more.
//!
//! Rows are removed by the notes of further objects, a few with each, so there is no alarm, and no
//! request reads all rows. Invariant: each row with a day has a second one, which finds it by the
//! day.

use super::ledger_storage::LedgerStorage;
use crate::scan::json_value;
use crate::vocabulary::time::{Instant, Millis};

/// Notes ids.
pub const NOTE: &str = "objects/note";
/// Answers with those of the ids that are noted.
pub const KNOWN: &str = "objects/known";
/// Forgets ids.
pub const FORGET: &str = "objects/forget";

/// The rows of this module have keys from here on, and no others have.
pub(super) const FIRST_KEY: &str = "object ";
/// What the keys of rows begin with that find others by the day.
const DUE: &str = "until ";
/// The most ids of one request: more than the longest page of a list that is read.
const MOST_IDS: usize = 20_000;
/// What the ids of objects begin with that providers remove by themselves: responses after 30 days,
/// uploads after an hour, containers after 20 minutes without use.
const PASSING: [&str; 3] = ["resp_", "upload_", "cntr_"];
/// So long after its last use such an object is forgotten, in days.
pub const UNUSED_DAYS: u64 = 90;
const DAY_MS: Millis = Millis::new(86_400_000);
/// How many rows a note removes at most: more than it adds, so those that are due become fewer.
const MOST_REMOVED: u32 = 4;

/// The row of an object. Its text is the last day on which it is kept; empty: it is kept until it
/// is deleted, or was not used since rows have days.
fn row(id: &str) -> String {
    [FIRST_KEY, id].concat()
}

/// What finds the rows that are due. The days have five digits, so their order is that of the keys.
fn due_row(day: &str, id: &str) -> String {
    [DUE, day, " ", id].concat()
}

/// Writes the rows of an object that is made or used on this day.
fn keep<S: LedgerStorage>(storage: &S, id: &str, known: Option<&str>, today: u64) -> Result<(), S::Error> {
    let is_passing = PASSING.iter().any(|prefix| id.starts_with(prefix));
    let until = if is_passing { format!("{:05}", today + UNUSED_DAYS) } else { String::new() };
    if known == Some(&until) {
        return Ok(());
    }
    if is_passing {
        storage.store(&due_row(&until, id), "")?;
    }
    storage.store(&row(id), &until)?;
    match known {
        Some(day) if !day.is_empty() => storage.delete(&due_row(day, id)),
        _ => Ok(()),
    }
}

fn forget<S: LedgerStorage>(storage: &S, id: &str) -> Result<(), S::Error> {
    if let Some(day) = storage.text(&row(id))?.filter(|day| !day.is_empty()) {
        storage.delete(&due_row(&day, id))?;
    }
    storage.delete(&row(id))
}

/// Removes a few of the rows that are due. One that was used since has another row that finds it.
fn remove_due<S: LedgerStorage>(storage: &S, today: u64) -> Result<(), S::Error> {
    for (due, _) in storage.rows(DUE, &due_row(&format!("{today:05}"), ""), MOST_REMOVED)? {
        if let Some((day, id)) = due.strip_prefix(DUE).and_then(|due| due.split_once(' '))
            && storage.text(&row(id))?.as_deref() == Some(day)
        {
            storage.delete(&row(id))?;
        }
        storage.delete(&due)?;
    }
    Ok(())
}

/// The answer to a request for one of these paths: a list of ids. `None` if the path or the body is
/// another one.
///
/// # Errors
/// The storage failed.
pub(super) fn answer<S: LedgerStorage>(
    storage: &S,
    path: &str,
    body: &str,
    now: Instant,
) -> Result<Option<String>, S::Error> {
    let ids = json_value::parse::<Vec<String>>(body).filter(|ids| ids.len() <= MOST_IDS);
    let Some(mut ids) = ids else { return Ok(None) };
    let today = now.period(DAY_MS);
    match path {
        NOTE => {
            for id in &ids {
                let known = storage.text(&row(id))?;
                keep(storage, id, known.as_deref(), today)?;
                remove_due(storage, today)?;
            }
        }
        FORGET => ids.iter().try_for_each(|id| forget(storage, id))?,
        KNOWN => {
            let mut known = Vec::with_capacity(ids.len());
            for id in ids {
                if let Some(day) = storage.text(&row(&id))? {
                    keep(storage, &id, Some(&day), today)?;
                    known.push(id);
                }
            }
            ids = known;
        }
        _ => return Ok(None),
    }
    Ok(Some(serde_json::to_string(&ids).unwrap_or_default()))
}
