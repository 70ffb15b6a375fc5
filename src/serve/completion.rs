//! Runs steps of the core with the platform's clock, and records the completion of a committed
//! answer.

use std::rc::Rc;

use super::platform::Platform;
use super::serving::Serving;
use crate::attempt::context::Context;
use crate::health::gate::Transition;
use crate::health::{GateChange, Outcome, Sample, Ticket};
use crate::vocabulary::rng::{Rng, SplitMix64};
use crate::vocabulary::time::Millis;

impl Serving {
    /// Runs one step of the core in its context, and logs the gates that changed.
    pub fn step<P: Platform, T>(
        &self,
        platform: &P,
        rng: &mut dyn Rng,
        step: impl FnOnce(&mut Context<'_>) -> T,
    ) -> T {
        let mut changes = Vec::new();
        let result = step(&mut Context {
            now: platform.now(),
            rng,
            cursors: &self.cursors,
            health: &mut self.health.borrow_mut(),
            budgets: &mut self.budgets.borrow_mut(),
            changes: &mut changes,
        });
        self.log(platform, changes);
        result
    }

    /// Logs gates that changed. Of an ejection that only becomes longer nothing is logged.
    pub fn log<P: Platform>(&self, platform: &P, changes: Vec<GateChange>) {
        for change in changes {
            if matches!(change.transition, Transition::Ejected { is_news: false, .. }) {
                continue;
            }
            let name = self.graph.deployments.get(change.deployment).map_or("?", |found| &found.name);
            let operation = change.operation.map(|operation| format!(" for {}", operation.path()));
            platform.warn(&format!("health: {name} {}{}", change.transition, operation.unwrap_or_default()));
        }
    }
}

/// Records in health how a committed answer ends. If it is dropped before that (the client left),
/// it records nothing about the deployment; it only ends the attempt's count as in flight.
pub struct Completion<P: Platform> {
    platform: P,
    serving: Rc<Serving>,
    ticket: Option<Ticket>,
    first_token_ms: Option<Millis>,
}

impl<P: Platform> Completion<P> {
    /// The completion of an answer that has just reached its commit point. `first_token_ms`: how
    /// long that took, if the answer is streamed.
    pub fn new(
        platform: P,
        serving: Rc<Serving>,
        ticket: Option<Ticket>,
        first_token_ms: Option<Millis>,
    ) -> Self {
        Self { platform, serving, ticket, first_token_ms }
    }

    /// Records that the answer has ended. `output_tokens`: the number that the answer reports.
    pub fn record(mut self, outcome: Outcome, output_tokens: Option<u64>) {
        self.record_once(outcome, output_tokens);
    }

    fn record_once(&mut self, outcome: Outcome, output_tokens: Option<u64>) {
        let Some(ticket) = self.ticket.take() else { return };
        let sample = Sample { outcome, first_token_ms: self.first_token_ms, output_tokens };
        let mut rng = SplitMix64::new(self.platform.random());
        self.serving.step(&self.platform, &mut rng, |context| {
            context.changes.extend(context.health.record(ticket, &sample, context.now, context.rng));
        });
    }
}

impl<P: Platform> Drop for Completion<P> {
    fn drop(&mut self) {
        self.record_once(Outcome::Abandoned, None);
    }
}
