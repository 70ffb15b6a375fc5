//! The gate in front of a deployment: whether it gets traffic.
//!
//! ```text
//!           tripped, rate limited, quota, auth             time is up, and a request comes
//!  closed ─────────────────────────────────────▶ open ───────────────────────────────────▶ probation
//!    ▲                                            ▲                                         │     │
//!    │                                            └──────────── the probe failed ───────────┘     │
//!    └────────────────────────────────────────────────────────── the probe passed ────────────────┘
//! ```
//!
//! Invariants:
//! - An ejection is never shortened by anything but a probe that passed or an administrator.
//! - One probe at a time: the second request is refused until the first one is back, or has been gone for two minutes.
//! - In probation only the probe speaks; what was sent earlier ends as it may. The exceptions are facts that the deployment
//!   states itself (a longer rate limit, quota, credential): they count whoever hears them.
//! - After a passed probe traffic grows slowly: everyone comes back, but not in the same second.
//!
//! Who sends the probe: while the isolate is in contact with the shard of its region, whoever holds the [`ProbeLease`] that the shard
//! gave away; else every isolate by itself ([`Probes`]).
//!
//! Nothing here reads a clock or waits. A gate whose time is up stays `Open` until a request comes along to be the probe.

use std::fmt::{Display, Formatter};

use serde::{Deserialize, Serialize};

use super::reason::Reason;
use super::tolerant;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::rng::Rng;
use crate::vocabulary::time::{Instant, Millis};

/// The first ejection after a trip. Short, because most outages of a model's endpoint are; a probe costs one client one
/// second attempt.
const FIRST_EJECTION_MS: Millis = Millis::new(10_000);

/// The longest ejection of any kind, hints included: five minutes are how long a mistaken upstream can keep us away.
pub const LONGEST_EJECTION_MS: Millis = Millis::new(300_000);

/// The part of a time chosen here that chance may take off, so that isolates do not probe together. Times that the upstream
/// chose are kept exactly.
const JITTER: f64 = 0.25;

/// Closed for this long, a gate has forgotten earlier trips: as long as the longest ejection, so that a deployment which
/// flaps more often than that keeps growing its ejections.
const HEALTHY_SPELL_MS: Millis = LONGEST_EJECTION_MS;

/// Where nothing came of a probe for so long, it is lost: the isolate that sent it forgot it. Longer than most attempts take; one that
/// takes longer is joined by a second probe.
const LOST_PROBE_MS: Millis = Millis::new(120_000);

/// When to come back while a probe is under way, or a lease for one is asked for: most are answered by then.
const PROBE_ANSWER_MS: Millis = Millis::new(1_000);

/// An ejection that is extended by less is not worth telling: a hundred requests that are refused within a second are one
/// piece of news.
pub const LEAST_EXTENSION_MS: Millis = Millis::new(1_000);

/// How traffic comes back after a passed probe.
const FIRST_SHARE: f64 = 0.1;
const RAMP_MS: Millis = Millis::new(10_000);

/// Who decides when an ejected deployment is probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probes {
    /// The isolate: nobody else is there to ask.
    Own,
    /// The shard, by leases.
    Leased {
        /// An ejection that nobody has seen to for so long after its end: the isolate helps itself.
        overdue_ms: Millis,
    },
}

/// The right to send one probe, within that time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeLease {
    /// From when. It may be before the end of the ejection.
    pub from: Instant,
    /// Until when it has to be used, exclusive.
    pub until: Instant,
}

/// Whether a deployment may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Yes.
    Open,
    /// By one request, which finds out for all the others.
    Probe,
    /// No.
    Refused(Refusal),
}

/// Why not, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// When to ask again; `None` where only an administrator can tell.
    pub until: Option<Instant>,
    /// Why.
    pub reason: Reason,
    /// Whether a probe is under way.
    pub is_probing: bool,
    /// Whether a request that has nowhere else to go may be the probe, while nobody is: even before the time is up where this isolate
    /// decides itself who probes, and else from then on.
    pub may_be_forced: bool,
}

/// What a gate did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum Transition {
    /// It opened, or stays open for longer: no traffic until then.
    Ejected {
        /// When the probe is due.
        until: Instant,
        /// Why.
        reason: Reason,
    },
    /// It closed: traffic returns slowly.
    Recovered,
}

impl Display for Transition {
    /// To be read after the name of the deployment.
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ejected { reason, .. } => write!(formatter, "is out: {reason}"),
            Self::Recovered => formatter.write_str("is back"),
        }
    }
}

