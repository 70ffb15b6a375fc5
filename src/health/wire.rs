//! The messages between isolates and shards: a [`HealthReport`] is sent to the shard, an
//! [`ShardAnswer`] comes back.
//!
//! Both are JSON. All times are lengths in milliseconds from the moment of writing, because clocks
//! differ. Deployments are named by their identity, because ids are valid in one graph only.
//!
//! While a new version of the gateway is rolled out, old and new versions talk to each other. So
//! these rules hold within one [`VERSION`]: unknown fields are ignored, missing fields have
//! defaults, and a part that is not understood costs as little as possible. An unknown reason is
//! [`Reason::Other`]. An unknown class, operation or probe is left out. If a whole entry is not
//! understood, the rest of the message remains. A change that breaks these rules raises the
//! version.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::alert_subject::AlertInterest;
use super::reason::Reason;
use super::recent_records::RecentRecord;
use super::tolerant;
use crate::alerting::alert::Alert;
use crate::counters::CounterBatch;
use crate::routes::graph::Ejections;
use crate::scan::json_value;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::peer_id::PeerId;
use crate::vocabulary::time::Millis;

/// The version that is written, and the only one that is read.
pub const VERSION: u64 = 1;

/// The longest message that is read: a thousand deployments with all fields.
pub const MAX_BYTES: usize = 1 << 20;

/// How much of a shard's history is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownHistory {
    /// The identity of the history: it belongs to one incarnation of the shard.
    pub epoch: PeerId,
    /// The number of the latest change.
    pub change: u64,
}

/// What a reporter has seen since its last report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthReport {
    /// [`VERSION`]
    pub v: u64,
    /// The number of the report; the answer repeats it.
    pub n: u64,
    /// Who reports.
    pub reporter: PeerId,
    /// What it knows of the shard's history; `None`: nothing.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json_value::lenient")]
    pub known: Option<KnownHistory>,
    /// The largest number of reports that the shard should get in a second, by the settings of the
    /// reporter.
    pub reports_per_second: u32,
    /// By identity. Deployments with nothing to report are left out.
    #[serde(deserialize_with = "tolerant::entries")]
    pub deployments: BTreeMap<String, Batch>,
    /// A batch of counters. It is sent again with a later report until an answer says that it is
    /// counted. Older versions of the gateway never say so.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json_value::lenient")]
    pub counters: Option<CounterBatch>,
    /// Whether the reporter is a shard. What it reports as ejected is counted there.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json_value::lenient")]
    pub is_shard: bool,
    /// Records of requests with failures.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json_value::lenient")]
    pub records: Vec<RecentRecord>,
    /// The alerts that the reporter asks for. `None`: its document has no webhooks.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json_value::lenient")]
    pub alerts: Option<AlertInterest>,
}

