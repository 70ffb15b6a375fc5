//! Doubts about nodes.

use std::rc::Rc;

use super::reachable::{Reachable, below};
use super::{DoubtCollector, entry};
use crate::routes::graph::{Deployment, Node, Requirements, Retry, Strategy, Upstream};
use crate::vocabulary::needs::Feature;

/// The calls that OpenAI's SDKs make for one request: they retry twice by default.
const CALLS_OF_AN_SDK: u32 = 3;
/// So many retries of one target are more than a fallback needs.
const MANY_RETRIES: u32 = 3;

impl DoubtCollector<'_> {
    pub(super) fn nodes(&mut self, reach: &Reachable<'_>) {
        let graph = self.graph;
        let asked = graph.settings.requirements.min_quality;
        self.quality("settings", asked, graph.deployments.iter());
        for node in &reach.nodes {
            let is_named = graph.models.get(&node.name).is_some_and(|named| named.id == node.id);
            // An inline node has its path as its name.
            let path = if is_named { entry("models", &node.name) } else { node.name.clone() };
            let deadline_ms = node.deadline_ms.unwrap_or(graph.longest_deadline_ms);
            self.times(&path, &node.policy.timeout, deadline_ms);
            self.deadline(&path, node.deadline_ms);
            let max_attempts = node.max_attempts.unwrap_or(graph.settings.max_attempts);
            self.retries(&path, node.policy.retry.as_ref(), max_attempts);
            let reached = below(&node.targets, false);
            self.quality(&path, node.requirements.min_quality, reached.iter().copied());
            self.prices(&path, node, &reached);
            self.fallbacks(&path, node);
            if !reach.inner.contains(&node.id) {
                self.regions(&path, node);
            }
        }
    }

    pub(super) fn retries(&mut self, path: &str, retry: Option<&Retry>, max_attempts: u32) {
        let Some(attempts) = retry.map(|retry| retry.attempts).filter(|attempts| *attempts >= MANY_RETRIES)
        else {
            return;
        };
        let calls = max_attempts.min(attempts.saturating_add(1)).saturating_mul(CALLS_OF_AN_SDK);
        self.add(
            "retries_multiply",
            format!("{path}.retry.attempts"),
            &attempts.to_string(),
            "1 or 2, and another target for the rest",
            &format!(
                "OpenAI's SDKs retry twice themselves: one call can become {calls} calls of one deployment"
            ),
        );
    }

    fn quality<'d>(&mut self, path: &str, asked: u32, reached: impl Iterator<Item = &'d Rc<Deployment>>) {
        let best = reached.map(|deployment| deployment.quality).max().unwrap_or_default();
        if asked > best {
            self.add(
                "min_quality_unreached",
                format!("{path}.min_quality"),
                &asked.to_string(),
                &format!("at most {best}, the best `quality` of a deployment that it leads to"),
                "as it is, no deployment can serve here",
            );
        }
    }

    /// That no deployment has a price is a warning of `compile`.
    fn prices(&mut self, path: &str, node: &Node, reached: &[&Rc<Deployment>]) {
        let is_free = |deployment: &&&Rc<Deployment>| deployment.cost.is_none();
        let free = reached.iter().find(is_free).filter(|_| matches!(node.strategy, Strategy::Cost));
        if let Some(deployment) = free.filter(|_| reached.iter().any(|other| other.cost.is_some())) {
            self.add(
                "price_missing",
                format!("{path}.strategy"),
                &format!("the strategy cost, and no `cost` of deployment {}", deployment.name),
                "a `cost` of each deployment that it leads to",
                "a deployment without a price is tried last",
            );
        }
    }

    /// The first tier can do something that none of the others can.
    fn fallbacks(&mut self, path: &str, node: &Node) {
        if !matches!(node.strategy, Strategy::Priority) {
            return;
        }
        let Some(tier) = node.targets.iter().map(|target| target.priority).min() else { return };
        let first = below(node.targets.iter().filter(|target| target.priority == tier), false);
        let mut others = below(node.targets.iter().filter(|target| target.priority != tier), false);
        others.retain(|other| !first.iter().any(|deployment| deployment.id == other.id));
        if others.is_empty() {
            return;
        }
        let lacks = |deployment: &&&Rc<Deployment>, feature| deployment.capabilities.lacks.contains(feature);
        for feature in Feature::ALL {
            let first_can = first.iter().any(|deployment| !lacks(&deployment, feature));
            if first_can && others.iter().all(|deployment| lacks(&deployment, feature)) {
                self.no_fallback(path, &format!("no fallback for a request with {}", feature.in_a_request()));
            }
        }
        let longest = |deployments: &[&Rc<Deployment>]| {
            let known = deployments.iter().map(|deployment| deployment.capabilities.context_tokens);
            known.collect::<Option<Vec<u64>>>()?.into_iter().max()
        };
        if let Some((first, other)) =
            longest(&first).zip(longest(&others)).filter(|(first, other)| first > other)
        {
            self.no_fallback(path, &format!("no fallback for an input of {other} to {first} tokens"));
        }
    }

    fn no_fallback(&mut self, path: &str, found: &str) {
        self.add(
            "fallback_lacks",
            format!("{path}.targets"),
            found,
            "a fallback that can do what the first target can",
            "if the first target fails, these requests fail too",
        );
    }

    /// All deployments of a model that has several are in one region.
    fn regions(&mut self, path: &str, node: &Node) {
        let settings = &self.graph.settings.requirements;
        let mut reached = below(&node.targets, true);
        let has_edges = !node.on.is_empty() || !self.graph.settings.on.is_empty();
        reached.retain(|deployment| meets(deployment, settings) && meets(deployment, &node.requirements));
        let Some((first, others)) =
            reached.split_first().filter(|(_, others)| !others.is_empty() && !has_edges)
        else {
            return;
        };
        let is_one_region = first.region.is_some() && others.iter().all(|other| other.region == first.region);
        // A resource is in one region. If regions are stated, they tell.
        let is_one_resource = resource(first).is_some()
            && reached.iter().all(|other| other.region.is_none() && resource(other) == resource(first));
        if is_one_region || is_one_resource {
            self.add(
                "no_second_region",
                format!("{path}.targets"),
                &format!("one region for all {} deployments", reached.len()),
                "a deployment in another region, or of another provider",
                "an outage of the region takes all of them at once",
            );
        }
    }
}

fn meets(deployment: &Deployment, requirements: &Requirements) -> bool {
    deployment.quality >= requirements.min_quality
        && requirements.require_tags.iter().all(|tag| deployment.tags.contains(tag))
}

/// The resource at Azure, which is in one region.
fn resource(deployment: &Deployment) -> Option<&str> {
    match &deployment.upstream {
        Upstream::Azure { resource, .. } => Some(resource),
        Upstream::OpenAi { .. } => None,
    }
}
