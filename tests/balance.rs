//! Which deployment is tried first, by what is known about the deployments. Strategies, gates,
//! headroom and stickiness are tested together, as the machine uses them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "tests"
)]

#[allow(dead_code, reason = "each of the test files uses a part of it")]
mod graphs;
#[allow(dead_code, reason = "each of the test files uses a part of it")]
mod times;

use std::collections::BTreeMap;
use std::rc::Rc;
use times::ms;

use graphs::{Builder, Isolate, facts};
use switchyard::attempt::machine::{Action, Machine, MachineEvent};
use switchyard::health::headroom::Headroom;
use switchyard::health::{AnswerKind, Outcome, Sample};
use switchyard::routes::affinity_key::AffinityKey;
use switchyard::routes::graph::{Commit, Destination, Graph, Node, Sticky, Strategy as Order};
use switchyard::vocabulary::error_class::ErrorClass;
use switchyard::vocabulary::facts::Facts;
use switchyard::vocabulary::headers::Headers;
use switchyard::vocabulary::operation::Operation::ChatCompletions;
use switchyard::vocabulary::time::{Instant, Millis};

const NOW: Instant = Instant::from_epoch_ms(1_000_000_000);
const DAY_MS: Millis = Millis::new(86_400_000);

/// The deployment that a new request tries first. The request stays in flight.
fn first(
    graph: &Rc<Graph>,
    entry: &Rc<Node>,
    facts: Facts,
    isolate: &mut Isolate,
    now: Instant,
) -> (String, Machine) {
    let (machine, action) =
        Machine::start(Rc::clone(graph), Rc::new(facts), entry, &mut isolate.context(now));
    let Action::Dispatch(dispatch) = action else { panic!("{action:?}") };
    (dispatch.deployment.name.clone(), machine)
}

/// How often each deployment is the first of `count` requests. Each request ends before the next
/// one starts.
fn firsts(
    graph: &Rc<Graph>,
    entry: &Rc<Node>,
    isolate: &mut Isolate,
    now: Instant,
    count: u32,
) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    for _ in 0..count {
        let (name, mut machine) = first(graph, entry, facts(), isolate, now);
        machine.on(MachineEvent::ClientLeft, &mut isolate.context(now));
        *found.entry(name).or_default() += 1;
    }
    found
}

/// Records that a request at the deployment `id` took `ms` milliseconds.
fn took(isolate: &mut Isolate, id: usize, ms: Millis) {
    let ticket = isolate.health.begin(id, ChatCompletions, AnswerKind::Whole, 0, NOW - ms);
    isolate.health.record(ticket, &Sample::of(Outcome::Served), NOW, &mut isolate.rng);
}

fn fails(isolate: &mut Isolate, id: usize, class: ErrorClass, hint_ms: Option<Millis>, now: Instant) {
    let ticket = isolate.health.begin(id, ChatCompletions, AnswerKind::Whole, 0, now);
    let sample = Sample::of(Outcome::failed(class, hint_ms));
    isolate.health.record(ticket, &sample, now, &mut isolate.rng);
}

fn near(actual: Option<&u32>, of: u32, share: f64) -> bool {
    (f64::from(*actual.unwrap_or(&0)) / f64::from(of) - share).abs() < 0.03
}

#[test]
fn of_two_that_chance_picks_the_faster_one_is_asked() {
    let mut build = Builder::new(&["slow", "fast", "middle"]);
    let entry = build.node(Order::Latency, &["slow", "fast", "middle"]);
    let graph = build.graph();
    let mut isolate = Isolate::new(&graph, 1);
    for (id, took_ms) in [(0, 900), (1, 100), (2, 300)] {
        took(&mut isolate, id, ms(took_ms));
    }
    let found = firsts(&graph, &entry, &mut isolate, NOW, 3_000);
    // All pairs are equally likely. The fastest deployment wins two of the three pairs, and the
    // slowest wins none.
    assert!(near(found.get("fast"), 3_000, 2.0 / 3.0), "{found:?}");
    assert!(near(found.get("middle"), 3_000, 1.0 / 3.0), "{found:?}");
    assert_eq!(found.get("slow"), None);
}

