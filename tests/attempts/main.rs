//! How a request uses the health of deployments: which ones it skips, what it does when all are
//! ejected, how many further attempts it may make, and, in [`hedges`], when it hedges.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, reason = "each of the test files uses a part of it")]
#[path = "../graphs/mod.rs"]
mod graphs;
mod hedges;
mod here;
#[allow(dead_code, reason = "each of the test files uses a part of it")]
#[path = "../times/mod.rs"]
mod times;

use std::rc::Rc;
use times::ms;

use graphs::{Builder, Isolate, facts};
use here::{Here, NOW, dispatched};
use proptest::prelude::*;
use switchyard::attempt::failure::Failure;
use switchyard::attempt::machine::{Action, Dispatch, Machine, MachineEvent, Reply};
use switchyard::attempt::walk::{Obstacle, obstacles};
use switchyard::health::gate::GatePosition;
use switchyard::health::reason::Reason;
use switchyard::health::{Outcome, Sample};
use switchyard::routes::graph::{Destination, Retry, Strategy as Order, WhenAllEjected};
use switchyard::routes::when::Condition;
use switchyard::vocabulary::error_class::ErrorClass;
use switchyard::vocabulary::facts::Facts;
use switchyard::vocabulary::time::{Instant, Millis};

#[test]
fn after_five_failures_requests_go_straight_to_the_next_one() {
    let mut here = Here::of(&["down", "up"], |_| {});
    let down = |name: &str| (name == "down").then_some(ErrorClass::Unavailable);
    for _ in 0..5 {
        assert_eq!(here.request(down), (vec!["down".to_owned(), "up".to_owned()], Reply::Pass));
    }
    for _ in 0..50 {
        assert_eq!(here.request(down), (vec!["up".to_owned()], Reply::Pass));
    }
    // The ejection has ended. One request probes the deployment for all other requests.
    here.now += ms(10_000);
    assert_eq!(here.request(down).0, ["down", "up"]);
    assert_eq!(here.request(down).0, ["up"]);
    assert_eq!(here.in_flight(), 0);
}

#[test]
fn while_a_probe_is_under_way_the_others_go_elsewhere() {
    let mut here = Here::of(&["a", "b"], |_| {});
    here.eject(0, ErrorClass::RateLimit, Some(ms(2_000)));
    here.now += ms(2_000);
    let (mut probe, action) = here.start(facts());
    let probing = dispatched(action);
    assert_eq!(probing.deployment.name, "a");
    for _ in 0..20 {
        assert_eq!(here.request(|_| None).0, ["b"]);
    }
    here.on(&mut probe, MachineEvent::Committed { number: probing.number, status: 200 });
    here.now += ms(10_000);
    assert_eq!(here.request(|_| None).0, ["a"], "it has passed with its first byte");
}

#[test]
fn a_probe_whose_client_leaves_makes_room_for_the_next() {
    let mut here = Here::of(&["a", "b"], |_| {});
    here.eject(0, ErrorClass::RateLimit, Some(ms(2_000)));
    here.now += ms(2_000);
    let (mut probe, _) = here.start(facts());
    here.on(&mut probe, MachineEvent::ClientLeft);
    assert_eq!(here.request(|_| None).0, ["a"]);
}

#[test]
fn where_all_are_ejected_the_soonest_to_return_is_probed_by_one_request_at_a_time() {
    let mut here = Here::of(&["late", "soon"], |_| {});
    here.eject(0, ErrorClass::RateLimit, Some(ms(60_000)));
    here.eject(1, ErrorClass::RateLimit, Some(ms(20_000)));
    let (mut first, action) = here.start(facts());
    assert_eq!(dispatched(action).deployment.name, "soon");
    // The next request probes the other deployment, because no probe is under way there.
    let (mut second, action) = here.start(facts());
    assert_eq!(dispatched(action).deployment.name, "late");
    assert_eq!(here.request(|_| None), (Vec::new(), Reply::NoneEligible));
    for machine in [&mut first, &mut second] {
        here.fails(machine, 1, ErrorClass::BadRequest);
    }
    assert_eq!(here.request(|_| None).1, Reply::Pass, "both have answered");
}

