//! Conditions as they are written.

use std::collections::BTreeMap;

use crate::scan::json_value::{self, Mismatch};
use serde::Deserialize;
use serde_json::Value;

raw! {

/// Conditions on a request. All given keys must hold. `*` in a value is a wildcard.
pub struct RawWhen {
    /// The path of the request, without the query.
    pub path: Option<RawMatcher>,
    /// What the client sent as `model`.
    pub model: Option<RawMatcher>,
    /// The HTTP method.
    pub method: Option<RawMatcher>,
    /// The operation: `chat/completions`, `embeddings`, …
    pub operation: Option<RawMatcher>,
    /// Request headers, by name.
    #[serde(default)]
    pub header: BTreeMap<String, RawMatcher>,
    /// Query parameters, by name.
    #[serde(default)]
    pub query: BTreeMap<String, RawMatcher>,
    /// Entries of `cf-aig-metadata` or `x-switchyard-metadata`, by name.
    #[serde(default)]
    pub metadata: BTreeMap<String, RawMatcher>,
    /// The name of the client.
    pub client: Option<RawMatcher>,
    /// Two letters: `EU`, `NA`, …
    pub continent: Option<RawMatcher>,
    /// ISO 3166-1 alpha-2: `DE`, `US`, …
    pub country: Option<RawMatcher>,
    /// IATA code of the Cloudflare data centre: `FRA`, `IAD`, …
    pub colo: Option<RawMatcher>,
    /// Fields of a JSON body, by dotted path: `stream`, `metadata.tier`.
    #[serde(default)]
    pub body: BTreeMap<String, RawMatcher>,
    /// The estimated tokens of the input.
    pub input_tokens: Option<RawMatcher>,
    /// The share of the requests for which this holds, in percent.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 0.0, max = 100.0)))]
    pub percent: Option<f64>,
    /// The affinity key for `percent`: `client`, `key`, `user`, `prompt_cache_key`, `header:NAME`
    /// or `metadata:KEY`. Requests with the same key always get the same result. Without it, each
    /// request is drawn separately.
    pub by: Option<String>,
    /// All of these hold.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub all: Option<Vec<RawWhen>>,
    /// At least one of these holds.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub any: Option<Vec<RawWhen>>,
    /// This does not hold.
    pub not: Option<Box<RawWhen>>,
    /// Labels of the client, by name. The document states them, and no request can.
    #[serde(default)]
    pub label: BTreeMap<String, RawMatcher>,
}

/// A test of a value. All given keys must hold. Only `not` and `exists: false` hold for a missing
/// value.
pub struct RawTest {
    /// Is one of these.
    #[serde(rename = "in")]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub is_in: Option<Vec<RawScalar>>,
    /// Does not match this.
    pub not: Option<Box<RawMatcher>>,
    /// Begins with this text.
    pub prefix: Option<String>,
    /// `true`: the value is present. `false`: it is absent.
    pub exists: Option<bool>,
    /// Is a number greater than this.
    pub gt: Option<f64>,
    /// Is a number not less than this.
    pub gte: Option<f64>,
    /// Is a number less than this.
    pub lt: Option<f64>,
    /// Is a number not greater than this.
    pub lte: Option<f64>,
    /// A text within the value, at any depth, contains these words. The case of ASCII letters does
    /// not matter.
    pub contains: Option<String>,
    /// A text within the value, at any depth, matches this regular expression, anywhere.
    pub matches: Option<String>,
}

}

/// What a value is compared with.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema), schemars(untagged, !try_from))]
#[serde(try_from = "Value")]
pub enum RawMatcher {
    /// A text with `*` as a wildcard, a number, `true` or `false`.
    Scalar(RawScalar),
    /// One of these.
    List(#[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))] Vec<RawScalar>),
    /// A test.
    Test(RawTest),
}

impl TryFrom<Value> for RawMatcher {
    type Error = Mismatch;

    fn try_from(json: Value) -> Result<Self, Mismatch> {
        match json {
            Value::Array(_) => json_value::read(json).map(Self::List),
            Value::Object(_) => json_value::read(json).map(Self::Test),
            _ => RawScalar::try_from(json).map(Self::Scalar),
        }
    }
}

/// A single value: no list and no object.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema), schemars(untagged, !try_from))]
#[serde(try_from = "Value")]
pub enum RawScalar {
    /// A text with `*` as a wildcard.
    Text(String),
    /// A number.
    Number(f64),
    /// `true` or `false`.
    Bool(bool),
}

impl TryFrom<Value> for RawScalar {
    type Error = Mismatch;

    fn try_from(json: Value) -> Result<Self, Mismatch> {
        match json {
            Value::String(text) => Ok(Self::Text(text)),
            Value::Bool(boolean) => Ok(Self::Bool(boolean)),
            number => json_value::read(number).map(Self::Number),
        }
    }
}
