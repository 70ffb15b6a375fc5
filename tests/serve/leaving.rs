//! A client that leaves ends all work for its request, in every phase. Nothing of the request
//! remains, and health records nothing about the deployment.

use super::fake::{Bench, Script, Step};
use super::{ANSWER, CHAT, FIRST, NEXT, OVERLOADED, STREAM, routes};
use crate::times::ms;

fn bytes(text: &str) -> Step {
    Step::Bytes(text.to_owned())
}

fn assert_nothing_left(bench: &Bench, phase: &str) {
    assert_eq!(bench.open_waits(), 0, "{phase}: waits");
    assert_eq!(bench.in_flight(), 0, "{phase}: attempts in flight");
    for call in bench.calls() {
        assert!(call.is_aborted.get(), "{phase}: a call goes on: {}", call.request.url);
    }
    for health in bench.health() {
        let health = serde_json::to_value(&health).unwrap();
        assert!(health["last_error"].is_null(), "{phase}: {health}");
    }
}

#[test]
fn before_its_answer_in_every_phase() {
    let json_that_stalls = || {
        let steps = vec![bytes(ANSWER.split_at(20).0), Step::Hang];
        Script { steps, says_length: false, ..Script::json(200, "") }
    };
    let phases: [(&str, &str, &str, Vec<Script>); 6] = [
        ("while it waits for headers", "", CHAT, vec![Script::silence()]),
        ("while JSON is read", "", CHAT, vec![json_that_stalls()]),
        ("while an error body is read", "", CHAT, vec![Script { status: 503, ..json_that_stalls() }]),
        ("before the first token", "", STREAM, vec![Script::events(vec![bytes(": hello\n\n"), Step::Hang])]),
        (
            "while a stream is held",
            r#", "commit": "complete""#,
            STREAM,
            vec![Script::events(vec![bytes(FIRST), Step::Hang])],
        ),
        (
            "while two attempts are under way",
            r#", "hedge": {"after": 100, "max_share": 1}"#,
            CHAT,
            vec![Script::silence(), Script::silence()],
        ),
    ];
    for (phase, model, body, scripts) in phases {
        let mut bench = Bench::new(&routes("", model));
        let calls = scripts.len();
        bench.script(scripts);
        assert!(bench.chat_until(body, ms(500)).is_none(), "{phase}");
        bench.finish();
        assert_eq!(bench.calls().len(), calls, "{phase}");
        assert_nothing_left(&bench, phase);
    }
}

#[test]
fn while_it_uploads() {
    let mut bench = Bench::started(&routes("", ""));
    bench.hang_upload();
    assert!(bench.chat_until(CHAT, ms(500)).is_none());
    assert!(bench.calls().is_empty());
    assert!(bench.is_body_released());
    assert_nothing_left(&bench, "while it uploads");
}

#[test]
fn between_two_tries_of_the_same_deployment() {
    let model = r#""targets": ["first"], "retry": {"attempts": 1, "backoff_ms": 5000, "max_wait_ms": 10000}"#;
    let routes = routes("", "").replace(r#""targets": ["first", "second"], "retry": {"attempts": 0}"#, model);
    let mut bench = Bench::new(&routes);
    bench.script([Script::json(503, OVERLOADED)]);
    assert!(bench.chat_until(CHAT, ms(1_000)).is_none());
    assert_eq!((bench.open_waits(), bench.in_flight(), bench.calls().len()), (0, 0, 1));
}

#[test]
fn in_the_middle_of_its_stream() {
    let mut bench = Bench::new(&routes("", ""));
    let steps = vec![
        bytes(FIRST),
        Step::Pause(ms(100)),
        bytes(NEXT),
        Step::Pause(ms(5_000)),
        bytes(NEXT),
        Step::Hang,
    ];
    bench.script([Script::events(steps)]);
    let answer = bench.begin_chat(STREAM);
    bench.pass(ms(1_000));
    assert_eq!(answer.text(), FIRST.to_owned() + NEXT);
    answer.client().leave();
    bench.pass(ms(6_000));
    assert!(!answer.client().is_closed());
    assert_nothing_left(&bench, "in the middle of its stream");
}

#[test]
fn while_it_gets_comments() {
    let mut bench = Bench::new(&routes(r#", "keepalive_ms": 1000"#, r#", "commit": "complete""#));
    bench.script([Script::events(vec![bytes(FIRST), Step::Hang])]);
    let answer = bench.begin_chat(STREAM);
    answer.client().leave();
    bench.pass(ms(3_000));
    assert_nothing_left(&bench, "while it gets comments");
}

#[test]
fn in_the_middle_of_a_stream_while_the_upstream_is_silent() {
    let mut bench = Bench::started(&routes("", ""));
    bench.script([Script::events(vec![bytes(FIRST), Step::Hang])]);
    let answer = bench.chat_until(STREAM, ms(500)).unwrap();
    bench.pass(ms(489));
    assert_eq!(bench.in_flight(), 1);
    bench.pass(ms(1));
    assert!(!answer.client().is_closed());
    assert_nothing_left(&bench, "while the upstream is silent");
}

#[test]
fn the_bytes_of_a_request_are_freed_with_its_last_attempt() {
    let mut bench = Bench::new(&routes("", ""));
    bench.script([Script::events(vec![bytes(FIRST), Step::Hang])]);
    bench.begin_chat(STREAM);
    assert!(bench.is_body_released(), "while the stream goes on");
}

/// Answers that the gateway passes on unread: a client that leaves in the middle of one, and one
/// that reads more slowly than the whole answer may take, show nothing of the deployment.
#[test]
fn in_the_middle_of_an_answer_that_is_not_read() {
    let json = vec![bytes(ANSWER.split_at(20).0), Step::Hang];
    for leaves_after in [ms(500), ms(5_000)] {
        let mut bench =
            Bench::started(&routes(r#", "timeout": {"total_ms": 2000}"#, r#", "commit": "headers""#));
        for _ in 0..6 {
            bench.script([Script { steps: json.clone(), says_length: false, ..Script::json(200, "") }]);
            let answer = bench.chat_until(CHAT, leaves_after).unwrap();
            assert_eq!(answer.status, 200);
            bench.finish();
        }
        let health = serde_json::to_value(&bench.health()[0]).unwrap();
        assert!(health["last_error"].is_null() && health["gate"]["state"] == "closed", "{health}");
        assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0));
    }
}

#[test]
fn the_time_of_an_impatient_client_is_no_failure_of_the_deployment() {
    let mut bench = Bench::started(&routes("", ""));
    bench.add_header("x-stainless-timeout", "2");
    for _ in 0..8 {
        bench.script([Script::silence(), Script::silence()]);
        assert_eq!(bench.chat(CHAT).status, 504);
    }
    for health in bench.health() {
        let health = serde_json::to_value(&health).unwrap();
        assert!(health["last_error"].is_null() && health["gate"]["state"] == "closed", "{health}");
    }
}
