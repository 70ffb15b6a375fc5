//! The routes document from the outside: what compiles, into which graph, and which messages
//! describe the rest.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say that something is wrong by panicking"
)]

mod cli;
mod docs;
mod documents;
mod doubts;
mod examples;
mod graph;
mod limits;
mod messages;
mod mutations;
mod policy;
#[allow(dead_code, reason = "each of the test files uses a part of it")]
#[path = "../times/mod.rs"]
mod times;
mod when;
