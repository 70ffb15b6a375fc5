//! Explanations: that they say what the machine does, for every document, request and health, and
//! that they name the reasons.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod command;
mod reasons;
#[allow(dead_code, reason = "each of the test files uses a part of it")]
#[path = "../times/mod.rs"]
mod times;
mod truth;

use std::cell::RefCell;

use serde_json::Value;
use switchyard::routes::compile;
use switchyard::serve::explain_request::ExplainRequest;
use switchyard::serve::explained::{Explanation, explain};
use switchyard::serve::fact_source::FactSource;
use switchyard::serve::serving::{Serving, Source};
use switchyard::vocabulary::facts::Place;
use switchyard::vocabulary::rng::{Rng, SplitMix64};
use switchyard::vocabulary::time::Instant;

/// The time of all explanations: 2026-01-01T00:00:00Z.
const NOW: Instant = Instant::from_epoch_ms(1_767_225_600_000);

/// Values of variables contain this.
const SECRET: &str = "top-secret";

/// Every variable has a value, except those that begin with `MISSING`.
fn env(name: &str) -> Option<String> {
    match name {
        _ if name.starts_with("MISSING") => None,
        "TENANT" => Some(format!("{SECRET}-tenant")),
        _ => Some(format!("{SECRET}-{name}")),
    }
}

/// An isolate with this document.
fn serving(document: &Value) -> Serving {
    let compiled = compile(&document.to_string(), &env).unwrap_or_else(|issues| panic!("{issues:#?}"));
    Serving::new(compiled, Source::CompiledIn, 0, None, &mut SplitMix64::new(1))
}

/// What is assumed about a request.
struct Assumed {
    rng: RefCell<SplitMix64>,
    place: Place,
    /// The owner of every stored object.
    owner: Option<usize>,
}

impl Assumed {
    fn of(request: &ExplainRequest, seed: u64) -> Self {
        Self { rng: RefCell::new(SplitMix64::new(seed)), place: request.place.clone(), owner: None }
    }
}

impl FactSource for Assumed {
    fn now(&self) -> Instant {
        NOW
    }

    fn random(&self) -> u64 {
        self.rng.borrow_mut().next_u64()
    }

    fn place(&self) -> Place {
        self.place.clone()
    }

    fn owner_of(&self, _id: &str) -> Option<usize> {
        self.owner
    }

    fn body_part(&self, _start: usize, _end: usize) -> Vec<u8> {
        Vec::new()
    }
}

fn explained(serving: &Serving, request: &Value, seed: u64) -> Explanation {
    let request = ExplainRequest::parse(&request.to_string()).unwrap();
    explain(serving, &request, &Assumed::of(&request, seed)).unwrap()
}
