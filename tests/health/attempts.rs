//! What an isolate records about its attempts: how they end, how long they take, and what stays
//! when the graph changes.

use switchyard::health::gate::Admission;
use switchyard::health::{AnswerKind, Health, Outcome, Sample};
use switchyard::routes::graph::RateLimits;
use switchyard::vocabulary::error_class::ErrorClass::{
    Auth, BadRequest, Connection, Quota, RateLimit, Timeout, Unavailable,
};
use switchyard::vocabulary::operation::Operation::{ChatCompletions as Chat, Files, StoredResponses};

use crate::isolate::{Isolate, START};
use crate::region::{ALIVE, NAMES, Region, failed, tripped};
use crate::times::ms;

#[test]
fn a_new_document_takes_over_what_is_known_of_its_deployments() {
    let mut region = tripped(2);
    let now = region.now;
    let member = &mut region.members[0];
    let late = member.health.begin(1, Chat, AnswerKind::Whole, 0, now);
    let mut fresh =
        Health::new(["north", NAMES[0]].map(|name| (name, RateLimits { rpm: Some(5), tpm: None })));
    fresh.adopt(&member.health);
    let mut before = std::mem::replace(&mut member.health, fresh);
    assert_eq!(member.health.admission(0, Chat, now), Admission::Open);
    assert!(matches!(member.health.admission(1, Chat, now), Admission::Refused(_)));
    assert_eq!(member.health.limits(1).rpm, Some(5));
    // An attempt in flight ends in the state in which it started.
    assert_eq!((member.health.in_flight(0, now), member.health.in_flight(1, now)), (0, 0));
    before.record(late, &Sample::of(failed(Quota)), now, &mut member.rng);
    assert_eq!((before.in_flight(1, now), member.health.admission(0, Chat, now)), (0, Admission::Open));
    // The next report asks for everything, because one deployment is new to this isolate.
    region.members[1].fail(Quota, now);
    let mut other = Health::new([("north", RateLimits::default())]);
    std::mem::swap(&mut other, &mut region.members[1].health);
    region.members[1].health.adopt(&other);
    region.members[1].fail(Quota, now);
    region.report(1);
    region.report(0);
    assert!(matches!(region.members[0].health.admission(0, Chat, now), Admission::Refused(_)));
}

#[test]
fn an_answer_to_a_report_of_before_a_new_document_does_not_stand_for_one_about_all_of_it() {
    let mut region = Region::new(1);
    region.shard.drain("north", region.now);
    let (member, now) = (&mut region.members[0], region.now);
    let report = member.reporter.report(&mut member.health, 1, now, &mut member.rng);
    let answer = region.shard.report(&report, now, &mut region.rng);
    let mut fresh = Health::new([NAMES[0], "north"].map(|name| (name, RateLimits::default())));
    fresh.adopt(&member.health);
    member.health = fresh;
    member.reporter.on_answer(&mut member.health, &answer, now, &mut member.rng);
    region.wait(ms(1_000));
    region.report(0);
    assert!(matches!(region.members[0].health.admission(1, Chat, region.now), Admission::Refused(_)));
}

#[test]
fn a_probe_that_is_under_way_when_the_document_changes_makes_room_for_another() {
    let mut isolate = Isolate::new(1);
    isolate.trip().sit_out();
    let _lost = isolate.begin();
    assert!(isolate.refusal().is_probing);
    let mut fresh = Isolate::new(1).health;
    fresh.adopt(&isolate.health);
    assert_eq!(fresh.admission(0, Chat, isolate.now), Admission::Probe);
}

#[test]
fn an_attempt_cut_short_says_how_slow_it_is_at_least() {
    for (after_ms, first_token_ms, counts) in
        [(2_000, None, false), (14_999, None, false), (15_000, None, true), (90_000, Some(300), false)]
    {
        let mut region = Region::new(1);
        let ticket = region.members[0].begin(region.now);
        region.wait(ms(after_ms));
        let now = region.now;
        let member = &mut region.members[0];
        let sample = Sample { first_token_ms: first_token_ms.map(ms), ..Sample::of(Outcome::CutShort) };
        member.health.record(ticket, &sample, now, &mut member.rng);
        assert_eq!(member.health.is_failing(0), counts, "{after_ms}");
        #[expect(clippy::cast_precision_loss)]
        let least = first_token_ms.unwrap_or(after_ms) as f64;
        assert_eq!(member.health.score(0, AnswerKind::Whole, now), Some(least));
        // A shorter attempt does not lower the latency that is already known.
        let ticket = member.begin(now);
        member.health.record(ticket, &Sample::of(Outcome::CutShort), now + ms(1), &mut member.rng);
        assert!(member.health.score(0, AnswerKind::Whole, now + ms(1)).unwrap() > least * 0.999);
        assert_eq!(member.health.in_flight(0, now), 0);
    }
}

