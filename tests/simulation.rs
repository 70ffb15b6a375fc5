//! The whole system on a virtual clock. Every scenario meets its promises. The system survives any
//! random faults. The load of an object stays bounded for any number of isolates.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "tests")]

#[allow(dead_code, reason = "each of the test files uses a part of it")]
mod times;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use times::ms;

use switchyard::counters::{BATCH_EVERY_MS, Family};
use switchyard::simulation::crowd::{self, Crowd};
use switchyard::simulation::log::{ClientResult, CountedRequest, Log};
use switchyard::simulation::print;
use switchyard::simulation::scenario::ScenarioOptions;
use switchyard::simulation::scenarios::{self, SCENARIOS};
use switchyard::simulation::setup::{
    DeploymentSelector, ObjectFault, ObjectFaultKind, Setup, Traffic, WeatherSpell, graph_of,
};
use switchyard::simulation::simulated_upstream::Weather;
use switchyard::simulation::world;
use switchyard::vocabulary::rng::{Rng, SplitMix64};

const SEED: u64 = 1;

fn keeps_its_promises(name: &str) {
    let scenario = scenarios::named(name).unwrap();
    let run = scenario.run(&ScenarioOptions { seed: SEED, ..ScenarioOptions::default() }).unwrap();
    println!("{}", print::text(scenario, &run, SEED, false));
    for promise in &run.promises {
        assert!(promise.is_kept(), "{name}, seed {SEED}: {promise}");
    }
}

/// A test for each scenario, so that they run in parallel.
macro_rules! scenarios {
    ($($test:ident: $name:literal,)*) => {
        $(#[test]
        fn $test() {
            keeps_its_promises($name);
        })*

        #[test]
        fn every_scenario_is_run() {
            let names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
            assert_eq!(names, [$($name),*]);
        }
    };
}

scenarios! {
    in_fair_weather_everyone_gets_their_due: "fair",
    an_outage_is_seen_by_no_client: "outage",
    a_silent_deployment_is_left_alone: "silence",
    what_one_region_cannot_reach_the_others_go_on_using: "outage-in-a-region",
    a_brown_out_costs_second_attempts_and_no_deployment: "brown-out",
    a_full_outage_is_not_multiplied: "full-outage",
    a_hint_is_kept_to_everywhere: "storm-with-hints",
    a_rate_limit_without_a_hint_is_a_short_ejection: "storm-without-hints",
    a_full_provisioned_deployment_stays_in_use: "spill",
    latency_is_regional: "slow-in-a-region",
    a_flapping_deployment_gets_less_and_less: "flapping",
    an_empty_account_is_left_alone_everywhere: "quota",
    isolates_help_themselves_while_objects_are_lost: "object-lost",
    isolates_help_themselves_while_objects_are_overloaded: "object-overloaded",
    late_objects_make_no_one_wait: "object-late",
    an_open_gate_survives_the_eviction_of_its_object: "object-evicted",
    thirty_deployments_in_all_weathers: "many",
}

#[test]
fn a_run_is_repeated_by_its_seed() {
    let run = |seed| {
        let choices = ScenarioOptions { seed, isolates: Some(12), ..ScenarioOptions::default() };
        scenarios::named("many").unwrap().run(&choices).unwrap().log
    };
    assert!(run(7) == run(7), "seed 7");
    assert!(run(7) != run(8), "seeds 7 and 8");
}

#[test]
fn whatever_befalls_the_others_one_that_is_well_serves_everybody() {
    for seed in 0..24 {
        let setup = any_weather(seed);
        let log = world::run(setup.clone(), seed);
        let failed = log.requests.iter().find(|request| {
            request.result.is_none_or(|verdict| verdict.is_failure() && verdict != ClientResult::Broken)
        });
        assert_eq!(failed, None, "seed {seed}: {setup:#?}");
        is_sound(&log, seed);
    }
}

#[test]
fn nothing_is_lost_where_nothing_is_well() {
    for seed in 0..12 {
        let mut setup = any_weather(seed);
        setup.weather.push(spell(Weather::Down, DeploymentSelector::Nth(0), 3_000..9_000));
        setup.weather.push(spell(Weather::BrownOut(0.5), DeploymentSelector::Nth(0), 10_000..15_000));
        is_sound(&world::run(setup, seed), seed);
    }
}

/// Every request has one answer, and nothing is in flight at the end.
fn is_sound(log: &Log, seed: u64) {
    assert!(log.requests.len() > 100, "seed {seed}: {} requests", log.requests.len());
    for request in &log.requests {
        let answers = u32::from(request.result != Some(ClientResult::Left));
        assert_eq!(request.answers, answers, "seed {seed}: {request:?}");
    }
    assert_eq!(log.left_in_flight, 0, "seed {seed}");
}

