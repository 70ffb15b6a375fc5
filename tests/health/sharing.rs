//! A story for each rule of sharing.

use switchyard::attempt::class::ErrorClass::{self, *};
use switchyard::health::gate::{Admission, Position, Transition};
use switchyard::health::limits::Limits;
use switchyard::health::reason::Reason;
use switchyard::health::reporter::Reporter;
use switchyard::health::shard::{MAX_DEPLOYMENTS, MAX_IDENTITY, Shard};
use switchyard::health::wire::{Batch, Id, Probe, Report, Want};
use switchyard::health::{Health, Outcome, Sample};
use switchyard::request::operation::Operation::{ChatCompletions as Chat, Responses};
use switchyard::time::Millis;

use crate::isolate::START;
use crate::region::{NAMES, RATE, Region, health};

const ALIVE: Outcome = Outcome::Alive;

fn failed(class: ErrorClass) -> Outcome {
    Outcome::Failed { class, hint_ms: None }
}

fn rate_limited(hint_ms: Millis) -> Outcome {
    Outcome::Failed { class: RateLimit, hint_ms: Some(hint_ms) }
}

/// A region of that many isolates in which the first has tripped, and all know.
fn tripped(members: u64) -> Region {
    let mut region = Region::acquainted(members);
    region.members[0].trip(region.now);
    region.settle();
    region.wait(1_000).settle();
    assert_eq!(region.open(), 0);
    region
}

/// The isolate that holds the lease, after everybody wanted it.
fn leased(region: &mut Region) -> usize {
    assert!(region.probes().is_empty());
    region.wait(1_000).settle();
    let is_leased = |region: &Region, nth: usize| region.members[nth].health.snapshot(region.now)[0].leased;
    let holders: Vec<usize> = (0..region.members.len()).filter(|nth| is_leased(region, *nth)).collect();
    assert_eq!(holders.len(), 1, "{holders:?}");
    holders[0]
}

#[test]
fn a_new_isolate_reports_first_and_learns_what_the_others_know() {
    let mut region = tripped(3);
    region.members[1].health.want(1, false, region.now);
    let mut late = Region::new(1).members.remove(0);
    assert!(late.reporter.due(&late.health, region.now));
    late.reporter = Reporter::new(77);
    region.members.push(late);
    let changes = region.report(3);
    assert_eq!(changes.len(), 1);
    assert!(matches!(changes[0].transition, Transition::Ejected { .. }), "{changes:?}");
    assert!(!region.members[3].is_open(region.now));
    assert!(!region.members[3].reporter.due(&region.members[3].health, region.now));
}

#[test]
fn a_trip_in_one_isolate_ejects_in_all_after_their_next_report() {
    let mut region = Region::acquainted(5);
    region.settle();
    assert_eq!(region.settle(), 0, "nobody has anything to say");
    region.members[2].trip(region.now);
    assert_eq!(region.settle(), 1, "the one that tripped says so at once");
    assert_eq!(region.open(), 4);
    region.wait(1_000);
    assert_eq!(region.settle(), 5);
    assert_eq!(region.open(), 0);
    let reasons: Vec<_> =
        region.members.iter().map(|member| member.health.snapshot(region.now)[0].gate.reason).collect();
    assert!(reasons.iter().all(|reason| matches!(reason, Some(Reason::ConsecutiveFailures { .. }))));
}

#[test]
fn five_isolates_with_a_failure_each_trip_the_region() {
    let mut region = Region::acquainted(5);
    for nth in 0..5 {
        region.members[nth].fail(Unavailable, region.now);
    }
    region.report_all();
    assert_eq!(region.open(), 4, "the last report was the one too many");
    region.wait(1_000).settle();
    assert_eq!(region.open(), 0);
}

#[test]
fn an_answer_anywhere_ends_the_run_of_the_region() {
    for answer in [ALIVE, failed(BadRequest)] {
        let mut region = Region::acquainted(6);
        for nth in 0..6 {
            region.members[nth].attempt(if nth == 3 { answer } else { failed(Unavailable) }, region.now);
        }
        region.report_all();
        region.wait(1_000).settle();
        assert_eq!(region.open(), 6, "{answer:?}");
        assert_eq!(region.shard.view(region.now)[0].consecutive_failures, 2);
    }
}

