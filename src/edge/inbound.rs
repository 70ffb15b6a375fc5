//! A request on its way through: its body read, its facts gathered, its entry into the graph chosen.

use std::rc::Rc;

use super::arrival::Arrival;
use super::body::{Body, Reading};
use super::host::Exchange;
use super::isolate::{self, Routes};
use super::minted;
use crate::needle::Needle;
use crate::reply::error::ClientError;
use crate::request::facts::{self, Facts, Place};
use crate::request::minted::ids_named_in;
use crate::request::operation::Operation;
use crate::request::stored::{self, Stored};
use crate::request::{entry, query};
use crate::rng::{Rng, SplitMix64};
use crate::routes::graph::{Client, Node};
use crate::time::Millis;
use crate::upstream::{Call, headers};

/// Says in a body that is passed on as it is that the answer is to be a stream.
static STREAM: Needle = Needle::of("\"stream\"");

/// A request on its way through.
pub struct Inbound {
    /// What routing may depend on.
    pub facts: Rc<Facts>,
    /// What it is about of what an account keeps, if anything.
    pub stored: Option<Stored>,
    /// What is to be sent.
    pub body: Body,
    /// The request as the host has it.
    pub exchange: Exchange,
    /// The names of its headers that stay here.
    pub withheld: String,
    /// Whether it goes on as JSON, whatever a careless client called what was read as JSON.
    pub becomes_json: bool,
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
            stored: self.stored.as_ref(),
            query: &self.query,
            node: &self.node,
            client: &self.facts.client,
            request_id: &self.request_id,
            attempt: number,
        }
    }
}

/// What the path of a request asks for.
pub enum Asked {
    /// To do something with a model.
    Operation {
        /// What.
        operation: Operation,
        /// The model that stands in the path.
        model: Option<String>,
    },
    /// To do something with what an account keeps.
    Stored(Stored),
}

/// Reads the body, gathers the facts and chooses the entry node.
pub async fn receive(
    arrival: &Arrival,
    routes: &Routes,
    client: &Client,
    asked: Asked,
) -> Result<(Inbound, Rc<Node>), ClientError> {
    let graph = &routes.graph;
    if let Some(encoding) = arrival.header("content-encoding").filter(|encoding| *encoding != "identity") {
        return Err(ClientError::UnsupportedEncoding { encoding: encoding.to_owned() });
    }
    let content_type = arrival.header("content-type").unwrap_or_default();
    let length = arrival.header("content-length").and_then(|length| length.parse().ok());
    let (operation, model_in_path, stored) = match asked {
        Asked::Operation { operation, model } => (operation, model, None),
        Asked::Stored(stored) => (stored.operation, None, Some(stored)),
    };
    let is_json = content_type.contains("json");
    let body = match &stored {
        Some(_) if arrival.method != "POST" => Body::none(),
        stored => {
            // What an account keeps is made of what the client sends, as it is.
            let reading = match stored {
                Some(_) if is_json => Reading::Bytes,
                Some(_) => Reading::AsItIs,
                None => Reading::of(content_type)?,
            };
            Body::read(&arrival.exchange, &reading, length, graph.settings.buffer_bytes).await?
        }
    };

    let metadata =
        facts::metadata(arrival.header("cf-aig-metadata"), arrival.header("x-switchyard-metadata"));
    let hint = arrival.header("x-switchyard-region").map(str::to_owned);
    let hint = hint.or_else(|| metadata.get("region").and_then(|region| region.as_str()).map(str::to_owned));
    let json = body.json();
    let query = query::parse(&arrival.query);
    let plays_again = stored.is_some() && query.get("stream").is_some_and(|stream| stream == "true");
    let told = if stored.is_some() && is_json { body.known_bytes() } else { &[] };
    let runs = STREAM.values_in(told).any(|value| value.starts_with(b"true"));
    let previous_response_id = json.and_then(|peek| peek.previous_response_id.clone());
    let minted_by = stored
        .as_ref()
        .and_then(|stored| stored.id.as_deref())
        .into_iter()
        .chain(previous_response_id.as_deref())
        .chain(ids_named_in(told))
        .find_map(|id| minted::by(id, graph));
    let mut facts = Facts {
        method: arrival.method.clone(),
        path: arrival.path.clone(),
        query,
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
        place: if graph.reads.place { arrival.place(hint.clone()) } else { Place::default() },
        body: body.fields(&arrival.exchange, &graph.reads.body),
        input_tokens: if stored.is_some() { 0 } else { (body.length() / 4) as u64 },
        max_output_tokens: json.and_then(|peek| peek.max_output_tokens),
        stream: body.stream() || plays_again || runs,
        replayable: body.replayable(),
        has_side_effects: stored.is_some() || json.is_some_and(|peek| peek.has_side_effects(operation)),
        minted_by,
        previous_response_id,
        patience_ms: facts::patience_ms(
            [arrival.header("x-stainless-read-timeout"), arrival.header("x-stainless-timeout")],
            arrival.header("cf-aig-request-timeout"),
        ),
        draw: SplitMix64::new(isolate::entropy()).unit(),
    };
    let node = match &stored {
        None => entry::choose(graph, &facts, client)?,
        Some(stored) => stored::entry(graph, &facts, client, stored)?,
    };
    if node.reads_place && !graph.reads.place {
        facts.place = arrival.place(hint);
    }
    let inbound = Inbound {
        facts: Rc::new(facts),
        stored,
        becomes_json: body.json().is_some() && content_type != "application/json",
        body,
        exchange: arrival.exchange.clone(),
        withheld: headers::not_forwarded(&arrival.headers),
        query: arrival.query.clone(),
        node: node.name.clone(),
        request_id: arrival.id.clone(),
        arrived_at: arrival.at,
    };
    Ok((inbound, node))
}