#[test]
fn requests_under_way_make_the_fast_one_slower_in_the_end() {
    let mut build = Builder::new(&["fast", "slow"]);
    let entry = build.node(Order::Latency, &["fast", "slow"]);
    let graph = build.graph();
    let mut isolate = Isolate::new(&graph, 1);
    took(&mut isolate, 0, ms(100));
    took(&mut isolate, 1, ms(350));
    let names: Vec<String> = (0..6).map(|_| first(&graph, &entry, facts(), &mut isolate, NOW).0).collect();
    // The scores are 100, 200 and 300. The next one would be 400, which is more than 350.
    assert_eq!(names, ["fast", "fast", "fast", "slow", "fast", "fast"]);
}

#[test]
fn who_was_never_measured_gets_a_fair_start_and_no_stampede() {
    let mut build = Builder::new(&["known", "new"]);
    let entry = build.node(Order::Latency, &["known", "new"]);
    let graph = build.graph();
    let mut isolate = Isolate::new(&graph, 1);
    took(&mut isolate, 0, ms(100));
    let found = firsts(&graph, &entry, &mut isolate, NOW, 2_000);
    assert!(near(found.get("new"), 2_000, 0.5), "{found:?}");
    // The requests stay in flight: the new deployment gets as many as the known one.
    let mut at_new = 0;
    for _ in 0..100 {
        at_new += u32::from(first(&graph, &entry, facts(), &mut isolate, NOW).0 == "new");
    }
    assert_eq!(at_new, 50);
    // If nothing is known about any deployment, the choice is random.
    let found = firsts(&graph, &entry, &mut Isolate::new(&graph, 2), NOW, 2_000);
    assert!(near(found.get("new"), 2_000, 0.5), "{found:?}");
}

#[test]
fn the_least_busy_is_counted_at_selection() {
    let mut build = Builder::new(&["a", "b", "c"]);
    let entry = build.node(Order::LeastBusy, &["a", "b", "c"]);
    let graph = build.graph();
    let mut isolate = Isolate::new(&graph, 1);
    // Ten requests start at the same moment. None of them has an answer yet.
    for _ in 0..10 {
        first(&graph, &entry, facts(), &mut isolate, NOW);
    }
    let mut in_flight: Vec<u32> = (0..3).map(|id| isolate.health.in_flight(id, NOW)).collect();
    in_flight.sort_unstable();
    assert_eq!(in_flight, [3, 3, 4]);
}

#[test]
fn the_equally_busy_share_by_weight() {
    let mut build = Builder::new(&["a", "b"]);
    let entry = build.node_with(Order::LeastBusy, &["a", "b"], |node| node.targets[0].weight = 3.0);
    let graph = build.graph();
    let found = firsts(&graph, &entry, &mut Isolate::new(&graph, 1), NOW, 4_000);
    assert!(near(found.get("a"), 4_000, 0.75), "{found:?}");
}

#[test]
fn a_node_counts_as_the_best_that_is_not_ejected_below_it() {
    let mut build = Builder::new(&["near", "far", "other"]);
    let inner = build.node(Order::Priority, &["near", "far"]);
    let other = build.deployment("other");
    let entry = build.over(Order::Latency, vec![other, Destination::Node(inner)], |_| {});
    let graph = build.graph();
    let mut isolate = Isolate::new(&graph, 1);
    for (id, took_ms) in [(0, 100), (1, 900), (2, 300)] {
        took(&mut isolate, id, ms(took_ms));
    }
    assert_eq!(first(&graph, &entry, facts(), &mut isolate, NOW).0, "near");
    let mut isolate = Isolate::new(&graph, 1);
    for (id, took_ms) in [(0, 100), (1, 900), (2, 300)] {
        took(&mut isolate, id, ms(took_ms));
    }
    fails(&mut isolate, 0, ErrorClass::Quota, None, NOW);
    assert_eq!(
        first(&graph, &entry, facts(), &mut isolate, NOW).0,
        "other",
        "900 is what is left of the node"
    );
}

#[test]
fn shares_are_right_among_those_that_are_not_ejected() {
    for strategy in [Order::Weighted, Order::Priority] {
        let mut build = Builder::new(&["a", "b", "c"]);
        let entry = build.node_with(strategy, &["a", "b", "c"], |node| {
            for (target, weight) in node.targets.iter_mut().zip([70.0, 20.0, 10.0]) {
                target.weight = weight;
                target.priority = 1;
            }
        });
        let graph = build.graph();
        let mut isolate = Isolate::new(&graph, 1);
        fails(&mut isolate, 0, ErrorClass::RateLimit, Some(ms(60_000)), NOW);
        let found = firsts(&graph, &entry, &mut isolate, NOW, 6_000);
        assert_eq!(found.get("a"), None);
        assert!(near(found.get("b"), 6_000, 2.0 / 3.0), "{found:?}");
    }
}

