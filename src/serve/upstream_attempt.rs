//! One attempt: the request to an upstream, up to the commit point.

use std::pin::{Pin, pin};
use std::rc::Rc;

use futures::future::{Either, select};

use super::answer::{Asked, ERROR_BODY_BYTES, Handling, Question};
use super::charges::{Charges, HeldStream};
use super::committed::{AbortOnDrop, Committed, CommittedBody, Flow, OpenCall, READ_BYTES};
use super::faulty_call;
use super::first_bytes;
use super::metering;
use super::object_note::ObjectNote;
use super::own_objects::{self, ListReading};
use super::platform::{
    ByteReader, ByteStream, Clock, OutgoingBody, OutgoingRequest, Platform, PlatformCall, PlatformError,
    ResponseHead,
};
use super::presented_credential::PresentedCredential;
use super::receive::{Inbound, PreparedCall};
use super::serving::Serving;
use super::timing::until;
use super::watched_upload;
use crate::attempt::failure::Failure;
use crate::attempt::machine::Dispatch;
use crate::attempt::phase::{Phase, PhaseLimit, PhaseLimits};
use crate::attempt::success;
use crate::reply::masks::without_secrets_of;
use crate::routes::graph::Commit;
use crate::stream::hold::{Hold, HoldVerdict};
use crate::stream::protocol::Protocol;
use crate::stream::tail::Tail;
use crate::stream::usage_filter::UsageFilter;

use crate::upstream::forwarding;
use crate::usage::basis::UsageBasis;
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::fault::Fault;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::scope::Scope;
use crate::vocabulary::time::{Instant, Millis};
use crate::vocabulary::upstream_ids::UpstreamIds;

/// The largest read of a stream whose commit point is the first token. Only its first event matters
/// here.
const FIRST_READ_BYTES: usize = 4 * 1024;
/// How long to wait for the reason of a failure, after an event that reports a failure without one.
const REASON_MS: Millis = Millis::new(500);
/// How long an error body is read. The status already makes the attempt a failure, and the next
/// attempt waits for this read.
const ERROR_BODY_MS: Millis = Millis::new(1_000);

/// A body that is sent once, until its end.
type Upload = Pin<Box<dyn Future<Output = ()>>>;

