//! Which routes document serves.
//!
//! The routes document in KV has priority. If KV has none, the document that is compiled into the
//! Worker serves. An isolate compiles a document once, and checks KV again in the background. A
//! document that does not compile, or that disappears, never affects traffic: the last good
//! document continues to serve. A running isolate has it in memory. A new isolate reads its copy in
//! KV, under `routes.last-good`.
//!
//! A document is read by one request at a time, and all others that need it wait for that read.
//!
//! Invariant: only two kinds of requests wait for KV. Those that arrive before the first document
//! is loaded wait until it is. Those that arrive when the document was not confirmed for
//! `settings.max_stale_seconds` wait for half a second at most: a key that was taken out of the
//! document must not open an isolate that was idle.

use std::pin::Pin;
use std::rc::Rc;

use super::isolate_memory::{DocumentProblem, Isolate};
use super::object_reports::share;
use super::platform::{Platform, PlatformError, StoredText};
use super::serving::{Serving, Source};
use super::timing::{look_again, sleep, until};
use crate::health::drains::name_key;
use crate::health::shard::object_requests::Order;
use crate::routes::{Compiled, doubts, version_of};
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::rng::{SplitMix64, stable_hash};
use crate::vocabulary::switch::Switch;
use crate::vocabulary::time::{Instant, Millis};

/// The key of the routes document in the store.
pub(super) const CURRENT: &str = "routes";
/// The key of the document that a canary serves.
pub(super) const CANARY: &str = "routes.canary";
/// The key of the copy of the last document that compiled.
const LAST_GOOD: &str = "routes.last-good";
/// How long an isolate without routes waits before it reads the store again.
const RETRY_MS: Millis = Millis::new(2_000);
/// How long one read or write of the store may take. Reads take tens of milliseconds.
const STORE_MS: Millis = Millis::new(3_000);
/// A read that has not ended after this time has died with its request. Another one may begin.
const DEAD_AFTER_MS: Millis = Millis::new(15_000);
/// The longest time that requests wait for the check of a stale document, since it began.
const STALE_WAIT_MS: Millis = Millis::new(500);
/// How long after its start an isolate makes the copy, so that this work does not delay its first
/// requests.
const REMEMBER_AFTER_MS: Millis = Millis::new(1_000);
/// How long the objects keep a drain after the document has lost the name of the deployment. It is
/// less than the half minute that the platform allows for work after a request.
const END_DRAIN_AFTER_MS: Millis = Millis::new(20_000);
/// How long the store may still show an older document where a newer one was written: its caches,
/// and the way to them.
pub(super) const OUTDATED_MS: Millis = Millis::new(90_000);
/// The document that serves if the store has none and had none before.
const COMPILED_IN: &str = include_str!("../../routes.json");

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// It is in the store.
    Yes,
    /// The store refused it.
    No,
    /// The store did not answer in time.
    Unknown,
}

impl Isolate {
    /// The routes that serve a request.
    ///
    /// # Errors
    /// If there are no routes yet, and the store does not answer.
    pub async fn routes<P: Platform>(&self, platform: &P) -> Result<Rc<Serving>, ClientError> {
        let now = platform.now();
        let Some(routes) = self.current() else { return self.first_routes(platform).await };
        let (refresh_ms, max_stale_ms) =
            (routes.graph.settings.refresh_ms, routes.graph.settings.max_stale_ms);
        if now - self.checked_at.get() >= refresh_ms
            && !self.has_just_failed(now)
            && let Some(under_way) = StoreRead::begin(platform)
        {
            self.checked_at.set(now);
            let background = platform.clone();
            platform.in_background(async move {
                background.isolate().refresh(&background, under_way).await;
            });
        }
        if now - self.confirmed_at.get() < max_stale_ms {
            return Ok(routes);
        }
        drop(routes);
        self.confirmed_routes(platform).await
    }

    /// The first routes of a new isolate. One request loads them, the others wait for it.
    async fn first_routes<P: Platform>(&self, platform: &P) -> Result<Rc<Serving>, ClientError> {
        let began_at = platform.now();
        loop {
            if let Some(routes) = self.current() {
                return Ok(routes);
            }
            if self.has_just_failed(platform.now()) {
                return Err(ClientError::RoutesUnavailable);
            }
            if let Some(_under_way) = StoreRead::begin(platform) {
                let loaded = self.load(platform).await;
                self.failed_at.set(loaded.is_err().then(|| platform.now()));
                return loaded.map_err(|_| ClientError::RoutesUnavailable);
            }
            look_again(platform, began_at).await;
        }
    }