#[test]
fn a_deployment_without_headroom_steps_back_below_every_strategy() {
    for strategy in [
        Order::Priority,
        Order::Weighted,
        Order::RoundRobin,
        Order::Random,
        Order::Latency,
        Order::LeastBusy,
        Order::Cost,
        Order::Nearest,
    ] {
        let described = format!("{strategy:?}");
        let mut build = Builder::new(&["full", "free"]);
        let entry = build.node(strategy, &["full", "free"]);
        let graph = build.graph();
        let mut isolate = Isolate::new(&graph, 1);
        let headers = Headers::of([("x-ratelimit-remaining-requests", "0")]);
        let headroom = Headroom::of(&headers, &graph.deployments[0].limits, NOW).unwrap();
        isolate.health.record_headroom(0, headroom);
        let found = firsts(&graph, &entry, &mut isolate, NOW, 2_000);
        let at_full = f64::from(*found.get("full").unwrap_or(&0)) / 2_000.0;
        assert!((0.01..0.08).contains(&at_full), "{described}: {found:?}");
    }
}

#[test]
fn a_node_steps_back_where_all_below_it_do() {
    let mut build = Builder::new(&["full", "free"]);
    let inner = build.node(Order::Priority, &["full"]);
    let free = build.deployment("free");
    let entry = build.over(Order::Priority, vec![Destination::Node(inner), free], |_| {});
    let graph = build.graph();
    let mut isolate = Isolate::new(&graph, 1);
    let headers = Headers::of([("x-ratelimit-remaining-tokens", "0")]);
    isolate.health.record_headroom(0, Headroom::of(&headers, &graph.deployments[0].limits, NOW).unwrap());
    let found = firsts(&graph, &entry, &mut isolate, NOW, 2_000);
    assert!(near(found.get("free"), 2_000, 0.95), "{found:?}");
}

#[test]
fn who_steps_back_still_serves_in_fallback() {
    let mut build = Builder::new(&["full", "free"]);
    let entry = build.node(Order::Priority, &["full", "free"]);
    let graph = build.graph();
    let mut isolate = Isolate::new(&graph, 1);
    let headers = Headers::of([("x-ratelimit-remaining-requests", "0")]);
    isolate.health.record_headroom(0, Headroom::of(&headers, &graph.deployments[0].limits, NOW).unwrap());
    fails(&mut isolate, 1, ErrorClass::Quota, None, NOW);
    assert_eq!(firsts(&graph, &entry, &mut isolate, NOW, 100)["full"], 100);
}

#[test]
fn after_a_passed_probe_traffic_grows_over_seconds() {
    let mut build = Builder::new(&["back", "other"]);
    let entry = build.node(Order::Priority, &["back", "other"]);
    let graph = build.graph();
    let mut isolate = Isolate::new(&graph, 1);
    fails(&mut isolate, 0, ErrorClass::RateLimit, Some(ms(2_000)), NOW);
    let back = NOW + ms(2_000);
    let ticket = isolate.health.begin(0, ChatCompletions, AnswerKind::Whole, 0, back);
    isolate.health.record(ticket, &Sample::of(Outcome::Served), back, &mut isolate.rng);
    let mut shares = Vec::new();
    for after_ms in [0, 2_500, 5_000, 7_500, 10_000] {
        let found = firsts(&graph, &entry, &mut isolate, back + ms(after_ms), 2_000);
        shares.push(f64::from(*found.get("back").unwrap_or(&0)) / 2_000.0);
    }
    assert!((0.07..0.13).contains(&shares[0]), "{shares:?}");
    assert!(shares.windows(2).all(|pair| pair[0] < pair[1]), "{shares:?}");
    assert!((shares[4] - 1.0).abs() < f64::EPSILON, "{shares:?}");
}

/// A node that is sticky by user, over deployments with these weights.
fn sticky(strategy: Order, weights: &[(&str, f64)]) -> (Rc<Graph>, Rc<Node>) {
    let names: Vec<&str> = weights.iter().map(|(name, _)| *name).collect();
    let mut build = Builder::new(&names);
    let entry = build.node_with(strategy, &names, |node| {
        node.policy.sticky = Some(Sticky { by: AffinityKey::User, ttl_ms: DAY_MS });
        for (target, (_, weight)) in node.targets.iter_mut().zip(weights) {
            target.weight = *weight;
            target.priority = 1;
        }
    });
    (build.graph(), entry)
}