/// What a reporter has seen of one deployment since its last report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Batch {
    /// The latest change of the deployment that the reporter knows; 0: none.
    #[serde(skip_serializing_if = "is_default")]
    pub seen: u64,
    /// The number of served requests.
    #[serde(skip_serializing_if = "is_default")]
    pub successes: u32,
    /// The number of requests that failed by the deployment's fault and that are counted.
    #[serde(skip_serializing_if = "is_default")]
    pub failures: u32,
    /// Whether it answered any request. A refusal because of the caller's fault is an answer too.
    #[serde(skip_serializing_if = "is_default")]
    pub answered: bool,
    /// How long ago the latest of the answered attempts began.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json_value::lenient")]
    pub answered_ms: Option<Millis>,
    /// Failures since the last answer.
    #[serde(skip_serializing_if = "is_default")]
    pub run: u32,
    /// How long ago the first of them began.
    #[serde(skip_serializing_if = "is_default")]
    pub run_ms: Millis,
    /// The class of the last failure.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json_value::lenient")]
    pub class: Option<ErrorClass>,
    /// How long ago the first of the failed attempts began.
    #[serde(skip_serializing_if = "is_default")]
    pub age_ms: Millis,
    /// Times to answers in one piece. Older versions of the gateway add the times to the first
    /// token of streams.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json_value::lenient")]
    pub latency: Option<Latency>,
    /// Times to the first token of streams.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json_value::lenient")]
    pub first_token: Option<Latency>,
    /// The speed of generation.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json_value::lenient")]
    pub tokens_per_second: Option<f64>,
    /// The part of its limits that is left, `0.0..=1.0`, as the deployment stated.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json_value::lenient")]
    pub headroom: Option<f64>,
    /// The ejection, if the reporter has ejected the deployment.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json_value::lenient")]
    pub ejected: Option<WireEjection>,
    /// Operations that it does not serve, each with the time until it is asked again; 0: it does
    /// serve the operation.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "tolerant::lenient_entries")]
    pub missing: BTreeMap<Operation, Millis>,
    /// Why. Older versions of the gateway do not say it.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "tolerant::lenient_entries")]
    pub reasons: BTreeMap<Operation, Reason>,
    /// The state of a probe.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json_value::lenient")]
    pub probe: Option<Probe>,
    /// A request would use the deployment if it were not ejected.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json_value::lenient")]
    pub wants: Option<ProbeUrgency>,
    /// When failures eject it, as the routes document says. The object does not know the document.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json_value::lenient")]
    pub ejections: Ejections,
}

/// The times of several requests.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Their mean.
    pub mean_ms: f64,
    /// The number of requests.
    pub count: u32,
}

/// An ejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireEjection {
    /// The remaining time; 0: it waits for its probe.
    pub remaining_ms: Millis,
    /// Why.
    #[serde(default, deserialize_with = "json_value::lenient")]
    pub reason: Reason,
}

/// The state of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case", try_from = "ProbeMembers")]
pub enum Probe {
    /// It is under way.
    Begun,
    /// The deployment answered it.
    Passed,
    /// It failed by the deployment's fault.
    Failed {
        /// The class, if it is understood.
        class: Option<ErrorClass>,
    },
    /// It ended without a result about the deployment.
    Abandoned,
}

/// The members of a probe's state of any kind, as in `ReasonMembers`.
#[derive(Deserialize)]
struct ProbeMembers {
    is: String,
    #[serde(default, deserialize_with = "json_value::lenient")]
    class: Option<ErrorClass>,
}

impl TryFrom<ProbeMembers> for Probe {
    type Error = &'static str;

    fn try_from(members: ProbeMembers) -> Result<Self, Self::Error> {
        Ok(match members.is.as_str() {
            "begun" => Self::Begun,
            "passed" => Self::Passed,
            "failed" => Self::Failed { class: members.class },
            "abandoned" => Self::Abandoned,
            _ => return Err("a state that this version does not know"),
        })
    }
}

/// How urgently a probe is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeUrgency {
    /// When the ejection ends.
    Due,
    /// Before the ejection ends: there is no other deployment for the requests.
    Early,
}

/// The answer of a shard to a report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShardAnswer {
    /// [`VERSION`]
    pub v: u64,
    /// The number of the report.
    pub n: u64,
    /// The identity of the history.
    pub epoch: PeerId,
    /// The latest change of the history.
    pub change: u64,
    /// When to report again.
    pub next_ms: Millis,
    /// Whether the answer is complete: the shard has no record of a deployment that is not in it.
    #[serde(skip_serializing_if = "is_default")]
    pub full: bool,
    /// The latest change that reset everything; 0: none.
    #[serde(skip_serializing_if = "is_default")]
    pub reset: u64,
    /// By identity: what changed since the change that the reporter knew, and the deployments that
    /// it asked about.
    #[serde(deserialize_with = "tolerant::entries")]
    pub deployments: BTreeMap<String, Record>,
    /// The number of the last batch of counters of this reporter that is counted; 0: none.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json_value::lenient")]
    pub counted: u64,
    /// Alerts that this reporter is to send.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json_value::lenient")]
    pub alerts: Vec<Alert>,
}

