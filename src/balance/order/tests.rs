//! Orders without health: shares of draws, tiers, turns, prices and distances.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use proptest::prelude::{Just, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as Generator;

use super::*;
use crate::routes::cases::Cases;
use crate::routes::graph::RateLimits;
use crate::routes::graph::{Capabilities, Params, Policy, Requirements, Secret, Timeouts, Upstream};
use crate::routes::when::Condition;
use crate::usage::price::Price;
use crate::vocabulary::facts::Place;
use crate::vocabulary::needs::Needs;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::rng::SplitMix64;

const DRAWS: u32 = 100_000;
const NOW: Instant = Instant::from_epoch_ms(1_000_000);

fn facts() -> Facts {
    Facts {
        method: "POST".into(),
        path: "/v1/chat/completions".into(),
        query: BTreeMap::new(),
        operation: Operation::ChatCompletions,
        model: "m".into(),
        client: "c".into(),
        key: String::new(),
        headers: BTreeMap::new(),
        metadata: BTreeMap::new(),
        place: Place::default(),
        body: BTreeMap::new(),
        labels: Rc::default(),
        texts: Vec::new(),
        input_tokens: 1000,
        max_output_tokens: None,
        needs: Needs::default(),
        is_streamed: false,
        is_replayable: true,
        has_side_effects: false,
        is_done_once: false,
        previous_response_id: None,
        owner: None,
        patience_ms: None,
        upload_ms: crate::vocabulary::time::Millis::ZERO,
        draw: 0.0,
    }
}

/// A deployment with a price per million tokens of input and output, and a region.
fn deployment(cost: Option<(f64, f64)>, region: Option<&str>) -> Target {
    let deployment = Deployment {
        id: 0,
        name: "d".into(),
        upstream: Upstream::OpenAi {
            base: "https://upstream.example/v1".into(),
            model: "m".into(),
            organization: None,
            project: None,
        },
        via: None,
        api_key: Secret::new(""),
        other_keys: Vec::new(),
        entra: None,
        disabled: None,
        region: region.map(str::to_owned),
        quality: 0,
        tags: Vec::new(),
        cost: cost.map(|(input, output)| Price {
            input: Price::per_million(input),
            output: Price::per_million(output),
            ..Price::default()
        }),
        capabilities: Capabilities::default(),
        timeout: Timeouts::default(),
        params: Params::default(),
        limits: RateLimits::default(),
        ejections: crate::routes::graph::Ejections::default(),
        identity: String::new(),
    };
    Target { to: Destination::Deployment(Rc::new(deployment)), weight: 1.0, priority: 0 }
}

fn priced(input: f64, output: f64) -> Target {
    deployment(Some((input, output)), None)
}

fn in_region(region: &str) -> Target {
    deployment(None, Some(region))
}

fn weighing(weight: f64) -> Target {
    Target { weight, ..deployment(None, None) }
}

fn node(id: usize, strategy: Strategy, targets: Vec<Target>) -> Node {
    Node {
        id,
        name: "n".into(),
        strategy,
        targets,
        policy: Policy::default(),
        max_attempts: None,
        deadline_ms: None,
        requirements: Requirements::default(),
        on: Vec::new(),
        reads_place: false,
        highest_price: Price::default(),
        cache: None,
    }
}

fn inner(id: usize, targets: Vec<Target>) -> Target {
    Target { to: Destination::Node(Rc::new(node(id, Strategy::Priority, targets))), weight: 1.0, priority: 0 }
}

fn weighted(weights: &[f64]) -> Node {
    node(0, Strategy::Weighted, weights.iter().copied().map(weighing).collect())
}

/// Every strategy that has no conditions.
fn unconditional() -> [Strategy; 8] {
    [
        Strategy::Priority,
        Strategy::Weighted,
        Strategy::RoundRobin,
        Strategy::Random,
        Strategy::Latency,
        Strategy::LeastBusy,
        Strategy::Cost,
        Strategy::Nearest,
    ]
}

/// The order among those targets of `node` that are not in `refused`.
fn order_without(
    node: &Node,
    facts: &Facts,
    refused: &[usize],
    cursors: &Cursors,
    rng: &mut SplitMix64,
) -> Vec<usize> {
    let is_refused =
        |target: &Target| refused.iter().any(|index| std::ptr::eq(&raw const node.targets[*index], target));
    order_by(node, facts, &|target| !is_refused(target), cursors, rng)
}

