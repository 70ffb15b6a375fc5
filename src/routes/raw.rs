//! The routes document as it is written: plain data, with one type for each object.
//!
//! These types are the only source of the document's shape. `routes.schema.json` is generated from
//! them. Their comments become the descriptions that editors show. The Worker checks documents
//! against that schema (`shape`), and serde decodes a valid document into these types. `compile`
//! checks what they cannot express: names that exist, cycles, secrets.
//!
//! If a key accepts several forms, the JSON type selects the form (`TryFrom<Value>`). serde's
//! `untagged` is not used: it copies a value and tries one form after the other. That costs 18 KB
//! of compressed Wasm, and a quarter more time for a document with deep nodes and conditions.

#![expect(dead_code, reason = "some keys are only for people and editors")]
#![expect(clippy::struct_field_names, reason = "fields have the names of the document's keys")]

/// Derives the traits of every type here. The schema is derived only natively, so that no part of
/// it gets into the Worker.
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
mod raw_limit;
mod raw_node;
mod raw_policy;
mod raw_webhook;
mod raw_when;

pub use raw_deployment::{
    RawApiKey, RawCapabilities, RawCost, RawDeployment, RawEjections, RawEntra, RawParams, RawProvider,
    RawVia,
};
pub use raw_document::{
    RawClient, RawDenial, RawDocument, RawExpose, RawHealthSharing, RawObjects, RawSettings, RawStatements,
    RawUsage,
};
pub use raw_limit::{RawLimit, RawPeriod, RawUnreachable};
pub use raw_node::{RawArrow, RawCache, RawDestination, RawNode, RawStrategy, RawTarget};
pub use raw_policy::{
    RawCommit, RawHedge, RawHedgeAfter, RawRetry, RawSticky, RawTimeout, RawTrigger, RawWhenAllEjected,
};
pub use raw_webhook::{RawAlertKind, RawWebhook};
pub use raw_when::{RawMatcher, RawScalar, RawTest, RawWhen};
