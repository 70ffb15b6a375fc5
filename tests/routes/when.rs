//! Conditions: which condition holds for which request.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use switchyard::routes::when::Condition;
use switchyard::vocabulary::facts::{Facts, Place};
use switchyard::vocabulary::needs::Needs;
use switchyard::vocabulary::operation::Operation;

use crate::documents::compiled;

/// A condition, compiled as part of a rule.
fn condition(when: &Value) -> Condition {
    compiled(&json!({ "rules": [{ "when": when, "use": "chat" }] })).graph.rules[0].when.clone()
}

fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A request about which most facts are known.
fn facts() -> Facts {
    let values = |value: Value| value.as_object().unwrap().clone().into_iter().collect::<BTreeMap<_, _>>();
    Facts {
        method: "POST".to_owned(),
        path: "/ai/azure/v1/chat/completions".to_owned(),
        query: map(&[("api-version", "2024-10-21")]),
        operation: Operation::ChatCompletions,
        model: "chat-prod".to_owned(),
        client: "app".to_owned(),
        headers: map(&[("x-tier", "gold"), ("x-level", "5"), ("x-beta", "true"), ("x-empty", "")]),
        metadata: values(json!({ "team": "search", "seats": 40, "trial": false, "gone": null })),
        place: Place {
            continent: Some("EU".to_owned()),
            country: Some("DE".to_owned()),
            colo: Some("FRA".to_owned()),
            ..Place::default()
        },
        body: values(json!({
            "user": "u-1", "prompt_cache_key": "p-1", "stream": true, "temperature": 0.5, "seed": 7, "none": null,
            "metadata": { "tier": "gold", "deep": { "er": 1 } }, "modalities": ["text", "audio"],
        })),
        input_tokens: 1000,
        max_output_tokens: None,
        needs: Needs::default(),
        is_streamed: true,
        is_replayable: true,
        has_side_effects: false,
        is_done_once: false,
        previous_response_id: None,
        owner: None,
        patience_ms: None,
        upload_ms: switchyard::vocabulary::time::Millis::ZERO,
        draw: 0.5,
    }
}

/// A request about which almost no facts are known.
fn nobody() -> Facts {
    Facts {
        path: "/v1/embeddings".to_owned(),
        query: BTreeMap::new(),
        operation: Operation::Embeddings,
        model: String::new(),
        client: String::new(),
        headers: BTreeMap::new(),
        metadata: BTreeMap::new(),
        place: Place::default(),
        body: BTreeMap::new(),
        input_tokens: 0,
        ..facts()
    }
}

fn check(table: &[(Value, bool)], facts: &Facts) {
    for (when, expected) in table {
        assert_eq!(condition(when).holds(facts), *expected, "{when}");
    }
}

#[test]
fn each_fact_is_looked_at() {
    check(
        &[
            (json!({}), true),
            (json!({ "path": "/ai/azure/*" }), true),
            (json!({ "path": "/ai/openai/*" }), false),
            (json!({ "model": "chat-*" }), true),
            (json!({ "model": "chat" }), false),
            (json!({ "method": "post" }), true),
            (json!({ "method": "GET" }), false),
            (json!({ "operation": "chat/completions" }), true),
            (json!({ "operation": "Chat/*" }), true),
            (json!({ "operation": "embeddings" }), false),
            // Header names ignore case. Header values do not.
            (json!({ "header": { "X-Tier": "gold" } }), true),
            (json!({ "header": { "x-tier": "Gold" } }), false),
            (json!({ "query": { "api-version": "2024-*" } }), true),
            (json!({ "query": { "Api-Version": "2024-*" } }), false),
            (json!({ "metadata": { "team": "search" } }), true),
            (json!({ "client": "app" }), true),
            (json!({ "client": "a*" }), true),
            (json!({ "client": "b*" }), false),
            // Codes ignore case.
            (json!({ "continent": "eu" }), true),
            (json!({ "country": ["at", "de"] }), true),
            (json!({ "country": { "prefix": "d" } }), true),
            (json!({ "colo": { "not": "fra" } }), false),
            (json!({ "body": { "user": "u-*" } }), true),
            (json!({ "body": { "metadata.tier": "gold" } }), true),
            (json!({ "body": { "metadata.deep.er": 1 } }), true),
            (json!({ "body": { "metadata.tier.x": "gold" } }), false),
            (json!({ "input_tokens": { "gte": 1000 } }), true),
            (json!({ "input_tokens": { "gt": 1000 } }), false),
            (json!({ "input_tokens": 1000 }), true),
        ],
        &facts(),
    );
}

