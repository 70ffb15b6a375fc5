//! The address of an upstream.

/// A URL without a query, and the `api-version` for the query.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) url: String,
    pub(super) api_version: Option<String>,
}
