//! The machine of one request: events in, actions out, no clock, no randomness and no I/O of its own.
//!
//! Whoever drives it (the Worker, a simulation, a property test) obeys each [`Action`] and answers it with the [`MachineEvent`] that
//! came of it.
//!
//! It asks health before each attempt and tells it of each outcome, in the same step, so that requests of one isolate see each
//! other's attempts. What happens after the commit point is told by whoever carries the answer, with the ticket that
//! [`Machine::take_ticket`] gives out.
//!
//! Invariants, stated as properties in `tests/machine.rs`: never more attempts than any limit on the way allows; nothing is
//! dispatched at or after the deadline; never a deployment that requirements forbid; a deployment that was left is never
//! dispatched again; never more than two attempts at once; exactly one reply; an end for every script of outcomes; every ticket
//! is given back.

use std::rc::Rc;

use super::backoff;
use super::context::Context;
use super::failure::Failure;
use super::phase::{self, PhaseLimits};
use super::trail::{AttemptOutcome, Trail};
use super::walk::Walk;
use crate::health::{self, Sample, Ticket};
use crate::routes::graph::{Commit, Deployment, Graph, HedgeAfter, Node, Retry};
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::facts::Facts;
use crate::vocabulary::time::{Instant, Millis};

/// What happened. Attempts are told apart by [`Dispatch::number`].
#[derive(Debug)]
pub enum MachineEvent {
    /// The attempt reached its commit point with this status: from here on it is the answer.
    Committed {
        /// Which attempt.
        number: u32,
        /// The upstream's status.
        status: u16,
    },
    /// The attempt failed before its commit point.
    Failed {
        /// Which attempt.
        number: u32,
        /// How.
        failure: Failure,
    },
    /// The only attempt under way has taken as long as [`Dispatch::hedge_after_ms`] says.
    HedgeDelayElapsed,
    /// The sleep is over.
    SleepElapsed,
    /// The client has left.
    ClientLeft,
}

/// What to do.
#[derive(Debug)]
pub enum Action {
    /// Send the request to a deployment; answer with `Committed` or `Failed`. Another attempt may be under way: it goes on.
    Dispatch(Dispatch),
    /// Go on with the attempt that is under way.
    Wait,
    /// Wait; answer with `SleepElapsed`.
    Sleep {
        /// For how long.
        ms: Millis,
    },
    /// Answer the client: the last action but for `Stop`. Whatever is still under way ends.
    Reply(Reply),
    /// Nothing more: the client was answered already, or has left.
    Stop,
}

/// One attempt to be made.
#[derive(Debug, Clone)]
pub struct Dispatch {
    /// Whom to ask.
    pub deployment: Rc<Deployment>,
    /// 1 for the first attempt of the request.
    pub number: u32,
    /// When its answer may start to flow.
    pub commit: Commit,
    /// How long each phase may take.
    pub limits: PhaseLimits,
    /// After how long without an answer to say [`MachineEvent::HedgeDelayElapsed`], if at all.
    pub hedge_after_ms: Option<Millis>,
}

/// How the client is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// With the answer of the attempt that reached its commit point.
    Pass,
    /// Nothing was tried that could have served, since no such deployment may be.
    NoneEligible,
    /// Everything that may be tried failed: the trail tells how.
    Exhausted,
    /// The deadline came before an answer.
    DeadlineExceeded,
}

/// One request on its way.
pub struct Machine {
    facts: Rc<Facts>,
    entry: Rc<Node>,
    walk: Walk,
    trail: Trail,
    /// Attempts that wait for an answer: none, one, or one and its hedge.
    pending_attempts: Vec<PendingAttempt>,
    /// Whom to try again after a sleep, and how it failed.
    awaiting_retry: Option<(Rc<Deployment>, Failure)>,
    /// Second tries of the latest deployment so far.
    retries: u32,
    is_hedged: bool,
    started_at: Instant,
    /// The end of the whole request.
    deadline: Instant,
    /// Of the attempt that is the answer.
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
    /// A request that enters the graph at `entry`, and the first thing to do for it.
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
            pending_attempts: Vec::new(),
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

    /// What to do after `event`.
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
            MachineEvent::HedgeDelayElapsed => self.hedge(context).unwrap_or(Action::Wait),
            MachineEvent::SleepElapsed => match self.awaiting_retry.take() {
                // Who has waited for the time that it was told goes there, whoever else is about to find out.
                Some((deployment, _)) if self.may_return(&deployment, context.now, context) => {
                    self.dispatch(deployment, context)
                }
                // It was taken out meanwhile; something else may have come back.
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
        self.deadline - self.started_at
    }

    /// What was tried so far.
    pub fn trail(&self) -> &Trail {
        &self.trail
    }

    /// What was tried, once there is a reply.
    pub fn take_trail(&mut self) -> Trail {
        std::mem::take(&mut self.trail)
    }

