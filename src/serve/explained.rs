//! Explains a request: where it would go and why, without sending anything.
//!
//! The request is received as any other, by the same code, from a body that is here at once. Then
//! [`course`] runs its machine on a copy of what the isolate knows. Nothing of the isolate changes.
//! No secret is in an explanation: of headers it has the names, and of fields of the body the
//! values that stand in the document.

use std::rc::Rc;

use serde::Serialize;
use serde_json::Value;

use super::explain_request::ExplainRequest;
use super::fact_source::FactSource;
use super::identity::{self, Caller};
use super::metering;
use super::platform::OutgoingBody;
use super::receive::{Arrival, Inbound, PreparedCall, Subject, admit_origin};
use super::serving::Serving;
use crate::entry::cache_use::CacheUse;
use crate::entry::limit_claims::{self, LedgerClaims};
use crate::entry::{entry_node, stored_objects};
use crate::explain::course::{IsolateCopy, course};
use crate::explain::course_view::{Course, CourseEnd};
use crate::limits::isolate_limits::Claim;
use crate::request::admin_path::is_admin;
use crate::request::api_path::{ApiPath, HEALTHZ};
use crate::request::json_body::Peek;
use crate::routes::graph::{Client, Deployment, Graph, Settings};
use crate::routes::nearest;
use crate::telemetry::trace_context::TraceContext;
use crate::upstream::Credential;
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::limit::{LimitRate, LimitUnit, Period};
use crate::vocabulary::needs::Features;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::rng::SplitMix64;
use crate::vocabulary::time::{Instant, Millis};

/// What would happen to a request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The time at which it would happen.
    pub now: Instant,
    /// The version of the routes document.
    pub routes: String,
    /// The client who sends it, if it is known.
    pub client: Option<String>,
    /// The id of the issued key that it comes with, if it does.
    pub key: Option<String>,
    /// The operation that it asks for, if it can be routed.
    pub operation: Option<Operation>,
    /// The index of the rule that chose the entry node, or refused the request, if one did.
    pub rule: Option<usize>,
    /// The entry node.
    pub entry: Option<String>,
    /// What routing knows of it.
    pub facts: Option<ExplainedFacts>,
    /// How it uses the cache of the entry node, if that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<ExplainedCache>,
    /// The limits that it takes from.
    pub limits: Vec<ExplainedLimit>,
    /// What is tried, and why.
    pub course: Option<Course>,
    /// What is sent to each deployment that is tried.
    pub calls: Vec<ExplainedCall>,
    /// Which part of the gateway answers, if no deployment does: `models`, `healthz` or `admin`.
    pub answer: Option<&'static str>,
    /// The error that the client gets, if it is one of the gateway.
    pub error: Option<ExplainedError>,
}

/// What routing knows of a request, besides what the request says itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExplainedFacts {
    /// The model that the client wrote.
    pub model: String,
    /// Whether it asks for a stream.
    pub is_streamed: bool,
    /// Whether its body can be sent again.
    pub is_replayable: bool,
    /// Estimated tokens of the input.
    pub input_tokens: u64,
    /// The output that it allows.
    pub max_output_tokens: Option<u64>,
    /// The features that it needs, of those that some deployment lacks.
    pub needs: Features,
    /// How long the client waits, as it says.
    pub patience_ms: Option<Millis>,
    /// The deployment that owns the object that it names, if it is known.
    pub owner: Option<String>,
}

/// How a request uses the cache of its entry node.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExplainedCache {
    /// Whether it gets an answer that was kept.
    pub reads: bool,
    /// How many seconds its answer is kept; 0: not at all.
    pub keeps_seconds: u32,
    /// Why it does not use the cache.
    pub bypass: Option<&'static str>,
}