/// Sends the request to the deployment, and waits for the commit point. With a `fault`, a drill
/// answers instead, and nothing is sent.
///
/// # Errors
/// If the attempt fails before the commit point.
pub async fn attempt<P: Platform>(
    platform: &P,
    inbound: &Inbound,
    dispatch: &Dispatch,
    fault: Option<Fault>,
    routes: &Serving,
    charges: &Charges,
) -> Result<Committed<P>, Failure> {
    let question = Question {
        operation: inbound.facts.operation,
        stored: inbound.stored.as_ref(),
        is_deletion: inbound.stored.is_some() && inbound.facts.method == "DELETE",
        asked: Asked::of(&inbound.facts, inbound.stored.is_some()),
        commit: own_objects::commit(inbound, dispatch.commit),
        buffer_bytes: routes.graph.settings.buffer_bytes,
    };
    let basis = match fault {
        None => metering::basis(platform, inbound),
        Some(_) => UsageBasis::of_nothing(),
    };
    let params = &dispatch.deployment.params;
    let withholds_usage = metering::asks_for_usage(&routes.graph.settings, inbound, params);
    let began_at = platform.now();
    let mut presented = match fault {
        None => PresentedCredential::first(platform, inbound, dispatch, routes).await?,
        Some(_) => PresentedCredential::Key(0),
    };
    let mut list = ListReading::of(inbound);
    loop {
        let handle = platform.call();
        let abort = AbortOnDrop::new(handle.clone());
        let (ResponseHead { status, headers, body }, limits) = match fault {
            None => {
                let limits = list.limits(dispatch.limits, platform.now());
                let asked = (&question, withholds_usage, list.query());
                send(platform, inbound, dispatch, &presented, asked, (&handle, limits)).await?
            }
            Some(Fault::Hang) => {
                let limit = dispatch.limits.of(Phase::Headers, platform.now());
                platform.sleep_until(limit.at).await;
                return Err(Failure::late(limit.kind));
            }
            Some(fault) => (faulty_call::answer(fault, &question, &handle, platform.now())?, dispatch.limits),
        };
        let call = OpenCall {
            deployment: Rc::clone(&dispatch.deployment),
            protocol: Protocol::of(inbound.facts.operation),
            basis,
            withholds_usage,
            limits,
            abort,
            keeper: None,
        };
        if inbound.stored.is_none() && fault.is_none() {
            // The limits for stored objects are others than those for models.
            routes.on_response(&dispatch.deployment, &headers, platform.now());
        }
        let read = (status, &headers, body);
        let answer = answered(platform, &question, read, &handle, call, (dispatch.number, charges));
        let upstream_ids = UpstreamIds::of(&headers);
        let mut body = match answer.await {
            Ok(body) => body,
            Err(failure) => {
                let failure = Failure { upstream_ids: Some(Box::new(upstream_ids)), ..failure };
                if fault.is_none() && failure.is_refused_credential() {
                    let next = presented.after(failure, platform, inbound, dispatch, routes, began_at);
                    presented = Box::pin(next).await?;
                    continue;
                }
                return Err(failure);
            }
        };
        let mut note = None;
        if fault.is_none() {
            presented.on_accepted(dispatch, routes);
            platform.isolate().learn_owner(inbound, &dispatch.deployment, body.first_bytes());
            if inbound.guard.sees_own_only && !own_objects::is_list(inbound) {
                let flows = matches!(&body, CommittedBody::Flowing(flow) if flow.tail.is_some());
                note = ObjectNote::of(platform, inbound, (body.first_bytes(), flows));
            } else if inbound.guard.sees_own_only {
                match list.on_answer(platform, inbound, body).await {
                    Ok(Some(own)) => body = own,
                    Ok(None) => continue,
                    Err(error) => return Err(Failure::refused(error)),
                }
            }
        }
        let withheld = forwarding::not_returned(&headers);
        let commit = dispatch.commit;
        return Ok(Committed { status, call: handle, withheld, upstream_ids, commit, body, note });
    }
}

/// Waits for the commit point of an answer whose headers have come. `read`: the body, if the
/// platform has read it with them.
async fn answered<P: Platform>(
    platform: &P,
    question: &Question<'_>,
    (status, headers, read): (u16, &Headers, Option<Vec<u8>>),
    handle: &P::Call,
    call: OpenCall<P>,
    charges: (u32, &Charges),
) -> Result<CommittedBody<P>, Failure> {
    if !question.is_answer(status) {
        let body = match handle.stream() {
            Some(stream) => error_body(platform, &stream).await,
            None => Vec::new(),
        };
        let used = call.basis.reported(&body).map(Box::new);
        return Err(Failure { used, ..question.refusal(status, headers, body, platform.now()) });
    }
    match read {
        Some(bytes) => {
            let judged = question.judge(status, headers, &bytes, true);
            let used = |failure| Failure { used: call.basis.reported(&bytes).map(Box::new), ..failure };
            judged.map_err(used)?;
            let usage = platform.isolate().counted(call.basis.of_answer(&bytes));
            call.abort.disarm();
            Ok(CommittedBody::Whole { bytes, is_in_call: true, usage })
        }
        None if Question::is_empty(status) => Ok(CommittedBody::empty()),
        None => {
            // `dyn`: V8 compiles this code when the first such answer comes.
            let body =
                pin!(up_to_commit(platform, question, status, headers, handle.stream(), call, charges));
            (body as Pin<&mut dyn Future<Output = _>>).await
        }
    }
}

