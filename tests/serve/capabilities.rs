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
            json!({ "context_tokens": 10 }),
            json!({ "context_tokens": 12 }),
            json!({ "user": "a".repeat(100) }),
            "context_length_exceeded",
            "The input is about 41 tokens; no deployment of 'm' takes more than 12.",
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
