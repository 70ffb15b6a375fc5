//! A canary of a change: two versions side by side in an isolate, what is counted of them, and how
//! it ends.

use serde_json::{Value, json};
use switchyard::signature::SigningKey;

use super::fake::{Answer, Bench, PostAnswer, Script};
use super::{ANSWER, CHAT, OVERLOADED, routes};
use crate::times::ms;

/// A document without the model that clients ask for.
fn broken() -> String {
    routes("", "").replace(r#""m": {"#, r#""renamed": {"#)
}

/// The same document, as another version.
fn same() -> String {
    routes("", "\n")
}

fn started() -> Bench {
    let bench = Bench::started(&routes("", ""));
    bench.with_registry();
    bench
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_str(&answer.text()).unwrap_or_else(|_| panic!("{answer:?}"))
}

fn code(answer: &Answer) -> String {
    json_of(answer)["error"]["code"].as_str().unwrap_or_default().to_owned()
}

fn put(bench: &mut Bench, query: &str, document: &str) -> Answer {
    bench.usual_clients();
    bench.add_header("if-match", "*");
    let answer = bench.admin("PUT", &format!("/admin/api/routes{query}"), document);
    bench.usual_clients();
    answer
}

/// Starts a canary, and returns its version.
fn start(bench: &mut Bench, query: &str, document: &str) -> String {
    let answer = put(bench, query, document);
    assert_eq!(answer.status, 200, "{}", answer.text());
    json_of(&answer)["canary"]["version"].as_str().unwrap().to_owned()
}

/// Sends a chat request that every deployment would serve.
fn chat(bench: &mut Bench) -> Answer {
    bench.drop_scripts();
    bench.script([Script::json(200, ANSWER)]);
    bench.chat(CHAT)
}

/// Which version served a request, as its header and its record say.
fn version_of(bench: &Bench, answer: &Answer) -> String {
    let version = answer.header("x-switchyard-routes").to_owned();
    assert_eq!(bench.record()["routes"], json!(version));
    version
}

fn canary(bench: &mut Bench) -> Value {
    json_of(&bench.admin("GET", "/admin/api/routes", ""))["canary"].clone()
}

/// The requests of both versions that were counted.
fn counted_requests(bench: &mut Bench) -> u64 {
    let canary = canary(bench);
    ["old", "new"].iter().map(|version| canary[*version]["requests"].as_u64().unwrap()).sum()
}

fn end(bench: &mut Bench, action: &str) -> Answer {
    bench.admin("POST", "/admin/api/routes/canary", &json!({ "action": action }).to_string())
}

/// The acts about canaries in the log, with who did them.
fn acts(bench: &mut Bench) -> Vec<(String, String)> {
    let log = json_of(&bench.admin("GET", "/admin/api/audit", ""));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let acts = log["entries"].as_array().unwrap().iter();
    let of_canary = acts.filter_map(|act| Some((act["what"].as_str()?.strip_prefix("routes.canary.")?, act)));
    of_canary.map(|(what, act)| (what.to_owned(), text(&act["who"]))).collect()
}

fn is(acts: &[(String, String)], expected: &[(&str, &str)]) {
    let found: Vec<_> = acts.iter().map(|(what, who)| (what.as_str(), who.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_canary_serves_its_share_and_both_versions_are_counted() {
    let mut bench = started();
    let old = bench.isolate().current().unwrap().graph.version.clone();
    let new = start(&mut bench, "?canary=25&minutes=30", &same());
    assert_eq!(bench.document("routes"), Some(routes("", "")), "the current document stays");
    assert_eq!(bench.document("routes.canary"), Some(same()));
    let note: Value = serde_json::from_str(&bench.note("routes").unwrap()).unwrap();
    assert_eq!((&note["version"], &note["base"], &note["share"]), (&json!(new), &json!(old), &json!(25)));
    let mut served = [0, 0];
    for _ in 0..200 {
        let answer = chat(&mut bench);
        assert_eq!(answer.status, 200);
        let version = version_of(&bench, &answer);
        assert!(version == old || version == new);
        served[usize::from(version == new)] += 1;
    }
    assert!((30..=70).contains(&served[1]), "{served:?}");
    let status = json_of(&bench.admin("GET", "/admin/api/routes", ""));
    assert_eq!(status["version"], json!(old), "the admin API speaks of the version that stays");
    let canary = &status["canary"];
    assert_eq!(
        (&canary["version"], &canary["base"], &canary["share"]),
        (&json!(new), &json!(old), &json!(25))
    );
    assert_eq!(canary["old"]["requests"], json!(served[0]));
    assert_eq!(canary["new"]["requests"], json!(served[1]));
    assert_eq!(canary["new"]["failed"], json!(0));
    is(&acts(&mut bench), &[("start", "admin")]);
}

#[test]
fn a_version_that_breaks_is_taken_back_by_itself() {
    let mut bench = started();
    start(&mut bench, "?canary=10&minutes=30", &broken());
    let (mut failed, mut sent) = (0, 0);
    while bench.document("routes.canary").is_some() {
        sent += 1;
        assert!(sent < 300, "it is not taken back");
        failed += usize::from(chat(&mut bench).status == 404);
    }
    assert!((2..=8).contains(&failed), "{failed} of {sent}");
    assert_eq!((bench.document("routes"), bench.note("routes")), (Some(routes("", "")), None));
    assert_eq!(canary(&mut bench), Value::Null);
    for _ in 0..50 {
        assert_eq!(chat(&mut bench).status, 200);
    }
    assert!(bench.log().iter().any(|line| line.contains("has ended: more of its requests failed")));
    is(&acts(&mut bench), &[("start", "admin"), ("take_back", "gateway")]);
    assert_eq!(put(&mut bench, "", &same()).status, 200, "changes are possible again");
}

/// A gateway whose document has these webhooks, and one that wants no alerts about routes.
fn alerting() -> Bench {
    let deaf = r#"{"url": "https://deaf/x"}"#;
    let signed = r#"{"url": "${ALERT_URL}", "secret": "${ALERT_SECRET}", "on": ["routes"]}"#;
    let other = r#"{"url": "https://other/x", "on": ["ejected"]}"#;
    let bench = Bench::started(&routes(&format!(r#", "webhooks": [{deaf}, {signed}, {other}]"#), ""));
    bench.with_registry();
    bench
}

/// A canary that breaks starts, and is taken back.
fn take_back_by_itself(bench: &mut Bench) -> String {
    let version = start(bench, "?canary=30&minutes=30", &broken());
    for _ in 0..300 {
        chat(bench);
    }
    assert_eq!(bench.document("routes.canary"), None);
    version
}

#[test]
fn that_a_version_was_taken_back_is_reported_once_to_each_webhook_without_any_request() {
    let mut bench = alerting();
    let old = bench.isolate().current().unwrap().graph.version.clone();
    let new = take_back_by_itself(&mut bench);
    assert_eq!(bench.posts().len(), 0, "no request waits for it");
    bench.answer_posts([PostAnswer::Unreachable, PostAnswer::Status(204), PostAnswer::Status(500)]);
    for _ in 0..5 {
        bench.ring();
        bench.pass(ms(1_000));
    }
    bench.pass(ms(15_000));
    bench.ring();
    bench.pass(ms(30_000));
    for _ in 0..5 {
        bench.ring();
        bench.pass(ms(600_000));
    }
    let posts = bench.posts();
    let urls: Vec<_> = posts.iter().map(|post| &*post.url).collect();
    assert_eq!(urls, ["https://deaf/x", "https://hooks/alerts?token=t", "https://deaf/x", "https://deaf/x"]);
    let alert: Value = serde_json::from_str(&posts[1].body).unwrap();
    assert!(posts.iter().all(|post| post.body == posts[1].body), "the same in every try");
    assert_eq!(alert["type"], "routes");
    let routes = &alert["data"]["routes"];
    assert_eq!((&routes["version"], &routes["serves"]), (&json!(new), &json!(old)));
    assert!(routes["taken_back"].as_str().unwrap().starts_with("more of its requests failed: of its "));
    assert!(alert["message"].as_str().unwrap().contains(&new) && alert["data"].get("region").is_none());
    let (id, timestamp) = (alert["id"].as_str().unwrap(), posts[1].at.epoch_ms() / 1_000);
    let signature = SigningKey::parse("whsec_c2VjcmV0").unwrap().sign(id, timestamp, &posts[1].body);
    assert_eq!(posts[1].headers.get("webhook-signature"), Some(&*signature));
    let log = bench.log().concat();
    assert!(log.contains("settings.webhooks[0] did not take the alert") && !log.contains("deaf"), "{log}");
}

#[test]
fn a_webhook_that_takes_nothing_is_left_after_eight_tries() {
    let mut bench = alerting();
    take_back_by_itself(&mut bench);
    bench.answer_posts((0..40).map(|_| PostAnswer::Status(500)));
    for _ in 0..600 {
        bench.ring();
        bench.pass(ms(10_000));
    }
    assert_eq!(bench.posts().len(), 16, "eight for each of the two");
}

#[test]
fn what_an_administrator_ends_or_cannot_start_is_no_alert() {
    let mut bench = alerting();
    for action in ["promote", "take_back"] {
        start(&mut bench, "?canary=5", &if action == "promote" { same() } else { broken() });
        assert_eq!(end(&mut bench, action).status, 200);
    }
    bench.refuse_writes(true);
    assert_eq!(code(&put(&mut bench, "?canary=5", &routes("", "\n\n"))), "routes_not_written");
    bench.refuse_writes(false);
    for _ in 0..5 {
        bench.pass(ms(60_000));
        bench.ring();
    }
    assert_eq!(bench.posts().len(), 0);
}

#[test]
fn a_version_that_is_not_worse_takes_over_when_the_time_is_over() {
    let mut bench = started();
    let new = start(&mut bench, "?canary=50&minutes=30", &same());
    for _ in 0..140 {
        chat(&mut bench);
    }
    bench.pass(ms(31 * 60_000));
    bench.ring();
    assert_eq!((bench.document("routes"), bench.note("routes")), (Some(same()), None));
    assert_eq!(bench.document("routes.canary"), None);
    let history = json_of(&bench.admin("GET", "/admin/api/routes/history", ""));
    let latest = &history["versions"][0];
    assert_eq!((&latest["version"], &latest["how"]), (&json!(new), &json!("canary")));
    bench.pass(ms(120_000));
    chat(&mut bench);
    let answer = chat(&mut bench);
    assert_eq!(version_of(&bench, &answer), new);
    is(&acts(&mut bench), &[("start", "admin"), ("take_over", "gateway")]);
}

#[test]
fn a_version_that_served_too_few_requests_is_taken_back() {
    let mut bench = started();
    let old = bench.isolate().current().unwrap().graph.version.clone();
    start(&mut bench, "?canary=50&minutes=1", &same());
    for _ in 0..8 {
        chat(&mut bench);
    }
    bench.pass(ms(61_000));
    // Nobody has informed the isolate, but the time is over.
    for _ in 0..20 {
        let answer = chat(&mut bench);
        assert_eq!(version_of(&bench, &answer), old);
    }
    bench.ring();
    assert_eq!((bench.document("routes"), bench.note("routes")), (Some(routes("", "")), None));
    is(&acts(&mut bench), &[("start", "admin"), ("take_back", "gateway")]);
}

#[test]
fn an_administrator_ends_a_canary_either_way() {
    for (action, expected, act) in
        [("promote", same(), "take_over"), ("take_back", routes("", ""), "take_back")]
    {
        let mut bench = started();
        assert_eq!(code(&end(&mut bench, action)), "no_canary");
        start(&mut bench, "?canary=5", &same());
        assert_eq!(code(&end(&mut bench, "destroy")), "invalid_json");
        let ended = end(&mut bench, action);
        assert_eq!(ended.status, 200, "{}", ended.text());
        assert_eq!((bench.document("routes"), bench.note("routes")), (Some(expected), None));
        assert_eq!(bench.document("routes.canary"), None);
        let found = acts(&mut bench);
        is(&found[found.len() - 1..], &[(act, "admin")]);
        assert_eq!(canary(&mut bench), Value::Null);
    }
}

#[test]
fn a_promoted_version_serves_within_a_check_where_the_one_before_was_just_written() {
    let mut bench = started();
    assert_eq!(put(&mut bench, "", &same()).status, 200);
    let new = start(&mut bench, "?canary=5", &routes("", ""));
    assert_eq!(end(&mut bench, "promote").status, 200);
    bench.pass(ms(31_000));
    chat(&mut bench);
    assert!((0..30).all(|_| chat(&mut bench).header("x-switchyard-routes") == new));
}

#[test]
fn reasons_of_a_canary_are_as_long_as_any() {
    let mut bench = started();
    start(&mut bench, "?canary=5", &same());
    let why = "é".repeat(600);
    let body = json!({ "action": "promote", "why": why }).to_string();
    assert_eq!(bench.admin("POST", "/admin/api/routes/canary", &body).status, 200);
    for path in ["routes/history", "audit"] {
        let text = bench.admin("GET", &format!("/admin/api/{path}"), "").text();
        let longest = text.split('"').map(|part| part.matches('é').count()).max();
        assert_eq!(longest, Some(500), "{path}");
    }
}

#[test]
fn no_other_change_is_made_while_a_canary_runs() {
    let mut bench = started();
    let old = bench.isolate().current().unwrap().graph.version.clone();
    start(&mut bench, "?canary=5", &same());
    for query in ["", "?canary=5"] {
        let refused = put(&mut bench, query, &broken());
        assert_eq!((refused.status, code(&refused).as_str()), (409, "canary_under_way"), "{query}");
    }
    let body = json!({ "version": old }).to_string();
    let refused = bench.admin("POST", "/admin/api/routes/rollback", &body);
    assert_eq!(code(&refused), "canary_under_way");
}

#[test]
fn a_canary_needs_a_share_minutes_and_a_document_to_compare_with() {
    let mut bench = started();
    for query in [
        "?canary=0",
        "?canary=51",
        "?canary=x",
        "?canary=5&minutes=0",
        "?canary=5&minutes=1441",
        "?minutes=10",
        "?canry=5",
        "?canary=5&minute=60",
    ] {
        assert_eq!(code(&put(&mut bench, query, &same())), "invalid_json", "{query}");
    }
    let mut empty = Bench::without_documents();
    empty.with_registry();
    let refused = put(&mut empty, "?canary=5", &same());
    assert!(refused.status == 400 && refused.text().contains("no document in KV"), "{}", refused.text());
    assert_eq!(bench.asked_registry("begin"), 0);
}

#[test]
fn other_isolates_follow_the_start_and_the_end() {
    let mut bench = started();
    let new = start(&mut bench, "?canary=50&minutes=60", &same());
    bench.new_isolate();
    bench.request("GET", "/healthz", "");
    bench.pass(ms(2_000));
    let mut versions: Vec<String> = Vec::new();
    for _ in 0..20 {
        let answer = chat(&mut bench);
        versions.push(version_of(&bench, &answer));
    }
    assert!(versions.contains(&new) && versions.iter().any(|version| *version != new), "{versions:?}");
    let other = bench.arrive_at(std::rc::Rc::default());
    bench.request("GET", "/healthz", "");
    assert_eq!(end(&mut bench, "take_back").status, 200);
    bench.arrive_at(other);
    bench.pass(ms(120_000));
    chat(&mut bench);
    for _ in 0..20 {
        let answer = chat(&mut bench);
        assert_ne!(version_of(&bench, &answer), new);
    }
}

#[test]
fn an_older_copy_of_the_store_does_not_end_a_canary_that_began_here() {
    let mut bench = started();
    let new = start(&mut bench, "?canary=50&minutes=60", &same());
    let serves = |bench: &mut Bench| (0..30).any(|_| chat(bench).header("x-switchyard-routes") == new);
    // A second after its start, an isolate follows what it read at its start.
    bench.pass(ms(2_000));
    assert!(serves(&mut bench));
    // A cache of KV shows the document as it was before the canary.
    bench.put("routes", &routes("", ""));
    bench.pass(ms(31_000));
    chat(&mut bench);
    assert!(serves(&mut bench));
    // What it still shows two minutes later is no old copy.
    bench.pass(ms(120_000));
    chat(&mut bench);
    assert!(!serves(&mut bench));
}

#[test]
fn a_document_that_is_written_past_the_api_ends_a_canary_and_stays() {
    let mut bench = started();
    start(&mut bench, "?canary=5&minutes=60", &broken());
    let foreign = routes("", "\n\n");
    bench.put("routes", &foreign);
    bench.pass(ms(120_000));
    chat(&mut bench);
    assert_eq!((bench.document("routes"), bench.document("routes.canary")), (Some(foreign), None));
    assert_eq!(canary(&mut bench), Value::Null);
    for _ in 0..40 {
        assert_eq!(chat(&mut bench).status, 200);
    }
    is(&acts(&mut bench), &[("start", "admin"), ("take_back", "gateway")]);
}

#[test]
fn a_document_past_the_api_that_nobody_has_noticed_survives_the_end() {
    let mut bench = started();
    start(&mut bench, "?canary=5&minutes=60", &same());
    let foreign = routes("", "\n\n");
    bench.put("routes", &foreign);
    assert_eq!(end(&mut bench, "take_back").status, 200);
    assert_eq!((bench.document("routes"), bench.document("routes.canary")), (Some(foreign), None));
}

#[test]
fn a_document_past_the_api_that_never_serves_gives_way_when_the_canary_ends() {
    for (action, expected) in [("promote", same()), ("take_back", routes("", ""))] {
        let mut bench = started();
        start(&mut bench, "?canary=5&minutes=60", &same());
        bench.put("routes", &routes("", "").replace(r#"["first", "second"]"#, r#"["frist"]"#));
        bench.pass(ms(120_000));
        assert_eq!(chat(&mut bench).status, 200);
        assert!(canary(&mut bench).is_object(), "it ends no canary");
        assert_eq!(end(&mut bench, action).status, 200);
        assert_eq!((bench.document("routes"), bench.document("routes.canary")), (Some(expected), None));
        assert!(bench.registry_text().contains(action), "{action}");
        assert!(bench.log().concat().contains("another one takes its place"), "{:?}", bench.log());
    }
}

#[test]
fn a_store_that_takes_nothing_starts_nothing_and_is_written_later() {
    let mut bench = started();
    bench.refuse_writes(true);
    assert_eq!(code(&put(&mut bench, "?canary=5", &same())), "routes_not_written");
    assert_eq!(canary(&mut bench), Value::Null);
    assert_eq!(code(&put(&mut bench, "", &same())), "change_under_way", "the store is not clean yet");
    bench.refuse_writes(false);
    bench.pass(ms(10_000));
    bench.ring();
    assert_eq!((bench.document("routes"), bench.note("routes")), (Some(routes("", "")), None));
    start(&mut bench, "?canary=5", &same());
    bench.refuse_writes(true);
    assert_eq!(end(&mut bench, "promote").status, 200, "the registry has decided");
    assert!(bench.note("routes").is_some());
    bench.refuse_writes(false);
    bench.pass(ms(10_000));
    bench.ring();
    assert_eq!((bench.document("routes"), bench.note("routes")), (Some(same()), None));
}

#[test]
fn both_versions_know_the_same_of_a_deployment() {
    let mut bench = started();
    let new = start(&mut bench, "?canary=50&minutes=60", &same());
    for _ in 0..6 {
        bench.drop_scripts();
        bench.script([Script::json(500, OVERLOADED), Script::json(200, ANSWER)]);
        bench.begin_chat(CHAT);
    }
    let ejections = bench.log().iter().filter(|line| line.starts_with("health: first is out")).count();
    assert_eq!(ejections, 1, "{:?}", bench.log());
    let mut served = [0, 0];
    for _ in 0..20 {
        bench.drop_scripts();
        bench.script([Script::json(200, ANSWER)]);
        let answer = bench.begin_chat(CHAT);
        assert_eq!(answer.header("x-switchyard-deployment"), "second");
        served[usize::from(answer.header("x-switchyard-routes") == new)] += 1;
    }
    assert!(served.iter().all(|count| *count > 0), "{served:?}");
    let status = json_of(&bench.admin("GET", "/admin/api/health", ""));
    assert!(status["deployments"].as_array().unwrap().iter().all(|found| found["isolate"]["in_flight"] == 0));
}

#[test]
fn requests_whose_clients_leave_are_not_counted() {
    let mut bench = started();
    start(&mut bench, "?canary=50&minutes=60", &same());
    for _ in 0..5 {
        bench.drop_scripts();
        bench.script([Script { head_after: Some(ms(60_000)), ..Script::json(200, ANSWER) }]);
        assert!(bench.chat_until(CHAT, ms(5)).is_none());
    }
    bench.usual_clients();
    for _ in 0..5 {
        chat(&mut bench);
    }
    assert_eq!(counted_requests(&mut bench), 5);
}

#[test]
fn a_fault_for_a_time_answers_attempts_of_both_versions() {
    let mut bench = started();
    let new = start(&mut bench, "?canary=50&minutes=60", &same());
    bench.admin("POST", "/admin/api/faults", r#"{"deployment": "first", "fault": "500"}"#);
    let mut drilled = [false; 2];
    for _ in 0..20 {
        let answer = chat(&mut bench);
        let is_new = version_of(&bench, &answer) == new;
        drilled[usize::from(is_new)] |= answer.header("x-switchyard-trail").contains("drill");
        bench.admin("POST", "/admin/api/deployments/first/reset", "");
    }
    assert_eq!(drilled, [true, true]);
}

#[test]
fn without_a_registry_the_counts_are_those_of_the_isolate() {
    let mut bench = started();
    start(&mut bench, "?canary=50&minutes=60", &same());
    bench.lose_registry("canary/view");
    bench.lose_registry("canary/report");
    for _ in 0..5 {
        chat(&mut bench);
    }
    assert_eq!(counted_requests(&mut bench), 5);
}

#[test]
fn reports_that_are_lost_come_twice_or_overtake_each_other_count_each_request_once() {
    let mut bench = started();
    start(&mut bench, "?canary=50&minutes=60", &same());
    let report_of = |canary: u64, old: u64, new: u64| {
        let counts = |requests: u64| {
            let mut numbers = [0; 35];
            (numbers[0], numbers[13]) = (requests, requests);
            numbers
        };
        json!([&[canary, 7][..], &counts(old), &counts(new)].concat()).to_string()
    };
    let report = |old, new| report_of(1, old, new);
    // The second one is lost, the fourth one was overtaken.
    for sent in [report(1, 0), report(5, 4), report(5, 4), report(3, 2), report(9, 8)] {
        let (status, text) = bench.tell_registry("canary/report", &sent);
        assert_eq!(status, 200, "{text}");
        assert_eq!(text, r#"{"next_ms":5000,"ended":null}"#);
    }
    let canary = canary(&mut bench);
    assert_eq!((&canary["old"]["requests"], &canary["new"]["requests"]), (&json!(9), &json!(8)));
    assert_eq!((&canary["old"]["p50"], &canary["new"]["p95"]), (&json!(512), &json!(512)));
    let (_, late) = bench.tell_registry("canary/report", &report_of(0, 1, 1));
    assert_eq!(late, r#"{"next_ms":5000,"ended":"there is a later one"}"#);
}
