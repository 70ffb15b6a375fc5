//! A committed stream that flows to the client.
//!
//! The platform pipes the bytes: no code of the gateway runs for a chunk, unless the chunk with the
//! usage must be withheld. Beside the pipe, an observer reads a second branch of the stream about
//! once a second, in a few large reads. It detects whether the upstream pauses too long and whether
//! the stream ends as it should. The platform buffers the bytes that only one of the two branches
//! has read. To bound this buffer, the observer stops when a stream becomes long. From then on only
//! the pipe detects a break.
//!
//! Invariants: a break, a stall or an early end never looks like a clean end, because an error
//! event in the protocol follows the last byte. After the protocol's last event a stream has ended,
//! even if its connection stays open. A client that leaves ends the upstream call. There
//! are two exceptions: a stream that is too long to be observed, and a trap of the Wasm, after
//! which the platform alone completes the stream.

use std::cell::Cell;
use std::pin::pin;

use futures::future::{Either, select};

use super::committed::{AbortOnDrop, Flow, OpenCall, READ_BYTES};
use super::completion::{AnswerOutcome, Completion};
use super::first_bytes;
use super::platform::{ByteReader, ByteStream, ClientStream, Pipe, PipeEnd, Platform, PlatformError};
use super::timing::{sleep, until};
use crate::attempt::phase::{LimitKind, Phase, PhaseLimit};
use crate::health::Outcome;
use crate::stream::protocol::{Protocol, broken_stream, error_event};
use crate::stream::tail::{Ending, Tail};
use crate::stream::usage_filter::{Passing, UsageFilter};
use crate::usage::answer_end::AnswerEnd;
use crate::usage::reported::Reported;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::request_outcome::{CLIENT_LEFT, OK};
use crate::vocabulary::time::Millis;

/// How often the observer reads a flowing answer in one piece.
const GATHER_MS: Millis = Millis::new(100);
/// How often the observer looks at a flowing stream.
const LOOK_MS: Millis = Millis::new(1_000);
/// Streams are observed up to this length. It is far more than any text needs, and it bounds the
/// share of an isolate's memory that a slow client can occupy.
const OBSERVED_BYTES: usize = 8 * 1024 * 1024;
/// So many bytes at the total limit have waited to be read. A model writes far less in the time
/// between two looks.
const WAITING_BYTES: usize = 4 * 1024;
/// How long to wait for a pipe to end after its source was cut off (the pipe waits for its client,
/// and the client may not read), or after the last event of the stream.
const CUT_MS: Millis = Millis::new(1_000);

/// How long after the break of a pipe the platform may take to say that the client has left.
const LEFT_MS: Millis = Millis::new(100);

/// How a flow ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowEnd {
    /// The stream is complete.
    Complete,
    /// The upstream sent an error event, with this outcome.
    UpstreamError(Outcome),
    /// The client left.
    ClientLeft,
    /// The connection broke, or the upstream paused too long, took too long or stopped early.
    Broken(Break),
}

/// How a stream broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// The upstream paused longer than the idle limit.
    Idle,
    /// The answer took longer than the total limit.
    Total,
    /// The same for an answer that the gateway does not read, or no longer, or not as fast as it
    /// comes. The slow side may be the client.
    UnreadTotal,
    /// The connection broke.
    Connection,
    /// The stream ended without its final event.
    Truncated,
}

impl Break {
    /// The break for a limit that ended a stream. A stream has only two limits: the pause between
    /// two pieces, and the whole answer.
    fn of(limit: PhaseLimit) -> Self {
        if limit.kind == LimitKind::Idle { Self::Idle } else { Self::Total }
    }

    /// The reason in the record of the request.
    fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Total | Self::UnreadTotal => "total",
            Self::Connection => "connection",
            Self::Truncated => "truncated",
        }
    }

    /// The error for the client: a code and a sentence.
    fn message(self) -> (&'static str, &'static str) {
        match self {
            Self::Idle => {
                ("upstream_timeout", "The upstream stopped sending before the answer was finished.")
            }
            Self::Total | Self::UnreadTotal => {
                ("upstream_timeout", "The answer took longer than an answer may take, and was cut off.")
            }
            Self::Connection | Self::Truncated => {
                ("upstream_truncated", "The upstream ended the stream before the answer was finished.")
            }
        }
    }
}

