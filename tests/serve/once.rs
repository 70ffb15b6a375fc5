//! Requests that must not be done twice.

use super::fake::{Bench, Script, Step};
use super::routes;

const BATCH: &str = r#"{"input_file_id":"file-1"}"#;
const MADE: &str = r#"{"id":"batch_1","object":"batch"}"#;

#[test]
fn an_unclear_outcome_is_repeated_only_if_the_document_asks_for_it() {
    let broken = || Script {
        steps: vec![Step::Bytes("{\"id\":".to_owned()), Step::Break],
        says_length: false,
        ..Script::json(200, "")
    };
    let truncated = || Script::json(200, "{\"id\":");
    let page = || Script { content_type: "text/html", ..Script::json(200, "<html>Log in</html>") };
    for (settings, first, calls) in [
        ("", broken(), 1),
        ("", truncated(), 1),
        ("", page(), 1),
        (r#", "retry": {"attempts": 1}"#, broken(), 1),
        (r#", "retry": {"attempts": 1, "on": ["rate_limit"]}"#, broken(), 1),
        (r#", "retry": {"attempts": 1, "on": ["connection"]}"#, broken(), 2),
        (r#", "retry": {"attempts": 1, "on": ["truncated"]}"#, truncated(), 2),
        (r#", "on": {"connection": "m"}"#, broken(), 2),
        (r#", "on": {"truncated": "m"}"#, truncated(), 2),
    ] {
        let mut bench = Bench::started(&routes(settings, ""));
        bench.script([first, Script::json(200, MADE)]);
        let answer = bench.request("POST", "/v1/batches", BATCH);
        assert_eq!(bench.calls().len(), calls, "{settings} {}", answer.text());
        if calls == 1 {
            assert!(answer.text().contains("upstream_outcome_unknown"), "{settings} {}", answer.text());
            assert_eq!((answer.status, answer.header("x-should-retry")), (502, "false"));
        } else {
            assert_eq!(answer.text(), MADE);
        }
    }
}

#[test]
fn an_upstream_that_says_that_it_failed_has_not_done_it() {
    let failed = r#"{"code":"server_error","message":"The model failed."}"#;
    let body = |stream| format!(r#"{{"model":"m","input":"hi","background":true{stream}}}"#);
    let event = format!(
        "event: response.failed\ndata: {{\"type\":\"response.failed\",\"response\":{{\"error\":{failed}}}}}\n\n"
    );
    let json = format!(r#"{{"id":"resp_1","object":"response","status":"failed","error":{failed}}}"#);
    for (body, script) in [
        (body(""), Script::json(200, &json)),
        (body(r#","stream":true"#), Script::events(vec![Step::Bytes(event)])),
    ] {
        let mut bench = Bench::started(&routes("", ""));
        bench.script([script.clone(), script]);
        let answer = bench.request("POST", "/v1/responses", &body);
        assert_eq!((answer.status, bench.calls().len()), (502, 2), "{}", answer.text());
        assert!(answer.text().contains("The model failed."), "{}", answer.text());
    }
    // It does not say why, so perhaps it goes on.
    let mut bench = Bench::started(&routes("", ""));
    bench
        .script([Script::json(200, r#"{"id":"resp_1","object":"response","status":"failed","error":null}"#)]);
    let answer = bench.request("POST", "/v1/responses", &body(""));
    assert!(answer.text().contains("upstream_outcome_unknown"), "{}", answer.text());
}

#[test]
fn an_answer_that_is_not_the_stream_that_was_asked_for_may_have_been_made() {
    let made = r#"{"id":"resp_1","object":"response","status":"queued","output":[]}"#;
    for member in [r#""conversation":"c""#, r#""background":true"#] {
        let body = format!(r#"{{"model":"m","input":"hi","stream":true,{member}}}"#);
        for content_type in ["application/json", "text/event-stream", ""] {
            for model in ["", r#", "commit": "complete""#] {
                let mut bench = Bench::started(&routes("", model));
                let whole = || Script { content_type, ..Script::json(200, made) };
                bench.script([whole(), whole()]);
                let answer = bench.request("POST", "/v1/responses", &body);
                assert_eq!((answer.status, bench.calls().len()), (502, 1), "{member} {content_type} {model}");
                assert!(answer.text().contains("upstream_outcome_unknown"), "{}", answer.text());
            }
        }
    }
}