#[test]
fn where_the_usual_time_is_known_three_of_it_are_a_silence_and_five_seconds_at_least() {
    for (usual_ms, after_ms, counts) in
        [(400, 4_999, false), (400, 5_000, true), (20_000, 59_999, false), (20_000, 60_000, true)]
    {
        let mut isolate = Isolate::new(1);
        for _ in 0..20 {
            let ticket = isolate.begin();
            isolate.wait(ms(usual_ms));
            isolate.end(ticket, ALIVE);
        }
        let ticket = isolate.begin();
        isolate.wait(ms(after_ms));
        isolate.end(ticket, Outcome::CutShort);
        assert_eq!(isolate.health.is_failing(0), counts, "{usual_ms} {after_ms}");
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
            member.health.on_commit(&mut ticket, now + ms(nth * 10));
            member.end(ticket, ALIVE, now + ms(90_000));
        } else {
            assert_eq!(member.health.percentile(0, AnswerKind::Whole, 0.5), None);
            member.end(ticket, ALIVE, now + ms(nth * 10));
        }
    }
    assert_eq!(member.health.percentile(0, AnswerKind::Whole, 0.95), Some(ms(190)));
    assert_eq!(member.health.percentile(0, AnswerKind::Whole, 0.5), Some(ms(100)));
    assert_eq!(member.health.percentile(7, AnswerKind::Whole, 0.5), None);
}

/// A deployment whose answers of one kind take 3 s, and whose answers of the other kind take 300
/// ms.
fn slow_for(slow: AnswerKind) -> Isolate {
    let mut isolate = Isolate::new(1);
    let quick = if slow == AnswerKind::Whole { AnswerKind::Stream } else { AnswerKind::Whole };
    for _ in 0..20 {
        for (kind, took_ms) in [(quick, 300), (slow, 3_000)] {
            let mut ticket = isolate.health.begin(0, Chat, kind, 0, isolate.now);
            isolate.wait(ms(took_ms));
            isolate.health.on_commit(&mut ticket, isolate.now);
            isolate.end(ticket, ALIVE);
        }
    }
    isolate
}

#[test]
fn each_kind_of_answer_has_its_own_times() {
    for (slow, quick) in [(AnswerKind::Whole, AnswerKind::Stream), (AnswerKind::Stream, AnswerKind::Whole)] {
        let isolate = slow_for(slow);
        let usual_ms = |kind| isolate.health.percentile(0, kind, 0.95);
        assert_eq!([usual_ms(slow), usual_ms(quick)], [Some(ms(3_000)), Some(ms(300))]);
        let score = |kind| isolate.health.score(0, kind, isolate.now).unwrap().round();
        assert!((2_990.0..=3_000.0).contains(&score(slow)), "{}", score(slow));
        assert!((250.0..=300.0).contains(&score(quick)), "{}", score(quick));
        let snapshot = &isolate.health.snapshot(isolate.now)[0];
        let latencies = [snapshot.latency_ms, snapshot.first_token_ms].map(|found| found.unwrap() > 2_000.0);
        assert_eq!(latencies, [slow == AnswerKind::Whole, slow == AnswerKind::Stream]);
    }
    let isolate = &mut Isolate::new(1);
    isolate.attempt(ALIVE);
    assert_eq!(isolate.health.score(0, AnswerKind::Stream, isolate.now), None, "the other kind is unknown");
}

#[test]
fn how_soon_stored_objects_come_says_nothing_about_models() {
    let mut isolate = Isolate::new(1);
    for operation in [Files, StoredResponses] {
        for kind in [AnswerKind::Whole, AnswerKind::Stream] {
            for _ in 0..20 {
                let mut ticket = isolate.health.begin(0, operation, kind, 0, isolate.now);
                isolate.wait(ms(20));
                isolate.health.on_commit(&mut ticket, isolate.now);
                isolate.end(ticket, ALIVE);
            }
            assert_eq!(isolate.health.score(0, kind, isolate.now), None, "{operation:?}");
            assert_eq!(isolate.health.percentile(0, kind, 0.95), None, "{operation:?}");
        }
    }
}

#[test]
fn a_silence_is_long_by_the_usual_time_of_its_kind() {
    for (kind, counts) in [(AnswerKind::Whole, false), (AnswerKind::Stream, true)] {
        let mut isolate = slow_for(AnswerKind::Whole);
        let ticket = isolate.health.begin(0, Chat, kind, 0, isolate.now);
        isolate.wait(ms(8_000));
        isolate.end(ticket, Outcome::CutShort);
        assert_eq!(isolate.health.is_failing(0), counts, "{kind:?}");
    }
}

