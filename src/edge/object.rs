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

use js_sys::{Array, Promise};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use web_sys::{Request, Response, ResponseInit};
use worker_sys::{DurableObjectNamespace, DurableObjectState, SqlStorage};

use super::js::Env;
use super::share::{self, BINDING, HUB, ORIGIN};
use super::task::Wait;
use super::{clock, isolate, js, task};
use crate::health::shard::{SavedDeployment, Shard, ShardHead};
use crate::health::wire::{HealthReport, ShardAnswer};
use crate::request::admin_path::Switch;
use crate::vocabulary::rng::SplitMix64;
use crate::vocabulary::time::Millis;

/// How often to look for what nobody mentions any more.
const FORGET_EVERY_MS: Millis = 600_000;

/// The Durable Object, as `worker.js` has it.
#[wasm_bindgen]
pub struct HealthObject(Rc<Object>);

struct Object {
    state: DurableObjectState,
    env: Env,
    memory: Rc<Memory>,
}

/// The shard, and its copy in storage.
struct Memory {
    sql: SqlStorage,
    shard: RefCell<Option<Shard>>,
    saved: Cell<ShardHead>,
    forget_at: Cell<Millis>,
}

/// What an administrator wants done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// What.
    #[serde(rename = "action")]
    pub switch: Switch,
    /// With which deployments, by identity; `None`: with all.
    pub deployments: Option<Vec<String>>,
}

#[wasm_bindgen]
impl HealthObject {
    /// Called once for each life of the object.
    ///
    /// # Errors
    /// Those of the runtime.
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: Env) -> Result<Self, JsValue> {
        let memory = Memory {
            sql: state.storage()?.sql(),
            shard: RefCell::new(None),
            saved: Cell::default(),
            forget_at: Cell::new(0),
        };
        Ok(Self(Rc::new(Object { state, env, memory: Rc::new(memory) })))
    }

    /// Called for every request: a promise of the response.
    pub fn fetch(&self, request: Request) -> Promise {
        let object = Rc::clone(&self.0);
        task::promise(async move { object.answer(request).await.map(JsValue::from) })
    }
}

impl Object {
    async fn answer(&self, request: Request) -> Result<Response, JsValue> {
        let body = Wait::of(&request.text()?).await?.as_string().unwrap_or_default();
        match request.url().strip_prefix(ORIGIN) {
            Some("report") => match HealthReport::parse(body.as_bytes()) {
                Ok(report) => self.report(&report),
                Err(error) => answer(400, &error.to_string()),
            },
            Some("switch") => match serde_json::from_str(&body) {
                Ok(order) => self.switch(&order),
                Err(error) => answer(400, &error.to_string()),
            },
            Some("view") => {
                let view = self.memory.with(|shard, now, _| shard.view(now))?;
                answer(200, &serde_json::to_string(&view).unwrap_or_default())
            }
            _ => answer(404, "not found"),
        }
    }
}

fn answer(status: u16, body: &str) -> Result<Response, JsValue> {
    let init = ResponseInit::new();
    init.set_status(status);
    Response::new_with_opt_str_and_init(Some(body), &init)
}

impl Object {
    fn report(&self, report: &HealthReport) -> Result<Response, JsValue> {
        let (answer, asks_hub) = self.memory.with(|shard, now, rng| {
            let answer = shard.report(report, now, rng);
            (answer, shard.hub_at().is_some_and(|at| at <= now))
        })?;
        if asks_hub && let Some(pool) = self.pool_with_another_hub() {
            let (memory, env) = (Rc::clone(&self.memory), self.env.clone());
            let asked = task::promise(async move {
                if let Err(error) = memory.ask_hub(&env, &pool).await {
                    js::warn(&format!("health: the hub of {pool} does not answer: {error}"));
                }
                Ok(JsValue::UNDEFINED)
            });
            self.state.wait_until(&asked)?;
        }
        self::answer(200, &answer.to_json())
    }

    fn switch(&self, order: &Order) -> Result<Response, JsValue> {
        let is_done = self.memory.with(|shard, now, _| match (&order.deployments, order.switch) {
            (None, Switch::Reset) => {
                shard.reset_all();
                true
            }
            (None, _) => false,
            (Some(deployments), switch) => deployments.iter().all(|identity| match switch {
                Switch::Drain => shard.drain(identity, now),
                Switch::Enable => shard.enable(identity, now),
                Switch::Reset => shard.reset(identity, now),
            }),
        })?;
        if is_done { answer(200, "{}") } else { answer(400, "there is no room for it") }
    }

