//! A test for each rule of sharing within a region.

use switchyard::health::AnswerKind;
use switchyard::health::gate::{Admission, GatePosition, Transition};
use switchyard::health::reason::Reason;
use switchyard::health::reporter::Reporter;
use switchyard::health::shard::{MAX_DEPLOYMENTS, MAX_IDENTITY};
use switchyard::health::wire::{Batch, HealthReport, ProbeUrgency};
use switchyard::vocabulary::error_class::ErrorClass::{BadRequest, NotFound, Quota, Timeout, Unavailable};
use switchyard::vocabulary::operation::Operation::{ChatCompletions as Chat, Responses};
use switchyard::vocabulary::time::Millis;

use crate::region::{ALIVE, Member, NAMES, RATE, Region, failed, leased, rate_limited, tripped};
use crate::times::ms;

#[test]
fn a_new_isolate_reports_first_and_learns_what_the_others_know() {
    let mut region = tripped(3);
    region.members[1].health.request_probe(1, false, region.now);
    let mut late = Region::new(1).members.remove(0);
    assert!(late.reporter.is_due(&late.health, region.now));
    late.reporter = Reporter::new(77);
    region.members.push(late);
    let changes = region.report(3);
    assert_eq!(changes.len(), 1);
    assert!(matches!(changes[0].transition, Transition::Ejected { .. }), "{changes:?}");
    assert!(!region.members[3].is_open(region.now));
    assert!(!region.members[3].reporter.is_due(&region.members[3].health, region.now));
}

#[test]
fn a_trip_in_one_isolate_ejects_in_all_after_their_next_report() {
    let mut region = Region::acquainted(5);
    region.settle();
    assert_eq!(region.settle(), 0, "nobody has anything to say");
    region.members[2].trip(region.now);
    assert_eq!(region.settle(), 1, "the one that tripped says so at once");
    assert_eq!(region.open(), 4);
    region.wait(ms(1_000));
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
    region.wait(ms(1_000)).settle();
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
        region.wait(ms(1_000)).settle();
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
    region.wait(ms(1_000)).settle();
    assert_eq!(region.open(), 0);
    let reason = region.shard.view(region.now)[0].gate.reason;
    assert_eq!(reason, Some(Reason::FailureRate { failures: 5, requests: 10, class: Timeout }));
}

#[test]
fn the_longest_ejection_of_all_counts() {
    let mut region = Region::acquainted(3);
    for (nth, hint_ms) in [(0, 20_000), (1, 60_000), (2, 5_000)] {
        region.members[nth].attempt(rate_limited(ms(hint_ms)), region.now);
    }
    region.report_all();
    region.wait(ms(1_000)).settle();
    let left: Vec<Millis> = region.members.iter().map(|member| member.ejected_ms(region.now)).collect();
    assert_eq!(left, [ms(59_000); 3]);
}

#[test]
fn ejections_grow_with_every_trip_of_the_region_whoever_sees_it() {
    let mut region = tripped(2);
    for longest_ms in [20_000_u64, 30_000] {
        region.sit_out();
        let holder = leased(&mut region);
        region.wait(ms(1));
        let probe = region.members[holder].request(region.now).unwrap();
        region.members[holder].end(probe, failed(Unavailable), region.now);
        region.settle();
        let left = region.shard.view(region.now)[0].gate.until.unwrap() - region.now;
        assert!((longest_ms * 3 / 4..=longest_ms).contains(&left.get()), "{left} of {longest_ms}");
        region.wait(ms(1_000)).settle();
    }
}

#[test]
fn requests_that_hung_in_the_outage_do_not_eject_the_region_again() {
    let mut region = Region::acquainted(3);
    let hanging: Vec<_> = (0..10).map(|_| region.members[2].begin(region.now)).collect();
    region.members[0].trip(region.now);
    // The third isolate does not report, so it learns neither of the ejection nor of its end.
    region.report(0);
    region.wait(ms(1_000));
    region.report(1);
    region.sit_out();
    region.members[1].request(region.now);
    region.report(1);
    region.wait(ms(1));
    let probe = region.members[1].request(region.now).unwrap();
    region.members[1].end(probe, ALIVE, region.now);
    region.report(1);
    region.wait(ms(10_000));
    for ticket in hanging {
        region.members[2].end(ticket, failed(Timeout), region.now);
    }
    assert!(!region.members[2].is_open(region.now));
    region.report(2);
    assert!(region.members[2].is_open(region.now), "its failures are from before the recovery");
    region.wait(ms(1_000)).settle();
    assert_eq!(region.open(), 3);
    // Attempts that start after the recovery count, although the isolate does not know later
    // changes.
    region.members[2].trip(region.now);
    region.report(2);
    assert!(!region.members[2].is_open(region.now));
}

