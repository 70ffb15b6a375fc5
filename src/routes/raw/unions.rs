//! What can be written in more than one form, told apart by the type of its JSON.
//!
//! serde's `untagged` copies a value and tries one form after the other. It would cost 18 KB of
//! compressed Wasm, and a quarter more time for a document with deep nodes and conditions.

use serde::Deserialize;
use serde_json::{Error, Value, from_value};

use super::{Arrow, Node, Test};

/// The name of a deployment or a node, or a node written in place.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema), schemars(untagged, !try_from))]
#[serde(try_from = "Value")]
pub enum Place {
    /// The name of a deployment or a node.
    Name(String),
    /// A node written in place.
    Node(Box<Node>),
}

/// A target: a name, a node written in place, or either with its share or tier.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema), schemars(untagged, !try_from))]
#[serde(try_from = "Value")]
pub enum Target {
    /// The name of a deployment or a node.
    Name(String),
    /// A target with its share or its tier.
    Arrow(Arrow),
    /// A node written in place.
    Node(Box<Node>),
}

/// An error class or a status.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema), schemars(untagged, !try_from))]
#[serde(try_from = "Value")]
pub enum Trigger {
    /// An HTTP status: `429`.
    Status(#[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 400, max = 599)))] u16),
    /// An error class (`rate_limit`), a range of statuses (`"5xx"`) or a status (`"429"`).
    Word(String),
}

/// When a hedge starts.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema), schemars(untagged, !try_from))]
#[serde(try_from = "Value")]
pub enum HedgeAfter {
    /// After so many milliseconds.
    Ms(#[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 3_600_000)))] u32),
    /// After a percentile of what is usual: `"p95"`.
    Percentile(String),
}

/// What a value is compared with.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema), schemars(untagged, !try_from))]
#[serde(try_from = "Value")]
pub enum Matcher {
    /// A text with `*` as a wildcard, a number, `true` or `false`.
    Scalar(Scalar),
    /// One of these.
    List(#[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))] Vec<Scalar>),
    /// A test.
    Test(Test),
}

/// A plain value.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema), schemars(untagged, !try_from))]
#[serde(try_from = "Value")]
pub enum Scalar {
    /// A text with `*` as a wildcard.
    Text(String),
    /// A number.
    Number(f64),
    /// `true` or `false`.
    Bool(bool),
}

impl TryFrom<Value> for Place {
    type Error = Error;

    fn try_from(json: Value) -> Result<Self, Error> {
        match json {
            Value::String(name) => Ok(Self::Name(name)),
            node => from_value(node).map(Self::Node),
        }
    }
}

impl TryFrom<Value> for Target {
    type Error = Error;

    fn try_from(json: Value) -> Result<Self, Error> {
        match json {
            Value::String(name) => Ok(Self::Name(name)),
            arrow if arrow.get("use").is_some() => from_value(arrow).map(Self::Arrow),
            node => from_value(node).map(Self::Node),
        }
    }
}

impl TryFrom<Value> for Trigger {
    type Error = Error;

    fn try_from(json: Value) -> Result<Self, Error> {
        match json {
            Value::String(word) => Ok(Self::Word(word)),
            status => from_value(status).map(Self::Status),
        }
    }
}

impl TryFrom<Value> for HedgeAfter {
    type Error = Error;

    fn try_from(json: Value) -> Result<Self, Error> {
        match json {
            Value::String(percentile) => Ok(Self::Percentile(percentile)),
            ms => from_value(ms).map(Self::Ms),
        }
    }
}

impl TryFrom<Value> for Matcher {
    type Error = Error;

    fn try_from(json: Value) -> Result<Self, Error> {
        match json {
            Value::Array(_) => from_value(json).map(Self::List),
            Value::Object(_) => from_value(json).map(Self::Test),
            _ => Scalar::try_from(json).map(Self::Scalar),
        }
    }
}

impl TryFrom<Value> for Scalar {
    type Error = Error;

    fn try_from(json: Value) -> Result<Self, Error> {
        match json {
            Value::String(text) => Ok(Self::Text(text)),
            Value::Bool(boolean) => Ok(Self::Bool(boolean)),
            number => from_value(number).map(Self::Number),
        }
    }
}
