//! Compiles nodes. Inner nodes are built first, because outer nodes own them.

use std::rc::Rc;

use super::compiler::Compiler;
use super::size::SubtreeSize;
use crate::routes::at::At;
use crate::routes::cases::Cases;
use crate::routes::graph::{AnswerCache, Destination, Node, Strategy, Target};
use crate::routes::raw::{RawArrow, RawCache, RawDestination, RawNode, RawStrategy, RawTarget};
use crate::routes::when::Condition;
use crate::usage::price::Price;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::sorted;
use crate::vocabulary::time::Millis;

/// The deepest nesting of nodes. Building a node and explaining a failed request are recursive, and
/// the stack of a Worker is small.
const MAX_DEPTH: usize = 64;
/// The most paths from a node to deployments. Nodes with several parents multiply the paths, and
/// one request may have to walk all of them.
const MAX_WAYS: usize = 10_000;

impl<'a> Compiler<'a> {
    /// The node with this name. It is built at its first use.
    pub(super) fn named_node(&mut self, name: &'a str) -> Option<Rc<Node>> {
        if let Some(built) = self.nodes.get(name) {
            return built.clone();
        }
        let section = At::Root.key("models");
        self.in_progress.push(name);
        let node =
            self.raw.models.get(name).and_then(|raw| self.node(raw, section.key(name), name.to_owned()));
        self.in_progress.pop();
        self.nodes.insert(name, node.clone());
        node
    }

    /// The destination that a name, or an inline node, refers to.
    pub(super) fn place(&mut self, place: &'a RawDestination, at: At<'_>) -> Option<Destination> {
        match place {
            RawDestination::Name(name) => self.destination(name, at),
            RawDestination::Node(node) => self.node(node, at, at.to_string()).map(Destination::Node),
        }
    }

    fn destination(&mut self, name: &'a str, at: At<'_>) -> Option<Destination> {
        if self.raw.models.contains_key(name) {
            let Some(start) = self.in_progress.iter().position(|outer| *outer == name) else {
                return self.named_node(name).map(Destination::Node);
            };
            let way: Vec<_> = self.in_progress.iter().skip(start).copied().chain([name]).collect();
            let found = format!("a cycle: {}", way.join(" -> "));
            self.report.refuse_found(at, found, "no way from a node back to itself", None);
            return None;
        }
        if let Some(deployment) = self.deployments.get(name) {
            return Some(Destination::Deployment(Rc::clone(deployment)));
        }
        let is_declared = self.is_declared("models", name) || self.is_declared("deployments", name);
        if !is_declared {
            let names: Vec<_> = self.declared("models").chain(self.declared("deployments")).collect();
            self.report.refuse_name(at, name, "the name of a deployment or a node", names);
        }
        None
    }

    fn node(&mut self, raw: &'a RawNode, at: At<'_>, name: String) -> Option<Rc<Node>> {
        // The limit also applies during recursion, before the size is known: see `MAX_DEPTH`.
        if self.depth >= MAX_DEPTH {
            self.refuse_depth(at);
            return None;
        }
        self.depth += 1;
        let node = self.node_here(raw, at, name);
        self.depth -= 1;
        node
    }