#[test]
fn an_ejection_that_was_not_reported_yet_is_closed_by_no_answer() {
    let mut region = Region::acquainted(2);
    region.members[0].attempt(rate_limited(ms(20_000)), region.now);
    region.report(0);
    // A report is in flight. It does not contain what happens meanwhile.
    let member = &mut region.members[1];
    member.health.request_probe(0, false, region.now);
    let report = member.reporter.report(&mut member.health, RATE, region.now, &mut member.rng);
    member.attempt(failed(Quota), region.now);
    let mut answer = region.shard.report(&report, region.now, &mut region.rng);
    for record in answer.deployments.values_mut() {
        (record.ejected, record.closed) = (None, record.change);
    }
    let now = region.now;
    let member = &mut region.members[1];
    member.reporter.on_answer(&mut member.health, &answer, now, &mut member.rng);
    assert_eq!(member.ejected_ms(now), ms(300_000));
    assert!(member.reporter.is_due(&member.health, now), "and it is reported next");
    region.report(1);
    region.wait(ms(1_000)).settle();
    assert_eq!(region.members[0].ejected_ms(region.now), ms(299_000));
}

#[test]
fn an_answer_to_an_earlier_report_changes_nothing() {
    let mut region = tripped(1);
    let now = region.now;
    let member = &mut region.members[0];
    let report = member.reporter.report(&mut member.health, RATE, now, &mut member.rng);
    let answer = region.shard.report(&report, now, &mut region.rng);
    let later = now + ms(5_000);
    assert!(!member.reporter.is_due(&member.health, now + ms(4_999)));
    assert!(member.reporter.is_due(&member.health, later), "it is lost");
    let _again = member.reporter.report(&mut member.health, RATE, later, &mut member.rng);
    assert_eq!(member.reporter.on_answer(&mut member.health, &answer, later, &mut member.rng), []);
    assert!(!member.reporter.is_due(&member.health, later), "the later one is still under way");
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
    // Isolates continue where they were: known changes are not sent again, new changes are sent.
    region.wait(ms(1_000)).settle();
    assert!(
        region.members.iter().all(|member| member.health.admission(1, Chat, region.now) != Admission::Open)
    );
    region.shard.enable(NAMES[1], region.now);
    region.wait(ms(1_000)).settle();
    assert!(
        region.members.iter().all(|member| member.health.admission(1, Chat, region.now) == Admission::Open)
    );
}

#[test]
fn an_object_that_lost_everything_gets_all_reports_again() {
    let mut region = tripped(3);
    region.lose();
    region.members[1].health.request_probe(0, false, region.now);
    region.report(1);
    assert!(!region.members[1].is_open(region.now), "an object that knows nothing closes nothing");
    region.settle();
    assert_eq!(region.shard.view(region.now)[0].gate.state, GatePosition::Open);
    region.wait(ms(1_000)).settle();
    assert_eq!(region.open(), 0);
}

#[test]
fn a_new_isolate_takes_no_old_reset_for_its_own() {
    let mut region = Region::acquainted(1);
    region.shard.reset_all();
    region.shard.reset(NAMES[0], region.now);
    let mut late = Member::new(9);
    late.attempt(failed(Quota), region.now);
    region.members.push(late);
    region.report(1);
    assert_eq!(region.members[1].ejected_ms(region.now), ms(300_000));
}

#[test]
fn the_latency_of_the_region_stands_in_for_an_isolate_without_samples() {
    let mut region = Region::acquainted(1);
    let ticket = region.members[0].begin(region.now);
    region.wait(ms(700));
    region.members[0].end(ticket, ALIVE, region.now);
    region.report(0);
    region.members.push(Member::new(5));
    region.report(1);
    let score =
        |region: &Region, nth: usize| region.members[nth].health.score(0, AnswerKind::Whole, region.now);
    assert_eq!(score(&region, 1), Some(700.0));
    let ticket = region.members[1].begin(region.now);
    region.wait(ms(20));
    region.members[1].end(ticket, ALIVE, region.now);
    assert_eq!(score(&region, 1), Some(20.0), "its own counts for more");
}

