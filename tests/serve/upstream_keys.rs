//! A deployment with several keys: which one is sent, and what a refusal means.

use super::fake::{Bench, Script, sent_body};
use super::{ANSWER, CHAT};
use crate::times::ms;
use serde_json::{Value, json};

const REFUSED: &str = r#"{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error","code":"invalid_api_key"}}"#;
const FORBIDDEN: &str = r#"{"error":{"message":"You have insufficient permissions for this operation.","type":"invalid_request_error"}}"#;

/// A deployment with two keys, then another one.
fn routes(settings: &Value) -> String {
    json!({
        "version": 1,
        "settings": settings,
        "clients": { "app": { "key": "${SWITCHYARD_KEY}" } },
        "deployments": {
            "first": { "provider": "openai", "endpoint": "https://first/v1", "model": "up",
                       "api_key": ["${NEW_KEY}", "${OLD_KEY}"] },
            "second": { "provider": "openai", "endpoint": "https://second/v1", "model": "up", "api_key": "${KEY}" },
        },
        "models": { "m": { "targets": ["first", "second"], "retry": { "attempts": 0 } } },
    })
    .to_string()
}

fn bench_with(settings: &Value) -> Bench {
    let bench = Bench::without_documents();
    bench.set_variable("NEW_KEY", "sk-new-0123456789");
    bench.set_variable("OLD_KEY", "sk-old-0123456789");
    bench.put("routes", &routes(settings));
    bench
}

fn bench() -> Bench {
    bench_with(&json!({ "health": { "first_snapshot_ms": 0 } }))
}

/// The host and the key of each call.
fn sent(bench: &Bench) -> Vec<String> {
    let calls = bench.calls();
    let of_call = calls.iter().map(|call| {
        let host = call.request.url.trim_start_matches("https://").split('/').next().unwrap();
        let key = call.request.headers.get("authorization").unwrap();
        format!("{host} {}", key.trim_start_matches("Bearer ").trim_end_matches("-0123456789"))
    });
    of_call.collect()
}

/// What the admin API says of the keys of the first deployment.
fn credential(bench: &mut Bench) -> Value {
    let answer = bench.admin("GET", "/admin/api/health", "");
    let health: Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!(health["deployments"][1]["credential"], Value::Null);
    health["deployments"][0]["credential"].clone()
}

#[test]
fn a_refused_key_is_replaced_within_the_attempt_and_the_client_sees_an_answer() {
    let mut bench = bench();
    assert_eq!(credential(&mut bench), json!({ "keys": 2, "in_use": 1, "refused": [] }));
    bench.script([Script::json(401, REFUSED), Script::json(200, ANSWER), Script::json(200, ANSWER)]);
    let answer = bench.chat(CHAT);
    assert_eq!((answer.status, answer.text().as_str()), (200, ANSWER));
    assert!(answer.header("x-switchyard-trail").starts_with("first=200;20"), "{answer:?}");
    assert_eq!(bench.record()["attempts"].as_array().unwrap().len(), 1, "it is one attempt");
    assert_eq!(sent_body(&bench.calls()[1], CHAT), CHAT.replace("\"m\"", "\"up\""));
    assert_eq!(credential(&mut bench), json!({ "keys": 2, "in_use": 2, "refused": [1] }));
    let said = "credentials: first refuses its key 1 of 2 (invalid_api_key); key 2 is tried";
    assert!(bench.log().iter().any(|line| line == said), "{:?}", bench.log());
    // It is remembered.
    bench.chat(CHAT);
    assert_eq!(sent(&bench), ["first sk-new", "first sk-old", "first sk-old"]);
    assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0));
}