/// Sends the request, and waits for the headers of the answer. Returns the limits of what follows,
/// too.
async fn send<P: Platform>(
    platform: &P,
    inbound: &Inbound,
    dispatch: &Dispatch,
    presented: &PresentedCredential,
    (question, asks_for_usage, query): (&Question<'_>, bool, &str),
    (call, mut limits): (&P::Call, PhaseLimits),
) -> Result<(ResponseHead, PhaseLimits), Failure> {
    let span = platform.random();
    let deployment = &dispatch.deployment;
    let credential = presented.credential(deployment);
    let outgoing = inbound.prepare(deployment, credential, (dispatch.number, query), asks_for_usage, span);
    let PreparedCall { url, headers, body, .. } = outgoing.map_err(|_| Failure {
        scope: Scope::Client,
        ..broken(platform, &PlatformError::new("the body was sent already"))
    })?;
    let watch = inbound.body.watch();
    let (body, upload): (_, Option<Upload>) = match (body, watch) {
        (OutgoingBody::Once { first, length }, Some(watch)) => {
            let (upload, rest) = (call.upload(length), platform.body_rest());
            let carried = watched_upload::carry(call.clone(), upload, first, rest, Rc::clone(watch));
            (OutgoingBody::Upload, Some(Box::pin(carried)))
        }
        (body @ OutgoingBody::Once { .. }, None) => (body, Some(Box::pin(call.clone().upload_end()))),
        (body, _) => (body, None),
    };
    let sent = call.send(OutgoingRequest {
        url,
        method: inbound.facts.method.clone(),
        withheld: inbound.withheld.clone(),
        headers,
        body,
        read_up_to: question.read_up_to(),
    });
    let mut sent = pin!(sent);
    let mut head = None;
    if let Some(upload) = upload {
        let limit = limits.of_upload();
        head = match until(platform, limit.at, select(sent.as_mut(), upload)).await {
            None => return Err(late_body(limit.at - inbound.arrival.at)),
            Some(Either::Right(((), _))) => None,
            // The upstream waits no longer for what the client uploads.
            Some(Either::Left((Ok(ResponseHead { status: 408, .. }), _))) => {
                return Err(late_body(platform.now() - inbound.arrival.at));
            }
            // An upstream may answer before it has the whole body. It still gets the rest.
            Some(Either::Left((head, upload))) => {
                if watch.is_some() {
                    platform.in_background(upload);
                }
                Some(head)
            }
        };
        let now = platform.now();
        inbound.body.on_upload_end(now);
        limits = limits.from_upload_end(now);
    }
    let head = match head {
        Some(head) => head,
        None => head_in_time(platform, call, sent, limits, question).await?,
    };
    let cut = |error| {
        let failure = broken(platform, &error);
        // Of an upload that nobody watches on its way, the client may have broken off its end.
        let is_watched = inbound.facts.is_replayable || watch.is_some();
        if is_watched { failure } else { Failure { scope: Scope::Client, ..failure } }
    };
    match watch.and_then(|watch| watch.error()) {
        Some(error) => Err(Failure::refused(error)),
        None => Ok((head.map_err(cut)?, limits)),
    }
}

/// Waits for the headers of an answer, and for a body that the platform reads with them.
async fn head_in_time<P: Platform, T>(
    platform: &P,
    call: &P::Call,
    mut sent: Pin<&mut impl Future<Output = T>>,
    limits: PhaseLimits,
    question: &Question<'_>,
) -> Result<T, Failure> {
    loop {
        let limit = limits.of(Phase::Headers, platform.now());
        // Only a body that the platform reads at once hides that the headers have arrived.
        let look_at = if question.read_up_to() == 0 { limit.at } else { limits.next_look(platform.now()) };
        match until(platform, look_at.min(limit.at), sent.as_mut()).await {
            Some(head) => return Ok(head),
            // The platform reads the body, which has a known length: it is finished.
            None if call.is_answered() => {
                return in_time(platform, limits, Phase::Rest, sent.as_mut()).await;
            }
            None if look_at < limit.at => {}
            None => return Err(Failure::late(limit.kind)),
        }
    }
}

/// The failure for a body that the client did not upload within the time of its request.
fn late_body(after_ms: Millis) -> Failure {
    Failure::refused(ClientError::RequestTimeout { after_ms })
}

/// Waits for the commit point of a successful answer.
async fn up_to_commit<P: Platform>(
    platform: &P,
    question: &Question<'_>,
    status: u16,
    headers: &Headers,
    rest: Option<P::Stream>,
    mut call: OpenCall<P>,
    charges: (u32, &Charges),
) -> Result<CommittedBody<P>, Failure> {
    let content_type = headers.get("content-type").unwrap_or_default();
    if let Some(failure) = question.unasked_stream(status, content_type) {
        return Err(failure);
    }
    let basis = call.basis;
    let refuse = |body: &[u8], has_ended| {
        let failure = question.not_a_stream(status, headers, body, has_ended);
        Failure { used: basis.reported(body).map(Box::new), ..failure }
    };
    match (rest, question.handling(status, content_type)) {
        (Some(rest), Handling::Pass { is_watched, is_declared }) => {
            // The usage is asked for in streams alone.
            call.withholds_usage &= is_watched;
            let tail = is_watched.then(|| Tail::new(call.protocol));
            let reads_end = question.reports_usage(content_type);
            let (held, length) = (Vec::new(), stated_length(headers).unwrap_or_default());
            let flow = Flow { held, rest, observer: None, tail, is_declared, length, reads_end, call };
            Ok(CommittedBody::Flowing(Box::new(flow)))
        }
        (Some(rest), Handling::Events { until, most, is_declared }) => {
            let form = (is_declared, None, refuse);
            let held = hold(platform, rest, (until, most), form, call, charges).await;
            held.map_err(|failure| Question::failed_by_event(failure, headers))
        }
        (Some(rest), Handling::Whole { most }) => {
            let judge = |body: &[u8], has_ended| question.judge(status, headers, body, has_ended);
            let reads_end = question.reports_usage(content_type);
            let mut first = Vec::new();
            if question.asked.allows_events() {
                let late = |limit: PhaseLimit| Failure::late(limit.kind);
                let phase = (call.limits, Phase::FirstToken);
                let (read, is_stream) = first_bytes::read(platform, &rest, phase).await.map_err(late)?;
                if is_stream == Some(true) {
                    let (commit, form) = (question.commit, (true, Some(read), refuse));
                    let held =
                        hold(platform, rest, (commit, question.buffer_bytes), form, call, charges).await;
                    return held.map_err(|failure| Question::failed_by_event(failure, headers));
                }
                first = read;
            }
            whole(platform, (first, rest), judge, (most, stated_length(headers), reads_end), call).await
        }
        (None, _) if question.is_record(status, content_type) => Ok(CommittedBody::empty()),
        (None, _) => question.judge(status, headers, &[], true).map(|()| CommittedBody::empty()),
    }
}

/// Reads an error body, up to a limit in bytes and in time.
async fn error_body<P: Platform>(platform: &P, body: &P::Stream) -> Vec<u8> {
    let mut bytes = Vec::new();
    read_up_to(platform, &body.chunks(), error_limits(platform), &mut bytes).await;
    bytes.truncate(ERROR_BODY_BYTES);
    bytes
}

/// The limits of an error body: in bytes and in time.
fn error_limits<P: Platform>(platform: &P) -> (usize, Instant) {
    (ERROR_BODY_BYTES, platform.now() + ERROR_BODY_MS)
}

/// Reads the rest of a body up to limits in bytes and in time. Returns whether its end was reached.
pub(super) async fn read_up_to<P: Platform>(
    platform: &P,
    reader: &impl ByteReader,
    (most, end): (usize, Instant),
    bytes: &mut Vec<u8>,
) -> bool {
    while bytes.len() < most {
        match until(platform, end, reader.read(most)).await {
            Some(Ok(Some(piece))) => bytes.extend_from_slice(&piece),
            Some(Ok(None)) => return true,
            Some(Err(_)) | None => return false,
        }
    }
    false
}

/// Holds a stream of events until its commit point. If the commit point is early, a separate branch
/// is read, and the flow later observes the same branch. So the platform can pipe the whole stream
/// to the client. `is_declared`: whether its media type says that it is a stream. `read`: its first
/// bytes, if they were read from `rest`. `refuse`: the failure if it is not a stream.
async fn hold<P: Platform>(
    platform: &P,
    rest: P::Stream,
    (commit, most_held): (Commit, usize),
    (is_declared, read, refuse): (bool, Option<Vec<u8>>, impl Fn(&[u8], bool) -> Failure),
    call: OpenCall<P>,
    (number, charges): (u32, &Charges),
) -> Result<CommittedBody<P>, Failure> {
    let mut gathered = Hold::new(call.protocol, commit, most_held);
    let is_complete = commit == Commit::Complete;
    let is_branch = !is_complete && read.is_none();
    let (rest, observer) = if is_branch {
        let (rest, branch) = rest.tee();
        (rest, branch.reader())
    } else {
        let reader = rest.reader();
        (rest, reader)
    };
    let most = if is_complete { READ_BYTES } else { FIRST_READ_BYTES };
    let first = match read {
        Some(first) => first,
        None => first_of_events(platform, &observer, call.limits, is_declared, refuse).await?,
    };
    let (basis, gathering) = (call.basis, &mut gathered);
    let mut held = HeldStream { gathered: gathering, basis, number, charges, has_verdict: false };
    let end =
        up_to_verdict(platform, held.gathered, &observer, (first, most), (is_complete, call.limits)).await;
    held.has_verdict = true;
    drop(held);
    match end {
        Ok(HoldEnd::Commit) => {}
        Ok(HoldEnd::Finished) => return Ok(held_whole(platform, gathered, &call)),
        Ok(HoldEnd::Closed) => {
            let held = held_whole(platform, gathered, &call);
            call.abort.disarm();
            return Ok(held);
        }
        // The provider charges for what was written.
        Err(failure) => return Err(Failure { used: gathered.charged(&call.basis).map(Box::new), ..failure }),
    }
    let held = gathered.take();
    let (held, observer) = if is_branch {
        (held, Some(observer))
    } else {
        observer.release();
        (without_secrets_of(&call.deployment, &platform.isolate().tokens.borrow(), held), None)
    };
    let tail = Some(gathered.tail());
    let flow = Flow { held, rest, observer, tail, is_declared: true, length: 0, reads_end: false, call };
    Ok(CommittedBody::Flowing(Box::new(flow)))
}

/// Why a stream is held no longer.
enum HoldEnd {
    /// It is committed.
    Commit,
    /// It is complete, although its connection is open.
    Finished,
    /// It is complete, and has ended.
    Closed,
}

/// Reads a stream that is held until there is a verdict. `first`: its first bytes, `most`: the
/// largest read. `is_complete`: it is held until its end.
async fn up_to_verdict<P: Platform>(
    platform: &P,
    gathered: &mut Hold,
    observer: &impl ByteReader,
    (first, most): (Vec<u8>, usize),
    (is_complete, limits): (bool, PhaseLimits),
) -> Result<HoldEnd, Failure> {
    let (mut first, mut phase, mut reason_by) = (Some(first), Phase::FirstToken, None);
    loop {
        let piece = if first.is_some() {
            first.take()
        } else if gathered.is_unexplained() {
            let at = *reason_by.get_or_insert(platform.now() + REASON_MS);
            until(platform, at, observer.read(most)).await.and_then(Result::ok).flatten()
        } else {
            match in_time(platform, limits, phase, observer.read(most)).await {
                // The connection of a finished stream may stay open.
                Err(_) if gathered.is_finished() => return Ok(HoldEnd::Finished),
                piece => piece?.map_err(|error| broken(platform, &error))?,
            }
        };
        let verdict = match &piece {
            Some(bytes) => gathered.push(bytes),
            None => gathered.end(),
        };
        match (verdict, piece) {
            (HoldVerdict::Fail(failure), _) => return Err(failure),
            (HoldVerdict::Commit, Some(_)) => return Ok(HoldEnd::Commit),
            (_, None) => return Ok(HoldEnd::Closed),
            (HoldVerdict::Wait, Some(_)) if is_complete => phase = Phase::Rest,
            (HoldVerdict::Wait, Some(_)) => {}
        }
    }
}

/// A stream of events that was held until its end.
fn held_whole<P: Platform>(platform: &P, mut gathered: Hold, call: &OpenCall<P>) -> CommittedBody<P> {
    let mut bytes =
        without_secrets_of(&call.deployment, &platform.isolate().tokens.borrow(), gathered.take());
    if call.withholds_usage {
        bytes = UsageFilter::of_whole(bytes);
    }
    let usage = platform.isolate().counted(gathered.tail().usage(&call.basis));
    CommittedBody::Held { bytes, usage }
}

/// The length of a body that its headers state.
fn stated_length(headers: &Headers) -> Option<usize> {
    headers.get("content-length")?.parse().ok()
}

/// The first bytes of a stream of events.
///
/// # Errors
/// If it is something else. `refuse` gets its first bytes, and whether these are all.
async fn first_of_events<P: Platform>(
    platform: &P,
    reader: &impl ByteReader,
    limits: PhaseLimits,
    is_declared: bool,
    refuse: impl Fn(&[u8], bool) -> Failure,
) -> Result<Vec<u8>, Failure> {
    let mut first = Vec::new();
    while first.len() < FIRST_READ_BYTES {
        let piece = in_time(platform, limits, Phase::FirstToken, reader.read(FIRST_READ_BYTES)).await?;
        let Some(piece) = piece.map_err(|error| broken(platform, &error))? else { break };
        if first.is_empty() {
            first = piece;
        } else {
            first.extend_from_slice(&piece);
        }
        match success::begins_as_events(&first, is_declared) {
            Some(true) => break,
            Some(false) => {
                let has_ended = read_up_to(platform, reader, error_limits(platform), &mut first).await;
                return Err(refuse(&first, has_ended));
            }
            None => {}
        }
    }
    Ok(first)
}

/// Waits for a complete answer, and judges it. If the answer is longer than `most_held`, its first
/// bytes are judged, and then it flows. `held`: those that were read before.
async fn whole<P: Platform>(
    platform: &P,
    (mut held, rest): (Vec<u8>, P::Stream),
    judge: impl Fn(&[u8], bool) -> Result<(), Failure>,
    (most_held, length, reads_end): (usize, Option<usize>, bool),
    call: OpenCall<P>,
) -> Result<CommittedBody<P>, Failure> {
    let reader = rest.chunks();
    loop {
        if held.len() > most_held {
            judge(&held, false)?;
            reader.release();
            return Ok(CommittedBody::Flowing(Box::new(Flow {
                length: length.unwrap_or(held.len()),
                reads_end,
                held,
                rest,
                observer: None,
                tail: None,
                is_declared: false,
                call,
            })));
        }
        let phase = if held.is_empty() { Phase::FirstToken } else { Phase::Rest };
        let piece = in_time(platform, call.limits, phase, reader.read(READ_BYTES)).await?;
        let piece = piece.map_err(|error| broken(platform, &error))?;
        held.extend_from_slice(piece.as_deref().unwrap_or_default());
        if piece.is_none() {
            judge(&held, true)
                .map_err(|failure| Failure { used: call.basis.reported(&held).map(Box::new), ..failure })?;
            call.abort.disarm();
            let usage = platform.isolate().counted(call.basis.of_answer(&held));
            return Ok(CommittedBody::Whole { is_in_call: held.is_empty(), bytes: held, usage });
        }
    }
}

/// The output of `wait`, or the failure of the time limit if that is reached first.
async fn in_time<C: Clock, T>(
    clock: &C,
    limits: PhaseLimits,
    phase: Phase,
    wait: impl Future<Output = T>,
) -> Result<T, Failure> {
    let limit = limits.of(phase, clock.now());
    until(clock, limit.at, wait).await.ok_or_else(|| Failure::late(limit.kind))
}

/// The failure for a connection that could not be made, or that broke.
fn broken<P: Platform>(platform: &P, error: &PlatformError) -> Failure {
    platform.warn(&platform.isolate().without_secrets(format!("upstream connection: {error}")));
    Failure::silent(ErrorClass::Connection, "connection")
}