#[test]
fn the_region_tells_the_latency_of_each_kind_of_answer() {
    let mut region = Region::acquainted(1);
    let now = region.now;
    let member = &mut region.members[0];
    for (kind, took_ms) in [(AnswerKind::Whole, 3_000), (AnswerKind::Stream, 300)] {
        let ticket = member.health.begin(0, Chat, kind, 0, now);
        member.end(ticket, ALIVE, now + ms(took_ms));
    }
    region.wait(ms(3_000));
    region.report(0);
    // A report of an older version of the gateway counts as one about answers in one piece.
    let older = r#"{"v":1,"deployments":{"west@1":{"latency":{"mean_ms":900,"count":2}}}}"#;
    let older = older.replace("west@1", NAMES[1]);
    region.shard.report(&HealthReport::parse(&older).unwrap(), region.now, &mut region.rng);
    region.members.push(Member::new(5));
    region.report(1);
    let score = |id, kind| region.members[1].health.score(id, kind, region.now);
    assert_eq!([score(0, AnswerKind::Whole), score(0, AnswerKind::Stream)], [Some(3_000.0), Some(300.0)]);
    assert_eq!([score(1, AnswerKind::Whole), score(1, AnswerKind::Stream)], [Some(900.0), None]);
    let view = &region.shard.view(region.now)[0];
    assert_eq!((view.latency_ms, view.first_token_ms), (Some(3_000.0), Some(300.0)));
}

#[test]
fn what_nobody_mentions_for_an_hour_is_forgotten_unless_it_says_something() {
    let mut region = tripped(1);
    let now = region.now;
    region.shard.drain(NAMES[1], now);
    region.settle();
    assert_eq!(region.shard.forget(now + ms(3_599_999)), Vec::<String>::new());
    assert_eq!(region.shard.forget(now + ms(4_000_000)), [NAMES[0]], "what is drained stays");
    region.shard.enable(NAMES[1], now);
    assert_eq!(region.shard.forget(now + ms(4_000_000)), [NAMES[1]]);
    // An isolate that missed all changes still learns their end.
    region.now = now + ms(4_000_000);
    assert_eq!(region.members[0].health.snapshot(region.now)[1].gate.state, GatePosition::Closed);
    region.members[0].health.drain(1);
    region.members[0].health.request_probe(0, false, region.now);
    region.report(0);
    assert_eq!(region.members[0].health.snapshot(region.now)[1].gate.state, GatePosition::Closed);
    assert_eq!(region.members[0].admission(region.now), Admission::Probe, "there is no lease to wait for");
}

#[test]
fn a_reporter_cannot_make_the_shard_grow_without_end() {
    let mut region = Region::new(0);
    for nth in 0..3 * MAX_DEPLOYMENTS {
        let batch = Batch { wants: Some(ProbeUrgency::Due), ..Batch::default() };
        let names = [format!("deployment {nth}"), "x".repeat(MAX_IDENTITY + 1)];
        let deployments = names.map(|name| (name, batch.clone())).into();
        let report = HealthReport { v: 1, deployments, ..HealthReport::default() };
        region.shard.report(&report, region.now, &mut region.rng);
    }
    assert_eq!(region.shard.view(region.now).len(), MAX_DEPLOYMENTS);
    assert!(!region.shard.drain("one more", region.now));
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
    region.wait(ms(1_000)).settle();
    region.sit_out();
    let holder = leased(&mut region);
    region.wait(ms(1));
    let now = region.now;
    let member = &mut region.members[holder];
    let probe = member.request(now).unwrap();
    member.end(probe, failed(Unavailable), now);
    region.report(holder);
    let left = region.shard.view(now)[0].gate.until.unwrap() - now;
    assert!((ms(15_000)..=ms(20_000)).contains(&left), "{left}: the second one in a row");
}

#[test]
fn who_slept_through_a_recovery_is_ejected_no_longer_than_the_rest() {
    let mut region = Region::acquainted(2);
    region.members[0].attempt(rate_limited(ms(200_000)), region.now);
    region.report(0);
    region.report(1);
    region.wait(ms(1_000));
    region.members[1].health.request_probe(0, true, region.now);
    region.report(1);
    let probe = region.members[1].request(region.now).unwrap();
    region.members[1].end(probe, ALIVE, region.now);
    region.report(1);
    region.wait(ms(1_000));
    region.members[1].trip(region.now);
    region.report(1);
    assert!(region.members[0].ejected_ms(region.now) > ms(190_000));
    region.report(0);
    assert!(region.members[0].ejected_ms(region.now) <= ms(10_000));
    assert!(!region.members[0].is_open(region.now));
}

#[test]
fn what_a_lost_report_said_is_said_again() {
    let mut region = Region::acquainted(2);
    region.is_up = false;
    region.members[0].attempt(rate_limited(ms(60_000)), region.now);
    region.members[0].attempt_at(0, Responses, failed(NotFound), region.now);
    region.report(0);
    region.is_up = true;
    region.wait(ms(2_000)).settle();
    let view = &region.shard.view(region.now)[0];
    assert_eq!(view.gate.until, Some(region.now + ms(58_000)));
    assert_eq!(view.missing.len(), 1);
}

