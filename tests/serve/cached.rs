//! Nodes that keep answers: which requests get one that was kept, and which never do.

use serde_json::Value;

use super::fake::{Answer, Bench, Script, Step};
use super::{ANSWER, CHAT, FIRST, LAST, NEXT, OVERLOADED, STREAM, slow_stream};
use crate::times::ms;

const CACHE: &str = r#""cache": {"ttl": 600}"#;

/// Two clients, a node `m` with these keys, a node `other` like it, and a node `plain` without a
/// cache.
fn document(model: &str, settings: &str, rules: &str) -> String {
    let node =
        |keys: &str| format!(r#"{{"targets": ["first", "second"], "retry": {{"attempts": 0}}, {keys}}}"#);
    let deployment = |name: &str| {
        format!(
            r#""{name}": {{"provider": "openai", "endpoint": "https://{name}/v1", "api_key": "${{KEY}}"}}"#
        )
    };
    format!(
        r#"{{"version": 1,
            "settings": {{"deadline_ms": 60000, "health": {{"first_snapshot_ms": 0}}{settings}}},
            "clients": {{"app": {{"key": "${{SWITCHYARD_KEY}}", "models": ["*"]}},
                         "two": {{"key": "${{KEY_TWO}}", "models": ["*"]}}}},
            "deployments": {{{}, {}}},
            "rules": [{rules}],
            "models": {{"m": {}, "other": {}, "plain": {}}}}}"#,
        deployment("first").replace(r#""api_key""#, r#""model": "up", "api_key""#),
        deployment("second").replace(r#""api_key""#, r#""model": "up", "api_key""#),
        node(model),
        node(CACHE),
        node(r#""description": "none""#),
    )
}

fn gateway(model: &str, settings: &str, rules: &str) -> Bench {
    let bench = Bench::without_documents();
    bench.set_variable("KEY_TWO", "sk-two");
    bench.put("routes", &document(model, settings, rules));
    let mut bench = bench;
    bench.request("GET", "/healthz", "");
    bench
}

fn cached() -> Bench {
    gateway(CACHE, "", "")
}

fn json() -> Script {
    Script::json(200, ANSWER)
}

fn events(events: &[&str]) -> Vec<Step> {
    let piece = |event: &&str| [Step::Bytes((*event).to_owned()), Step::Pause(ms(1))];
    events.iter().flat_map(piece).collect()
}

fn stream() -> Script {
    Script::events(events(&[FIRST, NEXT, LAST]))
}

fn status(answer: &Answer) -> &str {
    answer.header("x-switchyard-cache")
}

/// Sends a chat request whose answer, if it is asked for, is `script`.
fn send(bench: &mut Bench, body: &str, script: Script) -> Answer {
    bench.script([script]);
    let answer = bench.chat(body);
    bench.drop_scripts();
    assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0), "nothing is left");
    answer
}

#[test]
fn an_equal_request_gets_the_answer_that_was_kept_and_no_deployment_is_asked() {
    let mut bench = cached();
    bench.script([json()]);
    let first = bench.chat(CHAT);
    assert_eq!((first.status, status(&first)), (200, "MISS"));
    assert_eq!((bench.record()["cache"].as_str(), bench.calls().len()), (Some("miss"), 1));
    bench.pass(ms(7_900));
    let again = bench.chat(CHAT);
    assert_eq!((again.status, status(&again), again.text()), (200, "HIT", first.text()));
    assert_eq!(bench.calls().len(), 1);
    assert_eq!((again.header("content-type"), again.header("age")), ("application/json", "7"));
    let id = again.header("x-switchyard-request-id");
    assert_ne!(id, first.header("x-switchyard-request-id"));
    assert_eq!((again.header("x-request-id"), again.header("x-switchyard-attempts")), (id, "0"));
    let shown: Vec<_> = again.headers.iter().map(|(name, _)| name).collect();
    for hidden in ["cf-cache-status", "cache-control", "x-switchyard-cached-at", "x-switchyard-expires-at"] {
        assert!(!shown.contains(&hidden), "{hidden}: {shown:?}");
    }
    for of_attempt in ["x-switchyard-deployment", "x-switchyard-trail"] {
        assert!(!shown.contains(&of_attempt), "{of_attempt}: {shown:?}");
    }
    let record = bench.record();
    assert_eq!((record["cache"].as_str(), record["outcome"].as_str()), (Some("hit"), Some("ok")));
    assert_eq!(
        (&record["usage"]["output_tokens"], &record["attempts"]),
        (&Value::from(0), &Value::Array(vec![]))
    );
    assert_eq!((record.get("deployment"), record.get("micro_usd")), (None, None));
}

