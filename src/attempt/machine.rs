//! The state machine of one request: events in, actions out. It has no clock, no randomness and no
//! I/O.
//!
//! The driver (the Worker, a simulation, a property test) executes each [`Action`] and answers it
//! with the resulting [`MachineEvent`].
//!
//! The machine asks health before each attempt and records each outcome in the same step, so that
//! the requests of one isolate see each other's attempts. After the commit point, the code that
//! delivers the answer records the outcome, with the ticket from [`Machine::take_ticket`].
//!
//! Invariants, stated as properties in `tests/machine.rs`: there are never more attempts than any
//! limit of the walk allows; nothing is dispatched at or after the deadline; a deployment that the
//! requirements forbid is never dispatched; a deployment that the walk has left is never dispatched
//! again; there are never more than two attempts at once; there is exactly one reply; every script
//! of outcomes ends; every ticket is returned.

use std::rc::Rc;

use super::backoff;
use super::context::Context;
use super::failure::Failure;
use super::phase::PhaseLimits;
use super::trail::{AttemptOutcome, Trail};
use super::walk::Walk;
use crate::health::{self, Sample, Ticket};
use crate::routes::graph::{Commit, Deployment, Graph, HedgeAfter, Node, Retry};
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::facts::Facts;
use crate::vocabulary::scope::Scope;
use crate::vocabulary::time::{Instant, Millis};

/// The most attempts at once.
const MOST_PENDING: usize = 2;

/// What happened. [`Dispatch::number`] identifies an attempt.
#[derive(Debug)]
pub enum MachineEvent {
    /// The attempt reached its commit point with this status. From now on it is the answer.
    Committed {
        /// The number of the attempt.
        number: u32,
        /// The status of the upstream.
        status: u16,
    },
    /// The attempt failed before its commit point.
    Failed {
        /// The number of the attempt.
        number: u32,
        /// Why it failed.
        failure: Failure,
    },
    /// The gateway itself does not go on with the request.
    Refused,
    /// The only pending attempt has taken as long as [`Dispatch::hedge_after_ms`].
    HedgeDelayElapsed,
    /// The time of [`Action::Sleep`] has passed.
    SleepElapsed,
    /// The client has closed the connection.
    ClientLeft,
}

/// What the driver does next.
#[derive(Debug)]
pub enum Action {
    /// Send the request to a deployment; answer with `Committed` or `Failed`. If another attempt is
    /// pending, it continues.
    Dispatch(Dispatch),
    /// Wait for the pending attempt.
    Wait,
    /// Sleep; answer with `SleepElapsed`.
    Sleep {
        /// How long, in milliseconds.
        ms: Millis,
    },
    /// Answer the client. Only `Stop` can follow. All pending attempts end.
    Reply(Reply),
    /// Do nothing more: the client already has a reply, or has left.
    Stop,
}

/// One attempt to make.
#[derive(Debug, Clone)]
pub struct Dispatch {
    /// The deployment to send the request to.
    pub deployment: Rc<Deployment>,
    /// The number of the attempt; the first attempt of the request has number 1.
    pub number: u32,
    /// When the attempt reaches its commit point.
    pub commit: Commit,
    /// How long each phase may take.
    pub limits: PhaseLimits,
    /// How long to wait for an answer before [`MachineEvent::HedgeDelayElapsed`]; `None` for no
    /// hedge.
    pub hedge_after_ms: Option<Millis>,
}

/// How to answer the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// With the answer of the attempt that reached its commit point.
    Pass,
    /// With an error: no deployment that could serve the request may be tried.
    NoneEligible,
    /// With an error: every deployment that may be tried has failed. The trail has the details.
    Exhausted,
    /// With an error: the deadline passed before an answer.
    DeadlineExceeded,
    /// With the error that the gateway itself has found.
    Refused,
}

/// The state of one request.
pub struct Machine {
    facts: Rc<Facts>,
    entry: Rc<Node>,
    walk: Walk,
    trail: Trail,
    /// Attempts that wait for an answer: none, one, or one and its hedge.
    pending_attempts: Vec<PendingAttempt>,
    /// The deployment to retry after a sleep, and its failure.
    awaiting_retry: Option<(Rc<Deployment>, Failure)>,
    /// How many retries the latest deployment has had.
    retries: u32,
    is_hedged: bool,
    started_at: Instant,
    /// The deadline of the whole request.
    deadline: Instant,
    /// The ticket of the attempt that is the answer.
    ticket: Option<Ticket>,
    is_stopped: bool,
}

