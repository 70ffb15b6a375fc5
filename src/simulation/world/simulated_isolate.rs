//! One isolate: what the Worker keeps between requests.

use crate::attempt::allowance::Allowances;
use crate::attempt::context::Surroundings;
use crate::balance::cursors::Cursors;
use crate::health::gate::Position;
use crate::health::reporter::Reporter;
use crate::health::{Change, Health};
use crate::routes::graph::Graph;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::rng::{Rng, SplitMix64};
use crate::vocabulary::time::Millis;

/// What the Worker keeps between requests.
#[derive(Debug)]
pub(super) struct Isolate {
    pub(super) region: usize,
    pub(super) health: Health,
    pub(super) reporter: Reporter,
    pub(super) rng: SplitMix64,
    pub(super) news: Vec<Change>,
    /// The number of the latest report; 0: none yet.
    pub(super) reported: u64,
    pub(super) first: First,
    cursors: Cursors,
    allowances: Allowances,
}

/// Where an isolate stands with its first snapshot.
#[derive(Debug)]
pub(super) enum First {
    /// No report has gone out.
    Unasked,
    /// These requests wait for it, until then.
    Awaited { until: Millis, waiting: Vec<usize> },
    /// It is there, or is not waited for any more.
    Over,
}

impl Isolate {
    pub(super) fn new(graph: &Graph, region: usize, seed: u64) -> Self {
        let mut rng = SplitMix64::new(seed);
        let known = graph.deployments.iter().map(|found| (found.identity.clone(), found.limits));
        Self {
            region,
            health: Health::new(known),
            reporter: Reporter::new(rng.next_u64()),
            cursors: Cursors::new(graph.node_count, &mut rng),
            rng,
            news: Vec::new(),
            reported: 0,
            first: First::Unasked,
            allowances: Allowances::default(),
        }
    }

    /// Whether a probe of that deployment is under way.
    pub(super) fn probes(&self, deployment: usize, operation: Operation, now: Millis) -> bool {
        // To ask for the whole snapshot is slow, and seldom needed.
        self.health.ejected_until(deployment, operation).is_some()
            && self.health.snapshot(now).get(deployment).is_some_and(|found| {
                let of_operation = found.missing.iter().find(|(missing, _)| *missing == operation);
                let gates = [Some(&found.gate), of_operation.map(|(_, gate)| gate)];
                gates.into_iter().flatten().any(|gate| gate.state == Position::Probation)
            })
    }

    pub(super) fn around(&mut self, now: Millis) -> Surroundings<'_> {
        let Self { rng, cursors, health, allowances, news, .. } = self;
        Surroundings { now, rng, cursors, health, allowances, news }
    }
}