/// A limit that a request takes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExplainedLimit {
    /// Whose limit it is: `client`, `key` or `gateway`.
    pub of: &'static str,
    /// Which limit, and which value it is counted by.
    pub meter: String,
    /// What it counts.
    pub unit: LimitUnit,
    /// The whole limit.
    pub amount: u64,
    /// In which time.
    pub per: Option<Period>,
    /// What the request reserves.
    pub takes: u64,
    /// What is left, as this isolate knows; `None` if it knows nothing of it.
    pub left: Option<u64>,
}

/// What is sent to a deployment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExplainedCall {
    /// The name of the deployment.
    pub deployment: String,
    /// The method.
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// What the call presents: `api_key`, `entra` (a token), `ai_gateway` (which has the key), or
    /// `none`.
    pub credential: &'static str,
    /// The names of the headers that the gateway sets.
    pub headers_set: Vec<String>,
    /// The names of the client's headers that pass.
    pub headers_passed: Vec<String>,
    /// The edits of the body.
    pub body: Vec<FieldChange>,
}

/// An edit of a field of the body.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldChange {
    /// The name of the field.
    pub field: String,
    /// Whether the field is removed.
    pub is_dropped: bool,
    /// The value that it gets. `None` if the value comes from the client or from a variable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

/// An error of the gateway.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExplainedError {
    /// The status.
    pub status: u16,
    /// The code.
    pub code: String,
    /// The message.
    pub message: String,
}

impl From<&ClientError> for ExplainedError {
    fn from(error: &ClientError) -> Self {
        Self { status: error.status(), code: error.code().to_owned(), message: error.message() }
    }
}

/// Explains a request. The draws come from two random numbers of `source`: one for the share of
/// rules, one for the machine.
///
/// # Errors
/// If it names a client that the document does not have.
#[inline(never)]
pub fn explain(
    serving: &Serving,
    request: &ExplainRequest,
    source: &dyn FactSource,
) -> Result<Explanation, String> {
    let graph = &serving.graph;
    let named = request.client.as_deref().map(|name| client_named(graph, name)).transpose()?;
    let mut explanation = Explanation {
        now: source.now(),
        routes: graph.version.clone(),
        client: None,
        key: None,
        operation: None,
        rule: None,
        entry: None,
        facts: None,
        cache: None,
        limits: Vec::new(),
        course: None,
        calls: Vec::new(),
        answer: None,
        error: None,
    };
    if let Err(error) = fill(&mut explanation, serving, request, named, source) {
        if let ClientError::Denied { rule, .. } = &error {
            explanation.rule = Some(*rule);
        }
        explanation.error = Some((&error).into());
    }
    Ok(explanation)
}

fn client_named<'g>(graph: &'g Graph, name: &str) -> Result<&'g Client, String> {
    let clients = || graph.clients.iter().flatten();
    clients().find(|client| client.name == name).ok_or_else(|| {
        let nearest = nearest(name, clients().map(|client| client.name.as_str()));
        let meant = nearest.map(|nearest| format!(" Did you mean '{nearest}'?"));
        format!("The routes document has no such client.{}", meant.unwrap_or_default())
    })
}

/// The client of a key: that of the document, or of an issued key that the source knows.
fn identified<'g>(
    graph: &'g Graph,
    key: Option<&str>,
    source: &dyn FactSource,
) -> Result<Caller<'g>, ClientError> {
    let issued = || key.and_then(|key| source.issued_client(key));
    match identity::own(graph, key, source.now()) {
        Err(error @ ClientError::InvalidApiKey) => {
            issued().map_or(Err(error), |client| client.map(Caller::Issued))
        }
        client => client.map(Caller::Own),
    }
}

