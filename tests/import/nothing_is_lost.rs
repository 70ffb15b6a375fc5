//! That each key of a configuration is in the document or in the report: over the whole
//! configurations, and over the same with other keys and values at other places.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};

use super::importer::import_notes::{ImportNote, ImportNotes, KeyFate};
use super::importer::key_table::KEY_RULES;
use super::importer::translate::translate;
use super::importer::yaml_tree::{self, YamlNode, YamlValue};
use super::tables::arguments;
use super::whole_files::{configurations, table_of};

/// A step into a value: a key, or a place in a list.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Key(String),
    Place(usize),
}

/// A configuration as a value, with the names of `--model`.
struct Whole {
    name: String,
    content: Value,
    asked: Vec<String>,
}

fn wholes() -> &'static [Whole] {
    static ALL: OnceLock<Vec<Whole>> = OnceLock::new();
    ALL.get_or_init(|| {
        let read = |(name, text): (String, String)| {
            let content = value_of(&yaml_tree::read(&text).unwrap().unwrap());
            let table = table_of(&name);
            let asked = arguments(&table).into_iter().filter(|word| *word != "--model");
            Whole { content, asked: asked.map(str::to_owned).collect(), name }
        };
        configurations().into_iter().map(read).collect()
    })
}

fn value_of(node: &YamlNode) -> Value {
    match &node.value {
        YamlValue::List(items) => items.iter().map(value_of).collect(),
        YamlValue::Map(entries) => {
            let own = entries.iter().filter(|entry| !entry.replaced);
            Value::Object(own.map(|entry| (entry.key.clone(), value_of(&entry.value))).collect())
        }
        YamlValue::Scalar { .. } if node.is_nothing() => Value::Null,
        YamlValue::Scalar { text, plain: true } => {
            let plain = serde_json::from_str(text).ok().filter(|value: &Value| !value.is_string());
            plain.unwrap_or_else(|| text.as_str().into())
        }
        YamlValue::Scalar { text, .. } => text.as_str().into(),
    }
}

/// What the importer makes of a value. JSON is YAML.
fn imported(whole: &Whole, content: &Value) -> (Value, ImportNotes) {
    let mut notes = ImportNotes::default();
    let root = yaml_tree::read(&content.to_string()).unwrap().unwrap();
    let document = translate(&root, &whole.asked, &mut notes);
    (document, notes)
}

/// The paths of all entries of mappings. With `leaves`, of those alone that hold no mapping.
fn entries(value: &Value, leaves: bool) -> Vec<Vec<Step>> {
    fn walk(value: &Value, leaves: bool, path: &mut Vec<Step>, found: &mut Vec<Vec<Step>>) {
        match value {
            Value::Object(object) => {
                for (key, value) in object {
                    path.push(Step::Key(key.clone()));
                    if !leaves || !has_mapping(value) {
                        found.push(path.clone());
                    }
                    walk(value, leaves, path, found);
                    path.pop();
                }
            }
            Value::Array(items) => {
                for (place, item) in items.iter().enumerate() {
                    path.push(Step::Place(place));
                    walk(item, leaves, path, found);
                    path.pop();
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(value, leaves, &mut Vec::new(), &mut found);
    found
}

fn has_mapping(value: &Value) -> bool {
    value.is_object() || value.as_array().is_some_and(|items| items.iter().any(has_mapping))
}

fn at<'a>(value: &'a mut Value, path: &[Step]) -> &'a mut Value {
    path.iter().fold(value, |value, step| match step {
        Step::Key(key) => &mut value[key.as_str()],
        Step::Place(place) => &mut value[*place],
    })
}

/// The path as the report writes it.
fn written(path: &[Step]) -> String {
    path.iter().fold(String::new(), |text, step| match step {
        Step::Place(place) => format!("{text}[{place}]"),
        Step::Key(key) if text.is_empty() => key.clone(),
        Step::Key(key) => format!("{text}.{key}"),
    })
}

/// Whether the report speaks of a key: of itself, of what holds it, or of what it holds.
fn is_noted(notes: &[ImportNote], path: &[Step]) -> bool {
    let path = written(path);
    let is_within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    notes.iter().any(|note| {
        // A row that is only approximated is in the document, and so its keys have to be.
        let is_whole_row = note.key.ends_with(']') || note.key.ends_with(".litellm_params");
        (is_within(&path, &note.key)
            && (note.fate == KeyFate::NoEquivalent || !is_whole_row || path == note.key))
            || is_within(&note.key, &path)
    })
}

/// What the report says, without lines.
fn said(notes: &ImportNotes) -> BTreeSet<(String, String)> {
    notes.notes.iter().map(|note| (note.key.clone(), note.note.clone())).collect()
}

/// Another value of the same kind.
fn another(value: &Value) -> Value {
    match value {
        Value::Bool(truth) => (!truth).into(),
        Value::Number(number) => (number.as_f64().unwrap_or(1.0) * 2.0 + 3.0).into(),
        Value::String(text) => format!("{text}x").into(),
        Value::Array(items) => items.iter().map(another).collect(),
        other => other.clone(),
    }
}

/// Keys that change nothing where there is nothing to choose from: one row, or short chains.
const MAY_BE_IDLE: &[&str] = &["order", "weight", "max_fallbacks", "num_retries"];

#[test]
fn each_key_of_each_configuration_is_in_the_document_or_in_the_report() {
    let mut lost = Vec::new();
    let mut tried = 0;
    for whole in wholes() {
        let (document, notes) = imported(whole, &whole.content);
        let paths = entries(&whole.content, true);
        // The long file repeats itself.
        let stride = paths.len() / 80 + 1;
        for path in paths.iter().step_by(stride) {
            let Some((Step::Key(key), holder)) = path.split_last() else { continue };
            tried += 1;
            if is_noted(&notes.notes, path) || MAY_BE_IDLE.contains(&key.as_str()) {
                continue;
            }
            let mut without = whole.content.clone();
            at(&mut without, holder).as_object_mut().unwrap().remove(key);
            let mut changed = whole.content.clone();
            let place = at(&mut changed, path);
            *place = another(place);
            let counts = [without, changed].iter().any(|content| {
                let (other, other_notes) = imported(whole, content);
                other != document || said(&other_notes) != said(&notes)
            });
            if !counts {
                lost.push(format!("{}: {}", whole.name, written(path)));
            }
        }
    }
    assert!(lost.is_empty(), "{lost:#?}");
    assert!(tried > 500, "{tried}");
}

#[test]
fn no_secret_of_a_configuration_is_in_the_document_or_in_the_report() {
    let ends = ["api_key", "master_key", "secret", "token", "password", "authorization", "redis_url"];
    let mut hidden = 0;
    for whole in wholes() {
        let mut content = whole.content.clone();
        for path in entries(&content.clone(), true) {
            let Some(Step::Key(key)) = path.last() else { continue };
            if ends.iter().any(|end| key.ends_with(end)) {
                *at(&mut content, &path) = json!(format!("zz-secret-{hidden}"));
                hidden += 1;
            }
        }
        let (document, notes) = imported(whole, &content);
        let said = json!({ "notes": notes.notes, "variables": notes.variables });
        assert!(!document.to_string().contains("zz-secret"), "{}: {document:#}", whole.name);
        assert!(!said.to_string().contains("zz-secret"), "{}: {said:#}", whole.name);
    }
    assert!(hidden > 50, "{hidden}");
}

/// A value that a file may have somewhere.
fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(7)),
        Just(json!(-1)),
        Just(json!(0.5)),
        Just(json!(true)),
        Just(json!("zz-text")),
        Just(json!("os.environ/ZZ")),
        Just(json!(["zz-text"])),
        Just(json!([{ "zz-key": "zz-text" }])),
        Just(json!({ "zz-key": "zz-text" })),
        Just(json!({ "zz-key": ["gpt-4o"] })),
    ]
}

