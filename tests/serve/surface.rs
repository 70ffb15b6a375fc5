//! What the paths of the gateway accept: methods, preflights, encodings.

use super::fake::{Bench, Script, Step, sent_body};
use super::{ANSWER, CHAT, routes};
use crate::times::ms;

/// Settings that let the pages of one origin call.
const CORS: &str = r#", "cors": {"origins": ["https://app.example.com"]}"#;

#[test]
fn a_head_is_served_like_a_get() {
    let mut bench = Bench::new(&routes("", ""));
    for (path, status) in
        [("/healthz", 200), ("/v1/models", 200), ("/v1/models/m", 200), ("/v1/models/x", 404)]
    {
        let (head, get) = (bench.request("HEAD", path, ""), bench.request("GET", path, ""));
        assert_eq!((head.status, get.status), (status, status), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
    }
    assert_eq!(bench.request("HEAD", "/v1/embeddings", "").status, 405, "it cannot be read with GET either");
    assert_eq!(bench.request("HEAD", "/admin/api/routes", "").status, 401);
}

#[test]
fn a_head_for_a_stored_object_asks_its_account_with_get_and_ends_the_call_at_the_headers() {
    let mut bench = Bench::new(&routes("", ""));
    let steps = vec![Step::Bytes("text".into()), Step::Pause(ms(1_000)), Step::Bytes("more".into())];
    let content = Script { content_type: "text/plain", says_length: false, ..Script::json(200, "") };
    bench.script([Script { steps, ..content }]);
    let answer = bench.request("HEAD", "/v1/files/file-1/content", "");
    assert_eq!((answer.status, answer.text().as_str()), (200, ""));
    let calls = bench.calls();
    assert_eq!(calls[0].request.method, "GET");
    assert!(calls[0].is_aborted.get(), "nobody reads the rest");
    assert_eq!((bench.open_waits(), bench.in_flight()), (0, 0));
}

#[test]
fn a_path_refuses_other_methods_and_names_its_own() {
    let mut bench = Bench::new(&routes("", ""));
    for (method, path, allow) in [
        ("POST", "/healthz", "GET, HEAD"),
        ("DELETE", "/healthz", "GET, HEAD"),
        ("OPTIONS", "/healthz", "GET, HEAD"),
        ("POST", "/v1/models", "GET, HEAD"),
        ("GET", "/v1/embeddings", "POST"),
        ("DELETE", "/v1/chat/completions", "GET, HEAD, POST"),
        ("PUT", "/v1/files/file-1", "GET, HEAD, POST, DELETE"),
    ] {
        let answer = bench.request(method, path, "");
        assert_eq!((answer.status, answer.header("allow")), (405, allow), "{method} {path}");
    }
}

#[test]
fn a_preflight_allows_the_methods_of_its_path() {
    let mut bench = Bench::new(&routes(CORS, ""));
    bench.add_header("origin", "https://app.example.com");
    bench.add_header("access-control-request-method", "DELETE");
    for (path, allow) in [
        ("/v1/chat/completions", "GET, HEAD, POST"),
        ("/v1/embeddings", "POST"),
        ("/v1/responses/resp_1", "GET, HEAD, POST, DELETE"),
        ("/v1/files", "GET, HEAD, POST, DELETE"),
        ("/v1/models", "GET, HEAD"),
        ("/healthz", "GET, HEAD"),
        // The request itself gets the error.
        ("/v1/nothing", "GET, HEAD, POST, DELETE"),
    ] {
        let answer = bench.request("OPTIONS", path, "");
        assert_eq!((answer.status, answer.header("access-control-allow-methods")), (204, allow), "{path}");
    }
}

#[test]
fn the_origins_of_pages_do_not_open_the_admin_api() {
    let mut bench = Bench::new(&routes(CORS, ""));
    bench.add_header("origin", "https://app.example.com");
    bench.add_header("access-control-request-method", "GET");
    for (path, is_open) in [
        ("/v1/models", true),
        ("/administration", true),
        ("/admin", false),
        ("/admin/api/health", false),
        ("/admin/api/deployments/reset", false),
        ("/admin/nothing", false),
    ] {
        for method in ["OPTIONS", "GET", "POST"] {
            let answer = bench.request(method, path, "");
            let names = answer.headers.iter().map(|(name, _)| name.to_owned());
            let cors: Vec<_> = names.filter(|name| name.starts_with("access-control-")).collect();
            assert_eq!(!cors.is_empty(), is_open, "{method} {path} {cors:?}");
            assert!(is_open || answer.status >= 400, "{method} {path} {}", answer.status);
        }
    }
}

#[test]
fn a_websocket_is_refused_so_that_the_client_uses_http() {
    for (method, path, upgrade, status) in [
        ("GET", "/v1/responses", "websocket", 426),
        ("GET", "/openai/v1/responses", "h2c, WebSocket", 426),
        ("GET", "/v1/chat/completions", "websocket", 426),
        // Another protocol is not asked for by any client, and HTTP lets a server ignore it.
        ("GET", "/v1/responses", "h2c", 405),
        ("GET", "/v1/realtime", "websocket", 404),
        ("GET", "/v1/models", "websocket", 200),
    ] {
        let mut bench = Bench::new(&routes("", ""));
        bench.add_header("upgrade", upgrade);
        let answer = bench.request(method, path, "");
        assert_eq!(answer.status, status, "{method} {path} {upgrade}");
        if status == 426 {
            assert!(answer.text().contains("websocket_not_supported"), "{}", answer.text());
            assert_eq!(answer.header("x-should-retry"), "false");
        }
    }
}

#[test]
fn only_a_body_without_an_encoding_is_read() {
    for (encoding, status) in [
        ("identity", 200),
        ("Identity", 200),
        ("IDENTITY, identity", 200),
        ("", 200),
        ("gzip", 415),
        ("identity, br", 415),
    ] {
        let mut bench = Bench::new(&routes("", ""));
        bench.script([Script::json(200, ANSWER)]);
        bench.add_header("content-encoding", encoding);
        assert_eq!(bench.chat(CHAT).status, status, "{encoding}");
    }
}

#[test]
fn a_byte_order_mark_before_a_body_is_skipped() {
    let mut bench = Bench::new(&routes("", ""));
    bench.script([Script::json(200, ANSWER)]);
    let marked = format!("\u{feff}{CHAT}");
    assert_eq!(bench.chat(&marked).status, 200);
    assert_eq!(sent_body(&bench.calls()[0], &marked), CHAT.replace("\"m\"", "\"up-first\""));
}

#[test]
fn a_fine_tuned_model_is_deleted_by_the_account_that_has_it() {
    let mut bench = Bench::new(&routes("", ""));
    let unknown = r#"{"error":{"message":"The model 'ft:m:o::1' does not exist","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#;
    let deleted = r#"{"id":"ft:m:o::1","object":"model","deleted":true}"#;
    bench.script([Script::json(404, unknown), Script::json(200, deleted)]);
    let answer = bench.request("DELETE", "/v1/models/ft%3Am:o::1", "");
    assert_eq!((answer.status, answer.text().as_str()), (200, deleted));
    let calls = bench.calls();
    let sent: Vec<_> = calls.iter().map(|call| (&*call.request.method, &*call.request.url)).collect();
    assert_eq!(
        sent,
        [("DELETE", "https://first/v1/models/ft:m:o::1"), ("DELETE", "https://second/v1/models/ft:m:o::1")]
    );
    // A node cannot be deleted.
    assert_eq!(bench.request("DELETE", "/v1/models/m", "").status, 405);
}

/// A Responses answer.
const RESPONSE: &str = r#"{"id":"resp_1","object":"response","status":"completed","output":[]}"#;

#[test]
fn a_stored_prompt_names_the_model_where_a_rule_chose_the_node() {
    let document = routes("", "").replacen(
        r#""clients":"#,
        r#""rules": [{"when": {"operation": {"in": ["responses", "completions"]}}, "use": "m"}], "clients":"#,
        1,
    );
    for (path, body, sent) in [
        ("/v1/responses", r#"{"prompt":{"id":"pmpt_1"}}"#, r#"{"prompt":{"id":"pmpt_1"}}"#),
        ("/v1/responses", r#"{"prompt":{"id":"p"},"model":null}"#, r#"{"prompt":{"id":"p"},"model":null}"#),
        // The client names a model, or nothing else does.
        (
            "/v1/responses",
            r#"{"prompt":{"id":"p"},"model":"x"}"#,
            r#"{"prompt":{"id":"p"},"model":"up-first"}"#,
        ),
        ("/v1/responses", r#"{"input":"hi"}"#, r#"{"input":"hi","model":"up-first"}"#),
        ("/v1/responses", r#"{"prompt":null}"#, r#"{"prompt":null,"model":"up-first"}"#),
        // The prompt of a legacy completion is a text.
        ("/v1/completions", r#"{"prompt":"hi"}"#, r#"{"prompt":"hi","model":"up-first"}"#),
    ] {
        let mut bench = Bench::new(&document);
        bench.script([Script::json(200, if path.ends_with("responses") { RESPONSE } else { ANSWER })]);
        let answer = bench.request("POST", path, body);
        assert_eq!(answer.status, 200, "{body} {}", answer.text());
        assert_eq!(sent_body(&bench.calls()[0], body), sent);
    }
    // Without a rule, nothing says where the request goes.
    let mut bench = Bench::new(&routes("", ""));
    assert_eq!(bench.request("POST", "/v1/responses", r#"{"prompt":{"id":"p"}}"#).status, 400);
}

#[test]
fn another_method_in_a_header_is_neither_obeyed_nor_sent_on() {
    let mut bench = Bench::new(&routes("", ""));
    bench.script([Script::json(200, r#"{"id":"file-1","object":"file"}"#)]);
    bench.add_header("x-http-method-override", "DELETE");
    bench.add_header("x-rewrite-url", "/v1/organization/users");
    assert_eq!(bench.request("GET", "/v1/files/file-1?_method=DELETE&limit=2", "").status, 200);
    let request = &bench.calls()[0].request;
    assert_eq!(
        (request.method.as_str(), request.url.as_str()),
        ("GET", "https://first/v1/files/file-1?limit=2")
    );
    let withheld: Vec<&str> = request.withheld.lines().collect();
    assert!(
        withheld.contains(&"x-http-method-override") && withheld.contains(&"x-rewrite-url"),
        "{withheld:?}"
    );
}

/// Undoes the finaliser of SplitMix64.
fn unmixed(x: u64) -> u64 {
    let x = (x ^ (x >> 31) ^ (x >> 62)).wrapping_mul(0x3196_42b2_d24d_8ec3);
    let x = (x ^ (x >> 27) ^ (x >> 54)).wrapping_mul(0x96de_1b17_3f11_9089);
    x ^ (x >> 30) ^ (x >> 60)
}

#[test]
fn a_request_id_does_not_foretell_others() {
    let mut bench = Bench::new(&routes("", ""));
    let mut numbers = Vec::new();
    for _ in 0..8 {
        let answer = bench.request("GET", "/v1/models", "");
        let id = answer.header("x-switchyard-request-id").strip_prefix("req_").unwrap();
        let (first, second) = id.split_at(16);
        numbers.extend([first, second].map(|half| u64::from_str_radix(half, 16).unwrap()));
    }
    assert_eq!(unmixed(switchyard::vocabulary::rng::mix(5)), 5);
    for pair in numbers.windows(2) {
        let step = unmixed(pair[1]).wrapping_sub(unmixed(pair[0]));
        // The generator that was here adds this constant for each number.
        assert!((0..8).all(|times| step != 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(times)), "{pair:x?}");
    }
}
