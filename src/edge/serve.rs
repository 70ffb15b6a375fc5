//! One request from arrival to answer: gathers the facts, drives the machine, obeys it.

use std::cell::Cell;
use std::rc::Rc;

use futures_util::future::{Either, select};
use wasm_bindgen::JsValue;
use web_sys::{Request, Response, WritableStream};
use worker::{Context, Env};

use super::body::Body;
use super::call::{self, Committed, Content};
use super::inbound::{Inbound, place};
use super::isolate::{self, Routes};
use super::respond::{self, Sent};
use super::{admin, clock, flow, js};
use crate::attempt::machine::{Action, Event, Machine, Reply};
use crate::attempt::trail::Trail;
use crate::attempt::walk;
use crate::reply::error::ClientError;
use crate::reply::headers::Served;
use crate::reply::{ErrorReply, cors, exhausted, models};
use crate::request::facts::{self, Facts};
use crate::request::operation::Operation;
use crate::request::path::{self, Path};
use crate::request::{credentials, entry, query};
use crate::rng::SplitMix64;
use crate::routes::graph::{Client, Commit, Node};
use crate::stream::protocol::{Protocol, error_event};
use crate::time::Millis;
use crate::upstream::headers;

/// A request that has just arrived.
pub struct Arrival {
    request: Request,
    headers: Vec<(String, String)>,
    path: String,
    query: String,
    at: Millis,
    id: String,
}

impl Arrival {
    /// Reads what can be read without waiting.
    pub fn of(request: Request) -> Self {
        let headers = js::entries(&request.headers());
        let url = request.url();
        // scheme://host/path?query
        let after_scheme = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let target = after_scheme.split_once('/').map_or("", |(_, rest)| rest);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let id = format!("req_{:016x}{:016x}", isolate::entropy(), isolate::entropy());
        Self { path: format!("/{path}"), query: query.to_owned(), headers, at: clock::now(), id, request }
    }

    /// The path, without the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The method, in capitals.
    pub fn method(&self) -> String {
        self.request.method()
    }

    /// The value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The key that came along.
    pub fn key(&self) -> Option<&str> {
        credentials::key(self.header("authorization"), self.header("api-key"))
    }
}

/// Answers a request.
pub async fn serve(request: Request, env: Env, context: Context) -> Result<Response, JsValue> {
    let arrival = Arrival::of(request);
    let routes = match isolate::routes(&env, &context).await {
        Ok(routes) => routes,
        Err(error) => return respond::error(&(&error).into(), Vec::new()),
    };
    let settings = &routes.graph.settings;
    let origin = arrival.header("origin");
    let mut extra = cors::headers(&settings.cors_origins, origin);
    if arrival.request.method() == "OPTIONS" {
        let requested = arrival.header("access-control-request-headers");
        let preflight = cors::preflight(&settings.cors_origins, origin, requested);
        if !preflight.is_empty() {
            return respond::empty(204, &preflight);
        }
    }
    let served =
        Served { request_id: &arrival.id, routes: &routes.graph.version, route: None, elapsed_ms: 0 };
    extra.extend(crate::reply::headers::own(&served, settings.expose));
    match dispatch(&arrival, &routes, &env, &context, &extra).await {
        Ok(response) => Ok(response),
        Err(Refusal::Error(error)) => respond::error(&(&error).into(), extra),
        Err(Refusal::Runtime(error)) => Err(error),
    }
}

/// Why there is no response yet.
enum Refusal {
    /// The client is to be told so.
    Error(ClientError),
    /// JavaScript failed us.
    Runtime(JsValue),
}

impl From<ClientError> for Refusal {
    fn from(error: ClientError) -> Self {
        Self::Error(error)
    }
}

impl From<JsValue> for Refusal {
    fn from(error: JsValue) -> Self {
        Self::Runtime(error)
    }
}