    fn node_here(&mut self, raw: &'a RawNode, at: At<'_>, name: String) -> Option<Rc<Node>> {
        // If the strategy failed the shape check, it is unknown which keys it reads.
        let is_known = raw.strategy.is_some() || !self.report.is_settled(&at.key("strategy").to_string());
        let strategy = raw.strategy.unwrap_or(RawStrategy::Priority);
        if is_known {
            self.refuse_inert(raw, strategy, at);
        }
        let ordered = match strategy {
            RawStrategy::Match => self.cases(raw, at, &name),
            _ => self.targets(raw, at).map(|targets| (strategy_of(strategy), targets)),
        };
        let policy = self.policy(&raw.into(), at);
        let requirements = self.requirements(raw.min_quality, &raw.require_tags, at);
        let on = self.edges(raw.on.as_ref(), at.key("on"));
        let ((strategy, targets), on) = ordered.zip(on)?;
        let size = self.size(&strategy, &targets, &on, at)?;
        let lacking = match strategy {
            Strategy::Nearest if !size.has_region => Some("region"),
            Strategy::Cost if !size.has_price => Some("cost"),
            _ => None,
        };
        if let Some(key) = lacking {
            let note =
                format!("no deployment below has a `{key}`, so to this strategy all targets are alike");
            self.report.warn(
                at.key("strategy"),
                "nothing_to_compare",
                format!("deployments with a `{key}`"),
                note,
            );
        }
        for (key, is_set) in [("hedge", policy.hedge.is_some()), ("sticky", policy.sticky.is_some())] {
            if is_set && !size.has_choice {
                let note = "as it is, there is nothing to choose from, and it has no effect";
                self.report.warn(
                    at.key(key),
                    "nothing_to_choose",
                    "a node with two targets at least, here or below",
                    note,
                );
            }
        }
        let destinations = targets.iter().map(|target| &target.to).chain(on.iter().map(|(_, to)| to));
        let highest_price = destinations.map(Destination::highest_price).fold(Price::default(), Price::max);
        let cache = raw.cache.as_ref().and_then(|cache| self.cache(cache, &name, at.key("cache")));
        let id = self.sizes.len();
        self.sizes.push(size);
        let (max_attempts, deadline_ms) = (raw.max_attempts, raw.deadline_ms.map(Millis::from));
        Some(Rc::new(Node {
            id,
            name,
            strategy,
            targets,
            policy,
            max_attempts,
            deadline_ms,
            requirements,
            on,
            reads_place: size.has_nearest,
            highest_price,
            cache,
        }))
    }

    /// `name`: that of the node. An inline node, which has its path as its name, is never the entry
    /// node of a request.
    #[inline(never)]
    fn cache(&mut self, raw: &RawCache, name: &str, at: At<'_>) -> Option<AnswerCache> {
        if at.to_string().strip_suffix(".cache") == Some(name) {
            self.report.refuse(at, "no such key here: only a node with a name of its own keeps answers");
            return None;
        }
        let list = at.key("by");
        let keys = raw.by.iter().enumerate().map(|(index, by)| self.affinity(by, list.index(index)));
        let keys: Vec<_> = keys.collect();
        let by = keys.into_iter().collect::<Option<Vec<_>>>()?;
        for key in &by {
            key.gather(&mut self.reads);
        }
        Some(AnswerCache { ttl_seconds: raw.ttl, by, is_single_flight: raw.single_flight })
    }

    /// Refuses keys that the strategy does not read: the author expects an effect that they do not
    /// have.
    fn refuse_inert(&mut self, raw: &RawNode, strategy: RawStrategy, at: At<'_>) {
        let is_match = strategy == RawStrategy::Match;
        for (key, is_inert) in [
            ("targets", is_match && raw.targets.is_some()),
            ("cases", !is_match && raw.cases.is_some()),
            ("else", !is_match && raw.otherwise.is_some()),
        ] {
            if is_inert {
                let readers = if is_match { "every strategy but match" } else { "only the strategy match" };
                self.report.refuse(at.key(key), format!("no such key here: {readers} reads it"));
            }
        }
        let reads_priority = matches!(strategy_of(strategy), Strategy::Priority);
        let reads_weight = reads_priority || matches!(strategy_of(strategy), Strategy::Weighted);
        let arrows: Vec<_> = raw.targets.iter().flatten().map(arrow).collect();
        let has_priority = |arrow: Option<&RawArrow>| arrow.is_some_and(|arrow| arrow.priority.is_some());
        let is_numbered = reads_priority && arrows.iter().copied().any(has_priority);
        let list = at.key("targets");
        for (index, arrow) in arrows.into_iter().enumerate() {
            let at = list.index(index);
            if arrow.is_some_and(|arrow| arrow.weight.is_some()) && !reads_weight {
                self.report.refuse(
                    at.key("weight"),
                    "no such key here: only the strategies weighted and priority read it",
                );
            }
            if has_priority(arrow) && !reads_priority {
                self.report
                    .refuse(at.key("priority"), "no such key here: only the strategy priority reads it");
            }
            if !has_priority(arrow) && is_numbered {
                self.report.refuse(at.key("priority"), "a number, since other targets here have one");
            }
        }
    }

