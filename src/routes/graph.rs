//! The compiled routes document: what the machine walks.
//!
//! Built only by [`crate::routes::compile`], and correct by construction: nodes own what they point to, so there is no name
//! to look up, no cycle, no empty node and no unknown error class; whatever reads the graph asks for none of that again.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use super::affinity_key::AffinityKey;
use super::cases::Cases;
use super::prefix_map::PrefixMap;
use super::reads::Reads;
use super::when::Condition;
use crate::routes::glob::Glob;
use crate::vocabulary::error_class::{ErrorClass, Triggers};
use crate::vocabulary::rng::stable_hash;
use crate::vocabulary::time::Millis;

/// A routes document, compiled.
#[derive(Debug)]
pub struct Graph {
    /// Short hash of the document, shown as `x-switchyard-routes`.
    pub version: String,
    /// Gateway-wide settings and defaults.
    pub settings: Settings,
    /// Who may call; `None` where the document has no `clients` section.
    pub clients: Option<Vec<Client>>,
    /// Every deployment, by its `id`.
    pub deployments: Vec<Rc<Deployment>>,
    /// The named nodes: what clients may write as `model`.
    pub models: BTreeMap<String, Rc<Node>>,
    /// Rules in order; the first that matches chooses the node.
    pub rules: Cases<Rule>,
    /// What rules and `when`s read of a request.
    pub reads: Reads,
    /// Path prefixes that rules stand for, without the trailing slash: `/ai/azure`.
    pub prefixes: PrefixMap,
    /// How many nodes there are, inline ones included; `Node::id` is below it.
    pub node_count: usize,
}

/// Gateway-wide settings. Every field has its default filled in.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Default of the node key of this name.
    pub deadline_ms: Millis,
    /// Default of the node key of this name.
    pub max_attempts: u32,
    /// Defaults of the node keys of these names.
    pub policy: Policy,
    /// Defaults of `min_quality` and `require_tags`; they bind every node.
    pub requirements: Requirements,
    /// Edges for what no node on the way had an edge for.
    pub on: Vec<(ErrorClass, Destination)>,
    /// Bodies up to this size are kept, so that they can be sent again; larger ones are sent once, streamed.
    pub buffer_bytes: usize,
    /// How old the routes document may be before it is fetched again, in the background.
    pub refresh_ms: Millis,
    /// What of the `x-switchyard-*` and `server-timing` headers clients may see.
    pub expose: Expose,
    /// Origins that browsers may call from; empty: no CORS.
    pub cors_origins: Vec<Glob>,
    /// While an answer is held with `commit: complete`, a comment goes to the client this often.
    pub keepalive_ms: Millis,
    /// How health is shared between isolates.
    pub health: HealthSharing,
}

/// How health is shared between isolates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthSharing {
    /// Most reports that one Durable Object is to get in a second, from all isolates of its region together.
    pub reports_per_second: u32,
    /// Longest wait of a new isolate for what the others know already.
    pub first_snapshot_ms: Millis,
}

impl Default for HealthSharing {
    fn default() -> Self {
        Self { reports_per_second: 400, first_snapshot_ms: Millis::new(30) }
    }
}

/// Which response headers clients see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one switch a header")]
pub struct Expose {
    /// `x-switchyard-request-id`
    pub request_id: bool,
    /// `x-switchyard-model`
    pub model: bool,
    /// `x-switchyard-deployment`
    pub deployment: bool,
    /// `x-switchyard-attempts`
    pub attempts: bool,
    /// `x-switchyard-trail`
    pub trail: bool,
    /// `x-switchyard-routes`
    pub routes: bool,
    /// `server-timing`
    pub timing: bool,
}

impl Default for Expose {
    /// All of them.
    fn default() -> Self {
        Self {
            request_id: true,
            model: true,
            deployment: true,
            attempts: true,
            trail: true,
            routes: true,
            timing: true,
        }
    }
}

/// Someone who may call.
#[derive(Debug)]
pub struct Client {
    /// Its name in rules and logs.
    pub name: String,
    /// Its key; `None` where a variable is missing or of no use, and then nobody is this client.
    pub key: Option<Secret>,
    /// The nodes that it may use.
    pub models: Vec<Glob>,
}

impl Client {
    /// Whether its key opens the node of this name.
    pub fn may_use(&self, node: &str) -> bool {
        self.models.iter().any(|glob| glob.matches(node))
    }
}

/// A string that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    fingerprint: u64,
}

