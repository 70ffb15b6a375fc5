//! One attempt: the request to an upstream, up to the commit point.

use std::pin::pin;
use std::rc::Rc;

use wasm_bindgen::{JsCast, JsValue};
use web_sys::{ReadableStream, ReadableStreamByobReader, ReadableStreamDefaultReader};

use super::clock;
use super::inbound::Inbound;
use super::isolate::Routes;
use super::learn::Answering;
use super::task::{self, Told, Wait};
use super::{flow, host, js, learn, minted};
use crate::attempt::classify::{self, UnclassifiedResponse};
use crate::attempt::failure::{ErrorResponse, Failure};
use crate::attempt::machine::Dispatch;
use crate::attempt::phase::{Phase, PhaseLimits};
use crate::attempt::success::{self, Success};
use crate::routes::graph::{Commit, Deployment};
use crate::stream::hold::{Hold, HoldVerdict};
use crate::stream::protocol::Protocol;
use crate::stream::tail::Tail;
use crate::upstream::{self, forwarding};
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::time::Millis;

/// Most of a JSON answer that is held, to see that it is whole: any text, and few images. It lies in memory twice.
const JSON_BYTES: usize = 1024 * 1024;
/// Largest read of a stream that is committed to with its first token: its first event is what matters.
const FIRST_READ_BYTES: u32 = 4 * 1024;
/// Most of an upstream's error body that is read…
const ERROR_BODY_BYTES: usize = 64 * 1024;
/// …and how long: the status has decided already, and another deployment is waiting.
const ERROR_BODY_MS: Millis = 1_000;

/// An answer that has reached its commit point.
pub struct Committed {
    /// The upstream's status, 2xx.
    pub status: u16,
    /// The call: it has the headers.
    pub call: host::Call,
    /// The names of those that may not reach the client.
    pub withheld: String,
    /// What to send.
    pub body: Content,
}

/// The body of a committed answer.
pub enum Content {
    /// An answer in one piece.
    Whole {
        /// All of it.
        bytes: Vec<u8>,
        /// Whether the call has it as well, and it need not be handed over to be sent.
        is_kept: bool,
    },
    /// A stream of events that was held until its end.
    Held(Vec<u8>),
    /// What was held back, and a stream with the rest.
    Flowing(Box<Flow>),
}

impl Content {
    /// What is known of it by now.
    fn first_bytes(&self) -> &[u8] {
        match self {
            Self::Whole { bytes, .. } | Self::Held(bytes) => bytes,
            Self::Flowing(flow) => &flow.held,
        }
    }

    /// What has no body at all.
    fn nothing() -> Self {
        Self::Whole { bytes: Vec::new(), is_kept: true }
    }

    fn flowing(flow: Flow) -> Self {
        Self::Flowing(Box::new(flow))
    }
}

/// A stream that goes on after the commit point.
pub struct Flow {
    /// What was read of it.
    pub held: Vec<u8>,
    /// What is left to send: all of it, where there is an observer, and otherwise what follows `held`.
    pub rest: ReadableStream,
    /// Goes on reading behind `held`, in a branch of its own.
    pub observer: Option<ReadableStreamByobReader>,
    /// Knows what was held and how the stream should end; `None` where the bytes mean nothing to us.
    pub tail: Option<Tail>,
    /// The call that it comes from.
    pub call: Underway,
    /// Who is told how it ends.
    pub answering: Option<Answering>,
}

/// An upstream call under way.
pub struct Underway {
    /// Who answers.
    pub deployment: Rc<Deployment>,
    /// What its events mean.
    pub protocol: Protocol,
    /// How long it may take.
    pub limits: PhaseLimits,
    /// Ends it.
    pub abort: Abort,
}

/// Ends the upstream call when dropped, unless it has come to its end, so that nobody pays for an answer that nobody waits for.
pub struct Abort(Option<host::Call>);