/// What a shard knows about one deployment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// The number of its latest change.
    pub change: u64,
    /// The latest change that ejected it or extended the ejection; 0: none.
    #[serde(skip_serializing_if = "is_default")]
    pub opened: u64,
    /// The latest change that closed it; 0: none.
    #[serde(skip_serializing_if = "is_default")]
    pub closed: u64,
    /// The latest change by which an administrator reset it; 0: none.
    #[serde(skip_serializing_if = "is_default")]
    pub reset: u64,
    /// The ejection; `None`: closed. If the ejection is not understood, the whole record is left
    /// out: it must not close anything.
    #[serde(skip_serializing_if = "is_default")]
    pub ejected: Option<WireEjection>,
    /// If it is closed: for how long. `None`: it was never open, as far as the shard knows.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json_value::lenient")]
    pub closed_for_ms: Option<Millis>,
    /// Trips since the last healthy spell.
    #[serde(skip_serializing_if = "is_default")]
    pub trips: u32,
    /// The longest time for which another reporter holds the lease.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json_value::lenient")]
    pub probing_ms: Option<Millis>,
    /// Operations that it does not serve, each with the time until it is asked again.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "tolerant::lenient_entries")]
    pub missing: BTreeMap<Operation, Millis>,
    /// Why. Older versions of the gateway do not say it.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "tolerant::lenient_entries")]
    pub reasons: BTreeMap<Operation, Reason>,
    /// Whether an administrator drained it.
    #[serde(skip_serializing_if = "is_default")]
    pub drained: bool,
    /// The fault that an administrator has set
    /// ([`TimedFault::text`](super::timed_fault::TimedFault::text)); empty: none.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json_value::lenient")]
    pub fault: String,
    /// Latency of answers in one piece over all isolates of the region, for a reporter that has no
    /// latency yet.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json_value::lenient")]
    pub latency_ms: Option<f64>,
    /// The same for the first token of streams.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json_value::lenient")]
    pub first_token_ms: Option<f64>,
    /// The lease to probe it, for this reporter only.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "json_value::lenient")]
    pub lease: Option<WireLease>,
}

/// The right to send one probe within a period of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireLease {
    /// Start of the period.
    pub from_ms: Millis,
    /// End of the period, exclusive.
    pub until_ms: Millis,
}

/// Why a message cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WireError {
    /// It is longer than [`MAX_BYTES`].
    TooLong(usize),
    /// It is not a message.
    Malformed(String),
    /// It has another version.
    Version(u64),
}

impl HealthReport {
    /// Reads a report.
    ///
    /// # Errors
    /// See [`WireError`].
    pub fn parse(text: &str) -> Result<Self, WireError> {
        parse(text)
    }

    /// Writes it as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl ShardAnswer {
    /// Reads an answer.
    ///
    /// # Errors
    /// See [`WireError`].
    pub fn parse(text: &str) -> Result<Self, WireError> {
        parse(text)
    }

    /// Writes it as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Batch {
    /// Whether there is nothing to report.
    pub fn is_empty(&self) -> bool {
        *self == Self { seen: self.seen, ..Self::default() }
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, WireError> {
    if text.len() > MAX_BYTES {
        return Err(WireError::TooLong(text.len()));
    }
    let json: Value = serde_json::from_str(text).map_err(|error| WireError::Malformed(error.to_string()))?;
    match json.get("v").and_then(Value::as_u64) {
        Some(VERSION) => tolerant::read(json)
            .ok_or_else(|| WireError::Malformed("a member of it is of another type".to_owned())),
        Some(other) => Err(WireError::Version(other)),
        None => Err(WireError::Malformed("it has no version".to_owned())),
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Display for WireError {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong(bytes) => {
                write!(formatter, "a message of {bytes} bytes is longer than {MAX_BYTES}")
            }
            Self::Malformed(why) => write!(formatter, "not a message about health: {why}"),
            Self::Version(other) => write!(formatter, "version {other} is not {VERSION}"),
        }
    }
}

impl std::error::Error for WireError {}
