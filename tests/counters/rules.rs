//! Which series a request adds to.

use switchyard::counters::{BOUNDS_MS, Counters, Family, FinishedRequest};
use switchyard::vocabulary::cache_status::CacheStatus;
use switchyard::vocabulary::usage::Usage;

use crate::times::ms;
use crate::{attempt, served};

#[test]
fn a_request_counts_once_by_client_model_and_outcome() {
    let mut counters = Counters::default();
    counters.on_request(&served(), [attempt("azure", "ok", 900)]);
    counters.on_request(&served(), [attempt("azure", "ok", 900)]);
    counters.on_request(&FinishedRequest { outcome: "rate_limit", deployment: None, ..served() }, []);
    counters.on_request(
        &FinishedRequest { client: "", model: "", outcome: "invalid_api_key", deployment: None, ..served() },
        [],
    );
    let requests = |labels: &[(usize, &str)]| counters.sum(Family::Requests, labels, 0);
    assert_eq!(requests(&[]), 4);
    assert_eq!(requests(&[(0, "app"), (1, "chat"), (2, "ok")]), 2);
    assert_eq!(requests(&[(2, "rate_limit")]), 1);
    assert_eq!(requests(&[(0, ""), (1, ""), (2, "invalid_api_key")]), 1);
    assert_eq!(counters.sum(Family::Attempts, &[(0, "azure"), (1, "ok")], 0), 2);
}

#[test]
fn a_fallback_counts_by_what_became_of_it() {
    let fails = |deployment| attempt(deployment, "unavailable", 20);
    let serves = |deployment| attempt(deployment, "ok", 20);
    let leaves = |deployment| attempt(deployment, "abandoned", 20);
    let failed = FinishedRequest { outcome: "unavailable", ..served() };
    let fallback = FinishedRequest { is_fallback: true, ..served() };
    let left = FinishedRequest { outcome: "client_left", ..served() };
    for (name, request, attempts, expected) in [
        ("served at once", served(), vec![serves("a")], (0, 0)),
        ("served by a retry", served(), vec![fails("a"), serves("a")], (0, 0)),
        ("served by another", fallback, vec![fails("a"), serves("b")], (1, 0)),
        ("served by a third", fallback, vec![fails("a"), fails("b"), serves("c")], (1, 0)),
        ("a hedge that lost", served(), vec![serves("a"), leaves("b")], (0, 0)),
        ("served by the first again", served(), vec![fails("a"), fails("b"), serves("a")], (0, 0)),
        ("failed at one", failed, vec![fails("a"), fails("a")], (0, 0)),
        ("failed at two", failed, vec![fails("a"), fails("b")], (0, 1)),
        ("the client left", left, vec![fails("a"), leaves("b")], (0, 0)),
        ("no attempt", failed, vec![], (0, 0)),
    ] {
        let mut counters = Counters::default();
        counters.on_request(&request, attempts);
        let result = |result| counters.sum(Family::Fallbacks, &[(0, "chat"), (1, result)], 0);
        assert_eq!((result("served"), result("failed")), expected, "{name}");
        assert_eq!(counters.sum(Family::Fallbacks, &[], 0), expected.0 + expected.1, "{name}");
    }
}

#[test]
fn a_request_of_a_node_that_keeps_answers_counts_by_what_the_cache_had() {
    for (cache, expected) in [
        (None, (0, 0, 0)),
        (Some(CacheStatus::Hit), (1, 0, 0)),
        (Some(CacheStatus::Miss), (0, 1, 0)),
        (Some(CacheStatus::Bypass), (0, 0, 1)),
    ] {
        let mut counters = Counters::default();
        let deployment = Some("azure").filter(|_| cache != Some(CacheStatus::Hit));
        counters.on_request(&FinishedRequest { cache, deployment, ..served() }, []);
        let result = |result| counters.sum(Family::CacheRequests, &[(0, "chat"), (1, result)], 0);
        assert_eq!((result("hit"), result("miss"), result("bypass")), expected, "{cache:?}");
        assert_eq!(counters.sum(Family::Requests, &[(1, "chat"), (2, "ok")], 0), 1, "{cache:?}");
    }
}

