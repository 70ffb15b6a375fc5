//! The phases of an attempt and how long each may take.
//!
//! One place decides which clock is running: the edge asks [`PhaseLimits::of`] before each wait and reports the reason that it was
//! given when the time is up. An attempt that is waited for never outlives the deadline of the request; a stream that has
//! been committed is bound by its own limits alone, since cutting it would help nobody.
//!
//! Where another target is left, an attempt without limits of its own may be silent for half of the time that is left: then
//! there is time for the next one, whatever the deadline is.

use crate::routes::graph::Timeouts;
use crate::vocabulary::time::{Instant, Millis};

/// Until the first content of a streamed answer, where nothing else is configured. Long enough for models that think
/// before they speak.
const FIRST_TOKEN_MS: Millis = Millis::new(60_000);
/// Between two pieces of a streamed answer, where nothing else is configured.
const IDLE_MS: Millis = Millis::new(60_000);

/// What an attempt is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Status and headers.
    Headers,
    /// The first content of a streamed answer.
    FirstToken,
    /// The rest of an answer that is held until it is complete.
    Rest,
    /// The next piece of a stream that flows already.
    Flowing,
}

/// The limits of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhaseLimits {
    timeouts: Timeouts,
    is_streamed: bool,
    started_at: Instant,
    deadline: Instant,
    /// Until when the attempt may keep the next one waiting; `None` where there is no next one, or limits are configured.
    share_until: Option<Instant>,
}

/// When to stop waiting, and the name of the limit that ends then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhaseLimit {
    /// The time to stop.
    pub at: Instant,
    /// `headers`, `first_token`, `idle`, `total`, `deadline`, or `share` of the deadline.
    pub reason: &'static str,
}

/// Whether a limit of this name is one of the request, and says nothing of the deployment: it may merely be slow.
pub fn is_of_request(reason: &str) -> bool {
    matches!(reason, "deadline" | "share")
}

impl PhaseLimits {
    /// Limits of an attempt that starts now. `timeouts` as configured; `deadline` binds this attempt, `alternative` the one that
    /// would follow it after a timeout, if there is one.
    pub fn new(
        timeouts: Timeouts,
        is_streamed: bool,
        started_at: Instant,
        deadline: Instant,
        alternative: impl FnOnce() -> Option<Instant>,
    ) -> Self {
        // What is configured for the phase that an attempt may hang in is taken at its word.
        let own_ms =
            if is_streamed { timeouts.first_token_ms } else { timeouts.headers_ms }.or(timeouts.total_ms);
        let half = |deadline: Instant| started_at + (deadline - started_at) / 2;
        let defaults =
            Timeouts { first_token_ms: Some(FIRST_TOKEN_MS), idle_ms: Some(IDLE_MS), ..Timeouts::default() };
        Self {
            timeouts: timeouts.or(defaults),
            is_streamed,
            started_at,
            deadline,
            share_until: if own_ms.is_none() { alternative().map(half) } else { None },
        }
    }

    /// When the whole attempt must be over.
    pub fn total(&self) -> PhaseLimit {
        let total_ms = self.timeouts.total_ms.unwrap_or(Millis::MAX);
        PhaseLimit { at: self.started_at + total_ms, reason: "total" }
    }

    /// The limit for a wait that begins now, in that phase. Of several the soonest.
    pub fn of(&self, phase: Phase, now: Instant) -> PhaseLimit {
        let since_start = |ms: Option<Millis>| ms.map(|ms| self.started_at + ms);
        let streamed = |ms: Option<Millis>| if self.is_streamed { ms } else { None };
        let timeouts = &self.timeouts;
        let no_limit = (None, "");
        let own = match phase {
            Phase::Headers => {
                let streamed =
                    [streamed(timeouts.connect_ms), timeouts.headers_ms].into_iter().flatten().min();
                [(since_start(streamed), "headers"), self.first_token(), (self.share_until, "share")]
            }
            Phase::FirstToken => [self.first_token(), (self.share_until, "share"), no_limit],
            Phase::Rest | Phase::Flowing => {
                let idle = streamed(timeouts.idle_ms).map(|ms| now + ms);
                [(idle, "idle"), no_limit, no_limit]
            }
        };
        let deadline = PhaseLimit { at: self.deadline, reason: "deadline" };
        let of_request = if phase == Phase::Flowing { self.total() } else { deadline };
        own.into_iter()
            .filter_map(|(at, reason)| at.map(|at| PhaseLimit { at, reason }))
            .chain([self.total()])
            .fold(of_request, |soonest, limit| if limit.at < soonest.at { limit } else { soonest })
    }

