//! The groups of settings: how isolates share health, when failures eject, how the usage of streams
//! is counted, and the response headers that clients get.

use serde::{Deserialize, Serialize};

use crate::vocabulary::time::Millis;

/// How isolates share health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthSharing {
    /// The most reports per second that one Durable Object gets from all isolates of its region
    /// together.
    pub reports_per_second: u32,
    /// The longest time that a new isolate waits for what the other isolates know.
    pub first_snapshot_ms: Millis,
}

impl Default for HealthSharing {
    fn default() -> Self {
        Self { reports_per_second: 400, first_snapshot_ms: Millis::new(30) }
    }
}

/// When failures eject a deployment, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ejections {
    /// The length of the first ejection. It is short because most outages of a model's endpoint are
    /// short. A probe costs one client one second attempt.
    pub first_ms: Millis,
    /// The longest ejection for failures. With one probe at a time, a long one costs minutes of a
    /// healthy deployment, and a short one costs a hidden second attempt.
    pub longest_ms: Millis,
    /// The number of failures in a row that ejects; heavy traffic needs more.
    pub failures_in_a_row: u32,
}

impl Default for Ejections {
    /// One or two failures must not eject: Envoy and linkerd use similar numbers (5 and 7).
    fn default() -> Self {
        Self { first_ms: Millis::new(10_000), longest_ms: Millis::new(30_000), failures_in_a_row: 5 }
    }
}

/// How the usage of a stream is counted if its client does not ask for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StreamUsage {
    /// From what flows by.
    #[default]
    Estimate,
    /// The provider is asked for it, and its answer is withheld from the client.
    Exact,
}

/// The response headers that clients get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one switch for each header")]
pub struct Expose {
    /// `x-switchyard-request-id`
    pub request_id: bool,
    /// `x-switchyard-model`
    pub model: bool,
    /// `x-switchyard-deployment`
    pub deployment: bool,
    /// `x-switchyard-attempts`
    pub attempts: bool,
    /// `x-switchyard-trail`
    pub trail: bool,
    /// `x-switchyard-routes`
    pub routes: bool,
    /// `server-timing`
    pub timing: bool,
    /// `x-switchyard-usage`, on answers in one piece
    pub usage: bool,
    /// `x-switchyard-cost`, on answers in one piece
    pub cost: bool,
}

impl Default for Expose {
    /// All headers that say nothing about money.
    fn default() -> Self {
        Self {
            request_id: true,
            model: true,
            deployment: true,
            attempts: true,
            trail: true,
            routes: true,
            timing: true,
            usage: false,
            cost: false,
        }
    }
}
