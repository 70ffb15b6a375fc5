//! Reads a value of a type from JSON that is in memory: documents, messages about health, and what
//! is stored.
//!
//! `serde_json::from_value` differs in two points. It takes a list for an object, with the members
//! in the order of the fields; here an object is read from an object alone. And its errors quote
//! what they found; what is read here may hold secrets, so the error says nothing about it. Both
//! also make the Wasm smaller.

use std::fmt::{Display, Formatter};

use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

/// Reads a value.
///
/// # Errors
/// [`Mismatch`]
pub fn read<T: DeserializeOwned>(json: Value) -> Result<T, Mismatch> {
    T::deserialize(JsonValue(json))
}

/// Reads a value from a text. `None` if it is no JSON, or the value is of another type.
pub fn parse<T: DeserializeOwned>(text: &str) -> Option<T> {
    read(serde_json::from_str(text).ok()?).ok()
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

struct JsonValue(Value);

impl IntoDeserializer<'_, Mismatch> for JsonValue {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

fn read_members<'de>(
    members: Map<String, Value>,
) -> MapDeserializer<'de, impl Iterator<Item = (String, JsonValue)>, Mismatch> {
    MapDeserializer::new(members.into_iter().map(|(name, json)| (name, JsonValue(json))))
}

impl<'de> Deserializer<'de> for JsonValue {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(boolean) => visitor.visit_bool(boolean),
            Value::Number(number) => number.deserialize_any(visitor).map_err(Error::custom),
            Value::String(text) => visitor.visit_string(text),
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(Self))),
            json @ Value::Object(_) => Self(json).deserialize_map(visitor),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        let Value::Object(members) = self.0 else { return Err(Mismatch) };
        visitor.visit_map(read_members(members))
    }

    /// Not inlined: V8 then compiles no readers of what the JSON does not hold.
    #[inline(never)]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        self.deserialize_map(visitor)
    }

    /// `"name"`, or `{"name": …}`; further members are ignored.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match self.0 {
            Value::String(variant) => visitor.visit_enum(variant.into_deserializer()),
            Value::Object(members) => {
                MapAccessDeserializer::new(read_members(members)).deserialize_enum(name, variants, visitor)
            }
            _ => Err(Mismatch),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Value::Null => visitor.visit_none(),
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
