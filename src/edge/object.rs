//! `DeploymentHealth`, the Durable Object: a [`Shard`] that isolates of one region, or shards of all regions, report to.
//!
//! One object for each region, since latency is regional, and one more, the hub, for what holds everywhere. What the isolates need is
//! one place that adds up and grants probes one at a time; a Durable Object is single-threaded and there is one of it in the
//! world, and nothing here waits between reading the shard and writing it, so every report is atomic.
//!
//! Staleness: an isolate may be wrong about a deployment for as long as it does not report, a second or so while it has traffic. That
//! costs a second attempt elsewhere, nothing more. An object that is evicted loses averages and leases, which are learned anew, and
//! keeps gates, switches and the numbers of changes, which are in its storage before an answer leaves it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use worker::{
    DurableObject, Env, Method, Request, Response, Result, SqlStorage, SqlStorageValue, State, durable_object,
};

use super::share::{self, BINDING, HUB};
use super::{clock, isolate, js};
use crate::health::shard::{Head, Saved, Shard};
use crate::health::wire::{Answer, Report};
use crate::rng::SplitMix64;
use crate::time::Millis;

/// How often to look for what nobody mentions any more.
const FORGET_EVERY_MS: Millis = 600_000;

/// The Durable Object.
#[durable_object(fetch)]
pub struct DeploymentHealth {
    state: State,
    env: Env,
    memory: Rc<Memory>,
}

/// The shard, and its copy in storage.
struct Memory {
    sql: SqlStorage,
    shard: RefCell<Option<Shard>>,
    saved: Cell<Head>,
    forget_at: Cell<Millis>,
}

/// What an administrator wants done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Switch {
    /// What.
    pub action: Action,
    /// With which deployments, by identity; `None`: with all.
    pub deployments: Option<Vec<String>>,
}

/// What can be done with a deployment by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Take all traffic away.
    Drain,
    /// Let it have traffic again.
    Enable,
    /// Forget what was learned about it.
    Reset,
}

impl DurableObject for DeploymentHealth {
    fn new(state: State, env: Env) -> Self {
        let memory = Memory {
            sql: state.storage().sql(),
            shard: RefCell::new(None),
            saved: Cell::default(),
            forget_at: Cell::new(0),
        };
        Self { state, env, memory: Rc::new(memory) }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        match (request.method(), request.path().as_str()) {
            (Method::Post, "/report") => match Report::parse(&request.bytes().await?) {
                Ok(report) => self.report(&report),
                Err(error) => Response::error(error.to_string(), 400),
            },
            (Method::Post, "/switch") => match serde_json::from_slice(&request.bytes().await?) {
                Ok(switch) => self.switch(&switch),
                Err(error) => Response::error(error.to_string(), 400),
            },
            (Method::Get, "/view") => {
                let view = self.memory.with(|shard, now, _| shard.view(now))?;
                Response::ok(json!({ "deployments": view }).to_string())
            }
            _ => Response::error("not found", 404),
        }
    }
}

impl DeploymentHealth {
    fn report(&self, report: &Report) -> Result<Response> {
        let (answer, asks_hub) = self.memory.with(|shard, now, rng| {
            let answer = shard.report(report, now, rng);
            (answer, shard.hub_at().is_some_and(|at| at <= now))
        })?;
        if asks_hub && let Some(pool) = self.pool_with_another_hub() {
            let (memory, env) = (Rc::clone(&self.memory), self.env.clone());
            self.state.wait_until(async move {
                if let Err(error) = memory.ask_hub(&env, &pool).await {
                    js::warn(&format!("health: the hub of {pool} does not answer: {error}"));
                }
            });
        }
        Response::ok(answer.to_json())
    }

    fn switch(&self, switch: &Switch) -> Result<Response> {
        let is_done = self.memory.with(|shard, now, _| match (&switch.deployments, switch.action) {
            (None, Action::Reset) => {
                shard.reset_all();
                true
            }
            (None, _) => false,
            (Some(deployments), action) => deployments.iter().all(|identity| match action {
                Action::Drain => shard.drain(identity, now),
                Action::Enable => shard.enable(identity, now),
                Action::Reset => shard.reset(identity, now),
            }),
        })?;
        if is_done { Response::ok("{}") } else { Response::error("there is no room for it", 400) }
    }

