//! One request: the machine that walks the graph, and the classification of failures that drives
//! it.

pub mod attempt_budgets;
pub mod backoff;
pub mod classify;
pub mod context;
pub mod failure;
pub mod machine;
pub mod phase;
pub mod success;
pub mod trail;
pub mod walk;
pub mod walk_notes;