    /// An answer in one piece has no first token.
    fn first_token(&self) -> (Option<Instant>, &'static str) {
        let ms = if self.is_streamed { self.timeouts.first_token_ms } else { None };
        (ms.map(|ms| self.started_at + ms), "first_token")
    }
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
        for (timeouts, streamed, phase, now, deadline, ends_at, reason) in [
            // The headers of a streamed answer come before the work, so the connect limit fits them.
            (CONFIGURED, true, Phase::Headers, 0, 1000, 5, "headers"),
            // The headers of any other answer come after the work.
            (CONFIGURED, false, Phase::Headers, 0, 1000, 40, "headers"),
            // Late headers leave no more time for the first token.
            (Timeouts { connect_ms: None, ..CONFIGURED }, true, Phase::Headers, 0, 1000, 10, "first_token"),
            (CONFIGURED, true, Phase::FirstToken, 7, 1000, 10, "first_token"),
            (CONFIGURED, true, Phase::Rest, 50, 1000, 80, "idle"),
            (CONFIGURED, true, Phase::Rest, 80, 1000, 100, "total"),
            // An answer in one piece has no gaps between pieces that would mean anything.
            (CONFIGURED, false, Phase::Rest, 50, 1000, 100, "total"),
            (CONFIGURED, true, Phase::FirstToken, 0, 3, 3, "deadline"),
            // A stream that flows already is not cut by the deadline of the request.
            (CONFIGURED, true, Phase::Flowing, 50, 60, 80, "idle"),
            // An answer in one piece has no first token either.
            (CONFIGURED, false, Phase::FirstToken, 7, 1000, 100, "total"),
            // Defaults: the first token and the gaps between pieces of a stream, and no total.
            (Timeouts::default(), true, Phase::Headers, 0, 1_000_000, FIRST_TOKEN_MS.get(), "first_token"),
            (Timeouts::default(), false, Phase::Headers, 0, 1_000_000, 1_000_000, "deadline"),
            (Timeouts::default(), true, Phase::Flowing, 5, 10, 5 + IDLE_MS.get(), "idle"),
        ] {
            let limits = PhaseLimits::new(timeouts, streamed, at(0), at(deadline), || None);
            assert_eq!(
                limits.of(phase, at(now)),
                PhaseLimit { at: at(ends_at), reason },
                "{phase:?}, streamed: {streamed}, now: {now}"
            );
        }
    }

    #[test]
    fn a_silent_upstream_leaves_time_for_another_target() {
        let default = Timeouts::default();
        let next = Some(1_100);
        for (timeouts, streamed, alternative, ends_at, reason) in [
            (default, false, next, 1_050, "share"),
            (default, false, None, 1_100, "deadline"),
            // Half of the deadline comes before the default of a stream.
            (default, true, next, 1_050, "share"),
            // The other target has more time than this one: an inner deadline binds this one alone.
            (default, false, Some(2_000), 1_100, "deadline"),
            // What is configured is taken at its word.
            (Timeouts { total_ms: Some(ms(90)), ..default }, false, next, 1_090, "total"),
            (Timeouts { headers_ms: Some(ms(80)), ..default }, false, next, 1_080, "headers"),
            (Timeouts { first_token_ms: Some(ms(70)), ..default }, true, next, 1_070, "first_token"),
            // A limit of streams says nothing of an answer in one piece.
            (Timeouts { first_token_ms: Some(ms(70)), ..default }, false, next, 1_050, "share"),
        ] {
            let limits = PhaseLimits::new(timeouts, streamed, at(1_000), at(1_100), || alternative.map(at));
            let limit = limits.of(Phase::Headers, at(1_000));
            assert_eq!(limit, PhaseLimit { at: at(ends_at), reason }, "{timeouts:?}, streamed: {streamed}");
        }
    }

    #[test]
    fn an_answer_that_is_arriving_is_not_cut_for_the_sake_of_another() {
        let limits = PhaseLimits::new(Timeouts::default(), false, at(1_000), at(1_100), || Some(at(1_100)));
        assert_eq!(limits.of(Phase::Rest, at(1_060)), PhaseLimit { at: at(1_100), reason: "deadline" });
    }
}
