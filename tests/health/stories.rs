//! A test for each rule.

use switchyard::health::gate::{Admission, GatePosition, Refusal, Transition};
use switchyard::health::headroom::Headroom;
use switchyard::health::reason::Reason;
use switchyard::health::{AnswerKind, GateChange, Health, Outcome, Sample, Ticket};
use switchyard::routes::graph::{Ejections, RateLimits};
use switchyard::vocabulary::error_class::ErrorClass::{self, *};
use switchyard::vocabulary::headers::Headers;
use switchyard::vocabulary::operation::Operation::{self, ChatCompletions as Chat, Responses};
use switchyard::vocabulary::rng::SplitMix64;
use switchyard::vocabulary::time::Millis;

use crate::isolate::{Isolate, START};
use crate::times::ms;

#[test]
fn an_unknown_deployment_gets_its_chance() {
    let isolate = Isolate::new(1);
    assert_eq!(isolate.admission(), Admission::Open);
    assert!((isolate.share() - 1.0).abs() < 1e-9);
    assert_eq!(isolate.health.score(0, AnswerKind::Whole, START), None);
}

#[test]
fn five_failures_in_a_row_eject_and_say_why() {
    let mut isolate = Isolate::new(1);
    for _ in 0..4 {
        assert_eq!(isolate.fail(Connection), []);
    }
    let changes = isolate.fail(Timeout);
    let reason = Reason::ConsecutiveFailures { failures: 5, class: Timeout };
    let until = isolate.refusal().until.unwrap();
    let transition = Transition::Ejected { until, reason, is_new: true };
    assert_eq!(changes, [GateChange { deployment: 0, operation: None, transition }]);
    assert_eq!(
        isolate.refusal(),
        Refusal { until: Some(until), reason, is_probing: false, may_be_forced: true }
    );
    assert!((ms(7_500)..=ms(10_000)).contains(&isolate.ejected_ms()), "{}", isolate.ejected_ms());
}

#[test]
fn a_brown_out_ejects_by_its_rate() {
    let mut isolate = Isolate::new(1);
    for _ in 0..4 {
        isolate.attempt(Outcome::Served);
        isolate.fail(Truncated);
        isolate.wait(ms(500));
    }
    isolate.attempt(Outcome::Served);
    isolate.fail(Truncated);
    let reason = Reason::FailureRate { failures: 5, requests: 10, class: Truncated };
    assert_eq!(isolate.refusal().reason, reason);
}

#[test]
fn what_the_caller_did_never_counts() {
    for outcome in [
        Outcome::failed(BadRequest, None),
        Outcome::failed(ContentPolicy, None),
        Outcome::failed(ContextWindow, None),
        Outcome::Abandoned,
    ] {
        let mut isolate = Isolate::new(1);
        for _ in 0..100 {
            assert_eq!(isolate.attempt(outcome), [], "{outcome:?}");
        }
        assert_eq!(isolate.admission(), Admission::Open, "{outcome:?}");
        assert_eq!(
            isolate.health.score(0, AnswerKind::Whole, isolate.now),
            None,
            "a refusal says nothing about speed"
        );
        assert_eq!(isolate.health.in_flight(0, isolate.now), 0);
    }
}

#[test]
fn a_bad_request_ends_a_run_and_a_client_that_leaves_does_not() {
    for (between, ejected) in [
        (Outcome::failed(BadRequest, None), false),
        (Outcome::Served, false),
        (Outcome::Abandoned, true),
        // A rate limit is an answer, but it does not show that the deployment serves.
        (Outcome::failed(RateLimit, Some(ms(10))), true),
    ] {
        let mut isolate = Isolate::new(1);
        for _ in 0..4 {
            isolate.fail(Unavailable);
        }
        isolate.attempt(between);
        isolate.fail(Unavailable);
        assert_eq!(isolate.admission() != Admission::Open, ejected, "{between:?}");
    }
}

