//! The admin API of the routes document: changes with versions, rollbacks, roles and the log of
//! acts.

use serde_json::{Value, json};

use super::fake::{Answer, Bench, Script};
use super::{ANSWER, CHAT, routes};
use crate::times::ms;

/// A document that tries the second deployment first.
fn second_first() -> String {
    routes("", "").replace(r#"["first", "second"]"#, r#"["second", "first"]"#)
}

fn started() -> Bench {
    let bench = Bench::started(&routes("", ""));
    bench.with_registry();
    bench
}

fn admin(bench: &mut Bench, method: &str, path: &str, if_match: Option<&str>, body: &str) -> Answer {
    bench.usual_clients();
    if let Some(version) = if_match {
        bench.add_header("if-match", version);
        bench.add_header("x-switchyard-why", "a test");
    }
    let answer = bench.admin(method, path, body);
    bench.usual_clients();
    answer
}

fn put(bench: &mut Bench, if_match: Option<&str>, document: &str) -> Answer {
    admin(bench, "PUT", "/admin/api/routes", if_match, document)
}

fn json(answer: &Answer) -> Value {
    serde_json::from_str(&answer.text()).unwrap_or_else(|_| panic!("{answer:?}"))
}

fn code(answer: &Answer) -> String {
    json(answer)["error"]["code"].as_str().unwrap_or_default().to_owned()
}

fn etag(bench: &mut Bench) -> String {
    let answer = bench.admin("GET", "/admin/api/routes/document", "");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("etag").to_owned()
}

/// The deployment that serves a request.
fn served_by(bench: &mut Bench) -> String {
    bench.script([Script::json(200, ANSWER)]);
    bench.chat(CHAT).header("x-switchyard-deployment").to_owned()
}

/// `what` and `result` of all acts in the log.
fn acts(bench: &mut Bench) -> Vec<(String, String)> {
    let log = json(&bench.admin("GET", "/admin/api/audit", ""));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    log["entries"].as_array().unwrap().iter().map(|act| (text(&act["what"]), text(&act["result"]))).collect()
}

#[test]
fn a_change_serves_at_once_and_is_recorded_with_who_why_and_what() {
    let mut bench = started();
    let before = etag(&mut bench);
    assert_eq!(before.trim_matches('"'), bench.isolate().current().unwrap().graph.version);
    let changed = put(&mut bench, Some(&before), &second_first());
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!(served_by(&mut bench), "second");
    assert_eq!(bench.document("routes"), Some(second_first()));
    let answer = json(&changed);
    assert_eq!(changed.header("etag"), format!("\"{}\"", answer["version"].as_str().unwrap()));
    assert_eq!((&answer["number"], &answer["is_recorded"]), (&json!(2), &json!(true)));
    assert_eq!(answer["difference"]["changes"][0]["path"], "models.m.targets[0]");
    assert_eq!(etag(&mut bench), changed.header("etag"));

    let history = json(&bench.admin("GET", "/admin/api/routes/history", ""));
    let [latest, first] = history["versions"].as_array().unwrap().as_slice() else { panic!("{history}") };
    assert_eq!((&first["how"], &first["who"]), (&json!("found"), &json!("unknown")));
    assert_eq!((&latest["how"], &latest["who"]), (&json!("put"), &json!("admin")));
    assert_eq!((&latest["why"], &latest["changes"]), (&json!("a test"), &json!(2)));
    let path = format!("/admin/api/routes/history/{}", first["version"].as_str().unwrap());
    assert_eq!(json(&bench.admin("GET", &path, ""))["document"], json!(routes("", "")));
    assert_eq!(code(&bench.admin("GET", "/admin/api/routes/history/000", "")), "version_not_found");
}

#[test]
fn a_change_must_name_the_version_that_it_is_based_on() {
    let mut bench = started();
    let before = etag(&mut bench);
    let refused = put(&mut bench, None, &second_first());
    assert_eq!((refused.status, code(&refused).as_str()), (428, "if_match_needed"));
    assert_eq!(put(&mut bench, Some(&before), &second_first()).status, 200);
    let stale = put(&mut bench, Some(&before), &routes("", "\n"));
    assert_eq!((stale.status, code(&stale).as_str()), (412, "routes_changed"));
    let now = etag(&mut bench);
    assert!(stale.text().contains(now.trim_matches('"')), "it names the current version");
    assert_eq!(put(&mut bench, Some("*"), &routes("", "\n")).status, 200, "whatever serves");
    let expected = [
        ("routes.found", "ok"),
        ("routes.put", "if_match_needed"),
        ("routes.put", "ok"),
        ("routes.put", "routes_changed"),
        ("routes.put", "ok"),
    ];
    let found = acts(&mut bench);
    let found: Vec<_> = found.iter().map(|(what, result)| (what.as_str(), result.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_document_with_errors_is_refused_with_all_of_them_and_changes_nothing() {
    let mut bench = started();
    let bad = routes("", "").replace("\"first\", \"second\"", "\"frist\", \"secnd\"");
    let refused = put(&mut bench, Some("*"), &bad);
    assert_eq!((refused.status, code(&refused).as_str()), (422, "routes_refused"));
    assert_eq!(json(&refused)["issues"].as_array().unwrap().len(), 2);
    assert_eq!(bench.document("routes"), Some(routes("", "")));
    let log = json(&bench.admin("GET", "/admin/api/audit", ""));
    let act =
        log["entries"].as_array().unwrap().iter().find(|act| act["result"] == "routes_refused").unwrap();
    let version = switchyard::routes::version_of(switchyard::vocabulary::rng::stable_hash(bad.as_bytes()));
    assert_eq!((&act["what"], &act["subject"]), (&json!("routes.put"), &json!(version)), "{log}");
    assert_eq!(log["entries"].as_array().unwrap().len(), 1, "it is logged once: {log}");
    assert_eq!(code(&put(&mut bench, Some("*"), "")), "invalid_json");
    assert_eq!(bench.asked_registry("begin"), 0);
}

#[test]
fn a_rollback_puts_an_old_version_back_in_one_call() {
    let mut bench = started();
    let first = etag(&mut bench);
    put(&mut bench, Some("*"), &second_first());
    assert_eq!(served_by(&mut bench), "second");
    let body = json!({ "version": first.trim_matches('"'), "why": "it harms" }).to_string();
    let back = admin(&mut bench, "POST", "/admin/api/routes/rollback", None, &body);
    assert_eq!(back.status, 200, "{}", back.text());
    assert_eq!(back.header("etag"), first);
    assert_eq!(served_by(&mut bench), "first");
    let history = json(&bench.admin("GET", "/admin/api/routes/history", ""));
    assert_eq!(
        (&history["versions"][0]["how"], &history["versions"][0]["why"]),
        (&json!("rollback"), &json!("it harms"))
    );
    for (body, expected) in
        [("{}", "invalid_json"), ("[1]", "invalid_json"), (r#"{"version":"0"}"#, "version_not_found")]
    {
        assert_eq!(code(&admin(&mut bench, "POST", "/admin/api/routes/rollback", None, body)), expected);
    }
}

#[test]
fn the_same_document_makes_no_version() {
    let mut bench = started();
    put(&mut bench, Some("*"), &second_first());
    let again = put(&mut bench, Some("*"), &second_first());
    assert_eq!((&json(&again)["is_changed"], &json(&again)["number"]), (&json!(false), &json!(2)));
    assert_eq!(bench.asked_registry("commit"), 1);
}

#[test]
fn an_old_document_in_a_cache_does_not_take_the_place_of_a_change() {
    let mut bench = started();
    put(&mut bench, Some("*"), &second_first());
    // The store shows the old document here until its caches end.
    bench.put("routes", &routes("", ""));
    bench.pass(ms(80_000));
    assert_eq!(served_by(&mut bench), "second");
    assert_eq!(served_by(&mut bench), "second");
    let changed = bench.admin("GET", "/admin/api/routes/document", "");
    assert_eq!(changed.text(), second_first(), "the registry has the current one");
    bench.pass(ms(120_000));
    served_by(&mut bench);
    assert_eq!(served_by(&mut bench), "first", "somebody did write it");
}

#[test]
fn a_store_that_refuses_leaves_the_version_as_it_was() {
    let mut bench = started();
    let before = etag(&mut bench);
    bench.refuse_writes(true);
    let failed = put(&mut bench, Some(&before), &second_first());
    assert_eq!((failed.status, code(&failed).as_str()), (503, "routes_not_written"));
    bench.refuse_writes(false);
    assert_eq!(etag(&mut bench), before);
    assert_eq!(served_by(&mut bench), "first");
    assert_eq!(put(&mut bench, Some(&before), &second_first()).status, 200, "at once");
}

#[test]
fn a_change_whose_record_got_lost_is_recorded_by_the_isolates() {
    let mut bench = started();
    bench.lose_registry("commit");
    let changed = put(&mut bench, Some("*"), &second_first());
    assert_eq!((changed.status, &json(&changed)["is_recorded"]), (200, &json!(false)));
    bench.new_isolate();
    assert_eq!(served_by(&mut bench), "second");
    let history = json(&bench.admin("GET", "/admin/api/routes/history", ""));
    assert_eq!(
        (&history["versions"][0]["how"], &history["versions"][0]["who"]),
        (&json!("put"), &json!("admin"))
    );
}

#[test]
fn a_document_written_past_the_api_is_recorded_once() {
    let mut bench = started();
    bench.new_isolate();
    served_by(&mut bench);
    assert_eq!(bench.asked_registry("notice"), 2, "with the text the second time");
    bench.put("routes", &second_first());
    bench.pass(ms(120_000));
    served_by(&mut bench);
    assert_eq!(served_by(&mut bench), "second");
    let asked = bench.asked_registry("notice");
    for _ in 0..3 {
        bench.pass(ms(120_000));
        served_by(&mut bench);
    }
    assert_eq!(bench.asked_registry("notice"), asked, "once for each isolate and version");
    let history = json(&bench.admin("GET", "/admin/api/routes/history", ""));
    let how: Vec<_> = history["versions"].as_array().unwrap().iter().map(|entry| &entry["how"]).collect();
    assert_eq!(how, ["outside", "found"]);
}

#[test]
fn a_document_past_the_api_that_does_not_compile_never_serves_and_is_no_version() {
    let mut bench = started();
    let (good, tag) = (bench.document("routes").unwrap(), etag(&mut bench));
    bench.put("routes", "{ this is no document");
    let shown = bench.admin("GET", "/admin/api/routes/document", "");
    assert_eq!((shown.text(), etag(&mut bench)), (good, tag.clone()), "the one that serves is shown");
    // A change is based on the version that serves, and takes the place of what cannot.
    assert_eq!(put(&mut bench, Some(&tag), &second_first()).status, 200);
    assert_eq!(bench.document("routes"), Some(second_first()));
    let history = json(&bench.admin("GET", "/admin/api/routes/history", ""));
    let how: Vec<_> = history["versions"].as_array().unwrap().iter().map(|entry| &entry["how"]).collect();
    assert_eq!(how, ["put", "found"]);
}

#[test]
fn without_a_registry_all_is_served_and_a_change_says_what_is_missing() {
    let mut bench = Bench::started(&routes("", ""));
    assert_eq!(served_by(&mut bench), "first");
    let refused = put(&mut bench, Some("*"), &second_first());
    assert_eq!((refused.status, code(&refused).as_str()), (503, "registry_missing"));
    assert_eq!(bench.document("routes"), Some(routes("", "")));
    let document = bench.admin("GET", "/admin/api/routes/document", "");
    assert_eq!((document.status, document.text()), (200, routes("", "")));
}

#[test]
fn a_check_says_what_a_change_would_be_refused_for_and_stores_nothing() {
    let mut bench = started();
    let check = |bench: &mut Bench, document: &str| {
        let answer = bench.admin("POST", "/admin/api/routes/check", document);
        assert_eq!(answer.status, 200, "{}", answer.text());
        json(&answer)
    };
    let doubtful = second_first().replace("60000", "300");
    let good = check(&mut bench, &doubtful);
    assert_eq!(
        (&good["issues"], &good["warnings"][0]["code"]),
        (&json!([]), &json!("seconds_as_milliseconds"))
    );
    let broken = check(&mut bench, &second_first().replace(r#"["second", "first"]"#, r#"["secnd", 3]"#));
    assert_eq!((&broken["version"], &broken["warnings"]), (&Value::Null, &json!([])));
    let paths: Vec<_> = broken["issues"].as_array().unwrap().iter().map(|issue| &issue["path"]).collect();
    assert!(paths.contains(&&json!("models.m.targets[1]")), "{paths:?}");
    assert_eq!(check(&mut bench, "{")["issues"][0]["path"], "$");
    assert_eq!(bench.document("routes").as_deref(), Some(routes("", "").as_str()), "nothing is stored");

    let changed = put(&mut bench, Some("*"), &doubtful);
    assert_eq!(json(&changed)["version"], good["version"], "the version that was foretold");
    assert!(acts(&mut bench).iter().all(|(what, _)| what == "routes.found" || what == "routes.put"));
}

#[test]
fn a_viewer_looks_and_changes_nothing() {
    let mut bench = started();
    bench.use_key("viewer");
    for path in ["routes", "routes/document", "routes/history", "audit", "health", "requests"] {
        let status = bench.request("GET", &format!("/admin/api/{path}"), "").status;
        assert!(status == 200 || path == "requests", "{path}: {status}");
    }
    let caller = |bench: &mut Bench| json(&bench.request("GET", "/admin/api/routes", ""))["caller"].clone();
    assert_eq!(caller(&mut bench), json!({"who": "viewer", "may_change": false}));
    bench.use_key("admin");
    assert_eq!(caller(&mut bench)["may_change"], true);
    bench.use_key("viewer");
    let explained = r#"{"path":"/v1/chat/completions","client":"app","body":{"model":"m","messages":[]}}"#;
    assert_eq!(bench.request("POST", "/admin/api/explain", explained).status, 200);
    for (method, path) in [
        ("PUT", "routes"),
        ("POST", "routes/rollback"),
        ("POST", "deployments/first/drain"),
        ("POST", "deployments/reset"),
    ] {
        let refused = bench.request(method, &format!("/admin/api/{path}"), "{}");
        assert_eq!((refused.status, code(&refused).as_str()), (403, "admin_token_needed"), "{path}");
    }
    // With a document of their own, viewers could guess the values of variables.
    let refused = bench.request("POST", "/admin/api/routes/check", &second_first());
    assert_eq!((refused.status, code(&refused).as_str()), (403, "admin_token_needed"));
    bench.use_key("nobody");
    assert_eq!(bench.request("GET", "/admin/api/audit", "").status, 401);
    assert_eq!(bench.request("PUT", "/admin/api/routes", "{}").status, 401);
    let log = json(&bench.admin("GET", "/admin/api/audit", ""));
    let entries = log["entries"].as_array().unwrap();
    let refused: Vec<_> = entries.iter().filter(|act| act["result"] == "admin_token_needed").collect();
    assert_eq!(refused.len(), 4, "what nobody tried is not logged: {log}");
    assert!(refused.iter().all(|act| act["who"] == "viewer"));
    assert_eq!(refused[2]["subject"], "first");
}

#[test]
fn switches_are_logged_and_the_log_is_exported_as_lines() {
    let mut bench = started();
    bench.with_objects();
    assert_eq!(bench.admin("POST", "/admin/api/deployments/first/drain", "").status, 200);
    assert_eq!(bench.admin("POST", "/admin/api/deployments/none/drain", "").status, 404);
    let found = acts(&mut bench);
    let expected = [("deployment.drain", "ok"), ("deployment.drain", "deployment_not_found")];
    assert_eq!(found, expected.map(|(what, result)| (what.to_owned(), result.to_owned())));
    let lines = bench.admin_accepting("GET", "/admin/api/audit?since=1", "application/x-ndjson");
    assert_eq!(lines.header("content-type"), "application/x-ndjson");
    let text = lines.text();
    let numbers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((numbers.len(), &numbers[0]["number"]), (1, &json!(2)));
    assert_eq!(code(&bench.admin("GET", "/admin/api/audit?since=x", "")), "invalid_json");
}

#[test]
fn each_act_has_its_reason_in_the_log() {
    let mut bench = started();
    bench.with_objects();
    let many = "é".repeat(600);
    for (path, header) in [
        ("deployments/first/drain?why=it%20is%20slow", ""),
        ("deployments/first/drain?why=the+query", "the header counts first"),
        ("deployments/first/enable", "it is well again"),
        ("deployments/first/reset", ""),
        ("deployments/reset", &many),
        ("deployments/none/drain", "a name that is wrong"),
        ("routes/rollback", "no version"),
    ] {
        bench.usual_clients();
        if !header.is_empty() {
            bench.add_header("x-switchyard-why", header);
        }
        bench.admin("POST", &format!("/admin/api/{path}"), "");
    }
    bench.usual_clients();
    let log = json(&bench.admin("GET", "/admin/api/audit", ""));
    let reasons: Vec<_> = log["entries"].as_array().unwrap().iter().map(|act| act["why"].clone()).collect();
    let fewer = "é".repeat(500);
    assert_eq!(
        reasons,
        [
            json!("it is slow"),
            json!("the header counts first"),
            json!("it is well again"),
            json!(null),
            json!(fewer),
            json!("a name that is wrong"),
            json!("no version"),
        ]
    );
}
