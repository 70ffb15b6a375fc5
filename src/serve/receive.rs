//! A request as it arrives, and on its way through: its body is read, its facts are gathered, its entry into the graph is
//! chosen.

use std::rc::Rc;

use super::platform::Platform;
use super::request_body::{Reading, RequestBody};
use super::serving::Serving;
use crate::entry::object_affinity::ids_in_request;
use crate::request::credentials;
use crate::request::stored_object::StoredObject;
use crate::routes::graph::{Client, Node};
use crate::scan::needle::Needle;
use crate::upstream::{UpstreamCall, forwarding};
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::facts::{self, Facts, Place};
use crate::vocabulary::headers::Headers;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::rng::{Rng, SplitMix64};
use crate::vocabulary::time::Instant;
use crate::{
    entry::{entry_node, stored_objects},
    request::query,
};

/// Says in a body that is passed on as it is that the answer is to be a stream.
static STREAM: Needle = Needle::of("\"stream\"");

/// A request that has just arrived.
pub struct Arrival {
    /// `POST`, in capitals.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The raw query.
    pub query: String,
    /// Its headers.
    pub headers: Headers,
    /// When it arrived.
    pub at: Instant,
    /// Our name for it.
    pub id: String,
}

impl Arrival {
    /// Reads what can be read without waiting. `head`: method, URL and headers in one text, `POST\nhttps://…\nname\nvalue\n…`.
    pub fn of<P: Platform>(platform: &P, head: &str) -> Self {
        let (method, rest) = head.split_once('\n').unwrap_or_default();
        let (url, headers) = rest.split_once('\n').unwrap_or_default();
        // scheme://host/path?query
        let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
        let target = after_scheme.split_once('/').map_or("", |(_, rest)| rest);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let random = || platform.random();
        Self {
            method: method.to_owned(),
            path: format!("/{path}"),
            query: query.to_owned(),
            headers: Headers::parse(headers.to_owned()),
            at: platform.now(),
            id: format!("req_{:016x}{:016x}", random(), random()),
        }
    }

    /// The value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The key that came along.
    pub fn key(&self) -> Option<&str> {
        credentials::key(self.header("authorization"), self.header("api-key"))
    }

    /// Where it comes from, as the platform knows, and as the client says itself (`hint`).
    fn place<P: Platform>(&self, platform: &P, hint: Option<String>) -> Place {
        Place { hint, is_behind_worker: self.header("cf-worker").is_some(), ..platform.place() }
    }
}

/// A request on its way through.
pub struct Inbound {
    /// What routing may depend on.
    pub facts: Rc<Facts>,
    /// The stored object that it is about, if any.
    pub stored: Option<StoredObject>,
    /// What is to be sent.
    pub body: RequestBody,
    /// The names of its headers that are not forwarded.
    pub withheld: String,
    /// Whether it is forwarded as JSON, whatever the client called the body that was read as JSON.
    pub becomes_json: bool,
    /// The raw query.
    pub query: String,
    /// The entry node.
    pub node: Rc<Node>,
    /// Our name for the request.
    pub request_id: String,
    /// When it arrived.
    pub arrived_at: Instant,
}

impl Inbound {
    /// What an upstream's dialect needs to know of attempt `number`.
    pub fn call(&self, number: u32) -> UpstreamCall<'_> {
        UpstreamCall {
            operation: self.facts.operation,
            stored_object: self.stored.as_ref(),
            query: &self.query,
            node: &self.node.name,
            client: &self.facts.client,
            request_id: &self.request_id,
            attempt: number,
        }
    }
}

/// What the path of a request asks for.
pub enum Subject {
    /// To do something with a model.
    Model {
        /// What.
        operation: Operation,
        /// The model that stands in the path.
        model: Option<String>,
    },
    /// To do something with a stored object.
    StoredObject(StoredObject),
}