    /// The routes after the check of a stale document, if there is one. If the store does not
    /// answer in time, the known document goes on.
    async fn confirmed_routes<P: Platform>(&self, platform: &P) -> Result<Rc<Serving>, ClientError> {
        let (began_at, checked_at) = (platform.now(), self.checked_at.get());
        let is_confirmed = || self.confirmed_at.get() >= checked_at;
        while !is_confirmed()
            && self.is_reading(platform.now())
            && platform.now() < checked_at + STALE_WAIT_MS
        {
            look_again(platform, began_at).await;
        }
        if !is_confirmed() && self.stale_check.replace(checked_at) != checked_at {
            let seconds = (platform.now() - self.confirmed_at.get()).seconds_rounded_up();
            platform.warn(&format!(
                "routes: KV does not answer; the document that it had {seconds} s ago goes on"
            ));
        }
        self.current().ok_or(ClientError::RoutesUnavailable)
    }

    /// Whether the latest read failed less than [`RETRY_MS`] ago.
    fn has_just_failed(&self, now: Instant) -> bool {
        self.failed_at.get().is_some_and(|failed_at| now - failed_at < RETRY_MS)
    }

    /// Whether a read of the document is under way.
    fn is_reading(&self, now: Instant) -> bool {
        self.reading_since.get().is_some_and(|since| now - since < DEAD_AFTER_MS)
    }

    /// Loads the first routes of a new isolate. If the store does not answer, there are none: the
    /// compiled-in document may be long outdated, and no routes are better than wrong routes.
    async fn load<P: Platform>(&self, platform: &P) -> Result<Rc<Serving>, PlatformError> {
        let asked_at = platform.now();
        let current = read(platform, CURRENT).await?;
        self.checked_at.set(asked_at);
        self.confirmed_at.set(asked_at);
        if let Some(StoredText { text, note }) = &current
            && let Some(routes) = self.adopt(platform, text, Source::Kv).await
        {
            let (background, document, routes_hash) = (platform.clone(), text.clone(), routes.hash);
            let note = note.clone();
            platform.in_background(async move {
                sleep(&background, REMEMBER_AFTER_MS).await;
                background.isolate().follow_canary(&background, note.as_deref()).await;
                background.isolate().log_doubts(&background);
                remember(&background, &document).await;
                background.isolate().notice_once(&background, routes_hash, &document).await;
            });
            return Ok(routes);
        }
        let last_good = read(platform, LAST_GOOD).await?;
        if let Some(StoredText { text, .. }) = last_good
            && let Some(routes) = self.adopt(platform, &text, Source::LastGood).await
        {
            if current.is_none() {
                self.note(platform, DocumentProblem::Missing);
            }
            return Ok(routes);
        }
        self.adopt(platform, COMPILED_IN, Source::CompiledIn)
            .await
            .ok_or_else(|| PlatformError::new("the document that was compiled in is refused"))
    }

    /// Checks whether the store has another document.
    async fn refresh<P: Platform>(&self, platform: &P, under_way: StoreRead<P>) {
        let asked_at = platform.now();
        let current = read(platform, CURRENT).await;
        self.failed_at.set(current.is_err().then(|| platform.now()));
        let (Some(serving), Ok(current)) = (self.current(), current) else { return };
        self.confirmed_at.set(asked_at);
        let has_other_secrets = self.refresh_secrets(platform).await;
        let found = current.map(|found| (stable_hash(found.text.as_bytes()), found));
        if self.is_outdated(platform.now(), found.as_ref().map(|(hash, _)| *hash)) {
            return;
        }
        let Some((hash, StoredText { text: document, note })) = found else {
            if serving.source != Source::CompiledIn {
                self.note(platform, DocumentProblem::Missing);
            } else if has_other_secrets {
                self.adopt(platform, COMPILED_IN, Source::CompiledIn).await;
            }
            return;
        };
        if serving.source == Source::Kv && serving.hash == hash && !has_other_secrets {
            self.problem.replace(None);
            self.follow_canary(platform, note.as_deref()).await;
            drop(under_way);
            self.notice_once(platform, hash, &document).await;
        } else if (has_other_secrets || !self.problem().is_some_and(|problem| problem.is_refusal_of(hash)))
            && self.adopt(platform, &document, Source::Kv).await.is_some()
        {
            self.follow_canary(platform, note.as_deref()).await;
            drop(under_way);
            self.log_doubts(platform);
            remember(platform, &document).await;
            self.notice_once(platform, hash, &document).await;
        }
    }

    /// Whether what the store has is older than the document that was written here. `found`: the
    /// hash of its document, if it has one.
    fn is_outdated(&self, now: Instant, found: Option<u64>) -> bool {
        self.written.get().is_some_and(|(hash, until)| now < until && found != Some(hash))
    }

