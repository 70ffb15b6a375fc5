//! One deployment, as a region sees it.

use std::collections::BTreeMap;

use super::persisted::SavedDeployment;
use crate::health::accrual::{Accrual, FailureRun, RunRule};
use crate::health::answer_kind::ByKind;
use crate::health::ewma::{Ewma, PeakEwma};
use crate::health::gate::{Gate, LEAST_EXTENSION_MS};
use crate::health::pending::Pending;
use crate::health::reason::Reason;
use crate::health::sharing::{BASE_MS, plausible};
use crate::health::timed_fault::TimedFault;
use crate::health::tracked_deployment::LastError;
use crate::health::window::Counts;
use crate::health::wire::{Batch, Latency, Probe, ProbeUrgency, Record, WireEjection, WireLease};
use crate::routes::graph::Ejections;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::peer_id::PeerId;
use crate::vocabulary::rng::Rng;
use crate::vocabulary::sorted;
use crate::vocabulary::time::{Instant, Millis};

/// A lease has to be used within this time.
const LEASE_MS: Millis = Millis::new(5_000);

/// After a probe has begun, no other isolate gets a lease for this long. The isolate that sent the
/// probe may have ended.
const BEGUN_MS: Millis = Millis::new(30_000);

/// The longest time that the report about the use of a lease may take to arrive.
const ON_ITS_WAY_MS: Millis = Millis::new(1_000);

/// The time after which an unused lease has certainly expired.
pub(super) const UNUSED_MS: Millis = Millis::new(LEASE_MS.get() + ON_ITS_WAY_MS.get());

/// At most one probe before the end of an ejection in this time.
const EARLY_MS: Millis = Millis::new(1_000);

/// A lease that an isolate holds: the right to probe.
#[derive(Debug, Clone, Copy)]
pub(super) struct GrantedLease {
    pub(super) holder: PeerId,
    pub(super) from: Instant,
    /// When another isolate may get it.
    pub(super) until: Instant,
    /// The probe is under way.
    pub(super) has_begun: bool,
}

/// The isolate that wants a lease, and when it reports again.
pub(super) struct LeaseRequest {
    pub(super) reporter: PeerId,
    pub(super) next_ms: Millis,
}

#[derive(Debug, Clone)]
pub(super) struct ShardEntry {
    pub(super) saved: SavedDeployment,
    pub(super) accrual: Accrual,
    pub(super) latency_ms: ByKind<PeakEwma>,
    pub(super) tokens_per_second: Ewma,
    pub(super) headroom: Option<f64>,
    pub(super) last_error: Option<LastError>,
    /// As the latest report says: the document is known to the isolates only.
    ejections: Ejections,
    lease: Option<GrantedLease>,
    /// No lease is granted before this time.
    no_lease_before: Instant,
    /// When the latest lease before the end of an ejection was granted.
    early_at: Option<Instant>,
    /// When a report last mentioned the deployment.
    pub(super) used_at: Instant,
    /// The end of the ejection in the latest numbered change; 0: closed.
    announced_until: Instant,
    /// The facts to report to the hub.
    pub(super) facts: Pending,
    /// The facts in the report to the hub that is under way.
    pub(super) facts_sent: Option<Pending>,
}

/// Whether a batch asks for the state of the deployment.
pub(super) fn is_question(batch: &Batch) -> bool {
    batch.ejected.is_some() || !batch.missing.is_empty() || batch.probe.is_some() || batch.wants.is_some()
}

impl ShardEntry {
    pub(super) fn new(no_lease_before: Instant, now: Instant) -> Self {
        Self {
            saved: SavedDeployment::default(),
            accrual: Accrual::default(),
            latency_ms: ByKind::default(),
            tokens_per_second: Ewma::default(),
            headroom: None,
            last_error: None,
            ejections: Ejections::default(),
            lease: None,
            no_lease_before,
            early_at: None,
            used_at: now,
            announced_until: Instant::EPOCH,
            facts: Pending::default(),
            facts_sent: None,
        }
    }

    pub(super) fn restore(saved: SavedDeployment, now: Instant) -> Self {
        let announced_until = saved.gate.ejected_until().unwrap_or(Instant::EPOCH);
        // It is not known whether the hub has these facts. Reporting them again does no harm.
        let facts = Pending {
            has_ejected: saved.gate.reason().is_some_and(Reason::holds_everywhere),
            operations: saved.missing.iter().map(|(operation, _)| *operation).collect(),
            ..Pending::default()
        };
        Self { saved, announced_until, facts, ..Self::new(now + UNUSED_MS, now) }
    }

