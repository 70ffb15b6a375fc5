//! Affinity: what belongs together goes to one deployment, for the sake of its prompt cache.
//!
//! Nothing is remembered. The chance that a strategy leaves to randomness is taken from a hash of the affinity key and the
//! target's name instead, and so every isolate makes the same choice: a weighted draw turns into weighted rendezvous hashing
//! (Thaler and Ravishankar 1998). While the favourite is out, its keys spill over to their second choices, each to its own, and come
//! back afterwards; a new target takes its share of the keys and moves no others.

use crate::routes::graph::{Destination, Sticky, Target};
use crate::vocabulary::facts::Facts;
use crate::vocabulary::rng::{Rng, SplitMix64, mix, stable_hash};
use crate::vocabulary::time::{Instant, Millis};

/// Chance for one request: its own, or that of what it belongs to.
pub struct Chance<'a> {
    rng: &'a mut dyn Rng,
    key: Option<u64>,
}

impl<'a> Chance<'a> {
    /// The chance of a request below a node with that stickiness, if any. A request without such a key has its own.
    pub fn of(sticky: Option<&Sticky>, facts: &Facts, now: Instant, rng: &'a mut dyn Rng) -> Self {
        Self { key: sticky.and_then(|sticky| key(sticky, facts, now)), rng }
    }

    /// Whether the request belongs to others.
    pub fn is_sticky(&self) -> bool {
        self.key.is_some()
    }

    /// A number in `0.0..1.0` for a target. `purpose` tells apart what is asked of the same target.
    pub fn unit(&mut self, target: &Target, purpose: u64) -> f64 {
        match self.key {
            Some(key) => {
                let name = match &target.to {
                    Destination::Deployment(deployment) => &deployment.name,
                    Destination::Node(node) => &node.name,
                };
                SplitMix64::new(key ^ mix(stable_hash(name.as_bytes()) ^ purpose)).unit()
            }
            None => self.rng.unit(),
        }
    }

    /// The request's own randomness.
    pub fn rng(&mut self) -> &mut dyn Rng {
        self.rng
    }
}

/// The hash of what the request belongs to. It changes once every `ttl_ms`, for each key at another moment, so that no favourite is
/// for ever.
fn key(sticky: &Sticky, facts: &Facts, now: Instant) -> Option<u64> {
    let hash = sticky.by.hash(facts)?;
    let ttl_ms = sticky.ttl_ms.max(Millis::new(1));
    let epoch = (now + Millis::new(hash % ttl_ms.get())).period(ttl_ms);
    Some(mix(hash ^ mix(epoch)))
}