/// A gate as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GateView {
    /// Where it stands.
    pub state: GatePosition,
    /// When the probe is due, or was; `None` where no ejection is under way.
    pub until: Option<Instant>,
    /// Why it is not closed.
    pub reason: Option<Reason>,
    /// The same as a sentence.
    pub why: Option<String>,
}

/// Where a gate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GatePosition {
    /// Traffic flows.
    Closed,
    /// Ejected, or waiting for the request that will be the probe.
    Open,
    /// A probe is under way.
    Probation,
    /// Taken out by an administrator.
    Drained,
}

/// The gate of one deployment, or of one operation of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gate {
    #[serde(deserialize_with = "tolerant::variant")]
    state: GateState,
    /// Trips since the last healthy spell: what makes ejections grow.
    trips: u32,
    /// Probes so far: each has its number, so that a late result is not taken for that of another.
    probes: u32,
    drained: bool,
    #[serde(skip)]
    lease: Option<ProbeLease>,
    /// Until then somebody else is known to see to it.
    #[serde(skip)]
    awaited_until: Instant,
    /// The isolate's own ejection, in which the shard has no part.
    #[serde(skip)]
    is_local: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum GateState {
    Closed {
        #[serde(default, deserialize_with = "tolerant::lenient")]
        since: Option<Instant>,
    },
    Open(Ejection),
    Probation {
        #[serde(deserialize_with = "tolerant::object")]
        ejection: Ejection,
        lost_at: Instant,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Ejection {
    until: Instant,
    #[serde(deserialize_with = "tolerant::lenient")]
    reason: Reason,
}

impl Default for GateState {
    fn default() -> Self {
        Self::Closed { since: None }
    }
}

impl Admission {
    /// What two gates in a row say: the stricter of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Refused(one), Self::Refused(two)) => {
                let end = |refusal: Refusal| refusal.until.unwrap_or(Instant::MAX);
                let later = if end(one) >= end(two) { one } else { two };
                Self::Refused(Refusal {
                    is_probing: one.is_probing || two.is_probing,
                    may_be_forced: one.may_be_forced && two.may_be_forced,
                    ..later
                })
            }
            (refused @ Self::Refused(_), _) | (_, refused @ Self::Refused(_)) => refused,
            (Self::Open, Self::Open) => Self::Open,
            _ => Self::Probe,
        }
    }
}

impl Gate {
    /// Whether a request may pass.
    pub fn admission(&self, probes: Probes, now: Instant) -> Admission {
        if self.drained {
            return Admission::Refused(Refusal {
                until: None,
                reason: Reason::Drained,
                is_probing: false,
                may_be_forced: false,
            });
        }
        let (ejection, is_probing) = match self.state {
            GateState::Closed { .. } => return Admission::Open,
            GateState::Open(ejection) => (ejection, false),
            GateState::Probation { ejection, lost_at } => (ejection, now < lost_at),
        };
        let probes = self.probes_of(probes);
        if !is_probing && self.may_probe(ejection, probes, now) {
            return Admission::Probe;
        }
        let is_probing = is_probing || (probes != Probes::Own && now < self.awaited_until);
        let soon = if is_probing || now >= ejection.until { now + PROBE_ANSWER_MS } else { Instant::EPOCH };
        let until = Some(ejection.until.max(soon));
        let may_be_forced = !is_probing && (probes == Probes::Own || now >= ejection.until);
        Admission::Refused(Refusal { until, reason: ejection.reason, is_probing, may_be_forced })
    }

    /// Who decides on the probe of this ejection.
    fn probes_of(&self, probes: Probes) -> Probes {
        if self.is_local { Probes::Own } else { probes }
    }

    fn may_probe(&self, ejection: Ejection, probes: Probes, now: Instant) -> bool {
        let due = match probes {
            Probes::Own => ejection.until,
            Probes::Leased { overdue_ms } => ejection.until.max(self.awaited_until) + overdue_ms,
        };
        now >= due || self.is_leased(now)
    }

    /// A request passes. The number of the probe if it is one, while no other is under way: where leases decide, the request
    /// that uses one up; else every request that comes to an open gate, even before its time, when all others are ejected as
    /// well.
    pub fn admit(&mut self, probes: Probes, now: Instant) -> Option<u32> {
        let ejection = match self.state {
            GateState::Open(ejection) => ejection,
            GateState::Probation { ejection, lost_at } if now >= lost_at => ejection,
            GateState::Closed { .. } | GateState::Probation { .. } => return None,
        };
        let probes = self.probes_of(probes);
        let is_forced = now >= ejection.until.max(self.awaited_until);
        if probes != Probes::Own && !is_forced && !self.may_probe(ejection, probes, now) {
            return None;
        }
        self.lease = None;
        self.probes = self.probes.wrapping_add(1);
        self.state = GateState::Probation { ejection, lost_at: now + LOST_PROBE_MS };
        Some(self.probes)
    }

