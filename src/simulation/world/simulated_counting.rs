//! Counters in the simulated world: what isolates count of finished requests, and what reaches the
//! hub.

use super::{START, World, WorldEvent, relative};
use crate::attempt::machine::Reply;
use crate::attempt::trail::{Attempt, AttemptOutcome};
use crate::counters::{CounterBatch, Counters, FinishedAttempt, FinishedRequest};
use crate::health::{Outcome, Sample};
use crate::simulation::log::CountedRequest;
use crate::vocabulary::time::{Instant, Millis};
use crate::vocabulary::usage::Usage;

/// What a deployment charges for tokens of the input and of the output, in micro-dollars. Each one
/// has another price.
fn micro_usd(deployment: usize, usage: &Usage) -> u64 {
    let more = deployment as u64;
    usage.input_tokens * (2 + more) + usage.output_tokens * (9 + 2 * more)
}

fn outcome_of(attempt: &Attempt) -> &'static str {
    match attempt.ended.as_ref().map(|ended| &ended.outcome) {
        Some(AttemptOutcome::Served(_)) => "ok",
        Some(AttemptOutcome::Failed(failure)) => failure.class.name(),
        Some(AttemptOutcome::Abandoned) | None => "abandoned",
    }
}

impl World {
    /// A request has ended. `outcome`: what became of it. `output_tokens`: those of its answer.
    pub(super) fn count(&mut self, id: usize, outcome: &'static str, output_tokens: u64) {
        if !self.setup.traffic.is_counted {
            return;
        }
        let now = self.now;
        let Some(request) = self.requests.get_mut(&id).filter(|request| !request.is_counted) else { return };
        request.is_counted = true;
        let number = request.isolate;
        let Some(isolate) = self.isolates.get_mut(number) else { return };
        let attempts = request.machine.as_ref().map(|machine| machine.trail().attempts()).unwrap_or_default();
        let serving = request.machine.as_ref().and_then(|machine| machine.trail().serving());
        let tried = serving.or(attempts.last()).map(|attempt| &attempt.deployment);
        let usage = Usage {
            input_tokens: serving.map_or(0, |_| request.facts.input_tokens),
            output_tokens,
            ..Usage::default()
        };
        let micro_usd = tried.map_or(0, |deployment| micro_usd(deployment.id, &usage));
        let arrived_at = self.log.requests.get(id).map_or(START, |line| START + line.at);
        let first = attempts.first().map(|attempt| attempt.deployment.id);
        let finished = FinishedRequest {
            client: &self.client.name,
            model: &request.entry.name,
            outcome,
            duration_ms: now - arrived_at,
            deployment: tried.map(|deployment| deployment.name.as_str()),
            first_token_ms: request.committed.and_then(|answer| answer.first_token_ms),
            is_fallback: serving.is_some_and(|serving| Some(serving.deployment.id) != first),
            usage,
            micro_usd,
            cache: None,
        };
        let finished_attempts = attempts.iter().map(|attempt| FinishedAttempt {
            deployment: &attempt.deployment.name,
            outcome: outcome_of(attempt),
            duration_ms: attempt.ended.as_ref().map_or(Millis::ZERO, |ended| ended.after_ms),
        });
        isolate.outbox.on_request(&finished, finished_attempts, now);
        self.log.counted.push(CountedRequest {
            at: relative(now),
            isolate: number,
            batch: isolate.outbox.next_number(),
            model: request.entry.name.clone(),
            outcome,
            deployment: tried.map(|deployment| deployment.name.clone()),
            attempts: attempts.len() as u64,
            input_tokens: usage.input_tokens,
            output_tokens,
            micro_usd,
        });
        if let Some(until) = isolate.outbox.begin_flush(now) {
            self.flush(number, until);
        }
    }

    /// The machine has replied. An answer is counted when it ends.
    pub(super) fn count_reply(&mut self, id: usize, reply: Reply) {
        let machine = self.requests.get(&id).and_then(|request| request.machine.as_ref());
        let last = machine.and_then(|machine| machine.trail().failures().last());
        let last = last.map(|failure| failure.class.name());
        let outcome = match reply {
            Reply::Pass => return,
            Reply::NoneEligible => "no_eligible_deployment",
            Reply::Exhausted | Reply::Refused | Reply::DeadlineExceeded => {
                last.unwrap_or("deadline_exceeded")
            }
        };
        self.count(id, outcome, 0);
    }

    /// An answer has ended.
    pub(super) fn count_answer(&mut self, id: usize, sample: &Sample) {
        let outcome = match sample.outcome {
            Outcome::Served => "ok",
            Outcome::Failed { class, .. } => class.name(),
            Outcome::CutShort => "timeout",
            Outcome::Abandoned => "client_left",
        };
        self.count(id, outcome, sample.output_tokens.unwrap_or(0));
    }

    /// Sends what an isolate has counted, when it should not wait any longer: the work in the
    /// background of the Worker.
    pub(super) fn flush(&mut self, at: usize, until: Instant) {
        let now = self.now;
        let flush_at = |world: &Self| {
            let isolate = world.isolates.get(at).filter(|isolate| isolate.killed_at.is_none())?;
            Some(isolate.outbox.flush_at()?.max(isolate.reporter.due_at(&isolate.health)))
        };
        if flush_at(self).is_some_and(|due| due <= now) {
            self.report_if_due(at);
        }
        if let Some(due) = flush_at(self).filter(|due| *due <= until) {
            self.queue.add(due, WorldEvent::CountersDue { isolate: at, until });
        } else if let Some(isolate) = self.isolates.get_mut(at) {
            isolate.outbox.end_flush(until);
        }
    }

    /// Sets the alarm of a shard's object, if that is needed.
    pub(super) fn set_alarm(&mut self, region: usize) {
        if let Some(at) = self.shards.get_mut(region).and_then(|object| object.shard.take_alarm()) {
            self.queue.add(at, WorldEvent::AlarmRang { region });
        }
    }

    /// The alarm of a shard's object rings.
    pub(super) fn ring(&mut self, region: usize) {
        let now = self.now;
        if self.shards.get_mut(region).is_some_and(|object| object.shard.on_alarm(now)) {
            self.report_to_hub(region);
        }
        self.set_alarm(region);
    }

    /// What waits in all shards.
    pub(super) fn waiting(&mut self) -> Counters {
        let mut waiting = Counters::default();
        for object in &mut self.shards {
            let outbox = object.shard.counters_mut().outbox();
            let gathered = CounterBatch::new(outbox.next_number(), outbox.gathered());
            for batch in outbox.sent().into_iter().chain([&gathered]) {
                batch.add_to(&mut waiting, |_| ());
            }
        }
        waiting
    }

    /// An isolate ends without warning. What it has not sent is lost.
    pub(super) fn kill(&mut self, isolate: usize) {
        let now = self.now;
        if let Some(isolate) = self.isolates.get_mut(isolate) {
            isolate.killed_at = Some(now);
        }
    }
}
