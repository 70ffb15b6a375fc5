//! Whose turn it is at the nodes that take turns.

use std::cell::Cell;

use crate::vocabulary::rng::Rng;

/// More nodes than a routes document of any sensible size has. Nodes beyond it have no cursor, and take turns no more.
const MOST_CURSORS: usize = 1 << 20;

/// Cursors start below this: far above the number of a node's targets, so that each of them is as likely to be first,
/// and small enough for a word of wasm32.
const START_BELOW: usize = 1 << 30;

/// Whose turn it is at the nodes that take turns: one isolate's memory, by `Node::id`.
///
/// Each isolate counts for itself and starts anywhere, so that many of them do not march in step.
#[derive(Debug)]
pub struct Cursors(pub(super) Vec<Cell<usize>>);

impl Cursors {
    /// Cursors for a graph of that many nodes ([`crate::routes::graph::Graph::node_count`]).
    pub fn new(node_count: usize, rng: &mut dyn Rng) -> Self {
        Self((0..node_count.min(MOST_CURSORS)).map(|_| Cell::new(rng.below(START_BELOW))).collect())
    }

    /// The next turn of a node: one more than the last. Always 0 of a node that the graph does not have.
    pub(super) fn turn(&self, node: usize) -> usize {
        self.0.get(node).map_or(0, |next| next.replace(next.get().wrapping_add(1)))
    }
}
