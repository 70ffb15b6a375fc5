//! What nodes and `settings` define for hedges, stickiness, ejection and the sharing of health.

use serde_json::{Value, json};
use switchyard::routes::affinity_key::AffinityKey;
use switchyard::routes::graph::{
    AnswerCache, HealthSharing, Hedge, HedgeAfter, Policy, Sticky, WhenAllEjected,
};
use switchyard::vocabulary::facts::{Facts, Place};
use switchyard::vocabulary::needs::Needs;
use switchyard::vocabulary::operation::Operation;

use crate::documents::compiled;
use crate::times::ms;

/// The policy of a node with these keys.
fn policy(keys: &Value) -> Policy {
    compiled(&json!({ "models": { "chat": keys } })).graph.models["chat"].policy.clone()
}

#[test]
fn without_the_keys_nodes_and_settings_leave_them_open() {
    let graph = compiled(&json!({})).graph;
    for policy in [&graph.models["chat"].policy, &graph.settings.policy] {
        assert_eq!((policy.hedge, &policy.sticky, policy.when_all_ejected), (None, &None, None));
    }
    assert_eq!(graph.settings.health, HealthSharing { reports_per_second: 400, first_snapshot_ms: ms(30) });
}

#[test]
fn a_node_and_settings_each_keep_what_they_say() {
    let graph = compiled(&json!({
        "settings": {
            "hedge": { "after": 250, "max_share": 0 },
            "sticky": { "by": "header:X-Session", "ttl": 60 },
            "when_all_ejected": "probe",
            "health": { "reports_per_second": 1000, "first_snapshot_ms": 0 },
        },
        "models": { "chat": { "when_all_ejected": "fail", "sticky": { "by": "client" } } },
    }))
    .graph;
    let outer = &graph.settings.policy;
    assert_eq!(outer.hedge, Some(Hedge { after: HedgeAfter::Ms(ms(250)), max_share: 0.0 }));
    assert_eq!(
        outer.sticky,
        Some(Sticky { by: AffinityKey::Header("x-session".to_owned()), ttl_ms: ms(60_000) })
    );
    assert_eq!(outer.when_all_ejected, Some(WhenAllEjected::Probe));
    assert_eq!(graph.settings.health, HealthSharing { reports_per_second: 1000, first_snapshot_ms: ms(0) });
    let inner = &graph.models["chat"].policy;
    assert_eq!(inner.hedge, None);
    assert_eq!(inner.sticky, Some(Sticky { by: AffinityKey::Client, ttl_ms: ms(3_600_000) }));
    assert_eq!(inner.when_all_ejected, Some(WhenAllEjected::Fail));
}

#[test]
fn a_node_keeps_answers_where_it_says_so_and_no_node_below_it_does() {
    let compiled = compiled(&json!({ "models": {
        "chat": { "cache": { "ttl": 60, "by": ["header:X-Tenant", "user", "metadata:team"], "single_flight": true } },
        "outer": { "targets": ["chat"] },
        "plain": { "targets": ["chat"], "cache": { "ttl": 2_592_000 } },
    } }));
    let graph = compiled.graph;
    let by = |name: &str| AffinityKey::parse(name).unwrap();
    assert_eq!(
        graph.models["chat"].cache,
        Some(AnswerCache {
            ttl_seconds: 60,
            by: vec![by("header:x-tenant"), by("user"), by("metadata:team")],
            is_single_flight: true,
        })
    );
    assert_eq!(graph.models["outer"].cache, None);
    let plain = AnswerCache { ttl_seconds: 2_592_000, by: Vec::new(), is_single_flight: false };
    assert_eq!(graph.models["plain"].cache, Some(plain));
    assert_eq!(
        (graph.reads.headers, graph.reads.body),
        (vec!["x-tenant".to_owned()], vec!["safety_identifier".to_owned(), "user".to_owned()])
    );
}

#[test]
fn a_hedge_starts_after_a_time_or_a_percentile() {
    for (after, expected) in [
        (json!(1), HedgeAfter::Ms(ms(1))),
        (json!(3_600_000), HedgeAfter::Ms(ms(3_600_000))),
        (json!("p1"), HedgeAfter::Percentile(1)),
        (json!("p95"), HedgeAfter::Percentile(95)),
        (json!("p99"), HedgeAfter::Percentile(99)),
    ] {
        let hedge = policy(&json!({ "hedge": { "after": after } })).hedge;
        assert_eq!(hedge, Some(Hedge { after: expected, max_share: 0.05 }), "{after}");
    }
}

#[test]
fn what_stickiness_reads_is_gathered() {
    let reads = |by: &str| compiled(&json!({ "models": { "chat": { "sticky": { "by": by } } } })).graph.reads;
    for (by, headers, body) in [
        ("client", &[][..], &[][..]),
        ("user", &[], &["safety_identifier", "user"]),
        ("prompt_cache_key", &[], &["prompt_cache_key"]),
        ("header:X-Session", &["x-session"], &[]),
        ("metadata:Team", &[], &[]),
    ] {
        assert_eq!((reads(by).headers, reads(by).body), (to_owned(headers), to_owned(body)), "{by}");
    }
    let of_settings =
        compiled(&json!({ "settings": { "sticky": { "by": "header:x-session" } } })).graph.reads;
    assert_eq!(of_settings.headers, ["x-session"]);
}

fn to_owned(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// A request with one body field. All other facts are always the same.
fn with_field(name: &str, value: Value) -> Facts {
    Facts {
        method: "POST".to_owned(),
        path: "/v1/chat/completions".to_owned(),
        query: [].into(),
        operation: Operation::ChatCompletions,
        model: "chat".to_owned(),
        client: String::new(),
        key: String::new(),
        headers: [("x-empty".to_owned(), String::new())].into(),
        metadata: [("team".to_owned(), json!("a"))].into(),
        place: Place::default(),
        body: [(name.to_owned(), value)].into(),
        labels: std::rc::Rc::default(),
        texts: Vec::new(),
        input_tokens: 0,
        max_output_tokens: None,
        needs: Needs::default(),
        is_streamed: false,
        is_replayable: true,
        has_side_effects: false,
        is_done_once: false,
        previous_response_id: None,
        owner: None,
        patience_ms: None,
        upload_ms: ms(0),
        draw: 0.5,
    }
}

#[test]
fn a_key_is_the_same_however_it_is_sent_and_none_where_it_is_missing() {
    let hash =
        |by: &str, name: &str, value: Value| AffinityKey::parse(by).unwrap().hash(&with_field(name, value));
    let of_a = hash("metadata:team", "", Value::Null);
    assert!(of_a.is_some());
    assert_eq!(hash("user", "user", json!("a")), of_a);
    assert_eq!(hash("user", "safety_identifier", json!("a")), of_a);
    assert_eq!(hash("prompt_cache_key", "prompt_cache_key", json!("a")), of_a);
    assert_eq!(hash("user", "user", json!(7)), hash("user", "user", json!("7")));
    assert_ne!(hash("user", "user", json!("b")), of_a);
    for (by, name, value) in [
        ("user", "user", json!("")),
        ("user", "user", json!(null)),
        ("user", "user", json!(["a"])),
        ("user", "prompt_cache_key", json!("a")),
        ("prompt_cache_key", "user", json!("a")),
        ("client", "client", json!("a")),
        ("header:x-empty", "x", json!("a")),
        ("header:x-absent", "x", json!("a")),
        ("metadata:absent", "absent", json!("a")),
    ] {
        assert_eq!(hash(by, name, value.clone()), None, "{by} of {name} {value}");
    }
}
