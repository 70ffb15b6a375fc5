//! Checks the shape of a document: every key is known and every value has the right type. Editors
//! use the same schema.
//!
//! The schema is generated from the `raw` types, so there is one source of truth. The check does
//! not use the decoder because a decoder stops at the first error. It interprets only the keywords
//! that the generator uses for these types: a test refuses a schema with a keyword outside
//! [`KEYWORDS`].
//!
//! Every new isolate parses the schema before its first answer. Therefore the Worker has a copy
//! without the parts that only editors show. It is a quarter of the published schema.

#[cfg(not(target_arch = "wasm32"))]
pub mod generate;

use serde_json::{Map, Value};

use super::at::At;
use super::issue::{IssueCollector, quoted};

/// The JSON Schema (draft 2020-12) of the routes document, from `generate::bare_schema`.
const SCHEMA: &str = include_str!("shape.json");

/// The keywords that this module interprets.
#[cfg(test)]
const KEYWORDS: [&str; 13] = [
    "$defs",
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "items",
    "maximum",
    "minItems",
    "minimum",
    "oneOf",
    "properties",
    "required",
    "type",
];

/// Reports every issue with the shape of the document, and returns the valid parts. Unknown keys
/// and values of a wrong type are removed, so that the rest can still be checked. `None` if nothing
/// valid is left.
pub fn check(document: &Value, report: &mut IssueCollector<'_>) -> Option<Value> {
    match serde_json::from_str(SCHEMA) {
        Ok(root) => Checker { root: &root, report }.sound(Schema(&root), document, At::Root),
        Err(error) => {
            report.refuse_found(At::Root, format!("a schema that is no JSON: {error}"), "a schema", None);
            None
        }
    }
}

/// The same for a list of which each element has this definition of the schema.
pub fn check_part(
    definition: &str,
    list: &[Value],
    at: At<'_>,
    report: &mut IssueCollector<'_>,
) -> Option<Vec<Value>> {
    let root: Value = serde_json::from_str(SCHEMA).ok()?;
    let element = Schema(root.get("$defs")?.get(definition)?);
    let mut checker = Checker { root: &root, report };
    let sound: Vec<_> = list
        .iter()
        .enumerate()
        .map(|(index, value)| checker.sound(element, value, at.index(index)))
        .collect();
    sound.into_iter().collect()
}

/// A schema, or a part of one.
#[derive(Clone, Copy)]
struct Schema<'s>(&'s Value);

impl<'s> Schema<'s> {
    fn text(self, keyword: &str) -> Option<&'s str> {
        self.0.get(keyword)?.as_str()
    }

    fn number(self, keyword: &str) -> Option<f64> {
        self.0.get(keyword)?.as_f64()
    }

    fn list(self, keyword: &str) -> impl Iterator<Item = Schema<'s>> + use<'s> {
        self.0.get(keyword).and_then(Value::as_array).into_iter().flatten().map(Schema)
    }

    fn has(self, keyword: &str) -> bool {
        self.0.get(keyword).is_some()
    }

    /// The keys that an object must have.
    fn required(self) -> impl Iterator<Item = &'s str> + use<'s> {
        self.list("required").filter_map(|key| key.0.as_str())
    }

    /// The keys that an object can have.
    fn keys(self) -> impl Iterator<Item = &'s str> + use<'s> {
        self.0
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|keys| keys.keys().map(String::as_str))
    }

    fn property(self, key: &str) -> Option<Schema<'s>> {
        self.0.get("properties")?.get(key).map(Schema)
    }

    /// The values of an enumeration.
    fn words(self) -> impl Iterator<Item = &'s str> + use<'s> {
        self.list("oneOf").filter_map(|word| word.text("const"))
    }

    fn accepts_type_of(self, value: &Value) -> bool {
        match self.text("type") {
            Some("array") => value.is_array(),
            Some("boolean") => value.is_boolean(),
            Some("integer") => value.is_u64() || value.is_i64(),
            Some("number") => value.is_number(),
            Some("object") => value.is_object(),
            Some("string") => value.is_string(),
            _ => true,
        }
    }

    fn accepts_size_of(self, value: &Value) -> bool {
        match value {
            Value::Number(number) => number.as_f64().is_none_or(|number| {
                self.number("minimum").is_none_or(|least| number >= least)
                    && self.number("maximum").is_none_or(|most| number <= most)
            }),
            // The only `minItems` in this schema is 1.
            Value::Array(list) => !(self.has("minItems") && list.is_empty()),
            Value::Null | Value::Bool(_) | Value::String(_) | Value::Object(_) => true,
        }
    }
}