/// An attempt that waits for an answer.
struct PendingAttempt {
    number: u32,
    deployment: Rc<Deployment>,
    ticket: Ticket,
}

impl Machine {
    /// Starts a request that enters the graph at `entry`. Returns the machine and its first action.
    pub fn start(
        graph: Rc<Graph>,
        facts: Rc<Facts>,
        entry: &Rc<Node>,
        context: &mut Context<'_>,
    ) -> (Self, Action) {
        let walk = Walk::new(graph, Rc::clone(&facts), entry, context.now);
        let deadline = walk.deadline();
        let mut machine = Self {
            facts,
            entry: Rc::clone(entry),
            walk,
            trail: Trail::default(),
            pending_attempts: Vec::with_capacity(MOST_PENDING),
            awaiting_retry: None,
            retries: 0,
            is_hedged: false,
            started_at: context.now,
            deadline,
            ticket: None,
            is_stopped: false,
        };
        context.budgets.on_request(entry, context.now);
        let action = match machine.walk.advance(None, context) {
            Some(deployment) => machine.dispatch(deployment, context),
            None => machine.reply(Reply::NoneEligible, context),
        };
        (machine, action)
    }

    /// The next action after `event`.
    pub fn on(&mut self, event: MachineEvent, context: &mut Context<'_>) -> Action {
        if self.is_stopped {
            return Action::Stop;
        }
        match event {
            MachineEvent::Committed { number, status } => match self.take_pending(number) {
                Some(mut attempt) => {
                    self.trail.end(number, AttemptOutcome::Served(status), context.now);
                    context.changes.extend(context.health.on_commit(&mut attempt.ticket, context.now));
                    self.ticket = Some(attempt.ticket);
                    self.reply(Reply::Pass, context)
                }
                None => Action::Wait,
            },
            MachineEvent::Failed { number, failure } => match self.take_pending(number) {
                Some(attempt) => self.on_failure(attempt, &failure, context),
                None => Action::Wait,
            },
            MachineEvent::Refused => self.reply(Reply::Refused, context),
            MachineEvent::HedgeDelayElapsed => self.hedge(context).unwrap_or(Action::Wait),
            MachineEvent::SleepElapsed => match self.awaiting_retry.take() {
                // A request that has waited as long as the hint asked may return, even if another
                // request probes the deployment at the same time.
                Some((deployment, _)) if self.may_return(&deployment, context.now, context) => {
                    self.dispatch(deployment, context)
                }
                // The deployment was ejected during the sleep. Another one may be back.
                Some((deployment, failure)) => self.continue_walk(&deployment, &failure, context),
                None => self.exhausted(context),
            },
            MachineEvent::ClientLeft => {
                self.abandon(context);
                self.is_stopped = true;
                Action::Stop
            }
        }
    }

    /// How long the whole request may take.
    pub fn allowed_ms(&self) -> Millis {
        self.deadline - self.started_at + self.facts.upload_ms
    }

    /// What was tried so far.
    pub fn trail(&self) -> &Trail {
        &self.trail
    }

    /// Takes the trail, once there is a reply.
    pub fn take_trail(&mut self) -> Trail {
        std::mem::take(&mut self.trail)
    }

    /// Takes the ticket of the attempt that is the answer. Only the first call returns it. The
    /// driver records it when the answer has ended.
    pub fn take_ticket(&mut self) -> Option<Ticket> {
        self.ticket.take()
    }

    /// The client had uploaded all of a body that is sent once at this time. What is learned about
    /// the time of the attempt begins here.
    pub fn on_upload_end(&mut self, at: Instant) {
        for attempt in &mut self.pending_attempts {
            attempt.ticket.on_upload_end(at);
        }
    }

    /// A drill answers the attempt with this number. `is_learned`: health learns from it as if the
    /// deployment had answered.
    pub fn on_drill(&mut self, number: u32, is_learned: bool) {
        self.trail.mark_drill(number);
        let attempt = self.pending_attempts.iter_mut().find(|attempt| attempt.number == number);
        if let Some(attempt) = attempt.filter(|_| !is_learned) {
            attempt.ticket.ignore();
        }
    }

