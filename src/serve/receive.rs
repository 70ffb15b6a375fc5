//! Receives a request: reads its body, gathers its facts, and chooses its entry node.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::answer_keeper::AnswerKeeper;
use super::fact_source::{FactSource, LiveFacts};
use super::platform::{OutgoingBody, Platform};
use super::request_body::{AlreadySent, Reading, RequestBody};
use super::serving::Serving;
use crate::attempt::success::is_json;
use crate::attempt::walk::{self, Obstacle};
use crate::entry::admission::{self, Content};
use crate::entry::object_affinity::ids_in_request;
use crate::health::Health;
use crate::request::api_path::{self, ApiPath};
use crate::request::credentials;
use crate::request::json_body::Peek;
use crate::request::multipart;
use crate::request::stored_object::StoredObject;
use crate::routes::client_guard::ClientGuard;
use crate::routes::graph::{Client, Deployment, Graph, Node};
use crate::scan::needle::Needle;
use crate::telemetry::trace_context::TraceContext;
use crate::upstream::{self, Credential, UpstreamCall, forwarding};
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::facts::{self, Facts, Place};
use crate::vocabulary::fault::Fault;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::needs::Lack;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::rng::{Rng, SplitMix64};
use crate::vocabulary::sorted;
use crate::vocabulary::time::{Instant, Millis};
use crate::{
    entry::{compared_length, entry_node, stored_objects},
    request::query,
};

/// The JSON key that asks for a streamed answer, in a body that is passed on unchanged.
static STREAM: Needle = Needle::of("\"stream\"");

/// The header in which a client states its place.
const REGION: &str = "x-switchyard-region";

/// A request before its body is read.
pub struct Arrival {
    /// The method in capitals, for example `POST`.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The raw query.
    pub query: String,
    /// The headers.
    pub headers: Headers,
    /// When it arrived.
    pub at: Instant,
    /// The gateway's id for the request.
    pub id: String,
    /// The trace that the request belongs to.
    pub trace: TraceContext,
}

impl Arrival {
    /// Reads everything that needs no wait. `head`: method, URL and headers in one text,
    /// `POST\nhttps://…\nname\nvalue\n…`.
    pub fn of<P: Platform>(platform: &P, head: &str) -> Self {
        let (method, rest) = head.split_once('\n').unwrap_or_default();
        let (url, headers) = rest.split_once('\n').unwrap_or_default();
        // scheme://host/path?query
        let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
        let target = after_scheme.split_once('/').map_or("", |(_, rest)| rest);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let random = || platform.random();
        let id = format!("req_{:016x}{:016x}", random(), random());
        let headers = Headers::parse(headers.to_owned());
        let trace = TraceContext::of(headers.get("traceparent"), &id);
        Self {
            method: method.to_owned(),
            path: format!("/{path}"),
            query: query.to_owned(),
            headers,
            at: platform.now(),
            id,
            trace,
        }
    }

    /// The value of a header. `name` is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The method that decides what is done: a `HEAD` is served like a `GET`, without the body.
    pub fn acting_method(&self) -> &str {
        if self.is_head() { "GET" } else { &self.method }
    }

    /// Whether the client wants only the headers of the answer.
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// Checks the method against those that a path accepts, in the form of an `allow` header.
    ///
    /// # Errors
    /// If the path does not accept the method.
    pub fn check_method(&self, allow: &'static str) -> Result<(), ClientError> {
        if allow.split(", ").any(|method| method == self.method) {
            return Ok(());
        }
        Err(ClientError::MethodNotAllowed { method: self.method.clone(), allow })
    }

    /// Whether the client wants to continue with a WebSocket on this connection (RFC 9110 §7.8).
    pub fn asks_for_websocket(&self) -> bool {
        let is_websocket = |protocol: &str| protocol.trim().eq_ignore_ascii_case("websocket");
        self.method == "GET"
            && self.header("upgrade").is_some_and(|protocols| protocols.split(',').any(is_websocket))
    }

    /// The length of the body, if the headers state it.
    fn content_length(&self) -> Option<usize> {
        self.header("content-length").and_then(|length| length.parse().ok())
    }

    /// The API key in the headers.
    pub fn key(&self) -> Option<&str> {
        credentials::key_of(&self.headers)
    }

    /// What the path and the method ask for, below the paths of the gateway itself.
    ///
    /// # Errors
    /// If the path does not accept the method, or the client wants a WebSocket.
    pub fn asks_for(&self, graph: &Graph) -> Result<ApiPath, ClientError> {
        let path = api_path::parse(&self.path, &graph.prefixes);
        if matches!(path, ApiPath::Operation { .. }) && self.asks_for_websocket() {
            return Err(ClientError::WebSocketNotSupported { path: self.path.clone() });
        }
        let path = path.with_method(self.acting_method());
        if let Some(allow) = path.allow() {
            self.check_method(allow)?;
        }
        Ok(path)
    }

