//! Upstreams: how a deployment behaves, by its profile and under the conditions that are active.

use super::chance::scattered;
use crate::attempt::failure::Failure;
use crate::attempt::machine::Dispatch;
use crate::attempt::phase::{Phase, PhaseLimit};
use crate::health::Outcome;
use crate::routes::graph::Commit;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::rng::Rng;
use crate::vocabulary::time::{Instant, Millis};

/// How a deployment behaves under normal conditions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UpstreamProfile {
    /// The median time to the first token.
    pub first_token_ms: f64,
    /// The output rate.
    pub tokens_per_second: f64,
    /// The most attempts per second; further ones get a 429.
    pub capacity: Option<f64>,
    /// Whether it is provisioned (PTU). Such a deployment reports its utilisation, and when it is
    /// full its hint is some milliseconds.
    pub is_provisioned: bool,
}

impl Default for UpstreamProfile {
    fn default() -> Self {
        Self { first_token_ms: 300.0, tokens_per_second: 120.0, capacity: None, is_provisioned: false }
    }
}

/// A condition that affects a deployment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Weather {
    /// It answers every attempt quickly with a 503.
    Down,
    /// It accepts attempts and does not answer.
    Silent,
    /// Every connection fails.
    Unreachable,
    /// This fraction of the attempts gets a 500.
    BrownOut(f64),
    /// It answers every attempt with a 429. With `has_hint`, the answer states how long that will
    /// last.
    RateLimited {
        /// Whether the answer has a `retry-after` header.
        has_hint: bool,
    },
    /// Everything takes this many times as long.
    Slow(f64),
    /// It alternates between down and up.
    Flapping {
        /// How long each down period takes.
        down_ms: Millis,
        /// How long each up period takes.
        up_ms: Millis,
    },
    /// The quota of the account is used up.
    QuotaGone,
    /// This fraction of the answers breaks off in the middle.
    Breaking(f64),
}

/// A condition that is active at the time of an attempt, with its start and its end.
#[derive(Debug, Clone, Copy)]
pub struct ActiveWeather {
    /// The condition.
    pub weather: Weather,
    /// How long it has been active.
    pub since_ms: Millis,
    /// How long it will remain active.
    pub remaining_ms: Millis,
}

/// The result of an attempt, as far as the upstream decides it.
#[derive(Debug, Clone)]
pub struct CallCourse {
    /// Headers of the answer that report how much more load the deployment can take.
    pub headers: Headers,
    headers_ms: Millis,
    first_token_ms: Millis,
    total_ms: Millis,
    end: CallEnd,
}

#[derive(Debug, Clone, Copy)]
enum CallEnd {
    Served,
    Broken,
    Refused { class: ErrorClass, status: u16, hint_ms: Option<Millis> },
    Unreachable,
    Silent,
}

/// An answer that has reached its commit point, and how it will end.
#[derive(Debug, Clone, Copy)]
pub struct SimulatedAnswer {
    /// When it ends.
    pub ends_at: Instant,
    /// Its outcome.
    pub outcome: Outcome,
    /// The time to the first token, if it is streamed.
    pub first_token_ms: Option<Millis>,
    /// The number of output tokens.
    pub output_tokens: u64,
}

/// One simulated deployment.
#[derive(Debug, Clone)]
pub struct SimulatedUpstream {
    profile: UpstreamProfile,
    /// How many attempts it would accept at once (the level of a token bucket).
    room: f64,
    filled_at: Instant,
}

/// The time that an error response takes.
const REFUSAL_MS: f64 = 40.0;

/// The median number of tokens of an answer.
const OUTPUT_TOKENS: f64 = 120.0;

impl SimulatedUpstream {
    /// A deployment without load.
    pub fn new(profile: UpstreamProfile) -> Self {
        Self { profile, room: 0.0, filled_at: Instant::EPOCH }
    }

    /// Simulates one attempt.
    pub fn call(&mut self, weather: &[ActiveWeather], now: Instant, rng: &mut dyn Rng) -> CallCourse {
        let slow = weather.iter().fold(1.0, |slow, active| match active.weather {
            Weather::Slow(times) => slow * times,
            _ => slow,
        });
        let first_token_ms = scattered(self.profile.first_token_ms * slow, 0.35, rng);
        let tokens = scattered(OUTPUT_TOKENS, 0.5, rng);
        let writing_ms = tokens * 1_000.0 / self.profile.tokens_per_second * slow;
        let mut end = weather.iter().find_map(|active| weather_end(*active, rng));
        let mut headers = Headers::default();
        if end.is_none()
            && let Some(capacity) = self.profile.capacity
        {
            let is_full = self.is_full(capacity, now);
            if self.profile.is_provisioned {
                let used = if is_full { 100.0 } else { 100.0 - 100.0 * self.room / burst(capacity) };
                headers.push("azure-openai-deployment-utilization", &format!("{used:.1}%"));
            }
            let hint_ms = Some(Millis::new(if self.profile.is_provisioned { 200 } else { 1_000 }));
            let refused = CallEnd::Refused { class: ErrorClass::RateLimit, status: 429, hint_ms };
            end = is_full.then_some(refused);
        }
        let end = end.unwrap_or(CallEnd::Served);
        let headers_ms = match end {
            CallEnd::Served | CallEnd::Broken => first_token_ms * 0.4,
            _ => scattered(REFUSAL_MS, 0.3, rng),
        };
        CallCourse {
            headers,
            headers_ms: Millis::from_f64(headers_ms),
            first_token_ms: Millis::from_f64(first_token_ms),
            total_ms: Millis::from_f64(first_token_ms + writing_ms),
            end,
        }
    }

