//! The simulated world: isolates that serve requests, Durable Objects that get their reports,
//! upstreams, and a clock.
//!
//! The world runs the code of the Worker: every request has its machine, every isolate its health
//! and its reporter, every region and the hub its shard. Only upstreams, the network and the
//! arrival of requests are models.

mod network;
mod simulated_counting;
mod simulated_isolate;
mod simulated_object;

use std::collections::BTreeMap;
use std::rc::Rc;

use super::chance::interval_ms;
use super::event_queue::Queue;
use super::log::{self, ClientResult, Log};
use super::setup::{ObjectFaultKind, Setup};
use super::simulated_upstream::{ActiveWeather, SimulatedAnswer, SimulatedUpstream, UpstreamProfile};
use crate::attempt::failure::Failure;
use crate::attempt::machine::{Action, Dispatch, Machine, MachineEvent, Reply};
use crate::entry::entry_node;
use crate::health::headroom::Headroom;
use crate::health::{Outcome, Sample, Ticket};
use crate::routes::glob::Glob;
use crate::routes::graph::{Client, Node};
use crate::vocabulary::facts::{Facts, Place};
use crate::vocabulary::needs::Needs;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::rng::{Rng, SplitMix64};
use crate::vocabulary::time::{Instant, Millis};
use simulated_isolate::{FirstSnapshot, SimulatedIsolate};
use simulated_object::SimulatedObject;

/// The start of every run, on its virtual clock.
const START: Instant = Instant::from_epoch_ms(1_767_225_600_000);

/// An impatient client leaves within this time, in milliseconds.
const PATIENCE_MS: f64 = 2_000.0;

/// The state of a run.
#[derive(Debug)]
pub struct World {
    setup: Setup,
    now: Instant,
    queue: Queue<WorldEvent>,
    rng: SplitMix64,
    isolates: Vec<SimulatedIsolate>,
    /// The isolate that serves in each slot.
    serving: Vec<usize>,
    shards: Vec<SimulatedObject>,
    hub: SimulatedObject,
    upstreams: Vec<SimulatedUpstream>,
    /// Requests with pending events.
    requests: BTreeMap<usize, SimulatedRequest>,
    client: Client,
    models: Vec<String>,
    log: Log,
}

struct SimulatedRequest {
    isolate: usize,
    facts: Rc<Facts>,
    entry: Rc<Node>,
    machine: Option<Machine>,
    /// The indices of its attempts in the log, by attempt number.
    calls: Vec<usize>,
    committed: Option<SimulatedAnswer>,
    /// How many of its events are pending.
    to_come: u32,
    has_left: bool,
    is_counted: bool,
}

#[derive(Debug)]
enum WorldEvent {
    RequestArrived { slot: usize },
    RequestBegan { request: usize },
    UpstreamResponded { request: usize, number: u32, seen: Result<SimulatedAnswer, Failure> },
    HedgeDelayElapsed { request: usize, number: u32 },
    SleepElapsed { request: usize },
    ClientLeft { request: usize },
    AnswerEnded { request: usize, isolate: usize, ticket: Box<Ticket>, sample: Sample },
    ReportReachedShard { isolate: usize, n: u64, text: String },
    AnswerReachedIsolate { isolate: usize, n: u64, text: Option<String> },
    ReportReachedHub { region: usize, text: String },
    AnswerReachedShard { region: usize, text: Option<String> },
    CountersDue { isolate: usize, until: Instant },
    AlarmRang { region: usize },
    IsolateReplaced { slot: usize },
    ObjectRestarted { region: Option<usize> },
}

impl std::fmt::Debug for SimulatedRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SimulatedRequest").field("isolate", &self.isolate).finish_non_exhaustive()
    }
}

/// Runs a world to its end: requests arrive for the length in the setup, and then all pending
/// events are processed. The same seed gives the same log.
pub fn run(setup: Setup, seed: u64) -> Log {
    let mut world = World::new(setup, seed);
    while let Some((at, event)) = world.queue.take() {
        world.now = at;
        world.handle(event);
    }
    let in_flight = |isolate: &SimulatedIsolate| -> u32 {
        (0..world.setup.graph.deployments.len()).map(|id| isolate.health.in_flight(id, world.now)).sum()
    };
    world.log.left_in_flight = world.isolates.iter().map(in_flight).sum();
    world.log.totals = world.hub.shard.counters().gathered().clone();
    world.log.waiting = world.waiting();
    let killed = world.isolates.iter().enumerate();
    let killed = killed.filter_map(|(number, isolate)| Some((number, relative(isolate.killed_at?))));
    world.log.killed = killed.collect();
    world.log
}