#[test]
fn where_all_are_ejected_and_the_document_says_fail_nothing_is_tried() {
    let mut here = Here::of(&["a", "b"], |node| node.policy.when_all_ejected = Some(WhenAllEjected::Fail));
    here.eject(0, ErrorClass::RateLimit, Some(ms(60_000)));
    here.eject(1, ErrorClass::RateLimit, Some(ms(20_000)));
    assert_eq!(here.request(|_| None), (Vec::new(), Reply::NoneEligible));
    let found = obstacles(&here.graph, &Rc::new(facts()), &here.entry, &here.isolate.health, NOW + ms(5_000));
    let left: Vec<Option<Millis>> =
        found.iter().map(|obstacle| obstacle.ends_in_ms(NOW + ms(5_000))).collect();
    assert_eq!(left, [Some(ms(55_000)), Some(ms(15_000))], "the time that is truly left");
    assert_eq!(
        found[1],
        Obstacle::Ejected {
            until: Some(NOW + ms(20_000)),
            reason: Reason::RateLimited { hint_ms: Some(ms(20_000)) }
        }
    );
}

#[test]
fn the_nearest_setting_says_what_to_do_when_all_are_ejected() {
    let mut build = Builder::new(&["a", "b"]);
    build.settings.policy.when_all_ejected = Some(WhenAllEjected::Fail);
    let inner = build.node_with(Order::Priority, &["b"], |node| {
        node.policy.when_all_ejected = Some(WhenAllEjected::Probe);
    });
    let a = build.deployment("a");
    let entry = build.over(Order::Priority, vec![a, Destination::Node(inner)], |_| {});
    let mut here = Here::new(build, entry);
    here.eject(0, ErrorClass::RateLimit, Some(ms(2_000)));
    here.eject(1, ErrorClass::RateLimit, Some(ms(60_000)));
    assert_eq!(here.request(|_| None).0, ["b"], "a would be sooner, but must not be probed");
}

#[test]
fn where_the_one_that_may_have_an_object_is_ejected_others_that_do_not_know_it_have_not_the_last_word() {
    for (is_ejected, expected) in [(true, Reply::NoneEligible), (false, Reply::Exhausted)] {
        let mut build = Builder::new(&["a", "b"]);
        let entry = build.node_with(Order::Priority, &["a", "b"], |node| {
            node.policy.when_all_ejected = Some(WhenAllEjected::Fail);
        });
        let mut here = Here::new(build, entry);
        if is_ejected {
            here.eject(0, ErrorClass::RateLimit, Some(ms(60_000)));
        }
        let (mut machine, mut action) = here.start(facts());
        while let Action::Dispatch(dispatch) = action {
            let failure = Failure { is_unknown_object: true, ..Failure::silent(ErrorClass::BadRequest, "") };
            action = here.on(&mut machine, MachineEvent::Failed { number: dispatch.number, failure });
        }
        assert!(matches!(action, Action::Reply(reply) if reply == expected), "{action:?}");
    }
}

#[test]
fn a_drained_deployment_is_never_a_last_resort() {
    let mut here = Here::of(&["a"], |_| {});
    here.isolate.health.drain(0);
    assert_eq!(here.request(|_| None), (Vec::new(), Reply::NoneEligible));
    let found = obstacles(&here.graph, &Rc::new(facts()), &here.entry, &here.isolate.health, NOW);
    assert_eq!(found[0].ends_in_ms(NOW), None);
}

#[test]
fn an_ejected_deployment_is_a_last_resort_after_failures_as_well() {
    let mut here = Here::of(&["a", "b"], |_| {});
    here.eject(1, ErrorClass::RateLimit, Some(ms(60_000)));
    let down = |name: &str| (name == "a").then_some(ErrorClass::Unavailable);
    // The retry of the last target comes first.
    assert_eq!(here.request(down), (vec!["a".into(), "a".into(), "b".into()], Reply::Pass));
}

#[test]
fn a_provisioned_deployment_that_is_full_for_moments_spills_over_and_is_asked_again() {
    let mut here = Here::of(&["ptu", "payg"], |_| {});
    for _ in 0..1_000 {
        let (mut machine, action) = here.start(facts());
        let first = dispatched(action);
        assert_eq!(first.deployment.name, "ptu");
        let failure = Failure { hint_ms: Some(ms(40)), ..Failure::silent(ErrorClass::RateLimit, "") };
        let action = here.on(&mut machine, MachineEvent::Failed { number: first.number, failure });
        let second = dispatched(action);
        assert_eq!(second.deployment.name, "payg", "however many: it is no retry");
        here.on(&mut machine, MachineEvent::Committed { number: second.number, status: 200 });
    }
}

