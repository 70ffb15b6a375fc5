//! All that is known about one deployment, and what each outcome means for it.

#[cfg(not(target_arch = "wasm32"))]
use serde::Deserialize;
use serde::Serialize;

use super::accrual::{Accrual, EndedRun, RunRule};
use super::answer_kind::{AnswerKind, ByKind};
use super::drains::Drains;
use super::ewma::{Ewma, PeakEwma};
use super::gate::{Admission, Gate, GateView, LONGEST_EJECTION_MS, Probes, Transition, jittered};
use super::headroom::{self, Headroom};
use super::in_flight::InFlight;
use super::judgement::{Effect, EndedAttempt, disproves, effect};
use super::local_usage::LocalUsage;
use super::pending::Pending;
use super::reason::Reason;
use super::sample::{Outcome, Sample};
use super::sharing::BASE_MS;
use super::ticket::Ticket;
use super::timed_fault::TimedFault;
use super::times::RecentTimes;
use super::wire::{Latency, Probe, ProbeUrgency};
use crate::routes::graph::{Ejections, RateLimits};
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::rng::Rng;
use crate::vocabulary::scope::Scope;
use crate::vocabulary::time::{Instant, Millis};

/// A rate limit that ends sooner does not eject: the request goes elsewhere, and the deployment may
/// have room again for the next one. A provisioned deployment (PTU), which is paid for even if it
/// is not used, sends such limits all the time.
const SPILL_MS: Millis = Millis::new(1_000);

/// The same for a deployment that is known to be provisioned. It should be used fully, and a
/// request that spills over costs little.
const PROVISIONED_SPILL_MS: Millis = Millis::new(10_000);

/// The length of an ejection for a rate limit without a hint.
const RATE_LIMIT_MS: Millis = Millis::new(5_000);

/// The length of an ejection for problems that only people can fix: billing, credentials,
/// deployments. It is long enough to cost almost nothing, and short enough for a person who fixes
/// the problem and waits.
const MENDING_MS: Millis = LONGEST_EJECTION_MS;

/// If the deadline of a request ends an attempt, this counts as a timeout of the deployment only
/// after a long silence. This is the length of that silence where no usual time is known.
const SILENCE_MS: Millis = Millis::new(15_000);

/// Where the usual time is known, the silence is this many times the time that 95 % of the attempts
/// do not exceed, and at least [`LEAST_SILENCE_MS`]: an impatient client shows nothing about the
/// deployment.
const USUAL_SILENCES: u64 = 3;
const LEAST_SILENCE_MS: Millis = Millis::new(5_000);

/// What one isolate knows about a deployment.
#[derive(Debug, Clone, Default)]
pub(super) struct TrackedDeployment {
    pub(super) identity: String,
    pub(super) gate: Gate,
    pub(super) drains: Drains,
    /// The fault that an administrator has set.
    pub(super) fault: Option<TimedFault>,
    /// Operations that the deployment stated not to offer, each with the time to ask again.
    pub(super) missing: Vec<(Operation, Gate)>,
    pub(super) accrual: Accrual,
    pub(super) latency_ms: ByKind<PeakEwma>,
    /// The same over all isolates of the region, as received from the shard.
    pub(super) regional_ms: ByKind<PeakEwma>,
    times: ByKind<RecentTimes>,
    pub(super) tokens_per_second: Ewma,
    pub(super) in_flight: InFlight,
    pub(super) headroom: Option<Headroom>,
    is_provisioned: bool,
    limits: RateLimits,
    pub(super) ejections: Ejections,
    usage: LocalUsage,
    pub(super) last_error: Option<LastError>,
    /// What the next report contains.
    pub(super) pending: Pending,
    /// The content of the report under way.
    pub(super) sent: Option<Pending>,
    /// The latest merged change of the shard; 0: none.
    pub(super) merged: u64,
}

/// The latest failure, of any class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(Deserialize))]
pub struct LastError {
    /// Its class.
    pub class: ErrorClass,
    /// When it became known.
    pub at: Instant,
}

