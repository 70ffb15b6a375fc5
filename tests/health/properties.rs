//! Properties that hold for every history of one isolate.

use proptest::prelude::*;
use switchyard::health::gate::{Admission, GatePosition, Transition};
use switchyard::health::{AnswerKind, Outcome, Sample, Ticket};
use switchyard::vocabulary::error_class::ErrorClass::{self, *};
use switchyard::vocabulary::operation::Operation::ChatCompletions as Chat;
use switchyard::vocabulary::rng::SplitMix64;
use switchyard::vocabulary::time::{Instant, Millis};

use crate::isolate::Isolate;
use crate::times::{at, ms};

/// One step of a random history.
#[derive(Debug, Clone)]
enum Step {
    Wait(Millis),
    Begin,
    /// Ends the nth attempt in flight.
    End(usize, Outcome),
    Commit(usize),
}

/// All classes that concern the gate of a whole deployment.
const CLASSES: [ErrorClass; 10] = [
    RateLimit,
    Quota,
    Unavailable,
    Timeout,
    Connection,
    Auth,
    ContextWindow,
    ContentPolicy,
    BadRequest,
    Truncated,
];

fn outcomes() -> impl Strategy<Value = Outcome> {
    let hints = prop_oneof![Just(None), (0u64..400_000).prop_map(|hint| Some(ms(hint)))];
    prop_oneof![
        2 => Just(Outcome::Served),
        1 => Just(Outcome::Abandoned),
        5 => (prop::sample::select(CLASSES.to_vec()), hints)
            .prop_map(|(class, hint_ms)| Outcome::failed(class, hint_ms)),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        // The sum of all waits is shorter than the longest time of a probe.
        2 => (0u64..590).prop_map(|wait| Step::Wait(ms(wait))),
        3 => Just(Step::Begin),
        4 => (0usize..8, outcomes()).prop_map(|(nth, outcome)| Step::End(nth, outcome)),
        1 => (0usize..8).prop_map(Step::Commit),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn gates_keep_their_promises_in_every_history(steps in steps(), seed in any::<u64>()) {
        let mut isolate = Isolate::new(1);
        isolate.rng = SplitMix64::new(seed);
        let mut under_way: Vec<Ticket> = Vec::new();
        let mut began: Vec<Instant> = Vec::new();
        // The index of the attempt that is the probe.
        let mut probing: Option<usize> = None;
        let mut ejected_until = at(0);
        for step in steps {
            let mut changes = Vec::new();
            match step {
                Step::Wait(ms) => isolate.now += ms,
                Step::Begin => {
                    let is_closed = isolate.admission() == Admission::Open;
                    let ticket = isolate.begin();
                    prop_assert_eq!(ticket.is_probe(), !is_closed && probing.is_none());
                    if ticket.is_probe() {
                        probing = Some(under_way.len());
                    }
                    under_way.push(ticket);
                    began.push(isolate.now);
                }
                Step::End(nth, outcome) if nth < under_way.len() => {
                    changes = isolate.end(under_way.remove(nth), outcome);
                    began.remove(nth);
                    probing = probing.filter(|at| *at != nth).map(|at| if at > nth { at - 1 } else { at });
                }
                Step::Commit(nth) if nth < under_way.len() => {
                    changes = isolate.health.on_commit(&mut under_way[nth], isolate.now);
                }
                Step::End(..) | Step::Commit(_) => {}
            }
            for change in changes {
                match change.transition {
                    Transition::Recovered => (probing, ejected_until) = (None, at(0)),
                    Transition::Ejected { until, .. } => {
                        prop_assert!(until > isolate.now && until <= isolate.now + ms(300_000));
                    }
                }
            }
            let gate = &isolate.health.snapshot(isolate.now)[0].gate;
            prop_assert!(gate.until.is_none_or(|until| until > isolate.now), "it ended in the past");
            let has_ended = ejected_until <= isolate.now;
            prop_assert!(has_ended || gate.until >= Some(ejected_until), "an ejection was shortened");
            ejected_until = gate.until.unwrap_or(ejected_until);
            prop_assert_eq!(gate.state == GatePosition::Probation, probing.is_some());
            let in_flight = isolate.health.in_flight(0, isolate.now) as usize;
            let young = began.iter().filter(|began_at| isolate.now - **began_at < ms(108_000)).count();
            prop_assert!((young..=under_way.len()).contains(&in_flight));
            prop_assert!((0.0..=1.0).contains(&isolate.share()));
        }
    }

    // Each attempt commits first and breaks later. Other attempts may do anything in between.
    #[test]
    fn five_answers_that_break_after_their_commit_eject_in_whatever_order_they_do(
        order in Just([0, 0, 1, 1, 2, 2, 3, 3, 4, 4].to_vec()).prop_shuffle(),
        waits in prop::collection::vec(0u64..50, 10),
    ) {
        let mut isolate = Isolate::new(1);
        isolate.attempt(Outcome::Served);
        let mut under_way: Vec<Option<Ticket>> = (0..5).map(|_| Some(isolate.begin())).collect();
        let mut has_committed = [false; 5];
        for (nth, wait_ms) in order.into_iter().zip(waits) {
            isolate.wait(ms(wait_ms));
            if has_committed[nth] {
                prop_assert_eq!(isolate.admission(), Admission::Open);
                let broken = Outcome::failed(Truncated, None);
                isolate.end(under_way[nth].take().unwrap(), broken);
            } else {
                isolate.health.on_commit(under_way[nth].as_mut().unwrap(), isolate.now);
                has_committed[nth] = true;
            }
        }
        prop_assert!(isolate.admission() != Admission::Open);
    }

    #[test]
    fn after_recovery_the_share_only_grows(waits in prop::collection::vec(0u64..3_000, 1..30)) {
        let mut isolate = Isolate::new(1);
        isolate.trip().sit_out().attempt(Outcome::Served);
        let mut share = isolate.share();
        for wait_ms in waits {
            isolate.wait(ms(wait_ms));
            prop_assert!(isolate.share() >= share);
            share = isolate.share();
        }
    }

    #[test]
    fn no_clock_and_no_history_break_it(
        times in prop::collection::vec((any::<u64>(), outcomes(), any::<Option<u64>>(), any::<Option<u64>>()), 0..40),
    ) {
        let mut isolate = Isolate::new(1);
        for (now, outcome, first_token_ms, output_tokens) in times {
            let ticket = isolate.health.begin(0, Chat, AnswerKind::Whole, now, isolate.now);
            isolate.now = at(now);
            let sample = Sample { first_token_ms: first_token_ms.map(ms), output_tokens, ..Sample::of(outcome) };
            isolate.health.record(ticket, &sample, at(now), &mut isolate.rng);
            prop_assert!(isolate.health.score(0, AnswerKind::Whole, at(now)).is_none_or(|score| score.is_finite() && score >= 0.0));
            prop_assert!((0.0..=1.0).contains(&isolate.share()));
            isolate.health.snapshot(at(now));
        }
    }
}
