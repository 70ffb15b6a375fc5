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

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::members::{FromJson, Members};
use super::reason::Reason;
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct KnownHistory {
    /// Which history: of the shard's incarnation.
    pub epoch: PeerId,
    /// The number of the latest change.
    pub change: u64,
}

/// What a reporter has seen since its last report.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct HealthReport {
    /// [`VERSION`]
    pub v: u64,
    /// The number of the report; the answer repeats it.
    pub n: u64,
    /// Who reports.
    pub reporter: PeerId,
    /// What it knows of the shard; `None`: nothing.
    #[serde(skip_serializing_if = "is_default")]
    pub known: Option<KnownHistory>,
    /// How many reports the shard is to get in a second at most, by the settings of the reporter.
    pub reports_per_second: u32,
    /// By identity; those of which there is nothing to say are left out.
    pub deployments: BTreeMap<String, Batch>,
}

/// What a reporter has seen of one deployment since its last report.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
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
    #[serde(skip_serializing_if = "is_default")]
    pub answered_ms: Option<Millis>,
    /// Failures since its last answer.
    #[serde(skip_serializing_if = "is_default")]
    pub run: u32,
    /// How long ago the first of them began.
    #[serde(skip_serializing_if = "is_default")]
    pub run_ms: Millis,
    /// The class of the last failure.
    #[serde(skip_serializing_if = "is_default")]
    pub class: Option<ErrorClass>,
    /// For how long the first of the requests that failed has been over or under way.
    #[serde(skip_serializing_if = "is_default")]
    pub age_ms: Millis,
    /// Times to the first token, or to the answer where it was not streamed.
    #[serde(skip_serializing_if = "is_default")]
    pub latency: Option<Latency>,
    /// How fast it writes.
    #[serde(skip_serializing_if = "is_default")]
    pub tokens_per_second: Option<f64>,
    /// The part of its limits that is left, `0.0..=1.0`, by its own word.
    #[serde(skip_serializing_if = "is_default")]
    pub headroom: Option<f64>,
    /// The reporter has ejected it.
    #[serde(skip_serializing_if = "is_default")]
    pub ejected: Option<WireEjection>,
    /// Operations that it does not offer, each with the time until it is asked again; 0: it does offer it after all.
    #[serde(skip_serializing_if = "is_default")]
    pub missing: BTreeMap<Operation, Millis>,
    /// What has become of a probe.
    #[serde(skip_serializing_if = "is_default")]
    pub probe: Option<Probe>,
    /// A request would have gone there, if it were not ejected.
    #[serde(skip_serializing_if = "is_default")]
    pub wants: Option<ProbeUrgency>,
}

/// Times that several requests took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// Their mean.
    pub mean_ms: f64,
    /// How many.
    pub count: u32,
}

/// An ejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WireEjection {
    /// How much longer; 0: it waits for its probe.
    pub remaining_ms: Millis,
    /// Why.
    pub reason: Reason,
}

/// What has become of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Probe {
    /// It is under way.
    Begun,
    /// The deployment answered it.
    Passed,
    /// It failed by the deployment's fault.
    Failed {
        /// How, if that is understood.
        class: Option<ErrorClass>,
    },
    /// It ended without a word on the deployment.
    Abandoned,
}

/// How urgently a probe is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeUrgency {
    /// When its time is up.
    Due,
    /// Even before: there is nothing else to send requests to.
    Early,
}

/// What a shard has to say to a report.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
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
    pub deployments: BTreeMap<String, Record>,
}

/// What a shard holds of one deployment.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
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
    #[serde(skip_serializing_if = "is_default")]
    pub ejected: Option<WireEjection>,
    /// Where it is closed: for how long; `None`: as long as anybody knows.
    #[serde(skip_serializing_if = "is_default")]
    pub closed_for_ms: Option<Millis>,
    /// Trips since the last healthy spell.
    #[serde(skip_serializing_if = "is_default")]
    pub trips: u32,
    /// Another reporter sees to its probe, for at most so long.
    #[serde(skip_serializing_if = "is_default")]
    pub probing_ms: Option<Millis>,
    /// Operations that it does not offer, each with the time until it is asked again.
    #[serde(skip_serializing_if = "is_default")]
    pub missing: BTreeMap<Operation, Millis>,
    /// An administrator took it out.
    #[serde(skip_serializing_if = "is_default")]
    pub drained: bool,
    /// Latency over all isolates of the region, for a reporter that has none yet.
    #[serde(skip_serializing_if = "is_default")]
    pub latency_ms: Option<f64>,
    /// The right to probe it, for this reporter alone.
    #[serde(skip_serializing_if = "is_default")]
    pub lease: Option<WireLease>,
}

/// The right to send one probe, if it is sent within that time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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

