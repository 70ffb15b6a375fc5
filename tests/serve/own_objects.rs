//! Clients with `objects: own`: each tries everything with the objects of the other.

use serde_json::{Value, json};

use super::fake::{Answer, Bench, Script, Step};
use super::routes;
use switchyard::vocabulary::time::Millis;

use crate::times::ms;

const WEB: &str = "sk-web";

/// Two clients that see only what they have made, `app` and `web`, with one account.
fn started() -> Bench {
    let mut document: Value = serde_json::from_str(&routes("", "")).unwrap();
    document["models"]["m"]["targets"] = json!(["first"]);
    document["clients"]["app"]["objects"] = json!("own");
    document["clients"]["web"] = json!({ "key": "${WEB_KEY}", "objects": "own" });
    let mut bench = Bench::new(&document.to_string());
    bench.set_variable("WEB_KEY", WEB);
    bench.request("GET", "/healthz", "");
    bench
}

/// The answer to a request of a client, for which the upstream has this one.
fn send(
    bench: &mut Bench,
    key: &'static str,
    (method, path, body): (&str, &str, &str),
    answer: &Value,
) -> Answer {
    bench.script([Script::json(200, &answer.to_string())]);
    bench.use_key(key);
    let answer = bench.request(method, path, body);
    bench.drop_scripts();
    bench.use_key("sk-app");
    answer
}

fn get(bench: &mut Bench, key: &'static str, path: &str) -> u16 {
    send(bench, key, ("GET", path, ""), &json!({ "id": "x" })).status
}

/// `app` makes this object.
fn make(bench: &mut Bench, path: &str, answer: &Value) {
    assert_eq!(send(bench, "sk-app", ("POST", path, "{}"), answer).status, 200);
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_str(&answer.text()).unwrap_or_else(|_| panic!("{answer:?}"))
}

