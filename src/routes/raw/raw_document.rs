//! The document as a whole: settings, clients, rules.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::raw_deployment::RawDeployment;
use super::raw_limit::{RawLimit, RawUnreachable};
use super::raw_node::{RawDestination, RawNode};
use super::raw_policy::{
    RawCommit, RawDurationMs, RawHedge, RawRetry, RawSticky, RawTimeout, RawTrigger, RawWhenAllEjected,
};
use super::raw_webhook::RawWebhook;
use super::raw_when::RawWhen;

raw! {

/// The routes document of Switchyard: the deployments, and how requests are routed to them.
///
/// `${NAME}` in a string refers to a variable of the Worker's environment. Fixed values, such as
/// the name of a strategy, cannot contain variables.
#[derive(Default)]
pub struct RawDocument {
    /// The schema of this document, for editors.
    #[serde(rename = "$schema")]
    pub schema: Option<String>,
    /// What this document is for. Only for people.
    pub description: Option<String>,
    /// The version of the format.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1)))]
    pub version: u32,
    /// Gateway-wide settings, and defaults for nodes.
    #[serde(default)]
    pub settings: RawSettings,
    /// The clients that may call, by name. Without this section, every call gets 401.
    pub clients: Option<BTreeMap<String, RawClient>>,
    /// The deployments, by name.
    pub deployments: BTreeMap<String, RawDeployment>,
    /// The named nodes of the graph, by the name that clients send as `model`.
    pub models: BTreeMap<String, RawNode>,
    /// Rules in order. The first that matches chooses the node, in place of the request's `model`,
    /// or refuses the request.
    #[serde(default)]
    pub rules: Vec<RawRule>,
}

/// Gateway-wide settings, and defaults for nodes.
#[derive(Default)]
pub struct RawSettings {
    /// Failures after which a node tries its next target. Default: every class that another
    /// deployment could cure.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub fallback_on: Option<Vec<RawTrigger>>,
    /// Maps an error class to a deployment or a node. A request that fails with this class goes
    /// there, if no node on its path has an edge for the class.
    pub on: Option<BTreeMap<String, RawDestination>>,
    /// Retries of the same target before the next one.
    pub retry: Option<RawRetry>,
    /// Limits for each phase of an attempt.
    pub timeout: Option<RawTimeout>,
    /// The commit point: when an answer starts to flow to the client and switching ends. Default:
    /// `first_token`.
    pub commit: Option<RawCommit>,
    /// The most attempts of one request. Default: 4.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 64)))]
    pub max_attempts: Option<u32>,
    /// The most time for one request, all attempts together. Default: 600000.
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
    /// Request bodies up to this size are buffered, so that they can be sent again. Larger ones are
    /// sent once, without retry or fallback. Default: 16 MiB.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0, max = 67_108_864)))]
    pub buffer_bytes: Option<u32>,
    /// The age at which the Worker fetches this document again, in the background. KV caches a
    /// document for at least 30 seconds near the reader, so a smaller number has an effect only
    /// locally. Default: 30.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 86_400)))]
    pub refresh_seconds: Option<u32>,
    /// The age at which the Worker reads this document again before it lets a request in. So an
    /// isolate that was idle does not serve an old document. The request waits half a second at
    /// most; if KV does not answer, the known document goes on. From half of this age on, the
    /// Worker fetches the document in the background, whatever `refresh_seconds` is. Default: 120.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 86_400)))]
    pub max_stale_seconds: Option<u32>,
    /// The response headers that clients get. Default: all but `usage` and `cost`.
    #[serde(default)]
    pub expose: RawExpose,
    /// Lets browsers call. Off by default.
    pub cors: Option<RawCors>,
    /// While `commit: complete` holds an answer, the client gets an SSE comment at this interval.
    /// Default: 10000.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 10, max = 600_000)))]
    pub keepalive_ms: Option<u32>,
    /// When failures eject deployments, and how isolates share what they know about them.
    #[serde(default)]
    pub health: RawHealthSharing,
    /// The log: one line for each request.
    pub log: Option<RawLog>,
    /// Where alerts about outages and refused documents go, at most 8 webhooks.
    #[serde(default)]
    pub webhooks: Vec<RawWebhook>,
    /// How the usage of a stream is counted if its client does not ask for it. Default: `estimate`.
    pub usage: Option<RawUsage>,
    /// Limits of the whole gateway, at most 32.
    #[serde(default)]
    pub limits: Vec<RawLimit>,
    /// What happens to a request while its limits cannot be checked. Default: `fail_closed` if one
    /// of them is in `usd`, else `fail_open`.
    pub limits_unreachable: Option<RawUnreachable>,
}

/// The log: one line for each request.
pub struct RawLog {
    /// The part of the requests without a failure that have a line, from 0 to 1. Requests that
    /// failed, or in which an attempt failed, always have one. Default: 1.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0.0, max = 1.0)))]
    pub sample: Option<f64>,
}

/// How the usage of a stream is counted if its client does not ask for it.
#[derive(Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum RawUsage {
    /// From what flows by.
    Estimate,
    /// The gateway asks the provider for it, and withholds the answer from the client.
    Exact,
}

