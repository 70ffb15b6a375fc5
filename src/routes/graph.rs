//! The compiled routes document.
//!
//! Only [`crate::routes::compile`] builds it, and it is correct by construction. Nodes own their
//! targets, so no name has to be looked up, and there is no cycle, no empty node and no unknown
//! error class. Code that reads the graph does not check this again.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use super::affinity_key::AffinityKey;
pub use super::capabilities::Capabilities;
use super::cases::Cases;
use super::issue::nearest;
use super::prefix_map::PrefixMap;
use super::reads::Reads;
pub use super::secret::Secret;
pub use super::setting_groups::{Ejections, Expose, HealthSharing, StreamUsage};
pub use super::webhook::Webhook;
use super::when::Condition;
use crate::routes::glob::Glob;
use crate::usage::price::Price;
use crate::vocabulary::error_class::{ErrorClass, Triggers};
use crate::vocabulary::time::Millis;

/// A compiled routes document.
#[derive(Debug)]
pub struct Graph {
    /// A short hash of the document, sent as `x-switchyard-routes`.
    pub version: String,
    /// Gateway-wide settings and defaults.
    pub settings: Settings,
    /// The clients that may call; `None` if the document has no `clients` section.
    pub clients: Option<Vec<Client>>,
    /// All deployments, indexed by `Deployment::id`.
    pub deployments: Vec<Rc<Deployment>>,
    /// The named nodes, which clients send as `model`.
    pub models: BTreeMap<String, Rc<Node>>,
    /// Rules in order; the first that matches chooses the node.
    pub rules: Cases<Rule>,
    /// The parts of a request that conditions and sticky nodes read.
    pub reads: Reads,
    /// Path prefixes from the `path` conditions of rules, without the trailing slash: `/ai/azure`.
    pub prefixes: PrefixMap,
    /// The number of nodes, inline ones included. Every `Node::id` is less.
    pub node_count: usize,
    /// The longest deadline of a request, whatever node it enters.
    pub longest_deadline_ms: Millis,
}

impl Graph {
    /// How long a request that enters at `entry` may take: the node's deadline, or the client's
    /// patience if that is shorter.
    pub fn allowed_ms(&self, entry: &Node, patience_ms: Option<Millis>) -> Millis {
        let deadline_ms = entry.deadline_ms.unwrap_or(self.settings.deadline_ms);
        patience_ms.map_or(deadline_ms, |patience_ms| patience_ms.min(deadline_ms))
    }

    /// The longest deadline of a request that enters at one of these nodes, or at one without a
    /// deadline.
    pub fn longest_deadline<'a>(
        settings: &Settings,
        nodes: impl IntoIterator<Item = &'a Rc<Node>>,
    ) -> Millis {
        nodes.into_iter().filter_map(|node| node.deadline_ms).fold(settings.deadline_ms, Millis::max)
    }
}

/// Gateway-wide settings, with all defaults filled in.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The default of the node key of the same name.
    pub deadline_ms: Millis,
    /// The default of the node key of the same name.
    pub max_attempts: u32,
    /// The defaults of the node keys of the same names.
    pub policy: Policy,
    /// `min_quality` and `require_tags`. They apply to every node.
    pub requirements: Requirements,
    /// Edges for error classes for which no node on the path has an edge.
    pub on: Vec<(ErrorClass, Destination)>,
    /// Request bodies up to this size are buffered, so that they can be sent again. Larger ones are
    /// streamed once.
    pub buffer_bytes: usize,
    /// The age at which the routes document is fetched again, in the background.
    pub refresh_ms: Millis,
    /// The age at which the routes document is fetched again before a request is let in. At least
    /// twice [`Self::refresh_ms`].
    pub max_stale_ms: Millis,
    /// The `x-switchyard-*` and `server-timing` headers that clients get.
    pub expose: Expose,
    /// Origins from which browsers may call. Empty: no CORS.
    pub cors_origins: Vec<Glob>,
    /// While `commit: complete` holds an answer, the client gets a comment at this interval.
    pub keepalive_ms: Millis,
    /// How isolates share health.
    pub health: HealthSharing,
    /// The part of the requests without a failure that the log has, `0.0..=1.0`.
    pub log_sample: f64,
    /// The receivers of alerts.
    pub webhooks: Vec<Webhook>,
    /// How the usage of a stream is counted if its client does not ask for it.
    pub usage: StreamUsage,
}

/// A client that may call.
#[derive(Debug, Default)]
pub struct Client {
    /// The name in rules and logs.
    pub name: String,
    /// The key. `None` if its variable is missing or invalid; then nobody can call as this client.
    pub key: Option<Secret>,
    /// Patterns for the names of the nodes that the client may use.
    pub models: Vec<Glob>,
}

