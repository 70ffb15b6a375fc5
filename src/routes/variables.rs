//! Variables: `${NAME}` in any string of the document stands for a variable of the environment.
//!
//! Only values are expanded, never keys, and the result only ever goes into the graph: issues quote what is written.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::at::At;
use super::issue::Report;

/// What the environment lacks.
#[derive(Debug, Default)]
pub struct Missing {
    /// Paths of the strings that hold a variable without a value. They are left as they are written.
    paths: BTreeSet<String>,
    /// Of each deployment and client that lacks some, the first: by section and name.
    entries: BTreeMap<(String, String), String>,
}

impl Missing {
    /// Whether the string at this place lacks a variable, so that nothing can be said of its value.
    pub fn is_at(&self, at: At<'_>) -> bool {
        // No document without missing variables pays for the path.
        !self.paths.is_empty() && self.paths.contains(&at.to_string())
    }

    /// The variable that an entry of a section lacks.
    pub fn of(&self, section: &str, name: &str) -> Option<&str> {
        self.entries.get(&(section.to_owned(), name.to_owned())).map(String::as_str)
    }
}

/// Replaces every `${NAME}` in `document` by its value, spaces around it removed. An empty variable counts as missing.
///
/// A missing one is a warning inside a deployment or a client, which then takes no part, and an issue elsewhere.
pub fn expand(
    document: &mut Value,
    env: &dyn Fn(&str) -> Option<String>,
    report: &mut Report<'_>,
) -> Missing {
    let mut missing = Missing::default();
    expand_at(document, At::Root, env, report, &mut missing);
    missing
}

fn expand_at(
    value: &mut Value,
    at: At<'_>,
    env: &dyn Fn(&str) -> Option<String>,
    report: &mut Report<'_>,
    missing: &mut Missing,
) {
    match value {
        Value::String(text) => {
            if let Some(expanded) = expand_text(text, at, env, report, missing) {
                *text = expanded;
            }
        }
        Value::Array(list) => {
            for (index, element) in list.iter_mut().enumerate() {
                expand_at(element, at.index(index), env, report, missing);
            }
        }
        Value::Object(object) => {
            for (key, entry) in object {
                expand_at(entry, at.key(key), env, report, missing);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The text with its variables replaced; `None` where there are none, or some cannot be.
fn expand_text(
    text: &str,
    at: At<'_>,
    env: &dyn Fn(&str) -> Option<String>,
    report: &mut Report<'_>,
    missing: &mut Missing,
) -> Option<String> {
    let (head, mut rest) = text.split_once("${")?;
    let mut expanded = head.to_owned();
    let mut is_whole = true;
    loop {
        let Some((name, after)) = rest.split_once('}').filter(|(name, _)| is_name(name)) else {
            report.refuse(
                at,
                "every ${ to begin a variable such as ${NAME}: letters, digits and _, no digit first",
            );
            missing.paths.insert(at.to_string());
            return None;
        };
        let value = env(name).unwrap_or_default();
        expanded.push_str(value.trim());
        if value.trim().is_empty() {
            is_whole = false;
            miss(name, at, report, missing);
        }
        let Some((between, next)) = after.split_once("${") else {
            expanded.push_str(after);
            return is_whole.then_some(expanded);
        };
        expanded.push_str(between);
        rest = next;
    }
}

fn miss(name: &str, at: At<'_>, report: &mut Report<'_>, missing: &mut Missing) {
    let expected = format!("the variable {name} to be set");
    let consequence = match at.entry() {
        Some(("deployments", _)) => "until then this deployment takes no traffic",
        Some(("clients", _)) => "until then nobody can call as this client",
        _ => {
            report.refuse(at, expected);
            missing.paths.insert(at.to_string());
            return;
        }
    };
    report.warn(at, expected, consequence);
    missing.paths.insert(at.to_string());
    if let Some((section, entry)) = at.entry() {
        missing.entries.entry((section.to_owned(), entry.to_owned())).or_insert_with(|| name.to_owned());
    }
}

/// The name of the variable, where the text is one variable and nothing else.
pub fn sole_variable(text: &str) -> Option<&str> {
    text.strip_prefix("${")?.strip_suffix('}').filter(|name| is_name(name))
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{expand, sole_variable};
    use crate::routes::issue::Report;

    fn env(name: &str) -> Option<String> {
        match name {
            "A" => Some("one".to_owned()),
            "B" => Some(" two\n".to_owned()),
            // Not expanded again: a value is only a value.
            "NESTED" => Some("${A}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_replaced_wherever_a_string_stands() {
        for (text, expected) in [
            ("plain", "plain"),
            ("${A}", "one"),
            ("${A}-${B}!", "one-two!"),
            ("${NESTED}", "${A}"),
            // A dollar sign alone is a dollar sign.
            ("$A $ {A} $", "$A $ {A} $"),
        ] {
            let mut document = json!({ "list": [{ "key": text }] });
            let written = document.clone();
            let mut report = Report::new(&written);
            expand(&mut document, &env, &mut report);
            assert_eq!(document, json!({ "list": [{ "key": expected }] }), "{text}");
            assert_eq!(report.finish(), Ok(Vec::new()), "{text}");
        }
    }

    #[test]
    fn what_is_missing_disables_an_entry_or_is_an_issue() {
        let mut document = json!({
            "deployments": { "a": { "x": ["${NONE}", "${EMPTY}"] } },
            "clients": { "c": { "key": "${A}${NONE}" } },
        });
        let written = document.clone();
        let mut report = Report::new(&written);
        let missing = expand(&mut document, &env, &mut report);
        assert_eq!(missing.of("deployments", "a"), Some("NONE"));
        assert_eq!(missing.of("clients", "c"), Some("NONE"));
        assert_eq!(document, written, "what is missing stays as it is written");
        assert_eq!(report.finish().map(|warnings| warnings.len()), Ok(3));

        for text in ["${NONE}", "${EMPTY}", "${A", "${}", "${1A}", "${A-B}", "${A} ${"] {
            let mut document = json!({ "models": { "m": text } });
            let written = document.clone();
            let mut report = Report::new(&written);
            expand(&mut document, &env, &mut report);
            assert!(report.finish().is_err(), "{text}");
        }
    }

    #[test]
    fn a_secret_is_one_variable_and_nothing_else() {
        assert_eq!(sole_variable("${OPENAI_API_KEY}"), Some("OPENAI_API_KEY"));
        for text in ["", "sk-1", "${A}x", "x${A}", "${A}${B}", "${}", "${A"] {
            assert_eq!(sole_variable(text), None, "{text}");
        }
    }
}
