//! The machine of one request: events in, actions out, no clock, no randomness and no I/O of its own.
//!
//! Whoever drives it (the Worker, a simulation, a property test) obeys each [`Action`] and answers it with the [`Event`] that
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
use super::context::Surroundings;
use super::failure::Failure;
use super::phase::{self, Limits};
use super::trail::{Outcome, Trail};
use super::walk::Walk;
use crate::health::{self, Sample, Ticket};
use crate::routes::graph::{Commit, Deployment, Graph, HedgeAfter, Node, Retry};
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::facts::Facts;
use crate::vocabulary::time::Millis;

/// What happened. Attempts are told apart by [`Dispatch::number`].
#[derive(Debug)]
pub enum Event {
    /// The attempt reached its commit point with this status: from here on it is the answer.
    Answered {
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
    Late,
    /// The sleep is over.
    Woke,
    /// The client has left.
    ClientGone,
}

/// What to do.
#[derive(Debug)]
pub enum Action {
    /// Send the request to a deployment; answer with `Answered` or `Failed`. Another attempt may be under way: it goes on.
    Dispatch(Dispatch),
    /// Go on with the attempt that is under way.
    Wait,
    /// Wait; answer with `Woke`.
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
    pub limits: Limits,
    /// After how long without an answer to say [`Event::Late`], if at all.
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
    under_way: Vec<Attempt>,
    /// Whom to try again after a sleep, and how it failed.
    resting: Option<(Rc<Deployment>, Failure)>,
    /// Second tries of the latest deployment so far.
    retries: u32,
    is_hedged: bool,
    started_at: Millis,
    /// The end of the whole request.
    deadline: Millis,
    /// Of the attempt that is the answer.
    ticket: Option<Ticket>,
    stopped: bool,
}

/// An attempt that waits for an answer.
struct Attempt {
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
        around: &mut Surroundings<'_>,
    ) -> (Self, Action) {
        let walk = Walk::new(graph, Rc::clone(&facts), entry, around.now);
        let deadline = walk.deadline();
        let mut machine = Self {
            facts,
            entry: Rc::clone(entry),
            walk,
            trail: Trail::default(),
            under_way: Vec::new(),
            resting: None,
            retries: 0,
            is_hedged: false,
            started_at: around.now,
            deadline,
            ticket: None,
            stopped: false,
        };
        around.allowances.enter(entry, around.now);
        let action = match machine.walk.advance(None, around) {
            Some(deployment) => machine.dispatch(deployment, around),
            None => machine.reply(Reply::NoneEligible, around),
        };
        (machine, action)
    }

    /// What to do after `event`.
    pub fn on(&mut self, event: Event, around: &mut Surroundings<'_>) -> Action {
        if self.stopped {
            return Action::Stop;
        }
        match event {
            Event::Answered { number, status } => match self.take(number) {
                Some(mut attempt) => {
                    self.trail.end(number, Outcome::Served(status), around.now);
                    around.news.extend(around.health.committed(&mut attempt.ticket, around.now));
                    self.ticket = Some(attempt.ticket);
                    self.reply(Reply::Pass, around)
                }
                None => Action::Wait,
            },
            Event::Failed { number, failure } => match self.take(number) {
                Some(attempt) => self.failed(attempt, &failure, around),
                None => Action::Wait,
            },
            Event::Late => self.hedge(around).unwrap_or(Action::Wait),
            Event::Woke => match self.resting.take() {
                // Who has waited for the time that it was told goes there, whoever else is about to find out.
                Some((deployment, _)) if self.may_return(&deployment, around.now, around) => {
                    self.dispatch(deployment, around)
                }
                // It was taken out meanwhile; something else may have come back.
                Some((deployment, failure)) => self.go_on(&deployment, &failure, around),
                None => self.exhausted(around),
            },
            Event::ClientGone => {
                self.abandon(around);
                self.stopped = true;
                Action::Stop
            }
        }
    }

