//! The shape of a document: whether every key is known and every value is of its type, by the same schema that editors use.
//!
//! The schema is generated from the types in `raw`, so there is one source of truth; it is checked here rather than by
//! decoding because a decoder stops at the first error. This interprets only what the generator writes for our types: a
//! keyword that is not a field of [`Schema`] fails the test that reads the schema.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::at::At;
use super::issue::{Report, nearest, quoted};

/// The JSON Schema of the routes document, as it is published.
pub const SCHEMA: &str = include_str!("../../routes.schema.json");

/// Reports everything that is wrong with the shape of the document, and gives back what is sound: unknown keys and values of
/// a wrong type are left out, so that the rest can still be looked at. `None` where nothing sound is left.
pub fn check(document: &Value, report: &mut Report<'_>) -> Option<Value> {
    match serde_json::from_str(SCHEMA) {
        Ok(root) => Checker { root: &root, report }.sound(&root, document, At::Root),
        Err(error) => {
            report.refuse_found(At::Root, format!("a schema that cannot be read: {error}"), "a schema", None);
            None
        }
    }
}

/// A JSON Schema (draft 2020-12), as far as ours goes.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Schema {
    #[serde(rename = "$schema")]
    _draft: String,
    #[serde(rename = "title")]
    _title: String,
    #[serde(rename = "description")]
    _description: String,
    #[serde(rename = "format")]
    _format: String,
    #[serde(rename = "$defs")]
    defs: BTreeMap<String, Schema>,
    #[serde(rename = "$ref")]
    reference: Option<String>,
    r#type: Option<Type>,
    r#const: Option<String>,
    any_of: Vec<Schema>,
    one_of: Vec<Schema>,
    properties: BTreeMap<String, Schema>,
    required: Vec<String>,
    additional_properties: Option<Additional>,
    items: Option<Box<Schema>>,
    min_items: Option<usize>,
    minimum: Option<f64>,
    maximum: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Type {
    Array,
    Boolean,
    Integer,
    Number,
    Object,
    String,
}

/// What an object may hold beside its properties.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Additional {
    /// Anything, or nothing.
    Allowed(bool),
    /// Values of this shape: the object is a map.
    Of(Box<Schema>),
}

impl Schema {
    fn accepts_type_of(&self, value: &Value) -> bool {
        self.r#type.is_none_or(|expected| match expected {
            Type::Array => value.is_array(),
            Type::Boolean => value.is_boolean(),
            Type::Integer => value.is_u64() || value.is_i64(),
            Type::Number => value.is_number(),
            Type::Object => value.is_object(),
            Type::String => value.is_string(),
        })
    }

    fn accepts_range_of(&self, value: &Value) -> bool {
        value.as_f64().is_none_or(|number| {
            self.minimum.is_none_or(|least| number >= least) && self.maximum.is_none_or(|most| number <= most)
        })
    }
}

struct Checker<'s, 'r, 'd> {
    root: &'s Schema,
    report: &'r mut Report<'d>,
}

impl<'s> Checker<'s, '_, '_> {
    /// What of `value` is sound at a place where `schema` rules; `None` where it cannot be used at all.
    fn sound(&mut self, schema: &'s Schema, value: &Value, at: At<'_>) -> Option<Value> {
        let schema = self.target(schema);
        if !schema.any_of.is_empty() {
            return match self.branch(schema, value) {
                Some(branch) => self.sound(branch, value, at),
                None => self.refuse(schema, at),
            };
        }
        if !schema.one_of.is_empty() {
            return self.sound_word(schema, value, at);
        }
        if !schema.accepts_type_of(value) || !schema.accepts_range_of(value) {
            return self.refuse(schema, at);
        }
        match value {
            Value::Object(object) => self.sound_object(schema, object, at).map(Value::Object),
            Value::Array(list) => self.sound_list(schema, list, at).map(Value::Array),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(value.clone()),
        }
    }

