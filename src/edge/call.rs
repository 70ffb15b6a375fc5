//! One attempt: the request to an upstream, up to the commit point.

use std::rc::Rc;

use js_sys::Uint8Array;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{ReadableStream, ReadableStreamDefaultReader, Response};

use super::clock;
use super::inbound::Inbound;
use super::isolate::Routes;
use super::learn::Answering;
use super::task::Wait;
use super::{host, js, learn, minted};
use crate::attempt::class::ErrorClass;
use crate::attempt::classify::{self, Answer, Success};
use crate::attempt::failure::{ErrorResponse, Failure};
use crate::attempt::machine::Dispatch;
use crate::attempt::phase::{Limits, Phase};
use crate::headers::Headers;
use crate::routes::graph::{Commit, Deployment};
use crate::stream::hold::{Hold, Verdict};
use crate::stream::protocol::Protocol;
use crate::stream::tail::Tail;
use crate::time::Millis;
use crate::upstream::{self, headers};

/// Most of a JSON answer that is held, to see that it is whole: any text, and few images. It lies in memory twice.
const JSON_BYTES: usize = 1024 * 1024;
/// Most of an upstream's error body that is read…
const ERROR_BODY_BYTES: usize = 64 * 1024;
/// …and how long: the status has decided already, and another deployment is waiting.
const ERROR_BODY_MS: Millis = 1_000;

/// An answer that has reached its commit point.
pub struct Committed {
    /// The upstream's status, 2xx.
    pub status: u16,
    /// Headers that may reach the client.
    pub headers: Headers,
    /// What to send.
    pub body: Content,
}

/// The body of a committed answer.
pub enum Content {
    /// An answer in one piece, on both sides of the boundary.
    Whole {
        /// Here, to look into it.
        bytes: Vec<u8>,
        /// There, to send it.
        original: Uint8Array,
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

    fn whole(bytes: Vec<u8>) -> Self {
        Self::Whole { original: bytes.as_slice().into(), bytes }
    }

    fn flowing(flow: Flow) -> Self {
        Self::Flowing(Box::new(flow))
    }
}

/// A stream that goes on after the commit point.
pub struct Flow {
    /// To be sent first.
    pub held: Vec<u8>,
    /// The rest.
    pub rest: ReadableStream,
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
    pub limits: Limits,
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
    let (response, abort) = send(inbound, dispatch).await?;
    let call = Underway {
        deployment: Rc::clone(&dispatch.deployment),
        protocol: Protocol::of(inbound.facts.operation),
        limits: dispatch.limits,
        abort,
    };
    let status = response.status();
    let all_headers = Headers::parse(host::listed(&response.headers()));
    learn::heard(routes, &dispatch.deployment, &all_headers);
    if !(200..300).contains(&status) {
        return Err(refusal(inbound, response, status, &all_headers).await);
    }
    let content_type = all_headers.get("content-type").unwrap_or_default();
    let is_stream = classify::is_event_stream(content_type);
    let headers = returned(&all_headers);
    // What an account keeps is passed on as it is, bytes as well as a stream that is played again, in which an error is what was
    // asked for. Its JSON is looked at: it tells ids.
    let is_record = inbound
        .stored
        .as_ref()
        .is_some_and(|stored| is_stream || stored.is_content() || !classify::is_json(content_type));
    let commit = if is_record { Commit::Headers } else { dispatch.commit };
    let operation = inbound.facts.operation;
    let answer = Success { operation, status, content_type, body: &[], is_whole: true };
    let most_held_bytes = match commit {
        Commit::FirstToken if is_stream => routes.graph.settings.buffer_bytes,
        Commit::FirstToken if classify::answers_in_json(operation, content_type) => JSON_BYTES,
        // What is not JSON cannot be told from a fault by its end, so it need not be waited for.
        Commit::FirstToken => 0,
        Commit::Headers | Commit::Complete => routes.graph.settings.buffer_bytes,
    };