/// A deployment as shown to people.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(Deserialize))]
pub struct Snapshot {
    /// Its gate.
    pub gate: GateView,
    /// Gates of operations that it does not offer.
    pub missing: Vec<(Operation, GateView)>,
    /// The part of its usual traffic that it gets, `0.0..=1.0`.
    pub share: f64,
    /// Attempts under way that began within the last two minutes.
    pub in_flight: u32,
    /// Failures since its last answer.
    pub consecutive_failures: u32,
    /// Requests served within the last ten seconds.
    pub successes: u32,
    /// Requests that failed by the deployment's fault within the last ten seconds.
    pub failures: u32,
    /// Peak EWMA of the time to answers in one piece.
    pub latency_ms: Option<f64>,
    /// Peak EWMA of the time to the first token of streams.
    pub first_token_ms: Option<f64>,
    /// EWMA of the speed of generation.
    pub tokens_per_second: Option<f64>,
    /// The part of its limits that is left, `0.0..=1.0`, where known.
    pub headroom: Option<f64>,
    /// The latest failure.
    pub last_error: Option<LastError>,
    /// Whether this isolate holds a lease to probe it.
    pub leased: bool,
    /// Whether this isolate asks for a lease.
    pub wanted: bool,
    /// Whether this isolate may probe it without a lease, because no isolate has probed.
    pub overdue: bool,
}

impl TrackedDeployment {
    pub(super) fn new(identity: String, limits: RateLimits) -> Self {
        Self { identity, limits, ..Self::default() }
    }

    /// Takes over the state of the same deployment in another graph. The outcomes of attempts under
    /// way are not recorded here.
    pub(super) fn adopt(&mut self, old: &Self) {
        let (identity, limits, ejections) = (std::mem::take(&mut self.identity), self.limits, self.ejections);
        *self = Self { identity, limits, ejections, in_flight: InFlight::default(), ..old.clone() };
        if self.gate.lose_probe() {
            self.pending.probe = Some(Probe::Abandoned);
        }
        for (_, gate) in &mut self.missing {
            gate.lose_probe();
        }
    }

    /// Exchanges what is known with the same deployment of another graph. Each keeps its settings.
    pub(super) fn exchange(&mut self, other: &mut Self) {
        std::mem::swap(self, other);
        std::mem::swap(&mut self.limits, &mut other.limits);
        std::mem::swap(&mut self.ejections, &mut other.ejections);
    }

    /// Takes over the drain and the fault of a deployment of the same name with another address.
    pub(super) fn inherit_drain(&mut self, old: &Self) {
        self.fault.clone_from(&old.fault);
        self.set_drains(|drains| *drains = old.drains.inherited());
    }

    /// Changes what is known about drains.
    pub(super) fn set_drains(&mut self, change: impl FnOnce(&mut Drains)) {
        change(&mut self.drains);
        self.gate.set_drained(self.drains.hold());
    }

    pub(super) fn admission(&self, operation: Operation, probes: Probes, now: Instant) -> Admission {
        let of_operation = self.missing.iter().find(|(missing, _)| *missing == operation);
        let of_operation = of_operation.map(|(_, gate)| gate.admission(Probes::Own, now));
        self.gate.admission(probes, now).and(of_operation.unwrap_or(Admission::Open))
    }

    /// Notes that a request would use this deployment. Returns whether to report it to the shard at
    /// once.
    pub(super) fn request_probe(&mut self, urgency: ProbeUrgency, probes: Probes, now: Instant) -> bool {
        let Some(until) = self.gate.ejected_until().filter(|_| !self.gate.is_drained()) else { return false };
        self.pending.probe_urgency = self.pending.probe_urgency.max(Some(urgency));
        let is_soon = urgency == ProbeUrgency::Early || until <= now + BASE_MS;
        let is_seen_to = self.gate.has_lease(now) || self.gate.is_awaited(now);
        is_soon && !is_seen_to && probes != Probes::Own
    }

