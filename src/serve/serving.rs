//! Routes that serve, with what this isolate knows of their deployments.

use std::cell::RefCell;
use std::rc::Rc;

use super::platform::Platform;
use crate::attempt::attempt_budgets::AttemptBudgets;
use crate::attempt::context::Context;
use crate::balance::cursors::Cursors;
use crate::health::headroom::Headroom;
use crate::health::{GateChange, Health, Outcome, Sample, Ticket};
use crate::routes::Compiled;
use crate::routes::Issue;
use crate::routes::graph::{Deployment, Graph};
use crate::vocabulary::headers::Headers;
use crate::vocabulary::rng::{Rng, SplitMix64};
use crate::vocabulary::time::Millis;

/// Routes that serve.
pub struct Serving {
    /// The compiled document.
    pub graph: Rc<Graph>,
    /// Turns of its round-robin nodes.
    cursors: Cursors,
    /// What is known of its deployments.
    pub health: RefCell<Health>,
    /// Further attempts that requests of its nodes may make.
    budgets: RefCell<AttemptBudgets>,
    /// Where the document came from.
    pub source: Source,
    /// What is doubtful in the document, and does not keep it from serving.
    pub warnings: Vec<Issue>,
    /// The hash of the document's text.
    pub hash: u64,
}

/// Where a document came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// KV, key `routes`.
    Kv,
    /// KV, key `routes.last-good`: the current one is missing or bad.
    LastGood,
    /// The Worker itself.
    CompiledIn,
}

impl Source {
    /// Its name in the admin API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kv => "kv",
            Self::LastGood => "last_good",
            Self::CompiledIn => "compiled_in",
        }
    }
}

impl Serving {
    /// A compiled document that serves from now on. It takes over what `before` knew of the same deployments.
    pub fn new(
        compiled: Compiled,
        source: Source,
        hash: u64,
        before: Option<&Self>,
        rng: &mut dyn Rng,
    ) -> Self {
        let cursors = Cursors::new(compiled.graph.node_count, rng);
        let graph = Rc::new(compiled.graph);
        let known = graph.deployments.iter().map(|found| (found.identity.clone(), found.limits));
        let mut health = Health::new(known);
        if let Some(before) = before {
            health.adopt(&before.health.borrow());
        }
        Self {
            graph,
            cursors,
            health: RefCell::new(health),
            budgets: RefCell::default(),
            source,
            warnings: compiled.warnings,
            hash,
        }
    }

    /// Runs one step of the core in its context, and logs the gates that moved.
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

    /// Logs gates that moved.
    pub fn log<P: Platform>(&self, platform: &P, changes: Vec<GateChange>) {
        for change in changes {
            let name = self.graph.deployments.get(change.deployment).map_or("?", |found| &found.name);
            let operation = change.operation.map(|operation| format!(" for {}", operation.path()));
            platform.warn(&format!("health: {name} {}{}", change.transition, operation.unwrap_or_default()));
        }
    }

    /// Learns from the headers of a response how much the deployment can take.
    pub fn on_response(&self, deployment: &Deployment, headers: &Headers, now: Millis) {
        if let Some(headroom) = Headroom::of(headers, &deployment.limits, now) {
            self.health.borrow_mut().record_headroom(deployment.id, headroom);
        }
    }
}

/// Tells health how a committed answer ends. Dropped before that (the client left), it reports nothing about the
/// deployment, and the attempt is no longer in flight.
pub struct Completion<P: Platform> {
    platform: P,
    serving: Rc<Serving>,
    ticket: Option<Ticket>,
    first_token_ms: Option<Millis>,
}

impl<P: Platform> Completion<P> {
    /// Of an answer that has just reached its commit point. `first_token_ms`: how long that took, of a streamed answer.
    pub fn new(
        platform: P,
        serving: Rc<Serving>,
        ticket: Option<Ticket>,
        first_token_ms: Option<Millis>,
    ) -> Self {
        Self { platform, serving, ticket, first_token_ms }
    }

    /// The answer has ended. `output_tokens`: those that it reports.
    pub fn record(mut self, outcome: Outcome, output_tokens: Option<u64>) {
        self.record_once(outcome, output_tokens);
    }

    fn record_once(&mut self, outcome: Outcome, output_tokens: Option<u64>) {
        let Some(ticket) = self.ticket.take() else { return };
        let sample = Sample { outcome, first_token_ms: self.first_token_ms, output_tokens };
        let mut rng = SplitMix64::new(self.platform.isolate().random(&self.platform));
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
