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
