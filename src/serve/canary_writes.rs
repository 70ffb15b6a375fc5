//! What the Durable Object `Registry` does with its requests and its alarm: it decides
//! ([`crate::registry`]), and then writes to the store of documents what a canary needs there.
//! `key_writes` does the same for issued keys.

use std::cell::Cell;

use super::canary_alerts::send_due;
use super::key_writes;
use super::platform::PlatformError;
use super::registry_host::{RegistryHost, write_stored};
use super::routes_document::{CANARY, CURRENT};
use crate::registry::canary::canary_ledger::{CanaryLedger, StoreWrite};
use crate::registry::registry_requests;
use crate::routes::{compile, version_of};
use crate::vocabulary::rng::stable_hash;
use crate::vocabulary::time::Instant;

/// The status of the answer if the store does not take the documents of a canary.
pub const NOT_WRITTEN: u16 = 424;

/// The answer to a request, and when the alarm has to ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryReply {
    /// The status.
    pub status: u16,
    /// The text.
    pub text: String,
    /// When the alarm has to ring, if it has to.
    pub alarm_at: Option<Instant>,
}

/// Answers a request for a path, or rings the alarm ([`registry_requests::ALARM`]). The path has no
/// leading `/`.
///
/// # Errors
/// The storage failed.
pub async fn answer<H: RegistryHost>(host: &H, path: &str, body: &str) -> Result<RegistryReply, H::Error> {
    // Nothing waits between reading and writing the storage, so every request is atomic.
    let (mut status, text) = match path.strip_prefix("keys/") {
        Some(path) => key_writes::answer(host, path, body).await?,
        None => registry_requests::answer(host, path, body, host.now())?,
    };
    if path == registry_requests::ALARM {
        key_writes::bring_to_store(host).await?;
    }
    let is_written = bring_to_store(host).await?;
    let ledger = CanaryLedger(host);
    if path == "begin" && status == 200 && !is_written {
        ledger.on_start_failed(host.now())?;
        status = NOT_WRITTEN;
    }
    // Alone with the alarm, so that nobody waits for a receiver.
    if path == registry_requests::ALARM {
        send_due(host).await?;
    }
    let alarms = [ledger.alarm_at()?, key_writes::alarm_at(host)?];
    Ok(RegistryReply { status, text, alarm_at: alarms.into_iter().flatten().min() })
}

/// Ends when the piece of work ends, also if it is dropped.
struct Writing<'a>(&'a Cell<bool>);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// Writes to the store what is due. What becomes due meanwhile follows. Returns whether the store
/// has everything.
async fn bring_to_store<H: RegistryHost>(host: &H) -> Result<bool, H::Error> {
    let ledger = CanaryLedger(host);
    let Some(write_at) = ledger.write_at()? else { return Ok(true) };
    if host.now() < write_at {
        return Ok(false);
    }
    if host.is_writing().replace(true) {
        return Ok(false);
    }
    let _writing = Writing(host.is_writing());
    while let Some(mut write) = ledger.due_write(None)? {
        if write.is_end {
            let found = match host.read_stored(CURRENT).await {
                Ok(found) => found
                    .filter(|stored| may_serve(host, &stored.text))
                    .map(|stored| version_of(stable_hash(stored.text.as_bytes()))),
                Err(error) => return refused(host, &error),
            };
            match ledger.due_write(found.as_deref())?.filter(|now| now.id == write.id) {
                Some(now) => write = now,
                None => continue,
            }
        }
        if let Err(error) = carry_out(host, &write).await {
            return refused(host, &error);
        }
        ledger.on_written(&write)?;
    }
    Ok(true)
}

/// Whether a document that somebody wrote past the API may serve. One that does not compile,
/// whatever its variables are, never serves, and does not stay at the end of a canary.
fn may_serve<H: RegistryHost>(host: &H, document: &str) -> bool {
    // The values of the Secrets Store are not known here. A URL is of use for most variables that
    // a document needs.
    let variable = |name: &str| host.variable(name).or_else(|| Some(format!("https://{name}.example")));
    let may_serve = compile(document, &variable).is_ok();
    if !may_serve {
        host.warn(
            "routes: the document in KV is refused; at the end of the canary, another one takes its place",
        );
    }
    may_serve
}

fn refused<H: RegistryHost>(host: &H, error: &PlatformError) -> Result<bool, H::Error> {
    host.warn(&format!("routes: KV does not take what a canary needs: {error}"));
    CanaryLedger(host).on_refused(host.now())?;
    Ok(false)
}

/// The text of the new version is there before an isolate learns of it.
async fn carry_out<H: RegistryHost>(host: &H, write: &StoreWrite) -> Result<(), PlatformError> {
    if let Some(canary) = &write.canary {
        write_stored(host, CANARY, Some(canary), None).await?;
    }
    if let Some(current) = &write.current {
        write_stored(host, CURRENT, Some(current), write.note.as_deref()).await?;
    }
    match write.canary {
        Some(_) => Ok(()),
        None => write_stored(host, CANARY, None, None).await,
    }
}