impl Client {
    /// Whether the client may use the node of this name.
    pub fn may_use(&self, node: &str) -> bool {
        self.models.iter().any(|glob| glob.matches(node))
    }
}

/// The name of a deployment that is most similar to `name`, if one is similar enough.
#[inline(never)]
pub fn nearest_deployment(name: &str, all: &[Rc<Deployment>]) -> Option<String> {
    nearest(name, all.iter().map(|deployment| deployment.name.as_str()))
}

/// One (resource, model, key) that can serve a request.
#[derive(Debug)]
pub struct Deployment {
    /// The index in [`Graph::deployments`].
    pub id: usize,
    /// The name in the document, trails and logs.
    pub name: String,
    /// The dialect and the address.
    pub upstream: Upstream,
    /// The AI Gateway through which it is called, if any.
    pub via: Option<Via>,
    /// The credential. Empty if the deployment needs none or is `disabled`.
    pub api_key: Secret,
    /// Why it takes no traffic: a missing or invalid variable.
    pub disabled: Option<Disabled>,
    /// The Azure region, if known.
    pub region: Option<String>,
    /// Compared with `min_quality`; higher is better. The default is 0.
    pub quality: u32,
    /// Compared with `require_tags`.
    pub tags: Vec<String>,
    /// What it charges, if that is known.
    pub cost: Option<Price>,
    /// What its model can do.
    pub capabilities: Capabilities,
    /// The deployment's timeouts. Nodes override them.
    pub timeout: Timeouts,
    /// Edits of the request body.
    pub params: Params,
    /// The rate limits of the provider.
    pub limits: RateLimits,
    /// When failures eject it.
    pub ejections: Ejections,
    /// The key under which its health is stored and shared: its name and a hash of its address. A
    /// deployment with a new address starts without health.
    pub identity: String,
}

impl Deployment {
    /// Whether both deployments have the same stored objects. Stored objects belong to the account:
    /// at OpenAI to the project, at Azure to the resource. If AI Gateway has the key, each gateway
    /// stands for an account of its own.
    pub fn shares_storage_with(&self, other: &Self) -> bool {
        self.account() == other.account()
    }

    /// The account whose stored objects it has.
    pub fn account(&self) -> Account<'_> {
        match &self.upstream {
            Upstream::OpenAi { base, organization, project, .. } => Account::OpenAi {
                base,
                organization: organization.as_deref(),
                project: project.as_deref(),
                api_key: &self.api_key,
                key_holder: self.key_holder(),
            },
            Upstream::Azure { resource, .. } => Account::Azure { resource },
        }
    }

    /// The AI Gateway that has the key of this deployment, if the document has none.
    fn key_holder(&self) -> Option<&str> {
        let via = self.via.as_ref().filter(|_| self.api_key.reveal().is_empty());
        via.map(|via| via.base.as_str())
    }
}

/// What tells two accounts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account<'a> {
    /// A project at OpenAI, or at a compatible API.
    OpenAi {
        /// The base URL.
        base: &'a str,
        /// `OpenAI-Organization`, if any.
        organization: Option<&'a str>,
        /// `OpenAI-Project`, if any.
        project: Option<&'a str>,
        /// The key. It belongs to one project.
        api_key: &'a Secret,
        /// The AI Gateway that has the key, if the document has none.
        key_holder: Option<&'a str>,
    },
    /// A resource at Azure.
    Azure {
        /// The URL of the resource.
        resource: &'a str,
    },
}

/// Why a deployment cannot be used: the environment has no value, or an invalid value, for this
/// variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disabled {
    /// The name of the variable.
    pub variable: String,
}

/// A provider's dialect and address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// OpenAI, or a compatible API.
    OpenAi {
        /// The base URL with its `/v1`, without a trailing slash.
        base: String,
        /// The value to send as `model`.
        model: String,
        /// `OpenAI-Organization`, if any.
        organization: Option<String>,
        /// `OpenAI-Project`, if any.
        project: Option<String>,
    },
    /// Azure OpenAI (Foundry).
    Azure {
        /// The URL of the resource, without `/openai` and without a trailing slash:
        /// `https://NAME.openai.azure.com`.
        resource: String,
        /// The name of the deployment in the resource.
        deployment: String,
        /// The API and its version.
        api: AzureApi,
    },
}

/// An API of Azure OpenAI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AzureApi {
    /// The v1 API, which has no dated versions.
    V1 {
        /// Whether preview features are enabled.
        preview: bool,
    },
    /// The older API, in a dated version such as `2024-10-21` or `2025-04-01-preview`.
    Dated(String),
}

