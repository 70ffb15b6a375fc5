//! The phases of an attempt, and how long each may take.
//!
//! Only this module decides which limit applies. The edge asks [`PhaseLimits::of`] before each
//! wait, and reports the reason of that limit when the time has passed. An attempt before its
//! commit point never outlives the deadline of the request. After the commit point a stream has
//! only its own limits: a cut at the deadline would not help the client.
//!
//! If another target is left, an attempt without configured limits may be silent for half of the
//! remaining time. So there is time for the next target, for any deadline.
//!
//! An answer in one piece is silent while it is generated, before or after its headers. Once its
//! first bytes have come, it is finished, and a pause is a stall.

use crate::routes::graph::Timeouts;
use crate::vocabulary::time::{Instant, Millis};

/// Default limit until the first content of a streamed answer, for clients that do not say how long
/// they wait. For others it is their time, if that is longer: a model that thinks may be silent.
const FIRST_TOKEN_MS: Millis = Millis::new(60_000);
/// Default limit between two pieces of an answer, extended in the same way.
const IDLE_MS: Millis = Millis::new(60_000);

/// What an attempt waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Status and headers.
    Headers,
    /// The first content of a streamed answer, or the first bytes of the body of any other.
    FirstToken,
    /// The next piece of an answer that the gateway holds until it is complete.
    Rest,
    /// The next piece of a stream after its commit point.
    Flowing,
}

/// The limits of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhaseLimits {
    timeouts: Timeouts,
    is_streamed: bool,
    started_at: Instant,
    deadline: PhaseLimit,
    /// Until when the attempt may delay the next one. `None` if there is no next one, or if limits
    /// are configured.
    share_until: Option<PhaseLimit>,
    /// The deadline of the attempt that would follow, if an answer that is held may pause only so
    /// long that time is left for it.
    pauses_before: Option<Instant>,
    /// The limit between two pieces is configured.
    is_pause_own: bool,
}

/// When to stop waiting, and which limit applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhaseLimit {
    /// The time to stop.
    pub at: Instant,
    /// The limit.
    pub kind: LimitKind,
}

/// Which limit ends a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitKind {
    /// Until status and headers.
    Headers,
    /// Until the first content of a streamed answer.
    FirstToken,
    /// Between two pieces of an answer.
    Idle,
    /// For the whole attempt.
    Total,
    /// The deadline of the request, which the document sets.
    Deadline,
    /// The time that the client allows, or the share of it that leaves time for the next attempt.
    Patience,
    /// The share of the deadline that leaves time for the next attempt.
    Share,
}

impl LimitKind {
    /// Its name in failures and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Headers => "headers",
            Self::FirstToken => "first_token",
            Self::Idle => "idle",
            Self::Total => "total",
            Self::Deadline => "deadline",
            Self::Patience => "patience",
            Self::Share => "share",
        }
    }
}

/// How long a client waits, as it says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The whole time, in milliseconds.
    pub ms: Millis,
    /// When it ends.
    pub ends_at: Instant,
}

impl PhaseLimits {
    /// The limits of an attempt that starts now. `timeouts` are the configured ones. `patience` is
    /// the time of the client, if it says so. `deadline` is for this attempt, and never later.
    /// `alternative` is the deadline of the attempt that would follow after a timeout, if there is
    /// one.
    pub fn new(
        timeouts: Timeouts,
        is_streamed: bool,
        started_at: Instant,
        patience: Option<Patience>,
        deadline: Instant,
        alternative: impl FnOnce() -> Option<Instant>,
    ) -> Self {
        // There is no share if a limit is configured for the phase in which an attempt may hang.
        // `headers_ms` says nothing about the body that follows the headers.
        let first_token_ms = if is_streamed { timeouts.first_token_ms } else { None };
        let alternative = if first_token_ms.or(timeouts.total_ms).is_none() { alternative() } else { None };
        let patience_ms = patience.map_or(Millis::ZERO, |patience| patience.ms);
        let defaults = Timeouts {
            first_token_ms: Some(FIRST_TOKEN_MS.max(patience_ms)),
            idle_ms: Some(IDLE_MS.max(patience_ms)),
            ..Timeouts::default()
        };
        let is_of_client = |deadline: Instant| patience.is_some_and(|patience| patience.ends_at <= deadline);
        let kind_of = |deadline, of_document| {
            if is_of_client(deadline) { LimitKind::Patience } else { of_document }
        };
        let share = |deadline: Instant| PhaseLimit {
            at: half_way(started_at, deadline),
            kind: kind_of(deadline, LimitKind::Share),
        };
        Self {
            timeouts: timeouts.or(defaults),
            is_streamed,
            started_at,
            deadline: PhaseLimit { at: deadline, kind: kind_of(deadline, LimitKind::Deadline) },
            share_until: alternative.map(share),
            pauses_before: alternative.filter(|_| timeouts.idle_ms.is_none()),
            is_pause_own: timeouts.idle_ms.is_some(),
        }
    }