/// Adds what is found out, as far as the request comes.
fn fill(
    explanation: &mut Explanation,
    serving: &Serving,
    request: &ExplainRequest,
    named: Option<&Client>,
    source: &dyn FactSource,
) -> Result<(), ClientError> {
    let graph = &serving.graph;
    let id = "req_explained".to_owned();
    let arrival = Rc::new(Arrival {
        method: request.method.clone(),
        path: request.path.clone(),
        query: request.query.clone(),
        headers: request.headers.clone(),
        at: explanation.now,
        trace: TraceContext::of(request.headers.get("traceparent"), &id),
        id,
    });
    let of_gateway = [(arrival.path == HEALTHZ, "healthz"), (is_admin(&arrival.path), "admin")];
    if let Some((_, answer)) = of_gateway.into_iter().find(|(is_it, _)| *is_it) {
        explanation.answer = Some(answer);
        return Ok(());
    }
    let path = arrival.asks_for(graph)?;
    let is_own = matches!(path, ApiPath::Models | ApiPath::Model(_));
    let subject = if is_own { None } else { Some(Subject::of(path, &arrival)?) };
    let client = match named {
        Some(client) => client,
        None => &identified(graph, request.key.as_deref().or(arrival.key()), source)?,
    };
    explanation.client = Some(client.name.clone());
    admit_origin(&arrival, client, source)?;
    explanation.key = Some(client.issued_key.clone()).filter(|key| !key.is_empty());
    let Some(subject) = subject else {
        explanation.answer = Some("models");
        return Ok(());
    };
    let inbound = Inbound::of_bytes(&arrival, graph, client, subject, request.body.clone(), source)?;
    let facts = &inbound.facts;
    let owner = facts.owner.and_then(|id| graph.deployments.get(id));
    explanation.operation = Some(facts.operation);
    explanation.rule = match &inbound.stored {
        None => entry_node::rule(graph, facts),
        Some(_) => stored_objects::rule(graph, facts),
    };
    explanation.entry = Some(inbound.node.name.clone());
    explanation.facts = Some(ExplainedFacts {
        model: facts.model.clone(),
        is_streamed: facts.is_streamed,
        is_replayable: facts.is_replayable,
        input_tokens: facts.input_tokens,
        max_output_tokens: facts.max_output_tokens,
        needs: facts.needs.features,
        patience_ms: facts.patience_ms,
        owner: owner.map(|owner| owner.name.clone()),
    });
    explanation.cache = inbound.node.cache.as_ref().map(|cache| match inbound.cache_use(cache) {
        Ok(CacheUse { reads, ttl_seconds }) => {
            ExplainedCache { reads, keeps_seconds: ttl_seconds, bypass: None }
        }
        Err(bypass) => ExplainedCache { reads: false, keeps_seconds: 0, bypass: Some(bypass.name()) },
    });
    explanation.limits = limits(graph, client, &inbound, source);
    let mut state = serving.copy();
    let mut rng = SplitMix64::new(source.random());
    let course = course(graph, facts, &inbound.node, &mut state, &mut rng, explanation.now);
    for attempt in &course.attempts {
        let is_known = explanation.calls.iter().any(|call| call.deployment == attempt.deployment);
        if let Some(deployment) = graph.deployments.get(attempt.id).filter(|_| !is_known) {
            explanation.calls.extend(call(&graph.settings, &inbound, &arrival, deployment));
        }
    }
    let is_refused = course.end == CourseEnd::NoneEligible && course.attempts.is_empty();
    explanation.course = Some(course);
    if is_refused { Err(inbound.none_eligible(graph, &state.health, explanation.now).0) } else { Ok(()) }
}

/// The limits that a request takes from.
fn limits(graph: &Graph, client: &Client, inbound: &Inbound, source: &dyn FactSource) -> Vec<ExplainedLimit> {
    let part = |start, end| source.body_part(start, end);
    let basis = || metering::basis_of(inbound, &part);
    let mut limits = Vec::new();
    for LedgerClaims { ledger, claims } in
        limit_claims::claims(graph, client, &inbound.facts, &inbound.node, basis)
    {
        limits.extend(claims.into_iter().map(|Claim { meter, rate, amount }| {
            let of = match &ledger.client {
                None => "gateway",
                Some(_) if client.key_limits.iter().any(|rule| rule.name == meter) => "key",
                Some(_) => "client",
            };
            let LimitRate { unit, amount: whole, per } = rate;
            let left = source.limit_left(&ledger, &meter);
            ExplainedLimit { of, meter: meter.to_string(), unit, amount: whole, per, takes: amount, left }
        }));
    }
    limits
}

