//! What one isolate keeps between requests: the compiled routes and a source of randomness. Plain data only, since I/O objects
//! belong to the request that made them.
//!
//! The routes document in KV wins; with none there, the one that was compiled in serves. It is compiled once and looked at again
//! in the background. A document that does not compile, or vanishes, never takes traffic: the last good one goes on, in this
//! isolate from memory, in a new one from its copy in KV under [`LAST_GOOD`].

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use wasm_bindgen::{JsCast, JsValue};

use super::host::Exchange;
use super::js::{Env, KvNamespace};
use super::task::Wait;
use super::{clock, js};
use crate::attempt::attempt_budgets::AttemptBudgets;
use crate::balance::cursors::Cursors;
use crate::health::Health;
use crate::routes::graph::Graph;
use crate::routes::{Issue, compile};
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::rng::{Rng, SplitMix64, stable_hash};
use crate::vocabulary::time::Millis;

/// The binding of the KV namespace.
const NAMESPACE: &str = "ROUTES";
/// The key of the routes document there.
const CURRENT: &str = "routes";
/// The key of the copy of the last one that compiled.
const LAST_GOOD: &str = "routes.last-good";
/// The shortest time that KV keeps what it read near by: <https://developers.cloudflare.com/kv/api/read-key-value-pairs/>
const KV_CACHE_SECONDS: u32 = 30;
/// How long an isolate without any routes waits before it looks again.
const RETRY_MS: Millis = 2_000;
/// What serves where KV has no document, and what served before the first one that came there.
const COMPILED_IN: &str = include_str!("../../routes.json");

thread_local! {
    static ROUTES: RefCell<Option<Rc<Routes>>> = const { RefCell::new(None) };
    static CHECKED_AT: Cell<Millis> = const { Cell::new(0) };
    static TROUBLE: RefCell<Option<Trouble>> = const { RefCell::new(None) };
    static FAILED_AT: Cell<Option<Millis>> = const { Cell::new(None) };
    static RNG: RefCell<Option<SplitMix64>> = const { RefCell::new(None) };
}

/// Routes that serve.
pub struct Routes {
    /// The compiled document.
    pub graph: Rc<Graph>,
    /// Turns of its round-robin nodes.
    pub cursors: Cursors,
    /// What is known of its deployments.
    pub health: RefCell<Health>,
    /// Further attempts that its nodes' requests may make.
    pub budgets: RefCell<AttemptBudgets>,
    /// Where the document came from.
    pub source: Source,
    /// What is not as it should be, and does not keep it from serving.
    pub warnings: Vec<Issue>,
    hash: u64,
}

/// Where a document came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// KV, key `routes`.
    Kv,
    /// KV, key `routes.last-good`: the current one is missing or bad.
    LastGood,
    /// The Worker itself.
    CompiledIn,
}

impl Source {
    /// Its name in the admin API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kv => "kv",
            Self::LastGood => "last_good",
            Self::CompiledIn => "compiled_in",
        }
    }
}

/// What is the matter with the document in KV, while another one serves.
#[derive(Clone)]
pub enum Trouble {
    /// It does not compile.
    Refused {
        /// Everything that is wrong with it.
        issues: Vec<Issue>,
        /// Of its text.
        hash: u64,
    },
    /// It is there no more.
    Gone,
}

impl Trouble {
    fn is_refusal_of(&self, document: u64) -> bool {
        matches!(self, Self::Refused { hash, .. } if *hash == document)
    }
}

/// The routes to serve this request with.
pub async fn routes(exchange: &Exchange) -> Result<Rc<Routes>, ClientError> {
    let known = current();
    let now = clock::now();
    let Some(routes) = known else {
        if FAILED_AT.get().is_some_and(|failed_at| now.saturating_sub(failed_at) < RETRY_MS) {
            return Err(ClientError::RoutesUnavailable);
        }
        let loaded = load(exchange).await;
        FAILED_AT.set(loaded.is_err().then(clock::now));
        return loaded;
    };
    if now.saturating_sub(CHECKED_AT.get()) >= routes.graph.settings.refresh_ms {
        CHECKED_AT.set(now);
        let env = exchange.env();
        js::wait_until(exchange, async move { refresh(&env).await });
    }
    Ok(routes)
}

/// The routes that serve new requests, once there are any.
pub fn current() -> Option<Rc<Routes>> {
    ROUTES.with_borrow(Clone::clone)
}

/// What is the matter with the document in KV, if anything is.
pub fn trouble() -> Option<Trouble> {
    TROUBLE.with_borrow(Clone::clone)
}

/// 64 random bits.
pub fn entropy() -> u64 {
    RNG.with_borrow_mut(|rng| rng.get_or_insert_with(|| SplitMix64::new(seed())).next_u64())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "any bits will do")]
fn seed() -> u64 {
    let half = || (js_sys::Math::random() * 4_294_967_296.0) as u64;
    (half() << 32) ^ half() ^ clock::now()
}