#[test]
fn a_missing_operation_ejects_that_operation_alone() {
    let mut here = Here::of(&["a", "b"], |_| {});
    let missing = |name: &str| (name == "a").then_some(ErrorClass::NotFound);
    assert_eq!(here.request(missing).0, ["a", "b"]);
    assert_eq!(here.request(missing).0, ["b"]);
    let embeddings = Facts { operation: switchyard::vocabulary::operation::Operation::Embeddings, ..facts() };
    let (_, action) = here.start(embeddings);
    assert_eq!(dispatched(action).deployment.name, "a");
}

/// Runs `count` requests, ten a second. Returns the number of attempts and the number of failures
/// that clients see.
fn outage(here: &mut Here, count: u32, does: impl Fn(&str) -> Option<ErrorClass> + Copy) -> (usize, u32) {
    let (mut calls, mut failed) = (0, 0);
    for _ in 0..count {
        here.now += ms(100);
        let now = here.now;
        let (asked, reply) = here.request(does);
        here.now = now;
        calls += asked.len();
        failed += u32::from(reply != Reply::Pass);
    }
    (calls, failed)
}

#[test]
fn in_a_full_outage_upstreams_get_hardly_more_calls_than_there_are_requests() {
    let mut here = Here::of(&["a", "b", "c"], |_| {});
    let (calls, _) = outage(&mut here, 1_000, |_| Some(ErrorClass::Unavailable));
    assert!(calls <= 1_200, "{calls}");
    assert_eq!(here.in_flight(), 0);
}

#[test]
fn a_spent_retry_budget_ends_a_request_before_another_deployment_that_fails_and_not_before_one_that_works() {
    for (fails_too, asked) in [(true, vec!["a"]), (false, vec!["a", "b"])] {
        let mut here = Here::of(&["a", "b"], |_| {});
        while here.isolate.budgets.try_retry(&here.entry, NOW) {}
        if fails_too {
            here.eject(1, ErrorClass::Truncated, None);
        }
        let a_fails = |name: &str| (name == "a").then_some(ErrorClass::Unavailable);
        assert_eq!(here.request(a_fails).0, asked, "{fails_too}");
    }
    // The same holds for a retry of the same deployment.
    let mut here = Here::of(&["a"], |node| {
        node.policy.retry = Some(Retry { attempts: 3, ..Retry::default() });
    });
    while here.isolate.budgets.try_retry(&here.entry, NOW) {}
    assert_eq!(here.request(|_| Some(ErrorClass::Unavailable)), (vec!["a".to_owned()], Reply::Exhausted));
}

#[test]
fn a_spent_retry_budget_keeps_nobody_from_a_deployment_that_works() {
    // The deployment that works comes after a retry of the same deployment, or after another
    // deployment that fails.
    let retry = || Some(Retry { attempts: 1, ..Retry::default() });
    for (names, failing, retry) in [
        (vec!["a", "c"], vec![], retry()),
        (vec!["a", "b", "c"], vec![1], None),
        (vec!["a", "b", "c"], vec![1], retry()),
    ] {
        let mut here = Here::of(&names, |node| node.policy.retry = retry);
        while here.isolate.budgets.try_retry(&here.entry, NOW) {}
        for id in failing {
            here.eject(id, ErrorClass::Truncated, None);
        }
        let all_but_c = |name: &str| (name != "c").then_some(ErrorClass::Unavailable);
        assert_eq!(here.request(all_but_c), (vec!["a".to_owned(), "c".to_owned()], Reply::Pass), "{names:?}");
    }
}

