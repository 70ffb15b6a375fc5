//! What isolates and shards tell each other: a [`HealthReport`] goes there, an [`ShardAnswer`] comes back.
//!
//! Both are JSON. All times are lengths, in milliseconds from the moment of writing: clocks differ. Deployments are named by
//! their identity, for ids are those of one graph.
//!
//! During a deployment of the gateway old and new versions talk to each other. Within one [`VERSION`] therefore: unknown fields
//! are ignored, missing ones have defaults, and what is not understood of an entry costs no more than it must: an unknown reason
//! is [`Reason::Other`], an unknown class, operation or probe is left out, and of an entry that makes no sense at all the rest
//! of the message stays. Whoever breaks these rules raises the version.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::reason::Reason;
use super::tolerant;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::time::Millis;

/// The version that is written, and the only one that is read.
pub const VERSION: u64 = 1;

/// The longest message that is read: a thousand deployments of which everything is to be said.
pub const MAX_BYTES: usize = 1 << 20;

/// Who a reporter or a shard is, by a random number. Hexadecimal on the wire, for numbers of JSON are not that precise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerId(pub u64);

/// How much of a shard's history is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownHistory {
    /// Which history: of the shard's incarnation.
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
    /// What it knows of the shard; `None`: nothing.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "tolerant::lenient")]
    pub known: Option<KnownHistory>,
    /// How many reports the shard is to get in a second at most, by the settings of the reporter.
    pub reports_per_second: u32,
    /// By identity; those of which there is nothing to say are left out.
    #[serde(deserialize_with = "tolerant::entries")]
    pub deployments: BTreeMap<String, Batch>,
}

/// What a reporter has seen of one deployment since its last report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Batch {
    /// The latest change of it that the reporter has learned; 0: none.
    #[serde(skip_serializing_if = "is_default")]
    pub seen: u64,
    /// Requests that it served.
    #[serde(skip_serializing_if = "is_default")]
    pub successes: u32,
    /// Requests that failed by its fault, of those that count.
    #[serde(skip_serializing_if = "is_default")]
    pub failures: u32,
    /// Whether it answered any request, if only that the caller is wrong.
    #[serde(skip_serializing_if = "is_default")]
    pub answered: bool,
    /// How long ago the latest of the attempts that were answered began.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "tolerant::lenient")]
    pub answered_ms: Option<Millis>,
    /// Failures since its last answer.
    #[serde(skip_serializing_if = "is_default")]
    pub run: u32,
    /// How long ago the first of them began.
    #[serde(skip_serializing_if = "is_default")]
    pub run_ms: Millis,
    /// The class of the last failure.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "tolerant::lenient")]
    pub class: Option<ErrorClass>,
    /// For how long the first of the requests that failed has been over or under way.
    #[serde(skip_serializing_if = "is_default")]
    pub age_ms: Millis,
    /// Times to the first token, or to the answer where it was not streamed.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "tolerant::lenient")]
    pub latency: Option<Latency>,
    /// How fast it writes.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "tolerant::lenient")]
    pub tokens_per_second: Option<f64>,
    /// The part of its limits that is left, `0.0..=1.0`, by its own word.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "tolerant::lenient")]
    pub headroom: Option<f64>,
    /// The reporter has ejected it.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "tolerant::lenient")]
    pub ejected: Option<WireEjection>,
    /// Operations that it does not offer, each with the time until it is asked again; 0: it does offer it after all.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "tolerant::lenient_entries")]
    pub missing: BTreeMap<Operation, Millis>,
    /// What has become of a probe.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "tolerant::lenient")]
    pub probe: Option<Probe>,
    /// A request would have gone there, if it were not ejected.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "tolerant::lenient")]
    pub wants: Option<ProbeUrgency>,
}

/// Times that several requests took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Their mean.
    pub mean_ms: f64,
    /// How many.
    pub count: u32,
}

/// An ejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireEjection {
    /// How much longer; 0: it waits for its probe.
    pub remaining_ms: Millis,
    /// Why.
    #[serde(default, deserialize_with = "tolerant::lenient")]
    pub reason: Reason,
}

