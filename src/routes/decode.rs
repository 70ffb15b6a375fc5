//! Decodes a document that has passed its schema.
//!
//! What serde_json has for values says of every fault what it is, and reads objects from lists as well. Here the one is said by
//! the schema's check and the other refused by it, and without them the same types need half the Wasm.

use std::fmt::{self, Display, Formatter};

use serde::Deserializer;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer, Visitor};
use serde_json::Value;

/// Decodes a value.
///
/// # Errors
/// It does not fit the type.
pub fn decode<T: DeserializeOwned>(sound: Value) -> Result<T, TypeMismatch> {
    T::deserialize(CheckedValue(sound))
}

/// A value does not fit a type. Where is not said: it is a fault of the schema, and of ours.
#[derive(Debug)]
pub struct TypeMismatch;

struct CheckedValue(Value);

impl<'de> Deserializer<'de> for CheckedValue {
    type Error = TypeMismatch;

    /// For types that decide by what is there.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeMismatch> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(_) => self.deserialize_bool(visitor),
            Value::Number(_) => self.deserialize_f64(visitor),
            Value::String(_) => self.deserialize_string(visitor),
            Value::Array(_) => self.deserialize_seq(visitor),
            Value::Object(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeMismatch> {
        visitor.visit_bool(self.0.as_bool().ok_or(TypeMismatch)?)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeMismatch> {
        visitor.visit_u64(self.0.as_u64().ok_or(TypeMismatch)?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeMismatch> {
        let Value::Number(number) = self.0 else { return Err(TypeMismatch) };
        match (number.as_u64(), number.as_i64()) {
            (Some(whole), _) => visitor.visit_u64(whole),
            (_, Some(whole)) => visitor.visit_i64(whole),
            _ => visitor.visit_f64(number.as_f64().ok_or(TypeMismatch)?),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeMismatch> {
        let Value::String(text) = self.0 else { return Err(TypeMismatch) };
        visitor.visit_string(text)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeMismatch> {
        self.deserialize_string(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeMismatch> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, TypeMismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeMismatch> {
        let Value::Array(elements) = self.0 else { return Err(TypeMismatch) };
        visitor.visit_seq(SeqDeserializer::new(elements.into_iter().map(CheckedValue)))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeMismatch> {
        let Value::Object(members) = self.0 else { return Err(TypeMismatch) };
        visitor.visit_map(MapDeserializer::new(
            members.into_iter().map(|(key, value)| (key, CheckedValue(value))),
        ))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TypeMismatch> {
        self.deserialize_map(visitor)
    }

    /// Words alone.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TypeMismatch> {
        let Value::String(word) = self.0 else { return Err(TypeMismatch) };
        visitor.visit_enum(word.into_deserializer())
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u64 u128 f32 char str bytes byte_buf unit unit_struct tuple tuple_struct ignored_any
    }
}

impl IntoDeserializer<'_, TypeMismatch> for CheckedValue {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl serde::de::Error for TypeMismatch {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

impl Display for TypeMismatch {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value does not fit its type")
    }
}

impl std::error::Error for TypeMismatch {}