async fn dispatch(
    arrival: &Arrival,
    routes: &Rc<Routes>,
    env: &Env,
    context: &Context,
    extra: &[(&'static str, String)],
) -> Result<Response, Refusal> {
    let graph = &routes.graph;
    let method = arrival.request.method();
    if arrival.path == "/healthz" {
        return Ok(respond::json(&serde_json::json!({ "status": "ok", "routes": graph.version }), extra)?);
    }
    if let Some(answer) = admin::answer(arrival, routes, env) {
        return Ok(respond::json(&answer?, extra)?);
    }
    let path = path::parse(&arrival.path, &graph.prefixes);
    if let Some(allow) = path.allow().filter(|allow| method != *allow) {
        return Err(ClientError::MethodNotAllowed { method, allow }.into());
    }
    let client = || credentials::client(graph, arrival.key());
    match path {
        Path::Operation { operation, model } => {
            let (inbound, node) = receive(arrival, routes, client()?, operation, model).await?;
            Ok(run(Rc::new(inbound), node, Rc::clone(routes), context, extra).await?)
        }
        Path::Models => Ok(respond::json(&models::list(graph, client()?), extra)?),
        Path::Model(name) => {
            let client = client()?;
            let model =
                models::one(graph, client, &name).ok_or_else(|| entry::unknown(graph, &name, client))?;
            Ok(respond::json(&model, extra)?)
        }
        Path::Stateful => Err(ClientError::StatefulOperation { path: arrival.path.clone() }.into()),
        Path::Unknown => Err(ClientError::UnknownPath { method, path: arrival.path.clone() }.into()),
    }
}

/// Reads the body, gathers the facts and chooses the entry node.
async fn receive(
    arrival: &Arrival,
    routes: &Routes,
    client: &Client,
    operation: Operation,
    model_in_path: Option<String>,
) -> Result<(Inbound, Rc<Node>), ClientError> {
    let graph = &routes.graph;
    let content_type = arrival.header("content-type").unwrap_or_default();
    let length = arrival.header("content-length").and_then(|length| length.parse().ok());
    let body = Body::read(&arrival.request, content_type, length, graph.settings.buffer_bytes).await?;

    let metadata =
        facts::metadata(arrival.header("cf-aig-metadata"), arrival.header("x-switchyard-metadata"));
    let hint = arrival.header("x-switchyard-region").map(str::to_owned);
    let hint = hint.or_else(|| metadata.get("region").and_then(|region| region.as_str()).map(str::to_owned));
    let json = body.json();
    let mut draw = SplitMix64::new(isolate::entropy());
    let facts = Facts {
        method: arrival.request.method(),
        path: arrival.path.clone(),
        query: query::parse(&arrival.query),
        operation,
        model: model_in_path.or_else(|| body.model().map(str::to_owned)).unwrap_or_default(),
        client: client.name.clone(),
        headers: graph
            .reads
            .headers
            .iter()
            .filter_map(|name| Some((name.clone(), arrival.header(name)?.to_owned())))
            .collect(),
        metadata,
        place: place(&arrival.request, hint, arrival.header("cf-worker").is_some()),
        body: json.map(|peek| peek.fields(body.known_bytes(), &graph.reads.body)).unwrap_or_default(),
        input_tokens: (body.length() / 4) as u64,
        max_output_tokens: json.and_then(|peek| peek.max_output_tokens),
        stream: body.stream(),
        replayable: body.replayable(),
        patience_ms: facts::patience_ms(
            [arrival.header("x-stainless-read-timeout"), arrival.header("x-stainless-timeout")],
            arrival.header("cf-aig-request-timeout"),
        ),
        draw: crate::rng::Rng::unit(&mut draw),
    };
    let node = entry::choose(graph, &facts, client)?;
    let connection = arrival.header("connection").unwrap_or_default();
    let goes_on = |name: &str| headers::forwarded(name) && !headers::is_listed(connection, name);
    let forwarded = arrival.headers.iter().filter(|(name, _)| goes_on(name)).cloned().collect();
    let inbound = Inbound {
        facts: Rc::new(facts),
        body,
        forwarded,
        query: arrival.query.clone(),
        node: node.name.clone(),
        request_id: arrival.id.clone(),
        arrived_at: arrival.at,
    };
    Ok((inbound, node))
}

/// What came of a request.
struct Outcome {
    answer: Result<Committed, ErrorReply>,
    trail: Trail,
}

async fn run(
    inbound: Rc<Inbound>,
    node: Rc<Node>,
    routes: Rc<Routes>,
    context: &Context,
    extra: &[(&'static str, String)],
) -> Result<Response, JsValue> {
    // An answer that is held until it is complete may take long: its client gets comments meanwhile.
    let holding = Rc::new(Cell::new(false));
    let keepalive_ms = routes.graph.settings.keepalive_ms;
    let streamed = inbound.facts.stream;
    let driving =
        Box::pin(drive(Rc::clone(&inbound), Rc::clone(&node), Rc::clone(&routes), Rc::clone(&holding)));
    let outcome = if streamed {
        match select(driving, Box::pin(clock::sleep(keepalive_ms))).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(((), driving)) if holding.get() => {
                let pipe = js::IdentityTransformStream::new();
                let protocol = Protocol::of(inbound.facts.operation);
                context.wait_until(keep_alive(driving, pipe.writable(), protocol, keepalive_ms));
                let headers = [("content-type", "text/event-stream".to_owned())];
                return respond::with(200, headers.iter().chain(extra), &Sent::Stream(pipe.readable()));
            }
            Either::Right(((), driving)) => driving.await,
        }
    } else {
        driving.await
    };

    let settings = &routes.graph.settings;
    let served = Served {
        request_id: &inbound.request_id,
        routes: &routes.graph.version,
        route: Some((&node.name, &outcome.trail)),
        elapsed_ms: clock::now().saturating_sub(inbound.arrived_at),
    };
    // `extra` names the request and the document already; the full set takes its place, and CORS stays.
    let mut own = crate::reply::headers::own(&served, settings.expose);
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
    mut driving: std::pin::Pin<Box<impl Future<Output = Outcome>>>,
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