impl FlowEnd {
    /// The outcome that health records for the deployment.
    fn outcome(self) -> Outcome {
        match self {
            Self::Complete => Outcome::Served,
            Self::ClientLeft | Self::Broken(Break::UnreadTotal) => Outcome::Abandoned,
            Self::UpstreamError(outcome) => outcome,
            Self::Broken(Break::Idle | Break::Total) => Outcome::failed(ErrorClass::Timeout, None),
            Self::Broken(Break::Connection | Break::Truncated) => {
                Outcome::failed(ErrorClass::Truncated, None)
            }
        }
    }

    /// The outcome and its reason in the record of the request.
    fn names(self) -> (&'static str, &'static str) {
        let class = |outcome| match outcome {
            Outcome::Failed { class, .. } => class,
            _ => ErrorClass::Timeout,
        };
        match self {
            Self::Complete => (OK, ""),
            Self::ClientLeft => (CLIENT_LEFT, ""),
            Self::UpstreamError(outcome) => (class(outcome).name(), "error_event"),
            Self::Broken(cause) => (class(self.outcome()).name(), cause.name()),
        }
    }
}

/// Carries the stream to `client` until either side ends it, and records how it ended.
pub async fn carry<P: Platform>(
    platform: P,
    flow: Box<Flow<P>>,
    completion: Completion<P>,
    client: P::Client,
) {
    let basis = flow.call.basis;
    // A stream that does not come to its end is counted as far as it was observed.
    let used = Cell::new(match &flow.tail {
        Some(tail) => tail.usage(&basis),
        None => basis.of_length(flow.length).into(),
    });
    let flowing = to_the_end(&platform, *flow, &client, &used);
    let end = match select(pin!(flowing), pin!(platform.client_left())).await {
        Either::Left((end, _)) => end,
        // The flow is dropped, which ends the upstream call.
        Either::Right(((), _)) => FlowEnd::ClientLeft,
    };
    let (outcome, reason) = end.names();
    let usage = platform.isolate().counted(used.get());
    completion.record(&AnswerOutcome { learned: end.outcome(), outcome, reason, usage });
    platform.isolate().report_and_wait(&platform).await;
}

async fn to_the_end<P: Platform>(
    platform: &P,
    flow: Flow<P>,
    client: &P::Client,
    used: &Cell<Reported>,
) -> FlowEnd {
    let Flow { mut held, rest, observer, mut tail, is_declared, reads_end, length, mut call, .. } = flow;
    if let Some(watching) = tail.as_mut().filter(|_| !is_declared) {
        match first_bytes::read(platform, &rest, (call.limits, Phase::Flowing)).await {
            Ok((first, Some(false))) => (held, tail, call.withholds_usage) = (first, None, false),
            Ok((first, _)) => {
                watching.push(&first);
                held = first;
            }
            Err(limit) => {
                drop(call.abort);
                let ends = Ends { platform, client, protocol: call.protocol };
                return ends.finish(Some(Break::of(limit))).await;
            }
        }
    }
    let seen_bytes = held.len();
    let mut filter = call.withholds_usage.then(UsageFilter::default);
    if observer.is_none() {
        if let Some(Passing::Bytes(passing)) = filter.as_mut().map(|filter| filter.push(&held)) {
            held = passing;
        }
        if !held.is_empty() && client.send(&held).await.is_err() {
            return FlowEnd::ClientLeft;
        }
    }
    let Some(tail) = tail else {
        // Of a longer one, the length says enough.
        let reads_end = reads_end && length <= OBSERVED_BYTES;
        if reads_end || call.limits.own_pause().is_some() {
            return watched(platform, (&held, reads_end), rest, client, call, used).await;
        }
        let abort = Cell::new(Some(call.abort));
        return unread(platform, &rest, client, call.limits.total(), &abort).await;
    };
    let (rest, observer) = if let Some(observer) = observer {
        (rest, observer)
    } else {
        let (rest, branch) = rest.tee();
        (rest, branch.reader())
    };
    let pipe = match filter {
        Some(filter) => rest.pipe_filtered(client, filter),
        None => rest.pipe(client, PipeEnd::LeftOpen),
    };
    observed(platform, pipe, Observed { observer, tail, seen_bytes }, client, call, used).await
}

