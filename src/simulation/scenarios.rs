//! The list of scenarios and their promises.

use super::scenario::{RunEvidence, Scenario};
use crate::routes::graph::Destination;
use crate::simulation::log::{CallOutcome, LoggedRequest};
use crate::simulation::measure::{CountedBy, quantile};
use crate::simulation::promise::Promises;
use crate::simulation::setup::{DeploymentSelector, ObjectFault, ObjectFaultKind, Setup};
use crate::simulation::simulated_upstream::{UpstreamProfile, Weather};
use crate::vocabulary::time::Millis;

/// Three equal deployments with weighted selection.
const EVEN: &str = include_str!("scenarios/even.json");
/// Like [`EVEN`], with long ejections for a deployment that fails again and again.
const FLAPPING: &str = include_str!("scenarios/flapping.json");
/// Four strategies, each with its own deployments.
const FAIR: &str = include_str!("scenarios/fair.json");
/// Three deployments; the fastest is preferred.
const LATENCY: &str = include_str!("scenarios/latency.json");
/// A provisioned deployment first, and a pay-as-you-go deployment for the spillover.
const SPILL: &str = include_str!("scenarios/spill.json");
/// Thirty deployments in five models.
const MANY: &str = include_str!("scenarios/many.json");
/// Like [`EVEN`], with a first-token limit of two seconds.
const TIMED: &str = include_str!("scenarios/timed.json");

