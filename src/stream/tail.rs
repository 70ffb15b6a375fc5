//! How a committed stream ended.
//!
//! Its bytes are already on their way to the client, so nothing is decided here. The bytes are
//! watched in large and rare pieces, and only events that may end the stream are parsed. What
//! begins like a JSON object is no stream but an answer in one piece, whatever it declares.

use super::choices::ChatChoices;
use super::protocol::{Meaning, Protocol, is_end_marker, is_ping};
use super::sse::{Parser, SseEvent};
use crate::attempt::failure::Failure;
use crate::usage::answer_end::AnswerEnd;
use crate::usage::basis::UsageBasis;
use crate::usage::reported::Reported;
use crate::vocabulary::usage::Usage;

/// Watches a stream.
#[derive(Debug)]
pub struct Tail {
    pub(super) protocol: Protocol,
    pub(super) parser: Parser,
    pub(super) progress: Progress,
    /// The answer, if it is one in one piece.
    whole: Option<AnswerEnd>,
    /// The bytes of the stream, and how many they may become.
    copy: Option<(Vec<u8>, usize)>,
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The answer is complete.
    Finished,
    /// The stream stopped before the answer was complete.
    Truncated,
    /// The upstream itself sent an error event. The client has it already, so the gateway adds
    /// nothing.
    Failed(Failure),
}

/// How far a stream has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The choices of a chat stream.
    pub(super) choices: ChatChoices,
    /// An event came that is neither a ping nor the end marker.
    has_data: bool,
    /// The requested output came, in a stream without an end marker.
    has_finished: bool,
    /// A part of the output came, but not yet the event that completes it.
    pub(super) is_partial: bool,
    final_event: Option<FinalEvent>,
    events: u64,
    /// The events that completed an image.
    images: u64,
    reported: Option<Reported>,
}

/// The event that ends the stream. Events after it are ignored.
#[derive(Debug)]
enum FinalEvent {
    Done,
    Error(Failure),
    /// A failure without a reason. An error event may follow.
    Unexplained(Failure),
}

impl Progress {
    /// Notes an event, before [`Self::note`] notes its meaning. What follows the end of the stream
    /// counts for nothing, in the same piece of bytes or in a later one.
    pub(super) fn begin(&mut self, protocol: Protocol, event: &SseEvent<'_>) {
        if self.is_over() {
            return;
        }
        self.has_data |= !is_end_marker(event) && !is_ping(event.name);
        self.events += 1;
        self.reported = match (protocol.reported(event), self.reported) {
            // Each image reports its own usage. All other protocols report the whole.
            (Some(more), Some(known)) if protocol == Protocol::Other => {
                Some(sum(known.usage, more.usage).into())
            }
            (more, known) => more.or(known),
        };
        if protocol == Protocol::Chat && event.is_oversized {
            self.choices.read_ends(event.data, event.end);
        } else if protocol == Protocol::Chat {
            self.choices.watch(event.data);
        }
        self.is_partial |= protocol.is_part(event);
    }

    pub(super) fn note(&mut self, meaning: Meaning, is_end_marker: bool) {
        if self.is_over() {
            return;
        }
        match meaning {
            Meaning::Prelude | Meaning::Content | Meaning::Malformed => {}
            Meaning::Finish => {
                (self.has_finished, self.is_partial) = (true, false);
                self.images += 1;
            }
            Meaning::Done => {
                // An end marker completes no image.
                self.is_partial &= is_end_marker;
                self.end(FinalEvent::Done);
            }
            Meaning::Error(failure) => self.end(FinalEvent::Error(failure)),
            Meaning::Unexplained(failure) => self.end(FinalEvent::Unexplained(failure)),
        }
    }

    pub(super) fn watch(&mut self, protocol: Protocol, event: &SseEvent<'_>) {
        self.begin(protocol, event);
        if protocol.may_end(event) {
            self.note(protocol.meaning(event), is_end_marker(event));
        }
    }

    fn end(&mut self, event: FinalEvent) {
        let is_reason = matches!(event, FinalEvent::Error(_)) && self.is_unexplained();
        if is_reason || self.final_event.is_none() {
            self.final_event = Some(event);
        }
    }