    /// The ticket of the attempt that is the answer, once. It is to be recorded when the answer has come to its end.
    pub fn take_ticket(&mut self) -> Option<Ticket> {
        self.ticket.take()
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
        let wait_ms = if self.pending_attempts.is_empty() {
            self.wait_before_retry(&deployment, failure, context)
        } else {
            None
        };
        self.trail.end(number, AttemptOutcome::Failed(failure.clone()), context.now);
        if !self.pending_attempts.is_empty() {
            // The other one may still answer.
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

    /// Goes on to the next target after `deployment` has failed.
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
        // A deployment that is full for moments does not fail: to go on to the next one is how such a pair is meant to work.
        let is_spill =
            failure.class == ErrorClass::RateLimit && context.health.is_spill(deployment.id, failure.hint_ms);
        while let Some(next) = self.walk.advance(Some(failure), context) {
            if self.may_continue(&next, is_spill, context) {
                self.retries = 0;
                return self.dispatch(next, context);
            }
            // Further on there may be one that has not failed.
            self.walk.forbid(&next);
        }
        self.exhausted(context)
    }

    /// Whether the retry budget allows a further attempt. One at a deployment that has not failed of late takes nothing from it: that
    /// spreads an outage to nobody.
    fn may_continue(&self, next: &Deployment, is_spill: bool, context: &mut Context<'_>) -> bool {
        is_spill || !context.health.is_failing(next.id) || context.budgets.try_retry(&self.entry, context.now)
    }

    /// How long to wait before a second try of the same deployment, where the document and every limit allow one. A second try
    /// that the document asks for comes first; so does one of the last target. Nothing is worth a wait while something else could
    /// be tried instead.
    fn wait_before_retry(
        &self,
        deployment: &Deployment,
        failure: &Failure,
        context: &mut Context<'_>,
    ) -> Option<Millis> {
        if failure.is_unknown_object {
            return None;
        }
        let has_alternative =
            self.walk.alternative(deployment, failure, context.health, context.now).is_some();
        let retry = self.walk.retry().or_else(|| (!has_alternative).then(Retry::default))?;
        if self.retries >= retry.attempts || !retry.on.contains(failure.class, failure.status) {
            return None;
        }
        let ms = if has_alternative {
            // Who asks for time, or took all that there was, is not asked again at once.
            let is_quick = failure.hint_ms.is_none() && failure.class != ErrorClass::Timeout;
            is_quick.then_some(Millis::ZERO)?
        } else {
            backoff::wait_ms(failure, &retry, self.retries.saturating_add(1), context.rng)?
        };
        self.may_return(deployment, context.now + ms, context).then_some(ms)
    }

    /// Whether a second try may begin at `at`.
    fn may_return(&self, deployment: &Deployment, at: Instant, context: &Context<'_>) -> bool {
        let ejected_until = context.health.ejected_until(deployment.id, self.facts.operation);
        self.walk.may_attempt(at) && ejected_until.is_none_or(|until| until <= at)
    }

    fn dispatch(&mut self, deployment: Rc<Deployment>, context: &mut Context<'_>) -> Action {
        let now = context.now;
        self.walk.count_attempt();
        let number = self.trail.begin(Rc::clone(&deployment), now);
        let tokens = self.facts.input_tokens.saturating_add(self.facts.max_output_tokens.unwrap_or(0));
        let ticket = context.health.begin(deployment.id, self.facts.operation, tokens, now);
        let hedge_after_ms = self.hedge_after_ms(&deployment, context);
        let alternative = || {
            let timed_out = Failure::silent(ErrorClass::Timeout, "");
            self.walk.alternative(&deployment, &timed_out, context.health, now)
        };
        let limits = PhaseLimits::new(
            self.walk.timeouts(&deployment),
            self.facts.is_streamed,
            now,
            self.walk.deadline(),
            alternative,
        );
        self.pending_attempts.push(PendingAttempt { number, deployment: Rc::clone(&deployment), ticket });
        Action::Dispatch(Dispatch { number, commit: self.walk.commit(), limits, hedge_after_ms, deployment })
    }

    /// Whether there may be a hedge: once in a request, and never where two deployments would both leave something behind.
    fn may_hedge(&self) -> bool {
        !self.is_hedged && !self.facts.has_side_effects && self.facts.is_replayable
    }

    /// When the attempt at `deployment` is to be hedged.
    fn hedge_after_ms(&self, deployment: &Deployment, context: &mut Context<'_>) -> Option<Millis> {
        if !self.may_hedge() {
            return None;
        }
        let (_, node, hedge) = self.walk.hedging()?;
        context.budgets.on_hedgeable_attempt(node, context.now);
        match hedge.after {
            HedgeAfter::Ms(ms) => Some(ms),
            HedgeAfter::Percentile(percentile) => {
                context.health.percentile(deployment.id, f64::from(percentile) / 100.0)
            }
        }
    }

    /// A second attempt beside the first.
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
            // Who has the object is out, as it seems, and those who say that there is none are not to be believed.
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

    /// Ends what is under way without a word on the deployments.
    fn abandon(&mut self, context: &mut Context<'_>) {
        for PendingAttempt { number, ticket, .. } in std::mem::take(&mut self.pending_attempts) {
            self.trail.end(number, AttemptOutcome::Abandoned, context.now);
            let sample = Sample::of(health::Outcome::Abandoned);
            context.changes.extend(context.health.record(ticket, &sample, context.now, context.rng));
        }
    }
}

/// Tells health of a failure.
fn record_failure(ticket: Ticket, failure: &Failure, context: &mut Context<'_>) {
    let outcome = if failure.class == ErrorClass::Timeout && phase::is_of_request(&failure.reason) {
        health::Outcome::CutShort
    } else if failure.is_unknown_object {
        // The wrong address, whatever it looks like: a path below an object that is not there is not found either.
        health::Outcome::Failed { class: ErrorClass::BadRequest, hint_ms: None }
    } else {
        health::Outcome::Failed { class: failure.class, hint_ms: failure.hint_ms }
    };
    context.changes.extend(context.health.record(ticket, &Sample::of(outcome), context.now, context.rng));
}
