//! Conditions as text for people.

use std::ops::Bound;

use crate::routes::affinity_key::AffinityKey;
use crate::routes::when::{BUCKETS, Condition, Fact, ValueTest};

/// A condition as one line: `path = /ai/azure/* and 5 % by client`.
pub(super) fn condition_text(condition: &Condition) -> String {
    match condition {
        Condition::Always => "always".to_owned(),
        Condition::Fact(fact, test) => test_text(&fact_text(fact), test),
        Condition::Share { buckets, by, .. } => {
            let by = by.as_ref().map(|key| format!(" by {}", key_text(key))).unwrap_or_default();
            format!("{} %{by}", percent_of(*buckets))
        }
        Condition::All(all) => {
            joined(all.iter().map(|one| inner(one, matches!(one, Condition::Any(_)))), " and ")
        }
        Condition::Any(any) => {
            joined(any.iter().map(|one| inner(one, matches!(one, Condition::All(_)))), " or ")
        }
        Condition::Not(one) => format!("not ({})", condition_text(one)),
    }
}

fn inner(condition: &Condition, has_brackets: bool) -> String {
    let text = condition_text(condition);
    if has_brackets { format!("({text})") } else { text }
}

fn joined(texts: impl Iterator<Item = String>, between: &str) -> String {
    texts.collect::<Vec<_>>().join(between)
}

/// The share in percent, without needless digits.
fn percent_of(buckets: u64) -> String {
    let in_a_percent = BUCKETS / 100;
    let (whole, rest) = (buckets / in_a_percent, buckets % in_a_percent);
    if rest == 0 { whole.to_string() } else { format!("{whole}.{rest:02}").trim_end_matches('0').to_owned() }
}

fn fact_text(fact: &Fact) -> String {
    match fact {
        Fact::Path => "path".to_owned(),
        Fact::Model => "model".to_owned(),
        Fact::Method => "method".to_owned(),
        Fact::Operation => "operation".to_owned(),
        Fact::Header(name) => name.clone(),
        Fact::Query(name) => format!("?{name}"),
        Fact::Metadata(name) => format!("metadata.{name}"),
        Fact::Client => "client".to_owned(),
        Fact::Label(name) => format!("label.{name}"),
        Fact::Continent => "continent".to_owned(),
        Fact::Country => "country".to_owned(),
        Fact::Colo => "colo".to_owned(),
        Fact::Body(name, below) => {
            let path = [std::slice::from_ref(name), below].concat();
            format!("body.{}", path.join("."))
        }
        Fact::InputTokens => "input_tokens".to_owned(),
    }
}

/// The notation of the document.
pub(super) fn key_text(key: &AffinityKey) -> String {
    match key {
        AffinityKey::Client => "client".to_owned(),
        AffinityKey::IssuedKey => "key".to_owned(),
        AffinityKey::User => "user".to_owned(),
        AffinityKey::PromptCacheKey => "prompt_cache_key".to_owned(),
        AffinityKey::Header(name) => format!("header:{name}"),
        AffinityKey::Metadata(name) => format!("metadata:{name}"),
    }
}

fn test_text(fact: &str, test: &ValueTest) -> String {
    match test {
        ValueTest::Text(glob) => format!("{fact} = {}", glob.as_str()),
        ValueTest::Number(number) => format!("{fact} = {number}"),
        ValueTest::Bool(value) => format!("{fact} = {value}"),
        ValueTest::Prefix(prefix) => format!("{fact} = {prefix}*"),
        ValueTest::Within(low, high) => {
            let low = match low {
                Bound::Included(low) => Some(format!("{fact} >= {low}")),
                Bound::Excluded(low) => Some(format!("{fact} > {low}")),
                Bound::Unbounded => None,
            };
            let high = match high {
                Bound::Included(high) => Some(format!("{fact} <= {high}")),
                Bound::Excluded(high) => Some(format!("{fact} < {high}")),
                Bound::Unbounded => None,
            };
            joined(low.into_iter().chain(high), " and ")
        }
        ValueTest::Pattern(pattern) => {
            let verb = if pattern.is_expression() { "matches" } else { "contains" };
            format!("{fact} {verb} {}", pattern.as_str())
        }
        ValueTest::Exists(true) => format!("has {fact}"),
        ValueTest::Exists(false) => format!("no {fact}"),
        ValueTest::Any(tests) => match values_of(tests) {
            Some(values) => format!("{fact} = {}", values.join(" | ")),
            None => format!("({})", joined(tests.iter().map(|test| test_text(fact, test)), " or ")),
        },
        ValueTest::All(tests) => joined(tests.iter().map(|test| test_text(fact, test)), " and "),
        ValueTest::Not(test) => format!("not ({})", test_text(fact, test)),
    }
}