    /// The pool of an object that is not its hub.
    fn pool_with_another_hub(&self) -> Option<String> {
        let name = self.state.id().ok().and_then(|id| id.name());
        let Some((pool, region)) = name.as_deref().and_then(|name| name.rsplit_once('/')) else {
            js::warn("health: the object does not know its name; other regions hear nothing from it");
            return None;
        };
        (region != HUB).then(|| pool.to_owned())
    }
}

impl Memory {
    /// Works with the shard, and stores what has changed.
    fn with<T>(&self, work: impl FnOnce(&mut Shard, Millis, &mut SplitMix64) -> T) -> Result<T, JsValue> {
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

    fn load(&self, now: Millis, rng: &mut SplitMix64) -> Result<Shard, JsValue> {
        self.exec("CREATE TABLE IF NOT EXISTS head (id INTEGER PRIMARY KEY, json TEXT NOT NULL)", &[])?;
        let table = "CREATE TABLE IF NOT EXISTS deployments (identity TEXT PRIMARY KEY, json TEXT NOT NULL)";
        self.exec(table, &[])?;
        let rows = self.exec("SELECT json FROM head", &[])?;
        let Some(head) = js::string_at(&rows.get(0), "json").and_then(|json| ShardHead::parse(&json)) else {
            let shard = Shard::new(rng);
            // A history that is lost at once is none: its name has to last.
            self.save_head(shard.head())?;
            return Ok(shard);
        };
        self.saved.set(head);
        let rows = self.exec("SELECT identity, json FROM deployments", &[])?;
        let saved = rows.iter().filter_map(|row| {
            Some((js::string_at(&row, "identity")?, SavedDeployment::parse(&js::string_at(&row, "json")?)?))
        });
        Ok(Shard::restore(head, saved, now))
    }

    /// Without changes, which is the rule, nothing is written.
    fn save(&self, shard: &mut Shard, now: Millis) -> Result<(), JsValue> {
        if now >= self.forget_at.get() {
            self.forget_at.set(now.saturating_add(FORGET_EVERY_MS));
            for identity in shard.forget(now) {
                self.exec("DELETE FROM deployments WHERE identity = ?", &[&identity])?;
            }
        }
        let saved = self.saved.get();
        for (identity, record) in shard.changed_since(saved.change) {
            self.exec(
                "INSERT OR REPLACE INTO deployments (identity, json) VALUES (?, ?)",
                &[identity, &record.to_json()],
            )?;
        }
        if shard.head() == saved { Ok(()) } else { self.save_head(shard.head()) }
    }

    fn save_head(&self, head: ShardHead) -> Result<(), JsValue> {
        self.exec("INSERT OR REPLACE INTO head (id, json) VALUES (0, ?)", &[&head.to_json()])?;
        self.saved.set(head);
        Ok(())
    }

    /// Runs a statement: the rows, each an object. Not by `raw()`, which never ends for a statement that has no columns.
    fn exec(&self, statement: &str, values: &[&str]) -> Result<Array, JsValue> {
        let bindings: Array = values.iter().map(|value| JsValue::from_str(value)).collect();
        Ok(self.sql.exec(statement, bindings)?.to_array())
    }

    /// Tells the hub what holds everywhere, and learns what the other regions told it.
    async fn ask_hub(&self, env: &Env, pool: &str) -> Result<(), String> {
        let said = |error: JsValue| js::text_of(&error);
        let report = self.with(|shard, now, _| shard.report_to_hub(now)).map_err(said)?;
        let objects: Option<DurableObjectNamespace> = js::binding(env, BINDING);
        let stub = objects.ok_or(JsValue::from_str("the binding is missing"));
        let stub = stub.and_then(|objects| share::hub(&objects, pool));
        let answer = match share::ask(stub, "report", Some(report.to_json())).await {
            Ok(text) => ShardAnswer::parse(text.as_bytes()).map_err(|error| error.to_string()),
            Err(error) => Err(error),
        };
        self.with(|shard, now, _| match &answer {
            Ok(answer) => shard.merge_hub_answer(answer, now),
            Err(_) => shard.on_hub_failure(now),
        })
        .map_err(said)?;
        answer.map(drop)
    }
}