    /// How long the client says that it waits.
    fn patience_ms(&self) -> Option<Millis> {
        facts::patience_ms(
            [self.header("x-stainless-read-timeout"), self.header("x-stainless-timeout")],
            self.header("cf-aig-request-timeout"),
        )
    }

    /// Where the request comes from, according to the platform and according to the client
    /// (`hint`).
    fn place(&self, source: &dyn FactSource, hint: Option<String>) -> Place {
        Place { hint, is_behind_worker: self.header("cf-worker").is_some(), ..source.place() }
    }
}

/// A received request.
pub struct Inbound {
    /// The facts that routing may depend on.
    pub facts: Rc<Facts>,
    /// The stored object that the request is about, if any.
    pub stored: Option<StoredObject>,
    /// The body.
    pub body: RequestBody,
    /// The names of the headers that are not forwarded, each followed by a line break.
    pub withheld: String,
    /// Whether the `content-type` is replaced by JSON: the body is JSON, and the client's
    /// `content-type` is another one.
    pub becomes_json: bool,
    /// Whether the client wants only the headers of the answer.
    pub is_head: bool,
    /// The rules for its client.
    pub(super) guard: Rc<ClientGuard>,
    /// Whether the body stays without a model: a rule chose the node, and a stored prompt names the
    /// model.
    pub takes_model_of_prompt: bool,
    /// The entry node.
    pub node: Rc<Node>,
    /// The faults of a drill, each with the id of its deployment.
    pub faults: Vec<(usize, Fault)>,
    /// The request as it arrived.
    pub arrival: Rc<Arrival>,
    /// Keeps the answer, if the entry node has a cache that the request uses.
    pub(super) keeper: Option<Rc<AnswerKeeper>>,
}

/// A request to an upstream, without the headers of the client that pass.
pub struct PreparedCall {
    /// The whole URL.
    pub url: String,
    /// Headers to set in addition. They override those of the client.
    pub headers: Headers,
    /// The body.
    pub body: OutgoingBody,
    /// The model in it, if it has to name one.
    pub model: Option<String>,
}

impl Inbound {
    /// A request whose body is here as a whole.
    ///
    /// # Errors
    /// If the body is not valid, or no node fits it.
    pub fn of_bytes(
        arrival: &Rc<Arrival>,
        graph: &Graph,
        client: &Client,
        subject: Subject,
        body: Vec<u8>,
        source: &dyn FactSource,
    ) -> Result<Self, ClientError> {
        admit(arrival, client, &subject, source)?;
        let reading = subject.reading(arrival)?;
        let body = match &reading {
            None => RequestBody::empty(),
            Some(reading) => RequestBody::of_bytes(reading, body, graph.settings.buffer_bytes)?,
        };
        let is_json = reading == Some(Reading::Bytes);
        let subject = ReceivedSubject { subject, is_json, patience_ms: arrival.patience_ms() };
        inbound(arrival, graph, client, subject, body, source)
    }

    /// The request of attempt `number` to a deployment, with this query. `asks_for_usage`: it asks
    /// for the usage of the stream, which its client did not. `span`: a random number, which
    /// identifies the attempt in the trace.
    ///
    /// # Errors
    /// If the body can be sent once and was already sent.
    pub fn prepare(
        &self,
        deployment: &Deployment,
        credential: Credential<'_>,
        (number, query): (u32, &str),
        asks_for_usage: bool,
        span: u64,
    ) -> Result<PreparedCall, AlreadySent> {
        let call = UpstreamCall { query, ..self.call(number) };
        let outgoing = upstream::prepare_with(deployment, credential, &call);
        let mut headers = Headers::default();
        if self.becomes_json {
            headers.push("content-type", "application/json");
        }
        headers.extend(outgoing.headers);
        headers.push("traceparent", &self.arrival.trace.parent(span).to_string());
        let model = outgoing.model.filter(|_| !self.takes_model_of_prompt);
        let body = self.body.for_attempt(model.as_deref(), &deployment.params, asks_for_usage)?;
        Ok(PreparedCall { url: outgoing.url, headers, body, model })
    }

