//! Every request ends in one record, whatever becomes of it.

use serde_json::{Value, json};
use switchyard::counters::Family;

use crate::fake::{Bench, Script, Step};
use crate::times::ms;
use crate::{ANSWER, CHAT, FIRST, LAST, LIMITED, NEXT, OVERLOADED, STREAM, routes};

fn bytes(text: &str) -> Step {
    Step::Bytes(text.to_owned())
}

/// The cell of output tokens in a series of usage.
const OUTPUT_CELL: usize = 2;

/// A stream that begins, and continues with these steps.
fn stream(steps: impl IntoIterator<Item = Step>) -> Script {
    Script::events([bytes(FIRST)].into_iter().chain(steps).collect())
}

#[test]
fn a_record_says_who_served_what_and_how() {
    let mut bench = Bench::started(&routes("", ""));
    bench.add_header("cf-ray", "8f2b1c-FRA");
    bench.add_header("cf-ipcountry", "DE");
    bench.add_header("traceparent", "00-11111111111111112222222222222222-00f067aa0ba902b7-01");
    let headers: &'static [_] = &[("x-request-id", "req-up"), ("cf-aig-log-id", "01LOG")];
    bench.script([Script::json(503, OVERLOADED), Script { headers, ..Script::json(200, ANSWER) }]);
    let answer = bench.chat(CHAT);
    let mut record = bench.record();
    let routes = answer.header("x-switchyard-routes");
    assert_eq!(record["request_id"].take(), answer.header("x-switchyard-request-id"));
    assert_eq!(
        record,
        json!({
            "v": 1, "event": "request", "time": "2026-01-01T00:00:01.000Z",
            "request_id": null, "trace_id": "11111111111111112222222222222222",
            "outcome": "ok", "status": 200,
            "client": "app", "operation": "chat/completions", "model": "m", "stream": false,
            "deployment": "second", "provider": "openai", "upstream_model": "up-second", "fallback": true,
            "attempts": [
                {
                    "deployment": "first", "outcome": "unavailable", "reason": "server_error", "status": 503,
                    "at_ms": 0, "ms": 10,
                },
                {"deployment": "second", "outcome": "ok", "status": 200, "at_ms": 10, "ms": 10},
            ],
            "ms": {"total": 20, "upstream": 20, "backoff": 0, "own": 0},
            "usage": {"input_tokens": 0, "output_tokens": 3, "estimated": false},
            "routes": routes, "colo": "FRA", "country": "DE", "cf_ray": "8f2b1c-FRA",
            "cf_aig_log_id": "01LOG", "upstream_request_id": "req-up",
        })
    );
    assert_eq!(bench.points().len(), 1);
    let point = bench.points().remove(0);
    let lines: Vec<_> = point.split('\n').collect();
    assert_eq!(lines.len(), 19, "an index, 17 blobs, and the doubles");
    let blobs = [
        "app",
        "m",
        "second",
        "openai",
        "up-second",
        "chat/completions",
        "ok",
        "first=unavailable;10, second=200;10",
        routes,
        "FRA",
        "DE",
        "01LOG",
        "unavailable",
        "whole",
        "",
        "",
    ];
    assert_eq!(lines[0], "app");
    assert_eq!(lines[1], answer.header("x-switchyard-request-id"));
    assert_eq!(lines[2..18], blobs);
    assert_eq!(lines[18], "200 2 1 20 0 20 0 0 0 0 3 0 0 0.000 0 0 0 1");
}

