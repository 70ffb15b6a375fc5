//! `switchyard doctor`, against a server on this machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// The keys of the tests. None may be printed.
const KEYS: [(&str, &str); 2] = [("OPENAI_API_KEY", "zq-key-of-openai"), ("OTHER_KEY", "zq-key-of-another")];

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("doctor").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs the command in a folder of its own with this document, with the keys as variables.
fn doctor(name: &str, deployments: &Value, arguments: &[&str]) -> Output {
    let targets: Vec<&String> = deployments.as_object().unwrap().keys().collect();
    let document =
        json!({ "version": 1, "deployments": deployments, "models": { "m": { "targets": targets } } });
    std::fs::write(folder(name).join("routes.json"), document.to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command.current_dir(folder(name)).env_clear().envs(KEYS).stdin(Stdio::null());
    let output = command.arg("doctor").args(arguments).output().unwrap();
    for (_, key) in KEYS {
        assert!(!stdout(&output).contains(key) && !stderr(&output).contains(key), "{output:?}");
    }
    output
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Arrived {
    pub line: String,
    pub head: String,
    pub body: Value,
}

/// A server that answers as `answer` says. Returns its base URL, and what arrives.
pub fn server(
    answer: impl Fn(&Arrived) -> (u16, Value) + Send + 'static,
) -> (String, Arc<Mutex<Vec<Arrived>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let arrived = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&arrived);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let Some(request) = read(&stream) else { continue };
            let (status, body) = answer(&request);
            kept.lock().unwrap().push(request);
            let body = body.to_string();
            let head = "content-type: application/json\r\nconnection: close\r\n";
            let _ =
                write!(&stream, "HTTP/1.1 {status} X\r\n{head}content-length: {}\r\n\r\n{body}", body.len());
        }
    });
    (base, arrived)
}

fn read(stream: &TcpStream) -> Option<Arrived> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        let header = header.to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        head.push_str(&header);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Arrived { line, head, body: serde_json::from_slice(&body).unwrap_or_default() })
}

pub fn chat() -> Value {
    json!({ "id": "c", "object": "chat.completion", "choices": [{ "index": 0, "message": { "role": "assistant", "content": "Hi" } }] })
}

fn openai(base: &str, key: &str, model: &str) -> Value {
    json!({
        "provider": "openai", "endpoint": base, "api_key": key, "model": model, "cost": { "input": 2.5, "output": 10 },
    })
}

#[test]
fn deployments_that_answer_are_well() {
    let (base, arrived) = server(|request| {
        let is_authorized = request.head.contains("authorization: bearer zq-key-of-openai\r\n");
        match request.line.as_str() {
            _ if !is_authorized => (401, json!({})),
            "POST /v1/chat/completions HTTP/1.1\r\n" => (200, chat()),
            "POST /v1/embeddings HTTP/1.1\r\n" => (200, json!({ "data": [{ "embedding": [0.1] }] })),
            "GET /v1/models HTTP/1.1\r\n" => (200, json!({ "data": [{ "id": "tts-1" }] })),
            _ => (404, json!({})),
        }
    });
    let deployments = json!({
        "chat": openai(&base, "${OPENAI_API_KEY}", "gpt-4o"),
        "embed": openai(&base, "${OPENAI_API_KEY}", "text-embedding-3-small"),
        "speech": openai(&base, "${OPENAI_API_KEY}", "tts-1"),
    });
    let output = doctor("well", &deployments, &["--yes"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = stdout(&output);
    assert!(said.contains("well   chat    It answers. (") && said.ends_with("all is well\n"), "{said}");
    let arrived = arrived.lock().unwrap();
    assert_eq!(arrived.len(), 3);
    let sent = arrived.iter().find(|request| request.line.contains("chat")).unwrap();
    assert_eq!((&sent.body["model"], &sent.body["max_tokens"]), (&json!("gpt-4o"), &json!(1)));
}

#[test]
fn each_problem_is_named_with_what_helps() {
    let quoted = "Incorrect API key provided: zq-key-of-another. You can find your API key elsewhere.";
    let (base, _) = server(move |request| match request.body["model"].as_str() {
        _ if request.head.contains("zq-key-of-another") => {
            (401, json!({ "error": { "message": quoted, "code": "invalid_api_key" } }))
        }
        Some("gpt-none") => {
            (404, json!({ "error": { "message": "The model does not exist", "code": "model_not_found" } }))
        }
        Some("gpt-poor") => (429, json!({ "error": { "message": "No", "code": "insufficient_quota" } })),
        Some("gpt-fine") => (200, chat()),
        _ => (500, json!({})),
    });
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}/v1", closed.local_addr().unwrap());
    drop(closed);
    let deployments = json!({
        "fine": openai(&base, "${OPENAI_API_KEY}", "gpt-fine"),
        "key": openai(&base, "${OTHER_KEY}", "gpt-fine"),
        "model": openai(&base, "${OPENAI_API_KEY}", "gpt-none"),
        "nobody": openai(&nobody, "${OPENAI_API_KEY}", "gpt-fine"),
        "quota": openai(&base, "${OPENAI_API_KEY}", "gpt-poor"),
        "unset": openai(&base, "${NOT_SET}", "gpt-fine"),
    });
    let output = doctor("problems", &deployments, &["--yes", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&report["good"], &report["plan"]["requests"]), (&json!(false), &json!(5)));
    let of = |name: &str| {
        let all = report["deployments"].as_array().unwrap();
        all.iter().find(|found| found["deployment"] == name).unwrap().clone()
    };
    for (name, state, code, class) in [
        ("fine", "well", "well", Value::Null),
        ("key", "wrong", "invalid_api_key", json!("auth")),
        ("model", "wrong", "model_not_found", json!("not_found")),
        ("nobody", "wrong", "no_connection", json!("connection")),
        ("quota", "wrong", "quota_exhausted", json!("quota")),
        ("unset", "wrong", "missing_variable", Value::Null),
    ] {
        let found = of(name);
        assert_eq!(
            (&found["state"], &found["code"], &found["class"]),
            (&json!(state), &json!(code), &class),
            "{found}"
        );
    }
    assert!(of("key")["remedy"].as_str().unwrap().contains("the variable OTHER_KEY"), "{report}");
    assert!(of("unset")["found"].as_str().unwrap().contains("NOT_SET"), "{report}");
    let output = doctor("problems", &deployments, &["--yes", "--only", "key", "fine"]);
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("[invalid_api_key] 401: Incorrect API key provided: ***"), "{said}");
    assert!(said.ends_with("1 of 2 deployments with something to mend\n"), "{said}");
}

