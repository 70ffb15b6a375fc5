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
use super::client_guard::ClientGuard;
use super::entra::Entra;
use super::issue::nearest;
pub use super::limit_rule::{LimitKey, LimitRule, Unreachable};
pub use super::node_policy::{Commit, Hedge, HedgeAfter, Policy, Retry, Sticky, Timeouts, WhenAllEjected};
use super::prefix_map::PrefixMap;
use super::reads::Reads;
pub use super::secret::Secret;
pub use super::setting_groups::{Ejections, Expose, HealthSharing, StreamUsage};
pub use super::webhook::Webhook;
use super::when::Condition;
use crate::routes::glob::Glob;
use crate::usage::price::Price;
use crate::vocabulary::denial::Denial;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::time::{Instant, Millis};

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

    /// The highest price of a request that enters at this node, for each part of the price. An edge
    /// of the settings may lead further than the node.
    pub fn highest_price(&self, entry: &Node) -> Price {
        self.settings.on.iter().fold(entry.highest_price, |price, (_, to)| price.max(to.highest_price()))
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
    /// The limits of the whole gateway.
    pub limits: Vec<LimitRule>,
    /// What happens to a request while its limits cannot be checked, if the document says so.
    pub limits_unreachable: Option<Unreachable>,
}

/// A client that may call.
#[derive(Debug, Default, Clone)]
pub struct Client {
    /// The name in rules and logs.
    pub name: String,
    /// The key. `None` if its variable is missing or invalid; then nobody can call as this client.
    pub key: Option<Secret>,
    /// Patterns for the names of the nodes that the client may use.
    pub models: Vec<Glob>,
    /// Its limits.
    pub limits: Rc<[LimitRule]>,
    /// What else it may do. Shared with the keys that are issued for it.
    pub guard: Rc<ClientGuard>,
    /// Whether keys may be issued for it.
    pub allow_keys: bool,
    /// Whether these may have any form.
    pub imported_keys: bool,
    /// When its keys end.
    pub expires: Option<Instant>,
    /// The id of the issued key that the request came with; empty for the key of the document.
    pub issued_key: String,
    /// The models to which this key is narrowed further.
    pub key_models: Option<Vec<Glob>>,
    /// The limits of this key alone. Their names begin with its id.
    pub key_limits: Rc<[LimitRule]>,
}

impl Client {
    /// Whether the client may use the node of this name.
    pub fn may_use(&self, node: &str) -> bool {
        let has = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(node));
        has(&self.models) && self.key_models.as_deref().is_none_or(has)
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
    /// Further keys of the same account, in the order in which they are tried if it is refused.
    pub other_keys: Vec<Secret>,
    /// The application of Entra ID whose tokens it takes in place of a key.
    pub entra: Option<Box<Entra>>,
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

    /// All its keys, in the order in which they are tried.
    pub fn keys(&self) -> impl Iterator<Item = &Secret> {
        [&self.api_key].into_iter().chain(&self.other_keys)
    }

    /// The account whose stored objects it has. It is the same whichever of its keys is in use.
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
    /// The highest price of a deployment that it leads to, for each part of the price.
    pub highest_price: Price,
    /// How its answers are kept, if they are.
    pub cache: Option<AnswerCache>,
}

/// How the answers of an entry node are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerCache {
    /// How many seconds an answer is kept.
    pub ttl_seconds: u32,
    /// What has to be equal besides the client and the request.
    pub by: Vec<AffinityKey>,
    /// Whether equal requests at the same moment wait for the answer of the first one.
    pub is_single_flight: bool,
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

impl Destination {
    /// The highest price of a deployment that it leads to, for each part of the price.
    pub fn highest_price(&self) -> Price {
        match self {
            Self::Deployment(deployment) => deployment.cost.unwrap_or_default(),
            Self::Node(node) => node.highest_price,
        }
    }
}

/// Requirements on deployments. Fallback obeys them too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirements {
    /// The least `quality` of a deployment. 0 means no requirement.
    pub min_quality: u32,
    /// The tags that a deployment must have, all of them.
    pub require_tags: Vec<String>,
}

/// A rule. It chooses the node, in place of the request's `model`, or refuses the request.
#[derive(Debug)]
pub struct Rule {
    /// The condition for the rule.
    pub when: Condition,
    /// What happens to a request for which the condition holds.
    pub action: RuleAction,
}

/// What a rule decides.
#[derive(Debug)]
pub enum RuleAction {
    /// The request enters at this node, which is always a named one.
    Use(Rc<Node>),
    /// The request is refused.
    Deny(Denial),
}

impl AsRef<Condition> for Rule {
    fn as_ref(&self) -> &Condition {
        &self.when
    }
}
