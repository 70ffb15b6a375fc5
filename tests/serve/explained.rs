//! `POST /admin/api/explain`: what it says is what then happens, and it does nothing.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::fake::{Bench, Script};
use super::{ANSWER, CHAT, LIMITED, OVERLOADED, routes};
use crate::times::ms;

const EXPLAIN: &str = "/admin/api/explain";

/// The request to explain a chat request of the client `app`.
fn of_chat(body: &str) -> String {
    format!(r#"{{"path":"/v1/chat/completions","client":"app","body":{body}}}"#)
}

fn explained(bench: &mut Bench, request: &str) -> Value {
    let answer = bench.admin("POST", EXPLAIN, request);
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_str(&answer.text()).unwrap()
}

/// The deployments of the attempts, in order.
fn attempts(explanation: &Value) -> Vec<&str> {
    let attempts = explanation["course"]["attempts"].as_array().unwrap();
    attempts.iter().map(|attempt| attempt["deployment"].as_str().unwrap()).collect()
}

#[test]
fn a_request_is_explained_and_nothing_is_sent_or_changed() {
    let mut bench = Bench::started(&routes("", ""));
    let explanation = explained(&mut bench, &of_chat(CHAT));
    assert_eq!(attempts(&explanation), ["first", "second"]);
    assert_eq!((&explanation["client"], &explanation["entry"]), (&json!("app"), &json!("m")));
    let call = &explanation["calls"][0];
    assert_eq!(call["url"], "https://first/v1/chat/completions");
    assert_eq!((&call["credential"], &explanation["limits"]), (&json!("api_key"), &json!([])));
    assert_eq!(call["headers_set"], json!(["accept-encoding", "authorization", "traceparent"]));
    assert_eq!(call["body"], json!([{ "field": "model", "is_dropped": false, "value": "up-first" }]));
    assert!(bench.calls().is_empty());
    assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0));
    assert!(bench.is_body_released());
    assert_eq!(bench.last_error(), "", "the failures of an explanation are not learned");
}

