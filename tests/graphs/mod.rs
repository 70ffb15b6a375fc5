//! Graphs for tests, built by hand or at random.

use std::collections::BTreeMap;
use std::rc::Rc;

use proptest::prelude::*;
use switchyard::attempt::attempt_budgets::AttemptBudgets;
use switchyard::attempt::context::Context;
use switchyard::balance::cursors::Cursors;
use switchyard::health::{GateChange, Health};
use switchyard::routes::cases::Cases;
use switchyard::routes::graph::RateLimits;
use switchyard::routes::graph::{
    Capabilities, Deployment, Destination, Disabled, Expose, Graph, HealthSharing, Hedge, HedgeAfter, Node,
    Params, Policy, Requirements, Retry, Secret, Settings, Strategy as Order, StreamUsage, Target, Timeouts,
    Upstream, WhenAllEjected,
};
use switchyard::routes::prefix_map::PrefixMap;
use switchyard::routes::reads::Reads;
use switchyard::usage::price::Price;
use switchyard::vocabulary::error_class::{ErrorClass, Triggers};
use switchyard::vocabulary::facts::{Facts, Place};
use switchyard::vocabulary::needs::Needs;
use switchyard::vocabulary::operation::Operation;
use switchyard::vocabulary::rng::SplitMix64;
use switchyard::vocabulary::time::{Instant, Millis};

/// The facts of a plain chat request.
pub fn facts() -> Facts {
    Facts {
        method: "POST".to_owned(),
        path: "/v1/chat/completions".to_owned(),
        query: BTreeMap::new(),
        operation: Operation::ChatCompletions,
        model: "m".to_owned(),
        client: "test".to_owned(),
        key: String::new(),
        headers: BTreeMap::new(),
        metadata: BTreeMap::new(),
        place: Place::default(),
        body: BTreeMap::new(),
        labels: Rc::default(),
        texts: Vec::new(),
        input_tokens: 100,
        max_output_tokens: None,
        needs: Needs::default(),
        is_streamed: false,
        is_replayable: true,
        has_side_effects: false,
        is_done_once: false,
        previous_response_id: None,
        owner: None,
        patience_ms: None,
        upload_ms: Millis::ZERO,
        draw: 0.5,
    }
}

/// What the machines of one isolate share.
pub struct Isolate {
    pub rng: SplitMix64,
    pub cursors: Cursors,
    pub health: Health,
    pub budgets: AttemptBudgets,
    pub changes: Vec<GateChange>,
}

impl Isolate {
    /// A new isolate, which knows nothing about its deployments.
    pub fn new(graph: &Graph, seed: u64) -> Self {
        let mut rng = SplitMix64::new(seed);
        let cursors = Cursors::new(graph.node_count, &mut rng);
        let health =
            Health::new(graph.deployments.iter().map(|found| (found.identity.clone(), found.limits)));
        Self { cursors, rng, health, budgets: AttemptBudgets::default(), changes: Vec::new() }
    }

    pub fn context(&mut self, now: Instant) -> Context<'_> {
        let Self { rng, cursors, health, budgets, changes } = self;
        Context { now, rng, cursors, health, budgets, changes, notes: None }
    }
}

/// Builds a graph.
pub struct Builder {
    deployments: Vec<Rc<Deployment>>,
    nodes: usize,
    pub settings: Settings,
}

impl Builder {
    /// Starts with OpenAI deployments of these names. Each of them has its own account.
    pub fn new(names: &[&str]) -> Self {
        let deployments = names.iter().enumerate().map(|(id, name)| Rc::new(deployment(id, name))).collect();
        let settings = Settings {
            deadline_ms: Millis::new(300_000),
            max_attempts: 4,
            policy: Policy::default(),
            requirements: Requirements::default(),
            on: Vec::new(),
            buffer_bytes: 1 << 20,
            refresh_ms: Millis::new(30_000),
            max_stale_ms: Millis::new(120_000),
            expose: Expose::default(),
            cors_origins: Vec::new(),
            keepalive_ms: Millis::new(10_000),
            webhooks: Vec::new(),
            health: HealthSharing::default(),
            log_sample: 1.0,
            usage: StreamUsage::Estimate,
            limits: Vec::new(),
            limits_unreachable: None,
        };
        Self { deployments, nodes: 0, settings }
    }

    /// Changes a deployment. The call must come before any node points to the deployment.
    pub fn edit(&mut self, name: &str, change: impl FnOnce(&mut Deployment)) {
        let deployment = self.deployments.iter_mut().find(|deployment| deployment.name == name).unwrap();
        change(Rc::get_mut(deployment).unwrap());
    }

