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
    assert_eq!(bench.record()["operation"], "files");
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

/// A gateway whose client has these keys, too. Its rules choose a node that does not exist for what
/// gold clients want, so that a test sees what the rules read.
fn with_client(keys: &Value) -> Bench {
    let mut document: Value = serde_json::from_str(&routes("", "")).unwrap();
    document["clients"]["app"].as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    document["rules"] = json!([
        { "when": { "metadata": { "tier": "gold" } }, "deny": denied("metadata_says_gold") },
        { "when": { "header": { "x-tier": "gold" } }, "deny": denied("header_says_gold") },
        { "when": { "label": { "tier": "gold" } }, "deny": denied("label_says_gold") },
    ]);
    Bench::started(&document.to_string())
}

/// The code of the answer to each of these requests for chat, `""` if it is served.
#[track_caller]
fn check_chats(keys: &Value, bodies: &[(&str, &str)]) {
    let mut bench = with_client(keys);
    for (members, expected) in bodies {
        let body = format!(r#"{{"model":"m"{members}}}"#);
        bench.script([Script::json(200, ANSWER)]);
        let answer = bench.chat(&body);
        let code = if answer.status == 200 { String::new() } else { error(&answer).1 };
        assert_eq!(code, *expected, "{keys} {body}");
        assert_eq!(bench.calls().len(), usize::from(code.is_empty()), "{keys} {body}");
        let record = bench.record();
        assert_eq!(record["outcome"], if code.is_empty() { "ok" } else { expected }, "{keys} {body}");
        bench = with_client(keys);
    }
}

#[test]
fn a_client_may_use_the_operations_of_its_list_alone() {
    for (operations, expected) in [
        (json!(["chat/*"]), [200, 403, 403, 200]),
        (json!(["embeddings", "files"]), [403, 200, 200, 403]),
        (json!([]), [403, 403, 403, 403]),
        (json!(["*"]), [200, 200, 200, 200]),
    ] {
        let mut bench = with_client(&json!({ "operations": operations }));
        let embedding = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0]}]}"#;
        let list = r#"{"object":"list","data":[]}"#;
        for ((method, path, body, answer), status) in [
            ("POST", "/v1/chat/completions", CHAT, ANSWER),
            ("POST", "/v1/embeddings", r#"{"model":"m","input":"a"}"#, embedding),
            ("GET", "/v1/files", "", list),
            ("GET", "/v1/chat/completions", "", list),
        ]
        .into_iter()
        .zip(expected)
        {
            bench.script([Script::json(200, answer)]);
            let reply = bench.request(method, path, body);
            assert_eq!(reply.status, status, "{operations} {method} {path} {}", reply.text());
            if status == 403 {
                assert_eq!(error(&reply).1, "operation_not_allowed");
                bench.drop_scripts();
            }
        }
        assert_eq!(bench.request("GET", "/v1/models", "").status, 200, "the list of models is no operation");
    }
}