#[test]
fn each_matcher_matches_values_of_each_type() {
    check(
        &[
            // Texts are globs. They are compared with the written form of numbers and booleans.
            (json!({ "metadata": { "seats": "4*" } }), true),
            (json!({ "body": { "stream": "true" } }), true),
            // Numbers are compared with texts that are numbers.
            (json!({ "header": { "x-level": 5 } }), true),
            (json!({ "header": { "x-level": 5.5 } }), false),
            (json!({ "header": { "x-tier": 5 } }), false),
            (json!({ "body": { "temperature": 0.5 } }), true),
            (json!({ "body": { "stream": 1 } }), false),
            // Booleans are compared with texts that are booleans.
            (json!({ "header": { "x-beta": true } }), true),
            (json!({ "header": { "x-level": true } }), false),
            (json!({ "metadata": { "trial": false } }), true),
            (json!({ "body": { "stream": false } }), false),
            // A list means `in`. It may contain globs and other types.
            (json!({ "header": { "x-tier": ["silver", "g*"] } }), true),
            (json!({ "metadata": { "seats": ["x", 40] } }), true),
            (json!({ "metadata": { "seats": { "in": [1, 2] } } }), false),
            (json!({ "header": { "x-tier": { "in": ["gold"] } } }), true),
            (json!({ "header": { "x-tier": { "not": "gold" } } }), false),
            (json!({ "header": { "x-tier": { "not": ["silver", "bronze"] } } }), true),
            (json!({ "header": { "x-tier": { "not": { "prefix": "g" } } } }), false),
            // In a prefix, a star is an ordinary character.
            (json!({ "header": { "x-tier": { "prefix": "go" } } }), true),
            (json!({ "header": { "x-tier": { "prefix": "g*" } } }), false),
            (json!({ "header": { "x-tier": { "exists": true } } }), true),
            (json!({ "header": { "x-tier": { "exists": false } } }), false),
            // An empty header exists.
            (json!({ "header": { "x-empty": "" } }), true),
            (json!({ "header": { "x-empty": { "exists": true } } }), true),
            (json!({ "header": { "x-level": { "gt": 4, "lt": 6 } } }), true),
            (json!({ "header": { "x-level": { "gt": 5 } } }), false),
            (json!({ "header": { "x-level": { "gte": 5, "lte": 5 } } }), true),
            (json!({ "header": { "x-level": { "lt": 5 } } }), false),
            (json!({ "header": { "x-tier": { "lt": 5 } } }), false),
            (json!({ "header": { "x-empty": { "lt": 5 } } }), false),
            // All keys of a test must hold.
            (json!({ "header": { "x-tier": { "prefix": "g", "not": "gold" } } }), false),
            // For a list in the request, one matching element is enough. An object can only exist
            // or not.
            (json!({ "body": { "modalities": "audio" } }), true),
            (json!({ "body": { "modalities": "video" } }), false),
            (json!({ "body": { "modalities": { "not": "audio" } } }), false),
            (json!({ "body": { "metadata": "*" } }), false),
            (json!({ "body": { "metadata": { "exists": true } } }), true),
        ],
        &facts(),
    );
}

#[test]
fn a_missing_value_matches_only_its_absence() {
    for fact in [
        json!({ "model": "MATCHER" }),
        json!({ "header": { "x-tier": "MATCHER" } }),
        json!({ "query": { "a": "MATCHER" } }),
        json!({ "metadata": { "gone": "MATCHER" } }),
        json!({ "continent": "MATCHER" }),
        json!({ "country": "MATCHER" }),
        json!({ "colo": "MATCHER" }),
        json!({ "body": { "user": "MATCHER" } }),
        json!({ "body": { "metadata.tier": "MATCHER" } }),
    ] {
        for (matcher, expected) in [
            (json!("*"), false),
            (json!(""), false),
            (json!(0), false),
            (json!(false), false),
            (json!(["*"]), false),
            (json!({ "prefix": "" }), false),
            (json!({ "lt": 1 }), false),
            (json!({ "exists": true }), false),
            (json!({ "exists": false }), true),
            (json!({ "not": "*" }), true),
            (json!({ "not": { "exists": false } }), false),
        ] {
            let when =
                serde_json::from_str(&fact.to_string().replace("\"MATCHER\"", &matcher.to_string())).unwrap();
            assert_eq!(condition(&when).holds(&nobody()), expected, "{when}");
        }
    }
    // A null value counts as missing.
    check(
        &[
            (json!({ "metadata": { "gone": { "exists": false } } }), true),
            (json!({ "body": { "none": "*" } }), false),
        ],
        &facts(),
    );
}

