//! Limits that many isolates share.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod crowd;
mod meters;
mod shared_limits;
mod stored;