#[test]
fn rules_read_the_labels_that_the_document_gives_a_client() {
    let mut bench = with_client(&json!({ "labels": { "tier": "gold" } }));
    assert_eq!(error(&bench.chat(CHAT)).1, "label_says_gold");
    assert_eq!(bench.record()["labels"], json!({ "tier": "gold" }), "of a request that was refused");
    let mut bench = with_client(&json!({ "labels": { "tier": "free" } }));
    bench.add_header("x-switchyard-metadata", r#"{"label.tier":"gold","label":{"tier":"gold"}}"#);
    bench.script([Script::json(200, ANSWER)]);
    assert_eq!(bench.chat(CHAT).status, 200, "no request states a label");
    assert_eq!(bench.record()["labels"], json!({ "tier": "free" }));
}

#[test]
fn what_a_request_says_about_itself_is_pinned_or_refused() {
    let gold = r#"{"tier":"gold"}"#;
    for (keys, header, value, expected) in [
        (json!({}), "cf-aig-metadata", gold, "metadata_says_gold"),
        (json!({}), "x-tier", "gold", "header_says_gold"),
        (json!({ "metadata": { "pin": { "tier": "free" } } }), "cf-aig-metadata", gold, ""),
        (json!({ "metadata": { "pin": { "tier": "free" } } }), "x-switchyard-metadata", gold, ""),
        (json!({ "metadata": { "pin": { "tier": "gold" } } }), "x-other", "1", "metadata_says_gold"),
        (json!({ "metadata": { "refuse": ["tier"] } }), "cf-aig-metadata", gold, "metadata_not_allowed"),
        (json!({ "metadata": { "refuse": ["*"] } }), "x-switchyard-metadata", gold, "metadata_not_allowed"),
        (json!({ "metadata": { "refuse": ["team"] } }), "cf-aig-metadata", r#"{"tier":"free"}"#, ""),
        (json!({ "metadata": { "refuse": ["*"], "pin": { "tier": "free" } } }), "cf-aig-metadata", gold, ""),
        (json!({ "headers": { "pin": { "X-Tier": "free" } } }), "x-tier", "gold", ""),
        (json!({ "headers": { "pin": { "x-tier": "gold" } } }), "x-other", "1", "header_says_gold"),
        (json!({ "headers": { "refuse": ["X-Tier"] } }), "x-tier", "gold", "header_not_allowed"),
        (json!({ "headers": { "refuse": ["x-t*"] } }), "x-tier", "free", "header_not_allowed"),
        (json!({ "headers": { "refuse": ["x-tier"] } }), "x-other", "1", ""),
    ] {
        let mut bench = with_client(&keys);
        bench.add_header(header, value);
        bench.script([Script::json(200, ANSWER)]);
        let answer = bench.chat(CHAT);
        let code = if answer.status == 200 { String::new() } else { error(&answer).1 };
        assert_eq!(code, expected, "{keys} {header} {value}");
    }
}

#[test]
fn a_pinned_header_is_not_forwarded() {
    let mut bench = with_client(&json!({ "headers": { "pin": { "x-tier": "free" } } }));
    bench.add_header("x-tier", "gold");
    bench.script([Script::json(200, ANSWER)]);
    assert_eq!(bench.chat(CHAT).status, 200);
    let request = format!(
        r#"{{"path":"/v1/chat/completions","client":"app","headers":{{"x-tier":"gold","x-b":"1"}},"body":{CHAT}}}"#
    );
    let explanation: Value =
        serde_json::from_str(&bench.admin("POST", "/admin/api/explain", &request).text()).unwrap();
    assert_eq!(explanation["calls"][0]["headers_passed"], json!(["x-b", "content-type"]));
}

#[test]
fn a_request_is_as_large_as_its_client_may_ask_for() {
    let tokens = json!({ "request": { "max_output_tokens": 100 } });
    check_chats(
        &tokens,
        &[
            (r#","max_tokens":100"#, ""),
            (r#","max_completion_tokens":101"#, "max_output_tokens_exceeded"),
            (r#","max_completion_tokens":10,"max_tokens":1000"#, "max_output_tokens_exceeded"),
            ("", "max_output_tokens_exceeded"),
            (r#","max_tokens":null"#, "max_output_tokens_exceeded"),
            (r#","max_tokens":50,"n":2"#, ""),
            (r#","max_tokens":51,"n":2"#, "max_output_tokens_exceeded"),
            (r#","max_tokens":1,"n":1e9"#, "max_output_tokens_exceeded"),
            (r#","max_tokens":100,"n":null"#, ""),
        ],
    );
    let images = |count: usize| {
        let part = r#"{"type":"image_url","image_url":{"url":"https://i.example/a.png"}}"#;
        format!(r#","messages":[{{"role":"user","content":[{}]}}]"#, vec![part; count].join(","))
    };
    check_chats(
        &json!({ "request": { "max_images": 1 } }),
        &[
            (&images(0), ""),
            (&images(1), ""),
            (&images(2), "max_images_exceeded"),
            (
                r#","messages":[{"content":[{"type":"image_url"},{"t\u0079pe":"im\u0061ge_url"}]}]"#,
                "max_images_exceeded",
            ),
            (r#","messages":[{"role":"user","content":"an image_url, and image_url"}]"#, ""),
        ],
    );
    check_chats(
        &json!({ "request": { "max_input_tokens": 20 } }),
        &[("", ""), (&format!(r#","user":"{}""#, "a".repeat(100)), "max_input_tokens_exceeded")],
    );
    check_chats(
        &json!({ "request": { "max_bytes": 100 } }),
        &[("", ""), (&format!(r#","user":"{}""#, "a".repeat(100)), "max_bytes_exceeded")],
    );
}

#[test]
fn the_images_that_a_request_asks_for_are_limited() {
    let image = r#"{"created":1,"data":[{"b64_json":"AA"}]}"#;
    for (n, status) in [("", 200), (r#","n":2"#, 200), (r#","n":3"#, 400), (r#","n":2.5"#, 400)] {
        let mut bench = with_client(&json!({ "request": { "max_images": 2 } }));
        bench.script([Script::json(200, image)]);
        let body = format!(r#"{{"model":"m","prompt":"a cat"{n}}}"#);
        let answer = bench.request("POST", "/v1/images/generations", &body);
        assert_eq!(answer.status, status, "{n}: {}", answer.text());
    }
}

#[test]
fn a_request_has_the_parameters_and_tools_that_its_client_may_use() {
    check_chats(
        &json!({ "parameters": { "deny": ["store", "tools:web_search*", "tools:mcp"] } }),
        &[
            (r#","stream":false"#, ""),
            (r#","store":true"#, "parameter_not_allowed"),
            (r#","st\u006fre":true"#, "parameter_not_allowed"),
            (r#","tools":[{"type":"function"}]"#, ""),
            (r#","tools":[{"type":"function"},{"type":"web_search_preview"}]"#, "parameter_not_allowed"),
            (r#","tools":[{"typ\u0065":"mc\u0070"}]"#, "parameter_not_allowed"),
            (r#","tools":[{"type":"function","type":"mcp"}]"#, "parameter_not_allowed"),
            (r#","tools":[{"type":"function","function":{"type":"mcp"}}]"#, ""),
        ],
    );
    check_chats(
        &json!({ "parameters": { "allow": ["messages", "tools:function"] } }),
        &[
            (r#","messages":[]"#, ""),
            (r#","tools":[{"type":"function"}]"#, ""),
            (r#","tools":[{"type":"mcp"}]"#, "parameter_not_allowed"),
            (r#","temperature":1"#, "parameter_not_allowed"),
        ],
    );
}

#[test]
fn a_body_that_is_not_read_to_its_end_is_refused_where_its_content_matters() {
    let keys = json!({ "parameters": { "deny": ["store"] } });
    for (keys, status) in [(json!({}), 200), (keys, 413)] {
        let mut document: Value = serde_json::from_str(&routes(r#", "buffer_bytes": 200"#, "")).unwrap();
        document["clients"]["app"].as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        let mut bench = Bench::started(&document.to_string());
        bench.script([Script::json(200, ANSWER)]);
        let body = format!(r#"{{"model":"m","user":"{}","store":true}}"#, "a".repeat(400));
        assert_eq!(bench.chat(&body).status, status, "{keys}");
    }
}

#[test]
fn a_form_where_json_belongs_hides_no_field() {
    let form = "--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b\r\ncontent-disposition: form-data; name=\"store\"\r\n\r\ntrue\r\n--b--\r\n";
    for (keys, path, expected) in [
        (json!({ "parameters": { "deny": ["store"] } }), "/v1/chat/completions", (400, "invalid_form")),
        (json!({}), "/v1/chat/completions", (200, "")),
        (json!({ "parameters": { "deny": ["store"] } }), "/v1/audio/transcriptions", (200, "")),
    ] {
        let mut bench = with_client(&keys);
        bench.add_header("content-type", "multipart/form-data; boundary=b");
        bench.script([Script::json(200, if path.contains("audio") { r#"{"text":"a"}"# } else { ANSWER })]);
        let answer = bench.request("POST", path, form);
        let code = if answer.status == 200 { String::new() } else { error(&answer).1 };
        assert_eq!((answer.status, code.as_str()), expected, "{keys} {path}: {}", answer.text());
    }
}

#[test]
fn the_body_about_a_stored_object_has_the_parameters_that_its_client_may_use() {
    let keys = json!({ "parameters": { "deny": ["tools:code_interpreter"] } });
    let tool = r#"{"model":"m","tools":[{"type":"code_interpreter"}]}"#;
    let mut bench = with_client(&keys);
    bench.add_header("content-type", "text/plain");
    let plain = bench.request("POST", "/v1/assistants", tool);
    assert_eq!(error(&plain), (400, "invalid_json".to_owned()), "it is not said to be JSON");
    let mut bench = with_client(&keys);
    assert_eq!(
        error(&bench.request("POST", "/v1/assistants", tool)),
        (403, "parameter_not_allowed".to_owned())
    );
    assert_eq!(error(&bench.request("POST", "/v1/assistants", "{")), (400, "invalid_json".to_owned()));
    assert_eq!(bench.calls().len(), 0);
    bench.script([Script::json(200, r#"{"id":"asst_1","object":"assistant"}"#)]);
    assert_eq!(bench.request("POST", "/v1/assistants", r#"{"model":"m"}"#).status, 200);
}

#[test]
fn a_client_calls_from_the_addresses_and_countries_of_its_lists() {
    let keys = json!({ "addresses": ["203.0.113.0/24", "2001:db8::/32"] });
    for (address, status) in
        [("203.0.113.9", 200), ("2001:db8::7", 200), ("203.0.114.1", 403), ("", 403), ("nonsense", 403)]
    {
        let mut bench = with_client(&keys);
        bench.add_header("cf-connecting-ip", address);
        bench.script([Script::json(200, ANSWER)]);
        let answer = bench.chat(CHAT);
        assert_eq!(answer.status, status, "{address}");
        assert_eq!(bench.request("GET", "/v1/models", "").status, status, "{address}");
        if status == 403 {
            assert_eq!(error(&answer).1, "address_not_allowed");
        }
    }
    assert_eq!(with_client(&keys).chat(CHAT).status, 403, "without an address");
    let request = |place: &str, header: &str| {
        let request = format!(
            r#"{{"path":"/v1/chat/completions","client":"app","place":{place},"headers":{{{header}}},"body":{CHAT}}}"#
        );
        let mut bench = with_client(&json!({ "countries": ["de", "FR"] }));
        let answer = bench.admin("POST", "/admin/api/explain", &request);
        let explanation: Value = serde_json::from_str(&answer.text()).unwrap();
        explanation["error"]["code"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(request(r#"{"country":"DE"}"#, ""), "");
    assert_eq!(request(r#"{"country":"US"}"#, ""), "country_not_allowed");
    assert_eq!(request("{}", ""), "country_not_allowed");
    assert_eq!(request(r#"{"country":"DE"}"#, r#""cf-worker":"example.com""#), "country_not_allowed");
}
