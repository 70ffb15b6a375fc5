//! `DeploymentHealth`, the Durable Object: a [`Shard`]. The isolates of one region report to it,
//! or, if it is the hub, the shards of all regions.
//!
//! There is one shard for each region, because latency is regional. There is one more, the hub, for
//! everything that holds in all regions. The isolates need one place that adds up their reports and
//! grants probes one at a time. A Durable Object is single-threaded and unique in the world. The
//! code here never waits between reading the shard and writing it, so every report is atomic.
//!
//! Staleness: an isolate can be wrong about a deployment until its next report, about a second
//! while it has traffic. The cost is a second attempt at another deployment, nothing more. An
//! evicted object loses averages and leases, which it learns again. It does not lose gates,
//! switches and the numbers of changes: they are in its storage before an answer leaves it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde::Deserialize;
use worker::{DurableObject, Env, Request, Response, SqlStorage, State, durable_object};

use super::object_calls::{ORIGIN, WithBindings};
use super::tasks::background;
use super::{clock, tasks};
use crate::health::shard::{SavedDeployment, Shard, ShardHead};
use crate::serve::object_link::{hub_of, pool_of_shard};
use crate::serve::object_reports::{AskError, ask_report};
use crate::vocabulary::rng::SplitMix64;
use crate::vocabulary::time::{Instant, Millis};

/// How often to remove deployments that no report mentions any more.
const FORGET_EVERY_MS: Millis = Millis::new(600_000);

/// The Durable Object.
#[durable_object(fetch)]
pub struct DeploymentHealth {
    state: State,
    memory: Rc<Memory>,
}

/// The shard, and its copy in storage.
struct Memory {
    env: Env,
    sql: SqlStorage,
    shard: RefCell<Option<Shard>>,
    saved: Cell<ShardHead>,
    forget_at: Cell<Instant>,
}

impl DurableObject for DeploymentHealth {
    fn new(state: State, env: Env) -> Self {
        let memory = Memory {
            env,
            sql: state.storage().sql(),
            shard: RefCell::new(None),
            saved: Cell::default(),
            forget_at: Cell::new(Instant::EPOCH),
        };
        Self { state, memory: Rc::new(memory) }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        tasks::timed(self.answer(request)).await
    }
}

impl DeploymentHealth {
    async fn answer(&self, mut request: Request) -> worker::Result<Response> {
        let url = request.inner().url();
        let body = request.text().await?;
        let path = url.strip_prefix(ORIGIN).unwrap_or_default();
        let answer = self.memory.with(|shard, now, rng| shard.on_request(path, &body, now, rng))?;
        if answer.is_hub_due {
            self.ask_hub();
        }
        Ok(Response::ok(answer.text)?.with_status(answer.status))
    }

    /// Reports to the hub beside the request.
    fn ask_hub(&self) {
        let name = self.state.id().name().unwrap_or_default();
        let pool = match pool_of_shard(&name) {
            Ok(Some(pool)) => pool.to_owned(),
            Ok(None) => return,
            Err(_) => {
                worker::console_warn!(
                    "health: the object does not know its name; other regions hear nothing from it"
                );
                return;
            }
        };
        let memory = Rc::clone(&self.memory);
        let asked = background(async move {
            if let Err(error) = memory.ask_hub(&pool).await {
                worker::console_warn!("health: the hub of {pool} does not answer: {error}");
            }
        });
        // This fails only if the state has ended. Then there is nothing to lose.
        let _ = self.state.as_raw().wait_until(&asked);
    }
}

#[derive(Deserialize)]
struct HeadRow {
    json: String,
}

#[derive(Deserialize)]
struct DeploymentRow {
    identity: String,
    json: String,
}

impl Memory {
    /// Runs `work` on the shard, and stores the changes.
    fn with<T>(&self, work: impl FnOnce(&mut Shard, Instant, &mut SplitMix64) -> T) -> worker::Result<T> {
        let now = clock::now();
        let mut rng = SplitMix64::new(clock::seed());
        let mut shard = self.shard.borrow_mut();
        let shard = match &mut *shard {
            Some(shard) => shard,
            none => none.insert(self.load(now, &mut rng)?),
        };
        let result = work(shard, now, &mut rng);
        self.save(shard, now)?;
        Ok(result)
    }

    fn load(&self, now: Instant, rng: &mut SplitMix64) -> worker::Result<Shard> {
        self.sql
            .exec("CREATE TABLE IF NOT EXISTS head (id INTEGER PRIMARY KEY, json TEXT NOT NULL)", None)?;
        let table = "CREATE TABLE IF NOT EXISTS deployments (identity TEXT PRIMARY KEY, json TEXT NOT NULL)";
        self.sql.exec(table, None)?;
        let rows: Vec<HeadRow> = self.sql.exec("SELECT json FROM head", None)?.to_array()?;
        let Some(head) = rows.first().and_then(|row| ShardHead::parse(&row.json)) else {
            let shard = Shard::new(rng);
            // The head is stored at once, because the name of the shard's history must survive an
            // eviction.
            self.save_head(shard.head())?;
            return Ok(shard);
        };
        self.saved.set(head);
        let rows: Vec<DeploymentRow> =
            self.sql.exec("SELECT identity, json FROM deployments", None)?.to_array()?;
        let saved =
            rows.into_iter().filter_map(|row| Some((row.identity, SavedDeployment::parse(&row.json)?)));
        Ok(Shard::restore(head, saved, now))
    }

    /// Stores the changes. Usually there are none, and nothing is written.
    fn save(&self, shard: &mut Shard, now: Instant) -> worker::Result<()> {
        if now >= self.forget_at.get() {
            self.forget_at.set(now + FORGET_EVERY_MS);
            for identity in shard.forget(now) {
                self.sql.exec("DELETE FROM deployments WHERE identity = ?", vec![identity.into()])?;
            }
        }
        let saved = self.saved.get();
        for (identity, record) in shard.changed_since(saved.change) {
            self.sql.exec(
                "INSERT OR REPLACE INTO deployments (identity, json) VALUES (?, ?)",
                vec![identity.into(), record.to_json().into()],
            )?;
        }
        if shard.head() == saved { Ok(()) } else { self.save_head(shard.head()) }
    }

    fn save_head(&self, head: ShardHead) -> worker::Result<()> {
        self.sql.exec("INSERT OR REPLACE INTO head (id, json) VALUES (0, ?)", vec![head.to_json().into()])?;
        self.saved.set(head);
        Ok(())
    }

    /// Reports to the hub what holds in all regions, and merges what the other regions have
    /// reported.
    async fn ask_hub(&self, pool: &str) -> Result<(), AskError> {
        let report = self.with(|shard, now, _| shard.report_to_hub(now)).map_err(failed)?;
        let answer = ask_report(self, &hub_of(pool), None, &report).await;
        self.with(|shard, now, _| match &answer {
            Ok(answer) => shard.merge_hub_answer(answer, now),
            Err(_) => shard.on_hub_failure(now),
        })
        .map_err(failed)?;
        answer.map(drop)
    }
}

/// An error of the object's storage.
fn failed(error: worker::Error) -> AskError {
    AskError::Unreachable(error.into())
}

impl WithBindings for Memory {
    fn env(&self) -> &Env {
        &self.env
    }
}
