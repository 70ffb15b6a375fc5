//! Hedges: a second attempt that runs beside the first.

use switchyard::attempt::machine::{Action, MachineEvent, Reply};
use switchyard::routes::graph::{Destination, Hedge, HedgeAfter, Node, Strategy as Order};
use switchyard::vocabulary::error_class::ErrorClass;
use switchyard::vocabulary::facts::Facts;

use crate::graphs::{Builder, facts};
use crate::here::{Here, dispatched};
use crate::times::ms;

fn hedged(after: HedgeAfter, max_share: f64) -> Here {
    Here::of(&["slow", "quick", "third"], |node| node.policy.hedge = Some(Hedge { after, max_share }))
}

#[test]
fn a_hedge_starts_when_the_first_attempt_is_late_and_the_first_answer_counts() {
    for winner in [1, 2] {
        let mut here = hedged(HedgeAfter::Ms(ms(300)), 1.0);
        let (mut machine, action) = here.start(facts());
        let first = dispatched(action);
        assert_eq!(first.hedge_after_ms, Some(ms(300)));
        here.now += ms(300);
        let second = dispatched(here.on(&mut machine, MachineEvent::HedgeDelayElapsed));
        assert_eq!(
            (second.deployment.name.as_str(), second.number, second.hedge_after_ms),
            ("quick", 2, None)
        );
        here.now += ms(50);
        let action = here.on(&mut machine, MachineEvent::Committed { number: winner, status: 200 });
        assert!(matches!(action, Action::Reply(Reply::Pass)));
        let served =
            if winner == 1 { "slow=200;350, quick=abandoned;50" } else { "slow=abandoned;350, quick=200;50" };
        assert_eq!(machine.trail().text(), served);
        assert_eq!(machine.trail().upstream_ms(), ms(350), "the time of both counts once");
        // The attempt that loses ends at once, and it does not count as a failure.
        assert_eq!(here.in_flight(), 1);
        assert!(
            here.isolate
                .health
                .snapshot(here.now)
                .iter()
                .all(|seen| seen.failures == 0 && seen.last_error.is_none())
        );
    }
}

#[test]
fn where_one_of_the_two_fails_the_other_is_waited_for() {
    for (fails, then) in [(1, 2), (2, 1)] {
        let mut here = hedged(HedgeAfter::Ms(ms(300)), 1.0);
        let (mut machine, _) = here.start(facts());
        here.on(&mut machine, MachineEvent::HedgeDelayElapsed);
        let action = here.fails(&mut machine, fails, ErrorClass::Unavailable);
        assert!(matches!(action, Action::Wait), "{action:?}");
        // If the other attempt fails too, the request tries the target that is left.
        let third = dispatched(here.fails(&mut machine, then, ErrorClass::Unavailable));
        assert_eq!((third.deployment.name.as_str(), third.hedge_after_ms), ("third", None));
        here.on(&mut machine, MachineEvent::Committed { number: third.number, status: 200 });
        assert_eq!(here.in_flight(), 1);
    }
}

#[test]
fn what_leaves_something_behind_is_never_hedged() {
    for facts in [Facts { has_side_effects: true, ..facts() }, Facts { is_replayable: false, ..facts() }] {
        let mut here = hedged(HedgeAfter::Ms(ms(300)), 1.0);
        let (_, action) = here.start(facts);
        assert_eq!(dispatched(action).hedge_after_ms, None);
    }
}

#[test]
fn no_more_requests_are_hedged_than_their_share() {
    let mut here = hedged(HedgeAfter::Ms(ms(300)), 0.05);
    let mut hedges = 0;
    for _ in 0..1_000 {
        here.now += ms(10);
        let (mut machine, _) = here.start(facts());
        if let Action::Dispatch(hedge) = here.on(&mut machine, MachineEvent::HedgeDelayElapsed) {
            assert_eq!(hedge.number, 2);
            hedges += 1;
        }
        here.on(&mut machine, MachineEvent::Committed { number: 1, status: 200 });
    }
    assert_eq!(hedges, 50);
}

#[test]
fn a_percentile_needs_samples_and_then_follows_them() {
    let mut here = hedged(HedgeAfter::Percentile(95), 1.0);
    let (mut machine, action) = here.start(facts());
    assert_eq!(dispatched(action).hedge_after_ms, None, "nothing is usual yet");
    here.on(&mut machine, MachineEvent::ClientLeft);
    for took_ms in 1..=100 {
        let (mut machine, action) = here.start(facts());
        let number = dispatched(action).number;
        here.now += ms(took_ms);
        here.on(&mut machine, MachineEvent::Committed { number, status: 200 });
    }
    let (_, action) = here.start(facts());
    // The percentile covers the last 64 samples, which took 37 to 100 ms.
    let after_ms = dispatched(action).hedge_after_ms.unwrap();
    assert!((ms(95)..=ms(98)).contains(&after_ms), "{after_ms}");
}