    /// The limit while the client uploads. How fast the body comes is not up to the deployment, so
    /// none of its own limits applies.
    pub fn of_upload(&self) -> PhaseLimit {
        self.deadline
    }

    /// The limits after an upload that has ended now. No other target follows, because the body was
    /// sent once.
    #[must_use]
    pub fn from_upload_end(self, now: Instant) -> Self {
        Self { started_at: now, share_until: None, pauses_before: None, ..self }
    }

    /// The limits of a further call of the same attempt that begins now: the next page of a list.
    #[must_use]
    pub fn of_next_call(self, now: Instant) -> Self {
        Self { started_at: now, ..self }
    }

    /// The limit for the whole attempt.
    pub fn total(&self) -> PhaseLimit {
        let total_ms = self.timeouts.total_ms.unwrap_or(Millis::MAX);
        PhaseLimit { at: self.started_at + total_ms, kind: LimitKind::Total }
    }

    /// How long an answer in one piece that flows to the client may pause. There is no default,
    /// because such an answer is only read if the document says so.
    pub fn own_pause(&self) -> Option<Millis> {
        self.timeouts.idle_ms.filter(|_| self.is_pause_own)
    }

    /// The limit for a wait in this phase that starts now: the earliest of all that apply.
    pub fn of(&self, phase: Phase, now: Instant) -> PhaseLimit {
        let since_start = |ms: Option<Millis>| ms.map(|ms| self.started_at + ms);
        let streamed = |ms: Option<Millis>| if self.is_streamed { ms } else { None };
        let timeouts = &self.timeouts;
        let limit = |at: Option<Instant>, kind| at.map(|at| PhaseLimit { at, kind });
        let own = match phase {
            Phase::Headers => {
                let streamed =
                    [streamed(timeouts.connect_ms), timeouts.headers_ms].into_iter().flatten().min();
                let has_own = !self.is_streamed && timeouts.headers_ms.is_some();
                let share = self.share_until.filter(|_| !has_own);
                [limit(since_start(streamed), LimitKind::Headers), self.first_token(), share]
            }
            Phase::FirstToken => [self.first_token(), self.share_until, None],
            Phase::Rest => {
                let after = |ms: Option<Millis>| ms.map(|ms| now + ms);
                let share = self.share_until.map_or(LimitKind::Share, |share| share.kind);
                let idle = limit(after(timeouts.idle_ms), LimitKind::Idle);
                let pause = self.pauses_before.map(|deadline| half_way(now, deadline));
                [idle, limit(pause, share), None]
            }
            Phase::Flowing => {
                let idle = streamed(timeouts.idle_ms).or(self.own_pause()).map(|ms| now + ms);
                [limit(idle, LimitKind::Idle), None, None]
            }
        };
        let of_request = if phase == Phase::Flowing { self.total() } else { self.deadline };
        own.into_iter()
            .flatten()
            .chain([self.total()])
            .fold(of_request, |soonest, limit| if limit.at < soonest.at { limit } else { soonest })
    }

    /// When to look whether the headers have arrived, while the platform reads the body with them.
    pub fn next_look(&self, now: Instant) -> Instant {
        now + self.timeouts.idle_ms.unwrap_or(IDLE_MS).min(IDLE_MS)
    }

    /// The first-token limit; only a streamed answer has one.
    fn first_token(&self) -> Option<PhaseLimit> {
        let ms = if self.is_streamed { self.timeouts.first_token_ms } else { None };
        ms.map(|ms| PhaseLimit { at: self.started_at + ms, kind: LimitKind::FirstToken })
    }
}

