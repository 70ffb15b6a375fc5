//! One isolate, its graph, and a clock that the tests move.

use std::rc::Rc;

use switchyard::attempt::failure::Failure;
use switchyard::attempt::machine::{Action, Dispatch, Machine, MachineEvent, Reply};
use switchyard::health::{AnswerKind, Outcome, Sample};
use switchyard::routes::graph::{Graph, Node, Strategy as Order};
use switchyard::vocabulary::error_class::ErrorClass;
use switchyard::vocabulary::facts::Facts;
use switchyard::vocabulary::operation::Operation::ChatCompletions;
use switchyard::vocabulary::time::{Instant, Millis};

use crate::graphs::{Builder, Isolate, facts};

/// The start time of every test.
pub const NOW: Instant = Instant::from_epoch_ms(1_000_000_000);

/// One isolate with its graph and the current time.
pub struct Here {
    pub graph: Rc<Graph>,
    pub entry: Rc<Node>,
    pub isolate: Isolate,
    pub now: Instant,
}

impl Here {
    pub fn new(build: Builder, entry: Rc<Node>) -> Self {
        let graph = build.graph();
        let isolate = Isolate::new(&graph, 1);
        Self { graph, entry, isolate, now: NOW }
    }

    /// Deployments with these names, in priority order.
    pub fn of(names: &[&str], change: impl FnOnce(&mut Node)) -> Self {
        let mut build = Builder::new(names);
        let entry = build.node_with(Order::Priority, names, change);
        Self::new(build, entry)
    }

    pub fn start(&mut self, facts: Facts) -> (Machine, Action) {
        let graph = Rc::clone(&self.graph);
        Machine::start(graph, Rc::new(facts), &self.entry, &mut self.isolate.context(self.now))
    }

    pub fn on(&mut self, machine: &mut Machine, event: MachineEvent) -> Action {
        machine.on(event, &mut self.isolate.context(self.now))
    }

    pub fn fails(&mut self, machine: &mut Machine, number: u32, class: ErrorClass) -> Action {
        self.on(machine, MachineEvent::Failed { number, failure: Failure::silent(class, "") })
    }

    /// Runs one request. Every attempt ends as `does` says for its deployment. Returns the names of
    /// the deployments that were tried, and the reply.
    pub fn request(&mut self, does: impl Fn(&str) -> Option<ErrorClass>) -> (Vec<String>, Reply) {
        let (mut machine, mut action) = self.start(facts());
        let mut asked = Vec::new();
        loop {
            action = match action {
                Action::Dispatch(dispatch) => {
                    asked.push(dispatch.deployment.name.clone());
                    match does(&dispatch.deployment.name) {
                        Some(class) => self.fails(&mut machine, dispatch.number, class),
                        None => self.on(
                            &mut machine,
                            MachineEvent::Committed { number: dispatch.number, status: 200 },
                        ),
                    }
                }
                Action::Sleep { ms } => {
                    self.now += ms;
                    self.on(&mut machine, MachineEvent::SleepElapsed)
                }
                Action::Reply(reply) => {
                    if let Some(ticket) = machine.take_ticket() {
                        let sample = Sample::of(Outcome::Served);
                        self.isolate.health.record(ticket, &sample, self.now, &mut self.isolate.rng);
                    }
                    return (asked, reply);
                }
                Action::Wait | Action::Stop => panic!("{action:?}"),
            };
        }
    }

    pub fn eject(&mut self, id: usize, class: ErrorClass, hint_ms: Option<Millis>) {
        let ticket = self.isolate.health.begin(id, ChatCompletions, AnswerKind::Whole, 0, self.now);
        let sample = Sample::of(Outcome::failed(class, hint_ms));
        self.isolate.health.record(ticket, &sample, self.now, &mut self.isolate.rng);
    }

    pub fn in_flight(&self) -> u32 {
        (0..self.graph.deployments.len()).map(|id| self.isolate.health.in_flight(id, self.now)).sum()
    }
}

pub fn dispatched(action: Action) -> Dispatch {
    let Action::Dispatch(dispatch) = action else { panic!("{action:?}") };
    dispatch
}