const POOL: &str = r#"{
    "version": 1,
    "settings": { "max_attempts": 8, "timeout": { "first_token_ms": 2000, "headers_ms": 8000 } },
    "deployments": {
        "a": { "provider": "openai", "api_key": "${A_KEY}", "model": "m" },
        "b": { "provider": "openai", "api_key": "${B_KEY}", "model": "m" },
        "c": { "provider": "openai", "api_key": "${C_KEY}", "model": "m" },
        "d": { "provider": "openai", "api_key": "${D_KEY}", "model": "m" },
        "e": { "provider": "openai", "api_key": "${E_KEY}", "model": "m" }
    },
    "models": {
        "priority": { "targets": ["e", "d", "c", "b", "a"] },
        "latency": { "strategy": "latency", "targets": ["a", "b", "c", "d", "e"] },
        "busy": { "strategy": "least_busy", "targets": ["a", "b", "c", "d", "e"] },
        "hedged": { "strategy": "round_robin", "targets": ["a", "b", "c", "d", "e"], "hedge": { "after": 500, "max_share": 0.2 } },
        "nested": { "targets": [{ "use": { "strategy": "random", "targets": ["b", "c"] } }, "latency"], "commit": "complete" }
    }
}"#;

/// Random faults of all deployments except the first one, and random faults of the objects.
fn any_weather(seed: u64) -> Setup {
    let mut rng = SplitMix64::new(seed);
    let length_ms = 20_000;
    let traffic = Traffic {
        isolates: 12,
        rate: 1.0 + 4.0 * rng.unit(),
        streamed: rng.unit(),
        impatient: 0.1 * rng.unit(),
        lifetime_ms: Some(ms(15_000)),
        ..Traffic::default()
    };
    let mut setup = Setup::fair(graph_of(POOL).unwrap(), traffic, ms(length_ms));
    let weathers = [
        Weather::Down,
        Weather::Silent,
        Weather::Unreachable,
        Weather::BrownOut(0.6),
        Weather::RateLimited { has_hint: true },
        Weather::RateLimited { has_hint: false },
        Weather::Slow(4.0),
        Weather::Flapping { down_ms: ms(2_000), up_ms: ms(1_000) },
        Weather::QuotaGone,
        Weather::Breaking(0.3),
    ];
    for _ in 0..rng.below(8) {
        let from = rng.below(15_000) as u64;
        let within = from..from + 1_000 + rng.below(10_000) as u64;
        let mut any =
            spell(weathers[rng.below(weathers.len())], DeploymentSelector::Nth(1 + rng.below(4)), within);
        any.region = [None, Some(0), Some(1)][rng.below(3)];
        setup.weather.push(any);
    }
    let kinds = [
        ObjectFaultKind::Late(ms(700)),
        ObjectFaultKind::Overloaded,
        ObjectFaultKind::Lost,
        ObjectFaultKind::Evicted,
    ];
    for _ in 0..rng.below(3) {
        let from = rng.below(15_000) as u64;
        let (kind, region) = (kinds[rng.below(kinds.len())], [None, Some(0)][rng.below(2)]);
        setup.object_faults.push(ObjectFault { kind, region, from: ms(from), until: ms(from + 4_000) });
    }
    setup
}

fn spell(weather: Weather, who: DeploymentSelector, within: Range<u64>) -> WeatherSpell {
    WeatherSpell { weather, who, region: None, from: ms(within.start), until: ms(within.end) }
}

#[test]
fn the_load_of_an_object_does_not_grow_with_its_isolates() {
    const RATE: u32 = 400;
    for (isolates, rate) in [(10, 1.0), (100, 1.0), (1_000, 1.0), (10_000, 1.0), (100_000, 0.05)] {
        let crowd = Crowd {
            isolates,
            rate,
            reports_per_second: RATE,
            starts_within_ms: ms(20_000),
            fails_after_ms: ms(60_000),
            length_ms: ms(120_000),
        };
        let load = crowd::run(&crowd, SEED);
        let (before, after) = load.reports.split_at(60);
        let most = |reports: &[u32]| reports.iter().max().copied().unwrap_or(0);
        println!("{isolates}: at most {} reports a second, {} while all trip", most(before), most(after));
        assert!(most(before) <= RATE, "{isolates} isolates, seed {SEED}: {before:?}");
        assert!(most(after) <= RATE, "{isolates} isolates, seed {SEED}: {after:?}");
    }
}

/// What happened, added up by a function of the requests.
fn added_up<'a>(
    counted: impl Iterator<Item = &'a CountedRequest>,
    of: impl Fn(&CountedRequest) -> u64,
) -> u64 {
    counted.map(of).sum()
}

