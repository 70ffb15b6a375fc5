//! A crowd: the largest possible number of isolates, with the shard of one region.
//!
//! Each isolate runs the health and the reporter of the Worker, and the Durable Object runs its
//! shard. Requests are reduced to their outcomes, so that 100,000 isolates can be simulated.

use super::chance::interval_ms;
use super::event_queue::Queue;
use crate::health::reporter::Reporter;
use crate::health::shard::Shard;
use crate::health::wire::{HealthReport, ShardAnswer};
use crate::health::{AnswerKind, Health, Outcome, Sample};
use crate::routes::graph::RateLimits;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::operation::Operation::ChatCompletions;
use crate::vocabulary::rng::{Rng, SplitMix64};
use crate::vocabulary::time::{Instant, Millis};

/// When every run starts, on its own clock.
const START: Instant = Instant::EPOCH;

/// The time from an isolate to the Durable Object; also the time back.
const WAY_MS: Millis = Millis::new(8);

/// The parameters of a crowd.
#[derive(Debug, Clone, PartialEq)]
pub struct Crowd {
    /// The number of isolates.
    pub isolates: usize,
    /// Requests per second at each isolate.
    pub rate: f64,
    /// The most reports per second that the Durable Object should get.
    pub reports_per_second: u32,
    /// All isolates start within this time.
    pub starts_within_ms: Millis,
    /// From when on every request fails, from the start.
    pub fails_after_ms: Millis,
    /// How long requests arrive.
    pub length_ms: Millis,
}

/// The load of the Durable Object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// The reports in each second, without the first reports of isolates.
    pub reports: Vec<u32>,
    /// First reports in each second.
    pub first_reports: Vec<u32>,
}

struct CrowdIsolate {
    health: Health,
    reporter: Reporter,
}

enum CrowdEvent {
    Request(usize),
    Report(usize, Box<HealthReport>),
    Answer(usize, Box<ShardAnswer>),
}

/// Runs a crowd to its end.
pub fn run(crowd: &Crowd, seed: u64) -> Load {
    let mut rng = SplitMix64::new(seed);
    let mut queue = Queue::default();
    let mut isolates: Vec<_> = (0..crowd.isolates)
        .map(|number| {
            let starts_at = START + Millis::from_f64(rng.unit() * crowd.starts_within_ms.as_f64());
            queue.add(starts_at, CrowdEvent::Request(number));
            CrowdIsolate {
                health: Health::new([("deployment", RateLimits::default())]),
                reporter: Reporter::new(rng.next_u64()),
            }
        })
        .collect();
    let mut shard = Shard::new(&mut rng);
    let seconds = (crowd.length_ms / 1_000).get() as usize;
    let mut load = Load { reports: vec![0; seconds], first_reports: vec![0; seconds] };
    while let Some((now, event)) = queue.take() {
        let passed_ms = now - START;
        if passed_ms >= crowd.length_ms {
            break;
        }
        let second = (passed_ms / 1_000).get() as usize;
        match event {
            CrowdEvent::Request(number) => {
                let Some(isolate) = isolates.get_mut(number) else { continue };
                isolate.serve(passed_ms >= crowd.fails_after_ms, now, &mut rng);
                if isolate.reporter.is_due(&isolate.health, now) {
                    let report =
                        isolate.reporter.report(&mut isolate.health, crowd.reports_per_second, now, &mut rng);
                    queue.add(now + WAY_MS, CrowdEvent::Report(number, Box::new(report)));
                }
                queue.add(now + interval_ms(crowd.rate, &mut rng), CrowdEvent::Request(number));
            }
            CrowdEvent::Report(number, report) => {
                let counts = if report.n == 1 { &mut load.first_reports } else { &mut load.reports };
                if let Some(count) = counts.get_mut(second) {
                    *count += 1;
                }
                let answer = shard.report(&report, now, &mut rng);
                queue.add(now + WAY_MS, CrowdEvent::Answer(number, Box::new(answer)));
            }
            CrowdEvent::Answer(number, answer) => {
                let Some(isolate) = isolates.get_mut(number) else { continue };
                isolate.reporter.on_answer(&mut isolate.health, &answer, now, &mut rng);
            }
        }
    }
    load
}

impl CrowdIsolate {
    /// Serves one request: by the deployment, or elsewhere if it is ejected.
    fn serve(&mut self, fails: bool, now: Instant, rng: &mut dyn Rng) {
        if self.health.ejected_until(0, ChatCompletions).is_some() {
            self.health.request_probe(0, false, now);
            return;
        }
        let outcome = if fails { Outcome::failed(ErrorClass::Unavailable, None) } else { Outcome::Served };
        let ticket = self.health.begin(0, ChatCompletions, AnswerKind::Whole, 0, now);
        self.health.record(ticket, &Sample::of(outcome), now, rng);
    }
}