#[test]
fn a_brown_out_that_no_isolate_can_see_alone_trips_the_region() {
    let mut region = Region::acquainted(10);
    for nth in 0..10 {
        region.members[nth].fail(Timeout, region.now);
        region.members[nth].attempt(ALIVE, region.now);
    }
    region.report_all();
    region.wait(1_000).settle();
    assert_eq!(region.open(), 0);
    let reason = region.shard.view(region.now)[0].gate.reason;
    assert_eq!(reason, Some(Reason::FailureRate { failures: 5, requests: 10, class: Timeout }));
}

#[test]
fn the_longest_ejection_of_all_counts() {
    let mut region = Region::acquainted(3);
    for (nth, hint_ms) in [(0, 20_000), (1, 60_000), (2, 5_000)] {
        region.members[nth].attempt(rate_limited(hint_ms), region.now);
    }
    region.report_all();
    region.wait(1_000).settle();
    let left: Vec<Millis> = region.members.iter().map(|member| member.ejected_ms(region.now)).collect();
    assert_eq!(left, [59_000; 3]);
}

#[test]
fn of_a_hundred_isolates_one_probes_at_a_time_until_it_is_back() {
    let mut region = tripped(100);
    let mut probes_seen = 0;
    let mut under_way = Vec::new();
    // A probe takes two seconds; the first two fail, the third passes.
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
        region.wait(100);
        if probes_seen == 3 && under_way.is_empty() {
            break;
        }
    }
    assert_eq!(probes_seen, 3);
    region.wait(1_000).settle();
    assert_eq!(region.open(), 100);
}

#[test]
fn a_lease_is_given_ahead_for_the_moment_when_the_time_is_up() {
    let mut region = tripped(2);
    let left = region.members[0].ejected_ms(region.now);
    region.wait(left - 1_500);
    assert!(region.probes().is_empty());
    region.settle();
    let holder = region.shard.view(region.now)[0].lease.unwrap();
    assert!(holder.from > region.now && holder.from <= region.now + 1_500);
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
    // Its isolate gets no request any more.
    region.wait(4_000);
    assert_eq!(region.members[other].request(region.now).map(|probe| probe.is_probe()), None);
    region.report(other);
    assert!(!region.members[other].health.snapshot(region.now)[0].leased);
    region.wait(2_001);
    assert!(matches!(region.members[first].admission(region.now), Admission::Refused(_)), "it has run out");
    region.members[other].request(region.now);
    region.report(other);
    assert!(region.members[other].request(region.now).is_some());
}

#[test]
fn a_probe_that_is_lost_with_its_isolate_is_given_up_after_two_minutes() {
    let mut region = tripped(2);
    region.sit_out();
    let lost = leased(&mut region);
    let other = 1 - lost;
    let _probe = region.members[lost].request(region.now).unwrap();
    region.settle();
    for _ in 0..119 {
        region.wait(1_000);
        assert!(region.members[other].request(region.now).is_none());
        region.report(other);
    }
    region.wait(1_000);
    region.members[other].request(region.now);
    region.report(other);
    assert!(region.members[other].request(region.now).is_some());
}

#[test]
fn a_passed_probe_lets_traffic_back_everywhere_at_the_same_pace() {
    let mut region = tripped(4);
    region.sit_out();
    let holder = leased(&mut region);
    region.wait(300);
    let probe = region.members[holder].request(region.now).unwrap();
    region.wait(200);
    assert_eq!(region.members[holder].end(probe, ALIVE, region.now)[0].transition, Transition::Recovered);
    region.settle();
    region.wait(1_000).settle();
    region.wait(4_000);
    for member in &region.members {
        let share = member.health.share(0, region.now);
        assert!((share - 0.55).abs() < 1e-9, "half of the ramp: {share}");
    }
}

#[test]
fn ejections_grow_with_every_trip_of_the_region_whoever_sees_it() {
    let mut region = tripped(2);
    for longest_ms in [20_000_u64, 40_000] {
        region.sit_out();
        let holder = leased(&mut region);
        region.wait(1);
        let probe = region.members[holder].request(region.now).unwrap();
        region.members[holder].end(probe, failed(Unavailable), region.now);
        region.settle();
        let left = region.shard.view(region.now)[0].gate.until.unwrap() - region.now;
        assert!((longest_ms * 3 / 4..=longest_ms).contains(&left), "{left} of {longest_ms}");
        region.wait(1_000).settle();
    }
}