fn order_by(
    node: &Node,
    facts: &Facts,
    usable: &dyn Fn(&Target) -> bool,
    cursors: &Cursors,
    rng: &mut SplitMix64,
) -> Vec<usize> {
    let mut inputs = OrderInputs {
        now: NOW,
        kind: AnswerKind::Whole,
        rng,
        cursors,
        health: &Health::default(),
        notes: None,
    };
    order(node, facts, None, usable, &mut inputs)
}

fn order_of(node: &Node, facts: &Facts) -> Vec<usize> {
    let mut rng = SplitMix64::new(1);
    order_without(node, facts, &[], &Cursors::new(8, &mut rng.clone()), &mut rng)
}

/// How often each target is at position `place`, in [`DRAWS`] orders.
fn counts_at(place: usize, node: &Node, refused: &[usize]) -> Vec<u32> {
    let mut rng = SplitMix64::new(7);
    let cursors = Cursors::new(1, &mut rng);
    let mut counts = vec![0; node.targets.len()];
    for _ in 0..DRAWS {
        counts[order_without(node, &facts(), refused, &cursors, &mut rng)[place]] += 1;
    }
    counts
}

/// Asserts that counts match their shares, within three standard deviations of the binomial
/// distribution.
fn assert_shares(counts: &[u32], shares: &[f64]) {
    assert_eq!(counts.len(), shares.len());
    let draws = f64::from(counts.iter().sum::<u32>());
    for (count, share) in counts.iter().zip(shares) {
        let deviation = (draws * share * (1.0 - share)).sqrt();
        let off = (f64::from(*count) - draws * share).abs();
        assert!(off <= 3.0 * deviation, "{counts:?} are not {shares:?}");
    }
}

#[test]
fn weights_are_shares_of_first_places() {
    assert_shares(&counts_at(0, &weighted(&[70.0, 30.0]), &[]), &[0.7, 0.3]);
    assert_shares(&counts_at(0, &weighted(&[0.5, 0.25, 0.25]), &[]), &[0.5, 0.25, 0.25]);
}

#[test]
fn second_places_are_drawn_among_what_the_first_left() {
    // P(b second) = P(a first) · b/(b+c) + P(c first) · b/(a+b) for weights a 6, b 3, c 1.
    let (a, b, c) = (6.0, 3.0, 1.0);
    let second = |x: f64, y: f64, z: f64| (y / 10.0) * (x / (x + z)) + (z / 10.0) * (x / (x + y));
    let expected = [second(a, b, c), second(b, a, c), second(c, a, b)];
    assert_shares(&counts_at(1, &weighted(&[a, b, c]), &[]), &expected);
}

#[test]
fn without_a_refused_target_the_others_share_by_their_weights() {
    let node = weighted(&[70.0, 20.0, 10.0]);
    assert_shares(&counts_at(0, &node, &[0]), &[0.0, 2.0 / 3.0, 1.0 / 3.0]);
}

#[test]
fn once_the_first_has_failed_the_next_draw_is_by_the_weights_of_the_rest() {
    // A machine that asks for a new order after a failure gets the same shares as one that follows
    // the first order.
    let node = weighted(&[50.0, 40.0, 10.0]);
    let mut rng = SplitMix64::new(3);
    let cursors = Cursors::new(1, &mut rng);
    let mut seconds = [0, 0, 0];
    for _ in 0..DRAWS {
        let drawn = order_without(&node, &facts(), &[], &cursors, &mut rng);
        if drawn[0] == 0 {
            seconds[drawn[1]] += 1;
        }
    }
    assert_shares(&seconds, &[0.0, 0.8, 0.2]);
}

#[test]
fn weights_at_the_ends_of_the_scale_are_weights() {
    for (weights, shares) in [
        ([1e308, 1e308, 1e308], [1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0]), // an infinite sum
        ([1e-310, 2e-310, 1e-310], [0.25, 0.5, 0.25]),              // a subnormal one
        ([1e-300, 1e308, 1e-300], [0.0, 1.0, 0.0]),                 // one that leaves nothing to the rest
    ] {
        let node = weighted(&weights);
        assert_shares(&counts_at(0, &node, &[]), &shares);
        assert_eq!(order_of(&node, &facts()).len(), 3, "all of them are still tried");
    }
}

#[test]
fn a_target_of_no_weight_takes_no_traffic_under_any_strategy() {
    for strategy in unconditional() {
        let node = node(0, strategy, vec![weighing(0.0), weighing(1.0)]);
        assert_eq!(order_of(&node, &facts()), [1], "{:?}", node.strategy);
    }
}

