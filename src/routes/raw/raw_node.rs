//! Nodes and their targets as they are written.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Error, Value, from_value};

use super::raw_policy::{
    RawCommit, RawDurationMs, RawHedge, RawRetry, RawSticky, RawTimeout, RawTrigger, RawWhenAllEjected,
};
use super::raw_when::RawWhen;

raw! {

/// Targets, and a strategy that orders them.
pub struct RawNode {
    /// What this node is for. For people alone.
    pub description: Option<String>,
    /// How the targets are put in order. Default: `priority`.
    pub strategy: Option<RawStrategy>,
    /// What to try: names of deployments or other nodes, nodes written in place, or `{use, weight, priority}`.
    pub targets: Option<Vec<RawTarget>>,
    /// For `match`: the first case whose `when` holds is used.
    pub cases: Option<Vec<RawCase>>,
    /// For `match`: what to use when no case holds.
    #[serde(rename = "else")]
    pub otherwise: Option<RawDestination>,
    /// Failures that let this node try its next target. Default: every class that another deployment could cure.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub fallback_on: Option<Vec<RawTrigger>>,
    /// From an error class to where a request goes that failed so below this node.
    pub on: Option<BTreeMap<String, RawDestination>>,
    /// Second tries of the same target before the next one.
    pub retry: Option<RawRetry>,
    /// Limits for each phase of an attempt.
    pub timeout: Option<RawTimeout>,
    /// When an answer starts to flow to the client, and switching ends.
    pub commit: Option<RawCommit>,
    /// Most attempts below this node.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 64)))]
    pub max_attempts: Option<u32>,
    /// Most time below this node.
    pub deadline_ms: Option<RawDurationMs>,
    /// Least `quality` of a deployment. Never crossed, in fallback either.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0, max = 100)))]
    pub min_quality: Option<u32>,
    /// Tags that a deployment must have, all of them. Never crossed, in fallback either.
    #[serde(default)]
    pub require_tags: Vec<String>,
    /// A second attempt before the first has failed.
    pub hedge: Option<RawHedge>,
    /// Keeps what belongs together on one deployment.
    pub sticky: Option<RawSticky>,
    /// What to do when every candidate is ejected. Default: `probe`.
    pub when_all_ejected: Option<RawWhenAllEjected>,
}

/// A target with its share or its tier.
pub struct RawArrow {
    /// The name of a deployment or a node, or a node written in place.
    #[serde(rename = "use")]
    pub to: RawDestination,
    /// Share of the traffic; only the proportion counts, and 0 takes none. Default: 1.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0.0, max = 1_000_000.0)))]
    pub weight: Option<f64>,
    /// Tier: lower is tried first, equal ones share by weight.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0, max = 1_000_000)))]
    pub priority: Option<u32>,
}

/// A case of the strategy `match`.
pub struct RawCase {
    /// When it applies.
    pub when: RawWhen,
    /// The name of a deployment or a node, or a node written in place.
    #[serde(rename = "use")]
    pub to: RawDestination,
}

/// How a node's targets are put in order. All of them fall back to the next target in that order.
#[derive(Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum RawStrategy {
    /// In the order of the list, or by `priority`, where equal ones share by weight.
    Priority,
    /// Another name of `priority`.
    Fallback,
    /// Drawn by weight.
    Weighted,
    /// Another name of `weighted`.
    LoadBalance,
    /// Another name of `weighted`.
    RandomWeighted,
    /// In turn.
    RoundRobin,
    /// In any order.
    Random,
    /// The faster of two drawn at random first: by the time to the first token, times the requests in flight.
    Latency,
    /// The cheapest first.
    Cost,
    /// The one with the least requests in flight first.
    LeastBusy,
    /// The one nearest to the client first.
    Nearest,
    /// The first of `cases` whose `when` holds, else `else`.
    Match,
}

}

/// The name of a deployment or a node, or a node written in place.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema), schemars(untagged, !try_from, rename = "Place"))]
#[serde(try_from = "Value")]
pub enum RawDestination {
    /// The name of a deployment or a node.
    Name(String),
    /// A node written in place.
    Node(Box<RawNode>),
}

impl TryFrom<Value> for RawDestination {
    type Error = Error;

    fn try_from(json: Value) -> Result<Self, Error> {
        match json {
            Value::String(name) => Ok(Self::Name(name)),
            node => from_value(node).map(Self::Node),
        }
    }
}

/// A target: a name, a node written in place, or either with its share or tier.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema), schemars(untagged, !try_from))]
#[serde(try_from = "Value")]
pub enum RawTarget {
    /// The name of a deployment or a node.
    Name(String),
    /// A target with its share or its tier.
    Arrow(RawArrow),
    /// A node written in place.
    Node(Box<RawNode>),
}

impl TryFrom<Value> for RawTarget {
    type Error = Error;

    fn try_from(json: Value) -> Result<Self, Error> {
        match json {
            Value::String(name) => Ok(Self::Name(name)),
            arrow if arrow.get("use").is_some() => from_value(arrow).map(Self::Arrow),
            node => from_value(node).map(Self::Node),
        }
    }
}