    /// The error that says why no deployment may be tried, and when to try again.
    ///
    /// If the models of all deployments that may be tried lack something, the client has to change
    /// its request. While an ejected one is among the others, that is not known. The text is the
    /// reason for the record: the kinds of the obstacles.
    pub fn none_eligible(&self, graph: &Rc<Graph>, health: &Health, now: Instant) -> (ClientError, String) {
        let obstacles = walk::obstacles(graph, &self.facts, &self.node, health, now);
        let kinds = sorted::set(obstacles.iter().map(Obstacle::kind));
        (self.none_eligible_for(&obstacles, now), Vec::from_iter(kinds).join(","))
    }

    fn none_eligible_for(&self, obstacles: &[Obstacle], now: Instant) -> ClientError {
        let model = self.node.name.clone();
        let is_ejected = obstacles.iter().any(|obstacle| matches!(obstacle, Obstacle::Ejected { .. }));
        let lacks = obstacles.iter().filter_map(|obstacle| match obstacle {
            Obstacle::Lacks(lack) if !is_ejected => Some(*lack),
            _ => None,
        });
        let lacks: Vec<Lack> = lacks.collect();
        if lacks.is_empty() {
            return ClientError::NoEligibleDeployment {
                model,
                reasons: obstacles.iter().map(ToString::to_string).collect(),
                returns_in_ms: obstacles.iter().filter_map(|obstacle| obstacle.ends_in_ms(now)).min(),
            };
        }
        let limit = self.body.json().and_then(|peek| peek.output_limit(self.body.known_bytes()));
        ClientError::CapabilityMissing { model, lacks, limit: limit.unwrap_or("max_tokens") }
    }

    /// The context of attempt `number` for the dialect of an upstream.
    pub fn call(&self, number: u32) -> UpstreamCall<'_> {
        UpstreamCall {
            operation: self.facts.operation,
            stored_object: self.stored.as_ref(),
            query: &self.arrival.query,
            node: &self.node.name,
            client: &self.facts.client,
            request_id: &self.arrival.id,
            attempt: number,
        }
    }
}

/// The subject that the path of a request names.
pub enum Subject {
    /// An operation with a model.
    Model {
        /// The operation.
        operation: Operation,
        /// The model in the path, if any.
        model: Option<String>,
    },
    /// An operation on a stored object.
    StoredObject(StoredObject),
}

impl Subject {
    /// The subject of a path. The list of models has none: the gateway itself answers.
    ///
    /// # Errors
    /// If the gateway does not route the path.
    pub fn of(path: ApiPath, arrival: &Arrival) -> Result<Self, ClientError> {
        match path {
            ApiPath::Operation { operation, model } => Ok(Self::Model { operation, model }),
            ApiPath::StoredObject(stored) => Ok(Self::StoredObject(stored.checked()?)),
            ApiPath::Stateful => Err(ClientError::StatefulOperation { path: arrival.path.clone() }),
            ApiPath::Models | ApiPath::Model(_) | ApiPath::Unknown => {
                let (method, path) = (arrival.method.clone(), arrival.path.clone());
                Err(ClientError::UnknownPath { method, path })
            }
        }
    }

    /// The operation.
    fn operation(&self) -> Operation {
        match self {
            Self::Model { operation, .. } => *operation,
            Self::StoredObject(stored) => stored.operation,
        }
    }

    /// How the body is read; `None` if there is none.
    fn reading(&self, arrival: &Arrival) -> Result<Option<Reading>, ClientError> {
        if let Some(encoding) = arrival.header("content-encoding").filter(|encoding| !is_identity(encoding)) {
            return Err(ClientError::UnsupportedEncoding { encoding: encoding.to_owned() });
        }
        let content_type = arrival.header("content-type").unwrap_or_default();
        match self {
            Self::StoredObject(_) if arrival.method != "POST" => Ok(None),
            // The body of a request about a stored object is forwarded unchanged.
            Self::StoredObject(_) if is_json(content_type) => Ok(Some(Reading::Bytes)),
            Self::StoredObject(_) => Ok(Some(Reading::Opaque)),
            Self::Model { .. } => Reading::of(content_type).map(Some),
        }
    }
}

/// Reads the body, gathers the facts and chooses the entry node.
///
/// # Errors
/// If the body is not valid, or no node fits it.
pub async fn receive<P: Platform>(
    platform: &P,
    arrival: &Rc<Arrival>,
    routes: &Serving,
    client: &Client,
    subject: Subject,
) -> Result<Inbound, ClientError> {
    let graph = &routes.graph;
    let source = LiveFacts { platform, graph, stated_place: None };
    admit(arrival, client, &subject, &source)?;
    let reading = subject.reading(arrival)?;
    let length = arrival.content_length();
    let patience_ms = arrival.patience_ms();
    // The node is not known before the body. Until then its deadline may be any of all nodes.
    let longest_ms = graph.longest_deadline_ms.min(patience_ms.unwrap_or(Millis::MAX));
    let body = match &reading {
        None => RequestBody::empty(),
        Some(reading) => {
            RequestBody::read(platform, reading, length, graph.settings.buffer_bytes, longest_ms).await?
        }
    };
    let subject = ReceivedSubject { subject, is_json: reading == Some(Reading::Bytes), patience_ms };
    inbound(arrival, graph, client, subject, body, &source)
}

