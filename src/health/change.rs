//! A change of a gate.

use std::fmt::{Display, Formatter};

use super::gate::Transition;
use crate::vocabulary::operation::Operation;

/// A gate has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateChange {
    /// The deployment of the gate.
    pub deployment: usize,
    /// The operation of the gate; `None`: all operations.
    pub operation: Option<Operation>,
    /// What the gate did, and why.
    pub transition: Transition,
}

impl Display for GateChange {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.deployment, self.transition)
    }
}
