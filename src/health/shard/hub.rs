//! How a shard reports to the hub and merges its answers.
//!
//! The hub is a [`Shard`] like any other. It receives ejections that hold everywhere and missing
//! operations, never latency, runs or rates. Each of its changes is merged once: a region whose
//! probe has passed is not ejected again because of older knowledge.

use std::collections::BTreeMap;

use super::Shard;
use super::shard_entry::ShardEntry;
use crate::health::pending::Pending;
use crate::health::sharing::UNANSWERED_MS;
use crate::health::wire::{Batch, HealthReport, KnownHistory, ShardAnswer, VERSION, WireEjection};
use crate::vocabulary::sorted;
use crate::vocabulary::time::{Instant, Millis};

/// The time between two reports to the hub while isolates report; also the wait after a failed one.
/// A dozen regions report.
const POLL_MS: Millis = Millis::new(2_000);

impl Shard {
    /// When the shard wants to report to the hub: at once if there are facts, otherwise every two
    /// seconds while isolates report. A batch of counters goes with one of these reports. `None`:
    /// no report is needed.
    pub fn hub_at(&self) -> Option<Instant> {
        let uplink = &self.uplink;
        if let Some(sent_at) = uplink.sent_at {
            return Some(sent_at + UNANSWERED_MS);
        }
        if self.entries.values().any(|entry| entry.facts != Pending::default()) {
            return Some(uplink.not_before);
        }
        uplink.has_new_reports.then_some(uplink.poll_at)
    }

    /// When a batch of counters should go to the hub without waiting for the reports of isolates.
    fn flush_at(&self) -> Option<Instant> {
        let at = self.counters.flush_at()?.max(self.uplink.not_before);
        Some(self.uplink.sent_at.map_or(at, |sent_at| at.max(sent_at + UNANSWERED_MS)))
    }

    /// The time for which the alarm of the object has to be set, if it is not set for it or for an
    /// earlier one. It counts as set. An alarm outlives an eviction, so nothing waits for the next
    /// report of the region.
    pub fn take_alarm(&mut self) -> Option<Instant> {
        let at = self.flush_at()?;
        if self.uplink.alarm_at.is_some_and(|set| set <= at) {
            return None;
        }
        self.uplink.alarm_at = Some(at);
        Some(at)
    }

    /// The alarm rings. Returns whether a batch should go to the hub now.
    pub fn on_alarm(&mut self, now: Instant) -> bool {
        self.uplink.alarm_at = None;
        self.flush_at().is_some_and(|at| at <= now)
    }

    /// The report to send. It is under way until [`Self::merge_hub_answer`] or
    /// [`Self::on_hub_failure`]. An earlier report that is still under way counts as failed.
    pub fn report_to_hub(&mut self, now: Instant) -> HealthReport {
        self.restore_unsent();
        self.uplink.n += 1;
        self.uplink.sent_at = Some(now);
        self.uplink.poll_at = now + POLL_MS;
        self.uplink.has_new_reports = false;
        let batches = self.entries.iter_mut().filter_map(|(identity, entry)| {
            let batch = entry.facts(now)?;
            Some((identity.clone(), batch))
        });
        HealthReport {
            v: VERSION,
            n: self.uplink.n,
            reporter: self.head.epoch,
            known: self.head.hub,
            // Shards report at their own pace. This rate is for the isolates of a shard.
            reports_per_second: 1_000,
            deployments: sorted::map(batches),
            counters: self.counters.batch(now),
            is_shard: true,
            records: self.records.take_unsent(),
            alerts: None,
        }
    }