#[test]
fn each_end_of_a_request_has_its_outcome() {
    let wrong_key = || Bench::started(&routes("", "").replace("SWITCHYARD_KEY", "OTHER_KEY"));
    let usual = || Bench::started(&routes("", ""));
    let overloaded = || vec![Script::json(503, OVERLOADED), Script::json(503, OVERLOADED)];
    let unknown = CHAT.replace("\"m\"", "\"n\"");
    for (bench, body, scripts, expected) in [
        (usual(), CHAT, vec![Script::json(200, ANSWER)], ["ok", "", "200", "app", "m", "first"]),
        (usual(), CHAT, overloaded(), ["unavailable", "server_error", "503", "app", "m", "second"]),
        (wrong_key(), CHAT, vec![], ["invalid_api_key", "", "401", "", "", ""]),
        (usual(), &unknown, vec![], ["model_not_found", "", "404", "app", "", ""]),
        (usual(), "{", vec![], ["invalid_json", "", "400", "app", "", ""]),
        (usual(), STREAM, vec![stream([bytes(LAST)])], ["ok", "", "200", "app", "m", "first"]),
        (
            usual(),
            STREAM,
            vec![stream([Step::Break])],
            ["truncated", "connection", "200", "app", "m", "first"],
        ),
        (
            usual(),
            STREAM,
            vec![stream([bytes(NEXT)])],
            ["truncated", "truncated", "200", "app", "m", "first"],
        ),
    ] {
        let mut bench = bench;
        bench.script(scripts);
        bench.chat(body);
        assert_eq!(of(&bench), [expected], "{body}");
        assert_eq!(bench.points().len(), 1);
    }
}

