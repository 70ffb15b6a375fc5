//! A request on its way through: its body read, its facts gathered, its entry into the graph chosen.

use std::rc::Rc;

use super::arrival::Arrival;
use super::body::Body;
use super::isolate::{self, Routes};
use crate::reply::error::ClientError;
use crate::request::facts::{self, Facts};
use crate::request::operation::Operation;
use crate::request::{entry, query};
use crate::rng::{Rng, SplitMix64};
use crate::routes::graph::{Client, Node};
use crate::time::Millis;
use crate::upstream::{Call, headers};

/// A request on its way through.
pub struct Inbound {
    /// What routing may depend on.
    pub facts: Rc<Facts>,
    /// What is to be sent.
    pub body: Body,
    /// Headers that go on to upstreams.
    pub forwarded: Vec<(String, String)>,
    /// The raw query.
    pub query: String,
    /// Name of the entry node.
    pub node: String,
    /// Our name for the request.
    pub request_id: String,
    /// When it arrived.
    pub arrived_at: Millis,
}

impl Inbound {
    /// What an upstream's dialect needs to know of attempt `number`.
    pub fn call(&self, number: u32) -> Call<'_> {
        Call {
            operation: self.facts.operation,
            query: &self.query,
            node: &self.node,
            client: &self.facts.client,
            request_id: &self.request_id,
            attempt: number,
        }
    }
}

/// Reads the body, gathers the facts and chooses the entry node.
pub async fn receive(
    arrival: &Arrival,
    routes: &Routes,
    client: &Client,
    operation: Operation,
    model_in_path: Option<String>,
) -> Result<(Inbound, Rc<Node>), ClientError> {
    let graph = &routes.graph;
    if let Some(encoding) = arrival.header("content-encoding").filter(|encoding| *encoding != "identity") {
        return Err(ClientError::UnsupportedEncoding { encoding: encoding.to_owned() });
    }
    let content_type = arrival.header("content-type").unwrap_or_default();
    let length = arrival.header("content-length").and_then(|length| length.parse().ok());
    let body = Body::read(&arrival.request, content_type, length, graph.settings.buffer_bytes).await?;

    let metadata =
        facts::metadata(arrival.header("cf-aig-metadata"), arrival.header("x-switchyard-metadata"));
    let hint = arrival.header("x-switchyard-region").map(str::to_owned);
    let hint = hint.or_else(|| metadata.get("region").and_then(|region| region.as_str()).map(str::to_owned));
    let json = body.json();
    let facts = Facts {
        method: arrival.method.clone(),
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
        place: arrival.place(hint),
        body: json.map(|peek| peek.fields(body.known_bytes(), &graph.reads.body)).unwrap_or_default(),
        input_tokens: (body.length() / 4) as u64,
        max_output_tokens: json.and_then(|peek| peek.max_output_tokens),
        stream: body.stream(),
        replayable: body.replayable(),
        has_side_effects: json.is_some_and(|peek| peek.has_side_effects(operation)),
        previous_response_id: json.and_then(|peek| peek.previous_response_id.clone()),
        patience_ms: facts::patience_ms(
            [arrival.header("x-stainless-read-timeout"), arrival.header("x-stainless-timeout")],
            arrival.header("cf-aig-request-timeout"),
        ),
        draw: SplitMix64::new(isolate::entropy()).unit(),
    };
    let node = entry::choose(graph, &facts, client)?;
    let connection = arrival.header("connection").unwrap_or_default();
    let goes_on = |name: &str| headers::forwarded(name) && !headers::is_listed(connection, name);
    let mut forwarded: Vec<_> = arrival.headers.iter().filter(|(name, _)| goes_on(name)).cloned().collect();
    if body.json().is_some() {
        // What was read as JSON goes on as JSON, whatever a careless client called it.
        forwarded.push(("content-type".to_owned(), "application/json".to_owned()));
    }
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