#[test]
fn different_priorities_are_the_order() {
    let targets = [2, 0, 7, 1].map(|priority| Target { priority, ..weighing(1.0) });
    let node = node(0, Strategy::Priority, targets.into());
    for seed in 0..50 {
        let mut rng = SplitMix64::new(seed);
        let cursors = Cursors::new(1, &mut rng);
        assert_eq!(order_without(&node, &facts(), &[], &cursors, &mut rng), [1, 3, 0, 2]);
        assert_eq!(order_without(&node, &facts(), &[1], &cursors, &mut rng), [3, 0, 2]);
    }
}

#[test]
fn equal_priorities_share_by_weight_and_stay_before_the_next_tier() {
    // Listed out of order: the tier of priority 1 is indices 1 and 3, that of priority 2 is index
    // 0, and 9 is index 2.
    let tiers = [(2, 1.0), (1, 30.0), (9, 99.0), (1, 70.0)];
    let targets = tiers.map(|(priority, weight)| Target { priority, ..weighing(weight) });
    let node = node(0, Strategy::Priority, targets.into());
    assert_shares(&counts_at(0, &node, &[]), &[0.0, 0.3, 0.0, 0.7]);
    assert_shares(&counts_at(1, &node, &[]), &[0.0, 0.7, 0.0, 0.3]);
    assert_shares(&counts_at(2, &node, &[]), &[1.0, 0.0, 0.0, 0.0]);
    assert_shares(&counts_at(3, &node, &[]), &[0.0, 0.0, 1.0, 0.0]);
}

#[test]
fn every_order_of_random_is_as_likely() {
    let node = node(0, Strategy::Random, vec![weighing(1.0), weighing(100.0), weighing(1.0)]);
    let mut rng = SplitMix64::new(11);
    let cursors = Cursors::new(1, &mut rng);
    let mut counts: BTreeMap<Vec<usize>, u32> = BTreeMap::new();
    for _ in 0..DRAWS {
        *counts.entry(order_without(&node, &facts(), &[], &cursors, &mut rng)).or_default() += 1;
    }
    assert_shares(&counts.into_values().collect::<Vec<_>>(), &[1.0 / 6.0; 6]);
}

#[test]
fn turns_go_around_from_where_they_are() {
    let node = node(1, Strategy::RoundRobin, vec![weighing(1.0), weighing(1.0), weighing(1.0)]);
    let mut rng = SplitMix64::new(1);
    let cursors = Cursors::new(2, &mut rng);
    let first = order_without(&node, &facts(), &[], &cursors, &mut rng);
    let second = order_without(&node, &facts(), &[], &cursors, &mut rng);
    assert_eq!(second, [first[1], first[2], first[0]]);
}

#[test]
fn turns_skip_a_refused_target_without_giving_its_share_to_one_neighbour() {
    let node = node(0, Strategy::RoundRobin, (0..4).map(|_| weighing(1.0)).collect());
    let mut rng = SplitMix64::new(1);
    let cursors = Cursors::new(1, &mut rng);
    let mut counts = [0; 4];
    for _ in 0..300 {
        counts[order_without(&node, &facts(), &[2], &cursors, &mut rng)[0]] += 1;
    }
    assert_eq!(counts, [100, 100, 0, 100]);
}

#[test]
fn isolates_start_at_different_places() {
    let node = node(0, Strategy::RoundRobin, (0..10).map(|_| weighing(1.0)).collect());
    let starts: BTreeSet<usize> = (0..100)
        .map(|seed| {
            let mut rng = SplitMix64::new(seed);
            order_without(&node, &facts(), &[], &Cursors::new(1, &mut rng.clone()), &mut rng)[0]
        })
        .collect();
    assert_eq!(starts.len(), 10);
}

#[test]
fn cursors_accept_any_size_and_any_node() {
    let mut rng = SplitMix64::new(1);
    for node_count in [0, 1, usize::MAX] {
        let cursors = Cursors::new(node_count, &mut rng);
        for id in [0, 1, usize::MAX] {
            let node = node(id, Strategy::RoundRobin, vec![weighing(1.0), weighing(1.0)]);
            assert_eq!(order_without(&node, &facts(), &[], &cursors, &mut rng).len(), 2);
        }
    }
    // The turn after the largest number is 0.
    let cursors = Cursors(vec![Cell::new(usize::MAX)]);
    assert_eq!([cursors.turn(0), cursors.turn(0)], [usize::MAX, 0]);
}