/// What a call of this deployment presents. Never the value.
fn credential(deployment: &Deployment) -> &'static str {
    match deployment {
        _ if deployment.entra.is_some() => "entra",
        _ if !deployment.api_key.reveal().is_empty() => "api_key",
        _ if deployment.via.is_some() => "ai_gateway",
        _ => "none",
    }
}

impl Serving {
    /// A copy of what the isolate knows.
    fn copy(&self) -> IsolateCopy {
        IsolateCopy {
            health: self.health.borrow().clone(),
            cursors: self.cursors.clone(),
            budgets: self.budgets.borrow().clone(),
        }
    }
}

/// What is sent to a deployment. `None` if the body was sent already, which does not happen.
fn call(
    settings: &Settings,
    inbound: &Inbound,
    arrival: &Arrival,
    deployment: &Rc<Deployment>,
) -> Option<ExplainedCall> {
    let asks_for_usage = metering::asks_for_usage(settings, inbound, &deployment.params);
    let prepared = inbound.prepare(
        deployment,
        Credential::key(deployment, 0),
        (1, &inbound.arrival.query),
        asks_for_usage,
        0,
    );
    let PreparedCall { url, headers, body, model } = prepared.ok()?;
    let is_set = |name: &str| headers.get(name).is_some();
    let is_withheld = |name: &str| inbound.withheld.lines().any(|withheld| withheld == name);
    let passed = arrival.headers.iter().filter(|(name, _)| !is_withheld(name) && !is_set(name));
    let known = inbound.body.known_bytes();
    let edited = match body {
        OutgoingBody::Edited(splice) => Some(splice.apply(known)),
        OutgoingBody::Once { first, .. } => Some(first),
        OutgoingBody::Empty | OutgoingBody::AsReceived | OutgoingBody::Upload => None,
    };
    let changes = match (edited, inbound.body.json()) {
        (None, _) => Vec::new(),
        (Some(edited), Some(peek)) => changes(deployment, (peek, known), &edited),
        // Of a form, nothing but the model is edited.
        (Some(_), None) => {
            let change = |model| FieldChange {
                field: "model".to_owned(),
                is_dropped: false,
                value: Some(Value::String(model)),
            };
            model.map(change).into_iter().collect()
        }
    };
    Some(ExplainedCall {
        deployment: deployment.name.clone(),
        method: inbound.facts.method.clone(),
        url,
        credential: credential(deployment),
        headers_set: headers.iter().map(|(name, _)| name.to_owned()).collect(),
        headers_passed: passed.map(|(name, _)| name.to_owned()).collect(),
        body: changes,
    })
}

/// How the fields of an edited body differ from those of the original.
fn changes(deployment: &Deployment, (peek, body): (&Peek, &[u8]), edited: &[u8]) -> Vec<FieldChange> {
    let Some(after) = Peek::of(edited).ok().or_else(|| Peek::of_prefix(edited)) else { return Vec::new() };
    let dropped =
        peek.members(body).filter(|(name, _)| !after.members(edited).any(|(other, _)| other == *name));
    let mut changes: Vec<FieldChange> = dropped
        .map(|(name, _)| FieldChange { field: name.to_owned(), is_dropped: true, value: None })
        .collect();
    for (name, value) in after.members(edited) {
        let is_unchanged = peek.members(body).any(|before| before == (name, value));
        if is_unchanged || changes.iter().any(|change| change.field == name) {
            continue;
        }
        let params = &deployment.params;
        let is_written = params.set.iter().any(|(set, _)| set == name)
            && !params.from_variables.iter().any(|variable| variable == name);
        let value = serde_json::from_slice(value).ok().filter(|_| name == "model" || is_written);
        changes.push(FieldChange { field: name.to_owned(), is_dropped: false, value });
    }
    changes
}
