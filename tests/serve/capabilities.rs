//! What a model cannot do: the deployment is passed over before it is tried, and the client learns
//! what is missing.

use serde_json::{Value, json};

use super::ANSWER;
use super::fake::{Answer, Bench, Script};

/// Two deployments, one after the other, whose models can do this.
fn routes(first: &Value, second: &Value, node: &Value) -> String {
    let deployment = |name: &str, capabilities: &Value| {
        json!({
            "provider": "openai", "endpoint": format!("https://{name}/v1"), "api_key": "${KEY}", "model": "up",
            "capabilities": capabilities,
        })
    };
    let mut document = json!({
        "version": 1,
        "settings": { "health": { "first_snapshot_ms": 0 } },
        "clients": { "app": { "key": "${SWITCHYARD_KEY}" } },
        "deployments": { "first": deployment("first", first), "second": deployment("second", second) },
        "models": { "m": { "targets": ["first", "second"] }, "long": { "targets": ["second"] } },
    });
    for (key, value) in node.as_object().unwrap() {
        document["models"]["m"][key] = value.clone();
    }
    document.to_string()
}

fn body(with: &Value) -> String {
    let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    for (key, value) in with.as_object().unwrap() {
        body[key] = value.clone();
    }
    body.to_string()
}

/// The error of an answer: its status, its code, and the message.
fn error(answer: &Answer) -> (u16, String, String) {
    let body: Value = serde_json::from_str(&answer.text()).unwrap();
    let text = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
    (answer.status, text("code"), text("message"))
}

