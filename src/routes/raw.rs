//! The routes document as it is written: plain data, one type an object.
//!
//! These types are the one source of the document's shape. `routes.schema.json` is generated from them (descriptions
//! included, so the comments here are what editors show), the Worker checks documents against that schema (`shape`), and serde
//! decodes into them what has passed. What they cannot say (names that exist, cycles, secrets) is checked in `compile`.

#![expect(dead_code, reason = "some keys are for people and editors")]
#![expect(clippy::struct_field_names, reason = "fields are called as the keys of the document")]

mod unions;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

pub use unions::{HedgeAfter, Matcher, Place, Scalar, Target, Trigger};

/// Derives what every type here has; the schema only natively, so that nothing of it gets into the Worker.
macro_rules! raw {
    ($($item:item)*) => {$(
        #[derive(Debug, Deserialize)]
        #[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
        #[serde(deny_unknown_fields)]
        $item
    )*};
}

raw! {

/// Switchyard's routes document: which deployments there are, and how requests are routed between them.
///
/// `${NAME}` in any string (fixed words such as a strategy excepted) stands for a variable of the Worker's environment.
pub struct Document {
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
    pub settings: Settings,
    /// Who may call, by name. Without this section every call is answered with 401.
    pub clients: Option<BTreeMap<String, Client>>,
    /// What can serve a request, by name.
    pub deployments: BTreeMap<String, Deployment>,
    /// What clients write as `model`: the named nodes of the graph.
    pub models: BTreeMap<String, Node>,
    /// Rules in order. The first that matches chooses the node, whatever the request's `model` says.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

/// Gateway-wide settings, and the defaults of what nodes can set.
#[derive(Default)]
pub struct Settings {
    /// Failures that let a node try its next target. Default: every class that another deployment could cure.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub fallback_on: Option<Vec<Trigger>>,
    /// From an error class to where a request goes that failed so, when no node on its way says better.
    pub on: Option<BTreeMap<String, Place>>,
    /// Second tries of the same target before the next one.
    pub retry: Option<Retry>,
    /// Limits for each phase of an attempt.
    pub timeout: Option<Timeout>,
    /// When an answer starts to flow to the client, and switching ends. Default: `first_token`.
    pub commit: Option<Commit>,
    /// Most attempts of one request. Default: 4.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 64)))]
    pub max_attempts: Option<u32>,
    /// Most time for one request, all attempts together. Default: 600000.
    pub deadline_ms: Option<DurationMs>,
    /// Least `quality` of a deployment. Never crossed, in fallback either.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0, max = 100)))]
    pub min_quality: Option<u32>,
    /// Tags that a deployment must have, all of them. Never crossed, in fallback either.
    #[serde(default)]
    pub require_tags: Vec<String>,
    /// A second attempt before the first has failed.
    pub hedge: Option<Hedge>,
    /// Keeps what belongs together on one deployment.
    pub sticky: Option<Sticky>,
    /// What to do when every candidate is ejected. Default: `probe`.
    pub when_all_ejected: Option<WhenAllEjected>,
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
    pub expose: Expose,
    /// Lets browsers call. Off by default.
    pub cors: Option<Cors>,
    /// While an answer is held with `commit: complete`, the client gets an SSE comment this often. Default: 10000.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 10, max = 600_000)))]
    pub keepalive_ms: Option<u32>,
    /// How what is learned about deployments is shared between isolates.
    #[serde(default)]
    pub health: HealthSharing,
}

/// How what is learned about deployments is shared between isolates.
#[derive(Default)]
pub struct HealthSharing {
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
pub struct Expose {
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
pub struct Cors {
    /// Origins that may call, with `*` as a wildcard: `https://*.example.com`.
    pub origins: Vec<String>,
}

/// Someone who may call.
pub struct Client {
    /// Its key: one variable, `"${WEB_APP_KEY}"`.
    pub key: String,
    /// Names of the nodes that it may use, with `*` as a wildcard. Default: all.
    pub models: Option<Vec<String>>,
}

/// One (resource, model, key) that can serve a request.
pub struct Deployment {
    /// The dialect that it speaks.
    pub provider: Provider,
    /// For `openai`: the base URL with its `/v1`, by default `https://api.openai.com/v1`. For `azure`: the URL of the resource,
    /// `https://NAME.openai.azure.com`. https, or http to loopback.
    pub endpoint: Option<String>,
    /// The credential: one variable, `"${OPENAI_API_KEY}"`. It may be left out with `via`, where AI Gateway keeps the provider's
    /// key, and with an `endpoint` of one's own that asks for none.
    pub api_key: Option<String>,
    /// For `openai`: what to write as `model`. For `azure`: the model behind the deployment, for people alone.
    pub model: Option<String>,
    /// For `azure`: the name of the deployment in the resource.
    pub deployment: Option<String>,
    /// For `azure`: a dated version (`2024-10-21`), or `v1` (default) for the v1 API, or `preview` for that with its features in
    /// preview.
    pub api_version: Option<String>,
    /// For `openai`: sent as `OpenAI-Organization`.
    pub organization: Option<String>,
    /// For `openai`: sent as `OpenAI-Project`.
    pub project: Option<String>,
    /// The Cloudflare AI Gateway through which to call.
    pub via: Option<Via>,
    /// Azure region (`eastus`), for the strategy `nearest`.
    pub region: Option<String>,
    /// Higher is better; compared with `min_quality`. Default: 0.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0, max = 100)))]
    pub quality: Option<u32>,
    /// Compared with `require_tags`.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Prices, for the strategy `cost`.
    pub cost: Option<Cost>,
    /// What the provider allows.
    pub limits: Option<Limits>,
    /// Limits for each phase of an attempt. Nodes override them.
    pub timeout: Option<Timeout>,
    /// Edits of JSON request bodies, in the order drop, rename, set.
    pub params: Option<Params>,
}

/// The Cloudflare AI Gateway through which to call.
pub struct Via {
    /// Id of the Cloudflare account.
    pub account: String,
    /// Name of the gateway.
    pub gateway: String,
    /// Token with the right to run the gateway: one variable, `"${CF_AIG_TOKEN}"`.
    pub token: Option<String>,
    /// In place of `https://gateway.ai.cloudflare.com`.
    pub endpoint: Option<String>,
}

/// Prices in US dollars per million tokens.
pub struct Cost {
    /// Of the prompt.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0.0, max = 1_000_000.0)))]
    pub input: f64,
    /// Of the completion. Default: 0.
    #[serde(default)]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0.0, max = 1_000_000.0)))]
    pub output: f64,
}

/// What the provider allows.
pub struct Limits {
    /// Requests a minute.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1_000_000_000)))]
    pub rpm: Option<u32>,
    /// Tokens a minute.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 1_000_000_000)))]
    pub tpm: Option<u32>,
}

/// Limits for each phase of an attempt.
pub struct Timeout {
    /// Until the headers of a streamed answer.
    pub connect_ms: Option<DurationMs>,
    /// Until the headers of any answer.
    pub headers_ms: Option<DurationMs>,
    /// Until the first content of a streamed answer.
    pub first_token_ms: Option<DurationMs>,
    /// Between two pieces of a streamed answer.
    pub idle_ms: Option<DurationMs>,
    /// The whole attempt.
    pub total_ms: Option<DurationMs>,
}

/// Edits of JSON request bodies, in the order drop, rename, set. `model` and `stream` cannot be edited.
pub struct Params {
    /// Top-level fields to set, whatever the client wrote.
    #[serde(default)]
    pub set: Map<String, Value>,
    /// Top-level fields to take out.
    #[serde(default)]
    pub drop: Vec<String>,
    /// Top-level fields to call by another name, where that name is not there yet.
    #[serde(default)]
    pub rename: BTreeMap<String, String>,
}

/// Targets, and a strategy that orders them.
pub struct Node {
    /// What this node is for. For people alone.
    pub description: Option<String>,
    /// How the targets are put in order. Default: `priority`.
    pub strategy: Option<Strategy>,
    /// What to try: names of deployments or other nodes, nodes written in place, or `{use, weight, priority}`.
    pub targets: Option<Vec<Target>>,
    /// For `match`: the first case whose `when` holds is used.
    pub cases: Option<Vec<Case>>,
    /// For `match`: what to use when no case holds.
    #[serde(rename = "else")]
    pub otherwise: Option<Place>,
    /// Failures that let this node try its next target. Default: every class that another deployment could cure.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub fallback_on: Option<Vec<Trigger>>,
    /// From an error class to where a request goes that failed so below this node.
    pub on: Option<BTreeMap<String, Place>>,
    /// Second tries of the same target before the next one.
    pub retry: Option<Retry>,
    /// Limits for each phase of an attempt.
    pub timeout: Option<Timeout>,
    /// When an answer starts to flow to the client, and switching ends.
    pub commit: Option<Commit>,
    /// Most attempts below this node.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 64)))]
    pub max_attempts: Option<u32>,
    /// Most time below this node.
    pub deadline_ms: Option<DurationMs>,
    /// Least `quality` of a deployment. Never crossed, in fallback either.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0, max = 100)))]
    pub min_quality: Option<u32>,
    /// Tags that a deployment must have, all of them. Never crossed, in fallback either.
    #[serde(default)]
    pub require_tags: Vec<String>,
    /// A second attempt before the first has failed.
    pub hedge: Option<Hedge>,
    /// Keeps what belongs together on one deployment.
    pub sticky: Option<Sticky>,
    /// What to do when every candidate is ejected. Default: `probe`.
    pub when_all_ejected: Option<WhenAllEjected>,
}

/// A target with its share or its tier.
pub struct Arrow {
    /// The name of a deployment or a node, or a node written in place.
    #[serde(rename = "use")]
    pub to: Place,
    /// Share of the traffic; only the proportion counts, and 0 takes none. Default: 1.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0.0, max = 1_000_000.0)))]
    pub weight: Option<f64>,
    /// Tier: lower is tried first, equal ones share by weight.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0, max = 1_000_000)))]
    pub priority: Option<u32>,
}

/// A case of the strategy `match`.
pub struct Case {
    /// When it applies.
    pub when: When,
    /// The name of a deployment or a node, or a node written in place.
    #[serde(rename = "use")]
    pub to: Place,
}

/// A rule chooses the node before `model` does.
pub struct Rule {
    /// What this rule is for. For people alone.
    pub description: Option<String>,
    /// When it applies.
    pub when: When,
    /// The name of a node.
    #[serde(rename = "use")]
    pub to: String,
}

/// Second tries of the same target before the next one.
pub struct Retry {
    /// Failures worth a second try. Default: those that time cures.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub on: Option<Vec<Trigger>>,
    /// Second tries of one target; 0 forbids them. Default: 1.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0, max = 10)))]
    pub attempts: Option<u32>,
    /// First wait, doubled each time. Default: 500.
    pub backoff_ms: Option<DurationMs>,
    /// Longest wait of our own choice. Default: 8000.
    pub max_backoff_ms: Option<DurationMs>,
    /// Longest `Retry-After` that is waited for, where nothing else can be tried. Default: 5000.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0, max = 3_600_000)))]
    pub max_wait_ms: Option<u32>,
}

/// A second attempt before the first has failed.
pub struct Hedge {
    /// How long the first attempt may take alone: milliseconds, or a percentile of what is usual (`"p95"`).
    pub after: HedgeAfter,
    /// Most of the requests that may be hedged, as a share of 1. Default: 0.05.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0.0, max = 1.0)))]
    pub max_share: Option<f64>,
}

/// Keeps what belongs together on one deployment.
pub struct Sticky {
    /// What belongs together: `client`, `user`, `prompt_cache_key`, `header:NAME` or `metadata:KEY`.
    pub by: String,
    /// For how many seconds a key keeps its deployment before it gets a new one. Default: 3600.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 86_400)))]
    pub ttl: Option<u32>,
}

/// Conditions on a request; all that are given must hold. Values are matched with `*` as a wildcard.
pub struct When {
    /// The path of the request, without the query.
    pub path: Option<Matcher>,
    /// What the client wrote as `model`.
    pub model: Option<Matcher>,
    /// The HTTP method.
    pub method: Option<Matcher>,
    /// What is to be done: `chat/completions`, `embeddings`, …
    pub operation: Option<Matcher>,
    /// Request headers, by name.
    #[serde(default)]
    pub header: BTreeMap<String, Matcher>,
    /// Query parameters, by name.
    #[serde(default)]
    pub query: BTreeMap<String, Matcher>,
    /// Entries of `cf-aig-metadata` or `x-switchyard-metadata`, by name.
    #[serde(default)]
    pub metadata: BTreeMap<String, Matcher>,
    /// The name of the client.
    pub client: Option<Matcher>,
    /// Two letters: `EU`, `NA`, …
    pub continent: Option<Matcher>,
    /// ISO 3166-1 alpha-2: `DE`, `US`, …
    pub country: Option<Matcher>,
    /// IATA code of the Cloudflare data centre: `FRA`, `IAD`, …
    pub colo: Option<Matcher>,
    /// Fields of a JSON body, by dotted path: `stream`, `metadata.tier`.
    #[serde(default)]
    pub body: BTreeMap<String, Matcher>,
    /// Estimated tokens of the input.
    pub input_tokens: Option<Matcher>,
    /// Share of the requests for which this holds.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0.0, max = 100.0)))]
    pub percent: Option<f64>,
    /// What keeps `percent` the same from request to request: `client`, `user`, `prompt_cache_key`, `header:NAME` or
    /// `metadata:KEY`. Without it each request is drawn anew.
    pub by: Option<String>,
    /// All of these hold.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub all: Option<Vec<When>>,
    /// One of these holds at least.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub any: Option<Vec<When>>,
    /// This does not hold.
    pub not: Option<Box<When>>,
}

/// A test of a value; all keys that are given must hold. Only `not` and `exists: false` hold for a value that is missing.
pub struct Test {
    /// Is one of these.
    #[serde(rename = "in")]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub is_in: Option<Vec<Scalar>>,
    /// Does not match this.
    pub not: Option<Box<Matcher>>,
    /// Begins with this text.
    pub prefix: Option<String>,
    /// Is there, or is not.
    pub exists: Option<bool>,
    /// Is a number greater than this.
    pub gt: Option<f64>,
    /// Is a number not less than this.
    pub gte: Option<f64>,
    /// Is a number less than this.
    pub lt: Option<f64>,
    /// Is a number not greater than this.
    pub lte: Option<f64>,
}

/// The dialect that a deployment speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// OpenAI, or anything compatible.
    #[serde(rename = "openai")]
    OpenAi,
    /// Azure OpenAI.
    Azure,
}

/// How a node's targets are put in order. All of them fall back to the next target in that order.
#[derive(Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
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

/// When an answer starts to flow to the client, and switching ends.
#[derive(Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Commit {
    /// With a good status.
    Headers,
    /// With the first event that carries content.
    FirstToken,
    /// When the upstream has finished.
    Complete,
}

/// What to do when every candidate is ejected.
#[derive(Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum WhenAllEjected {
    /// Try the one that is soonest to return.
    Probe,
    /// Answer 503 with the time that remains.
    Fail,
}

}

/// A length of time in milliseconds: from one millisecond to one hour.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
pub struct DurationMs(
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 3_600_000)))] pub u64,
);