/// Reads the body, gathers the facts and chooses the entry node.
///
/// # Errors
/// Where the body is not what it should be, or no node is to be had for it.
pub async fn receive<P: Platform>(
    platform: &P,
    arrival: &Arrival,
    routes: &Serving,
    client: &Client,
    subject: Subject,
) -> Result<Inbound, ClientError> {
    let graph = &routes.graph;
    if let Some(encoding) = arrival.header("content-encoding").filter(|encoding| *encoding != "identity") {
        return Err(ClientError::UnsupportedEncoding { encoding: encoding.to_owned() });
    }
    let content_type = arrival.header("content-type").unwrap_or_default();
    let length = arrival.header("content-length").and_then(|length| length.parse().ok());
    let (operation, model_in_path, stored) = match subject {
        Subject::Model { operation, model } => (operation, model, None),
        Subject::StoredObject(stored) => (stored.operation, None, Some(stored)),
    };
    let is_json = content_type.contains("json");
    let body = match &stored {
        Some(_) if arrival.method != "POST" => RequestBody::empty(),
        stored => {
            // What the client stores is forwarded as it is.
            let reading = match stored {
                Some(_) if is_json => Reading::Bytes,
                Some(_) => Reading::Opaque,
                None => Reading::of(content_type)?,
            };
            RequestBody::read(platform, &reading, length, graph.settings.buffer_bytes).await?
        }
    };

    let metadata =
        facts::metadata(arrival.header("cf-aig-metadata"), arrival.header("x-switchyard-metadata"));
    let hint = arrival.header("x-switchyard-region").map(str::to_owned);
    let hint = hint.or_else(|| metadata.get("region").and_then(|region| region.as_str()).map(str::to_owned));
    let json = body.json();
    let query = query::parse(&arrival.query);
    // Of a stored object: the answer is a stream where the query or the body asks for one.
    let is_replay = stored.is_some() && query.get("stream").is_some_and(|stream| stream == "true");
    let text = if stored.is_some() && is_json { body.known_bytes() } else { &[] };
    let is_streamed_run = STREAM.values_in(text).any(|value| value.starts_with(b"true"));
    let previous_response_id = json.and_then(|peek| peek.previous_response_id.clone());
    let owner = stored
        .as_ref()
        .and_then(|stored| stored.id.as_deref())
        .into_iter()
        .chain(previous_response_id.as_deref())
        .chain(ids_in_request(text))
        .find_map(|id| platform.isolate().owner_of(id, graph));
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
        place: if graph.reads.place { arrival.place(platform, hint.clone()) } else { Place::default() },
        body: body.fields(platform, &graph.reads.body),
        input_tokens: if stored.is_some() { 0 } else { (body.length() / 4) as u64 },
        max_output_tokens: json.and_then(|peek| peek.max_output_tokens),
        is_streamed: body.stream() || is_replay || is_streamed_run,
        is_replayable: body.is_replayable(),
        has_side_effects: stored.is_some() || json.is_some_and(|peek| peek.has_side_effects(operation)),
        owner,
        previous_response_id,
        patience_ms: facts::patience_ms(
            [arrival.header("x-stainless-read-timeout"), arrival.header("x-stainless-timeout")],
            arrival.header("cf-aig-request-timeout"),
        ),
        draw: SplitMix64::new(platform.random()).unit(),
    };
    let node = match &stored {
        None => entry_node::choose(graph, &facts, client)?,
        Some(stored) => stored_objects::entry_node(graph, &facts, client, stored)?,
    };
    if node.reads_place && !graph.reads.place {
        facts.place = arrival.place(platform, hint);
    }
    Ok(Inbound {
        facts: Rc::new(facts),
        stored,
        becomes_json: body.json().is_some() && content_type != "application/json",
        body,
        withheld: forwarding::not_forwarded(&arrival.headers),
        query: arrival.query.clone(),
        node,
        request_id: arrival.id.clone(),
        arrived_at: arrival.at,
    })
}
