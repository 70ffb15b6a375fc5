//! The routes document as it is written: plain data, one type an object.
//!
//! These types are the one source of the document's shape. `routes.schema.json` is generated from them (descriptions
//! included, so the comments here are what editors show), the Worker checks documents against that schema (`shape`), and serde
//! decodes into them what has passed. What they cannot say (names that exist, cycles, secrets) is checked in `compile`.
//!
//! What can be written in more than one form is told apart by the type of its JSON
//! (`TryFrom<Value>`). Not by serde's `untagged`, which copies a value and tries one form after the
//! other: that costs 18 KB of compressed Wasm, and a quarter more time for a document with deep
//! nodes and conditions.

#![expect(dead_code, reason = "some keys are for people and editors")]
#![expect(clippy::struct_field_names, reason = "fields are called as the keys of the document")]

/// Derives what every type here has; the schema only natively, so that nothing of it gets into the Worker.
macro_rules! raw {
    ($($item:item)*) => {$(
        #[derive(Debug, Deserialize)]
        #[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
        #[serde(deny_unknown_fields)]
        $item
    )*};
}

mod raw_deployment;
mod raw_document;
mod raw_node;
mod raw_policy;
mod raw_when;

pub use raw_deployment::{RawDeployment, RawParams, RawProvider, RawVia};
pub use raw_document::{RawDocument, RawExpose, RawHealthSharing, RawSettings};
pub use raw_node::{RawArrow, RawDestination, RawNode, RawStrategy, RawTarget};
pub use raw_policy::{
    RawCommit, RawHedge, RawHedgeAfter, RawRetry, RawSticky, RawTimeout, RawTrigger, RawWhenAllEjected,
};
pub use raw_when::{RawMatcher, RawScalar, RawTest, RawWhen};