    fn targets(&mut self, raw: &'a RawNode, at: At<'_>) -> Option<Vec<Target>> {
        let list_at = at.key("targets");
        let list = raw.targets.as_deref().unwrap_or_default();
        if list.is_empty() {
            self.report.refuse(list_at, "a list with at least one target");
            return None;
        }
        let mut targets = Vec::with_capacity(list.len());
        for (index, target) in list.iter().enumerate() {
            let at = list_at.index(index);
            let to = match target {
                RawTarget::Name(name) => self.destination(name, at),
                RawTarget::Arrow(arrow) => self.place(&arrow.to, at.key("use")),
                RawTarget::Node(node) => self.node(node, at, at.to_string()).map(Destination::Node),
            };
            let weight = arrow(target).and_then(|arrow| arrow.weight).unwrap_or(1.0);
            // Without `priority`, the order of the list is the order of the tiers.
            let place = u32::try_from(index).unwrap_or(u32::MAX);
            let priority = arrow(target).and_then(|arrow| arrow.priority).unwrap_or(place);
            // The loop continues after a failure, to report the issues of the other targets.
            targets.extend(to.map(|to| Target { to, weight, priority }));
        }
        if list
            .iter()
            .all(|target| arrow(target).and_then(|arrow| arrow.weight).is_some_and(|weight| weight <= 0.0))
        {
            self.report.refuse_found(
                list_at,
                "only weights of 0",
                "a weight above 0 for at least one target",
                None,
            );
        }
        self.unset_weights(list, &targets, raw.strategy, list_at);
        (targets.len() == list.len()).then_some(targets)
    }

    /// Warns of targets without a weight beside targets that have one: they get a weight of 1.
    #[inline(never)]
    fn unset_weights(
        &mut self,
        list: &[RawTarget],
        targets: &[Target],
        strategy: Option<RawStrategy>,
        at: At<'_>,
    ) {
        let weight = |target: &RawTarget| arrow(target).and_then(|arrow| arrow.weight);
        // With `priority`, only the targets of a tier share its traffic.
        let has_tiers = matches!(strategy_of(strategy.unwrap_or(RawStrategy::Priority)), Strategy::Priority);
        let tier = |target: &Target| if has_tiers { target.priority } else { 0 };
        let shared =
            list.iter().zip(targets).filter(|(target, _)| weight(target).is_some_and(|weight| weight > 0.0));
        let shared = sorted::set(shared.map(|(_, compiled)| tier(compiled)));
        for (index, (target, compiled)) in list.iter().zip(targets).enumerate() {
            if weight(target).is_none() && shared.contains(&tier(compiled)) {
                self.report.warn(
                    at.index(index),
                    "unset_weight",
                    "a `weight`, since other targets here have one",
                    "without one it has a weight of 1",
                );
            }
        }
    }