    /// An attempt begins. Returns the numbers of the probes for the deployment and for the
    /// operation, if the attempt is one.
    pub(super) fn begin(
        &mut self,
        operation: Operation,
        tokens: u32,
        probes: Probes,
        now: Instant,
    ) -> (Option<u32>, Option<u32>) {
        self.in_flight.begin(now);
        if !operation.is_on_stored_objects() {
            // A request that is larger than the whole limit is refused, and uses nothing of it.
            let is_over = self.limits.tpm.is_some_and(|tpm| tokens > tpm);
            self.usage.add(if is_over { 0 } else { tokens }, now);
        }
        let is_proof = self.gate.reason().is_none_or(|reason| disproves(operation, reason));
        let probe = if is_proof { self.gate.admit(probes, now) } else { None };
        if probe.is_some() {
            self.pending.probe = Some(Probe::Begun);
        }
        (probe, self.missing_gate(operation).and_then(|gate| gate.admit(Probes::Own, now)))
    }

    /// The attempt reached its commit point. Returns the changes of the gates, and the run of
    /// failures that this ended.
    pub(super) fn on_commit(&mut self, ticket: &Ticket, now: Instant) -> (GateTransitions, Option<EndedRun>) {
        // Up to here the time is the deployment's. Afterwards it may be that of a slow client.
        // A file or a list comes from another part of the upstream than an answer of a model.
        if !ticket.operation.is_on_stored_objects() {
            let took_ms = ticket.taken_ms(now);
            self.times.of_mut(ticket.kind).add(took_ms);
            self.record_latency(ticket.kind, took_ms.as_f64(), now);
        }
        let changes = self.on_response(ticket, now);
        // The deployment answers. Whether the answer is complete is known later.
        let is_proof = self
            .last_error
            .is_none_or(|last| disproves(ticket.operation, Reason::ProbeFailed { class: last.class }));
        let is_current = self.gate.is_current(ticket.at, ticket.probe);
        let ended = (is_current && is_proof).then(|| {
            self.pending.on_response(ticket.at);
            self.accrual.on_commit()
        });
        (changes, ended)
    }

    /// The deployment answered the attempt. The answer may continue.
    fn on_response(&mut self, ticket: &Ticket, now: Instant) -> GateTransitions {
        let of_operation = self
            .missing_gate(ticket.operation)
            .and_then(|gate| gate.on_response(ticket.operation_probe, now));
        if of_operation.is_some() {
            self.missing.retain(|(operation, _)| *operation != ticket.operation);
            self.pending.on_operation_moved(ticket.operation);
        }
        let of_deployment = self.gate.on_response(ticket.probe, now);
        if of_deployment.is_some() {
            // Failures before the recovery do not count for the time after it.
            self.accrual = Accrual::starting_at(now);
            self.pending.on_close();
            self.pending.probe = Some(Probe::Passed);
        }
        GateTransitions { of_deployment, of_operation }
    }

    /// Records what an answer stated about headroom.
    pub(super) fn record_headroom(&mut self, headroom: Headroom) {
        self.headroom = Some(headroom);
        self.is_provisioned |= headroom.is_provisioned();
    }

    pub(super) fn is_failing(&self) -> bool {
        self.accrual.run() > 0 || self.gate.ejected_until().is_some()
    }

    pub(super) fn ejected_until(&self, operation: Operation) -> Option<Instant> {
        if self.gate.is_drained() {
            return Some(Instant::MAX);
        }
        let of_operation = self.missing.iter().find(|(missing, _)| *missing == operation);
        self.gate.ejected_until().max(of_operation.and_then(|(_, gate)| gate.ejected_until()))
    }

