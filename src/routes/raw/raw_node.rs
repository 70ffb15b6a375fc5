//! Nodes and their targets as they are written.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::raw_policy::{
    RawCommit, RawDurationMs, RawHedge, RawRetry, RawSticky, RawTimeout, RawTrigger, RawWhenAllEjected,
};
use super::raw_when::RawWhen;
use crate::scan::json_value::{self, Mismatch};

raw! {

/// Targets, and a strategy that orders them.
pub struct RawNode {
    /// What this node is for. Only for people.
    pub description: Option<String>,
    /// How the targets are ordered. Default: `priority`.
    pub strategy: Option<RawStrategy>,
    /// What to try: names of deployments or other nodes, inline nodes, or `{use, weight,
    /// priority}`.
    pub targets: Option<Vec<RawTarget>>,
    /// For `match`: the first case whose `when` holds is used.
    pub cases: Option<Vec<RawCase>>,
    /// For `match`: what to use when no case holds.
    #[serde(rename = "else")]
    pub otherwise: Option<RawDestination>,
    /// Failures after which this node tries its next target. Default: every class that another
    /// deployment could cure.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub fallback_on: Option<Vec<RawTrigger>>,
    /// Maps an error class to a deployment or a node. A request that fails with this class below
    /// this node goes there.
    pub on: Option<BTreeMap<String, RawDestination>>,
    /// Retries of the same target before the next one.
    pub retry: Option<RawRetry>,
    /// Limits for each phase of an attempt.
    pub timeout: Option<RawTimeout>,
    /// The commit point: when an answer starts to flow to the client and switching ends.
    pub commit: Option<RawCommit>,
    /// The most attempts below this node.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 64)))]
    pub max_attempts: Option<u32>,
    /// The most time below this node.
    pub deadline_ms: Option<RawDurationMs>,
    /// The least `quality` of a deployment. Fallback obeys it too.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0, max = 100)))]
    pub min_quality: Option<u32>,
    /// Tags that a deployment must have, all of them. Fallback obeys them too.
    #[serde(default)]
    pub require_tags: Vec<String>,
    /// A second attempt before the first has failed.
    pub hedge: Option<RawHedge>,
    /// Sends requests with the same affinity key to the same deployment.
    pub sticky: Option<RawSticky>,
    /// What to do when every candidate is ejected. Default: `probe`.
    pub when_all_ejected: Option<RawWhenAllEjected>,
    /// Keeps answers of this node, and gives them to equal requests of the same client.
    pub cache: Option<RawCache>,
}

/// How answers are kept.
pub struct RawCache {
    /// How many seconds an answer is kept.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 2_592_000)))]
    pub ttl: u32,
    /// What else has to be equal: `key`, `user`, `prompt_cache_key`, `header:NAME` or
    /// `metadata:KEY`.
    #[serde(default)]
    pub by: Vec<String>,
    /// Whether equal requests at the same moment wait for the answer of the first one.
    #[serde(default)]
    pub single_flight: bool,
}

/// A target with its weight or its tier.
pub struct RawArrow {
    /// The name of a deployment or a node, or an inline node.
    #[serde(rename = "use")]
    pub to: RawDestination,
    /// The share of the traffic. Only the proportion matters; 0 takes no traffic. Default: 1.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0.0, max = 1_000_000.0)))]
    pub weight: Option<f64>,
    /// The tier. Lower tiers are tried first; targets with equal numbers share by weight.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0, max = 1_000_000)))]
    pub priority: Option<u32>,
}

/// A case of the strategy `match`.
pub struct RawCase {
    /// The condition for the case.
    pub when: RawWhen,
    /// The name of a deployment or a node, or an inline node.
    #[serde(rename = "use")]
    pub to: RawDestination,
}

/// How a node's targets are ordered. With every strategy but `match`, the node falls back to the
/// next target in that order.
#[derive(Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum RawStrategy {
    /// In the order of the list, or by `priority`. Targets with equal `priority` share by weight.
    Priority,
    /// Another name of `priority`.
    Fallback,
    /// A random draw by weight.
    Weighted,
    /// Another name of `weighted`.
    LoadBalance,
    /// Another name of `weighted`.
    RandomWeighted,
    /// In turn.
    RoundRobin,
    /// A random order.
    Random,
    /// Two targets are drawn at random, and the faster one is first. Speed is the time to the first
    /// token, multiplied by the number of requests in flight.
    Latency,
    /// Cheapest first.
    Cost,
    /// Fewest requests in flight first.
    LeastBusy,
    /// Nearest to the client first.
    Nearest,
    /// The first of `cases` whose `when` holds, else `else`, and no other target.
    Match,
}

}

/// The name of a deployment or a node, or an inline node.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema), schemars(untagged, !try_from, rename = "Place"))]
#[serde(try_from = "Value")]
pub enum RawDestination {
    /// The name of a deployment or a node.
    Name(String),
    /// An inline node.
    Node(Box<RawNode>),
}

impl TryFrom<Value> for RawDestination {
    type Error = Mismatch;

    fn try_from(json: Value) -> Result<Self, Mismatch> {
        match json {
            Value::String(name) => Ok(Self::Name(name)),
            node => json_value::read(node).map(Self::Node),
        }
    }
}

/// A target: a name or an inline node, also as an object with a weight or a tier.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema), schemars(untagged, !try_from))]
#[serde(try_from = "Value")]
pub enum RawTarget {
    /// The name of a deployment or a node.
    Name(String),
    /// A target with its weight or its tier.
    Arrow(RawArrow),
    /// An inline node.
    Node(Box<RawNode>),
}

impl TryFrom<Value> for RawTarget {
    type Error = Mismatch;

    fn try_from(json: Value) -> Result<Self, Mismatch> {
        match json {
            Value::String(name) => Ok(Self::Name(name)),
            arrow if arrow.get("use").is_some() => json_value::read(arrow).map(Self::Arrow),
            node => json_value::read(node).map(Self::Node),
        }
    }
}
