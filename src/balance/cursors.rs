//! The next turns of round-robin nodes.

use std::cell::Cell;

use crate::vocabulary::rng::Rng;

/// More nodes than any realistic routes document has. A node beyond it has no cursor and always
/// starts at its first target.
const MOST_CURSORS: usize = 1 << 20;

/// Cursors start below this. It is far above the number of a node's targets, so that each of them
/// is equally likely to be first, and small enough for a word of wasm32.
const START_BELOW: usize = 1 << 30;

/// The next turns of round-robin nodes, by `Node::id`, in the memory of one isolate.
///
/// Each isolate counts for itself from a random start, so that isolates do not all choose the same
/// target at once.
#[derive(Debug, Clone)]
pub struct Cursors(pub(super) Vec<Cell<usize>>);

impl Cursors {
    /// Cursors for a graph of that many nodes ([`crate::routes::graph::Graph::node_count`]).
    pub fn new(node_count: usize, rng: &mut dyn Rng) -> Self {
        Self((0..node_count.min(MOST_CURSORS)).map(|_| Cell::new(rng.below(START_BELOW))).collect())
    }

    /// The next turn of a node: one more than the last. It is 0 for a node that the graph does not
    /// have.
    pub(super) fn turn(&self, node: usize) -> usize {
        self.0.get(node).map_or(0, |next| next.replace(next.get().wrapping_add(1)))
    }
}