impl Default for AzureApi {
    fn default() -> Self {
        Self::V1 { preview: false }
    }
}

/// The Cloudflare AI Gateway through which a deployment is called.
#[derive(Debug, Clone)]
pub struct Via {
    /// `https://gateway.ai.cloudflare.com/v1/{account}/{gateway}`, or the same path on a custom
    /// domain, without a trailing slash.
    pub base: String,
    /// A token with the permission to run the gateway. `None` for a gateway without authentication.
    pub token: Option<Secret>,
}

/// The configured rate limits of a deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests per minute.
    pub rpm: Option<u32>,
    /// Tokens per minute.
    pub tpm: Option<u32>,
}

/// Edits of a JSON request body, applied in this order: drop, rename, set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Params {
    /// Top-level fields to remove.
    pub drop: Vec<String>,
    /// Top-level fields to rename, from old to new. A field stays if the new name already exists.
    pub rename: Vec<(String, String)>,
    /// Top-level fields to set. They replace the client's values.
    pub set: Vec<(String, Value)>,
    /// Those of them whose value comes from a variable, so that it may be a secret.
    pub from_variables: Vec<String>,
}

impl Params {
    /// Whether an edit names this field.
    pub fn names(&self, field: &str) -> bool {
        self.drop.iter().any(|name| name == field)
            || self.rename.iter().any(|(from, to)| from == field || to == field)
            || self.set.iter().any(|(name, _)| name == field)
    }
}

/// A node of the graph: targets and a strategy that orders them.
#[derive(Debug)]
pub struct Node {
    /// A unique index, less than [`Graph::node_count`].
    pub id: usize,
    /// The name of a named node; the JSON path of an inline node.
    pub name: String,
    /// How the targets are ordered.
    pub strategy: Strategy,
    /// Never empty.
    pub targets: Vec<Target>,
    /// What to do on failure, how long to wait, when to commit. Unset values come from the outer
    /// nodes.
    pub policy: Policy,
    /// The most attempts below this node.
    pub max_attempts: Option<u32>,
    /// The most time below this node.
    pub deadline_ms: Option<Millis>,
    /// What deployments below this node must satisfy.
    pub requirements: Requirements,
    /// The edges: where a request goes after a failure of this class.
    pub on: Vec<(ErrorClass, Destination)>,
    /// Whether the order of this node, or of a node that it leads to, depends on where a request
    /// comes from.
    pub reads_place: bool,
}

/// How a node orders its targets.
#[derive(Debug)]
pub enum Strategy {
    /// Lower `priority` first. Targets with equal `priority` form a tier that shares traffic by
    /// weight.
    Priority,
    /// A random draw by weight, and again among the targets that are left.
    Weighted,
    /// In turn.
    RoundRobin,
    /// A random order.
    Random,
    /// Fastest first.
    Latency,
    /// Cheapest first.
    Cost,
    /// Fewest requests in flight first.
    LeastBusy,
    /// Nearest to the client first.
    Nearest,
    /// Only the target of the first condition that holds. Conditions and targets have the same
    /// positions. `else` is a last condition that always holds.
    Match(Cases<Condition>),
}

impl Strategy {
    /// The name in the document.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Priority => "priority",
            Self::Weighted => "weighted",
            Self::RoundRobin => "round_robin",
            Self::Random => "random",
            Self::Latency => "latency",
            Self::Cost => "cost",
            Self::LeastBusy => "least_busy",
            Self::Nearest => "nearest",
            Self::Match(_) => "match",
        }
    }
}

/// A target of a node.
#[derive(Debug, Clone)]
pub struct Target {
    /// The deployment or node that it leads to.
    pub to: Destination,
    /// The share in a weighted draw, by default 1. It is finite and not negative; 0 takes no
    /// traffic.
    pub weight: f64,
    /// The tier. Lower tiers are tried first.
    pub priority: u32,
}

impl Target {
    /// Whether `is_wanted` is true for a deployment that this target leads to.
    pub fn leads_to(&self, is_wanted: &dyn Fn(&Deployment) -> bool) -> bool {
        match &self.to {
            Destination::Deployment(deployment) => is_wanted(deployment),
            Destination::Node(node) => node.targets.iter().any(|target| target.leads_to(is_wanted)),
        }
    }
}

/// What a target or an edge leads to.
#[derive(Debug, Clone)]
pub enum Destination {
    /// A leaf of the graph.
    Deployment(Rc<Deployment>),
    /// An inner node of the graph.
    Node(Rc<Node>),
}

