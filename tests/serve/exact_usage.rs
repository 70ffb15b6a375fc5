//! `settings.usage: exact`: the provider is asked for the usage of a stream, and the client sees
//! nothing of it.

use super::fake::{Answer, Bench, Script, Step, sent_body};
use super::{FIRST, NEXT, STREAM, routes, slow_stream};
use crate::times::ms;

const EXACT: &str = r#", "usage": "exact""#;

/// The chunk with the usage.
const USAGE: &str = "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":500,\"total_tokens\":509}}\n\n";
const FINISH: &str = "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n";
const AZURE_FIRST: &str =
    "data: {\"id\":\"\",\"choices\":[],\"prompt_filter_results\":[{\"prompt_index\":0}],\"usage\":null}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn bytes(text: &str) -> Step {
    Step::Bytes(text.to_owned())
}

/// The steps of a stream whose pieces have so many bytes, with a moment between them.
fn pieces(text: &str, size: usize) -> Vec<Step> {
    let piece = |piece: &[u8]| [bytes(std::str::from_utf8(piece).unwrap()), Step::Pause(ms(1))];
    text.as_bytes().chunks(size).flat_map(piece).collect()
}

fn served_as(settings: &str, model: &str, body: &str, steps: Vec<Step>) -> (Bench, Answer) {
    let mut bench = Bench::started(&routes(&format!("{EXACT}{settings}"), model));
    bench.script([Script::events(steps)]);
    let answer = bench.chat(body);
    assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0), "nothing is left");
    (bench, answer)
}

fn served(settings: &str, model: &str, steps: Vec<Step>) -> (Bench, Answer) {
    served_as(settings, model, STREAM, steps)
}

fn sent(bench: &Bench, body: &str) -> serde_json::Value {
    serde_json::from_str(&sent_body(&bench.calls()[0], body)).unwrap()
}

#[test]
fn the_provider_is_asked_and_the_client_sees_nothing_of_it() {
    for before in [vec![FIRST, NEXT, FINISH], vec![AZURE_FIRST, FIRST, FINISH]] {
        for after in [DONE, ""] {
            for (from, to) in [("\n", "\n"), ("\n", "\r\n")] {
                let stream = (before.concat() + USAGE + after).replace(from, to);
                let expected = (before.concat() + after).replace(from, to);
                for model in ["", r#", "commit": "headers""#, r#", "commit": "complete""#] {
                    for size in [1, 7, 100, stream.len()] {
                        let (bench, answer) = served("", model, pieces(&stream, size));
                        assert_eq!(answer.text(), expected, "{size} {model}");
                        assert!(model.contains("complete") || answer.client().is_closed(), "{size} {model}");
                        assert_eq!(bench.last_error(), "", "{size} {model}");
                        assert_eq!(sent(&bench, STREAM)["stream_options"]["include_usage"], true);
                    }
                }
            }
        }
    }
}

#[test]
fn a_stream_that_declares_another_media_type_is_filtered_too() {
    let stream = [FIRST, FINISH, USAGE, DONE].concat();
    for model in ["", r#", "commit": "headers""#, r#", "commit": "complete""#] {
        for content_type in ["text/plain", "application/json", ""] {
            let mut bench = Bench::started(&routes(EXACT, model));
            bench.script([Script { content_type, ..Script::events(pieces(&stream, 50)) }]);
            let answer = bench.chat(STREAM);
            assert_eq!(answer.text(), [FIRST, FINISH, DONE].concat(), "{model} {content_type}");
            assert_eq!(bench.last_error(), "", "{model} {content_type}");
        }
    }
}

