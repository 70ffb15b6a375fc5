//! What the hub passes from one region to another, and what it does not.

use switchyard::health::gate::Admission;
use switchyard::health::reason::Reason;
use switchyard::health::shard::Shard;
use switchyard::vocabulary::error_class::ErrorClass::{Auth, NotFound, Quota, Timeout, Unavailable};
use switchyard::vocabulary::operation::Operation::{ChatCompletions as Chat, Responses};

use crate::isolate::START;
use crate::region::{ALIVE, NAMES, Region, failed, rate_limited};
use crate::times::ms;

#[test]
fn facts_reach_the_other_region_and_what_is_regional_does_not() {
    for (outcome, travels) in [
        (rate_limited(ms(20_000)), true),
        (failed(Quota), true),
        (failed(Auth), true),
        (failed(Unavailable), false),
        (failed(Timeout), false),
    ] {
        let (mut east, mut west) = (Region::acquainted(2), Region::acquainted(2));
        let mut hub = Shard::new(&mut east.rng);
        for region in [&mut east, &mut west] {
            region.members[1].attempt_at(1, Chat, ALIVE, region.now);
            region.poll(&mut hub);
        }
        for _ in 0..5 {
            east.members[0].attempt(outcome, east.now);
        }
        east.settle();
        assert_eq!(east.shard.hub_at().unwrap() <= east.now, travels, "{outcome:?}: at once");
        east.wait(ms(2_000));
        east.poll(&mut hub);
        assert_eq!(hub.view(east.now).len(), usize::from(travels), "{outcome:?}");
        west.wait(ms(2_000));
        west.poll(&mut hub);
        west.settle();
        assert_eq!(west.open(), if travels { 0 } else { 2 }, "{outcome:?}");
        if travels {
            let left = [&east, &west].map(|region| region.members[0].ejected_ms(region.now));
            assert_eq!(left[0], left[1], "{outcome:?}: to the same end");
        }
        assert!(hub.view(east.now).iter().all(|view| view.latency_ms.is_none() && view.failures == 0));
    }
}

#[test]
fn a_missing_operation_travels_and_so_does_its_return_within_the_region() {
    let (mut east, mut west) = (Region::acquainted(2), Region::acquainted(1));
    let mut hub = Shard::new(&mut east.rng);
    let now = east.now;
    east.members[0].attempt_at(0, Responses, failed(NotFound), now);
    east.settle();
    east.poll(&mut hub);
    west.poll(&mut hub);
    for region in [&mut east, &mut west] {
        region.wait(ms(1_000)).settle();
        for member in &region.members {
            assert!(member.is_open(region.now));
            assert!(matches!(member.health.admission(0, Responses, region.now), Admission::Refused(_)));
        }
    }
    east.now = now + ms(300_000);
    east.members[0].attempt_at(0, Responses, ALIVE, now + ms(300_000));
    east.settle();
    east.wait(ms(1_000)).settle();
    assert_eq!(east.members[1].health.admission(0, Responses, east.now), Admission::Open);
}

#[test]
fn a_region_that_recovered_early_is_not_ejected_again_by_the_same_fact() {
    let (mut east, mut west) = (Region::acquainted(1), Region::acquainted(1));
    let mut hub = Shard::new(&mut east.rng);
    east.members[0].attempt(rate_limited(ms(60_000)), east.now);
    east.settle();
    east.poll(&mut hub);
    west.poll(&mut hub);
    west.wait(ms(1_000)).settle();
    west.members[0].health.request_probe(0, true, west.now);
    west.wait(ms(1_000)).settle();
    let probe = west.members[0].request(west.now).unwrap();
    west.members[0].end(probe, ALIVE, west.now);
    west.settle();
    for _ in 0..5 {
        west.wait(ms(2_000)).settle();
        west.poll(&mut hub);
        west.evict();
    }
    west.settle();
    assert_eq!(west.open(), 1);
    // A change of another fact about the deployment does not eject it again either.
    east.now = west.now;
    east.members[0].attempt_at(0, Responses, failed(NotFound), east.now);
    east.settle();
    east.poll(&mut hub);
    west.poll(&mut hub);
    west.wait(ms(1_000)).settle();
    assert_eq!(west.members[0].health.snapshot(west.now)[0].missing.len(), 1);
    assert_eq!(west.open(), 1);
    // A new fact ejects it.
    east.wait(ms(20_000));
    east.members[0].attempt(rate_limited(ms(90_000)), east.now);
    east.settle();
    east.poll(&mut hub);
    west.poll(&mut hub);
    west.wait(ms(1_000)).settle();
    assert_eq!(west.open(), 0);
}

#[test]
fn the_hub_is_asked_at_once_with_facts_every_two_seconds_with_reports_and_else_never() {
    let mut region = Region::acquainted(1);
    let mut hub = Shard::new(&mut region.rng);
    region.poll(&mut hub);
    assert_eq!(region.shard.hub_at(), None);
    region.report(0);
    assert_eq!(region.shard.hub_at(), Some(region.now + ms(2_000)));
    region.members[0].attempt(failed(Quota), region.now);
    region.settle();
    assert!(region.shard.hub_at().unwrap() <= region.now);
    let _report = region.shard.report_to_hub(region.now);
    assert_eq!(region.shard.hub_at(), Some(region.now + ms(5_000)), "one at a time, and not for ever");
    region.shard.on_hub_failure(region.now);
    assert_eq!(region.shard.hub_at(), Some(region.now + ms(2_000)));
    region.wait(ms(2_000));
    let report = region.shard.report_to_hub(region.now);
    assert_eq!(report.deployments[NAMES[0]].ejected.unwrap().remaining_ms, ms(298_000), "nothing was lost");
}

#[test]
fn an_administrators_word_reaches_everybody_by_way_of_the_hub() {
    let (mut east, mut west) = (Region::acquainted(2), Region::acquainted(2));
    let mut hub = Shard::new(&mut east.rng);
    let mut spread = |hub: &mut Shard| {
        for region in [&mut east, &mut west] {
            region.poll(hub);
            region.wait(ms(1_000)).settle();
        }
        let open = east.open() + west.open();
        east.members[0].trip(east.now);
        west.members[1].trip(west.now);
        for region in [&mut east, &mut west] {
            region.settle();
            region.wait(ms(1_000)).settle();
        }
        let reasons = [&east, &west].map(|region| {
            let Admission::Refused(refusal) = region.members[0].admission(region.now) else { panic!() };
            refusal.reason == Reason::Drained
        });
        (open, reasons)
    };
    assert_eq!(spread(&mut hub), (4, [false; 2]));
    hub.drain(NAMES[0], START);
    assert_eq!(spread(&mut hub), (0, [true; 2]));
    // A reset does not enable a deployment, and enabling does not reset it.
    hub.reset(NAMES[0], START);
    assert_eq!(spread(&mut hub), (0, [true; 2]));
    hub.enable(NAMES[0], START);
    assert_eq!(spread(&mut hub), (0, [false; 2]));
    hub.reset(NAMES[0], START);
    assert_eq!(spread(&mut hub), (4, [false; 2]));
    hub.reset_all();
    assert_eq!(spread(&mut hub), (4, [false; 2]));
    // No command is applied twice.
    assert_eq!(spread(&mut hub), (0, [false; 2]));
}
