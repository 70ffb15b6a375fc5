//! A changed document compiles, or its issues have paths that exist.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use switchyard::routes::compile;

use crate::documents::env;

/// Every place in a document as a JSON pointer, in the order of the document.
fn places(value: &Value, here: &str, found: &mut Vec<String>) {
    found.push(here.to_owned());
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                places(value, &format!("{here}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                places(value, &format!("{here}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// The paths of every place in a document, in the form that issues use. An issue about a missing
/// key has such a path as its parent.
fn known(value: &Value, here: &str, found: &mut Vec<String>) {
    found.push(here.to_owned());
    let step = |key: &str| {
        let is_plain =
            !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-$/".contains(c));
        match (is_plain, here) {
            (true, "$") => key.to_owned(),
            (true, _) => format!("{here}.{key}"),
            (false, _) => format!("{here}[{key:?}]"),
        }
    };
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| known(value, &step(key), found)),
        Value::Array(list) => {
            list.iter()
                .enumerate()
                .for_each(|(index, value)| known(value, &format!("{here}[{index}]"), found));
        }
        _ => {}
    }
}

/// The path of the object or list that contains the value at `path`.
fn parent(path: &str) -> &str {
    path.rfind(['.', '[']).and_then(|end| path.get(..end)).unwrap_or("$")
}

fn replacement() -> impl Strategy<Value = Value> {
    let words = [
        "",
        "chat",
        "openai",
        "nope",
        "*",
        "${A}",
        "${MISSING}",
        "${",
        "http://x",
        "weighted",
        "match",
        "429",
    ];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        proptest::sample::select(words.to_vec()).prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!([1, "chat", {}])),
        Just(json!({ "use": "chat", "weight": 1, "x": { "y": [] } })),
        Just(json!({ "targets": ["chat", { "targets": ["openai"], "strategy": "cost" }] })),
    ]
}

#[derive(Debug, Clone)]
enum Mutation {
    Replace(Index, Value),
    Remove(Index),
    /// Copies the value at the first place over the second one. This makes cycles, diamonds, and
    /// inline nodes in unusual places.
    Copy(Index, Index),
    /// Renames a key.
    Rename(Index, String),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<Index>;
    prop_oneof![
        (index(), replacement()).prop_map(|(at, value)| Mutation::Replace(at, value)),
        index().prop_map(Mutation::Remove),
        (index(), index()).prop_map(|(from, to)| Mutation::Copy(from, to)),
        (index(), "[a-z_.\\[ä]{0,8}").prop_map(|(at, key)| Mutation::Rename(at, key)),
    ]
}

fn mutate(document: &mut Value, mutation: &Mutation) {
    let mut all = Vec::new();
    places(document, "", &mut all);
    let all = all.as_slice();
    let take_out = |document: &mut Value, place: &str| -> Option<(String, Value)> {
        let (holder, key) = place.rsplit_once('/')?;
        match document.pointer_mut(holder)? {
            Value::Object(object) => {
                let value = object.remove(&key.replace("~1", "/").replace("~0", "~"))?;
                Some((holder.to_owned(), value))
            }
            Value::Array(list) => Some((holder.to_owned(), list.remove(key.parse().ok()?))),
            _ => None,
        }
    };
    match mutation {
        Mutation::Replace(at, value) => *document.pointer_mut(at.get::<String>(all)).unwrap() = value.clone(),
        Mutation::Remove(at) => drop(take_out(document, at.get::<String>(all))),
        Mutation::Copy(from, to) => {
            let value = document.pointer(from.get::<String>(all)).unwrap().clone();
            *document.pointer_mut(to.get::<String>(all)).unwrap() = value;
        }
        Mutation::Rename(at, key) => {
            if let Some((holder, value)) = take_out(document, at.get::<String>(all))
                && let Some(Value::Object(object)) = document.pointer_mut(&holder)
            {
                object.insert(key.clone(), value);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_mutated_document_compiles_or_says_where_it_is_wrong(mutations in proptest::collection::vec(mutation(), 1..6)) {
        let mut document: Value = serde_json::from_str(include_str!("../../routes.json")).unwrap();
        for mutation in &mutations {
            mutate(&mut document, mutation);
        }
        if let Err(issues) = compile(&document.to_string(), &env) {
            prop_assert!(!issues.is_empty());
            let mut paths = Vec::new();
            known(&document, "$", &mut paths);
            for issue in issues {
                let is_known = |path: &str| paths.iter().any(|known| known == path);
                // A missing required key at the top level has a path without a parent.
                prop_assert!(is_known(&issue.path) || is_known(parent(&issue.path)), "{issue}");
                prop_assert!(!issue.found.contains("its types do not"), "{issue}");
                prop_assert!(!issue.to_string().contains("top-secret"), "{issue}");
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        drop(compile(&text, &env));
    }

    #[test]
    fn a_damaged_document_is_refused_or_compiles(at in any::<Index>(), byte in any::<u8>()) {
        let mut bytes = include_bytes!("../../routes.json").to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        drop(compile(&String::from_utf8_lossy(&bytes), &env));
    }
}