    fn cases(&mut self, raw: &'a RawNode, at: At<'_>, name: &str) -> Option<(Strategy, Vec<Target>)> {
        let list_at = at.key("cases");
        let list = raw.cases.as_deref().unwrap_or_default();
        if list.is_empty() {
            self.report.refuse(list_at, "a list with at least one case");
            return None;
        }
        let mut conditions = Vec::with_capacity(list.len() + 1);
        let mut targets = Vec::with_capacity(list.len() + 1);
        for (index, case) in list.iter().enumerate() {
            let at = list_at.index(index);
            let chosen = match &case.to {
                RawDestination::Name(to) => format!("{name}/{to}"),
                RawDestination::Node(_) => format!("{name}/{index}"),
            };
            conditions.push(self.condition(&case.when, at.key("when"), &chosen));
            targets.push(self.place(&case.to, at.key("use")));
        }
        if let Some(otherwise) = &raw.otherwise {
            conditions.push(Condition::Always);
            targets.push(self.place(otherwise, at.key("else")));
        }
        let target = |to: Option<Destination>| to.map(|to| Target { to, weight: 1.0, priority: 0 });
        let targets: Option<Vec<_>> = targets.into_iter().map(target).collect();
        targets.map(|targets| (Strategy::Match(conditions.into()), targets))
    }

    fn size(
        &mut self,
        strategy: &Strategy,
        targets: &[Target],
        on: &[(ErrorClass, Destination)],
        at: At<'_>,
    ) -> Option<SubtreeSize> {
        let has_choice = targets.len() > 1 && !matches!(strategy, Strategy::Match(_));
        let has_nearest = matches!(strategy, Strategy::Nearest);
        let mut size =
            SubtreeSize { depth: 1, ways: 0, has_region: false, has_price: false, has_choice, has_nearest };
        let ordered = targets.iter().map(|target| (&target.to, true));
        for (destination, is_ordered) in ordered.chain(on.iter().map(|(_, to)| (to, false))) {
            let below = match destination {
                Destination::Deployment(deployment) => SubtreeSize {
                    depth: 0,
                    ways: 1,
                    has_region: deployment.region.is_some(),
                    has_price: deployment.cost.is_some(),
                    has_choice: false,
                    has_nearest: false,
                },
                Destination::Node(node) => *self.sizes.get(node.id)?,
            };
            size.depth = size.depth.max(below.depth + 1);
            // This cannot overflow: no node below has more than `MAX_WAYS`.
            size.ways += below.ways;
            size.has_region |= is_ordered && below.has_region;
            size.has_price |= is_ordered && below.has_price;
            size.has_choice |= below.has_choice;
            size.has_nearest |= below.has_nearest;
        }
        if size.depth > MAX_DEPTH {
            self.refuse_depth(at);
            return None;
        }
        if size.ways > MAX_WAYS {
            let found = format!("{} ways from this node to deployments", size.ways);
            self.report.refuse_found(at, found, format!("at most {MAX_WAYS}"), None);
            return None;
        }
        Some(size)
    }

    /// Reports excessive depth once: if a chain is too long, each of its parts may be too long.
    fn refuse_depth(&mut self, at: At<'_>) {
        if std::mem::replace(&mut self.is_too_deep, true) {
            return;
        }
        let expected = format!("at most {MAX_DEPTH}");
        self.report.refuse_found(at, format!("nodes nested more than {MAX_DEPTH} deep"), expected, None);
    }
}

/// The target as an object with `use`, `weight` and `priority`, if it has this form.
fn arrow(target: &RawTarget) -> Option<&RawArrow> {
    match target {
        RawTarget::Arrow(arrow) => Some(arrow),
        RawTarget::Name(_) | RawTarget::Node(_) => None,
    }
}

/// The strategy of a node with targets.
fn strategy_of(raw: RawStrategy) -> Strategy {
    use RawStrategy as Raw;
    match raw {
        Raw::Priority | Raw::Fallback => Strategy::Priority,
        Raw::Weighted | Raw::LoadBalance | Raw::RandomWeighted => Strategy::Weighted,
        Raw::RoundRobin => Strategy::RoundRobin,
        Raw::Random => Strategy::Random,
        Raw::Latency => Strategy::Latency,
        Raw::Cost => Strategy::Cost,
        Raw::LeastBusy => Strategy::LeastBusy,
        Raw::Nearest => Strategy::Nearest,
        Raw::Match => Strategy::Match(Cases::default()),
    }
}
