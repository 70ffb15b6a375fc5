//! Answers in another form than the one that was asked for or declared.

use super::fake::{Answer, Bench, Script, Step};
use super::{ANSWER, FIRST, LAST, NEXT, STREAM, routes};
use crate::times::ms;

const IMAGE: &str = r#"{"model":"m","stream":true,"partial_images":2,"prompt":"hi"}"#;
const REFUSED: &str = r#"{"message":"Bad image","type":"invalid_request_error","param":"messages[0]","code":"invalid_image_url"}"#;
const COMPLETE: &str = r#", "commit": "complete""#;

fn events(texts: &[&str]) -> Script {
    Script::events(texts.iter().map(|text| Step::Bytes((*text).to_owned())).collect())
}

fn image_event(kind: &str) -> String {
    format!("data: {{\"type\":\"image_generation.{kind}\",\"b64_json\":\"AAAA\"}}\n\n")
}

fn served(model: &str, path: &str, body: &str, scripts: Vec<Script>) -> (Bench, Answer) {
    let mut bench = Bench::started(&routes("", model));
    bench.script(scripts);
    let answer = bench.request("POST", path, body);
    (bench, answer)
}

#[test]
fn json_that_is_labelled_as_a_stream_is_read_as_what_it_is() {
    let labelled = |body: &str| Script { content_type: "text/event-stream", ..Script::json(200, body) };
    for model in ["", COMPLETE] {
        let refused = labelled(&format!(r#"{{"error":{REFUSED}}}"#));
        let (bench, answer) = served(model, "/v1/chat/completions", STREAM, vec![refused]);
        assert_eq!((answer.status, answer.header("content-type")), (400, "application/json"));
        assert_eq!(answer.text(), format!(r#"{{"error":{REFUSED}}}"#));
        assert_eq!(bench.last_error(), "bad_request");
        for body in [ANSWER, "<html>Log in</html>"] {
            // Some servers keep a connection alive with empty lines.
            let mut late = labelled(body);
            late.steps.insert(0, Step::Bytes("\n".to_owned()));
            late.steps.insert(1, Step::Pause(ms(100)));
            let scripts = vec![late, events(&[FIRST, NEXT, LAST])];
            let (bench, answer) = served(model, "/v1/chat/completions", STREAM, scripts);
            assert_eq!(answer.text(), FIRST.to_owned() + NEXT + LAST);
            assert_eq!(bench.last_error(), "unavailable", "{body}");
        }
    }
}

#[test]
fn an_error_event_without_a_wrapper_is_the_error_of_the_request() {
    let event =
        r#"data: {"object":"error","message":"Bad image","type":"BadRequestError","param":null,"code":400}"#;
    let (_, answer) =
        served("", "/v1/chat/completions", STREAM, vec![events(&[event, "\n\n", "data: [DONE]\n\n"])]);
    let body: serde_json::Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!(answer.status, 400);
    assert_eq!(
        body["error"],
        serde_json::json!({ "message": "Bad image", "type": "BadRequestError", "param": null, "code": 400 })
    );
}

#[test]
fn an_end_marker_does_not_complete_an_image() {
    let (partial, completed) = (image_event("partial_image"), image_event("completed"));
    let partial = || events(&[&partial, "data: [DONE]\n\n"]);
    let mut named = partial();
    named.steps.insert(0, Step::Bytes("event: message\n".to_owned()));
    for script in [partial(), named] {
        let (bench, answer) = served("", "/v1/images/generations", IMAGE, vec![script]);
        assert!(answer.text().contains("upstream_truncated"), "{}", answer.text());
        assert_eq!(bench.last_error(), "truncated");
    }
    let scripts = vec![partial(), events(&[&completed])];
    let (_, answer) = served(COMPLETE, "/v1/images/generations", IMAGE, scripts);
    assert_eq!(answer.text(), completed, "of a held stream nothing was sent");
}

#[test]
fn a_held_image_is_served_although_its_connection_stays_open() {
    let completed = image_event("completed");
    let mut script = events(&[&completed]);
    script.steps.push(Step::Hang);
    let (bench, answer) = served(COMPLETE, "/v1/images/generations", IMAGE, vec![script]);
    assert!(answer.text().ends_with(&completed), "{}", answer.text());
    assert_eq!((bench.last_error().as_str(), bench.calls().len()), ("", 1));
    assert!(bench.calls()[0].is_aborted.get(), "the connection is closed");
}

#[test]
fn an_answer_that_may_be_no_stream_is_held_without_comments() {
    let transcript = r#"{"text":"hi"}"#;
    let late = |script| Script { head_after: Some(ms(3_000)), ..script };
    let lost = r#"{"error":{"message":"Response with id 'resp_1' not found.","type":"invalid_request_error","param":null,"code":null}}"#;
    let mut bench = Bench::started(&routes(r#", "keepalive_ms": 1000, "commit": "complete""#, COMPLETE));
    bench.script([
        late(Script::json(200, transcript)),
        late(Script::json(404, lost)),
        Script::json(404, lost),
    ]);
    let answer = bench.request("POST", "/v1/audio/transcriptions", r#"{"model":"m","stream":true}"#);
    assert_eq!((answer.status, answer.text().as_str()), (200, transcript));
    assert_eq!(bench.request("GET", "/v1/responses/resp_1?stream=true", "").status, 404);
}