/// The time half-way to a deadline. The other half is for the attempt that follows.
fn half_way(now: Instant, deadline: Instant) -> Instant {
    now + (deadline - now) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::time::short::{at, ms};

    const CONFIGURED: Timeouts = Timeouts {
        connect_ms: Some(ms(5)),
        headers_ms: Some(ms(40)),
        first_token_ms: Some(ms(10)),
        idle_ms: Some(ms(30)),
        total_ms: Some(ms(100)),
    };

    #[test]
    fn each_phase_has_its_own_limit() {
        for (timeouts, streamed, phase, now, deadline, ends_at, kind) in [
            // A streamed answer sends its headers before it generates, so the connect limit
            // applies.
            (CONFIGURED, true, Phase::Headers, 0, 1000, 5, LimitKind::Headers),
            // Any other answer sends its headers after it generates.
            (CONFIGURED, false, Phase::Headers, 0, 1000, 40, LimitKind::Headers),
            // Late headers do not extend the time for the first token.
            (
                Timeouts { connect_ms: None, ..CONFIGURED },
                true,
                Phase::Headers,
                0,
                1000,
                10,
                LimitKind::FirstToken,
            ),
            (CONFIGURED, true, Phase::FirstToken, 7, 1000, 10, LimitKind::FirstToken),
            (CONFIGURED, true, Phase::Rest, 50, 1000, 80, LimitKind::Idle),
            (CONFIGURED, true, Phase::Rest, 80, 1000, 100, LimitKind::Total),
            // An answer in one piece that has begun to arrive is finished. It does not pause.
            (CONFIGURED, false, Phase::Rest, 50, 1000, 80, LimitKind::Idle),
            (CONFIGURED, false, Phase::Rest, 80, 1000, 100, LimitKind::Total),
            (CONFIGURED, true, Phase::FirstToken, 0, 3, 3, LimitKind::Deadline),
            // The deadline of the request does not cut a stream after its commit point.
            (CONFIGURED, true, Phase::Flowing, 50, 60, 80, LimitKind::Idle),
            // Of an answer in one piece, only the document limits the pauses.
            (CONFIGURED, false, Phase::Flowing, 50, 60, 80, LimitKind::Idle),
            (Timeouts::default(), false, Phase::Flowing, 50, 60, u64::MAX, LimitKind::Total),
            // An answer in one piece has no first token: it may be generated after its headers.
            (CONFIGURED, false, Phase::FirstToken, 7, 1000, 100, LimitKind::Total),
            // The defaults: limits for the first token and for gaps in a stream, and no total.
            (
                Timeouts::default(),
                true,
                Phase::Headers,
                0,
                1_000_000,
                FIRST_TOKEN_MS.get(),
                LimitKind::FirstToken,
            ),
            (Timeouts::default(), false, Phase::Headers, 0, 1_000_000, 1_000_000, LimitKind::Deadline),
            (Timeouts::default(), true, Phase::Flowing, 5, 10, 5 + IDLE_MS.get(), LimitKind::Idle),
        ] {
            let limits = PhaseLimits::new(timeouts, streamed, at(0), None, at(deadline), || None);
            assert_eq!(
                limits.of(phase, at(now)),
                PhaseLimit { at: at(ends_at), kind },
                "{phase:?}, streamed: {streamed}, now: {now}"
            );
        }
    }

    #[test]
    fn a_silent_upstream_leaves_time_for_another_target() {
        let default = Timeouts::default();
        let next = Some(1_100);
        for (timeouts, streamed, alternative, ends_at, kind) in [
            (default, false, next, 1_050, LimitKind::Share),
            (default, false, None, 1_100, LimitKind::Deadline),
            // Half of the deadline comes before the default of a stream.
            (default, true, next, 1_050, LimitKind::Share),
            // The other target has more time than this one: the inner deadline applies to this one
            // only.
            (default, false, Some(2_000), 1_100, LimitKind::Deadline),
            // A configured limit replaces the share.
            (Timeouts { total_ms: Some(ms(90)), ..default }, false, next, 1_090, LimitKind::Total),
            (Timeouts { headers_ms: Some(ms(80)), ..default }, false, next, 1_080, LimitKind::Headers),
            (Timeouts { first_token_ms: Some(ms(70)), ..default }, true, next, 1_070, LimitKind::FirstToken),
            // A limit for streams does not apply to an answer in one piece.
            (Timeouts { first_token_ms: Some(ms(70)), ..default }, false, next, 1_050, LimitKind::Share),
        ] {
            let limits =
                PhaseLimits::new(timeouts, streamed, at(1_000), None, at(1_100), || alternative.map(at));
            let limit = limits.of(Phase::Headers, at(1_000));
            assert_eq!(limit, PhaseLimit { at: at(ends_at), kind }, "{timeouts:?}, streamed: {streamed}");
        }
    }

    #[test]
    fn during_an_upload_only_the_time_of_the_request_counts_and_the_rest_begins_after_it() {
        for (patience, kind) in [(None, LimitKind::Deadline), (Some(1_000), LimitKind::Patience)] {
            let patience = patience.map(|ends_at| Patience { ms: ms(ends_at), ends_at: at(ends_at) });
            let limits = PhaseLimits::new(CONFIGURED, true, at(0), patience, at(1_000), || None);
            assert_eq!(limits.of_upload(), PhaseLimit { at: at(1_000), kind });
            let limits = limits.from_upload_end(at(900));
            let of = |phase| limits.of(phase, at(902));
            assert_eq!(of(Phase::Headers), PhaseLimit { at: at(905), kind: LimitKind::Headers });
            assert_eq!(of(Phase::FirstToken), PhaseLimit { at: at(910), kind: LimitKind::FirstToken });
            assert_eq!(of(Phase::Rest), PhaseLimit { at: at(932), kind: LimitKind::Idle });
            assert_eq!(limits.total(), PhaseLimit { at: at(1_000), kind: LimitKind::Total });
        }
    }

    #[test]
    fn the_time_of_the_client_extends_the_defaults_and_is_a_limit_of_its_own() {
        let patience = |ms_: u64| Some(Patience { ms: ms(ms_), ends_at: at(ms_) });
        let configured = Timeouts { first_token_ms: Some(ms(70)), ..Timeouts::default() };
        for (timeouts, patient, deadline, alternative, ends_at, kind) in [
            // A client that waits longer than the default: a model may think for so long.
            (Timeouts::default(), 600_000, 600_000, None, 600_000, LimitKind::Patience),
            (Timeouts::default(), 600_000, 90_000, None, 90_000, LimitKind::Deadline),
            (Timeouts::default(), 600_000, 600_000, Some(600_000), 300_000, LimitKind::Patience),
            // A client that waits shorter.
            (Timeouts::default(), 5_000, 5_000, None, 5_000, LimitKind::Patience),
            (Timeouts::default(), 5_000, 5_000, Some(5_000), 2_500, LimitKind::Patience),
            // What is configured holds.
            (configured, 600_000, 600_000, None, 70, LimitKind::FirstToken),
        ] {
            let limits = PhaseLimits::new(timeouts, true, at(0), patience(patient), at(deadline), || {
                alternative.map(at)
            });
            let found = limits.of(Phase::FirstToken, at(0));
            assert_eq!(found, PhaseLimit { at: at(ends_at), kind }, "{timeouts:?} {patient} {deadline}");
        }
    }

    #[test]
    fn an_answer_that_is_arriving_is_cut_only_if_it_stalls() {
        let default = Timeouts::default();
        for (timeouts, alternative, now, ends_at, kind) in [
            (default, Some(1_100), 1_010, 1_055, LimitKind::Share),
            // Half of what is left, so that there is always time for another target.
            (default, Some(1_100), 1_060, 1_080, LimitKind::Share),
            (default, None, 1_010, 1_100, LimitKind::Deadline),
            (Timeouts { idle_ms: Some(ms(60)), ..default }, Some(1_100), 1_010, 1_070, LimitKind::Idle),
            (Timeouts { total_ms: Some(ms(95)), ..default }, Some(1_100), 1_010, 1_095, LimitKind::Total),
            // The limit for the headers has done its work.
            (Timeouts { headers_ms: Some(ms(5)), ..default }, Some(1_100), 1_010, 1_055, LimitKind::Share),
        ] {
            let limits =
                PhaseLimits::new(timeouts, false, at(1_000), None, at(1_100), || alternative.map(at));
            assert_eq!(limits.of(Phase::Rest, at(now)), PhaseLimit { at: at(ends_at), kind }, "{timeouts:?}");
        }
    }

    #[test]
    fn a_held_stream_of_a_patient_client_pauses_no_longer_than_half_of_what_is_left() {
        let patience = Some(Patience { ms: ms(600_000), ends_at: at(600_000) });
        let limits =
            PhaseLimits::new(Timeouts::default(), true, at(0), patience, at(600_000), || Some(at(600_000)));
        let limit = limits.of(Phase::Rest, at(100_000));
        assert_eq!(limit, PhaseLimit { at: at(350_000), kind: LimitKind::Patience });
        let limit = limits.of(Phase::Flowing, at(100_000));
        assert_eq!(limit, PhaseLimit { at: at(700_000), kind: LimitKind::Idle }, "nobody else can serve it");
    }

    #[test]
    fn a_body_that_never_begins_leaves_time_for_another_target_even_with_a_limit_for_its_headers() {
        let timeouts = Timeouts { headers_ms: Some(ms(80)), ..Timeouts::default() };
        let limits = PhaseLimits::new(timeouts, false, at(1_000), None, at(1_200), || Some(at(1_200)));
        let limit = limits.of(Phase::FirstToken, at(1_080));
        assert_eq!(limit, PhaseLimit { at: at(1_100), kind: LimitKind::Share });
    }
}