#[test]
fn a_request_that_no_deployment_may_serve_has_what_kept_it_from_them_as_its_reason() {
    let mut bench = Bench::started(&routes("", r#", "when_all_ejected": "fail""#));
    for (name, reason) in [("first", ""), ("second", "drained")] {
        bench.admin("POST", &format!("/admin/api/deployments/{name}/drain"), "");
        bench.script([Script::json(200, ANSWER)]);
        bench.chat(CHAT);
        assert_eq!(bench.record()["reason"].as_str().unwrap_or_default(), reason, "{name} is drained too");
    }
    assert_eq!(bench.record()["outcome"], "no_eligible_deployment");
}

#[test]
fn an_error_has_the_upstreams_request_id_or_else_that_of_the_gateway() {
    let own = "x-switchyard-request-id";
    let mut bench = Bench::started(&routes("", ""));
    let unknown = bench.chat(&CHAT.replace("\"m\"", "\"n\""));
    assert_eq!((unknown.status, unknown.header("x-request-id")), (404, unknown.header(own)));
    assert!(!unknown.header(own).is_empty());
    let headers: &'static [_] = &[("x-request-id", "req-up"), ("cf-aig-log-id", "01LOG")];
    let error = r#"{"error":{"message":"No.","type":"invalid_request_error","code":null,"param":null}}"#;
    bench.script([Script { headers, ..Script::json(400, error) }]);
    let refused = bench.chat(CHAT);
    assert_eq!((refused.status, refused.header("x-request-id")), (400, "req-up"));
    let record = bench.record();
    assert_eq!(record["upstream_request_id"], "req-up");
    assert_eq!(record["cf_aig_log_id"], "01LOG");
}

#[test]
fn the_first_token_has_a_time_where_the_answer_was_held_until_it() {
    for (model, expected) in
        [("", Some(40)), (r#", "commit": "headers""#, None), (r#", "commit": "complete""#, None)]
    {
        let mut bench = Bench::started(&routes("", model));
        let steps = vec![Step::Pause(ms(30)), bytes(FIRST), Step::Pause(ms(50)), bytes(LAST)];
        bench.script([Script::events(steps)]);
        bench.chat(STREAM);
        assert_eq!(bench.record()["ms"]["first_token"].as_u64(), expected, "{model}");
    }
}

#[test]
fn a_request_that_fails_after_its_deadline_has_the_class_of_its_last_failure() {
    let mut bench = Bench::started(&routes("", r#", "deadline_ms": 500"#));
    let steps = vec![bytes(LIMITED), Step::Hang];
    bench.script([Script { status: 429, content_type: "application/json", ..Script::events(steps) }]);
    assert_eq!(bench.chat(CHAT).status, 429);
    assert_eq!(of(&bench), [["rate_limit", "rate_limit_exceeded", "429", "app", "m", "first"]]);
}

/// Outcome, reason, status, client, model and deployment of each record.
fn of(bench: &Bench) -> Vec<[String; 6]> {
    let text =
        |value: &Value| value.as_str().map_or_else(|| value.to_string().replace("null", ""), str::to_owned);
    let names = ["outcome", "reason", "status", "client", "model", "deployment"];
    bench.records().iter().map(|record| names.map(|name| text(&record[name]))).collect()
}

#[test]
fn a_client_that_leaves_is_recorded_in_each_phase() {
    let silence = || vec![Script::silence()];
    let flowing = || vec![stream([bytes(NEXT), Step::Hang])];
    for (body, scripts, uploads, expected) in [
        (CHAT, silence(), false, ["client_left", "", "499", "app", "m", "first"]),
        (STREAM, silence(), false, ["client_left", "", "499", "app", "m", "first"]),
        (STREAM, flowing(), false, ["client_left", "", "200", "app", "m", "first"]),
        (CHAT, silence(), true, ["client_left", "", "499", "app", "", ""]),
    ] {
        let mut bench = Bench::started(&routes("", ""));
        bench.script(scripts);
        if uploads {
            bench.hang_upload();
        }
        drop(bench.chat_until(body, ms(5_000)));
        bench.finish();
        assert_eq!(of(&bench), [expected], "{body}");
    }
}

#[test]
fn a_client_that_gets_comments_has_the_status_of_a_stream_whatever_follows() {
    let document = routes(r#", "keepalive_ms": 1000"#, r#", "commit": "complete""#);
    let late = || stream([Step::Pause(ms(5_000)), Step::Break]);
    let mut bench = Bench::started(&document);
    bench.script([late(), late()]);
    assert_eq!(bench.chat(STREAM).status, 200);
    assert_eq!(of(&bench), [["connection", "connection", "200", "app", "m", "second"]]);
    let mut bench = Bench::started(&document);
    bench.script([late()]);
    drop(bench.chat_until(STREAM, ms(3_000)));
    bench.finish();
    assert_eq!(of(&bench), [["client_left", "", "200", "app", "m", "first"]]);
}

#[test]
fn a_sample_leaves_out_requests_without_a_failure_alone() {
    let log = |sample: &str| format!(r#", "log": {{"sample": {sample}}}"#);
    let count = |sample: &str, scripts: [Script; 1], requests: usize| {
        let mut bench = Bench::started(&routes(&log(sample), ""));
        for _ in 0..requests {
            bench.script(scripts.clone());
            bench.chat(CHAT);
            bench.drop_scripts();
        }
        assert_eq!(bench.points().len(), requests, "a data point has no sample");
        bench.records().len()
    };
    assert_eq!(count("0", [Script::json(200, ANSWER)], 20), 0);
    assert_eq!(count("1", [Script::json(200, ANSWER)], 20), 20);
    let half = count("0.5", [Script::json(200, ANSWER)], 200);
    assert!((60..140).contains(&half), "{half}");
    assert_eq!(count("0", [Script::json(400, OVERLOADED)], 2), 2);
}

#[test]
fn what_the_gateway_tells_of_itself_makes_no_record() {
    let mut bench = Bench::started(&routes("", ""));
    for path in ["/healthz", "/v1/models", "/v1/models/m"] {
        assert_eq!(bench.request("GET", path, "").status, 200, "{path}");
    }
    assert_eq!((bench.records().len(), bench.points().len()), (0, 0));
    assert_eq!(bench.request("GET", "/admin/api/health", "").status, 401);
    assert_eq!(bench.record()["outcome"], "invalid_admin_token");
}

#[test]
fn each_call_continues_the_trace() {
    let mut bench = Bench::started(&routes("", ""));
    bench.add_header("traceparent", "00-11111111111111112222222222222222-00f067aa0ba902b7-01");
    bench.add_header("tracestate", "vendor=1");
    bench.script([Script::json(503, OVERLOADED), Script::json(200, ANSWER)]);
    bench.chat(CHAT);
    let sent: Vec<_> = bench
        .calls()
        .iter()
        .map(|call| call.request.headers.get("traceparent").unwrap().to_owned())
        .collect();
    assert!(sent.iter().all(|parent| parent.starts_with("00-11111111111111112222222222222222-")), "{sent:?}");
    assert!(sent[0] != sent[1], "each call is a span of its own");
    assert!(!bench.calls()[0].request.withheld.contains("tracestate"));
}

#[test]
fn a_trace_that_is_not_valid_is_replaced_with_its_state() {
    let mut bench = Bench::started(&routes("", ""));
    bench.add_header("traceparent", "00-0-0-0");
    bench.add_header("tracestate", "vendor=1");
    bench.script([Script::json(200, ANSWER)]);
    let id = bench.chat(CHAT).header("x-switchyard-request-id").replace("req_", "00-");
    let request = &bench.calls()[0].request;
    assert!(request.headers.get("traceparent").unwrap().starts_with(&id));
    assert!(request.withheld.contains("tracestate\n"));
}

#[test]
fn a_traced_request_has_spans_of_its_attempts_with_the_attributes_of_the_conventions() {
    let mut bench = Bench::started(&routes("", ""));
    bench.script([Script::json(503, OVERLOADED), Script::json(200, ANSWER)]);
    bench.chat(CHAT);
    assert_eq!(bench.spans(), Vec::<String>::new(), "nothing is made that nobody records");
    bench.trace();
    bench.script([Script::json(503, OVERLOADED), Script::json(200, ANSWER)]);
    let id = bench.chat(CHAT).header("x-switchyard-request-id").to_owned();
    let attributes = |number: u32, name: &str| {
        json!({
            "name": format!("chat up-{name}"), "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
            "gen_ai.request.model": format!("up-{name}"), "gen_ai.request.stream": false,
            "server.address": name, "switchyard.deployment": name, "switchyard.attempt": number,
        })
    };
    let failure = json!({"error.type": "unavailable", "http.response.status_code": 503, "switchyard.reason": "server_error"});
    let spans = bench.spans();
    let found: Vec<(&str, Value)> = spans
        .iter()
        .map(|span| span.split_at(span.find('{').unwrap()))
        .map(|(what, attributes)| (what, serde_json::from_str(attributes).unwrap()))
        .collect();
    let of_request = json!({
        "gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.request.stream": false,
        "gen_ai.usage.input_tokens": 0, "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.usage.output_tokens": 3, "gen_ai.usage.reasoning.output_tokens": 0,
        "gen_ai.response.id": "x", "gen_ai.response.finish_reasons": "stop",
        "switchyard.request_id": id, "switchyard.client": "app", "switchyard.deployment": "second",
        "switchyard.trail": "first=unavailable;10, second=200;10", "switchyard.usage.estimated": false,
        "switchyard.routes": bench.record()["routes"],
    });
    assert_eq!(
        found,
        [
            ("begin 1 ", attributes(1, "first")),
            ("end 1 ", failure),
            ("begin 2 ", attributes(2, "second")),
            ("end ", of_request),
        ]
    );
}

#[test]
fn a_span_says_which_model_answered_and_why_it_ended() {
    let response_of = |bench: &Bench| {
        let spans = bench.spans();
        let of_request = spans.iter().rfind(|span| span.starts_with("end {")).unwrap().split_at(4).1;
        let attributes: Value = serde_json::from_str(of_request).unwrap();
        ["id", "model", "finish_reasons"].map(|name| attributes[format!("gen_ai.response.{name}")].clone())
    };
    let mut bench = Bench::started(&routes(r#", "commit": "first_token""#, ""));
    bench.trace();
    let answer = r#"{"id":"c-\"1","object":"chat.completion","model":"gpt-4o-2024","choices":[
        {"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"},
        {"index":1,"message":{"role":"assistant","content":"b"},"finish_reason":"length"}]}"#;
    bench.script([Script::json(200, answer)]);
    bench.chat(CHAT);
    assert_eq!(response_of(&bench), [json!("c-\"1"), json!("gpt-4o-2024"), json!("stop,length")]);
    let first = FIRST.replace(r#""id":"x""#, r#""id":"c-2","model":"gpt-4o""#);
    bench.script([Script::events(vec![Step::Bytes(first.clone()), Step::Bytes(LAST.into())])]);
    bench.chat(STREAM);
    assert_eq!(response_of(&bench), [json!("c-2"), json!("gpt-4o"), Value::Null], "{first}");
    bench.script([Script::json(
        200,
        r#"{"id":7,"object":"chat.completion","model":null,"choices":[{"message":{"content":"a"}}]}"#,
    )]);
    bench.chat(CHAT);
    assert_eq!(response_of(&bench), [Value::Null, Value::Null, Value::Null]);
}

#[test]
fn no_view_has_a_key_that_an_upstream_quotes_as_its_reason() {
    let mut bench = Bench::started(&routes("", "").replace("${KEY}", "${LONG_KEY}"));
    bench.trace();
    let quoted = r#"{"error":{"message":"no","code":"sk-up-0123456789"}}"#;
    bench.script([Script::json(503, quoted), Script::json(200, ANSWER)]);
    bench.chat(CHAT);
    let views = [bench.record().to_string(), bench.spans().concat(), bench.points().concat()];
    for view in views {
        assert!(!view.contains("sk-up-0"), "{view}");
    }
    assert_eq!(bench.record()["attempts"][0]["reason"], "***");
}

#[test]
fn an_error_has_no_key_in_its_headers_either() {
    let mut bench = Bench::started(&routes("", "").replace("${KEY}", "${LONG_KEY}"));
    let headers = &[("x-request-id", "req-sk-up-0123456789-1"), ("openai-version", "2020")];
    let refused = r#"{"error":{"message":"bad sk\u002Dup-0123456789","type":"invalid_request_error"}}"#;
    bench.script([Script { headers, ..Script::json(400, refused) }]);
    let answer = bench.chat(CHAT);
    assert_eq!((answer.status, answer.header("x-request-id")), (400, "req-***-1"));
    assert!(answer.text().contains("bad ***"), "{}", answer.text());
}

#[test]
fn a_request_with_a_failure_can_be_looked_up_here_and_at_the_hub() {
    let mut bench = Bench::started(&routes("", ""));
    bench.with_objects();
    bench.script([Script::json(200, ANSWER)]);
    let served = bench.chat(CHAT).header("x-switchyard-request-id").to_owned();
    bench.script([Script::json(503, OVERLOADED), Script::json(200, ANSWER)]);
    let id = bench.chat(CHAT).header("x-switchyard-request-id").to_owned();
    let record = bench.record();
    let find = |bench: &mut Bench, id: &str| bench.admin("GET", &format!("/admin/api/requests/{id}"), "");
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(json(&find(&mut bench, &id).text()), record, "this isolate knows it");
    let unknown = find(&mut bench, &served);
    assert_eq!(unknown.status, 404, "nothing failed in it");
    assert!(unknown.text().contains("request_not_found"), "{}", unknown.text());
    bench.pass(ms(20_000));
    bench.finish();
    bench.new_isolate();
    assert_eq!(json(&find(&mut bench, &id).text()), record, "the hub knows it");
    assert_eq!(json(&bench.admin("GET", "/admin/api/requests", "").text()), json!([record]));
    bench.lose_object("default/hub");
    assert_eq!(find(&mut bench, &id).status, 503);
}

#[test]
fn whoever_has_no_key_does_not_displace_the_records_of_clients() {
    let mut bench = Bench::started(&routes("", ""));
    bench.with_objects();
    bench.script([Script::json(400, OVERLOADED)]);
    let id = bench.chat(CHAT).header("x-switchyard-request-id").to_owned();
    bench.use_key("sk-wrong");
    for _ in 0..500 {
        assert_eq!(bench.chat(CHAT).status, 401);
    }
    assert_eq!(bench.admin("GET", &format!("/admin/api/requests/{id}"), "").status, 200);
}

#[test]
fn usage_and_cost_are_in_the_headers_of_an_answer_in_one_piece_where_the_document_allows() {
    let priced = |expose: &str| {
        let expose = format!(r#", "expose": {{{expose}}}"#);
        let price = r#""model": "up-first", "cost": {"input": 2.5, "output": 10}"#;
        routes(&expose, "").replace(r#""model": "up-first""#, price)
    };
    let answer = ANSWER.replace(r#"{"completion_tokens":3}"#, r#"{"prompt_tokens":9,"completion_tokens":3}"#);
    for (expose, body, usage, cost) in [
        ("", CHAT, "", ""),
        (r#""usage": true, "cost": true"#, CHAT, "input=9, output=3", "0.000053"),
        (r#""usage": true, "cost": true"#, STREAM, "", ""),
    ] {
        let mut bench = Bench::started(&priced(expose));
        bench.script([if body == STREAM { stream([bytes(LAST)]) } else { Script::json(200, &answer) }]);
        let answer = bench.chat(body);
        assert_eq!((answer.header("x-switchyard-usage"), answer.header("x-switchyard-cost")), (usage, cost));
        let estimated = json!({"input_tokens": 17, "output_tokens": 3, "estimated": true});
        let (used, micro_usd) = match body {
            STREAM => (estimated, 73),
            _ => (json!({"input_tokens": 9, "output_tokens": 3, "estimated": false}), 53),
        };
        assert_eq!((&bench.record()["usage"], &bench.record()["micro_usd"]), (&used, &json!(micro_usd)));
    }
}

#[test]
fn the_price_of_a_request_counts_when_a_response_is_created_and_not_when_it_is_read() {
    let priced = r#""model": "up-first", "cost": {"output": 10, "request": 0.01}"#;
    let mut bench = Bench::started(&routes("", "").replace(r#""model": "up-first""#, priced));
    let response = |status: &str, usage: &str| {
        format!(
            r#"{{"id":"resp_1","object":"response","status":"{status}","background":true,"output":[],"usage":{usage}}}"#
        )
    };
    let done = response("completed", r#"{"input_tokens":1,"output_tokens":2}"#);
    let read = ("GET", "/v1/responses/resp_1", "");
    for ((method, path, body), answer, micro_usd) in [
        (
            ("POST", "/v1/responses", r#"{"model":"m","input":"hi","background":true}"#),
            response("queued", "null"),
            10_000,
        ),
        (read, response("in_progress", "null"), 0),
        (read, done.clone(), 20),
        (read, done, 0),
    ] {
        bench.script([Script::json(200, &answer)]);
        assert_eq!(bench.request(method, path, body).status, 200);
        assert_eq!(bench.record()["micro_usd"], micro_usd, "{method} {answer}");
    }
}

#[test]
fn what_a_provider_charges_for_a_failed_attempt_is_counted_to_its_deployment() {
    let failed = r#"{"error":{"message":"overloaded","type":"server_error"},"usage":{"prompt_tokens":9,"completion_tokens":30}}"#;
    let held = routes("", r#", "commit": "complete""#);
    let broken = || stream([bytes(NEXT), bytes(NEXT), Step::Break]);
    let answered = stream([bytes(NEXT), bytes(LAST)]);
    let reported = json!({"input_tokens": 9, "output_tokens": 30, "estimated": false});
    let whole = ANSWER.replace(r#""usage":{"#, r#""usage":{"prompt_tokens":9,"#).replace(":3}", ":30}");
    let whole = || Script::json(200, &whole);
    let events = |text: &str| Script { content_type: "text/event-stream", ..Script::json(200, text) };
    let answers = || stream([bytes(NEXT), bytes(LAST)]);
    let failing = |status| [Script::json(status, failed), Script::json(200, ANSWER)];
    for (document, body, scripts, expected) in [
        (routes("", ""), CHAT, failing(200), reported.clone()),
        (routes("", ""), CHAT, failing(500), reported.clone()),
        (routes("", ""), CHAT, failing(429), reported.clone()),
        // A whole answer where a stream was asked for, whatever it declares.
        (routes("", ""), STREAM, [whole(), answers()], reported.clone()),
        (held.clone(), STREAM, [whole(), answers()], reported.clone()),
        (routes("", ""), STREAM, [events(failed), answers()], reported),
        (
            held,
            STREAM,
            [broken(), answered],
            json!({"input_tokens": 17, "output_tokens": 3, "estimated": true}),
        ),
    ] {
        let mut bench = Bench::started(&document);
        bench.with_objects();
        bench.script(scripts);
        bench.chat(body);
        let record = bench.record();
        assert_eq!((&record["deployment"], &record["attempts"][0]["usage"]), (&"second".into(), &expected));
        bench.pass(ms(20_000));
        bench.finish();
        let tokens = bench.gathered("default/hub").sum(Family::Usage, &[(2, "first")], OUTPUT_CELL);
        assert_eq!(tokens, expected["output_tokens"]);
    }
}

#[test]
fn what_a_provider_charges_for_a_stream_that_nobody_waits_for_is_counted_to_its_deployment() {
    let held = |hedge: &str| routes("", &format!(r#", "commit": "complete"{hedge}"#));
    let slow = || stream([bytes(NEXT), bytes(NEXT), Step::Hang]);
    let charged = json!({"input_tokens": 17, "output_tokens": 3, "estimated": true});
    // The client leaves while the answer is held.
    let mut left = Bench::started(&held(""));
    left.with_objects();
    left.script([slow()]);
    drop(left.chat_until(STREAM, ms(3_000)));
    // A hedge is faster.
    let mut hedged = Bench::started(&held(r#", "hedge": {"after": 1000, "max_share": 1}"#));
    hedged.with_objects();
    hedged.script([slow(), stream([bytes(LAST)])]);
    hedged.chat(STREAM);
    for (mut bench, outcome) in [(left, "client_left"), (hedged, "ok")] {
        bench.finish();
        let record = bench.record();
        assert_eq!(record["outcome"], outcome);
        let attempt = &record["attempts"][0];
        assert_eq!((&attempt["outcome"], &attempt["usage"]), (&"abandoned".into(), &charged), "{outcome}");
        bench.pass(ms(20_000));
        bench.finish();
        let tokens = bench.gathered("default/hub").sum(Family::Usage, &[(2, "first")], OUTPUT_CELL);
        assert_eq!(tokens, 3, "{outcome}");
    }
}

#[test]
fn an_attempt_that_fails_before_the_model_has_worked_is_free() {
    let mut bench = Bench::started(&routes("", ""));
    bench.script([Script::json(503, OVERLOADED), Script::json(200, ANSWER)]);
    bench.chat(CHAT);
    assert_eq!(bench.record()["attempts"][0].get("usage"), None);
}

#[test]
fn a_request_that_is_refused_has_the_operation_of_its_path() {
    let mut bench = Bench::started(&routes("", ""));
    bench.chat(&CHAT.replace("\"m\"", "\"n\""));
    assert_eq!(bench.record()["operation"], "chat/completions");
    bench.request("POST", "/v1/nothing", CHAT);
    assert_eq!(bench.record().get("operation"), None);
}

#[test]
fn an_attempt_whose_stream_breaks_is_counted_as_failed() {
    for (script, outcome) in [(stream([Step::Break]), "truncated"), (stream([bytes(LAST)]), "ok")] {
        let mut bench = Bench::started(&routes("", ""));
        bench.with_objects();
        bench.script([script]);
        bench.chat(STREAM);
        bench.pass(ms(20_000));
        bench.finish();
        let attempts =
            |outcome| bench.gathered("default/hub").sum(Family::Attempts, &[(0, "first"), (1, outcome)], 0);
        assert_eq!(attempts(outcome), 1, "{outcome}");
    }
}

#[test]
fn the_outcome_of_a_search_is_that_of_the_error_that_the_client_gets() {
    let unknown = r#"{"error":{"message":"No such batch","type":"invalid_request_error","code":null}}"#;
    let mut bench = Bench::started(&routes("", ""));
    bench.script([Script::json(503, OVERLOADED), Script::json(404, unknown)]);
    let answer = bench.request("GET", "/v1/batches/batch_1", "");
    assert_eq!((answer.status, &bench.record()["outcome"]), (503, &"unavailable".into()));
}
