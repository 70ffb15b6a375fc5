//! Variables: `${NAME}` in any string of the document refers to a variable of the environment.
//!
//! Only values are expanded, not keys. The result goes only into the graph: issues quote the
//! document as it is written.

use serde_json::Value;

use super::at::At;
use super::issue::IssueCollector;
use super::placeholder::is_name;

/// Replaces every `${NAME}` in `document` by its value, without the spaces around it. An empty
/// variable counts as missing.
///
/// A missing variable in a deployment or a client is a warning and disables that entry. Elsewhere
/// it is an issue. A text with a missing variable stays as it is written.
pub fn expand(document: &mut Value, env: &dyn Fn(&str) -> Option<String>, report: &mut IssueCollector<'_>) {
    expand_at(document, At::Root, env, report);
}

fn expand_at(
    value: &mut Value,
    at: At<'_>,
    env: &dyn Fn(&str) -> Option<String>,
    report: &mut IssueCollector<'_>,
) {
    match value {
        Value::String(text) => {
            if let Some(expanded) = expand_text(text, at, env, report) {
                *text = expanded;
            }
        }
        Value::Array(list) => {
            for (index, element) in list.iter_mut().enumerate() {
                expand_at(element, at.index(index), env, report);
            }
        }
        Value::Object(object) => {
            for (key, entry) in object {
                expand_at(entry, at.key(key), env, report);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The text with its variables replaced. `None` if it has no variables or one cannot be replaced.
fn expand_text(
    text: &str,
    at: At<'_>,
    env: &dyn Fn(&str) -> Option<String>,
    report: &mut IssueCollector<'_>,
) -> Option<String> {
    let (head, mut rest) = text.split_once("${")?;
    let mut expanded = head.to_owned();
    let mut missing = Vec::new();
    loop {
        let Some((name, after)) = rest.split_once('}').filter(|(name, _)| is_name(name)) else {
            report.refuse(
                at,
                "every ${ to begin a variable such as ${NAME}: letters, digits and _, no digit first",
            );
            return None;
        };
        let value = env(name).unwrap_or_default();
        expanded.push_str(value.trim());
        if value.trim().is_empty() {
            missing.push(name);
        }
        let Some((between, next)) = after.split_once("${") else {
            expanded.push_str(after);
            break;
        };
        expanded.push_str(between);
        rest = next;
    }
    for name in &missing {
        report.miss(at, name);
    }
    missing.is_empty().then_some(expanded)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::expand;
    use crate::routes::issue::IssueCollector;

    fn env(name: &str) -> Option<String> {
        match name {
            "A" => Some("one".to_owned()),
            "B" => Some(" two\n".to_owned()),
            // Values are not expanded again.
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
            // A dollar sign without a brace has no special meaning.
            ("$A $ {A} $", "$A $ {A} $"),
        ] {
            let mut document = json!({ "list": [{ "key": text }] });
            let written = document.clone();
            let mut report = IssueCollector::new(&written);
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
        let mut report = IssueCollector::new(&written);
        expand(&mut document, &env, &mut report);
        assert_eq!(report.disabled("deployments", "a"), Some("NONE"));
        assert_eq!(report.disabled("clients", "c"), Some("NONE"));
        assert_eq!(document, written, "what is missing stays as it is written");
        assert_eq!(report.finish().map(|warnings| warnings.len()), Ok(3));

        // A malformed placeholder is an issue everywhere, even if variables are missing too.
        for document in [json!({ "models": "${NONE}" }), json!({ "deployments": { "a": "${NONE}${" } })] {
            let mut report = IssueCollector::new(&document);
            expand(&mut document.clone(), &env, &mut report);
            assert!(report.finish().is_err(), "{document}");
        }
        for text in ["${NONE}", "${EMPTY}", "${A", "${}", "${1A}", "${A-B}", "${A} ${"] {
            let mut document = json!({ "models": { "m": text } });
            let written = document.clone();
            let mut report = IssueCollector::new(&written);
            expand(&mut document, &env, &mut report);
            assert!(report.finish().is_err(), "{text}");
        }
    }
}
