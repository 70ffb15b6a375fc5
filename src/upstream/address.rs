//! Where an upstream is called.

/// A URL without a query, and the `api-version` that belongs into the query.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) url: String,
    pub(super) api_version: Option<String>,
}