#[test]
fn match_is_the_first_case_that_holds_and_nothing_else() {
    let cases = || Strategy::Match(vec![Condition::Always, Condition::Always].into());
    let node = node(0, cases(), vec![weighing(1.0), weighing(1.0)]);
    assert_eq!(order_of(&node, &facts()), [0]);
    let mut rng = SplitMix64::new(1);
    let cursors = Cursors::new(1, &mut rng);
    // If the case that holds may not be used, the target of another case is no substitute.
    assert!(order_without(&node, &facts(), &[0], &cursors, &mut rng).is_empty());
}

#[test]
fn match_without_a_case_that_holds_is_nothing() {
    let node = node(0, Strategy::Match(Cases::default()), vec![weighing(1.0)]);
    assert!(order_of(&node, &facts()).is_empty());
}

#[test]
fn the_cheapest_for_this_request_comes_first() {
    // One without a price, one with cheap input and expensive output, one with equal prices.
    let node = node(0, Strategy::Cost, vec![deployment(None, None), priced(1.0, 10.0), priced(4.0, 4.0)]);
    for (input_tokens, max_output_tokens, expected) in [
        (1000, Some(100), [1, 2, 0]),  // 2.0 against 4.4
        (1000, Some(1000), [2, 1, 0]), // 11.0 against 8.0
        (1000, None, [1, 2, 0]),       // 500 tokens are assumed: equal, so in order of the list
        (999, None, [2, 1, 0]),        // just under that
        (u64::MAX, Some(u64::MAX), [2, 1, 0]),
    ] {
        let facts = Facts { input_tokens, max_output_tokens, ..facts() };
        assert_eq!(order_of(&node, &facts), expected, "{input_tokens} in, {max_output_tokens:?} out");
    }
}

#[test]
fn images_minutes_and_requests_count_where_they_are_charged() {
    let with_price = |price| {
        let Target { to: Destination::Deployment(deployment), .. } = deployment(None, None) else { panic!() };
        let deployment = Deployment { cost: Some(price), ..Rc::into_inner(deployment).unwrap() };
        Target { to: Destination::Deployment(Rc::new(deployment)), weight: 1.0, priority: 0 }
    };
    let each = |image, minute, request| Price {
        image: Price::each(image),
        minute: Price::each(minute),
        request: Price::each(request),
        ..Price::default()
    };
    let prices = [each(0.3, 0.1, 0.0), each(0.1, 0.2, 0.0), each(0.0, 0.0, 0.15)];
    let node = node(0, Strategy::Cost, prices.map(with_price).into());
    for (operation, expected) in [
        (Operation::ChatCompletions, [0, 1, 2]),
        (Operation::ImagesEdits, [1, 2, 0]),
        (Operation::AudioTranslations, [0, 2, 1]),
    ] {
        assert_eq!(order_of(&node, &Facts { operation, ..facts() }), expected, "{operation:?}");
    }
}

#[test]
fn equal_prices_and_missing_ones_keep_the_order_of_the_list() {
    let unpriced = || deployment(None, None);
    let targets = vec![unpriced(), priced(2.0, 2.0), unpriced(), priced(2.0, 2.0), priced(1.0, 1.0)];
    assert_eq!(order_of(&node(0, Strategy::Cost, targets), &facts()), [4, 1, 3, 0, 2]);
}

#[test]
fn a_node_costs_what_its_cheapest_usable_deployment_costs() {
    let drained = Target { weight: 0.0, ..priced(0.1, 0.1) };
    let deep = inner(1, vec![priced(9.0, 9.0), inner(2, vec![priced(1.0, 1.0)]), drained]);
    let node = node(0, Strategy::Cost, vec![priced(2.0, 2.0), deep]);
    let facts = facts();
    assert_eq!(order_of(&node, &facts), [1, 0]);
    let costs_over_one = |target: &Target| match &target.to {
        Destination::Deployment(deployment) => deployment.cost.is_none_or(|cost| cost.input > 1_000_000),
        Destination::Node(_) => true,
    };
    let mut rng = SplitMix64::new(1);
    let cursors = Cursors::new(1, &mut rng);
    assert_eq!(
        order_by(&node, &facts, &costs_over_one, &cursors, &mut rng),
        [0, 1],
        "9 is what is left of the inner node"
    );
}

#[test]
fn a_graph_of_many_ways_to_the_same_node_is_walked_once() {
    // 2^60 ways lead to the last deployment.
    let mut last = inner(1, vec![priced(1.0, 1.0)]);
    for id in 2..62 {
        last = inner(id, vec![last.clone(), last]);
    }
    let node = node(0, Strategy::Cost, vec![priced(2.0, 2.0), last]);
    assert_eq!(order_of(&node, &facts()), [1, 0]);
}

