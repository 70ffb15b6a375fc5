//! The health of all deployments, as one isolate sees it.

use std::rc::Rc;

use super::answer_kind::AnswerKind;
use super::change::GateChange;
use super::drains::is_same_name;
use super::gate::{Admission, Probes};
use super::headroom::Headroom;
use super::sample::{Outcome, Sample};
use super::sharing::Sharing;
use super::ticket::Ticket;
use super::timed_fault::TimedFault;
use super::tracked_deployment::{GateTransitions, Snapshot, TrackedDeployment};
use super::wire::ProbeUrgency;
use crate::routes::graph::{Deployment, Ejections, RateLimits};
use crate::vocabulary::operation::Operation;
use crate::vocabulary::rng::Rng;
use crate::vocabulary::time::{Instant, Millis};

/// All deployments of one graph, as one isolate sees them.
#[derive(Debug, Clone, Default)]
pub struct Health {
    pub(super) deployments: Vec<TrackedDeployment>,
    pub(super) sharing: Sharing,
}

impl Health {
    /// A state without any observations. `deployments`: for each deployment, by id, its identity
    /// (that of [`crate::routes::graph::Deployment`]) and its limits.
    pub fn new(deployments: impl IntoIterator<Item = (impl Into<String>, RateLimits)>) -> Self {
        let deployments = deployments.into_iter();
        Self {
            deployments: deployments
                .map(|(identity, limits)| TrackedDeployment::new(identity.into(), limits))
                .collect(),
            sharing: Sharing::default(),
        }
    }

    /// The same for the deployments of a graph, with their settings.
    pub fn of(deployments: &[Rc<Deployment>]) -> Self {
        let mut health = Self::new(deployments.iter().map(|found| (found.identity.clone(), found.limits)));
        for deployment in deployments {
            health.set_ejections(deployment.id, deployment.ejections);
        }
        health
    }

    /// Sets when failures eject the deployment with this id. Without it, the defaults apply.
    pub fn set_ejections(&mut self, id: usize, ejections: Ejections) {
        if let Some(deployment) = self.deployments.get_mut(id) {
            deployment.ejections = ejections;
        }
    }

    /// Takes over the state of deployments that were in an earlier graph, and the contact with the
    /// shard. A drain stays with the name of a deployment, also if its address changes. Requests
    /// under way continue with the earlier graph and its health; their outcomes are not recorded
    /// here.
    pub fn adopt(&mut self, old: &Self) {
        let mut is_any_new = false;
        for deployment in &mut self.deployments {
            let mut before = old.deployments.iter();
            // Names are unique in a document.
            match before.find(|old| is_same_name(&old.identity, &deployment.identity)) {
                Some(known) if known.identity == deployment.identity => deployment.adopt(known),
                namesake => {
                    is_any_new = true;
                    if let Some(namesake) = namesake {
                        deployment.inherit_drain(namesake);
                    }
                }
            }
        }
        self.sharing = old.sharing.clone();
        if is_any_new {
            self.sharing.ask_for_all();
        }
    }

    /// The deployments that another graph has, too: the id of each here, and there.
    pub fn ids_in(&self, other: &Self) -> Vec<(usize, usize)> {
        let here = self.deployments.iter().enumerate();
        here.filter_map(|(id, deployment)| {
            let is_same = |known: &TrackedDeployment| known.identity == deployment.identity;
            Some((id, other.deployments.iter().position(is_same)?))
        })
        .collect()
    }

    /// Exchanges what is known about these deployments, and the contact with the shard, with
    /// another graph. Done twice, it changes nothing.
    pub fn exchange(&mut self, other: &mut Self, ids: &[(usize, usize)]) {
        for (here, there) in ids {
            if let (Some(here), Some(there)) =
                (self.deployments.get_mut(*here), other.deployments.get_mut(*there))
            {
                here.exchange(there);
            }
        }
        std::mem::swap(&mut self.sharing, &mut other.sharing);
    }

    /// Takes over the state of some deployments of the same graph, by their ids.
    pub fn adopt_some(&mut self, old: &Self, is_meant: impl Fn(usize) -> bool) {
        let both = self.deployments.iter_mut().zip(&old.deployments).enumerate();
        for (_, (deployment, known)) in both.filter(|(id, _)| is_meant(*id)) {
            deployment.adopt(known);
        }
    }