#[test]
fn requests_that_hung_in_the_outage_do_not_eject_the_region_again() {
    let mut region = Region::acquainted(3);
    let hanging: Vec<_> = (0..10).map(|_| region.members[2].begin(region.now)).collect();
    region.members[0].trip(region.now);
    // The third isolate hears of nothing: neither of the ejection nor of its end.
    region.report(0);
    region.wait(1_000);
    region.report(1);
    region.sit_out();
    region.members[1].request(region.now);
    region.report(1);
    region.wait(1);
    let probe = region.members[1].request(region.now).unwrap();
    region.members[1].end(probe, ALIVE, region.now);
    region.report(1);
    region.wait(10_000);
    for ticket in hanging {
        region.members[2].end(ticket, failed(Timeout), region.now);
    }
    assert!(!region.members[2].is_open(region.now));
    region.report(2);
    assert!(region.members[2].is_open(region.now), "its failures are from before the recovery");
    region.wait(1_000).settle();
    assert_eq!(region.open(), 3);
    // What begins after it counts, though it has not heard of later changes.
    region.members[2].trip(region.now);
    region.report(2);
    assert!(!region.members[2].is_open(region.now));
}

#[test]
fn an_ejection_that_was_not_told_yet_is_closed_by_no_answer() {
    let mut region = Region::acquainted(2);
    region.members[0].attempt(rate_limited(20_000), region.now);
    region.report(0);
    // A report is on its way that says nothing of what happens meanwhile.
    let member = &mut region.members[1];
    member.health.want(0, false, region.now);
    let report = member.reporter.report(&mut member.health, RATE, region.now, &mut member.rng);
    member.attempt(failed(Quota), region.now);
    let mut answer = region.shard.report(&report, region.now, &mut region.rng);
    for record in answer.deployments.values_mut() {
        (record.ejected, record.closed) = (None, record.change);
    }
    let now = region.now;
    let member = &mut region.members[1];
    member.reporter.answered(&mut member.health, &answer, now, &mut member.rng);
    assert_eq!(member.ejected_ms(now), 300_000);
    assert!(member.reporter.due(&member.health, now), "and it is told next");
    region.report(1);
    region.wait(1_000).settle();
    assert_eq!(region.members[0].ejected_ms(region.now), 299_000);
}

#[test]
fn an_answer_to_an_earlier_report_changes_nothing() {
    let mut region = tripped(1);
    let now = region.now;
    let member = &mut region.members[0];
    let report = member.reporter.report(&mut member.health, RATE, now, &mut member.rng);
    let answer = region.shard.report(&report, now, &mut region.rng);
    let later = now + 10_000;
    assert!(!member.reporter.due(&member.health, now + 9_999));
    assert!(member.reporter.due(&member.health, later), "it is lost");
    let _again = member.reporter.report(&mut member.health, RATE, later, &mut member.rng);
    assert_eq!(member.reporter.answered(&mut member.health, &answer, later, &mut member.rng), []);
    assert!(!member.reporter.due(&member.health, later), "the later one is still under way");
}

#[test]
fn when_everything_is_ejected_one_probe_a_second_goes_out_before_the_time_is_up() {
    let mut region = Region::acquainted(2);
    region.members[0].attempt(rate_limited(60_000), region.now);
    region.settle();
    region.wait(1_000).settle();
    let mut probes = 0;
    for _ in 0..50 {
        for nth in 0..2 {
            region.members[nth].health.want(0, true, region.now);
        }
        region.settle();
        for (nth, probe) in region.probes() {
            probes += 1;
            region.members[nth].end(probe, failed(Unavailable), region.now);
        }
        region.settle();
        region.wait(100);
    }
    assert!((4..=5).contains(&probes), "{probes} in five seconds");
    assert!(region.members[0].ejected_ms(region.now) > 50_000, "they leave the ejection as it was");
    // One that passes ends it.
    region.wait(1_000);
    region.members[0].health.want(0, true, region.now);
    region.settle();
    let (nth, probe) = region.probes().remove(0);
    region.members[nth].end(probe, ALIVE, region.now);
    region.settle();
    region.wait(1_000).settle();
    assert_eq!(region.open(), 2);
}