    /// The registry writes the document with this hash. What was written here before is now older.
    pub(super) fn await_document(&self, hash: u64, now: Instant) {
        self.written.set(Some((hash, now + OUTDATED_MS)));
    }

    /// The document in the store, as its caches have it.
    ///
    /// # Errors
    /// The store does not answer.
    pub(super) async fn stored<P: Platform>(&self, platform: &P) -> Result<Option<String>, ClientError> {
        let stored = read(platform, CURRENT).await.map_err(|_| ClientError::RoutesNotWritten)?;
        Ok(stored.map(|stored| stored.text))
    }

    /// The document that is compiled into the Worker, and its version.
    pub(super) fn compiled_in() -> (String, String) {
        (COMPILED_IN.to_owned(), version_of(stable_hash(COMPILED_IN.as_bytes())))
    }

    /// Writes a document that was compiled to the store, and serves from it at once.
    pub(super) async fn write<P: Platform>(
        &self,
        platform: &P,
        document: &str,
        compiled: Compiled,
    ) -> Written {
        let write = platform.write_document(CURRENT, document);
        match until(platform, platform.now() + STORE_MS, write).await {
            Some(Ok(())) => {
                let hash = stable_hash(document.as_bytes());
                self.await_document(hash, platform.now());
                self.noticed.set(Some(hash));
                self.serve_from(platform, compiled, Source::Kv, hash);
                Written::Yes
            }
            Some(Err(error)) => {
                platform.warn(&format!("routes: KV does not take the document: {error}"));
                Written::No
            }
            None => Written::Unknown,
        }
    }

    /// Logs the doubts about the document that serves. No request waits for this.
    fn log_doubts<P: Platform>(&self, platform: &P) {
        let Some(serving) = self.current() else { return };
        for doubt in doubts(&serving.graph, &|name: &str| platform.variable(name)) {
            platform.warn(&format!("routes: {doubt}"));
        }
    }

    /// Serves from this document from now on, if it compiles.
    async fn adopt<P: Platform>(&self, platform: &P, document: &str, source: Source) -> Option<Rc<Serving>> {
        let hash = stable_hash(document.as_bytes());
        match self.compiled(platform, document).await {
            Ok(compiled) => Some(self.serve_from(platform, compiled, source, hash)),
            Err(issues) if source == Source::Kv => {
                self.note(platform, DocumentProblem::Refused { issues, hash });
                None
            }
            // The recorded problem is always that of the document in KV.
            Err(issues) => {
                let (name, count) = (source.name(), issues.len());
                platform.warn(&format!("routes: {name} does not compile either: {count} issues"));
                None
            }
        }
    }

    /// Serves from a compiled document from now on. `hash`: that of its text.
    fn serve_from<P: Platform>(
        &self,
        platform: &P,
        compiled: Compiled,
        source: Source,
        hash: u64,
    ) -> Rc<Serving> {
        for warning in &compiled.warnings {
            platform.warn(&format!("routes: {warning}"));
        }
        let mut rng = SplitMix64::new(platform.random());
        let mut routes = Serving::new(compiled, source, hash, self.current().as_deref(), &mut rng);
        // A canary that takes over brings what it knows of the deployments that are new with it.
        if let Some(canary) = self.canary.take().filter(|canary| canary.serving.hash == hash) {
            routes.learn_from(&canary.serving);
        }
        let routes = Rc::new(routes);
        let before = self.routes.replace(Some(Rc::clone(&routes)));
        if let Some(before) = before {
            end_drains(platform, &before, &routes);
            self.keep_drains(&routes, platform.now());
        }
        if source == Source::Kv {
            self.problem.replace(None);
        }
        routes
    }

    /// Drains the deployments that have come back before their drains ended.
    fn keep_drains(&self, routes: &Serving, now: Instant) {
        self.ending_drains.borrow_mut().retain(|(name, ends_at)| {
            let found = routes.graph.deployments.iter().find(|deployment| deployment.name == *name);
            if let Some(deployment) = found.filter(|_| now < *ends_at) {
                routes.health.borrow_mut().drain(deployment.id);
            }
            found.is_none()
        });
    }

    /// Whether the drain of this name ends now.
    fn has_drain_ended(&self, name: &str, now: Instant) -> bool {
        let mut ending = self.ending_drains.borrow_mut();
        let before = ending.len();
        ending.retain(|(known, ends_at)| known != name || now < *ends_at);
        ending.len() < before
    }

