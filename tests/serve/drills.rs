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

/// A gateway with objects and a registry, in contact with its shard.
fn shared() -> Bench {
    let mut bench = Bench::started(&routes("", ""));
    bench.with_objects();
    bench.with_registry();
    serve(&mut bench);
    bench
}

/// The trail of a request that the deployments would serve. What waits in the background goes on
/// waiting.
fn serve(bench: &mut Bench) -> String {
    bench.script([Script::json(200, ANSWER), Script::json(200, ANSWER)]);
    let trail = bench.begin_chat(CHAT).header("x-switchyard-trail").to_owned();
    bench.drop_scripts();
    trail
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("{text}"))
}

fn set(bench: &mut Bench, body: &Value) -> Value {
    let answer = bench.admin("POST", "/admin/api/faults", &body.to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    json(&answer.text())
}

fn faults(bench: &mut Bench) -> Value {
    json(&bench.admin("GET", "/admin/api/faults", "").text())["faults"].take()
}

#[test]
fn a_fault_for_a_time_ejects_its_deployment_and_ends_by_itself() {
    let mut bench = shared();
    let fault = set(&mut bench, &serde_json::json!({"deployment": "first", "fault": "500", "seconds": 30}));
    assert_eq!(
        (&fault["deployment"], &fault["fault"], &fault["share"]),
        (&"first".into(), &"500".into(), &100.into())
    );
    let began_at = bench.now();
    let mut trails = Vec::new();
    while bench.now() < began_at + ms(25_000) {
        trails.push(serve(&mut bench));
        bench.pass(ms(200));
    }
    assert!(trails[0].starts_with("first=unavailable;0;drill, second=200"), "{}", trails[0]);
    assert!(trails.iter().all(|trail| trail.contains("second=200")), "{trails:?}");
    assert!(trails.iter().filter(|trail| trail.starts_with("second=")).count() > 50, "it is ejected");
    assert_eq!(bench.last_error(), "unavailable", "health learns from it");
    bench.pass(ms(60_000));
    let mut trails: Vec<_> = (0..40)
        .map(|_| {
            bench.pass(ms(1_000));
            serve(&mut bench)
        })
        .collect();
    assert!(trails.iter().all(|trail| !trail.contains("drill")), "{trails:?}");
    assert!(trails.pop().unwrap().starts_with("first=200"), "it has recovered");
}

#[test]
fn every_isolate_learns_a_fault_and_its_end_and_an_eviction_loses_nothing() {
    let mut bench = shared();
    set(
        &mut bench,
        &serde_json::json!({"deployment": "first", "fault": "500", "share": 100, "seconds": 600}),
    );
    bench.evict_objects();
    bench.new_isolate();
    serve(&mut bench);
    bench.pass(ms(5_000));
    assert!(serve(&mut bench).starts_with("first=unavailable;0;drill"));
    assert_eq!(
        json(&bench.admin("DELETE", "/admin/api/faults/first", "").text())["ended"],
        serde_json::json!(["first"])
    );
    bench.new_isolate();
    serve(&mut bench);
    bench.pass(ms(10_000));
    assert!(serve(&mut bench).starts_with("first=200"));
}

#[test]
fn a_fault_ends_in_time_although_no_object_can_be_reached() {
    let mut bench = shared();
    set(&mut bench, &serde_json::json!({"deployment": "first", "fault": "500", "seconds": 60}));
    for object in ["default/enam", "default/hub"] {
        bench.lose_object(object);
    }
    assert!(serve(&mut bench).contains("drill"));
    assert_eq!(faults(&mut bench)[0]["deployment"], "first", "this isolate knows it");
    bench.pass(ms(60_000));
    assert!(!serve(&mut bench).contains("drill"));
    assert_eq!(faults(&mut bench), serde_json::json!([]));
}

#[test]
fn a_fault_of_a_share_answers_some_of_the_attempts() {
    let mut bench = shared();
    set(
        &mut bench,
        &serde_json::json!({"deployment": "first", "fault": "429", "share": 20, "seconds": 3_600}),
    );
    let struck = (0..200)
        .filter(|_| {
            bench.pass(ms(2_000));
            serve(&mut bench).contains("drill")
        })
        .count();
    assert!((15..70).contains(&struck), "{struck} of 200");
}

#[test]
fn the_latest_fault_of_a_deployment_counts_and_all_end_at_once() {
    let mut bench = shared();
    set(&mut bench, &serde_json::json!({"deployment": "first", "fault": "500", "seconds": 60}));
    set(&mut bench, &serde_json::json!({"deployment": "first", "fault": "cut", "share": 5, "why": "b"}));
    set(&mut bench, &serde_json::json!({"deployment": "second", "fault": "hang"}));
    bench.pass(ms(500));
    let listed = faults(&mut bench);
    assert_eq!(
        listed,
        serde_json::json!([
            {"deployment": "first", "fault": "cut", "share": 5, "remaining_ms": 59_500, "why": "b"},
            {"deployment": "second", "fault": "hang", "share": 100, "remaining_ms": 59_500, "why": null},
        ])
    );
    let health = json(&bench.admin("GET", "/admin/api/health", "").text());
    assert_eq!(health["deployments"][0]["fault"]["fault"], "cut");
    assert_eq!(
        json(&bench.admin("DELETE", "/admin/api/faults", "").text())["ended"],
        serde_json::json!(["first", "second"])
    );
    assert_eq!(faults(&mut bench), serde_json::json!([]));
    let health = json(&bench.admin("GET", "/admin/api/health", "").text());
    assert_eq!(health["deployments"][0]["fault"], Value::Null);
    assert!(serve(&mut bench).starts_with("first=200"));
}

#[test]
fn the_log_of_acts_has_the_beginning_and_the_end_with_the_reason() {
    let mut bench = shared();
    set(
        &mut bench,
        &serde_json::json!({"deployment": "first", "fault": "500", "share": 20, "why": "game day"}),
    );
    bench.admin("DELETE", "/admin/api/faults", "");
    bench.admin("POST", "/admin/api/faults", r#"{"deployment": "frist", "fault": "500"}"#);
    let log = json(&bench.admin("GET", "/admin/api/audit", "").text());
    let text = |act: &Value, name: &str| act[name].as_str().unwrap_or_default().to_owned();
    let mut acts: Vec<_> = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|act| ["what", "subject", "why", "result"].map(|name| text(act, name)).join("|"))
        .collect();
    acts.sort();
    assert_eq!(
        acts,
        [
            "fault.end|first||ok",
            "fault.start|first|500 20 % 60 s game day|ok",
            "fault.start|||deployment_not_found",
        ]
    );
}

#[test]
fn a_fault_needs_the_admin_token_a_deployment_and_a_valid_body() {
    let mut bench = shared();
    let valid = r#"{"deployment": "first", "fault": "500"}"#;
    for (method, path, body, status, code) in [
        (
            "POST",
            "/admin/api/faults",
            r#"{"deployment": "frist", "fault": "500"}"#,
            404,
            "deployment_not_found",
        ),
        ("POST", "/admin/api/faults", r#"{"deployment": "first", "fault": "503"}"#, 400, "invalid_json"),
        ("POST", "/admin/api/faults/first", valid, 405, "method_not_allowed"),
        ("DELETE", "/admin/api/faults/frist", "", 404, "deployment_not_found"),
    ] {
        let answer = bench.admin(method, path, body);
        assert_eq!((answer.status, &json(&answer.text())["error"]["code"]), (status, &code.into()), "{path}");
    }
    assert_eq!(
        json(&bench.admin("DELETE", "/admin/api/faults/first", "").text())["ended"],
        serde_json::json!([])
    );
    bench.use_key("viewer");
    assert_eq!(bench.request("POST", "/admin/api/faults", valid).status, 403);
    assert_eq!(bench.request("DELETE", "/admin/api/faults", "").status, 403);
    assert_eq!(bench.request("GET", "/admin/api/faults", "").text(), r#"{"faults":[]}"#);
}

#[test]
fn without_objects_a_fault_is_at_work_in_one_isolate_and_the_answer_says_so() {
    let mut bench = Bench::started(&routes("", ""));
    let body = r#"{"deployment": "first", "fault": "500"}"#;
    let answer = bench.admin("POST", "/admin/api/faults", body);
    assert_eq!((answer.status, &json(&answer.text())["error"]["code"]), (503, &"switch_not_shared".into()));
    assert!(serve(&mut bench).contains("drill"));
    assert_eq!(bench.admin("DELETE", "/admin/api/faults", "").status, 503);
    assert!(!serve(&mut bench).contains("drill"), "it ends here, whatever the objects do");
}