    /// Who decides about probes at this time.
    fn probes(&self, now: Instant) -> Probes {
        self.sharing.probes(now)
    }

    /// Whether an attempt at the deployment is allowed.
    pub fn admission(&self, id: usize, operation: Operation, now: Instant) -> Admission {
        self.deployments
            .get(id)
            .map_or(Admission::Open, |deployment| deployment.admission(operation, self.probes(now), now))
    }

    /// A request would use this deployment if it were not ejected. `early`: all other deployments
    /// that the request may use are ejected too, so a probe is wanted even before the ejection
    /// ends. The next report asks for it.
    pub fn request_probe(&mut self, id: usize, early: bool, now: Instant) {
        let probes = self.probes(now);
        let urgency = if early { ProbeUrgency::Early } else { ProbeUrgency::Due };
        if let Some(deployment) = self.deployments.get_mut(id)
            && deployment.request_probe(urgency, probes, now)
        {
            self.sharing.on_probe_wanted(now);
        }
    }

    /// An attempt begins. `kind`: what it waits for. `tokens`: those of the prompt plus the longest
    /// answer that the request allows, as far as known.
    ///
    /// This does not check admission again: an attempt at an ejected deployment becomes its probe,
    /// if none is under way.
    pub fn begin(
        &mut self,
        id: usize,
        operation: Operation,
        kind: AnswerKind,
        tokens: u64,
        now: Instant,
    ) -> Ticket {
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        let probes = self.probes(now);
        let mut ticket = Ticket {
            deployment: id,
            operation,
            kind,
            at: now,
            uploaded_at: None,
            is_committed: false,
            is_ignored: false,
            ended_run: None,
            probe: None,
            operation_probe: None,
        };
        if let Some(found) = self.deployments.get_mut(id) {
            (ticket.probe, ticket.operation_probe) = found.begin(operation, tokens, probes, now);
            if ticket.probe.is_some() {
                self.sharing.on_probe();
            }
        }
        ticket
    }

    /// The attempt reached its commit point. A probe passes at this point: the other requests do
    /// not have to wait until its stream ends.
    pub fn on_commit(&mut self, ticket: &mut Ticket, now: Instant) -> Vec<GateChange> {
        if ticket.is_ignored {
            return Vec::new();
        }
        let mut ended_run = None;
        let changes = self.conclude(ticket, now, |deployment, ticket| {
            let (changes, ended) = deployment.on_commit(ticket, now);
            ended_run = ended;
            changes
        });
        (ticket.is_committed, ticket.ended_run) = (true, ended_run);
        changes
    }

    /// The attempt has ended.
    #[expect(clippy::needless_pass_by_value, reason = "an attempt ends once")]
    pub fn record(
        &mut self,
        ticket: Ticket,
        sample: &Sample,
        now: Instant,
        rng: &mut dyn Rng,
    ) -> Vec<GateChange> {
        let nothing = Sample::of(Outcome::Abandoned);
        let sample = if ticket.is_ignored { &nothing } else { sample };
        self.conclude(&ticket, now, |deployment, ticket| deployment.record(ticket, sample, now, rng))
    }

    /// Applies an event of an attempt, and notes what is urgent to report.
    fn conclude(
        &mut self,
        ticket: &Ticket,
        now: Instant,
        act: impl FnOnce(&mut TrackedDeployment, &Ticket) -> GateTransitions,
    ) -> Vec<GateChange> {
        let Some(found) = self.deployments.get_mut(ticket.deployment) else { return Vec::new() };
        let run = found.accrual.run();
        let changes = list(ticket, act(found, ticket));
        if run == 0 && found.accrual.run() > 0 {
            self.sharing.on_failure(now);
        }
        if found.pending.probe.is_some() {
            self.sharing.on_probe();
        }
        if !changes.is_empty() {
            self.sharing.on_trip(now);
        }
        changes
    }

    /// Whether a rate limit with this hint means that the deployment is full for short moments
    /// only. The request then goes elsewhere, and the rate limit does not count against the
    /// deployment.
    pub fn is_spill(&self, id: usize, hint_ms: Option<Millis>) -> bool {
        self.deployments.get(id).is_some_and(|deployment| deployment.is_spill(hint_ms))
    }

    /// Records what the headers of an answer state about headroom. Failed answers count too.
    pub fn record_headroom(&mut self, id: usize, headroom: Headroom) {
        if let Some(deployment) = self.deployments.get_mut(id) {
            deployment.record_headroom(headroom);
        }
    }