    fn is_full(&mut self, capacity: f64, now: Instant) -> bool {
        let refill = capacity * (now - self.filled_at).as_f64() / 1_000.0;
        self.room = (self.room + refill).min(burst(capacity));
        self.filled_at = now;
        let is_full = self.room < 1.0;
        if !is_full {
            self.room -= 1.0;
        }
        is_full
    }
}

/// The size of a burst: the attempts of a quarter of a second may come at once.
fn burst(capacity: f64) -> f64 {
    (capacity / 4.0).max(1.0)
}

/// How an active condition ends an attempt, if it does.
fn weather_end(active: ActiveWeather, rng: &mut dyn Rng) -> Option<CallEnd> {
    let refused = |class, status, hint_ms| Some(CallEnd::Refused { class, status, hint_ms });
    let down = refused(ErrorClass::Unavailable, 503, None);
    match active.weather {
        Weather::Down => down,
        Weather::Silent => Some(CallEnd::Silent),
        Weather::Unreachable => Some(CallEnd::Unreachable),
        Weather::BrownOut(part) if rng.unit() < part => refused(ErrorClass::Unavailable, 500, None),
        Weather::Breaking(part) if rng.unit() < part => Some(CallEnd::Broken),
        Weather::RateLimited { has_hint } => {
            // Whole seconds, as in the header.
            let hint_ms = has_hint.then(|| Millis::new(1_000) * active.remaining_ms.seconds_rounded_up());
            refused(ErrorClass::RateLimit, 429, hint_ms)
        }
        Weather::Flapping { down_ms, up_ms } => {
            if active.since_ms.get() % (down_ms + up_ms).get().max(1) < down_ms.get() { down } else { None }
        }
        Weather::QuotaGone => refused(ErrorClass::Quota, 429, None),
        Weather::BrownOut(_) | Weather::Breaking(_) | Weather::Slow(_) => None,
    }
}

impl CallCourse {
    /// What the gateway sees of the attempt, and when: the answer at its commit point, or a
    /// failure. A limit of the gateway is also a failure. `now` is the start of the attempt.
    pub fn seen(
        &self,
        dispatch: &Dispatch,
        streamed: bool,
        now: Instant,
    ) -> (Instant, Result<SimulatedAnswer, Failure>) {
        let never = Instant::MAX;
        let at = |ms: Millis| now + ms;
        let (headers_at, first_at, ends_at) = match self.end {
            CallEnd::Silent => (never, never, never),
            _ if streamed => (at(self.headers_ms), at(self.first_token_ms), at(self.total_ms)),
            // An answer in one piece sends its headers when it is complete.
            CallEnd::Served | CallEnd::Broken => (at(self.total_ms), at(self.total_ms), at(self.total_ms)),
            _ => (at(self.headers_ms), never, never),
        };
        let limits = &dispatch.limits;
        let late =
            |limit: PhaseLimit| (limit.at, Err(Failure::silent(ErrorClass::Timeout, limit.kind.name())));
        let limit = limits.of(Phase::Headers, now);
        if headers_at >= limit.at {
            return late(limit);
        }
        let failure = match self.end {
            CallEnd::Refused { class, status, hint_ms } => {
                Some(Failure { status: Some(status), hint_ms, ..Failure::silent(class, "simulated") })
            }
            CallEnd::Unreachable => Some(Failure::silent(ErrorClass::Connection, "simulated")),
            CallEnd::Served | CallEnd::Broken | CallEnd::Silent => None,
        };
        if let Some(failure) = failure {
            return (headers_at, Err(failure));
        }
        let limit = limits.of(Phase::FirstToken, headers_at);
        if streamed && dispatch.commit != Commit::Headers && first_at >= limit.at {
            return late(limit);
        }
        let is_whole = !streamed || dispatch.commit == Commit::Complete;
        let limit = limits.of(Phase::Rest, first_at);
        if is_whole && ends_at >= limit.at.max(first_at) && ends_at > first_at {
            return late(limit);
        }
        let is_broken = matches!(self.end, CallEnd::Broken);
        let broken_at = first_at + (ends_at - first_at) / 2;
        if is_whole && is_broken {
            return (broken_at, Err(Failure::silent(ErrorClass::Truncated, "simulated")));
        }
        let outcome = if is_broken { Outcome::failed(ErrorClass::Truncated, None) } else { Outcome::Served };
        let committed_at = match (streamed, dispatch.commit) {
            (true, Commit::Headers) => headers_at,
            (true, Commit::FirstToken) => first_at,
            _ => ends_at,
        };
        let committed = SimulatedAnswer {
            ends_at: if is_broken { broken_at } else { ends_at },
            outcome,
            first_token_ms: streamed.then(|| first_at - now),
            output_tokens: OUTPUT_TOKENS as u64,
        };
        (committed_at, Ok(committed))
    }
}