#[test]
fn a_json_answer_where_a_stream_was_asked_for_passes_as_it_is() {
    let whole = r#"{"id":"x","choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":12}}"#;
    for content_type in ["application/json", "text/plain", "text/event-stream"] {
        let mut bench = Bench::started(&routes(EXACT, r#", "commit": "headers""#));
        bench.script([Script { content_type, ..Script::events(pieces(whole, 40)) }]);
        assert_eq!(bench.chat(STREAM).text(), whole, "{content_type}");
        assert_eq!(bench.last_error(), "", "{content_type}");
        let record = bench.records().pop().unwrap();
        let usage = &record["usage"];
        assert_eq!(
            (&record["outcome"], &usage["output_tokens"], &usage["estimated"]),
            (&"ok".into(), &12.into(), &false.into()),
            "{content_type}"
        );
    }
}

#[test]
fn a_response_of_the_background_is_not_estimated() {
    let stream = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}\n\n";
    let last = "event: response.completed\ndata: {}\n\n";
    for (background, is_counted) in [(false, true), (true, false)] {
        let mut bench = Bench::started(&routes("", ""));
        bench.script([Script::events(vec![bytes(stream), Step::Pause(ms(500)), bytes(last)])]);
        let body = format!(r#"{{"model":"m","stream":true,"input":"hi","background":{background}}}"#);
        bench.request("POST", "/v1/responses", &body);
        let health = serde_json::to_value(&bench.health()[0]).unwrap();
        assert_eq!(health["tokens_per_second"].is_number(), is_counted, "{background}: {health}");
    }
}

#[test]
fn the_usage_that_is_withheld_counts() {
    // The time of writing begins at the commit point, and has at least a millisecond.
    for (model, least, most) in [
        ("", 450.0, 500.0),
        (r#", "commit": "headers""#, 450.0, 500.0),
        (r#", "commit": "complete""#, 500_000.0, 500_000.0),
    ] {
        let steps =
            [vec![bytes(FIRST), Step::Pause(ms(1_000))], pieces(&[FINISH, USAGE, DONE].concat(), 1 << 10)];
        let (bench, _) = served("", model, steps.concat());
        let health = serde_json::to_value(&bench.health()[0]).unwrap();
        let speed = health["tokens_per_second"].as_f64().unwrap();
        assert!((least..=most).contains(&speed), "{speed} for 500 tokens, {model}");
    }
}

#[test]
fn the_pipe_stays_native_and_the_body_as_it_is_where_nothing_is_withheld() {
    let stream = [FIRST, FINISH, USAGE, DONE].concat();
    let asks = STREAM.replace("\"stream\":true", r#""stream":true,"stream_options":{"include_usage":true}"#);
    for (settings, body) in [
        (EXACT, asks.as_str()),
        (r#", "usage": "estimate""#, STREAM),
        ("", STREAM),
        // It is sent once.
        (r#", "usage": "exact", "buffer_bytes": 20"#, STREAM),
    ] {
        let mut bench = Bench::started(&routes(settings, ""));
        bench.script([Script::events(pieces(&stream, 100))]);
        let answer = bench.chat(body);
        assert_eq!(answer.text(), stream, "{settings} {body}");
        assert_eq!(bench.filtered_pipes(), 0, "{settings} {body}");
        assert_eq!(sent_body(&bench.calls()[0], body), body.replace("\"m\"", "\"up-first\""), "{settings}");
    }
    let (bench, _) = served("", "", pieces(&stream, 100));
    assert_eq!(bench.filtered_pipes(), 1);
}

#[test]
fn a_client_that_declines_the_usage_does_not_ask_for_it() {
    let options = r#""stream":true,"stream_options":{"include_usage":false,"include_obfuscation":false}"#;
    let body = STREAM.replace("\"stream\":true", options);
    let (bench, answer) = served_as("", "", &body, pieces(&[FIRST, FINISH, USAGE, DONE].concat(), 100));
    assert_eq!(answer.text(), [FIRST, FINISH, DONE].concat());
    let expected = serde_json::json!({ "include_usage": true, "include_obfuscation": false });
    assert_eq!(sent(&bench, &body)["stream_options"], expected);
}

#[test]
fn responses_report_their_usage_anyway() {
    let mut bench = Bench::started(&routes(EXACT, ""));
    let stream = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}\n\nevent: response.completed\ndata: {}\n\n";
    bench.script([Script::events(vec![bytes(stream)])]);
    let body = r#"{"model":"m","stream":true,"input":"hi"}"#;
    let answer = bench.request("POST", "/v1/responses", body);
    assert_eq!(answer.text(), stream);
    assert_eq!(bench.filtered_pipes(), 0);
    assert!(sent(&bench, body).get("stream_options").is_none());
}

#[test]
fn a_deployment_whose_params_name_the_options_is_not_asked() {
    for params in
        [r#"{"drop": ["stream_options"]}"#, r#"{"set": {"stream_options": {"include_usage": true}}}"#]
    {
        let with_params = r#""model": "up-first", "params": "#.to_owned() + params;
        let routes = routes(EXACT, "").replace(r#""model": "up-first""#, &with_params);
        let mut bench = Bench::started(&routes);
        let stream = [FIRST, FINISH, USAGE, DONE].concat();
        bench.script([Script::events(vec![bytes(&stream)])]);
        assert_eq!(bench.chat(STREAM).text(), stream, "{params}");
        assert_eq!(sent(&bench, STREAM).get("stream_options").is_some(), params.contains("set"), "{params}");
    }
}

#[test]
fn a_filtered_stream_that_breaks_stalls_or_ends_early_ends_with_an_error_event() {
    let half = USAGE.split_at(60).0;
    for (steps, settings, code, class) in [
        (vec![bytes(NEXT), Step::Break], "", "upstream_truncated", "truncated"),
        (vec![bytes(NEXT)], "", "upstream_truncated", "truncated"),
        // In the middle of the chunk with the usage.
        (vec![bytes(NEXT), bytes(FINISH), bytes(half), Step::Break], "", "upstream_truncated", "truncated"),
        (vec![bytes(NEXT), Step::Hang], r#", "timeout": {"idle_ms": 3000}"#, "upstream_timeout", "timeout"),
        (slow_stream(), r#", "timeout": {"total_ms": 2000}"#, "upstream_timeout", "timeout"),
    ] {
        let steps = [vec![bytes(FIRST), Step::Pause(ms(100))], steps].concat();
        let (bench, answer) = served(settings, "", steps);
        let text = answer.text();
        let event = text.rsplit("data: ").next().unwrap();
        let error: serde_json::Value = serde_json::from_str(event.trim()).unwrap();
        assert_eq!(error["error"]["code"], code, "{text}");
        assert!(text.starts_with(&(FIRST.to_owned() + NEXT)), "{text}");
        assert!(!text.contains("prompt_tokens") && !text.contains("\"choices\":[]"), "{text}");
        assert!(answer.client().is_closed(), "{text}");
        assert_eq!(bench.last_error(), class, "{text}");
        assert!(bench.calls()[0].is_aborted.get(), "{text}");
        assert_eq!(bench.filtered_pipes(), 1);
    }
}

#[test]
fn nothing_is_learned_where_the_client_does_not_read_until_the_total_limit() {
    for (reads_for, learned, reason) in [(ms(9_000), "", "total"), (ms(0), "timeout", "total")] {
        let mut bench = Bench::started(&routes(&format!(r#"{EXACT}, "timeout": {{"total_ms": 2000}}"#), ""));
        bench.slow_reading(reads_for);
        bench.script([Script::events([vec![bytes(FIRST), Step::Pause(ms(100))], slow_stream()].concat())]);
        bench.chat(STREAM);
        assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0), "nothing is left");
        assert_eq!((bench.last_error().as_str(), bench.record()["reason"].as_str()), (learned, Some(reason)));
        assert!(bench.calls()[0].is_aborted.get());
    }
}

#[test]
fn a_filtered_stream_that_stays_open_after_its_last_event_has_ended() {
    for model in ["", r#", "commit": "complete""#] {
        let steps =
            vec![bytes(FIRST), Step::Pause(ms(100)), bytes(&[FINISH, USAGE, DONE].concat()), Step::Hang];
        let (bench, answer) = served(r#", "timeout": {"idle_ms": 30000}"#, model, steps);
        assert_eq!(answer.text(), [FIRST, FINISH, DONE].concat());
        assert!(answer.client().is_closed());
        assert!(bench.elapsed() < ms(5_000), "{:?}", bench.elapsed());
        assert_eq!(bench.last_error(), "");
        assert!(bench.calls()[0].is_aborted.get(), "the connection is closed");
    }
}

#[test]
fn a_client_that_leaves_a_filtered_stream_ends_its_call() {
    let mut bench = Bench::new(&routes(EXACT, ""));
    bench.script([Script::events(vec![bytes(FIRST), Step::Pause(ms(1_000)), bytes(NEXT), Step::Hang])]);
    let answer = bench.chat_until(STREAM, ms(500)).expect("the beginning of the stream");
    bench.finish();
    assert_eq!(answer.text(), FIRST);
    assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0));
    assert!(bench.calls()[0].is_aborted.get());
    assert_eq!(bench.last_error(), "");
}

#[test]
fn a_filtered_stream_too_long_to_be_read_is_still_filtered() {
    let long = format!("data: {{\"choices\":[{{\"index\":0,\"x\":\"{}\"}}]}}\n\n", "x".repeat(64 * 1024));
    let count = (9 << 20) / long.len();
    let steps = (0..count)
        .map(|_| bytes(&long))
        .chain([Step::Pause(ms(2_000)), bytes(&[FINISH, USAGE, DONE].concat())]);
    let (bench, answer) = served("", "", steps.collect());
    assert!(answer.text() == long.repeat(count) + FINISH + DONE, "all but the usage");
    assert_eq!(bench.last_error(), "");
}

#[test]
fn an_answer_that_is_held_with_comments_is_filtered_too() {
    let stream = [FIRST, FINISH, USAGE, DONE].concat();
    for after in [Step::Pause(ms(1)), Step::Hang] {
        let steps =
            vec![bytes(FIRST), Step::Pause(ms(25_000)), bytes(stream.strip_prefix(FIRST).unwrap()), after];
        let (_, answer) = served(r#", "keepalive_ms": 10000"#, r#", "commit": "complete""#, steps);
        assert_eq!(answer.text(), ": waiting\n\n".repeat(2) + FIRST + FINISH + DONE);
    }
}
