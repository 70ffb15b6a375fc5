//! `DeploymentHealth`, the Durable Object: a [`Shard`]. The isolates of one region report to it,
//! or, if it is the hub, the shards of all regions.
//!
//! There is one shard for each region, because latency is regional. There is one more, the hub, for
//! everything that holds in all regions. The isolates need one place that adds up their reports and
//! grants probes one at a time. A Durable Object is single-threaded and unique in the world.
//! [`crate::serve::health_object`] decides what it does; this is its storage and its platform.
//!
//! Staleness: an isolate can be wrong about a deployment until its next report, about a second
//! while it has traffic. The cost is a second attempt at another deployment, nothing more. An
//! evicted object loses averages and leases, which it learns again. It does not lose gates,
//! switches, the numbers of changes and counters: they are in its storage before an answer leaves
//! it.

use std::rc::Rc;

use serde::Deserialize;
use worker::{DurableObject, Env, Request, Response, SqlStorage, State, durable_object};

use super::host::Timers;
use super::object_calls::{ORIGIN, WithBindings};
use super::tasks::background;
use super::{randomness, tasks};
use crate::counters::CounterRow;
use crate::health::shard::shard_store::{ShardStorage, StoredShard};
use crate::scan::json_value::json;
use crate::serve::health_object::{answer, on_alarm, report_to_hub};
use crate::serve::object_link::pool_of_shard;
use crate::serve::platform::{Clock, PlatformError};
use crate::vocabulary::rng::SplitMix64;
use crate::vocabulary::time::Instant;

/// The Durable Object.
// This makes the handlers of requests and of the alarm.
#[durable_object(alarm)]
pub struct DeploymentHealth {
    state: State,
    shard: Rc<StoredShard<ObjectStorage>>,
}

/// What the object has of the platform.
struct ObjectStorage {
    env: Env,
    sql: SqlStorage,
    timers: Timers,
}

impl DurableObject for DeploymentHealth {
    fn new(state: State, env: Env) -> Self {
        let storage = ObjectStorage { env, sql: state.storage().sql(), timers: Timers::new() };
        let is_hub = state.id().name().is_some_and(|name| pool_of_shard(&name) == Ok(None));
        Self { state, shard: Rc::new(StoredShard::new(storage, is_hub)) }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        tasks::timed(self.answer(request)).await
    }

    async fn alarm(&self) -> worker::Result<Response> {
        tasks::timed(self.ring()).await?;
        Response::empty()
    }
}

impl DeploymentHealth {
    async fn answer(&self, mut request: Request) -> worker::Result<Response> {
        let url = request.inner().url();
        let body = request.text().await?;
        let path = url.strip_prefix(ORIGIN).unwrap_or_default();
        let answer = answer(&self.shard, path, &body, &mut rng())
            .map_err(|error| worker::Error::RustError(error.to_string()))?;
        if let Some(pool) = self.pool() {
            if answer.is_hub_due {
                self.ask_hub(pool);
            }
            self.set_alarm(answer.alarm_at).await?;
        }
        Ok(Response::ok(answer.text)?.with_status(answer.status))
    }

    /// The pool of this shard. `None` for the hub, which reports to nobody.
    fn pool(&self) -> Option<String> {
        let name = self.state.id().name().unwrap_or_default();
        let Ok(pool) = pool_of_shard(&name) else {
            worker::console_warn!(
                "health: the object does not know its name; other regions hear nothing from it"
            );
            return None;
        };
        pool.map(ToOwned::to_owned)
    }

    /// Reports to the hub beside the request.
    fn ask_hub(&self, pool: String) {
        let shard = Rc::clone(&self.shard);
        let asked = background(async move {
            if let Err(error) = report_to_hub(&shard, &pool, &mut rng()).await {
                worker::console_warn!("health: the hub of {pool} does not answer: {error}");
            }
        });
        // This fails only if the state has ended. Then there is nothing to lose.
        let _ = self.state.as_raw().wait_until(&asked);
    }

    async fn ring(&self) -> worker::Result<()> {
        let Some(pool) = self.pool() else { return Ok(()) };
        let end = on_alarm(&self.shard, &pool, &mut rng()).await;
        let end = end.map_err(|error| worker::Error::RustError(error.to_string()))?;
        if let Err(error) = end.called {
            worker::console_warn!("health: the hub of {pool} does not answer: {error}");
        }
        self.set_alarm(end.next_at).await
    }

    async fn set_alarm(&self, at: Option<Instant>) -> worker::Result<()> {
        let Some(at) = at else { return Ok(()) };
        let after_ms = i64::try_from((at - self.shard.storage().now()).get()).unwrap_or(i64::MAX);
        self.state.storage().set_alarm(after_ms).await
    }
}

fn rng() -> SplitMix64 {
    SplitMix64::new(u64::from_le_bytes(randomness::seed()))
}

#[derive(Deserialize)]
struct JsonRow {
    json: String,
}