    /// The expected wait for an answer of this kind at this deployment, in milliseconds, for
    /// comparison: the peak EWMA of the latency, times the number of attempts under way plus one.
    /// `None` before the first answer of this kind.
    pub fn score(&self, id: usize, kind: AnswerKind, now: Instant) -> Option<f64> {
        self.deployments.get(id)?.score(kind, now)
    }

    /// Whether the latest outcome was a failure by the deployment's fault, or the deployment is
    /// ejected.
    pub fn is_failing(&self, id: usize) -> bool {
        self.deployments.get(id).is_some_and(TrackedDeployment::is_failing)
    }

    /// When the ejection ends, regardless of who sends the probe then; the latest possible time if
    /// an administrator drained the deployment; `None` if it is not ejected.
    pub fn ejected_until(&self, id: usize, operation: Operation) -> Option<Instant> {
        self.deployments.get(id)?.ejected_until(operation)
    }

    /// The time to the commit point that the part `p` (`0.0..=1.0`) of the latest attempts of this
    /// kind did not exceed; `None` with fewer than twenty of them.
    pub fn percentile(&self, id: usize, kind: AnswerKind, p: f64) -> Option<Millis> {
        self.deployments.get(id)?.percentile(kind, p)
    }

    /// Whether this isolate, and no other one, may probe the deployment now.
    pub fn is_leased(&self, id: usize, now: Instant) -> bool {
        self.deployments.get(id).is_some_and(|deployment| deployment.gate.is_leased(now))
    }

    /// Attempts under way.
    pub fn in_flight(&self, id: usize, now: Instant) -> u32 {
        self.deployments.get(id).map_or(0, |deployment| deployment.in_flight(now))
    }

    /// The part of its usual traffic that the deployment should get, `0.0..=1.0`: its share after a
    /// recovery, times its share by headroom.
    pub fn share(&self, id: usize, now: Instant) -> f64 {
        self.deployments.get(id).map_or(1.0, |deployment| deployment.share(self.probes(now), now))
    }

    /// The configured limits, for [`Headroom::of`].
    pub fn limits(&self, id: usize) -> RateLimits {
        self.deployments.get(id).map(TrackedDeployment::limits).unwrap_or_default()
    }

    /// Removes all traffic from the deployment until [`Self::enable`].
    pub fn drain(&mut self, id: usize) {
        if let Some(deployment) = self.deployments.get_mut(id) {
            deployment.set_drains(|drains| drains.set(true));
        }
    }

    /// Whether an administrator has drained the deployment.
    pub fn is_drained(&self, id: usize) -> bool {
        self.deployments.get(id).is_some_and(|deployment| deployment.gate.is_drained())
    }

    /// Ends [`Self::drain`].
    pub fn enable(&mut self, id: usize) {
        if let Some(deployment) = self.deployments.get_mut(id) {
            deployment.set_drains(|drains| drains.set(false));
        }
    }

    /// Forgets what was learned about the deployment. A drained deployment stays drained.
    pub fn reset(&mut self, id: usize, now: Instant) {
        if let Some(deployment) = self.deployments.get_mut(id) {
            deployment.reset(now);
        }
    }

    /// Sets the fault of the deployment, or ends it.
    pub fn set_fault(&mut self, id: usize, fault: Option<TimedFault>) {
        if let Some(deployment) = self.deployments.get_mut(id) {
            deployment.fault = fault;
        }
    }

    /// The fault that is set for the deployment. It may be over.
    pub fn fault(&self, id: usize) -> Option<&TimedFault> {
        self.deployments.get(id)?.fault.as_ref()
    }

    /// Every deployment, by id.
    pub fn snapshot(&self, now: Instant) -> Vec<Snapshot> {
        let probes = self.probes(now);
        self.deployments.iter().map(|deployment| deployment.snapshot(probes, now)).collect()
    }
}

fn list(ticket: &Ticket, changes: GateTransitions) -> Vec<GateChange> {
    let GateTransitions { of_deployment, of_operation } = changes;
    let change = |operation, transition| GateChange { deployment: ticket.deployment, operation, transition };
    let of_deployment = of_deployment.map(|transition| change(None, transition));
    let of_operation = of_operation.map(|transition| change(Some(ticket.operation), transition));
    of_deployment.into_iter().chain(of_operation).collect()
}
