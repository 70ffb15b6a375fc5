//! `Registry`, the Durable Object with the versions of the routes document and the log of
//! administrators' acts: one object in the world. [`crate::registry`] decides what it does; this is
//! its storage.

use std::cell::Cell;
use std::pin::Pin;

use serde::Deserialize;
use worker::{DurableObject, Env, Request, Response, SqlStorage, State, durable_object};

use super::host::Timers;
use super::object_calls::WithBindings;
use super::{clock, document_store, object_calls, own_calls, tasks};
use crate::registry::registry_requests::ALARM;
use crate::registry::version_ledger::{RegistryStorage, RowKind};
use crate::serve::canary_writes::{RegistryReply, answer};
use crate::serve::platform::{PlatformError, StoredText};
use crate::serve::registry_host::RegistryHost;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::time::Instant;

/// The binding of the object.
const BINDING: &str = "REGISTRY";
/// The name of the only object.
const NAME: &str = "registry";
/// The origin in the URLs of requests to the object. It uses only the path.
const ORIGIN: &str = "https://registry/";

/// The Durable Object.
// This makes the handlers of requests and of the alarm.
#[durable_object(alarm)]
pub struct Registry {
    state: State,
    storage: RegistryRows,
    /// The time to which the alarm was set.
    alarm_at: Cell<Option<Instant>>,
}

/// The answer to a request, once it is there.
type RegistryFuture<'a> = Pin<Box<dyn Future<Output = worker::Result<RegistryReply>> + 'a>>;

/// What the object has of the platform.
struct RegistryRows {
    sql: SqlStorage,
    env: Env,
    timers: Timers,
    is_writing: Cell<bool>,
}

impl DurableObject for Registry {
    fn new(state: State, env: Env) -> Self {
        let storage = RegistryRows {
            sql: state.storage().sql(),
            env,
            timers: Timers::new(),
            is_writing: Cell::default(),
        };
        Self { state, storage, alarm_at: Cell::default() }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        tasks::timed(self.answer(request)).await
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.alarm_at.set(None);
        tasks::timed(self.reply(ALARM, "")).await?;
        Response::empty()
    }
}

impl Registry {
    async fn answer(&self, mut request: Request) -> worker::Result<Response> {
        let url = request.inner().url();
        let body = request.text().await?;
        let path = url.strip_prefix(ORIGIN).unwrap_or_default();
        let reply = self.reply(path, &body).await?;
        Ok(Response::ok(reply.text)?.with_status(reply.status))
    }

    /// Behind a pointer, so that there is one copy of the code.
    fn reply<'a>(&'a self, path: &'a str, body: &'a str) -> RegistryFuture<'a> {
        Box::pin(async move {
            self.storage.open()?;
            let reply = answer(&self.storage, path, body).await?;
            let (at, known) = (reply.alarm_at, self.alarm_at.replace(reply.alarm_at));
            if let Some(due_at) = at.filter(|_| at != known) {
                let after_ms = i64::try_from((due_at - clock::now()).get()).unwrap_or(i64::MAX);
                self.state.storage().set_alarm(after_ms).await?;
            }
            Ok(reply)
        })
    }
}

#[derive(Deserialize)]
struct NumberedRow {
    number: u64,
    text: String,
}

fn number(value: u64) -> worker::SqlStorageValue {
    // Exact up to 2^53, and the largest bound of a query need not be exact.
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    (value as f64).into()
}

impl RegistryRows {
    fn open(&self) -> Result<(), PlatformError> {
        let table = "CREATE TABLE IF NOT EXISTS rows (kind TEXT NOT NULL, number INTEGER NOT NULL, \
            part INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (kind, number, part)) WITHOUT ROWID";
        self.sql.exec(table, None)?;
        Ok(())
    }
}

impl RegistryStorage for RegistryRows {
    type Error = PlatformError;

    fn rows(&self, kind: RowKind, from: u64, until: u64) -> Result<Vec<(u64, String)>, PlatformError> {
        let query = "SELECT number, text FROM rows WHERE kind = ? AND number >= ? AND number < ? \
            ORDER BY number, part";
        let values = vec![kind.name().into(), number(from), number(until)];
        let rows: Vec<NumberedRow> = self.sql.exec(query, values)?.to_array()?;
        Ok(rows.into_iter().map(|row| (row.number, row.text)).collect())
    }

    fn put(&self, kind: RowKind, of: u64, part: u64, text: &str) -> Result<(), PlatformError> {
        let insert = "INSERT OR REPLACE INTO rows (kind, number, part, text) VALUES (?, ?, ?, ?)";
        self.sql.exec(insert, vec![kind.name().into(), number(of), number(part), text.into()])?;
        Ok(())
    }

    fn remove(&self, kind: RowKind, from: u64, until: u64) -> Result<(), PlatformError> {
        let delete = "DELETE FROM rows WHERE kind = ? AND number >= ? AND number < ?";
        self.sql.exec(delete, vec![kind.name().into(), number(from), number(until)])?;
        Ok(())
    }
}

impl WithBindings for RegistryRows {
    fn env(&self) -> &Env {
        &self.env
    }

    fn timers(&self) -> &Timers {
        &self.timers
    }
}

impl RegistryHost for RegistryRows {
    fn variable(&self, name: &str) -> Option<String> {
        self.env.var(name).ok().map(|value| value.to_string()).filter(|value| !value.is_empty())
    }

    async fn post(&self, url: &str, headers: &Headers, body: String) -> Result<u16, PlatformError> {
        own_calls::post(url, headers, body).await
    }

    fn warn(&self, line: &str) {
        worker::console_warn!("{line}");
    }

    fn is_writing(&self) -> &Cell<bool> {
        &self.is_writing
    }

    async fn read_stored(&self, key: &str) -> Result<Option<StoredText>, PlatformError> {
        document_store::read(&self.env, key).await
    }

    async fn write_stored(
        &self,
        key: &str,
        text: Option<&str>,
        note: Option<&str>,
    ) -> Result<(), PlatformError> {
        match text {
            Some(text) => document_store::write(&self.env, key, text, note).await,
            None => document_store::remove(&self.env, key).await,
        }
    }
}

impl From<PlatformError> for worker::Error {
    fn from(error: PlatformError) -> Self {
        Self::RustError(error.to_string())
    }
}

/// Whether there is a binding.
pub fn is_bound(env: &Env) -> bool {
    env.durable_object(BINDING).is_ok()
}

/// The answer of the object to a POST.
pub async fn ask(env: &Env, path: &str, body: String) -> Result<(u16, String), PlatformError> {
    let stub = env.durable_object(BINDING)?.get_by_name(NAME)?;
    object_calls::ask(&stub, &format!("{ORIGIN}{path}"), Some(body)).await
}
