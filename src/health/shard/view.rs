//! The state of a shard, as shown to people.

use serde::Serialize;
use serde_json::Value;

use super::Shard;
use super::shard_entry::ShardEntry;
use crate::health::gate::GateView;
use crate::health::tracked_deployment::LastError;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::peer_id::PeerId;
use crate::vocabulary::time::Instant;

/// A deployment as a shard sees it. Points in time are those of the shard's clock.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShardView {
    /// The identity of the deployment.
    pub identity: String,
    /// Its gate.
    pub gate: GateView,
    /// Gates of operations that it does not offer.
    pub missing: Vec<(Operation, GateView)>,
    /// The lease of the isolate that may probe the deployment, or does.
    pub lease: Option<LeaseView>,
    /// Failures since the last answer, over all isolates.
    pub consecutive_failures: u32,
    /// Requests served, as reported within the last ten seconds.
    pub successes: u32,
    /// Requests that failed by the deployment's fault, as reported within the last ten seconds.
    pub failures: u32,
    /// Peak EWMA of the time to answers in one piece.
    pub latency_ms: Option<f64>,
    /// Peak EWMA of the time to the first token of streams.
    pub first_token_ms: Option<f64>,
    /// EWMA of the speed of generation.
    pub tokens_per_second: Option<f64>,
    /// The part of its limits that is left, as the deployment stated, `0.0..=1.0`; the latest
    /// report.
    pub headroom: Option<f64>,
    /// The latest failure.
    pub last_error: Option<LastError>,
    /// The fault that an administrator has set.
    pub fault: Option<Value>,
    /// When a report last mentioned it.
    pub mentioned_at: Instant,
}

/// A lease, as shown to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LeaseView {
    /// The isolate that holds it.
    pub holder: PeerId,
    /// From when the lease may be used.
    pub from: Instant,
    /// When another isolate may get the lease.
    pub until: Instant,
    /// Whether the probe is under way.
    pub begun: bool,
}

impl Shard {
    /// Every deployment, by identity.
    pub fn view(&self, now: Instant) -> Vec<ShardView> {
        self.entries.iter().map(|(identity, entry)| entry.view(identity, now)).collect()
    }
}

impl ShardEntry {
    fn view(&self, identity: &str, now: Instant) -> ShardView {
        let counts = self.accrual.counts(now);
        let missing = self.saved.missing.iter();
        ShardView {
            identity: identity.to_owned(),
            gate: self.saved.gate.view(now),
            missing: missing.map(|(operation, gate)| (*operation, gate.view(now))).collect(),
            lease: self.live_lease(now).map(|lease| LeaseView {
                holder: lease.holder,
                from: lease.from,
                until: lease.until,
                begun: lease.has_begun,
            }),
            consecutive_failures: self.accrual.run(),
            successes: counts.successes,
            failures: counts.failures,
            latency_ms: self.latency_ms.whole.value(now),
            first_token_ms: self.latency_ms.stream.value(now),
            tokens_per_second: self.tokens_per_second.value(),
            headroom: self.headroom,
            last_error: self.last_error,
            fault: self.fault(now).map(|fault| fault.view(now)),
            mentioned_at: self.used_at,
        }
    }
}
