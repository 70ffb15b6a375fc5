//! What happened in a run, line by line. Everything that is measured is counted from here afterwards. Times are milliseconds from
//! the start of the run.

use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::time::Millis;

/// What happened in a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Log {
    /// The requests of clients, as they arrived.
    pub requests: Vec<LoggedRequest>,
    /// Attempts, as they were sent.
    pub calls: Vec<LoggedCall>,
    /// Reports, as they arrived.
    pub reports: Vec<LoggedReport>,
    /// Attempts that still counted as in flight when everything had ended.
    pub left_in_flight: u32,
}

/// A request of a client.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoggedRequest {
    /// When it arrived.
    pub at: Millis,
    /// Where.
    pub region: usize,
    /// At which isolate.
    pub isolate: usize,
    /// When its client was answered, or when the client left.
    pub answered_at: Option<Millis>,
    /// What the client got.
    pub result: Option<ClientResult>,
    /// How many answers the machine gave.
    pub answers: u32,
}

/// What a client got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientResult {
    /// An answer.
    Served,
    /// An answer that broke off.
    Broken,
    /// The failure of the last deployment that was tried.
    Exhausted,
    /// The word that no deployment may be tried.
    NoneEligible,
    /// The word that it took too long.
    DeadlineExceeded,
    /// Nothing: it left.
    Left,
}

impl ClientResult {
    /// Whether the client will complain.
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::Served | Self::Left)
    }
}

/// An attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoggedCall {
    /// Of which request, by its place in [`Log::requests`].
    pub request: usize,
    /// When it was sent.
    pub at: Millis,
    /// From where.
    pub region: usize,
    /// By which isolate.
    pub isolate: usize,
    /// To whom.
    pub deployment: usize,
    /// Whether it is a probe: the isolate knows that the deployment is ejected, and this attempt is to find out whether it still is.
    pub is_probe: bool,
    /// When it came to its commit point, failed, or was given up.
    pub ended_at: Option<Millis>,
    /// What came of it; `None`: it was given up.
    pub outcome: Option<CallOutcome>,
}

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    /// It reached its commit point.
    Answered,
    /// It failed.
    Failed(ErrorClass),
}

/// A report that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoggedReport {
    /// When.
    pub at: Millis,
    /// At the shard of which region; `None`: at the hub.
    pub region: Option<usize>,
    /// Whether it is the first of its isolate.
    pub is_first: bool,
}
