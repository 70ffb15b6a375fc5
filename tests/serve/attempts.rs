//! One attempt, up to its commit point, and the next step after a failure.

use super::fake::{Bench, Body, Script, Step, sent_body};
use super::{ANSWER, CHAT, FIRST, LAST, LIMITED, OVERLOADED, STREAM, routes};
use crate::times::ms;
use switchyard::serve::platform::OutgoingBody;

#[test]
fn an_answer_that_is_read_at_once_is_passed_on_as_it_is() {
    let mut bench = Bench::new(&routes("", ""));
    bench.script([Script::json(200, ANSWER)]);
    let answer = bench.chat(CHAT);
    assert_eq!((answer.status, answer.text().as_str()), (200, ANSWER));
    assert_eq!(answer.header("x-switchyard-deployment"), "first");
    assert!(answer.header("x-switchyard-trail").starts_with("first=200;10"));
    let calls = bench.calls();
    assert_eq!(calls[0].request.url, "https://first/v1/chat/completions");
    assert_eq!(sent_body(&calls[0], CHAT), CHAT.replace("\"m\"", "\"up-first\""));
    assert!(!calls[0].is_aborted.get(), "it ended by itself");
    assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0));
}

#[test]
fn a_refusal_is_classified_and_the_next_deployment_serves() {
    let mut bench = Bench::new(&routes("", ""));
    bench.script([Script::json(503, OVERLOADED), Script::json(200, ANSWER)]);
    let answer = bench.chat(CHAT);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-switchyard-deployment"), "second");
    assert!(answer.header("x-switchyard-trail").starts_with("first=unavailable;10"));
    assert_eq!(bench.record()["attempts"][0]["outcome"], "unavailable");
}

#[test]
fn an_error_body_that_stalls_holds_the_next_attempt_up_for_a_second_at_most() {
    let mut bench = Bench::new(&routes("", ""));
    let mut stalling = Script::json(503, "");
    stalling.steps = vec![Step::Bytes("{\"error\":".to_owned()), Step::Hang];
    bench.script([stalling, Script::json(200, ANSWER)]);
    assert_eq!(bench.chat(CHAT).header("x-switchyard-deployment"), "second");
    assert_eq!(bench.elapsed(), ms(10 + 1_000 + 10));
}

#[test]
fn an_attempt_that_is_silent_too_long_is_ended_and_the_next_one_serves() {
    let mut bench = Bench::new(&routes(r#", "timeout": {"headers_ms": 2000}"#, ""));
    bench.script([Script::silence(), Script::json(200, ANSWER)]);
    let answer = bench.chat(CHAT);
    assert!(answer.header("x-switchyard-trail").starts_with("first=timeout;2000"));
    assert_eq!(answer.header("x-switchyard-deployment"), "second");
    assert!(bench.calls()[0].is_aborted.get());
    assert_eq!(bench.open_waits(), 0);
}

#[test]
fn a_stream_that_breaks_before_its_first_token_is_never_seen() {
    let broken = Script::events(vec![Step::Bytes(": hello\n\n".to_owned()), Step::Break]);
    let ended = Script::events(Vec::new());
    let error = Script::events(vec![Step::Bytes(format!("data: {OVERLOADED}\n\n"))]);
    for (first, class) in [(broken, "connection"), (ended, "truncated"), (error, "unavailable")] {
        let mut bench = Bench::new(&routes("", ""));
        bench.script([first, Script::events(vec![Step::Bytes(FIRST.to_owned() + LAST)])]);
        let answer = bench.chat(STREAM);
        assert!(answer.header("x-switchyard-trail").starts_with(&format!("first={class};")), "{answer:?}");
        assert_eq!(answer.text(), FIRST.to_owned() + LAST);
        assert!(answer.client().is_closed());
        assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0));
    }
}