    /// Whether the last event came, and no further one can change what it means.
    fn is_over(&self) -> bool {
        self.final_event.is_some() && !self.is_unexplained()
    }

    fn is_unexplained(&self) -> bool {
        matches!(self.final_event, Some(FinalEvent::Unexplained(_)))
    }
}

fn sum(one: Usage, other: Usage) -> Usage {
    Usage {
        input_tokens: one.input_tokens.saturating_add(other.input_tokens),
        cached_input_tokens: one.cached_input_tokens.saturating_add(other.cached_input_tokens),
        output_tokens: one.output_tokens.saturating_add(other.output_tokens),
        reasoning_tokens: one.reasoning_tokens.saturating_add(other.reasoning_tokens),
        ..other
    }
}

impl Tail {
    /// Watches a stream from its first byte.
    pub fn new(protocol: Protocol) -> Self {
        Self { protocol, parser: Parser::default(), progress: Progress::default(), whole: None, copy: None }
    }

    /// Copies the stream from now on, with the bytes that were read before. A stream longer than
    /// `most` has no copy.
    pub fn copy(&mut self, read: &[u8], most: usize) {
        self.copy = Some((Vec::new(), most));
        self.add_to_copy(read);
    }

    /// The copy of the stream. An answer in one piece has none.
    pub fn into_copy(self) -> Option<Vec<u8>> {
        self.copy.filter(|_| self.whole.is_none()).map(|(bytes, _)| bytes)
    }

    fn add_to_copy(&mut self, bytes: &[u8]) {
        if let Some((copy, most)) = &mut self.copy {
            if copy.len() + bytes.len() > *most {
                self.copy = None;
            } else {
                copy.extend_from_slice(bytes);
            }
        }
    }

    /// Reads the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.add_to_copy(bytes);
        let Self { protocol, parser, progress, whole, .. } = self;
        if parser.is_empty() && bytes.trim_ascii_start().starts_with(b"{") {
            whole.get_or_insert_default();
        }
        if let Some(whole) = whole {
            return whole.push(bytes);
        }
        if !progress.is_over() {
            parser.push(bytes, |event| progress.watch(*protocol, &event));
        }
    }

    /// What the stream has used so far: what it reports, or else an estimate.
    pub fn usage(&self, basis: &UsageBasis) -> Reported {
        if let Some(whole) = &self.whole {
            return whole.usage(basis);
        }
        let Progress { reported, events, images, .. } = self.progress;
        basis.of_stream(reported, events, images)
    }

    /// Whether the event that is still arriving reports a failure.
    pub(super) fn has_begun_to_fail(&self) -> bool {
        let event = self.parser.unfinished();
        !event.data.is_empty() && self.protocol.has_failed(&event)
    }

    /// Whether the last event of the protocol came. A connection that stays open after it delays
    /// nothing: the stream has ended.
    pub fn has_ended(&self) -> bool {
        self.progress.final_event.is_some()
    }

    /// How the stream ended, if it ends here: either it `broke` (a reset, a stall), or the upstream
    /// closed it.
    ///
    /// After a break only the protocol's end marker proves that nothing is missing: a choice may
    /// have finished, but the usage that follows it may be lost. After a clean close it is enough
    /// that nothing which began (a choice, an image, a transcript) is unfinished, because many
    /// servers leave the end marker out. An event without its empty line does not count: no client
    /// has seen it.
    pub fn ending(&self, broke: bool) -> Ending {
        if self.whole.is_some() {
            return if broke { Ending::Truncated } else { Ending::Finished };
        }
        let Progress { choices, has_data, has_finished, is_partial, final_event, .. } = &self.progress;
        let is_whole = match (final_event, self.protocol) {
            (Some(FinalEvent::Error(failure) | FinalEvent::Unexplained(failure)), _) => {
                return Ending::Failed(failure.clone());
            }
            (None, Protocol::Chat) => !broke && choices.are_finished(),
            (None, Protocol::Responses) => false,
            (None, Protocol::Other) if broke => *has_finished && !is_partial,
            // An end without a beginning ends nothing, and completes nothing that is partial.
            (Some(FinalEvent::Done), _) | (None, Protocol::Other) => *has_data && !is_partial,
        };
        if is_whole { Ending::Finished } else { Ending::Truncated }
    }
}