impl Secret {
    /// Keeps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        let text = secret.into();
        Self { fingerprint: Self::fingerprint_of(&text), text }
    }

    /// The secret itself: for a request header or a comparison in constant time, and for nothing else.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// The same for equal secrets, and as good as never for others. As secret as they are.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The fingerprint that a secret of this text has.
    pub fn fingerprint_of(text: &str) -> u64 {
        stable_hash(text.as_bytes())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// One (resource, model, key) that can serve a request.
#[derive(Debug)]
pub struct Deployment {
    /// Dense index into [`Graph::deployments`].
    pub id: usize,
    /// Its name in the document, trails and logs.
    pub name: String,
    /// The dialect it speaks and where.
    pub upstream: Upstream,
    /// Through which AI Gateway it is called, if any.
    pub via: Option<Via>,
    /// The credential; empty where there is none to send, or it is `disabled`.
    pub api_key: Secret,
    /// Why it takes no traffic: a variable that is missing or of no use.
    pub disabled: Option<Disabled>,
    /// Azure region, where known.
    pub region: Option<String>,
    /// Higher is better; compared with `min_quality`. 0 where not given.
    pub quality: u32,
    /// Compared with `require_tags`.
    pub tags: Vec<String>,
    /// US dollars per million tokens.
    pub cost: Option<Cost>,
    /// Its own timeouts, which nodes may override.
    pub timeout: Timeouts,
    /// Edits of the request body.
    pub params: Params,
    /// What the provider allows.
    pub limits: RateLimits,
    /// What its health is filed under, here and wherever health travels: its name, and a hash of its address, so that one
    /// that moved starts anew.
    pub identity: String,
}

impl Deployment {
    /// Whether what one of the two has stored, the other one has as well: it lies in the account, at OpenAI in the project, on Azure
    /// in the resource.
    pub fn shares_storage_with(&self, other: &Self) -> bool {
        match (&self.upstream, &other.upstream) {
            (
                Upstream::OpenAi { base, organization, project, .. },
                Upstream::OpenAi { base: base2, organization: organization2, project: project2, .. },
            ) => {
                (base, organization, project, &self.api_key)
                    == (base2, organization2, project2, &other.api_key)
            }
            (Upstream::Azure { resource, .. }, Upstream::Azure { resource: other, .. }) => resource == other,
            _ => false,
        }
    }
}

/// A deployment cannot be used because the environment lacks this variable, or has a value that cannot be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disabled {
    /// Name of the variable.
    pub variable: String,
}

/// A provider's dialect and address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// OpenAI, or anything compatible.
    OpenAi {
        /// Base URL with its `/v1`, without a trailing slash.
        base: String,
        /// What to write as `model`.
        model: String,
        /// `OpenAI-Organization`, if any.
        organization: Option<String>,
        /// `OpenAI-Project`, if any.
        project: Option<String>,
    },
    /// Azure OpenAI (Foundry).
    Azure {
        /// Resource URL without `/openai` and without a trailing slash: `https://NAME.openai.azure.com`.
        resource: String,
        /// Name of the deployment in that resource.
        deployment: String,
        /// Which of Azure's APIs.
        api: AzureApi,
    },
}

/// An API of Azure OpenAI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AzureApi {
    /// The one that grows without versions.
    V1 {
        /// With the features that are in preview.
        preview: bool,
    },
    /// The one before it, in a version such as `2024-10-21` or `2025-04-01-preview`.
    Dated(String),
}

impl Default for AzureApi {
    fn default() -> Self {
        Self::V1 { preview: false }
    }
}

/// A Cloudflare AI Gateway between us and the provider.
#[derive(Debug, Clone)]
pub struct Via {
    /// `https://gateway.ai.cloudflare.com/v1/{account}/{gateway}`, or a custom domain, without a trailing slash.
    pub base: String,
    /// Token with the right to run the gateway; `None` for a gateway without authentication.
    pub token: Option<Secret>,
}

/// US dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Of the prompt.
    pub input: f64,
    /// Of the completion.
    pub output: f64,
}

/// What a deployment may be sent, if configured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests a minute.
    pub rpm: Option<u32>,
    /// Tokens a minute.
    pub tpm: Option<u32>,
}

/// Edits of a JSON request body, applied in this order: drop, rename, set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Params {
    /// Top-level fields to take out.
    pub drop: Vec<String>,
    /// Top-level fields to call by another name, where the new name is not there yet.
    pub rename: Vec<(String, String)>,
    /// Top-level fields to set, whatever the client wrote.
    pub set: Vec<(String, Value)>,
}

/// A node of the graph: targets and a strategy that orders them.
#[derive(Debug)]
pub struct Node {
    /// Dense index below [`Graph::node_count`].
    pub id: usize,
    /// Its name; of an inline node the JSON path.
    pub name: String,
    /// How targets are put in order.
    pub strategy: Strategy,
    /// Never empty.
    pub targets: Vec<Target>,
    /// What to do on failure, for how long to wait, when to commit: set here, or left to the nodes outside.
    pub policy: Policy,
    /// Most attempts below this node.
    pub max_attempts: Option<u32>,
    /// Most time below this node.
    pub deadline_ms: Option<Millis>,
    /// What deployments below this node must offer.
    pub requirements: Requirements,
    /// Where to go after a failure of a class.
    pub on: Vec<(ErrorClass, Destination)>,
    /// Whether an order of this node, or of one that it leads to, depends on where a request comes from.
    pub reads_place: bool,
}

