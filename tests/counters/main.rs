//! What is added up about requests: which series a request adds to, the bounds, the messages, the
//! text for Prometheus, and that every batch counts once whatever is lost or repeated.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod batches;
mod bounds;
mod days;
mod page;
mod rules;
mod stored;
#[allow(dead_code, reason = "each of the test files uses a part of it")]
#[path = "../times/mod.rs"]
mod times;

use switchyard::counters::{CounterBatch, Counters, FinishedAttempt, FinishedRequest};
use switchyard::vocabulary::usage::Usage;
use times::ms;

/// A request that was served at the first attempt.
fn served<'a>() -> FinishedRequest<'a> {
    FinishedRequest {
        client: "app",
        model: "chat",
        outcome: "ok",
        duration_ms: ms(1_200),
        deployment: Some("azure"),
        first_token_ms: None,
        is_fallback: false,
        usage: Usage::default(),
        micro_usd: 0,
        cache: None,
    }
}

fn attempt<'a>(deployment: &'a str, outcome: &'a str, duration_ms: u64) -> FinishedAttempt<'a> {
    FinishedAttempt { deployment, outcome, duration_ms: ms(duration_ms) }
}

fn batch(n: u64, fill: impl FnOnce(&mut Counters)) -> CounterBatch {
    let mut counters = Counters::default();
    fill(&mut counters);
    CounterBatch::new(n, &counters)
}