/// Requirements on deployments. Fallback obeys them too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirements {
    /// The least `quality` of a deployment. 0 means no requirement.
    pub min_quality: u32,
    /// The tags that a deployment must have, all of them.
    pub require_tags: Vec<String>,
}

/// Settings that nodes inherit. `None` means: take the value of the outer node, and last that of
/// `settings`.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Failures after which a node tries its next target.
    pub fallback_on: Option<Triggers>,
    /// Retries of the same target.
    pub retry: Option<Retry>,
    /// Limits for each phase of an attempt.
    pub timeout: Timeouts,
    /// The commit point: when the answer starts to flow to the client.
    pub commit: Option<Commit>,
    /// A second attempt before the first has failed.
    pub hedge: Option<Hedge>,
    /// Sends requests with the same affinity key to the same deployment.
    pub sticky: Option<Sticky>,
    /// What to do when every candidate is ejected.
    pub when_all_ejected: Option<WhenAllEjected>,
}

/// A second attempt that starts before the first has failed. The first answer is used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hedge {
    /// How long to wait for the first attempt.
    pub after: HedgeAfter,
    /// The largest share of the node's requests that may be hedged, `0.0..=1.0`.
    pub max_share: f64,
}

/// When a hedge starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HedgeAfter {
    /// After this number of milliseconds.
    Ms(Millis),
    /// After this percentile of the deployment's usual time, `1..=99`.
    Percentile(u8),
}

/// Sends requests with the same affinity key to the same deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sticky {
    /// The affinity key.
    pub by: AffinityKey,
    /// How long a key stays on its deployment before it gets a new one.
    pub ttl_ms: Millis,
}

/// What to do when every candidate is ejected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhenAllEjected {
    /// Try the candidate whose ejection ends first, with one request at a time.
    #[default]
    Probe,
    /// Answer with an error at once.
    Fail,
}

/// Retries of the same target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Whether the document states `on`, so that it is more than the default.
    pub states_on: bool,
    /// Failures to retry.
    pub on: Triggers,
    /// The number of retries of one target. 0 disables retries.
    pub attempts: u32,
    /// The first wait. It doubles each time.
    pub backoff_ms: Millis,
    /// The longest wait that the gateway itself chooses.
    pub max_backoff_ms: Millis,
    /// The longest `Retry-After` that the gateway waits for.
    pub max_wait_ms: Millis,
    /// The longest hint to wait for at the same target while another target is left.
    pub before_fallback_ms: Millis,
}

impl Default for Retry {
    /// One retry of transient failures, with the same waits as OpenAI's own SDKs. A timeout is not
    /// retried at the same deployment: it has had its time.
    fn default() -> Self {
        Self {
            states_on: false,
            on: Triggers::of(|class| class.is_transient() && class != ErrorClass::Timeout),
            attempts: 1,
            backoff_ms: Millis::new(500),
            max_backoff_ms: Millis::new(8_000),
            max_wait_ms: Millis::new(5_000),
            before_fallback_ms: Millis::ZERO,
        }
    }
}

/// Limits for each phase of an attempt. `None` means no limit here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the headers of a streamed answer. It stands for a limit on connecting: the platform
    /// does not show when a connection is open, and an answer that is not streamed sends its
    /// headers only when it is finished.
    pub connect_ms: Option<Millis>,
    /// Until the headers of any answer.
    pub headers_ms: Option<Millis>,
    /// Until the first content of a streamed answer.
    pub first_token_ms: Option<Millis>,
    /// Between two pieces of a streamed answer.
    pub idle_ms: Option<Millis>,
    /// Until the end of the attempt.
    pub total_ms: Option<Millis>,
}

impl Timeouts {
    /// These limits, with those of `other` for the phases that have none.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            connect_ms: self.connect_ms.or(other.connect_ms),
            headers_ms: self.headers_ms.or(other.headers_ms),
            first_token_ms: self.first_token_ms.or(other.first_token_ms),
            idle_ms: self.idle_ms.or(other.idle_ms),
            total_ms: self.total_ms.or(other.total_ms),
        }
    }
}

/// The commit point: when the answer starts to flow to the client. After it, the target cannot
/// change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// After a good status.
    Headers,
    /// After the first event with content.
    FirstToken,
    /// When the upstream has finished.
    Complete,
}

/// A rule. It chooses the node, in place of the request's `model`.
#[derive(Debug)]
pub struct Rule {
    /// The condition for the rule.
    pub when: Condition,
    /// The node that the rule chooses. It is always a named node.
    pub node: Rc<Node>,
}

impl AsRef<Condition> for Rule {
    fn as_ref(&self) -> &Condition {
        &self.when
    }
}