    fn take_pending(&mut self, number: u32) -> Option<PendingAttempt> {
        let index = self.pending_attempts.iter().position(|attempt| attempt.number == number)?;
        Some(self.pending_attempts.swap_remove(index))
    }

    fn on_failure(
        &mut self,
        attempt: PendingAttempt,
        failure: &Failure,
        context: &mut Context<'_>,
    ) -> Action {
        let PendingAttempt { number, deployment, ticket } = attempt;
        record_failure(ticket, failure, context);
        if self.facts.is_done_once && failure.may_be_done() && !self.walk.may_repeat(failure) {
            let failure = Failure { is_unclear: true, ..failure.clone() };
            self.trail.end(number, AttemptOutcome::Failed(failure), context.now);
            return self.reply(Reply::Exhausted, context);
        }
        let wait_ms = if self.pending_attempts.is_empty() {
            self.wait_before_retry(&deployment, failure, context)
        } else {
            None
        };
        self.trail.end(number, AttemptOutcome::Failed(failure.clone()), context.now);
        if !self.pending_attempts.is_empty() {
            // The other attempt may still answer.
            self.walk.forbid(&deployment);
            return Action::Wait;
        }
        if let Some(ms) = wait_ms.filter(|_| self.may_continue(&deployment, false, context)) {
            self.retries = self.retries.saturating_add(1);
            if ms == Millis::ZERO {
                return self.dispatch(deployment, context);
            }
            self.trail.wait(ms);
            self.awaiting_retry = Some((deployment, failure.clone()));
            return Action::Sleep { ms };
        }
        self.continue_walk(&deployment, failure, context)
    }

    /// Moves to the next target after a failure of `deployment`.
    fn continue_walk(
        &mut self,
        deployment: &Deployment,
        failure: &Failure,
        context: &mut Context<'_>,
    ) -> Action {
        self.walk.forbid(deployment);
        if failure.is_unknown_object {
            self.walk.forbid_storage_of(deployment);
        }
        // A deployment that is full for moments is not failing: spillover to the next one is the
        // intended behaviour.
        let is_spill = failure.class == ErrorClass::RateLimit
            && (failure.scope == Scope::Request || context.health.is_spill(deployment.id, failure.hint_ms));
        while let Some(next) = self.walk.advance(Some(failure), context) {
            if self.may_continue(&next, is_spill, context) {
                self.retries = 0;
                return self.dispatch(next, context);
            }
            // A later target may be one that has not failed.
            self.walk.forbid(&next);
        }
        self.exhausted(context)
    }

    /// Whether the retry budget allows a further attempt. An attempt at a deployment that has not
    /// failed recently costs nothing, because it does not make an outage worse.
    fn may_continue(&self, next: &Deployment, is_spill: bool, context: &mut Context<'_>) -> bool {
        is_spill || !context.health.is_failing(next.id) || context.budgets.try_retry(&self.entry, context.now)
    }

    /// How long to wait before a retry of the same deployment, if the document and every limit
    /// allow one. A retry that the document asks for comes before a fallback. If no other target is
    /// left, the default retry applies. There is no wait while another target can be tried instead.
    fn wait_before_retry(
        &self,
        deployment: &Deployment,
        failure: &Failure,
        context: &mut Context<'_>,
    ) -> Option<Millis> {
        if failure.is_unknown_object || failure.is_permanent {
            return None;
        }
        let has_alternative =
            self.walk.alternative(deployment, failure, context.health, context.now).is_some();
        let retry = self.walk.retry().or_else(|| (!has_alternative).then(Retry::default))?;
        if self.retries >= retry.attempts || !retry.on.contains(failure.class, failure.status) {
            return None;
        }
        let ms = if has_alternative {
            match failure.hint_ms {
                Some(hint_ms) if hint_ms > Millis::ZERO && hint_ms <= retry.before_fallback_ms => hint_ms,
                Some(_) => return None,
                // A deployment that has used up its time is not retried at once.
                None if failure.class == ErrorClass::Timeout => return None,
                None => Millis::ZERO,
            }
        } else {
            backoff::wait_ms(failure, &retry, self.retries.saturating_add(1), context.rng)?
        };
        self.may_return(deployment, context.now + ms, context).then_some(ms)
    }

    /// Whether a retry may start at time `at`.
    fn may_return(&self, deployment: &Deployment, at: Instant, context: &Context<'_>) -> bool {
        let ejected_until = context.health.ejected_until(deployment.id, self.facts.operation);
        self.walk.may_attempt(at) && ejected_until.is_none_or(|until| until <= at)
    }

