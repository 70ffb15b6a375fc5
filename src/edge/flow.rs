//! A committed stream on its way to the client.
//!
//! The bytes are piped by the runtime: no JavaScript and no Wasm runs for a chunk. Beside the pipe an observer looks at a
//! second branch of the stream about once a second, in few large reads, and learns from it whether the upstream pauses too
//! long and whether the stream ended as it should. What one of the two has not read gathers in the runtime meanwhile; so that this
//! stays small, a stream that turns out to be long is no longer observed, and then is known to be broken only by its break.
//!
//! A break, a stall or an early end never looks like a clean one: an error event in the protocol follows the last byte. A
//! client that leaves ends the upstream call.

use std::pin::Pin;
use std::rc::Rc;

use futures_util::future::{Either, select};
use wasm_bindgen::JsCast;
use web_sys::{
    AbortController, ReadableStream, ReadableStreamByobReader, ReadableStreamGetReaderOptions,
    ReadableStreamReaderMode, StreamPipeOptions, WritableStream,
};

use super::call::{Abort, Flow, Underway};
use super::task::{Settled, Wait};
use super::{clock, js, share};
use crate::attempt::phase::{Phase, PhaseLimit};
use crate::health::Outcome;
use crate::stream::protocol::{Protocol, broken_stream, error_event};
use crate::stream::tail::Ending;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::time::Millis;

/// How often the observer looks at a flowing stream.
const LOOK_MS: Millis = 1_000;
/// Largest read of what is long. Each open stream has one such buffer.
pub const READ_BYTES: u32 = 32 * 1024;
/// Streams are observed up to this length: far beyond any text, and a share of an isolate's memory that a slow client may hold.
const OBSERVED_BYTES: usize = 8 * 1024 * 1024;
/// How long to wait for a pipe to end whose source was just cut off. It waits for its client, who may not read.
const CUT_MS: Millis = 1_000;

/// How a flow ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// As it should.
    Well,
    /// With an error event of the upstream's own.
    Failed(ErrorClass, Option<Millis>),
    /// The client left.
    ClientGone,
    /// The upstream broke, paused too long, or stopped early.
    Broken(&'static str),
}

/// Carries the stream to `client` until either side ends it.
pub async fn carry(mut flow: Box<Flow>, client: WritableStream) {
    let deployment = Rc::clone(&flow.call.deployment);
    let answering = flow.answering.take();
    let mut output_tokens = None;
    let ended = carry_to_the_end(*flow, client, &mut output_tokens).await;
    if let Ended::Broken(reason) = ended {
        js::warn(&format!("stream from {} broke after the commit point: {reason}", deployment.name));
    }
    if let Some(answering) = answering {
        answering.end(ended.outcome(), output_tokens);
        if share::is_due() {
            share::report().await;
        }
    }
}

impl Ended {
    /// What it says of the deployment.
    fn outcome(self) -> Outcome {
        let failed = |class| Outcome::Failed { class, hint_ms: None };
        match self {
            Self::Well => Outcome::Served,
            Self::ClientGone | Self::Broken("internal") => Outcome::Abandoned,
            Self::Failed(class, hint_ms) => Outcome::Failed { class, hint_ms },
            Self::Broken("idle" | "total") => failed(ErrorClass::Timeout),
            Self::Broken(_) => failed(ErrorClass::Truncated),
        }
    }
}

