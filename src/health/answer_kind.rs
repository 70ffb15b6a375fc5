//! The two kinds of answers, whose times are not compared with each other.
//!
//! A deployment that takes three seconds for an answer in one piece may begin a stream after 300
//! ms. So each kind has its own averages and its own latest times.

use super::ewma::PeakEwma;
use crate::vocabulary::time::Instant;

/// What an attempt waits for until its commit point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKind {
    /// The whole answer: it comes in one piece, or a stream is held until it is complete.
    Whole,
    /// The beginning of a stream: its headers or its first token.
    Stream,
}

/// One value for each kind of answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ByKind<T> {
    /// For [`AnswerKind::Whole`].
    pub whole: T,
    /// For [`AnswerKind::Stream`].
    pub stream: T,
}

impl<T> ByKind<T> {
    /// The value for this kind.
    pub fn of(&self, kind: AnswerKind) -> &T {
        match kind {
            AnswerKind::Whole => &self.whole,
            AnswerKind::Stream => &self.stream,
        }
    }

    /// The value for this kind, to change it.
    pub fn of_mut(&mut self, kind: AnswerKind) -> &mut T {
        match kind {
            AnswerKind::Whole => &mut self.whole,
            AnswerKind::Stream => &mut self.stream,
        }
    }
}

impl ByKind<PeakEwma> {
    /// The longer one of the averages that are known.
    pub fn longest(&self, now: Instant) -> Option<f64> {
        [self.whole.value(now), self.stream.value(now)].into_iter().flatten().reduce(f64::max)
    }
}
