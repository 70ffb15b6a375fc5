//! Runs steps of the core with the platform's clock, and records the completion of a committed
//! answer: in health, and in the account of the request.

use std::rc::Rc;

use super::account::RequestAccount;
use super::platform::Platform;
use super::serving::Serving;
use crate::attempt::context::Context;
use crate::attempt::trail::Trail;
use crate::health::gate::Transition;
use crate::health::{GateChange, Outcome, Sample, Ticket};
use crate::telemetry::request_record::RequestEnd;
use crate::vocabulary::request_outcome::CLIENT_LEFT;
use crate::vocabulary::rng::{Rng, SplitMix64};
use crate::vocabulary::time::Millis;
use crate::vocabulary::upstream_ids::UpstreamIds;
use crate::vocabulary::usage::Usage;

impl Serving {
    /// Runs one step of the core in its context. Returns the gates that changed, too, after it has
    /// logged them.
    pub fn step<P: Platform, T>(
        &self,
        platform: &P,
        rng: &mut dyn Rng,
        step: impl FnOnce(&mut Context<'_>) -> T,
    ) -> (T, Vec<GateChange>) {
        let mut changes = Vec::new();
        let result = self.with_health(|health| {
            step(&mut Context {
                now: platform.now(),
                rng,
                cursors: &self.cursors,
                health,
                budgets: &mut self.budgets.borrow_mut(),
                changes: &mut changes,
                notes: None,
            })
        });
        self.log(platform, &changes);
        (result, changes)
    }

    /// Logs gates that changed. Of an ejection that only becomes longer nothing is logged.
    pub fn log<P: Platform>(&self, platform: &P, changes: &[GateChange]) {
        for change in changes {
            if matches!(change.transition, Transition::Ejected { is_new: false, .. }) {
                continue;
            }
            let name = self.graph.deployments.get(change.deployment).map_or("?", |found| &found.name);
            let operation = change.operation.map(|operation| format!(" for {}", operation.path()));
            platform.warn(&format!("health: {name} {}{}", change.transition, operation.unwrap_or_default()));
        }
    }
}

/// Records how a committed answer ends. If it is dropped before that, the client has left: nothing
/// is recorded about the deployment, only the attempt's count as in flight ends.
pub struct Completion<P: Platform>(Option<CommittedAnswer<P>>);

/// An answer that has been committed, and has not ended.
pub struct CommittedAnswer<P: Platform> {
    /// The platform.
    pub platform: P,
    /// The routes of the request.
    pub serving: Rc<Serving>,
    /// The ticket of the attempt.
    pub ticket: Option<Ticket>,
    /// The account of the request.
    pub account: RequestAccount<P>,
    /// The attempts.
    pub trail: Rc<Trail>,
    /// The status of the answer.
    pub status: u16,
    /// The time to the commit point, if the answer is a stream.
    pub commit_ms: Option<Millis>,
    /// Whether the commit point was the first token.
    pub has_first_token: bool,
    /// The ids of the answer at the upstream.
    pub upstream_ids: UpstreamIds,
}

/// How an answer ended.
#[derive(Debug, Clone, Copy)]
pub struct AnswerOutcome {
    /// What health records.
    pub learned: Outcome,
    /// The outcome in the record of the request.
    pub outcome: &'static str,
    /// What cut the answer; empty if nothing did.
    pub reason: &'static str,
    /// What it used.
    pub usage: Usage,
}

impl AnswerOutcome {
    /// An answer of which health learns nothing, and of which no usage is known.
    pub fn unmeasured(outcome: &'static str, reason: &'static str) -> Self {
        Self { learned: Outcome::Abandoned, outcome, reason, usage: Usage::default() }
    }
}

impl<P: Platform> Completion<P> {
    /// The completion of an answer that has just reached its commit point.
    pub fn of(answer: CommittedAnswer<P>) -> Self {
        Self(Some(answer))
    }

    /// Records that the answer has ended.
    pub fn record(mut self, end: &AnswerOutcome) {
        self.record_once(end);
    }

    fn record_once(&mut self, end: &AnswerOutcome) {
        let Some(answer) = self.0.take() else { return };
        let CommittedAnswer { platform, serving, ticket, mut account, trail, status, commit_ms, .. } = answer;
        let AnswerOutcome { learned, outcome, reason, usage } = *end;
        if let Some(ticket) = ticket {
            // The length of an answer in one piece says too little about how fast it was written.
            let is_known = !usage.is_estimated || commit_ms.is_some();
            let output_tokens = Some(usage.output_tokens).filter(|tokens| is_known && *tokens > 0);
            let sample = Sample { outcome: learned, first_token_ms: commit_ms, output_tokens };
            let mut rng = SplitMix64::new(platform.random());
            let ((), changes) = serving.step(&platform, &mut rng, |context| {
                context.changes.extend(context.health.record(ticket, &sample, context.now, context.rng));
            });
            account.on_changes(&changes);
        }
        let upstream_ids = &answer.upstream_ids;
        account.close(&RequestEnd {
            outcome,
            reason,
            status,
            trail: &trail,
            first_token_ms: commit_ms.filter(|_| answer.has_first_token),
            usage,
            upstream_ids,
        });
    }
}

impl<P: Platform> Drop for Completion<P> {
    fn drop(&mut self) {
        self.record_once(&AnswerOutcome::unmeasured(CLIENT_LEFT, ""));
    }
}