#[test]
fn the_nearest_region_comes_first() {
    let colo = |code: &str| Place { colo: Some(code.into()), ..Place::default() };
    let targets = ["eastus", "westeurope", "japaneast"].map(in_region);
    let node = node(0, Strategy::Nearest, targets.into());
    let tokyo = Some((35.7, 139.7));
    for (why, place, expected) in [
        ("Amsterdam", colo("AMS"), [1, 0, 2]),
        ("Washington", colo("IAD"), [0, 1, 2]),
        ("coordinates", Place { coordinates: tokyo, ..colo("AMS") }, [2, 1, 0]),
        ("hint", Place { coordinates: tokyo, hint: Some("westeurope".into()), ..colo("AMS") }, [1, 0, 2]),
        ("behind a Worker", Place { coordinates: tokyo, is_behind_worker: true, ..colo("AMS") }, [1, 0, 2]),
        ("nothing known", Place::default(), [0, 1, 2]),
    ] {
        assert_eq!(order_of(&node, &Facts { place, ..facts() }), expected, "{why}");
    }
}

#[test]
fn unknown_regions_come_last_and_equally_near_ones_keep_the_order_of_the_list() {
    let nested = inner(1, vec![in_region("eastus"), in_region("northeurope")]);
    let targets = vec![
        deployment(None, None),
        in_region("japaneast"),
        in_region("atlantis"),
        in_region("West Europe"),
        nested, // as near as Dublin
        in_region("westeurope"),
    ];
    let place = Place { colo: Some("LHR".into()), ..Place::default() };
    assert_eq!(
        order_of(&node(0, Strategy::Nearest, targets), &Facts { place, ..facts() }),
        [3, 5, 4, 1, 0, 2]
    );
}

/// Weight (any number), priority, input price, whether it is usable.
fn any_target() -> impl Generator<Value = (f64, u32, Option<f64>, bool)> {
    let weight = prop_oneof![Just(0.0), Just(1.0), 0.0..1e9, any::<f64>()];
    (weight, 0..4_u32, proptest::option::of(any::<f64>()), any::<bool>())
}

proptest! {
    #[test]
    fn an_order_holds_each_target_that_takes_traffic_once_and_no_other(
        specs in proptest::collection::vec(any_target(), 0..12), seed in any::<u64>(),
    ) {
        let refused: Vec<usize> = (0..specs.len()).filter(|index| !specs[*index].3).collect();
        let expected: Vec<usize> =
            (0..specs.len()).filter(|index| specs[*index].0 > 0.0 && specs[*index].3).collect();
        for strategy in unconditional() {
            let targets = specs.iter().map(|(weight, priority, price, _)| {
                let cost = price.map(|price| (price, price));
                Target { weight: *weight, priority: *priority, ..deployment(cost, Some("eastus")) }
            });
            let node = node(0, strategy, targets.collect());
            let mut rng = SplitMix64::new(seed);
            let cursors = Cursors::new(1, &mut rng);
            let mut drawn = order_without(&node, &facts(), &refused, &cursors, &mut rng);
            drawn.sort_unstable();
            prop_assert_eq!(&drawn, &expected, "{:?}", node.strategy);
        }
    }

    #[test]
    fn priority_never_puts_a_higher_number_before_a_lower_one(
        priorities in proptest::collection::vec(0..5_u32, 1..12), seed in any::<u64>(),
    ) {
        let targets = priorities.iter().map(|priority| Target { priority: *priority, ..weighing(1.0) }).collect();
        let mut rng = SplitMix64::new(seed);
        let cursors = Cursors::new(1, &mut rng);
        let node = node(0, Strategy::Priority, targets);
        let drawn = order_without(&node, &facts(), &[], &cursors, &mut rng);
        prop_assert!(drawn.is_sorted_by_key(|index| priorities[*index]));
    }

    #[test]
    fn round_robin_serves_each_target_equally(targets in 1..9_usize, rounds in 1..9_usize, seed in any::<u64>()) {
        let node = node(0, Strategy::RoundRobin, (0..targets).map(|_| weighing(1.0)).collect());
        let mut rng = SplitMix64::new(seed);
        let cursors = Cursors::new(1, &mut rng);
        let mut counts = vec![0; targets];
        for _ in 0..targets * rounds {
            counts[order_without(&node, &facts(), &[], &cursors, &mut rng)[0]] += 1;
        }
        prop_assert_eq!(counts, vec![rounds; targets]);
    }
}
