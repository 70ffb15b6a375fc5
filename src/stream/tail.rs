//! How a stream ended that has been committed to.
//!
//! The bytes are on their way to the client already, so there is nothing to decide here: they are watched in large and rare
//! pieces, and only events that may end the stream are looked into.

use super::protocol::{Meaning, Protocol};
use super::sse::{Event, Parser};
use crate::attempt::failure::Failure;

/// Watches a stream.
#[derive(Debug)]
pub struct Tail {
    pub(super) protocol: Protocol,
    pub(super) parser: Parser,
    pub(super) progress: Progress,
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The answer is whole.
    Finished,
    /// It stopped before that.
    Truncated,
    /// The upstream itself sent an error event: the client has been told, and there is nothing to add.
    Failed(Failure),
}

/// How far a stream has come.
#[derive(Debug)]
pub(super) enum Progress {
    /// Nothing ended yet.
    Open,
    /// A choice finished; an error may still come.
    Finished,
    /// The stream said its last word.
    Done,
    /// Its last word was an error.
    Failed(Failure),
}

impl Progress {
    pub(super) fn note(&mut self, meaning: Meaning) {
        match (&self, meaning) {
            (Self::Done | Self::Failed(_), _)
            | (_, Meaning::Prelude | Meaning::Content | Meaning::Malformed) => {}
            (_, Meaning::Finish) => *self = Self::Finished,
            (_, Meaning::Done) => *self = Self::Done,
            (_, Meaning::Error(failure)) => *self = Self::Failed(failure),
        }
    }

    pub(super) fn watch(&mut self, protocol: Protocol, event: &Event<'_>) {
        if protocol.may_end(event) {
            self.note(protocol.meaning(event));
        }
    }
}

impl Tail {
    /// Watches a stream from its first byte.
    pub fn new(protocol: Protocol) -> Self {
        Self { protocol, parser: Parser::default(), progress: Progress::Open }
    }

    /// Reads the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        let Self { protocol, parser, progress } = self;
        if matches!(progress, Progress::Open | Progress::Finished) {
            parser.push(bytes, |event| progress.watch(*protocol, &event));
        }
    }

    /// How the stream ended, if it ended here. An event without its empty line is none: no client has seen it.
    pub fn ending(&self) -> Ending {
        match (&self.progress, self.protocol) {
            (Progress::Failed(failure), _) => Ending::Failed(failure.clone()),
            (Progress::Finished | Progress::Done, _) | (Progress::Open, Protocol::Other) => Ending::Finished,
            (Progress::Open, Protocol::Chat | Protocol::Responses) => Ending::Truncated,
        }
    }
}
