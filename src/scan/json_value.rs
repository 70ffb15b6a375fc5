//! Reads a value of a type from JSON that is in memory, and writes one: documents, messages about
//! health, and what is stored.
//!
//! `serde_json::from_value` differs in two points. It takes a list for an object, with the members
//! in the order of the fields; here an object is read from an object alone. And its errors quote
//! what they found; what is read here may hold secrets, so the error says nothing about it.
//!
//! The fields of a struct are read in their order, and each is looked up by its name. To read the
//! members as they come, each struct would compare their names and hold what it has so far: twice
//! as much code.

use std::fmt::{Display, Formatter};
use std::slice::Iter;

use serde::de::value::{MapAccessDeserializer, SeqDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::{Deserialize, Serialize, forward_to_deserialize_any};
use serde_json::Value;
use serde_json::map::{IntoIter, Map};

/// Reads a value.
///
/// # Errors
/// [`Mismatch`]
pub fn read<T: DeserializeOwned>(json: Value) -> Result<T, Mismatch> {
    T::deserialize(JsonValue(Some(json)))
}

/// Reads a value from a text. `None` if it is no JSON, or the value is of another type.
pub fn parse<T: DeserializeOwned>(text: &str) -> Option<T> {
    read(serde_json::from_str(text).ok()?).ok()
}

/// A value as JSON. Empty if it has no such form, such as a map whose keys are no texts.
pub fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Reads a part that counts as missing if it is not understood, for
/// `#[serde(deserialize_with = …)]`.
///
/// # Errors
/// The JSON ends within it.
pub fn lenient<'de, T, D>(json: D) -> Result<T, D::Error>
where
    T: DeserializeOwned + Default,
    D: Deserializer<'de>,
{
    Ok(read(Value::deserialize(json)?).unwrap_or_default())
}

/// The JSON is of another type, or lacks a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mismatch;

impl Display for Mismatch {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the JSON is of another type, or lacks a part")
    }
}

impl std::error::Error for Mismatch {}

impl Error for Mismatch {
    fn custom<T: Display>(_message: T) -> Self {
        Self
    }
}

/// A value; `None`: a member that is missing, which is read as `Option` alone.
struct JsonValue(Option<Value>);

impl IntoDeserializer<'_, Mismatch> for JsonValue {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// The members of an object for the fields of a struct, in the order of the fields.
///
/// Members that are no fields are ignored, also with `deny_unknown_fields`: documents are checked
/// against their schema before. With `#[serde(alias)]` a field would have two names in the list,
/// and those behind it would get the values of others, so no type has one.
struct StructFields {
    members: Map<String, Value>,
    names: Iter<'static, &'static str>,
}

impl StructFields {
    /// The value of the next field. Not inlined: each struct would have a copy of it.
    #[inline(never)]
    fn next(&mut self) -> JsonValue {
        JsonValue(self.names.next().and_then(|name| self.members.remove(*name)))
    }
}

impl<'de> SeqAccess<'de> for StructFields {
    type Error = Mismatch;

    /// `None`: the member is missing, and its field has its default, if there is one.
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mismatch> {
        let json = self.next();
        let is_missing = json.0.is_none();
        match seed.deserialize(json) {
            Err(_) if is_missing => Ok(None),
            read => read.map(Some),
        }
    }
}

/// The members of an object that are still to be read.
struct ObjectMembers {
    left: IntoIter,
    /// The value of the member whose name was read last.
    value: Value,
}

impl ObjectMembers {
    fn of(members: Map<String, Value>) -> Self {
        Self { left: members.into_iter(), value: Value::Null }
    }

    /// The name of the next member. Not inlined, like `take`: each type that is read from an object
    /// would have a copy of it.
    #[inline(never)]
    fn next(&mut self) -> Option<String> {
        let (name, value) = self.left.next()?;
        self.value = value;
        Some(name)
    }

    #[inline(never)]
    fn take(&mut self) -> JsonValue {
        JsonValue(Some(std::mem::take(&mut self.value)))
    }
}

impl<'de> MapAccess<'de> for ObjectMembers {
    type Error = Mismatch;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Mismatch> {
        self.next().map(|name| seed.deserialize(name.into_deserializer())).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mismatch> {
        seed.deserialize(self.take())
    }
}

impl<'de> Deserializer<'de> for JsonValue {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0.ok_or(Mismatch)? {
            Value::Null => visitor.visit_unit(),
            Value::Bool(boolean) => visitor.visit_bool(boolean),
            Value::Number(number) => number.deserialize_any(visitor).map_err(Error::custom),
            Value::String(text) => visitor.visit_string(text),
            Value::Array(items) => {
                visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(|item| Self(Some(item)))))
            }
            json @ Value::Object(_) => Self(Some(json)).deserialize_map(visitor),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        let Some(Value::Object(members)) = self.0 else { return Err(Mismatch) };
        visitor.visit_map(ObjectMembers::of(members))
    }

    /// Not inlined: V8 then compiles no readers of what the JSON does not hold.
    #[inline(never)]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        let Some(Value::Object(members)) = self.0 else { return Err(Mismatch) };
        visitor.visit_seq(StructFields { members, names: fields.iter() })
    }

    /// `"name"`, or `{"name": …}`; further members are ignored.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match self.0 {
            Some(Value::String(variant)) => visitor.visit_enum(variant.into_deserializer()),
            Some(Value::Object(members)) => MapAccessDeserializer::new(ObjectMembers::of(members))
                .deserialize_enum(name, variants, visitor),
            _ => Err(Mismatch),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            None | Some(Value::Null) => visitor.visit_none(),
            json => visitor.visit_some(Self(json)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct identifier ignored_any
    }
}