/// The values of a list of plain values.
fn values_of(tests: &[ValueTest]) -> Option<Vec<String>> {
    let value = |test: &ValueTest| match test {
        ValueTest::Text(glob) => Some(glob.as_str().to_owned()),
        ValueTest::Number(number) => Some(number.to_string()),
        ValueTest::Bool(value) => Some(value.to_string()),
        ValueTest::Prefix(_)
        | ValueTest::Within(..)
        | ValueTest::Pattern(_)
        | ValueTest::Exists(_)
        | ValueTest::Any(_)
        | ValueTest::All(_)
        | ValueTest::Not(_) => None,
    };
    tests.iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::condition_text;
    use crate::routes::compile;

    /// The text of a `when`, by way of a document with it as its rule.
    fn text(when: &Value) -> String {
        let document = json!({
            "version": 1,
            "clients": { "a": { "key": "${KEY}" } },
            "deployments": { "d": { "provider": "openai", "api_key": "${KEY}", "model": "m" } },
            "models": { "m": { "targets": ["d"] } },
            "rules": [{ "when": when, "use": "m" }],
        });
        let compiled = compile(&document.to_string(), &|_| Some("key".to_owned())).unwrap();
        condition_text(&compiled.graph.rules.iter().next().unwrap().when)
    }

    #[test]
    fn each_kind_of_condition_has_a_text() {
        for (when, expected) in [
            (json!({}), "always"),
            (json!({ "path": "/ai/azure/*" }), "path = /ai/azure/*"),
            (json!({ "model": ["a", "b*"] }), "model = a | b*"),
            (json!({ "country": ["DE"] }), "country = DE"),
            (json!({ "header": { "x-tier": "gold" }, "model": "chat*" }), "model = chat* and x-tier = gold"),
            (json!({ "header": { "x-tier": { "exists": false } } }), "no x-tier"),
            (json!({ "query": { "v": { "prefix": "2" } } }), "?v = 2*"),
            (json!({ "metadata": { "team": { "not": "a" } } }), "not (metadata.team = a)"),
            (json!({ "label": { "team": ["a", "b"] } }), "label.team = a | b"),
            (json!({ "body": { "stream": true } }), "body.stream = true"),
            (json!({ "input_tokens": { "gte": 10, "lt": 20 } }), "input_tokens >= 10 and input_tokens < 20"),
            (json!({ "body": { "input": { "contains": "a b" } } }), "body.input contains a b"),
            (json!({ "header": { "x-a": { "not": { "matches": "^a" } } } }), "not (x-a matches ^a)"),
            (json!({ "input_tokens": { "gt": 10 } }), "input_tokens > 10"),
            (json!({ "input_tokens": { "lte": 10 } }), "input_tokens <= 10"),
            (json!({ "percent": 5, "by": "client" }), "5 % by client"),
            (json!({ "percent": 0.5, "by": "header:x-user" }), "0.5 % by header:x-user"),
            (json!({ "percent": 12.25 }), "12.25 %"),
            (
                json!({ "client": "a", "any": [{ "method": "get" }, { "colo": "fra" }] }),
                "client = a and (method = GET or colo = FRA)",
            ),
            (json!({ "not": { "operation": "embeddings" } }), "not (operation = embeddings)"),
        ] {
            assert_eq!(text(&when), expected, "{when}");
        }
    }
}
