//! Which routes document serves.
//!
//! The routes document in KV has priority. If KV has none, the document that is compiled into the
//! Worker serves. An isolate compiles a document once, and checks KV again in the background. A
//! document that does not compile, or that disappears, never affects traffic: the last good
//! document continues to serve. A running isolate has it in memory. A new isolate reads its copy in
//! KV, under `routes.last-good`.
//!
//! Invariant: only requests that arrive before the first document is loaded wait for KV.

use std::rc::Rc;

use super::isolate_memory::{DocumentProblem, Isolate};
use super::platform::{Platform, PlatformError};
use super::serving::{Serving, Source};
use super::timing::sleep;
use crate::routes::compile;
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::rng::{SplitMix64, stable_hash};
use crate::vocabulary::time::Millis;

/// The key of the routes document in the store.
const CURRENT: &str = "routes";
/// The key of the copy of the last document that compiled.
const LAST_GOOD: &str = "routes.last-good";
/// How long an isolate without routes waits before it reads the store again.
const RETRY_MS: Millis = Millis::new(2_000);
/// How long after its start an isolate makes the copy. Its first requests do not wait beside it.
const REMEMBER_AFTER_MS: Millis = Millis::new(1_000);
/// The document that serves if the store has none and had none before.
const COMPILED_IN: &str = include_str!("../../routes.json");

impl Isolate {
    /// The routes that serve a request.
    ///
    /// # Errors
    /// If there are no routes yet, and the store does not answer.
    pub async fn routes<P: Platform>(&self, platform: &P) -> Result<Rc<Serving>, ClientError> {
        let now = platform.now();
        let Some(routes) = self.current() else {
            if self.failed_at.get().is_some_and(|failed_at| now - failed_at < RETRY_MS) {
                return Err(ClientError::RoutesUnavailable);
            }
            let loaded = self.load(platform).await;
            self.failed_at.set(loaded.is_err().then(|| platform.now()));
            return loaded.map_err(|_| ClientError::RoutesUnavailable);
        };
        if now - self.checked_at.get() >= routes.graph.settings.refresh_ms {
            self.checked_at.set(now);
            let background = platform.clone();
            platform.in_background(async move { background.isolate().refresh(&background).await });
        }
        Ok(routes)
    }

    /// Loads the first routes of a new isolate. If the store does not answer, there are none: the
    /// compiled-in document may be long outdated, and no routes are better than wrong routes.
    async fn load<P: Platform>(&self, platform: &P) -> Result<Rc<Serving>, PlatformError> {
        let current = read(platform, CURRENT).await?;
        self.checked_at.set(platform.now());
        if let Some(document) = &current
            && let Some(routes) = self.adopt(platform, document, Source::Kv)
        {
            let (background, document) = (platform.clone(), document.clone());
            platform.in_background(async move {
                sleep(&background, REMEMBER_AFTER_MS).await;
                remember(&background, &document).await;
            });
            return Ok(routes);
        }
        let last_good = read(platform, LAST_GOOD).await?;
        if let Some(routes) = last_good.and_then(|document| self.adopt(platform, &document, Source::LastGood))
        {
            if current.is_none() {
                self.note(platform, DocumentProblem::Missing);
            }
            return Ok(routes);
        }
        self.adopt(platform, COMPILED_IN, Source::CompiledIn)
            .ok_or_else(|| PlatformError::new("the document that was compiled in is refused"))
    }

    /// Checks whether the store has another document.
    async fn refresh<P: Platform>(&self, platform: &P) {
        let Some(serving) = self.current() else { return };
        let Ok(current) = read(platform, CURRENT).await else { return };
        let Some(document) = current else {
            if serving.source != Source::CompiledIn {
                self.note(platform, DocumentProblem::Missing);
            }
            return;
        };
        let hash = stable_hash(document.as_bytes());
        if serving.source == Source::Kv && serving.hash == hash {
            self.problem.replace(None);
        } else if !self.problem().is_some_and(|problem| problem.is_refusal_of(hash))
            && self.adopt(platform, &document, Source::Kv).is_some()
        {
            remember(platform, &document).await;
        }
    }

    /// Serves from this document from now on, if it compiles.
    fn adopt<P: Platform>(&self, platform: &P, document: &str, source: Source) -> Option<Rc<Serving>> {
        let hash = stable_hash(document.as_bytes());
        match compile(document, &|name: &str| platform.variable(name)) {
            Ok(compiled) => {
                for warning in &compiled.warnings {
                    platform.warn(&format!("routes: {warning}"));
                }
                let mut rng = SplitMix64::new(platform.random());
                let routes =
                    Rc::new(Serving::new(compiled, source, hash, self.current().as_deref(), &mut rng));
                self.routes.replace(Some(Rc::clone(&routes)));
                if source == Source::Kv {
                    self.problem.replace(None);
                }
                Some(routes)
            }
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

/// Reads a document. If the store does not answer, tries once more.
async fn read<P: Platform>(platform: &P, key: &str) -> Result<Option<String>, PlatformError> {
    let mut tries = 0;
    loop {
        let result = platform.read_document(key).await;
        let Err(error) = &result else { return result };
        platform.warn(&format!("routes: KV does not answer: {error}"));
        tries += 1;
        if tries == 2 {
            return result;
        }
    }
}

/// Writes a copy for isolates that start while the current document is bad or missing. Many
/// isolates do this at once, and KV accepts one write a second. It is enough that one write
/// succeeds.
async fn remember<P: Platform>(platform: &P, document: &str) {
    if read(platform, LAST_GOOD).await.is_ok_and(|known| known.as_deref() == Some(document)) {
        return;
    }
    // If this write fails, the next isolate writes the copy.
    let _ = platform.write_document(LAST_GOOD, document).await;
}
