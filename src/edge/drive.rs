//! The loop that obeys the machine, from the first dispatch to the response.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;

use futures_util::future::{Either, select};
use wasm_bindgen::JsValue;
use web_sys::{Response, WritableStream};
use worker::Context;

use super::call::{self, Committed, Content};
use super::inbound::Inbound;
use super::isolate::{self, Routes};
use super::respond::{self, Sent};
use super::{clock, flow, js};
use crate::attempt::machine::{Action, Event, Machine, Reply};
use crate::attempt::trail::Trail;
use crate::attempt::walk;
use crate::reply::error::ClientError;
use crate::reply::headers::{self, Served};
use crate::reply::{ErrorReply, exhausted};
use crate::rng::SplitMix64;
use crate::routes::graph::{Commit, Node};
use crate::stream::protocol::{Protocol, error_event};
use crate::time::Millis;

/// What came of a request.
struct Outcome {
    answer: Result<Committed, ErrorReply>,
    trail: Trail,
}

/// Runs a request through the graph and answers it. `extra`: headers that every response gets.
pub async fn run(
    inbound: Rc<Inbound>,
    node: Rc<Node>,
    routes: Rc<Routes>,
    context: &Context,
    extra: &[(&'static str, String)],
) -> Result<Response, JsValue> {
    // An answer that is held until it is complete may take long: its client gets comments meanwhile.
    let holding = Rc::new(Cell::new(false));
    let keepalive_ms = routes.graph.settings.keepalive_ms;
    let mut driving =
        Box::pin(drive(Rc::clone(&inbound), Rc::clone(&node), Rc::clone(&routes), Rc::clone(&holding)));
    let outcome = loop {
        if !inbound.facts.stream {
            break driving.await;
        }
        match select(driving, Box::pin(clock::sleep(keepalive_ms))).await {
            Either::Left((outcome, _)) => break outcome,
            Either::Right(((), still_driving)) if holding.get() => {
                let pipe = js::IdentityTransformStream::new();
                let protocol = Protocol::of(inbound.facts.operation);
                context.wait_until(keep_alive(still_driving, pipe.writable(), protocol, keepalive_ms));
                let headers = [("content-type", "text/event-stream".to_owned())];
                return respond::with(200, headers.iter().chain(extra), &Sent::Stream(pipe.readable()));
            }
            Either::Right(((), still_driving)) => driving = still_driving,
        }
    };

    let settings = &routes.graph.settings;
    let served = Served {
        request_id: &inbound.request_id,
        routes: &routes.graph.version,
        route: Some((&node.name, &outcome.trail)),
        elapsed_ms: clock::now().saturating_sub(inbound.arrived_at),
    };
    // `extra` names the request and the document already; the full set takes its place, and CORS stays.
    let mut own = headers::own(&served, settings.expose);
    own.extend(extra.iter().filter(|(name, _)| !name.starts_with("x-switchyard-")).cloned());
    match outcome.answer {
        Err(error) => respond::error(&error, own),
        Ok(committed) => respond::committed(committed, &own, context),
    }
}

/// Does what the machine says until there is an answer.
async fn drive(inbound: Rc<Inbound>, node: Rc<Node>, routes: Rc<Routes>, holding: Rc<Cell<bool>>) -> Outcome {
    let mut rng = SplitMix64::new(isolate::entropy());
    let graph = Rc::clone(&routes.graph);
    let mut committed = None;
    let (mut machine, mut action) =
        Machine::start(graph, Rc::clone(&inbound.facts), &node, &mut isolate::around(&routes, &mut rng));
    let reply = loop {
        let event = match action {
            Action::Dispatch(dispatch) => {
                holding.set(dispatch.commit == Commit::Complete);
                match call::attempt(&inbound, &dispatch, routes.graph.settings.buffer_bytes).await {
                    Ok(answer) => {
                        let status = answer.status;
                        committed = Some(answer);
                        Event::Answered { status }
                    }
                    Err(failure) => Event::Failed(failure),
                }
            }
            Action::Sleep { ms } => {
                clock::sleep(ms).await;
                Event::Woke
            }
            Action::Reply(reply) => break reply,
            Action::Stop => break Reply::Exhausted,
        };
        action = machine.on(event, &mut isolate::around(&routes, &mut rng));
    };
    let trail = machine.trail().clone();
    let answer = match (reply, committed) {
        (Reply::Pass, Some(committed)) => Ok(committed),
        (Reply::NoneEligible, _) => {
            let obstacles = walk::obstacles(&routes.graph, &inbound.facts, &node);
            let reasons = obstacles.iter().map(ToString::to_string).collect();
            Err((&ClientError::NoEligibleDeployment { model: node.name.clone(), reasons }).into())
        }
        (reply, _) => {
            let failures: Vec<_> = trail.failures().collect();
            let late_ms =
                (reply == Reply::DeadlineExceeded).then(|| clock::now().saturating_sub(inbound.arrived_at));
            Err(exhausted::reply(&failures, late_ms))
        }
    };
    Outcome { answer, trail }
}

/// Sends comments until the held answer is there, then the answer. The status is out already, so that an error becomes an event.
async fn keep_alive(
    mut driving: Pin<Box<impl Future<Output = Outcome>>>,
    client: WritableStream,
    protocol: Protocol,
    every_ms: Millis,
) {
    let outcome = loop {
        if flow::send(&client, b": waiting\n\n").await.is_err() {
            // Dropping the work ends the upstream call.
            return;
        }
        match select(driving, Box::pin(clock::sleep(every_ms))).await {
            Either::Left((outcome, _)) => break outcome,
            Either::Right(((), still_driving)) => driving = still_driving,
        }
    };
    let bytes = match outcome.answer {
        Ok(Committed { body: Content::Flowing(flowing), .. }) => {
            flow::carry(flowing, client).await;
            return;
        }
        Ok(Committed { body: Content::Held(bytes), .. }) => bytes,
        Ok(Committed { body: Content::Whole(bytes), .. }) => bytes.to_vec(),
        Err(error) => {
            let body: serde_json::Value = serde_json::from_slice(&error.body).unwrap_or_default();
            let text = |name| body.pointer(name).and_then(|text| text.as_str()).unwrap_or("upstream_error");
            error_event(protocol, text("/error/code"), text("/error/message"))
        }
    };
    if flow::send(&client, &bytes).await.is_ok() {
        let _ = flow::close(&client).await;
    }
}