    let body = if commit != Commit::Headers && !is_stream && is_short(&all_headers, most_held_bytes) {
        short(&response, &answer, &headers, call).await?
    } else {
        match response.body() {
            Some(rest) if commit == Commit::Headers => {
                let tail = is_stream.then(|| Tail::new(call.protocol));
                Content::flowing(Flow { held: Vec::new(), rest, tail, call, answering: None })
            }
            Some(rest) if is_stream => {
                let start = Hold::new(call.protocol, commit, most_held_bytes);
                hold(rest, start, commit, call).await?
            }
            Some(rest) => whole(rest, &answer, &headers, most_held_bytes, call).await?,
            None if is_record => Content::whole(Vec::new()),
            None => judged(&answer, &headers).map(|()| Content::whole(Vec::new()))?,
        }
    };
    minted::learn(inbound, &dispatch.deployment, body.first_bytes());
    Ok(Committed { status, headers, body })
}

/// Whether an answer is known to be no longer than `most_held_bytes`. Of a compressed one its length says nothing: what is read here
/// is not.
fn is_short(headers: &Headers, most_held_bytes: usize) -> bool {
    let length = headers.get("content-length").and_then(|length| length.parse::<usize>().ok());
    length.is_some_and(|length| (1..=most_held_bytes).contains(&length))
        && headers.get("content-encoding").is_none()
}

async fn send(inbound: &Inbound, dispatch: &Dispatch) -> Result<(Response, Abort), Failure> {
    let deployment = &dispatch.deployment;
    let outgoing = upstream::prepare(deployment, &inbound.call(dispatch.number));
    let mut headers = inbound.forwarded.clone();
    headers.extend(outgoing.headers);
    let body = inbound.body.for_attempt(outgoing.model.as_deref(), &deployment.params);
    let body = body.map_err(|error| broken(&error))?;
    let abort = Abort(Some(host::Call::new()));
    let (url, method) = (&outgoing.url, &inbound.facts.method);
    let sent = Wait::begin(|wait| {
        if let Some(call) = &abort.0 {
            call.send(url, method, headers.text(), &body, wait);
        }
    });
    let response = in_time(dispatch.limits, Phase::Headers, sent).await?.map_err(|error| broken(&error))?;
    Ok((response.unchecked_into(), abort))
}

/// A status that is no success: what it means, and the upstream's words to pass on.
async fn refusal(inbound: &Inbound, response: Response, status: u16, headers: &Headers) -> Failure {
    let body = match response.body() {
        Some(body) => error_body(&body).await,
        None => Vec::new(),
    };
    let failure = classify::classify(&Answer { status, headers, body: &body, now: clock::now() });
    // A redirect is not for the client: where it leads is nobody's business outside.
    let response = (status >= 400).then(|| ErrorResponse { status, headers: returned(headers), body });
    // Below an id that an account does not know there is nothing, in whatever words it says so; and what it does not do at all,
    // another one may.
    let is_elsewhere =
        inbound.stored.as_ref().is_some_and(|stored| status == 405 || (status == 404 && stored.id.is_some()));
    Failure { response, unknown_object: failure.unknown_object || is_elsewhere, ..failure }
}

/// The headers that may reach the client.
fn returned(all: &Headers) -> Headers {
    Headers::of(all.iter().filter(|(name, _)| headers::returned(name)))
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

/// Holds a stream of events back until it is worth committing to.
async fn hold(
    rest: ReadableStream,
    mut start: Hold,
    until: Commit,
    call: Underway,
) -> Result<Content, Failure> {
    let reader: ReadableStreamDefaultReader = rest.get_reader().unchecked_into();
    let mut phase = Phase::FirstToken;
    loop {
        let piece = in_time(call.limits, phase, js::read(&reader)).await?.map_err(|error| broken(&error))?;
        let verdict = match &piece {
            Some(bytes) => start.push(bytes),
            None => start.end(),
        };
        match (verdict, piece) {
            (Verdict::Fail(failure), _) => return Err(failure),
            (Verdict::Commit, Some(_)) => break,
            (_, None) => {
                call.abort.forget();
                return Ok(Content::Held(start.take()));
            }
            (Verdict::Wait, Some(_)) if until == Commit::Complete => phase = Phase::Rest,
            (Verdict::Wait, Some(_)) => {}
        }
    }
    reader.release_lock();
    let held = start.take();
    Ok(Content::flowing(Flow { held, rest, tail: Some(start.tail()), call, answering: None }))
}

/// Waits for an answer in one piece that is known to be short, and looks whether it is one.
async fn short(
    response: &Response,
    answer: &Success<'_>,
    headers: &Headers,
    call: Underway,
) -> Result<Content, Failure> {
    let read = Wait::begin(|wait| host::read_response(response, wait));
    let read = in_time(call.limits, Phase::FirstToken, read).await?.map_err(|error| broken(&error))?;
    let original: Uint8Array = read.unchecked_into();
    let bytes = original.to_vec();
    judged_whole(answer, &bytes, headers)?;
    call.abort.forget();
    Ok(Content::Whole { bytes, original })
}

/// Waits for an answer in one piece, and looks whether it is one. Of a longer answer than `most_held_bytes` the first bytes
/// are looked at, and then it flows.
async fn whole(
    rest: ReadableStream,
    answer: &Success<'_>,
    headers: &Headers,
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
            judged_whole(answer, &held, headers)?;
            call.abort.forget();
            return Ok(Content::whole(held));
        }
        if held.len() > most_held_bytes {
            judged(&Success { body: &held, is_whole: false, ..*answer }, headers)?;
            reader.release_lock();
            return Ok(Content::flowing(Flow { held, rest, tail: None, call, answering: None }));
        }
    }
}

/// A failure, if all of what looks like a success is none. An error is small: of a long answer it is enough to know that it came to
/// its end.
fn judged_whole(answer: &Success<'_>, body: &[u8], headers: &Headers) -> Result<(), Failure> {
    judged(&Success { body, is_whole: body.len() <= ERROR_BODY_BYTES, ..*answer }, headers)
}

/// A failure, if what looks like a success is none.
fn judged(answer: &Success<'_>, headers: &Headers) -> Result<(), Failure> {
    let Some(failure) = classify::fault_behind_success(answer) else { return Ok(()) };
    let (status, body) = (answer.status, answer.body.to_vec());
    Err(Failure { response: Some(ErrorResponse { status, headers: headers.clone(), body }), ..failure })
}

/// The output of `wait`, or the failure of the limit that ran out first.
async fn in_time<T>(limits: Limits, phase: Phase, wait: impl Future<Output = T>) -> Result<T, Failure> {
    let limit = limits.of(phase, clock::now());
    clock::until(limit.at, wait).await.ok_or_else(|| Failure::silent(ErrorClass::Timeout, limit.reason))
}

/// The runtime could not get an answer, or lost it on the way.
fn broken(error: &JsValue) -> Failure {
    js::warn(&format!("upstream connection: {}", js::text_of(error)));
    Failure::silent(ErrorClass::Connection, "connection")
}