#[test]
fn what_was_used_is_added_to_the_deployment_that_served() {
    let usage = Usage {
        input_tokens: 100,
        cached_input_tokens: 60,
        output_tokens: 40,
        reasoning_tokens: 30,
        images: 2,
        audio_ms: 1_500,
        characters: 7,
        is_estimated: true,
    };
    let mut counters = Counters::default();
    for _ in 0..3 {
        counters.on_request(&FinishedRequest { usage, micro_usd: 11, ..served() }, []);
    }
    let sums =
        |labels: &[(usize, &str)]| (0..8).map(|cell| counters.sum(Family::Usage, labels, cell)).collect();
    let expected = [300, 180, 120, 90, 6, 4_500, 21, 33];
    assert_eq!(Vec::<u64>::from_iter::<Vec<_>>(sums(&[(0, "app"), (1, "chat"), (2, "azure")])), expected);

    // A failed attempt that its provider charges for.
    counters.on_usage("app", "chat", "openai", &Usage { output_tokens: 5, ..Usage::default() }, 2);
    assert_eq!(counters.sum(Family::Usage, &[(2, "openai")], 2), 5);
    assert_eq!(counters.sum(Family::Usage, &[(2, "openai")], 7), 2);
}

#[test]
fn nothing_used_makes_no_series() {
    let mut counters = Counters::default();
    counters.on_request(&served(), []);
    counters.on_usage("app", "chat", "openai", &Usage { is_estimated: true, ..Usage::default() }, 0);
    assert_eq!(counters.sum(Family::Usage, &[], 0), 0);
    assert_eq!(counters.sum(Family::FirstToken, &[], 0), 0);
}

#[test]
fn the_first_token_belongs_to_the_deployment_that_served() {
    let mut counters = Counters::default();
    let request = FinishedRequest { first_token_ms: Some(ms(340)), ..served() };
    counters.on_request(&request, [attempt("openai", "timeout", 900), attempt("azure", "ok", 340)]);
    assert_eq!(counters.sum(Family::FirstToken, &[(0, "azure")], 0), 340);
    assert_eq!(counters.sum(Family::FirstToken, &[(0, "openai")], 0), 0);
}

#[test]
fn a_duration_counts_in_the_first_bucket_whose_bound_it_does_not_exceed() {
    for (duration, bucket) in [
        (0, 0),
        (50, 0),
        (51, 1),
        (1_000, 5),
        (1_001, 6),
        (600_000, BOUNDS_MS.len() - 1),
        (600_001, BOUNDS_MS.len()),
        (u64::MAX, BOUNDS_MS.len()),
    ] {
        let mut counters = Counters::default();
        counters.on_request(&FinishedRequest { duration_ms: ms(duration), ..served() }, []);
        let cells: Vec<u64> = (0..=BOUNDS_MS.len() + 1)
            .map(|cell| counters.sum(Family::RequestDuration, &[(0, "chat")], cell))
            .collect();
        assert_eq!(cells[0], duration);
        let counted: Vec<usize> = (0..=BOUNDS_MS.len()).filter(|at| cells[at + 1] == 1).collect();
        assert_eq!((counted, cells[1..].iter().sum::<u64>()), (vec![bucket], 1), "{duration} ms");
    }
}

#[test]
fn the_bounds_of_buckets_grow() {
    assert!(BOUNDS_MS.is_sorted_by(|one, next| one < next));
}

#[test]
fn adding_to_a_series_that_exists_allocates_nothing() {
    let mut counters = Counters::default();
    let usage = Usage { input_tokens: 100, output_tokens: 40, ..Usage::default() };
    let request =
        FinishedRequest { usage, micro_usd: 9, is_fallback: true, first_token_ms: Some(ms(9)), ..served() };
    let mut add = || {
        counters.on_request(&request, [attempt("openai", "rate_limit", 12), attempt("azure", "ok", 300)]);
    };
    add();
    let cost = allocation_counter::measure(add);
    assert_eq!(cost.count_total, 0);
}
