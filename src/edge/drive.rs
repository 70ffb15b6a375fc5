//! The loop that obeys the machine, from the first dispatch to the response.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;

use futures_util::future::{Either, select};
use serde_json::Value;
use wasm_bindgen::JsValue;
use web_sys::{Response, WritableStream};

use super::call::{self, Committed, Content};
use super::calls::{Calls, First};
use super::inbound::Inbound;
use super::isolate::{self, Routes};
use super::learn::{self, Answering};
use super::respond::{self, Sent};
use super::{clock, flow, js, share};
use crate::attempt::failure::Failure;
use crate::attempt::machine::{Action, Machine, MachineEvent, Reply};
use crate::attempt::trail::Trail;
use crate::attempt::{output_tokens, walk};
use crate::health::{self, Ticket};
use crate::reply::exhausted;
use crate::reply::response_headers::{self, ServedRequest};
use crate::routes::graph::{Commit, Node};
use crate::stream::protocol::{Protocol, broken_stream, error_event};
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::error_reply::ErrorReply;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::rng::SplitMix64;
use crate::vocabulary::time::Millis;

/// What came of a request.
struct Outcome {
    answer: Result<Committed, ErrorReply>,
    trail: Trail,
}

/// Runs a request through the graph and answers it. `cors`: headers that every response gets.
pub async fn run(
    inbound: Rc<Inbound>,
    node: Rc<Node>,
    routes: Rc<Routes>,
    cors: Vec<(&'static str, String)>,
) -> Result<Response, JsValue> {
    let settings = &routes.graph.settings;
    // An answer that is held until it is complete may take long: its client gets comments meanwhile.
    let holding = Rc::new(Cell::new(false));
    let keepalive_ms = settings.keepalive_ms;
    let mut served = ServedRequest {
        request_id: &inbound.request_id,
        routes: &routes.graph.version,
        node: Some(&node.name),
        tried: None,
    };
    let mut driving =
        Box::pin(drive(Rc::clone(&inbound), Rc::clone(&node), Rc::clone(&routes), Rc::clone(&holding)));
    let outcome = loop {
        if !inbound.facts.is_streamed {
            break driving.await;
        }
        match select(driving, Box::pin(clock::sleep(keepalive_ms))).await {
            Either::Left((outcome, _)) => break outcome,
            Either::Right(((), still_driving)) if holding.get() => {
                let pipe = js::IdentityTransformStream::new();
                let protocol = Protocol::of(inbound.facts.operation);
                js::wait_until(
                    &inbound.exchange,
                    keep_alive(still_driving, pipe.writable(), protocol, keepalive_ms),
                );
                let mut headers = response_headers::own(&served, settings.expose);
                headers.push(("content-type", "text/event-stream".to_owned()));
                headers.extend(cors);
                return respond::with(200, &Headers::of(headers), &Sent::Stream(pipe.readable()));
            }
            Either::Right(((), still_driving)) => driving = still_driving,
        }
    };

    served.tried = Some((&outcome.trail, clock::now().saturating_sub(inbound.arrived_at)));
    let mut own = response_headers::own(&served, settings.expose);
    own.extend(cors);
    match outcome.answer {
        Err(error) => respond::error(&error, own),
        Ok(committed) => respond::committed(committed, own, &inbound.exchange),
    }
}

/// A machine at work. Dropped before its end (the client left, and the runtime ended the work), it gives back what it holds.
struct Driving {
    machine: Machine,
    routes: Rc<Routes>,
    rng: SplitMix64,
}

impl Driving {
    fn start(inbound: &Inbound, node: &Rc<Node>, routes: Rc<Routes>) -> (Self, Action) {
        let mut rng = SplitMix64::new(isolate::entropy());
        let (graph, facts) = (Rc::clone(&routes.graph), Rc::clone(&inbound.facts));
        let (machine, action) =
            learn::step(&routes, &mut rng, |context| Machine::start(graph, facts, node, context));
        (Self { machine, routes, rng }, action)
    }

    fn on(&mut self, event: MachineEvent) -> Action {
        learn::step(&self.routes, &mut self.rng, |context| self.machine.on(event, context))
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        self.on(MachineEvent::ClientLeft);
    }
}

/// Does what the machine says until there is an answer.
async fn drive(inbound: Rc<Inbound>, node: Rc<Node>, routes: Rc<Routes>, holding: Rc<Cell<bool>>) -> Outcome {
    share::settle(&routes).await;
    let mut calls = Calls::default();
    let mut committed = None;
    let (mut driving, mut action) = Driving::start(&inbound, &node, Rc::clone(&routes));
    let reply = loop {
        share::go_on_reporting(&inbound.exchange);
        let event = match action {
            Action::Dispatch(dispatch) => {
                holding.set(dispatch.commit == Commit::Complete);
                let (inbound, routes) = (&inbound, &routes);
                calls.begin(dispatch.number, dispatch.hedge_after_ms, async move {
                    call::attempt(inbound, &dispatch, routes).await
                });
                None
            }
            Action::Wait => None,
            Action::Sleep { ms } => {
                clock::sleep(ms).await;
                Some(MachineEvent::SleepElapsed)
            }
            Action::Reply(reply) => break reply,
            Action::Stop => break Reply::Exhausted,
        };
        let event = match event {
            Some(event) => event,
            None => match calls.first().await {
                First::Answer(number, answer) => {
                    let status = answer.status;
                    committed = Some(answer);
                    MachineEvent::Committed { number, status }
                }
                First::Failure(number, failure) => {
                    warn(&inbound, &driving.machine, number, &failure);
                    MachineEvent::Failed { number, failure }
                }
                First::Late => MachineEvent::HedgeDelayElapsed,
            },
        };
        action = driving.on(event);
    };
    drop(calls);
    let trail = driving.machine.take_trail();
    let answer = match (reply, committed) {
        (Reply::Pass, Some(committed)) => {
            let ticket = driving.machine.take_ticket();
            let first_token_ms = trail.served_after_ms().filter(|_| inbound.facts.is_streamed);
            Ok(watched(committed, ticket, &routes, first_token_ms))
        }
        (Reply::NoneEligible, _) => Err(none_eligible(&inbound, &node, &routes)),
        (reply, _) => {
            let failures: Vec<_> = trail.failures().collect();
            let late_ms = (reply == Reply::DeadlineExceeded).then(|| driving.machine.allowed_ms());
            Err(exhausted::reply(&failures, late_ms))
        }
    };
    Outcome { answer, trail }
}

fn warn(inbound: &Inbound, machine: &Machine, number: u32, failure: &Failure) {
    let attempt = machine.trail().attempts().get((number as usize).saturating_sub(1));
    let name = attempt.map_or("?", |attempt| &attempt.deployment.name);
    let (class, reason) = (failure.class.name(), &failure.reason);
    js::warn(&format!("{}: {name} failed: {class} ({reason})", inbound.request_id));
}

/// The answer, whose end will be told to the health of its deployment: now, where it is here already.
fn watched(
    mut committed: Committed,
    ticket: Option<Ticket>,
    routes: &Rc<Routes>,
    first_token_ms: Option<Millis>,
) -> Committed {
    let answering = Answering::new(Rc::clone(routes), ticket, first_token_ms);
    match &mut committed.body {
        Content::Flowing(flow) => flow.answering = Some(answering),
        Content::Whole { bytes, .. } | Content::Held(bytes) => {
            answering.end(health::Outcome::Served, output_tokens::output_tokens(bytes));
        }
    }
    committed
}

/// Why nothing could be tried, and when to come back.
fn none_eligible(inbound: &Inbound, node: &Rc<Node>, routes: &Routes) -> ErrorReply {
    let now = clock::now();
    let obstacles = walk::obstacles(&routes.graph, &inbound.facts, node, &routes.health.borrow(), now);
    (&ClientError::NoEligibleDeployment {
        model: node.name.clone(),
        reasons: obstacles.iter().map(ToString::to_string).collect(),
        returns_in_ms: obstacles.iter().filter_map(|obstacle| obstacle.ends_in_ms(now)).min(),
    })
        .into()
}

/// Sends comments until the held answer is there, then the answer. The status is out already, so that an error becomes an event.
async fn keep_alive(
    mut driving: Pin<Box<impl Future<Output = Outcome>>>,
    client: WritableStream,
    protocol: Protocol,
    every_ms: Millis,
) {
    let outcome = loop {
        if js::send(&client, b": waiting\n\n").await.is_err() {
            // Dropping the work ends the upstream call.
            return;
        }
        match select(driving, Box::pin(clock::sleep(every_ms))).await {
            Either::Left((outcome, _)) => break outcome,
            Either::Right(((), still_driving)) => driving = still_driving,
        }
    };
    let bytes = match outcome.answer {
        Ok(Committed { body: Content::Flowing(flowing), .. }) if flowing.tail.is_some() => {
            flow::carry(flowing, client).await;
            return;
        }
        Ok(Committed { body: Content::Held(bytes), .. }) => bytes,
        Ok(_) => {
            let message = "The upstream did not answer with a stream, as it was asked to.";
            error_event(protocol, &broken_stream("upstream_not_a_stream", message))
        }
        // The status is out already: the error goes into the stream, as it would have stood in the body.
        Err(error) => {
            let body: Value = serde_json::from_slice(&error.body).unwrap_or_default();
            error_event(protocol, body.get("error").unwrap_or(&Value::Null))
        }
    };
    if js::send(&client, &bytes).await.is_ok() {
        let _ = js::close(&client).await;
    }
}
