//! What isolates learn about deployments, and who gets traffic because of it.
//!
//! [`Health`] keeps, for each deployment of a graph: a [`gate`] that ejects it and lets it back; the signals that trip the gate
//! ([`accrual`]); averages of its speed ([`ewma`]); and how much more it can take ([`headroom`]). An attempt asks for
//! [`Health::admission`], announces itself with [`Health::begin`], and ends with [`Health::record`]:
//!
//! ```
//! use switchyard::attempt::class::ErrorClass;
//! use switchyard::health::gate::Admission;
//! use switchyard::health::limits::Limits;
//! use switchyard::health::{Health, Outcome, Sample};
//! use switchyard::request::operation::Operation::ChatCompletions;
//! use switchyard::rng::SplitMix64;
//!
//! let mut health = Health::new([("openai@1", Limits::default())]);
//! let (mut rng, now) = (SplitMix64::new(1), 1_767_225_600_000);
//! assert_eq!(health.admission(0, ChatCompletions, now), Admission::Open);
//! let ticket = health.begin(0, ChatCompletions, 1_200, now);
//! let outcome = Outcome::Failed { class: ErrorClass::RateLimit, hint_ms: Some(20_000) };
//! let changes = health.record(ticket, &Sample::of(outcome), now + 80, &mut rng);
//! assert_eq!(changes[0].to_string(), "0 is out: rate limited; it asked to be left alone for 20000 ms");
//! assert!(matches!(health.admission(0, ChatCompletions, now + 80), Admission::Refused(_)));
//! ```
//!
//! Isolates tell each other through a [`shard`], which lives in one place of each region; a [`reporter`] is an isolate's end of
//! that, and [`wire`] is what they say. Facts that hold everywhere go from shard to shard through a hub, which is one more shard.
//! An isolate acts on what it sees at once and by itself; it serves on as well when nobody answers.
//!
//! Everything is plain data: no clock, no chance of its own, no I/O. Nothing waits. Deployments that are not known (an
//! `id` of another graph) are open and have no signals.

pub mod accrual;
pub mod budget;
mod deployment;
pub mod ewma;
pub mod gate;
pub mod headroom;
pub mod in_flight;
pub mod limits;
mod pending;
pub mod reason;
pub mod reporter;
pub mod ring;
pub mod shard;
mod sharing;
mod times;
mod tolerant;
pub mod window;
pub mod wire;

use std::fmt::{Display, Formatter};

use crate::attempt::class::ErrorClass;
use crate::request::operation::Operation;
use crate::rng::Rng;
use crate::time::Millis;
use accrual::Ended;
use deployment::{Changes, Deployment};
pub use deployment::{LastError, Snapshot};
use gate::{Admission, Transition};
use headroom::Headroom;
use limits::Limits;
use sharing::Sharing;
use wire::Want;

/// All deployments of one graph, as one isolate sees them.
#[derive(Debug, Clone, Default)]
pub struct Health {
    deployments: Vec<Deployment>,
    sharing: Sharing,
}

/// An attempt under way. It is given back once, with what came of it; until then it counts as in flight.
#[derive(Debug)]
#[must_use = "an attempt that is never recorded stays in flight"]
pub struct Ticket {
    deployment: usize,
    operation: Operation,
    at: Millis,
    committed: bool,
    /// The run of failures that its commit ended.
    ended_run: Option<Ended>,
    probe: Option<u32>,
    operation_probe: Option<u32>,
}

impl Ticket {
    /// Whether others wait for what comes of it.
    pub fn is_probe(&self) -> bool {
        self.probe.is_some() || self.operation_probe.is_some()
    }
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// How it ended.
    pub outcome: Outcome,
    /// From its begin to the first content, where it was streamed.
    pub first_token_ms: Option<Millis>,
    /// Tokens written, where known.
    pub output_tokens: Option<u64>,
}

impl Sample {
    /// An outcome without measurements.
    pub fn of(outcome: Outcome) -> Self {
        Self { outcome, first_token_ms: None, output_tokens: None }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It served the client, to the end.
    Alive,
    /// It failed, before the commit point or after it. What that says about the deployment is decided here, by the class.
    Failed {
        /// The class of the failure.
        class: ErrorClass,
        /// How long the deployment asked to be left alone.
        hint_ms: Option<Millis>,
    },
    /// The request's own deadline ended it, not a limit of the deployment: it is slow at least, and where it was silent for much
    /// longer than usual that is a timeout.
    CutShort,
    /// The client left, or a hedge was not needed any more: nothing was learned.
    Abandoned,
}

/// A gate has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub deployment: usize,
    /// Of which operation; `None`: of all of them.
    pub operation: Option<Operation>,
    /// What it did, and why.
    pub transition: Transition,
}