    fn dispatch(&mut self, deployment: Rc<Deployment>, context: &mut Context<'_>) -> Action {
        let now = context.now;
        self.walk.count_attempt();
        let number = self.trail.begin(Rc::clone(&deployment), now);
        let kind = self.walk.answer_kind();
        let tokens = self.facts.input_tokens.saturating_add(self.facts.max_output_tokens.unwrap_or(0));
        let ticket = context.health.begin(deployment.id, self.facts.operation, kind, tokens, now);
        let hedge_after_ms = self.hedge_after_ms(&deployment, context);
        let alternative = || {
            let timed_out = Failure::silent(ErrorClass::Timeout, "");
            self.walk.alternative(&deployment, &timed_out, context.health, now)
        };
        let limits = PhaseLimits::new(
            self.walk.timeouts(&deployment),
            self.facts.is_streamed,
            now,
            self.walk.patience(),
            self.walk.deadline(),
            alternative,
        );
        self.pending_attempts.push(PendingAttempt { number, deployment: Rc::clone(&deployment), ticket });
        Action::Dispatch(Dispatch { number, commit: self.walk.commit(), limits, hedge_after_ms, deployment })
    }

    /// Whether a hedge is allowed: one per request, and never when both attempts would have side
    /// effects.
    fn may_hedge(&self) -> bool {
        !self.is_hedged && !self.facts.has_side_effects && self.facts.is_replayable
    }

    /// When to hedge the attempt at `deployment`.
    fn hedge_after_ms(&self, deployment: &Deployment, context: &mut Context<'_>) -> Option<Millis> {
        if !self.may_hedge() {
            return None;
        }
        let (_, node, hedge) = self.walk.hedging()?;
        context.budgets.on_hedgeable_attempt(node, context.now);
        match hedge.after {
            HedgeAfter::Ms(ms) => Some(ms),
            HedgeAfter::Percentile(percentile) => {
                let kind = self.walk.answer_kind();
                context.health.percentile(deployment.id, kind, f64::from(percentile) / 100.0)
            }
        }
    }

    /// Starts a hedge: a second attempt while the first is pending.
    fn hedge(&mut self, context: &mut Context<'_>) -> Option<Action> {
        let [first] = self.pending_attempts.as_slice() else { return None };
        if !self.may_hedge() || !self.walk.may_attempt(context.now) {
            return None;
        }
        let (_, node, hedge) = self.walk.hedging()?;
        let node = Rc::clone(node);
        let first = Rc::clone(&first.deployment);
        let (ahead, second) = self.walk.hedge(&first, context)?;
        if context.health.is_failing(second.id)
            || !context.budgets.try_hedge(&node, hedge.max_share, context.now)
        {
            return None;
        }
        self.walk = ahead;
        self.is_hedged = true;
        Some(self.dispatch(second, context))
    }

    fn exhausted(&mut self, context: &mut Context<'_>) -> Action {
        let reply = if self.deadline <= context.now {
            Reply::DeadlineExceeded
        } else if self.walk.has_skipped_ejected()
            && self.trail.failures().all(|failure| failure.is_unknown_object)
        {
            // The owner of the object is probably ejected. The "not found" answers of the other
            // deployments do not prove that the object does not exist.
            Reply::NoneEligible
        } else {
            Reply::Exhausted
        };
        self.reply(reply, context)
    }

    fn reply(&mut self, reply: Reply, context: &mut Context<'_>) -> Action {
        self.abandon(context);
        self.is_stopped = true;
        Action::Reply(reply)
    }

    /// Ends all pending attempts. Their outcome does not count for or against the deployments.
    fn abandon(&mut self, context: &mut Context<'_>) {
        for PendingAttempt { number, ticket, .. } in std::mem::take(&mut self.pending_attempts) {
            self.trail.end(number, AttemptOutcome::Abandoned, context.now);
            let sample = Sample::of(health::Outcome::Abandoned);
            context.changes.extend(context.health.record(ticket, &sample, context.now, context.rng));
        }
    }
}

/// Records a failure with health.
fn record_failure(ticket: Ticket, failure: &Failure, context: &mut Context<'_>) {
    let sample = Sample::of(failure.outcome());
    context.changes.extend(context.health.record(ticket, &sample, context.now, context.rng));
}
