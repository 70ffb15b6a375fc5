//! What the Durable Object `Registry` does with requests about issued keys: the list changes first
//! ([`crate::registry::key_ledger`]), and then the records are written to the store, from which
//! isolates read them. What the store does not take is written again with the alarm.

use std::pin::Pin;

use super::registry_host::{RegistryHost, write_stored};
use crate::keys::key_format::KeyHash;
use crate::registry::key_ledger::{KeyLedger, KeysRequest, Successor, UsedAnswer};
use crate::registry::registry_requests::RegistryAnswer;
use crate::scan::json_value::{self, json};
use crate::vocabulary::time::{Instant, Millis};

/// The status of the answer if the store does not take the record of a new key.
pub(super) const NOT_WRITTEN: u16 = 424;
/// The status of the answer if a key does not open its client any more, or is known already.
pub(super) const NOT_ACTIVE: u16 = 409;
/// How long to wait before the store is written again.
const WRITE_AGAIN_MS: Millis = Millis::new(5_000);
/// After so many failures in a row, the rest waits.
const MOST_FAILURES: u32 = 3;

/// Answers a request for a path below `keys/`.
///
/// # Errors
/// The storage failed.
pub(super) async fn answer<H: RegistryHost>(
    host: &H,
    path: &str,
    body: &str,
) -> Result<RegistryAnswer, H::Error> {
    let (ledger, now) = (KeyLedger(host), host.now());
    let not_found = || (404, String::new());
    let Some(mut request) = json_value::parse::<KeysRequest>(body) else {
        return Ok((400, "the request is malformed".to_owned()));
    };
    let number = request.number;
    let changed = match path {
        "list" => return Ok((200, ledger.page(&request, now)?)),
        "used" => {
            let answer = UsedAnswer { next_ms: ledger.on_used(&request, now)? };
            return Ok((200, json(&answer)));
        }
        "show" => return Ok(ledger.view(number, now)?.map_or_else(not_found, |view| (200, view))),
        "issue" | "import" => {
            let keys = std::mem::take(&mut request.keys);
            let given = keys.len();
            let client = keys.first().map(|key| key.record.client.clone()).unwrap_or_default();
            let added = ledger.add(keys, &request.who, now)?;
            if path == "import" {
                KeyChange::Imported { added, given, client }
            } else {
                match added.first() {
                    Some(number) => KeyChange::New(*number),
                    None => return Ok((NOT_ACTIVE, String::new())),
                }
            }
        }
        "rotate" => match ledger.add_successor(&mut request, now)? {
            Successor::Added(number) => KeyChange::New(number),
            Successor::NoSuchKey => return Ok(not_found()),
            Successor::NotActive => return Ok((NOT_ACTIVE, String::new())),
        },
        "revoke" if ledger.revoke(number, now)? => KeyChange::Revoked,
        _ => return Ok(not_found()),
    };
    bring_to_store(host).await?;
    let now = host.now();
    let (subject, text) = match changed {
        KeyChange::Imported { added, given, client } => {
            let unwritten = ledger.unwritten()?.into_iter().filter(|number| added.contains(number)).count();
            let (imported, known) = (added.len(), given - added.len());
            let text = format!("{{\"imported\":{imported},\"known\":{known},\"unwritten\":{unwritten}}}");
            (format!("{imported} keys, the first of {client}"), text)
        }
        KeyChange::Revoked => (subject(host, number)?, ledger.view(number, now)?.unwrap_or_default()),
        // If the store does not take its record, there is no such key: nobody has seen it yet.
        KeyChange::New(new) if !ledger.is_written(new)? => {
            ledger.forget(new)?;
            return Ok((NOT_WRITTEN, String::new()));
        }
        KeyChange::New(new) if path == "rotate" => {
            // The new key serves before the old one ends.
            ledger.replace(&request, new, now)?;
            bring_to_store(host).await?;
            let view = |number| Ok(ledger.view(number, now)?.unwrap_or_default());
            (subject(host, new)?, format!("{{\"new\":{},\"old\":{}}}", view(new)?, view(number)?))
        }
        KeyChange::New(new) => (subject(host, new)?, ledger.view(new, now)?.unwrap_or_default()),
    };
    ledger.log((&request.who, request.why), &format!("key.{path}"), subject, now)?;
    Ok((200, text))
}

/// What has changed in the list, and must be brought to the store.
enum KeyChange {
    /// The key of this number was added.
    New(u64),
    /// Keys of another gateway were added.
    Imported {
        /// Their numbers.
        added: Vec<u64>,
        /// How many were given.
        given: usize,
        /// The client of the first one.
        client: String,
    },
    /// A key was revoked.
    Revoked,
}

/// What the log calls a key: its id, and the client.
fn subject<H: RegistryHost>(host: &H, number: u64) -> Result<String, H::Error> {
    let record = KeyLedger(host).entry(number)?.map(|entry| entry.record).unwrap_or_default();
    Ok(format!("{} of {}", record.id, record.client))
}

/// It is behind a pointer, so that there is one copy of the code.
type Brought<'a, E> = Pin<Box<dyn Future<Output = Result<(), E>> + 'a>>;

/// Writes to the store what it must have.
///
/// # Errors
/// The storage failed.
pub(super) fn bring_to_store<H: RegistryHost>(host: &H) -> Brought<'_, H::Error> {
    Box::pin(write_records(host))
}

async fn write_records<H: RegistryHost>(host: &H) -> Result<(), H::Error> {
    let ledger = KeyLedger(host);
    let mut failures = 0;
    // The latest change first: its request waits for it.
    for number in ledger.unwritten()?.into_iter().rev() {
        // A record may change while it is written, by another request.
        while let Some(entry) = ledger.entry(number)? {
            let Some(hash) = KeyHash::parse(&entry.hash) else { break };
            let record = serde_json::to_string(&entry.record).unwrap_or_default();
            match write_stored(host, &hash.store_name(), Some(&record), None).await {
                Ok(()) if ledger.on_written(number, entry.record.revision)? => {
                    failures = 0;
                    break;
                }
                Ok(()) => {}
                Err(error) => {
                    host.warn(&format!("keys: KV does not take the record of {}: {error}", entry.record.id));
                    ledger.on_write_failed(number)?;
                    failures += 1;
                    break;
                }
            }
        }
        if failures >= MOST_FAILURES {
            break;
        }
    }
    Ok(())
}

/// When the alarm has to ring for what the store has not taken.
///
/// # Errors
/// The storage failed.
pub(super) fn alarm_at<H: RegistryHost>(host: &H) -> Result<Option<Instant>, H::Error> {
    let is_due = !KeyLedger(host).unwritten()?.is_empty();
    Ok(is_due.then(|| host.now() + WRITE_AGAIN_MS))
}
