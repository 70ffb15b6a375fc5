//! Reads a value of a type from JSON that is in memory, for what is read rarely: documents,
//! messages between isolates and objects, and what is stored.
//!
//! A reader of its own instead of `serde_json::from_value`, for two reasons. Derived readers accept
//! a list of its fields as an object, which nobody means; this one does not. And it leaves out the
//! code for that, of each type, and the texts of errors that nobody sees: a tenth of the Wasm.

use std::fmt::{Display, Formatter};

use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

/// The JSON is of another type, or lacks a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mismatch;

/// Reads a value.
///
/// # Errors
/// [`Mismatch`]
pub fn read<T: DeserializeOwned>(json: Value) -> Result<T, Mismatch> {
    T::deserialize(JsonValue(json))
}

impl Display for Mismatch {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the JSON is of another type, or lacks a part")
    }
}

impl std::error::Error for Mismatch {}

impl serde::de::Error for Mismatch {
    fn custom<T: Display>(_message: T) -> Self {
        Self
    }

    fn invalid_type(_found: Unexpected<'_>, _expected: &dyn Expected) -> Self {
        Self
    }

    fn invalid_value(_found: Unexpected<'_>, _expected: &dyn Expected) -> Self {
        Self
    }

    fn invalid_length(_length: usize, _expected: &dyn Expected) -> Self {
        Self
    }

    fn unknown_variant(_variant: &str, _expected: &'static [&'static str]) -> Self {
        Self
    }

    fn unknown_field(_field: &str, _expected: &'static [&'static str]) -> Self {
        Self
    }

    fn missing_field(_field: &'static str) -> Self {
        Self
    }

    fn duplicate_field(_field: &'static str) -> Self {
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

fn list<'de, V: Visitor<'de>>(items: Vec<Value>, visitor: V) -> Result<V::Value, Mismatch> {
    visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(JsonValue)))
}

fn object<'de, V: Visitor<'de>>(members: Map<String, Value>, visitor: V) -> Result<V::Value, Mismatch> {
    visitor.visit_map(members_of(members))
}

type Members = std::iter::Map<serde_json::map::IntoIter, fn((String, Value)) -> (String, JsonValue)>;

fn members_of<'de>(members: Map<String, Value>) -> MapDeserializer<'de, Members, Mismatch> {
    MapDeserializer::new(members.into_iter().map(|(name, json)| (name, JsonValue(json))))
}

/// Methods for what is neither a list nor an object: the visitor's code for those stays out.
macro_rules! scalars {
    ($($method:ident)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
                match self.0 {
                    Value::Bool(boolean) => visitor.visit_bool(boolean),
                    Value::Number(number) => number.deserialize_any(visitor).map_err(|_| Mismatch),
                    Value::String(text) => visitor.visit_string(text),
                    _ => Err(Mismatch),
                }
            }
        )*
    };
}

impl<'de> Deserializer<'de> for JsonValue {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Array(items) => list(items, visitor),
            Value::Object(members) => object(members, visitor),
            json => JsonValue(json).deserialize_str(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            json => visitor.visit_some(JsonValue(json)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Value::Array(items) => list(items, visitor),
            _ => Err(Mismatch),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Value::Object(members) => object(members, visitor),
            _ => Err(Mismatch),
        }
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
                MapAccessDeserializer::new(members_of(members)).deserialize_enum(name, variants, visitor)
            }
            _ => Err(Mismatch),
        }
    }

    scalars! {
        deserialize_bool
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_identifier
    }

    forward_to_deserialize_any! { bytes byte_buf unit unit_struct tuple tuple_struct ignored_any }
}
