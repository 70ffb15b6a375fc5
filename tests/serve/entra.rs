//! Deployments of Azure that take tokens of Entra ID: when a token is asked for, and what happens
//! if there is none, or if it is refused.

use super::fake::{Bench, FormAnswer, Post, Script};
use super::{ANSWER, CHAT};
use crate::times::ms;
use serde_json::{Value, json};
use switchyard::vocabulary::time::{Instant, Millis};

const REFUSED: &str = r#"{"error":{"code":"401","message":"Access denied due to invalid token."}}"#;
const WRONG_SECRET: &str = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided: s3cret-0123456789.","error_codes":[7000215]}"#;
const HOUR: u64 = 3_600;

fn routes(proof: &Value) -> String {
    let mut entra = json!({ "tenant": "contoso", "client_id": "app-1" });
    entra.as_object_mut().unwrap().extend(proof.as_object().unwrap().clone());
    let azure = |name: &str| {
        json!({ "provider": "azure", "endpoint": format!("https://{name}"), "deployment": "gpt",
                "auth": { "entra": entra } })
    };
    json!({
        "version": 1,
        "settings": { "health": { "first_snapshot_ms": 0 }, "buffer_bytes": 1024 },
        "clients": { "app": { "key": "${SWITCHYARD_KEY}" } },
        "deployments": {
            "first": azure("first"),
            "other": azure("other"),
            "second": { "provider": "openai", "endpoint": "https://second/v1", "model": "up", "api_key": "${KEY}" },
        },
        "models": {
            "m": { "targets": ["first", "second"], "retry": { "attempts": 0 } },
            "n": { "targets": ["other"], "retry": { "attempts": 0 } },
        },
    })
    .to_string()
}

fn bench() -> Bench {
    let bench = Bench::without_documents();
    bench.set_variable("ENTRA_SECRET", "s3cret-0123456789");
    bench.put("routes", &routes(&json!({ "client_secret": "${ENTRA_SECRET}" })));
    bench
}

/// The answer with a token.
fn issued(token: &str, seconds: u64) -> FormAnswer {
    let text = json!({ "token_type": "Bearer", "expires_in": seconds, "access_token": token }).to_string();
    (ms(200), Some((200, text)))
}

fn served(bench: &Bench, count: usize) {
    bench.script((0..count).map(|_| Script::json(200, ANSWER)));
}

/// The host and the token or the key of each call.
fn sent(bench: &Bench) -> Vec<String> {
    let calls = bench.calls();
    let of_call = calls.iter().map(|call| {
        let host = call.request.url.trim_start_matches("https://").split('/').next().unwrap();
        assert_eq!(call.request.headers.get("api-key"), None);
        format!("{host} {}", call.request.headers.get("authorization").unwrap())
    });
    of_call.collect()
}

fn credential(bench: &mut Bench) -> Value {
    let health: Value = serde_json::from_str(&bench.admin("GET", "/admin/api/health", "").text()).unwrap();
    health["deployments"][0]["credential"].clone()
}

#[test]
fn a_token_is_asked_for_once_and_serves_all_deployments_with_the_same_application() {
    let mut bench = bench();
    bench.answer_forms([issued("token-1", HOUR)]);
    served(&bench, 10);
    let answers = bench.chats_at_once(8, CHAT);
    assert!(answers.iter().all(|(answer, _)| answer.status == 200), "{answers:?}");
    assert!(answers.iter().all(|(_, took)| (ms(210)..ms(260)).contains(took)), "{answers:?}");
    bench.chat(CHAT);
    bench.chat(&CHAT.replace("\"m\"", "\"n\""));
    let forms = bench.forms();
    let [Post { url, body, .. }] = forms.as_slice() else { panic!("{forms:?}") };
    assert_eq!(url, "https://login.microsoftonline.com/contoso/oauth2/v2.0/token");
    assert_eq!(
        body,
        "grant_type=client_credentials&client_id=app-1&scope=https%3A%2F%2Fai.azure.com%2F.default\
         &client_secret=s3cret-0123456789"
    );
    let sent = sent(&bench);
    assert_eq!(sent.len(), 10);
    assert_eq!((sent[0].as_str(), sent[9].as_str()), ("first Bearer token-1", "other Bearer token-1"));
    assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0));
}