impl Abort {
    /// There is nothing left to end.
    fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Abort {
    fn drop(&mut self) {
        if let Some(call) = &self.0 {
            call.abort();
        }
    }
}

/// Sends the request to the deployment and waits for the commit point.
pub async fn attempt(inbound: &Inbound, dispatch: &Dispatch, routes: &Routes) -> Result<Committed, Failure> {
    let call = host::Call::new(&inbound.exchange);
    let (handle, abort) = (call.clone(), Abort(Some(call.clone())));
    let task::Answer { status, headers, body: at_once } = send(inbound, dispatch, &call).await?;
    let call = Underway {
        deployment: Rc::clone(&dispatch.deployment),
        protocol: Protocol::of(inbound.facts.operation),
        limits: dispatch.limits,
        abort,
    };
    learn::heard(routes, &dispatch.deployment, &headers);
    if !(200..300).contains(&status) {
        return Err(refusal(inbound, handle.stream(), status, &headers).await);
    }
    let content_type = headers.get("content-type").unwrap_or_default();
    let is_stream = success::is_event_stream(content_type);
    // What an account keeps is passed on as it is, bytes as well as a stream that is played again, in which an error is what was
    // asked for. Its JSON is looked at: it tells ids.
    let is_record = inbound
        .stored
        .as_ref()
        .is_some_and(|stored| is_stream || stored.is_content() || !success::is_json(content_type));
    let commit = if is_record { Commit::Headers } else { dispatch.commit };
    let operation = inbound.facts.operation;
    let answer = Answered {
        success: Success { operation, status, content_type, body: &[], is_whole: true },
        headers: &headers,
    };
    let most_held_bytes = match commit {
        Commit::FirstToken if is_stream => routes.graph.settings.buffer_bytes,
        Commit::FirstToken if success::answers_in_json(operation, content_type) => JSON_BYTES,
        // What is not JSON cannot be told from a fault by its end, so it need not be waited for.
        Commit::FirstToken => 0,
        Commit::Headers | Commit::Complete => routes.graph.settings.buffer_bytes,
    };

    let body = if let Some(bytes) = at_once {
        answer.judged_whole(&bytes)?;
        call.abort.forget();
        Content::Whole { bytes, is_kept: true }
    } else {
        match handle.stream() {
            Some(rest) if commit == Commit::Headers => {
                let tail = is_stream.then(|| Tail::new(call.protocol));
                Content::flowing(Flow { held: Vec::new(), rest, observer: None, tail, call, answering: None })
            }
            Some(rest) if is_stream => {
                let start = Hold::new(call.protocol, commit, most_held_bytes);
                hold(rest, start, commit, call).await?
            }
            Some(rest) => whole(rest, &answer, most_held_bytes, call).await?,
            None if is_record => Content::nothing(),
            None => answer.judged(&[], true).map(|()| Content::nothing())?,
        }
    };
    minted::learn(inbound, &dispatch.deployment, body.first_bytes());
    Ok(Committed { status, call: handle, withheld: forwarding::not_returned(&headers), body })
}

async fn send(inbound: &Inbound, dispatch: &Dispatch, call: &host::Call) -> Result<task::Answer, Failure> {
    let deployment = &dispatch.deployment;
    let outgoing = upstream::prepare(deployment, &inbound.call(dispatch.number));
    let mut text = format!("{}\n{}\n{}\n", outgoing.url, inbound.facts.method, inbound.withheld);
    let own = outgoing.headers.iter().map(|(name, value)| (*name, value.as_str()));
    let json = inbound.becomes_json.then_some(("content-type", "application/json"));
    for (name, value) in json.into_iter().chain(own) {
        text.extend([name, "\n", value, "\n"]);
    }
    let body = inbound.body.for_attempt(outgoing.model.as_deref(), &deployment.params);
    let body = body.map_err(|error| broken(&error))?;
    // What is committed to with its headers is not looked at, and flows.
    let most = if dispatch.commit == Commit::Headers || inbound.stored.is_some() { 0 } else { JSON_BYTES };
    let most = u32::try_from(most).unwrap_or(u32::MAX);
    let sent = Wait::begin(|wait| call.send(&text, &body.pieces, &body.inserted, &body.stream, most, wait));
    let mut sent = pin!(sent);
    let told = match in_time(dispatch.limits, Phase::Headers, sent.as_mut()).await {
        // The headers are here, and the rest is on its way.
        Err(_) if call.is_answered() => in_time(dispatch.limits, Phase::FirstToken, sent).await?,
        told => told?,
    };
    match told {
        Ok(Told::Answer(answer)) => Ok(answer),
        Ok(_) => Err(broken(&JsValue::UNDEFINED)),
        Err(error) => Err(broken(&error)),
    }
}

/// A status that is no success: what it means, and the upstream's words to pass on.
async fn refusal(inbound: &Inbound, rest: Option<ReadableStream>, status: u16, headers: &Headers) -> Failure {
    let body = match rest {
        Some(body) => error_body(&body).await,
        None => Vec::new(),
    };
    let failure =
        classify::classify(&UnclassifiedResponse { status, headers, body: &body, now: clock::now() });
    // A redirect is not for the client: where it leads is nobody's business outside.
    let response = (status >= 400).then(|| ErrorResponse { status, headers: returned(headers), body });
    // Below an id that an account does not know there is nothing, in whatever words it says so; and what it does not do at all,
    // another one may.
    let is_elsewhere =
        inbound.stored.as_ref().is_some_and(|stored| status == 405 || (status == 404 && stored.id.is_some()));
    Failure { response, is_unknown_object: failure.is_unknown_object || is_elsewhere, ..failure }
}

/// The headers that may reach the client.
fn returned(all: &Headers) -> Headers {
    Headers::of(all.iter().filter(|(name, _)| forwarding::is_returned(name)))
}

/// As much of an error body as arrives in time and is worth keeping.
async fn error_body(body: &ReadableStream) -> Vec<u8> {
    let until = clock::now().saturating_add(ERROR_BODY_MS);
    let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
    let mut kept = Vec::new();
    while kept.len() < ERROR_BODY_BYTES {
        match clock::until(until, js::read(&reader)).await {
            Some(Ok(Some(bytes))) => kept.extend_from_slice(&bytes),
            _ => break,
        }
    }
    kept.truncate(ERROR_BODY_BYTES);
    kept
}

/// Holds a stream of events back until it is worth committing to. What is soon committed to is read in a branch of its own, where it is
/// observed later, so that the runtime can pipe all of it to the client.
async fn hold(
    rest: ReadableStream,
    mut start: Hold,
    until: Commit,
    call: Underway,
) -> Result<Content, Failure> {
    let (rest, observer, most) = if until == Commit::Complete {
        let reader = flow::reader(&rest);
        (rest, reader, flow::READ_BYTES)
    } else {
        let (rest, observer) = flow::branches(&rest);
        (rest, observer, FIRST_READ_BYTES)
    };
    let mut phase = Phase::FirstToken;
    loop {
        let read = js::read_gathered(&observer, most);
        let piece = in_time(call.limits, phase, read).await?.map_err(|error| broken(&error))?;
        let verdict = match &piece {
            Some(bytes) => start.push(bytes),
            None => start.end(),
        };
        match (verdict, piece) {
            (HoldVerdict::Fail(failure), _) => return Err(failure),
            (HoldVerdict::Commit, Some(_)) => break,
            (_, None) => {
                call.abort.forget();
                return Ok(Content::Held(start.take()));
            }
            (HoldVerdict::Wait, Some(_)) if until == Commit::Complete => phase = Phase::Rest,
            (HoldVerdict::Wait, Some(_)) => {}
        }
    }
    let held = start.take();
    let observer = if until == Commit::Complete {
        observer.release_lock();
        None
    } else {
        Some(observer)
    };
    Ok(Content::flowing(Flow { held, rest, observer, tail: Some(start.tail()), call, answering: None }))
}

/// Waits for an answer in one piece, and looks whether it is one. Of a longer answer than `most_held_bytes` the first bytes
/// are looked at, and then it flows.
async fn whole(
    rest: ReadableStream,
    answer: &Answered<'_>,
    most_held_bytes: usize,
    call: Underway,
) -> Result<Content, Failure> {
    let reader: ReadableStreamDefaultReader = rest.get_reader().unchecked_into();
    let mut held = Vec::new();
    loop {
        let phase = if held.is_empty() { Phase::FirstToken } else { Phase::Rest };
        let piece = in_time(call.limits, phase, js::read(&reader)).await?.map_err(|error| broken(&error))?;
        held.extend_from_slice(piece.as_deref().unwrap_or_default());
        if piece.is_none() {
            answer.judged_whole(&held)?;
            call.abort.forget();
            return Ok(Content::Whole { is_kept: held.is_empty(), bytes: held });
        }
        if held.len() > most_held_bytes {
            answer.judged(&held, false)?;
            reader.release_lock();
            return Ok(Content::flowing(Flow {
                held,
                rest,
                observer: None,
                tail: None,
                call,
                answering: None,
            }));
        }
    }
}

/// What looks like a success.
struct Answered<'a> {
    success: Success<'a>,
    headers: &'a Headers,
}

