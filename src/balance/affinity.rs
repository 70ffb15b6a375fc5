//! Affinity: requests with the same affinity key go to one deployment, so that its prompt cache
//! helps.
//!
//! Nothing is stored. A strategy takes its random numbers from a hash of the affinity key and the
//! target's name, so every isolate makes the same choice. A weighted draw thus becomes weighted
//! rendezvous hashing (Thaler and Ravishankar 1998). While the preferred target is out, its keys
//! move to their second choices, which differ from key to key, and come back afterwards. A new
//! target takes its share of the keys and moves no others.

use crate::routes::graph::{Destination, Sticky, Target};
use crate::vocabulary::facts::Facts;
use crate::vocabulary::rng::{Rng, SplitMix64, mix, stable_hash};
use crate::vocabulary::time::{Instant, Millis};

/// The random numbers of one request: its own, or those of its affinity key.
pub struct Chance<'a> {
    rng: &'a mut dyn Rng,
    key: Option<u64>,
}

impl<'a> Chance<'a> {
    /// The random numbers of a request below a node with that stickiness, if any. A request without
    /// an affinity key has its own.
    pub fn of(sticky: Option<&Sticky>, facts: &Facts, now: Instant, rng: &'a mut dyn Rng) -> Self {
        Self { key: sticky.and_then(|sticky| key(sticky, facts, now)), rng }
    }

    /// Whether the request has an affinity key.
    pub fn is_sticky(&self) -> bool {
        self.key.is_some()
    }

    /// A number in `0.0..1.0` for a target. `purpose` separates the draws for one target.
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

/// The hash of the affinity key. It changes once every `ttl_ms`, at another moment for each key, so
/// that no target is preferred permanently.
fn key(sticky: &Sticky, facts: &Facts, now: Instant) -> Option<u64> {
    let hash = sticky.by.hash(facts)?;
    let ttl_ms = sticky.ttl_ms.max(Millis::new(1));
    let epoch = (now + Millis::new(hash % ttl_ms.get())).period(ttl_ms);
    Some(mix(hash ^ mix(epoch)))
}