#[test]
fn who_slept_through_an_ejection_joins_the_ramp_of_the_rest() {
    let mut region = tripped(3);
    for sleeper in [None, Some(2)] {
        region.sit_out();
        region.members[0].request(region.now);
        region.report(0);
        region.wait(ms(1));
        let now = region.now;
        let probe = region.members[0].request(now).unwrap();
        region.members[0].end(probe, ALIVE, now);
        for nth in (0..3).filter(|nth| Some(*nth) != sleeper) {
            region.report(nth);
        }
        if sleeper.is_none() {
            region.wait(ms(60_000));
            region.members[0].trip(now + ms(60_000));
            region.report(0);
        }
    }
    region.wait(ms(5_000));
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
    member.attempt(rate_limited(ms(60_000)), now);
    member.reporter.on_failure(&mut member.health, now, &mut member.rng);
    region.wait(ms(2_000)).settle();
    let view = &region.shard.view(region.now)[0];
    assert_eq!((view.gate.until, view.successes), (Some(now + ms(60_000)), 1));
}

#[test]
fn what_one_isolate_alone_has_to_suffer_is_its_own_affair() {
    let mut region = Region::new(2);
    for _ in 0..40 {
        region.members[0].attempt(ALIVE, region.now);
    }
    region.report(0);
    for _ in 0..5 {
        region.members[1].attempt(ALIVE, region.now);
        region.members[1].attempt(failed(Unavailable), region.now);
    }
    region.report(1);
    let ejected = |region: &Region| matches!(region.members[1].admission(region.now), Admission::Refused(_));
    assert!(ejected(&region), "half of its ten failed, and the region does not end that");
    region.report(0);
    assert_eq!(region.members[0].admission(region.now), Admission::Open, "but it does not take part in it");
    // The shard gives no lease to an isolate for an ejection that no other isolate has.
    region.wait(ms(10_000));
    assert_eq!(region.members[1].admission(region.now), Admission::Probe);
    region.members[1].attempt(failed(Unavailable), region.now);
    region.report(1);
    assert!(ejected(&region));
    region.wait(ms(20_000));
    region.members[1].attempt(ALIVE, region.now);
    assert_eq!(region.members[1].admission(region.now), Admission::Open);
}

#[test]
fn with_a_request_every_four_seconds_a_healthy_deployment_serves_again_within_forty() {
    // With one isolate and with several, after an outage of any length.
    for (members, outage_ms) in [(1, 20_000), (1, 60_000), (1, 600_000), (3, 60_000), (3, 600_000)] {
        let mut region = Region::acquainted(members);
        region.members[0].trip(region.now);
        region.settle();
        let healthy_at = region.now + ms(outage_ms);
        let mut turn = 0;
        let served_at = loop {
            // Reports go when they are due, also between requests.
            for _ in 0..4 {
                region.wait(ms(1_000)).settle();
            }
            let now = region.now;
            let nth = turn % region.members.len();
            turn += 1;
            let is_healthy = now >= healthy_at;
            let member = &mut region.members[nth];
            match member.admission(now) {
                Admission::Open => break now,
                Admission::Probe => {
                    let probe = member.begin(now);
                    let outcome =
                        if is_healthy { switchyard::health::Outcome::Served } else { failed(Unavailable) };
                    member.end(probe, outcome, now);
                    if is_healthy {
                        break now;
                    }
                }
                Admission::Refused(_) => member.health.request_probe(0, false, now),
            }
            region.settle();
        };
        let waited_ms = served_at - healthy_at;
        assert!(waited_ms <= ms(40_000), "{members} isolates, outage of {outage_ms} ms: {waited_ms} ms");
    }
}

#[test]
fn the_way_to_the_object_and_back_does_not_make_an_isolates_own_ejection_longer() {
    let mut region = Region::acquainted(2);
    let began_at = region.now;
    region.members[0].attempt(rate_limited(ms(3_000)), began_at);
    // The report takes 20 ms to the object, and so does the answer.
    let member = &mut region.members[0];
    let report = member.reporter.report(&mut member.health, RATE, began_at, &mut member.rng);
    let answer = region.shard.report(&report, began_at + ms(20), &mut region.rng);
    let member = &mut region.members[0];
    member.reporter.on_answer(&mut member.health, &answer, began_at + ms(40), &mut member.rng);
    assert_eq!(member.ejected_ms(began_at), ms(3_000));
    // What another isolate reported, and what lasts much longer, counts.
    region.members[1].attempt(rate_limited(ms(9_000)), began_at + ms(50));
    region.wait(ms(50)).report(1);
    region.report(0);
    assert_eq!(region.members[0].ejected_ms(region.now), ms(9_000));
}