/// The time since the start of the run.
fn relative(at: Instant) -> Millis {
    at - START
}

impl World {
    fn new(setup: Setup, seed: u64) -> Self {
        let mut rng = SplitMix64::new(seed);
        let regions = setup.traffic.regions.max(1);
        let profile = |id: usize| {
            let found = setup.profiles.iter().find(|(who, _)| setup.is_selected(*who, id));
            found.map_or_else(UpstreamProfile::default, |(_, profile)| *profile)
        };
        let upstreams =
            (0..setup.graph.deployments.len()).map(|id| SimulatedUpstream::new(profile(id))).collect();
        let isolates: Vec<_> = (0..setup.traffic.isolates)
            .map(|number| SimulatedIsolate::new(&setup.graph, number % regions, rng.next_u64()))
            .collect();
        let models = setup.graph.models.keys().cloned().collect();
        let mut world = Self {
            now: START,
            queue: Queue::default(),
            serving: (0..isolates.len()).collect(),
            isolates,
            shards: (0..regions).map(|_| SimulatedObject::new(rng.next_u64())).collect(),
            hub: SimulatedObject::new(rng.next_u64()),
            upstreams,
            requests: BTreeMap::new(),
            client: Client {
                name: "simulation".to_owned(),
                models: vec![Glob::new("*")],
                ..Client::default()
            },
            models,
            log: Log::default(),
            rng,
            setup,
        };
        for slot in 0..world.serving.len() {
            world.arrive_later(slot);
            world.replace_later(slot);
        }
        let evictions =
            world.setup.object_faults.iter().filter(|fault| fault.kind == ObjectFaultKind::Evicted);
        for fault in evictions {
            world.queue.add(START + fault.from, WorldEvent::ObjectRestarted { region: fault.region });
        }
        world
    }

    fn handle(&mut self, event: WorldEvent) {
        match event {
            WorldEvent::RequestArrived { slot } => {
                self.arrive(slot);
                self.arrive_later(slot);
            }
            WorldEvent::RequestBegan { request } => {
                self.happened(request);
                self.begin(request);
                self.forget(request);
            }
            WorldEvent::UpstreamResponded { request, number, seen } => {
                self.on_upstream_response(request, number, seen);
            }
            WorldEvent::HedgeDelayElapsed { request, number } => {
                self.happened(request);
                if self.call(request, number).is_some_and(|call| call.ended_at.is_none()) {
                    self.step(request, MachineEvent::HedgeDelayElapsed);
                }
            }
            WorldEvent::SleepElapsed { request } => {
                self.happened(request);
                self.step(request, MachineEvent::SleepElapsed);
            }
            WorldEvent::ClientLeft { request } => self.on_client_left(request),
            WorldEvent::AnswerEnded { request, isolate, ticket, sample } => {
                self.on_answer_ended(request, isolate, *ticket, sample);
            }
            WorldEvent::ReportReachedShard { isolate, n, text } => self.on_report_at_shard(isolate, n, &text),
            WorldEvent::AnswerReachedIsolate { isolate, n, text } => {
                self.on_answer_at_isolate(isolate, n, text.as_deref());
            }
            WorldEvent::ReportReachedHub { region, text } => self.on_report_at_hub(region, &text),
            WorldEvent::AnswerReachedShard { region, text } => {
                self.on_answer_at_shard(region, text.as_deref());
            }
            WorldEvent::CountersDue { isolate, until } => self.flush(isolate, until),
            WorldEvent::AlarmRang { region } => self.ring(region),
            WorldEvent::IsolateReplaced { slot } => {
                self.replace(slot);
                self.replace_later(slot);
            }
            WorldEvent::ObjectRestarted { region } => self.restart(region),
        }
    }

    fn arrive_later(&mut self, slot: usize) {
        let at = self.now + interval_ms(self.setup.traffic.rate, &mut self.rng);
        if relative(at) < self.setup.length_ms {
            self.queue.add(at, WorldEvent::RequestArrived { slot });
        }
    }

