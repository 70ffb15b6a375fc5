//! What a shard stores, so that its history survives an eviction.

use serde::{Deserialize, Serialize};

use crate::health::gate::Gate;
use crate::health::tolerant;
use crate::health::wire::KnownHistory;
use crate::scan::json_value;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::peer_id::PeerId;

/// What is stored for the shard as a whole, after every change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardHead {
    /// The identity of the history.
    pub epoch: PeerId,
    /// The latest change.
    #[serde(default)]
    pub change: u64,
    /// The latest change that reset everything; 0: none.
    #[serde(default)]
    pub reset: u64,
    /// The latest change of a forgotten record; 0: none.
    #[serde(default)]
    pub forgotten: u64,
    /// What is known of the hub's history.
    #[serde(default, deserialize_with = "json_value::lenient")]
    pub hub: Option<KnownHistory>,
}

/// What is stored for a deployment. Times are those of the shard's clock.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedDeployment {
    /// The number of its latest change.
    #[serde(default)]
    pub change: u64,
    #[serde(default)]
    pub(super) opened: u64,
    #[serde(default)]
    pub(super) closed: u64,
    #[serde(default)]
    pub(super) reset: u64,
    #[serde(default)]
    pub(super) gate: Gate,
    /// The fault that an administrator has set, with the time of its end since 1970; empty: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) fault: String,
    #[serde(deserialize_with = "tolerant::pairs")]
    pub(super) missing: Vec<(Operation, Gate)>,
}

impl ShardHead {
    /// Reads a stored value; `None`: the text is not valid.
    pub fn parse(text: &str) -> Option<Self> {
        tolerant::read(serde_json::from_str(text).ok()?)
    }

    /// Writes it as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl SavedDeployment {
    /// Reads a stored value; `None`: the text is not valid.
    pub fn parse(text: &str) -> Option<Self> {
        tolerant::read(serde_json::from_str(text).ok()?)
    }

    /// Writes it as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