#[test]
fn who_wakes_to_find_the_deployment_taken_out_goes_to_what_has_come_back() {
    let mut here = Here::of(&["a", "b"], |_| {});
    here.eject(1, ErrorClass::RateLimit, Some(ms(3_000)));
    let (mut machine, action) = here.start(facts());
    let number = dispatched(action).number;
    let failure = Failure { hint_ms: Some(ms(3_000)), ..Failure::silent(ErrorClass::RateLimit, "") };
    let action = here.on(&mut machine, MachineEvent::Failed { number, failure });
    assert!(matches!(action, Action::Sleep { .. }), "{action:?}");
    here.eject(0, ErrorClass::RateLimit, Some(ms(60_000)));
    here.now += ms(4_000);
    assert_eq!(dispatched(here.on(&mut machine, MachineEvent::SleepElapsed)).deployment.name, "b");
}

#[test]
fn the_rest_of_an_ejection_is_reported_for_those_that_could_serve() {
    let mut build = Builder::new(&["other-case", "case", "off"]);
    let (other, case) = (build.deployment("other-case"), build.deployment("case"));
    let off = build.deployment("off");
    let holds = |holds: bool| if holds { Condition::All(Vec::new()) } else { Condition::Any(Vec::new()) };
    let inner = build.over(Order::Match(vec![holds(false), holds(true)].into()), vec![other, case], |_| {});
    let entry =
        build.over(Order::Priority, vec![Destination::Node(inner), off], |node| node.targets[1].weight = 0.0);
    let mut here = Here::new(build, entry);
    for (id, hint_ms) in [(0, 2_000), (1, 200_000), (2, 3_000)] {
        here.eject(id, ErrorClass::RateLimit, Some(ms(hint_ms)));
    }
    let found = obstacles(&here.graph, &Rc::new(facts()), &here.entry, &here.isolate.health, NOW);
    let left: Vec<Option<Millis>> = found.iter().map(|obstacle| obstacle.ends_in_ms(NOW)).collect();
    assert_eq!(left, [Some(ms(200_000))]);
}

#[test]
fn one_healthy_deployment_serves_everybody_however_many_fail_over_at_once() {
    let mut here = Here::of(&["down", "up"], |_| {});
    // A new isolate gets a thousand requests at once, before it knows anything about a deployment.
    let mut machines: Vec<(Machine, Dispatch)> = (0..1_000)
        .map(|_| {
            let (machine, action) = here.start(facts());
            (machine, dispatched(action))
        })
        .collect();
    for (machine, dispatch) in &mut machines {
        let next = dispatched(here.fails(machine, dispatch.number, ErrorClass::Connection));
        assert_eq!(next.deployment.name, "up");
        *dispatch = next;
    }
    for (mut machine, dispatch) in machines {
        let action = here.on(&mut machine, MachineEvent::Committed { number: dispatch.number, status: 200 });
        assert!(matches!(action, Action::Reply(Reply::Pass)));
    }
}