/// The scenario with this name.
pub fn named(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

/// All scenarios.
pub static SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "fair",
        about: "Fair weather, four strategies over sixteen deployments: everyone gets their due.",
        document: FAIR,
        shape: |setup| (setup.length_ms, setup.traffic.isolates) = (Millis::new(40_000), 300),
        promise: fair,
    },
    Scenario {
        name: "outage",
        about: "One of several answers 503 for twenty seconds.",
        document: EVEN,
        shape: |setup| setup.with(Weather::Down, DeploymentSelector::Nth(0), 20..40),
        promise: |evidence, promises| {
            evidence.promise_no_failure(promises);
            evidence.promise_ejection(0, 1_000.0, promises);
            evidence.promise_probes(0, CountedBy::Region, promises);
            evidence.promise_return(0, Millis::new(22_000), promises);
        },
    },
    Scenario {
        name: "silence",
        about: "One of several accepts requests and says nothing for half a minute.",
        document: TIMED,
        shape: |setup| setup.with(Weather::Silent, DeploymentSelector::Nth(0), 20..50),
        promise: |evidence, promises| {
            evidence.promise_no_failure(promises);
            evidence.promise_probes(0, CountedBy::Region, promises);
        },
    },
    Scenario {
        name: "outage-in-a-region",
        about: "One of several cannot be reached from one region.",
        document: EVEN,
        shape: |setup| setup.with_in(0, Weather::Unreachable, DeploymentSelector::Nth(0), 20..40),
        promise: |evidence, promises| {
            evidence.promise_no_failure(promises);
            evidence.promise_probes(0, CountedBy::Region, promises);
            let (id, spell) = (evidence.nth(0), evidence.spell());
            let late = spell.start + Millis::new(4_000)..spell.end;
            let usual = evidence.log.sent_share(id, &(Millis::new(5_000)..spell.start), None);
            let share = |region| evidence.log.sent_share(id, &late, Some(region)) / usual;
            promises.at_most("part of the usual share in that region", share(0), 0.05);
            let least = evidence.regions().skip(1).map(share).fold(f64::INFINITY, f64::min);
            promises.at_least("part of the usual share in the others", least, 0.85);
        },
    },
    Scenario {
        name: "brown-out",
        about: "One of several fails 30 % of its requests for forty seconds.",
        document: EVEN,
        shape: |setup| setup.with(Weather::BrownOut(0.3), DeploymentSelector::Nth(0), 20..60),
        promise: |evidence, promises| {
            let failures = evidence.log.client_failures(&evidence.all()) as f64;
            let arrived = evidence.log.arrived(&evidence.all()) as f64;
            promises.at_most("client-visible failures, %", 100.0 * failures / arrived, 0.1);
            promises.at_most("calls per request", evidence.log.calls_per_request(&evidence.spell()), 1.5);
            let share = |within| evidence.log.sent_share(evidence.nth(0), &within, None);
            let usual = share(Millis::new(5_000)..Millis::new(20_000));
            promises.at_least("part of the usual share meanwhile", share(evidence.spell()) / usual, 0.2);
            let last = evidence.setup.length_ms - Millis::new(10_000)..evidence.setup.length_ms;
            promises.at_least("part of the usual share at the end", share(last) / usual, 0.85);
        },
    },
    Scenario {
        name: "full-outage",
        about: "All of them answer 503 for twenty seconds.",
        document: EVEN,
        shape: |setup| {
            (setup.length_ms, setup.traffic.rate) = (Millis::new(60_000), 4.0);
            setup.with(Weather::Down, DeploymentSelector::All, 20..40);
        },
        promise: full_outage,
    },
    Scenario {
        name: "storm-with-hints",
        about: "One of several answers 429 for half a minute and says for how long.",
        document: EVEN,
        shape: |setup| {
            setup.with(Weather::RateLimited { has_hint: true }, DeploymentSelector::Nth(0), 20..50);
        },
        promise: |evidence, promises| {
            evidence.promise_no_failure(promises);
            evidence.promise_silence(0, Millis::new(5_000), promises);
            evidence.promise_probes(0, CountedBy::Region, promises);
            evidence.promise_return(0, Millis::new(8_000), promises);
        },
    },
    Scenario {
        name: "storm-without-hints",
        about: "One of several answers 429 for half a minute and does not say for how long.",
        document: EVEN,
        shape: |setup| {
            setup.with(Weather::RateLimited { has_hint: false }, DeploymentSelector::Nth(0), 20..50);
        },
        promise: |evidence, promises| {
            evidence.promise_no_failure(promises);
            evidence.promise_probes(0, CountedBy::Region, promises);
            evidence.promise_return(0, Millis::new(9_000), promises);
        },
    },
    Scenario {
        name: "spill",
        about: "A provisioned deployment is full: it serves what it can, the rest goes to the next.",
        document: SPILL,
        shape: |setup| {
            let profile =
                UpstreamProfile { capacity: Some(180.0), is_provisioned: true, ..UpstreamProfile::default() };
            setup.profiles.push((DeploymentSelector::Nth(0), profile));
            setup.length_ms = Millis::new(50_000);
        },
        promise: |evidence, promises| {
            evidence.promise_no_failure(promises);
            let steady = evidence.log.calls_to(evidence.nth(0), Millis::new(10_000)..Millis::new(50_000));
            let served = steady.filter(|call| call.outcome == Some(CallOutcome::Answered)).count();
            promises.at_least("part of its capacity that is used", served as f64 / (40.0 * 180.0), 0.9);
            promises.at_most("calls per request", evidence.log.calls_per_request(&evidence.all()), 1.6);
        },
    },
    Scenario {
        name: "slow-in-a-region",
        about: "One of three is eight times as slow, in the eyes of one region; the strategy is latency.",
        document: LATENCY,
        shape: |setup| setup.with_in(0, Weather::Slow(8.0), DeploymentSelector::Nth(0), 20..60),
        promise: |evidence, promises| {
            evidence.promise_no_failure(promises);
            let (id, spell) = (evidence.nth(0), evidence.spell());
            let late = spell.start + Millis::new(10_000)..spell.end;
            let share = |region| evidence.log.sent_share(id, &late, Some(region));
            promises.at_most("its share in that region", share(0), 0.2);
            let least = evidence.regions().skip(1).map(share).fold(f64::INFINITY, f64::min);
            promises.at_least("its share in the others", least, 0.25);
        },
    },
    Scenario {
        name: "flapping",
        about: "One of several is down for ten seconds and up for ten, for four minutes.",
        document: FLAPPING,
        shape: |setup| {
            (setup.length_ms, setup.traffic.isolates) = (Millis::new(280_000), 60);
            setup.with(
                Weather::Flapping { down_ms: Millis::new(10_000), up_ms: Millis::new(10_000) },
                DeploymentSelector::Nth(0),
                20..260,
            );
        },
        promise: |evidence, promises| {
            evidence.promise_no_failure(promises);
            evidence.promise_probes(0, CountedBy::Region, promises);
            let failed = |within| {
                let calls = evidence.log.calls_to(evidence.nth(0), within);
                calls.filter(|call| matches!(call.outcome, Some(CallOutcome::Failed(_)))).count() as f64
            };
            let (early, late) = (
                failed(Millis::new(20_000)..Millis::new(100_000)),
                failed(Millis::new(180_000)..Millis::new(260_000)),
            );
            promises.at_most("failed calls in the last 80 s, of those in the first", late / early, 0.5);
        },
    },
    Scenario {
        name: "quota",
        about: "The account of one of several is empty.",
        document: EVEN,
        shape: |setup| setup.with(Weather::QuotaGone, DeploymentSelector::Nth(0), 20..90),
        promise: |evidence, promises| {
            evidence.promise_no_failure(promises);
            evidence.promise_silence(0, Millis::new(5_000), promises);
        },
    },
    Scenario {
        name: "object-lost",
        about: "The objects are silent while one of several is down, and come back later.",
        document: EVEN,
        shape: |setup| without_objects(setup, ObjectFaultKind::Lost),
        promise: alone,
    },
    Scenario {
        name: "object-overloaded",
        about: "The objects refuse reports while one of several is down, and come back later.",
        document: EVEN,
        shape: |setup| without_objects(setup, ObjectFaultKind::Overloaded),
        promise: alone,
    },
    Scenario {
        name: "object-late",
        about: "The objects take two seconds for each answer while one of several is down.",
        document: EVEN,
        shape: |setup| without_objects(setup, ObjectFaultKind::Late(Millis::new(2_000))),
        promise: |evidence, promises| {
            evidence.promise_no_failure(promises);
            evidence.promise_probes(0, CountedBy::Region, promises);
        },
    },
    Scenario {
        name: "object-evicted",
        about: "The objects start anew in the middle of an outage of one of several.",
        document: EVEN,
        shape: |setup| {
            setup.with(Weather::Down, DeploymentSelector::Nth(0), 20..40);
            let kind = ObjectFaultKind::Evicted;
            setup.object_faults.push(ObjectFault {
                kind,
                region: None,
                from: Millis::new(26_000),
                until: Millis::new(26_001),
            });
        },
        promise: |evidence, promises| {
            evidence.promise_no_failure(promises);
            evidence.promise_probes(0, CountedBy::Region, promises);
            let late = evidence.log.calls_to(evidence.nth(0), Millis::new(26_000)..evidence.spell().end);
            let late = late.filter(|call| !call.is_probe).count() as f64;
            promises.at_most("requests but probes to it after that", late, 0.0);
        },
    },
    Scenario {
        name: "many",
        about: "Thirty deployments, three hundred isolates that come and go, clients that leave, and all weathers at once.",
        document: MANY,
        shape: |setup| {
            (setup.traffic.isolates, setup.traffic.lifetime_ms) = (300, Some(Millis::new(40_000)));
            (setup.length_ms, setup.traffic.impatient) = (Millis::new(60_000), 0.05);
            let weathers = [
                (Weather::Down, 10..25),
                (Weather::BrownOut(0.3), 10..50),
                (Weather::RateLimited { has_hint: true }, 15..40),
                (Weather::RateLimited { has_hint: false }, 20..40),
                (Weather::Slow(5.0), 10..50),
                (Weather::Flapping { down_ms: Millis::new(5_000), up_ms: Millis::new(5_000) }, 10..50),
                (Weather::QuotaGone, 20..60),
                (Weather::Unreachable, 30..45),
            ];
            // Only every third deployment is affected, so each model has some healthy ones.
            for (number, (weather, seconds)) in weathers.into_iter().enumerate() {
                setup.with(weather, DeploymentSelector::Nth(number * 3), seconds);
            }
        },
        promise: |evidence, promises| {
            evidence.promise_no_failure(promises);
            promises.at_most("calls per request", evidence.log.calls_per_request(&evidence.all()), 1.1);
            let probes = |id| evidence.log.most_probes_at_once(id, &evidence.all(), CountedBy::Region);
            let most = evidence.setup.ranking.iter().map(|id| probes(*id)).max().unwrap_or(0);
            promises.at_most("probes of one at a time in a region", most as f64, 1.0);
        },
    },
];

