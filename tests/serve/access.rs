//! Cloudflare Access in front of the admin API: names for the log, and who is admitted without a
//! token.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Value, json};

use super::fake::{Answer, Bench, fake_signature};
use super::routes;
use crate::times::ms;

const TEAM: &str = "https://team.cloudflareaccess.com";
const CERTS: &str = "https://team.cloudflareaccess.com/cdn-cgi/access/certs";
const DRAIN: &str = "/admin/api/deployments/first/drain";
const STATUS: &str = "/admin/api/routes";

fn certs(keys: &[&str]) -> String {
    let keys: Vec<_> = keys
        .iter()
        .map(|key| json!({"kid": key, "kty": "RSA", "alg": "RS256", "n": key, "e": "AQAB"}))
        .collect();
    json!({ "keys": keys }).to_string()
}

/// A gateway behind Access, which admits `root@example.com` and looks for `*@ops.example.com`.
fn behind_access() -> Bench {
    let bench = Bench::started(&routes("", ""));
    bench.with_registry();
    bench.with_objects();
    for (name, value) in [
        ("ACCESS_TEAM_DOMAIN", TEAM),
        ("ACCESS_AUD", "aud-1"),
        ("ACCESS_ADMINS", "root@example.com, ci.access"),
        ("ACCESS_VIEWERS", "*@ops.example.com"),
    ] {
        bench.set_variable(name, value);
    }
    bench.answer_get(CERTS, Some((200, &certs(&["k1", "k2"]))));
    bench
}

/// A token that the key has signed.
fn token(bench: &Bench, key: &str, changes: &Value) -> String {
    let seconds = bench.now().epoch_ms() / 1_000;
    let mut claims = json!({
        "iss": TEAM, "aud": ["aud-1"], "exp": seconds + 600, "nbf": seconds, "email": "root@example.com",
    });
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let encoded = |part: &Value| Base64UrlUnpadded::encode_string(part.to_string().as_bytes());
    let signed = format!("{}.{}", encoded(&json!({"alg": "RS256", "kid": key})), encoded(&claims));
    let signature = Base64UrlUnpadded::encode_string(&fake_signature(key, &signed));
    format!("{signed}.{signature}")
}

fn by(bench: &Bench, email: &str) -> String {
    token(bench, "k1", &json!({ "email": email }))
}

/// Calls the gateway with this key and this token of Access.
fn call(bench: &mut Bench, key: &'static str, token: &str, method: &str, path: &str) -> Answer {
    bench.usual_clients();
    bench.use_key(key);
    bench.add_header("cf-access-jwt-assertion", token);
    let answer = bench.request(method, path, "");
    bench.usual_clients();
    answer
}

fn outcome(answer: &Answer) -> (u16, String) {
    let body: Value = serde_json::from_str(&answer.text()).unwrap();
    (answer.status, body["error"]["code"].as_str().unwrap_or("ok").to_owned())
}

#[track_caller]
fn assert_outcome(answer: &Answer, status: u16, code: &str) {
    assert_eq!(outcome(answer), (status, code.to_owned()), "{}", answer.text());
}

/// `who`, `what` and `result` of all acts in the log.
fn acts(bench: &mut Bench) -> Vec<String> {
    let log: Value = serde_json::from_str(&bench.admin("GET", "/admin/api/audit", "").text()).unwrap();
    let entries = log["entries"].as_array().unwrap().iter();
    let text = |act: &Value, name: &str| act[name].as_str().unwrap().to_owned();
    entries.map(|act| ["who", "what", "result"].map(|name| text(act, name)).join(" ")).collect()
}

#[test]
fn with_a_token_of_the_gateway_access_gives_the_name_and_not_the_role() {
    let mut bench = behind_access();
    let nobody = by(&bench, "bob@elsewhere.com");
    assert_outcome(&call(&mut bench, "admin", &nobody, "POST", DRAIN), 200, "ok");
    let root = by(&bench, "root@example.com");
    assert_outcome(&call(&mut bench, "viewer", &root, "GET", STATUS), 200, "ok");
    assert_outcome(&call(&mut bench, "viewer", &root, "POST", DRAIN), 403, "admin_token_needed");
    // A bad token of Access beside a good one of the gateway gives no name.
    let old = token(&bench, "k1", &json!({"exp": 1}));
    assert_outcome(&call(&mut bench, "admin", &old, "POST", DRAIN), 200, "ok");
    assert_eq!(
        acts(&mut bench),
        [
            "bob@elsewhere.com deployment.drain ok",
            "root@example.com deployment.drain admin_token_needed",
            "admin deployment.drain ok",
        ]
    );
}

