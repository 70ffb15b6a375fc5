//! Issued keys, from the call that issues one to the request that comes with it.

#![allow(clippy::string_slice, reason = "keys are ASCII")]

use serde_json::{Value, json};
use switchyard::keys::key_format::{KeyHash, make};
use switchyard::vocabulary::time::Millis;

use super::fake::{Answer, Bench, Script};
use super::{ANSWER, CHAT, routes};
use crate::times::ms;

/// The document, with these keys of the client and another model.
fn document(client: &str) -> String {
    routes("", "")
        .replace(r#""models": ["*"]}}"#, &format!(r#""models": ["*"]{client}}}}}"#))
        .replace(r#""models": {"m""#, r#""models": {"other": {"targets": ["first"]}, "m""#)
}

/// How long the upstream takes.
const UPSTREAM_MS: Millis = Millis::new(10);
const OPEN: &str = r#", "allow_keys": true"#;

fn started(client: &str) -> Bench {
    let mut bench = Bench::started(&document(client));
    bench.with_registry();
    bench.finish();
    bench
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_str(&answer.text()).unwrap_or_else(|_| panic!("{answer:?}"))
}

fn code(answer: &Answer) -> String {
    json_of(answer)["error"]["code"].as_str().unwrap_or_default().to_owned()
}

fn issue(bench: &mut Bench, more: &str) -> Value {
    let body = format!(r#"{{"client":"app","name":"ci"{more}}}"#);
    let answer = bench.admin("POST", "/admin/api/keys", &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    json_of(&answer)
}

fn key_of(issued: &Value) -> &'static str {
    issued["key"].as_str().unwrap().to_owned().leak()
}

/// The status and the code of a chat request with this key.
fn chat(bench: &mut Bench, key: &'static str) -> (u16, String) {
    bench.script([Script::json(200, ANSWER)]);
    bench.use_key(key);
    let answer = bench.begin_chat(CHAT);
    bench.use_key("sk-app");
    bench.drop_scripts();
    (answer.status, if answer.status == 200 { String::new() } else { code(&answer) })
}

fn ok() -> (u16, String) {
    (200, String::new())
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// The reads of records.
fn key_reads(bench: &Bench) -> usize {
    bench.all_reads().iter().filter(|name| name.starts_with("key:")).count()
}

#[test]
fn an_issued_key_opens_its_client_and_the_log_names_it() {
    let mut bench = started(OPEN);
    let issued = issue(&mut bench, r#","owner":"ada""#);
    assert_eq!(
        (&issued["id"], &issued["client"], &issued["owner"], &issued["state"], &issued["created_by"]),
        (&json!("key_1"), &json!("app"), &json!("ada"), &json!("active"), &json!("admin"))
    );
    let key = key_of(&issued);
    assert_eq!(issued["prefix"], key[..10]);
    assert_eq!(chat(&mut bench, key), ok());
    assert_eq!(key_reads(&bench), 0, "the isolate that issued it knows it");
    bench.finish();
    assert_eq!((&bench.record()["client"], &bench.record()["key"]), (&json!("app"), &json!("key_1")));
    chat(&mut bench, "sk-app");
    bench.finish();
    assert_eq!(bench.record().get("key"), None, "the key of the document has no id");
    bench.new_isolate();
    assert_eq!(chat(&mut bench, key), ok());
    assert_eq!(key_reads(&bench), 1);
    bench.use_key(key);
    assert!(bench.request("GET", "/v1/models", "").text().contains("other"));
}

#[test]
fn in_the_steady_state_no_request_waits_for_the_store() {
    let mut bench = started(OPEN);
    let key = key_of(&issue(&mut bench, ""));
    bench.new_isolate();
    chat(&mut bench, key);
    // From now on, a read of the store takes a second. A request each second for an hour.
    bench.delay_store(Some(ms(1_000)));
    let before = key_reads(&bench);
    for _ in 0..3_600 {
        bench.pass(ms(1_000));
        let at = bench.now();
        assert_eq!(chat(&mut bench, key), ok());
        assert!(bench.now() - at <= UPSTREAM_MS, "it waited");
    }
    let reads = key_reads(&bench) - before;
    assert!((100..=120).contains(&reads), "one in the background each half minute, not {reads}");
}

#[test]
fn requests_with_one_new_key_share_one_read() {
    let mut bench = started(OPEN);
    let key = key_of(&issue(&mut bench, ""));
    bench.new_isolate();
    bench.request("GET", "/healthz", "");
    bench.delay_store(Some(ms(300)));
    bench.script((0..20).map(|_| Script::json(200, ANSWER)));
    bench.use_key(key);
    let answers = bench.chats_at_once(20, CHAT);
    assert!(answers.iter().all(|(answer, _)| answer.status == 200));
    assert!(
        answers.iter().all(|(_, took)| *took < ms(500)),
        "{:?}",
        answers.iter().map(|(_, took)| took).collect::<Vec<_>>()
    );
    assert_eq!(key_reads(&bench), 1);
}

#[test]
fn a_key_narrows_its_client() {
    let mut bench = started(OPEN);
    let key = key_of(&issue(&mut bench, r#","models":["oth*"]"#));
    assert_eq!(chat(&mut bench, key), refused(404, "model_not_found"));
    bench.use_key(key);
    let models = json_of(&bench.request("GET", "/v1/models", ""));
    assert_eq!(models["data"].as_array().unwrap().len(), 1, "{models}");
    assert_eq!(bench.request("GET", "/v1/models/m", "").status, 404);
    bench.use_key("sk-app");
    for (models, expected) in [(r#"["othr"]"#, "model_not_found"), (r#"["m","other"]"#, "")] {
        let body = format!(r#"{{"client":"app","name":"ci","models":{models}}}"#);
        let answer = bench.admin("POST", "/admin/api/keys", &body);
        assert_eq!(json_of(&answer)["error"]["code"].as_str().unwrap_or_default(), expected);
    }
}

#[test]
fn a_revoked_key_ends_here_at_once_and_everywhere_within_two_minutes() {
    let mut bench = started(OPEN);
    let key = key_of(&issue(&mut bench, ""));
    let elsewhere = bench.arrive_at(std::rc::Rc::default());
    assert_eq!(chat(&mut bench, key), ok());
    let here = bench.arrive_at(elsewhere);
    let stored = KeyHash::of(key).store_name();
    let old = bench.document(&stored).unwrap();
    let revoked = bench.admin("DELETE", "/admin/api/keys/key_1", "");
    assert_eq!(revoked.status, 200, "{}", revoked.text());
    let view = json_of(&revoked);
    assert_eq!((&view["state"], &view["ends_everywhere_within_seconds"]), (&json!("revoked"), &json!(120)));
    assert_eq!(chat(&mut bench, key), refused(401, "api_key_revoked"));
    let again = bench.admin("DELETE", "/admin/api/keys/key_1", "");
    assert_eq!(json_of(&again)["revoked"], view["revoked"], "once");
    // The other isolate, whose cache of the store has the old record for a minute.
    let new = bench.document(&stored).unwrap();
    bench.put(&stored, &old);
    bench.arrive_at(here);
    let mut last = Millis::ZERO;
    for second in 0..180 {
        if second == 60 {
            bench.put(&stored, &new);
        }
        match chat(&mut bench, key) {
            (200, _) => last = ms(second * 1_000),
            other => assert_eq!(other, refused(401, "api_key_revoked")),
        }
        bench.pass(ms(1_000));
    }
    assert!(last > ms(60_000) && last < ms(120_000), "{last}");
}

#[test]
fn a_rotation_gives_a_new_key_and_the_old_one_goes_on_for_the_overlap() {
    let mut bench = started(OPEN);
    let old = key_of(&issue(&mut bench, r#","models":["m"],"owner":"ada""#));
    let rotated = bench.admin("POST", "/admin/api/keys/key_1/rotate", r#"{"overlap_seconds":600}"#);
    assert_eq!(rotated.status, 200, "{}", rotated.text());
    let view = json_of(&rotated);
    assert_eq!(
        (&view["id"], &view["replaces"], &view["owner"]),
        (&json!("key_2"), &json!("key_1"), &json!("ada"))
    );
    assert_eq!((&view["old"]["id"], &view["old"]["replaced_by"]), (&json!("key_1"), &json!("key_2")));
    let new = key_of(&view);
    assert_eq!((chat(&mut bench, old), chat(&mut bench, new)), (ok(), ok()));
    bench.pass(ms(599_000));
    assert_eq!((chat(&mut bench, old), chat(&mut bench, new)), (ok(), ok()));
    bench.pass(ms(2_000));
    assert_eq!(chat(&mut bench, old), refused(401, "api_key_expired"));
    bench.new_isolate();
    assert_eq!((chat(&mut bench, old), chat(&mut bench, new)), (refused(401, "api_key_expired"), ok()));
    let again = bench.admin("POST", "/admin/api/keys/key_1/rotate", "");
    assert_eq!((again.status, code(&again).as_str()), (409, "key_not_active"));
    assert_eq!(bench.admin("POST", "/admin/api/keys/key_9/rotate", "").status, 404);
}

#[test]
fn a_key_and_a_client_end_when_their_time_is_over() {
    // The bench starts on 2026-01-01.
    let mut bench = started(&[OPEN, r#", "expires": "2026-01-02""#].concat());
    let key = key_of(&issue(&mut bench, r#","expires":"2026-01-01T12:00:00Z""#));
    let longer = key_of(&issue(&mut bench, r#","expires":"2027-01-01""#));
    assert_eq!((chat(&mut bench, key), chat(&mut bench, longer)), (ok(), ok()));
    bench.pass(ms(12 * 3_600_000));
    assert_eq!((chat(&mut bench, key), chat(&mut bench, longer)), (refused(401, "api_key_expired"), ok()));
    assert_eq!(chat(&mut bench, "sk-app"), ok());
    bench.pass(ms(36 * 3_600_000));
    for key in ["sk-app", longer, key] {
        assert_eq!(chat(&mut bench, key), refused(401, "api_key_expired"));
    }
    bench.use_key(longer);
    assert_eq!(bench.request("GET", "/v1/models", "").status, 401);
}

#[test]
fn keys_stop_with_what_the_document_takes_away() {
    let mut bench = started(OPEN);
    let key = key_of(&issue(&mut bench, ""));
    assert_eq!(chat(&mut bench, key), ok());
    for changed in [document(""), document(OPEN).replace(r#""app":"#, r#""web":"#)] {
        bench.put("routes", &changed);
        bench.pass(ms(40_000));
        chat(&mut bench, "sk-app");
        bench.pass(ms(1_000));
        assert_eq!(chat(&mut bench, key), refused(401, "invalid_api_key"));
    }
    bench.put("routes", &document(OPEN));
    bench.pass(ms(40_000));
    chat(&mut bench, "sk-app");
    bench.pass(ms(1_000));
    assert_eq!(chat(&mut bench, key), ok(), "and come back with it");
}

#[test]
fn what_cannot_be_a_key_never_reads_the_store_and_guesses_read_it_rarely() {
    let mut bench = started(OPEN);
    for key in ["sk-1234", "sk-sy-", "sk-sy-0123456789012345678901234567890123456789012345678", "", "é"] {
        assert_eq!(chat(&mut bench, key), refused(401, "invalid_api_key"), "{key}");
    }
    assert_eq!(key_reads(&bench), 0);
    let guess = |number: u64| -> &'static str {
        let mut secret = [1; 32];
        secret[..8].copy_from_slice(&number.to_le_bytes());
        make(secret).leak()
    };
    assert_eq!(chat(&mut bench, guess(0)), refused(401, "invalid_api_key"));
    assert_eq!(chat(&mut bench, guess(0)), refused(401, "invalid_api_key"));
    assert_eq!(key_reads(&bench), 1, "known for ten seconds");
    for number in 1..300 {
        let (status, code) = chat(&mut bench, guess(number));
        assert!(
            (status, code.as_str()) == (401, "invalid_api_key")
                || (status, code.as_str()) == (503, "keys_unavailable")
        );
    }
    let seconds = bench.elapsed().seconds_rounded_up();
    assert!(key_reads(&bench) as u64 <= 100 + 20 * seconds, "{} in {seconds} s", key_reads(&bench));
    // A client with a key of the document notices nothing of it.
    let at = bench.now();
    assert_eq!(chat(&mut bench, "sk-app"), ok());
    assert!(bench.now() - at <= UPSTREAM_MS);
}

#[test]
fn without_allowed_keys_the_store_is_never_asked_for_one() {
    let mut bench = started("");
    let answer = bench.admin("POST", "/admin/api/keys", r#"{"client":"app","name":"ci"}"#);
    assert_eq!((answer.status, code(&answer).as_str()), (409, "keys_not_allowed"));
    let answer = bench.admin("POST", "/admin/api/keys", r#"{"client":"ap","name":"ci"}"#);
    assert_eq!((answer.status, code(&answer).as_str()), (404, "client_not_found"));
    assert_eq!(chat(&mut bench, make([9; 32]).leak()), refused(401, "invalid_api_key"));
    assert_eq!(key_reads(&bench), 0);
}

#[test]
fn while_the_store_does_not_answer_known_keys_go_on_and_new_ones_are_asked_to_come_again() {
    let mut bench = started(OPEN);
    let (known, new) = (key_of(&issue(&mut bench, "")), key_of(&issue(&mut bench, "")));
    bench.new_isolate();
    assert_eq!(chat(&mut bench, known), ok());
    for key in [known, new] {
        bench.break_store(&KeyHash::of(key).store_name());
    }
    for _ in 0..9 {
        bench.pass(ms(62_000));
        let at = bench.now();
        assert_eq!(chat(&mut bench, known), ok());
        assert!(bench.now() - at <= ms(500));
    }
    assert_eq!(chat(&mut bench, new), refused(503, "keys_unavailable"));
    bench.use_key(new);
    let answer = bench.begin_chat(CHAT);
    assert_eq!((answer.header("x-should-retry"), answer.header("retry-after")), ("true", "1"));
    bench.pass(ms(62_000));
    assert_eq!(chat(&mut bench, known), refused(503, "keys_unavailable"), "for ten minutes");
}

#[test]
fn a_key_whose_record_is_not_written_is_never_shown() {
    let mut bench = started(OPEN);
    bench.refuse_writes(true);
    let answer = bench.admin("POST", "/admin/api/keys", r#"{"client":"app","name":"ci"}"#);
    assert_eq!((answer.status, code(&answer).as_str()), (503, "keys_not_written"));
    assert_eq!(json_of(&bench.admin("GET", "/admin/api/keys", ""))["keys"], json!([]));
    bench.refuse_writes(false);
    let key = key_of(&issue(&mut bench, ""));
    // What the store does not take of a revocation is written with the alarm.
    bench.refuse_writes(true);
    let revoked = json_of(&bench.admin("DELETE", "/admin/api/keys/key_2", ""));
    assert_eq!((&revoked["state"], &revoked["is_written"]), (&json!("revoked"), &json!(false)));
    bench.refuse_writes(false);
    bench.pass(ms(5_000));
    bench.ring();
    assert_eq!(json_of(&bench.admin("GET", "/admin/api/keys/key_2", ""))["is_written"], json!(true));
    bench.new_isolate();
    assert_eq!(chat(&mut bench, key), refused(401, "api_key_revoked"));
}

#[test]
fn the_registry_knows_the_hour_in_which_a_key_was_last_used() {
    let mut bench = started(OPEN);
    let keys = [key_of(&issue(&mut bench, "")), key_of(&issue(&mut bench, ""))];
    let shown =
        |bench: &mut Bench| json_of(&bench.admin("GET", "/admin/api/keys/key_1", ""))["last_used"].clone();
    assert_eq!(shown(&mut bench), json!(null));
    for _ in 0..50 {
        for key in keys {
            assert_eq!(chat(&mut bench, key), ok());
        }
        bench.pass(ms(60_000));
    }
    assert_eq!(bench.asked_registry("keys/used"), 50, "one message each time, of both");
    assert_eq!(shown(&mut bench), json!(1_767_225_600_000_u64));
    bench.pass(ms(700_000));
    assert_eq!(chat(&mut bench, keys[0]), ok());
    bench.finish();
    assert_eq!(bench.asked_registry("keys/used"), 51);
    assert_eq!(shown(&mut bench), json!(1_767_229_200_000_u64));
}

#[test]
fn imported_keys_of_any_form_go_on_by_their_hashes() {
    let both = [OPEN, r#", "imported_keys": true"#].concat();
    let mut bench = started(OPEN);
    let hash = KeyHash::of("sk-old-key-of-litellm").hex();
    let body = format!(
        r#"{{"keys":[{{"hash":"{hash}","prefix":"sk-...ellm","client":"app","name":"old","models":["m"]}}]}}"#
    );
    let refused_import = bench.admin("POST", "/admin/api/keys/import", &body);
    assert_eq!((refused_import.status, code(&refused_import).as_str()), (409, "keys_not_allowed"));
    let mut bench = started(&both);
    let imported = bench.admin("POST", "/admin/api/keys/import", &body);
    assert_eq!(json_of(&imported), json!({ "imported": 1, "known": 0, "unwritten": 0 }));
    let again = bench.admin("POST", "/admin/api/keys/import", &body);
    assert_eq!(json_of(&again), json!({ "imported": 0, "known": 1, "unwritten": 0 }));
    assert_eq!(chat(&mut bench, "sk-old-key-of-litellm"), ok());
    assert_eq!(chat(&mut bench, "sk-another-key-of-litellm"), refused(401, "invalid_api_key"));
    let shown = json_of(&bench.admin("GET", "/admin/api/keys/key_1", ""));
    assert_eq!((&shown["prefix"], &shown["is_imported"]), (&json!("sk-...ellm"), &json!(true)));
    bench.put("routes", &document(OPEN));
    bench.pass(ms(40_000));
    chat(&mut bench, "sk-app");
    bench.pass(ms(1_000));
    assert_eq!(chat(&mut bench, "sk-old-key-of-litellm"), refused(401, "invalid_api_key"), "not any more");
}

#[test]
fn pages_of_the_list_have_every_key_once() {
    let mut bench = started(OPEN);
    for _ in 0..7 {
        issue(&mut bench, "");
    }
    let (mut ids, mut after) = (Vec::new(), String::new());
    loop {
        let page = json_of(&bench.admin("GET", &format!("/admin/api/keys?limit=3{after}"), ""));
        ids.extend(page["keys"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(ids, (1..=7).map(|number| format!("key_{number}")).collect::<Vec<_>>());
    for query in ["limit=0", "limit=1001", "limit=x", "after=7", "after=key_x", "after=key_07"] {
        let answer = bench.admin("GET", &format!("/admin/api/keys?{query}"), "");
        assert_eq!(code(&answer), "invalid_json", "{query}");
    }
}

#[test]
fn a_viewer_lists_and_changes_nothing_and_every_act_is_logged() {
    let mut bench = started(OPEN);
    issue(&mut bench, "");
    bench.use_key("viewer");
    for path in ["keys", "keys/key_1"] {
        assert_eq!(bench.request("GET", &format!("/admin/api/{path}"), "").status, 200, "{path}");
    }
    for (method, path) in
        [("POST", "keys"), ("POST", "keys/import"), ("DELETE", "keys/key_1"), ("POST", "keys/key_1/rotate")]
    {
        let answer = bench.request(method, &format!("/admin/api/{path}"), "{}");
        assert_eq!((answer.status, code(&answer).as_str()), (403, "admin_token_needed"), "{path}");
    }
    bench.admin("POST", "/admin/api/keys/key_1/rotate", "");
    bench.admin("DELETE", "/admin/api/keys/key_2", "");
    bench.admin("DELETE", "/admin/api/keys/key_9", "");
    let log = json_of(&bench.admin("GET", "/admin/api/audit", ""));
    let text = |act: &Value, name: &str| act[name].as_str().unwrap_or_default().to_owned();
    let acts: Vec<_> = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|act| [text(act, "what"), text(act, "subject"), text(act, "result")].join(", "))
        .collect();
    assert_eq!(
        acts,
        [
            "key.issue, key_1 of app, ok",
            "key.issue, , admin_token_needed",
            "key.import, , admin_token_needed",
            "key.revoke, key_1, admin_token_needed",
            "key.rotate, key_1, admin_token_needed",
            "key.rotate, key_2 of app, ok",
            "key.revoke, key_2 of app, ok",
            "key.revoke, key_9, key_not_found",
        ]
    );
}

#[test]
fn nothing_of_a_key_is_stored_logged_or_answered_but_its_first_characters() {
    let mut bench = started(OPEN);
    let first = key_of(&issue(&mut bench, ""));
    let rotated = json_of(&bench.admin("POST", "/admin/api/keys/key_1/rotate", ""));
    let second = key_of(&rotated);
    let mut seen = String::new();
    for key in [first, second] {
        chat(&mut bench, key);
        bench.use_key(key);
        for (path, body) in [
            ("/v1/chat/completions", r#"{"model":"none"}"#),
            ("/v1/nothing", "{}"),
            ("/v1/chat/completions", "{"),
        ] {
            let answer = bench.request("POST", path, body);
            seen += &answer.text();
            seen.extend(answer.headers.iter().flat_map(|(name, value)| [name, value]));
        }
        bench.use_key("sk-app");
    }
    bench.admin("DELETE", "/admin/api/keys/key_1", "");
    bench.use_key(first);
    seen += &bench.request("POST", "/v1/chat/completions", CHAT).text();
    let explained =
        json!({ "path": "/v1/chat/completions", "key": second, "body": { "model": "m", "messages": [] } });
    let explained = bench.admin("POST", "/admin/api/explain", &explained.to_string());
    assert_eq!(json_of(&explained)["key"], "key_2");
    for path in ["keys", "keys/key_1", "keys/key_2", "audit", "requests", "health"] {
        seen += &bench.admin("GET", &format!("/admin/api/{path}"), "").text();
    }
    bench.finish();
    let records: Vec<_> = bench.records().iter().map(ToString::to_string).collect();
    let all = [
        seen,
        explained.text(),
        bench.registry_text(),
        bench.store_text(),
        bench.log().join("\n"),
        records.join("\n"),
        bench.points().join("\n"),
        format!("{:?}", bench.calls().iter().map(|call| format!("{:?}", call.request)).collect::<Vec<_>>()),
    ]
    .join("\n");
    for key in [first, second] {
        assert!(all.contains(&key[..10]), "the list shows how it begins");
        for start in 6..key.len() - 8 {
            let part = &key[start..start + 8];
            assert!(!all.contains(part), "{part} of {key}");
        }
    }
}
