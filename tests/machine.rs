//! The machine of one request, driven in virtual time. Tables and stories test what each setting
//! does. Properties test what holds for every graph and every script of outcomes.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, reason = "each of the test files uses a part of it")]
mod graphs;
#[allow(dead_code, reason = "each of the test files uses a part of it")]
mod times;

use std::rc::Rc;
use times::{at, ms};

use graphs::{Builder, Isolate, facts};
use proptest::prelude::*;
use switchyard::attempt::failure::Failure;
use switchyard::attempt::machine::{Action, Machine, MachineEvent, Reply};
use switchyard::attempt::phase::Phase;
use switchyard::routes::graph::{
    Destination, Disabled, Graph, Node, Policy, Requirements, Retry, Strategy as Order,
};
use switchyard::vocabulary::error_class::{ErrorClass, Triggers};
use switchyard::vocabulary::facts::Facts;
use switchyard::vocabulary::time::{Instant, Millis};

/// What happens in one attempt.
#[derive(Debug, Clone)]
enum Does {
    Answer,
    Fail(ErrorClass, Option<Millis>),
    /// The client leaves during the attempt.
    Leave,
}

/// What is visible outside the machine.
#[derive(Debug, Default)]
struct Seen {
    /// The names of the deployments in the order of dispatch, with the time of each dispatch.
    dispatched: Vec<(String, Instant)>,
    sleeps: Vec<Millis>,
    replies: Vec<Reply>,
    trail: String,
}