impl Health {
    /// Knows nothing yet. For each deployment, by id, its identity (that of [`crate::routes::graph::Deployment`]) and limits.
    pub fn new(deployments: impl IntoIterator<Item = (impl Into<String>, Limits)>) -> Self {
        let deployments = deployments.into_iter();
        Self {
            deployments: deployments
                .map(|(identity, limits)| Deployment::new(identity.into(), limits))
                .collect(),
            sharing: Sharing::default(),
        }
    }

    /// Takes over what is known of deployments that were in an earlier graph, and the contact with the shard. Requests that are
    /// under way go on by the earlier graph and its health; what comes of them is not heard of here.
    pub fn adopt(&mut self, old: &Self) {
        let mut is_any_new = false;
        for deployment in &mut self.deployments {
            match old.deployments.iter().find(|old| old.identity == deployment.identity) {
                Some(known) => deployment.adopt(known),
                None => is_any_new = true,
            }
        }
        self.sharing = old.sharing.clone();
        if is_any_new {
            self.sharing.ask_for_all();
        }
    }

    /// Whether an attempt may be made there.
    pub fn admission(&self, id: usize, operation: Operation, now: Millis) -> Admission {
        self.deployments
            .get(id)
            .map_or(Admission::Open, |deployment| deployment.admission(operation, self.probes(now), now))
    }

    /// A request would have gone there, if it were not ejected. `early`: to every other one that it may go to as well; so a probe
    /// is wanted even before the time is up. The next report asks for it.
    pub fn want(&mut self, id: usize, early: bool, now: Millis) {
        let probes = self.probes(now);
        let want = if early { Want::Early } else { Want::Due };
        if let Some(deployment) = self.deployments.get_mut(id)
            && deployment.want(want, probes, now)
        {
            self.sharing.wanted(now);
        }
    }

    /// An attempt begins there. `tokens`: of its prompt and the longest answer that it allows, as far as known.
    ///
    /// Admission is not asked again: an attempt at an ejected deployment becomes its probe, if none is under way.
    pub fn begin(&mut self, id: usize, operation: Operation, tokens: u64, now: Millis) -> Ticket {
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        let probes = self.probes(now);
        let mut ticket = Ticket {
            deployment: id,
            operation,
            at: now,
            committed: false,
            ended_run: None,
            probe: None,
            operation_probe: None,
        };
        if let Some(found) = self.deployments.get_mut(id) {
            (ticket.probe, ticket.operation_probe) = found.begin(operation, tokens, probes, now);
            if ticket.probe.is_some() {
                self.sharing.probed();
            }
        }
        ticket
    }

    /// The attempt reached its commit point. A probe has passed with that: the others need not wait until its stream ends.
    pub fn committed(&mut self, ticket: &mut Ticket, now: Millis) -> Vec<Change> {
        let mut ended_run = None;
        let changes = self.conclude(ticket, now, |deployment, ticket| {
            let (changes, ended) = deployment.committed(ticket, now);
            ended_run = ended;
            changes
        });
        (ticket.committed, ticket.ended_run) = (true, ended_run);
        changes
    }

    /// The attempt is over.
    #[expect(clippy::needless_pass_by_value, reason = "an attempt ends once")]
    pub fn record(&mut self, ticket: Ticket, sample: &Sample, now: Millis, rng: &mut dyn Rng) -> Vec<Change> {
        self.conclude(&ticket, now, |deployment, ticket| deployment.record(ticket, sample, now, rng))
    }

    /// Concludes something from an attempt.
    fn conclude(
        &mut self,
        ticket: &Ticket,
        now: Millis,
        act: impl FnOnce(&mut Deployment, &Ticket) -> Changes,
    ) -> Vec<Change> {
        let Some(found) = self.deployments.get_mut(ticket.deployment) else { return Vec::new() };
        let run = found.accrual.run();
        let changes = list(ticket, act(found, ticket));
        if run == 0 && found.accrual.run() > 0 {
            self.sharing.failed(now);
        }
        if found.pending.probe.is_some() {
            self.sharing.probed();
        }
        if !changes.is_empty() {
            self.sharing.tripped(now);
        }
        changes
    }

