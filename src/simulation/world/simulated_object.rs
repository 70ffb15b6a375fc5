//! A Durable Object and its faults: the shard of a region, or the hub.

use std::collections::BTreeMap;

use crate::counters::{CounterLedger, CounterRow};
use crate::health::shard::Shard;
use crate::health::wire::{HealthReport, ShardAnswer};
use crate::simulation::setup::ObjectFaultKind;
use crate::vocabulary::rng::SplitMix64;
use crate::vocabulary::time::{Instant, Millis};

/// A shard in its Durable Object.
#[derive(Debug)]
pub(super) struct SimulatedObject {
    pub(super) shard: Shard,
    /// The rows of its counters.
    rows: BTreeMap<String, String>,
    rng: SplitMix64,
}

/// How the object reacts to a report.
#[derive(Debug)]
pub(super) enum ObjectReaction {
    /// It answers, with this extra delay.
    Answers(String, Millis),
    /// It answers with an error.
    Refuses,
    /// It does not answer.
    Silence,
}

impl SimulatedObject {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = SplitMix64::new(seed);
        Self { shard: Shard::new(&mut rng), rows: BTreeMap::new(), rng }
    }

    /// Handles a report in its wire format.
    pub(super) fn on_report(
        &mut self,
        text: &str,
        fault: Option<ObjectFaultKind>,
        now: Instant,
    ) -> ObjectReaction {
        let late_ms = match fault {
            Some(ObjectFaultKind::Overloaded) => return ObjectReaction::Refuses,
            Some(ObjectFaultKind::Lost) => return ObjectReaction::Silence,
            Some(ObjectFaultKind::Late(ms)) => ms,
            Some(ObjectFaultKind::Evicted) | None => Millis::ZERO,
        };
        let Ok(report) = HealthReport::parse(text) else { return ObjectReaction::Refuses };
        let answer: ShardAnswer = self.shard.report(&report, now, &mut self.rng);
        self.save();
        ObjectReaction::Answers(answer.to_json(), late_ms)
    }

    /// Restores the shard from its stored state, as after an eviction.
    pub(super) fn restart(&mut self, now: Instant) {
        let saved = self.shard.changed_since(0).map(|(identity, saved)| (identity.to_owned(), saved.clone()));
        let saved: Vec<_> = saved.collect();
        let counters = CounterLedger::restore(self.rows.clone());
        self.shard = Shard::restore(self.shard.head(), saved, now).with_counters(counters);
    }

    /// Stores the counters, as the object does after each step.
    pub(super) fn save(&mut self) {
        for CounterRow { id, json } in self.shard.counters().unsaved() {
            match json {
                Some(json) => drop(self.rows.insert(id, json)),
                None => drop(self.rows.remove(&id)),
            }
        }
        self.shard.counters_mut().on_saved();
    }
}
