//! Which isolate probes, and when.

use switchyard::health::Outcome;
use switchyard::health::gate::{Admission, GatePosition, Transition};
use switchyard::health::wire::{Batch, HealthReport, Probe, ProbeUrgency};
use switchyard::vocabulary::error_class::ErrorClass::Unavailable;
use switchyard::vocabulary::operation::Operation::ChatCompletions as Chat;
use switchyard::vocabulary::peer_id::PeerId;
use switchyard::vocabulary::time::Millis;

use crate::region::{ALIVE, NAMES, RATE, Region, failed, leased, rate_limited, tripped};
use crate::times::ms;

#[test]
fn of_a_hundred_isolates_one_probes_at_a_time_until_it_is_back() {
    let mut region = tripped(100);
    let mut probes_seen = 0;
    let mut under_way = Vec::new();
    // A probe takes two seconds. The first two probes fail, and the third one passes.
    for tick in 0..1_200 {
        for (nth, ticket) in region.probes() {
            probes_seen += 1;
            under_way.push((nth, ticket, tick));
        }
        assert!(under_way.len() <= 1, "at tick {tick}");
        region.settle();
        if under_way.first().is_some_and(|(_, _, begun)| tick - begun >= 20) {
            let (nth, ticket, _) = under_way.remove(0);
            let outcome = if probes_seen < 3 { failed(Unavailable) } else { ALIVE };
            region.members[nth].end(ticket, outcome, region.now);
            region.settle();
        }
        region.wait(ms(100));
        if probes_seen == 3 && under_way.is_empty() {
            break;
        }
    }
    assert_eq!(probes_seen, 3);
    region.wait(ms(1_000)).settle();
    assert_eq!(region.open(), 100);
}

#[test]
fn a_lease_is_given_ahead_for_the_moment_when_the_time_is_up() {
    let mut region = tripped(2);
    let left = region.members[0].ejected_ms(region.now);
    region.wait(left - ms(1_500));
    assert!(region.probes().is_empty());
    region.settle();
    let holder = region.shard.view(region.now)[0].lease.unwrap();
    assert!(holder.from > region.now && holder.from <= region.now + ms(1_500));
    region.now = holder.from;
    let probes = region.probes();
    assert_eq!(probes.len(), 1, "no round trip is lost");
}

#[test]
fn a_lease_that_is_not_used_goes_to_the_next_who_wants_it() {
    let mut region = tripped(2);
    region.sit_out();
    let first = leased(&mut region);
    let other = 1 - first;
    // The isolate with the lease gets no more requests.
    region.wait(ms(4_000));
    assert_eq!(region.members[other].request(region.now).map(|probe| probe.is_probe()), None);
    region.report(other);
    assert!(!region.members[other].health.snapshot(region.now)[0].leased);
    region.wait(ms(2_001));
    assert!(matches!(region.members[first].admission(region.now), Admission::Refused(_)), "it has run out");
    region.members[other].request(region.now);
    region.report(other);
    assert!(region.members[other].request(region.now).is_some());
}

#[test]
fn a_probe_that_is_lost_with_its_isolate_is_given_up_after_half_a_minute() {
    let mut region = tripped(2);
    region.sit_out();
    let lost = leased(&mut region);
    let other = 1 - lost;
    let _probe = region.members[lost].request(region.now).unwrap();
    region.settle();
    for _ in 0..29 {
        region.wait(ms(1_000));
        assert!(region.members[other].request(region.now).is_none());
        region.report(other);
    }
    region.wait(ms(1_000));
    region.members[other].request(region.now);
    region.report(other);
    assert!(region.members[other].request(region.now).is_some());
}

#[test]
fn a_passed_probe_lets_traffic_back_everywhere_at_the_same_pace() {
    let mut region = tripped(4);
    region.sit_out();
    let holder = leased(&mut region);
    region.wait(ms(300));
    let probe = region.members[holder].request(region.now).unwrap();
    region.wait(ms(200));
    assert_eq!(region.members[holder].end(probe, ALIVE, region.now)[0].transition, Transition::Recovered);
    region.settle();
    region.wait(ms(1_000)).settle();
    region.wait(ms(4_000));
    for member in &region.members {
        let share = member.health.share(0, region.now);
        assert!((share - 0.55).abs() < 1e-9, "half of the ramp: {share}");
    }
}