#[test]
fn an_assertion_takes_the_place_of_a_secret() {
    let mut bench = bench();
    bench.set_variable("ASSERTION", "eyJ0.eyJz.c2ln");
    bench.put("routes", &routes(&json!({ "assertion": "${ASSERTION}", "authority": "https://login.test/" })));
    bench.answer_forms([issued("token-1", HOUR)]);
    served(&bench, 1);
    assert_eq!(bench.chat(CHAT).status, 200);
    let [Post { url, body, .. }] = &bench.forms()[..] else { panic!("one form") };
    assert_eq!(url, "https://login.test/contoso/oauth2/v2.0/token");
    assert!(body.contains("client-assertion-type%3Ajwt-bearer&client_assertion=eyJ0.eyJz.c2ln"), "{body}");
}

#[test]
fn the_first_request_does_not_die_with_its_client() {
    let mut bench = bench();
    bench.answer_forms([issued("token-1", HOUR)]);
    served(&bench, 1);
    assert!(bench.chat_until(CHAT, ms(50)).is_none());
    bench.finish();
    bench.usual_clients();
    assert_eq!(bench.chat(CHAT).status, 200);
    assert_eq!(bench.forms().len(), 1);
}

/// Tokens of an hour, for a day, with outages of the endpoint that are shorter than the rest of a
/// token's life, and with tokens that are revoked.
#[test]
fn in_24_hours_with_outages_and_revocations_no_client_sees_an_error_or_another_deployment() {
    let mut bench = bench();
    let mut issued_count = 0;
    let (mut valid_until, mut revoked) = (Instant::from_epoch_ms(0), 0);
    for minute in 0..24 * 60 {
        // Nine minutes of each hour without an endpoint, at a time that moves through the hour.
        let is_down = (minute + minute / 60 * 7) % 60 < 9 && minute > 60;
        // What was not used is of the past.
        let answers = if is_down { None } else { Some(issued_count + 1) };
        bench.drop_form_answers();
        bench.answer_forms(answers.map(|number| issued(&format!("token-{number}"), HOUR)));
        let before = bench.forms().len();
        // Each five hours, the token is revoked.
        let is_revoked = minute % 300 == 299 && !is_down;
        if is_revoked {
            revoked += 1;
            bench.script([Script::json(401, REFUSED)]);
        }
        served(&bench, 1);
        let calls = bench.calls().len();
        let answer = bench.chat(CHAT);
        assert_eq!(answer.header("x-switchyard-deployment"), "first", "minute {minute}");
        let sent = sent(&bench);
        let last = format!("first Bearer token-{issued_count}");
        if is_revoked {
            assert_eq!(sent.get(calls), Some(&last));
            assert_ne!(sent.last(), Some(&last), "minute {minute}");
        } else if bench.now() >= valid_until {
            assert_ne!(sent.last(), Some(&last), "minute {minute}: it had expired");
        }
        let asked = bench.forms().len() - before;
        if asked > 0 && !is_down {
            issued_count += 1;
            valid_until = bench.now() + Millis::new(HOUR * 1_000);
        }
        bench.drop_scripts();
        bench.pass(ms(60_000));
    }
    assert_eq!(revoked, 3);
    let tokens = issued_count;
    assert!((24..=40).contains(&tokens), "{tokens}");
    // An outage costs one request a minute at most.
    let forms = bench.forms().len();
    assert!(forms < 24 * 9 + 40, "{forms}");
}

#[test]
fn a_token_is_replaced_before_it_expires_and_nobody_waits_for_it() {
    let mut bench = bench();
    bench.answer_forms([issued("token-1", HOUR), issued("token-2", HOUR)]);
    served(&bench, 3);
    bench.chat(CHAT);
    bench.pass(ms(49 * 60_000));
    let before = bench.now();
    let answer = bench.begin_chat(CHAT);
    assert_eq!(answer.status, 200);
    assert!(bench.now() - before < ms(100), "the endpoint takes 200 ms");
    bench.finish();
    bench.chat(CHAT);
    let expected = ["first Bearer token-1", "first Bearer token-1", "first Bearer token-2"];
    assert_eq!(sent(&bench), expected);
}