#[test]
fn keys_are_joined_by_and_unless_said_otherwise() {
    let (yes, no) = (json!({ "model": "chat-*" }), json!({ "model": "x" }));
    check(
        &[
            (json!({ "model": "chat-*", "country": "DE" }), true),
            (json!({ "model": "chat-*", "country": "FR" }), false),
            (json!({ "header": { "x-tier": "gold", "x-level": 4 } }), false),
            (json!({ "all": [yes, yes] }), true),
            (json!({ "all": [yes, no] }), false),
            (json!({ "any": [no, yes] }), true),
            (json!({ "any": [no, no] }), false),
            (json!({ "not": no }), true),
            (json!({ "not": yes }), false),
            (json!({ "not": { "any": [no, { "all": [yes, { "not": yes }] }] } }), true),
            (json!({ "country": "DE", "any": [no], "not": no }), false),
        ],
        &facts(),
    );
}

#[test]
fn a_share_needs_its_key() {
    for by in ["client", "user", "prompt_cache_key", "header:x-tier", "metadata:team"] {
        let everyone = condition(&json!({ "percent": 100, "by": by }));
        assert!(everyone.holds(&facts()), "{by}");
        assert!(!everyone.holds(&nobody()), "{by}");
        assert!(!condition(&json!({ "percent": 0, "by": by })).holds(&facts()), "{by}");
    }
    // OpenAI's newer field with the same meaning.
    let mut newer = nobody();
    newer.body.insert("safety_identifier".to_owned(), json!("u-1"));
    let by_user = condition(&json!({ "percent": 50, "by": "user" }));
    assert_eq!(by_user.holds(&newer), by_user.holds(&facts()));
    assert!(condition(&json!({ "percent": 100 })).holds(&nobody()));
    assert!(!condition(&json!({ "percent": 0 })).holds(&nobody()));
}

#[test]
fn a_share_takes_as_many_keys_as_it_says() {
    for percent in [0.5, 5.0, 30.0, 50.0, 99.0] {
        for by in [Some("header:x-tier"), None] {
            let mut when = json!({ "percent": percent });
            if let Some(by) = by {
                when["by"] = json!(by);
            }
            let share = condition(&when);
            let mut request = facts();
            let count = 20_000;
            let taken = (0..count).filter(|n| {
                request.headers.insert("x-tier".to_owned(), format!("user-{n}"));
                request.draw = f64::from(*n) / f64::from(count);
                share.holds(&request)
            });
            #[expect(clippy::cast_precision_loss, reason = "a small count")]
            let taken = taken.count() as f64 * 100.0 / f64::from(count);
            // At most five standard deviations of a fair draw.
            assert!((taken - percent).abs() < 1.8, "{percent} by {by:?}: {taken}");
        }
    }
}

#[test]
fn the_shares_of_two_rules_take_different_requests() {
    // If the two shares were the same, the second rule of a pair would get no requests.
    for when in [json!({ "percent": 50 }), json!({ "percent": 50, "by": "header:x-tier" })] {
        let rules = json!({ "rules": [{ "when": when, "use": "chat" }, { "when": when, "use": "mini" }] });
        let rules = compiled(&rules).graph.rules;
        let mut request = facts();
        let both = (0..1000).filter(|n| {
            request.headers.insert("x-tier".to_owned(), format!("user-{n}"));
            request.draw = f64::from(*n) / 1000.0;
            rules.iter().all(|rule| rule.when.holds(&request))
        });
        let both = both.count();
        assert!((180..320).contains(&both), "{when}: {both}");
    }
}

proptest! {
    #[test]
    fn a_share_is_sticky_and_growing_it_only_adds_keys(key in "\\PC{1,20}", low in 0.0..100.0, more in 0.0..100.0) {
        let high = f64::min(low + more, 100.0);
        let mut request = facts();
        request.headers.insert("x-tier".to_owned(), key);
        let holds = |percent: f64| condition(&json!({ "percent": percent, "by": "header:x-tier" })).holds(&request);
        prop_assert_eq!(holds(low), holds(low));
        prop_assert!(!holds(low) || holds(high));
    }
}