#[test]
fn a_stream_that_was_kept_comes_again_as_the_client_got_it() {
    for (model, settings) in [
        ("", ""),
        (r#", "commit": "headers""#, ""),
        (r#", "commit": "complete""#, ""),
        ("", r#", "usage": "exact""#),
        (r#", "commit": "headers""#, r#", "usage": "exact""#),
        (r#", "commit": "complete""#, r#", "usage": "exact""#),
    ] {
        let usage =
            "data: {\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":5}}\n\n";
        let finish =
            "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
        let asked = !settings.is_empty();
        let last = if asked { usage } else { "" };
        let steps = events(&[FIRST, NEXT, finish, last, "data: [DONE]\n\n"]);
        for steps in [steps, [vec![Step::Bytes(FIRST.to_owned())], slow_stream()].concat()] {
            let mut bench = gateway(&format!("{CACHE}{model}"), settings, "");
            let first = send(&mut bench, STREAM, Script::events(steps));
            assert!(first.text().ends_with("data: [DONE]\n\n"), "{model}: {}", first.text());
            assert!(!first.text().contains("prompt_tokens"));
            let again = bench.chat(STREAM);
            assert_eq!((status(&first), status(&again)), ("MISS", "HIT"), "{model} {settings}");
            assert_eq!(again.text(), first.text(), "{model} {settings}");
            assert!(again.header("content-type").starts_with("text/event-stream"));
            assert_eq!(bench.calls().len(), 1);
        }
    }
}

#[test]
fn nothing_is_kept_before_the_answer_was_complete() {
    let mut bench = cached();
    bench.script([Script::events(events(&[FIRST, NEXT, LAST])), stream()]);
    let first = bench.begin_chat(STREAM);
    assert_eq!((first.status, bench.cache_controls().len()), (200, 0));
    let second = bench.begin_chat(STREAM);
    assert_eq!(status(&second), "MISS");
    bench.finish();
    assert_eq!(bench.cache_controls(), ["max-age=600"]);
}

#[test]
fn an_answer_that_is_not_a_complete_success_is_not_kept() {
    let failed =
        "event: error\ndata: {\"error\":{\"message\":\"x\",\"type\":\"server_error\",\"code\":null}}\n\n";
    let long = ANSWER.replace("ok", &"o".repeat(1_100_000));
    let long_stream = NEXT.replace("k\"", &format!("{}\"", "k".repeat(1_100_000)));
    let broken = |last: Vec<Step>| Script::events([events(&[FIRST, NEXT]), last].concat());
    for (name, body, model, script) in [
        ("an error", CHAT, "", Script::json(400, OVERLOADED)),
        ("an error behind a success", CHAT, "", Script::json(200, OVERLOADED)),
        ("another success", CHAT, "", Script::json(202, ANSWER)),
        ("a long answer", CHAT, "", Script::json(200, &long)),
        ("an answer that nobody reads", CHAT, r#", "commit": "headers""#, json()),
        ("a stream without its end", STREAM, "", broken(vec![])),
        ("a stream that breaks", STREAM, "", broken(vec![Step::Break])),
        ("a stream that stalls", STREAM, r#", "timeout": {"idle_ms": 500}"#, broken(vec![Step::Hang])),
        ("a stream with an error", STREAM, "", broken(events(&[failed]))),
        ("a stream that is JSON", STREAM, r#", "commit": "headers""#, Script::events(events(&[ANSWER]))),
        ("a long stream", STREAM, "", Script::events(events(&[FIRST, &long_stream, LAST]))),
    ] {
        let mut bench = gateway(&format!(r#"{CACHE}{model}, "on": {{}}, "max_attempts": 1"#), "", "");
        send(&mut bench, body, script);
        let good = if body == STREAM { stream() } else { json() };
        let next = send(&mut bench, body, good);
        assert_eq!((next.status, status(&next), bench.calls().len()), (200, "MISS", 2), "{name}");
    }
}

#[test]
fn the_answer_for_a_client_that_has_left_is_not_kept() {
    let mut bench = cached();
    bench.script([Script::events([vec![Step::Bytes(FIRST.to_owned())], slow_stream()].concat())]);
    bench.chat_until(STREAM, ms(1_000));
    bench.finish();
    bench.usual_clients();
    assert_eq!(status(&send(&mut bench, STREAM, stream())), "MISS");
}

/// A JSON body with these members after the model.
fn with(members: &str) -> String {
    format!(r#"{{"model":"m",{members}}}"#)
}

#[test]
fn a_request_that_does_more_than_to_ask_never_looks_into_the_cache() {
    let long = with(&format!(r#""messages":[{{"role":"user","content":"{}"}}]"#, "a".repeat(1_100_000)));
    let many = with(&format!(r#""messages":[{}{{"role":"user"}}]"#, "{\"role\":\"user\"},".repeat(70_000)));
    let (chat, responses) = ("/v1/chat/completions", "/v1/responses");
    for (path, body) in [
        (chat, with(r#""messages":[],"store":true"#)),
        (chat, with(r#""messages":[],"web_search_options":{}"#)),
        (chat, with(r#""messages":[],"data_sources":[{"type":"azure_search"}]"#)),
        (
            chat,
            with(r#""messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}}]}]"#),
        ),
        (chat, with(r#""messages":[],"tools":[{"type":"function"},{"type":"mcp"}]"#)),
        (chat, with(r#""messages":[],"tools":[{"type":"mcp"}],"tools":[]"#)),
        (chat, with(r#""messages":[],"t\u006fols":[{"type":"mcp"}]"#)),
        (chat, with(r#""messages":[],"tools":{"type":"function"}"#)),
        (chat, long),
        (chat, many),
        (responses, with(r#""input":"hi""#)),
        (responses, with(r#""input":"hi","store":true"#)),
        (responses, with(r#""input":"hi","store":0"#)),
        (responses, with(r#""input":"hi","store":false,"background":true"#)),
        (responses, with(r#""input":"hi","store":false,"conversation":"conv_1""#)),
        (responses, with(r#""input":"hi","store":false,"previous_response_id":"resp_1""#)),
        (responses, with(r#""prompt":{"id":"pmpt_1"},"store":false"#)),
        (responses, with(r#""input":[{"type":"item_reference","id":"msg_1"}],"store":false"#)),
        (responses, with(r#""input":"hi","store":false,"tools":[{"type":"web_search"}]"#)),
        (
            responses,
            with(r#""input":"hi","store":false,"tools":[{"type":"file_search","vector_store_ids":[]}]"#),
        ),
        (responses, with(r#""input":"hi","store":false,"tools":[{"type":"code_interpreter"}]"#)),
        ("/v1/images/generations", with(r#""prompt":"a cat""#)),
        ("/v1/audio/speech", with(r#""input":"hi","voice":"alloy""#)),
        ("/v1/responses/compact", with(r#""input":"hi""#)),
        ("/v1/embeddings", with(r#""input":"hi","stream":true"#)),
    ] {
        let mut bench = cached();
        for _ in 0..2 {
            bench.script([Script::json(400, OVERLOADED), Script::json(400, OVERLOADED)]);
            let answer = bench.request("POST", path, &body);
            bench.drop_scripts();
            let start = body.get(..120).unwrap_or(&body);
            assert_eq!((status(&answer), bench.cache_looks()), ("BYPASS", 0), "{path} {start}");
            assert_eq!(bench.record()["cache"], "bypass", "{path} {start}");
        }
    }
}

#[test]
fn a_request_that_only_asks_uses_the_cache() {
    let long = with(&format!(r#""messages":[{{"role":"user","content":"{}"}}]"#, "a".repeat(900_000)));
    let (chat, responses) = ("/v1/chat/completions", "/v1/responses");
    let response = r#"{"id":"resp_1","object":"response","status":"completed","output":[]}"#;
    let list = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1]}]}"#;
    for (path, body, answer) in [
        (chat, with(r#""messages":[],"store":false,"tools":null"#), ANSWER),
        (
            chat,
            with(r#""messages":[],"tools":[{"type":"function","function":{"name":"web_search"}}]"#),
            ANSWER,
        ),
        (chat, with(r#""messages":[{"role":"user","content":"say \"file_id\""}]"#), ANSWER),
        (chat, long, ANSWER),
        (responses, with(r#""input":"hi","store":false,"tools":[{"type":"custom","name":"x"}]"#), response),
        ("/v1/embeddings", with(r#""input":"hi""#), list),
    ] {
        let mut bench = cached();
        bench.script([Script::json(200, answer)]);
        let (first, again) = (bench.request("POST", path, &body), bench.request("POST", path, &body));
        let start = body.get(..120).unwrap_or(&body);
        assert_eq!((first.status, status(&first), status(&again)), (200, "MISS", "HIT"), "{path} {start}");
        assert_eq!((again.text(), bench.calls().len()), (first.text(), 1), "{path} {start}");
    }
}

/// A request: its path, its body, the key and further headers.
type Sent = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

fn send_as(bench: &mut Bench, (path, body, key, headers): Sent) -> Answer {
    bench.usual_clients();
    bench.use_key(key);
    for (name, value) in headers {
        bench.add_header(name, value);
    }
    bench.script([json()]);
    let answer = bench.request("POST", path, body);
    bench.drop_scripts();
    answer
}

const PATH: &str = "/v1/chat/completions";
const SENT: Sent = (PATH, r#"{"model":"m","messages":[1],"n":1}"#, "sk-app", &[]);

#[test]
fn nobody_gets_the_answer_to_another_request_whatever_it_writes() {
    let by = r#""cache": {"ttl": 600, "by": ["user", "header:x-tenant", "metadata:team"]}"#;
    let rule = r#"{"when": {"header": {"x-node": "other"}}, "use": "other"}"#;
    for (name, one, other) in [
        ("another client", SENT, (PATH, SENT.1, "sk-two", &[][..])),
        (
            "a client that says who it is",
            SENT,
            (PATH, SENT.1, "sk-two", &[("x-switchyard-client", "app")][..]),
        ),
        (
            "metadata of another",
            SENT,
            (PATH, SENT.1, "sk-two", &[("cf-aig-metadata", r#"{"client":"app"}"#)][..]),
        ),
        ("a key of the cache", SENT, (PATH, SENT.1, "sk-two", &[("cf-aig-cache-key", "x")][..])),
        ("another node by a rule", SENT, (PATH, SENT.1, "sk-app", &[("x-node", "other")][..])),
        ("another node", SENT, (PATH, r#"{"model":"other","messages":[1],"n":1}"#, "sk-app", &[][..])),
        ("another operation", SENT, ("/v1/completions", SENT.1, "sk-app", &[][..])),
        ("a query", SENT, ("/v1/chat/completions?x=1", SENT.1, "sk-app", &[][..])),
        ("a version of the API", SENT, (PATH, SENT.1, "sk-app", &[("openai-beta", "x=v2")][..])),
        ("a member", SENT, (PATH, r#"{"model":"m","messages":[1],"n":1,"seed":1}"#, "sk-app", &[][..])),
        ("a member twice", SENT, (PATH, r#"{"model":"m","messages":[1],"n":1,"n":1}"#, "sk-app", &[][..])),
        (
            "a repeated member, swapped",
            (PATH, r#"{"model":"m","messages":[1],"messages":[2]}"#, "sk-app", &[][..]),
            (PATH, r#"{"model":"m","messages":[2],"messages":[1]}"#, "sk-app", &[][..]),
        ),
        (
            "a repeated model",
            (PATH, r#"{"model":"other","model":"m","messages":[1]}"#, "sk-app", &[][..]),
            (PATH, r#"{"model":"m","messages":[1]}"#, "sk-app", &[][..]),
        ),
        (
            "a value that looks like the next member",
            (PATH, r#"{"model":"m","a":"b\",\"c\":\"d","messages":[]}"#, "sk-app", &[][..]),
            (PATH, r#"{"model":"m","a":"b","c":"d","messages":[]}"#, "sk-app", &[][..]),
        ),
        (
            "a name that holds a value",
            (PATH, r#"{"model":"m","ab":1,"messages":[]}"#, "sk-app", &[][..]),
            (PATH, r#"{"model":"m","a":1,"messages":[]}"#, "sk-app", &[][..]),
        ),
        (
            "a text for a number",
            (PATH, r#"{"model":"m","messages":[],"n":1}"#, "sk-app", &[][..]),
            (PATH, r#"{"model":"m","messages":[],"n":"1"}"#, "sk-app", &[][..]),
        ),
        (
            "another user",
            (PATH, r#"{"model":"m","messages":[],"user":"a"}"#, "sk-app", &[][..]),
            (PATH, r#"{"model":"m","messages":[],"user":"b"}"#, "sk-app", &[][..]),
        ),
        (
            "another tenant",
            (PATH, SENT.1, "sk-app", &[("x-tenant", "a")][..]),
            (PATH, SENT.1, "sk-app", &[("x-tenant", "b")][..]),
        ),
        ("no tenant", (PATH, SENT.1, "sk-app", &[("x-tenant", "a")][..]), SENT),
        (
            "a team as a tenant",
            (PATH, SENT.1, "sk-app", &[("x-tenant", "a")][..]),
            (PATH, SENT.1, "sk-app", &[("cf-aig-metadata", r#"{"team":"a"}"#)][..]),
        ),
    ] {
        let mut bench = gateway(by, "", rule);
        assert_eq!(status(&send_as(&mut bench, one)), "MISS", "{name}");
        assert_eq!(status(&send_as(&mut bench, other)), "MISS", "{name}");
        assert_eq!((status(&send_as(&mut bench, one)), bench.calls().len()), ("HIT", 2), "{name}");
        assert_eq!((status(&send_as(&mut bench, other)), bench.calls().len()), ("HIT", 2), "{name}");
    }
}

#[test]
fn what_cannot_change_an_answer_makes_no_difference() {
    for (name, other) in [
        ("the order of members", (PATH, r#"{"n":1,"messages":[1],"model":"m"}"#, "sk-app", &[][..])),
        ("space", (PATH, "\u{feff}{ \"model\" : \"m\",\n\"messages\":[1],\t\"n\":1 }", "sk-app", &[][..])),
        ("escapes in names", (PATH, r#"{"m\u006fdel":"m","messages":[1],"\u006e":1}"#, "sk-app", &[][..])),
        ("a trace", (PATH, SENT.1, "sk-app", &[("traceparent", "00-1-1-01")][..])),
        ("an SDK", (PATH, SENT.1, "sk-app", &[("x-stainless-retry-count", "1"), ("user-agent", "x")][..])),
        (
            "metadata that `by` does not name",
            (PATH, SENT.1, "sk-app", &[("cf-aig-metadata", r#"{"a":1}"#)][..]),
        ),
    ] {
        let mut bench = cached();
        assert_eq!(status(&send_as(&mut bench, SENT)), "MISS", "{name}");
        assert_eq!(status(&send_as(&mut bench, other)), "HIT", "{name}");
    }
}

#[test]
fn what_a_match_node_chooses_is_part_of_the_request() {
    let inner = r#"{"strategy": "match", "cases": [{"when": {"header": {"x-tier": "gold"}}, "use": "second"}], "else": "first"}"#;
    for model in [
        format!(r#"{{"targets": [{inner}], {CACHE}}}"#),
        format!(r#"{{"targets": ["first"], "on": {{"rate_limit": {inner}}}, {CACHE}}}"#),
        inner.replacen('{', &format!("{{{CACHE}, "), 1),
    ] {
        let bench = Bench::without_documents();
        bench.set_variable("KEY_TWO", "sk-two");
        let plain = r#""plain": {"targets""#;
        let routes = document(CACHE, "", "").replace(plain, &format!(r#""chosen": {model}, {plain}"#));
        bench.put("routes", &routes);
        let mut bench = bench;
        let body = r#"{"model":"chosen","messages":[]}"#;
        let (free, gold) =
            ((PATH, body, "sk-app", &[][..]), (PATH, body, "sk-app", &[("x-tier", "gold")][..]));
        for (sent, expected) in [(free, "MISS"), (gold, "MISS"), (free, "HIT"), (gold, "HIT")] {
            assert_eq!(status(&send_as(&mut bench, sent)), expected, "{model}");
        }
    }
}

#[test]
fn a_new_version_of_the_routes_begins_with_an_empty_cache() {
    let mut bench = cached();
    assert_eq!(status(&send(&mut bench, CHAT, json())), "MISS");
    bench.put("routes", &document(CACHE, r#", "max_attempts": 3"#, ""));
    bench.new_isolate();
    assert_eq!(status(&send(&mut bench, CHAT, json())), "MISS");
    bench.new_isolate();
    assert_eq!(status(&send(&mut bench, CHAT, json())), "HIT", "another isolate finds it");
}

#[test]
fn an_answer_is_used_for_as_long_as_the_node_and_the_client_say() {
    for (header, control, seconds) in [
        ("", "max-age=600", 600),
        ("30", "max-age=30", 30),
        ("86400", "max-age=600", 600),
        ("0", "max-age=600", 600),
        ("-1", "max-age=600", 600),
        ("soon", "max-age=600", 600),
    ] {
        let mut bench = cached();
        if !header.is_empty() {
            bench.add_header("cf-aig-cache-ttl", header);
        }
        assert_eq!(status(&send(&mut bench, CHAT, json())), "MISS", "{header}");
        assert_eq!(bench.cache_controls(), [control], "{header}");
        bench.usual_clients();
        bench.pass(ms(seconds * 1_000 - 100));
        assert_eq!(status(&bench.chat(CHAT)), "HIT", "{header}");
        bench.pass(ms(100));
        // The platform still has it.
        assert_eq!(status(&send(&mut bench, CHAT, json())), "MISS", "{header}");
    }
}

#[test]
fn a_client_decides_whether_its_request_uses_the_cache() {
    // What the header does to a request before and after which an answer was kept.
    for (name, value, before, after) in [
        ("cf-aig-skip-cache", "true", "BYPASS", "BYPASS"),
        ("cf-aig-skip-cache", "TRUE", "BYPASS", "BYPASS"),
        ("cf-aig-skip-cache", "false", "MISS", "HIT"),
        ("cache-control", "no-store", "BYPASS", "BYPASS"),
        ("cache-control", "private, No-Store", "BYPASS", "BYPASS"),
        ("cache-control", "no-cache", "MISS", "MISS"),
        ("cache-control", "max-age=0", "MISS", "MISS"),
        ("cache-control", "max-age=60", "MISS", "HIT"),
    ] {
        let mut bench = cached();
        bench.add_header(name, value);
        assert_eq!(status(&send(&mut bench, CHAT, json())), before, "{name}: {value}");
        let kept = usize::from(before == "MISS");
        assert_eq!(bench.cache_controls().len(), kept, "{name}: {value}");
        bench.usual_clients();
        send(&mut bench, CHAT, json());
        bench.add_header(name, value);
        let fresh = ANSWER.replace("ok", "fresh");
        assert_eq!(status(&send(&mut bench, CHAT, Script::json(200, &fresh))), after, "{name}: {value}");
        bench.usual_clients();
        let next = bench.chat(CHAT);
        let is_refreshed = after == "MISS";
        assert_eq!((status(&next), next.text().contains("fresh")), ("HIT", is_refreshed), "{name}: {value}");
    }
}

#[test]
fn a_cache_that_fails_or_is_slow_harms_no_request() {
    let mut bench = cached();
    bench.break_cache();
    for _ in 0..2 {
        let answer = send(&mut bench, CHAT, json());
        assert_eq!((answer.status, status(&answer)), (200, "MISS"));
    }
    assert!(
        bench.log().iter().any(|line| line.contains("cache: an answer was not kept")),
        "{:?}",
        bench.log()
    );

    let mut bench = cached();
    send(&mut bench, CHAT, json());
    bench.delay_cache(ms(5_000));
    let before = bench.now();
    bench.script([json()]);
    let answer = bench.begin_chat(CHAT);
    assert_eq!((answer.status, status(&answer), bench.now() - before), (200, "MISS", ms(1_010)));
}

#[test]
fn a_request_of_another_node_never_looks_into_the_cache() {
    let mut bench = cached();
    let plain = CHAT.replace("\"m\"", "\"plain\"");
    for _ in 0..2 {
        let answer = send(&mut bench, &plain, json());
        assert_eq!((answer.status, answer.headers.get("x-switchyard-cache")), (200, None));
        assert_eq!(bench.record().get("cache"), None);
    }
    let answer = bench.request("GET", "/v1/models", "");
    assert_eq!(answer.headers.get("x-switchyard-cache"), None);
    assert_eq!((bench.cache_looks(), bench.cache_controls().len()), (0, 0));
}

#[test]
fn a_drill_leaves_nothing_in_the_cache_and_takes_nothing_from_it() {
    let mut bench = cached();
    send(&mut bench, CHAT, json());
    bench.add_header("x-switchyard-fault", "first=429");
    bench.add_header("x-switchyard-admin-token", "admin");
    let drilled = send(&mut bench, CHAT, json());
    assert_eq!((status(&drilled), drilled.header("x-switchyard-deployment")), ("BYPASS", "second"));
}

const FLIGHT: &str = r#""cache": {"ttl": 600, "single_flight": true}"#;

fn statuses(answers: &[(Answer, switchyard::vocabulary::time::Millis)]) -> Vec<&str> {
    answers.iter().map(|(answer, _)| status(answer)).collect()
}

#[test]
fn equal_requests_at_the_same_moment_are_asked_once_where_the_node_says_so() {
    for (body, answer) in [(CHAT, json()), (STREAM, stream())] {
        let mut bench = gateway(FLIGHT, "", "");
        bench.script([Script { head_after: Some(ms(2_000)), ..answer.clone() }]);
        let answers = bench.chats_at_once(5, body);
        assert_eq!(statuses(&answers), ["MISS", "HIT", "HIT", "HIT", "HIT"]);
        assert_eq!(bench.calls().len(), 1);
        let text = answers[0].0.text();
        for (answer, after) in &answers {
            assert_eq!((answer.status, answer.text()), (200, text.clone()));
            assert!(*after < ms(2_100), "{after:?}");
        }
        assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0));

        let mut bench = cached();
        bench.script(vec![answer; 5]);
        assert_eq!(statuses(&bench.chats_at_once(5, body)), ["MISS"; 5]);
        assert_eq!(bench.calls().len(), 5);
    }
}

#[test]
fn what_becomes_of_the_first_request_never_harms_those_that_wait() {
    let late = |script: Script| Script { head_after: Some(ms(1_000)), ..script };
    for (name, script) in [
        ("it fails", late(Script::json(400, OVERLOADED))),
        ("its answer is cut", Script::events(vec![Step::Bytes(FIRST.to_owned()), Step::Pause(ms(900))])),
    ] {
        let body = if name == "it fails" { CHAT } else { STREAM };
        let good = if body == CHAT { json() } else { stream() };
        let mut bench = gateway(FLIGHT, "", "");
        bench.script([script, good.clone(), good]);
        let answers = bench.chats_at_once(3, body);
        assert_eq!(statuses(&answers), ["MISS"; 3], "{name}");
        assert_eq!((answers[1].0.status, answers[2].0.status), (200, 200), "{name}");
        assert!(answers[2].1 < ms(1_200), "{name}");
    }

    // Its client leaves.
    let mut bench = gateway(FLIGHT, "", "");
    bench.script([late(json()), json(), json()]);
    bench.clients_leave_at(Some(bench.now() + ms(500)));
    let leader = bench.send_chat(CHAT);
    bench.pass(ms(1));
    bench.clients_leave_at(None);
    let others = [bench.send_chat(CHAT), bench.send_chat(CHAT)];
    bench.finish();
    assert_eq!(leader.take().unwrap().0.status, 499);
    for other in others {
        let (answer, after) = other.take().unwrap();
        assert_eq!((answer.status, status(&answer)), (200, "MISS"));
        assert!(after < ms(600), "{after:?}");
    }
    assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0));

    // It has no end. The others wait for half of their time, which is part of it.
    let mut bench = gateway(FLIGHT, r#", "max_attempts": 1"#, "");
    bench.script([Script::silence(), json(), Script::silence()]);
    let answers = bench.chats_at_once(3, CHAT);
    assert_eq!((answers[1].0.status, answers[1].1 / 1_000), (200, ms(30)));
    assert_eq!((answers[2].0.status, answers[2].1 / 1_000), (504, ms(60)));
}

#[test]
fn a_request_that_wants_a_fresh_answer_waits_for_nobody() {
    let mut bench = gateway(FLIGHT, "", "");
    bench.add_header("cache-control", "no-cache");
    bench.script([json(), json()]);
    assert_eq!(statuses(&bench.chats_at_once(2, CHAT)), ["MISS", "MISS"]);
}