    /// Why it is ejected, if it is.
    pub(super) fn ejection(&self) -> Option<Reason> {
        self.saved.gate.reason()
    }

    pub(super) fn saved(&self) -> &SavedDeployment {
        &self.saved
    }

    pub(super) fn change(&self) -> u64 {
        self.saved.change
    }

    pub(super) fn has_latency(&self, now: Instant) -> bool {
        self.latency_ms.longest(now).is_some()
    }

    /// The lease that is in use or can still be used.
    pub(super) fn live_lease(&self, now: Instant) -> Option<GrantedLease> {
        self.lease.filter(|lease| now < lease.until)
    }

    /// Whether there is no state to report, and no report mentioned the deployment for this long.
    pub(super) fn is_idle(&self, now: Instant, idle_ms: Millis) -> bool {
        let is_over = |gate: &Gate| gate.ejected_until().is_none_or(|until| now >= until + idle_ms);
        let saved = &self.saved;
        now >= self.used_at + idle_ms
            && !saved.gate.is_drained()
            && self.fault(now).is_none()
            && is_over(&saved.gate)
            && saved.missing.iter().all(|(_, gate)| is_over(gate))
    }

    /// Merges what a reporter saw. `seen`: the latest change of this history that the reporter knew
    /// at that time.
    pub(super) fn merge_batch(
        &mut self,
        reporter: PeerId,
        batch: &Batch,
        seen: u64,
        change: &mut u64,
        now: Instant,
        rng: &mut dyn Rng,
    ) {
        self.used_at = now;
        self.measure(batch, now);
        let has_passed = batch.probe.is_some_and(|probe| self.on_probe(reporter, probe, change, now, rng));
        // Failures of requests that began before the latest recovery show the state before it.
        let began_at = now - batch.age_ms;
        let is_present = has_passed
            || seen >= self.saved.closed
            || self.saved.gate.closed_since().is_some_and(|since| began_at >= since);
        if self.saved.gate.ejected_until().is_none() {
            let failures = if is_present { batch.failures } else { 0 };
            let run = FailureRun {
                failures: if is_present { batch.run } else { 0 },
                since: now - batch.run_ms,
                answered_at: batch.answered.then(|| now - batch.answered_ms.unwrap_or(Millis::ZERO)),
            };
            let class = batch.class.unwrap_or(ErrorClass::Unavailable);
            let counts = Counts { successes: batch.successes, failures };
            let reason = self.accrual.add(counts, run, class, self.run_rule(now), now);
            if let Some(reason) = reason {
                self.saved.gate.trip(reason, self.ejections, now, rng);
            }
        }
        if let Some(WireEjection { remaining_ms, reason }) = batch.ejected
            && (is_present || reason.holds_everywhere())
            // One of many isolates may mistake chance for an outage: for example five failures of
            // ten requests, where three of ten fail.
            && !(reason.is_trip() && self.accrual.is_serving(self.run_rule(now), now))
        {
            // A trip of the isolate counts as a trip of the shard, so that ejections grow here too.
            if self.saved.gate.ejected_until().is_none() && reason.is_trip() {
                self.saved.gate.trip(reason, self.ejections, now, rng);
            }
            self.saved.gate.eject(reason, remaining_ms, now);
        }
        let moved = self.merge_missing(batch, now);
        self.settle(moved, true, change);
    }

    fn run_rule(&self, now: Instant) -> RunRule {
        RunRule { least: self.ejections.failures_in_a_row, latency_ms: self.latency_ms.longest(now) }
    }

    fn measure(&mut self, batch: &Batch, now: Instant) {
        self.ejections = batch.ejections;
        let mean_ms = |latency: Option<Latency>| plausible(latency.map(|latency| latency.mean_ms));
        if let Some(mean_ms) = mean_ms(batch.latency) {
            self.latency_ms.whole.observe(mean_ms, now);
        }
        if let Some(mean_ms) = mean_ms(batch.first_token) {
            self.latency_ms.stream.observe(mean_ms, now);
        }
        if let Some(speed) = plausible(batch.tokens_per_second) {
            self.tokens_per_second.observe(speed, now);
        }
        self.headroom = plausible(batch.headroom).or(self.headroom);
        if let Some(class) = batch.class {
            self.last_error = Some(LastError { class, at: now });
        }
    }

