//! The address of an upstream.

/// The host of a valid endpoint, with its port if it has one: `NAME.openai.azure.com` of
/// `https://NAME.openai.azure.com/path`.
pub fn authority_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or(rest)
}

/// A URL without a query, and the `api-version` for the query.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) url: String,
    pub(super) api_version: Option<String>,
}
