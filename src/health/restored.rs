//! The health of an isolate from what the admin API showed of it, for explanations offline.
//!
//! A snapshot does not tell everything: the times behind percentiles, the number of earlier
//! ejections and how long a reading of headroom is valid are not in it. They do not change which
//! deployments a request tries, and in which order.

use super::accrual::Accrual;
use super::gate::{Gate, GatePosition, ProbeLease};
use super::headroom::{self, Headroom};
use super::isolate_health::Health;
use super::sharing::{BASE_MS, OVERDUE_MS};
use super::tracked_deployment::{Snapshot, TrackedDeployment};
use super::window::Counts;
use crate::vocabulary::time::Instant;

impl Health {
    /// The same deployments in the state of these snapshots, each with the id of its deployment.
    /// `has_shard`: whether the isolate was in contact with the shard of its region, which then
    /// decided about probes.
    #[must_use]
    pub fn restored<'a>(
        mut self,
        snapshots: impl IntoIterator<Item = (usize, &'a Snapshot)>,
        has_shard: bool,
        now: Instant,
    ) -> Self {
        self.sharing.is_in_contact = has_shard;
        self.sharing.next_ms = BASE_MS;
        for (id, snapshot) in snapshots {
            if let Some(deployment) = self.deployments.get_mut(id) {
                deployment.restore(snapshot, now);
            }
        }
        self
    }
}

impl TrackedDeployment {
    fn restore(&mut self, snapshot: &Snapshot, now: Instant) {
        self.gate = gate(snapshot, now);
        self.set_drains(|drains| drains.set(snapshot.gate.state == GatePosition::Drained));
        let missing = snapshot.missing.iter();
        self.missing = missing.map(|(operation, view)| (*operation, Gate::of_view(view, now))).collect();
        for _ in 0..snapshot.in_flight {
            self.in_flight.begin(now);
        }
        let counts = Counts { successes: snapshot.successes, failures: snapshot.failures };
        self.accrual = Accrual::of_counts(snapshot.consecutive_failures, counts, now);
        for (known, ms) in [
            (&mut self.latency_ms.whole, snapshot.latency_ms),
            (&mut self.latency_ms.stream, snapshot.first_token_ms),
        ] {
            if let Some(ms) = ms {
                known.observe(ms, now);
            }
        }
        if let Some(speed) = snapshot.tokens_per_second {
            self.tokens_per_second.observe(speed, now);
        }
        self.headroom = snapshot.headroom.map(|left| Headroom::of_part(left, now));
        self.last_error = snapshot.last_error;
    }
}

/// The gate of a snapshot, with the ramp after a recovery and the lease for a probe.
fn gate(snapshot: &Snapshot, now: Instant) -> Gate {
    let mut view = snapshot.gate.clone();
    if snapshot.overdue {
        view.until.get_or_insert(now - OVERDUE_MS - BASE_MS);
    }
    let mut gate = Gate::of_view(&view, now);
    let by_headroom = snapshot.headroom.map_or(1.0, headroom::share);
    gate.set_ramp(snapshot.share / by_headroom, now);
    if snapshot.leased {
        gate.lease(ProbeLease { from: now, until: now + BASE_MS });
    }
    gate
}