    /// Whether the shard knows of the ejection and has no part in it: then it sees to no probe either.
    pub fn set_local(&mut self, is_local: bool) {
        self.is_local = is_local;
    }

    /// The shard gives a lease. It replaces an earlier one.
    pub fn lease(&mut self, lease: ProbeLease) {
        self.lease = self.ejection().is_some().then_some(lease);
    }

    /// Whether a lease is held that may be used now.
    pub fn is_leased(&self, now: Instant) -> bool {
        self.lease.is_some_and(|lease| (lease.from..lease.until).contains(&now))
    }

    /// Whether a lease is held for now or for later.
    pub fn has_lease(&self, now: Instant) -> bool {
        self.lease.is_some_and(|lease| now < lease.until)
    }

    /// Somebody else sees to it until then.
    pub fn await_other_probe(&mut self, until: Instant) {
        self.awaited_until = until;
    }

    /// Whether somebody else is known to see to it.
    pub fn is_awaited(&self, now: Instant) -> bool {
        now < self.awaited_until
    }

    /// Whether the isolate may help itself, though leases decide.
    pub fn is_overdue(&self, probes: Probes, now: Instant) -> bool {
        let Probes::Leased { overdue_ms } = probes else { return false };
        let due = |ejection: Ejection| ejection.until.max(self.awaited_until) + overdue_ms;
        self.ejection().is_some_and(|ejection| now >= due(ejection))
    }

    /// Whether outcomes of an attempt that began at `at` belong to the present: the gate is closed, and was when it began, or
    /// it was the probe. What began before a recovery tells of the time before it: the requests that hung while the
    /// deployment was down must not eject it again when they time out.
    pub fn is_current(&self, at: Instant, probe: Option<u32>) -> bool {
        match self.state {
            GateState::Closed { since } => probe.is_some() || since.is_none_or(|since| at >= since),
            GateState::Open(_) | GateState::Probation { .. } => false,
        }
    }

    /// The deployment answered an attempt.
    pub fn on_response(&mut self, probe: Option<u32>, now: Instant) -> Option<Transition> {
        self.probed_ejection(probe)?;
        self.close(Some(now))
    }

    /// It closes, by word of those who know. `since`: when that began, for the ramp. Drained stays drained.
    ///
    /// Where it was closed already, it follows the ramp of the others, if that began clearly later than its own.
    pub fn close(&mut self, since: Option<Instant>) -> Option<Transition> {
        if let GateState::Closed { since: own } = self.state {
            let is_other = |since: &Instant| own.is_none_or(|own| *since - own >= RAMP_MS);
            self.state = GateState::Closed { since: since.filter(is_other).or(own) };
            return None;
        }
        self.state = GateState::Closed { since };
        (self.lease, self.is_local) = (None, false);
        self.awaited_until = Instant::EPOCH;
        Some(Transition::Recovered)
    }

    /// An attempt ended without a word on the deployment: if it was the probe, another may follow.
    pub fn release_probe(&mut self, probe: Option<u32>) {
        if let Some(ejection) = self.probed_ejection(probe) {
            self.state = GateState::Open(ejection);
        }
    }

    /// Nothing will be heard of the probe under way, if there is one: another may follow. Whether there was.
    pub fn lose_probe(&mut self) -> bool {
        let GateState::Probation { ejection, .. } = self.state else { return false };
        self.state = GateState::Open(ejection);
        true
    }

    /// An attempt failed. Only a probe matters here: before its time it leaves things as they were, else the ejection grows.
    pub fn on_probe_failure(
        &mut self,
        probe: Option<u32>,
        class: ErrorClass,
        now: Instant,
        rng: &mut dyn Rng,
    ) -> Option<Transition> {
        let ejection = self.probed_ejection(probe)?;
        self.state = GateState::Open(ejection);
        if now < ejection.until { None } else { self.trip(Reason::ProbeFailed { class }, now, rng) }
    }

    /// Ejects for a time that doubles with every trip.
    pub fn trip(&mut self, reason: Reason, now: Instant, rng: &mut dyn Rng) -> Option<Transition> {
        if matches!(self.state, GateState::Closed { since: Some(since) } if now >= since + HEALTHY_SPELL_MS) {
            self.trips = 0;
        }
        let length_ms = (FIRST_EJECTION_MS << self.trips.min(16)).min(LONGEST_EJECTION_MS);
        self.trips = self.trips.saturating_add(1);
        self.eject(reason, jittered(length_ms, rng), now)
    }

