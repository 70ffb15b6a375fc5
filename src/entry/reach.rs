//! Which deployments a request can get to from its entry nodes.
//!
//! Invariant: a request for a stored object crosses nothing that a request for a model may not
//! cross: on the way to a deployment, its quality and tags satisfy every node, every target has
//! traffic, and `match` chooses.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::routes::graph::{Deployment, Destination, Graph, Node, Requirements, Strategy};
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::facts::Facts;

/// The deployments below these entry nodes, also behind their edges and those of the settings, by
/// id. `in_order`: in the order of the nodes; otherwise in the order of the deployments' names.
pub(super) fn reach(graph: &Graph, facts: &Facts, entries: &[&Rc<Node>], in_order: bool) -> Vec<usize> {
    let mut way = Way::new(facts, None);
    let nothing = Required::default();
    for entry in entries {
        way.enter(entry, &nothing);
    }
    if !in_order {
        way.ids = way.known.iter().copied().collect();
    }
    if !way.ids.is_empty() {
        for entry in entries {
            way.leave(graph, entry);
        }
    }
    way.ids
}

/// The deployments below this node, also behind its edges for this error class and those of the
/// settings, by id.
pub(super) fn reach_by(graph: &Graph, facts: &Facts, entry: &Rc<Node>, class: ErrorClass) -> Vec<usize> {
    let mut way = Way::new(facts, Some(class));
    way.enter(entry, &Required::default());
    way.leave(graph, entry);
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
    /// The only error class whose edges are followed; `None`: all edges are.
    class: Option<ErrorClass>,
    /// The deployments, in the order in which they were found.
    ids: Vec<usize>,
    known: BTreeSet<usize>,
    /// The nodes that were entered, with what was required there.
    seen: BTreeSet<(usize, Required<'a>)>,
}

impl<'a> Way<'a> {
    fn new(facts: &'a Facts, class: Option<ErrorClass>) -> Self {
        Self { facts, class, ids: Vec::new(), known: BTreeSet::new(), seen: BTreeSet::new() }
    }

    /// Follows the edges of the settings. They do not lead past the entry node.
    fn leave(&mut self, graph: &'a Graph, entry: &'a Node) {
        self.follow_edges(&graph.settings.on, &Required::default().and(&entry.requirements));
    }

    fn follow_edges(&mut self, edges: &'a [(ErrorClass, Destination)], required: &Required<'a>) {
        for (class, to) in edges {
            if self.class.is_none_or(|only| only == *class) {
                self.follow(to, required);
            }
        }
    }

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
        self.follow_edges(&node.on, &required);
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