/// Sets a fault of the Durable Objects that starts before an outage of twenty seconds and ends
/// after it.
fn without_objects(setup: &mut Setup, kind: ObjectFaultKind) {
    setup.length_ms = Millis::new(120_000);
    setup.with(Weather::Down, DeploymentSelector::Nth(0), 25..45);
    setup.object_faults.push(ObjectFault {
        kind,
        region: None,
        from: Millis::new(15_000),
        until: Millis::new(75_000),
    });
}

/// Promises that every isolate copes alone while the Durable Objects fail, and that the isolates
/// share their health again afterwards.
fn alone(evidence: &RunEvidence<'_>, promises: &mut Promises) {
    evidence.promise_no_failure(promises);
    evidence.promise_probes(0, CountedBy::Isolate, promises);
    let (id, spell) = (evidence.nth(0), evidence.spell());
    let median = quantile(&evidence.log.times_to_eject(id, &spell), 0.5).as_f64();
    promises.at_most("seconds until an isolate leaves it alone, median", median / 1_000.0, 6.0);
    let last = evidence.setup.length_ms - Millis::new(15_000)..evidence.setup.length_ms;
    let usual = evidence.log.sent_share(id, &(Millis::new(5_000)..Millis::new(15_000)), None);
    let share = evidence.log.sent_share(id, &last, None) / usual;
    promises.at_least("part of the usual share at the end", share, 0.85);
    let reports = evidence.log.reports.iter().filter(|report| last.contains(&report.at)).count() as f64;
    let each = reports / evidence.setup.traffic.isolates as f64;
    promises.at_least("reports of each isolate in the last 15 s", each, 5.0);
}

