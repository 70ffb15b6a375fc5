//! The routes document: JSON in, a compiled graph or a list of everything that is wrong with it out.
//!
//! The way of a document: `json` parses it, `shape` checks it against the schema of `raw`,
//! `variables` fills in the environment, serde makes `raw` types of it, `compile` checks what types
//! cannot say and builds the `graph`. `issue` says what was wrong, and `at` where.
//! Raw types never leave this module.

pub mod affinity_key;
mod at;
pub mod cases;
mod compile;
pub mod glob;
pub mod graph;
mod issue;
mod json;
mod placeholder;
pub mod prefix_map;
mod raw;
pub mod reads;
mod shape;
mod variables;
pub mod when;

pub use compile::{Compiled, MAX_BYTES, compile};
pub use issue::{Issue, nearest};
#[cfg(not(target_arch = "wasm32"))]
pub use shape::generate::{bare_schema, schema};
