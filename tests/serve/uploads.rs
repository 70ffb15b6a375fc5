//! Request bodies that arrive slowly, or for which the isolate has no room.

use super::fake::{Bench, Script, Step};
use super::{ANSWER, CHAT, FIRST, LAST, STREAM, routes};
use crate::times::ms;

const MIB: usize = 1 << 20;

#[test]
fn a_body_that_does_not_arrive_ends_at_the_deadline() {
    let short = |settings| routes(settings, "").replace("60000", "5000");
    let with_deadlines = short("")
        .replace(r#""models": {"#, r#""models": {"patient": {"targets": ["first"], "deadline_ms": 20000}, "#);
    for (routes, body, after_ms) in [
        (&short(""), CHAT, 5_000),
        // The node is known only with the body, so the longest deadline of all nodes counts.
        (&with_deadlines, CHAT, 20_000),
        // A body that is too long to buffer, too.
        (&short(r#", "buffer_bytes": 0"#), CHAT, 5_000),
    ] {
        let mut bench = Bench::started(routes);
        bench.hang_upload();
        let (answer, waited_ms) = bench.chats_at_once(1, body).remove(0);
        assert_eq!((answer.status, waited_ms), (408, ms(after_ms)), "{}", answer.text());
        assert!(answer.text().contains(r#""code":"request_timeout""#), "{}", answer.text());
        assert_eq!(answer.header("x-should-retry"), "false");
        assert!(bench.is_body_released() && bench.calls().is_empty());
        assert_eq!(bench.open_waits(), 0);
    }
}

#[test]
fn a_body_that_does_not_arrive_ends_with_the_patience_of_its_client() {
    let mut bench = Bench::started(&routes("", ""));
    bench.hang_upload();
    bench.add_header("x-stainless-timeout", "2");
    let (answer, waited_ms) = bench.chats_at_once(1, CHAT).remove(0);
    assert_eq!((answer.status, waited_ms), (408, ms(2_000)));
}

#[test]
fn the_time_of_the_upload_counts_against_the_deadline_of_the_node() {
    let node = r#", "deadline_ms": 4000"#;
    let mut bench = Bench::started(&routes("", node));
    bench.slow_upload(ms(3_000));
    bench.script([Script::silence(), Script::silence()]);
    let (answer, waited_ms) = bench.chats_at_once(1, CHAT).remove(0);
    assert_eq!((answer.status, waited_ms), (504, ms(4_000)), "{}", answer.text());
    assert!(answer.text().contains("deadline of 4000 ms"), "{}", answer.text());

    let mut bench = Bench::started(&routes("", node));
    bench.slow_upload(ms(4_000));
    let (answer, waited_ms) = bench.chats_at_once(1, CHAT).remove(0);
    assert_eq!((answer.status, waited_ms), (408, ms(4_000)), "{}", answer.text());
    assert!(bench.calls().is_empty(), "nobody is asked");
    assert!(bench.is_body_released());
}

#[test]
fn a_body_for_which_there_is_no_room_may_come_again_in_a_second() {
    for settings in ["", r#", "buffer_bytes": 0"#] {
        let mut bench = Bench::started(&routes(settings, ""));
        bench.hold_elsewhere(65 * MIB);
        let answer = bench.chat(CHAT);
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(answer.text().contains(r#""code":"too_many_bodies""#), "{}", answer.text());
        let again = ["retry-after", "retry-after-ms", "x-should-retry"].map(|name| answer.header(name));
        assert_eq!(again, ["1", "1000", "true"]);
        assert!(bench.is_body_released() && bench.calls().is_empty());
        if !settings.is_empty() {
            continue;
        }
        bench.hold_elsewhere(64 * MIB);
        bench.script([Script::json(200, ANSWER)]);
        assert_eq!(bench.chat(CHAT).status, 200);
    }
}

#[test]
fn the_bytes_of_a_body_that_is_refused_are_freed() {
    let mut bench = Bench::started(&routes("", ""));
    for body in ["{", r#"{"model":"other"}"#, "{}"] {
        assert!((400..500).contains(&bench.chat(body).status));
        assert!(bench.is_body_released(), "{body}");
    }
    bench.script([Script::events(vec![Step::Bytes(FIRST.to_owned() + LAST)])]);
    assert_eq!(bench.chat(STREAM).status, 200);
}

#[test]
fn an_upload_that_nobody_watches_and_that_breaks_off_is_no_failure_of_the_deployment() {
    let long = format!(r#"{{"purpose":"{}"}}"#, "x".repeat(100));
    for (body, class) in [(long.as_str(), ""), ("{}", "connection")] {
        let mut bench = Bench::started(&routes(r#", "buffer_bytes": 50"#, ""));
        for _ in 0..5 {
            bench.script([Script::reset()]);
            let answer = bench.request("POST", "/v1/files", body);
            assert!(answer.text().contains("upstream_outcome_unknown"), "{}", answer.text());
        }
        let health = serde_json::to_value(&bench.health()[0]).unwrap();
        assert_eq!(
            (bench.last_error().as_str(), health["gate"]["state"] == "closed"),
            (class, class.is_empty()),
            "{health}"
        );
    }
}

/// What health knows of the first deployment.
fn first(bench: &Bench) -> serde_json::Value {
    serde_json::to_value(&bench.health()[0]).unwrap()
}

#[test]
fn the_time_of_an_upload_leaves_the_patience_of_the_client_its_own() {
    let mut bench = Bench::started(&routes("", ""));
    bench.add_header("x-stainless-timeout", "20");
    bench.slow_upload(ms(3));
    bench.script([Script::silence(), Script::silence()]);
    let (answer, waited_ms) = bench.chats_at_once(1, CHAT).remove(0);
    assert_eq!((answer.status, waited_ms), (504, ms(20_000)), "{}", answer.text());
    let health = first(&bench);
    assert!(health["last_error"].is_null() && health["latency_ms"].is_null(), "{health}");
}

#[test]
fn limits_of_the_paths_of_stored_objects_take_no_traffic_from_models() {
    let mut bench = Bench::started(&routes("", ""));
    let headers = &[("x-ratelimit-limit-requests", "100"), ("x-ratelimit-remaining-requests", "0")];
    let list = Script { headers, ..Script::json(200, r#"{"object":"list","data":[]}"#) };
    bench.script([list.clone(), Script { headers, ..Script::json(200, ANSWER) }]);
    assert_eq!(bench.request("GET", "/v1/files", "").status, 200);
    assert_eq!(first(&bench)["share"], 1.0);
    assert_eq!(bench.chat(CHAT).status, 200);
    assert_eq!(first(&bench)["share"], 0.05);
}

#[test]
fn a_stream_that_an_operation_does_not_have_may_be_answered_in_one_piece() {
    let mut bench = Bench::started(&routes("", ""));
    for (path, body, answer) in [
        ("/v1/embeddings", r#"{"model":"m","stream":true,"input":"x"}"#, r#"{"object":"list","data":[{}]}"#),
        ("/v1/moderations", r#"{"model":"m","stream":true,"input":"x"}"#, r#"{"id":"x","results":[{}]}"#),
        (
            "/v1/responses/input_tokens",
            r#"{"model":"m","stream":true,"input":"x"}"#,
            r#"{"object":"response.input_tokens","input_tokens":3}"#,
        ),
    ] {
        bench.script([Script::json(200, answer)]);
        let got = bench.request("POST", path, body);
        assert_eq!((got.status, got.text().as_str()), (200, answer), "{path}");
    }
    assert!(first(&bench)["last_error"].is_null());
}