#[test]
fn when_everything_is_ejected_one_probe_a_second_goes_out_before_the_time_is_up() {
    let mut region = Region::acquainted(2);
    region.members[0].attempt(rate_limited(ms(60_000)), region.now);
    region.settle();
    region.wait(ms(1_000)).settle();
    let mut probes = 0;
    for _ in 0..50 {
        for nth in 0..2 {
            region.members[nth].health.request_probe(0, true, region.now);
        }
        region.settle();
        for (nth, probe) in region.probes() {
            probes += 1;
            region.members[nth].end(probe, failed(Unavailable), region.now);
        }
        region.settle();
        region.wait(ms(100));
    }
    assert!((4..=5).contains(&probes), "{probes} in five seconds");
    assert!(region.members[0].ejected_ms(region.now) > ms(50_000), "they leave the ejection as it was");
    // A probe that passes ends the ejection.
    region.wait(ms(1_000));
    region.members[0].health.request_probe(0, true, region.now);
    region.settle();
    let (nth, probe) = region.probes().remove(0);
    region.members[nth].end(probe, ALIVE, region.now);
    region.settle();
    region.wait(ms(1_000)).settle();
    assert_eq!(region.open(), 2);
}

#[test]
fn while_the_object_is_gone_isolates_serve_and_probe_by_themselves() {
    let mut region = tripped(3);
    region.is_up = false;
    region.report_all();
    region.sit_out();
    assert_eq!(region.probes().len(), 3, "each for itself");
    // While reports fail, they become less frequent. Their content is not lost.
    let mut reports = 0;
    for _ in 0..300 {
        region.wait(ms(1_000));
        let now = region.now;
        region.members[2].attempt_at(1, Chat, ALIVE, now);
        reports += region.settle();
    }
    assert!(reports < 60, "{reports}");
    region.is_up = true;
    region.report(2);
    assert_eq!(region.shard.view(region.now)[1].identity, NAMES[1]);
    assert_eq!(region.shard.view(region.now)[1].mentioned_at, region.now);
}

#[test]
fn a_report_without_an_answer_for_five_seconds_ends_the_contact() {
    let mut region = tripped(1);
    region.sit_out();
    assert!(matches!(region.members[0].admission(region.now), Admission::Refused(_)), "it has no lease");
    let member = &mut region.members[0];
    let _report = member.reporter.report(&mut member.health, RATE, region.now, &mut member.rng);
    assert!(matches!(member.admission(region.now + ms(4_999)), Admission::Refused(_)));
    assert_eq!(member.admission(region.now + ms(5_000)), Admission::Probe);
}

#[test]
fn an_ejection_that_nobody_saw_to_is_overdue() {
    let mut region = tripped(1);
    region.sit_out();
    let Admission::Refused(refusal) = region.members[0].admission(region.now) else { panic!() };
    assert_eq!(refusal.until, Some(region.now + ms(1_000)), "to ask for a lease takes a moment");
    region.wait(ms(10_999));
    assert!(matches!(region.members[0].admission(region.now), Admission::Refused(_)));
    region.wait(ms(1));
    assert_eq!(region.members[0].admission(region.now), Admission::Probe);
    assert!(region.members[0].health.snapshot(region.now)[0].overdue);
    // The shard accepts this probe as if it had given a lease.
    let probe = region.members[0].request(region.now).unwrap();
    region.settle();
    assert!(region.shard.view(region.now)[0].lease.unwrap().begun);
    region.members[0].end(probe, ALIVE, region.now);
    region.settle();
    assert_eq!(region.shard.view(region.now)[0].gate.state, GatePosition::Closed);
}

#[test]
fn a_probe_of_somebody_without_the_lease_does_not_speak_for_the_region() {
    let mut region = tripped(2);
    region.sit_out();
    leased(&mut region);
    let batch = Batch { probe: Some(Probe::Passed), ..Batch::default() };
    let report = HealthReport {
        v: 1,
        reporter: PeerId(12_345),
        deployments: [(NAMES[0].to_owned(), batch)].into(),
        ..HealthReport::default()
    };
    region.shard.report(&report, region.now, &mut region.rng);
    assert_eq!(region.shard.view(region.now)[0].gate.state, GatePosition::Open);
}

#[test]
fn an_overdue_probe_takes_the_place_of_a_lease_that_nobody_uses() {
    let mut region = tripped(3);
    region.sit_out();
    // This isolate asks for nothing, so it hears of no lease.
    let overdue = 2;
    region.wait(ms(10_000));
    region.members[0].request(region.now);
    region.report(0);
    assert!(region.members[0].health.snapshot(region.now)[0].leased);
    region.wait(ms(1_000));
    let probe = region.members[overdue].request(region.now).unwrap();
    region.report(overdue);
    let lease = region.shard.view(region.now)[0].lease.unwrap();
    assert!(lease.begun, "the region knows of the probe");
    region.wait(ms(300));
    region.members[overdue].end(probe, ALIVE, region.now);
    region.report(overdue);
    assert_eq!(region.shard.view(region.now)[0].gate.state, GatePosition::Closed);
    region.report(1);
    assert!(region.members[1].is_open(region.now), "nobody probes again");
}