#[test]
fn while_the_object_is_gone_isolates_serve_and_probe_by_themselves() {
    let mut region = tripped(3);
    region.is_up = false;
    region.report_all();
    region.sit_out();
    assert_eq!(region.probes().len(), 3, "each for itself");
    // The reports that fail become rare, and none is lost.
    let mut reports = 0;
    for _ in 0..300 {
        region.wait(1_000);
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
fn a_report_without_an_answer_for_ten_seconds_ends_the_contact() {
    let mut region = tripped(1);
    region.sit_out();
    assert!(matches!(region.members[0].admission(region.now), Admission::Refused(_)), "it has no lease");
    let member = &mut region.members[0];
    let _report = member.reporter.report(&mut member.health, RATE, region.now, &mut member.rng);
    assert!(matches!(member.admission(region.now + 9_999), Admission::Refused(_)));
    assert_eq!(member.admission(region.now + 10_000), Admission::Probe);
}

#[test]
fn an_ejection_that_nobody_saw_to_is_overdue() {
    let mut region = tripped(1);
    region.sit_out();
    let Admission::Refused(refusal) = region.members[0].admission(region.now) else { panic!() };
    assert_eq!(refusal.until, Some(region.now + 1_000), "to ask for a lease takes a moment");
    region.wait(10_999);
    assert!(matches!(region.members[0].admission(region.now), Admission::Refused(_)));
    region.wait(1);
    assert_eq!(region.members[0].admission(region.now), Admission::Probe);
    assert!(region.members[0].health.snapshot(region.now)[0].overdue);
    // The shard takes it as well as if it had given a lease.
    let probe = region.members[0].request(region.now).unwrap();
    region.settle();
    assert!(region.shard.view(region.now)[0].lease.unwrap().begun);
    region.members[0].end(probe, ALIVE, region.now);
    region.settle();
    assert_eq!(region.shard.view(region.now)[0].gate.state, Position::Closed);
}

#[test]
fn a_probe_of_somebody_without_the_lease_does_not_speak_for_the_region() {
    let mut region = tripped(2);
    region.sit_out();
    leased(&mut region);
    let batch = Batch { probe: Some(Probe::Passed), ..Batch::default() };
    let report = Report {
        v: 1,
        reporter: Id(12_345),
        deployments: [(NAMES[0].to_owned(), batch)].into(),
        ..Report::default()
    };
    region.shard.report(&report, region.now, &mut region.rng);
    assert_eq!(region.shard.view(region.now)[0].gate.state, Position::Open);
}

#[test]
fn open_gates_and_numbers_survive_an_eviction_of_the_object() {
    let mut region = tripped(2);
    region.members[1].attempt_at(0, Responses, failed(NotFound), region.now);
    region.report(1);
    region.shard.drain(NAMES[1], region.now);
    let before = region.shard.view(region.now);
    let head = region.shard.head();
    region.evict();
    let after = region.shard.view(region.now);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((&before.gate, &before.missing), (&after.gate, &after.missing));
    }
    assert_eq!(region.shard.head(), head);
    // Isolates go on where they were: what they know is not told again, and what is new is.
    region.wait(1_000).settle();
    assert!(
        region.members.iter().all(|member| member.health.admission(1, Chat, region.now) != Admission::Open)
    );
    region.shard.enable(NAMES[1], region.now);
    region.wait(1_000).settle();
    assert!(
        region.members.iter().all(|member| member.health.admission(1, Chat, region.now) == Admission::Open)
    );
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
    region.wait(6_000);
    region.members[other].request(region.now);
    region.report(other);
    assert!(region.members[other].request(region.now).is_some());
}

#[test]
fn an_object_that_lost_everything_is_told_again() {
    let mut region = tripped(3);
    region.lose();
    region.members[1].health.want(0, false, region.now);
    region.report(1);
    assert!(!region.members[1].is_open(region.now), "an object that knows nothing closes nothing");
    region.settle();
    assert_eq!(region.shard.view(region.now)[0].gate.state, Position::Open);
    region.wait(1_000).settle();
    assert_eq!(region.open(), 0);
}

#[test]
fn facts_reach_the_other_region_and_what_is_regional_does_not() {
    for (outcome, travels) in [
        (rate_limited(20_000), true),
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
        east.wait(2_000);
        east.poll(&mut hub);
        assert_eq!(hub.view(east.now).len(), usize::from(travels), "{outcome:?}");
        west.wait(2_000);
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
        region.wait(1_000).settle();
        for member in &region.members {
            assert!(member.is_open(region.now));
            assert!(matches!(member.health.admission(0, Responses, region.now), Admission::Refused(_)));
        }
    }
    east.now = now + 300_000;
    east.members[0].attempt_at(0, Responses, ALIVE, now + 300_000);
    east.settle();
    east.wait(1_000).settle();
    assert_eq!(east.members[1].health.admission(0, Responses, east.now), Admission::Open);
}

#[test]
fn a_region_that_recovered_early_is_not_ejected_again_by_the_same_fact() {
    let (mut east, mut west) = (Region::acquainted(1), Region::acquainted(1));
    let mut hub = Shard::new(&mut east.rng);
    east.members[0].attempt(rate_limited(60_000), east.now);
    east.settle();
    east.poll(&mut hub);
    west.poll(&mut hub);
    west.wait(1_000).settle();
    west.members[0].health.want(0, true, west.now);
    west.wait(1_000).settle();
    let probe = west.members[0].request(west.now).unwrap();
    west.members[0].end(probe, ALIVE, west.now);
    west.settle();
    for _ in 0..5 {
        west.wait(2_000).settle();
        west.poll(&mut hub);
        west.evict();
    }
    west.settle();
    assert_eq!(west.open(), 1);
    // Nor when something else about it changes.
    east.now = west.now;
    east.members[0].attempt_at(0, Responses, failed(NotFound), east.now);
    east.settle();
    east.poll(&mut hub);
    west.poll(&mut hub);
    west.wait(1_000).settle();
    assert_eq!(west.members[0].health.snapshot(west.now)[0].missing.len(), 1);
    assert_eq!(west.open(), 1);
    // A new fact is another matter.
    east.wait(20_000);
    east.members[0].attempt(rate_limited(90_000), east.now);
    east.settle();
    east.poll(&mut hub);
    west.poll(&mut hub);
    west.wait(1_000).settle();
    assert_eq!(west.open(), 0);
}

#[test]
fn the_hub_is_asked_at_once_with_facts_every_two_seconds_with_reports_and_else_never() {
    let mut region = Region::acquainted(1);
    let mut hub = Shard::new(&mut region.rng);
    region.poll(&mut hub);
    assert_eq!(region.shard.hub_at(), None);
    region.report(0);
    assert_eq!(region.shard.hub_at(), Some(region.now + 2_000));
    region.members[0].attempt(failed(Quota), region.now);
    region.settle();
    assert!(region.shard.hub_at().unwrap() <= region.now);
    let _report = region.shard.report_to_hub(region.now);
    assert_eq!(region.shard.hub_at(), Some(region.now + 10_000), "one at a time, and not for ever");
    region.shard.hub_failed(region.now);
    assert_eq!(region.shard.hub_at(), Some(region.now + 2_000));
    region.wait(2_000);
    let report = region.shard.report_to_hub(region.now);
    assert_eq!(report.deployments[NAMES[0]].ejected.unwrap().remaining_ms, 298_000, "nothing was lost");
}

#[test]
fn an_administrators_word_reaches_everybody_by_way_of_the_hub() {
    let (mut east, mut west) = (Region::acquainted(2), Region::acquainted(2));
    let mut hub = Shard::new(&mut east.rng);
    let mut spread = |hub: &mut Shard| {
        for region in [&mut east, &mut west] {
            region.poll(hub);
            region.wait(1_000).settle();
        }
        let open = east.open() + west.open();
        east.members[0].trip(east.now);
        west.members[1].trip(west.now);
        for region in [&mut east, &mut west] {
            region.settle();
            region.wait(1_000).settle();
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
    // To forget is not to enable, and to enable is not to forget.
    hub.reset(NAMES[0], START);
    assert_eq!(spread(&mut hub), (0, [true; 2]));
    hub.enable(NAMES[0], START);
    assert_eq!(spread(&mut hub), (0, [false; 2]));
    hub.reset(NAMES[0], START);
    assert_eq!(spread(&mut hub), (4, [false; 2]));
    hub.reset_all();
    assert_eq!(spread(&mut hub), (4, [false; 2]));
    // Nothing of it is done twice.
    assert_eq!(spread(&mut hub), (0, [false; 2]));
}

#[test]
fn a_new_isolate_takes_no_old_reset_for_its_own() {
    let mut region = Region::acquainted(1);
    region.shard.reset_all();
    region.shard.reset(NAMES[0], region.now);
    let mut late = crate::region::Member::new(9);
    late.attempt(failed(Quota), region.now);
    region.members.push(late);
    region.report(1);
    assert_eq!(region.members[1].ejected_ms(region.now), 300_000);
}

#[test]
fn the_latency_of_the_region_stands_in_for_an_isolate_without_samples() {
    let mut region = Region::acquainted(1);
    let ticket = region.members[0].begin(region.now);
    region.wait(700);
    region.members[0].end(ticket, ALIVE, region.now);
    region.report(0);
    region.members.push(crate::region::Member::new(5));
    region.report(1);
    let score = |region: &Region, nth: usize| region.members[nth].health.score(0, region.now);
    assert_eq!(score(&region, 1), Some(700.0));
    let ticket = region.members[1].begin(region.now);
    region.wait(20);
    region.members[1].end(ticket, ALIVE, region.now);
    assert_eq!(score(&region, 1), Some(20.0), "its own counts for more");
}

#[test]
fn what_nobody_mentions_for_an_hour_is_forgotten_unless_it_says_something() {
    let mut region = tripped(1);
    let now = region.now;
    region.shard.drain(NAMES[1], now);
    region.settle();
    assert_eq!(region.shard.forget(now + 3_599_999), Vec::<String>::new());
    assert_eq!(region.shard.forget(now + 4_000_000), [NAMES[0]], "what is drained stays");
    region.shard.enable(NAMES[1], now);
    assert_eq!(region.shard.forget(now + 4_000_000), [NAMES[1]]);
    // An isolate that slept through it hears the end of it all the same.
    region.now = now + 4_000_000;
    assert_eq!(region.members[0].health.snapshot(region.now)[1].gate.state, Position::Closed);
    region.members[0].health.drain(1);
    region.members[0].health.want(0, false, region.now);
    region.report(0);
    let states: Vec<_> =
        region.members[0].health.snapshot(region.now).iter().map(|found| found.gate.state).collect();
    assert_eq!(states, [Position::Closed; 2]);
}

#[test]
fn a_reporter_cannot_make_the_shard_grow_without_end() {
    let mut region = Region::new(0);
    for nth in 0..3 * MAX_DEPLOYMENTS {
        let batch = Batch { wants: Some(Want::Due), ..Batch::default() };
        let names = [format!("deployment {nth}"), "x".repeat(MAX_IDENTITY + 1)];
        let deployments = names.map(|name| (name, batch.clone())).into();
        let report = Report { v: 1, deployments, ..Report::default() };
        region.shard.report(&report, region.now, &mut region.rng);
    }
    assert_eq!(region.shard.view(region.now).len(), MAX_DEPLOYMENTS);
    assert!(!region.shard.drain("one more", region.now));
}

#[test]
fn a_new_document_takes_over_what_is_known_of_its_deployments() {
    let mut region = tripped(2);
    let now = region.now;
    let member = &mut region.members[0];
    let late = member.health.begin(0, Chat, 0, now);
    let gone = member.health.begin(1, Chat, 0, now);
    let mut fresh = Health::new(["north", NAMES[0]].map(|name| (name, Limits { rpm: Some(5), tpm: None })));
    fresh.adopt(std::mem::replace(&mut member.health, health()));
    member.health = fresh;
    assert_eq!(member.health.admission(0, Chat, now), Admission::Open);
    assert!(matches!(member.health.admission(1, Chat, now), Admission::Refused(_)));
    assert_eq!((member.health.in_flight(0), member.health.in_flight(1)), (0, 1));
    assert_eq!(member.health.limits(1).rpm, Some(5));
    // Tickets of before are recorded where they belong now.
    member.end(late, ALIVE, now);
    member.end(gone, failed(Quota), now);
    assert_eq!((member.health.in_flight(0), member.health.in_flight(1)), (0, 0));
    assert_eq!(member.health.admission(0, Chat, now), Admission::Open);
    // The next report asks for everything, for there is one that nobody asked about.
    region.members[1].fail(Quota, now);
    let mut other = Health::new([("north", Limits::default())]);
    std::mem::swap(&mut other, &mut region.members[1].health);
    region.members[1].health.adopt(other);
    region.members[1].fail(Quota, now);
    region.report(1);
    region.report(0);
    assert!(matches!(region.members[0].health.admission(0, Chat, now), Admission::Refused(_)));
}

#[test]
fn an_attempt_cut_short_says_how_slow_it_is_at_least() {
    for (after_ms, first_token_ms, counts) in
        [(2_000, None, false), (29_999, None, false), (30_000, None, true), (90_000, Some(300), false)]
    {
        let mut region = Region::new(1);
        let ticket = region.members[0].begin(region.now);
        region.wait(after_ms);
        let now = region.now;
        let member = &mut region.members[0];
        let sample = Sample { first_token_ms, ..Sample::of(Outcome::CutShort) };
        member.health.record(ticket, &sample, now, &mut member.rng);
        assert_eq!(member.health.is_failing(0), counts, "{after_ms}");
        #[expect(clippy::cast_precision_loss)]
        let least = first_token_ms.unwrap_or(after_ms) as f64;
        assert_eq!(member.health.score(0, now), Some(least));
        // A shorter one says nothing against what is known already.
        let ticket = member.begin(now);
        member.health.record(ticket, &Sample::of(Outcome::CutShort), now + 1, &mut member.rng);
        assert!(member.health.score(0, now + 1).unwrap() > least * 0.999);
        assert_eq!(member.health.in_flight(0), 0);
    }
}

#[test]
fn the_latest_outcome_says_whether_it_is_failing() {
    let mut region = Region::new(1);
    let now = region.now;
    let member = &mut region.members[0];
    for (outcome, expected) in [
        (ALIVE, false),
        (failed(Connection), true),
        (Outcome::Abandoned, true),
        (failed(BadRequest), false),
        (failed(Timeout), true),
        (ALIVE, false),
    ] {
        member.attempt(outcome, now);
        assert_eq!(member.health.is_failing(0), expected, "{outcome:?}");
    }
}

#[test]
fn percentiles_are_of_the_times_to_the_commit_point() {
    let mut region = Region::new(1);
    let now = region.now;
    let member = &mut region.members[0];
    for nth in 1..=20 {
        let mut ticket = member.begin(now);
        if nth % 2 == 0 {
            member.health.committed(&mut ticket, now + nth * 10);
            member.end(ticket, ALIVE, now + 90_000);
        } else {
            assert_eq!(member.health.percentile(0, 0.5), None);
            member.end(ticket, ALIVE, now + nth * 10);
        }
    }
    assert_eq!(member.health.percentile(0, 0.95), Some(190));
    assert_eq!(member.health.percentile(0, 0.5), Some(100));
    assert_eq!(member.health.percentile(7, 0.5), None);
}

#[test]
fn probes_before_their_time_are_a_second_apart_whoever_sends_them() {
    let mut region = Region::acquainted(1);
    region.members[0].attempt(rate_limited(60_000), region.now);
    region.settle();
    let mut ask = |reporter: u64, probe: Option<Probe>, after_ms: Millis| {
        let batch = Batch { wants: Some(Want::Early), probe, ..Batch::default() };
        let deployments = [(NAMES[0].to_owned(), batch)].into();
        let report = Report { v: 1, reporter: Id(reporter), deployments, ..Report::default() };
        let answer = region.shard.report(&report, region.now + after_ms, &mut region.rng);
        answer.deployments[NAMES[0]].lease.is_some()
    };
    assert!(ask(1, None, 0));
    assert!(ask(1, None, 400), "it is told again to the one that has it");
    assert!(!ask(2, None, 400));
    assert!(!ask(1, Some(Probe::Abandoned), 999));
    assert!(ask(2, None, 1_000));
}

#[test]
fn a_trip_that_the_region_cannot_see_counts_as_one_of_its_own() {
    let mut region = Region::acquainted(2);
    for _ in 0..4 {
        region.members[0].fail(Unavailable, region.now);
    }
    region.report(0);
    region.members[1].attempt(ALIVE, region.now);
    region.report(1);
    region.members[0].fail(Unavailable, region.now);
    region.report(0);
    region.wait(1_000).settle();
    region.sit_out();
    let holder = leased(&mut region);
    region.wait(1);
    let now = region.now;
    let member = &mut region.members[holder];
    let probe = member.request(now).unwrap();
    member.end(probe, failed(Unavailable), now);
    region.report(holder);
    let left = region.shard.view(now)[0].gate.until.unwrap() - now;
    assert!((15_000..=20_000).contains(&left), "{left}: the second one in a row");
}

#[test]
fn a_probe_that_passed_is_not_undone_by_an_answer_that_does_not_know() {
    let mut region = tripped(2);
    region.sit_out();
    let holder = leased(&mut region);
    region.members[1 - holder].attempt(rate_limited(30_000), region.now);
    region.report(1 - holder);
    let now = region.now;
    let member = &mut region.members[holder];
    let probe = member.request(now).unwrap();
    let report = member.reporter.report(&mut member.health, RATE, now, &mut member.rng);
    member.end(probe, ALIVE, now);
    let answer = region.shard.report(&report, now, &mut region.rng);
    assert!(answer.deployments[NAMES[0]].ejected.is_some());
    member.reporter.answered(&mut member.health, &answer, now, &mut member.rng);
    assert!(member.is_open(now));
    region.settle();
    region.wait(1_000).settle();
    assert_eq!(region.open(), 2);
}

#[test]
fn who_slept_through_a_recovery_is_ejected_no_longer_than_the_rest() {
    let mut region = Region::acquainted(2);
    region.members[0].attempt(rate_limited(200_000), region.now);
    region.report(0);
    region.report(1);
    region.wait(1_000);
    region.members[1].health.want(0, true, region.now);
    region.report(1);
    let probe = region.members[1].request(region.now).unwrap();
    region.members[1].end(probe, ALIVE, region.now);
    region.report(1);
    region.wait(1_000);
    region.members[1].trip(region.now);
    region.report(1);
    assert!(region.members[0].ejected_ms(region.now) > 190_000);
    region.report(0);
    assert!(region.members[0].ejected_ms(region.now) <= 10_000);
    assert!(!region.members[0].is_open(region.now));
}

#[test]
fn a_lease_runs_out_by_the_time_that_the_report_went_out() {
    let mut region = tripped(1);
    region.sit_out();
    let now = region.now;
    let member = &mut region.members[0];
    member.request(now);
    let report = member.reporter.report(&mut member.health, RATE, now, &mut member.rng);
    let answer = region.shard.report(&report, now + 2_000, &mut region.rng);
    member.reporter.answered(&mut member.health, &answer, now + 4_000, &mut member.rng);
    assert_eq!(member.admission(now + 4_999), Admission::Probe);
    assert!(matches!(member.admission(now + 5_000), Admission::Refused(_)));
}

#[test]
fn what_a_lost_report_said_is_said_again() {
    let mut region = Region::acquainted(2);
    region.is_up = false;
    region.members[0].attempt(rate_limited(60_000), region.now);
    region.members[0].attempt_at(0, Responses, failed(NotFound), region.now);
    region.report(0);
    region.is_up = true;
    region.wait(2_000).settle();
    let view = &region.shard.view(region.now)[0];
    assert_eq!(view.gate.until, Some(region.now + 58_000));
    assert_eq!(view.missing.len(), 1);
}

#[test]
fn who_slept_through_an_ejection_joins_the_ramp_of_the_rest() {
    let mut region = tripped(3);
    for sleeper in [None, Some(2)] {
        region.sit_out();
        region.members[0].request(region.now);
        region.report(0);
        region.wait(1);
        let now = region.now;
        let probe = region.members[0].request(now).unwrap();
        region.members[0].end(probe, ALIVE, now);
        for nth in (0..3).filter(|nth| Some(*nth) != sleeper) {
            region.report(nth);
        }
        if sleeper.is_none() {
            region.wait(60_000);
            region.members[0].trip(now + 60_000);
            region.report(0);
        }
    }
    region.wait(5_000);
    assert!((region.members[2].health.share(0, region.now) - 1.0).abs() < 1e-9, "it knows of nothing");
    region.report(2);
    assert!((region.members[2].health.share(0, region.now) - 0.55).abs() < 1e-9);
}

#[test]
fn what_happens_while_a_report_is_lost_is_said_with_the_next() {
    let mut region = Region::acquainted(1);
    let now = region.now;
    let member = &mut region.members[0];
    member.attempt(ALIVE, now);
    let _lost = member.reporter.report(&mut member.health, RATE, now, &mut member.rng);
    member.attempt(rate_limited(60_000), now);
    member.reporter.failed(&mut member.health, now, &mut member.rng);
    region.wait(2_000).settle();
    let view = &region.shard.view(region.now)[0];
    assert_eq!((view.gate.until, view.successes), (Some(now + 60_000), 1));
}
