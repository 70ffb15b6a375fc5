//! The events of a run. All measurements are computed from this log afterwards. Times are
//! milliseconds since the start of the run.

use std::collections::BTreeMap;

use crate::counters::Counters;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::time::Millis;

/// The log of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Log {
    /// The requests of clients, in the order of their arrival.
    pub requests: Vec<LoggedRequest>,
    /// The attempts, in the order in which they were sent.
    pub calls: Vec<LoggedCall>,
    /// The reports, in the order of their arrival.
    pub reports: Vec<LoggedReport>,
    /// Attempts that still count as in flight at the end of the run. There should be none.
    pub left_in_flight: u32,
    /// The requests that isolates have counted, in the order of their ends.
    pub counted: Vec<CountedRequest>,
    /// The number of the last batch of each isolate that a shard has taken.
    pub taken: BTreeMap<usize, u64>,
    /// The isolates that ended without warning, and when.
    pub killed: Vec<(usize, Millis)>,
    /// The counters of the hub at the end of the run.
    pub totals: Counters,
    /// The counters that wait in the shards at the end of the run, because the hub or the shard was
    /// not reached. They go with the next report.
    pub waiting: Counters,
}

/// A request as its isolate has counted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedRequest {
    /// When it ended.
    pub at: Millis,
    /// The isolate.
    pub isolate: usize,
    /// The number of the batch in which it goes to the shard.
    pub batch: u64,
    /// Its entry node.
    pub model: String,
    /// What became of it.
    pub outcome: &'static str,
    /// The deployment that served it, or else the last one that was tried.
    pub deployment: Option<String>,
    /// The number of its attempts.
    pub attempts: u64,
    /// Tokens of the input that were charged.
    pub input_tokens: u64,
    /// Tokens of the output.
    pub output_tokens: u64,
    /// What they cost.
    pub micro_usd: u64,
}

/// A request of a client.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoggedRequest {
    /// When it arrived.
    pub at: Millis,
    /// The region where it arrived.
    pub region: usize,
    /// The isolate where it arrived.
    pub isolate: usize,
    /// When the client got its answer, or left.
    pub answered_at: Option<Millis>,
    /// The result for the client.
    pub result: Option<ClientResult>,
    /// The number of replies of the machine.
    pub answers: u32,
}

/// The result for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientResult {
    /// A complete answer.
    Served,
    /// An answer that broke off.
    Broken,
    /// The failure of the last attempt.
    Exhausted,
    /// The error that no deployment may be tried.
    NoneEligible,
    /// The error that the deadline passed.
    DeadlineExceeded,
    /// Nothing: the client left.
    Left,
}

impl ClientResult {
    /// Whether this is a failure for the client.
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::Served | Self::Left)
    }
}

/// An attempt of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoggedCall {
    /// The index of its request in [`Log::requests`].
    pub request: usize,
    /// When it was sent.
    pub at: Millis,
    /// The region that sent it.
    pub region: usize,
    /// The isolate that sent it.
    pub isolate: usize,
    /// The deployment that got it.
    pub deployment: usize,
    /// Whether it is a probe: the isolate knows that the deployment is ejected, and the attempt
    /// checks whether it has recovered.
    pub is_probe: bool,
    /// When it reached its commit point, failed, or was abandoned.
    pub ended_at: Option<Millis>,
    /// Its outcome; `None` if it was abandoned.
    pub outcome: Option<CallOutcome>,
}

/// The outcome of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    /// It reached its commit point.
    Answered,
    /// It failed.
    Failed(ErrorClass),
}

/// A report at a shard or at the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoggedReport {
    /// When it arrived.
    pub at: Millis,
    /// The region of the shard that got it; `None` for the hub.
    pub region: Option<usize>,
    /// Whether it is the first report of its isolate.
    pub is_first: bool,
}
