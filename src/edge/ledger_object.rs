//! `Ledger`, the Durable Object that owns what is left of the limits of one client, or of the
//! gateway. [`crate::limits::stored_ledger`] decides what it does; this is its storage.

use std::cell::Cell;

use serde::Deserialize;
use worker::{DurableObject, Env, Request, Response, SqlStorage, State, durable_object};

use super::{clock, object_calls, tasks};
use crate::limits::ledger_storage::LedgerStorage;
use crate::limits::stored_ledger::StoredLedger;
use crate::serve::platform::PlatformError;
use crate::vocabulary::time::Instant;

/// The binding of the objects.
const BINDING: &str = "LEDGER";
/// The origin in the URLs of requests to an object. It uses only the path.
const ORIGIN: &str = "https://ledger/";

/// The Durable Object.
// This makes the handlers of requests and of the alarm.
#[durable_object(alarm)]
pub struct Ledger {
    state: State,
    stored: StoredLedger<LedgerRows>,
    /// The time to which the alarm was set.
    alarm_at: Cell<Option<Instant>>,
}

/// The rows of the object.
struct LedgerRows(SqlStorage);

impl DurableObject for Ledger {
    fn new(state: State, _: Env) -> Self {
        let sql = state.storage().sql();
        let table =
            "CREATE TABLE IF NOT EXISTS rows (key TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID";
        // If it fails, so does every use of the table, with an answer that says so.
        let _ = sql.exec(table, None);
        let stored = StoredLedger::new(LedgerRows(sql));
        Self { state, stored, alarm_at: Cell::default() }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        tasks::timed(self.answer(request)).await
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.alarm_at.set(None);
        let next_at = self.stored.on_alarm(clock::now())?;
        self.set_alarm(next_at).await?;
        Response::empty()
    }
}

impl Ledger {
    async fn answer(&self, mut request: Request) -> worker::Result<Response> {
        let url = request.inner().url();
        let body = request.text().await?;
        let path = url.strip_prefix(ORIGIN).unwrap_or_default();
        let reply = self.stored.answer(path, &body, clock::now())?;
        self.set_alarm(reply.alarm_at).await?;
        Ok(Response::ok(reply.text)?.with_status(reply.status))
    }

    /// Sets the alarm, unless it rings earlier.
    async fn set_alarm(&self, at: Option<Instant>) -> worker::Result<()> {
        let Some(at) = at.filter(|at| self.alarm_at.get().is_none_or(|set| *at < set)) else { return Ok(()) };
        self.alarm_at.set(Some(at));
        let after_ms = i64::try_from((at - clock::now()).get()).unwrap_or(i64::MAX);
        self.state.storage().set_alarm(after_ms).await
    }
}

#[derive(Deserialize)]
struct LedgerRow {
    key: String,
    text: String,
}

impl LedgerStorage for LedgerRows {
    type Error = PlatformError;

    fn rows(&self, from: &str, until: &str, most: u32) -> Result<Vec<(String, String)>, PlatformError> {
        let query = "SELECT key, text FROM rows WHERE key >= ? AND key < ? ORDER BY key LIMIT ?";
        let values = vec![from.into(), until.into(), f64::from(most).into()];
        let rows: Vec<LedgerRow> = self.0.exec(query, values)?.to_array()?;
        Ok(rows.into_iter().map(|row| (row.key, row.text)).collect())
    }

    fn text(&self, key: &str) -> Result<Option<String>, PlatformError> {
        let query = "SELECT key, text FROM rows WHERE key = ?";
        let rows: Vec<LedgerRow> = self.0.exec(query, vec![key.into()])?.to_array()?;
        Ok(rows.into_iter().next().map(|row| row.text))
    }

    fn store(&self, key: &str, text: &str) -> Result<(), PlatformError> {
        let insert = "INSERT OR REPLACE INTO rows (key, text) VALUES (?, ?)";
        self.0.exec(insert, vec![key.into(), text.into()])?;
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), PlatformError> {
        self.0.exec("DELETE FROM rows WHERE key = ?", vec![key.into()])?;
        Ok(())
    }
}

/// The answer of the object with this name to a POST.
pub async fn ask(env: &Env, name: &str, path: &str, body: String) -> Result<(u16, String), PlatformError> {
    let stub = env.durable_object(BINDING)?.get_by_name(name)?;
    object_calls::ask(&stub, &format!("{ORIGIN}{path}"), Some(body)).await
}