/// Checks what the head of a request says, before its body is read.
fn admit(
    arrival: &Arrival,
    client: &Client,
    subject: &Subject,
    source: &dyn FactSource,
) -> Result<(), ClientError> {
    admit_origin(arrival, client, source)?;
    let bytes = arrival.content_length().map(|bytes| bytes as u64);
    admission::purpose(&client.guard, subject.operation(), bytes)
}

/// Checks where a request comes from.
///
/// # Errors
/// The client may not call from there.
pub fn admit_origin(arrival: &Arrival, client: &Client, source: &dyn FactSource) -> Result<(), ClientError> {
    let address = arrival.header("cf-connecting-ip");
    admission::origin(&client.guard, address, &|| arrival.place(source, None))
}

/// What is known of a request before its body.
struct ReceivedSubject {
    subject: Subject,
    /// Whether it is about a stored object, and has a JSON body.
    is_json: bool,
    patience_ms: Option<Millis>,
}

/// Gathers the facts of a request and chooses its entry node.
fn inbound(
    arrival: &Rc<Arrival>,
    graph: &Graph,
    client: &Client,
    ReceivedSubject { subject, is_json, patience_ms }: ReceivedSubject,
    body: RequestBody,
    source: &dyn FactSource,
) -> Result<Inbound, ClientError> {
    let content_type = arrival.header("content-type").unwrap_or_default();
    let (operation, model_in_path, stored) = match subject {
        Subject::Model { operation, model } => (operation, model, None),
        Subject::StoredObject(stored) => (stored.operation, None, Some(stored)),
    };
    let guard = &client.guard;
    let mut metadata =
        facts::metadata(arrival.header("cf-aig-metadata"), arrival.header("x-switchyard-metadata"));
    let read_by_rules = graph.reads.headers.iter();
    let mut headers = BTreeMap::new();
    headers.extend(read_by_rules.filter_map(|name| Some((name.clone(), arrival.header(name)?.to_owned()))));
    admission::statements(guard, &arrival.headers, &mut headers, &mut metadata)?;
    let hint =
        guard.headers.pin.get(REGION).map(String::as_str).or(arrival.header(REGION)).map(str::to_owned);
    let hint = hint.or_else(|| metadata.get("region").and_then(|region| region.as_str()).map(str::to_owned));
    let json = body.json();
    let query = query::parse(&arrival.query);
    // For a stored object the answer is a stream if the query or the body asks for one.
    let is_replay = stored.is_some() && query.get("stream").is_some_and(|stream| stream == "true");
    let text = if is_json { body.known_bytes() } else { &[] };
    let is_streamed_run = STREAM.values_in(text).any(|value| value.starts_with(b"true"));
    let previous_response_id = json.and_then(|peek| peek.previous_response_id.clone());
    let owner = stored
        .as_ref()
        .and_then(|stored| stored.id.as_deref())
        .into_iter()
        .chain(previous_response_id.as_deref())
        .chain(ids_in_request(text))
        .find_map(|id| source.owner_of(id));
    let mut facts = Facts {
        method: arrival.acting_method().to_owned(),
        path: arrival.path.clone(),
        query,
        operation,
        model: model_in_path.or_else(|| body.model().map(str::to_owned)).unwrap_or_default(),
        client: client.name.clone(),
        labels: Rc::clone(&guard.labels),
        key: client.issued_key.clone(),
        headers,
        metadata,
        place: if graph.reads.place { arrival.place(source, hint.clone()) } else { Place::default() },
        body: body.fields(&graph.reads.body, &|start, end| source.body_part(start, end)),
        texts: body.texts(&graph.reads.texts, is_json, &|start, end| source.body_part(start, end)),
        input_tokens: if stored.is_some() { 0 } else { body.tokens() },
        max_output_tokens: json.and_then(|peek| peek.max_output_tokens),
        needs: body.needs(&graph.reads),
        is_streamed: body.stream() || is_replay || is_streamed_run,
        is_replayable: body.is_replayable(),
        has_side_effects: stored.is_some() || json.is_some_and(|peek| peek.has_side_effects(operation)),
        is_done_once: (stored.is_some() && arrival.acting_method() == "POST")
            || json.is_some_and(|peek| peek.is_done_once(operation)),
        owner,
        previous_response_id,
        patience_ms,
        upload_ms: source.now() - arrival.at,
        draw: SplitMix64::new(source.random()).unit(),
    };
    admit_content(client, &facts, &body, (is_json, graph.settings.buffer_bytes), arrival)?;
    let node = match &stored {
        None => entry_node::choose(graph, &facts, client)?,
        Some(stored) => stored_objects::entry_node(graph, &facts, client, stored)?,
    };
    let allowed_ms = graph.allowed_ms(&node, patience_ms);
    if facts.upload_ms >= allowed_ms {
        return Err(ClientError::RequestTimeout { after_ms: allowed_ms });
    }
    facts.needs.context_tokens = compared_length::compared_tokens(graph, &facts, &node);
    if node.reads_place && !graph.reads.place {
        facts.place = arrival.place(source, hint);
    }
    let takes_model_of_prompt =
        facts.model.is_empty() && body.json().is_some_and(|peek| peek.takes_model_of_prompt(operation));
    Ok(Inbound {
        facts: Rc::new(facts),
        stored,
        becomes_json: body.json().is_some() && content_type != "application/json",
        body,
        withheld: withheld(arrival, client),
        is_head: arrival.is_head(),
        guard: Rc::clone(guard),
        takes_model_of_prompt,
        node,
        faults: Vec::new(),
        arrival: Rc::clone(arrival),
        keeper: None,
    })
}

