//! What this isolate learns from its own requests: each step of a machine, and the end of each answer.

use std::rc::Rc;

use super::isolate::{self, Routes};
use super::{clock, js};
use crate::attempt::context::Context;
use crate::health::headroom::Headroom;
use crate::health::{GateChange, Outcome, Sample, Ticket};
use crate::routes::graph::Deployment;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::rng::{Rng, SplitMix64};
use crate::vocabulary::time::Millis;

/// Runs one step of the core with what surrounds it, and logs the gates that moved.
pub fn step<T>(routes: &Routes, rng: &mut dyn Rng, step: impl FnOnce(&mut Context<'_>) -> T) -> T {
    let mut changes = Vec::new();
    let result = step(&mut Context {
        now: clock::now(),
        rng,
        cursors: &routes.cursors,
        health: &mut routes.health.borrow_mut(),
        budgets: &mut routes.budgets.borrow_mut(),
        changes: &mut changes,
    });
    tell(routes, changes);
    result
}

/// Logs gates that moved.
pub fn tell(routes: &Routes, changes: Vec<GateChange>) {
    for change in changes {
        let name = routes.graph.deployments.get(change.deployment).map_or("?", |deployment| &deployment.name);
        let operation = change.operation.map(|operation| format!(" for {}", operation.path()));
        js::warn(&format!("health: {name} {}{}", change.transition, operation.unwrap_or_default()));
    }
}

/// Takes note of what the headers of an answer say of how much the deployment can take.
pub fn heard(routes: &Routes, deployment: &Deployment, headers: &Headers) {
    if let Some(headroom) = Headroom::of(headers, &deployment.limits, clock::now()) {
        routes.health.borrow_mut().record_headroom(deployment.id, headroom);
    }
}

/// An answer on its way to the client. Dropped without a word (the client left, and the runtime ended the work), it tells nothing
/// of its deployment, and is not in flight any more.
pub struct Answering {
    routes: Rc<Routes>,
    ticket: Option<Ticket>,
    first_token_ms: Option<Millis>,
}

impl Answering {
    /// An answer that has just reached its commit point. `first_token_ms`: how long that took, of a streamed answer.
    pub fn new(routes: Rc<Routes>, ticket: Option<Ticket>, first_token_ms: Option<Millis>) -> Self {
        Self { routes, ticket, first_token_ms }
    }

    /// The answer has come to its end. `output_tokens`: of the answer, where it told.
    pub fn end(mut self, outcome: Outcome, output_tokens: Option<u64>) {
        self.record(outcome, output_tokens);
    }

    fn record(&mut self, outcome: Outcome, output_tokens: Option<u64>) {
        let Some(ticket) = self.ticket.take() else { return };
        let sample = Sample { outcome, first_token_ms: self.first_token_ms, output_tokens };
        let mut rng = SplitMix64::new(isolate::entropy());
        step(&self.routes, &mut rng, |context| {
            context.changes.extend(context.health.record(ticket, &sample, context.now, context.rng));
        });
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.record(Outcome::Abandoned, None);
    }
}
