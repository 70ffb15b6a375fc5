//! The health of an isolate, from what was shown of it.

use proptest::prelude::*;
use switchyard::health::{AnswerKind, Health, Outcome, Sample, Snapshot};
use switchyard::routes::graph::RateLimits;
use switchyard::vocabulary::error_class::ErrorClass;
use switchyard::vocabulary::operation::Operation;
use switchyard::vocabulary::rng::SplitMix64;
use switchyard::vocabulary::time::Instant;

use crate::times::ms;

const START: Instant = Instant::from_epoch_ms(1_767_225_600_000);

fn health() -> Health {
    Health::new([("d@1", RateLimits::default())])
}

/// Something that happens to a deployment.
#[derive(Debug, Clone)]
enum Event {
    Attempt(Operation, AnswerKind, Outcome, u64),
    Begin,
    Drain,
    Enable,
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let operation = prop_oneof![Just(Operation::ChatCompletions), Just(Operation::Embeddings)];
    let kind = prop_oneof![Just(AnswerKind::Whole), Just(AnswerKind::Stream)];
    let class = proptest::sample::select(ErrorClass::ALL.to_vec());
    let outcome = prop_oneof![
        2 => Just(Outcome::Served),
        3 => (class, proptest::option::of(0_u64..90_000))
            .prop_map(|(class, hint)| Outcome::failed(class, hint.map(ms))),
    ];
    prop_oneof![
        6 => (operation, kind, outcome, 0_u64..3_000).prop_map(|(operation, kind, outcome, took)| {
            Event::Attempt(operation, kind, outcome, took)
        }),
        1 => Just(Event::Begin),
        1 => Just(Event::Drain),
        1 => Just(Event::Enable),
        2 => (0_u64..20_000).prop_map(Event::Pass),
    ]
}

/// The same numbers, as far as JSON keeps them.
fn is_near(one: Option<f64>, other: Option<f64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => (one - other).abs() <= one.abs() * 1e-9,
        (None, None) => true,
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_snapshot_restores_the_state_that_it_shows(events in prop::collection::vec(event(), 0..20), seed: u64) {
        let (mut health, mut now, mut rng) = (health(), START, SplitMix64::new(seed));
        for event in events {
            match event {
                Event::Attempt(operation, kind, outcome, took) => {
                    let ticket = health.begin(0, operation, kind, 10, now);
                    now += ms(took);
                    health.record(ticket, &Sample::of(outcome), now, &mut rng);
                }
                Event::Begin => drop(health.begin(0, Operation::ChatCompletions, AnswerKind::Whole, 10, now)),
                Event::Drain => health.drain(0),
                Event::Enable => health.enable(0),
                Event::Pass(pause) => now += ms(pause),
            }
        }
        let shown = health.snapshot(now).remove(0);
        let read: Snapshot = serde_json::from_str(&serde_json::to_string(&shown).unwrap()).unwrap();
        let restored = self::health().restored([(0, &read)], false, now);
        let again = restored.snapshot(now).remove(0);
        for (one, other) in [
            (Some(shown.share), Some(again.share)),
            (shown.latency_ms, again.latency_ms),
            (shown.first_token_ms, again.first_token_ms),
            (shown.tokens_per_second, again.tokens_per_second),
            (shown.headroom, again.headroom),
        ] {
            prop_assert!(is_near(one, other), "{:?} {:?}", shown, again);
        }
        let rounded = Snapshot {
            share: shown.share,
            latency_ms: shown.latency_ms,
            first_token_ms: shown.first_token_ms,
            tokens_per_second: shown.tokens_per_second,
            headroom: shown.headroom,
            wanted: shown.wanted,
            ..again
        };
        prop_assert_eq!(&rounded, &shown);
        for operation in [Operation::ChatCompletions, Operation::Embeddings] {
            prop_assert_eq!(restored.admission(0, operation, now), health.admission(0, operation, now));
        }
        // The ejection of a drained deployment is not shown. Nothing is tried there.
        prop_assert!(health.is_drained(0) || restored.is_failing(0) == health.is_failing(0));
    }
}

#[test]
fn a_lease_and_an_overdue_probe_are_restored() {
    let mut health = health();
    let ticket = health.begin(0, Operation::ChatCompletions, AnswerKind::Whole, 10, START);
    let limited = Outcome::failed(ErrorClass::RateLimit, Some(ms(2_000)));
    health.record(ticket, &Sample::of(limited), START, &mut SplitMix64::new(1));
    let now = START + ms(2_500);
    let shown = health.snapshot(now).remove(0);
    assert_eq!(shown.gate.until, None, "its ejection is over");
    let admitted = |leased, overdue, has_shard| {
        let snapshot = Snapshot { leased, overdue, ..shown.clone() };
        let restored = self::health().restored([(0, &snapshot)], has_shard, now);
        assert_eq!(restored.snapshot(now)[0].leased, leased);
        !matches!(
            restored.admission(0, Operation::ChatCompletions, now),
            switchyard::health::gate::Admission::Refused(_)
        )
    };
    assert!(admitted(false, false, false), "it decides about its probes itself");
    assert!(!admitted(false, false, true), "the shard decides");
    assert!(admitted(true, false, true) && admitted(false, true, true));
}
