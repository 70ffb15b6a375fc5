//! A committed stream that flows: how it ends, and what the client and health learn.

use super::fake::{Bench, Script, Step};
use super::{ANSWER, FIRST, LAST, NEXT, OVERLOADED, STREAM, routes, slow_stream};
use crate::times::ms;

fn bytes(text: &str) -> Step {
    Step::Bytes(text.to_owned())
}

/// Serves a stream with these steps after its first event, up to its end.
fn served(settings: &str, model: &str, steps: Vec<Step>) -> (Bench, super::fake::Answer) {
    let mut bench = Bench::new(&routes(settings, model));
    let steps = [bytes(FIRST), Step::Pause(ms(100))].into_iter().chain(steps).collect();
    bench.script([Script::events(steps)]);
    let answer = bench.chat(STREAM);
    assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0), "nothing is left");
    (bench, answer)
}

#[test]
fn a_stream_that_ends_well_is_passed_on_byte_for_byte() {
    let (bench, answer) = served("", "", vec![bytes(NEXT), Step::Pause(ms(2_500)), bytes(LAST)]);
    assert_eq!(answer.text(), FIRST.to_owned() + NEXT + LAST);
    assert!(answer.client().is_closed());
    assert_eq!(bench.last_error(), "");
    assert_eq!(bench.log(), Vec::<String>::new());
}

