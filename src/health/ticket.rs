//! A ticket: an attempt under way, in the health of its deployment.

use super::accrual::EndedRun;
use super::answer_kind::AnswerKind;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::time::{Instant, Millis};

/// An attempt under way. It is returned once, with the outcome. Until then it counts as in flight.
#[derive(Debug)]
#[must_use = "an attempt that is never recorded stays in flight"]
pub struct Ticket {
    pub(super) deployment: usize,
    pub(super) operation: Operation,
    pub(super) kind: AnswerKind,
    pub(super) at: Instant,
    /// When the client had uploaded the body, if that was after the start.
    pub(super) uploaded_at: Option<Instant>,
    pub(super) is_committed: bool,
    /// Nothing is learned from it.
    pub(super) is_ignored: bool,
    /// The run of failures that its commit ended.
    pub(super) ended_run: Option<EndedRun>,
    pub(super) probe: Option<u32>,
    pub(super) operation_probe: Option<u32>,
}

impl Ticket {
    /// The client had uploaded the body at this time. The time of the deployment begins here.
    pub fn on_upload_end(&mut self, at: Instant) {
        self.uploaded_at = Some(at);
    }

    /// The attempt shows nothing about its deployment: it is not sent.
    pub fn ignore(&mut self) {
        self.is_ignored = true;
    }

    /// How long the deployment has taken at this time.
    pub(super) fn taken_ms(&self, now: Instant) -> Millis {
        now - self.uploaded_at.unwrap_or(self.at)
    }

    /// Whether other requests wait for the outcome.
    pub fn is_probe(&self) -> bool {
        self.probe.is_some() || self.operation_probe.is_some()
    }
}
