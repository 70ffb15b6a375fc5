//! Limits that many isolates share.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod crowd;
#[path = "../ledger_rows/mod.rs"]
mod ledger_rows;
mod many_users;
mod meters;
mod objects;
mod shared_limits;
mod stored;
