//! An isolate's side of sharing: which part of its state goes into a report, and how an answer
//! changes that state.
//!
//! Invariants:
//! - An answer never closes an ejection that the isolate made itself and has not reported yet.
//! - A change of the shard opens a gate once: an ejection that a probe has ended does not come back
//!   with the next answer.
//! - Ejections only grow. The exceptions are a closing that the isolate has not merged yet, and a
//!   decision of an administrator.

use std::collections::BTreeMap;

use super::accrual::Accrual;
use super::change::GateChange;
use super::drains::{Drains, name_key};
use super::gate::{Gate, ProbeLease, Transition};
use super::isolate_health::Health;
use super::pending::Pending;
use super::reason::Reason;
use super::sharing::{Urgent, plausible, until_next_report};
use super::timed_fault::TimedFault;
use super::tracked_deployment::TrackedDeployment;
use super::wire::{Batch, KnownHistory, Record, ShardAnswer, WireEjection};
use crate::vocabulary::operation::Operation;
use crate::vocabulary::sorted;
use crate::vocabulary::time::{Instant, Millis};

impl Health {
    pub(super) fn urgent(&self) -> &Urgent {
        &self.sharing.urgent
    }

    /// Whether the shard was asked about every deployment of the graph.
    pub(super) fn is_complete(&self) -> bool {
        self.sharing.is_complete
    }

    /// The batches to report, by identity. They are under way from now on.
    pub(super) fn batches(&mut self, now: Instant) -> BTreeMap<String, Batch> {
        self.sharing.asked_at = Some(now);
        self.sharing.asks_for_all = !self.sharing.is_complete;
        self.sharing.urgent = Urgent::default();
        let batches = self.deployments.iter_mut().filter_map(|deployment| {
            let batch = deployment.batch(now)?;
            Some((deployment.identity.clone(), batch))
        });
        sorted::map(batches)
    }

    /// The report probably did not arrive: its content is to be sent again.
    pub(super) fn restore_unsent(&mut self) {
        self.sharing.is_in_contact = false;
        self.sharing.asked_at = None;
        for deployment in &mut self.deployments {
            if let Some(sent) = deployment.sent.take() {
                deployment.pending.restore(sent);
            }
        }
    }

    /// Merges an answer. `known`: what was known before, of the same epoch or another one.
    /// `asked_at`: when the report was sent.
    pub(super) fn merge(
        &mut self,
        answer: &ShardAnswer,
        known: Option<KnownHistory>,
        asked_at: Instant,
        now: Instant,
    ) -> Vec<GateChange> {
        let sharing = &mut self.sharing;
        sharing.is_in_contact = true;
        sharing.is_complete |= sharing.asks_for_all;
        (sharing.asked_at, sharing.next_ms) = (None, until_next_report(answer.next_ms));
        let is_lost = known.is_some_and(|known| known.epoch != answer.epoch);
        // In a history that is new to this isolate, all resets lie in the past.
        let known = known.filter(|_| !is_lost);
        let resets_after = known.map_or(u64::MAX, |known| known.change);
        let mut changes = Vec::new();
        for (id, deployment) in self.deployments.iter_mut().enumerate() {
            deployment.sent = None;
            if is_lost {
                deployment.start_over();
            }
            let record = answer.deployments.get(&deployment.identity);
            let reset = record.map_or(0, |record| record.reset).max(answer.reset);
            if reset > resets_after {
                if deployment.gate.ejected_until().is_some() {
                    changes.push(GateChange {
                        deployment: id,
                        operation: None,
                        transition: Transition::Recovered,
                    });
                }
                deployment.reset(now);
            }
            let (knows_all, name) =
                (answer.full && known.is_some(), answer.deployments.get(&name_key(&deployment.identity)));
            match name {
                Some(name) => {
                    if deployment.drains.is_new(name.change) {
                        deployment.fault = TimedFault::parse(&name.fault, asked_at, now);
                    }
                    deployment.set_drains(|drains| drains.merge_name(name.change, name.drained));
                }
                None if knows_all => {
                    deployment.fault = None;
                    deployment.set_drains(Drains::forget_name);
                }
                None => {}
            }
            if let Some(record) = record {
                let moved = deployment.merge(record, asked_at, now).into_iter();
                changes.extend(moved.map(|(operation, transition)| GateChange {
                    deployment: id,
                    operation,
                    transition,
                }));
            } else if knows_all {
                deployment.set_drains(|drains| drains.merge_identity(false));
            }
            if deployment.pending.is_urgent() {
                self.sharing.urgent.tripped_at.get_or_insert(now);
            }
        }
        changes
    }
}

