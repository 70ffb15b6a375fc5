//! Reads JSON of other versions: what isolates and shards tell each other, and what a shard has stored.
//!
//! By hand, on a parsed value: what a derived reader says of a fault nobody hears here, and it is many times as large.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::wire::Id;
use crate::attempt::class::ErrorClass;
use crate::request::operation::Operation;
use crate::time::Millis;

/// What can be read from a JSON value.
pub(super) trait FromJson: Sized {
    /// `None`: it is not understood.
    fn from_json(json: &Value) -> Option<Self>;
}

/// The members of an object. What else it has is not looked at.
#[derive(Clone, Copy)]
pub(super) struct Members<'a>(&'a Map<String, Value>);

impl<'a> Members<'a> {
    pub(super) fn of(json: &'a Value) -> Option<Self> {
        json.as_object().map(Self)
    }

    /// One that is needed, or that counts as missing where it is not understood.
    pub(super) fn get<T: FromJson>(self, name: &str) -> Option<T> {
        T::from_json(self.0.get(name)?)
    }

    /// One that may be missing, and makes no sense of the whole object where it is there and is not understood: `None`.
    pub(super) fn or_default<T: FromJson + Default>(self, name: &str) -> Option<T> {
        self.0.get(name).map_or_else(|| Some(T::default()), T::from_json)
    }

    /// The members that are understood, by name.
    pub(super) fn entries<T: FromJson>(self) -> BTreeMap<String, T> {
        self.0.iter().filter_map(|(name, json)| Some((name.clone(), T::from_json(json)?))).collect()
    }
}

impl FromJson for u64 {
    fn from_json(json: &Value) -> Option<Self> {
        json.as_u64()
    }
}

impl FromJson for u32 {
    fn from_json(json: &Value) -> Option<Self> {
        json.as_u64()?.try_into().ok()
    }
}

impl FromJson for f64 {
    fn from_json(json: &Value) -> Option<Self> {
        json.as_f64()
    }
}

impl FromJson for bool {
    fn from_json(json: &Value) -> Option<Self> {
        json.as_bool()
    }
}

impl<T: FromJson> FromJson for Option<T> {
    fn from_json(json: &Value) -> Option<Self> {
        if json.is_null() { Some(None) } else { T::from_json(json).map(Some) }
    }
}

impl<T: FromJson> FromJson for BTreeMap<String, T> {
    fn from_json(json: &Value) -> Option<Self> {
        Members::of(json).map(Members::entries)
    }
}

impl FromJson for BTreeMap<Operation, Millis> {
    /// Of operations that are not known, and times that are none, nothing is kept.
    fn from_json(json: &Value) -> Option<Self> {
        let known = |(path, ms): (&String, &Value)| Some((Operation::of(path)?, ms.as_u64()?));
        Some(json.as_object()?.iter().filter_map(known).collect())
    }
}

impl FromJson for Id {
    fn from_json(json: &Value) -> Option<Self> {
        u64::from_str_radix(json.as_str()?, 16).ok().map(Self)
    }
}

impl FromJson for ErrorClass {
    fn from_json(json: &Value) -> Option<Self> {
        let name = json.as_str()?;
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

impl FromJson for Operation {
    fn from_json(json: &Value) -> Option<Self> {
        Self::of(json.as_str()?)
    }
}