#[test]
fn a_break_a_stall_and_an_early_end_are_error_events_and_failures() {
    for (steps, settings, code, class, logged) in [
        (vec![bytes(NEXT), Step::Break], "", "upstream_truncated", "truncated", "connection"),
        (vec![bytes(NEXT)], "", "upstream_truncated", "truncated", "truncated"),
        (
            vec![bytes(NEXT), Step::Hang],
            r#", "timeout": {"idle_ms": 3000}"#,
            "upstream_timeout",
            "timeout",
            "idle",
        ),
        (slow_stream(), r#", "timeout": {"total_ms": 2000}"#, "upstream_timeout", "timeout", "total"),
    ] {
        let (bench, answer) = served(settings, "", steps);
        let text = answer.text();
        let event = text.rsplit("data: ").next().unwrap();
        let error: serde_json::Value = serde_json::from_str(event.trim()).unwrap();
        assert_eq!(error["error"]["code"], code, "{logged}");
        assert!(text.starts_with(&(FIRST.to_owned() + NEXT)), "{logged}");
        assert!(answer.client().is_closed(), "{logged}: the error event ends it");
        assert_eq!(bench.last_error(), class, "{logged}");
        let record = bench.record();
        assert_eq!((&record["outcome"], &record["reason"]), (&class.into(), &logged.into()));
        assert!(bench.calls()[0].is_aborted.get(), "{logged}");
    }
}

#[test]
fn a_stream_that_stays_open_after_its_last_event_has_ended() {
    for (model, steps) in [
        ("", vec![bytes(NEXT), bytes(LAST), Step::Hang]),
        // It is held until its last event.
        (r#", "commit": "complete""#, vec![bytes(NEXT), bytes(LAST), Step::Hang]),
        // Its connection sends comments.
        ("", vec![bytes(LAST), Step::Pause(ms(300)), bytes(": ping\n\n"), Step::Hang]),
    ] {
        let sent: String = steps
            .iter()
            .filter_map(|step| if let Step::Bytes(text) = step { Some(text.as_str()) } else { None })
            .collect();
        let (bench, answer) = served(r#", "timeout": {"idle_ms": 30000}"#, model, steps);
        assert_eq!(answer.text(), FIRST.to_owned() + &sent);
        assert!(answer.client().is_closed());
        assert!(bench.elapsed() < ms(5_000), "{:?}", bench.elapsed());
        assert_eq!(bench.last_error(), "");
        assert_eq!(bench.log(), Vec::<String>::new());
        assert!(bench.calls()[0].is_aborted.get(), "the connection is closed");
    }
}

#[test]
fn an_image_stream_that_stays_open_after_an_image_ends_cleanly_at_its_limit() {
    let image = "data: {\"type\":\"image_generation.completed\",\"b64_json\":\"AAAA\"}\n\n";
    for limit in [r#""idle_ms": 3000"#, r#""total_ms": 3000"#] {
        for model in ["", r#", "commit": "headers""#, r#", "commit": "complete""#] {
            let mut bench = Bench::started(&routes(&format!(r#", "timeout": {{{limit}}}"#), model));
            bench.script([Script::events(vec![bytes(image), Step::Hang])]);
            let body = r#"{"model":"m","stream":true,"prompt":"hi"}"#;
            let answer = bench.request("POST", "/v1/images/generations", body);
            assert_eq!(answer.text(), image, "another image may follow, so it is waited for");
            assert!(model.contains("complete") || answer.client().is_closed());
            assert!(bench.elapsed() < ms(5_000), "{limit} {model}: {:?}", bench.elapsed());
            assert_eq!(bench.last_error(), "", "{limit} {model}");
            assert!(bench.calls()[0].is_aborted.get(), "the connection is closed");
        }
    }
}

#[test]
fn with_an_early_commit_the_first_bytes_tell_a_stream_whatever_its_media_type_is() {
    for content_type in ["application/json", "text/plain", "", "text/event-stream"] {
        for usage in ["", r#", "usage": "exact""#] {
            let settings = format!(r#", "timeout": {{"idle_ms": 3000}}{usage}"#);
            let serve = |steps: Vec<Step>| {
                let mut bench = Bench::started(&routes(&settings, r#", "commit": "headers""#));
                bench.script([Script { content_type, ..Script::events(steps) }]);
                let answer = bench.chat(STREAM);
                assert!(answer.client().is_closed(), "{content_type}");
                assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0), "nothing is left");
                (answer.text(), bench.last_error(), bench.elapsed())
            };
            let pause = || Step::Pause(ms(200));
            let in_pieces = || vec![bytes("da"), pause(), bytes(FIRST.strip_prefix("da").unwrap()), pause()];
            let whole = FIRST.to_owned() + LAST;
            for after in [pause(), Step::Hang] {
                let (text, error, took) = serve([in_pieces(), vec![bytes(LAST), after]].concat());
                assert_eq!((text.as_str(), error.as_str()), (whole.as_str(), ""), "{content_type}");
                assert!(took < ms(5_000), "{content_type} {took:?}");
            }
            let (text, error, _) = serve(in_pieces());
            assert!(text.starts_with(FIRST) && text.contains("upstream_truncated"), "{content_type} {text}");
            assert_eq!(error, "truncated", "{content_type}");
            for steps in
                [vec![Step::Hang], vec![bytes("da"), Step::Hang], [in_pieces(), vec![Step::Hang]].concat()]
            {
                let (text, error, _) = serve(steps);
                assert!(text.contains("upstream_timeout"), "{content_type} {text}");
                assert_eq!(error, "timeout", "{content_type}");
            }
            if content_type != "text/event-stream" {
                let (one, other) = ANSWER.split_at(40);
                let (text, error, _) = serve(vec![bytes("\n"), pause(), bytes(one), pause(), bytes(other)]);
                assert_eq!((text, error.as_str()), (format!("\n{ANSWER}"), ""), "{content_type}");
            }
        }
    }
}

#[test]
fn an_error_event_of_the_upstreams_own_is_passed_on_and_counts_as_its_failure() {
    let error = format!("data: {OVERLOADED}\n\n");
    let (bench, answer) = served("", "", vec![bytes(&error)]);
    assert_eq!(answer.text(), FIRST.to_owned() + &error);
    assert_eq!(bench.last_error(), "unavailable");
}

#[test]
fn the_reason_of_a_failure_may_come_in_an_event_after_it() {
    let created =
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}\n\n";
    let failed =
        "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":null}}\n\n";
    let reason = "event: error\ndata: {\"type\":\"error\",\"code\":\"content_policy_violation\",\"message\":\"The response was filtered\"}\n\n";
    let delta = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}\n\n";
    let body = r#"{"model":"m","stream":true,"input":"hi"}"#;
    let filtered = |after: Step| {
        Script::events(vec![bytes(created), bytes(failed), Step::Pause(ms(40)), bytes(reason), after])
    };
    for after in [Step::Pause(ms(0)), Step::Hang, Step::Break] {
        let mut bench = Bench::started(&routes("", ""));
        bench.script([filtered(after)]);
        let answer = bench.request("POST", "/v1/responses", body);
        assert_eq!((answer.status, answer.header("x-switchyard-attempts")), (400, "1"), "{}", answer.text());
        assert_eq!(bench.last_error(), "content_policy", "which does not count");
    }
    // No reason follows: the next target does not wait long for it.
    let mut bench = Bench::started(&routes("", ""));
    let done = "event: response.completed\ndata: {}\n\n";
    let silent = Script::events(vec![bytes(created), bytes(failed), Step::Hang]);
    bench.script([silent, Script::events(vec![bytes(delta), bytes(done)])]);
    let answer = bench.request("POST", "/v1/responses", body);
    assert_eq!(answer.header("x-switchyard-deployment"), "second");
    assert!(bench.elapsed() < ms(1_000), "{:?}", bench.elapsed());
    // After the commit point the client has both events.
    let mut bench = Bench::started(&routes("", ""));
    let steps = vec![bytes(delta), bytes(failed), Step::Pause(ms(40)), bytes(reason)];
    bench.script([Script::events(steps)]);
    let answer = bench.request("POST", "/v1/responses", body);
    assert_eq!(answer.text(), format!("{delta}{failed}{reason}"));
    assert_eq!(bench.last_error(), "content_policy", "which does not count");
}

#[test]
fn bytes_that_mean_nothing_to_the_gateway_break_off_where_they_break() {
    for (end, is_closed) in [(None, true), (Some(Step::Break), false)] {
        let mut bench = Bench::new(&routes("", r#", "commit": "headers""#));
        let mut audio = Script::events(
            [bytes("abc"), Step::Pause(ms(50)), bytes("def")].into_iter().chain(end).collect(),
        );
        audio.content_type = "audio/mpeg";
        bench.script([audio]);
        let answer = bench.request("POST", "/v1/audio/speech", r#"{"model":"m","input":"hi"}"#);
        assert_eq!(answer.text(), "abcdef");
        assert_eq!((answer.client().is_closed(), answer.client().is_broken()), (is_closed, !is_closed));
        assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0));
    }
}

#[test]
fn the_total_limit_of_a_stream_too_long_to_be_read_is_no_failure_of_the_deployment() {
    let settings = r#", "timeout": {"total_ms": 2000}"#;
    for (length, class) in [(9 << 20, ""), (1 << 20, "timeout")] {
        let long = format!("data: {{\"choices\":[],\"x\":\"{}\"}}\n\n", "x".repeat(64 * 1024));
        let steps = (0..length / long.len()).map(|_| bytes(&long)).chain([Step::Hang]).collect();
        let (bench, answer) = served(settings, "", steps);
        assert!(answer.text().contains("upstream_timeout"), "the client learns that it was cut");
        assert_eq!(bench.last_error(), class, "{length}: the client may be the slow side");
    }
}

#[test]
fn an_answer_that_is_held_to_its_end_keeps_its_client_waiting_with_comments() {
    let steps = vec![bytes(NEXT), Step::Pause(ms(25_000)), bytes(LAST)];
    let (_, answer) = served(r#", "keepalive_ms": 10000"#, r#", "commit": "complete""#, steps);
    let comments = ": waiting\n\n".repeat(2);
    assert!(answer.text().starts_with(&comments), "{}", answer.text());
    assert!(answer.text().ends_with(&(FIRST.to_owned() + NEXT + LAST)));
    assert!(answer.client().is_closed());
}

#[test]
fn an_error_after_comments_is_an_event() {
    let mut bench = Bench::new(&routes(r#", "keepalive_ms": 1000"#, r#", "commit": "complete""#));
    let failing = || Script::events(vec![bytes(FIRST), Step::Pause(ms(3_000)), Step::Break]);
    bench.script([failing(), failing()]);
    let answer = bench.chat(STREAM);
    assert_eq!(answer.status, 200);
    let text = answer.text();
    assert!(!text.contains(FIRST), "nothing of the failed attempts");
    let event = text.rsplit("data: ").next().unwrap();
    let error: serde_json::Value = serde_json::from_str(event.trim()).unwrap();
    assert!(error["error"]["message"].is_string(), "{text}");
    assert!(answer.client().is_closed());
    assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0));
}

#[test]
fn a_client_that_reads_a_very_long_stream_slowly_shows_nothing_of_the_deployment() {
    let mut bench = Bench::started(&routes(r#", "timeout": {"total_ms": 60000}"#, ""));
    bench.slow_reading(ms(90_000));
    let long = FIRST.replace("\"o\"", &format!("\"{}\"", "o".repeat(9 << 20)));
    bench.script([Script::events(vec![bytes(FIRST), Step::Pause(ms(2_000)), bytes(&long), bytes(LAST)])]);
    let answer = bench.chat(STREAM);
    assert!(answer.text().contains("upstream_timeout"), "it is cut at the total limit");
    assert_eq!(bench.last_error(), "");
}