#[test]
fn what_a_model_cannot_do_goes_to_the_next_one() {
    let image = json!([{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": "https://x/1.png" } }] }]);
    let text = "word ".repeat(100);
    for (capabilities, with) in [
        (json!({ "tools": false }), json!({ "tools": [{ "type": "function" }] })),
        (json!({ "vision": false }), json!({ "messages": image })),
        (json!({ "json_schema": false }), json!({ "response_format": { "type": "json_schema" } })),
        (json!({ "audio": false }), json!({ "modalities": ["text", "audio"] })),
        (json!({ "output_tokens": 100 }), json!({ "max_completion_tokens": 101 })),
        (json!({ "context_tokens": 100 }), json!({ "messages": [{ "role": "user", "content": text }] })),
    ] {
        let mut bench = Bench::new(&routes(&capabilities, &json!({}), &json!({})));
        bench.script([Script::json(200, ANSWER), Script::json(200, ANSWER)]);
        let answer = bench.chat(&body(&with));
        assert_eq!(answer.header("x-switchyard-deployment"), "second", "{capabilities} {with}");
        assert_eq!(answer.header("x-switchyard-attempts"), "1", "it is not tried");
        let answer = bench.chat(&body(&json!({ "max_tokens": 100 })));
        assert_eq!(answer.header("x-switchyard-deployment"), "first", "{capabilities}: it can do this");
    }
}

#[test]
fn nothing_is_assumed_of_a_model_that_states_nothing() {
    let with = json!({ "tools": [{}], "max_tokens": 1_000_000, "modalities": ["audio"] });
    for stated in [json!({}), json!({ "tools": true, "audio": true, "output_tokens": 1_000_000 })] {
        let mut bench = Bench::new(&routes(&stated, &json!({}), &json!({})));
        bench.script([Script::json(200, ANSWER)]);
        assert_eq!(bench.chat(&body(&with)).header("x-switchyard-deployment"), "first", "{stated}");
    }
}

#[test]
fn where_no_model_can_do_it_the_error_names_what_is_missing() {
    for (first, second, with, code, message) in [
        (
            json!({ "output_tokens": 4_096 }),
            json!({ "output_tokens": 16_384 }),
            json!({ "max_tokens": 200_000 }),
            "capability_missing",
            "`max_tokens` is 200000; no deployment of 'm' gives more than 16384.",
        ),
        (
            json!({ "tools": false }),
            json!({ "tools": false }),
            json!({ "tools": [{}] }),
            "capability_missing",
            "The request has tools; no deployment of 'm' takes that.",
        ),
        (
            json!({ "tools": false }),
            json!({ "output_tokens": 10 }),
            json!({ "tools": [{}], "max_completion_tokens": 20, "max_tokens": 5 }),
            "capability_missing",
            "No deployment of 'm' takes all that the request has: tools; `max_completion_tokens` of 20 (at most 10).",
        ),
        (
            json!({ "context_tokens": 8 }),
            json!({ "context_tokens": 10 }),
            json!({ "user": "a".repeat(100) }),
            "context_length_exceeded",
            "The input is about 41 tokens; no deployment of 'm' takes more than 10.",
        ),
    ] {
        let mut bench = Bench::new(&routes(&first, &second, &json!({})));
        let answer = bench.chat(&body(&with));
        let (status, found, said) = error(&answer);
        assert_eq!((status, found.as_str()), (400, code), "{said}");
        assert!(said.starts_with(message), "{said}");
        assert_eq!(answer.header("x-should-retry"), "false");
        assert!(bench.calls().is_empty());
    }
}

#[test]
fn while_a_deployment_that_could_is_ejected_the_client_is_asked_to_come_back() {
    let mut bench =
        Bench::new(&routes(&json!({ "tools": false }), &json!({}), &json!({ "when_all_ejected": "fail" })));
    bench.script([Script { headers: &[("retry-after", "60")], ..Script::json(429, super::LIMITED) }]);
    bench.chat(&body(&json!({ "tools": [{}] })));
    let answer = bench.chat(&body(&json!({ "tools": [{}] })));
    let (status, code, message) = error(&answer);
    assert_eq!((status, code.as_str()), (503, "no_eligible_deployment"), "{message}");
    assert!(message.contains("its model does not take tools"), "{message}");
    assert_eq!(answer.header("x-should-retry"), "true");
}

#[test]
fn an_input_that_is_too_long_takes_the_edge_for_long_inputs_before_anything_is_tried() {
    let edge = json!({ "targets": ["first"], "on": { "context_window": "long" } });
    let long = json!({ "user": "a".repeat(400) });
    let routes = routes(&json!({ "context_tokens": 50 }), &json!({}), &edge);
    let mut bench = Bench::new(&routes);
    bench.script([Script::json(200, ANSWER), Script::json(200, ANSWER)]);
    let answer = bench.chat(&body(&long));
    assert_eq!(answer.header("x-switchyard-deployment"), "second", "{}", answer.text());
    assert_eq!(answer.header("x-switchyard-attempts"), "1");
    assert_eq!(bench.chat(&body(&json!({}))).header("x-switchyard-deployment"), "first");
}

#[test]
fn the_edge_for_long_inputs_is_taken_although_the_model_lacks_a_feature_too() {
    let edge = json!({ "targets": ["first"], "on": { "context_window": "long" } });
    let first = json!({ "tools": false, "vision": false, "context_tokens": 50 });
    let with = json!({ "user": "a".repeat(400), "tools": [{}] });
    for (second, served) in [(json!({}), true), (json!({ "context_tokens": 20 }), false)] {
        let mut bench = Bench::new(&routes(&first, &second, &edge));
        bench.script([Script::json(200, ANSWER)]);
        let answer = bench.chat(&body(&with));
        let expected = if served { "second" } else { "" };
        assert_eq!(answer.header("x-switchyard-deployment"), expected, "{}", answer.text());
    }
    // The feature alone does not lead there.
    let mut bench = Bench::new(&routes(&first, &json!({}), &edge));
    assert_eq!(error(&bench.chat(&body(&json!({ "tools": [{}] })))).1, "capability_missing");
}

#[test]
fn an_estimate_alone_refuses_only_what_is_clearly_too_long() {
    let document = |first: Value, second: Value, node: Value| routes(&first, &second, &node);
    let context = |tokens: u64| json!({ "context_tokens": tokens });
    let all = json!({});
    let only = json!({ "targets": ["first"] });
    let edge = json!({ "targets": ["first"], "on": { "context_window": "long" } });
    let other_edge = json!({ "targets": ["first"], "on": { "rate_limit": "long" } });
    let spaces = body(&json!({ "messages": [{ "content": " ".repeat(1_000 - 56) }], "max_tokens": 9 }));
    assert_eq!(spaces.len() / 4, 250, "the estimate");
    for (routes, served) in [
        (document(context(63), json!({}), only.clone()), "first"),
        (document(context(62), json!({}), only), ""),
        // The one with the longest context, and only where there is no better one.
        (document(context(100), context(120), all.clone()), "second"),
        (document(context(240), json!({}), all.clone()), "second"),
        (document(context(240), context(250), all.clone()), "second"),
        (document(context(20), context(100), edge.clone()), "second"),
        (document(context(20), context(62), edge), ""),
        (document(context(100), json!({}), other_edge), "first"),
        // One that cannot serve otherwise is no better one.
        (document(context(100), json!({ "output_tokens": 5 }), all), "first"),
    ] {
        let mut bench = Bench::new(&routes);
        bench.script([Script::json(200, ANSWER)]);
        let answer = bench.chat(&spaces);
        assert_eq!(answer.header("x-switchyard-deployment"), served, "{routes} {}", answer.text());
        if served.is_empty() {
            assert_eq!(error(&answer).1, "context_length_exceeded");
        }
    }
}

#[test]
fn each_text_of_a_batch_is_compared_by_itself() {
    let document = routes(&json!({ "context_tokens": 400 }), &json!({}), &json!({ "targets": ["first"] }));
    let text = "word ".repeat(300);
    let embeddings = r#"{"object":"list","data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":5}}"#;
    for (path, member, value, answer) in [
        ("/v1/embeddings", "input", json!(vec![&text; 100]), embeddings),
        ("/v1/embeddings", "input", json!(vec![100_257; 400]), embeddings),
        ("/v1/embeddings", "input", json!(vec![vec![100_257; 400]; 20]), embeddings),
        ("/v1/moderations", "input", json!(vec![&text; 32]), r#"{"results":[{"flagged":false}]}"#),
        ("/v1/completions", "prompt", json!(vec![&text; 20]), r#"{"choices":[{"text":"a"}]}"#),
    ] {
        let mut bench = Bench::new(&document);
        bench.script([Script::json(200, answer)]);
        let body = json!({ "model": "m", member: value }).to_string();
        let answer = bench.request("POST", path, &body);
        assert_eq!(answer.header("x-switchyard-deployment"), "first", "{path} {}", answer.text());
    }
    let mut bench = Bench::new(&document);
    let body = json!({ "model": "m", "input": ["a", text.repeat(10)] }).to_string();
    let answer = bench.request("POST", "/v1/embeddings", &body);
    let message = "The input is about 3750 tokens; no deployment of 'm' takes more than 400.";
    assert!(error(&answer).2.starts_with(message), "{}", answer.text());
}

#[test]
fn of_a_body_beyond_the_buffer_what_its_beginning_shows_is_needed() {
    let first = json!({ "vision": false, "tools": false, "context_tokens": 50 });
    let mut document: Value = serde_json::from_str(&routes(&first, &json!({}), &json!({}))).unwrap();
    document["settings"]["buffer_bytes"] = json!(200);
    let document = document.to_string();
    let long = "A".repeat(1_000);
    let image = format!(
        r#"[{{"content":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{long}"}}}}]}}]"#
    );
    let late = format!(
        r#"[{{"content":[{{"image_url":{{"url":"data:image/png;base64,{long}"}},"type":"image_url"}}]}}]"#
    );
    let tools = format!(r#"[{{"type":"function","function":{{"name":"{long}"}}}}]"#);
    for (member, value, served) in [
        ("messages", image.as_str(), "second"),
        ("tools", &tools, "second"),
        // Nothing is known of what comes later.
        ("messages", &late, "first"),
    ] {
        let mut bench = Bench::new(&document);
        bench.script([Script::json(200, ANSWER)]);
        let answer = bench.chat(&format!(r#"{{"model":"m","{member}":{value}}}"#));
        assert_eq!(answer.header("x-switchyard-deployment"), served, "{member} {}", answer.text());
    }
}

#[test]
fn an_error_names_all_that_a_model_lacks() {
    let first = json!({ "tools": false, "vision": false, "context_tokens": 10, "output_tokens": 10 });
    let image = json!([{ "content": [{ "type": "image_url", "image_url": { "url": "https://x/1.png" } }] }]);
    let with = json!({ "messages": image, "tools": [{}], "max_tokens": 20 });
    let only = json!({ "targets": ["first"] });
    let mut bench = Bench::new(&routes(&first, &json!({}), &only));
    let (status, code, message) = error(&bench.chat(&body(&with)));
    assert_eq!((status, code.as_str()), (400, "capability_missing"), "{message}");
    for part in ["tools; images; about ", " input tokens (at most 10); `max_tokens` of 20 (at most 10)."] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_picture_in_the_body_does_not_count_as_a_long_input() {
    let picture = format!("data:image/png;base64,{}", "A".repeat(4_000));
    let content = json!([{ "type": "image_url", "image_url": { "url": picture } }]);
    let with = json!({ "messages": [{ "role": "user", "content": content }] });
    let mut bench = Bench::new(&routes(&json!({ "context_tokens": 500 }), &json!({}), &json!({})));
    bench.script([Script::json(200, ANSWER)]);
    assert_eq!(bench.chat(&body(&with)).header("x-switchyard-deployment"), "first");
}

#[test]
fn a_field_that_the_deployment_drops_or_sets_is_not_compared() {
    let mut document: Value = serde_json::from_str(&routes(
        &json!({ "tools": false, "output_tokens": 10 }),
        &json!({}),
        &json!({}),
    ))
    .unwrap();
    document["deployments"]["first"]["params"] = json!({ "drop": ["tools"], "set": { "max_tokens": 10 } });
    let mut bench = Bench::new(&document.to_string());
    bench.script([Script::json(200, ANSWER)]);
    let answer = bench.chat(&body(&json!({ "tools": [{}], "max_tokens": 20 })));
    assert_eq!(answer.header("x-switchyard-deployment"), "first");
}
