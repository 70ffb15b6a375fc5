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

/// A streamed request of audio, and the two events of its answer.
fn audio() -> [(&'static str, &'static str, String, String); 2] {
    let event = |kind: &str| format!("data: {{\"type\":\"{kind}\",\"x\":\"AAAA\"}}\n\n");
    let transcript = [event("transcript.text.delta"), event("transcript.text.done")];
    let speech = [event("speech.audio.delta"), event("speech.audio.done")];
    let of = |path, body, [part, last]: [String; 2]| (path, body, part, last);
    [
        of("/v1/audio/transcriptions", r#"{"model":"m","stream":true}"#, transcript),
        of("/v1/audio/speech", r#"{"model":"m","input":"hi","voice":"v","stream_format":"sse"}"#, speech),
    ]
}

const TYPES: [&str; 5] = ["text/event-stream", "application/json", "text/plain", "audio/mpeg", ""];

#[test]
fn the_events_of_audio_are_a_stream_whatever_their_media_type_is() {
    for (path, body, part, last) in audio() {
        for content_type in TYPES {
            for model in ["", COMPLETE, r#", "commit": "headers""#] {
                let labelled = |script: Script| Script { content_type, ..script };
                let case = format!("{path} {content_type} {model}");
                let mut whole = labelled(events(&[&part, &last]));
                whole.steps.insert(1, Step::Pause(ms(200)));
                let (bench, answer) = served(model, path, body, vec![whole]);
                assert_eq!(answer.text(), part.clone() + &last, "{case}");
                assert_eq!((answer.status, bench.last_error()), (200, String::new()), "{case}");
                // It ends before the event that completes it.
                let both = vec![labelled(events(&[&part])), events(&[&part, &last])];
                let (bench, answer) = served(model, path, body, both);
                let (calls, text) = (bench.calls().len(), answer.text());
                if model == COMPLETE {
                    assert_eq!((calls, text), (2, part.clone() + &last), "{case}");
                } else {
                    assert_eq!((calls, text.contains("upstream_truncated")), (1, true), "{case} {text}");
                    assert!(text.starts_with(&part), "{case} {text}");
                }
                assert_eq!(bench.last_error(), "truncated", "{case}");
            }
        }
    }
}

#[test]
fn audio_in_one_piece_is_an_answer_to_a_request_for_a_stream() {
    for (path, body, ..) in audio() {
        for content_type in TYPES.into_iter().filter(|content_type| *content_type != "text/event-stream") {
            for model in ["", COMPLETE, r#", "commit": "headers""#] {
                let text = r#"{"text":"hi","audio":"AAAA"}"#;
                for says_length in [true, false] {
                    let script = Script { content_type, says_length, ..Script::json(200, text) };
                    let (bench, answer) = served(model, path, body, vec![script]);
                    let case = format!("{path} {content_type} {model}");
                    assert_eq!((answer.status, answer.text().as_str()), (200, text), "{case}");
                    assert_eq!(bench.last_error(), "", "{case}");
                }
            }
        }
    }
}

#[test]
fn a_transcript_in_one_piece_never_comes_as_a_stream() {
    for model in ["", COMPLETE] {
        let [(path, _, part, last), _] = audio();
        let scripts = vec![events(&[&part, &last]), Script::json(200, r#"{"text":"hi"}"#)];
        let (bench, answer) = served(model, path, r#"{"model":"m"}"#, scripts);
        assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"text":"hi"}"#), "{model}");
        assert_eq!(bench.last_error(), "unavailable");
    }
}