    fn replace_later(&mut self, slot: usize) {
        let Some(lifetime_ms) = self.setup.traffic.lifetime_ms else { return };
        let at = self.now + interval_ms(1_000.0 / lifetime_ms.max(Millis::new(1)).as_f64(), &mut self.rng);
        if relative(at) < self.setup.length_ms {
            self.queue.add(at, WorldEvent::IsolateReplaced { slot });
        }
    }

    /// Replaces an isolate by a new one. The old one only finishes the requests that it has begun.
    /// If isolates are killed, it also sends no more reports.
    fn replace(&mut self, slot: usize) {
        let Some(place) = self.serving.get_mut(slot) else { return };
        let old = *place;
        let Some(region) = self.isolates.get(old).map(|isolate| isolate.region) else { return };
        *place = self.isolates.len();
        if self.setup.traffic.is_killed {
            self.kill(old);
        }
        self.isolates.push(SimulatedIsolate::new(&self.setup.graph, region, self.rng.next_u64()));
    }

    fn arrive(&mut self, slot: usize) {
        let Some(isolate) = self.serving.get(slot).copied() else { return };
        let facts = Rc::new(self.facts());
        let id = self.log.requests.len();
        let region = self.isolates.get(isolate).map_or(0, |isolate| isolate.region);
        self.log.requests.push(log::LoggedRequest {
            at: relative(self.now),
            region,
            isolate,
            answered_at: None,
            result: None,
            answers: 0,
        });
        let Ok(entry) = entry_node::choose(&self.setup.graph, &facts, &self.client) else {
            self.on_reply(id, ClientResult::NoneEligible);
            return;
        };
        let request = SimulatedRequest {
            isolate,
            facts,
            entry,
            machine: None,
            calls: Vec::new(),
            committed: None,
            to_come: 0,
            has_left: false,
            is_counted: false,
        };
        self.requests.insert(id, request);
        if self.rng.unit() < self.setup.traffic.impatient {
            let leaves_at = self.now + Millis::from_f64(self.rng.unit() * PATIENCE_MS);
            self.expect(id, leaves_at, WorldEvent::ClientLeft { request: id });
        }
        self.report_if_due(isolate);
        self.begin_or_wait(id, isolate);
    }

    /// The first requests of an isolate wait a short time for the first snapshot of the shard.
    fn begin_or_wait(&mut self, id: usize, isolate: usize) {
        let now = self.now;
        let longest_ms = self.setup.graph.settings.health.first_snapshot_ms;
        let Some(found) = self.isolates.get_mut(isolate) else { return };
        if matches!(found.first, FirstSnapshot::Unasked) {
            found.first = FirstSnapshot::Awaited { until: now + longest_ms, waiting: Vec::new() };
        }
        match &mut found.first {
            FirstSnapshot::Awaited { until, waiting } if now < *until => {
                waiting.push(id);
                let until = *until;
                self.expect(id, until, WorldEvent::RequestBegan { request: id });
            }
            _ => {
                found.first = FirstSnapshot::Over;
                self.begin(id);
            }
        }
    }

    fn facts(&mut self) -> Facts {
        let model = self.models.get(self.rng.below(self.models.len())).cloned().unwrap_or_default();
        Facts {
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            query: BTreeMap::new(),
            operation: Operation::ChatCompletions,
            model,
            client: self.client.name.clone(),
            key: String::new(),
            headers: BTreeMap::new(),
            metadata: BTreeMap::new(),
            place: Place::default(),
            body: BTreeMap::new(),
            labels: Rc::default(),
            texts: Vec::new(),
            input_tokens: 200,
            max_output_tokens: None,
            needs: Needs::default(),
            is_streamed: self.rng.unit() < self.setup.traffic.streamed,
            is_replayable: true,
            has_side_effects: false,
            is_done_once: false,
            previous_response_id: None,
            owner: None,
            patience_ms: None,
            upload_ms: Millis::ZERO,
            draw: self.rng.unit(),
        }
    }

    /// Starts the machine, if it has not started.
    fn begin(&mut self, id: usize) {
        let now = self.now;
        let Some(request) = self.requests.get_mut(&id).filter(|request| request.machine.is_none()) else {
            return;
        };
        if request.has_left {
            return self.forget(id);
        }
        let Some(isolate) = self.isolates.get_mut(request.isolate) else { return };
        let (graph, facts) = (Rc::clone(&self.setup.graph), Rc::clone(&request.facts));
        let (machine, action) = Machine::start(graph, facts, &request.entry, &mut isolate.context(now));
        request.machine = Some(machine);
        self.obey(id, action);
    }

