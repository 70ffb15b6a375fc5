//! What the pure core needs from outside at each step: the time, chance, and what the isolate remembers.

use super::attempt_budgets::AttemptBudgets;
use crate::balance::cursors::Cursors;
use crate::balance::order::OrderInputs;
use crate::health::{GateChange, Health};
use crate::vocabulary::rng::Rng;
use crate::vocabulary::time::Instant;

/// The context of one step. It belongs to whoever drives: the Worker, a simulation, a test.
pub struct Context<'a> {
    /// The time of this step.
    pub now: Instant,
    /// Randomness for draws and jitter.
    pub rng: &'a mut dyn Rng,
    /// Whose turn it is at the round-robin nodes.
    pub cursors: &'a Cursors,
    /// What is known of the deployments.
    pub health: &'a mut Health,
    /// Further attempts that each node's requests may make.
    pub budgets: &'a mut AttemptBudgets,
    /// Gates that moved in this step, for the logs.
    pub changes: &'a mut Vec<GateChange>,
}

impl Context<'_> {
    /// What a strategy may look at in this step.
    pub fn order_inputs(&mut self) -> OrderInputs<'_> {
        OrderInputs { now: self.now, rng: &mut *self.rng, cursors: self.cursors, health: self.health }
    }
}
