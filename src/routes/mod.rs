//! The routes document: from JSON to a compiled graph, or to a list of all its issues.
//!
//! The steps: `json` parses the document. `shape` checks it against the schema of the `raw` types.
//! `variables` replaces variables by their values. serde decodes it into `raw` types. `compile`
//! checks what types cannot express and builds the `graph`. `issue` has the error messages, and
//! `at` the paths. `doubts` finds in the graph what its author probably does not mean. Raw types
//! never leave this module.

pub mod address_range;
pub mod affinity_key;
mod at;
mod capabilities;
pub mod cases;
pub mod client_guard;
mod compile;
mod doubts;
pub mod entra;
pub mod glob;
pub mod graph;
mod issue;
mod json;
pub mod limit_rule;
mod node_policy;
mod placeholder;
pub mod prefix_map;
mod raw;
pub mod reads;
mod secret;
mod setting_groups;
mod shape;
#[cfg(not(target_arch = "wasm32"))]
mod source_map;
pub mod text_pattern;
mod variables;
mod webhook;
pub mod when;

pub use at::At;
pub use compile::{Compiled, MAX_BYTES, check_key_limits, compile, key_limits, version_of};
pub use doubts::doubts;
pub use issue::{Issue, nearest};
#[cfg(not(target_arch = "wasm32"))]
pub use shape::generate::{bare_schema, schema};
#[cfg(not(target_arch = "wasm32"))]
pub use source_map::SourceMap;