    /// The attempt has ended.
    pub(super) fn record(
        &mut self,
        ticket: &Ticket,
        sample: &Sample,
        now: Instant,
        rng: &mut dyn Rng,
    ) -> GateTransitions {
        self.in_flight.end(ticket.at);
        let was_probe = self.gate.is_probed_by(ticket.probe);
        let taken_ms = ticket.taken_ms(now);
        let effect = effect(&EndedAttempt {
            operation: ticket.operation,
            is_committed: ticket.is_committed,
            // The usual time is looked up only where it matters.
            was_silent: sample.outcome == Outcome::CutShort
                && sample.first_token_ms.is_none()
                && taken_ms >= self.silence_ms(ticket.kind),
            outcome: sample.outcome,
        });
        if let Outcome::Failed { class, scope, .. } = sample.outcome
            && scope != Scope::Client
        {
            self.last_error = Some(LastError { class, at: now });
        }
        let changes = match effect {
            Effect::Nothing => GateTransitions::default(),
            Effect::Serves => self.on_served(ticket, sample, now),
            Effect::Answers => self.on_answered(ticket, now),
            Effect::Slow => {
                // The full time is not known, but it is at least this.
                let least_ms = sample.first_token_ms.unwrap_or(taken_ms).min(taken_ms).as_f64();
                let known_ms = self.latency_ms.of(ticket.kind).value(now);
                let latency_ms = known_ms.map_or(least_ms, |known_ms| known_ms.max(least_ms));
                self.record_latency(ticket.kind, latency_ms, now);
                GateTransitions::default()
            }
            Effect::Counts(class) => {
                self.last_error = Some(LastError { class, at: now });
                GateTransitions::of_deployment(self.on_counted_failure(ticket, class, now, rng))
            }
            Effect::Limits(hint_ms) => {
                let length_ms = self.limited_for(hint_ms, rng);
                let reason = Reason::RateLimited { hint_ms };
                GateTransitions::of_deployment(
                    length_ms.and_then(|length_ms| self.gate.eject(reason, length_ms, now)),
                )
            }
            Effect::LimitsOperation(hint_ms) => {
                let length_ms = self.limited_for(hint_ms, rng);
                let reason = Reason::RateLimited { hint_ms };
                length_ms.map_or_else(GateTransitions::default, |length_ms| {
                    self.eject_operation(ticket.operation, reason, length_ms, now)
                })
            }
            Effect::Ejects(reason) => {
                GateTransitions::of_deployment(self.gate.eject(reason, MENDING_MS, now))
            }
            Effect::EjectsOperation(reason) => {
                self.eject_operation(ticket.operation, reason, MENDING_MS, now)
            }
        };
        self.note(changes, ticket.operation);
        if was_probe && !self.pending.has_recovered() {
            self.pending.probe = Some(match effect {
                Effect::Counts(class) => Probe::Failed { class: Some(class) },
                _ => Probe::Abandoned,
            });
        }
        // The probe is not under way any more, for any outcome.
        self.gate.release_probe(ticket.probe);
        if let Some(gate) = self.missing_gate(ticket.operation) {
            gate.release_probe(ticket.operation_probe);
        }
        changes
    }

    /// How long a healthy deployment may be silent.
    fn silence_ms(&self, kind: AnswerKind) -> Millis {
        self.percentile(kind, 0.95)
            .map_or(SILENCE_MS, |usual_ms| (usual_ms * USUAL_SILENCES).max(LEAST_SILENCE_MS))
    }

    /// Notes which changes of an outcome are to be reported.
    fn note(&mut self, changes: GateTransitions, operation: Operation) {
        if let Some(Transition::Ejected { .. }) = changes.of_deployment {
            self.pending.has_ejected = true;
        }
        if changes.of_operation.is_some() {
            self.pending.on_operation_moved(operation);
        }
    }

    fn record_latency(&mut self, kind: AnswerKind, ms: f64, now: Instant) {
        self.latency_ms.of_mut(kind).observe(ms, now);
        self.pending.record_latency(kind, Latency { mean_ms: ms, count: 1 });
    }