#[test]
fn requests_about_stored_objects_use_up_no_limit_of_the_models() {
    for (operation, has_room) in [(Files, true), (Chat, false)] {
        let mut health = Health::new([("north", RateLimits { rpm: Some(20), tpm: None })]);
        let now = Isolate::new(1).now;
        for _ in 0..20 {
            let _ = health.begin(0, operation, AnswerKind::Whole, 0, now);
        }
        assert_eq!(health.share(0, now) >= 1.0, has_room, "{operation:?}");
    }
}

#[test]
fn a_stored_object_that_is_read_ends_no_ejection_that_it_does_not_disprove() {
    for (class, is_disproved) in [(Auth, true), (RateLimit, false), (Quota, false), (Unavailable, false)] {
        let mut isolate = Isolate::new(1);
        for _ in 0..5 {
            let ticket = isolate.health.begin(0, Chat, AnswerKind::Whole, 0, isolate.now);
            isolate.health.record(ticket, &Sample::of(failed(class)), isolate.now, &mut isolate.rng);
        }
        let admission = |isolate: &Isolate| isolate.health.admission(0, Chat, isolate.now);
        assert!(matches!(admission(&isolate), Admission::Refused(_)), "{class:?}");
        let mut ticket = isolate.health.begin(0, Files, AnswerKind::Whole, 0, isolate.now);
        isolate.health.on_commit(&mut ticket, isolate.now);
        isolate.health.record(ticket, &Sample::of(Outcome::Served), isolate.now, &mut isolate.rng);
        assert_eq!(admission(&isolate) == Admission::Open, is_disproved, "{class:?}");
    }
}

#[test]
fn a_stored_object_that_is_read_does_not_hide_that_a_model_fails() {
    for (class, is_hidden) in [(Unavailable, false), (Timeout, false), (Connection, true)] {
        let mut isolate = Isolate::new(1);
        for _ in 0..8 {
            let ticket = isolate.health.begin(0, Chat, AnswerKind::Whole, 0, isolate.now);
            isolate.health.record(ticket, &Sample::of(failed(class)), isolate.now, &mut isolate.rng);
            let mut ticket = isolate.health.begin(0, Files, AnswerKind::Whole, 0, isolate.now);
            isolate.health.on_commit(&mut ticket, isolate.now);
            isolate.health.record(ticket, &Sample::of(Outcome::Served), isolate.now, &mut isolate.rng);
        }
        let admission = isolate.health.admission(0, Chat, isolate.now);
        assert_eq!(admission == Admission::Open, is_hidden, "{class:?}");
    }
}

/// Serves twenty requests about stored objects.
fn serve_files(isolate: &mut Isolate) {
    for _ in 0..20 {
        let mut ticket = isolate.health.begin(0, Files, AnswerKind::Whole, 0, isolate.now);
        isolate.wait(ms(3_000));
        isolate.health.on_commit(&mut ticket, isolate.now);
        isolate.end(ticket, ALIVE);
    }
}

#[test]
fn an_answer_about_a_stored_object_neither_ends_a_run_of_failures_nor_an_ejection_of_models() {
    let mut isolate = Isolate::new(1);
    for _ in 0..4 {
        isolate.fail(Unavailable);
    }
    serve_files(&mut isolate);
    assert!(isolate.health.is_failing(0));
    for (class, is_ended) in [(Unavailable, false), (Quota, false), (Auth, true)] {
        let mut isolate = Isolate::new(1);
        for _ in 0..5 {
            isolate.fail(class);
        }
        isolate.sit_out();
        let mut ticket = isolate.health.begin(0, Files, AnswerKind::Whole, 0, isolate.now);
        if !is_ended {
            assert_eq!(isolate.admission(), Admission::Probe, "it is not the probe: {class:?}");
        }
        isolate.health.on_commit(&mut ticket, isolate.now);
        isolate.end(ticket, ALIVE);
        let expected = if is_ended { Admission::Open } else { Admission::Probe };
        assert_eq!(isolate.admission(), expected, "{class:?}");
    }
}

#[test]
fn only_what_a_model_may_take_counts_against_its_limits() {
    let limits = RateLimits { rpm: Some(60), tpm: Some(30_000) };
    for (operation, requests, tokens, after_ms, is_full) in [
        (Chat, 9, 0, 0, true),
        (Files, 9, 0, 0, false),
        (Chat, 1, 29_000, 11_000, true),
        (Files, 1, 29_000, 11_000, false),
        // It is refused, because it is larger than the whole limit.
        (Chat, 1, 61_337, 11_000, false),
    ] {
        let mut health = Health::new([("a", limits)]);
        let _tickets: Vec<_> =
            (0..requests).map(|_| health.begin(0, operation, AnswerKind::Whole, tokens, START)).collect();
        let share = health.share(0, START + ms(after_ms));
        assert_eq!(share < 1.0, is_full, "{operation:?} {requests} {tokens}: {share}");
    }
}