    /// Whether a rate limit with that hint says that the deployment is full for moments only: the request goes elsewhere, and nothing
    /// is held against it.
    pub fn is_spill(&self, id: usize, hint_ms: Option<Millis>) -> bool {
        self.deployments.get(id).is_some_and(|deployment| deployment.is_spill(hint_ms))
    }

    /// What the headers of an answer said of how much the deployment can take, of failures as well.
    pub fn heard(&mut self, id: usize, headroom: Headroom) {
        if let Some(deployment) = self.deployments.get_mut(id) {
            deployment.heard(headroom);
        }
    }

    /// How long a request would wait there, in milliseconds, for comparison: the peak EWMA of its latency, times the requests
    /// that are before it and itself. `None` while nothing was ever answered.
    pub fn score(&self, id: usize, now: Millis) -> Option<f64> {
        self.deployments.get(id)?.score(now)
    }

    /// Whether the latest outcome there was a failure by its fault, or it is ejected.
    pub fn is_failing(&self, id: usize) -> bool {
        self.deployments.get(id).is_some_and(Deployment::is_failing)
    }

    /// Until when it is ejected, whoever probes it then; for ever where an administrator took it out; `None` if it is not.
    pub fn ejected_until(&self, id: usize, operation: Operation) -> Option<Millis> {
        self.deployments.get(id)?.ejected_until(operation)
    }

    /// The time to the commit point that the part `p` (`0.0..=1.0`) of the latest attempts did not exceed; `None` with fewer than
    /// twenty of them.
    pub fn percentile(&self, id: usize, p: f64) -> Option<Millis> {
        self.deployments.get(id)?.percentile(p)
    }

    /// Whether this isolate, and no other, may probe it now.
    pub fn is_leased(&self, id: usize, now: Millis) -> bool {
        self.deployments.get(id).is_some_and(|deployment| deployment.gate.is_leased(now))
    }

    /// Attempts under way.
    pub fn in_flight(&self, id: usize, now: Millis) -> u32 {
        self.deployments.get(id).map_or(0, |deployment| deployment.in_flight(now))
    }

    /// The part of its usual traffic that it should get, `0.0..=1.0`: how far it has recovered, times how much it can take.
    pub fn share(&self, id: usize, now: Millis) -> f64 {
        self.deployments.get(id).map_or(1.0, |deployment| deployment.share(self.probes(now), now))
    }

    /// The configured limits, for [`Headroom::of`].
    pub fn limits(&self, id: usize) -> Limits {
        self.deployments.get(id).map(Deployment::limits).unwrap_or_default()
    }

    /// Takes all traffic from it until [`Self::enable`].
    pub fn drain(&mut self, id: usize) {
        if let Some(deployment) = self.deployments.get_mut(id) {
            deployment.gate.set_drained(true);
        }
    }

    /// Ends [`Self::drain`].
    pub fn enable(&mut self, id: usize) {
        if let Some(deployment) = self.deployments.get_mut(id) {
            deployment.gate.set_drained(false);
        }
    }

    /// Forgets what was learned about it. Drained stays drained.
    pub fn reset(&mut self, id: usize, now: Millis) {
        if let Some(deployment) = self.deployments.get_mut(id) {
            deployment.reset(now);
        }
    }

    /// Every deployment, by id.
    pub fn snapshot(&self, now: Millis) -> Vec<Snapshot> {
        let probes = self.probes(now);
        self.deployments.iter().map(|deployment| deployment.snapshot(probes, now)).collect()
    }
}

fn list(ticket: &Ticket, changes: Changes) -> Vec<Change> {
    let Changes { of_deployment, of_operation } = changes;
    let change = |operation, transition| Change { deployment: ticket.deployment, operation, transition };
    let of_deployment = of_deployment.map(|transition| change(None, transition));
    let of_operation = of_operation.map(|transition| change(Some(ticket.operation), transition));
    of_deployment.into_iter().chain(of_operation).collect()
}

impl Display for Change {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.deployment, self.transition)
    }
}