    fn on_served(&mut self, ticket: &Ticket, sample: &Sample, now: Instant) -> GateTransitions {
        let total_ms = now - ticket.at;
        let first_token_ms = sample.first_token_ms.map(|ms| ms.min(total_ms));
        if !ticket.is_committed {
            let took_ms = ticket.taken_ms(ticket.at + first_token_ms.unwrap_or(total_ms));
            self.record_latency(ticket.kind, took_ms.as_f64(), now);
            self.times.of_mut(ticket.kind).add(took_ms);
        }
        let writing_ms = total_ms - first_token_ms.unwrap_or(Millis::ZERO);
        if let Some(tokens) = sample.output_tokens.filter(|_| writing_ms > Millis::ZERO) {
            self.tokens_per_second.observe(float(tokens) * 1_000.0 / writing_ms.as_f64(), now);
        }
        let changes = self.on_response(ticket, now);
        if self.gate.is_current(ticket.at, ticket.probe) {
            let seen_at = ticket.at + first_token_ms.unwrap_or(total_ms);
            self.accrual.on_success(seen_at, now);
            self.pending.on_success(ticket.at);
        }
        changes
    }

    /// The deployment works, and the request was at fault. A probe with this answer has passed.
    fn on_answered(&mut self, ticket: &Ticket, now: Instant) -> GateTransitions {
        if self.gate.is_current(ticket.at, ticket.probe) {
            self.accrual.on_response(now);
            self.pending.on_response(ticket.at);
        }
        self.on_response(ticket, now)
    }

    fn on_counted_failure(
        &mut self,
        ticket: &Ticket,
        class: ErrorClass,
        now: Instant,
        rng: &mut dyn Rng,
    ) -> Option<Transition> {
        if class == ErrorClass::Timeout && !ticket.is_committed {
            // The full time is longer than this: the worst latency so far.
            self.record_latency(ticket.kind, ticket.taken_ms(now).as_f64(), now);
        }
        if !self.gate.is_current(ticket.at, ticket.probe) {
            return self.gate.on_probe_failure(ticket.probe, class, self.ejections, now, rng);
        }
        self.pending.on_failure(class, ticket.at);
        if let Some(ended) = ticket.ended_run {
            self.accrual.on_broken_answer(ended);
        }
        let rule = self.run_rule(now);
        let reason = self.accrual.on_failure(class, rule, now);
        reason.and_then(|reason| self.gate.trip(reason, self.ejections, now, rng))
    }

    fn run_rule(&self, now: Instant) -> RunRule {
        RunRule { least: self.ejections.failures_in_a_row, latency_ms: self.latency_ms.longest(now) }
    }

    fn eject_operation(
        &mut self,
        operation: Operation,
        reason: Reason,
        length_ms: Millis,
        now: Instant,
    ) -> GateTransitions {
        let gate = self.missing_gate_or_new(operation);
        let of_operation = gate.and_then(|gate| gate.eject(reason, length_ms, now));
        GateTransitions { of_deployment: None, of_operation }
    }

    /// How long a rate limit with this hint ejects; `None`: not at all.
    fn limited_for(&self, hint_ms: Option<Millis>, rng: &mut dyn Rng) -> Option<Millis> {
        match hint_ms {
            _ if self.is_spill(hint_ms) => None,
            // A hint of 0 from a deployment that has just refused is not usable: the deployment
            // would refuse every request.
            None | Some(Millis::ZERO) => Some(jittered(RATE_LIMIT_MS, rng)),
            Some(hint_ms) => Some(hint_ms),
        }
    }

    /// Whether a rate limit with this hint ends before the next request, or is not worth an
    /// ejection.
    pub(super) fn is_spill(&self, hint_ms: Option<Millis>) -> bool {
        let shortest_ms = if self.is_provisioned { PROVISIONED_SPILL_MS } else { SPILL_MS };
        hint_ms
            .is_some_and(|hint_ms| (hint_ms > Millis::ZERO || self.is_provisioned) && hint_ms < shortest_ms)
    }