    /// Records the problem of the document in KV, and logs it once.
    fn note<P: Platform>(&self, platform: &P, problem: DocumentProblem) {
        let is_known = match (&*self.problem.borrow(), &problem) {
            (Some(DocumentProblem::Missing), DocumentProblem::Missing) => true,
            (Some(known), DocumentProblem::Refused { hash, .. }) => known.is_refusal_of(*hash),
            _ => false,
        };
        if is_known {
            return;
        }
        match &problem {
            DocumentProblem::Missing => {
                platform.warn("routes: the document is gone from KV; what served before goes on");
            }
            DocumentProblem::Refused { issues, .. } => {
                for issue in issues {
                    platform.warn(&format!(
                        "routes: the document is refused; what served before goes on: {issue}"
                    ));
                }
            }
        }
        self.problem.replace(Some(problem));
    }
}

/// A drain ends when the document no longer has the name of its deployment. It ends only after a
/// while: an old copy of the document may have come back for a moment.
fn end_drains<P: Platform>(platform: &P, before: &Serving, now: &Serving) {
    for gone in &before.graph.deployments {
        let name = &gone.name;
        if !before.health.borrow().is_drained(gone.id) || now.has_deployment(name) {
            continue;
        }
        let ends_at = platform.now() + END_DRAIN_AFTER_MS;
        platform.isolate().ending_drains.borrow_mut().push((name.clone(), ends_at));
        let (background, name, key) = (platform.clone(), name.clone(), name_key(&gone.identity));
        platform.in_background(async move {
            sleep(&background, END_DRAIN_AFTER_MS).await;
            if !background.isolate().has_drain_ended(&name, background.now()) {
                return;
            }
            background
                .warn(&format!("health: the drain of {name} ends: the routes document no longer has it"));
            let order = Order { switch: Switch::Enable, deployments: Some(vec![key]), fault: String::new() };
            if let Err(error) = share(&background, &order).await {
                background.warn(&format!("health: the end of the drain of {name} was not shared: {error}"));
            }
        });
    }
}

/// The one read of the document that is under way in an isolate. If its request ends early, another
/// request may begin one.
struct StoreRead<P: Platform> {
    platform: P,
    since: Instant,
}

impl<P: Platform> StoreRead<P> {
    /// Begins a read; `None` if one is under way.
    fn begin(platform: &P) -> Option<Self> {
        let (isolate, since) = (platform.isolate(), platform.now());
        if isolate.is_reading(since) {
            return None;
        }
        isolate.reading_since.set(Some(since));
        Some(Self { platform: platform.clone(), since })
    }
}

impl<P: Platform> Drop for StoreRead<P> {
    fn drop(&mut self) {
        let reading_since = &self.platform.isolate().reading_since;
        if reading_since.get() == Some(self.since) {
            reading_since.set(None);
        }
    }
}

/// Reads a document. If the store does not answer, tries once more.
pub(super) async fn read<P: Platform>(platform: &P, key: &str) -> Result<Option<StoredText>, PlatformError> {
    let mut tries = 0;
    loop {
        let result = read_within(platform, key, platform.now() + STORE_MS).await;
        let Err(error) = &result else { return result };
        platform.warn(&format!("routes: KV does not answer: {error}"));
        tries += 1;
        if tries == 2 {
            return result;
        }
    }
}

/// What the store has. It is behind a pointer, so that there is one copy of the code.
type StoredFuture<'a> = Pin<Box<dyn Future<Output = Result<Option<StoredText>, PlatformError>> + 'a>>;

/// Reads a document, if the store answers until this time.
pub(super) fn read_within<'a, P: Platform>(
    platform: &'a P,
    key: &'a str,
    until: Instant,
) -> StoredFuture<'a> {
    Box::pin(in_time(platform, until, platform.read_document(key)))
}

/// Writes a copy for isolates that start while the current document is bad or missing. Many
/// isolates do this at once, and KV accepts one write a second. It is enough that one write
/// succeeds.
async fn remember<P: Platform>(platform: &P, document: &str) {
    if read(platform, LAST_GOOD).await.is_ok_and(|known| known.is_some_and(|known| known.text == document)) {
        return;
    }
    // If this write fails, the next isolate writes the copy.
    let until = platform.now() + STORE_MS;
    let _ = in_time(platform, until, platform.write_document(LAST_GOOD, document)).await;
}

/// The answer of the store, if it comes until this time.
async fn in_time<P: Platform, T>(
    platform: &P,
    at: Instant,
    asked: impl Future<Output = Result<T, PlatformError>>,
) -> Result<T, PlatformError> {
    let within_ms = at - platform.now();
    let late = || Err(PlatformError::new(format!("no answer within {within_ms} ms")));
    until(platform, at, asked).await.unwrap_or_else(late)
}
