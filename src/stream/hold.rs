//! Holds a stream back until its commit point.
//!
//! Until the first byte is sent, another deployment can still serve the request, and the client
//! does not notice. So the first events are buffered and judged. An error among them, or an end
//! before any content, is a failure of the attempt. The first sign of the model's work commits.
//!
//! Invariants: the held bytes and those that follow are the stream byte for byte; the verdict does
//! not depend on how the bytes are cut into chunks, and never changes once it is given; memory is
//! bounded. The bytes of a stream that failed are not complete.

use super::protocol::{Meaning, Protocol, is_end_marker};
use super::tail::{Ending, Tail};
use crate::attempt::failure::Failure;
use crate::routes::graph::Commit;
use crate::usage::basis::UsageBasis;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::usage::Usage;

/// With [`Commit::FirstToken`] an answer is committed at the latest when this many bytes are held.
pub const FIRST_TOKEN_BYTES: usize = 256 * 1024;

/// With [`Commit::FirstToken`] an answer is committed at the latest after this many events. A
/// stream with such a long start is not going to fail as a whole.
pub const FIRST_TOKEN_EVENTS: usize = 64;

/// A stream before its commit point.
#[derive(Debug)]
pub struct Hold {
    until: Commit,
    limit_bytes: usize,
    held: Vec<u8>,
    held_events: usize,
    /// An event with content came.
    has_content: bool,
    verdict: HoldVerdict,
    /// A failure without a reason, which the next event may give.
    unexplained: Option<Failure>,
    tail: Tail,
}

/// What to do with the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldVerdict {
    /// Continue reading.
    Wait,
    /// Send the held bytes, then the rest.
    Commit,
    /// The attempt failed. Nothing of this stream may reach the client.
    Fail(Failure),
}

impl Hold {
    /// Holds a stream back `until` its commit point. With [`Commit::Complete`] it is committed
    /// earlier once `complete_bytes` are held.
    pub fn new(protocol: Protocol, until: Commit, complete_bytes: usize) -> Self {
        let (limit_bytes, verdict) = match until {
            Commit::Headers => (0, HoldVerdict::Commit),
            Commit::FirstToken => (FIRST_TOKEN_BYTES, HoldVerdict::Wait),
            Commit::Complete => (complete_bytes, HoldVerdict::Wait),
        };
        Self {
            until,
            limit_bytes,
            held: Vec::new(),
            held_events: 0,
            has_content: false,
            verdict,
            unexplained: None,
            tail: Tail::new(protocol),
        }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) -> HoldVerdict {
        let room = self.limit_bytes.saturating_sub(self.held.len());
        let (within, beyond) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.read(within);
        self.held.extend_from_slice(within);
        if self.verdict == HoldVerdict::Wait && within.len() == room {
            // A long error is awaited, and the reason of a failure without one. None of their bytes
            // are needed, and nothing of them is sent.
            if self.is_failing() {
                self.read(beyond);
                let is_still_arriving = self.verdict == HoldVerdict::Wait && self.is_failing();
                if !is_still_arriving && !matches!(self.verdict, HoldVerdict::Fail(_)) {
                    self.verdict = HoldVerdict::Fail(malformed());
                }
                return self.verdict.clone();
            }
            self.verdict = HoldVerdict::Commit;
        }
        self.tail.push(beyond);
        self.held.extend_from_slice(beyond);
        self.verdict.clone()
    }

    /// Whether the upstream has failed, and the event that says why has not come as a whole.
    fn is_failing(&self) -> bool {
        self.unexplained.is_some() || self.tail.has_begun_to_fail()
    }

    /// The upstream has closed the stream, cleanly. (A stream that breaks before its commit point
    /// is always a failed attempt.)
    pub fn end(&mut self) -> HoldVerdict {
        if self.verdict == HoldVerdict::Wait {
            self.verdict = if let Some(failure) = self.unexplained.take() {
                HoldVerdict::Fail(failure)
            } else if self.until == Commit::Complete && self.tail.ending(false) == Ending::Finished {
                HoldVerdict::Commit
            } else {
                HoldVerdict::Fail(Failure::silent(ErrorClass::Truncated, "ended_early"))
            };
        }
        self.verdict.clone()
    }

    /// Whether the upstream has failed without a reason. The reason may follow at once. If it does
    /// not, the stream is treated as if it had ended here.
    pub fn is_unexplained(&self) -> bool {
        self.unexplained.is_some()
    }

    /// Whether everything that began is complete, so that nothing is missing if no more comes.
    pub fn is_finished(&self) -> bool {
        self.until == Commit::Complete && self.tail.ending(true) == Ending::Finished
    }

    /// The held bytes, exactly as they came. The caller sends them before anything else. They are
    /// removed here.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// What the provider charges for if the attempt fails now: what the stream has reported, or an
    /// estimate of the content that came.
    pub fn charged(&self, basis: &UsageBasis) -> Option<Usage> {
        let usage = self.tail.usage(basis).usage;
        (self.has_content || !usage.is_estimated).then_some(usage)
    }

    /// The [`Tail`] that watches the rest of the stream.
    pub fn tail(self) -> Tail {
        self.tail
    }

    fn read(&mut self, bytes: &[u8]) {
        let Self { until, held_events, has_content, verdict, unexplained, tail, .. } = self;
        let Tail { protocol, parser, progress, .. } = tail;
        parser.push(bytes, |event| {
            if *verdict != HoldVerdict::Wait {
                return progress.watch(*protocol, &event);
            }
            let meaning = protocol.meaning(&event);
            progress.begin(*protocol, &event);
            let is_end_marker = is_end_marker(&event);
            *held_events += 1;
            if let Some(failure) = unexplained {
                *verdict = match meaning {
                    Meaning::Error(reason) => HoldVerdict::Fail(reason),
                    Meaning::Done => HoldVerdict::Fail(failure.clone()),
                    _ => HoldVerdict::Wait,
                };
                return;
            }
            *has_content |= matches!(meaning, Meaning::Content | Meaning::Finish);
            *verdict = match &meaning {
                Meaning::Unexplained(failure) => {
                    *unexplained = Some(failure.clone());
                    HoldVerdict::Wait
                }
                Meaning::Error(failure) => HoldVerdict::Fail(failure.clone()),
                Meaning::Malformed => HoldVerdict::Fail(malformed()),
                Meaning::Done if is_end_marker && !*has_content && !progress.choices.have_begun() => {
                    HoldVerdict::Fail(Failure::silent(ErrorClass::Truncated, "empty"))
                }
                Meaning::Done if is_end_marker && progress.is_partial => {
                    HoldVerdict::Fail(Failure::silent(ErrorClass::Truncated, "ended_early"))
                }
                Meaning::Done => HoldVerdict::Commit,
                _ if *until != Commit::FirstToken => HoldVerdict::Wait,
                Meaning::Finish | Meaning::Content => HoldVerdict::Commit,
                Meaning::Prelude if *held_events >= FIRST_TOKEN_EVENTS => HoldVerdict::Commit,
                Meaning::Prelude => HoldVerdict::Wait,
            };
            progress.note(meaning, is_end_marker);
        });
    }
}

/// The failure for an event that no client could read.
fn malformed() -> Failure {
    Failure { status: Some(200), ..Failure::silent(ErrorClass::Unavailable, "malformed_event") }
}