#[derive(Deserialize)]
struct StoredCounters {
    id: String,
    json: String,
}

#[derive(Deserialize)]
struct DeploymentRow {
    identity: String,
    json: String,
}

impl ObjectStorage {
    fn only_row(&self, query: &str) -> Result<Option<String>, PlatformError> {
        self.only_row_with(query, None)
    }

    fn only_row_with(&self, query: &str, id: Option<&str>) -> Result<Option<String>, PlatformError> {
        let rows: Vec<JsonRow> = self.sql.exec(query, id.map(|id| vec![id.into()]))?.to_array()?;
        Ok(rows.into_iter().next().map(|row| row.json))
    }
}

impl ShardStorage for ObjectStorage {
    type Error = PlatformError;

    fn open(&self) -> Result<Option<String>, PlatformError> {
        let table = "CREATE TABLE IF NOT EXISTS head (id INTEGER PRIMARY KEY, json TEXT NOT NULL)";
        self.sql.exec(table, None)?;
        let table = "CREATE TABLE IF NOT EXISTS deployments (identity TEXT PRIMARY KEY, json TEXT NOT NULL)";
        self.sql.exec(table, None)?;
        let table =
            "CREATE TABLE IF NOT EXISTS counters (id TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID";
        self.sql.exec(table, None)?;
        let table = "CREATE TABLE IF NOT EXISTS alerts (id INTEGER PRIMARY KEY, json TEXT NOT NULL)";
        self.sql.exec(table, None)?;
        self.only_row("SELECT json FROM head")
    }

    fn alerts(&self) -> Result<Option<String>, PlatformError> {
        self.only_row("SELECT json FROM alerts")
    }

    fn save_alerts(&self, json: String) -> Result<(), PlatformError> {
        self.sql.exec("INSERT OR REPLACE INTO alerts (id, json) VALUES (0, ?)", vec![json.into()])?;
        Ok(())
    }

    fn deployments(&self) -> Result<Vec<(String, String)>, PlatformError> {
        let rows: Vec<DeploymentRow> =
            self.sql.exec("SELECT identity, json FROM deployments", None)?.to_array()?;
        Ok(rows.into_iter().map(|row| (row.identity, row.json)).collect())
    }

    fn save_head(&self, json: String) -> Result<(), PlatformError> {
        self.sql.exec("INSERT OR REPLACE INTO head (id, json) VALUES (0, ?)", vec![json.into()])?;
        Ok(())
    }

    fn save_deployment(&self, identity: &str, json: String) -> Result<(), PlatformError> {
        let insert = "INSERT OR REPLACE INTO deployments (identity, json) VALUES (?, ?)";
        self.sql.exec(insert, vec![identity.into(), json.into()])?;
        Ok(())
    }

    fn remove_deployment(&self, identity: &str) -> Result<(), PlatformError> {
        self.sql.exec("DELETE FROM deployments WHERE identity = ?", vec![identity.into()])?;
        Ok(())
    }

    fn counters(&self) -> Result<Vec<(String, String)>, PlatformError> {
        let query = "SELECT id, json FROM counters WHERE id NOT GLOB 'day/*'";
        let rows: Vec<StoredCounters> = self.sql.exec(query, None)?.to_array()?;
        Ok(rows.into_iter().map(|row| (row.id, row.json)).collect())
    }

    fn save_counters(&self, rows: &[CounterRow]) -> Result<(), PlatformError> {
        // One statement stores all rows, or none of them.
        let stored: Vec<_> =
            rows.iter().filter(|row| row.json.is_some()).map(|row| (&row.id, &row.json)).collect();
        let insert = "INSERT OR REPLACE INTO counters SELECT value ->> 0, value ->> 1 FROM json_each(?)";
        self.sql.exec(insert, vec![json(&stored).into()])?;
        let unused: Vec<_> = rows.iter().filter(|row| row.json.is_none()).map(|row| &row.id).collect();
        if !unused.is_empty() {
            let delete = "DELETE FROM counters WHERE id IN (SELECT value FROM json_each(?))";
            self.sql.exec(delete, vec![json(&unused).into()])?;
        }
        Ok(())
    }

    fn latest_day(&self) -> Result<Option<String>, PlatformError> {
        self.only_row("SELECT id AS json FROM counters WHERE id GLOB 'day/*' ORDER BY id DESC LIMIT 1")
    }

    fn day(&self, row: &str) -> Result<Option<String>, PlatformError> {
        self.only_row_with("SELECT json FROM counters WHERE id = ?", Some(row))
    }

    fn remove_days_before(&self, row: &str) -> Result<(), PlatformError> {
        let delete = "DELETE FROM counters WHERE id GLOB 'day/*' AND id < ?";
        self.sql.exec(delete, vec![row.into()])?;
        Ok(())
    }
}

impl WithBindings for ObjectStorage {
    fn env(&self) -> &Env {
        &self.env
    }

    fn timers(&self) -> &Timers {
        &self.timers
    }
}
