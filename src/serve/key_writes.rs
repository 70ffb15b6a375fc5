//! What the Durable Object `Registry` does with requests about issued keys: the list changes first
//! ([`crate::registry::key_ledger`]), and then the records are written to the store, from which
//! isolates read them. What the store does not take is written again with the alarm.

use super::registry_host::RegistryHost;
use crate::keys::key_format::KeyHash;
use crate::registry::key_ledger::{
    AddKeysRequest, KeyLedger, KeyRequest, ListKeysRequest, Successor, UsedKeys,
};
use crate::registry::registry_requests::RegistryAnswer;
use crate::scan::json_value;
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
    match path {
        "issue" => {
            let Some(AddKeysRequest { keys, who, why }) = json_value::parse(body) else {
                return Ok(malformed());
            };
            let Some(number) = ledger.add(keys, &who, now)?.pop() else {
                return Ok((NOT_ACTIVE, String::new()));
            };
            added(host, number, (&who, why), "key.issue").await
        }
        "import" => {
            let Some(AddKeysRequest { keys, who, why }) = json_value::parse(body) else {
                return Ok(malformed());
            };
            let clients: std::collections::BTreeSet<String> =
                keys.iter().map(|key| key.record.client.clone()).collect();
            let clients: Vec<_> = clients.into_iter().collect();
            let given = keys.len();
            let numbers = ledger.add(keys, &who, now)?;
            bring_to_store(host).await?;
            let unwritten = ledger.unwritten()?.into_iter().filter(|number| numbers.contains(number)).count();
            let (imported, known) = (numbers.len(), given - numbers.len());
            ledger.log(
                (&who, why),
                "key.import",
                format!("{imported} keys of {}", clients.join(", ")),
                now,
            )?;
            Ok((200, format!("{{\"imported\":{imported},\"known\":{known},\"unwritten\":{unwritten}}}")))
        }
        "list" => {
            let Some(request) = json_value::parse::<ListKeysRequest>(body) else { return Ok(malformed()) };
            Ok((200, ledger.page(&request, now)?))
        }
        "used" => {
            let Some(used) = json_value::parse::<UsedKeys>(body) else { return Ok(malformed()) };
            ledger.on_used(&used, now)?;
            Ok((200, "{}".to_owned()))
        }
        "show" => {
            let Some(request) = json_value::parse::<KeyRequest>(body) else { return Ok(malformed()) };
            Ok(ledger.view(request.number, now)?.map_or_else(not_found, |view| (200, view)))
        }
        "revoke" => {
            let Some(request) = json_value::parse::<KeyRequest>(body) else { return Ok(malformed()) };
            let number = request.number;
            if !ledger.revoke(number, now)? {
                return Ok(not_found());
            }
            let subject = subject(host, number)?;
            ledger.log((&request.who, request.why), "key.revoke", subject, now)?;
            bring_to_store(host).await?;
            Ok(ledger.view(number, host.now())?.map_or_else(not_found, |view| (200, view)))
        }
        "rotate" => {
            let Some(request) = json_value::parse::<KeyRequest>(body) else { return Ok(malformed()) };
            let by = match ledger.add_successor(&request, now)? {
                Successor::Added(number) => number,
                Successor::NoSuchKey => return Ok(not_found()),
                Successor::NotActive => return Ok((NOT_ACTIVE, String::new())),
            };
            // The new key serves before the old one ends.
            let who = (request.who.as_str(), request.why.clone());
            let (status, text) = added(host, by, who, "key.rotate").await?;
            if status != 200 {
                return Ok((status, text));
            }
            ledger.replace(&request, by, host.now())?;
            bring_to_store(host).await?;
            let views = (ledger.view(by, host.now())?, ledger.view(request.number, host.now())?);
            let (Some(new), Some(old)) = views else { return Ok(not_found()) };
            Ok((200, format!("{{\"new\":{new},\"old\":{old}}}")))
        }
        _ => Ok(not_found()),
    }
}

/// Brings the record of a new key to the store. If the store does not take it, there is no such
/// key: nobody has seen it yet.
async fn added<H: RegistryHost>(
    host: &H,
    number: u64,
    who: (&str, Option<String>),
    what: &str,
) -> Result<RegistryAnswer, H::Error> {
    bring_to_store(host).await?;
    let ledger = KeyLedger(host);
    if !ledger.is_written(number)? {
        ledger.forget(number)?;
        return Ok((NOT_WRITTEN, String::new()));
    }
    ledger.log(who, what, subject(host, number)?, host.now())?;
    Ok((200, ledger.view(number, host.now())?.unwrap_or_default()))
}

/// What the log calls a key: its id, and the client.
fn subject<H: RegistryHost>(host: &H, number: u64) -> Result<String, H::Error> {
    let record = KeyLedger(host).entry(number)?.map(|entry| entry.record).unwrap_or_default();
    Ok(format!("{} of {}", record.id, record.client))
}

/// Writes to the store what it must have.
///
/// # Errors
/// The storage failed.
pub(super) async fn bring_to_store<H: RegistryHost>(host: &H) -> Result<(), H::Error> {
    let ledger = KeyLedger(host);
    let mut failures = 0;
    // The latest change first: its request waits for it.
    for number in ledger.unwritten()?.into_iter().rev() {
        // A record may change while it is written, by another request.
        while let Some(entry) = ledger.entry(number)? {
            let Some(hash) = KeyHash::parse(&entry.hash) else { break };
            let record = serde_json::to_string(&entry.record).unwrap_or_default();
            match host.write_stored(&hash.store_name(), Some(&record), None).await {
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

fn malformed() -> RegistryAnswer {
    (400, "the request is malformed".to_owned())
}
