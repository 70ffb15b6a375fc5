//! An answer that has reached its commit point, and the call that it comes from.

use std::rc::Rc;

use super::platform::{ByteStream, Platform, PlatformCall};
use crate::attempt::phase::PhaseLimits;
use crate::routes::graph::Deployment;
use crate::stream::protocol::Protocol;
use crate::stream::tail::Tail;

/// The largest read of what is long. Each open stream has one such buffer.
pub const READ_BYTES: usize = 32 * 1024;

/// An answer that has reached its commit point.
pub struct Committed<P: Platform> {
    /// The upstream's status, 2xx.
    pub status: u16,
    /// The call, which has the headers.
    pub call: P::Call,
    /// The names of the headers that are not passed on.
    pub withheld: String,
    /// What to send.
    pub body: CommittedBody<P>,
}

/// The body of a committed answer.
pub enum CommittedBody<P: Platform> {
    /// An answer in one piece.
    Whole {
        /// All of it.
        bytes: Vec<u8>,
        /// Whether the call has the bytes as well, and they need not be handed over to be sent.
        is_in_call: bool,
    },
    /// A stream of events that was held until its end.
    Held(Vec<u8>),
    /// What was held back, and a stream with the rest.
    Flowing(Box<Flow<P>>),
}

impl<P: Platform> CommittedBody<P> {
    /// What is known of it by now.
    pub(super) fn first_bytes(&self) -> &[u8] {
        match self {
            Self::Whole { bytes, .. } | Self::Held(bytes) => bytes,
            Self::Flowing(flow) => &flow.held,
        }
    }

    pub(super) fn empty() -> Self {
        Self::Whole { bytes: Vec::new(), is_in_call: true }
    }
}

/// A stream that goes on after the commit point.
pub struct Flow<P: Platform> {
    /// What was read of it.
    pub held: Vec<u8>,
    /// What is left to send: all of it, where there is an observer, and otherwise what follows `held`.
    pub rest: P::Stream,
    /// Goes on reading behind `held`, in a branch of its own.
    pub observer: Option<<P::Stream as ByteStream>::Reader>,
    /// Knows what was held, and how the stream should end. `None` where the bytes mean nothing to the gateway.
    pub tail: Option<Tail>,
    /// The call that it comes from.
    pub call: OpenCall<P>,
}

/// A call of an upstream whose answer has not ended.
pub struct OpenCall<P: Platform> {
    /// Who answers.
    pub deployment: Rc<Deployment>,
    /// What its events mean.
    pub protocol: Protocol,
    /// How long it may take.
    pub limits: PhaseLimits,
    /// Ends it.
    pub abort: AbortOnDrop<P::Call>,
}

/// Ends a call when dropped, unless it has ended by itself, so that nobody pays for an answer that nobody waits for.
pub struct AbortOnDrop<C: PlatformCall>(Option<C>);

impl<C: PlatformCall> AbortOnDrop<C> {
    /// Of a call that has begun.
    pub(super) fn new(call: C) -> Self {
        Self(Some(call))
    }

    /// The call has ended.
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