fn full_outage(evidence: &RunEvidence<'_>, promises: &mut Promises) {
    let spell = evidence.spell();
    let late = spell.start + Millis::new(2_000)..spell.end;
    promises.at_most("calls per request after 2 s", evidence.log.calls_per_request(&late), 1.2);
    let is_served = |request: &&LoggedRequest| {
        request.at >= spell.end && request.result.is_some_and(|result| !result.is_failure())
    };
    let first = |region| {
        let found = evidence.log.requests.iter().filter(is_served).find(|request| request.region == region);
        found.map_or(f64::INFINITY, |request| (request.at - spell.end).as_f64() / 1_000.0)
    };
    let latest = evidence.regions().map(first).fold(0.0, f64::max);
    promises.at_most("seconds from its end to a region's first answer", latest, 3.0);
    let later = spell.end + Millis::new(5_000)..evidence.setup.length_ms;
    let failures = evidence.log.client_failures(&later) as f64;
    promises.at_most("client-visible failures 5 s after its end", failures, 0.0);
}

fn fair(evidence: &RunEvidence<'_>, promises: &mut Promises) {
    evidence.promise_no_failure(promises);
    promises.at_most("calls per request", evidence.log.calls_per_request(&evidence.all()), 1.0);
    for node in evidence.setup.graph.models.values() {
        let due = node.targets.iter().filter_map(|target| match &target.to {
            Destination::Deployment(deployment) => Some((deployment.id, target.weight)),
            Destination::Node(_) => None,
        });
        let due: Vec<_> = due.collect();
        let calls = |id: usize| evidence.log.calls_to(id, evidence.all()).count() as f64;
        let total: f64 = due.iter().map(|(id, _)| calls(*id)).sum();
        let weights: f64 = due.iter().map(|(_, weight)| weight).sum();
        let of_due = |(id, weight): &(usize, f64)| calls(*id) / total * weights / weight;
        let most = due.iter().map(of_due).fold(0.0, f64::max);
        promises.at_most(format!("most that one gets of its due, {}", node.name), most, 1.3);
    }
}
