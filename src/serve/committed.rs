//! An answer that has reached its commit point, and its upstream call.

use std::rc::Rc;

use super::answer_keeper::AnswerKeeper;
use super::object_note::ObjectNote;
use super::platform::{ByteStream, Platform, PlatformCall};
use crate::attempt::phase::PhaseLimits;
use crate::entry::cache_use::MOST_CACHED_BYTES;
use crate::routes::graph::{Commit, Deployment};
use crate::stream::protocol::Protocol;
use crate::stream::tail::Tail;
use crate::usage::basis::UsageBasis;
use crate::vocabulary::upstream_ids::UpstreamIds;
use crate::vocabulary::usage::Usage;

/// The largest single read of a long body. Each open stream has one such buffer.
pub const READ_BYTES: usize = 32 * 1024;

/// An answer that has reached its commit point.
pub struct Committed<P: Platform> {
    /// The upstream's status, 2xx.
    pub status: u16,
    /// The call, which holds the headers.
    pub call: P::Call,
    /// The names of the headers that are not passed on, each followed by a line break.
    pub withheld: String,
    /// The ids of the answer at the upstream.
    pub upstream_ids: UpstreamIds,
    /// What the attempt waited for.
    pub commit: Commit,
    /// The body to send.
    pub body: CommittedBody<P>,
    /// What the object of a client notes of it.
    pub(super) note: Option<ObjectNote>,
}

impl<P: Platform> Committed<P> {
    /// Keeps the answer if it is complete, or else once its stream has come to its proper end. An
    /// answer that flows unread is not kept: nobody knows whether it is complete.
    #[inline(never)]
    pub(super) fn keep(&mut self, platform: &P, keeper: &Rc<AnswerKeeper>) {
        if self.status != 200 {
            return;
        }
        match &mut self.body {
            CommittedBody::Whole { bytes, is_in_call: true, .. } => {
                keeper.keep(platform, false, std::mem::take(bytes));
            }
            CommittedBody::Whole { bytes, .. } => keeper.keep(platform, false, bytes.clone()),
            CommittedBody::Held { bytes, .. } => keeper.keep(platform, true, bytes.clone()),
            CommittedBody::Flowing(flow) => {
                if let Some(tail) = &mut flow.tail {
                    tail.copy(&flow.held, MOST_CACHED_BYTES);
                    flow.call.keeper = Some(Rc::clone(keeper));
                }
            }
        }
    }
}

/// The body of a committed answer.
pub enum CommittedBody<P: Platform> {
    /// A complete answer that is not a stream of events.
    Whole {
        /// The whole body.
        bytes: Vec<u8>,
        /// Whether the call also has the bytes. If so, they do not have to cross to JavaScript
        /// again.
        is_in_call: bool,
        /// What it used.
        usage: Usage,
    },
    /// A complete stream of events: it was held until its end.
    Held {
        /// The whole body.
        bytes: Vec<u8>,
        /// What it used.
        usage: Usage,
    },
    /// The held bytes, and a stream with the rest.
    Flowing(Box<Flow<P>>),
}

impl<P: Platform> CommittedBody<P> {
    /// The bytes that are known so far.
    pub(super) fn first_bytes(&self) -> &[u8] {
        match self {
            Self::Whole { bytes, .. } | Self::Held { bytes, .. } => bytes,
            Self::Flowing(flow) => &flow.held,
        }
    }

    /// What an answer used that is complete.
    pub(super) fn usage(&self) -> Option<Usage> {
        match self {
            Self::Whole { usage, .. } | Self::Held { usage, .. } => Some(*usage),
            Self::Flowing(_) => None,
        }
    }

    pub(super) fn empty() -> Self {
        Self::Whole { bytes: Vec::new(), is_in_call: true, usage: Usage::default() }
    }
}

/// A stream that continues after the commit point.
pub struct Flow<P: Platform> {
    /// The bytes that were read before the commit point.
    pub held: Vec<u8>,
    /// The stream to send to the client. With an observer it is the whole stream. Without one it is
    /// the part that follows `held`.
    pub rest: P::Stream,
    /// Reads on after `held`, in a separate branch of the stream.
    pub observer: Option<<P::Stream as ByteStream>::Reader>,
    /// Knows the held bytes, and how the stream should end. `None` if the gateway does not
    /// interpret the bytes.
    pub tail: Option<Tail>,
    /// Whether its media type says that it is a stream. If not, the first bytes decide whether the
    /// tail reads it.
    pub is_declared: bool,
    /// The length of the body in bytes, as far as it is known.
    pub length: usize,
    /// Whether the end of the body is read for its usage. If there is a tail, that reads the usage.
    pub reads_end: bool,
    /// The upstream call.
    pub call: OpenCall<P>,
}

/// An upstream call whose answer has not ended.
pub struct OpenCall<P: Platform> {
    /// The deployment that answers.
    pub deployment: Rc<Deployment>,
    /// The protocol of its events.
    pub protocol: Protocol,
    /// What is known about the usage before the answer.
    pub basis: UsageBasis,
    /// Whether the chunk with the usage is withheld from the client.
    pub withholds_usage: bool,
    /// The time limits of its phases.
    pub limits: PhaseLimits,
    /// Ends the call when dropped.
    pub abort: AbortOnDrop<P::Call>,
    /// Keeps the answer when it is complete.
    pub(super) keeper: Option<Rc<AnswerKeeper>>,
}

/// Ends a call when dropped, unless the call has already ended. So no upstream generates, and no
/// account pays for, an answer that nobody reads.
pub struct AbortOnDrop<C: PlatformCall>(Option<C>);

impl<C: PlatformCall> AbortOnDrop<C> {
    /// Guards a call that has begun.
    pub(super) fn new(call: C) -> Self {
        Self(Some(call))
    }

    /// Marks the call as ended: the drop does nothing.
    pub(super) fn disarm(mut self) {
        self.0 = None;
    }
}

impl<C: PlatformCall> Drop for AbortOnDrop<C> {
    fn drop(&mut self) {
        if let Some(call) = &self.0 {
            call.abort();
        }
    }
}