#[test]
fn the_counters_of_the_hub_are_what_happened_but_for_the_last_seconds_of_killed_isolates() {
    // Every deployment fails 5 % of the attempts. An isolate is killed after 20 seconds on average,
    // and objects are evicted.
    let traffic = Traffic {
        isolates: 60,
        rate: 10.0,
        impatient: 0.02,
        lifetime_ms: Some(ms(20_000)),
        is_killed: true,
        is_counted: true,
        ..Traffic::default()
    };
    let mut setup = Setup::fair(graph_of(POOL).unwrap(), traffic, ms(175_000));
    setup.weather.push(spell(Weather::BrownOut(0.05), DeploymentSelector::All, 0..175_000));
    setup.weather.push(spell(Weather::Breaking(0.01), DeploymentSelector::Nth(4), 0..175_000));
    for (from, region) in
        [(20_000, None), (41_000, Some(0)), (63_500, None), (90_000, Some(1)), (140_000, None)]
    {
        let kind = ObjectFaultKind::Evicted;
        setup.object_faults.push(ObjectFault { kind, region, from: ms(from), until: ms(from) });
    }
    let log = world::run(setup, SEED);
    let killed: BTreeMap<_, _> = log.killed.iter().copied().collect();
    assert!(log.requests.len() > 100_000, "{} requests", log.requests.len());
    assert!(killed.len() > 300, "{} isolates were killed", killed.len());
    assert_eq!(log.counted.len(), log.requests.len(), "every request ends, and is counted once");

    // A killed isolate loses what it has not sent, and nothing else.
    let is_lost = |request: &&CountedRequest| {
        killed.contains_key(&request.isolate)
            && request.batch > log.taken.get(&request.isolate).copied().unwrap_or(0)
    };
    let lost = log.counted.iter().filter(is_lost);
    let kept = || log.counted.iter().filter(|request| !is_lost(request));
    // Between two batches of an isolate lie ten seconds, or a little more until its next report.
    let bound = BATCH_EVERY_MS + ms(2_000);
    for request in lost.clone() {
        assert!(request.at + bound >= killed[&request.isolate], "{request:?}");
    }
    println!("{} of {} requests were lost with {} isolates", lost.count(), log.counted.len(), killed.len());

    let sum = |family, labels: &[(usize, &str)], cell| log.totals.sum(family, labels, cell);
    assert_eq!(sum(Family::Requests, &[], 0), kept().count() as u64);
    assert_eq!(sum(Family::Attempts, &[], 0), added_up(kept(), |request| request.attempts));
    assert_eq!(sum(Family::Usage, &[], 0), added_up(kept(), |request| request.input_tokens));
    assert_eq!(sum(Family::Usage, &[], 2), added_up(kept(), |request| request.output_tokens));
    assert_eq!(sum(Family::Usage, &[], 7), added_up(kept(), |request| request.micro_usd));
    let outcomes: BTreeSet<_> = log.counted.iter().map(|request| (&request.model, request.outcome)).collect();
    assert!(outcomes.len() > 10, "{outcomes:?}");
    for (model, outcome) in outcomes {
        let of_these = kept().filter(|request| request.model == *model && request.outcome == outcome);
        let counted = sum(Family::Requests, &[(1, model), (2, outcome)], 0);
        assert_eq!(counted, of_these.count() as u64, "{model} {outcome}");
    }
    for deployment in ["a", "b", "c", "d", "e"] {
        let of_it = || kept().filter(|request| request.deployment.as_deref() == Some(deployment));
        for (cell, of) in [(2, output as fn(&CountedRequest) -> u64), (7, cost)] {
            let counted = sum(Family::Usage, &[(2, deployment)], cell);
            assert_eq!(counted, added_up(of_it(), of), "{deployment}, {cell}");
        }
    }
}

fn output(request: &CountedRequest) -> u64 {
    request.output_tokens
}

fn cost(request: &CountedRequest) -> u64 {
    request.micro_usd
}

#[test]
fn counters_survive_whatever_befalls_the_objects() {
    for seed in 0..12 {
        let mut setup = any_weather(seed);
        setup.traffic.is_counted = true;
        for region in [None, Some(0), None] {
            let from = ms(3_000 + 1_300 * seed);
            setup.object_faults.push(ObjectFault {
                kind: ObjectFaultKind::Evicted,
                region,
                from,
                until: from,
            });
        }
        let log = world::run(setup, seed);
        // What an isolate or a shard could not send, because no object answered, it still has.
        let is_sent = |request: &&CountedRequest| {
            request.batch <= log.taken.get(&request.isolate).copied().unwrap_or(0)
        };
        let sent = || log.counted.iter().filter(is_sent);
        let sum = |family, cell| log.totals.sum(family, &[], cell) + log.waiting.sum(family, &[], cell);
        assert_eq!(sum(Family::Requests, 0), sent().count() as u64, "seed {seed}");
        assert_eq!(sum(Family::Usage, 7), added_up(sent(), cost), "seed {seed}");
        let at_hub = log.totals.sum(Family::Requests, &[], 0);
        assert!(at_hub > log.counted.len() as u64 * 4 / 5, "seed {seed}: {at_hub}");
    }
}