#[test]
fn an_endpoint_that_is_down_harms_nothing_until_the_token_expires_and_then_the_next_target_serves() {
    let mut bench = bench();
    bench.answer_forms([issued("token-1", HOUR)]);
    served(&bench, 200);
    for _ in 0..59 {
        assert_eq!(bench.chat(CHAT).header("x-switchyard-deployment"), "first");
        bench.pass(ms(60_000));
    }
    assert!(credential(&mut bench)["token_problem"].as_str().unwrap().contains("unreachable"));
    bench.pass(ms(60_000));
    let answer = bench.chat(CHAT);
    assert!(answer.header("x-switchyard-trail").starts_with("first=unavailable;"), "{answer:?}");
    assert_eq!((answer.status, answer.header("x-switchyard-deployment")), (200, "second"));
    assert_eq!(bench.record()["attempts"][0]["reason"], "token_endpoint_unreachable");
    // Without a token, a storm of requests makes no storm at the endpoint.
    let before = bench.forms().len();
    for (answer, took) in bench.chats_at_once(100, CHAT) {
        assert_eq!(answer.status, 200);
        assert!(took < ms(100), "{took:?}");
    }
    assert!(bench.forms().len() - before <= 1);
    // It serves again by itself.
    bench.answer_forms([issued("token-2", HOUR)]);
    bench.pass(ms(90_000));
    bench.drop_scripts();
    served(&bench, 4);
    for _ in 0..3 {
        bench.chat(CHAT);
        bench.pass(ms(20_000));
    }
    assert_eq!(bench.chat(CHAT).header("x-switchyard-deployment"), "first");
}

#[test]
fn an_endpoint_that_does_not_answer_holds_an_attempt_up_for_five_seconds_at_most() {
    let mut bench = bench();
    bench.answer_forms([(ms(200_000), None)]);
    served(&bench, 2);
    let answers = bench.chats_at_once(2, CHAT);
    for (answer, took) in answers {
        assert_eq!(answer.header("x-switchyard-deployment"), "second");
        assert!((ms(5_000)..ms(5_200)).contains(&took), "{took:?}");
    }
    assert_eq!(bench.forms().len(), 1);
}

#[test]
fn what_entra_id_refuses_is_the_credential_of_the_deployment_and_the_reason_teaches() {
    let mut bench = bench();
    bench.answer_forms([(ms(200), Some((401, WRONG_SECRET.to_owned()))), issued("token-1", HOUR)]);
    served(&bench, 1);
    let answer = bench.chat(CHAT);
    assert!(answer.header("x-switchyard-trail").starts_with("first=auth;"), "{answer:?}");
    assert_eq!(answer.header("x-switchyard-deployment"), "second");
    assert_eq!(bench.record()["attempts"][0]["reason"], "AADSTS7000215");
    let log = bench.log().join("\n");
    assert!(log.contains("app-1 of contoso: AADSTS7000215 (the client secret is wrong"), "{log}");
    assert!(!log.contains("s3cret"), "{log}");
    // Without another target, the client learns whose fault it is.
    let mut bench = self::bench();
    bench.answer_forms([(ms(200), Some((401, WRONG_SECRET.to_owned())))]);
    let answer = bench.chat(&CHAT.replace("\"m\"", "\"n\""));
    assert_eq!(answer.status, 502, "{answer:?}");
    assert!(!answer.text().contains("s3cret"));
}

