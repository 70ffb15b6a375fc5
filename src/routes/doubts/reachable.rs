//! Which deployments a node leads to.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::routes::graph::{Deployment, Destination, Graph, Node, Target};

/// The most nodes of a document that is walked. The work grows with the square of their number, and
/// the time of a Worker is limited.
const MOST_NODES: usize = 1_000;

/// What a walk has reached.
#[derive(Default)]
pub(super) struct Reachable<'a> {
    /// Whether the walk follows edges.
    with_edges: bool,
    /// The nodes, named and inline ones, each once. None if the document has too many.
    pub(super) nodes: Vec<&'a Node>,
    known: BTreeSet<usize>,
    /// The ids of the nodes that something leads to.
    pub(super) inner: BTreeSet<usize>,
    /// The deployments, each once, in the order of the document.
    found: Vec<&'a Rc<Deployment>>,
    /// Their ids.
    pub(super) deployments: BTreeSet<usize>,
}

impl<'a> Reachable<'a> {
    /// Walks the whole graph.
    pub(super) fn of(graph: &'a Graph) -> Self {
        let mut reach = Self { with_edges: true, ..Self::default() };
        for (_, to) in &graph.settings.on {
            reach.enter(to);
        }
        for node in graph.models.values() {
            reach.walk(node);
        }
        if graph.node_count > MOST_NODES {
            reach.nodes.clear();
        }
        reach
    }

    fn enter(&mut self, to: &'a Destination) {
        match to {
            Destination::Deployment(deployment) => {
                if self.deployments.insert(deployment.id) {
                    self.found.push(deployment);
                }
            }
            Destination::Node(node) => {
                self.inner.insert(node.id);
                self.walk(node);
            }
        }
    }

    fn walk(&mut self, node: &'a Node) {
        if !self.known.insert(node.id) {
            return;
        }
        self.nodes.push(node);
        for target in &node.targets {
            self.enter(&target.to);
        }
        if self.with_edges {
            for (_, to) in &node.on {
                self.enter(to);
            }
        }
    }
}

/// The deployments that these targets lead to, each once, in the order of the document. Edges are
/// followed only `with_edges`.
pub(super) fn below<'a>(
    targets: impl IntoIterator<Item = &'a Target>,
    with_edges: bool,
) -> Vec<&'a Rc<Deployment>> {
    let mut reach = Reachable { with_edges, ..Reachable::default() };
    for target in targets {
        reach.enter(&target.to);
    }
    reach.found
}