/// Checks the body of a request. Of a stored object, a JSON body is read for it alone (`is_json`).
fn admit_content(
    client: &Client,
    facts: &Facts,
    body: &RequestBody,
    (is_json, buffer_bytes): (bool, usize),
    arrival: &Arrival,
) -> Result<(), ClientError> {
    let guard = &client.guard;
    let known = body.known_bytes();
    let is_on_stored = facts.operation.is_on_stored_objects();
    let mut unread = None;
    if is_on_stored && guard.reads_body() {
        let is_form = || multipart::boundary(arrival.header("content-type").unwrap_or_default()).is_some();
        if is_json && body.is_replayable() && !known.is_empty() {
            unread = Some(Peek::of(known).map_err(|error| ClientError::InvalidJson(error.to_string()))?);
        } else if !is_json && body.length() > 0 && !is_form() {
            return Err(ClientError::InvalidJson("The body is neither JSON nor a form.".to_owned()));
        }
        // A form that is not read could name the objects of others.
        let uploads = matches!(facts.operation, Operation::Files | Operation::Uploads);
        if guard.sees_own_only && !is_json && body.length() > 0 && !uploads {
            return Err(ClientError::InvalidForm(
                "Your key may send forms only to upload files. Send JSON here.".to_owned(),
            ));
        }
    }
    let takes_forms = matches!(
        facts.operation,
        Operation::ImagesEdits
            | Operation::ImagesVariations
            | Operation::AudioTranscriptions
            | Operation::AudioTranslations
    );
    // A form that no provider takes here could have fields that some server reads.
    if !is_on_stored && !takes_forms && body.json().is_none() && guard.reads_body() {
        return Err(ClientError::InvalidForm("This operation takes JSON, and no form.".to_owned()));
    }
    let content = Content {
        bytes: body.stated_length().map(|bytes| bytes as u64),
        json: body.json().or(unread.as_ref()).map(|peek| (peek, known)),
        count_in_form: body.count_in_form(),
        is_whole: body.is_replayable() || (is_on_stored && !is_json),
        buffer_bytes: buffer_bytes as u64,
    };
    admission::content(guard, facts, &content)
}

/// The names of the headers that are not forwarded. The `tracestate` of a context that is not
/// valid belongs to no trace. Of a pinned header, the client's value counts for nobody.
fn withheld(arrival: &Arrival, client: &Client) -> String {
    let mut withheld = forwarding::not_forwarded(&arrival.headers);
    if !arrival.trace.is_continued() && arrival.header("tracestate").is_some() {
        withheld.push_str("tracestate\n");
    }
    withheld.extend(client.guard.headers.pin.keys().flat_map(|name| [name, "\n"]));
    withheld
}

/// Whether a `content-encoding` leaves the body as it is. Names of encodings have no case (RFC 9110
/// §8.4.1).
fn is_identity(encoding: &str) -> bool {
    encoding.split(',').map(str::trim).all(|name| name.is_empty() || name.eq_ignore_ascii_case("identity"))
}
