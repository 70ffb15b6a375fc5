//! `POST /admin/api/deployments/{name}/ask`: what a deployment answers to something small, asked
//! from here.

use serde_json::{Value, json};
use switchyard::serve::platform::OutgoingBody;

use super::fake::{Bench, Script, Step, sent_body};
use super::times::ms;
use super::{ANSWER, CHAT, routes};

/// The key of the deployments. A shorter one would not be masked.
const KEY: &str = "sk-up-0123456789";

fn bench() -> Bench {
    let bench = Bench::without_documents();
    bench.set_variable("KEY", KEY);
    bench.put("routes", &routes("", ""));
    bench
}

fn ask(bench: &mut Bench, name: &str, query: &str) -> Value {
    let answer = bench.admin("POST", &format!("/admin/api/deployments/{name}/ask{query}"), "");
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_str(&answer.text()).unwrap()
}

#[test]
fn the_question_has_the_credential_of_the_gateway_and_nothing_of_the_administrator() {
    let mut bench = bench();
    bench.script([Script::json(200, ANSWER)]);
    let response = ask(&mut bench, "first", "?question=chat");
    assert_eq!(
        (&response["status"], &response["error"], &response["body"]),
        (&json!(200), &Value::Null, &json!(ANSWER))
    );
    let call = bench.calls()[0].clone();
    assert_eq!(call.request.url, "https://first/v1/chat/completions");
    assert_eq!(call.request.headers.get("authorization"), Some(&*format!("Bearer {KEY}")));
    let withheld: Vec<&str> = call.request.withheld.lines().collect();
    assert!(withheld.contains(&"authorization"), "{withheld:?}");
    let body: Value = serde_json::from_str(&sent_body(&call, "")).unwrap();
    assert_eq!((&body["max_tokens"], &body["model"]), (&json!(1), &json!("up-first")));
    bench.script([Script::json(200, r#"{"object":"list","data":[]}"#)]);
    ask(&mut bench, "first", "?question=models");
    let call = bench.calls()[1].clone();
    assert_eq!((call.request.method.as_str(), &call.request.body), ("GET", &OutgoingBody::Empty));
    bench.script([Script::json(200, ANSWER)]);
    ask(&mut bench, "first", "?question=reasoning");
    assert!(sent_body(&bench.calls()[2].clone(), "").contains(r#""max_completion_tokens":1"#));
    assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0));
}

#[test]
fn what_an_upstream_says_comes_back_without_secrets_and_teaches_health_nothing() {
    let mut bench = bench();
    let said =
        r#"{"error":{"message":"Incorrect API key provided: sk-up-0123456789","code":"invalid_api_key"}}"#;
    let headers = &[("x-ratelimit-limit-tokens", "7"), ("openai-organization", "org-1")];
    for _ in 0..10 {
        bench.script([Script { headers, ..Script::json(401, said) }]);
        let response = ask(&mut bench, "first", "?question=chat");
        assert_eq!(response["status"], 401);
        assert_eq!(response["headers"]["x-ratelimit-limit-tokens"], "7");
        assert_eq!(response["headers"]["openai-organization"], Value::Null);
        let body = response["body"].as_str().unwrap();
        assert!(body.contains("invalid_api_key") && body.contains("***") && !body.contains(KEY), "{body}");
    }
    bench.script([Script::json(200, ANSWER)]);
    let answer = bench.chat(CHAT);
    assert!(answer.header("x-switchyard-trail").starts_with("first=200"), "{answer:?}");
}

#[test]
fn silence_has_its_reason_and_ends_the_call() {
    let mut bench = bench();
    bench.script([Script::silence(), Script::reset()]);
    let response = ask(&mut bench, "first", "?question=chat&seconds=3");
    assert_eq!((&response["error"]["kind"], &response["ms"]), (&json!("timeout"), &json!(3_000)));
    assert!(bench.calls()[0].is_aborted.get());
    let response = ask(&mut bench, "first", "?question=chat");
    assert_eq!(response["error"]["kind"], "connection");
    // A body that does not end in time.
    bench.script([Script::events(vec![Step::Bytes("data: x".into()), Step::Pause(ms(90_000))])]);
    let response = ask(&mut bench, "first", "?question=chat&seconds=2");
    assert_eq!((&response["error"]["kind"], &response["status"]), (&json!("timeout"), &Value::Null));
    assert_eq!(bench.open_waits(), 0);
}

#[test]
fn a_long_answer_is_cut_and_says_so() {
    let mut bench = bench();
    let long = format!(r#"{{"data":["{}"]}}"#, "x".repeat(40_000));
    bench.script([Script::json(200, &long), Script::json(200, &long)]);
    let response = ask(&mut bench, "first", "?question=embedding");
    assert_eq!((response["body"].as_str().unwrap().len(), &response["is_cut"]), (16 * 1024, &json!(true)));
    let response = ask(&mut bench, "first", "?question=models");
    assert_eq!((response["body"].as_str().unwrap(), &response["is_cut"]), (long.as_str(), &json!(false)));
}

#[test]
fn no_part_of_a_secret_is_shown_wherever_an_answer_is_cut() {
    let (shown, read) = (16 * 1024, 17 * 1024);
    // What is masked makes room: the end of what was read is shown, too.
    let many = format!("{KEY} ").repeat(200);
    for (before, bound) in [("", shown), ("", read), (many.as_str(), shown), (many.as_str(), read)] {
        for at in bound - KEY.len() - 2..bound + 3 {
            let text = format!("{before}{}{KEY}{}", "-".repeat(at - before.len()), "-".repeat(5_000));
            let (first, rest) = text.split_at(read);
            let steps = vec![Step::Bytes(first.to_owned()), Step::Bytes(rest.to_owned())];
            let mut bench = bench();
            bench.script([Script { steps, says_length: false, ..Script::json(401, "") }]);
            let response = ask(&mut bench, "first", "?question=embedding");
            let body = response["body"].as_str().unwrap();
            assert!(body.len() <= shown && response["is_cut"] == json!(true), "{at}");
            let end = body.trim_start_matches("*** ").trim_start_matches('-').trim_end_matches('-');
            assert!("***".starts_with(end), "{at} {end:?}");
        }
    }
}

#[test]
fn a_question_that_is_not_understood_says_what_there_is() {
    let mut bench = bench();
    for query in
        ["", "?question=song", "?question=chat&key=2", "?question=chat&key=0", "?question=chat&seconds=61"]
    {
        let answer = bench.admin("POST", &format!("/admin/api/deployments/first/ask{query}"), "");
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.text().contains("chat, reasoning, embedding or models"), "{}", answer.text());
    }
    let answer = bench.admin("POST", "/admin/api/deployments/frist/ask?question=chat", "");
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("first"), "{}", answer.text());
    assert_eq!(bench.calls().len(), 0);
}

/// A gateway whose deployment `second` has tokens of Entra ID, and `first` this key in place of its
/// own.
fn with_entra(first_key: Option<&str>) -> Bench {
    let mut document: Value = serde_json::from_str(&routes("", "")).unwrap();
    if let Some(key) = first_key {
        document["deployments"]["first"]["api_key"] = json!(key);
    }
    document["deployments"]["second"] = json!({
        "provider": "azure", "endpoint": "https://second", "deployment": "gpt",
        "auth": { "entra": { "tenant": "contoso", "client_id": "app-1", "client_secret": "${ENTRA_SECRET}" } },
    });
    let bench = Bench::without_documents();
    bench.set_variable("ENTRA_SECRET", "s3cret-0123456789");
    bench.put("routes", &document.to_string());
    bench
}

#[test]
fn a_deployment_that_cannot_be_asked_says_why_and_nothing_is_sent() {
    let mut bench = with_entra(Some("${NOT_SET}"));
    let response = ask(&mut bench, "first", "?question=chat");
    assert_eq!(response["error"], json!({ "kind": "disabled", "message": "NOT_SET" }));
    let refused = r#"{"error":"invalid_client","error_codes":[7000215]}"#;
    bench.answer_forms([(ms(100), Some((401, refused.to_owned())))]);
    let response = ask(&mut bench, "second", "?question=chat");
    assert_eq!(response["error"], json!({ "kind": "token_refused", "message": "AADSTS7000215" }));
    assert_eq!(bench.calls().len(), 0);
}

#[test]
fn a_token_of_entra_id_is_presented_like_for_a_request() {
    let mut bench = with_entra(None);
    let issued = json!({ "token_type": "Bearer", "expires_in": 3_600, "access_token": "token-0123456789" });
    bench.answer_forms([(ms(100), Some((200, issued.to_string())))]);
    bench.script([Script::json(401, r#"{"error":{"message":"the token token-0123456789 is not valid"}}"#)]);
    let response = ask(&mut bench, "second", "?question=chat");
    assert_eq!(bench.calls()[0].request.headers.get("authorization"), Some("Bearer token-0123456789"));
    assert_eq!((&response["status"], &response["host"]), (&json!(401), &json!("second")));
    assert!(!response["body"].as_str().unwrap().contains("token-0123456789"), "{response}");
}

#[test]
fn only_an_administrator_may_ask_and_the_log_of_acts_has_it() {
    let mut bench = bench();
    bench.with_registry();
    bench.script([Script::json(200, ANSWER)]);
    bench.use_key("viewer");
    let refused = bench.request("POST", "/admin/api/deployments/first/ask?question=chat", "");
    assert_eq!((refused.status, bench.calls().len()), (403, 0), "{}", refused.text());
    bench.use_key("sk-app");
    ask(&mut bench, "first", "?question=chat&why=doctor");
    let log = bench.admin("GET", "/admin/api/audit", "").text();
    let log: Value = serde_json::from_str(&log).unwrap();
    let acts: Vec<_> =
        log["entries"].as_array().unwrap().iter().filter(|act| act["what"] == "deployment.ask").collect();
    let asked = acts.iter().find(|act| act["result"] == "ok").unwrap();
    assert_eq!((&asked["subject"], &asked["why"]), (&json!("first"), &json!("doctor")), "{log}");
    assert_eq!(acts.len(), 2, "{log}");
}