    /// The pool of an object that is not its hub.
    fn pool_with_another_hub(&self) -> Option<String> {
        let name = self.state.id().name()?;
        let (pool, region) = name.rsplit_once('/')?;
        (region != HUB).then(|| pool.to_owned())
    }
}

impl Memory {
    /// Works with the shard, and stores what has changed.
    fn with<T>(&self, work: impl FnOnce(&mut Shard, Millis, &mut SplitMix64) -> T) -> Result<T> {
        let now = clock::now();
        let mut rng = SplitMix64::new(isolate::entropy());
        let mut shard = self.shard.borrow_mut();
        let shard = match &mut *shard {
            Some(shard) => shard,
            none => none.insert(self.load(now, &mut rng)?),
        };
        let result = work(shard, now, &mut rng);
        self.save(shard, now)?;
        Ok(result)
    }

    fn load(&self, now: Millis, rng: &mut SplitMix64) -> Result<Shard> {
        self.sql
            .exec("CREATE TABLE IF NOT EXISTS head (id INTEGER PRIMARY KEY, json TEXT NOT NULL)", None)?;
        self.sql.exec(
            "CREATE TABLE IF NOT EXISTS deployments (identity TEXT PRIMARY KEY, json TEXT NOT NULL)",
            None,
        )?;
        let text = |value: Option<&SqlStorageValue>| match value {
            Some(SqlStorageValue::String(text)) => text.clone(),
            _ => String::new(),
        };
        let rows = self.sql.exec("SELECT json FROM head", None)?.raw();
        let head = rows.filter_map(|row| Head::parse(&text(row.ok()?.first()))).last();
        let Some(head) = head else {
            let shard = Shard::new(rng);
            // A history that is lost at once is none: its name has to last.
            self.save_head(shard.head())?;
            return Ok(shard);
        };
        self.saved.set(head);
        let rows = self.sql.exec("SELECT identity, json FROM deployments", None)?.raw();
        let saved = rows.filter_map(|row| {
            let row = row.ok()?;
            Some((text(row.first()), Saved::parse(&text(row.get(1)))?))
        });
        Ok(Shard::restore(head, saved.collect::<Vec<_>>(), now))
    }

    /// Without changes, which is the rule, nothing is written.
    fn save(&self, shard: &mut Shard, now: Millis) -> Result<()> {
        if now >= self.forget_at.get() {
            self.forget_at.set(now.saturating_add(FORGET_EVERY_MS));
            for identity in shard.forget(now) {
                self.sql.exec("DELETE FROM deployments WHERE identity = ?", vec![identity.into()])?;
            }
        }
        let saved = self.saved.get();
        for (identity, record) in shard.changed_since(saved.change) {
            self.sql.exec(
                "INSERT OR REPLACE INTO deployments (identity, json) VALUES (?, ?)",
                vec![identity.to_owned().into(), record.to_json().into()],
            )?;
        }
        if shard.head() == saved { Ok(()) } else { self.save_head(shard.head()) }
    }

    fn save_head(&self, head: Head) -> Result<()> {
        self.sql.exec("INSERT OR REPLACE INTO head (id, json) VALUES (0, ?)", vec![head.to_json().into()])?;
        self.saved.set(head);
        Ok(())
    }

    /// Tells the hub what holds everywhere, and learns what the other regions told it.
    async fn ask_hub(&self, env: &Env, pool: &str) -> std::result::Result<(), String> {
        let said = |error: worker::Error| error.to_string();
        let report = self.with(|shard, now, _| shard.report_to_hub(now)).map_err(said)?;
        let stub =
            env.durable_object(BINDING).and_then(|objects| objects.get_by_name(&format!("{pool}/{HUB}")));
        let answer = match share::ask(stub, "report", Some(report.to_json())).await {
            Ok(bytes) => Answer::parse(&bytes).map_err(|error| error.to_string()),
            Err(error) => Err(error),
        };
        self.with(|shard, now, _| match &answer {
            Ok(answer) => shard.learn_from_hub(answer, now),
            Err(_) => shard.hub_failed(now),
        })
        .map_err(said)?;
        answer.map(drop)
    }
}