/// What has become of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Probe {
    /// It is under way.
    Begun,
    /// The deployment answered it.
    Passed,
    /// It failed by the deployment's fault.
    Failed {
        /// How, if that is understood.
        #[serde(default, deserialize_with = "tolerant::lenient")]
        class: Option<ErrorClass>,
    },
    /// It ended without a word on the deployment.
    Abandoned,
}

/// How urgently a probe is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeUrgency {
    /// When its time is up.
    Due,
    /// Even before: there is nothing else to send requests to.
    Early,
}

/// What a shard has to say to a report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShardAnswer {
    /// [`VERSION`]
    pub v: u64,
    /// The number of the report.
    pub n: u64,
    /// Which history the changes are of.
    pub epoch: PeerId,
    /// The latest change there is.
    pub change: u64,
    /// When to report again.
    pub next_ms: Millis,
    /// Whether the answer says everything: what is not in it, the shard holds nothing of.
    #[serde(skip_serializing_if = "is_default")]
    pub full: bool,
    /// The change with which everything was forgotten the last time; 0: never.
    #[serde(skip_serializing_if = "is_default")]
    pub reset: u64,
    /// By identity: what changed since the change that the reporter knew, and what it asked about.
    #[serde(deserialize_with = "tolerant::entries")]
    pub deployments: BTreeMap<String, Record>,
}

/// What a shard holds of one deployment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// The number of its latest change.
    pub change: u64,
    /// The change with which it was ejected, or the ejection was extended, the last time; 0: never.
    #[serde(skip_serializing_if = "is_default")]
    pub opened: u64,
    /// The change with which it closed the last time; 0: never.
    #[serde(skip_serializing_if = "is_default")]
    pub closed: u64,
    /// The change with which an administrator had everything forgotten about it; 0: never.
    #[serde(skip_serializing_if = "is_default")]
    pub reset: u64,
    /// The ejection; `None`: closed. Where it is not understood, neither is the record: it is not to close anything.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "tolerant::object")]
    pub ejected: Option<WireEjection>,
    /// Where it is closed: for how long; `None`: as long as anybody knows.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "tolerant::lenient")]
    pub closed_for_ms: Option<Millis>,
    /// Trips since the last healthy spell.
    #[serde(skip_serializing_if = "is_default")]
    pub trips: u32,
    /// Another reporter sees to its probe, for at most so long.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "tolerant::lenient")]
    pub probing_ms: Option<Millis>,
    /// Operations that it does not offer, each with the time until it is asked again.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "tolerant::lenient_entries")]
    pub missing: BTreeMap<Operation, Millis>,
    /// An administrator took it out.
    #[serde(skip_serializing_if = "is_default")]
    pub drained: bool,
    /// Latency over all isolates of the region, for a reporter that has none yet.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "tolerant::lenient")]
    pub latency_ms: Option<f64>,
    /// The right to probe it, for this reporter alone.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "tolerant::lenient")]
    pub lease: Option<WireLease>,
}

/// The right to send one probe, if it is sent within that time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireLease {
    /// From when.
    pub from_ms: Millis,
    /// Until when, exclusive.
    pub until_ms: Millis,
}

/// Why a message cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WireError {
    /// It is longer than [`MAX_BYTES`].
    TooLong(usize),
    /// It is no message.
    Malformed(String),
    /// It is one of another version.
    Version(u64),
}

impl HealthReport {
    /// Reads a report.
    ///
    /// # Errors
    /// See [`WireError`].
    pub fn parse(text: &[u8]) -> Result<Self, WireError> {
        parse(text)
    }

    /// Writes it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl ShardAnswer {
    /// Reads an answer.
    ///
    /// # Errors
    /// See [`WireError`].
    pub fn parse(text: &[u8]) -> Result<Self, WireError> {
        parse(text)
    }

    /// Writes it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Batch {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self { seen: self.seen, ..Self::default() }
    }
}

fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, WireError> {
    if text.len() > MAX_BYTES {
        return Err(WireError::TooLong(text.len()));
    }
    let json: Value =
        serde_json::from_slice(text).map_err(|error| WireError::Malformed(error.to_string()))?;
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

impl Serialize for PeerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PeerId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map(Self).map_err(D::Error::custom)
    }
}

impl Display for PeerId {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
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
