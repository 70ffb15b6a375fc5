//! Which deployments a request can get to from its entry nodes.
//!
//! Invariant: a request for a stored object crosses nothing that a request for a model may not
//! cross: on the way to a deployment, its quality and tags satisfy every node, every target has
//! traffic, and `match` chooses.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::routes::graph::{Deployment, Destination, Graph, Node, Requirements, Strategy};
use crate::vocabulary::facts::Facts;

/// The deployments below these entry nodes, also behind their edges and those of the settings, by
/// id. `in_order`: in the order of the nodes; otherwise in the order of the deployments' names.
pub(super) fn reach(graph: &Graph, facts: &Facts, entries: &[&Rc<Node>], in_order: bool) -> Vec<usize> {
    let mut way = Way { facts, ids: Vec::new(), known: BTreeSet::new(), seen: BTreeSet::new() };
    let nothing = Required::default();
    for entry in entries {
        way.enter(entry, &nothing);
    }
    if !in_order {
        way.ids = way.known.iter().copied().collect();
    }
    if !way.ids.is_empty() {
        // An edge of the settings does not lead past the entry node.
        for entry in entries {
            let required = nothing.and(&entry.requirements);
            for (_, to) in &graph.settings.on {
                way.follow(to, &required);
            }
        }
    }
    way.ids
}

/// What is required on a way: the requirements of all its nodes.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Required<'a> {
    min_quality: u32,
    tags: BTreeSet<&'a str>,
}

impl<'a> Required<'a> {
    fn and(&self, more: &'a Requirements) -> Self {
        let mut tags = self.tags.clone();
        tags.extend(more.require_tags.iter().map(String::as_str));
        Self { min_quality: self.min_quality.max(more.min_quality), tags }
    }

    fn is_met_by(&self, deployment: &Deployment) -> bool {
        deployment.quality >= self.min_quality
            && self.tags.iter().all(|tag| deployment.tags.iter().any(|known| known == tag))
    }
}

struct Way<'a> {
    facts: &'a Facts,
    /// The deployments, in the order in which they were found.
    ids: Vec<usize>,
    known: BTreeSet<usize>,
    /// The nodes that were entered, with what was required there.
    seen: BTreeSet<(usize, Required<'a>)>,
}

impl<'a> Way<'a> {
    fn enter(&mut self, node: &'a Node, outer: &Required<'a>) {
        let required = outer.and(&node.requirements);
        if !self.seen.insert((node.id, required.clone())) {
            return;
        }
        let chosen = match &node.strategy {
            Strategy::Match(cases) => cases.first(self.facts).map_or(0..0, |case| case..case + 1),
            _ => 0..node.targets.len(),
        };
        for (index, target) in node.targets.iter().enumerate() {
            if chosen.contains(&index) && target.weight > 0.0 {
                self.follow(&target.to, &required);
            }
        }
        for (_, to) in &node.on {
            self.follow(to, &required);
        }
    }

    fn follow(&mut self, to: &'a Destination, required: &Required<'a>) {
        match to {
            Destination::Node(node) => self.enter(node, required),
            Destination::Deployment(deployment) => {
                if required.is_met_by(deployment) && self.known.insert(deployment.id) {
                    self.ids.push(deployment.id);
                }
            }
        }
    }
}
