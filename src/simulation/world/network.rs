//! The network between isolates, shards and the hub. Messages are transferred in their wire format.

use super::simulated_isolate::FirstSnapshot;
use super::simulated_object::ObjectReaction;
use super::{World, WorldEvent, relative};
use crate::health::reporter::UNANSWERED_MS;
use crate::health::wire::{HealthReport, ShardAnswer};
use crate::simulation::chance::scattered;
use crate::simulation::log;
use crate::simulation::setup::ObjectFaultKind;
use crate::vocabulary::time::Millis;

/// The median time from an isolate to the shard of its region.
const NEAR_MS: f64 = 8.0;
/// The median time from a shard to the hub.
const FAR_MS: f64 = 70.0;

impl World {
    /// Sends a report if one is due. Like the Worker, the simulation checks this after each step of
    /// a request.
    pub(super) fn report_if_due(&mut self, at: usize) {
        let now = self.now;
        let reports_per_second = self.setup.graph.settings.health.reports_per_second;
        let Some(isolate) = self.isolates.get_mut(at) else { return };
        if isolate.killed_at.is_some() || !isolate.reporter.is_due(&isolate.health, now) {
            return;
        }
        let mut report =
            isolate.reporter.report(&mut isolate.health, reports_per_second, now, &mut isolate.rng);
        report.counters = isolate.outbox.batch(now);
        isolate.reported = report.n;
        let arrives_at = now + self.way_ms(NEAR_MS);
        self.queue.add(
            arrives_at,
            WorldEvent::ReportReachedShard { isolate: at, n: report.n, text: report.to_json() },
        );
    }

    /// A report arrives at the shard of a region.
    pub(super) fn on_report_at_shard(&mut self, isolate: usize, n: u64, text: &str) {
        let now = self.now;
        let Some(region) = self.isolates.get(isolate).map(|isolate| isolate.region) else { return };
        let at = relative(now);
        self.log.reports.push(log::LoggedReport { at, region: Some(region), is_first: n == 1 });
        let fault = self.fault(Some(region));
        let back_ms = self.way_ms(NEAR_MS);
        let Some(object) = self.shards.get_mut(region) else { return };
        match object.on_report(text, fault, now) {
            ObjectReaction::Answers(answer, late_ms) => {
                self.queue.add(
                    now + back_ms + late_ms,
                    WorldEvent::AnswerReachedIsolate { isolate, n, text: Some(answer) },
                );
                if let Some(batch) = HealthReport::parse(text).ok().and_then(|report| report.counters) {
                    let taken = self.log.taken.entry(isolate).or_default();
                    *taken = batch.n.max(*taken);
                }
                self.tell_hub(region);
                self.set_alarm(region);
            }
            ObjectReaction::Refuses => {
                self.queue.add(now + back_ms, WorldEvent::AnswerReachedIsolate { isolate, n, text: None });
            }
            ObjectReaction::Silence => {
                self.queue
                    .add(now + UNANSWERED_MS, WorldEvent::AnswerReachedIsolate { isolate, n, text: None });
            }
        }
    }

    /// The answer to a report arrives; without `text`, the report failed.
    pub(super) fn on_answer_at_isolate(&mut self, at: usize, n: u64, text: Option<&str>) {
        let now = self.now;
        let Some(isolate) = self.isolates.get_mut(at) else { return };
        let answer = text.and_then(|text| ShardAnswer::parse(text).ok());
        let mut waiting = Vec::new();
        if let Some(answer) = answer {
            isolate.outbox.on_counted(answer.counted);
            isolate.reporter.on_answer(&mut isolate.health, &answer, now, &mut isolate.rng);
        } else if n == isolate.reported {
            isolate.reporter.on_failure(&mut isolate.health, now, &mut isolate.rng);
        }
        if let Some(isolate) = self.isolates.get_mut(at)
            && let FirstSnapshot::Awaited { waiting: those, .. } = &mut isolate.first
        {
            waiting = std::mem::take(those);
            isolate.first = FirstSnapshot::Over;
        }
        for request in waiting {
            self.begin(request);
        }
    }

    /// Sends a report of the shard to the hub, if one is due.
    fn tell_hub(&mut self, region: usize) {
        let now = self.now;
        let Some(object) = self.shards.get_mut(region) else { return };
        if object.shard.hub_at().is_some_and(|at| at <= now) {
            self.report_to_hub(region);
        }
    }

    /// Sends a report of the shard to the hub.
    pub(super) fn report_to_hub(&mut self, region: usize) {
        let now = self.now;
        let Some(object) = self.shards.get_mut(region) else { return };
        let report = object.shard.report_to_hub(now);
        object.save();
        let arrives_at = now + self.way_ms(FAR_MS);
        self.queue.add(arrives_at, WorldEvent::ReportReachedHub { region, text: report.to_json() });
    }

    /// A shard's report arrives at the hub.
    pub(super) fn on_report_at_hub(&mut self, region: usize, text: &str) {
        let now = self.now;
        let at = relative(now);
        self.log.reports.push(log::LoggedReport { at, region: None, is_first: false });
        let back_ms = self.way_ms(FAR_MS);
        match self.hub.on_report(text, self.fault(None), now) {
            ObjectReaction::Answers(text, late_ms) => {
                self.queue.add(
                    now + back_ms + late_ms,
                    WorldEvent::AnswerReachedShard { region, text: Some(text) },
                );
            }
            ObjectReaction::Refuses => {
                self.queue.add(now + back_ms, WorldEvent::AnswerReachedShard { region, text: None });
            }
            ObjectReaction::Silence => {
                self.queue.add(now + UNANSWERED_MS, WorldEvent::AnswerReachedShard { region, text: None });
            }
        }
    }

    /// The answer of the hub arrives at a shard.
    pub(super) fn on_answer_at_shard(&mut self, region: usize, text: Option<&str>) {
        let now = self.now;
        let Some(object) = self.shards.get_mut(region) else { return };
        match text.and_then(|text| ShardAnswer::parse(text).ok()) {
            Some(answer) => object.shard.merge_hub_answer(&answer, now),
            None => object.shard.on_hub_failure(now),
        }
        object.save();
    }

    /// Restarts a Durable Object.
    pub(super) fn restart(&mut self, region: Option<usize>) {
        let now = self.now;
        let all = self.shards.iter_mut().enumerate();
        for (_, object) in all.filter(|(at, _)| region.is_none_or(|region| region == *at)) {
            object.restart(now);
        }
        if region.is_none() {
            self.hub.restart(now);
        }
    }

    fn fault(&self, region: Option<usize>) -> Option<ObjectFaultKind> {
        let at = relative(self.now);
        let affects = |of: Option<usize>| of.is_none() || of == region;
        let mut object_faults = self.setup.object_faults.iter();
        let found = object_faults.find(|fault| {
            affects(fault.region)
                && (fault.from..fault.until).contains(&at)
                && fault.kind != ObjectFaultKind::Evicted
        });
        found.map(|fault| fault.kind)
    }

    fn way_ms(&mut self, median: f64) -> Millis {
        Millis::from_f64(scattered(median, 0.4, &mut self.rng).max(1.0))
    }
}
