//! Limits of issued keys, and what is known of the use of each key.

use serde_json::{Value, json};

use super::fake::{Answer, Bench, Script};
use super::{CHAT, routes};
use crate::times::ms;

/// An answer that used 30 tokens of input and 12 of output: 150 micro-dollars.
const USED: &str = r#"{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}],"usage":{"prompt_tokens":30,"completion_tokens":12,"total_tokens":42}}"#;

/// A gateway whose client `app` may have keys, and has these limits.
fn started(limits: &Value) -> Bench {
    let mut document: Value = serde_json::from_str(&routes("", "")).unwrap();
    document["clients"]["app"]["limits"] = limits.clone();
    document["clients"]["app"]["allow_keys"] = json!(true);
    for name in ["first", "second"] {
        document["deployments"][name]["cost"] = json!({ "input": 1.0, "output": 10.0 });
    }
    let mut bench = Bench::started(&document.to_string());
    bench.with_registry();
    bench.script((0..300).map(|_| Script::json(200, USED)));
    bench.finish();
    bench
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_str(&answer.text()).unwrap_or_else(|_| panic!("{answer:?}"))
}

fn issue(bench: &mut Bench, limits: &Value) -> &'static str {
    let body = json!({ "client": "app", "name": "ci", "limits": limits }).to_string();
    let issued = json_of(&bench.admin("POST", "/admin/api/keys", &body));
    issued["key"].as_str().unwrap_or_else(|| panic!("{issued}")).to_owned().leak()
}

fn shown(bench: &mut Bench, id: &str) -> Value {
    json_of(&bench.admin("GET", &format!("/admin/api/keys/{id}"), ""))
}

fn chat(bench: &mut Bench, key: &'static str) -> u16 {
    bench.use_key(key);
    let status = bench.begin_chat(CHAT).status;
    bench.use_key("sk-app");
    status
}

#[test]
fn a_key_has_limits_of_its_own_and_those_of_its_client_hold_too() {
    let mut bench = started(&json!([{ "requests": 5, "per": "day" }]));
    let narrow = issue(&mut bench, &json!([{ "requests": 2, "per": "day" }, { "usd": 1, "per": "month" }]));
    let wide = issue(&mut bench, &json!([{ "requests": 1000, "per": "day" }]));
    assert_eq!([(); 3].map(|()| chat(&mut bench, narrow)), [200, 200, 429]);
    bench.use_key(narrow);
    let refused = json_of(&bench.begin_chat(CHAT));
    assert_eq!(refused["error"]["code"], "insufficient_quota");
    assert_eq!([(); 4].map(|()| chat(&mut bench, wide)), [200, 200, 200, 429], "five for the client");
    bench.finish();
    let key = shown(&mut bench, "key_1");
    assert_eq!(key["limits"], json!([{ "requests": 2, "per": "day" }, { "usd": 1, "per": "month" }]));
    let usage: Vec<_> = key["limit_usage"].as_array().unwrap().iter().collect();
    assert_eq!(
        usage.iter().map(|limit| (&limit["meter"], &limit["spent"], &limit["free"])).collect::<Vec<_>>(),
        [
            (&json!("key_1/requests/day"), &json!(2), &json!(0)),
            (&json!("key_1/usd/month"), &json!(300), &json!(999_700))
        ]
    );
    assert_eq!(shown(&mut bench, "key_2")["limit_usage"][0]["spent"], 3);
}

#[test]
fn a_rotation_does_not_give_the_limits_of_a_key_anew() {
    let mut bench = started(&json!([]));
    let mut keys = vec![issue(&mut bench, &json!([{ "requests": 3, "per": "day" }]))];
    for old in ["key_1", "key_2"] {
        assert_eq!(chat(&mut bench, keys.last().unwrap()), 200);
        let rotated = json_of(&bench.admin("POST", &format!("/admin/api/keys/{old}/rotate"), ""));
        keys.push(rotated["key"].as_str().unwrap().to_owned().leak());
    }
    assert_eq!([(); 2].map(|()| chat(&mut bench, keys[2])), [200, 429]);
    bench.new_isolate();
    assert_eq!(chat(&mut bench, keys[0]), 429);
    bench.finish();
    let last = shown(&mut bench, "key_3");
    assert_eq!((&last["limits_as"], &last["limit_usage"][0]["spent"]), (&json!("key_1"), &json!(3)));
}