impl TrackedDeployment {
    fn batch(&mut self, now: Instant) -> Option<Batch> {
        if self.pending == Pending::default() {
            return None;
        }
        let pending = std::mem::take(&mut self.pending);
        let remaining_ms = |until: Instant| until - now;
        let ejected = self.gate.ejected_until().zip(self.gate.reason()).filter(|_| pending.has_ejected);
        let gate_of = |operation: &Operation| {
            self.missing.iter().find(|(missing, _)| missing == operation).map(|(_, gate)| gate)
        };
        let reasons = pending.operations.iter().filter_map(|found| Some((*found, gate_of(found)?.reason()?)));
        let missing = pending.operations.iter().map(|operation| {
            let until = gate_of(operation).and_then(Gate::ejected_until);
            // An operation whose time has passed is not available again, it is only tried again. So
            // the value is at least 1: 0 means that the operation is available.
            (*operation, until.map_or(Millis::ZERO, |until| remaining_ms(until).max(Millis::new(1))))
        });
        let batch = Batch {
            seen: self.merged,
            successes: pending.successes,
            failures: pending.failures,
            answered: pending.has_answered,
            answered_ms: pending.answered_at.map(|at| now - at),
            run: pending.run,
            run_ms: pending.run_since.map_or(Millis::ZERO, |since| now - since),
            class: pending.class,
            age_ms: pending.began_at.map_or(Millis::ZERO, |began_at| now - began_at),
            latency: pending.latency.whole,
            first_token: pending.latency.stream,
            tokens_per_second: self.tokens_per_second(),
            headroom: self.headroom(now),
            ejected: ejected
                .map(|(until, reason)| WireEjection { remaining_ms: remaining_ms(until), reason }),
            missing: sorted::map(missing),
            reasons: sorted::map(reasons),
            probe: pending.probe,
            wants: pending.probe_urgency,
            ejections: self.ejections,
        };
        self.sent = Some(pending);
        Some(batch)
    }

    /// The shard has lost its history. It does not know the ejections of this isolate, so they are
    /// reported again.
    fn start_over(&mut self) {
        self.merged = 0;
        self.drains.start_over();
        if self.gate.ejected_until().is_some() {
            self.pending.has_ejected = true;
        }
        for (operation, _) in &self.missing {
            self.pending.on_operation_moved(*operation);
        }
    }

    fn merge(
        &mut self,
        record: &Record,
        asked_at: Instant,
        now: Instant,
    ) -> Vec<(Option<Operation>, Transition)> {
        let is_newer = record.change > self.merged;
        let is_newly_closed = record.closed > self.merged;
        self.merged = self.merged.max(record.change);
        let mut changes = Vec::new();
        if is_newer {
            self.set_drains(|drains| drains.merge_identity(record.drained));
            self.merge_missing(record, now, &mut changes);
        }
        match record.ejected {
            Some(WireEjection { remaining_ms, reason }) => {
                if is_newer && !self.pending.has_recovered() {
                    if is_newly_closed && !self.pending.has_ejected {
                        // The earlier ejection must not last longer than the closing that followed
                        // it.
                        self.close(None);
                    }
                    self.gate.set_trips(record.trips);
                    let ejected = self.gate.eject_as_shared(reason, remaining_ms, now);
                    changes.extend(ejected.map(|transition| (None, transition)));
                }
                self.gate.await_other_probe(record.probing_ms.map_or(Instant::EPOCH, |ms| now + ms));
            }
            None if is_newly_closed && !self.pending.has_ejected => {
                self.gate.set_trips(record.trips);
                let closed = self.close(record.closed_for_ms.map(|ms| now - ms));
                changes.extend(closed.map(|transition| (None, transition)));
            }
            // The shard does not eject this deployment. So the ejection belongs to this isolate
            // alone: only this isolate is affected, or it mistakes chance for an outage.
            None => self.gate.set_local(!self.pending.has_ejected),
        }
        if let Some(latency_ms) = plausible(record.latency_ms) {
            self.regional_ms.whole.observe(latency_ms, now);
        }
        if let Some(first_token_ms) = plausible(record.first_token_ms) {
            self.regional_ms.stream.observe(first_token_ms, now);
        }
        if let Some(lease) = record.lease {
            // The lease is shortened by the time of the round trip, so that no two leases overlap.
            let (from, until) = (now + lease.from_ms, asked_at + lease.until_ms);
            self.gate.lease(ProbeLease { from, until });
        }
        changes
    }

    fn close(&mut self, since: Option<Instant>) -> Option<Transition> {
        self.accrual = Accrual::default();
        self.pending.on_close();
        self.gate.close(since)
    }

    fn merge_missing(
        &mut self,
        record: &Record,
        now: Instant,
        changes: &mut Vec<(Option<Operation>, Transition)>,
    ) {
        for (operation, remaining_ms) in &record.missing {
            let Some(gate) = self.missing_gate_or_new(*operation) else { continue };
            let reason = Reason::of_operation(*operation, &record.reasons, gate.reason());
            let ejected = gate.eject_as_shared(reason, *remaining_ms, now);
            changes.extend(ejected.map(|transition| (Some(*operation), transition)));
        }
        let unsent = &self.pending.operations;
        self.missing.retain(|(operation, _)| {
            let stays = unsent.contains(operation) || record.missing.contains_key(operation);
            if !stays {
                changes.push((Some(*operation), Transition::Recovered));
            }
            stays
        });
    }
}