    /// Merges operations that are missing, or available again. Returns whether anything changed.
    fn merge_missing(&mut self, batch: &Batch, now: Instant) -> bool {
        let mut has_moved = false;
        for (operation, remaining_ms) in &batch.missing {
            if *remaining_ms == Millis::ZERO {
                let before = self.saved.missing.len();
                self.saved.missing.retain(|(missing, _)| missing != operation);
                has_moved |= self.saved.missing.len() < before;
            } else if self.eject_operation(*operation, &batch.reasons, *remaining_ms, now) {
                self.facts.on_operation_moved(*operation);
                has_moved = true;
            }
        }
        has_moved
    }

    /// Ejects an operation, for the reason that a message says. Returns whether this is a change.
    pub(super) fn eject_operation(
        &mut self,
        operation: Operation,
        reasons: &BTreeMap<Operation, Reason>,
        length_ms: Millis,
        now: Instant,
    ) -> bool {
        let missing = &mut self.saved.missing;
        if !missing.iter().any(|(known, _)| *known == operation) {
            missing.push((operation, Gate::default()));
        }
        let gate = missing.iter_mut().find(|(known, _)| *known == operation).map(|(_, gate)| gate);
        gate.is_some_and(|gate| {
            let reason = Reason::of_operation(operation, reasons, gate.reason());
            gate.eject(reason, length_ms, now).is_some()
        })
    }

    /// Takes the state of a probe. It counts if it comes from the holder of the lease. If nobody
    /// holds a lease and the ejection has ended, it counts from any isolate: isolates that lost the
    /// contact probe by themselves. So does an isolate that saw no probe for long: its probe takes
    /// the place of a lease that is not used yet. If it did not count, the region would not learn
    /// that it passed, and the next isolates would probe too. Returns whether the probe ended the
    /// ejection.
    fn on_probe(
        &mut self,
        reporter: PeerId,
        probe: Probe,
        change: &mut u64,
        now: Instant,
        rng: &mut dyn Rng,
    ) -> bool {
        let Some(until) = self.saved.gate.ejected_until() else { return false };
        let is_its = match self.live_lease(now) {
            Some(lease) if lease.holder == reporter => true,
            Some(lease) => {
                let takes_over = probe == Probe::Begun && !lease.has_begun && now >= until;
                if takes_over {
                    // The other isolate may still use its lease: no further one before it expires.
                    self.no_lease_before = self.no_lease_before.max(lease.until);
                }
                takes_over
            }
            None => now >= until,
        };
        if !is_its {
            return false;
        }
        self.lease = None;
        match probe {
            Probe::Begun => {
                let until = now + BEGUN_MS;
                self.lease = Some(GrantedLease { holder: reporter, from: now, until, has_begun: true });
            }
            Probe::Passed => {
                self.close(change);
                self.saved.gate.close(Some(now));
                return true;
            }
            // A failure before the end of the ejection changes nothing.
            Probe::Failed { class: Some(class) } if now >= until => {
                self.saved.gate.trip(Reason::ProbeFailed { class }, self.ejections, now, rng);
            }
            Probe::Failed { .. } | Probe::Abandoned => {}
        }
        false
    }

    /// Closes the deployment, as a new change.
    fn close(&mut self, change: &mut u64) {
        self.number(change);
        self.saved.closed = self.saved.change;
        self.accrual = Accrual::default();
        self.lease = None;
        self.announced_until = Instant::EPOCH;
    }

    /// Gives the next change number to the deployment.
    fn number(&mut self, change: &mut u64) {
        *change = change.saturating_add(1);
        self.saved.change = *change;
    }

    /// Numbers the change, if it is large enough to report. `is_own`: whether it was learned in
    /// this region.
    pub(super) fn settle(&mut self, has_moved: bool, is_own: bool, change: &mut u64) {
        let until = self.saved.gate.ejected_until().unwrap_or(Instant::EPOCH);
        let is_longer = until > Instant::EPOCH
            && (self.announced_until == Instant::EPOCH || until >= self.announced_until + LEAST_EXTENSION_MS);
        if is_longer {
            self.announced_until = until;
            self.facts.has_ejected |=
                is_own && self.saved.gate.reason().is_some_and(Reason::holds_everywhere);
        }
        if is_longer || has_moved {
            self.number(change);
        }
        if is_longer {
            self.saved.opened = self.saved.change;
        }
    }