#[test]
fn limits_of_keys_are_refused_as_those_of_a_document_are() {
    let mut bench = started(&json!([]));
    for (limits, expected) in [
        (
            json!([{ "requests": 0, "per": "day" }]),
            "limits[0].requests: found 0, expected a whole number from 1",
        ),
        (json!([{ "requests": 5 }]), "limits[0]: found a limit without a time"),
        (json!([{ "usd": 5, "tokens": 5, "per": "day" }]), "limits[0]: found more than one amount"),
        (json!([{ "request": 5, "per": "day" }]), "did you mean \"requests\"?"),
        (json!([{ "usd": 5, "per": "week" }]), "limits[0].per: found \"week\""),
        (json!([{ "usd": 5, "per": "day", "models": ["n"] }]), "limits[0].models[0]: found \"n\""),
        (
            json!([{ "usd": 5, "per": "day", "by": "user" }]),
            "limits[0].by: found the key \"by\", expected no `by`",
        ),
        (json!([{ "usd": 5, "per": "day" }, { "usd": 6, "per": "day" }]), "limits[1]: found a second limit"),
        (json!(vec![json!({ "concurrent": 5 }); 33]), "at most 32"),
        (json!([5]), "limits[0]: found 5, expected an object"),
    ] {
        let body = json!({ "client": "app", "name": "ci", "limits": limits }).to_string();
        let answer = bench.admin("POST", "/admin/api/keys", &body);
        let error = json_of(&answer)["error"].clone();
        assert_eq!((answer.status, &error["code"]), (400, &json!("invalid_json")), "{limits}");
        assert!(error["message"].as_str().unwrap().contains(expected), "{error}");
    }
    let answer = bench.admin("GET", "/admin/api/keys", "");
    assert_eq!(json_of(&answer)["keys"], json!([]), "none was issued");
}

/// The name in the store of the only issued key.
fn store_name(bench: &Bench) -> String {
    let text = bench.store_text();
    let (_, hash) = text.split_once("key:").unwrap();
    format!("key:{}", hash.split_at(64).0)
}

#[test]
fn a_stored_key_that_is_not_wholly_understood_opens_nothing_and_the_log_says_so_once() {
    for (stored, said) in [
        (json!([{ "requests": 3, "per": "day", "images": 1 }]), "key_1 opens nothing, because its limits"),
        (json!([{ "requests": 3, "per": "fortnight" }]), "key_1 opens nothing, because its limits"),
        (json!({ "requests": 3, "per": "day" }), "… in KV is not the record of a key"),
    ] {
        let mut bench = started(&json!([]));
        let key = issue(&mut bench, &json!([{ "requests": 3, "per": "day" }]));
        assert_eq!(chat(&mut bench, key), 200);
        let name = store_name(&bench);
        let mut record: Value = serde_json::from_str(&bench.document(&name).unwrap()).unwrap();
        record["limits"] = stored.clone();
        bench.put(&name, &record.to_string());
        bench.new_isolate();
        let calls = bench.calls().len();
        assert_eq!([(); 3].map(|()| chat(&mut bench, key)), [401; 3], "{stored}");
        assert_eq!(bench.calls().len(), calls, "{stored}");
        let lines: Vec<_> = bench.log().into_iter().filter(|line| line.contains("keys: ")).collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains(said) && !lines[0].contains(key), "{lines:?}");
        bench.finish();
    }
}

#[test]
fn what_each_key_used_is_added_up_by_month_and_in_all() {
    let mut bench = started(&json!([]));
    let [first, second] = [(); 2].map(|()| issue(&mut bench, &json!([{ "requests": 3, "per": "day" }])));
    let usage =
        |requests: u64| json!({ "requests": requests, "tokens": 42 * requests, "micro_usd": 150 * requests });
    assert_eq!(shown(&mut bench, "key_1")["usage"], json!({ "month": usage(0), "total": usage(0) }));
    assert_eq!([first, first, second].map(|key| chat(&mut bench, key)), [200; 3]);
    bench.finish();
    assert_eq!(bench.asked_registry("keys/used"), 1, "one message, of both");
    // The bench starts on the first of January.
    bench.pass(ms(31 * 86_400_000));
    assert_eq!([(); 4].map(|()| chat(&mut bench, first)), [200, 200, 200, 429], "what is refused is no use");
    bench.finish();
    let list = json_of(&bench.admin("GET", "/admin/api/keys", ""));
    let of = |place: usize| list["keys"][place]["usage"].clone();
    assert_eq!(of(0), json!({ "month": usage(3), "total": usage(5) }));
    assert_eq!(of(1), json!({ "month": usage(0), "total": usage(1) }));
}

#[test]
fn what_a_key_used_counts_once_whatever_becomes_of_messages_and_answers() {
    let mut bench = started(&json!([]));
    let key = issue(&mut bench, &json!([{ "requests": 100, "per": "day" }]));
    let requests = |bench: &mut Bench| shown(bench, "key_1")["usage"]["total"]["requests"].clone();
    bench.lose_registry("keys/used");
    chat(&mut bench, key);
    bench.finish();
    assert_eq!(requests(&mut bench), 0, "it does not arrive");
    bench.find_registry();
    bench.lose_registry_answers("keys/used");
    chat(&mut bench, key);
    bench.finish();
    assert_eq!(requests(&mut bench), 1, "the first message arrives, and nobody hears of it");
    bench.find_registry();
    chat(&mut bench, key);
    bench.finish();
    assert_eq!(requests(&mut bench), 3);
}