#[test]
fn an_answer_in_one_piece_that_stalls_after_its_headers_is_replaced() {
    let half = || vec![Step::Bytes(ANSWER.get(..100).unwrap().to_owned()), Step::Hang];
    let stalled = |says_length, steps| Script { steps, says_length, ..Script::json(200, "") };
    for (settings, script, least, most) in [
        // The platform reads a body of a known length at once.
        (r#", "timeout": {"headers_ms": 500}"#, stalled(true, half()), 30_000, 31_000),
        (r#", "timeout": {"headers_ms": 500, "idle_ms": 2000}"#, stalled(true, half()), 2_000, 3_000),
        (r#", "timeout": {"idle_ms": 2000}"#, stalled(true, half()), 2_000, 5_000),
        (r#", "timeout": {"headers_ms": 500}"#, stalled(false, half()), 30_000, 31_000),
        (r#", "timeout": {"headers_ms": 500, "idle_ms": 2000}"#, stalled(false, half()), 2_000, 3_000),
        ("", stalled(false, half()), 30_000, 31_000),
        // The platform reads the body: the pause is noticed at a look; half of the rest is left.
        ("", stalled(true, half()), 45_000, 46_000),
        // Nothing of the body comes.
        (r#", "timeout": {"headers_ms": 500}"#, stalled(false, vec![Step::Hang]), 30_000, 31_000),
    ] {
        let mut bench = Bench::started(&routes(settings, ""));
        bench.script([script, Script::json(200, ANSWER)]);
        let answer = bench.chat(CHAT);
        assert_eq!(answer.header("x-switchyard-deployment"), "second", "{settings}");
        assert_eq!(answer.text(), ANSWER);
        assert!((ms(least)..ms(most)).contains(&bench.elapsed()), "{settings}: {:?}", bench.elapsed());
        assert!(bench.calls()[0].is_aborted.get());
        assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0));
    }
}

#[test]
fn an_answer_that_is_generated_for_long_is_not_cut_for_its_looks() {
    let mut bench = Bench::started(&routes(r#", "timeout": {"idle_ms": 2000, "headers_ms": 25000}"#, ""));
    let slow = Script { head_after: Some(ms(21_000)), ..Script::json(200, ANSWER) };
    bench.script([slow]);
    assert_eq!(bench.chat(CHAT).header("x-switchyard-deployment"), "first");
}

#[test]
fn a_stream_is_a_stream_whatever_its_media_type() {
    for content_type in ["application/json", "text/plain; charset=utf-8", "", "application/octet-stream"] {
        for says_length in [false, true] {
            for commit in ["first_token", "complete"] {
                let mut bench = Bench::new(&routes("", &format!(r#", "commit": "{commit}""#)));
                let steps = [": hi\n\nda", FIRST.get(2..).unwrap(), LAST]
                    .map(|text| Step::Bytes(text.to_owned()))
                    .to_vec();
                bench.script([Script { content_type, says_length, ..Script::events(steps) }]);
                let answer = bench.chat(STREAM);
                assert_eq!(answer.header("x-switchyard-deployment"), "first", "{content_type}");
                assert_eq!(answer.text(), format!(": hi\n\n{FIRST}{LAST}"), "{content_type}");
                assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0));
            }
        }
    }
}

#[test]
fn an_answer_in_another_form_than_the_client_asked_for_is_replaced() {
    let whole = || Script::events(vec![Step::Bytes(FIRST.to_owned() + LAST)]);
    let mislabelled = Script { content_type: "application/json", ..whole() };
    let page = Script { content_type: "text/html", ..Script::json(200, "<html>") };
    for (asked, wrong, right, class) in [
        (CHAT, whole(), Script::json(200, ANSWER), "unavailable"),
        (CHAT, mislabelled, Script::json(200, ANSWER), "unavailable"),
        (STREAM, Script::json(200, ANSWER), whole(), "unavailable"),
        (STREAM, Script { says_length: false, ..Script::json(200, ANSWER) }, whole(), "unavailable"),
        (STREAM, Script::json(200, LIMITED), whole(), "rate_limit"),
        (STREAM, page, whole(), "unavailable"),
        (STREAM, Script { content_type: "", ..Script::json(200, "\n\n") }, whole(), "truncated"),
    ] {
        for commit in ["first_token", "complete"] {
            let mut bench = Bench::new(&routes("", &format!(r#", "commit": "{commit}""#)));
            bench.script([wrong.clone(), right.clone()]);
            let answer = bench.chat(asked);
            let trail = answer.header("x-switchyard-trail");
            assert!(trail.starts_with(&format!("first={class};")), "{trail}: {wrong:?}");
            assert_eq!(answer.header("x-switchyard-deployment"), "second");
            assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0));
        }
    }
}

#[test]
fn the_answers_to_a_range_and_to_a_condition_come_down() {
    let range: &[_] = &[("content-range", "bytes 0-99/1000"), ("accept-ranges", "bytes"), ("etag", "\"a\"")];
    let body = "{\"id\":";
    let unsatisfiable: &[_] = &[("content-range", "bytes */1000"), ("etag", "\"a\""), ("last-modified", "x")];
    for (path, script, status, text, headers) in [
        ("files/file-1", Script { headers: range, ..Script::json(206, body) }, 206, body, range),
        ("files/file-1/content", Script { headers: range, ..Script::json(206, body) }, 206, body, range),
        ("files/file-1", Script { headers: &range[2..], ..Script::json(304, "") }, 304, "", &range[2..]),
        (
            "files/file-1/content",
            Script { headers: unsatisfiable, content_type: "text/plain", ..Script::json(416, "no") },
            416,
            "refused the request",
            unsatisfiable,
        ),
    ] {
        let mut bench = Bench::new(&routes("", ""));
        bench.script([script]);
        let answer = bench.request("GET", &format!("/v1/{path}"), "");
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.text().contains(text), "{}", answer.text());
        for (name, value) in headers {
            assert_eq!(answer.header(name), *value, "{status} {path}");
        }
        assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0));
    }
}

#[test]
fn the_transcript_of_silence_is_an_answer() {
    for says_length in [false, true] {
        let mut bench = Bench::new(&routes("", ""));
        bench.script([Script { content_type: "text/plain", says_length, ..Script::json(200, "") }]);
        let answer = bench.request("POST", "/v1/audio/transcriptions", r#"{"model":"m"}"#);
        assert_eq!((answer.status, answer.text().as_str()), (200, ""));
        assert_eq!(answer.header("x-switchyard-deployment"), "first");
    }
}

#[test]
fn an_error_sent_as_an_event_reaches_the_client_as_one_in_a_body_does() {
    let error = r#"{"error":{"message":"Invalid 'messages[3]'","type":"invalid_request_error","param":"messages[3]","code":"invalid_image_url"}}"#;
    let role =
        r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#;
    for events in [format!("data: {error}\n\n"), format!("{role}\n\ndata: {error}\n\n")] {
        for commit in ["first_token", "complete"] {
            let mut bench = Bench::new(&routes("", &format!(r#", "commit": "{commit}""#)));
            let headers = &[("x-request-id", "up-1"), ("cache-control", "no-cache"), ("server", "x")];
            bench.script([Script { headers, ..Script::events(vec![Step::Bytes(events.clone())]) }]);
            let answer = bench.chat(STREAM);
            let body = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            assert_eq!((answer.status, body(&answer.text())), (400, body(error)));
            for (name, value) in [
                ("content-type", "application/json"),
                ("x-request-id", "up-1"),
                ("cache-control", ""),
                ("server", ""),
                ("x-should-retry", "false"),
            ] {
                assert_eq!(answer.header(name), value, "{name}");
            }
        }
    }
}

#[test]
fn where_nobody_streams_the_client_gets_an_error() {
    let mut bench = Bench::new(&routes("", ""));
    bench.script([Script::json(200, ANSWER), Script::json(200, ANSWER)]);
    let answer = bench.chat(STREAM);
    assert_eq!((answer.status, answer.text().contains("upstream_not_a_stream")), (502, true));
}

#[test]
fn a_transcript_in_one_piece_is_an_answer_even_if_a_stream_was_asked_for() {
    let mut bench = Bench::new(&routes("", ""));
    bench.script([Script::json(200, r#"{"text":"hi"}"#)]);
    let body = r#"{"model":"m","stream":true}"#;
    assert_eq!(bench.request("POST", "/v1/audio/transcriptions", body).text(), r#"{"text":"hi"}"#);
}

#[test]
fn where_all_fail_the_client_gets_one_error() {
    let mut bench = Bench::new(&routes("", ""));
    bench.script([Script::json(503, OVERLOADED), Script::json(503, OVERLOADED)]);
    let answer = bench.chat(CHAT);
    assert_eq!(answer.status, 503);
    assert!(matches!(answer.body, Body::Bytes(_)));
    assert_eq!(answer.header("x-switchyard-attempts"), "2");
}

#[test]
fn a_long_json_answer_flows_once_its_first_bytes_are_judged() {
    let mut bench = Bench::new(&routes("", ""));
    let body =
        format!("{}{}", ANSWER.strip_suffix('}').unwrap(), r#","pad":""#) + &"x".repeat(2 << 20) + "\"}";
    let mut long = Script::json(200, &body);
    long.says_length = false;
    long.steps = body
        .as_bytes()
        .chunks(1 << 19)
        .map(|part| Step::Bytes(String::from_utf8(part.to_vec()).unwrap()))
        .collect();
    bench.script([long]);
    let answer = bench.chat(CHAT);
    assert_eq!(answer.text(), body);
    assert!(answer.client().is_closed());
    assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0));
}

#[test]
fn a_body_that_is_too_long_to_keep_is_sent_once() {
    let mut bench = Bench::new(&routes(r#", "buffer_bytes": 65536"#, ""));
    bench.script([Script::json(503, OVERLOADED)]);
    let body = CHAT.replace("hi", &"x".repeat(100_000));
    let answer = bench.chat(&body);
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("x-switchyard-attempts"), "1", "nobody can send it again");
    let calls = bench.calls();
    assert_eq!(calls[0].request.body, OutgoingBody::Upload);
    assert_eq!(sent_body(&calls[0], &body), body.replace(r#""m""#, r#""up-first""#));
}

#[test]
fn a_second_model_beyond_what_is_kept_ends_the_call_and_teaches_nothing() {
    let long = "x".repeat(100_000);
    for (rest, why) in [
        (format!(r#""input":"{long}","model":"dear"}}"#), "the second model is beyond"),
        (format!(r#""input":"{long}","mod\u0065l":"dear"}}"#), "with an escape"),
        (format!(r#""model":"{long}"}}"#), "its value is cut"),
        (format!(r#""input":"{long}"}} {{"model":"dear"}}"#), "after the object"),
        (format!(r#""input":"{long}",model:"dear"}}"#), "without quotes"),
        (format!(r#""input":"{long}""#), "not complete"),
    ] {
        let mut bench = Bench::started(&routes(r#", "buffer_bytes": 65536"#, ""));
        for _ in 0..8 {
            bench.script([Script::json(200, ANSWER)]);
            let answer = bench.chat(&format!(r#"{{"model":"m",{rest}"#));
            assert_eq!(answer.status, 400, "{why}");
            bench.drop_scripts();
        }
        for call in bench.calls() {
            let upload = call.upload.clone().unwrap();
            assert!(call.is_aborted.get() && !upload.is_closed(), "{why}");
        }
        bench.script([Script::json(200, ANSWER)]);
        assert_eq!(bench.chat(CHAT).header("x-switchyard-deployment"), "first", "{why}");
        assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0));
    }
}

#[test]
fn an_upload_that_breaks_off_beyond_what_is_kept_is_the_clients_error() {
    let mut bench = Bench::started(&routes(r#", "buffer_bytes": 65536"#, ""));
    bench.break_rest(3);
    bench.script([Script::json(200, ANSWER)]);
    let answer = bench.chat(&CHAT.replace("hi", &"x".repeat(100_000)));
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("The body broke off"), "{}", answer.text());
    assert!(bench.calls()[0].is_aborted.get());
}

#[test]
fn an_upload_that_breaks_off_is_the_clients_error() {
    let mut bench = Bench::new(&routes("", ""));
    bench.break_upload();
    let answer = bench.chat(CHAT);
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("The body broke off: the connection was lost"));
    assert!(bench.calls().is_empty());
}

#[test]
fn of_a_hedge_and_its_original_the_slower_one_is_ended() {
    let mut bench = Bench::started(&routes("", r#", "hedge": {"after": 500, "max_share": 1}"#));
    let mut slow = Script::json(200, ANSWER);
    slow.head_after = Some(ms(5_000));
    bench.script([slow, Script::json(200, ANSWER)]);
    let answer = bench.chat(CHAT);
    assert_eq!(answer.header("x-switchyard-deployment"), "second");
    assert_eq!(bench.elapsed(), ms(510));
    assert!(bench.calls()[0].is_aborted.get() && !bench.calls()[1].is_aborted.get());
    assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0));
}

#[test]
fn an_ejection_is_logged_once_with_its_end() {
    let mut bench = Bench::new(&routes("", ""));
    let spent = r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    bench.script([Script::json(429, spent), Script::json(200, ANSWER), Script::json(200, ANSWER)]);
    for _ in 0..2 {
        assert_eq!(bench.chat(CHAT).status, 200);
    }
    let lines: Vec<_> = bench.log().into_iter().filter(|line| line.starts_with("health: ")).collect();
    assert_eq!(lines, ["health: first is out until 2026-01-01T00:05:00Z: the account's quota is used up"]);
}

#[test]
fn a_redirect_is_called_one_and_not_followed() {
    let mut bench = Bench::new(&routes("", ""));
    bench.script([Script::json(307, ""), Script::json(200, ANSWER)]);
    assert_eq!(bench.chat(CHAT).header("x-switchyard-deployment"), "second");
    let attempt = &bench.record()["attempts"][0];
    assert_eq!((&attempt["outcome"], &attempt["reason"]), (&"unavailable".into(), &"redirect".into()));
}

#[test]
fn no_host_or_key_of_the_document_reaches_a_client_or_the_log() {
    let host = "first.internal.example";
    let document = |more: &str| {
        let routes = routes("", more).replace("https://first/v1", &format!("https://{host}/v1"));
        routes.replace(r#""targets": ["first", "second"]"#, r#""targets": ["first"]"#)
    };
    let error =
        format!(r#"{{"error":{{"message":"no route to {host}","type":"server_error","code":"{host}"}}}}"#);
    let mut bench = Bench::new(&document(""));
    bench.script([Script::json(503, &error)]);
    let answer = bench.chat(CHAT);
    assert!(answer.text().contains(r#""message":"no route to ***""#), "{}", answer.text());
    assert!(bench.log().iter().all(|line| !line.contains(host)), "{:?}", bench.log());
    let line = bench.isolate().without_secrets(format!("upstream connection: {host} refused"));
    assert_eq!(line, "upstream connection: *** refused");

    // A stream that is held until its end.
    let mut bench = Bench::new(&document(r#", "commit": "complete""#));
    let events = format!(": {host}\n\n{FIRST}{LAST}");
    bench.script([Script::events(vec![Step::Bytes(events.clone())])]);
    assert_eq!(bench.chat(STREAM).text(), events.replace(host, "***"));
}

#[test]
fn what_harms_if_it_is_done_twice_is_not_repeated_after_an_unclear_outcome() {
    let background = r#"{"model":"m","background":true,"input":"hi"}"#;
    let conversation = r#"{"model":"m","conversation":"conv_1","input":"hi"}"#;
    let stored = r#"{"model":"m","input":"hi"}"#;
    let response =
        r#"{"id":"resp_1","object":"response","status":"completed","output":[{"type":"message"}]}"#;
    for (path, body, is_repeated) in [
        ("/v1/batches", r#"{"input_file_id":"file-1"}"#, false),
        ("/v1/responses", background, false),
        ("/v1/responses", conversation, false),
        // A response that is only stored is an orphan that harms nobody.
        ("/v1/responses", stored, true),
        ("/v1/chat/completions", CHAT, true),
    ] {
        let mut bench = Bench::new(&routes("", ""));
        let answer = if path.ends_with("completions") { ANSWER } else { response };
        let broken =
            Script { steps: vec![Step::Bytes("{".to_owned()), Step::Break], ..Script::json(200, "") };
        bench.script([broken, Script::json(200, answer)]);
        let answer = bench.request("POST", path, body);
        assert_eq!(bench.calls().len(), if is_repeated { 2 } else { 1 }, "{path} {body}");
        if is_repeated {
            assert_eq!(answer.status, 200, "{path} {body}");
            continue;
        }
        assert_eq!((answer.status, answer.header("x-should-retry")), (502, "false"), "{path} {body}");
        assert!(answer.text().contains("upstream_outcome_unknown"), "{}", answer.text());
    }
}

#[test]
fn an_error_that_says_that_nothing_was_done_is_no_unclear_outcome() {
    let background = r#"{"model":"m","background":true,"input":"hi"}"#;
    let response = r#"{"id":"resp_1","object":"response","status":"queued","output":[]}"#;
    for status in [429, 500, 503] {
        let mut bench = Bench::new(&routes("", ""));
        bench.script([Script::json(status, OVERLOADED), Script::json(200, response)]);
        assert_eq!(bench.request("POST", "/v1/responses", background).status, 200, "{status}");
        assert_eq!(bench.calls().len(), 2, "{status}");
    }
}

#[test]
fn the_document_may_ask_to_repeat_what_is_done_once() {
    let background = r#"{"model":"m","background":true,"input":"hi"}"#;
    let response = r#"{"id":"resp_1","object":"response","status":"queued","output":[]}"#;
    let mut bench = Bench::new(&routes("", r#", "on": {"connection": "second"}"#));
    bench.script([Script { steps: vec![Step::Break], ..Script::json(200, "") }, Script::json(200, response)]);
    assert_eq!(bench.request("POST", "/v1/responses", background).status, 200);
    assert_eq!(bench.calls().len(), 2);
}

#[test]
fn any_success_of_a_deletion_is_done_and_not_repeated() {
    for body in ["", "OK", "{}", r#"{"id":"file-1","deleted":true}"#] {
        let mut bench = Bench::new(&routes("", ""));
        bench.script([Script::json(200, body)]);
        let answer = bench.request("DELETE", "/v1/files/file-1", "");
        assert_eq!((answer.status, answer.text().as_str()), (200, body));
        assert_eq!(bench.calls().len(), 1);
    }
}

#[test]
fn a_short_hint_is_waited_for_before_a_fallback_if_the_document_says_so() {
    let short: &[(&str, &str)] = &[("retry-after-ms", "1500")];
    let long: &[(&str, &str)] = &[("retry-after-ms", "1600")];
    let retry = r#", "retry": {"attempts": 1, "before_fallback_ms": 1500}"#;
    for (headers, deployment, elapsed) in [(short, "first", ms(1_520)), (long, "second", ms(20))] {
        let model = format!(r#""targets": ["first", "second"]{retry}"#);
        let document =
            routes("", "").replace(r#""targets": ["first", "second"], "retry": {"attempts": 0}"#, &model);
        let mut bench = Bench::started(&document);
        bench.script([Script { headers, ..Script::json(429, OVERLOADED) }, Script::json(200, ANSWER)]);
        let answer = bench.chat(CHAT);
        assert_eq!(answer.header("x-switchyard-deployment"), deployment, "{headers:?}");
        assert_eq!(bench.elapsed(), elapsed, "{headers:?}");
    }
}

#[test]
fn the_limits_for_stored_objects_are_not_those_for_models() {
    let limits: &[_] = &[("x-ratelimit-limit-requests", "10"), ("x-ratelimit-remaining-requests", "0")];
    let headroom = |bench: &Bench| serde_json::to_value(&bench.health()[0]).unwrap()["headroom"].clone();
    let mut bench = Bench::started(&routes("", ""));
    bench.script([Script { headers: limits, ..Script::json(200, r#"{"object":"list","data":[]}"#) }]);
    assert_eq!(bench.request("GET", "/v1/files", "").status, 200);
    assert!(headroom(&bench).is_null(), "{}", headroom(&bench));
    bench.script([Script { headers: limits, ..Script::json(200, ANSWER) }]);
    assert_eq!(bench.chat(CHAT).status, 200);
    assert_eq!(headroom(&bench), 0.0);
}
