//! Runs the machine of a request, and lets every attempt fail.

use std::rc::Rc;

use super::course_builder::CourseBuilder;
use super::course_view::{AttemptReason, Course, CourseEnd, PlannedAttempt, PlannedLimit, PlannedLimits};
use crate::attempt::attempt_budgets::AttemptBudgets;
use crate::attempt::context::Context;
use crate::attempt::failure::Failure;
use crate::attempt::machine::{Action, Dispatch, Machine, MachineEvent, Reply};
use crate::attempt::phase::{Phase, PhaseLimit};
use crate::attempt::walk::Walk;
use crate::balance::cursors::Cursors;
use crate::health::Health;
use crate::routes::graph::{Commit, Graph, Node};
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::facts::Facts;
use crate::vocabulary::rng::Rng;
use crate::vocabulary::time::{Instant, Millis};

/// Most steps of a machine. It always ends: this only bounds the work if that is ever wrong.
const MOST_STEPS: usize = 10_000;

/// A copy of what an isolate knows. The course changes it, and nothing else.
pub struct IsolateCopy {
    /// The health of the deployments.
    pub health: Health,
    /// The turns of round-robin nodes.
    pub cursors: Cursors,
    /// The budgets for further attempts.
    pub budgets: AttemptBudgets,
}

/// What happens to a request that enters at `entry`, if every attempt fails with `unavailable` at
/// once. With the same `rng` and state, the machine of a served request tries the same deployments
/// in the same order.
pub fn course(
    graph: &Rc<Graph>,
    facts: &Rc<Facts>,
    entry: &Rc<Node>,
    state: &mut IsolateCopy,
    rng: &mut dyn Rng,
    mut now: Instant,
) -> Course {
    let mut builder = CourseBuilder::new(graph, entry);
    let (mut notes, mut changes) = (Vec::new(), Vec::new());
    let IsolateCopy { health, cursors, budgets } = state;
    let mut attempts: Vec<PlannedAttempt> = Vec::new();
    let mut wait_ms = Millis::ZERO;
    macro_rules! context {
        () => {
            &mut Context {
                now,
                rng: &mut *rng,
                cursors: &*cursors,
                health: &mut *health,
                budgets: &mut *budgets,
                changes: &mut changes,
                notes: Some(&mut notes),
            }
        };
    }
    let (mut machine, mut action) = Machine::start(Rc::clone(graph), Rc::clone(facts), entry, context!());
    let max_attempts = Walk::new(Rc::clone(graph), Rc::clone(facts), entry, now).attempts_left();
    let mut end = CourseEnd::Exhausted;
    for _ in 0..MOST_STEPS {
        builder.take(notes.drain(..));
        let event = match action {
            Action::Dispatch(dispatch) => {
                let (by, is_probe, path) = builder.dispatched(dispatch.number);
                attempts.push(planned(&dispatch, by, is_probe, path, wait_ms, now));
                wait_ms = Millis::ZERO;
                let failure = Failure::silent(ErrorClass::Unavailable, "");
                MachineEvent::Failed { number: dispatch.number, failure }
            }
            Action::Sleep { ms } => {
                wait_ms += ms;
                now += ms;
                MachineEvent::SleepElapsed
            }
            Action::Reply(reply) => {
                end = match reply {
                    Reply::NoneEligible => CourseEnd::NoneEligible,
                    Reply::DeadlineExceeded => CourseEnd::DeadlineExceeded,
                    Reply::Pass | Reply::Refused | Reply::Exhausted => CourseEnd::Exhausted,
                };
                break;
            }
            Action::Wait | Action::Stop => break,
        };
        action = machine.on(event, context!());
    }
    Course { max_attempts, deadline_ms: machine.allowed_ms(), attempts, end, tree: builder.tree() }
}

fn planned(
    dispatch: &Dispatch,
    by: AttemptReason,
    is_probe: bool,
    path: Vec<String>,
    wait_ms: Millis,
    now: Instant,
) -> PlannedAttempt {
    let limit = |phase| {
        let PhaseLimit { at, kind } = dispatch.limits.of(phase, now);
        PlannedLimit { ms: (at < Instant::MAX).then(|| at - now), from: kind.name() }
    };
    PlannedAttempt {
        number: dispatch.number,
        deployment: dispatch.deployment.name.clone(),
        id: dispatch.deployment.id,
        path,
        by,
        is_probe,
        wait_ms,
        commit: match dispatch.commit {
            Commit::Headers => "headers",
            Commit::FirstToken => "first_token",
            Commit::Complete => "complete",
        },
        hedge_after_ms: dispatch.hedge_after_ms,
        limits: PlannedLimits {
            headers: limit(Phase::Headers),
            first_token: limit(Phase::FirstToken),
            held_pause: limit(Phase::Rest),
            flow_pause: limit(Phase::Flowing),
        },
    }
}