/// The first routes of a new isolate.
async fn load(exchange: &Exchange) -> Result<Rc<Routes>, ClientError> {
    let env = &exchange.env();
    let store: Option<KvNamespace> = js::binding(env, NAMESPACE);
    let current = match &store {
        None => None,
        // What stands in KV is not known, and what was compiled in may be long outdated: better no routes than wrong ones.
        Some(store) => read(store, CURRENT).await.map_err(|()| ClientError::RoutesUnavailable)?,
    };
    CHECKED_AT.set(clock::now());
    let adopted = current.as_ref().and_then(|document| adopt(document, Source::Kv, env));
    if let (Some(routes), Some(store), Some(document)) = (adopted, store.clone(), current.clone()) {
        js::wait_until(exchange, async move { remember(&store, &document).await });
        return Ok(routes);
    }
    let last_good = match &store {
        None => None,
        Some(store) => read(store, LAST_GOOD).await.map_err(|()| ClientError::RoutesUnavailable)?,
    };
    if let Some(routes) = last_good.and_then(|document| adopt(&document, Source::LastGood, env)) {
        if current.is_none() {
            note(Trouble::Gone);
        }
        return Ok(routes);
    }
    adopt(COMPILED_IN, Source::CompiledIn, env).ok_or(ClientError::RoutesUnavailable)
}

/// Looks whether KV has another document by now.
async fn refresh(env: &Env) {
    let (Some(store), Some(serving)) = (js::binding(env, NAMESPACE), current()) else { return };
    let Ok(current) = read(&store, CURRENT).await else { return };
    let Some(document) = current else {
        if serving.source != Source::CompiledIn {
            note(Trouble::Gone);
        }
        return;
    };
    let hash = stable_hash(document.as_bytes());
    if serving.source == Source::Kv && serving.hash == hash {
        TROUBLE.set(None);
    } else if !trouble().is_some_and(|trouble| trouble.is_refusal_of(hash))
        && adopt(&document, Source::Kv, env).is_some()
    {
        remember(&store, &document).await;
    }
}

/// Serves from this document from now on, if it compiles.
fn adopt(document: &str, source: Source, env: &Env) -> Option<Rc<Routes>> {
    let hash = stable_hash(document.as_bytes());
    let variable = |name: &str| js::string_at(env.unchecked_ref(), name);
    match compile(document, &variable) {
        Ok(compiled) => {
            for warning in &compiled.warnings {
                js::warn(&format!("routes: {warning}"));
            }
            let mut rng = SplitMix64::new(entropy());
            let cursors = Cursors::new(compiled.graph.node_count, &mut rng);
            let graph = Rc::new(compiled.graph);
            let known = graph.deployments.iter().map(|found| (found.identity.clone(), found.limits));
            let mut health = Health::new(known);
            if let Some(before) = current() {
                health.adopt(&before.health.borrow());
            }
            let routes = Rc::new(Routes {
                graph,
                cursors,
                health: RefCell::new(health),
                budgets: RefCell::default(),
                source,
                warnings: compiled.warnings,
                hash,
            });
            ROUTES.set(Some(Rc::clone(&routes)));
            if source == Source::Kv {
                TROUBLE.set(None);
            }
            Some(routes)
        }
        Err(issues) => {
            if source == Source::Kv {
                note(Trouble::Refused { issues, hash });
            } else {
                // The trouble that is shown is that of the document in KV.
                js::warn(&format!(
                    "routes: {} does not compile either: {} issues",
                    source.name(),
                    issues.len()
                ));
            }
            None
        }
    }
}

/// Notes what is the matter with the document in KV, and says it once.
fn note(trouble: Trouble) {
    let is_known = TROUBLE.with_borrow(|known| match (known, &trouble) {
        (Some(Trouble::Gone), Trouble::Gone) => true,
        (Some(known), Trouble::Refused { hash, .. }) => known.is_refusal_of(*hash),
        _ => false,
    });
    if is_known {
        return;
    }
    match &trouble {
        Trouble::Gone => js::warn("routes: the document is gone from KV; what served before goes on"),
        Trouble::Refused { issues, .. } => {
            for issue in issues {
                js::warn(&format!("routes: the document is refused; what served before goes on: {issue}"));
            }
        }
    }
    TROUBLE.set(Some(trouble));
}

async fn read(store: &KvNamespace, key: &str) -> Result<Option<String>, ()> {
    let options = js::object("cacheTtl", &KV_CACHE_SECONDS.into());
    let get = async || Wait::of(&store.get(key, &options)?).await;
    for _ in 0..2 {
        match get().await {
            Ok(value) => return Ok(value.as_string()),
            Err::<_, JsValue>(error) => {
                js::warn(&format!("routes: KV does not answer: {}", js::text_of(&error)));
            }
        }
    }
    Err(())
}

/// Keeps a copy for isolates that start while the current document is bad or gone. Many isolates do this at once and KV takes
/// one write a second; any of them will do.
async fn remember(store: &KvNamespace, document: &str) {
    if read(store, LAST_GOOD).await.is_ok_and(|known| known.as_deref() == Some(document)) {
        return;
    }
    if let Ok(put) = store.put(LAST_GOOD, document) {
        let _ = Wait::of(&put).await;
    }
}