/// One step of several requests that run in the same isolate.
#[derive(Debug, Clone)]
enum Step {
    Wait(Millis),
    Start {
        has_side_effects: bool,
    },
    /// The first number selects a request, the second number selects one of its attempts.
    Answer(usize, usize),
    Fail(usize, usize, ErrorClass, Option<Millis>),
    Late(usize),
    Leave(usize),
    Drain(usize),
    Enable(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let class = || proptest::sample::select(ErrorClass::ALL.to_vec());
    let hint = proptest::option::of(0..30_000_u64);
    let step = prop_oneof![
        3 => prop_oneof![0..500_u64, 1_000..20_000_u64].prop_map(|wait| Step::Wait(ms(wait))),
        4 => any::<bool>().prop_map(|has_side_effects| Step::Start { has_side_effects }),
        4 => any::<(usize, usize)>().prop_map(|(one, two)| Step::Answer(one, two)),
        5 => (any::<usize>(), any::<usize>(), class(), hint).prop_map(|(one, two, class, hint)| Step::Fail(one, two, class, hint.map(ms))),
        3 => any::<usize>().prop_map(Step::Late),
        1 => any::<usize>().prop_map(Step::Leave),
        1 => (0..6_usize).prop_map(Step::Drain),
        2 => (0..6_usize).prop_map(Step::Enable),
    ];
    proptest::collection::vec(step, 1..120)
}

/// A request in progress, as its driver sees it.
struct Driven {
    machine: Machine,
    /// The numbers of the attempts that were dispatched and have not ended.
    open: Vec<u32>,
    wakes_at: Option<Instant>,
    has_side_effects: bool,
}

proptest! {
    #[test]
    fn whatever_becomes_of_many_requests_at_once_each_is_answered_once_and_gives_everything_back(
        recipe in graphs::recipe(),
        steps in steps(),
    ) {
        let (graph, entry) = recipe.build();
        let isolate = Isolate::new(&graph, 1);
        let mut here = Here { graph, entry, isolate, now: NOW };
        let mut requests: Vec<Driven> = Vec::new();
        for step in steps {
            let events: Vec<(usize, MachineEvent)> = match step {
                Step::Wait(ms) => {
                    here.now += ms;
                    let woken = |request: &Driven| request.wakes_at.is_some_and(|at| at <= here.now);
                    (0..requests.len()).filter(|index| woken(&requests[*index])).map(|index| (index, MachineEvent::SleepElapsed)).collect()
                }
                Step::Start { has_side_effects } => {
                    let (machine, action) = here.start(Facts { has_side_effects, ..facts() });
                    let mut request = Driven { machine, open: Vec::new(), wakes_at: None, has_side_effects };
                    if !obey(&mut request, action, &here)? {
                        requests.push(request);
                    }
                    Vec::new()
                }
                Step::Drain(id) => {
                    here.isolate.health.drain(id);
                    Vec::new()
                }
                Step::Enable(id) => {
                    here.isolate.health.enable(id);
                    Vec::new()
                }
                _ if requests.is_empty() => Vec::new(),
                Step::Leave(which) => vec![(which % requests.len(), MachineEvent::ClientLeft)],
                Step::Late(which) if requests[which % requests.len()].open.is_empty() => Vec::new(),
                Step::Late(which) => vec![(which % requests.len(), MachineEvent::HedgeDelayElapsed)],
                Step::Answer(which, attempt) | Step::Fail(which, attempt, ..) => {
                    let which = which % requests.len();
                    let open = &requests[which].open;
                    if open.is_empty() {
                        continue;
                    }
                    let number = open[attempt % open.len()];
                    vec![(which, match step {
                        Step::Fail(_, _, class, hint_ms) => {
                            let failure = Failure { hint_ms, ..Failure::silent(class, "") };
                            MachineEvent::Failed { number, failure }
                        }
                        _ => MachineEvent::Committed { number, status: 200 },
                    })]
                }
            };
            for (index, event) in events.into_iter().rev() {
                let mut request = requests.swap_remove(index);
                if let MachineEvent::Failed { number, .. } | MachineEvent::Committed { number, .. } = &event {
                    request.open.retain(|open| open != number);
                }
                let action = here.on(&mut request.machine, event);
                request.wakes_at = None;
                if obey(&mut request, action, &here)? {
                    if let Some(ticket) = request.machine.take_ticket() {
                        let sample = Sample::of(Outcome::Served);
                        here.isolate.health.record(ticket, &sample, here.now, &mut here.isolate.rng);
                    }
                } else {
                    requests.push(request);
                }
            }
        }
        for mut request in requests {
            here.on(&mut request.machine, MachineEvent::ClientLeft);
            prop_assert!(request.machine.take_ticket().is_none());
        }
        prop_assert_eq!(here.in_flight(), 0);
    }
}

/// Does what the action says. Returns whether it was the last action of the request.
fn obey(request: &mut Driven, action: Action, here: &Here) -> Result<bool, TestCaseError> {
    match action {
        Action::Dispatch(dispatch) => {
            let admission = here.isolate.health.snapshot(here.now)[dispatch.deployment.id].gate.state;
            prop_assert!(admission != GatePosition::Drained, "drained");
            request.open.push(dispatch.number);
            prop_assert!(
                request.open.len() <= if request.has_side_effects { 1 } else { 2 },
                "too many at once"
            );
        }
        Action::Wait => prop_assert!(!request.open.is_empty(), "nothing to wait for"),
        Action::Sleep { ms } => {
            prop_assert!(request.open.is_empty(), "asleep beside an attempt");
            request.wakes_at = Some(here.now + ms);
        }
        Action::Reply(reply) => {
            let has_served = request.machine.trail().serving().is_some();
            prop_assert_eq!(reply == Reply::Pass, has_served);
            return Ok(true);
        }
        Action::Stop => return Ok(true),
    }
    Ok(false)
}