#[test]
fn the_first_request_after_an_ejection_is_the_probe_and_the_others_wait_for_it() {
    let mut isolate = Isolate::new(1);
    isolate.trip().sit_out();
    assert_eq!(isolate.admission(), Admission::Probe);
    assert!(isolate.share() > 0.0, "else no draw would ever choose it");
    let probe = isolate.begin();
    assert!(probe.is_probe());
    assert!(isolate.refusal().is_probing);
    assert_eq!(isolate.ejected_ms(), ms(1_000), "the others look again in a second");
    let second = isolate.begin();
    assert!(!second.is_probe());
    isolate.end(second, Outcome::Abandoned);
    let changes = isolate.end(probe, Outcome::Served);
    assert_eq!(changes[0].transition, Transition::Recovered);
    assert_eq!(isolate.admission(), Admission::Open);
}

#[test]
fn a_probe_has_passed_at_its_commit_point() {
    let mut isolate = Isolate::new(1);
    isolate.trip().sit_out();
    let mut probe = isolate.begin();
    let changes = isolate.health.on_commit(&mut probe, isolate.now);
    assert_eq!(changes.len(), 1);
    assert_eq!(isolate.admission(), Admission::Open);
    // The stream continues after the commit and then breaks: this is one failure like any other.
    isolate.wait(ms(3_000));
    assert_eq!(isolate.end(probe, Outcome::failed(Truncated, None)), []);
    assert_eq!(isolate.health.snapshot(isolate.now)[0].consecutive_failures, 1);
}

#[test]
fn a_probe_that_fails_doubles_the_ejection_up_to_its_bound() {
    let long = Ejections { longest_ms: ms(300_000), ..Ejections::default() };
    let usual = (Ejections::default(), vec![10_000, 20_000, 30_000, 30_000]);
    for (ejections, expected) in
        [usual, (long, vec![10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000])]
    {
        ejections_double(ejections, &expected);
    }
}

fn ejections_double(ejections: Ejections, expected: &[u64]) {
    let mut isolate = Isolate::new(1);
    isolate.health.set_ejections(0, ejections);
    isolate.trip();
    for expected_ms in expected.iter().copied() {
        let ejected_ms = isolate.ejected_ms();
        assert!(
            (expected_ms * 3 / 4..=expected_ms).contains(&ejected_ms.get()),
            "{ejected_ms} of {expected_ms}"
        );
        isolate.sit_out();
        let changes = isolate.fail(Connection);
        assert_eq!(changes.len(), 1);
        assert_eq!(isolate.refusal().reason, Reason::ProbeFailed { class: Connection });
    }
}

#[test]
fn the_document_sets_how_many_failures_eject_and_for_how_long() {
    let mut isolate = Isolate::new(1);
    let ejections = Ejections { first_ms: ms(2_000), longest_ms: ms(3_000), failures_in_a_row: 2 };
    isolate.health.set_ejections(0, ejections);
    assert_eq!(isolate.fail(Unavailable).len(), 0);
    assert_eq!(isolate.fail(Unavailable).len(), 1);
    assert!((ms(1_500)..=ms(2_000)).contains(&isolate.ejected_ms()));
}

#[test]
fn ejections_grow_while_it_flaps_and_start_over_after_a_healthy_spell() {
    for (healthy_ms, longest_ms) in [(299_000, 20_000), (300_000, 10_000)] {
        let mut isolate = Isolate::new(1);
        isolate.trip().sit_out().attempt(Outcome::Served);
        isolate.wait(ms(healthy_ms)).trip();
        let ejected_ms = isolate.ejected_ms();
        assert!(
            (longest_ms * 3 / 4..=longest_ms).contains(&ejected_ms.get()),
            "{ejected_ms} after {healthy_ms}"
        );
    }
}

#[test]
fn isolates_do_not_probe_together() {
    let mut ends: Vec<Millis> = (0..50)
        .map(|seed| {
            let mut isolate = Isolate::new(1);
            isolate.rng = SplitMix64::new(seed);
            isolate.trip().ejected_ms()
        })
        .collect();
    ends.sort_unstable();
    ends.dedup();
    assert!(ends.len() > 40, "{ends:?}");
}

#[test]
fn a_client_that_leaves_its_probe_makes_room_for_the_next() {
    let mut isolate = Isolate::new(1);
    isolate.trip().sit_out();
    assert_eq!(isolate.attempt(Outcome::Abandoned), []);
    assert_eq!(isolate.admission(), Admission::Probe);
}

