//! What isolates learn about deployments, alone and together, in virtual time.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod alerts;
mod attempts;
mod counting;
mod drains;
mod faults;
mod hub;
mod isolate;
mod judgement;
mod leases;
mod properties;
mod region;
mod restored;
mod rows;
mod served_request;
mod shared_operations;
mod shared_properties;
mod sharing;
mod slots;
mod storage;
mod stories;
#[allow(dead_code, reason = "each of the test files uses a part of it")]
#[path = "../times/mod.rs"]
mod times;
mod usage_days;
mod wire;
