//! Two versions of the routes side by side: a canary serves a share of the requests of this
//! isolate. Which version serves a request is drawn for each request alone.
//!
//! What the isolate counts of both goes to the registry in the background
//! ([`crate::registry::canary`]). Without a canary, nothing here costs anything.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;

use super::canary_state::CanaryServing;
use super::counting::RunningFlush;
use super::isolate_memory::Isolate;
use super::platform::Platform;
use super::registry_link::{ask, value};
use super::routes_document::{CANARY, read};
use super::serving::Serving;
use crate::registry::canary::canary_ledger::CanaryView;
use crate::registry::canary::canary_tally::{CanaryAnswer, CanaryTally};
use crate::registry::canary::canary_trial::{CanaryTerms, CanaryTrial};
use crate::registry::canary::version_counts::CountedEnd;
use crate::routes::{Compiled, version_of};
use crate::scan::json_value;
use crate::vocabulary::rng::{SplitMix64, stable_hash};
use crate::vocabulary::time::{Instant, Millis};

/// How long work in the background waits until a report is due. The platform allows half a minute
/// after a request. A report that is due later goes with a later request.
const LONGEST_WAIT_MS: Millis = Millis::new(20_000);

/// What a request has drawn.
#[derive(Clone)]
pub(super) struct Draw {
    canary: Rc<CanaryServing>,
    is_new: bool,
}

impl Draw {
    /// Counts a request that has ended, and reports if that is due.
    pub(super) fn count<P: Platform>(&self, platform: &P, end: &CountedEnd) {
        let Self { canary, is_new } = self;
        canary.tally.borrow_mut().count(*is_new, end);
        let now = platform.now();
        let due_at = canary.tally.borrow().due_at();
        let Some(due_at) = due_at.filter(|at| *at <= now + LONGEST_WAIT_MS) else { return };
        if now < canary.reporting_until.get() || !platform.has_registry() {
            return;
        }
        canary.reporting_until.set(now + LONGEST_WAIT_MS + LONGEST_WAIT_MS);
        let (running, canary) = (RunningFlush::begin(platform), Rc::clone(canary));
        platform.in_background(async move {
            let platform = &running.0;
            if platform.now() < due_at {
                platform.sleep_until(due_at).await;
            }
            platform.isolate().report_canary(platform, &canary).await;
            canary.reporting_until.set(Instant::EPOCH);
        });
    }
}

impl Isolate {
    /// The routes that serve a request: `routes`, or those of the canary.
    pub(super) fn draw<P: Platform>(&self, platform: &P, routes: Rc<Serving>) -> (Rc<Serving>, Option<Draw>) {
        let canary = self.canary.borrow();
        let is_running =
            |canary: &&Rc<CanaryServing>| canary.base == routes.hash && platform.now() < canary.terms.until;
        let Some(canary) = canary.as_ref().filter(is_running) else { return (routes, None) };
        let is_new = platform.random() % 100 < u64::from(canary.terms.share);
        let draw = Draw { canary: Rc::clone(canary), is_new };
        (if is_new { Rc::clone(&canary.serving) } else { routes }, Some(draw))
    }

    async fn report_canary<P: Platform>(&self, platform: &P, canary: &CanaryServing) {
        let mut rng = SplitMix64::new(platform.random());
        let report = canary.tally.borrow_mut().report(platform.now(), &mut rng);
        // A report that is lost is part of the next one.
        let Ok((200, text)) = ask(platform, "canary/report", &report.numbers()).await else { return };
        let Ok(answer) = value::<CanaryAnswer>(&text) else { return };
        canary.tally.borrow_mut().on_answer(&answer, platform.now(), &mut rng);
        if let Some(reason) = answer.ended {
            self.end_canary(platform, canary.terms.id, &reason);
        }
    }

    /// Serves the canary of this number no longer, whatever the store says. Returns the hash of its
    /// document, if it served here.
    pub(super) fn end_canary<P: Platform>(&self, platform: &P, id: u64, reason: &str) -> Option<u64> {
        self.ended_canary.set(self.ended_canary.get().max(id));
        let ended = self.canary.borrow_mut().take_if(|canary| canary.terms.id <= id);
        ended.map(|ended| {
            let version = &ended.terms.version;
            platform.warn(&format!("routes: the canary {version} has ended: {reason}"));
            ended.serving.hash
        })
    }

    /// Serves a compiled document to its share of the requests from now on.
    pub(super) fn begin_canary<P: Platform>(
        &self,
        platform: &P,
        terms: CanaryTerms,
        compiled: Compiled,
        hash: u64,
        retained_until: Instant,
    ) {
        let Some(base) = self.current().filter(|routes| routes.graph.version == terms.base) else { return };
        let mut rng = SplitMix64::new(platform.random());
        let serving = Serving::beside(compiled, hash, &base, &mut rng);
        let tally = RefCell::new(CanaryTally::new(terms.id, &mut rng));
        let (serving, base, reporting_until) = (Rc::new(serving), base.hash, Cell::default());
        self.canary.replace(Some(Rc::new(CanaryServing {
            terms,
            serving,
            base,
            tally,
            retained_until,
            reporting_until,
        })));
    }

    /// Follows what stands with the current document in the store: a canary, or none.
    pub(super) fn follow_canary<'a, P: Platform>(
        &'a self,
        platform: &'a P,
        note: Option<&'a str>,
    ) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
        Box::pin(self.follow(platform, note))
    }

    async fn follow<P: Platform>(&self, platform: &P, note: Option<&str>) {
        let known = self.canary.borrow().as_ref().map(|canary| canary.terms.id);
        let terms: Option<CanaryTerms> = note.and_then(json_value::parse);
        let is_current =
            |terms: &CanaryTerms| terms.id > self.ended_canary.get() && platform.now() < terms.until;
        let Some(terms) = terms.filter(is_current) else {
            self.canary.borrow_mut().take_if(|canary| platform.now() >= canary.retained_until);
            return;
        };
        if known >= Some(terms.id) {
            return;
        }
        let Ok(Some(stored)) = read(platform, CANARY).await else { return };
        let hash = stable_hash(stored.text.as_bytes());
        // A cache may have the text of an earlier canary. The next check looks again.
        if version_of(hash) != terms.version {
            return;
        }
        match self.compiled(platform, &stored.text).await {
            Ok(compiled) => self.begin_canary(platform, terms, compiled, hash, Instant::EPOCH),
            Err(issues) => platform.warn(&format!(
                "routes: the canary {} does not compile here: {} issues",
                terms.version,
                issues.len()
            )),
        }
    }

    /// What this isolate has counted, as JSON; `null` without a canary.
    pub(super) fn canary_view(&self) -> String {
        let canary = self.canary.borrow();
        let view = canary.as_ref().map(|canary| {
            let trial = CanaryTrial::from(*canary.tally.borrow().counts());
            serde_json::to_string(&CanaryView::of(&canary.terms, &trial)).unwrap_or_default()
        });
        view.unwrap_or_else(|| "null".to_owned())
    }
}
