//! What is refused before any upstream is called, and with which error.

use serde_json::{Value, json};

use super::fake::{Answer, Bench, Script};
use super::{ANSWER, CHAT, routes};

/// A gateway with these rules.
fn with_rules(rules: &Value) -> Bench {
    let mut document: Value = serde_json::from_str(&routes("", "")).unwrap();
    document["rules"] = rules.clone();
    Bench::started(&document.to_string())
}

/// The status and the code of an error.
fn error(answer: &Answer) -> (u16, String) {
    let body: Value = serde_json::from_str(&answer.text()).unwrap();
    (answer.status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
}

fn denied(code: &str) -> Value {
    json!({ "code": code, "message": "Not with this gateway." })
}

#[test]
fn a_request_that_a_rule_refuses_gets_its_error_and_opens_no_call() {
    let mut bench = with_rules(&json!([
        { "when": { "body": { "messages": { "contains": "project falcon" } } },
          "deny": { "status": 422, "code": "confidential", "message": "Do not speak of that." } },
    ]));
    bench.script([Script::json(200, ANSWER)]);
    let answer = bench.chat(
        r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"Project Falcon?"}]}]}"#,
    );
    let body: Value = serde_json::from_str(&answer.text()).unwrap();
    let expected = json!({ "error": {
        "message": "Do not speak of that.", "type": "invalid_request_error", "param": null, "code": "confidential",
    } });
    assert_eq!((answer.status, body), (422, expected));
    assert_eq!(answer.header("x-should-retry"), "false");
    let record = bench.record();
    assert_eq!((&record["outcome"], &record["status"]), (&json!("confidential"), &json!(422)));
    assert_eq!(bench.calls().len(), 0);
    assert!(bench.is_body_released());
    assert_eq!(bench.chat(CHAT).status, 200, "another request is served");
}