#[test]
fn a_probe_that_never_comes_back_is_given_up() {
    let mut isolate = Isolate::new(1);
    isolate.trip().sit_out();
    let lost = isolate.begin();
    isolate.wait(ms(119_999));
    assert!(isolate.refusal().is_probing);
    isolate.wait(ms(1));
    assert_eq!(isolate.admission(), Admission::Probe);
    let next = isolate.begin();
    assert!(next.is_probe());
    // The lost probe ends after all. It does not decide about the new probe.
    assert_eq!(isolate.end(lost, Outcome::failed(Timeout, None)), []);
    assert!(isolate.refusal().is_probing);
    assert_eq!(isolate.end(next, Outcome::Served)[0].transition, Transition::Recovered);
}

#[test]
fn what_was_sent_before_an_ejection_neither_ends_nor_prolongs_it() {
    let mut isolate = Isolate::new(1);
    let (slow, slower) = (isolate.begin(), isolate.begin());
    isolate.trip();
    let until = isolate.refusal().until;
    assert_eq!(isolate.end(slow, Outcome::Served), []);
    assert_eq!(isolate.end(slower, Outcome::failed(Timeout, None)), []);
    assert_eq!(isolate.refusal().until, until);
}

#[test]
fn requests_that_hung_in_the_outage_do_not_eject_again_when_they_time_out() {
    let mut isolate = Isolate::new(1);
    let hanging: Vec<Ticket> = (0..20).map(|_| isolate.begin()).collect();
    isolate.trip().sit_out().attempt(Outcome::Served);
    isolate.wait(ms(50_000));
    for ticket in hanging {
        assert_eq!(isolate.end(ticket, Outcome::failed(Timeout, None)), []);
    }
    assert_eq!(isolate.admission(), Admission::Open);
}

#[test]
fn after_a_passed_probe_traffic_grows_over_ten_seconds() {
    let mut isolate = Isolate::new(1);
    isolate.trip();
    assert!(isolate.share().abs() < 1e-9);
    isolate.sit_out().attempt(Outcome::Served);
    for (wait_ms, expected) in [(0, 0.1), (5_000, 0.55), (4_999, 0.999_91), (1, 1.0), (3_600_000, 1.0)] {
        isolate.wait(ms(wait_ms));
        assert!((isolate.share() - expected).abs() < 1e-9, "{}", isolate.share());
    }
}

#[test]
fn a_rate_limit_ejects_exactly_as_long_as_it_says() {
    for (hint_ms, ejected_ms) in [
        (1_000, 1_000), // the shortest that ejects
        (20_000, 20_000),
        (300_000, 300_000),
        (86_400_000, 300_000), // capped
    ] {
        let mut isolate = Isolate::new(1);
        let changes = isolate.rate_limit(ms(hint_ms));
        assert_eq!(changes.len(), 1);
        assert_eq!(isolate.ejected_ms(), ms(ejected_ms));
        assert_eq!(isolate.refusal().reason, Reason::RateLimited { hint_ms: Some(ms(hint_ms)) });
    }
}

#[test]
fn a_rate_limit_that_does_not_say_how_long_ejects_for_a_moment() {
    for hint_ms in [None, Some(0)] {
        let mut isolate = Isolate::new(1);
        isolate.attempt(Outcome::failed(RateLimit, hint_ms.map(ms)));
        assert!(
            (ms(3_750)..=ms(5_000)).contains(&isolate.ejected_ms()),
            "{hint_ms:?}: {}",
            isolate.ejected_ms()
        );
    }
}

#[test]
fn a_rate_limit_never_shortens_an_ejection_and_a_longer_one_extends_it() {
    let mut isolate = Isolate::new(1);
    isolate.rate_limit(ms(60_000));
    isolate.wait(ms(1_000));
    assert_eq!(isolate.rate_limit(ms(2_000)), []);
    assert_eq!(isolate.ejected_ms(), ms(59_000));
    assert_eq!(isolate.rate_limit(ms(90_000)).len(), 1);
    assert_eq!(isolate.ejected_ms(), ms(90_000));
}

#[test]
fn a_hundred_rate_limits_within_a_second_are_one_change() {
    let mut isolate = Isolate::new(1);
    let tickets: Vec<Ticket> = (0..100).map(|_| isolate.begin()).collect();
    let mut changes = 0;
    for ticket in tickets {
        isolate.wait(ms(9));
        changes += isolate.end(ticket, Outcome::failed(RateLimit, Some(ms(20_000)))).len();
    }
    assert_eq!(changes, 1);
    assert_eq!(isolate.ejected_ms(), ms(20_000), "each of them extends it all the same");
}