impl Answered<'_> {
    /// A failure, if all of it is none. An error is small: of a long answer it is enough to know that it came to its end.
    fn judged_whole(&self, body: &[u8]) -> Result<(), Failure> {
        self.judged(body, body.len() <= ERROR_BODY_BYTES)
    }

    /// A failure, if what is known of it shows that it is none.
    fn judged(&self, body: &[u8], is_whole: bool) -> Result<(), Failure> {
        let Some(failure) = success::fault_behind_success(&Success { body, is_whole, ..self.success }) else {
            return Ok(());
        };
        let (status, headers) = (self.success.status, returned(self.headers));
        Err(Failure { response: Some(ErrorResponse { status, headers, body: body.to_vec() }), ..failure })
    }
}

/// The output of `wait`, or the failure of the limit that ran out first.
async fn in_time<T>(limits: PhaseLimits, phase: Phase, wait: impl Future<Output = T>) -> Result<T, Failure> {
    let limit = limits.of(phase, clock::now());
    clock::until(limit.at, wait).await.ok_or_else(|| Failure::silent(ErrorClass::Timeout, limit.reason))
}

/// The runtime could not get an answer, or lost it on the way.
fn broken(error: &JsValue) -> Failure {
    js::warn(&format!("upstream connection: {}", js::text_of(error)));
    Failure::silent(ErrorClass::Connection, "connection")
}