    /// Grants the lease, if it is free and the reporter is the one to get it.
    pub(super) fn grant(&mut self, request: &LeaseRequest, urgency: Option<ProbeUrgency>, now: Instant) {
        let (Some(urgency), Some(until)) = (urgency, self.saved.gate.ejected_until()) else { return };
        if self.saved.gate.is_drained() || self.live_lease(now).is_some() || now < self.no_lease_before {
            return;
        }
        let comes_again_at = now + request.next_ms + BASE_MS;
        let is_early_free = self.early_at.is_none_or(|at| now >= at + EARLY_MS);
        let from = match urgency {
            ProbeUrgency::Early if until > now && is_early_free => {
                self.early_at = Some(now);
                now
            }
            _ if until <= comes_again_at => until.max(now),
            _ => return,
        };
        let until = from + UNUSED_MS;
        self.lease = Some(GrantedLease { holder: request.reporter, from, until, has_begun: false });
    }

    pub(super) fn record(&self, reporter: PeerId, is_new: bool, now: Instant) -> Record {
        let remaining_ms = |until: Instant| until - now;
        let gate = &self.saved.gate;
        let ejected = gate.ejected_until().zip(gate.reason());
        let (own, others): (Option<GrantedLease>, Option<GrantedLease>) = match self.live_lease(now) {
            Some(lease) if lease.holder == reporter => (Some(lease), None),
            lease => (None, lease),
        };
        let operations = self.saved.missing.iter();
        let missing = operations
            .clone()
            .filter_map(|(operation, gate)| Some((*operation, remaining_ms(gate.ejected_until()?))));
        let reasons = operations.filter_map(|(operation, gate)| Some((*operation, gate.reason()?)));
        Record {
            change: self.saved.change,
            opened: self.saved.opened,
            closed: self.saved.closed,
            reset: self.saved.reset,
            ejected: ejected
                .map(|(until, reason)| WireEjection { remaining_ms: remaining_ms(until), reason }),
            closed_for_ms: gate.closed_since().map(|since| now - since),
            trips: gate.trips(),
            probing_ms: others.map(|lease| remaining_ms(lease.until)),
            missing: sorted::map(missing),
            reasons: sorted::map(reasons),
            drained: gate.is_drained(),
            fault: self.fault(now).map(|fault| fault.text(now)).unwrap_or_default(),
            latency_ms: self.latency_ms.whole.value(now).filter(|_| is_new),
            first_token_ms: self.latency_ms.stream.value(now).filter(|_| is_new),
            lease: own.filter(|lease| !lease.has_begun).map(|lease| WireLease {
                from_ms: remaining_ms(lease.from),
                until_ms: remaining_ms(lease.until - ON_ITS_WAY_MS),
            }),
        }
    }

    pub(super) fn set_drained(&mut self, drained: bool, change: &mut u64) {
        if drained == self.saved.gate.is_drained() {
            return;
        }
        self.saved.gate.set_drained(drained);
        self.number(change);
    }

    /// The fault that is set.
    pub(super) fn fault(&self, now: Instant) -> Option<TimedFault> {
        TimedFault::parse(&self.saved.fault, Instant::EPOCH, now)
    }

    /// Sets a fault, or ends it. `text`: [`TimedFault::text`], with the time from now.
    #[inline(never)]
    pub(super) fn set_fault(&mut self, text: &str, now: Instant, change: &mut u64) {
        let fault = TimedFault::parse(text, now, now);
        let text = fault.map(|fault| fault.text(Instant::EPOCH)).unwrap_or_default();
        if text != self.saved.fault {
            self.saved.fault = text;
            self.number(change);
        }
    }

    pub(super) fn reset(&mut self, change: &mut u64) {
        // A lease that was granted and not used may still be used: no other one before it expires.
        let out = self.lease.filter(|lease| !lease.has_begun).map_or(Instant::EPOCH, |lease| lease.until);
        let (no_lease_before, used_at) = (self.no_lease_before.max(out), self.used_at);
        self.close(change);
        self.saved.reset = *change;
        self.saved.missing.clear();
        self.saved.gate.reset();
        let saved = std::mem::take(&mut self.saved);
        *self = Self { saved, ..Self::new(no_lease_before, used_at) };
    }
}