    pub fn deployment(&self, name: &str) -> Destination {
        Destination::Deployment(Rc::clone(
            self.deployments.iter().find(|deployment| deployment.name == name).unwrap(),
        ))
    }

    pub fn node(&mut self, strategy: Order, names: &[&str]) -> Rc<Node> {
        self.node_with(strategy, names, |_| {})
    }

    pub fn node_with(&mut self, strategy: Order, names: &[&str], change: impl FnOnce(&mut Node)) -> Rc<Node> {
        let targets = names.iter().map(|name| self.deployment(name)).collect();
        self.over(strategy, targets, change)
    }

    pub fn weighted(&mut self, weights: &[(&str, f64)]) -> Rc<Node> {
        let names: Vec<&str> = weights.iter().map(|(name, _)| *name).collect();
        self.node_with(Order::Weighted, &names, |node| {
            for (target, (_, weight)) in node.targets.iter_mut().zip(weights) {
                target.weight = *weight;
            }
        })
    }

    pub fn over(
        &mut self,
        strategy: Order,
        to: Vec<Destination>,
        change: impl FnOnce(&mut Node),
    ) -> Rc<Node> {
        let targets = (0..).zip(to).map(|(priority, to)| Target { to, weight: 1.0, priority }).collect();
        let mut node = Node {
            id: self.nodes,
            name: format!("n{}", self.nodes),
            strategy,
            targets,
            policy: Policy::default(),
            max_attempts: None,
            deadline_ms: None,
            requirements: Requirements::default(),
            on: Vec::new(),
            reads_place: false,
            highest_price: Price::default(),
            cache: None,
        };
        change(&mut node);
        self.nodes += 1;
        Rc::new(node)
    }

    pub fn graph(self) -> Rc<Graph> {
        Rc::new(Graph {
            longest_deadline_ms: self.settings.deadline_ms,
            version: "test".to_owned(),
            settings: self.settings,
            clients: None,
            deployments: self.deployments,
            models: BTreeMap::new(),
            rules: Cases::default(),
            reads: Reads::default(),
            prefixes: PrefixMap::default(),
            node_count: self.nodes,
        })
    }
}

fn deployment(id: usize, name: &str) -> Deployment {
    Deployment {
        id,
        name: name.to_owned(),
        upstream: Upstream::OpenAi {
            base: "https://api.openai.com/v1".to_owned(),
            model: "gpt-4o".to_owned(),
            organization: None,
            project: None,
        },
        via: None,
        api_key: Secret::new(name),
        other_keys: Vec::new(),
        entra: None,
        disabled: None,
        region: None,
        quality: 0,
        tags: Vec::new(),
        cost: None,
        capabilities: Capabilities::default(),
        timeout: Timeouts::default(),
        params: Params::default(),
        limits: RateLimits::default(),
        ejections: switchyard::routes::graph::Ejections::default(),
        identity: name.to_owned(),
    }
}

/// A random graph, as plain data that proptest can shrink.
#[derive(Debug, Clone)]
pub struct Recipe {
    deployments: Vec<(u32, bool, bool)>,
    /// Each node points to deployments and to earlier nodes. The last node is the entry node.
    nodes: Vec<NodeRecipe>,
    max_attempts: u32,
    deadline_ms: u64,
    min_quality: u32,
}

#[derive(Debug, Clone)]
struct NodeRecipe {
    strategy: u8,
    targets: Vec<usize>,
    fallback_on: Option<Vec<ErrorClass>>,
    edge: Option<(ErrorClass, usize)>,
    retry: Option<(Vec<ErrorClass>, u32)>,
    max_attempts: Option<u32>,
    deadline_ms: Option<u64>,
    min_quality: u32,
    tagged: bool,
    /// The delay of the hedge in milliseconds.
    hedge: Option<u64>,
    fails_when_all_ejected: bool,
}