#[test]
fn a_new_secret_is_tried_at_once() {
    let mut bench = bench();
    let refused = || (ms(200), Some((401, WRONG_SECRET.to_owned())));
    bench.answer_forms([refused(), issued("token-1", HOUR)]);
    bench.chat(&CHAT.replace("\"m\"", "\"n\""));
    bench.set_variable("ENTRA_SECRET", "n3w-secret-0123456789");
    bench.put(
        "routes",
        &routes(&json!({ "client_secret": "${ENTRA_SECRET}", "scope": "https://ai.azure.com/.default" })),
    );
    bench.new_isolate();
    served(&bench, 1);
    assert_eq!(bench.chat(CHAT).header("x-switchyard-deployment"), "first");
}

#[test]
fn a_refused_token_is_replaced_once_within_the_attempt() {
    let mut bench = bench();
    bench.answer_forms([issued("token-1", HOUR), issued("token-2", HOUR)]);
    served(&bench, 1);
    bench.chat(CHAT);
    bench.pass(ms(120_000));
    bench.script([Script::json(401, REFUSED), Script::json(200, ANSWER)]);
    let answer = bench.chat(CHAT);
    assert_eq!((answer.status, answer.header("x-switchyard-deployment")), (200, "first"));
    assert_eq!(bench.record()["attempts"].as_array().unwrap().len(), 1, "it is one attempt");
    let expected = ["first Bearer token-1", "first Bearer token-1", "first Bearer token-2"];
    assert_eq!(sent(&bench), expected);

    // The new one is refused, too: it is the deployment, and there is no loop.
    bench.answer_forms([issued("token-3", HOUR)]);
    bench.pass(ms(120_000));
    bench.script([Script::json(401, REFUSED), Script::json(401, REFUSED), Script::json(200, ANSWER)]);
    let answer = bench.chat(CHAT);
    assert!(answer.header("x-switchyard-trail").starts_with("first=auth;"), "{answer:?}");
    assert_eq!(answer.header("x-switchyard-deployment"), "second");
    assert_eq!((sent(&bench).len(), bench.forms().len()), (6, 3));
}

#[test]
fn a_young_token_that_is_refused_is_not_replaced() {
    let mut bench = bench();
    bench.answer_forms([issued("token-1", HOUR)]);
    bench.script([Script::json(401, REFUSED), Script::json(200, ANSWER)]);
    assert_eq!(bench.chat(CHAT).header("x-switchyard-deployment"), "second");
    assert_eq!(bench.forms().len(), 1);
}

#[test]
fn a_body_that_is_sent_once_leaves_the_new_token_to_the_next_request() {
    let mut bench = bench();
    bench.answer_forms([issued("token-1", HOUR), issued("token-2", HOUR)]);
    served(&bench, 1);
    bench.chat(CHAT);
    bench.pass(ms(120_000));
    bench.script([Script::json(401, REFUSED), Script::json(200, ANSWER)]);
    let long = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{}"}}]}}"#, "a".repeat(4_000));
    bench.chat(&long);
    bench.chat(CHAT);
    let expected = ["first Bearer token-1", "first Bearer token-1", "first Bearer token-2"];
    assert_eq!(sent(&bench), expected, "it was not judged");
}

#[test]
fn a_token_that_an_upstream_quotes_is_masked() {
    let mut bench = bench();
    bench.answer_forms([issued("token-0123456789", HOUR)]);
    let quoted = r#"{"error":{"code":"400","message":"no scope in token-0123456789"}}"#;
    bench.script([Script::json(400, quoted)]);
    let answer = bench.chat(&CHAT.replace("\"m\"", "\"n\""));
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("no scope in ***"), "{answer:?}");
}

#[test]
fn administrators_see_when_a_token_expires_and_no_secret() {
    let mut bench = bench();
    assert_eq!(credential(&mut bench), json!({ "token_expires_at": null, "token_problem": null }));
    bench.answer_forms([issued("token-1", HOUR)]);
    served(&bench, 1);
    bench.chat(CHAT);
    let found = credential(&mut bench);
    let expires_at = found["token_expires_at"].as_u64().unwrap();
    let left = Instant::from_epoch_ms(expires_at) - bench.now();
    assert!(left > ms(3_590_000) && left <= ms(3_600_000), "{found}");
    assert_eq!(found["token_problem"], Value::Null);
}
