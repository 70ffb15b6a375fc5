//! Which stored objects a client has made, as rows of one ledger object. An object that nobody has
//! noted belongs to nobody.

use super::ledger_storage::LedgerStorage;
use crate::scan::json_value;

/// Notes ids.
pub const NOTE: &str = "objects/note";
/// Answers with those of the ids that are noted.
pub const KNOWN: &str = "objects/known";
/// Forgets ids.
pub const FORGET: &str = "objects/forget";

/// The most ids of one request: more than the longest page of a list that is read.
const MOST_IDS: usize = 20_000;

fn row(id: &str) -> String {
    format!("object {id}")
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
) -> Result<Option<String>, S::Error> {
    let ids = json_value::parse::<Vec<String>>(body).filter(|ids| ids.len() <= MOST_IDS);
    let Some(mut ids) = ids else { return Ok(None) };
    match path {
        NOTE => ids.iter().try_for_each(|id| storage.store(&row(id), ""))?,
        FORGET => ids.iter().try_for_each(|id| storage.delete(&row(id)))?,
        KNOWN => {
            let mut known = Vec::with_capacity(ids.len());
            for id in ids {
                if storage.has(&row(&id))? {
                    known.push(id);
                }
            }
            ids = known;
        }
        _ => return Ok(None),
    }
    Ok(Some(serde_json::to_string(&ids).unwrap_or_default()))
}