    /// Passes an event to the machine and executes its action.
    fn step(&mut self, id: usize, event: MachineEvent) {
        let now = self.now;
        let Some(request) = self.requests.get_mut(&id) else { return };
        let Some(isolate) = self.isolates.get_mut(request.isolate) else { return };
        let Some(machine) = request.machine.as_mut() else { return self.forget(id) };
        let action = machine.on(event, &mut isolate.context(now));
        self.obey(id, action);
    }

    /// Executes an action of the machine.
    fn obey(&mut self, id: usize, action: Action) {
        match action {
            Action::Dispatch(dispatch) => self.dispatch(id, &dispatch),
            Action::Wait => {}
            Action::Sleep { ms } => self.expect(id, self.now + ms, WorldEvent::SleepElapsed { request: id }),
            Action::Reply(reply) => self.reply(id, reply),
            Action::Stop => self.give_up_calls(id),
        }
        if let Some(isolate) = self.requests.get(&id).map(|request| request.isolate) {
            self.learned(isolate);
        }
        self.forget(id);
    }

    /// Runs after each step of a request: a report may be due.
    fn learned(&mut self, isolate: usize) {
        if let Some(found) = self.isolates.get_mut(isolate) {
            found.changes.clear();
        }
        self.report_if_due(isolate);
    }

    fn dispatch(&mut self, id: usize, dispatch: &Dispatch) {
        let (now, at) = (self.now, relative(self.now));
        let deployment = dispatch.deployment.id;
        let Some(request) = self.requests.get_mut(&id) else { return };
        let Some(isolate) = self.isolates.get_mut(request.isolate) else { return };
        let operation = request.facts.operation;
        request.calls.push(self.log.calls.len());
        self.log.calls.push(log::LoggedCall {
            request: id,
            at,
            region: isolate.region,
            isolate: request.isolate,
            deployment,
            is_probe: isolate.probes(deployment, operation, now),
            ended_at: None,
            outcome: None,
        });
        let setup = &self.setup;
        let holds = setup.weather.iter().filter(|spell| {
            setup.is_selected(spell.who, deployment)
                && spell.region.is_none_or(|region| region == isolate.region)
                && (spell.from..spell.until).contains(&at)
        });
        let weather: Vec<_> = holds
            .map(|spell| ActiveWeather {
                weather: spell.weather,
                since_ms: at - spell.from,
                remaining_ms: spell.until - at,
            })
            .collect();
        let Some(upstream) = self.upstreams.get_mut(deployment) else { return };
        let course = upstream.call(&weather, now, &mut self.rng);
        if let Some(headroom) = Headroom::of(&course.headers, &dispatch.deployment.limits, now) {
            isolate.health.record_headroom(deployment, headroom);
        }
        let (seen_at, seen) = course.seen(dispatch, request.facts.is_streamed, now);
        let number = dispatch.number;
        self.expect(id, seen_at, WorldEvent::UpstreamResponded { request: id, number, seen });
        if let Some(ms) = dispatch.hedge_after_ms {
            self.expect(id, now + ms, WorldEvent::HedgeDelayElapsed { request: id, number });
        }
    }

    fn on_upstream_response(&mut self, id: usize, number: u32, seen: Result<SimulatedAnswer, Failure>) {
        self.happened(id);
        let at = relative(self.now);
        if let Some(call) = self.call(id, number).filter(|call| call.ended_at.is_none()) {
            call.ended_at = Some(at);
            call.outcome = Some(match &seen {
                Ok(_) => log::CallOutcome::Answered,
                Err(failure) => log::CallOutcome::Failed(failure.class),
            });
        }
        let event = match seen {
            Ok(committed) => {
                if let Some(request) = self.requests.get_mut(&id) {
                    request.committed.get_or_insert(committed);
                }
                MachineEvent::Committed { number, status: 200 }
            }
            Err(failure) => MachineEvent::Failed { number, failure },
        };
        self.step(id, event);
    }