impl Seen {
    fn names(&self) -> Vec<&str> {
        self.dispatched.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// Runs a request against a script. Each attempt takes `took_ms` and ends as the script says. After
/// the end of the script, every attempt is answered.
fn run(
    graph: &Rc<Graph>,
    entry: &Rc<Node>,
    facts: Facts,
    script: &[Does],
    took_ms: Millis,
    seed: u64,
) -> Seen {
    let mut isolate = Isolate::new(graph, seed);
    let mut now: Instant = at(1_000_000);
    let mut script = script.iter();
    let mut report = Seen::default();
    let (mut machine, mut action) =
        Machine::start(Rc::clone(graph), Rc::new(facts), entry, &mut isolate.context(now));
    for _ in 0..10_000 {
        let event = match action {
            Action::Dispatch(dispatch) => {
                report.dispatched.push((dispatch.deployment.name.clone(), now));
                now += took_ms;
                let number = dispatch.number;
                match script.next() {
                    None | Some(Does::Answer) => MachineEvent::Committed { number, status: 200 },
                    Some(Does::Fail(class, hint_ms)) => {
                        let failure = Failure { hint_ms: *hint_ms, ..Failure::silent(*class, "scripted") };
                        MachineEvent::Failed { number, failure }
                    }
                    Some(Does::Leave) => MachineEvent::ClientLeft,
                }
            }
            Action::Wait => panic!("nothing is under way: {report:?}"),
            Action::Sleep { ms } => {
                report.sleeps.push(ms);
                now += ms;
                MachineEvent::SleepElapsed
            }
            Action::Reply(reply) => {
                report.replies.push(reply);
                MachineEvent::SleepElapsed
            }
            Action::Stop => {
                report.trail = machine.trail().text();
                return report;
            }
        };
        action = machine.on(event, &mut isolate.context(now));
    }
    panic!("the machine does not stop: {report:?}");
}

fn fails(class: ErrorClass) -> Does {
    Does::Fail(class, None)
}

#[test]
fn a_failure_that_another_deployment_can_cure_moves_on_and_others_do_not() {
    for (class, moves_on) in [
        (ErrorClass::RateLimit, true),
        (ErrorClass::Quota, true),
        (ErrorClass::Unavailable, true),
        (ErrorClass::Timeout, true),
        (ErrorClass::Connection, true),
        (ErrorClass::Auth, true),
        (ErrorClass::NotFound, true),
        (ErrorClass::Truncated, true),
        (ErrorClass::ContextWindow, false),
        (ErrorClass::ContentPolicy, false),
        (ErrorClass::BadRequest, false),
    ] {
        let mut build = Builder::new(&["a", "b"]);
        let entry = build.node(Order::Priority, &["a", "b"]);
        let graph = build.graph();
        let seen = run(&graph, &entry, facts(), &[fails(class)], ms(10), 1);
        let expected: (&[&str], _) =
            if moves_on { (&["a", "b"], Reply::Pass) } else { (&["a"], Reply::Exhausted) };
        assert_eq!((seen.names().as_slice(), seen.replies[0]), expected, "{class:?}");
        assert_eq!(seen.sleeps, [], "moving on never waits");
    }
}

#[test]
fn the_nearest_fallback_on_decides_by_class_or_by_status() {
    let mut build = Builder::new(&["a", "b", "c"]);
    let only = |class| Some(Triggers { classes: vec![class], statuses: Vec::new() });
    let inner = build.node_with(Order::Priority, &["a", "b"], |node| {
        node.policy.fallback_on = only(ErrorClass::RateLimit);
    });
    let entry = build.over(Order::Priority, vec![Destination::Node(inner), build.deployment("c")], |_| {});
    let graph = build.graph();
    // The inner node stops at a timeout, but the outer node does not.
    assert_eq!(run(&graph, &entry, facts(), &[fails(ErrorClass::Timeout)], ms(1), 1).names(), ["a", "c"]);
    assert_eq!(run(&graph, &entry, facts(), &[fails(ErrorClass::RateLimit)], ms(1), 1).names(), ["a", "b"]);
}

#[test]
fn an_edge_leads_a_class_elsewhere_and_outer_edges_catch_what_inner_nodes_do_not() {
    let mut build = Builder::new(&["small", "mini", "long", "other"]);
    let split = build.node(Order::Priority, &["small", "mini"]);
    let long = build.deployment("long");
    let entry =
        build.over(Order::Priority, vec![Destination::Node(split), build.deployment("other")], |node| {
            node.on = vec![(ErrorClass::ContextWindow, long)];
        });
    let graph = build.graph();
    let seen = run(&graph, &entry, facts(), &[fails(ErrorClass::ContextWindow)], ms(1), 1);
    assert_eq!(
        (seen.names().as_slice(), seen.replies.as_slice()),
        (&["small", "long"][..], &[Reply::Pass][..])
    );
    // An edge is taken once. After a failure behind it, the request does not return to the targets
    // before the edge.
    let twice = [fails(ErrorClass::ContextWindow), fails(ErrorClass::ContextWindow)];
    let seen = run(&graph, &entry, facts(), &twice, ms(1), 1);
    assert_eq!(
        (seen.names().as_slice(), seen.replies.as_slice()),
        (&["small", "long"][..], &[Reply::Exhausted][..])
    );
}

#[test]
fn an_edge_of_the_settings_catches_what_no_node_caught() {
    let mut build = Builder::new(&["a", "long"]);
    let entry = build.node(Order::Priority, &["a"]);
    let long = build.deployment("long");
    build.settings.on = vec![(ErrorClass::ContextWindow, long)];
    let graph = build.graph();
    let twice = [fails(ErrorClass::ContextWindow), fails(ErrorClass::ContextWindow)];
    assert_eq!(run(&graph, &entry, facts(), &twice, ms(1), 1).names(), ["a", "long"]);
}

#[test]
fn an_edge_of_the_settings_does_not_lead_past_what_the_entry_requires() {
    for (quality, expected) in [(2, &["a"][..]), (3, &["a", "long"][..])] {
        let mut build = Builder::new(&["a", "long"]);
        build.edit("a", |deployment| deployment.quality = 3);
        build.edit("long", |deployment| deployment.quality = quality);
        let entry = build.node_with(Order::Priority, &["a"], |node| node.requirements.min_quality = 3);
        let long = build.deployment("long");
        build.settings.on = vec![(ErrorClass::ContextWindow, long)];
        let graph = build.graph();
        let twice = [fails(ErrorClass::ContextWindow), fails(ErrorClass::ContextWindow)];
        assert_eq!(run(&graph, &entry, facts(), &twice, ms(1), 1).names(), expected);
    }
}

#[test]
fn a_deployment_that_failed_is_not_tried_again_by_another_path() {
    let mut build = Builder::new(&["a", "b"]);
    let first = build.node(Order::Priority, &["a", "b"]);
    let second = build.node(Order::Priority, &["b", "a"]);
    let entry =
        build.over(Order::Priority, vec![Destination::Node(first), Destination::Node(second)], |_| {});
    build.settings.max_attempts = 10;
    let graph = build.graph();
    let script = vec![fails(ErrorClass::Auth); 9];
    assert_eq!(run(&graph, &entry, facts(), &script, ms(1), 1).names(), ["a", "b"]);
}

#[test]
fn the_last_target_alone_gets_a_second_try_after_a_backoff() {
    let mut build = Builder::new(&["a", "b"]);
    let entry = build.node(Order::Priority, &["a", "b"]);
    let graph = build.graph();
    let seen = run(&graph, &entry, facts(), &vec![fails(ErrorClass::Unavailable); 9], ms(1), 1);
    assert_eq!(seen.names(), ["a", "b", "b"]);
    assert_eq!(seen.sleeps.len(), 1, "and no sleep after the last attempt");
    assert!((ms(250)..=ms(500)).contains(&seen.sleeps[0]), "{:?}", seen.sleeps);
    // A class that time does not cure gets no second attempt.
    let seen = run(&graph, &entry, facts(), &vec![fails(ErrorClass::Quota); 9], ms(1), 1);
    assert_eq!((seen.names().as_slice(), seen.sleeps.len()), (&["a", "b"][..], 0));
}

#[test]
fn a_configured_retry_stays_on_its_target_as_often_as_it_says() {
    let mut build = Builder::new(&["a", "b"]);
    let entry = build.node_with(Order::Priority, &["a", "b"], |node| {
        node.policy.retry = Some(Retry {
            states_on: true,
            on: Triggers { classes: vec![ErrorClass::Unavailable], statuses: Vec::new() },
            attempts: 1,
            backoff_ms: ms(100),
            max_backoff_ms: ms(100),
            max_wait_ms: ms(500),
            before_fallback_ms: Millis::ZERO,
        });
    });
    let graph = build.graph();
    let down = fails(ErrorClass::Unavailable);
    // The retry is immediate while another target is left, and waits for a backoff if none is left.
    let seen = run(&graph, &entry, facts(), &vec![down.clone(); 9], ms(1), 1);
    assert_eq!((seen.names().as_slice(), seen.sleeps.len()), (&["a", "a", "b", "b"][..], 1));
    // With a class that `retry` does not list, the request moves on at once.
    let seen = run(&graph, &entry, facts(), &[fails(ErrorClass::Timeout)], ms(1), 1);
    assert_eq!((seen.names().as_slice(), seen.sleeps.len()), (&["a", "b"][..], 0));
    // The request does not wait for a hint while another target is left.
    let seen = run(&graph, &entry, facts(), &[Does::Fail(ErrorClass::Unavailable, Some(ms(5)))], ms(1), 1);
    assert_eq!((seen.names().as_slice(), seen.sleeps.len()), (&["a", "b"][..], 0));
    // At the last target, the request waits exactly for a hint of at most `max_wait_ms`. It does
    // not wait for a longer hint.
    for (hint_ms, tries, sleeps) in [(500, 3, vec![ms(500)]), (501, 2, vec![])] {
        let script = [fails(ErrorClass::Timeout), Does::Fail(ErrorClass::Unavailable, Some(ms(hint_ms)))];
        let seen = run(&graph, &entry, facts(), &script, ms(1), 1);
        assert_eq!((seen.names().len(), seen.sleeps), (tries, sleeps));
    }
}

/// How long the first attempt of a request may be silent, in milliseconds from its start, and the
/// limit that is the reason.
fn patience_of_the_first_attempt(graph: &Rc<Graph>, entry: &Rc<Node>) -> (Millis, &'static str) {
    let mut isolate = Isolate::new(graph, 1);
    let (_, action) =
        Machine::start(Rc::clone(graph), Rc::new(facts()), entry, &mut isolate.context(at(1_000)));
    let Action::Dispatch(dispatch) = action else { panic!("{action:?}") };
    let limit = dispatch.limits.of(Phase::Headers, at(1_000));
    (limit.at - at(1_000), limit.kind.name())
}

#[test]
fn a_silent_attempt_leaves_time_for_what_could_be_tried_after_it_and_for_nothing_else() {
    let first = |make: &dyn Fn(&mut Builder) -> Rc<Node>| {
        let mut build = Builder::new(&["a", "b", "off"]);
        build.settings.deadline_ms = ms(1_000);
        build.edit("off", |deployment| deployment.disabled = Some(Disabled { variable: "KEY".to_owned() }));
        let entry = make(&mut build);
        patience_of_the_first_attempt(&build.graph(), &entry)
    };
    let none = |node: &mut Node| node.policy.fallback_on = Some(Triggers::default());
    assert_eq!(first(&|build| build.node(Order::Priority, &["a", "b"])), (ms(500), "share"));
    assert_eq!(first(&|build| build.node(Order::Priority, &["a"])), (ms(1_000), "deadline"));
    assert_eq!(first(&|build| build.node(Order::Priority, &["a", "off"])), (ms(1_000), "deadline"));
    assert_eq!(first(&|build| build.node_with(Order::Priority, &["a", "b"], none)), (ms(1_000), "deadline"));
    let over = |build: &mut Builder, inner: &[&str], outer: &str, change: &dyn Fn(&mut Node)| {
        let inner = build.node_with(Order::Priority, inner, |node| change(node));
        let outer = build.deployment(outer);
        build.over(Order::Priority, vec![Destination::Node(inner), outer], |_| {})
    };
    // The same deployment on another path is not a further target.
    assert_eq!(first(&|build| over(build, &["a"], "a", &|_| {})), (ms(1_000), "deadline"));
    // A limit of attempts on an inner node does not hide the targets outside it. A deadline on an
    // inner node binds the targets inside it.
    assert_eq!(
        first(&|build| over(build, &["a"], "b", &|node| node.max_attempts = Some(1))),
        (ms(500), "share")
    );
    assert_eq!(
        first(&|build| over(build, &["a"], "b", &|node| node.deadline_ms = Some(ms(300)))),
        (ms(300), "deadline")
    );
    // The deadline of a node starts when the request enters the node. It takes no time from earlier
    // targets.
    let siblings = |build: &mut Builder| {
        let left = build.node(Order::Priority, &["a"]);
        let right = build.node_with(Order::Priority, &["b"], |node| node.deadline_ms = Some(ms(100)));
        build.over(Order::Priority, vec![Destination::Node(left), Destination::Node(right)], |_| {})
    };
    assert_eq!(first(&siblings), (ms(500), "share"));
    // An edge for timeouts leads to a further target.
    let edge = |build: &mut Builder| {
        let to = build.deployment("b");
        build.node_with(Order::Priority, &["a"], |node| node.on = vec![(ErrorClass::Timeout, to)])
    };
    assert_eq!(first(&edge), (ms(500), "share"));
}

#[test]
fn a_retry_uses_up_nobodys_turn() {
    let mut build = Builder::new(&["down", "x", "y"]);
    let turns = build.node(Order::RoundRobin, &["x", "y"]);
    let down = build.deployment("down");
    let entry = build.over(Order::Priority, vec![down, Destination::Node(turns)], |node| {
        node.policy.retry = Some(Retry { attempts: 1, ..Retry::default() });
    });
    let graph = build.graph();
    let mut isolate = Isolate::new(&graph, 1);
    let mut served = Vec::new();
    for _ in 0..4 {
        // Health is reset between requests. An ejected deployment would not be tried again.
        isolate.health.reset(0, at(0));
        let mut context = isolate.context(at(0));
        let (mut machine, _) = Machine::start(Rc::clone(&graph), Rc::new(facts()), &entry, &mut context);
        for number in [1, 2] {
            let failure = Failure::silent(ErrorClass::Unavailable, "");
            machine.on(MachineEvent::Failed { number, failure }, &mut context);
        }
        served.push(machine.trail().attempts().last().unwrap().deployment.name.clone());
    }
    assert_eq!(
        (served[0] == served[2], served[1] == served[3], served[0] == served[1]),
        (true, true, false),
        "{served:?}"
    );
}

#[test]
fn limits_of_an_outer_node_bind_the_inner_ones_and_inner_ones_only_themselves() {
    let mut build = Builder::new(&["a", "b", "c", "d"]);
    let inner = build.node_with(Order::Priority, &["a", "b", "c"], |node| node.max_attempts = Some(2));
    let entry = build.over(Order::Priority, vec![Destination::Node(inner), build.deployment("d")], |node| {
        node.max_attempts = Some(3);
    });
    let graph = build.graph();
    assert_eq!(
        run(&graph, &entry, facts(), &vec![fails(ErrorClass::Quota); 9], ms(1), 1).names(),
        ["a", "b", "d"]
    );
}

#[test]
fn a_deadline_ends_a_request_and_the_clients_patience_shortens_it() {
    for (deadline_ms, patience_ms, attempts) in
        [(1000, None, 3), (1000, Some(ms(150)), 2), (99, None, 1), (100, None, 1)]
    {
        let mut build = Builder::new(&["a", "b", "c"]);
        let entry = build
            .node_with(Order::Priority, &["a", "b", "c"], |node| node.deadline_ms = Some(ms(deadline_ms)));
        let graph = build.graph();
        let facts = Facts { patience_ms, ..facts() };
        let seen = run(&graph, &entry, facts, &vec![fails(ErrorClass::Quota); 9], ms(100), 1);
        assert_eq!(seen.dispatched.len(), attempts, "{deadline_ms} ms, patience {patience_ms:?}");
        let expected = if attempts == 3 { Reply::Exhausted } else { Reply::DeadlineExceeded };
        assert_eq!(seen.replies, [expected]);
    }
}

#[test]
fn requirements_are_never_crossed_in_fallback_either() {
    let mut build = Builder::new(&["good", "cheap"]);
    build.edit("good", |deployment| {
        deployment.quality = 3;
        deployment.tags = vec!["eu".to_owned()];
    });
    let entry = build.node_with(Order::Priority, &["cheap", "good"], |node| {
        node.requirements = Requirements { min_quality: 3, require_tags: vec!["eu".to_owned()] };
    });
    let graph = build.graph();
    let seen = run(&graph, &entry, facts(), &vec![fails(ErrorClass::Quota); 9], ms(1), 1);
    assert_eq!((seen.names().as_slice(), seen.replies.as_slice()), (&["good"][..], &[Reply::Exhausted][..]));
}

#[test]
fn where_nothing_may_be_tried_the_reply_says_so() {
    let mut build = Builder::new(&["a"]);
    let entry = build.node_with(Order::Priority, &["a"], |node| node.requirements.min_quality = 1);
    let graph = build.graph();
    let seen = run(&graph, &entry, facts(), &[], ms(1), 1);
    assert_eq!((seen.names().len(), seen.replies.as_slice()), (0, &[Reply::NoneEligible][..]));
}

#[test]
fn a_body_that_is_sent_once_makes_one_attempt() {
    let mut build = Builder::new(&["a", "b"]);
    let entry = build.node(Order::Priority, &["a", "b"]);
    let graph = build.graph();
    let facts = Facts { is_replayable: false, ..facts() };
    let seen = run(&graph, &entry, facts, &vec![fails(ErrorClass::Unavailable); 9], ms(1), 1);
    assert_eq!((seen.names().as_slice(), seen.sleeps.len()), (&["a"][..], 0));
}

#[test]
fn a_client_that_leaves_ends_the_request_and_is_no_failure() {
    let mut build = Builder::new(&["a", "b"]);
    let entry = build.node(Order::Priority, &["a", "b"]);
    let graph = build.graph();
    let seen = run(&graph, &entry, facts(), &[fails(ErrorClass::Timeout), Does::Leave], ms(7), 1);
    assert_eq!((seen.replies.len(), seen.trail.as_str()), (0, "a=timeout;7, b=abandoned;7"));
}

#[test]
fn after_a_failure_the_draw_is_repeated_among_what_is_left() {
    let mut build = Builder::new(&["a", "b", "c"]);
    let entry = build.weighted(&[("a", 60.0), ("b", 30.0), ("c", 10.0)]);
    let graph = build.graph();
    let (mut first_a, mut then_b) = (0.0_f64, 0.0_f64);
    for seed in 0..20_000 {
        let seen = run(&graph, &entry, facts(), &[fails(ErrorClass::Quota)], ms(1), seed);
        if seen.names()[0] == "a" {
            first_a += 1.0;
            then_b += if seen.names()[1] == "b" { 1.0 } else { 0.0 };
        }
    }
    // Three standard deviations of a binomial draw.
    let near = |seen: f64, of: f64, share: f64| {
        (seen / of - share).abs() < 3.0 * (share * (1.0 - share) / of).sqrt()
    };
    assert!(near(first_a, 20_000.0, 0.6), "{first_a} of 20000 began with a");
    assert!(near(then_b, first_a, 0.75), "{then_b} of {first_a} went on with b");
}

fn any_class() -> impl Strategy<Value = ErrorClass> {
    proptest::sample::select(ErrorClass::ALL.to_vec())
}

fn any_script() -> impl Strategy<Value = Vec<Does>> {
    let does = prop_oneof![
        8 => (any_class(), proptest::option::of(0..20_000_u64)).prop_map(|(class, hint)| Does::Fail(class, hint.map(ms))),
        1 => Just(Does::Answer),
        1 => Just(Does::Leave),
    ];
    proptest::collection::vec(does, 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_request_on_every_graph_keeps_the_invariants(
        recipe in graphs::recipe(),
        script in any_script(),
        took_ms in 0..40_000_u64,
        patience_ms in proptest::option::of(0..200_000_u64),
        is_replayable: bool,
        seed: u64,
    ) {
        let (graph, entry) = recipe.build();
        let facts = Facts { patience_ms: patience_ms.map(ms), is_replayable, ..facts() };
        let begun: Instant = at(1_000_000);
        let seen = run(&graph, &entry, facts, &script, ms(took_ms), seed);

        let allowed = entry.max_attempts.unwrap_or(graph.settings.max_attempts).min(if is_replayable { u32::MAX } else { 1 });
        prop_assert!(seen.dispatched.len() <= allowed as usize, "{} of {allowed} attempts", seen.dispatched.len());

        let deadline = begun + entry.deadline_ms.unwrap_or(graph.settings.deadline_ms).min(ms(patience_ms.unwrap_or(u64::MAX)));
        for (name, tried_at) in &seen.dispatched {
            prop_assert!(*tried_at < deadline, "{name} was tried at {tried_at}, after {deadline}");
            let deployment = graph.deployments.iter().find(|deployment| &deployment.name == name).unwrap();
            prop_assert!(deployment.disabled.is_none(), "{name} is disabled");
            for required in [&graph.settings.requirements, &entry.requirements] {
                prop_assert!(deployment.quality >= required.min_quality, "{name} is not good enough");
                prop_assert!(required.require_tags.iter().all(|tag| deployment.tags.contains(tag)), "{name} lacks a tag");
            }
        }

        let mut left: Vec<&str> = Vec::new();
        for pair in seen.names().windows(2) {
            if pair[0] != pair[1] {
                left.push(pair[0]);
            }
            prop_assert!(!left.contains(&pair[1]), "{} came back: {:?}", pair[1], seen.names());
        }

        let client_left = script.iter().take(seen.dispatched.len()).any(|does| matches!(does, Does::Leave));
        prop_assert_eq!(seen.replies.len(), usize::from(!client_left), "exactly one reply, or none to a client that left");
        prop_assert_eq!(seen.replies.first() == Some(&Reply::NoneEligible), seen.dispatched.is_empty() && !client_left);
        // Every sleep is followed by another attempt.
        prop_assert!(seen.sleeps.len() < seen.dispatched.len().max(1));
    }

    #[test]
    fn nothing_sleeps_while_another_candidate_is_left(
        count in 2_usize..6,
        script in any_script(),
        attempts in 0..4_u32,
        seed: u64,
    ) {
        let names: Vec<String> = (0..count).map(|index| format!("d{index}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut build = Builder::new(&names);
        let entry = build.node_with(Order::Random, &names, |node| {
            let all = || Triggers::of(|_| true);
            let retry = Retry { on: all(), attempts, ..Retry::default() };
            node.policy = Policy { fallback_on: Some(all()), retry: Some(retry), ..Policy::default() };
        });
        build.settings.max_attempts = 100;
        let graph = build.graph();
        let seen = run(&graph, &entry, facts(), &script, ms(1), seed);
        let mut tried: Vec<&str> = seen.names();
        tried.dedup();
        prop_assert!(seen.sleeps.is_empty() || tried.len() == count, "slept after {tried:?} of {count}");
    }
}