struct Checker<'s, 'r, 'd> {
    root: &'s Value,
    report: &'r mut IssueCollector<'d>,
}

impl<'s> Checker<'s, '_, '_> {
    /// The valid parts of `value` under `schema`. `None` if the value cannot be used.
    fn sound(&mut self, schema: Schema<'s>, value: &Value, at: At<'_>) -> Option<Value> {
        let schema = self.target(schema);
        if schema.has("anyOf") {
            return match self.branch(schema, value) {
                Some(branch) => self.sound(branch, value, at),
                None => self.refuse(schema, at),
            };
        }
        if schema.has("oneOf") {
            return self.sound_word(schema, value, at);
        }
        if !schema.accepts_type_of(value) || !schema.accepts_size_of(value) {
            return self.refuse(schema, at);
        }
        match value {
            Value::Object(object) => self.sound_object(schema, object, at).map(Value::Object),
            Value::Array(list) => self.sound_list(schema, list, at).map(Value::Array),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(value.clone()),
        }
    }

    fn sound_word(&mut self, schema: Schema<'s>, value: &Value, at: At<'_>) -> Option<Value> {
        match value.as_str() {
            Some(text) if schema.words().any(|word| word == text) => Some(value.clone()),
            Some(text) => {
                self.report.refuse_name(at, text, self.expectation(schema), schema.words());
                None
            }
            None => self.refuse(schema, at),
        }
    }

    fn sound_object(
        &mut self,
        schema: Schema<'s>,
        object: &Map<String, Value>,
        at: At<'_>,
    ) -> Option<Map<String, Value>> {
        let additional = schema.0.get("additionalProperties");
        let mut sound = Map::new();
        let mut meant = Vec::new();
        for (key, value) in object {
            let at = at.key(key);
            let sound_value = match (schema.property(key), additional) {
                (Some(property), _) => self.sound(property, value, at),
                (None, Some(entry @ Value::Object(_))) => self.sound(Schema(entry), value, at),
                (None, Some(Value::Bool(false))) => {
                    meant.extend(self.refuse_key(schema, key, at));
                    None
                }
                (None, _) => Some(value.clone()),
            };
            if let Some(value) = sound_value {
                sound.insert(key.clone(), value);
            }
        }
        for key in schema.required() {
            if !object.contains_key(key) && !meant.iter().any(|meant| meant == key) {
                let expected = schema.property(key).map(|property| self.expectation(property));
                self.report.refuse(at.key(key), expected.unwrap_or_default());
            }
        }
        // Without its provider, a deployment is still checked: an enumeration that is required but
        // not valid is absent in the raw type.
        let is_word = |key: &str| schema.property(key).is_some_and(|key| self.target(key).has("oneOf"));
        schema.required().all(|key| sound.contains_key(key) || is_word(key)).then_some(sound)
    }

    /// A list is used completely or not at all: without one element, the others would have other
    /// indices.
    fn sound_list(&mut self, schema: Schema<'s>, list: &[Value], at: At<'_>) -> Option<Vec<Value>> {
        let Some(element) = schema.0.get("items") else { return Some(list.to_vec()) };
        let sound: Vec<_> = list
            .iter()
            .enumerate()
            .map(|(index, value)| self.sound(Schema(element), value, at.index(index)))
            .collect();
        sound.into_iter().collect()
    }

    fn refuse<T>(&mut self, schema: Schema<'s>, at: At<'_>) -> Option<T> {
        self.report.refuse(at, self.expectation(schema));
        None
    }