    fn reply(&mut self, id: usize, reply: Reply) {
        let verdict = match reply {
            Reply::Pass => ClientResult::Served,
            Reply::NoneEligible => ClientResult::NoneEligible,
            // Nothing is refused here.
            Reply::Exhausted | Reply::Refused => ClientResult::Exhausted,
            Reply::DeadlineExceeded => ClientResult::DeadlineExceeded,
        };
        self.on_reply(id, verdict);
        self.give_up_calls(id);
        self.count_reply(id, reply);
        let Some(request) = self.requests.get_mut(&id) else { return };
        let ticket = request.machine.as_mut().and_then(Machine::take_ticket);
        if let (Some(committed), Some(ticket)) = (request.committed, ticket) {
            let SimulatedAnswer { ends_at, outcome, first_token_ms, output_tokens } = committed;
            let sample = Sample { outcome, first_token_ms, output_tokens: Some(output_tokens) };
            let isolate = request.isolate;
            let ended = WorldEvent::AnswerEnded { request: id, isolate, ticket: Box::new(ticket), sample };
            self.expect(id, ends_at.max(self.now), ended);
        }
    }

    /// Records the outcome of an answer that has ended.
    fn on_answer_ended(&mut self, id: usize, isolate: usize, ticket: Ticket, mut sample: Sample) {
        self.happened(id);
        let has_left = self.requests.get(&id).is_some_and(|request| request.has_left);
        if has_left {
            let output_tokens = sample.output_tokens;
            sample = Sample { output_tokens, ..Sample::of(Outcome::Abandoned) };
        } else if matches!(sample.outcome, Outcome::Failed { .. })
            && let Some(line) = self.log.requests.get_mut(id)
        {
            line.result = Some(ClientResult::Broken);
        }
        let now = self.now;
        let Some(found) = self.isolates.get_mut(isolate) else { return };
        found.health.record(ticket, &sample, now, &mut found.rng);
        self.count_answer(id, &sample);
        self.report_if_due(isolate);
        self.forget(id);
    }

    /// A client leaves. If it has no answer yet, the machine is informed.
    fn on_client_left(&mut self, id: usize) {
        self.happened(id);
        let at = relative(self.now);
        let Some(request) = self.requests.get_mut(&id) else { return };
        request.has_left = true;
        let is_answered = self.log.requests.get(id).is_some_and(|line| line.result.is_some());
        if is_answered {
            return self.forget(id);
        }
        if let Some(line) = self.log.requests.get_mut(id) {
            (line.answered_at, line.result) = (Some(at), Some(ClientResult::Left));
        }
        self.count(id, "client_left", 0);
        self.step(id, MachineEvent::ClientLeft);
    }

    fn on_reply(&mut self, id: usize, verdict: ClientResult) {
        let at = relative(self.now);
        if let Some(line) = self.log.requests.get_mut(id) {
            line.answers += 1;
            (line.answered_at, line.result) = (Some(at), Some(verdict));
        }
    }

    /// Ends the attempts of a request that no longer waits for them.
    fn give_up_calls(&mut self, id: usize) {
        let at = relative(self.now);
        let calls = self.requests.get(&id).map(|request| request.calls.as_slice()).unwrap_or_default();
        for call in calls {
            if let Some(call) = self.log.calls.get_mut(*call) {
                call.ended_at.get_or_insert(at);
            }
        }
    }

    fn call(&mut self, id: usize, number: u32) -> Option<&mut log::LoggedCall> {
        let call = self.requests.get(&id)?.calls.get((number as usize).checked_sub(1)?)?;
        self.log.calls.get_mut(*call)
    }

    /// Schedules an event of a request.
    fn expect(&mut self, id: usize, at: Instant, event: WorldEvent) {
        // An event at `Millis::MAX` never happens.
        if at == Instant::MAX {
            return;
        }
        if let Some(request) = self.requests.get_mut(&id) {
            request.to_come += 1;
        }
        self.queue.add(at, event);
    }

    /// Counts an event of a request as processed.
    fn happened(&mut self, id: usize) {
        if let Some(request) = self.requests.get_mut(&id) {
            request.to_come = request.to_come.saturating_sub(1);
        }
    }

    /// Removes a request that has no pending events.
    fn forget(&mut self, id: usize) {
        if self.requests.get(&id).is_some_and(|request| request.to_come == 0) {
            self.requests.remove(&id);
        }
    }
}
