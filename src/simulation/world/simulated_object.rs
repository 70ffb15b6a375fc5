//! A Durable Object in its trouble: the shard of a region, or the hub.

use crate::health::shard::Shard;
use crate::health::wire::{Answer, Report};
use crate::simulation::setup::TroubleKind;
use crate::vocabulary::rng::SplitMix64;
use crate::vocabulary::time::Millis;

/// A shard in the place where it lives.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) shard: Shard,
    rng: SplitMix64,
}

/// What becomes of a message.
#[derive(Debug)]
pub(super) enum Reaction {
    /// An answer, after so long.
    Answers(String, Millis),
    /// An error.
    Refuses,
    /// Nothing at all.
    Silence,
}

impl Object {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = SplitMix64::new(seed);
        Self { shard: Shard::new(&mut rng), rng }
    }

    /// Takes a report as it came over the network.
    pub(super) fn hear(&mut self, text: &str, trouble: Option<TroubleKind>, now: Millis) -> Reaction {
        let late_ms = match trouble {
            Some(TroubleKind::Overloaded) => return Reaction::Refuses,
            Some(TroubleKind::Lost) => return Reaction::Silence,
            Some(TroubleKind::Late(ms)) => ms,
            Some(TroubleKind::Evicted) | None => 0,
        };
        let Ok(report) = Report::parse(text.as_bytes()) else { return Reaction::Refuses };
        let answer: Answer = self.shard.report(&report, now, &mut self.rng);
        Reaction::Answers(answer.to_json(), late_ms)
    }

    /// Goes on with what was stored, as after an eviction.
    pub(super) fn restart(&mut self, now: Millis) {
        let saved = self.shard.changed_since(0).map(|(identity, saved)| (identity.to_owned(), saved.clone()));
        let saved: Vec<_> = saved.collect();
        self.shard = Shard::restore(self.shard.head(), saved, now);
    }
}
