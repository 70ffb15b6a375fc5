//! What the core needs from outside at each step: the time, randomness, and the state of the
//! isolate.

use super::attempt_budgets::AttemptBudgets;
use super::walk_notes::WalkNote;
use crate::balance::cursors::Cursors;
use crate::balance::order::OrderInputs;
use crate::health::{AnswerKind, GateChange, Health};
use crate::vocabulary::rng::Rng;
use crate::vocabulary::time::Instant;

/// The context of one step. The driver owns it: the Worker, a simulation, or a test.
pub struct Context<'a> {
    /// The time of this step.
    pub now: Instant,
    /// Randomness for weighted selection and jitter.
    pub rng: &'a mut dyn Rng,
    /// The positions of the round-robin nodes.
    pub cursors: &'a Cursors,
    /// The health of the deployments.
    pub health: &'a mut Health,
    /// The budgets for further attempts, by node.
    pub budgets: &'a mut AttemptBudgets,
    /// The gates that changed their state in this step, for the logs.
    pub changes: &'a mut Vec<GateChange>,
    /// Where the walk notes its decisions, for an explanation.
    pub notes: Option<&'a mut Vec<WalkNote>>,
}

impl Context<'_> {
    /// The inputs of a strategy in this step, for a request that waits for this kind of answer.
    pub fn order_inputs(&mut self, kind: AnswerKind) -> OrderInputs<'_> {
        let (cursors, health) = (self.cursors, &*self.health);
        OrderInputs { now: self.now, kind, rng: &mut *self.rng, cursors, health, notes: None }
    }
}
