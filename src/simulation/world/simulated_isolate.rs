//! One isolate: the state that the Worker has between requests.

use crate::attempt::attempt_budgets::AttemptBudgets;
use crate::attempt::context::Context;
use crate::balance::cursors::Cursors;
use crate::counters::CounterOutbox;
use crate::health::gate::GatePosition;
use crate::health::reporter::Reporter;
use crate::health::{GateChange, Health};
use crate::routes::graph::Graph;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::rng::{Rng, SplitMix64};
use crate::vocabulary::time::Instant;

/// The state that the Worker has between requests.
#[derive(Debug)]
pub(super) struct SimulatedIsolate {
    pub(super) region: usize,
    pub(super) health: Health,
    pub(super) reporter: Reporter,
    pub(super) rng: SplitMix64,
    pub(super) changes: Vec<GateChange>,
    /// The number of the latest report; 0 if there is none yet.
    pub(super) reported: u64,
    pub(super) first: FirstSnapshot,
    pub(super) outbox: CounterOutbox,
    /// When it ended without warning, if it did.
    pub(super) killed_at: Option<Instant>,
    cursors: Cursors,
    budgets: AttemptBudgets,
}

/// The state of the first snapshot of an isolate.
#[derive(Debug)]
pub(super) enum FirstSnapshot {
    /// The isolate has not sent a report.
    Unasked,
    /// The requests in `waiting` wait for the snapshot, at most until `until`.
    Awaited { until: Instant, waiting: Vec<usize> },
    /// The snapshot has arrived, or the wait is over.
    Over,
}

impl SimulatedIsolate {
    pub(super) fn new(graph: &Graph, region: usize, seed: u64) -> Self {
        let mut rng = SplitMix64::new(seed);
        Self {
            region,
            health: Health::of(&graph.deployments),
            reporter: Reporter::new(rng.next_u64()),
            cursors: Cursors::new(graph.node_count, &mut rng),
            rng,
            changes: Vec::new(),
            reported: 0,
            first: FirstSnapshot::Unasked,
            outbox: CounterOutbox::default(),
            killed_at: None,
            budgets: AttemptBudgets::default(),
        }
    }

    /// Whether a probe of this deployment is pending.
    pub(super) fn probes(&self, deployment: usize, operation: Operation, now: Instant) -> bool {
        // A whole snapshot is slow and rarely necessary, so the cheap check comes first.
        self.health.ejected_until(deployment, operation).is_some()
            && self.health.snapshot(now).get(deployment).is_some_and(|found| {
                let of_operation = found.missing.iter().find(|(missing, _)| *missing == operation);
                let gates = [Some(&found.gate), of_operation.map(|(_, gate)| gate)];
                gates.into_iter().flatten().any(|gate| gate.state == GatePosition::Probation)
            })
    }

    pub(super) fn context(&mut self, now: Instant) -> Context<'_> {
        let Self { rng, cursors, health, budgets, changes, .. } = self;
        Context { now, rng, cursors, health, budgets, changes, notes: None }
    }
}
