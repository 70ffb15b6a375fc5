//! A committed stream on its way to the client.
//!
//! The bytes are piped by the runtime: no JavaScript and no Wasm runs for a chunk. Beside the pipe an observer looks at a
//! second branch of the stream about once a second, in few large reads, and learns from it whether the upstream pauses too
//! long and whether the stream ended as it should. What the observer has not read gathers in the runtime meanwhile: one
//! second of a stream, and no more.
//!
//! A break, a stall or an early end never looks like a clean one: an error event in the protocol follows the last byte. A
//! client that leaves ends the upstream call.

use std::pin::Pin;
use std::rc::Rc;

use futures_util::future::{Either, select};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    ReadableStream, ReadableStreamByobReader, ReadableStreamGetReaderOptions, ReadableStreamReaderMode,
    StreamPipeOptions, WritableStream,
};

use super::call::{Flow, Underway};
use super::{clock, js};
use crate::attempt::phase::Phase;
use crate::stream::protocol::{Protocol, error_event};
use crate::stream::tail::{Ending, Tail};
use crate::time::Millis;

/// How often the observer looks at a flowing stream.
const LOOK_MS: Millis = 1_000;
/// Largest read of the observer.
const READ_BYTES: u32 = 256 * 1024;

/// How a flow ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// As it should.
    Well,
    /// The client left.
    ClientGone,
    /// The upstream broke, paused too long, or stopped early.
    Broken(&'static str),
}

/// Carries the stream to `client` until either side ends it.
pub async fn carry(flow: Box<Flow>, client: WritableStream) {
    let deployment = Rc::clone(&flow.call.deployment);
    if let Ended::Broken(reason) = carry_to_the_end(*flow, client).await {
        js::warn(&format!("stream from {} broke after the commit point: {reason}", deployment.name));
    }
}

async fn carry_to_the_end(flow: Flow, client: WritableStream) -> Ended {
    let Flow { held, rest, tail, call: Underway { protocol, limits, abort, .. } } = flow;
    if !held.is_empty() && send(&client, &held).await.is_err() {
        return Ended::ClientGone;
    }
    let Some(mut tail) = tail else {
        // There is nothing to say in bytes that mean nothing to us: a break is passed on as a break.
        let limit = limits.total();
        return match clock::until(limit.at, JsFuture::from(rest.pipe_to(&client))).await {
            Some(Ok(_)) => Ended::Well,
            Some(Err(_)) => Ended::Broken("connection"),
            None => Ended::Broken(limit.reason),
        };
    };
    let (mut pipe, observer) = fork(&rest, &client);
    let mut looking = None;
    let piped = loop {
        let limit = limits.of(Phase::Flowing, clock::now());
        let look = Box::pin(clock::until(limit.at, js::read_gathered(&observer, READ_BYTES)));
        match select(pipe, look).await {
            Either::Left((piped, look)) => {
                looking = Some(look);
                break piped;
            }
            Either::Right((None, still_piping)) => {
                drop(abort);
                let _ = still_piping.await;
                return finish(&client, &tail, protocol, Some(limit.reason)).await;
            }
            // At the end of what can be observed; how it ended, the pipe knows.
            Either::Right((Some(Ok(None) | Err(_)), still_piping)) => break still_piping.await,
            Either::Right((Some(Ok(Some(bytes))), still_piping)) => {
                tail.push(&bytes);
                let pause_ms = LOOK_MS.min(limit.at.saturating_sub(clock::now()) / 4);
                match select(still_piping, Box::pin(clock::sleep(pause_ms))).await {
                    Either::Left((piped, _)) => break piped,
                    Either::Right(((), still_piping)) => pipe = still_piping,
                }
            }
        }
    };
    // A pipe breaks at either end. An empty line means nothing to a client that is there, and fails for one that is not.
    if piped.is_err() && send(&client, b"\n").await.is_err() {
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
    finish(&client, &tail, protocol, piped.err().map(|_| "connection")).await
}

/// Closes the client's side: cleanly where the stream ended as it should, after an error event where it did not.
async fn finish(
    client: &WritableStream,
    tail: &Tail,
    protocol: Protocol,
    reason: Option<&'static str>,
) -> Ended {
    let reason = match (tail.ending(), reason) {
        (Ending::Finished | Ending::Failed(_), _) => None,
        (Ending::Truncated, Some(reason)) => Some(reason),
        (Ending::Truncated, None) => Some("truncated"),
    };
    let Some(reason) = reason else {
        return if close(client).await.is_ok() { Ended::Well } else { Ended::ClientGone };
    };
    let (code, message) = match reason {
        "idle" | "total" => {
            ("upstream_timeout", "The upstream stopped sending before the answer was finished.")
        }
        _ => ("upstream_truncated", "The upstream ended the stream before the answer was finished."),
    };
    let told = send(client, &error_event(protocol, code, message)).await;
    if told.is_err() || close(client).await.is_err() { Ended::ClientGone } else { Ended::Broken(reason) }
}

/// One branch piped to the client, which stays open when the pipe ends, and a reader on the other.
fn fork(rest: &ReadableStream, client: &WritableStream) -> (Pin<Box<JsFuture>>, ReadableStreamByobReader) {
    let branches = rest.tee();
    let flowing: ReadableStream = branches.get(0).unchecked_into();
    let observed: ReadableStream = branches.get(1).unchecked_into();
    let options = StreamPipeOptions::new();
    options.set_prevent_close(true);
    options.set_prevent_abort(true);
    let pipe = Box::pin(JsFuture::from(flowing.pipe_to_with_options(client, &options)));
    let mode = ReadableStreamGetReaderOptions::new();
    mode.set_mode(ReadableStreamReaderMode::Byob);
    (pipe, observed.get_reader_with_options(&mode).unchecked_into())
}

/// Writes to the client and gives the stream free again.
pub async fn send(client: &WritableStream, bytes: &[u8]) -> Result<(), JsValue> {
    let writer = client.get_writer()?;
    let sent = js::write(&writer, bytes).await;
    writer.release_lock();
    sent
}

/// Ends the stream cleanly.
pub async fn close(client: &WritableStream) -> Result<(), JsValue> {
    let writer = client.get_writer()?;
    JsFuture::from(writer.close()).await.map(drop)
}