    pub(super) fn score(&self, kind: AnswerKind, now: Instant) -> Option<f64> {
        let value = |latency_ms: &ByKind<PeakEwma>| latency_ms.of(kind).value(now);
        let latency_ms = value(&self.latency_ms).or_else(|| value(&self.regional_ms))?;
        Some(latency_ms * f64::from(self.in_flight(now).saturating_add(1)))
    }

    pub(super) fn in_flight(&self, now: Instant) -> u32 {
        self.in_flight.count(now)
    }

    pub(super) fn percentile(&self, kind: AnswerKind, p: f64) -> Option<Millis> {
        self.times.of(kind).percentile(p)
    }

    pub(super) fn tokens_per_second(&self) -> Option<f64> {
        self.tokens_per_second.value()
    }

    /// The part of its limits that is left, as the deployment stated.
    pub(super) fn headroom(&self, now: Instant) -> Option<f64> {
        self.headroom?.remaining(now)
    }

    pub(super) fn share(&self, probes: Probes, now: Instant) -> f64 {
        self.gate.share(probes, now) * self.remaining(now).map_or(1.0, headroom::share)
    }

    /// The part of its limits that is left: as the deployment stated or as counted here; the
    /// smaller one.
    fn remaining(&self, now: Instant) -> Option<f64> {
        let by_count = self.usage.remaining(&self.limits, now);
        self.headroom(now).into_iter().chain(by_count).reduce(f64::min)
    }

    pub(super) fn limits(&self) -> RateLimits {
        self.limits
    }

    /// Forgets what was learned. Decisions of an administrator and the attempts under way stay.
    pub(super) fn reset(&mut self, now: Instant) {
        let mut gate = std::mem::take(&mut self.gate);
        gate.reset();
        let identity = std::mem::take(&mut self.identity);
        let in_flight = std::mem::take(&mut self.in_flight);
        let fault = self.fault.take();
        let (merged, drains) = (self.merged, self.drains);
        *self = Self {
            gate,
            drains,
            fault,
            in_flight,
            merged,
            ejections: self.ejections,
            accrual: Accrual::starting_at(now),
            ..Self::new(identity, self.limits)
        };
    }

    pub(super) fn snapshot(&self, probes: Probes, now: Instant) -> Snapshot {
        let counts = self.accrual.counts(now);
        Snapshot {
            gate: self.gate.view(now),
            missing: self.missing.iter().map(|(operation, gate)| (*operation, gate.view(now))).collect(),
            share: self.share(probes, now),
            in_flight: self.in_flight(now),
            consecutive_failures: self.accrual.run(),
            successes: counts.successes,
            failures: counts.failures,
            latency_ms: self.latency_ms.whole.value(now),
            first_token_ms: self.latency_ms.stream.value(now),
            tokens_per_second: self.tokens_per_second.value(),
            headroom: self.remaining(now),
            last_error: self.last_error,
            leased: self.gate.has_lease(now),
            wanted: self.pending.probe_urgency.is_some(),
            overdue: self.gate.is_overdue(probes, now),
        }
    }

    pub(super) fn missing_gate(&mut self, operation: Operation) -> Option<&mut Gate> {
        self.missing.iter_mut().find(|(missing, _)| *missing == operation).map(|(_, gate)| gate)
    }

    pub(super) fn missing_gate_or_new(&mut self, operation: Operation) -> Option<&mut Gate> {
        if !self.missing.iter().any(|(missing, _)| *missing == operation) {
            self.missing.push((operation, Gate::default()));
        }
        self.missing_gate(operation)
    }
}

/// What an outcome did to the gates.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct GateTransitions {
    pub(super) of_deployment: Option<Transition>,
    pub(super) of_operation: Option<Transition>,
}

impl GateTransitions {
    fn of_deployment(of_deployment: Option<Transition>) -> Self {
        Self { of_deployment, of_operation: None }
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn float(number: u64) -> f64 {
    number as f64
}