/// Carries a stream of bytes that the gateway does not interpret, up to the `total` limit. No error
/// event is possible in such a stream, so a break is passed on as a break.
async fn unread<P: Platform>(
    platform: &P,
    rest: &P::Stream,
    client: &P::Client,
    total: PhaseLimit,
    abort: &Cell<Option<AbortOnDrop<P::Call>>>,
) -> FlowEnd {
    let mut pipe = rest.pipe(client, PipeEnd::Passed);
    let end = match until(platform, total.at, &mut pipe).await {
        Some(Ok(())) => FlowEnd::Complete,
        // Either end can break a pipe. A client that has left is known as such within moments.
        Some(Err(_)) => match until(platform, platform.now() + LEFT_MS, platform.client_left()).await {
            Some(()) => FlowEnd::ClientLeft,
            None => FlowEnd::Broken(Break::Connection),
        },
        None => {
            drop(abort.take());
            // The pipe must be awaited: the runtime reports a rejection that nobody awaits as an
            // uncaught exception.
            let _ = until(platform, platform.now() + CUT_MS, pipe).await;
            FlowEnd::Broken(Break::UnreadTotal)
        }
    };
    drop(abort.take());
    end
}

/// Carries an answer in one piece that is too long to be held, and reads a second branch of it: its
/// end for the usage (`reads_end`), and its pauses where the document limits them. A fast answer
/// gathers in that branch, in memory, so it is read often.
async fn watched<P: Platform>(
    platform: &P,
    (held, reads_end): (&[u8], bool),
    rest: P::Stream,
    client: &P::Client,
    call: OpenCall<P>,
    used: &Cell<Reported>,
) -> FlowEnd {
    let OpenCall { basis, limits, abort, .. } = call;
    let (rest, branch) = rest.tee();
    let observer = branch.reader();
    let mut answer = AnswerEnd::default();
    answer.push(held);
    let abort = Cell::new(Some(abort));
    let mut carrying = pin!(unread(platform, &rest, client, limits.total(), &abort));
    let (end, look) = 'watching: loop {
        if let Either::Left((end, _)) = select(carrying.as_mut(), pin!(sleep(platform, GATHER_MS))).await {
            break (end, None);
        }
        loop {
            // An answer is generated before its first byte, which may take any time.
            let pause_ms = limits.own_pause().filter(|_| answer.length() > 0).unwrap_or(Millis::MAX);
            let mut reading = Box::pin(observer.read(READ_BYTES));
            let pause_until = platform.now() + pause_ms;
            let look =
                match select(carrying.as_mut(), pin!(until(platform, pause_until, reading.as_mut()))).await {
                    Either::Left((end, _)) => Err(end),
                    Either::Right((look, _)) => Ok(look),
                };
            match look {
                Err(end) => break 'watching (end, Some(reading)),
                Ok(None) => {
                    drop(abort.take());
                    return match until(platform, platform.now() + CUT_MS, carrying).await {
                        Some(FlowEnd::ClientLeft) => FlowEnd::ClientLeft,
                        _ => FlowEnd::Broken(Break::Idle),
                    };
                }
                Ok(Some(Ok(Some(bytes)))) => {
                    answer.push(&bytes);
                    if reads_end {
                        used.set(basis.of_length(answer.length()).into());
                    }
                    if answer.length() > OBSERVED_BYTES {
                        observer.cancel();
                        return carrying.await;
                    }
                    if bytes.len() < READ_BYTES {
                        break;
                    }
                }
                Ok(Some(Ok(None))) => {
                    if reads_end {
                        used.set(answer.usage(&basis));
                    }
                    return carrying.await;
                }
                Ok(Some(Err(_))) => return carrying.await,
            }
        }
    };
    if !reads_end {
        return end;
    }
    let mut last = match look {
        Some(reading) => reading.await,
        None => observer.read(READ_BYTES).await,
    };
    while let Ok(Some(bytes)) = last {
        answer.push(&bytes);
        if answer.length() > OBSERVED_BYTES {
            observer.cancel();
            break;
        }
        last = observer.read(READ_BYTES).await;
    }
    used.set(answer.usage(&basis));
    end
}