#[test]
fn a_refusal_is_in_the_log_whatever_its_sample_is() {
    let mut document: Value = serde_json::from_str(&routes(r#", "log": {"sample": 0}"#, "")).unwrap();
    document["rules"] = json!([{ "when": { "model": "m" }, "deny": denied("closed") }]);
    let mut bench = Bench::started(&document.to_string());
    for _ in 0..10 {
        assert_eq!(error(&bench.chat(CHAT)), (403, "closed".to_owned()));
    }
    let records = bench.records();
    assert_eq!(records.len(), 10);
    assert!(records.iter().all(|record| record["outcome"] == "closed" && record["client"] == "app"));
}

#[test]
fn the_first_rule_that_matches_decides_whether_it_uses_or_denies() {
    let mut bench = with_rules(&json!([
        { "when": { "header": { "x-team": "trusted" } }, "use": "m" },
        { "when": { "body": { "messages": { "matches": "h[aeiou]" } } }, "deny": denied("first") },
        { "when": {}, "deny": denied("second") },
    ]));
    assert_eq!(error(&bench.chat(CHAT)), (403, "first".to_owned()));
    assert_eq!(error(&bench.chat(r#"{"model":"m","messages":[]}"#)), (403, "second".to_owned()));
    bench.add_header("x-team", "trusted");
    bench.script([Script::json(200, ANSWER)]);
    assert_eq!(bench.chat(CHAT).status, 200);
}

#[test]
fn a_long_body_is_looked_at_as_far_as_the_bound_goes() {
    let mut bench = with_rules(&json!([
        { "when": { "body": { "messages": { "contains": "needle" } } }, "deny": denied("found") },
    ]));
    let body = |before: usize| {
        format!(r#"{{"model":"m","messages":[{{"content":"{}"}},"needle"]}}"#, "a ".repeat(before / 2))
    };
    for (before, expected) in [(1_000, 403), (200_000, 403), (1_000_000, 403), (1_100_000, 200)] {
        bench.script([Script::json(200, ANSWER)]);
        assert_eq!(bench.chat(&body(before)).status, expected, "{before}");
        bench.drop_scripts();
    }
}

#[test]
fn the_beginning_of_a_body_that_is_sent_once_is_looked_at() {
    let mut document: Value = serde_json::from_str(&routes(r#", "buffer_bytes": 200"#, "")).unwrap();
    document["rules"] =
        json!([{ "when": { "body": { "messages": { "contains": "needle" } } }, "deny": denied("found") }]);
    let mut bench = Bench::started(&document.to_string());
    let filler = "a".repeat(400);
    bench.script([Script::json(200, ANSWER)]);
    let body = |text: &str| format!(r#"{{"model":"m","messages":[{{"content":"{text}"}}]}}"#);
    assert_eq!(bench.chat(&body(&format!("needle {filler}"))).status, 403);
    assert_eq!(bench.chat(&body(&format!("{filler} needle"))).status, 200);
}

#[test]
fn a_stored_object_is_refused_by_rules_that_read_its_path_or_operation() {
    let mut bench = with_rules(&json!([
        { "when": {}, "deny": denied("every_model") },
        { "when": { "operation": "files", "method": "DELETE" }, "deny": denied("no_deletion") },
        { "when": { "operation": "conversations", "body": { "items": { "contains": "needle" } } }, "deny": denied("found") },
    ]));
    assert_eq!(error(&bench.request("DELETE", "/v1/files/file-1", "")), (403, "no_deletion".to_owned()));
    bench.add_header("content-type", "application/json");
    let items = r#"{"items":[{"type":"message","role":"user","content":"a Needle"}]}"#;
    assert_eq!(error(&bench.request("POST", "/v1/conversations", items)), (403, "found".to_owned()));
    assert_eq!(error(&bench.chat(CHAT)), (403, "every_model".to_owned()));
    assert_eq!(bench.calls().len(), 0);
    bench.script([Script::json(200, r#"{"object":"list","data":[]}"#)]);
    assert_eq!(bench.request("GET", "/v1/files", "").status, 200);
}

#[test]
fn a_model_that_a_client_may_not_use_is_answered_like_one_that_does_not_exist() {
    let mut document: Value = serde_json::from_str(&routes("", "")).unwrap();
    document["models"]["secret-model"] = document["models"]["m"].clone();
    document["clients"]["app"]["models"] = json!(["m"]);
    document["rules"] = json!([
        { "when": { "header": { "x-tier": "gold" } }, "use": "secret-model" },
        { "when": { "operation": "files" }, "use": "secret-model" },
    ]);
    let mut bench = Bench::started(&document.to_string());
    // The answer about a model, without the name that the client sent and without what differs
    // between any two answers.
    let mut about = |method: &str, path: &str, model: &str| {
        let path = path.replace("MODEL", model);
        let answer = bench.request(method, &path, &format!(r#"{{"model":"{model}","messages":[]}}"#));
        let headers = answer.headers.iter().filter(|(name, _)| !name.contains("request-id"));
        let headers: Vec<_> = headers.map(|(name, value)| format!("{name}: {value}")).collect();
        (answer.status, headers, answer.text().replace(model, "MODEL"))
    };
    for (method, path) in [
        ("POST", "/v1/chat/completions"),
        ("POST", "/openai/deployments/MODEL/chat/completions"),
        ("GET", "/v1/models/MODEL"),
    ] {
        let (hidden, missing) = (about(method, path, "secret-model"), about(method, path, "terces-model"));
        assert_eq!(hidden, missing, "{path}");
        assert_eq!(hidden.0, 404, "{path}");
    }
    assert_eq!(error(&bench.request("GET", "/v1/files/file-1", "")), (404, "object_not_found".to_owned()));
    // A rule that chooses such a node: the client learns nothing about it.
    bench.add_header("x-tier", "gold");
    let answer = bench.chat(CHAT);
    let said = answer.text();
    assert_eq!(error(&answer), (404, "model_not_found".to_owned()));
    assert!(said.contains("'m'") && !said.contains("secret") && !said.contains("Did you mean"), "{said}");
    assert_eq!(error(&bench.chat(r#"{"messages":[]}"#)), (400, "missing_model".to_owned()));
    assert_eq!(bench.calls().len(), 0);
}

#[test]
fn an_explanation_names_the_rule_that_refuses() {
    let mut bench = with_rules(&json!([
        { "when": { "model": "other" }, "use": "m" },
        { "when": { "model": "m" }, "deny": denied("closed") },
    ]));
    let request = format!(r#"{{"path":"/v1/chat/completions","client":"app","body":{CHAT}}}"#);
    let answer = bench.admin("POST", "/admin/api/explain", &request);
    let explanation: Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!(explanation["rule"], 1);
    let expected = json!({ "status": 403, "code": "closed", "message": "Not with this gateway." });
    assert_eq!((&explanation["error"], &explanation["course"]), (&expected, &Value::Null));
}
