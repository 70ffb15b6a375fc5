//! One attempt: the request to an upstream, up to the commit point.

use std::rc::Rc;

use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, ReadableStream, ReadableStreamDefaultReader, RequestInit, RequestRedirect, Response,
};

use super::clock;
use super::inbound::Inbound;
use super::js;
use crate::attempt::class::ErrorClass;
use crate::attempt::classify::{self, Answer};
use crate::attempt::failure::{ErrorResponse, Failure};
use crate::attempt::machine::Dispatch;
use crate::attempt::phase::{Limits, Phase};
use crate::routes::graph::{Commit, Deployment};
use crate::stream::hold::{Hold, Verdict};
use crate::stream::protocol::Protocol;
use crate::stream::tail::Tail;
use crate::upstream::{self, headers};

/// Most of an upstream's error body that is read.
const ERROR_BODY_BYTES: usize = 64 * 1024;

/// An answer that has reached its commit point.
pub struct Committed {
    /// The upstream's status, 2xx.
    pub status: u16,
    /// Headers that may reach the client.
    pub headers: Vec<(String, String)>,
    /// What to send.
    pub body: Content,
}

/// The body of a committed answer.
pub enum Content {
    /// All of it, as it came.
    Whole(Uint8Array),
    /// What was held back, all there is.
    Held(Vec<u8>),
    /// What was held back, and a stream with the rest.
    Flowing(Box<Flow>),
}