#[test]
fn a_key_that_becomes_valid_later_is_used_ten_minutes_after_its_refusal() {
    let mut bench = bench();
    let scripts = [(401, REFUSED), (200, ANSWER), (200, ANSWER), (200, ANSWER), (200, ANSWER)];
    bench.script(scripts.map(|(status, body)| Script::json(status, body)));
    bench.chat(CHAT);
    bench.pass(ms(590_000));
    bench.chat(CHAT);
    bench.pass(ms(20_000));
    bench.chat(CHAT);
    bench.chat(CHAT);
    let expected = ["first sk-new", "first sk-old", "first sk-old", "first sk-new", "first sk-new"];
    assert_eq!(sent(&bench), expected);
    assert_eq!(credential(&mut bench), json!({ "keys": 2, "in_use": 1, "refused": [] }));
}

#[test]
fn a_deployment_that_refuses_all_its_keys_is_judged_as_with_one() {
    let mut bench = bench();
    let refused = || Script::json(401, REFUSED);
    bench.script([refused(), refused(), Script::json(200, ANSWER), Script::json(200, ANSWER)]);
    let answer = bench.chat(CHAT);
    assert!(answer.header("x-switchyard-trail").starts_with("first=auth;20"), "{answer:?}");
    assert_eq!(answer.header("x-switchyard-deployment"), "second");
    assert_eq!(credential(&mut bench), json!({ "keys": 2, "in_use": null, "refused": [1, 2] }));
    // It is ejected.
    bench.chat(CHAT);
    assert_eq!(sent(&bench), ["first sk-new", "first sk-old", "second sk-up", "second sk-up"]);
}

#[test]
fn a_refusal_that_is_not_about_the_key_changes_no_key() {
    for (status, body) in
        [(401, FORBIDDEN), (403, FORBIDDEN), (429, super::LIMITED), (503, super::OVERLOADED)]
    {
        let mut bench = bench();
        bench.script([Script::json(status, body), Script::json(200, ANSWER)]);
        assert_eq!(bench.chat(CHAT).header("x-switchyard-deployment"), "second");
        assert_eq!(sent(&bench), ["first sk-new", "second sk-up"], "{status}");
        assert_eq!(credential(&mut bench), json!({ "keys": 2, "in_use": 1, "refused": [] }));
    }
}

#[test]
fn a_body_that_is_sent_once_leaves_the_next_key_to_the_next_request() {
    let mut bench = bench_with(&json!({ "health": { "first_snapshot_ms": 0 }, "buffer_bytes": 1024 }));
    bench.script([Script::json(401, REFUSED), Script::json(200, ANSWER)]);
    let long = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{}"}}]}}"#, "a".repeat(4_000));
    bench.chat(&long);
    bench.chat(CHAT);
    assert_eq!(sent(&bench), ["first sk-new", "first sk-old"], "it was not judged");
}

#[test]
fn a_key_without_a_value_is_left_out_and_the_others_serve() {
    for (missing, key) in [("NEW_KEY", "first sk-old"), ("OLD_KEY", "first sk-new")] {
        let mut bench = bench();
        bench.set_variable(missing, "");
        bench.script([Script::json(200, ANSWER)]);
        assert_eq!(bench.chat(CHAT).status, 200);
        assert_eq!(sent(&bench), [key]);
    }
    let mut bench = bench();
    bench.set_variable("NEW_KEY", "");
    bench.set_variable("OLD_KEY", "");
    bench.script([Script::json(200, ANSWER)]);
    assert_eq!(bench.chat(CHAT).header("x-switchyard-deployment"), "second", "it is disabled");
}

#[test]
fn a_new_document_with_the_same_keys_keeps_the_one_in_use() {
    let mut bench = bench();
    bench.script([Script::json(401, REFUSED), Script::json(200, ANSWER), Script::json(200, ANSWER)]);
    let before = bench.chat(CHAT).header("x-switchyard-routes").to_owned();
    bench.put("routes", &routes(&json!({ "deadline_ms": 50_000, "health": { "first_snapshot_ms": 0 } })));
    bench.pass(ms(60_000));
    bench.request("GET", "/healthz", "");
    bench.pass(ms(1_000));
    let answer = bench.chat(CHAT);
    assert_ne!(answer.header("x-switchyard-routes"), before);
    assert_eq!(sent(&bench), ["first sk-new", "first sk-old", "first sk-old"]);
}
