//! What a walk decides and why: what it notes for an explanation.
//!
//! A request that is served notes nothing.

use std::rc::Rc;

use super::walk::obstacle::Obstacle;
use crate::balance::order_notes::OrderNotes;
use crate::routes::graph::{Deployment, Node};

/// One step of a walk. `depth` is the number of nodes around it: 0 for the entry node and for the
/// targets of the edges of `settings`.
#[derive(Debug, Clone)]
pub enum WalkNote {
    /// It has entered a node, and the targets are in order.
    Entered(EnteredNode),
    /// It has passed over a deployment whose turn it was.
    PassedOver {
        /// The number of nodes around it.
        depth: usize,
        /// The deployment.
        deployment: Rc<Deployment>,
        /// Why it may not be tried.
        obstacle: Obstacle,
        /// Whether an edge leads to it.
        is_edge: bool,
    },
    /// It has chosen a deployment for the next attempt.
    Chosen {
        /// The nodes around it, outermost first.
        path: Vec<Rc<Node>>,
        /// The deployment.
        deployment: Rc<Deployment>,
        /// Whether the attempt is a probe of an ejected deployment.
        is_probe: bool,
        /// How it came to be chosen.
        by: ChosenBy,
    },
}

/// A node that a walk has entered.
#[derive(Debug, Clone)]
pub struct EnteredNode {
    /// The number of nodes around it.
    pub depth: usize,
    /// The node.
    pub node: Rc<Node>,
    /// The order of its targets.
    pub order: Vec<usize>,
    /// Why they are in this order.
    pub notes: OrderNotes,
    /// The number of targets that lead to the owner of the stored object, and so come first.
    pub owners: usize,
    /// The targets that may not be used.
    pub obstacles: Vec<(usize, Obstacle)>,
    /// Whether an edge leads to it.
    pub is_edge: bool,
}

/// How a deployment came to be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChosenBy {
    /// It was its turn.
    Order,
    /// An edge leads to it.
    Edge,
    /// Nothing else is left, and it is the one whose ejection ends first.
    LastResort,
}
