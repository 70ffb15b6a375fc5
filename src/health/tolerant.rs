//! Readers of JSON that another version may have written: of messages, and of what a shard stores.
//!
//! They are for `#[serde(deserialize_with = …)]`, and decide how much is lost with a part that is
//! not understood.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::scan::json_value;
use crate::vocabulary::sorted;

/// Reads a value. `None`: it is not understood.
///
/// Not inlined: the first messages of an isolate hold no entries, and V8 then does not compile the
/// readers of entries.
#[inline(never)]
pub(super) fn read<T: DeserializeOwned>(json: Value) -> Option<T> {
    json_value::read(json).ok()
}

/// An object of entries. Entries that are not understood are left out.
///
/// # Errors
/// It is not an object.
pub(super) fn entries<'de, K, V, D>(json: D) -> Result<BTreeMap<K, V>, D::Error>
where
    K: DeserializeOwned + Ord,
    V: DeserializeOwned,
    D: Deserializer<'de>,
{
    let entries = Map::deserialize(json)?.into_iter();
    Ok(sorted::map(entries.filter_map(|(key, json)| Some((read(Value::String(key))?, read(json)?)))))
}

/// The same; the result is empty if the part is not an object.
///
/// # Errors
/// The JSON ends within it.
pub(super) fn lenient_entries<'de, K, V, D>(json: D) -> Result<BTreeMap<K, V>, D::Error>
where
    K: DeserializeOwned + Ord,
    V: DeserializeOwned,
    D: Deserializer<'de>,
{
    Ok(entries(Value::deserialize(json)?).unwrap_or_default())
}

/// A list of pairs. Pairs that are not understood are left out.
///
/// # Errors
/// It is not a list.
pub(super) fn pairs<'de, A, B, D>(json: D) -> Result<Vec<(A, B)>, D::Error>
where
    A: DeserializeOwned,
    B: DeserializeOwned,
    D: Deserializer<'de>,
{
    let pairs = Vec::<Value>::deserialize(json)?.into_iter();
    Ok(pairs.filter_map(|pair| Some((read(pair.get(0)?.clone())?, read(pair.get(1)?.clone())?))).collect())
}