#[test]
fn another_client_gets_at_an_object_in_no_way() {
    let mut bench = started();
    for (path, id) in [
        ("/v1/vector_stores", "vs_1"),
        ("/v1/batches", "batch_1"),
        ("/v1/conversations", "conv_1"),
        ("/v1/containers", "cntr_1"),
        ("/v1/uploads", "upload_1"),
        ("/v1/files", "file-1"),
        ("/v1/responses", "resp_1"),
    ] {
        let body = r#"{"model":"m","input":"hi"}"#;
        assert_eq!(
            send(&mut bench, "sk-app", ("POST", path, body), &json!({ "id": id })).status,
            200,
            "{path}"
        );
    }
    bench.finish();
    let calls = bench.calls().len();
    let not_found = |bench: &mut Bench, request: (&str, &str, &str)| {
        let answer = send(bench, WEB, request, &json!({ "id": "x" }));
        let error = json_of(&answer)["error"].clone();
        assert_eq!((answer.status, &error["code"]), (404, &json!("object_not_found")), "{request:?}");
        error["message"].as_str().unwrap().to_owned()
    };
    for path in [
        "/v1/files/file-1",
        "/v1/files/file-1/content",
        "/openai/v1/files/file-1",
        "/v1/files/file%2D1",
        "/v1/batches/batch_1",
        "/v1/responses/resp_1",
        "/v1/responses/resp_1/input_items",
        "/v1/vector_stores/vs_1/files",
        "/v1/containers/cntr_1/files/file-1/content",
        "/v1/conversations/conv_1/items",
    ] {
        not_found(&mut bench, ("GET", path, ""));
    }
    for path in
        ["/v1/files/file-1", "/v1/responses/resp_1", "/v1/vector_stores/vs_1", "/v1/conversations/conv_1"]
    {
        not_found(&mut bench, ("DELETE", path, ""));
    }
    for (path, body) in [
        ("/v1/batches/batch_1/cancel", "{}"),
        ("/v1/responses/resp_1/cancel", ""),
        ("/v1/uploads/upload_1/complete", r#"{"part_ids":[]}"#),
        ("/v1/batches", r#"{"input_file_id":"file-1","endpoint":"/v1/responses"}"#),
        ("/v1/batches", r#"{"input\u005ffile_id":"file-1"}"#),
        ("/v1/vector_stores", r#"{"file_ids":["file-1"]}"#),
        ("/v1/fine_tuning/jobs", r#"{"model":"m","training_file":"file-1"}"#),
        ("/v1/responses", r#"{"model":"m","input":"hi","previous_response_id":"resp_1"}"#),
        ("/v1/responses", r#"{"model":"m","input":"hi","conversation":{"id":"conv_1"}}"#),
        (
            "/v1/responses",
            r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_file","file_id":"file-1"}]}]}"#,
        ),
        (
            "/v1/responses",
            r#"{"model":"m","input":"hi","tools":[{"type":"file_search","vector_store_ids":["vs_1"]}]}"#,
        ),
        (
            "/v1/chat/completions",
            r#"{"model":"m","messages":[{"role":"user","content":[{"file":{"file_id":"file-1"}}]}]}"#,
        ),
    ] {
        not_found(&mut bench, ("POST", path, body));
    }
    let foreign = not_found(&mut bench, ("GET", "/v1/files/file-1", ""));
    let none = not_found(&mut bench, ("GET", "/v1/files/file-2", ""));
    assert_eq!(foreign.replace("file-1", "file-2"), none, "as if it did not exist");
    assert_eq!(bench.calls().len(), calls, "nothing was sent");
    for path in ["/v1/files/file-1/content", "/v1/batches/batch_1", "/v1/responses/resp_1"] {
        assert_eq!(get(&mut bench, "sk-app", path), 200, "{path}");
    }
}

#[test]
fn who_made_what_is_known_everywhere_and_after_restarts() {
    let mut bench = started();
    make(&mut bench, "/v1/files", &json!({ "id": "file-1" }));
    bench.finish();
    for _ in 0..2 {
        bench.new_isolate();
        bench.ledgers().evict();
        assert_eq!(
            (get(&mut bench, "sk-app", "/v1/files/file-1"), get(&mut bench, WEB, "/v1/files/file-1")),
            (200, 404)
        );
    }
    let asked = bench.ledgers().asked.borrow().len();
    assert_eq!(get(&mut bench, "sk-app", "/v1/files/file-1"), 200);
    assert_eq!(bench.ledgers().asked.borrow().len(), asked, "the isolate knows it");
    send(
        &mut bench,
        "sk-app",
        ("DELETE", "/v1/files/file-1", ""),
        &json!({ "id": "file-1", "deleted": true }),
    );
    bench.finish();
    bench.new_isolate();
    assert_eq!(get(&mut bench, "sk-app", "/v1/files/file-1"), 404);
}

#[test]
fn streamed_and_stored_answers_of_models_belong_to_who_asked_for_them() {
    let mut bench = started();
    let created = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}\n\n\
        event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"hi\"}\n\n\
        event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\"}}\n\n";
    bench.script([Script::events(vec![Step::Bytes(created.into())])]);
    assert_eq!(
        bench.request("POST", "/v1/responses", r#"{"model":"m","input":"hi","stream":true}"#).status,
        200
    );
    let chat = r#"{"model":"m","messages":[],"store":true}"#;
    let answer = json!({ "id": "chatcmpl-1", "choices": [{ "message": { "content": "x" }, "finish_reason": "stop" }] });
    assert_eq!(send(&mut bench, "sk-app", ("POST", "/v1/chat/completions", chat), &answer).status, 200);
    bench.finish();
    bench.new_isolate();
    for path in ["/v1/responses/resp_1", "/v1/chat/completions/chatcmpl-1"] {
        assert_eq!((get(&mut bench, "sk-app", path), get(&mut bench, WEB, path)), (200, 404), "{path}");
    }
}

#[test]
fn whoever_has_a_whole_answer_reaches_its_object_from_every_isolate() {
    let mut bench = started();
    bench.ledgers().takes.set(ms(300));
    let chat = r#"{"model":"m","messages":[],"store":true}"#;
    let completion = json!({ "id": "chatcmpl-1", "choices": [{ "message": { "content": "x" }, "finish_reason": "stop" }] });
    for (path, body, answer, made) in [
        ("/v1/files", "{}", json!({ "id": "file-1" }), "/v1/files/file-1"),
        ("/v1/responses", r#"{"model":"m","input":"hi"}"#, json!({ "id": "resp_1" }), "/v1/responses/resp_1"),
        ("/v1/chat/completions", chat, completion, "/v1/chat/completions/chatcmpl-1"),
    ] {
        bench.new_isolate();
        bench.script([Script::json(200, &answer.to_string())]);
        let sent_at = bench.now();
        assert_eq!(bench.request_until("POST", path, body, Millis::MAX).unwrap().status, 200, "{path}");
        let took = bench.now() - sent_at;
        assert!((ms(310)..ms(360)).contains(&took), "{path} {took}");
        let times = bench.health()[0].latency_ms;
        assert!(times.is_none_or(|latency| latency < 20.0), "{path}: the wait is no time of the deployment");
        bench.new_isolate();
        assert_eq!(get(&mut bench, "sk-app", made), 200, "{path}");
        bench.finish();
    }
    // Its client has the id of a stream before it ends, and what is not stored is not noted.
    let created = "data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_2\"}}\n\n\
        data: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_2\"}}\n\n";
    let stream = r#"{"model":"m","input":"hi","stream":true}"#;
    let unstored = r#"{"model":"m","input":"hi","store":false}"#;
    let steps = vec![Step::Bytes(created.into()), Step::Pause(ms(100))];
    for (body, script) in
        [(stream, Script::events(steps)), (unstored, Script::json(200, r#"{"id":"resp_3"}"#))]
    {
        bench.script([script]);
        let sent_at = bench.now();
        assert_eq!(bench.request_until("POST", "/v1/responses", body, Millis::MAX).unwrap().status, 200);
        assert!(bench.now() - sent_at < ms(200), "{body}");
        bench.finish();
    }
    bench.new_isolate();
    let path = |id| format!("/v1/responses/{id}");
    assert_eq!(["resp_2", "resp_3"].map(|id| get(&mut bench, "sk-app", &path(id))), [200, 404]);
}

#[test]
fn what_was_made_is_noted_also_if_its_client_leaves() {
    let mut bench = started();
    bench.ledgers().takes.set(ms(300));
    bench.script([Script::json(200, r#"{"id":"resp_1"}"#)]);
    let answer = bench.request_until("POST", "/v1/responses", r#"{"model":"m","input":"hi"}"#, ms(100));
    assert!(answer.is_none(), "it waits for the note");
    bench.finish();
    bench.new_isolate();
    assert_eq!(get(&mut bench, "sk-app", "/v1/responses/resp_1"), 200);
}

#[test]
fn nobody_becomes_the_maker_of_an_object_by_writing_its_id() {
    let mut bench = started();
    make(&mut bench, "/v1/files", &json!({ "id": "file-1" }));
    let body = r#"{"metadata":{"id":"file-1","output_file_id":"file-1"}}"#;
    let echo = json!({ "metadata": { "id": "file-1", "output_file_id": "file-1" }, "id": "batch_1", "output_file_id": null });
    assert_eq!(send(&mut bench, WEB, ("POST", "/v1/batches", body), &echo).status, 200);
    bench.finish();
    assert_eq!(
        (get(&mut bench, WEB, "/v1/batches/batch_1"), get(&mut bench, WEB, "/v1/files/file-1")),
        (200, 404)
    );
    // What the batch has made later is its maker's.
    let done = json!({ "id": "batch_1", "output_file_id": "file-2" });
    assert_eq!(send(&mut bench, WEB, ("GET", "/v1/batches/batch_1", ""), &done).status, 200);
    assert_eq!(
        (get(&mut bench, WEB, "/v1/files/file-2"), get(&mut bench, "sk-app", "/v1/files/file-2")),
        (200, 404)
    );
}

fn page(ids: &[&str], has_more: bool) -> Value {
    let data: Vec<_> = ids.iter().map(|id| json!({ "id": id, "bytes": 7 })).collect();
    json!({ "object": "list", "data": data, "first_id": ids.first(), "last_id": ids.last(), "has_more": has_more })
}

#[test]
fn a_list_has_only_the_objects_of_its_client() {
    let mut bench = started();
    for id in ["file-1", "file-3"] {
        make(&mut bench, "/v1/files", &json!({ "id": id }));
    }
    bench.finish();
    let list = send(
        &mut bench,
        "sk-app",
        ("GET", "/v1/files?limit=3", ""),
        &page(&["file-1", "file-2", "file-3"], false),
    );
    assert_eq!(json_of(&list), page(&["file-1", "file-3"], false));
    let list = send(&mut bench, WEB, ("GET", "/v1/files", ""), &page(&["file-1", "file-2"], false));
    assert_eq!((json_of(&list)["data"].clone(), list.text().contains("file-")), (json!([]), false));
    // A page on which nothing is left is passed over.
    bench.script([
        Script::json(200, &page(&["file-7", "file-8"], true).to_string()),
        Script::json(200, &page(&["file-9", "file-3"], true).to_string()),
    ]);
    let list = bench.request("GET", "/v1/files?limit=2&after=file-6", "");
    assert_eq!(json_of(&list), page(&["file-3"], true));
    let url = bench.calls().last().unwrap().request.url.clone();
    assert!(url.contains("after=file-8") && !url.contains("file-6"), "{url}");
    assert!(url.contains("limit=100"), "the pages that are passed over are long: {url}");
    // Below an own object, everything is there.
    make(&mut bench, "/v1/vector_stores", &json!({ "id": "vs_1" }));
    let files =
        send(&mut bench, "sk-app", ("GET", "/v1/vector_stores/vs_1/files", ""), &page(&["file-2"], false));
    assert_eq!(json_of(&files), page(&["file-2"], false));
}

/// Pages of 100 objects of others, each after the one before.
fn foreign_pages(count: usize) -> Vec<Value> {
    let ids = |at: usize| (0..100).map(move |number| format!("batch_foreign_{at}_{number}"));
    let of =
        |at: usize| page(&ids(at).collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>(), true);
    (0..count).map(of).collect()
}

#[test]
fn a_list_goes_on_for_a_client_whose_objects_lie_behind_many_of_others() {
    let mut bench = started();
    let own: Vec<String> = (0..5).map(|number| format!("batch_{number}")).collect();
    for id in &own {
        make(&mut bench, "/v1/batches", &json!({ "id": id }));
    }
    bench.finish();
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let mut pages = foreign_pages(19);
    pages.push(page(&[&["batch_foreign"], &own[..]].concat(), false));
    bench.script(pages.iter().map(|page| Script::json(200, &page.to_string())));
    let first = bench.request("GET", "/v1/batches?limit=3", "");
    assert_eq!(json_of(&first), page(&own[..3], true), "as many as the client asks for, and more follow");
    assert_eq!(bench.calls().len(), 5 + 20);
    bench.script([Script::json(200, &page(&own[3..], false).to_string())]);
    let last = bench.request("GET", "/v1/batches?limit=3&after=batch_2", "");
    assert_eq!(json_of(&last), page(&own[3..], false));
    let url = bench.calls().last().unwrap().request.url.clone();
    assert!(url.contains("limit=3") && url.contains("after=batch_2"), "{url}");
}

#[test]
fn an_empty_page_is_never_the_answer_while_a_list_goes_on() {
    let mut bench = started();
    bench.script(foreign_pages(30).iter().map(|page| Script::json(200, &page.to_string())));
    let refused = bench.request("GET", "/v1/batches", "");
    let error = json_of(&refused)["error"].clone();
    assert_eq!((refused.status, &error["code"]), (400, &json!("list_not_readable")));
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("2000") && message.contains("?after=ID") && !message.contains("foreign"),
        "{message}"
    );
    assert_eq!(bench.calls().len(), 20);
    let backwards = bench.request("GET", "/v1/batches?before=batch_9", "");
    assert_eq!((backwards.status, bench.calls().len()), (400, 21), "nobody knows how such a list goes on");
    bench.drop_scripts();
    let end = send(&mut bench, "sk-app", ("GET", "/v1/batches", ""), &page(&["batch_foreign"], false));
    assert_eq!(json_of(&end), page(&[], false), "here it ends");
}

#[test]
fn the_pages_that_are_passed_over_have_the_time_of_a_call_each() {
    let mut document: Value = serde_json::from_str(&routes("", "")).unwrap();
    document["models"]["m"]["targets"] = json!(["first"]);
    document["clients"]["app"]["objects"] = json!("own");
    document["settings"]["timeout"] = json!({ "headers_ms": 1_000 });
    let mut bench = Bench::new(&document.to_string());
    bench.request("GET", "/healthz", "");
    let mut pages = foreign_pages(5);
    pages.push(page(&[], false));
    let slow = |page: &Value| Script { head_after: Some(ms(400)), ..Script::json(200, &page.to_string()) };
    bench.script(pages.iter().map(slow));
    let list = bench.request_until("GET", "/v1/batches", "", Millis::MAX).unwrap();
    assert_eq!((list.status, bench.calls().len()), (200, 6), "{}", list.text());
}

#[test]
fn what_cannot_be_narrowed_or_checked_is_refused() {
    let mut bench = started();
    for answer in ["{}", r#"{"data":[{"name":"file-1"}]}"#, r#"{"data":"file-1"}"#] {
        bench.script([Script::json(200, answer)]);
        let list = bench.request("GET", "/v1/files", "");
        assert_eq!(
            (list.status, json_of(&list)["error"]["code"].clone()),
            (400, json!("list_not_readable")),
            "{answer}"
        );
        assert!(!list.text().contains("file-1"));
        bench.drop_scripts();
    }
    let code =
        |answer: &Answer| (answer.status, json_of(answer)["error"]["code"].as_str().unwrap().to_owned());
    let evals = send(&mut bench, "sk-app", ("GET", "/v1/evals", ""), &json!({}));
    assert_eq!(code(&evals), (403, "operation_not_allowed".to_owned()));
    let long = format!(r#"{{"model":"m","input":"{}"}}"#, "x".repeat(17 * 1024 * 1024));
    let long = send(&mut bench, "sk-app", ("POST", "/v1/responses", &long), &json!({}));
    assert_eq!(long.status, 413, "anything may be in the rest of it");
    bench.add_header("content-type", "multipart/form-data; boundary=b");
    let form = "--b\r\ncontent-disposition: form-data; name=\"input_file_id\"\r\n\r\nfile-1\r\n--b--\r\n";
    let form = send(&mut bench, "sk-app", ("POST", "/v1/batches", form), &json!({ "id": "batch_1" }));
    assert_eq!(form.status, 400, "{}", form.text());
    // JSON to one reader, and a form to another one.
    bench.usual_clients();
    bench.add_header("content-type", "application/x-www-form-urlencoded; charset=json");
    let both = r#"{"a":"&input_file_id=file-1&"}"#;
    let both = send(&mut bench, "sk-app", ("POST", "/v1/batches", both), &json!({ "id": "batch_1" }));
    assert_eq!(both.status, 400, "{}", both.text());
}

#[test]
fn what_the_gateway_itself_refuses_is_its_own_error_and_no_failure_of_a_deployment() {
    let mut document: Value = serde_json::from_str(&routes("", "")).unwrap();
    document["clients"]["app"]["objects"] = json!("own");
    let refused = |answer: &str, is_lost: bool| {
        let mut bench = Bench::new(&document.to_string());
        bench.request("GET", "/healthz", "");
        bench.ledgers().is_lost.set(is_lost);
        bench.script([Script::json(200, answer), Script::json(200, answer)]);
        let answer = bench.request_until("GET", "/v1/files", "", Millis::MAX).unwrap();
        bench.finish();
        assert_eq!(bench.calls().len(), 1, "another account would be refused as well");
        let (record, health) = (bench.record(), bench.health()[0].clone());
        assert_eq!(record["attempts"][0]["outcome"], "abandoned", "{record}");
        assert_eq!((health.failures, bench.in_flight()), (0, 0), "{health:?}");
        assert_eq!(record["outcome"], json_of(&answer)["error"]["code"], "{record}");
        (
            answer.status,
            record["outcome"].as_str().unwrap().to_owned(),
            answer.header("x-should-retry").to_owned(),
        )
    };
    let list = page(&["file-1"], false).to_string();
    assert_eq!(refused(&list, true), (503, "objects_unavailable".to_owned(), "true".to_owned()));
    assert_eq!(refused("{}", false), (400, "list_not_readable".to_owned(), "false".to_owned()));
}

#[test]
fn a_request_that_names_very_many_objects_asks_nobody() {
    let mut bench = started();
    let ids: Vec<String> = (0..2_000).map(|number| format!("file-{number}")).collect();
    let body = json!({ "file_ids": ids }).to_string();
    let refused = send(&mut bench, "sk-app", ("POST", "/v1/vector_stores", &body), &json!({}));
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("more than 1000 stored objects"), "{}", refused.text());
}

#[test]
fn while_nobody_can_say_who_made_what_nothing_is_shown_and_nothing_is_lost() {
    let mut bench = started();
    bench.ledgers().is_lost.set(true);
    bench.script([r#"{"id":"file-1"}"#; 2].map(|answer| Script::json(200, answer)));
    let mut send =
        |method: &str, path: &str| bench.request_until(method, path, "{}", Millis::MAX).unwrap().status;
    assert_eq!(send("POST", "/v1/files"), 200);
    assert_eq!(send("GET", "/v1/files/file-1"), 200, "this isolate knows it");
    let isolate = bench.arrive_at(std::rc::Rc::default());
    let answer = bench.request_until("GET", "/v1/files/file-1", "", Millis::MAX).unwrap();
    assert_eq!((answer.status, answer.header("x-should-retry")), (503, "true"));
    assert_eq!(json_of(&answer)["error"]["code"], "objects_unavailable");
    bench.ledgers().is_lost.set(false);
    bench.arrive_at(isolate);
    bench.pass(ms(4_000));
    bench.finish();
    bench.new_isolate();
    assert_eq!(get(&mut bench, "sk-app", "/v1/files/file-1"), 200, "it was noted then");
}

#[test]
fn a_deletion_is_sent_until_it_is_noted_and_only_if_it_was_done() {
    let mut bench = started();
    for id in ["file-1", "file-2"] {
        make(&mut bench, "/v1/files", &json!({ "id": id }));
    }
    bench.finish();
    let denied = json!({ "id": "file-2", "deleted": false });
    assert_eq!(send(&mut bench, "sk-app", ("DELETE", "/v1/files/file-2", ""), &denied).status, 200);
    bench.ledgers().is_lost.set(true);
    bench.script([Script::json(200, r#"{"id":"file-1","deleted":true}"#)]);
    let deleted = bench.request_until("DELETE", "/v1/files/file-1", "", Millis::MAX).unwrap();
    assert_eq!(deleted.status, 200);
    bench.ledgers().is_lost.set(false);
    bench.pass(ms(4_000));
    bench.finish();
    bench.new_isolate();
    let path = |id| format!("/v1/files/{id}");
    assert_eq!(["file-1", "file-2"].map(|id| get(&mut bench, "sk-app", &path(id))), [404, 200]);
}

#[test]
fn clients_without_it_share_the_objects_of_their_account() {
    let mut bench = Bench::started(&routes("", ""));
    make(&mut bench, "/v1/files", &json!({ "id": "file-1" }));
    bench.new_isolate();
    assert_eq!(get(&mut bench, "sk-app", "/v1/files/file-2"), 200);
    assert!(bench.ledgers().asked.borrow().is_empty());
}