#[test]
fn a_hedge_waits_for_the_usual_time_of_its_kind_of_answer() {
    let mut here = hedged(HedgeAfter::Percentile(95), 1.0);
    let of_kind = |is_streamed| Facts { is_streamed, ..facts() };
    let after_ms = |here: &mut Here, is_streamed| {
        let (mut machine, action) = here.start(of_kind(is_streamed));
        here.on(&mut machine, MachineEvent::ClientLeft);
        dispatched(action).hedge_after_ms
    };
    let serve = |here: &mut Here, is_streamed, took_ms| {
        for _ in 0..20 {
            let (mut machine, action) = here.start(of_kind(is_streamed));
            here.now += took_ms;
            let number = dispatched(action).number;
            here.on(&mut machine, MachineEvent::Committed { number, status: 200 });
        }
    };
    serve(&mut here, false, ms(3_000));
    assert_eq!([after_ms(&mut here, false), after_ms(&mut here, true)], [Some(ms(3_000)), None]);
    serve(&mut here, true, ms(200));
    assert_eq!([after_ms(&mut here, false), after_ms(&mut here, true)], [Some(ms(3_000)), Some(ms(200))]);
}

#[test]
fn a_hedge_stays_below_its_node_and_within_every_limit() {
    let outside = |change: &dyn Fn(&mut Node)| {
        let mut build = Builder::new(&["a", "b", "outside"]);
        let inner = build.node_with(Order::Priority, &["a", "b"], |node| {
            node.policy.hedge = Some(Hedge { after: HedgeAfter::Ms(ms(1)), max_share: 1.0 });
            change(node);
        });
        let other = build.deployment("outside");
        let entry = build.over(Order::Priority, vec![Destination::Node(inner), other], |_| {});
        Here::new(build, entry)
    };
    let hedge = |here: &mut Here| {
        let (mut machine, _) = here.start(facts());
        match here.on(&mut machine, MachineEvent::HedgeDelayElapsed) {
            Action::Dispatch(dispatch) => Some(dispatch.deployment.name.clone()),
            _ => None,
        }
    };
    assert_eq!(hedge(&mut outside(&|_| {})).as_deref(), Some("b"));
    assert_eq!(hedge(&mut outside(&|node| node.max_attempts = Some(1))), None);
    // A hedge does not go to another node beside its own node.
    let mut build = Builder::new(&["a", "b"]);
    let [one, two] = ["a", "b"].map(|name| {
        build.node_with(Order::Priority, &[name], |node| {
            node.policy.hedge = Some(Hedge { after: HedgeAfter::Ms(ms(1)), max_share: 1.0 });
        })
    });
    let entry = build.over(Order::Priority, vec![Destination::Node(one), Destination::Node(two)], |_| {});
    assert_eq!(hedge(&mut Here::new(build, entry)), None);
    let mut here = outside(&|_| {});
    here.eject(1, ErrorClass::Quota, None);
    assert_eq!(hedge(&mut here), None, "what is left stands outside of the node");
    let mut here = outside(&|_| {});
    let (mut machine, _) = here.start(facts());
    here.now += ms(600_000);
    assert!(
        matches!(here.on(&mut machine, MachineEvent::HedgeDelayElapsed), Action::Wait),
        "the deadline has passed"
    );
}

#[test]
fn a_request_is_hedged_once() {
    let mut here = hedged(HedgeAfter::Ms(ms(300)), 1.0);
    let (mut machine, _) = here.start(facts());
    dispatched(here.on(&mut machine, MachineEvent::HedgeDelayElapsed));
    assert!(matches!(here.on(&mut machine, MachineEvent::HedgeDelayElapsed), Action::Wait));
}

#[test]
fn a_client_that_leaves_ends_both_attempts() {
    let mut here = hedged(HedgeAfter::Ms(ms(300)), 1.0);
    let (mut machine, _) = here.start(facts());
    here.on(&mut machine, MachineEvent::HedgeDelayElapsed);
    assert_eq!(here.in_flight(), 2);
    here.on(&mut machine, MachineEvent::ClientLeft);
    assert_eq!(here.in_flight(), 0);
    assert_eq!(machine.trail().text(), "slow=abandoned;0, quick=abandoned;0");
}
