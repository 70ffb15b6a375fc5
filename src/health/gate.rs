//! The gate in front of a deployment: whether the deployment gets traffic.
//!
//! ```text
//!            tripped, rate limited,             the ejection has ended,
//!                 quota, auth                    and a request comes
//!   closed --------------------------> open --------------------------> probation
//!     ^                                 ^                                |     |
//!     |                                 +------- the probe failed -------+     |
//!     +--------------------------- the probe passed ---------------------------+
//! ```
//!
//! Invariants:
//! - Only a probe that passed or an administrator shortens an ejection.
//! - One probe at a time: a second request is refused until the first one has ended, or has been
//!   under way for two minutes.
//! - In probation only the outcome of the probe counts. The outcomes of earlier attempts are
//!   ignored, except for facts that the deployment states itself (a longer rate limit, quota,
//!   credential): these count, from any attempt.
//! - After a passed probe traffic grows slowly: all of it returns, but not in the same second.
//!
//! Who sends the probe: while the isolate is in contact with the shard of its region, the holder of
//! the [`ProbeLease`] that the shard granted; otherwise each isolate by itself ([`Probes`]).
//!
//! Nothing here reads a clock or waits. A gate whose ejection has ended stays `Open` until a
//! request arrives that becomes the probe.

use std::fmt::{Display, Formatter};

use serde::{Deserialize, Serialize};

use super::reason::Reason;
use crate::routes::graph::Ejections;
use crate::scan::json_value;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::rng::Rng;
use crate::vocabulary::time::{Instant, Millis};

/// The longest ejection of any kind, including hints. An upstream with a wrong hint loses its
/// traffic for at most five minutes.
pub const LONGEST_EJECTION_MS: Millis = Millis::new(300_000);

/// The largest part of an ejection that chance can remove, so that isolates do not probe at the
/// same time. It applies to times chosen here; times chosen by the upstream are used exactly.
const JITTER: f64 = 0.25;

/// A gate that was closed for this long forgets earlier trips. It equals the longest ejection, so
/// that a deployment that trips again sooner gets longer and longer ejections.
const HEALTHY_SPELL_MS: Millis = LONGEST_EJECTION_MS;

/// A probe without an outcome for this long is lost: the isolate that sent it does not know it any
/// more. This is longer than most attempts take. If an attempt takes longer, a second probe may
/// start.
const LOST_PROBE_MS: Millis = Millis::new(120_000);

/// When to ask again while a probe is under way or a lease for one is requested: most probes are
/// answered by then.
const PROBE_ANSWER_MS: Millis = Millis::new(1_000);

/// An extension of an ejection that is shorter than this is not reported: a hundred requests that
/// are refused within a second are reported once.
pub const LEAST_EXTENSION_MS: Millis = Millis::new(1_000);

/// The share of traffic directly after a passed probe, and the time until the full share.
const FIRST_SHARE: f64 = 0.1;
const RAMP_MS: Millis = Millis::new(10_000);

/// Who decides when an ejected deployment is probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probes {
    /// The isolate decides: there is no shard to ask.
    Own,
    /// The shard decides, by leases.
    Leased {
        /// After an ejection has ended without any probe for this long, the isolate probes without
        /// a lease.
        overdue_ms: Millis,
    },
}

/// The right to send one probe within a period of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeLease {
    /// Start of the period. It may be before the end of the ejection.
    pub from: Instant,
    /// End of the period, exclusive.
    pub until: Instant,
}

/// Whether an attempt at a deployment is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Yes.
    Open,
    /// Yes, by one request: its outcome decides for all others.
    Probe,
    /// No.
    Refused(Refusal),
}

/// Why an attempt is not allowed, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// When to ask again; `None` if only an administrator can end the refusal.
    pub until: Option<Instant>,
    /// Why.
    pub reason: Reason,
    /// Whether a probe is under way.
    pub is_probing: bool,
    /// Whether a request without any other deployment may become the probe, while no probe is under
    /// way. Where this isolate decides about probes itself, that is so even before the ejection
    /// ends. Otherwise only after its end.
    pub may_be_forced: bool,
}