#[test]
fn the_name_of_access_is_in_the_history() {
    let mut bench = behind_access();
    let changed = routes("", "").replace(r#"["first", "second"]"#, r#"["second", "first"]"#);
    bench.add_header("if-match", "*");
    let root = by(&bench, "root@example.com");
    bench.add_header("cf-access-jwt-assertion", &root);
    bench.use_key("");
    let put = bench.request("PUT", STATUS, &changed);
    assert_outcome(&put, 200, "ok");
    bench.usual_clients();
    let history = bench.admin("GET", "/admin/api/routes/history", "").text();
    let history: Value = serde_json::from_str(&history).unwrap();
    assert_eq!(history["versions"][0]["who"], "root@example.com");
}

#[test]
fn without_a_token_only_listed_people_are_admitted_each_with_their_role() {
    let mut bench = behind_access();
    let root = by(&bench, "Root@Example.com");
    let ci = token(&bench, "k2", &json!({"email": null, "common_name": "ci.access"}));
    let ops = by(&bench, "eve@ops.example.com");
    let bob = by(&bench, "bob@example.com");
    for (token, look, change) in [
        (&root, (200, "ok"), (200, "ok")),
        (&ci, (200, "ok"), (200, "ok")),
        (&ops, (200, "ok"), (403, "admin_token_needed")),
        (&bob, (403, "access_not_admitted"), (403, "access_not_admitted")),
    ] {
        assert_outcome(&call(&mut bench, "", token, "GET", STATUS), look.0, look.1);
        assert_outcome(&call(&mut bench, "", token, "POST", DRAIN), change.0, change.1);
        assert_outcome(&call(&mut bench, "wrong", token, "GET", STATUS), look.0, look.1);
    }
    assert_eq!(
        acts(&mut bench),
        [
            "Root@Example.com deployment.drain ok",
            "ci.access deployment.drain ok",
            "eve@ops.example.com deployment.drain admin_token_needed",
        ]
    );
}

#[test]
fn access_admits_nobody_unless_all_its_variables_say_so() {
    for missing in ["ACCESS_TEAM_DOMAIN", "ACCESS_AUD", "ACCESS_ADMINS"] {
        let mut bench = behind_access();
        bench.set_variable(missing, "");
        let root = by(&bench, "root@example.com");
        let expected = if missing == "ACCESS_ADMINS" {
            (403, "access_not_admitted")
        } else {
            (401, "invalid_admin_token")
        };
        assert_outcome(&call(&mut bench, "", &root, "GET", STATUS), expected.0, expected.1);
        assert_eq!(bench.gets().is_empty(), missing != "ACCESS_ADMINS", "{missing}");
    }
    let mut bench = behind_access();
    bench.use_key("");
    assert_outcome(&bench.request("GET", STATUS, ""), 401, "invalid_admin_token");
}

#[test]
fn a_bad_token_of_access_says_what_is_wrong_and_is_not_logged() {
    let mut bench = behind_access();
    bench.answer_get(CERTS, Some((200, &certs(&["k1", "broken"]))));
    let good = by(&bench, "root@example.com");
    let (signed, _) = good.rsplit_once('.').unwrap();
    for (token, code) in [
        (String::new(), "access_token_malformed"),
        ("a.b.c".to_owned(), "access_token_malformed"),
        (token(&bench, "k1", &json!({"iss": "https://other.cloudflareaccess.com"})), "access_token_issuer"),
        (token(&bench, "k1", &json!({"aud": ["aud-2"]})), "access_token_audience"),
        (token(&bench, "k1", &json!({"exp": 1})), "access_token_expired"),
        (token(&bench, "k1", &json!({"nbf": 4_000_000_000_u64})), "access_token_not_yet_valid"),
        (token(&bench, "k1", &json!({"email": null})), "access_token_nameless"),
        (token(&bench, "k3", &json!({})), "access_token_unknown_key"),
        (token(&bench, "broken", &json!({})), "access_token_signature"),
        (format!("{signed}.c2ln"), "access_token_signature"),
        (format!("{signed}."), "access_token_signature"),
    ] {
        let answer = call(&mut bench, "", &token, "POST", DRAIN);
        assert_outcome(&answer, 401, code);
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    assert!(acts(&mut bench).is_empty());
}

#[test]
fn keys_are_read_once_an_hour_and_guesses_read_them_once_a_minute() {
    let mut bench = behind_access();
    let start = bench.now();
    while bench.now() - start < ms(3_500_000) {
        let root = by(&bench, "root@example.com");
        assert_outcome(&call(&mut bench, "", &root, "GET", STATUS), 200, "ok");
        bench.pass(ms(100_000));
    }
    assert_eq!(bench.gets(), [CERTS]);
    bench.pass(ms(200_000));
    let root = by(&bench, "root@example.com");
    call(&mut bench, "", &root, "GET", STATUS);
    assert_eq!(bench.gets().len(), 2, "after an hour");
    for _ in 0..100 {
        let guess = token(&bench, "k9", &json!({}));
        assert_outcome(&call(&mut bench, "", &guess, "GET", STATUS), 401, "access_token_unknown_key");
    }
    assert_eq!(bench.gets().len(), 2);
    // A new key is found after a minute.
    bench.answer_get(CERTS, Some((200, &certs(&["k9", "k1"]))));
    bench.pass(ms(61_000));
    let new = token(&bench, "k9", &json!({}));
    assert_outcome(&call(&mut bench, "", &new, "GET", STATUS), 200, "ok");
    // One that was taken away is of no use.
    let gone = token(&bench, "k2", &json!({}));
    assert_outcome(&call(&mut bench, "", &gone, "GET", STATUS), 401, "access_token_unknown_key");
}

#[test]
fn tokens_that_could_not_count_cost_no_read_of_keys() {
    let mut bench = behind_access();
    for changes in [json!({"aud": "x"}), json!({"iss": "x"}), json!({"exp": 1})] {
        let bad = token(&bench, "k1", &changes);
        assert_eq!(call(&mut bench, "", &bad, "GET", STATUS).status, 401);
    }
    // Nothing but the admin API looks at the header.
    let root = by(&bench, "root@example.com");
    assert_eq!(call(&mut bench, "sk-app", &root, "GET", "/v1/models").status, 200);
    assert_eq!(call(&mut bench, "", &root, "GET", "/v1/models").status, 401);
    assert!(bench.gets().is_empty());
}

#[test]
fn without_the_keys_a_token_of_the_gateway_still_counts() {
    for page in [Some((500, "")), Some((200, "<html>")), Some((302, "")), None] {
        let mut bench = behind_access();
        bench.answer_get(CERTS, page);
        let root = by(&bench, "root@example.com");
        let refused = call(&mut bench, "", &root, "GET", STATUS);
        assert_outcome(&refused, 503, "access_keys_unavailable");
        assert_eq!(refused.header("x-should-retry"), "true");
        assert_outcome(&call(&mut bench, "admin", &root, "GET", STATUS), 200, "ok");
        assert_eq!(bench.gets().len(), 1, "once a minute");
        let log = bench.log();
        let warned = log.iter().filter(|line| line.starts_with("access: there are no keys at ")).count();
        assert_eq!(warned, 1, "{log:?}");
        bench.answer_get(CERTS, Some((200, &certs(&["k1"]))));
        bench.pass(ms(60_000));
        let root = by(&bench, "root@example.com");
        assert_outcome(&call(&mut bench, "", &root, "GET", STATUS), 200, "ok");
    }
}

#[test]
fn a_page_of_another_site_changes_nothing_in_the_name_of_who_has_signed_in() {
    let mut bench = behind_access();
    let root = by(&bench, "root@example.com");
    for (header, value, expected) in [
        ("sec-fetch-site", "cross-site", (403, "cross_site_request")),
        ("sec-fetch-site", "same-site", (403, "cross_site_request")),
        ("sec-fetch-site", "same-origin", (200, "ok")),
        ("sec-fetch-site", "none", (200, "ok")),
        ("origin", "https://evil.example", (403, "cross_site_request")),
        ("origin", "null", (403, "cross_site_request")),
    ] {
        let mut call = |key, method: &str, path: &str| {
            bench.usual_clients();
            bench.use_key(key);
            bench.add_header("cf-access-jwt-assertion", &root);
            bench.add_header(header, value);
            bench.request(method, path, "")
        };
        assert_outcome(&call("", "POST", DRAIN), expected.0, expected.1);
        assert_outcome(&call("", "GET", STATUS), 200, "ok");
        assert_outcome(&call("admin", "POST", DRAIN), 200, "ok");
    }
}
