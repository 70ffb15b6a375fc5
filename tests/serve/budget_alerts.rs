//! What webhooks get when a limit of a day or a month is nearly or wholly spent.

use serde_json::{Value, json};

use super::fake::{Bench, PostAnswer, Script};
use super::times::ms;
use super::{ANSWER, CHAT};

const APP: &str = "default/client:app";

/// A gateway with these limits of the client `app` and webhooks for these kinds.
fn budgeted(limits: &Value, kinds: &Value) -> Bench {
    let mut document: Value = serde_json::from_str(&super::routes("", "")).unwrap();
    document["clients"]["app"]["limits"] = limits.clone();
    document["settings"]["webhooks"] =
        json!([{ "url": "${ALERT_URL}", "secret": "${ALERT_SECRET}", "on": kinds }]);
    let bench = Bench::started(&document.to_string());
    bench.script((0..200).map(|_| Script::json(200, ANSWER)));
    bench
}

/// Sends this many requests, with time for the reports between them.
fn chats(bench: &mut Bench, count: usize) {
    for _ in 0..count {
        bench.chat(CHAT);
        bench.pass(ms(3_000));
    }
}

fn alerts(bench: &Bench) -> Vec<(u64, u64)> {
    let of = |post: &super::fake::Post| {
        let body: Value = serde_json::from_str(&post.body).unwrap();
        assert_eq!(body["type"], "budget");
        (body["data"]["threshold"].as_u64().unwrap(), body["data"]["spent"].as_u64().unwrap())
    };
    bench.posts().iter().map(of).collect()
}

#[test]
fn a_limit_of_a_day_is_reported_at_80_percent_and_at_its_end_and_again_the_next_day() {
    let mut bench = budgeted(&json!([{ "requests": 10, "per": "day" }]), &json!(["budget"]));
    chats(&mut bench, 7);
    assert_eq!(alerts(&bench), []);
    chats(&mut bench, 1);
    assert_eq!(alerts(&bench), [(80, 8)]);
    let post = bench.posts()[0].clone();
    let body: Value = serde_json::from_str(&post.body).unwrap();
    assert_eq!(body["id"], post.headers.get("webhook-id").unwrap());
    assert!(post.headers.get("webhook-signature").is_some());
    assert_eq!(body["data"]["client"], "app");
    assert_eq!((&body["data"]["meter"], &body["data"]["share"]), (&json!("requests/day"), &json!(80)));
    chats(&mut bench, 1);
    bench.ledgers().evict();
    chats(&mut bench, 4);
    assert_eq!(alerts(&bench), [(80, 8), (100, 10)]);
    let rest: u64 = 86_400_000 - bench.now().epoch_ms() % 86_400_000;
    bench.pass(ms(rest));
    bench.script((0..20).map(|_| Script::json(200, ANSWER)));
    chats(&mut bench, 8);
    assert_eq!(alerts(&bench), [(80, 8), (100, 10), (80, 8)]);
}

#[test]
fn an_alert_that_the_receiver_does_not_take_comes_again_and_no_request_waits_for_it() {
    let mut bench = budgeted(&json!([{ "requests": 10, "per": "month" }]), &json!(["budget"]));
    bench.answer_posts([PostAnswer::Never, PostAnswer::Status(500), PostAnswer::Status(204)]);
    for _ in 0..8 {
        bench.begin_chat(CHAT);
        bench.pass(ms(3_000));
    }
    assert_eq!(alerts(&bench), [(80, 8)], "the receiver has not answered yet");
    let began_at = bench.now();
    assert_eq!(bench.begin_chat(CHAT).status, 200);
    assert!(bench.now() - began_at <= ms(10), "{:?}", bench.now() - began_at);
    for _ in 0..12 {
        assert!(bench.begin_chat(CHAT).status > 0);
        bench.pass(ms(10_000));
    }
    let of_80 = bench.posts().iter().filter(|post| post.body.contains(r#""threshold":80"#)).count();
    assert!(of_80 >= 2, "{:?}", alerts(&bench));
    assert!(bench.log().concat().contains("settings.webhooks[0] did not take the alert"));
}

#[test]
fn without_such_a_webhook_the_ledger_keeps_no_alerts() {
    let mut bench = budgeted(&json!([{ "requests": 3, "per": "day" }]), &json!(["ejected"]));
    chats(&mut bench, 5);
    assert_eq!(bench.posts().len(), 0);
    assert_eq!(bench.limit(APP, "requests/day"), (3, 0, 0));
}

#[test]
fn a_limit_with_by_is_reported_for_each_value_with_its_name() {
    let limits = json!([{ "requests": 2, "per": "day", "by": "user" }]);
    let mut bench = budgeted(&limits, &json!(["budget"]));
    let asked = |user: &str| json!({ "model": "m", "messages": [], "user": user }).to_string();
    for user in ["ann", "bob", "ann"] {
        bench.chat(&asked(user));
        bench.pass(ms(3_000));
    }
    let body: Value = serde_json::from_str(&bench.posts()[0].body).unwrap();
    assert_eq!((bench.posts().len(), &body["data"]["meter"]), (1, &json!("requests/day/user=ann")));
}
