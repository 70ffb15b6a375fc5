//! `Registry`, the Durable Object with the versions of the routes document and the log of
//! administrators' acts: one object in the world. [`crate::registry`] decides what it does; this is
//! its storage.

use serde::Deserialize;
use worker::{DurableObject, Env, Request, Response, SqlStorage, State, durable_object};

use super::{clock, object_calls, tasks};
use crate::registry::registry_requests::answer;
use crate::registry::version_ledger::{RegistryStorage, RowKind};
use crate::serve::platform::PlatformError;

/// The binding of the object.
const BINDING: &str = "REGISTRY";
/// The name of the only object.
const NAME: &str = "registry";
/// The origin in the URLs of requests to the object. It uses only the path.
const ORIGIN: &str = "https://registry/";

/// The Durable Object.
#[durable_object(fetch)]
pub struct Registry {
    storage: RegistryRows,
}

/// The rows of the object.
struct RegistryRows(SqlStorage);

impl DurableObject for Registry {
    fn new(state: State, _env: Env) -> Self {
        Self { storage: RegistryRows(state.storage().sql()) }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        tasks::timed(self.answer(request)).await
    }
}

impl Registry {
    async fn answer(&self, mut request: Request) -> worker::Result<Response> {
        let url = request.inner().url();
        let body = request.text().await?;
        let path = url.strip_prefix(ORIGIN).unwrap_or_default();
        // Nothing waits between reading and writing, so every request is atomic.
        let answered = self.storage.open().and_then(|()| answer(&self.storage, path, &body, clock::now()));
        let (status, text) = answered.map_err(|error| worker::Error::RustError(error.to_string()))?;
        Ok(Response::ok(text)?.with_status(status))
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
        self.0.exec(table, None)?;
        Ok(())
    }
}

impl RegistryStorage for RegistryRows {
    type Error = PlatformError;

    fn rows(&self, kind: RowKind, from: u64, until: u64) -> Result<Vec<(u64, String)>, PlatformError> {
        let query = "SELECT number, text FROM rows WHERE kind = ? AND number >= ? AND number < ? \
            ORDER BY number, part";
        let values = vec![kind.name().into(), number(from), number(until)];
        let rows: Vec<NumberedRow> = self.0.exec(query, values)?.to_array()?;
        Ok(rows.into_iter().map(|row| (row.number, row.text)).collect())
    }

    fn put(&self, kind: RowKind, of: u64, part: u64, text: &str) -> Result<(), PlatformError> {
        let insert = "INSERT OR REPLACE INTO rows (kind, number, part, text) VALUES (?, ?, ?, ?)";
        self.0.exec(insert, vec![kind.name().into(), number(of), number(part), text.into()])?;
        Ok(())
    }

    fn remove(&self, kind: RowKind, from: u64, until: u64) -> Result<(), PlatformError> {
        let delete = "DELETE FROM rows WHERE kind = ? AND number >= ? AND number < ?";
        self.0.exec(delete, vec![kind.name().into(), number(from), number(until)])?;
        Ok(())
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
