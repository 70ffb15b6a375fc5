//! The document as a whole: settings, clients, rules.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::raw_deployment::RawDeployment;
use super::raw_node::{RawDestination, RawNode};
use super::raw_policy::{
    RawCommit, RawDurationMs, RawHedge, RawRetry, RawSticky, RawTimeout, RawTrigger, RawWhenAllEjected,
};
use super::raw_when::RawWhen;

raw! {

/// Switchyard's routes document: which deployments there are, and how requests are routed between them.
///
/// `${NAME}` in any string (fixed words such as a strategy excepted) stands for a variable of the Worker's environment.
pub struct RawDocument {
    /// Where editors find the schema.
    #[serde(rename = "$schema")]
    pub schema: Option<String>,
    /// What this document is for. For people alone.
    pub description: Option<String>,
    /// Version of the format.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1)))]
    pub version: u32,
    /// Gateway-wide settings, and the defaults of what nodes can set.
    #[serde(default)]
    pub settings: RawSettings,
    /// Who may call, by name. Without this section every call is answered with 401.
    pub clients: Option<BTreeMap<String, RawClient>>,
    /// What can serve a request, by name.
    pub deployments: BTreeMap<String, RawDeployment>,
    /// What clients write as `model`: the named nodes of the graph.
    pub models: BTreeMap<String, RawNode>,
    /// Rules in order. The first that matches chooses the node, whatever the request's `model` says.
    #[serde(default)]
    pub rules: Vec<RawRule>,
}

/// Gateway-wide settings, and the defaults of what nodes can set.
#[derive(Default)]
pub struct RawSettings {
    /// Failures that let a node try its next target. Default: every class that another deployment could cure.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub fallback_on: Option<Vec<RawTrigger>>,
    /// From an error class to where a request goes that failed so, when no node on its way says better.
    pub on: Option<BTreeMap<String, RawDestination>>,
    /// Second tries of the same target before the next one.
    pub retry: Option<RawRetry>,
    /// Limits for each phase of an attempt.
    pub timeout: Option<RawTimeout>,
    /// When an answer starts to flow to the client, and switching ends. Default: `first_token`.
    pub commit: Option<RawCommit>,
    /// Most attempts of one request. Default: 4.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 64)))]
    pub max_attempts: Option<u32>,
    /// Most time for one request, all attempts together. Default: 600000.
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
    /// Request bodies up to this size are kept so that they can be sent again; larger ones are sent once, without retry or
    /// fallback. Default: 16 MiB.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0, max = 67_108_864)))]
    pub buffer_bytes: Option<u32>,
    /// How old this document may be before the Worker fetches it again, in the background. KV keeps what was read near by for
    /// at least 30 seconds, so a smaller number only has an effect locally. Default: 30.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 86_400)))]
    pub refresh_seconds: Option<u32>,
    /// Which response headers clients see. Default: all.
    #[serde(default)]
    pub expose: RawExpose,
    /// Lets browsers call. Off by default.
    pub cors: Option<RawCors>,
    /// While an answer is held with `commit: complete`, the client gets an SSE comment this often. Default: 10000.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 10, max = 600_000)))]
    pub keepalive_ms: Option<u32>,
    /// How what is learned about deployments is shared between isolates.
    #[serde(default)]
    pub health: RawHealthSharing,
}

/// How what is learned about deployments is shared between isolates.
#[derive(Default)]
pub struct RawHealthSharing {
    /// Most reports that the Durable Object of a region is to get in a second, from all isolates together: with more of them,
    /// each comes less often. Default: 400.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1_000)))]
    pub reports_per_second: Option<u32>,
    /// Longest that the first requests of a new isolate wait for what the others know, in milliseconds; 0: never. Default: 30.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0, max = 1_000)))]
    pub first_snapshot_ms: Option<u32>,
}

/// Which response headers clients see.
#[derive(Default)]
pub struct RawExpose {
    /// `x-switchyard-request-id`
    pub request_id: Option<bool>,
    /// `x-switchyard-model`
    pub model: Option<bool>,
    /// `x-switchyard-deployment`
    pub deployment: Option<bool>,
    /// `x-switchyard-attempts`
    pub attempts: Option<bool>,
    /// `x-switchyard-trail`
    pub trail: Option<bool>,
    /// `x-switchyard-routes`
    pub routes: Option<bool>,
    /// `server-timing`
    pub timing: Option<bool>,
}

/// Lets browsers call.
pub struct RawCors {
    /// Origins that may call, with `*` as a wildcard: `https://*.example.com`.
    pub origins: Vec<String>,
}

/// Someone who may call.
pub struct RawClient {
    /// Its key: one variable, `"${WEB_APP_KEY}"`.
    pub key: String,
    /// Names of the nodes that it may use, with `*` as a wildcard. Default: all.
    pub models: Option<Vec<String>>,
}

/// A rule chooses the node before `model` does.
pub struct RawRule {
    /// What this rule is for. For people alone.
    pub description: Option<String>,
    /// When it applies.
    pub when: RawWhen,
    /// The name of a node.
    #[serde(rename = "use")]
    pub to: String,
}

}