/// How a node orders its targets.
#[derive(Debug)]
pub enum Strategy {
    /// Lower `priority` first; equal ones form a tier that is spread by weight.
    Priority,
    /// A weighted draw, and again among what is left.
    Weighted,
    /// In turn.
    RoundRobin,
    /// Any order.
    Random,
    /// Fastest first.
    Latency,
    /// Cheapest first.
    Cost,
    /// Least requests in flight first.
    LeastBusy,
    /// Nearest to the client first.
    Nearest,
    /// The target of the first condition that holds, and no other. Conditions and targets pair up; `else` is a last
    /// condition that always holds.
    Match(Cases<Condition>),
}

/// An arrow to what a node may use.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where it leads.
    pub to: Destination,
    /// Share of a draw; 1 by default. Finite and not negative; 0 takes no traffic.
    pub weight: f64,
    /// Tier; lower is tried first.
    pub priority: u32,
}

impl Target {
    /// Whether one of the deployments that it leads to is wanted.
    pub fn leads_to(&self, is_wanted: &dyn Fn(&Deployment) -> bool) -> bool {
        match &self.to {
            Destination::Deployment(deployment) => is_wanted(deployment),
            Destination::Node(node) => node.targets.iter().any(|target| target.leads_to(is_wanted)),
        }
    }
}

/// The end of an arrow.
#[derive(Debug, Clone)]
pub enum Destination {
    /// A leaf.
    Deployment(Rc<Deployment>),
    /// An inner node.
    Node(Rc<Node>),
}

/// Requirements that fallback never crosses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirements {
    /// Least `quality` of a deployment; 0 asks nothing.
    pub min_quality: u32,
    /// Tags that a deployment must have, all of them.
    pub require_tags: Vec<String>,
}

/// Settings of which the nearest wins. `None`: ask the node outside, and `settings` last.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Failures that let a node try its next target.
    pub fallback_on: Option<Triggers>,
    /// Second tries of the same target.
    pub retry: Option<Retry>,
    /// Limits for each phase of an attempt.
    pub timeout: Timeouts,
    /// When the answer starts to flow.
    pub commit: Option<Commit>,
    /// A second attempt before the first has failed.
    pub hedge: Option<Hedge>,
    /// Keeps what belongs together on one deployment.
    pub sticky: Option<Sticky>,
    /// What to do when every candidate is ejected.
    pub when_all_ejected: Option<WhenAllEjected>,
}

/// A second attempt before the first has failed; the first answer counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hedge {
    /// How long the first attempt may take alone.
    pub after: HedgeAfter,
    /// Most of the node's requests that may be hedged, `0.0..=1.0`.
    pub max_share: f64,
}

/// When a hedge starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HedgeAfter {
    /// After so many milliseconds.
    Ms(Millis),
    /// After this percentile of the deployment's usual time, `1..=99`.
    Percentile(u8),
}

/// Keeps what belongs together on one deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sticky {
    /// What belongs together.
    pub by: AffinityKey,
    /// How long a key keeps its favourite before it gets a new one.
    pub ttl_ms: Millis,
}

/// What to do when every candidate is ejected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhenAllEjected {
    /// Try the one that is soonest to return, one request at a time.
    #[default]
    Probe,
    /// Answer at once.
    Fail,
}

/// Second tries of the same target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Failures worth a second try.
    pub on: Triggers,
    /// Second tries of one target; 0 forbids them.
    pub attempts: u32,
    /// First wait; doubled each time.
    pub backoff_ms: Millis,
    /// Longest wait of our own choice.
    pub max_backoff_ms: Millis,
    /// Longest `Retry-After` that is waited for.
    pub max_wait_ms: Millis,
}

impl Default for Retry {
    /// One second try of what time cures, with the waits of OpenAI's own SDKs.
    fn default() -> Self {
        Self {
            on: Triggers::of(ErrorClass::is_transient),
            attempts: 1,
            backoff_ms: Millis::new(500),
            max_backoff_ms: Millis::new(8_000),
            max_wait_ms: Millis::new(5_000),
        }
    }
}

/// Limits for each phase of an attempt. `None`: not limited here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the headers of a streamed answer. The platform does not show when a connection stands, and an answer that is
    /// not streamed sends its headers when it is finished, so this is as near as can be.
    pub connect_ms: Option<Millis>,
    /// Until the headers of any answer.
    pub headers_ms: Option<Millis>,
    /// Until the first content of a streamed answer.
    pub first_token_ms: Option<Millis>,
    /// Between two pieces of a streamed answer.
    pub idle_ms: Option<Millis>,
    /// The whole attempt.
    pub total_ms: Option<Millis>,
}

impl Timeouts {
    /// These limits, and those of `other` for the phases without one.
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

/// When the answer starts to flow to the client, and switching ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// With a good status.
    Headers,
    /// With the first event that carries content.
    FirstToken,
    /// When the upstream has finished.
    Complete,
}

/// A rule: it chooses the node before the model does.
#[derive(Debug)]
pub struct Rule {
    /// When it applies.
    pub when: Condition,
    /// The node it chooses: always a named one.
    pub node: Rc<Node>,
}

impl AsRef<Condition> for Rule {
    fn as_ref(&self) -> &Condition {
        &self.when
    }
}
