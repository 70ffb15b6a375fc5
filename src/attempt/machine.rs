//! The machine of one request: events in, actions out, no clock, no randomness and no I/O of its own.
//!
//! Whoever drives it (the Worker, a simulation, a property test) obeys each [`Action`] and answers it with the [`Event`] that
//! came of it.
//!
//! Invariants, stated as properties in `tests/machine.rs`: never more attempts than any limit on the way allows; nothing is
//! dispatched at or after the deadline; never a deployment that requirements forbid; a deployment that was left is never
//! dispatched again; exactly one reply; an end for every script of outcomes.

use std::rc::Rc;

use super::backoff;
use super::class::ErrorClass;
use super::failure::Failure;
use super::phase::Limits;
use super::trail::{Outcome, Trail};
pub use super::walk::Surroundings;
use super::walk::Walk;
use crate::request::facts::Facts;
use crate::routes::graph::{Commit, Deployment, Graph, Node, Retry};
use crate::time::Millis;

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// The attempt reached its commit point with this status: from here on it is the answer.
    Answered {
        /// The upstream's status.
        status: u16,
    },
    /// The attempt failed before its commit point.
    Failed(Failure),
    /// The sleep is over.
    Woke,
    /// The client has left.
    ClientGone,
}

/// What to do.
#[derive(Debug)]
pub enum Action {
    /// Send the request to a deployment; answer with `Answered` or `Failed`.
    Dispatch(Dispatch),
    /// Wait; answer with `Woke`.
    Sleep {
        /// For how long.
        ms: Millis,
    },
    /// Answer the client: the last action but for `Stop`.
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
}

/// How the client is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// With the answer of the attempt that reached its commit point.
    Pass,
    /// Nothing was tried, since no deployment may be.
    NoneEligible,
    /// Everything that may be tried failed: the trail tells how.
    Exhausted,
    /// The deadline came before an answer.
    DeadlineExceeded,
}

/// One request on its way.
pub struct Machine {
    facts: Rc<Facts>,
    walk: Walk,
    trail: Trail,
    current: Option<Rc<Deployment>>,
    /// Second tries of `current` so far.
    retries: u32,
    started_at: Millis,
    /// The end of the whole request.
    deadline: Millis,
    stopped: bool,
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
            walk,
            trail: Trail::default(),
            current: None,
            retries: 0,
            started_at: around.now,
            deadline,
            stopped: false,
        };
        let action = match machine.walk.advance(None, around) {
            Some(deployment) => machine.dispatch(deployment, around.now),
            None => machine.reply(Reply::NoneEligible),
        };
        (machine, action)
    }

    /// What to do after `event`.
    pub fn on(&mut self, event: Event, around: &mut Surroundings<'_>) -> Action {
        if self.stopped {
            return Action::Stop;
        }
        match event {
            Event::Answered { status } => {
                self.trail.end(Outcome::Served(status), around.now);
                self.reply(Reply::Pass)
            }
            Event::Failed(failure) => self.failed(&failure, around),
            Event::Woke => match self.current.clone() {
                Some(deployment) if self.walk.may_attempt(around.now) => {
                    self.dispatch(deployment, around.now)
                }
                _ => self.reply(Reply::DeadlineExceeded),
            },
            Event::ClientGone => {
                self.trail.end(Outcome::Abandoned, around.now);
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

    fn failed(&mut self, failure: &Failure, around: &mut Surroundings<'_>) -> Action {
        self.trail.end(Outcome::Failed(failure.clone()), around.now);
        let Some(deployment) = self.current.clone() else { return self.reply(Reply::Exhausted) };

        // A second try that the document asks for comes first; so does one of the last target. Nothing is worth a wait while
        // something else could be tried instead.
        let has_alternative = self.walk.alternative(&deployment, failure, around.now).is_some();
        let retry = self.walk.retry().or_else(|| (!has_alternative).then(Retry::default));
        let wait_ms =
            retry.and_then(|retry| self.wait_before_retry(&retry, failure, has_alternative, around));
        if let Some(ms) = wait_ms {
            self.retries = self.retries.saturating_add(1);
            if ms == 0 {
                return self.dispatch(deployment, around.now);
            }
            self.trail.wait(ms);
            return Action::Sleep { ms };
        }
        self.walk.forbid(&deployment);
        if failure.unknown_object {
            self.walk.forbid_storage_of(&deployment);
        }
        if let Some(next) = self.walk.advance(Some(failure), around) {
            self.retries = 0;
            return self.dispatch(next, around.now);
        }
        if self.deadline <= around.now {
            self.reply(Reply::DeadlineExceeded)
        } else {
            self.reply(Reply::Exhausted)
        }
    }

    /// How long to wait before a second try of the current deployment, where `retry` and every limit allow one.
    fn wait_before_retry(
        &mut self,
        retry: &Retry,
        failure: &Failure,
        has_alternative: bool,
        around: &mut Surroundings<'_>,
    ) -> Option<Millis> {
        if failure.unknown_object
            || self.retries >= retry.attempts
            || !retry.on.contains(failure.class, failure.status)
        {
            return None;
        }
        let ms = if has_alternative {
            // Who asks for time, or took all that there was, is not asked again at once.
            let is_quick = failure.hint_ms.is_none() && failure.class != ErrorClass::Timeout;
            is_quick.then_some(0)?
        } else {
            backoff::wait_ms(failure, retry, self.retries.saturating_add(1), around.rng)?
        };
        self.walk.may_attempt(around.now.saturating_add(ms)).then_some(ms)
    }

    fn dispatch(&mut self, deployment: Rc<Deployment>, now: Millis) -> Action {
        self.walk.count_attempt();
        self.trail.begin(Rc::clone(&deployment), now);
        self.current = Some(Rc::clone(&deployment));
        Action::Dispatch(Dispatch {
            number: u32::try_from(self.trail.attempts().len()).unwrap_or(u32::MAX),
            commit: self.walk.commit(),
            limits: Limits::new(
                self.walk.timeouts(&deployment),
                self.facts.stream,
                now,
                self.walk.deadline(),
                self.walk.alternative(&deployment, &Failure::silent(ErrorClass::Timeout, ""), now),
            ),
            deployment,
        })
    }

    fn reply(&mut self, reply: Reply) -> Action {
        self.stopped = true;
        Action::Reply(reply)
    }
}
