//! What a shard stores, so that its history survives an eviction.

use serde::Serialize;
use serde_json::Value;

use crate::health::gate::Gate;
use crate::health::members::{FromJson, Members};
use crate::health::wire::{KnownHistory, PeerId};
use crate::vocabulary::operation::Operation;

/// What has to be stored of the shard as a whole, whenever it has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ShardHead {
    /// Which history it is.
    pub epoch: PeerId,
    /// The latest change.
    pub change: u64,
    /// The change with which everything was reset the last time; 0: never.
    pub reset: u64,
    /// The latest change of a record that was forgotten; 0: none was.
    pub forgotten: u64,
    /// What is known of the hub.
    pub hub: Option<KnownHistory>,
}

/// What has to be stored of a deployment. Times are those of the shard's clock.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SavedDeployment {
    /// The number of its latest change.
    pub change: u64,
    pub(super) opened: u64,
    pub(super) closed: u64,
    pub(super) reset: u64,
    pub(super) gate: Gate,
    pub(super) missing: Vec<(Operation, Gate)>,
}

impl ShardHead {
    /// Reads one that was stored; `None`: it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let json: Value = serde_json::from_str(text).ok()?;
        let members = Members::of(&json)?;
        Some(Self {
            epoch: members.get("epoch")?,
            change: members.or_default("change")?,
            reset: members.or_default("reset")?,
            forgotten: members.or_default("forgotten")?,
            hub: members.get("hub"),
        })
    }

    /// Writes it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl SavedDeployment {
    /// Reads one that was stored; `None`: it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let json: Value = serde_json::from_str(text).ok()?;
        let members = Members::of(&json)?;
        let missing = json.get("missing")?.as_array()?.iter();
        Some(Self {
            change: members.or_default("change")?,
            opened: members.or_default("opened")?,
            closed: members.or_default("closed")?,
            reset: members.or_default("reset")?,
            gate: members.or_default("gate")?,
            missing: missing
                .filter_map(|pair| {
                    Some((FromJson::from_json(pair.get(0)?)?, FromJson::from_json(pair.get(1)?)?))
                })
                .collect(),
        })
    }

    /// Writes it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