    fn sound_word(&mut self, schema: &'s Schema, value: &Value, at: At<'_>) -> Option<Value> {
        let words = || schema.one_of.iter().filter_map(|word| word.r#const.as_deref());
        match value.as_str() {
            Some(text) if words().any(|word| word == text) => Some(value.clone()),
            Some(text) => {
                self.report.refuse_name(at, text, self.expectation(schema), words());
                None
            }
            None => self.refuse(schema, at),
        }
    }

    fn sound_object(
        &mut self,
        schema: &'s Schema,
        object: &Map<String, Value>,
        at: At<'_>,
    ) -> Option<Map<String, Value>> {
        let mut sound = Map::new();
        let mut meant = Vec::new();
        for (key, value) in object {
            let at = at.key(key);
            let kept = match (schema.properties.get(key), &schema.additional_properties) {
                (Some(property), _) => self.sound(property, value, at),
                (None, Some(Additional::Of(entry))) => self.sound(entry, value, at),
                (None, None | Some(Additional::Allowed(true))) => Some(value.clone()),
                (None, Some(Additional::Allowed(false))) => {
                    meant.extend(self.refuse_key(schema, key, at));
                    None
                }
            };
            if let Some(kept) = kept {
                sound.insert(key.clone(), kept);
            }
        }
        for key in schema.required.iter().filter(|key| !object.contains_key(*key) && !meant.contains(key)) {
            let expected =
                schema.properties.get(key).map_or_else(String::new, |property| self.expectation(property));
            self.report.refuse(at.key(key), expected);
        }
        schema.required.iter().all(|key| sound.contains_key(key)).then_some(sound)
    }

    /// A list is sound as a whole or not at all: without one element the others would have other indices.
    fn sound_list(&mut self, schema: &'s Schema, list: &[Value], at: At<'_>) -> Option<Vec<Value>> {
        if list.len() < schema.min_items.unwrap_or_default() {
            return self.refuse(schema, at);
        }
        let Some(element) = &schema.items else { return Some(list.to_vec()) };
        let sound: Vec<_> = list
            .iter()
            .enumerate()
            .map(|(index, value)| self.sound(element, value, at.index(index)))
            .collect();
        sound.into_iter().collect()
    }

    fn refuse<T>(&mut self, schema: &'s Schema, at: At<'_>) -> Option<T> {
        self.report.refuse(at, self.expectation(schema));
        None
    }

    /// Gives back the key that was probably meant.
    fn refuse_key(&mut self, schema: &'s Schema, key: &str, at: At<'_>) -> Option<String> {
        let nearest = nearest(key, schema.properties.keys().map(String::as_str));
        let expected = match nearest {
            Some(_) => "a key that exists here".to_owned(),
            None => format!("one of the keys {}", join(schema.properties.keys().cloned().collect(), "and")),
        };
        self.report.refuse_found(at, format!("the key {}", quoted(key)), expected, nearest.clone());
        nearest
    }

    /// The definition that a schema refers to.
    fn target(&self, schema: &'s Schema) -> &'s Schema {
        let name = schema.reference.as_deref().and_then(|reference| reference.strip_prefix("#/$defs/"));
        name.and_then(|name| self.root.defs.get(name)).unwrap_or(schema)
    }

    /// The alternative that a value is meant to be. The type of the value says which; of several objects, the keys do.
    fn branch(&self, schema: &'s Schema, value: &Value) -> Option<&'s Schema> {
        let fits = schema
            .any_of
            .iter()
            .map(|branch| self.target(branch))
            .filter(|branch| branch.accepts_type_of(value));
        let strangeness = |branch: &&Schema| {
            let Some(object) = value.as_object() else { return 0 };
            object.keys().filter(|key| !branch.properties.contains_key(*key)).count()
                + branch.required.iter().filter(|key| !object.contains_key(*key)).count()
        };
        fits.min_by_key(strangeness)
    }

    /// What `schema` expects, in words.
    fn expectation(&self, schema: &'s Schema) -> String {
        let schema = self.target(schema);
        if !schema.any_of.is_empty() {
            let mut kinds: Vec<_> = schema.any_of.iter().map(|branch| self.expectation(branch)).collect();
            kinds.dedup();
            return join(kinds, "or");
        }
        if !schema.one_of.is_empty() {
            let words = schema.one_of.iter().filter_map(|word| word.r#const.as_deref()).map(quoted).collect();
            return join(words, "or");
        }
        let kind = match schema.r#type {
            Some(Type::Array) if schema.min_items.is_some() => "a list with something in it",
            Some(Type::Array) => "a list",
            Some(Type::Boolean) => "true or false",
            Some(Type::Integer) => "a whole number",
            Some(Type::Number) => "a number",
            Some(Type::Object) => "an object",
            Some(Type::String) => "a text",
            None => "a value",
        };
        match (schema.minimum, schema.maximum) {
            (Some(least), Some(most)) if least >= most => format!("{most}"),
            (Some(least), Some(most)) => format!("{kind} from {least} to {most}"),
            (Some(least), None) => format!("{kind}, at least {least}"),
            (None, Some(most)) => format!("{kind}, at most {most}"),
            (None, None) => kind.to_owned(),
        }
    }
}

/// `a, b and c`.
fn join(mut words: Vec<String>, last: &str) -> String {
    let end = words.pop().unwrap_or_default();
    if words.is_empty() { end } else { format!("{} {last} {end}", words.join(", ")) }
}

/// Generates [`SCHEMA`] from the types. Natively alone: the Worker carries the text.
#[cfg(not(target_arch = "wasm32"))]
pub fn generate() -> String {
    let mut schema = schemars::schema_for!(super::raw::Document).to_value();
    tidy(&mut schema);
    format!("{schema:#}\n")
}

/// An optional key is one that may be left out; the generator would have it that it may also be null. Defaults are in the
/// descriptions.
#[cfg(not(target_arch = "wasm32"))]
fn tidy(schema: &mut Value) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(tidy),
        Value::Object(object) => {
            object.remove("default");
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_mut_slice() {
                    let only = only.take();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(branches)) = object.get_mut("anyOf") {
                branches.retain(|branch| branch.get("type").is_none_or(|name| name != "null"));
                if let [Value::Object(only)] = branches.as_mut_slice() {
                    let only = std::mem::take(only);
                    object.remove("anyOf");
                    object.extend(only);
                }
            }
            object.values_mut().for_each(tidy);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{SCHEMA, Schema, generate};

    #[test]
    fn the_published_schema_is_current() {
        assert!(SCHEMA == generate(), "regenerate it: cargo run -- schema > routes.schema.json");
    }

    #[test]
    fn every_keyword_of_the_schema_is_understood() {
        serde_json::from_str::<Schema>(SCHEMA).unwrap();
    }
}