fn of_user(user: u32) -> Facts {
    let body = [("user".to_owned(), format!("user-{user}").into())].into_iter().collect();
    Facts { body, ..facts() }
}

/// The deployment that `isolate` chooses for each of `count` users. Isolates may have different
/// random seeds.
fn favourites(
    graph: &Rc<Graph>,
    entry: &Rc<Node>,
    isolate: &mut Isolate,
    now: Instant,
    count: u32,
) -> Vec<String> {
    (0..count)
        .map(|user| {
            let (name, mut machine) = first(graph, entry, of_user(user), isolate, now);
            machine.on(MachineEvent::ClientLeft, &mut isolate.context(now));
            name
        })
        .collect()
}

#[test]
fn what_belongs_together_goes_to_one_deployment_from_every_isolate_by_weight() {
    for strategy in
        [Order::Weighted, Order::RoundRobin, Order::Random, Order::Latency, Order::LeastBusy, Order::Priority]
    {
        let described = format!("{strategy:?}");
        let (graph, entry) = sticky(strategy, &[("a", 1.0), ("b", 2.0), ("c", 1.0)]);
        let here = favourites(&graph, &entry, &mut Isolate::new(&graph, 1), NOW, 3_000);
        let there = favourites(&graph, &entry, &mut Isolate::new(&graph, 2), NOW, 3_000);
        assert!(here == there, "{described}");
        let at = |name: &str| here.iter().filter(|found| *found == name).count();
        assert!(near(Some(&u32::try_from(at("b")).unwrap()), 3_000, 0.5), "{described}: {}", at("b"));
    }
}

#[test]
fn while_a_favourite_is_out_only_its_keys_move_and_then_come_back() {
    let (graph, entry) = sticky(Order::Weighted, &[("a", 1.0), ("b", 1.0), ("c", 1.0)]);
    let mut isolate = Isolate::new(&graph, 1);
    let before = favourites(&graph, &entry, &mut isolate, NOW, 1_000);
    fails(&mut isolate, 0, ErrorClass::RateLimit, Some(ms(2_000)), NOW);
    let during = favourites(&graph, &entry, &mut isolate, NOW, 1_000);
    let mut spilled: BTreeMap<&str, u32> = BTreeMap::new();
    for (before, during) in before.iter().zip(&during) {
        if before == "a" {
            *spilled.entry(during).or_default() += 1;
        } else {
            assert_eq!(before, during);
        }
    }
    assert!(spilled["b"] > 100 && spilled["c"] > 100 && !spilled.contains_key("a"), "{spilled:?}");
    let back = NOW + ms(2_000);
    let ticket = isolate.health.begin(0, ChatCompletions, AnswerKind::Whole, 0, back);
    isolate.health.record(ticket, &Sample::of(Outcome::Served), back, &mut isolate.rng);
    // The keys return one after the other, and then stay.
    let mut home = 0;
    for after_ms in [0, 3_000, 6_000, 10_000] {
        let now = favourites(&graph, &entry, &mut isolate, back + ms(after_ms), 1_000);
        let at_home = now.iter().zip(&before).filter(|(now, before)| *before == "a" && now == before).count();
        assert!(at_home > home, "{at_home} after {after_ms} ms");
        home = at_home;
    }
    let after = favourites(&graph, &entry, &mut isolate, back + ms(10_000), 1_000);
    assert!(after == before, "every key is back");
}

#[test]
fn a_new_deployment_takes_its_share_of_the_keys_and_moves_no_others() {
    let (graph, entry) = sticky(Order::Weighted, &[("a", 1.0), ("b", 1.0), ("c", 1.0)]);
    let three = favourites(&graph, &entry, &mut Isolate::new(&graph, 1), NOW, 4_000);
    let (graph, entry) = sticky(Order::Weighted, &[("a", 1.0), ("b", 1.0), ("c", 1.0), ("d", 1.0)]);
    let four = favourites(&graph, &entry, &mut Isolate::new(&graph, 1), NOW, 4_000);
    let moved: Vec<_> = three.iter().zip(&four).filter(|(before, after)| before != after).collect();
    assert!(moved.iter().all(|(_, after)| *after == "d"));
    assert!((900..1_100).contains(&moved.len()), "{}", moved.len());
}