#[test]
fn a_rate_limit_fails_the_probe() {
    let mut isolate = Isolate::new(1);
    isolate.trip().sit_out();
    isolate.rate_limit(ms(7_000));
    assert_eq!(isolate.ejected_ms(), ms(7_000));
    assert!(!isolate.refusal().is_probing);
}

#[test]
fn a_provisioned_deployment_that_is_full_spills_and_keeps_its_traffic() {
    let header = ("azure-openai-deployment-utilization".to_owned(), "101%".to_owned());
    let mut isolate = Isolate::new(1);
    isolate
        .health
        .record_headroom(0, Headroom::of(&Headers::of([header]), &RateLimits::default(), START).unwrap());
    for hint_ms in [30, 900, 4_000, 9_999] {
        assert_eq!(isolate.rate_limit(ms(hint_ms)), [], "{hint_ms}");
    }
    assert_eq!(isolate.admission(), Admission::Open);
    // A deployment that is known as provisioned does not have to say so again.
    assert_eq!(isolate.rate_limit(ms(4_000)), []);
    // A longer time ejects it like any other deployment.
    assert_eq!(isolate.rate_limit(ms(10_000)).len(), 1);
    // A hint of less than a second ejects no deployment.
    assert_eq!(Isolate::new(1).rate_limit(ms(999)), []);
}

#[test]
fn quota_and_credentials_eject_for_five_minutes_at_once() {
    for (class, reason) in [(Quota, Reason::Quota), (Auth, Reason::Auth)] {
        let mut isolate = Isolate::new(1);
        assert_eq!(isolate.fail(class).len(), 1);
        assert_eq!((isolate.ejected_ms(), isolate.refusal().reason), (ms(300_000), reason));
        isolate.sit_out();
        assert_eq!(isolate.admission(), Admission::Probe);
        assert_eq!(isolate.fail(class).len(), 1);
        assert_eq!(isolate.ejected_ms(), ms(300_000));
    }
}

#[test]
fn an_ejection_is_news_once_until_it_has_another_reason_or_has_ended() {
    let is_new = |changes: &[GateChange]| match changes {
        [GateChange { transition: Transition::Ejected { is_new, .. }, .. }] => *is_new,
        _ => panic!("{changes:?}"),
    };
    let mut isolate = Isolate::new(1);
    assert!(is_new(&isolate.rate_limit(ms(20_000))));
    assert!(!is_new(&isolate.rate_limit(ms(30_000))), "the same for longer");
    assert!(is_new(&isolate.fail(Quota)), "another reason");
    isolate.sit_out();
    assert!(is_new(&isolate.fail(Quota)), "it had ended, and the probe failed");
    assert_eq!(isolate.health.snapshot(isolate.now)[0].gate.state, GatePosition::Open);
    let until = isolate.refusal().until;
    assert_eq!(isolate.health.snapshot(isolate.now)[0].gate.until, until);
    isolate.sit_out();
    assert_eq!(isolate.health.snapshot(isolate.now)[0].gate.until, None, "it is over");
}

#[test]
fn a_missing_operation_ejects_that_operation_alone() {
    let mut isolate = Isolate::new(1);
    let missing = Sample::of(Outcome::failed(NotFound, None));
    let changes = isolate.try_with(Responses, &missing);
    let until = isolate.now + ms(300_000);
    let reason = Reason::NotFound { operation: Responses };
    let transition = Transition::Ejected { until, reason, is_new: true };
    assert_eq!(changes, [GateChange { deployment: 0, operation: Some(Responses), transition }]);
    assert_eq!(isolate.admission(), Admission::Open);
    assert!(matches!(isolate.health.admission(0, Responses, isolate.now), Admission::Refused(_)));
    // Successes of other operations do not end the ejection. A probe of this operation does.
    isolate.attempt(Outcome::Served);
    isolate.wait(ms(300_000));
    assert_eq!(isolate.health.admission(0, Responses, isolate.now), Admission::Probe);
    assert_eq!(isolate.try_with(Responses, &missing).len(), 1);
    isolate.wait(ms(300_000));
    let changes = isolate.try_with(Responses, &Sample::of(Outcome::Served));
    assert_eq!(changes[0].transition, Transition::Recovered);
    assert_eq!(isolate.health.admission(0, Responses, isolate.now), Admission::Open);
}

