//! Generates the schema from the `raw` types. This is native code: the Worker has the result as a
//! text.

use serde_json::Value;

use crate::routes::raw::RawDocument;

/// Keywords that a check does not need.
const ANNOTATIONS: [&str; 4] = ["$schema", "description", "format", "title"];

/// The published schema.
pub fn schema() -> String {
    format!("{:#}\n", generate())
}

/// The schema without the keywords that a check does not need.
pub fn bare_schema() -> String {
    let mut schema = generate();
    bare(&mut schema);
    format!("{schema}\n")
}

fn generate() -> Value {
    let mut schema = schemars::schema_for!(RawDocument).to_value();
    tidy(&mut schema);
    plain_names(&mut schema);
    schema
}

/// Removes the prefix `Raw` from the names of definitions: the documentation says `Node`, not
/// `RawNode`.
fn plain_names(schema: &mut Value) {
    const REFERENCE: &str = "#/$defs/";
    let plain = |name: &str| name.strip_prefix("Raw").unwrap_or(name).to_owned();
    match schema {
        Value::Array(list) => list.iter_mut().for_each(plain_names),
        Value::Object(object) => {
            if let Some(Value::Object(definitions)) = object.get_mut("$defs") {
                *definitions = std::mem::take(definitions)
                    .into_iter()
                    .map(|(name, schema)| (plain(&name), schema))
                    .collect();
            }
            for keyword in ["$ref", "title"] {
                if let Some(Value::String(name)) = object.get_mut(keyword) {
                    *name = match name.strip_prefix(REFERENCE) {
                        Some(name) => format!("{REFERENCE}{}", plain(name)),
                        None => plain(name),
                    };
                }
            }
            object.values_mut().for_each(plain_names);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Removes [`ANNOTATIONS`].
fn bare(schema: &mut Value) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(bare),
        Value::Object(object) => {
            object.retain(|keyword, _| !ANNOTATIONS.contains(&keyword.as_str()));
            for (keyword, value) in object.iter_mut() {
                match value {
                    // The keys of this object are names from documents, not keywords.
                    Value::Object(named) if keyword == "properties" || keyword == "$defs" => {
                        named.values_mut().for_each(bare);
                    }
                    value => bare(value),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Removes `null` and defaults. An optional key can be absent, but the generator also permits
/// `null`. Defaults are in the descriptions.
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
    use serde_json::json;

    use super::{bare, bare_schema, schema};
    use crate::routes::shape::SCHEMA;

    #[test]
    fn the_published_schema_is_current() {
        let published = include_str!("../../../routes.schema.json");
        assert!(published == schema(), "regenerate it: cargo run -- schema > routes.schema.json");
    }

    #[test]
    fn the_schema_in_the_worker_is_current() {
        assert!(SCHEMA == bare_schema(), "regenerate it: cargo run -- schema --bare > src/routes/shape.json");
    }

    #[test]
    fn a_key_of_documents_stays_whatever_it_is_called() {
        let mut schema = json!({
            "title": "A thing.",
            "properties": { "title": { "type": "string", "description": "What it is called." } },
            "required": ["title"],
        });
        bare(&mut schema);
        assert_eq!(schema, json!({ "properties": { "title": { "type": "string" } }, "required": ["title"] }));
    }
}
