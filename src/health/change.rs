//! What changed: a gate that moved.

use std::fmt::{Display, Formatter};

use super::gate::Transition;
use crate::vocabulary::operation::Operation;

/// A gate has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateChange {
    /// Whose.
    pub deployment: usize,
    /// Of which operation; `None`: of all of them.
    pub operation: Option<Operation>,
    /// What it did, and why.
    pub transition: Transition,
}

impl Display for GateChange {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.deployment, self.transition)
    }
}
