//! Bodies beyond `buffer_bytes`, which the client uploads slowly while the deployment gets them.

use super::fake::{Answer, Bench, Script, Step};
use super::{ANSWER, CHAT, FIRST, LAST, OVERLOADED, STREAM, routes};
use crate::times::ms;
use switchyard::vocabulary::time::Millis;

/// An upload of 100 pieces beyond what is kept. A stream may be silent for a second, and an answer
/// in one piece for two.
fn bench(pause: Millis) -> Bench {
    let settings = r#", "buffer_bytes": 65536, "timeout": {"connect_ms": 1500, "headers_ms": 2000, "first_token_ms": 1000, "total_ms": 4000}"#;
    let bench = Bench::started(&routes(settings, ""));
    bench.slow_rest(pause);
    bench
}

/// The path and the body of a request that is too long to keep. Wasm reads the first two on their
/// way. The platform passes on the third.
fn requests() -> [(&'static str, String); 3] {
    let long = "x".repeat(65_537 + 99_500);
    let chat = |body: &str| ("/v1/chat/completions", body.replace("hi", &long));
    [chat(CHAT), chat(STREAM), ("/v1/files", format!(r#"{{"file":"{long}"}}"#))]
}

fn answer(body: &str) -> Script {
    let file = r#"{"id":"file-1","object":"file"}"#;
    match body {
        _ if body.contains("stream") => Script::events(vec![Step::Bytes(FIRST.to_owned() + LAST)]),
        _ if body.contains("messages") => Script::json(200, ANSWER),
        _ => Script::json(200, file),
    }
}

fn nothing_is_learned(bench: &Bench, what: &str) {
    for seen in bench.health() {
        let learned = (seen.successes, seen.failures, seen.latency_ms, seen.first_token_ms);
        assert_eq!(learned, (0, 0, None, None), "{what}");
        assert!(seen.last_error.is_none() && seen.consecutive_failures == 0, "{what}");
    }
    assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0), "{what}");
}

fn send(bench: &mut Bench, path: &str, body: &str) -> (Answer, Millis) {
    let sent_at = bench.now();
    let answer = bench.request_until("POST", path, body, Millis::MAX).expect("an answer");
    let took = bench.now() - sent_at;
    bench.finish();
    (answer, took)
}

#[test]
fn the_limits_and_the_times_of_a_deployment_begin_at_the_end_of_the_upload() {
    for (path, body) in requests() {
        let mut bench = bench(ms(100));
        bench.script([Script { head_after: Some(ms(900)), ..answer(&body) }]);
        let (answer, took) = send(&mut bench, path, &body);
        assert_eq!(answer.status, 200, "{path} {}", answer.text());
        assert!((ms(10_900)..=ms(10_902)).contains(&took), "{path} {took}");
        let seen = &bench.health()[0];
        let latencies = [seen.latency_ms, seen.first_token_ms].into_iter().flatten();
        let latencies: Vec<_> = latencies.filter(|latency| !(800.0..=902.0).contains(latency)).collect();
        assert_eq!((seen.failures, latencies), (0, vec![]), "{path}");
        assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0), "{path}");
    }
}

#[test]
fn a_client_that_uploads_too_slowly_gets_its_own_error_and_teaches_nothing() {
    for (path, body) in requests() {
        for (patience, after_ms) in [(None, 60_000), (Some("5"), 5_000)] {
            let mut bench = bench(ms(1_000));
            if let Some(seconds) = patience {
                bench.add_header("x-stainless-timeout", seconds);
            }
            bench.script([answer(&body)]);
            let (answer, took) = send(&mut bench, path, &body);
            assert_eq!((answer.status, took), (408, ms(after_ms)), "{path} {}", answer.text());
            assert!(answer.text().contains(r#""code":"request_timeout""#), "{path} {}", answer.text());
            assert!(answer.text().contains(&format!("within {after_ms} ms")), "{path} {}", answer.text());
            assert_eq!(answer.header("x-should-retry"), "false");
            assert!(bench.calls()[0].is_aborted.get() && bench.is_body_released());
            let record = bench.record();
            assert_eq!(record["outcome"], "request_timeout", "{record}");
            assert_eq!(record["attempts"][0]["outcome"], "abandoned", "{record}");
            nothing_is_learned(&bench, path);
        }
    }
}

#[test]
fn a_deployment_that_is_silent_after_the_upload_times_out_from_there() {
    for ((path, body), limit_ms) in requests().into_iter().zip([2_000, 1_000, 2_000]) {
        let mut bench = bench(ms(100));
        bench.script([Script::silence()]);
        let (answer, took) = send(&mut bench, path, &body);
        assert_eq!(answer.status, 504, "{path} {}", answer.text());
        let limit = 10_000 + limit_ms;
        assert!((ms(limit)..=ms(limit + 1)).contains(&took), "{path} {took}");
        let seen = &bench.health()[0];
        assert_eq!(seen.failures, u32::from(path != "/v1/files"), "{path}");
        let latency = seen.latency_ms.or(seen.first_token_ms);
        assert!(latency.is_none_or(|latency| latency < 2_001.0), "{path} {latency:?}");
    }
}

#[test]
fn an_answer_before_the_end_of_the_upload_counts_at_once() {
    for (path, body) in requests() {
        for script in [Script::json(503, OVERLOADED), answer(&body)] {
            let mut bench = bench(ms(100));
            let status = script.status;
            bench.script([Script { is_early: true, head_after: Some(ms(3_000)), ..script }]);
            let (answer, took) = send(&mut bench, path, &body);
            assert_eq!((answer.status, took), (status, ms(3_000)), "{path} {}", answer.text());
            assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0), "{path}");
        }
    }
}

#[test]
fn an_upstream_that_waits_no_longer_for_the_upload_shows_nothing_of_itself() {
    for (path, body) in requests() {
        let mut bench = bench(ms(100));
        let gives_up = Script::json(408, r#"{"error":{"message":"Timed out reading the request body."}}"#);
        bench.script([Script { is_early: true, head_after: Some(ms(3_000)), ..gives_up }]);
        let (answer, took) = send(&mut bench, path, &body);
        assert_eq!((answer.status, took), (408, ms(3_000)), "{path} {}", answer.text());
        assert!(answer.text().contains(r#""code":"request_timeout""#), "{path} {}", answer.text());
        nothing_is_learned(&bench, path);
    }
}
