//! What webhooks get, and that no request notices them.

use std::rc::Rc;

use serde_json::Value;
use switchyard::serve::isolate_memory::Isolate;
use switchyard::signature::SigningKey;

use super::fake::{Bench, Post, PostAnswer, Script};
use super::{ANSWER, CHAT, routes};
use crate::times::ms;

const QUOTA: &str = r#"{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}"#;
const SIGNED: &str = r#"{"url": "${ALERT_URL}", "secret": "${ALERT_SECRET}"}"#;

fn alerting(webhooks: &str) -> String {
    routes(&format!(r#", "webhooks": [{webhooks}]"#), "")
}

/// A gateway whose isolates share health.
fn shared(routes: &str) -> Bench {
    let bench = Bench::new(routes);
    bench.with_objects();
    bench
}

/// Serves one request, which lets the isolate report.
fn serve(bench: &mut Bench) {
    bench.script([Script::json(200, ANSWER)]);
    assert_eq!(bench.chat(CHAT).status, 200, "{:?}", bench.log());
}

/// Ejects the first deployment for five minutes, and lets a minute pass.
fn outage(bench: &mut Bench) {
    serve(bench);
    bench.pass(ms(2_000));
    bench.script([Script::json(429, QUOTA)]);
    serve(bench);
    bench.pass(ms(2_000));
    serve(bench);
    assert_eq!(bench.posts().len(), 0, "not yet");
    bench.pass(ms(60_000));
}

fn body(post: &Post) -> Value {
    serde_json::from_str(&post.body).unwrap()
}

fn kinds(bench: &Bench) -> Vec<String> {
    bench.posts().iter().map(|post| body(post)["type"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_outage_of_more_than_a_minute_is_reported_once_and_so_is_its_end() {
    let mut bench = shared(&alerting(SIGNED));
    outage(&mut bench);
    for _ in 0..10 {
        serve(&mut bench);
        bench.pass(ms(5_000));
    }
    assert_eq!(kinds(&bench), ["ejected"]);
    let post = &bench.posts()[0];
    let alert = body(post);
    assert_eq!(post.url, "https://hooks/alerts?token=t");
    assert_eq!(alert["data"]["deployment"], "first");
    assert_eq!(alert["data"]["reason"]["kind"], "quota");
    assert_eq!(alert["id"], post.headers.get("webhook-id").unwrap());
    let timestamp: u64 = post.headers.get("webhook-timestamp").unwrap().parse().unwrap();
    assert_eq!(timestamp, post.at.epoch_ms() / 1_000);
    let signature = SigningKey::parse("whsec_c2VjcmV0").unwrap().sign(
        post.headers.get("webhook-id").unwrap(),
        timestamp,
        &post.body,
    );
    assert_eq!(post.headers.get("webhook-signature"), Some(&*signature));
    assert_eq!(post.headers.get("content-type"), Some("application/json"));
    // The probe after the five minutes passes.
    bench.pass(ms(200_000));
    for _ in 0..5 {
        serve(&mut bench);
        bench.pass(ms(2_000));
    }
    assert_eq!(kinds(&bench), ["ejected", "recovered"]);
    let said = bench.posts().iter().map(|post| post.body.clone()).collect::<String>();
    for secret in ["sk-up", "sk-app", "c2VjcmV0", "token=t", "exceeded"] {
        assert!(!said.contains(secret) && !bench.log().concat().contains(secret), "{secret}");
    }
}

#[test]
fn a_webhook_that_does_not_take_an_alert_gets_the_same_again_and_the_others_do_not() {
    let deaf = r#"{"url": "https://deaf/x"}"#;
    let mut bench = shared(&alerting(&format!("{deaf}, {SIGNED}")));
    outage(&mut bench);
    bench.answer_posts([PostAnswer::Status(302), PostAnswer::Status(204), PostAnswer::Unreachable]);
    for _ in 0..8 {
        serve(&mut bench);
        bench.pass(ms(10_000));
    }
    let posts = bench.posts();
    let urls: Vec<_> = posts.iter().map(|post| &*post.url).collect();
    assert_eq!(urls, ["https://deaf/x", "https://hooks/alerts?token=t", "https://deaf/x", "https://deaf/x"]);
    assert!(posts.iter().all(|post| post.body == posts[0].body));
    assert_eq!(posts[0].headers.get("webhook-signature"), None);
    let log = bench.log().concat();
    assert!(
        log.contains("settings.webhooks[0] did not take the alert") && log.contains("status 302"),
        "{log}"
    );
    assert!(!log.contains("deaf"), "the URL is a secret: {log}");
}

#[test]
fn no_request_waits_for_a_webhook_that_hangs() {
    let mut bench = shared(&alerting(SIGNED));
    outage(&mut bench);
    bench.answer_posts([PostAnswer::Never]);
    bench.script([Script::json(200, ANSWER), Script::json(200, ANSWER)]);
    let began_at = bench.now();
    assert_eq!(bench.begin_chat(CHAT).status, 200);
    assert!(bench.now() - began_at <= ms(10));
    bench.finish();
    assert_eq!(bench.posts().len(), 1);
    assert!(bench.now() - began_at >= ms(5_000), "the time limit of the call");
    assert_eq!(bench.open_waits(), 0);
    assert!(bench.log().concat().contains("no answer within 5000 ms"), "{:?}", bench.log());
}

#[test]
fn a_refused_document_is_reported_by_one_of_all_isolates() {
    let mut bench = shared(&alerting(SIGNED));
    let other: Rc<Isolate> = Rc::default();
    serve(&mut bench);
    let first = bench.arrive_at(Rc::clone(&other));
    serve(&mut bench);
    bench.put("routes", &routes("", "").replace("\"second\"]", "\"sk-1234\"]"));
    for _ in 0..10 {
        for isolate in [&first, &other] {
            bench.arrive_at(Rc::clone(isolate));
            serve(&mut bench);
            bench.pass(ms(20_000));
        }
    }
    assert_eq!(kinds(&bench), ["routes"]);
    let alert = body(&bench.posts()[0]);
    assert_eq!(alert["data"]["routes"]["issues"], 1);
    assert!(
        alert["data"]["routes"]["first"][0].as_str().unwrap().starts_with("models.m.targets[1]"),
        "{alert}"
    );
    assert_eq!(alert["data"]["routes"]["version"].as_str().unwrap().len(), 12);
}

#[test]
fn a_webhook_gets_the_kinds_that_it_wants() {
    let webhooks =
        r#"{"url": "https://a/x", "on": ["recovered"]}, {"url": "https://b/x", "on": ["routes", "ejected"]}"#;
    let mut bench = shared(&alerting(webhooks));
    outage(&mut bench);
    serve(&mut bench);
    bench.pass(ms(300_000));
    for _ in 0..5 {
        serve(&mut bench);
        bench.pass(ms(2_000));
    }
    let urls: Vec<_> = bench.posts().iter().map(|post| post.url.clone()).collect();
    assert_eq!(
        (urls, kinds(&bench)),
        (
            vec!["https://b/x".to_owned(), "https://a/x".to_owned()],
            vec!["ejected".to_owned(), "recovered".to_owned()]
        )
    );
}

#[test]
fn without_webhooks_nothing_is_reported() {
    let mut bench = shared(&routes("", ""));
    outage(&mut bench);
    serve(&mut bench);
    bench.put("routes", "{");
    bench.pass(ms(200_000));
    serve(&mut bench);
    serve(&mut bench);
    assert_eq!(bench.posts().len(), 0);
}