#[test]
fn nothing_is_sent_before_somebody_agrees() {
    let (base, arrived) = server(|_| (200, chat()));
    let deployments = json!({
        "one": openai(&base, "${OPENAI_API_KEY}", "gpt-4o"),
        "two": { "provider": "openai", "endpoint": base, "api_key": "${OTHER_KEY}", "model": "gpt-4o" },
    });
    let output = doctor("agreement", &deployments, &[]);
    let said = stderr(&output);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""));
    assert!(said.contains("2 requests, with the credentials of this machine"), "{said}");
    assert!(said.contains("  2 × chat completion of at most 1 output token\n"), "{said}");
    assert!(said.contains("At most about 0.000") && said.contains("which have no `cost`: two"), "{said}");
    assert!(said.contains("Nothing was sent: add --yes"), "{said}");
    let output = doctor("agreement", &deployments, &["--dry-run"]);
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(0));
    assert!(said.contains("chat completion of at most 1 output token at 127.0.0.1:"), "{said}");
    assert!(said.ends_with("nothing was sent\n"), "{said}");
    assert!(arrived.lock().unwrap().is_empty());
}

#[test]
fn a_model_that_wants_the_other_limit_is_asked_again() {
    let (base, arrived) = server(|request| {
        if request.body["max_completion_tokens"] == 1 {
            return (200, chat());
        }
        let message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
        (
            400,
            json!({ "error": { "message": message, "code": "unsupported_parameter", "param": "max_tokens" } }),
        )
    });
    let output =
        doctor("other-limit", &json!({ "one": openai(&base, "${OPENAI_API_KEY}", "chat-prod") }), &["--yes"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(arrived.lock().unwrap().len(), 2);
}

#[test]
fn what_cannot_be_asked_ends_with_2() {
    let deployments = json!({ "openai": openai("https://llm.example/v1", "${OPENAI_API_KEY}", "gpt-4o") });
    for (arguments, said) in [
        (&["--yes", "--only", "opnai"][..], "has no deployment 'opnai'; did you mean 'openai'?"),
        (&["none.json", "--yes"], "none.json: "),
        (&["--yes", "--dry-run"], "cannot be used with"),
        (&["--timeout", "0"], "invalid value '0'"),
    ] {
        let output = doctor("unasked", &deployments, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(said), "{arguments:?}: {}", stderr(&output));
    }
    let output = doctor("unasked", &json!({ "openai": { "provider": "nobody" } }), &["--yes"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("it has errors, so that nothing is asked"), "{}", stderr(&output));
}

#[test]
fn a_command_without_a_result_says_why_as_json_if_asked() {
    let folder = folder("without-a-result");
    std::fs::write(folder.join("bad.json"), r#"{"version": 1, "deployments": {}, "models": {"m": 5}}"#)
        .unwrap();
    std::fs::write(folder.join("bad.yaml"), "model_list:\n\t- a").unwrap();
    std::fs::write(folder.join("request.json"), "{}").unwrap();
    for (arguments, code, exit_code) in [
        (&["check", "none.json"][..], "unusable_file", 2),
        (&["doctor", "none.json"], "not_done", 2),
        (&["doctor", "bad.json", "--yes"], "not_done", 2),
        (&["explain", "--routes", "bad.json", "--request", "request.json"], "not_done", 2),
        (&["graph", "bad.json"], "invalid_document", 1),
        (&["graph", "none.json"], "unusable_file", 2),
        (&["import", "none.yaml"], "unusable_file", 2),
        (&["import", "bad.yaml"], "invalid_file", 1),
        (&["import", "request.json"], "invalid_file", 1),
        (&["simulate", "bad.json"], "not_done", 2),
        (&["push", "none.json"], "unusable_file", 2),
    ] {
        let run = |arguments: &[&str]| {
            let gateway = [("SWITCHYARD_URL", "http://127.0.0.1:9"), ("SWITCHYARD_ADMIN_TOKEN", "t")];
            let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
            command.current_dir(&folder).env_clear().envs(gateway).stdin(Stdio::null());
            let output = command.args(arguments).output().unwrap();
            assert_eq!(output.status.code(), Some(exit_code), "{arguments:?}: {output:?}");
            output
        };
        let said: Value = serde_json::from_str(&stdout(&run(&[arguments, &["--json"]].concat()))).unwrap();
        assert_eq!(said["error"]["code"], code, "{arguments:?}: {said}");
        assert!(!said["error"]["message"].as_str().unwrap().is_empty(), "{arguments:?}");
        let plain = run(arguments);
        assert!(plain.stdout.is_empty() && !plain.stderr.is_empty(), "{arguments:?}: {plain:?}");
    }
}