impl Content {
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

/// Ends the upstream call when dropped, so that nobody pays for an answer that nobody waits for.
pub struct Abort(AbortController);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends the request to the deployment and waits for the commit point. Of an answer that is to be held until it is complete
/// at most `most_held_bytes` are held.
pub async fn attempt(
    inbound: &Inbound,
    dispatch: &Dispatch,
    most_held_bytes: usize,
) -> Result<Committed, Failure> {
    let call = Underway {
        deployment: Rc::clone(&dispatch.deployment),
        protocol: Protocol::of(inbound.facts.operation),
        limits: dispatch.limits,
        abort: AbortController::new().map(Abort).map_err(|error| broken(&error))?,
    };
    let response = send(inbound, dispatch, &call.abort).await?;
    let status = response.status();
    let all_headers = js::entries(&response.headers());
    if !(200..300).contains(&status) {
        return Err(refusal(response, status, &all_headers, call.limits).await);
    }
    let content_type =
        all_headers.iter().find(|(name, _)| name == "content-type").map_or("", |(_, value)| value.as_str());
    let is_stream = content_type.starts_with("text/event-stream");
    let is_json = content_type.contains("json");
    let headers = returned(&all_headers);

    let body = match response.body() {
        Some(rest) if dispatch.commit == Commit::Headers => {
            let tail = is_stream.then(|| Tail::new(call.protocol));
            Content::flowing(Flow { held: Vec::new(), rest, tail, call })
        }
        Some(rest) if is_stream => {
            let start = Hold::new(call.protocol, dispatch.commit, most_held_bytes);
            hold(rest, start, dispatch.commit, call).await?
        }
        Some(rest) if !is_json && dispatch.commit == Commit::FirstToken => first_piece(rest, call).await?,
        _ => whole(&response, &headers, call.limits).await?,
    };
    Ok(Committed { status, headers, body })
}

async fn send(inbound: &Inbound, dispatch: &Dispatch, upstream: &Abort) -> Result<Response, Failure> {
    let deployment = &dispatch.deployment;
    let outgoing = upstream::prepare(deployment, &inbound.call(dispatch.number));
    let forwarded = inbound.forwarded.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let own = outgoing.headers.iter().map(|(name, value)| (*name, value.as_str()));
    let headers = js::headers(forwarded.chain(own)).map_err(|error| broken(&error))?;

    let init = RequestInit::new();
    init.set_method("POST");
    init.set_headers(&headers);
    init.set_body(
        &inbound
            .body
            .for_attempt(outgoing.model.as_deref(), &deployment.params)
            .map_err(|error| broken(&error))?,
    );
    init.set_redirect(RequestRedirect::Manual);
    init.set_signal(Some(&upstream.0.signal()));
    in_time(dispatch.limits, Phase::Headers, js::fetch(&outgoing.url, &init))
        .await?
        .map_err(|error| broken(&error))
}

/// A status that is no success: what it means, and the upstream's words to pass on.
async fn refusal(response: Response, status: u16, headers: &[(String, String)], limits: Limits) -> Failure {
    let body = match response.body() {
        Some(body) => error_body(&body, limits).await,
        None => Vec::new(),
    };
    let failure = classify::classify(&Answer { status, headers, body: &body, now: clock::now() });
    // A redirect is not for the client: where it leads is nobody's business outside.
    let response = (status >= 400).then(|| ErrorResponse { status, headers: returned(headers), body });
    Failure { response, ..failure }
}

/// The headers that may reach the client.
fn returned(headers: &[(String, String)]) -> Vec<(String, String)> {
    headers.iter().filter(|(name, _)| headers::returned(name)).cloned().collect()
}

/// As much of an error body as arrives in time and is worth keeping.
async fn error_body(body: &ReadableStream, limits: Limits) -> Vec<u8> {
    let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
    let mut kept = Vec::new();
    while kept.len() < ERROR_BODY_BYTES {
        match in_time(limits, Phase::Rest, js::read(&reader)).await {
            Ok(Ok(Some(bytes))) => kept.extend_from_slice(&bytes),
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
            (_, None) => return Ok(Content::Held(start.take())),
            (Verdict::Wait, Some(_)) if until == Commit::Complete => phase = Phase::Rest,
            (Verdict::Wait, Some(_)) => {}
        }
    }
    reader.release_lock();
    let held = start.take();
    Ok(Content::flowing(Flow { held, rest, tail: Some(start.tail()), call }))
}

/// Waits for the first bytes of an answer whose bytes mean nothing to us.
async fn first_piece(rest: ReadableStream, call: Underway) -> Result<Content, Failure> {
    let reader: ReadableStreamDefaultReader = rest.get_reader().unchecked_into();
    let piece =
        in_time(call.limits, Phase::FirstToken, js::read(&reader)).await?.map_err(|error| broken(&error))?;
    reader.release_lock();
    Ok(match piece {
        Some(held) => Content::flowing(Flow { held, rest, tail: None, call }),
        None => Content::Held(Vec::new()),
    })
}

/// Waits for an answer in one piece, and looks whether it is one.
async fn whole(
    response: &Response,
    headers: &[(String, String)],
    limits: Limits,
) -> Result<Content, Failure> {
    let buffer = response.array_buffer().map(JsFuture::from).map_err(|error| broken(&error))?;
    let buffer = in_time(limits, Phase::Rest, buffer).await?.map_err(|error| broken(&error))?;
    let bytes = Uint8Array::new(buffer.unchecked_ref::<ArrayBuffer>());
    // An error is small; a large body needs no look.
    if bytes.length() as usize > ERROR_BODY_BYTES {
        return Ok(Content::Whole(bytes));
    }
    let body = bytes.to_vec();
    match classify::error_behind_success(&body) {
        None => Ok(Content::Whole(bytes)),
        Some(failure) => {
            let response = ErrorResponse { status: response.status(), headers: headers.to_vec(), body };
            Err(Failure { response: Some(response), ..failure })
        }
    }
}

/// The output of `wait`, or the failure of the limit that ran out first.
async fn in_time<T>(limits: Limits, phase: Phase, wait: impl Future<Output = T>) -> Result<T, Failure> {
    let limit = limits.of(phase, clock::now());
    clock::until(limit.at, wait).await.ok_or_else(|| Failure::silent(ErrorClass::Timeout, limit.reason))
}

/// The runtime could not get an answer, or lost it on the way.
fn broken(error: &wasm_bindgen::JsValue) -> Failure {
    js::warn(&format!("upstream connection: {}", js::text_of(error)));
    Failure::silent(ErrorClass::Connection, "connection")
}