#[test]
fn the_limits_that_a_request_takes_from_are_shown_and_nothing_is_taken() {
    let document = routes(r#", "limits": [{"requests": 9, "per": "minute"}]"#, "");
    let limits = r#""models": ["*"], "limits": [{"tokens": 5000, "per": "day"}]}}"#;
    let mut bench = Bench::started(&document.replace(r#""models": ["*"]}}"#, limits));
    let of_limit = |explanation: &Value, place: usize| {
        let limit = &explanation["limits"][place];
        ["of", "meter", "amount", "takes", "left"].map(|name| limit[name].clone())
    };
    let chat = r#"{"model":"m","max_tokens":100,"messages":[]}"#;
    let explanation = explained(&mut bench, &of_chat(chat));
    let takes = explanation["limits"][0]["takes"].as_u64().unwrap();
    assert!((100..150).contains(&takes), "{takes}");
    let [first, second] = [0, 1].map(|place| of_limit(&explanation, place));
    assert_eq!(first, [json!("client"), json!("tokens/day"), json!(5000), json!(takes), Value::Null]);
    assert_eq!(second, [json!("gateway"), json!("requests/minute"), json!(9), json!(1), Value::Null]);
    bench.script([Script::json(200, ANSWER)]);
    assert_eq!(bench.begin_chat(chat).status, 200);
    let explanation = explained(&mut bench, &of_chat(chat));
    assert_eq!(of_limit(&explanation, 1)[4], 8, "one is used");
    let spent = bench.limit("default/client:app", "tokens/day").0;
    assert!((1..100).contains(&spent), "what the answer used alone: {spent}");
}

#[test]
fn an_explanation_follows_the_health_of_the_isolate() {
    let mut bench = Bench::new(&routes("", ""));
    bench.script([
        Script { headers: &[("retry-after", "30")], ..Script::json(429, LIMITED) },
        Script::json(200, ANSWER),
    ]);
    bench.chat(CHAT);
    let explanation = explained(&mut bench, &of_chat(CHAT));
    assert_eq!(attempts(&explanation), ["second"]);
    let first = &explanation["course"]["tree"][0]["node"]["targets"][0];
    assert_eq!((&first["to"], &first["excluded"]["kind"]), (&json!("first"), &json!("ejected")));
    assert_eq!(first["excluded"]["why"], "rate limited; it asked to be left alone for 30000 ms");
    assert!(first["excluded"]["until"].as_u64() > explanation["now"].as_u64());
    assert_eq!(bench.admin("POST", "/admin/api/deployments/second/drain", "").status, 503, "no object here");
    bench.pass(ms(31_000));
    let explanation = explained(&mut bench, &of_chat(CHAT));
    assert_eq!(attempts(&explanation), ["first"], "{explanation:#}");
    assert_eq!(explanation["course"]["attempts"][0]["is_probe"], true);
    let second = &explanation["course"]["tree"][0]["node"]["targets"][1];
    assert_eq!(second["excluded"]["kind"], "drained");
}

#[test]
fn the_view_is_that_of_a_client_or_of_a_key() {
    let mut bench = Bench::started(&routes("", ""));
    let request = |with: Value| {
        let mut request = json!({ "path": "/v1/chat/completions", "body": { "model": "m" } });
        request.as_object_mut().unwrap().append(&mut with.as_object().unwrap().clone());
        request.to_string()
    };
    for (with, code) in [
        (json!({ "client": "app" }), None),
        (json!({ "key": "sk-app" }), None),
        (json!({ "headers": { "Api-Key": "sk-app" } }), None),
        (json!({ "key": "sk-other" }), Some("invalid_api_key")),
        (json!({}), Some("invalid_api_key")),
        (json!({ "client": "app", "body": { "model": "x" } }), Some("model_not_found")),
        (json!({ "client": "app", "method": "PUT" }), Some("method_not_allowed")),
        (json!({ "client": "app", "path": "/v1/realtime" }), Some("operation_not_supported")),
        (json!({ "client": "app", "body": "{" }), Some("invalid_json")),
    ] {
        let explanation = explained(&mut bench, &request(with.clone()));
        assert_eq!(explanation["error"]["code"].as_str(), code, "{with}");
        assert_eq!(explanation["course"].is_null(), code.is_some(), "{with}");
    }
    for (path, answer) in [("/v1/models", "models"), ("/healthz", "healthz"), ("/admin/api/health", "admin")]
    {
        let explanation = explained(&mut bench, &json!({ "path": path, "client": "app" }).to_string());
        assert_eq!(explanation["answer"], answer);
    }
}

#[test]
fn a_call_without_the_token_or_with_another_body_is_refused() {
    let mut bench = Bench::started(&routes("", ""));
    assert_eq!(bench.request("POST", EXPLAIN, &of_chat(CHAT)).status, 401);
    assert_eq!(bench.admin("GET", EXPLAIN, "").status, 405);
    let nearest = r#"{"path":"/v1/chat/completions","client":"ap"}"#;
    for (body, said) in [
        ("", "A JSON object was expected"),
        ("[]", "A JSON object was expected"),
        (r#"{"path":"/","pat":1}"#, "There is no key 'pat'. The keys are method, path,"),
        (nearest, "The routes document has no such client. Did you mean 'app'?"),
    ] {
        let answer = bench.admin("POST", EXPLAIN, body);
        let error: Value = serde_json::from_str(&answer.text()).unwrap();
        assert_eq!(answer.status, 400, "{body}");
        assert!(error["error"]["message"].as_str().unwrap().starts_with(said), "{body}: {error}");
    }
    let long = format!(r#"{{"path":"/","body":"{}"}}"#, "a".repeat(4 * 1024 * 1024));
    assert_eq!(bench.admin("POST", EXPLAIN, &long).status, 400);
    assert!(bench.is_body_released());
}

#[test]
fn a_model_that_cannot_serve_is_named_with_the_error_of_the_client() {
    let mut document: Value = serde_json::from_str(&routes("", "")).unwrap();
    for name in ["first", "second"] {
        document["deployments"][name]["capabilities"] = json!({ "output_tokens": 10 });
    }
    let mut bench = Bench::started(&document.to_string());
    let body = r#"{"model":"m","messages":[],"max_tokens":20}"#;
    let explanation = explained(&mut bench, &of_chat(body));
    let message = bench.chat(body).text();
    let error: Value = serde_json::from_str(&message).unwrap();
    assert_eq!(explanation["error"]["message"], error["error"]["message"]);
    assert_eq!(explanation["error"]["status"], 400);
    let targets = &explanation["course"]["tree"][0]["node"]["targets"];
    assert_eq!(targets[0]["excluded"]["kind"], "output_tokens");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Strategies whose order has no chance: what the explanation names is what is called.
    #[test]
    fn what_an_explanation_names_is_what_is_called(
        nodes in prop::collection::vec((0_usize..5, prop::collection::vec(0_usize..9, 1..4), any::<bool>()), 1..5),
        drained in 0_usize..5,
        user in 0_u32..4,
        retries in 0_u32..2,
    ) {
        let names = ["d0", "d1", "d2", "d3", "d4"];
        let mut document: Value = json!({
            "version": 1,
            "settings": { "max_attempts": 8, "health": { "first_snapshot_ms": 0 } },
            "clients": { "app": { "key": "${SWITCHYARD_KEY}" } },
            "deployments": {}, "models": {},
        });
        for (index, name) in names.iter().enumerate() {
            document["deployments"][name] = json!({
                "provider": "openai", "endpoint": format!("https://{name}/v1"), "api_key": "${KEY}",
                "model": format!("up-{name}"), "cost": { "input": (index * 7) % 5 },
            });
        }
        let mut known: Vec<String> = names.iter().map(ToString::to_string).collect();
        for (index, (strategy, targets, is_edge)) in nodes.iter().enumerate() {
            let targets: Vec<&String> = targets.iter().map(|target| &known[target % known.len()]).collect();
            let mut node = match strategy {
                0 => json!({ "strategy": "cost", "targets": targets }),
                1 => json!({ "strategy": "weighted", "sticky": { "by": "user" }, "targets": targets }),
                2 => json!({ "strategy": "match", "cases": [{ "when": { "body": { "user": "u1" } }, "use": targets[0] }], "else": targets[targets.len() - 1] }),
                _ => json!({ "targets": targets }),
            };
            node["retry"] = json!({ "attempts": retries, "backoff_ms": 1 });
            if *is_edge {
                node["on"] = json!({ "unavailable": known[index % known.len()] });
            }
            let name = format!("n{index}");
            document["models"][&name] = node;
            known.push(name);
        }
        let mut bench = Bench::started(&document.to_string());
        bench.admin("POST", &format!("/admin/api/deployments/d{drained}/drain"), "");
        let body = json!({ "model": known.last().unwrap(), "messages": [], "user": format!("u{user}") }).to_string();
        let explanation = explained(&mut bench, &of_chat(&body));
        bench.script((0..20).map(|_| Script::json(503, OVERLOADED)));
        bench.chat(&body);
        let calls = bench.calls();
        let called: Vec<&str> = calls.iter().map(|call| call.request.url.as_str()).collect();
        let named: Vec<String> =
            attempts(&explanation).iter().map(|name| format!("https://{name}/v1/chat/completions")).collect();
        prop_assert_eq!(called, named, "{:#}", explanation);
    }
}
