//! Drills: faults that a request asks for, and faults that an administrator sets for a time.

use serde_json::Value;

use super::fake::{Bench, Script, Step};
use super::{ANSWER, CHAT, FIRST, LAST, STREAM, routes};
use crate::times::ms;

const RESPONSES: &str = r#"{"model":"m","stream":true,"input":"hi"}"#;

/// A gateway whose next requests ask for these faults, with the admin token beside the client's
/// key.
fn drilled(settings: &str, model: &str, faults: &str) -> Bench {
    let bench = Bench::started(&routes(settings, model));
    bench.add_header("x-switchyard-fault", faults);
    bench.add_header("x-switchyard-admin-token", "admin");
    bench
}

fn stream() -> Script {
    Script::events(vec![Step::Bytes(format!("{FIRST}{LAST}"))])
}

#[test]
fn a_fault_before_the_commit_point_leads_to_the_next_deployment() {
    let complete = r#", "commit": "complete""#;
    for (fault, body, model, trail, reason) in [
        ("429", CHAT, "", "first=rate_limit;0;drill, second=200;10", "drill"),
        ("500", CHAT, "", "first=unavailable;0;drill, second=200;10", "drill"),
        ("hang", CHAT, "", "first=timeout;2000;drill, second=200;10", "headers"),
        ("cut", CHAT, "", "first=connection;0;drill, second=200;10", "connection"),
        ("429", STREAM, "", "first=rate_limit;0;drill, second=200;10", "drill"),
        ("500", STREAM, "", "first=unavailable;0;drill, second=200;10", "drill"),
        ("hang", STREAM, "", "first=timeout;2000;drill, second=200;10", "headers"),
        ("cut", STREAM, complete, "first=connection;0;drill, second=200;10", "connection"),
    ] {
        let mut bench = drilled(r#", "timeout": {"headers_ms": 2000}"#, model, &format!("first={fault}"));
        bench.script([if body == STREAM { stream() } else { Script::json(200, ANSWER) }]);
        let answer = bench.chat(body);
        assert_eq!((answer.status, answer.header("x-switchyard-trail")), (200, trail), "{fault}");
        assert!(!answer.text().contains("drill"), "{fault}: {}", answer.text());
        assert_eq!(bench.calls().len(), 1, "{fault}: only the second deployment was called");
        assert_eq!(bench.calls()[0].request.url, "https://second/v1/chat/completions");
        let record = bench.record();
        assert_eq!(record["drill"], true, "{fault}");
        assert_eq!(record["attempts"][0]["drill"], true, "{fault}");
        assert_eq!(record["attempts"][0]["reason"], reason, "{fault}");
        assert_eq!(record["attempts"][1].get("drill"), None, "{fault}");
        assert_eq!((bench.open_waits(), bench.in_flight(), bench.last_error().as_str()), (0, 0, ""));
    }
}

#[test]
fn a_stream_that_is_cut_breaks_off_after_its_first_part() {
    for (path, body, part) in [
        ("/v1/chat/completions", STREAM, "\"content\":\"Drill\""),
        ("/v1/responses", RESPONSES, "\"delta\":\"Drill\""),
    ] {
        let mut bench = drilled("", "", "first=cut");
        let answer = bench.request("POST", path, body);
        let text = answer.text();
        assert_eq!(answer.header("content-type"), "text/event-stream");
        assert!(text.contains(part), "{text}");
        assert!(text.contains("upstream_truncated") && !text.contains("[DONE]"), "{text}");
        assert!(bench.calls().is_empty(), "nothing was sent");
        let record = bench.record();
        assert_eq!((&record["outcome"], &record["deployment"]), (&"truncated".into(), &"first".into()));
        assert_eq!((&record["usage"]["output_tokens"], &record["drill"]), (&0.into(), &true.into()));
        assert_eq!((bench.open_waits(), bench.in_flight(), bench.last_error().as_str()), (0, 0, ""));
    }
}

#[test]
fn if_every_attempt_is_faulty_the_client_gets_the_error_of_a_provider() {
    let mut bench = drilled("", "", "first=500, second=429");
    let answer = bench.chat(CHAT);
    assert_eq!((answer.status, answer.header("retry-after")), (429, "1"));
    let error: Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!(
        (&error["error"]["code"], &error["error"]["type"]),
        (&"drill".into(), &"rate_limit_error".into())
    );
    assert!(bench.calls().is_empty());
}

#[test]
fn a_drill_of_a_request_leaves_nothing_in_what_is_known_of_its_deployment() {
    for fault in ["429", "500", "hang", "cut"] {
        let mut bench = drilled("", "", &format!("first={fault}"));
        let before = serde_json::to_value(bench.health()).unwrap();
        for body in [CHAT, STREAM].repeat(6) {
            bench.script([if body == STREAM { stream() } else { Script::json(200, ANSWER) }]);
            bench.chat(body);
            bench.drop_scripts();
        }
        let after = serde_json::to_value(bench.health()).unwrap();
        for member in ["gate", "last_error", "consecutive_failures", "in_flight", "successes", "failures"] {
            assert_eq!(after[0][member], before[0][member], "{fault}: {member}");
        }
        bench.usual_clients();
        bench.script([Script::json(200, ANSWER)]);
        assert!(bench.chat(CHAT).header("x-switchyard-trail").starts_with("first=200"), "{fault}");
    }
}

#[test]
fn a_drill_costs_nothing_and_its_data_point_says_so() {
    let priced = routes("", "").replace(
        r#""model": "up-first""#,
        r#""model": "up-first", "cost": {"input": 1, "output": 2, "request": 0.5}"#,
    );
    let mut bench = Bench::started(&priced);
    bench.add_header("x-switchyard-fault", "first=cut");
    bench.add_header("x-switchyard-admin-token", "admin");
    bench.chat(STREAM);
    assert_eq!(bench.record().get("micro_usd"), None);
    let point = bench.points().pop().unwrap();
    assert_eq!(point.split('\n').nth(17), Some("drill"));
}

#[test]
fn an_administrator_uses_all_models_without_a_key_of_a_client() {
    let open = routes("", "");
    let closed = open.replace(r#""models": ["*"]"#, r#""models": ["o*"]"#);
    let clients = r#""clients": {"app": {"key": "${SWITCHYARD_KEY}", "models": ["*"]}},"#;
    let nobody = open.replace(clients, "");
    assert_ne!((&closed, &nobody), (&open, &open));
    for document in [open, closed, nobody] {
        let mut bench = Bench::started(&document);
        bench.use_key("admin");
        assert_eq!(bench.chat(CHAT).status, 401, "it is the key of no client");
        bench.add_header("x-switchyard-fault", "first=500");
        bench.script([Script::json(200, ANSWER)]);
        let answer = bench.chat(CHAT);
        assert_eq!(answer.header("x-switchyard-deployment"), "second", "{}", answer.text());
        assert_eq!(bench.record()["client"], "admin");
    }
}

#[test]
fn nobody_asks_for_a_fault_without_the_admin_token() {
    for (key, token, status, code) in [
        ("sk-app", None, 403, "fault_not_allowed"),
        ("sk-app", Some("viewer"), 403, "fault_not_allowed"),
        ("sk-app", Some("sk-app"), 403, "fault_not_allowed"),
        ("viewer", None, 403, "fault_not_allowed"),
        ("nobody", None, 403, "fault_not_allowed"),
        ("nobody", Some("admin"), 401, "invalid_api_key"),
    ] {
        let mut bench = Bench::started(&routes("", ""));
        bench.use_key(key);
        bench.add_header("x-switchyard-fault", "first=500");
        if let Some(token) = token {
            bench.add_header("x-switchyard-admin-token", token);
        }
        let answer = bench.chat(CHAT);
        let error: Value = serde_json::from_str(&answer.text()).unwrap();
        assert_eq!((answer.status, &error["error"]["code"]), (status, &code.into()), "{key} {token:?}");
        assert!(bench.calls().is_empty());
    }
}

#[test]
fn a_fault_that_does_not_exist_gets_the_nearest_name_after_the_token_was_checked() {
    let mut bench = drilled("", "", "frist=500");
    let answer = bench.chat(CHAT);
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("Did you mean 'first'?"), "{}", answer.text());
    let mut bench = Bench::started(&routes("", ""));
    bench.add_header("x-switchyard-fault", "frist=500");
    assert!(!bench.chat(CHAT).text().contains("first"), "names are for administrators");
}

#[test]
fn neither_the_token_nor_the_fault_is_sent_on() {
    let mut bench = drilled("", "", "second=500");
    bench.script([Script::json(200, ANSWER)]);
    assert!(bench.chat(CHAT).header("x-switchyard-trail").starts_with("first=200;10"));
    let call = &bench.calls()[0].request;
    for name in ["x-switchyard-fault", "x-switchyard-admin-token"] {
        assert!(call.withheld.lines().any(|withheld| withheld == name), "{name}");
    }
    assert_eq!(bench.record().get("drill"), None, "no attempt was faulty");
}

#[test]
fn a_client_that_leaves_during_a_fault_leaves_nothing_behind() {
    let mut bench = drilled("", "", "first=hang");
    assert!(bench.chat_until(CHAT, ms(500)).is_none());
    bench.finish();
    assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0));
    assert_eq!(bench.record()["outcome"], "client_left");
}
