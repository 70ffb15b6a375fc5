//! The whole system on a virtual clock.
use switchyard::simulation::scenario::*;

const SEED: u64 = 1;

#[test]
fn every_scenario_keeps_its_promises() {
    let mut broken = Vec::new();
    for scenario in SCENARIOS {
        let t = std::time::Instant::now();
        let run = scenario.run(&Choices { seed: SEED, ..Choices::default() }).unwrap();
        println!(
            "{}: {} requests, {} calls {:?}",
            scenario.name,
            run.log.requests.len(),
            run.log.calls.len(),
            t.elapsed()
        );
        for promise in &run.promises {
            println!("   {} {promise}", if promise.is_kept() { "ok  " } else { "BAD " });
            if !promise.is_kept() {
                broken.push(format!("{} (seed {SEED}): {promise}", scenario.name));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn crowds() {
    use switchyard::simulation::crowd::*;
    for isolates in [10, 100, 1_000, 10_000, 100_000] {
        let t = std::time::Instant::now();
        let crowd = Crowd {
            isolates,
            rate: if isolates > 10_000 { 0.05 } else { 1.0 },
            reports_per_second: 200,
            starts_within_ms: 20_000,
            fails_from: 60_000,
            length_ms: 120_000,
        };
        let load = run(&crowd, 1);
        println!(
            "{isolates}: first max {:?}; before {:?}; after trip max {:?}; ejected at {:?} {:?}",
            load.first_reports.iter().max(),
            load.reports[..60].iter().max(),
            load.reports[60..].iter().max(),
            load.ejected.iter().step_by(5).collect::<Vec<_>>(),
            t.elapsed()
        );
        println!("   {:?}", &load.reports);
    }
}

#[test]
fn debug_full() {
    let run = Scenario::named("full-outage").unwrap().run(&Choices { seed: 1, ..Choices::default() }).unwrap();
    for region in 0..1 { for d in 0..3 {
        println!("region {region} dep {d}");
        for c in run.log.calls.iter().filter(|c| c.is_probe && c.region==region && c.deployment==d) {
            println!("  {}..{:?} iso {} {:?}", c.at, c.ended_at, c.isolate, c.outcome);
        }
    }}
}
#[test]
fn debug_brown() {
    let run = Scenario::named("brown-out").unwrap().run(&Choices { seed: 1, ..Choices::default() }).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for c in run.log.changes.iter().filter(|c| c.region==0) {
        let k = format!("{:?}", c.transition);
        if seen.insert(k.clone()) { println!("{} iso {} {k}", c.at, c.isolate); }
    }
}