#[test]
fn after_an_overdue_probe_there_is_no_lease_before_the_unused_one_expires() {
    let mut region = tripped(3);
    region.sit_out();
    region.wait(ms(10_000));
    region.members[0].request(region.now);
    region.report(0);
    region.wait(ms(1_000));
    let probe = region.members[2].request(region.now).unwrap();
    region.report(2);
    region.members[2].end(probe, Outcome::Abandoned, region.now);
    region.report(2);
    let mut ask = |after_ms: u64| {
        let batch = Batch { wants: Some(ProbeUrgency::Due), ..Batch::default() };
        let deployments = [(NAMES[0].to_owned(), batch)].into();
        let report = HealthReport { v: 1, reporter: PeerId(7), deployments, ..HealthReport::default() };
        let answer = region.shard.report(&report, region.now + ms(after_ms), &mut region.rng);
        answer.deployments[NAMES[0]].lease.is_some()
    };
    assert!(!ask(4_999), "the first isolate may still use its lease");
    assert!(ask(5_000));
}

#[test]
fn after_an_eviction_leases_of_before_run_out_first() {
    let mut region = tripped(2);
    region.sit_out();
    let holder = leased(&mut region);
    region.evict();
    let other = 1 - holder;
    region.members[other].request(region.now);
    region.report(other);
    assert!(region.members[other].request(region.now).is_none());
    region.wait(ms(6_000));
    region.members[other].request(region.now);
    region.report(other);
    assert!(region.members[other].request(region.now).is_some());
}

#[test]
fn probes_before_their_time_are_a_second_apart_whoever_sends_them() {
    let mut region = Region::acquainted(1);
    region.members[0].attempt(rate_limited(ms(60_000)), region.now);
    region.settle();
    let mut ask = |reporter: u64, probe: Option<Probe>, after_ms: Millis| {
        let batch = Batch { wants: Some(ProbeUrgency::Early), probe, ..Batch::default() };
        let deployments = [(NAMES[0].to_owned(), batch)].into();
        let report =
            HealthReport { v: 1, reporter: PeerId(reporter), deployments, ..HealthReport::default() };
        let answer = region.shard.report(&report, region.now + after_ms, &mut region.rng);
        answer.deployments[NAMES[0]].lease.is_some()
    };
    assert!(ask(1, None, ms(0)));
    assert!(ask(1, None, ms(400)), "the holder gets it again");
    assert!(!ask(2, None, ms(400)));
    assert!(!ask(1, Some(Probe::Abandoned), ms(999)));
    assert!(ask(2, None, ms(1_000)));
}

#[test]
fn a_probe_that_passed_is_not_undone_by_an_answer_that_does_not_know() {
    let mut region = tripped(2);
    region.sit_out();
    let holder = leased(&mut region);
    region.members[1 - holder].attempt(rate_limited(ms(30_000)), region.now);
    region.report(1 - holder);
    let now = region.now;
    let member = &mut region.members[holder];
    let probe = member.request(now).unwrap();
    let report = member.reporter.report(&mut member.health, RATE, now, &mut member.rng);
    member.end(probe, ALIVE, now);
    let answer = region.shard.report(&report, now, &mut region.rng);
    assert!(answer.deployments[NAMES[0]].ejected.is_some());
    member.reporter.on_answer(&mut member.health, &answer, now, &mut member.rng);
    assert!(member.is_open(now));
    region.settle();
    region.wait(ms(1_000)).settle();
    assert_eq!(region.open(), 2);
}

#[test]
fn a_lease_runs_out_by_the_time_that_the_report_went_out() {
    let mut region = tripped(1);
    region.sit_out();
    let now = region.now;
    let member = &mut region.members[0];
    member.request(now);
    let report = member.reporter.report(&mut member.health, RATE, now, &mut member.rng);
    let answer = region.shard.report(&report, now + ms(2_000), &mut region.rng);
    member.reporter.on_answer(&mut member.health, &answer, now + ms(4_000), &mut member.rng);
    assert_eq!(member.admission(now + ms(4_999)), Admission::Probe);
    assert!(matches!(member.admission(now + ms(5_000)), Admission::Refused(_)));
}