    /// Ejects for that long, at most [`LONGEST_EJECTION_MS`], or for as long as an ejection lasts that is under way. `None`
    /// where that is no news. A probe under way stays under way.
    pub fn eject(&mut self, reason: Reason, length_ms: Millis, now: Instant) -> Option<Transition> {
        let until = now + length_ms.min(LONGEST_EJECTION_MS);
        let running_until = self.ejection().map_or(Instant::EPOCH, |running| running.until);
        if until <= running_until {
            return None;
        }
        let ejection = Ejection { until, reason };
        self.state = match self.state {
            GateState::Probation { lost_at, .. } => GateState::Probation { ejection, lost_at },
            GateState::Open(_) | GateState::Closed { .. } => GateState::Open(ejection),
        };
        self.is_local = false;
        let is_notable = running_until <= now || until - running_until >= LEAST_EXTENSION_MS;
        is_notable.then_some(Transition::Ejected { until, reason })
    }

    /// The part of its usual traffic that it should get, `0.0..=1.0`. A gate that waits for its probe gets enough to be
    /// chosen for one.
    pub fn share(&self, probes: Probes, now: Instant) -> f64 {
        match self.admission(probes, now) {
            Admission::Refused(_) => 0.0,
            // Nobody else can use it, and it does not last.
            Admission::Probe if self.is_leased(now) => 1.0,
            Admission::Probe => FIRST_SHARE,
            Admission::Open => match self.state {
                GateState::Closed { since: Some(since) } => ramp(now - since),
                _ => 1.0,
            },
        }
    }

    /// Takes all traffic away, or gives back what is not ejected.
    pub fn set_drained(&mut self, drained: bool) {
        self.drained = drained;
    }

    /// Closes it and forgets every trip. Drained stays drained.
    pub fn reset(&mut self) {
        *self = Self { drained: self.drained, probes: self.probes, ..Self::default() };
    }

    /// Whether an administrator took all traffic away.
    pub fn is_drained(&self) -> bool {
        self.drained
    }

    /// When the ejection under way ends, or ended.
    pub fn ejected_until(&self) -> Option<Instant> {
        self.ejection().map(|ejection| ejection.until)
    }

    /// Why it is ejected.
    pub fn reason(&self) -> Option<Reason> {
        self.ejection().map(|ejection| ejection.reason)
    }

    /// When it closed; `None` where it is open, or never was.
    pub fn closed_since(&self) -> Option<Instant> {
        match self.state {
            GateState::Closed { since } => since,
            GateState::Open(_) | GateState::Probation { .. } => None,
        }
    }

    /// Trips since the last healthy spell.
    pub fn trips(&self) -> u32 {
        self.trips
    }

    /// Trips as others counted them.
    pub fn set_trips(&mut self, trips: u32) {
        self.trips = trips;
    }

    /// Whether the probe of this number is under way.
    pub fn is_probed_by(&self, probe: Option<u32>) -> bool {
        self.probed_ejection(probe).is_some()
    }

    /// What it looks like at this time.
    pub fn view(&self, now: Instant) -> GateView {
        let ejection = self.ejection();
        let state = match self.state {
            _ if self.drained => GatePosition::Drained,
            GateState::Closed { .. } => GatePosition::Closed,
            GateState::Probation { lost_at, .. } if now < lost_at => GatePosition::Probation,
            GateState::Open(_) | GateState::Probation { .. } => GatePosition::Open,
        };
        let reason =
            if self.drained { Some(Reason::Drained) } else { ejection.map(|ejection| ejection.reason) };
        GateView {
            state,
            until: ejection.map(|ejection| ejection.until),
            reason,
            why: reason.map(|reason| reason.to_string()),
        }
    }

    fn ejection(&self) -> Option<Ejection> {
        match self.state {
            GateState::Closed { .. } => None,
            GateState::Open(ejection) | GateState::Probation { ejection, .. } => Some(ejection),
        }
    }

    /// The ejection that the probe of this number was to end, while it is the one under way.
    fn probed_ejection(&self, probe: Option<u32>) -> Option<Ejection> {
        match self.state {
            GateState::Probation { ejection, .. } if probe == Some(self.probes) => Some(ejection),
            _ => None,
        }
    }
}

/// A time chosen here, with chance in it.
pub fn jittered(length_ms: Millis, rng: &mut dyn Rng) -> Millis {
    Millis::from_f64(length_ms.as_f64() * (1.0 - JITTER * rng.unit()))
}

fn ramp(since_ms: Millis) -> f64 {
    FIRST_SHARE + (1.0 - FIRST_SHARE) * since_ms.min(RAMP_MS).as_f64() / RAMP_MS.as_f64()
}
