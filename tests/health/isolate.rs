//! One isolate with a clock that the tests move.

use switchyard::health::gate::{Admission, Refusal};
use switchyard::health::{AnswerKind, GateChange, Health, Outcome, Sample, Ticket};
use switchyard::routes::graph::RateLimits;
use switchyard::vocabulary::error_class::ErrorClass::{self, RateLimit, Unavailable};
use switchyard::vocabulary::operation::Operation::{self, ChatCompletions as Chat};
use switchyard::vocabulary::rng::SplitMix64;
use switchyard::vocabulary::time::{Instant, Millis};

/// The start time of every test.
pub const START: Instant = Instant::from_epoch_ms(1_767_225_600_000);

/// An isolate with a few deployments, and its clock.
pub struct Isolate {
    pub health: Health,
    pub now: Instant,
    pub rng: SplitMix64,
}

impl Isolate {
    pub fn new(deployments: usize) -> Self {
        Self {
            health: Health::new(
                (0..deployments).map(|id| (format!("deployment {id}"), RateLimits::default())),
            ),
            now: START,
            rng: SplitMix64::new(7),
        }
    }

    pub fn wait(&mut self, ms: Millis) -> &mut Self {
        self.now += ms;
        self
    }

    pub fn begin(&mut self) -> Ticket {
        self.health.begin(0, Chat, AnswerKind::Whole, 0, self.now)
    }

    pub fn end(&mut self, ticket: Ticket, outcome: Outcome) -> Vec<GateChange> {
        self.health.record(ticket, &Sample::of(outcome), self.now, &mut self.rng)
    }

    /// Starts and ends an attempt in the same millisecond.
    pub fn try_with(&mut self, operation: Operation, sample: &Sample) -> Vec<GateChange> {
        let ticket = self.health.begin(0, operation, AnswerKind::Whole, 0, self.now);
        self.health.record(ticket, sample, self.now, &mut self.rng)
    }

    pub fn attempt(&mut self, outcome: Outcome) -> Vec<GateChange> {
        self.try_with(Chat, &Sample::of(outcome))
    }

    pub fn fail(&mut self, class: ErrorClass) -> Vec<GateChange> {
        self.attempt(Outcome::failed(class, None))
    }

    pub fn rate_limit(&mut self, hint_ms: Millis) -> Vec<GateChange> {
        self.attempt(Outcome::failed(RateLimit, Some(hint_ms)))
    }

    /// Ejects the deployment by five failures.
    pub fn trip(&mut self) -> &mut Self {
        for _ in 0..5 {
            self.fail(Unavailable);
        }
        self
    }

    pub fn admission(&self) -> Admission {
        self.health.admission(0, Chat, self.now)
    }

    pub fn refusal(&self) -> Refusal {
        match self.admission() {
            Admission::Refused(refusal) => refusal,
            other => panic!("{other:?}"),
        }
    }

    /// The time that is left of the ejection.
    pub fn ejected_ms(&self) -> Millis {
        self.refusal().until.unwrap() - self.now
    }

    /// Moves the clock to the end of the ejection.
    pub fn sit_out(&mut self) -> &mut Self {
        self.now = self.refusal().until.unwrap();
        self
    }

    pub fn share(&self) -> f64 {
        self.health.share(0, self.now)
    }
}