/// A change of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum Transition {
    /// It opened, or stays open for longer: no traffic until then.
    Ejected {
        /// When the probe is due.
        until: Instant,
        /// Why.
        reason: Reason,
        /// Whether it says more than an ejection under way: there was none, or it had another kind
        /// of reason. The log has such a line once for each ejection.
        #[serde(skip)]
        is_new: bool,
    },
    /// It closed: traffic returns slowly.
    Recovered,
}

impl Display for Transition {
    /// The text follows the name of the deployment.
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ejected { until, reason, .. } => {
                write!(formatter, "is out until {}: {reason}", until.utc())
            }
            Self::Recovered => formatter.write_str("is back"),
        }
    }
}

/// A gate as shown to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(Deserialize))]
pub struct GateView {
    /// The position of the gate.
    pub state: GatePosition,
    /// When the probe is due; `None` if there is no ejection, or if it has ended and the next
    /// request is the probe.
    pub until: Option<Instant>,
    /// Why it is not closed.
    pub reason: Option<Reason>,
    /// The reason as a sentence.
    pub why: Option<String>,
}

/// The position of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(Deserialize))]
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
    state: GateState,
    /// Trips since the last healthy spell. They make ejections longer.
    trips: u32,
    /// The number of probes so far. It identifies a probe, so that a late result is not taken for
    /// the result of another probe.
    probes: u32,
    drained: bool,
    #[serde(skip)]
    lease: Option<ProbeLease>,
    /// Until then another isolate is known to probe.
    #[serde(skip)]
    awaited_until: Instant,
    /// The ejection belongs to this isolate alone: the shard does not share it.
    #[serde(skip)]
    is_local: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum GateState {
    Closed {
        #[serde(default, deserialize_with = "json_value::lenient")]
        since: Option<Instant>,
    },
    Open(Ejection),
    Probation {
        ejection: Ejection,
        lost_at: Instant,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Ejection {
    until: Instant,
    #[serde(deserialize_with = "json_value::lenient")]
    reason: Reason,
}

impl Default for GateState {
    fn default() -> Self {
        Self::Closed { since: None }
    }
}

impl Admission {
    /// Combines two gates in a row: the stricter one decides.
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

    /// Who decides about the probe of this ejection.
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

    /// Lets a request pass. Returns the number of the probe if the request is one; there is none
    /// while another probe is under way. Where leases decide, the probe is a request that uses a
    /// lease, or that comes after the ejection. Otherwise it is any request that comes to an open
    /// gate, even before the ejection ends: that happens when all other deployments are ejected
    /// too.
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

    /// Sets whether the ejection belongs to this isolate alone: the shard knows about it and does
    /// not share it. The shard then grants no lease for a probe either.
    pub fn set_local(&mut self, is_local: bool) {
        self.is_local = is_local;
    }

    /// Takes a lease that the shard granted. It replaces an earlier one.
    pub fn lease(&mut self, lease: ProbeLease) {
        self.lease = self.ejection().is_some().then_some(lease);
    }

    /// Whether the isolate holds a lease that it may use now.
    pub fn is_leased(&self, now: Instant) -> bool {
        self.lease.is_some_and(|lease| (lease.from..lease.until).contains(&now))
    }

    /// Whether the isolate holds a lease for now or for later.
    pub fn has_lease(&self, now: Instant) -> bool {
        self.lease.is_some_and(|lease| now < lease.until)
    }

    /// Another isolate probes, until then.
    pub fn await_other_probe(&mut self, until: Instant) {
        self.awaited_until = until;
    }

    /// Whether another isolate is known to probe.
    pub fn is_awaited(&self, now: Instant) -> bool {
        now < self.awaited_until
    }

    /// Whether the isolate may probe without a lease, although leases decide.
    pub fn is_overdue(&self, probes: Probes, now: Instant) -> bool {
        let Probes::Leased { overdue_ms } = probes else { return false };
        let due = |ejection: Ejection| ejection.until.max(self.awaited_until) + overdue_ms;
        self.ejection().is_some_and(|ejection| now >= due(ejection))
    }

    /// Whether the outcome of an attempt that began at `at` counts now: the attempt was the probe,
    /// or the gate is closed and was closed when the attempt began. An attempt that began before a
    /// recovery shows the state before it: requests that hung while the deployment was down must
    /// not eject it again when they time out.
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

    /// Closes the gate: the probe passed, or the shard reported a recovery. `since`: when that
    /// began, for the ramp. A drained gate stays drained.
    ///
    /// If the gate is closed already, it takes the ramp from `since`, provided that this ramp began
    /// clearly later than its own.
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

    /// An attempt ended without a result about the deployment. If it was the probe, another one may
    /// follow.
    pub fn release_probe(&mut self, probe: Option<u32>) {
        if let Some(ejection) = self.probed_ejection(probe) {
            self.state = GateState::Open(ejection);
        }
    }

    /// The outcome of the probe under way will not arrive: another probe may follow. Returns
    /// whether there was one.
    pub fn lose_probe(&mut self) -> bool {
        let GateState::Probation { ejection, .. } = self.state else { return false };
        self.state = GateState::Open(ejection);
        true
    }

    /// An attempt failed. Only a probe matters here. If it fails before the end of the ejection,
    /// the ejection does not change; otherwise it grows.
    pub fn on_probe_failure(
        &mut self,
        probe: Option<u32>,
        class: ErrorClass,
        ejections: Ejections,
        now: Instant,
        rng: &mut dyn Rng,
    ) -> Option<Transition> {
        let ejection = self.probed_ejection(probe)?;
        self.state = GateState::Open(ejection);
        if now < ejection.until {
            None
        } else {
            self.trip(Reason::ProbeFailed { class }, ejections, now, rng)
        }
    }

    /// Ejects for a time that doubles with every trip.
    pub fn trip(
        &mut self,
        reason: Reason,
        ejections: Ejections,
        now: Instant,
        rng: &mut dyn Rng,
    ) -> Option<Transition> {
        if matches!(self.state, GateState::Closed { since: Some(since) } if now >= since + HEALTHY_SPELL_MS) {
            self.trips = 0;
        }
        let length_ms = (ejections.first_ms << self.trips.min(16)).min(ejections.longest_ms);
        self.trips = self.trips.saturating_add(1);
        self.eject(reason, jittered(length_ms, rng), now)
    }

    /// Ejects for this length, at most [`LONGEST_EJECTION_MS`]. An ejection under way that lasts
    /// longer is not changed. Returns `None` if there is no change to report. A probe under way
    /// continues.
    pub fn eject(&mut self, reason: Reason, length_ms: Millis, now: Instant) -> Option<Transition> {
        let until = now + length_ms.min(LONGEST_EJECTION_MS);
        let running = self.ejection();
        let running_until = running.map_or(Instant::EPOCH, |running| running.until);
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
        let is_new = running_until <= now || running.is_none_or(|running| !reason.is_like(running.reason));
        is_notable.then_some(Transition::Ejected { until, reason, is_new })
    }

    /// Does the same as the shard says. The answer to the isolate's own report comes later, by the
    /// time of its way. That does not extend a limit: a request may sleep until its end.
    pub fn eject_as_shared(
        &mut self,
        reason: Reason,
        remaining_ms: Millis,
        now: Instant,
    ) -> Option<Transition> {
        let is_own = matches!(reason, Reason::RateLimited { .. })
            && self.ejection().is_some_and(|running| {
                running.reason == reason
                    && running.until > now
                    && now + remaining_ms < running.until + LEAST_EXTENSION_MS
            });
        if is_own { None } else { self.eject(reason, remaining_ms, now) }
    }

    /// The part of its usual traffic that the deployment should get, `0.0..=1.0`. A gate that waits
    /// for its probe gets enough to be chosen for one.
    pub fn share(&self, probes: Probes, now: Instant) -> f64 {
        match self.admission(probes, now) {
            Admission::Refused(_) => 0.0,
            // No other isolate can use the lease, and it expires soon.
            Admission::Probe if self.is_leased(now) => 1.0,
            Admission::Probe => FIRST_SHARE,
            Admission::Open => match self.state {
                GateState::Closed { since: Some(since) } => ramp(now - since),
                _ => 1.0,
            },
        }
    }

    /// Removes all traffic, or gives it back where there is no ejection.
    pub fn set_drained(&mut self, drained: bool) {
        self.drained = drained;
    }

    /// Closes the gate and forgets all trips. A drained gate stays drained.
    pub fn reset(&mut self) {
        *self = Self { drained: self.drained, probes: self.probes, ..Self::default() };
    }

    /// Whether an administrator removed all traffic.
    pub fn is_drained(&self) -> bool {
        self.drained
    }

    /// When the current ejection ends, or ended.
    pub fn ejected_until(&self) -> Option<Instant> {
        self.ejection().map(|ejection| ejection.until)
    }

    /// Why the deployment is ejected.
    pub fn reason(&self) -> Option<Reason> {
        self.ejection().map(|ejection| ejection.reason)
    }

    /// When the gate closed; `None` if it is open, or was never open.
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

    /// Sets the number of trips that the shard counted.
    pub fn set_trips(&mut self, trips: u32) {
        self.trips = trips;
    }

    /// Whether the probe with this number is under way.
    pub fn is_probed_by(&self, probe: Option<u32>) -> bool {
        self.probed_ejection(probe).is_some()
    }

    /// The gate at this time, as shown to people.
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
            until: ejection.map(|ejection| ejection.until).filter(|until| *until > now),
            reason,
            why: reason.map(|reason| reason.to_string()),
        }
    }

    /// A gate that is shown like this. What a view does not tell is as in a new gate.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn of_view(view: &GateView, now: Instant) -> Self {
        let (until, reason) = (view.until, view.reason);
        // An ejection whose end is not shown is over.
        let ejection = Ejection { until: until.unwrap_or(now), reason: reason.unwrap_or_default() };
        let was_ejected = until.is_some();
        let state = match view.state {
            GatePosition::Closed => GateState::Closed { since: None },
            GatePosition::Drained if !was_ejected => GateState::Closed { since: None },
            GatePosition::Open | GatePosition::Drained => GateState::Open(ejection),
            GatePosition::Probation => GateState::Probation { ejection, lost_at: now + LOST_PROBE_MS },
        };
        Self { state, drained: view.state == GatePosition::Drained, ..Self::default() }
    }

    /// Sets how long ago the gate closed, from the share of traffic that it gets since.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn set_ramp(&mut self, share: f64, now: Instant) {
        if let GateState::Closed { since } = &mut self.state {
            let part = ((share - FIRST_SHARE) / (1.0 - FIRST_SHARE)).clamp(0.0, 1.0);
            *since = (part < 1.0).then(|| now - Millis::from_f64((RAMP_MS.as_f64() * part).round()));
        }
    }

    fn ejection(&self) -> Option<Ejection> {
        match self.state {
            GateState::Closed { .. } => None,
            GateState::Open(ejection) | GateState::Probation { ejection, .. } => Some(ejection),
        }
    }

    /// The ejection that the probe with this number tests, while that probe is under way.
    fn probed_ejection(&self, probe: Option<u32>) -> Option<Ejection> {
        match self.state {
            GateState::Probation { ejection, .. } if probe == Some(self.probes) => Some(ejection),
            _ => None,
        }
    }
}

/// Shortens a time by a random part.
pub fn jittered(length_ms: Millis, rng: &mut dyn Rng) -> Millis {
    Millis::from_f64(length_ms.as_f64() * (1.0 - JITTER * rng.unit()))
}

fn ramp(since_ms: Millis) -> f64 {
    FIRST_SHARE + (1.0 - FIRST_SHARE) * since_ms.min(RAMP_MS).as_f64() / RAMP_MS.as_f64()
}