fn parse<T: FromJson>(text: &[u8]) -> Result<T, WireError> {
    if text.len() > MAX_BYTES {
        return Err(WireError::TooLong(text.len()));
    }
    let json: Value =
        serde_json::from_slice(text).map_err(|error| WireError::Malformed(error.to_string()))?;
    match json.get("v").and_then(Value::as_u64) {
        Some(VERSION) => T::from_json(&json)
            .ok_or_else(|| WireError::Malformed("a member of it is of another type".to_owned())),
        Some(other) => Err(WireError::Version(other)),
        None => Err(WireError::Malformed("it has no version".to_owned())),
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl FromJson for HealthReport {
    fn from_json(json: &Value) -> Option<Self> {
        let members = Members::of(json)?;
        Some(Self {
            v: members.or_default("v")?,
            n: members.or_default("n")?,
            reporter: members.or_default("reporter")?,
            known: members.get("known"),
            reports_per_second: members.or_default("reports_per_second")?,
            deployments: members.or_default("deployments")?,
        })
    }
}

impl FromJson for PeerId {
    fn from_json(json: &Value) -> Option<Self> {
        u64::from_str_radix(json.as_str()?, 16).ok().map(Self)
    }
}

impl FromJson for KnownHistory {
    fn from_json(json: &Value) -> Option<Self> {
        let members = Members::of(json)?;
        Some(Self { epoch: members.get("epoch")?, change: members.get("change")? })
    }
}

impl FromJson for Batch {
    fn from_json(json: &Value) -> Option<Self> {
        let members = Members::of(json)?;
        Some(Self {
            seen: members.or_default("seen")?,
            successes: members.or_default("successes")?,
            failures: members.or_default("failures")?,
            answered: members.or_default("answered")?,
            answered_ms: members.get("answered_ms"),
            run: members.or_default("run")?,
            run_ms: members.or_default("run_ms")?,
            class: members.get("class"),
            age_ms: members.or_default("age_ms")?,
            latency: members.get("latency"),
            tokens_per_second: members.get("tokens_per_second"),
            headroom: members.get("headroom"),
            ejected: members.get("ejected"),
            missing: members.get("missing").unwrap_or_default(),
            probe: members.get("probe"),
            wants: members.get("wants"),
        })
    }
}

impl FromJson for Latency {
    fn from_json(json: &Value) -> Option<Self> {
        let members = Members::of(json)?;
        Some(Self { mean_ms: members.get("mean_ms")?, count: members.get("count")? })
    }
}

impl FromJson for WireEjection {
    fn from_json(json: &Value) -> Option<Self> {
        let members = Members::of(json)?;
        Some(Self {
            remaining_ms: members.get("remaining_ms")?,
            reason: members.get("reason").unwrap_or_default(),
        })
    }
}

impl FromJson for Probe {
    fn from_json(json: &Value) -> Option<Self> {
        let members = Members::of(json)?;
        Some(match json.get("is")?.as_str()? {
            "begun" => Self::Begun,
            "passed" => Self::Passed,
            "failed" => Self::Failed { class: members.get("class") },
            "abandoned" => Self::Abandoned,
            _ => return None,
        })
    }
}

impl FromJson for ProbeUrgency {
    fn from_json(json: &Value) -> Option<Self> {
        match json.as_str()? {
            "due" => Some(Self::Due),
            "early" => Some(Self::Early),
            _ => None,
        }
    }
}

impl FromJson for ShardAnswer {
    fn from_json(json: &Value) -> Option<Self> {
        let members = Members::of(json)?;
        Some(Self {
            v: members.or_default("v")?,
            n: members.or_default("n")?,
            epoch: members.or_default("epoch")?,
            change: members.or_default("change")?,
            next_ms: members.or_default("next_ms")?,
            full: members.or_default("full")?,
            reset: members.or_default("reset")?,
            deployments: members.or_default("deployments")?,
        })
    }
}

impl FromJson for Record {
    fn from_json(json: &Value) -> Option<Self> {
        let members = Members::of(json)?;
        Some(Self {
            change: members.or_default("change")?,
            opened: members.or_default("opened")?,
            closed: members.or_default("closed")?,
            reset: members.or_default("reset")?,
            ejected: members.or_default("ejected")?,
            closed_for_ms: members.get("closed_for_ms"),
            trips: members.or_default("trips")?,
            probing_ms: members.get("probing_ms"),
            missing: members.get("missing").unwrap_or_default(),
            drained: members.or_default("drained")?,
            latency_ms: members.get("latency_ms"),
            lease: members.get("lease"),
        })
    }
}

impl FromJson for WireLease {
    fn from_json(json: &Value) -> Option<Self> {
        let members = Members::of(json)?;
        Some(Self { from_ms: members.get("from_ms")?, until_ms: members.get("until_ms")? })
    }
}

impl Serialize for PeerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
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
