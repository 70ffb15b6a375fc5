//! What can be written in more than one form, told apart by the type of its JSON.
//!
//! Decoded by hand: serde's `untagged` would do, and would bring a second decoder of every type into the Worker.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{Arrow, Node, Test};
use crate::routes::decode::{Misfit, decode};

/// The name of a deployment or a node, or a node written in place.
#[derive(Debug)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema), schemars(untagged))]
pub enum Place {
    /// The name of a deployment or a node.
    Name(String),
    /// A node written in place.
    Node(Box<Node>),
}

/// A target: a name, a node written in place, or either with its share or tier.
#[derive(Debug)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema), schemars(untagged))]
pub enum Target {
    /// The name of a deployment or a node.
    Name(String),
    /// A target with its share or its tier.
    Arrow(Arrow),
    /// A node written in place.
    Node(Box<Node>),
}

/// An error class or a status.
#[derive(Debug)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema), schemars(untagged))]
pub enum Trigger {
    /// An HTTP status: `429`.
    Status(#[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 400, max = 599)))] u16),
    /// An error class (`rate_limit`), a range of statuses (`"5xx"`) or a status (`"429"`).
    Word(String),
}

/// When a hedge starts.
#[derive(Debug)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema), schemars(untagged))]
pub enum HedgeAfter {
    /// After so many milliseconds.
    Ms(#[cfg_attr(not(target_arch = "wasm32"), schemars(range(min = 1, max = 3_600_000)))] u32),
    /// After a percentile of what is usual: `"p95"`.
    Percentile(String),
}

/// What a value is compared with.
#[derive(Debug)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema), schemars(untagged))]
pub enum Matcher {
    /// A text with `*` as a wildcard, a number, `true` or `false`.
    Scalar(Scalar),
    /// One of these.
    List(#[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))] Vec<Scalar>),
    /// A test.
    Test(Test),
}

/// A plain value.
#[derive(Debug)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema), schemars(untagged))]
pub enum Scalar {
    /// A text with `*` as a wildcard.
    Text(String),
    /// A number.
    Number(f64),
    /// `true` or `false`.
    Bool(bool),
}

/// Decodes from a JSON value, whose type says which form it is.
trait ByType: Sized {
    fn from_json(json: Value) -> Result<Self, Misfit>;
}

impl ByType for Place {
    fn from_json(json: Value) -> Result<Self, Misfit> {
        match json {
            Value::String(name) => Ok(Self::Name(name)),
            node => decode(node).map(Self::Node),
        }
    }
}

impl ByType for Target {
    fn from_json(json: Value) -> Result<Self, Misfit> {
        match json {
            Value::String(name) => Ok(Self::Name(name)),
            arrow if arrow.get("use").is_some() => decode(arrow).map(Self::Arrow),
            node => decode(node).map(Self::Node),
        }
    }
}

impl ByType for Trigger {
    fn from_json(json: Value) -> Result<Self, Misfit> {
        match json {
            Value::String(word) => Ok(Self::Word(word)),
            status => decode(status).map(Self::Status),
        }
    }
}

impl ByType for HedgeAfter {
    fn from_json(json: Value) -> Result<Self, Misfit> {
        match json {
            Value::String(percentile) => Ok(Self::Percentile(percentile)),
            ms => decode(ms).map(Self::Ms),
        }
    }
}

impl ByType for Matcher {
    fn from_json(json: Value) -> Result<Self, Misfit> {
        match json {
            Value::Array(_) => decode(json).map(Self::List),
            Value::Object(_) => decode(json).map(Self::Test),
            _ => Scalar::from_json(json).map(Self::Scalar),
        }
    }
}

impl ByType for Scalar {
    fn from_json(json: Value) -> Result<Self, Misfit> {
        match json {
            Value::String(text) => Ok(Self::Text(text)),
            Value::Bool(boolean) => Ok(Self::Bool(boolean)),
            number => decode(number).map(Self::Number),
        }
    }
}

macro_rules! decode_by_type {
    ($($type:ty),*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::from_json(Value::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }
    )*};
}

decode_by_type!(Place, Target, Trigger, HedgeAfter, Matcher, Scalar);