/// The observer of a stream of events, and its state.
struct Observed<R> {
    observer: R,
    tail: Tail,
    seen_bytes: usize,
}

/// Carries a stream of events, and observes it.
async fn observed<P: Platform>(
    platform: &P,
    mut pipe: PipeOf<P>,
    watch: Observed<<P::Stream as ByteStream>::Reader>,
    client: &P::Client,
    call: OpenCall<P>,
    used: &Cell<Reported>,
) -> FlowEnd {
    let Observed { observer, mut tail, mut seen_bytes } = watch;
    let OpenCall { limits, protocol, basis, abort, keeper, withholds_usage, .. } = call;
    let ends = Ends { platform, client, protocol };
    // A read that has begun is never dropped before the end: the platform refuses a second one.
    let (mut looking, mut is_read) = (None, false);
    // The observer has just read the held bytes, so the first look can wait.
    let mut is_caught_up = seen_bytes > 0;
    let piped = loop {
        if tail.has_ended() {
            is_read = true;
            let reading = Box::pin(observer.read(READ_BYTES));
            break ends.after_last_event(pipe, abort, (&observer, reading), &mut tail).await;
        }
        if is_caught_up {
            let left_ms = limits.of(Phase::Flowing, platform.now()).at - platform.now();
            match select(pipe, pin!(sleep(platform, LOOK_MS.min(left_ms / 4)))).await {
                Either::Left((piped, _)) => break piped,
                Either::Right(((), still_piping)) => pipe = still_piping,
            }
        }
        let limit = limits.of(Phase::Flowing, platform.now());
        // If the stream always has bytes to read, the timer below never wins. So the total limit is
        // checked here.
        let is_over = limits.total().at <= platform.now();
        let mut reading = Box::pin(observer.read(READ_BYTES));
        let look = match select(pipe, pin!(until(platform, limit.at, reading.as_mut()))).await {
            Either::Left((piped, _)) => Err(piped),
            Either::Right(looked) => Ok(looked),
        };
        match look {
            Err(piped) => {
                looking = Some(reading);
                break piped;
            }
            // The connection of a finished stream may stay open. Nothing more is awaited then.
            Ok((None, still_piping)) if tail.ending(true) == Ending::Finished => {
                is_read = true;
                break ends.after_last_event(still_piping, abort, (&observer, reading), &mut tail).await;
            }
            Ok((None, still_piping)) => return ends.cut(still_piping, abort, Break::of(limit)).await,
            Ok((Some(Ok(Some(bytes))), still_piping)) if is_over => {
                // The looks before the limit are frequent. So much comes between two of them only
                // if it has waited to be read, so it is not the upstream that is slow.
                let cause = if bytes.len() < WAITING_BYTES { Break::Total } else { Break::UnreadTotal };
                return ends.cut(still_piping, abort, cause).await;
            }
            // The observer has no more bytes. The result of the pipe says how the stream ended.
            Ok((Some(Ok(None) | Err(_)), still_piping)) => break still_piping.await,
            Ok((Some(Ok(Some(bytes))), still_piping)) => {
                tail.push(&bytes);
                used.set(tail.usage(&basis));
                seen_bytes += bytes.len();
                if seen_bytes > OBSERVED_BYTES {
                    observer.cancel();
                    return ends.unobserved(still_piping, abort, limits.total()).await;
                }
                is_caught_up = bytes.len() < READ_BYTES;
                pipe = still_piping;
            }
        }
    };
    // Either end can break a pipe, and this write finds out which. An additional line break is
    // harmless to a client that is still there. For a client that has left, the write fails.
    if piped.is_err() && client.send(b"\n").await.is_err() {
        return FlowEnd::ClientLeft;
    }
    let last_look = match looking {
        Some(reading) => until(platform, limits.of(Phase::Flowing, platform.now()).at, reading).await,
        None => None,
    };
    if let Some(Ok(Some(bytes))) = last_look {
        tail.push(&bytes);
    }
    while !is_read && let Ok(Some(bytes)) = observer.read(READ_BYTES).await {
        tail.push(&bytes);
    }
    used.set(tail.usage(&basis));
    let cause = if piped.is_err() { Break::Connection } else { Break::Truncated };
    match tail.ending(piped.is_err()) {
        Ending::Finished => {
            if let Some((keeper, copy)) = keeper.zip(tail.into_copy()) {
                keeper.keep(platform, true, if withholds_usage { UsageFilter::of_whole(copy) } else { copy });
            }
            ends.finish(None).await
        }
        Ending::Truncated => ends.finish(Some(cause)).await,
        Ending::Failed(failure) => match ends.finish(None).await {
            FlowEnd::Complete => FlowEnd::UpstreamError(failure.outcome()),
            end => end,
        },
    }
}

