//! What can be written in more than one form, told apart by the type of its JSON.
//!
//! Decoded by hand: serde's `untagged` would do, and would bring a second decoder of every type into the Worker.

use serde_json::Value;

use crate::routes::decode::TypeMismatch;

/// Decodes from a JSON value, whose type says which form it is.
pub(super) trait ByType: Sized {
    fn from_json(json: Value) -> Result<Self, TypeMismatch>;
}

/// Implements `Deserialize` by [`ByType`].
macro_rules! decode_by_type {
    ($($type:ty),*) => {$(
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::from_json(<serde_json::Value as serde::Deserialize>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    )*};
}

pub(super) use decode_by_type;