#[test]
fn of_two_gates_in_a_row_the_stricter_counts() {
    let mut isolate = Isolate::new(1);
    isolate.try_with(Responses, &Sample::of(Outcome::failed(NotFound, None)));
    isolate.trip();
    assert!(isolate.ejected_ms() < ms(300_000));
    let Admission::Refused(refusal) = isolate.health.admission(0, Responses, isolate.now) else { panic!() };
    assert_eq!(refusal.reason, Reason::NotFound { operation: Responses });
    isolate.health.drain(0);
    let Admission::Refused(refusal) = isolate.health.admission(0, Responses, isolate.now) else { panic!() };
    assert_eq!((refusal.reason, refusal.until), (Reason::Drained, None));
}

#[test]
fn of_its_own_word_and_the_configured_limits_the_scarcer_counts() {
    for (remaining, requests, left) in [("10", 0, 0.1), ("90", 8, 0.2), ("10", 8, 0.1)] {
        let mut health = Health::new([("a", RateLimits { rpm: Some(600), tpm: None })]);
        let pairs = [("x-ratelimit-limit-requests", "100"), ("x-ratelimit-remaining-requests", remaining)];
        health.record_headroom(0, Headroom::of(&Headers::of(pairs), &RateLimits::default(), START).unwrap());
        for _ in 0..requests {
            let _under_way = health.begin(0, Chat, AnswerKind::Whole, 0, START);
        }
        let found = health.snapshot(START)[0].headroom.unwrap();
        assert!((found - left).abs() < 1e-9, "{remaining} {requests}: {found}");
    }
}

#[test]
fn scarce_headroom_takes_traffic_away_before_the_first_refusal() {
    let mut isolate = Isolate::new(1);
    let headers = Headers::of([
        ("x-ratelimit-limit-tokens", "1000"),
        ("x-ratelimit-remaining-tokens", "100"),
        ("x-ratelimit-reset-tokens", "6s"),
    ]);
    isolate.health.record_headroom(0, Headroom::of(&headers, &RateLimits::default(), isolate.now).unwrap());
    assert!((isolate.share() - 0.525).abs() < 1e-9, "{}", isolate.share());
    isolate.wait(ms(6_000));
    assert!((isolate.share() - 1.0).abs() < 1e-9);
}

#[test]
fn configured_limits_do_the_same_without_headers() {
    let mut health = Health::new([("one", RateLimits { rpm: Some(600), tpm: None })]);
    for _ in 0..9 {
        let _ = health.begin(0, Chat, AnswerKind::Whole, 500, START);
    }
    assert!((health.share(0, START) - 0.525).abs() < 1e-9, "one request of ten is left in this second");
    assert!((health.share(0, START + ms(1_000)) - 1.0).abs() < 1e-9);
}

#[test]
fn the_score_is_the_latency_for_one_more_request() {
    let mut isolate = Isolate::new(2);
    let streamed = isolate.begin();
    isolate.wait(ms(2_000));
    let sample =
        Sample { first_token_ms: Some(ms(400)), output_tokens: Some(80), ..Sample::of(Outcome::Served) };
    isolate.health.record(streamed, &sample, isolate.now, &mut isolate.rng);
    assert_eq!(isolate.health.score(0, AnswerKind::Whole, isolate.now), Some(400.0));
    let snapshot = &isolate.health.snapshot(isolate.now)[0];
    assert_eq!(snapshot.tokens_per_second, Some(50.0), "80 tokens in the 1.6 s after the first");
    let (one, two) = (isolate.begin(), isolate.begin());
    assert_eq!(isolate.health.score(0, AnswerKind::Whole, isolate.now), Some(1_200.0));
    isolate.end(one, Outcome::Abandoned);
    isolate.end(two, Outcome::Abandoned);
    assert_eq!(isolate.health.score(0, AnswerKind::Whole, isolate.now), Some(400.0));
    // An answer in one piece counts with its whole time, and a timeout with the time that was lost.
    let whole = isolate.begin();
    isolate.wait(ms(700));
    isolate.end(whole, Outcome::Served);
    assert_eq!(isolate.health.score(0, AnswerKind::Whole, isolate.now), Some(700.0));
    let hung = isolate.begin();
    isolate.wait(ms(9_000));
    isolate.end(hung, Outcome::failed(Timeout, None));
    assert_eq!(isolate.health.score(0, AnswerKind::Whole, isolate.now), Some(9_000.0));
    assert_eq!(isolate.health.score(1, AnswerKind::Whole, isolate.now), None, "cold");
    let snapshot = &isolate.health.snapshot(isolate.now)[0];
    assert_eq!((snapshot.latency_ms, snapshot.first_token_ms), (Some(9_000.0), None));
}