/// When failures eject deployments, and how isolates share what they know about them.
#[derive(Default)]
pub struct RawHealthSharing {
    /// The most reports per second that the Durable Object of a region gets from all isolates
    /// together. With more isolates, each of them reports less often. Default: 400.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1_000)))]
    pub reports_per_second: Option<u32>,
    /// The longest time that the first requests of a new isolate wait for what the others know, in
    /// milliseconds; 0: they do not wait. Default: 30.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0, max = 1_000)))]
    pub first_snapshot_ms: Option<u32>,
    /// The length of the first ejection after failures, in milliseconds. Default: 10000.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 100, max = 300_000)))]
    pub first_ejection_ms: Option<u32>,
    /// The longest ejection after failures, in milliseconds. A limit that states its end has its
    /// own bound of five minutes. Default: 30000.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 100, max = 300_000)))]
    pub longest_ejection_ms: Option<u32>,
    /// The number of failures in a row that ejects a deployment. Default: 5.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1_000)))]
    pub failures_in_a_row: Option<u32>,
}

/// The response headers that clients get.
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
    /// `x-switchyard-usage`, on answers in one piece. Default: false.
    pub usage: Option<bool>,
    /// `x-switchyard-cost`, on answers in one piece. Default: false.
    pub cost: Option<bool>,
}

/// Lets browsers call.
pub struct RawCors {
    /// Origins that may call, with `*` as a wildcard: `https://*.example.com`.
    pub origins: Vec<String>,
}

/// A client that may call.
pub struct RawClient {
    /// The client's key: exactly one variable, `"${WEB_APP_KEY}"`.
    pub key: String,
    /// Names of the nodes that the client may use, with `*` as a wildcard. Default: all.
    pub models: Option<Vec<String>>,
    /// Limits of the client, at most 32: requests, tokens, US dollars, requests at the same time.
    #[serde(default)]
    pub limits: Vec<RawLimit>,
    /// Paths of the operations that the client may use, with `*` as a wildcard: `chat/*`,
    /// `embeddings`, `files`. Default: all.
    pub operations: Option<Vec<String>>,
    /// What is known about the client, for rules and for the log: `{"team": "search"}`.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What the client may say in the metadata of a request.
    pub metadata: Option<RawStatements>,
    /// What the client may say in the headers of a request.
    pub headers: Option<RawStatements>,
    /// The most of one request.
    pub request: Option<RawRequestSize>,
    /// Fields of a JSON body, and types of tools (`tools:TYPE`).
    pub parameters: Option<RawParameters>,
    /// The countries from which the client may call, ISO 3166-1 alpha-2. Default: all.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub countries: Option<Vec<String>>,
    /// The IP addresses and ranges (CIDR) from which the client may call. Default: all.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub addresses: Option<Vec<String>>,
    /// The stored objects (files, batches, responses, …) that the client sees and may use. Default:
    /// `all` of the accounts that its models lead to.
    pub objects: Option<RawObjects>,
    /// Whether keys may be issued for the client (`POST /admin/api/keys`). Default: false.
    pub allow_keys: Option<bool>,
    /// Whether keys of another form than those that the gateway issues may belong to the client:
    /// keys of LiteLLM that were imported. Default: false.
    pub imported_keys: Option<bool>,
    /// When the keys of the client end, its own and the issued ones: a time such as
    /// `2027-01-31T18:00:00Z`, or the last day such as `2027-01-31` (UTC). Default: never.
    pub expires: Option<String>,
}

/// The stored objects of a client.
#[derive(Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum RawObjects {
    /// All of the account.
    All,
    /// Those that the client has made itself.
    Own,
}

/// What a client may say about a request.
pub struct RawStatements {
    /// Values that count whatever the client says.
    #[serde(default)]
    pub pin: BTreeMap<String, String>,
    /// Names, with `*` as a wildcard. A request that states one of them is refused, unless it is
    /// pinned.
    #[serde(default)]
    pub refuse: Vec<String>,
}

/// The most of one request.
pub struct RawRequestSize {
    /// Bytes of the body.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0)))]
    pub max_bytes: Option<u64>,
    /// Estimated tokens of the input: a quarter of the bytes of the body.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0)))]
    pub max_input_tokens: Option<u64>,
    /// Tokens of the output that a request for chat, completions or responses allows. It must state
    /// them.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1)))]
    pub max_output_tokens: Option<u64>,
    /// Images in the input, or images that it asks for.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0)))]
    pub max_images: Option<u64>,
}

/// Fields of a JSON body, and types of tools (`tools:TYPE`), with `*` as a wildcard.
pub struct RawParameters {
    /// Those that the client may use. `model` is always allowed. Default: all.
    pub allow: Option<Vec<String>>,
    /// Those that the client may not use.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub deny: Option<Vec<String>>,
}

/// A rule. It chooses the node, in place of the request's `model`, or refuses the request. It has
/// either `use` or `deny`.
pub struct RawRule {
    /// What this rule is for. Only for people.
    pub description: Option<String>,
    /// The condition for the rule.
    pub when: RawWhen,
    /// The name of a node.
    #[serde(rename = "use")]
    pub to: Option<String>,
    /// The error with which the request is refused.
    pub deny: Option<RawDenial>,
}

/// The error with which a rule refuses a request.
pub struct RawDenial {
    /// The status. Default: 403.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 400, max = 499)))]
    pub status: Option<u16>,
    /// The code, by which programs tell errors apart: lower-case letters, digits and `_`. Default:
    /// `denied`.
    pub code: Option<String>,
    /// The message for the client.
    pub message: String,
}

}