    /// How long the whole request may take.
    pub fn allowed_ms(&self) -> Millis {
        self.deadline.saturating_sub(self.started_at)
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

    fn take(&mut self, number: u32) -> Option<Attempt> {
        let index = self.under_way.iter().position(|attempt| attempt.number == number)?;
        Some(self.under_way.swap_remove(index))
    }

    fn failed(&mut self, attempt: Attempt, failure: &Failure, around: &mut Surroundings<'_>) -> Action {
        let Attempt { number, deployment, ticket } = attempt;
        record(ticket, failure, around);
        let wait_ms = if self.under_way.is_empty() {
            self.wait_before_retry(&deployment, failure, around)
        } else {
            None
        };
        self.trail.end(number, Outcome::Failed(failure.clone()), around.now);
        if !self.under_way.is_empty() {
            // The other one may still answer.
            self.walk.forbid(&deployment);
            return Action::Wait;
        }
        if let Some(ms) = wait_ms.filter(|_| self.may_go_on(&deployment, false, around)) {
            self.retries = self.retries.saturating_add(1);
            if ms == 0 {
                return self.dispatch(deployment, around);
            }
            self.trail.wait(ms);
            self.resting = Some((deployment, failure.clone()));
            return Action::Sleep { ms };
        }
        self.go_on(&deployment, failure, around)
    }

    /// Goes on to the next target after `deployment` has failed.
    fn go_on(&mut self, deployment: &Deployment, failure: &Failure, around: &mut Surroundings<'_>) -> Action {
        self.walk.forbid(deployment);
        if failure.unknown_object {
            self.walk.forbid_storage_of(deployment);
        }
        // A deployment that is full for moments does not fail: to go on to the next one is how such a pair is meant to work.
        let is_spill =
            failure.class == ErrorClass::RateLimit && around.health.is_spill(deployment.id, failure.hint_ms);
        while let Some(next) = self.walk.advance(Some(failure), around) {
            if self.may_go_on(&next, is_spill, around) {
                self.retries = 0;
                return self.dispatch(next, around);
            }
            // Further on there may be one that has not failed.
            self.walk.forbid(&next);
        }
        self.exhausted(around)
    }

    /// Whether the retry budget allows a further attempt. One at a deployment that has not failed of late takes nothing from it: that
    /// spreads an outage to nobody.
    fn may_go_on(&self, next: &Deployment, is_spill: bool, around: &mut Surroundings<'_>) -> bool {
        is_spill || !around.health.is_failing(next.id) || around.allowances.try_again(&self.entry, around.now)
    }

    /// How long to wait before a second try of the same deployment, where the document and every limit allow one. A second try
    /// that the document asks for comes first; so does one of the last target. Nothing is worth a wait while something else could
    /// be tried instead.
    fn wait_before_retry(
        &self,
        deployment: &Deployment,
        failure: &Failure,
        around: &mut Surroundings<'_>,
    ) -> Option<Millis> {
        if failure.unknown_object {
            return None;
        }
        let has_alternative = self.walk.alternative(deployment, failure, around.health, around.now).is_some();
        let retry = self.walk.retry().or_else(|| (!has_alternative).then(Retry::default))?;
        if self.retries >= retry.attempts || !retry.on.contains(failure.class, failure.status) {
            return None;
        }
        let ms = if has_alternative {
            // Who asks for time, or took all that there was, is not asked again at once.
            let is_quick = failure.hint_ms.is_none() && failure.class != ErrorClass::Timeout;
            is_quick.then_some(0)?
        } else {
            backoff::wait_ms(failure, &retry, self.retries.saturating_add(1), around.rng)?
        };
        self.may_return(deployment, around.now.saturating_add(ms), around).then_some(ms)
    }

    /// Whether a second try may begin at `at`.
    fn may_return(&self, deployment: &Deployment, at: Millis, around: &Surroundings<'_>) -> bool {
        let ejected_until = around.health.ejected_until(deployment.id, self.facts.operation);
        self.walk.may_attempt(at) && ejected_until.is_none_or(|until| until <= at)
    }

    fn dispatch(&mut self, deployment: Rc<Deployment>, around: &mut Surroundings<'_>) -> Action {
        let now = around.now;
        self.walk.count_attempt();
        let number = self.trail.begin(Rc::clone(&deployment), now);
        let tokens = self.facts.input_tokens.saturating_add(self.facts.max_output_tokens.unwrap_or(0));
        let ticket = around.health.begin(deployment.id, self.facts.operation, tokens, now);
        let hedge_after_ms = self.hedge_after_ms(&deployment, around);
        let alternative = || {
            let timed_out = Failure::silent(ErrorClass::Timeout, "");
            self.walk.alternative(&deployment, &timed_out, around.health, now)
        };
        let limits = Limits::new(
            self.walk.timeouts(&deployment),
            self.facts.stream,
            now,
            self.walk.deadline(),
            alternative,
        );
        self.under_way.push(Attempt { number, deployment: Rc::clone(&deployment), ticket });
        Action::Dispatch(Dispatch { number, commit: self.walk.commit(), limits, hedge_after_ms, deployment })
    }

    /// Whether there may be a hedge: once in a request, and never where two deployments would both leave something behind.
    fn may_hedge(&self) -> bool {
        !self.is_hedged && !self.facts.has_side_effects && self.facts.replayable
    }

    /// When the attempt at `deployment` is to be hedged.
    fn hedge_after_ms(&self, deployment: &Deployment, around: &mut Surroundings<'_>) -> Option<Millis> {
        if !self.may_hedge() {
            return None;
        }
        let (_, node, hedge) = self.walk.hedging()?;
        around.allowances.hedgeable(node, around.now);
        match hedge.after {
            HedgeAfter::Ms(ms) => Some(ms),
            HedgeAfter::Percentile(percentile) => {
                around.health.percentile(deployment.id, f64::from(percentile) / 100.0)
            }
        }
    }

    /// A second attempt beside the first.
    fn hedge(&mut self, around: &mut Surroundings<'_>) -> Option<Action> {
        let [first] = self.under_way.as_slice() else { return None };
        if !self.may_hedge() || !self.walk.may_attempt(around.now) {
            return None;
        }
        let (_, node, hedge) = self.walk.hedging()?;
        let node = Rc::clone(node);
        let first = Rc::clone(&first.deployment);
        let (ahead, second) = self.walk.hedge(&first, around)?;
        if around.health.is_failing(second.id)
            || !around.allowances.try_hedge(&node, hedge.max_share, around.now)
        {
            return None;
        }
        self.walk = ahead;
        self.is_hedged = true;
        Some(self.dispatch(second, around))
    }

    fn exhausted(&mut self, around: &mut Surroundings<'_>) -> Action {
        let reply = if self.deadline <= around.now {
            Reply::DeadlineExceeded
        } else if self.walk.has_passed_over() && self.trail.failures().all(|failure| failure.unknown_object) {
            // Who has the object is out, as it seems, and those who say that there is none are not to be believed.
            Reply::NoneEligible
        } else {
            Reply::Exhausted
        };
        self.reply(reply, around)
    }

    fn reply(&mut self, reply: Reply, around: &mut Surroundings<'_>) -> Action {
        self.abandon(around);
        self.stopped = true;
        Action::Reply(reply)
    }

    /// Ends what is under way without a word on the deployments.
    fn abandon(&mut self, around: &mut Surroundings<'_>) {
        for Attempt { number, ticket, .. } in std::mem::take(&mut self.under_way) {
            self.trail.end(number, Outcome::Abandoned, around.now);
            let sample = Sample::of(health::Outcome::Abandoned);
            around.news.extend(around.health.record(ticket, &sample, around.now, around.rng));
        }
    }
}

/// Tells health of a failure.
fn record(ticket: Ticket, failure: &Failure, around: &mut Surroundings<'_>) {
    let outcome = if failure.class == ErrorClass::Timeout && phase::is_of_request(&failure.reason) {
        health::Outcome::CutShort
    } else if failure.unknown_object {
        // The wrong address, whatever it looks like: a path below an object that is not there is not found either.
        health::Outcome::Failed { class: ErrorClass::BadRequest, hint_ms: None }
    } else {
        health::Outcome::Failed { class: failure.class, hint_ms: failure.hint_ms }
    };
    around.news.extend(around.health.record(ticket, &Sample::of(outcome), around.now, around.rng));
}
