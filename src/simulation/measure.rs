//! Measurements that are computed from a log.

use std::collections::BTreeMap;
use std::ops::Range;

use super::log::{CallOutcome, Log, LoggedCall};
use crate::vocabulary::time::Millis;

/// Measurements of deployments, regions and requests.
impl Log {
    /// The number of requests that arrived within this time.
    pub fn arrived(&self, within: &Range<Millis>) -> usize {
        self.requests.iter().filter(|request| within.contains(&request.at)).count()
    }

    /// The number of requests that arrived within this time and failed for their clients.
    pub fn client_failures(&self, within: &Range<Millis>) -> usize {
        let failed = |request: &&super::log::LoggedRequest| {
            within.contains(&request.at) && request.result.is_none_or(super::log::ClientResult::is_failure)
        };
        self.requests.iter().filter(failed).count()
    }

    /// The attempts within this time, divided by the requests that arrived within it.
    pub fn calls_per_request(&self, within: &Range<Millis>) -> f64 {
        part(self.calls.iter().filter(|call| within.contains(&call.at)).count(), self.arrived(within))
    }

    /// The attempts at a deployment within this time.
    pub fn calls_to(&self, deployment: usize, within: Range<Millis>) -> impl Iterator<Item = &LoggedCall> {
        let is_it = move |call: &&LoggedCall| call.deployment == deployment && within.contains(&call.at);
        self.calls.iter().filter(is_it)
    }

    /// The share of a deployment in the attempts within this time, for one region or for all.
    pub fn sent_share(&self, deployment: usize, within: &Range<Millis>, region: Option<usize>) -> f64 {
        let is_from = |call: &&LoggedCall| region.is_none_or(|region| region == call.region);
        let sent = self.calls.iter().filter(is_from).filter(|call| within.contains(&call.at)).count();
        part(self.calls_to(deployment, within.clone()).filter(is_from).count(), sent)
    }

    /// The time of the first failed attempt at a deployment, from this region and within this time.
    pub fn first_failure(&self, deployment: usize, region: usize, within: &Range<Millis>) -> Option<Millis> {
        let failed = |call: &&LoggedCall| {
            call.region == region && matches!(call.outcome, Some(CallOutcome::Failed(_)))
        };
        let ends = self.calls_to(deployment, within.clone()).filter(failed).filter_map(|call| call.ended_at);
        ends.filter(|at| within.contains(at)).min()
    }

    /// For each isolate that sent to a deployment after the first failure in its region: the time
    /// from that failure to its last attempt, without probes. In ascending order.
    pub fn times_to_eject(&self, deployment: usize, within: &Range<Millis>) -> Vec<Millis> {
        let mut latest: BTreeMap<usize, Millis> = BTreeMap::new();
        let mut first: BTreeMap<usize, Option<Millis>> = BTreeMap::new();
        for call in self.calls_to(deployment, within.clone()).filter(|call| !call.is_probe) {
            let first = *first
                .entry(call.region)
                .or_insert_with(|| self.first_failure(deployment, call.region, within));
            if let Some(first) = first.filter(|first| *first <= call.at) {
                latest.insert(call.isolate, call.at - first);
            }
        }
        let mut times: Vec<_> = latest.into_values().collect();
        times.sort_unstable();
        times
    }

    /// The attempts (without probes) at a deployment that are later than `grace_ms` after the first
    /// failure in their region. Only isolates count that had served another request within
    /// `grace_ms` before, because only these could have received the ejection.
    pub fn strays(&self, deployment: usize, within: &Range<Millis>, grace_ms: Millis) -> usize {
        let mut arrivals: BTreeMap<usize, Vec<Millis>> = BTreeMap::new();
        for request in &self.requests {
            arrivals.entry(request.isolate).or_default().push(request.at);
        }
        let was_awake = |call: &&LoggedCall| {
            let arrived_at = self.requests.get(call.request).map_or(Millis::ZERO, |request| request.at);
            let mut of_isolate = arrivals.get(&call.isolate).into_iter().flatten();
            of_isolate.any(|at| *at < arrived_at && *at + grace_ms >= arrived_at)
        };
        let is_late = |call: &&LoggedCall| {
            let first = self.first_failure(deployment, call.region, within);
            first.is_some_and(|first| call.at > first + grace_ms)
        };
        let calls = self.calls_to(deployment, within.clone()).filter(|call| !call.is_probe);
        calls.filter(is_late).filter(was_awake).count()
    }

    /// The most probes of a deployment at the same time, from one region or from one isolate.
    pub fn most_probes_at_once(&self, deployment: usize, within: &Range<Millis>, by: CountedBy) -> usize {
        let mut places: BTreeMap<usize, Vec<(Millis, bool)>> = BTreeMap::new();
        for call in self.calls_to(deployment, within.clone()).filter(|call| call.is_probe) {
            let place = match by {
                CountedBy::Region => call.region,
                CountedBy::Isolate => call.isolate,
            };
            let moves = places.entry(place).or_default();
            moves.push((call.at, true));
            moves.push((call.ended_at.unwrap_or(Millis::MAX), false));
        }
        places.into_values().map(most_at_once).max().unwrap_or(0)
    }

    /// The time of the first passed probe of a deployment, from this region and within this time.
    pub fn first_passed_probe(
        &self,
        deployment: usize,
        region: usize,
        within: &Range<Millis>,
    ) -> Option<Millis> {
        let passed = |call: &&LoggedCall| {
            call.is_probe && call.region == region && call.outcome == Some(CallOutcome::Answered)
        };
        let ends = self.calls_to(deployment, within.clone()).filter(passed).filter_map(|call| call.ended_at);
        ends.min()
    }

    /// The most reports at one Durable Object in one second, without the first reports of isolates.
    pub fn most_reports_in_a_second(&self, within: &Range<Millis>) -> usize {
        let mut seconds: BTreeMap<(Option<usize>, Millis), usize> = BTreeMap::new();
        for report in self.reports.iter().filter(|report| !report.is_first && within.contains(&report.at)) {
            *seconds.entry((report.region, report.at / 1_000)).or_default() += 1;
        }
        seconds.into_values().max().unwrap_or(0)
    }
}

/// The scope in which probes are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountedBy {
    /// Per region.
    Region,
    /// Per isolate.
    Isolate,
}

fn most_at_once(mut moves: Vec<(Millis, bool)>) -> usize {
    // At equal times, ends come before starts.
    moves.sort_unstable();
    let (mut now, mut most) = (0_usize, 0_usize);
    for (_, begins) in moves {
        now = if begins { now + 1 } else { now.saturating_sub(1) };
        most = most.max(now);
    }
    most
}

/// `of / all`; 0 if `all` is 0.
pub fn part(of: usize, all: usize) -> f64 {
    if all == 0 { 0.0 } else { of as f64 / all as f64 }
}

/// The quantile `part` of a sorted list; 0 if the list is empty.
pub fn quantile(sorted: &[Millis], part: f64) -> Millis {
    let at = (sorted.len() as f64 * part) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(Millis::ZERO)
}