/// What a look of the observer finds.
type Look = Result<Option<Vec<u8>>, PlatformError>;

type PipeOf<P> = <<P as Platform>::Stream as ByteStream>::Pipe;

/// The ways in which a stream of events ends.
struct Ends<'a, P: Platform> {
    platform: &'a P,
    client: &'a P::Client,
    protocol: Protocol,
}

impl<P: Platform> Ends<'_, P> {
    /// Ends a stream that has exceeded a limit.
    async fn cut(&self, pipe: PipeOf<P>, upstream: AbortOnDrop<P::Call>, cause: Break) -> FlowEnd {
        drop(upstream);
        pipe.cut();
        match until(self.platform, self.platform.now() + CUT_MS, pipe).await {
            Some(_) => self.finish(Some(cause)).await,
            // The client does not read. It finds the connection closed. Whether the upstream would
            // have ended in time is not known: the observer may have been as slow as the client.
            None if cause == Break::Total => FlowEnd::Broken(Break::UnreadTotal),
            None => FlowEnd::Broken(cause),
        }
    }

    /// Waits for the pipe of a stream whose last event has come. If the upstream keeps its
    /// connection open, the call is aborted. The pipe then carries what has arrived, and ends. If
    /// only the client is slow, nothing is aborted. `reading`: a read of the observer that has
    /// begun.
    async fn after_last_event(
        &self,
        pipe: PipeOf<P>,
        upstream: AbortOnDrop<P::Call>,
        (observer, reading): (&impl ByteReader, impl Future<Output = Look>),
        tail: &mut Tail,
    ) -> Result<(), PlatformError> {
        let at = self.platform.now() + CUT_MS;
        let is_closed = async {
            let mut look = until(self.platform, at, reading).await;
            loop {
                match look {
                    Some(Ok(Some(bytes))) if self.platform.now() < at => tail.push(&bytes),
                    Some(Ok(None) | Err(_)) => return true,
                    Some(Ok(Some(_))) | None => return false,
                }
                look = until(self.platform, at, observer.read(READ_BYTES)).await;
            }
        };
        match select(pipe, pin!(is_closed)).await {
            Either::Left((piped, is_closed)) => {
                is_closed.await;
                piped
            }
            Either::Right((true, pipe)) => pipe.await,
            Either::Right((false, pipe)) => {
                drop(upstream);
                // It ends with the error of the abort, which says nothing about the stream.
                let _ = pipe.await;
                Ok(())
            }
        }
    }

    /// Carries a stream that is no longer observed.
    async fn unobserved(
        &self,
        mut pipe: PipeOf<P>,
        upstream: AbortOnDrop<P::Call>,
        limit: PhaseLimit,
    ) -> FlowEnd {
        match until(self.platform, limit.at, &mut pipe).await {
            Some(Ok(())) => self.finish(None).await,
            Some(Err(_)) => self.finish(Some(Break::Connection)).await,
            // The slow side may be the client.
            None => self.cut(pipe, upstream, Break::UnreadTotal).await,
        }
    }

    /// Closes the client's side: cleanly, or after an error event that gives the reason.
    async fn finish(&self, cause: Option<Break>) -> FlowEnd {
        if let Some(cause) = cause {
            let (code, message) = cause.message();
            let event = error_event(self.protocol, &broken_stream(code, message));
            if self.client.send(&event).await.is_err() {
                return FlowEnd::ClientLeft;
            }
        }
        match (self.client.close().await, cause) {
            (Err(_), _) => FlowEnd::ClientLeft,
            (Ok(()), None) => FlowEnd::Complete,
            (Ok(()), Some(cause)) => FlowEnd::Broken(cause),
        }
    }
}