#[test]
fn administrators_drain_enable_and_reset() {
    let mut isolate = Isolate::new(1);
    isolate.health.drain(0);
    assert_eq!(
        isolate.refusal(),
        Refusal { until: None, reason: Reason::Drained, is_probing: false, may_be_forced: false }
    );
    assert!(isolate.share().abs() < 1e-9);
    isolate.trip();
    isolate.health.enable(0);
    assert!(isolate.refusal().until.is_some(), "to enable is not to forget");
    let under_way = isolate.begin();
    isolate.health.drain(0);
    isolate.health.reset(0, isolate.now);
    assert_eq!(isolate.refusal().reason, Reason::Drained, "to forget is not to enable");
    isolate.health.enable(0);
    assert_eq!(isolate.admission(), Admission::Open);
    assert_eq!(isolate.health.in_flight(0, isolate.now), 1);
    isolate.end(under_way, Outcome::Served);
    assert_eq!(isolate.health.in_flight(0, isolate.now), 0);
}

#[test]
fn the_snapshot_tells_everything_and_survives_the_wire() {
    let mut isolate = Isolate::new(2);
    let positions = |isolate: &Isolate| isolate.health.snapshot(isolate.now)[0].gate.state;
    assert_eq!(positions(&isolate), GatePosition::Closed);
    isolate.try_with(Responses, &Sample::of(Outcome::failed(NotFound, None)));
    isolate.trip();
    assert_eq!(positions(&isolate), GatePosition::Open);
    isolate.sit_out();
    let _probe = isolate.begin();
    assert_eq!(positions(&isolate), GatePosition::Probation);
    isolate.health.drain(0);
    assert_eq!(positions(&isolate), GatePosition::Drained);
    isolate.health.enable(0);
    let snapshot = isolate.health.snapshot(isolate.now);
    insta::assert_snapshot!(serde_json::to_string_pretty(&snapshot[0]).unwrap(), @r#"
    {
      "gate": {
        "state": "probation",
        "until": null,
        "reason": {
          "kind": "consecutive_failures",
          "failures": 5,
          "class": "unavailable"
        },
        "why": "5 failures in a row, the last: unavailable"
      },
      "missing": [
        [
          "responses",
          {
            "state": "open",
            "until": 1767225900000,
            "reason": {
              "kind": "not_found",
              "operation": "responses"
            },
            "why": "the deployment is not there or does not offer responses"
          }
        ]
      ],
      "share": 0.0,
      "in_flight": 1,
      "consecutive_failures": 5,
      "successes": 0,
      "failures": 5,
      "latency_ms": null,
      "first_token_ms": null,
      "tokens_per_second": null,
      "headroom": null,
      "last_error": {
        "class": "unavailable",
        "at": 1767225600000
      },
      "leased": false,
      "wanted": false,
      "overdue": false
    }
    "#);
}

#[test]
fn classes_and_operations_keep_their_names_on_the_wire() {
    for class in ErrorClass::ALL {
        assert_eq!(serde_json::to_value(class).unwrap(), class.name());
    }
    for operation in Operation::ALL {
        assert_eq!(serde_json::to_value(operation).unwrap(), operation.path());
    }
}

#[test]
fn deployments_of_another_graph_change_nothing() {
    let mut isolate = Isolate::new(0);
    isolate.trip();
    isolate.health.drain(0);
    isolate.health.enable(0);
    isolate.health.reset(0, isolate.now);
    assert_eq!(isolate.admission(), Admission::Open);
    assert_eq!(isolate.health.snapshot(isolate.now), []);
}