    /// The hub has answered. [`Self::head`] changes too.
    pub fn merge_hub_answer(&mut self, answer: &ShardAnswer, now: Instant) {
        if self.uplink.sent_at.is_none() || answer.n != self.uplink.n {
            return;
        }
        self.uplink.sent_at = None;
        self.uplink.not_before = Instant::EPOCH;
        self.counters.on_counted(answer.counted);
        let known = self.head.hub.filter(|known| known.epoch == answer.epoch);
        // In a history that is new to this shard, all resets lie in the past, and everything else
        // is new.
        let (resets_after, changes_after) = known.map_or((u64::MAX, 0), |known| (known.change, known.change));
        for entry in self.entries.values_mut() {
            entry.facts_sent = None;
        }
        if answer.reset > resets_after {
            self.reset_all();
        }
        if answer.full && known.is_some() {
            for (_, entry) in
                self.entries.iter_mut().filter(|(identity, _)| !answer.deployments.contains_key(*identity))
            {
                entry.set_drained(false, &mut self.head.change);
                entry.set_fault("", now, &mut self.head.change);
            }
        }
        for (identity, record) in &answer.deployments {
            if record.change <= changes_after {
                continue;
            }
            let mut change = self.head.change;
            let Some(entry) = self.entry(identity, now) else { continue };
            if record.reset > resets_after.max(answer.reset) {
                entry.reset(&mut change);
            }
            entry.set_drained(record.drained, &mut change);
            entry.set_fault(&record.fault, now, &mut change);
            let mut ejection = None;
            if let Some(WireEjection { remaining_ms, reason }) = record.ejected
                && reason.holds_everywhere()
                && remaining_ms > Millis::ZERO
                && record.opened > changes_after
            {
                let is_new = entry.ejection().is_none();
                entry.saved.gate.eject(reason, remaining_ms, now);
                ejection = entry.ejection().filter(|_| is_new);
            }
            let mut has_moved = false;
            for (operation, remaining_ms) in record.missing.iter().filter(|(_, ms)| **ms > Millis::ZERO) {
                has_moved |= entry.eject_operation(*operation, &record.reasons, *remaining_ms, now);
            }
            entry.settle(has_moved, false, &mut change);
            self.head.change = change;
            self.count_ejection(identity, ejection, now);
        }
        self.head.hub = Some(KnownHistory { epoch: answer.epoch, change: answer.change });
    }

    /// The hub could not be reached. The next report repeats the facts.
    pub fn on_hub_failure(&mut self, now: Instant) {
        self.restore_unsent();
        self.uplink.not_before = now + POLL_MS;
        self.uplink.poll_at = self.uplink.not_before;
    }

    fn restore_unsent(&mut self) {
        if self.uplink.sent_at.take().is_none() {
            return;
        }
        self.uplink.has_new_reports = true;
        for entry in self.entries.values_mut() {
            if let Some(sent) = entry.facts_sent.take() {
                entry.facts.restore(sent);
            }
        }
    }
}

impl ShardEntry {
    /// The facts to report to the hub. They are under way from now on.
    fn facts(&mut self, now: Instant) -> Option<Batch> {
        if self.facts == Pending::default() {
            return None;
        }
        let facts = std::mem::take(&mut self.facts);
        let gate = &self.saved.gate;
        let remaining_ms = |until: Instant| until - now;
        let ejected = gate
            .ejected_until()
            .zip(gate.reason())
            .filter(|(until, reason)| facts.has_ejected && *until > now && reason.holds_everywhere());
        let (mut missing, mut reasons) = (BTreeMap::new(), BTreeMap::new());
        for (operation, gate) in &self.saved.missing {
            if let Some((until, reason)) = gate.ejected_until().zip(gate.reason())
                && until > now
                && facts.operations.contains(operation)
            {
                missing.insert(*operation, remaining_ms(until));
                reasons.insert(*operation, reason);
            }
        }
        let batch = Batch {
            ejected: ejected
                .map(|(until, reason)| WireEjection { remaining_ms: remaining_ms(until), reason }),
            missing,
            reasons,
            ..Batch::default()
        };
        self.facts_sent = Some(facts);
        (!batch.is_empty()).then_some(batch)
    }
}
