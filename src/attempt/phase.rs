//! The phases of an attempt and how long each may take.
//!
//! One place decides which clock is running: the edge asks [`Limits::of`] before each wait and reports the reason that it was
//! given when the time is up. An attempt that is waited for never outlives the deadline of the request; a stream that has
//! been committed is bound by its own limits alone, since cutting it would help nobody.

use crate::routes::graph::Timeouts;
use crate::time::Millis;

/// Until the first content of a streamed answer, where nothing else is configured. Long enough for models that think
/// before they speak.
const FIRST_TOKEN_MS: Millis = 60_000;
/// Between two pieces of a streamed answer.
const IDLE_MS: Millis = 60_000;
/// A whole answer in one piece: shorter than the default deadline, so that a silent upstream leaves time for another.
const TOTAL_MS: Millis = 120_000;
/// A whole streamed answer.
const TOTAL_STREAMED_MS: Millis = 600_000;

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
pub struct Limits {
    timeouts: Timeouts,
    streamed: bool,
    started_at: Millis,
    deadline: Millis,
}

/// When to stop waiting, and the name of the limit that ends then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The time to stop.
    pub at: Millis,
    /// `headers`, `first_token`, `idle`, `total` or `deadline`.
    pub reason: &'static str,
}

impl Limits {
    /// Limits of an attempt that starts now. `timeouts` as configured; `deadline` is that of the request.
    pub fn new(timeouts: Timeouts, streamed: bool, started_at: Millis, deadline: Millis) -> Self {
        let total_ms = if streamed { TOTAL_STREAMED_MS } else { TOTAL_MS };
        let defaults = Timeouts {
            first_token_ms: Some(FIRST_TOKEN_MS),
            idle_ms: Some(IDLE_MS),
            total_ms: Some(total_ms),
            ..Timeouts::default()
        };
        Self { timeouts: timeouts.or(defaults), streamed, started_at, deadline }
    }

    /// When the whole attempt must be over.
    pub fn total(&self) -> Limit {
        let total_ms = self.timeouts.total_ms.unwrap_or(Millis::MAX);
        Limit { at: self.started_at.saturating_add(total_ms), reason: "total" }
    }

    /// The limit for a wait that begins now, in that phase. Of several the soonest.
    pub fn of(&self, phase: Phase, now: Millis) -> Limit {
        let since_start = |ms: Option<Millis>| ms.map(|ms| self.started_at.saturating_add(ms));
        let streamed = |ms: Option<Millis>| if self.streamed { ms } else { None };
        let timeouts = &self.timeouts;
        let mut limits = Vec::with_capacity(5);
        match phase {
            Phase::Headers => {
                limits.push((since_start(timeouts.headers_ms), "headers"));
                limits.push((since_start(streamed(timeouts.connect_ms)), "headers"));
                limits.push((since_start(streamed(timeouts.first_token_ms)), "first_token"));
            }
            Phase::FirstToken => limits.push((since_start(timeouts.first_token_ms), "first_token")),
            Phase::Rest | Phase::Flowing => {
                limits.push((streamed(timeouts.idle_ms).map(|ms| now.saturating_add(ms)), "idle"));
            }
        }
        if phase != Phase::Flowing {
            limits.push((Some(self.deadline), "deadline"));
        }
        limits
            .into_iter()
            .filter_map(|(at, reason)| at.map(|at| Limit { at, reason }))
            .fold(self.total(), |soonest, limit| if limit.at < soonest.at { limit } else { soonest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIGURED: Timeouts = Timeouts {
        connect_ms: Some(5),
        headers_ms: Some(40),
        first_token_ms: Some(10),
        idle_ms: Some(30),
        total_ms: Some(100),
    };

    #[test]
    fn each_phase_has_its_own_limit() {
        for (timeouts, streamed, phase, now, deadline, at, reason) in [
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
            // Defaults.
            (Timeouts::default(), true, Phase::Headers, 0, 1_000_000, FIRST_TOKEN_MS, "first_token"),
            (Timeouts::default(), false, Phase::Headers, 0, 1_000_000, TOTAL_MS, "total"),
            (Timeouts::default(), true, Phase::Flowing, 5, 10, 5 + IDLE_MS, "idle"),
        ] {
            let limits = Limits::new(timeouts, streamed, 0, deadline);
            assert_eq!(
                limits.of(phase, now),
                Limit { at, reason },
                "{phase:?}, streamed: {streamed}, now: {now}"
            );
        }
    }
}