/// A key that nobody knows, or one that has a meaning somewhere.
fn any_key() -> impl Strategy<Value = String> {
    let known: Vec<&str> = KEY_RULES.iter().filter_map(|rule| rule.path.rsplit(['.', ']']).next()).collect();
    prop_oneof!["zz_[a-z]{1,8}", proptest::sample::select(known).prop_map(str::to_owned)]
        .prop_filter("a key", |key| !key.is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn another_key_anywhere_is_in_the_document_or_in_the_report(
        whole in any::<Index>(), place in any::<Index>(), key in any_key(), value in any_value(),
    ) {
        let whole = whole.get(wholes());
        let mut content = whole.content.clone();
        let mut holders = entries(&content, false);
        holders.push(Vec::new());
        holders.retain(|path| at(&mut content, path).is_object());
        let holder = place.get(&holders);
        let (document, _) = imported(whole, &content);
        let added: &mut Map<String, Value> = at(&mut content, holder).as_object_mut().unwrap();
        prop_assume!(!added.contains_key(&key));
        added.insert(key.clone(), value);
        let (other, notes) = imported(whole, &content);
        let path = [holder.as_slice(), &[Step::Key(key.clone())]].concat();
        prop_assert!(
            other != document || is_noted(&notes.notes, &path) || MAY_BE_IDLE.contains(&key.as_str()),
            "{}: {} is lost", whole.name, written(&path)
        );
    }

    #[test]
    fn another_value_anywhere_is_in_the_document_or_in_the_report(
        whole in any::<Index>(), place in any::<Index>(), value in any_value(),
    ) {
        let whole = whole.get(wholes());
        let mut content = whole.content.clone();
        let paths = entries(&content, true);
        let path = place.get(&paths);
        *at(&mut content, path) = value.clone();
        let (document, notes) = imported(whole, &content);
        let shown = document.to_string();
        let is_secret = ["api_key", "master_key"].iter().any(|key| written(path).ends_with(key));
        let is_there = match &value {
            // A secret becomes a variable.
            Value::String(_) if is_secret => imported(whole, &whole.content).0 != document,
            Value::String(text) => shown.contains(text.trim_start_matches("os.environ/")),
            Value::Array(_) | Value::Object(_) => shown.contains("zz-text") || shown.contains("zz-key"),
            // A number or a boolean cannot be found in the document.
            _ => imported(whole, &whole.content).0 != document,
        };
        prop_assert!(is_there || is_noted(&notes.notes, path) || MAY_BE_IDLE.iter().any(|key| written(path).ends_with(key)),
            "{}: {} as {value} is lost", whole.name, written(path));
    }
}