    /// Returns the key that was probably meant.
    fn refuse_key(&mut self, schema: Schema<'s>, key: &str, at: At<'_>) -> Option<String> {
        let nearest = self.report.nearest(key, schema.keys());
        let expected = match nearest {
            Some(_) => "a key that exists here".to_owned(),
            None => format!("one of the keys {}", join(schema.keys().map(str::to_owned).collect(), "and")),
        };
        self.report.refuse_key(at, expected, nearest.clone());
        nearest
    }

    /// The definition that `$ref` refers to, or the schema itself.
    fn target(&self, schema: Schema<'s>) -> Schema<'s> {
        let name = schema.text("$ref").and_then(|reference| reference.strip_prefix("#/$defs/"));
        name.and_then(|name| self.root.get("$defs")?.get(name)).map_or(schema, Schema)
    }

    /// The alternative that a value is probably meant to be. The type of the value selects it.
    /// Among several objects, the keys decide.
    fn branch(&self, schema: Schema<'s>, value: &Value) -> Option<Schema<'s>> {
        let mismatches = |branch: &Schema<'s>| {
            let Some(object) = value.as_object() else { return 0 };
            object.keys().filter(|key| branch.property(key).is_none()).count()
                + branch.required().filter(|key| !object.contains_key(*key)).count()
        };
        // An alternative may itself be a choice.
        let fits = |branch: &Schema<'s>| {
            branch.accepts_type_of(value) && (!branch.has("anyOf") || self.branch(*branch, value).is_some())
        };
        schema.list("anyOf").map(|branch| self.target(branch)).filter(fits).min_by_key(mismatches)
    }

    /// Describes what `schema` expects.
    fn expectation(&self, schema: Schema<'s>) -> String {
        let schema = self.target(schema);
        if schema.has("anyOf") {
            let mut kinds = Vec::new();
            self.kinds(schema, &mut kinds);
            return join(kinds, "or");
        }
        if schema.has("oneOf") {
            return join(schema.words().map(quoted).collect(), "or");
        }
        let kind = match schema.text("type") {
            Some("array") if schema.has("minItems") => "a list with something in it",
            Some("array") => "a list",
            Some("boolean") => "true or false",
            Some("integer") => "a whole number",
            Some("number") => "a number",
            Some("object") => "an object",
            Some("string") => "a text",
            _ => "a value",
        };
        match (schema.number("minimum"), schema.number("maximum")) {
            (Some(least), Some(most)) if least >= most => format!("{most}"),
            (Some(least), Some(most)) => format!("{kind} from {least} to {most}"),
            (Some(least), None) => format!("{kind}, at least {least}"),
            (None, Some(most)) => format!("{kind}, at most {most}"),
            (None, None) => kind.to_owned(),
        }
    }

    /// Collects what the alternatives of a choice expect, nested choices included.
    fn kinds(&self, schema: Schema<'s>, kinds: &mut Vec<String>) {
        for branch in schema.list("anyOf").map(|branch| self.target(branch)) {
            if branch.has("anyOf") {
                self.kinds(branch, kinds);
                continue;
            }
            let kind = self.expectation(branch);
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
    }
}

/// Joins texts to `a, b and c`.
fn join(mut words: Vec<String>, last: &str) -> String {
    let end = words.pop().unwrap_or_default();
    if words.is_empty() { end } else { format!("{} {last} {end}", words.join(", ")) }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{KEYWORDS, SCHEMA};

    #[test]
    fn every_keyword_of_the_schema_is_understood() {
        fn check(schema: &Value) {
            for (keyword, value) in schema.as_object().into_iter().flatten() {
                assert!(KEYWORDS.contains(&keyword.as_str()), "the keyword {keyword}");
                match keyword.as_str() {
                    "$defs" | "properties" => value.as_object().unwrap().values().for_each(check),
                    "anyOf" | "oneOf" => value.as_array().unwrap().iter().for_each(check),
                    "items" | "additionalProperties" => check(value),
                    "minItems" => assert_eq!(value, 1),
                    "type" => assert!(value.is_string(), "one type alone: {value}"),
                    _ => {}
                }
            }
        }
        check(&serde_json::from_str(SCHEMA).unwrap());
    }
}
