//! One request: the machine that walks the graph, and the vocabulary of failure that drives it.

pub mod allowance;
pub mod backoff;
pub mod class;
pub mod classify;
pub mod failure;
pub mod machine;
pub mod phase;
pub mod retry_after;
pub mod trail;
pub mod usage;
pub mod walk;