/// Any small graph.
pub fn recipe() -> impl Strategy<Value = Recipe> {
    let classes = || proptest::collection::vec(proptest::sample::select(ErrorClass::ALL.to_vec()), 0..6);
    let node = (
        (0..8_u8, proptest::collection::vec(any::<usize>(), 1..5)),
        proptest::option::of(classes()),
        proptest::option::of((proptest::sample::select(ErrorClass::ALL.to_vec()), any::<usize>())),
        proptest::option::weighted(0.3, (classes(), 0..4_u32)),
        proptest::option::weighted(0.3, 1..5_u32),
        proptest::option::weighted(0.3, 1..200_000_u64),
        (prop_oneof![4 => Just(0), 1 => 1..3_u32], proptest::bool::weighted(0.1)),
        (proptest::option::weighted(0.3, 1..2_000_u64), proptest::bool::weighted(0.2)),
    )
        .prop_map(
            |(
                (strategy, targets),
                fallback_on,
                edge,
                retry,
                max_attempts,
                deadline_ms,
                (min_quality, tagged),
                (hedge, fails_when_all_ejected),
            )| {
                NodeRecipe {
                    strategy,
                    targets,
                    fallback_on,
                    edge,
                    retry,
                    max_attempts,
                    deadline_ms,
                    min_quality,
                    tagged,
                    hedge,
                    fails_when_all_ejected,
                }
            },
        );
    (
        proptest::collection::vec((0..4_u32, any::<bool>(), proptest::bool::weighted(0.1)), 1..6),
        proptest::collection::vec(node, 1..6),
        1..10_u32,
        1..400_000_u64,
        prop_oneof![4 => Just(0), 1 => 1..3_u32],
    )
        .prop_map(|(deployments, nodes, max_attempts, deadline_ms, min_quality)| Recipe {
            deployments,
            nodes,
            max_attempts,
            deadline_ms,
            min_quality,
        })
}

impl Recipe {
    /// The graph and its entry node.
    pub fn build(&self) -> (Rc<Graph>, Rc<Node>) {
        let names: Vec<String> = (0..self.deployments.len()).map(|index| format!("d{index}")).collect();
        let mut build = Builder::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
        build.settings.max_attempts = self.max_attempts;
        build.settings.deadline_ms = Millis::new(self.deadline_ms);
        build.settings.requirements.min_quality = self.min_quality;
        for (name, (quality, tagged, disabled)) in names.iter().zip(&self.deployments) {
            build.edit(name, |deployment| {
                deployment.quality = *quality;
                deployment.tags = if *tagged { vec!["eu".to_owned()] } else { Vec::new() };
                deployment.disabled = disabled.then(|| Disabled { variable: "KEY".to_owned() });
            });
        }
        let mut nodes: Vec<Rc<Node>> = Vec::new();
        for recipe in &self.nodes {
            let pick = |build: &Builder, choice: usize| {
                let choice = choice % (names.len() + nodes.len());
                names.get(choice).map_or_else(
                    || Destination::Node(Rc::clone(&nodes[choice - names.len()])),
                    |name| build.deployment(name),
                )
            };
            let targets = recipe.targets.iter().map(|choice| pick(&build, *choice)).collect();
            let edge = recipe.edge.map(|(class, choice)| (class, pick(&build, choice)));
            let triggers =
                |classes: &Vec<ErrorClass>| Triggers { classes: classes.clone(), statuses: Vec::new() };
            let strategy = match recipe.strategy {
                0 => Order::Priority,
                1 => Order::Weighted,
                2 => Order::RoundRobin,
                3 => Order::Random,
                4 => Order::Cost,
                5 => Order::Nearest,
                6 => Order::LeastBusy,
                _ => Order::Latency,
            };
            let node = build.over(strategy, targets, |node| {
                node.policy.fallback_on = recipe.fallback_on.as_ref().map(triggers);
                node.policy.retry = recipe.retry.as_ref().map(|(classes, attempts)| Retry {
                    states_on: true,
                    on: triggers(classes),
                    attempts: *attempts,
                    backoff_ms: Millis::new(100),
                    max_backoff_ms: Millis::new(1_000),
                    max_wait_ms: Millis::new(5_000),
                    before_fallback_ms: Millis::ZERO,
                });
                node.policy.hedge =
                    recipe.hedge.map(|ms| Hedge { after: HedgeAfter::Ms(Millis::new(ms)), max_share: 1.0 });
                node.policy.when_all_ejected = recipe.fails_when_all_ejected.then_some(WhenAllEjected::Fail);
                node.on = edge.into_iter().collect();
                node.max_attempts = recipe.max_attempts;
                node.deadline_ms = recipe.deadline_ms.map(Millis::new);
                node.requirements.min_quality = recipe.min_quality;
                node.requirements.require_tags =
                    if recipe.tagged { vec!["eu".to_owned()] } else { Vec::new() };
            });
            nodes.push(node);
        }
        let entry = Rc::clone(nodes.last().unwrap());
        // The first edge is one of the settings too.
        if let Some((class, choice)) = self.nodes.iter().find_map(|recipe| recipe.edge) {
            let deployment = build.deployment(&names[choice % names.len()]);
            let first = Destination::Node(Rc::clone(&nodes[0]));
            build.settings.on = vec![(class, if choice % 2 == 0 { deployment } else { first })];
        }
        (build.graph(), entry)
    }
}