async fn carry_to_the_end(flow: Flow, client: WritableStream, output_tokens: &mut Option<u64>) -> Ended {
    let Flow { held, rest, observer, tail, call: Underway { protocol, limits, abort, .. }, .. } = flow;
    if observer.is_none() && !held.is_empty() && js::send(&client, &held).await.is_err() {
        return Ended::ClientGone;
    }
    let Some(mut tail) = tail else {
        // There is nothing to say in bytes that mean nothing to us: a break is passed on as a break.
        let limit = limits.total();
        let mut pipe = Wait::of(&rest.pipe_to(&client));
        return match clock::until(limit.at, &mut pipe).await {
            Some(Ok(_)) => Ended::Well,
            Some(Err(_)) => Ended::Broken("connection"),
            None => {
                drop(abort);
                // The pipe has to see its own end: a rejection that nobody awaits is an uncaught exception to the runtime.
                let _ = clock::until(clock::now().saturating_add(CUT_MS), pipe).await;
                Ended::Broken(limit.reason)
            }
        };
    };
    let Ok(ends) = AbortController::new() else { return Ended::Broken("internal") };
    let calls = Ends { upstream: abort, pipe: ends };
    let (rest, observer) = match observer {
        Some(observer) => (rest, observer),
        None => branches(&rest),
    };
    let mut pipe = pipe(&rest, &client, &calls.pipe);
    let mut seen_bytes = held.len();
    let mut looking = None;
    // What it has just seen, it need not look at again.
    let mut is_abreast = !held.is_empty();
    let piped = loop {
        if is_abreast {
            let left_ms = limits.of(Phase::Flowing, clock::now()).at.saturating_sub(clock::now());
            match select(pipe, Box::pin(clock::sleep(LOOK_MS.min(left_ms / 4)))).await {
                Either::Left((piped, _)) => break piped,
                Either::Right(((), still_piping)) => pipe = still_piping,
            }
        }
        let limit = limits.of(Phase::Flowing, clock::now());
        // A stream that always has something to read never lets the clock below win.
        let is_over = limits.total().at <= clock::now();
        let look = Box::pin(clock::until(limit.at, js::read_gathered(&observer, READ_BYTES)));
        match select(pipe, look).await {
            Either::Left((piped, look)) => {
                looking = Some(look);
                break piped;
            }
            Either::Right((None, still_piping)) => {
                return cut(still_piping, calls, &client, protocol, limit).await;
            }
            Either::Right((Some(Ok(Some(_))), still_piping)) if is_over => {
                return cut(still_piping, calls, &client, protocol, limits.total()).await;
            }
            // At the end of what can be observed; how it ended, the pipe knows.
            Either::Right((Some(Ok(None) | Err(_)), still_piping)) => break still_piping.await,
            Either::Right((Some(Ok(Some(bytes))), still_piping)) => {
                tail.push(&bytes);
                seen_bytes += bytes.len();
                if seen_bytes > OBSERVED_BYTES {
                    drop(observer.cancel());
                    return unobserved(still_piping, calls, &client, protocol, limits.total()).await;
                }
                is_abreast = bytes.len() < READ_BYTES as usize;
                pipe = still_piping;
            }
        }
    };
    // A pipe breaks at either end. The end of a line means little to a client that is there, and fails for one that is not.
    if piped.is_err() && js::send(&client, b"\n").await.is_err() {
        return Ended::ClientGone;
    }
    let last_look = match looking {
        Some(look) => look.await,
        None => None,
    };
    if let Some(Ok(Some(bytes))) = last_look {
        tail.push(&bytes);
    }
    while let Ok(Some(bytes)) = js::read_gathered(&observer, READ_BYTES).await {
        tail.push(&bytes);
    }
    *output_tokens = Some(tail.output_tokens());
    let reason = if piped.is_err() { "connection" } else { "truncated" };
    match tail.ending(piped.is_err()) {
        Ending::Finished => finish(&client, protocol, None).await,
        Ending::Truncated => finish(&client, protocol, Some(reason)).await,
        Ending::Failed(failure) => match finish(&client, protocol, None).await {
            Ended::Well => Ended::Failed(failure.class, failure.hint_ms),
            ended => ended,
        },
    }
}

/// What ends a stream at its source, and between the source and the client.
struct Ends {
    upstream: Abort,
    pipe: AbortController,
}

/// Ends a stream whose time is up.
async fn cut(
    pipe: Piping,
    ends: Ends,
    client: &WritableStream,
    protocol: Protocol,
    limit: PhaseLimit,
) -> Ended {
    drop(ends.upstream);
    ends.pipe.abort();
    match clock::until(clock::now().saturating_add(CUT_MS), pipe).await {
        Some(_) => finish(client, protocol, Some(limit.reason)).await,
        // Its client does not read, and will find the connection closed.
        None => Ended::Broken(limit.reason),
    }
}

/// Carries on with a stream that is no longer observed.
async fn unobserved(
    mut pipe: Piping,
    ends: Ends,
    client: &WritableStream,
    protocol: Protocol,
    limit: PhaseLimit,
) -> Ended {
    match clock::until(limit.at, &mut pipe).await {
        Some(Ok(_)) => finish(client, protocol, None).await,
        Some(Err(_)) => finish(client, protocol, Some("connection")).await,
        None => cut(pipe, ends, client, protocol, limit).await,
    }
}

/// Closes the client's side: cleanly, or after an error event that gives the reason.
async fn finish(client: &WritableStream, protocol: Protocol, broken: Option<&'static str>) -> Ended {
    if let Some(reason) = broken {
        let error = match reason {
            "idle" => broken_stream(
                "upstream_timeout",
                "The upstream stopped sending before the answer was finished.",
            ),
            "total" => broken_stream(
                "upstream_timeout",
                "The answer took longer than an answer may take, and was cut off.",
            ),
            _ => broken_stream(
                "upstream_truncated",
                "The upstream ended the stream before the answer was finished.",
            ),
        };
        if js::send(client, &error_event(protocol, &error)).await.is_err() {
            return Ended::ClientGone;
        }
    }
    match (js::close(client).await, broken) {
        (Err(_), _) => Ended::ClientGone,
        (Ok(()), None) => Ended::Well,
        (Ok(()), Some(reason)) => Ended::Broken(reason),
    }
}

/// A pipe at work.
type Piping = Pin<Box<Settled>>;

/// Pipes a stream to the client, whose side stays open when the pipe ends.
fn pipe(stream: &ReadableStream, client: &WritableStream, end: &AbortController) -> Piping {
    let options = StreamPipeOptions::new();
    options.set_prevent_close(true);
    options.set_prevent_abort(true);
    options.set_signal(&end.signal());
    Box::pin(Wait::of(&stream.pipe_to_with_options(client, &options)))
}

/// Two branches of a stream: one to pipe, and one to read.
pub fn branches(stream: &ReadableStream) -> (ReadableStream, ReadableStreamByobReader) {
    let branches = stream.tee();
    let observed: ReadableStream = branches.get(1).unchecked_into();
    (branches.get(0).unchecked_into(), reader(&observed))
}

/// Reads pieces of any size.
pub fn reader(stream: &ReadableStream) -> ReadableStreamByobReader {
    let mode = ReadableStreamGetReaderOptions::new();
    mode.set_mode(ReadableStreamReaderMode::Byob);
    stream.get_reader_with_options(&mode).unchecked_into()
}
