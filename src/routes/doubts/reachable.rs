//! Which deployments a node leads to.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::routes::graph::{Deployment, Destination, Graph, Node, Target};

/// The most nodes of a document that is walked. The work grows with the square of their number, and
/// the time of a Worker is limited.
const MOST_NODES: usize = 1_000;

/// The nodes of a document, each once.
pub(super) struct Reachable<'a> {
    /// The nodes that are walked, named and inline ones. None if the document has too many.
    pub(super) nodes: Vec<&'a Node>,
    /// The ids of the nodes that another node leads to.
    pub(super) inner: BTreeSet<usize>,
    /// The ids of the deployments that some node or edge leads to.
    pub(super) deployments: BTreeSet<usize>,
}

impl<'a> Reachable<'a> {
    /// Walks the whole graph.
    pub(super) fn of(graph: &'a Graph) -> Self {
        let mut reach = Self { nodes: Vec::new(), inner: BTreeSet::new(), deployments: BTreeSet::new() };
        let mut known = BTreeSet::new();
        for (_, to) in &graph.settings.on {
            reach.enter(to, &mut known);
        }
        for node in graph.models.values() {
            reach.walk(node, &mut known);
        }
        if graph.node_count > MOST_NODES {
            reach.nodes.clear();
        }
        reach
    }

    fn enter(&mut self, to: &'a Destination, known: &mut BTreeSet<usize>) {
        match to {
            Destination::Deployment(deployment) => drop(self.deployments.insert(deployment.id)),
            Destination::Node(node) => {
                self.inner.insert(node.id);
                self.walk(node, known);
            }
        }
    }

    fn walk(&mut self, node: &'a Node, known: &mut BTreeSet<usize>) {
        if known.insert(node.id) {
            self.nodes.push(node);
            for to in node.targets.iter().map(|target| &target.to).chain(node.on.iter().map(|(_, to)| to)) {
                self.enter(to, known);
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
    let mut walk =
        DownwardWalk { with_edges, nodes: BTreeSet::new(), known: BTreeSet::new(), found: Vec::new() };
    for target in targets {
        walk.enter(&target.to);
    }
    walk.found
}

/// A walk downwards.
struct DownwardWalk<'a> {
    with_edges: bool,
    nodes: BTreeSet<usize>,
    known: BTreeSet<usize>,
    found: Vec<&'a Rc<Deployment>>,
}

impl<'a> DownwardWalk<'a> {
    fn enter(&mut self, to: &'a Destination) {
        match to {
            Destination::Deployment(deployment) => {
                if self.known.insert(deployment.id) {
                    self.found.push(deployment);
                }
            }
            Destination::Node(node) if self.nodes.insert(node.id) => {
                for target in &node.targets {
                    self.enter(&target.to);
                }
                if self.with_edges {
                    for (_, to) in &node.on {
                        self.enter(to);
                    }
                }
            }
            Destination::Node(_) => {}
        }
    }
}