#[test]
fn every_key_gets_a_new_favourite_once_in_its_time_and_not_all_at_once() {
    let (graph, entry) = sticky(Order::Weighted, &[("a", 1.0), ("b", 1.0), ("c", 1.0), ("d", 1.0)]);
    let mut isolate = Isolate::new(&graph, 1);
    let at = |isolate: &mut Isolate, now| favourites(&graph, &entry, isolate, now, 2_000);
    let start = at(&mut isolate, NOW);
    let moved = |now: &[String]| now.iter().zip(&start).filter(|(now, start)| now != start).count();
    // A new draw selects the old deployment in a quarter of the cases.
    let (half, whole) = (moved(&at(&mut isolate, NOW + DAY_MS / 2)), moved(&at(&mut isolate, NOW + DAY_MS)));
    assert!((650..850).contains(&half), "{half}");
    assert!((1_400..1_600).contains(&whole), "{whole}");
}

#[test]
fn stickiness_keeps_to_the_tiers_and_leaves_price_and_distance_alone() {
    let (graph, entry) = sticky(Order::Cost, &[("a", 1.0), ("b", 1.0)]);
    let found = favourites(&graph, &entry, &mut Isolate::new(&graph, 1), NOW, 50);
    assert!(found.iter().all(|name| name == "a"));
    let mut build = Builder::new(&["a", "b"]);
    let entry = build.node_with(Order::Priority, &["a", "b"], |node| {
        node.policy.sticky = Some(Sticky { by: AffinityKey::User, ttl_ms: ms(3_600_000) });
    });
    let graph = build.graph();
    let found = favourites(&graph, &entry, &mut Isolate::new(&graph, 1), NOW, 50);
    assert!(found.iter().all(|name| name == "a"));
}

#[test]
fn a_request_without_the_key_is_drawn_as_any_other() {
    let (graph, entry) = sticky(Order::Weighted, &[("a", 1.0), ("b", 1.0)]);
    let found = firsts(&graph, &entry, &mut Isolate::new(&graph, 1), NOW, 2_000);
    assert!(near(found.get("a"), 2_000, 0.5), "{found:?}");
}

#[test]
fn what_one_kind_of_answer_takes_does_not_move_the_other_one() {
    let of_kind = |is_streamed| Facts { is_streamed, ..facts() };
    for (is_streamed, commit, prefers_a) in [
        (false, Commit::FirstToken, false),
        (true, Commit::FirstToken, true),
        (true, Commit::Headers, true),
        // A stream that is held until its end takes as long as an answer in one piece.
        (true, Commit::Complete, false),
    ] {
        let mut build = Builder::new(&["a", "b"]);
        let entry = build.node_with(Order::Latency, &["a", "b"], |node| node.policy.commit = Some(commit));
        let graph = build.graph();
        let mut isolate = Isolate::new(&graph, 1);
        for (id, kind, took_ms) in [
            (0, AnswerKind::Whole, 3_000),
            (0, AnswerKind::Stream, 200),
            (1, AnswerKind::Whole, 1_000),
            (1, AnswerKind::Stream, 400),
        ] {
            let ticket = isolate.health.begin(id, ChatCompletions, kind, 0, NOW - ms(took_ms));
            isolate.health.record(ticket, &Sample::of(Outcome::Served), NOW, &mut isolate.rng);
        }
        for _ in 0..20 {
            let (name, mut machine) = first(&graph, &entry, of_kind(is_streamed), &mut isolate, NOW);
            machine.on(MachineEvent::ClientLeft, &mut isolate.context(NOW));
            assert_eq!(name == "a", prefers_a, "streamed: {is_streamed}, {commit:?}");
        }
    }
}

#[test]
fn a_deployment_that_has_answered_the_other_kind_alone_gets_a_fair_start() {
    let mut build = Builder::new(&["a", "b"]);
    let entry = build.node(Order::Latency, &["a", "b"]);
    let graph = build.graph();
    let mut isolate = Isolate::new(&graph, 1);
    took(&mut isolate, 0, ms(3_000));
    let ticket = isolate.health.begin(1, ChatCompletions, AnswerKind::Stream, 0, NOW - ms(400));
    isolate.health.record(ticket, &Sample::of(Outcome::Served), NOW, &mut isolate.rng);
    let mut found = BTreeMap::new();
    for _ in 0..2_000 {
        let facts = Facts { is_streamed: true, ..facts() };
        let (name, mut machine) = first(&graph, &entry, facts, &mut isolate, NOW);
        machine.on(MachineEvent::ClientLeft, &mut isolate.context(NOW));
        *found.entry(name).or_default() += 1;
    }
    assert!(near(found.get("a"), 2_000, 0.5), "{found:?}");
}
