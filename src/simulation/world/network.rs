//! The network between isolates, shards and the hub. Messages cross it as the texts that they are.

use super::simulated_isolate::First;
use super::simulated_object::Reaction;
use super::{Event, World, relative};
use crate::health::reporter::UNANSWERED_MS;
use crate::health::wire::Answer;
use crate::simulation::chance::scattered;
use crate::simulation::log;
use crate::simulation::setup::TroubleKind;
use crate::vocabulary::time::Millis;

/// From an isolate to the object of its region.
const NEAR_MS: f64 = 8.0;
/// From an object to the hub.
const FAR_MS: f64 = 70.0;

impl World {
    /// Sends a report if one is due. The Worker asks whenever a request has made a step.
    pub(super) fn report_if_due(&mut self, at: usize) {
        let now = self.now;
        let reports_per_second = self.setup.graph.settings.health.reports_per_second;
        let Some(isolate) = self.isolates.get_mut(at) else { return };
        if !isolate.reporter.due(&isolate.health, now) {
            return;
        }
        let report = isolate.reporter.report(&mut isolate.health, reports_per_second, now, &mut isolate.rng);
        isolate.reported = report.n;
        let arrives_at = now + self.way_ms(NEAR_MS);
        self.queue.add(arrives_at, Event::ShardHears { isolate: at, n: report.n, text: report.to_json() });
    }

    /// A report arrives at the object of a region.
    pub(super) fn shard_hears(&mut self, isolate: usize, n: u64, text: &str) {
        let now = self.now;
        let Some(region) = self.isolates.get(isolate).map(|isolate| isolate.region) else { return };
        let at = relative(now);
        self.log.reports.push(log::Arrival { at, region: Some(region), is_first: n == 1 });
        let trouble = self.trouble(Some(region));
        let back_ms = self.way_ms(NEAR_MS);
        let Some(object) = self.shards.get_mut(region) else { return };
        match object.hear(text, trouble, now) {
            Reaction::Answers(text, late_ms) => {
                self.queue.add(now + back_ms + late_ms, Event::IsolateHears { isolate, n, text: Some(text) });
                self.tell_hub(region);
            }
            Reaction::Refuses => {
                self.queue.add(now + back_ms, Event::IsolateHears { isolate, n, text: None });
            }
            Reaction::Silence => {
                self.queue.add(now + UNANSWERED_MS, Event::IsolateHears { isolate, n, text: None });
            }
        }
    }

    /// An answer arrives, or the word that there will be none.
    pub(super) fn isolate_hears(&mut self, at: usize, n: u64, text: Option<&str>) {
        let now = self.now;
        let Some(isolate) = self.isolates.get_mut(at) else { return };
        let answer = text.and_then(|text| Answer::parse(text.as_bytes()).ok());
        let mut waiting = Vec::new();
        if let Some(answer) = answer {
            isolate.reporter.answered(&mut isolate.health, &answer, now, &mut isolate.rng);
        } else if n == isolate.reported {
            isolate.reporter.failed(&mut isolate.health, now, &mut isolate.rng);
        }
        if let Some(isolate) = self.isolates.get_mut(at)
            && let First::Awaited { waiting: those, .. } = &mut isolate.first
        {
            waiting = std::mem::take(those);
            isolate.first = First::Over;
        }
        for request in waiting {
            self.begin(request);
        }
    }

    /// An object that was reported to tells the hub, if that is due.
    fn tell_hub(&mut self, region: usize) {
        let now = self.now;
        let Some(object) = self.shards.get_mut(region) else { return };
        if object.shard.hub_at().is_some_and(|at| at <= now) {
            let report = object.shard.report_to_hub(now);
            let arrives_at = now + self.way_ms(FAR_MS);
            self.queue.add(arrives_at, Event::HubHears { region, text: report.to_json() });
        }
    }

    /// A shard's report arrives at the hub.
    pub(super) fn hub_hears(&mut self, region: usize, text: &str) {
        let now = self.now;
        let at = relative(now);
        self.log.reports.push(log::Arrival { at, region: None, is_first: false });
        let back_ms = self.way_ms(FAR_MS);
        match self.hub.hear(text, self.trouble(None), now) {
            Reaction::Answers(text, late_ms) => {
                self.queue.add(now + back_ms + late_ms, Event::HubAnswers { region, text: Some(text) });
            }
            Reaction::Refuses => self.queue.add(now + back_ms, Event::HubAnswers { region, text: None }),
            Reaction::Silence => {
                self.queue.add(now + UNANSWERED_MS, Event::HubAnswers { region, text: None });
            }
        }
    }

    /// The hub's answer arrives at a shard.
    pub(super) fn hub_answers(&mut self, region: usize, text: Option<&str>) {
        let now = self.now;
        let Some(object) = self.shards.get_mut(region) else { return };
        match text.and_then(|text| Answer::parse(text.as_bytes()).ok()) {
            Some(answer) => object.shard.learn_from_hub(&answer, now),
            None => object.shard.hub_failed(now),
        }
    }

    /// An object is started anew.
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

    fn trouble(&self, region: Option<usize>) -> Option<TroubleKind> {
        let at = relative(self.now);
        let befalls = |of: Option<usize>| of.is_none() || of == region;
        let mut troubles = self.setup.troubles.iter();
        let found = troubles.find(|trouble| {
            befalls(trouble.region)
                && (trouble.from..trouble.until).contains(&at)
                && trouble.kind != TroubleKind::Evicted
        });
        found.map(|trouble| trouble.kind)
    }

    fn way_ms(&mut self, median: f64) -> Millis {
        scattered(median, 0.4, &mut self.rng).max(1.0) as Millis
    }
}
