//! What a call says about answers that are not those of a gateway.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use serde_json::{Value, json};

use super::*;

const TOKEN: &str = "token-of-the-test";

/// A server on this machine that gives these answers, one for each connection.
struct Server {
    url: String,
    thread: JoinHandle<Vec<String>>,
}

impl Server {
    fn start(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let serve = |answer: String| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut head, mut length) = (String::new(), 0);
                while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {
                    let line = head.lines().last().unwrap_or_default().to_ascii_lowercase();
                    length =
                        line.strip_prefix("content-length: ").map_or(length, |text| text.parse().unwrap());
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
                head + &String::from_utf8(body).unwrap()
            };
            answers.into_iter().map(serve).collect()
        });
        Self { url, thread }
    }

    /// The requests, after all answers were given.
    fn requests(self) -> Vec<String> {
        self.thread.join().unwrap()
    }
}

fn answer(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

fn own_error(status: u16, code: &str) -> String {
    answer(status, "", &json!({ "error": { "message": "Said.", "code": code } }).to_string())
}

fn client(url: &str) -> GatewayClient {
    let access = Some(("the-id".to_owned(), "the-secret".to_owned()));
    GatewayClient::new(url, Credentials { token: TOKEN.to_owned(), access }, false).unwrap()
}

#[test]
fn credentials_and_bodies_are_sent_and_answers_come_back() {
    let ok = answer(200, "etag: \"abc\"\r\n", "{\"a\":1}");
    let server = Server::start(vec![ok.clone(), ok.clone(), ok.clone(), ok]);
    let client = client(&format!("{}/", server.url));
    let got = client.get("/a?b=c", &[("accept", "x/y")]).unwrap();
    assert_eq!((got.status, got.etag(), got.json::<Value>().unwrap()), (200, Some("abc"), json!({ "a": 1 })));
    client.put("/b", &[("if-match", "\"v\"")], "{\"b\":2}").unwrap();
    client.post("/c", &[], "").unwrap();
    client.delete("/d", &[]).unwrap();
    let requests = server.requests();
    for (request, line) in requests.iter().zip(["GET /a?b=c ", "PUT /b ", "POST /c ", "DELETE /d "]) {
        assert!(request.starts_with(line), "{request}");
        for header in ["authorization: Bearer token-of-the-test", "cf-access-client-id: the-id"] {
            assert!(request.contains(header), "{request}");
        }
    }
    assert!(requests[0].contains("accept: x/y\r\n"), "{}", requests[0]);
    assert!(
        requests[1].contains("if-match: \"v\"\r\n") && requests[1].ends_with("{\"b\":2}"),
        "{}",
        requests[1]
    );
}

#[test]
fn each_wrong_answer_is_called_what_it_is() {
    let page = "content-type: text/html\r\n";
    let login = "location: https://team.cloudflareaccess.com/cdn-cgi/access/login/gateway\r\n";
    for (status, headers, body, code) in [
        (200, page, "<html></html>", "not_a_gateway"),
        (404, "", "not found", "not_a_gateway"),
        (404, "", "{\"error\":\"no such page\"}", "not_a_gateway"),
        (401, "", "{\"error\":{\"code\":\"invalid_api_key\"}}", "not_a_gateway"),
        (302, login, "", "access_login"),
        (302, "location: /cdn-cgi/access/login?x=y\r\n", "", "access_login"),
        (401, "www-authenticate: Cloudflare-Access resource_metadata=x\r\n", "", "access_login"),
        (403, page, "<title>Error ・ Cloudflare Access</title>", "access_login"),
        (301, "location: https://other.example/?token=x\r\n", "", "redirected"),
        (307, "location: /elsewhere\r\n", "", "redirected"),
    ] {
        let server = Server::start(vec![answer(status, headers, body)]);
        let error = client(&server.url).get("/admin/api/routes", &[]).unwrap_err();
        assert_eq!(error.code, code, "{status} {headers} {error:?}");
        let said = format!("{error:?}");
        assert!(!said.contains(TOKEN) && !said.contains("the-secret") && !error.help.is_empty(), "{said}");
        assert_eq!(server.requests().len(), 1, "no redirect is followed");
    }
}

#[test]
fn errors_of_the_gateway_say_which_token_or_version_is_needed() {
    for (status, own, code) in [
        (401, "invalid_admin_token", "invalid_admin_token"),
        (403, "admin_token_needed", "admin_token_needed"),
        (404, "unknown_url", "older_gateway"),
        (405, "method_not_allowed", "older_gateway"),
    ] {
        let server = Server::start(vec![own_error(status, own)]);
        let error = client(&server.url).post("/admin/api/x?why=y", &[], "{}").unwrap_err();
        assert_eq!(error.code, code);
        assert!(!error.help.is_empty() && !error.message.contains("why="), "{error:?}");
        drop(server.requests());
    }
    for (status, own, exit_code) in [
        (400, "invalid_json", 1),
        (404, "deployment_not_found", 1),
        (409, "change_under_way", 4),
        (412, "routes_changed", 4),
        (422, "routes_refused", 1),
        (503, "registry_missing", 3),
    ] {
        let server = Server::start(vec![own_error(status, own)]);
        let answer = client(&server.url).put("/admin/api/routes", &[], "{}").unwrap();
        assert_eq!(answer.status, status);
        let error = answer.accepted().unwrap_err();
        assert_eq!((error.code.as_str(), error.message.as_str(), error.exit_code), (own, "Said.", exit_code));
    }
}

#[test]
fn a_call_that_changes_nothing_is_repeated_once_and_no_other_one() {
    let server = Server::start(vec![answer(502, "", "bad"), answer(200, "", "{}")]);
    assert_eq!(client(&server.url).get("/a", &[]).unwrap().status, 200);
    assert_eq!(server.requests().len(), 2);
    let server = Server::start(vec![answer(502, "", "bad"), answer(503, "", "bad")]);
    assert_eq!(client(&server.url).get("/a", &[]).unwrap_err().code, "not_a_gateway");
    assert_eq!(server.requests().len(), 2);
    let server = Server::start(vec![answer(502, "", "bad")]);
    assert_eq!(client(&server.url).post("/a", &[], "{}").unwrap_err().code, "not_a_gateway");
    assert_eq!(server.requests().len(), 1);
    let server = Server::start(vec![own_error(503, "registry_missing")]);
    assert!(client(&server.url).get("/a", &[]).unwrap().accepted().unwrap_err().help.contains("REGISTRY"));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_gateway_that_is_away_and_one_without_tls_are_distinguished() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = client(&format!("http://{address}")).get("/a", &[]).unwrap_err();
    assert_eq!(error.code, "no_connection", "{error:?}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(answer(400, "", "this is no TLS").as_bytes()).unwrap();
    });
    let error = client(&format!("https://{address}")).get("/a", &[]).unwrap_err();
    thread.join().unwrap();
    assert_eq!(error.code, "tls_failed", "{error:?}");
}
