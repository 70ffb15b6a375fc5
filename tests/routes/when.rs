//! Conditions: which condition holds for which request.

use std::collections::BTreeMap;
use std::rc::Rc;

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
        key: String::new(),
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
        labels: Rc::new(map(&[("team", "search")])),
        texts: Vec::new(),
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
        key: String::new(),
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
            (json!({ "label": { "team": "search", "tier": { "exists": false } } }), true),
            (json!({ "label": { "team": "b" } }), false),
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

/// A request with this JSON as its field `messages`.
fn saying(messages: &str) -> Facts {
    Facts { texts: vec![("messages".to_owned(), messages.as_bytes().to_vec())], ..nobody() }
}

#[test]
fn a_pattern_is_looked_for_in_every_text_of_a_field_and_in_no_name() {
    let holds = |when: &Value, messages: &str| condition(when).holds(&saying(messages));
    let contains = json!({ "body": { "messages": { "contains": "Project Falcon" } } });
    for (messages, expected) in [
        (r#"[{"role":"user","content":"about project FALCON"}]"#, true),
        (r#"[{"role":"user","content":[{"type":"text","text":"project\u0020falcon?"}]}]"#, true),
        (r#"[{"project falcon":1}]"#, false),
        // Two texts are not one.
        (r#"[{"a":"project","b":"falcon"},"project \n falcon"]"#, false),
        // What a parser refuses hides nothing.
        (r#"[{"content":"\ud800 project falcon"}]"#, true),
        (r#"[{"content":"it is project falcon, and then it is cut"#, true),
        ("[]", false),
        ("null", false),
        ("7", false),
    ] {
        assert_eq!(holds(&contains, messages), expected, "{messages}");
        let not = json!({ "body": { "messages": { "not": { "contains": "Project Falcon" } } } });
        assert_eq!(holds(&not, messages), !expected, "not: {messages}");
    }
    let deep = format!("{}\"project falcon\"{}", "[".repeat(1_000), "]".repeat(1_000));
    assert!(holds(&contains, &deep));

    let matches = json!({ "body": { "messages": { "matches": r"\b4\d{3}( ?\d{4}){3}\b" } } });
    assert!(holds(&matches, r#"[{"content":"my card: 4111 1111 1111 1111"}]"#));
    assert!(!holds(&matches, r#"[{"content":4111111111111111}]"#), "a number is no text");
    let both = json!({ "body": { "messages": { "contains": "a", "matches": "b" } } });
    assert!(holds(&both, r#"["a","b"]"#) && !holds(&both, r#"["a"]"#));
}

#[test]
fn a_pattern_below_a_field_looks_at_each_value_of_that_name() {
    let when = json!({ "body": { "messages.system.text": { "contains": "falcon" } } });
    for (messages, expected) in [
        (r#"{"system":{"text":["a","falcon"]}}"#, true),
        (r#"{"system":{"other":"falcon"}}"#, false),
        (r#"{"syst\u0065m":{"text":"falcon"}}"#, true),
        (r#"{"system":{"text":"falcon","text":"a"}}"#, true),
        (r#"{"system":"falcon"}"#, false),
    ] {
        assert_eq!(condition(&when).holds(&saying(messages)), expected, "{messages}");
    }
}

#[test]
fn of_a_field_that_a_body_has_twice_both_are_looked_at() {
    let when = json!({ "body": { "messages": { "contains": "falcon" } } });
    let mut facts = saying(r#"["falcon"]"#);
    facts.texts.push(("messages".to_owned(), b"[]".to_vec()));
    assert!(condition(&when).holds(&facts));
}

#[test]
fn a_pattern_is_looked_for_in_other_facts_too() {
    check(
        &[
            (json!({ "header": { "x-tier": { "contains": "OL" } } }), true),
            (json!({ "header": { "x-tier": { "matches": "^gold$" } } }), true),
            (json!({ "header": { "x-none": { "contains": "a" } } }), false),
            (json!({ "path": { "matches": "^/ai/[a-z]+/v1/" } }), true),
            (json!({ "metadata": { "team": { "contains": "sear" } } }), true),
            (json!({ "metadata": { "seats": { "contains": "40" } } }), false),
            (json!({ "model": { "contains": "prod", "not": { "contains": "chat" } } }), false),
        ],
        &facts(),
    );
    let metadata = json!(["a", { "b": "search team" }]);
    let listed = Facts { metadata: [("team".to_owned(), metadata)].into_iter().collect(), ..nobody() };
    assert!(condition(&json!({ "metadata": { "team": { "contains": "search" } } })).holds(&listed));
}

#[test]
fn of_a_field_whose_texts_alone_are_looked_at_no_value_is_read() {
    let reads = |test: Value| {
        let reads = compiled(&json!({ "rules": [{ "when": { "body": { "user": test } }, "use": "chat" }] }))
            .graph
            .reads;
        (reads.body, reads.texts)
    };
    let user = vec!["user".to_owned()];
    assert_eq!(reads(json!({ "contains": "a", "not": { "matches": "b" } })), (vec![], user.clone()));
    assert_eq!(reads(json!({ "contains": "a", "exists": true })), (user.clone(), user.clone()));
    assert_eq!(reads(json!("a")), (user, vec![]));
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
