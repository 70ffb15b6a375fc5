//! `switchyard graph`.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Runs the command with these variables alone, in a folder of its own.
fn graph(folder: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command.current_dir(self::folder(folder)).env_clear().envs(variables.iter().copied());
    command.arg("graph").args(arguments).output().unwrap()
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("graph").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn two_deployments() -> String {
    let deployment = |key: &str| json!({ "provider": "openai", "api_key": key, "model": "gpt" });
    json!({
        "version": 1,
        "deployments": { "one": deployment("${ONE}"), "two": deployment("${TWO}") },
        "models": { "chat": { "targets": ["one", "two"] } },
        "rules": [{ "when": { "header": { "x-tenant": "${TENANT}" } }, "use": "chat" }],
    })
    .to_string()
}

#[test]
fn every_example_has_both_pictures() {
    let mut names: Vec<PathBuf> = std::fs::read_dir(format!("{ROOT}/examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    names.sort();
    assert!(names.len() > 10);
    for path in names {
        let path = path.to_str().unwrap();
        let mermaid = graph("examples", &[], &[path]);
        assert_eq!((mermaid.status.code(), stderr(&mermaid)), (Some(0), String::new()), "{path}");
        assert!(stdout(&mermaid).contains("\nflowchart LR\n"), "{path}");
        let svg = graph("examples", &[], &[path, "--format", "svg"]);
        assert!(roxmltree::Document::parse(&stdout(&svg)).is_ok(), "{path}");
    }
}

#[test]
fn the_picture_in_the_docs_is_that_of_routes_json() {
    let output = graph("docs", &[], &[&format!("{ROOT}/routes.json"), "--format", "svg"]);
    let stored = std::fs::read_to_string(format!("{ROOT}/docs/routes.svg")).unwrap();
    assert!(
        stdout(&output) == stored,
        "it is not current: cargo run -- graph --format svg --output docs/routes.svg"
    );
}

#[test]
fn deployments_without_their_variables_are_marked_on_request() {
    let file = folder("strict").join("routes.json");
    std::fs::write(file, two_deployments()).unwrap();
    let variables = [("ONE", "sk-one"), ("TENANT", "zq-tenant")];
    let plain = stdout(&graph("strict", &variables, &[]));
    assert!(!plain.contains("disabled"), "{plain}");
    let strict = stdout(&graph("strict", &variables, &["--strict"]));
    assert!(strict.contains("  d1[\"two<br/>gpt<br/>openai<br/>disabled\"]:::disabled\n"), "{strict}");
    assert!(strict.contains("  d0[\"one<br/>gpt<br/>openai\"]\n"), "{strict}");
    assert!(strict.contains("  classDef disabled "), "{strict}");
    // A condition may be on a secret.
    assert!(strict.contains("x-tenant = made-up-tenant") && !strict.contains("zq-tenant"), "{strict}");
}

#[test]
fn boxes_and_arrows_are_printed_as_json_too() {
    std::fs::write(folder("json").join("routes.json"), two_deployments()).unwrap();
    let output = graph("json", &[], &["--json"]);
    let found: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(
        found["edges"],
        json!([
            { "from": "r0", "to": "n0", "kind": "rule", "label": "" },
            { "from": "n0", "to": "d0", "kind": "target", "label": "1" },
            { "from": "n0", "to": "d1", "kind": "target", "label": "2" },
        ])
    );
    assert_eq!(
        found["nodes"][2],
        json!({ "id": "d0", "kind": "deployment", "name": "one", "details": ["gpt", "openai"] })
    );
}

#[test]
fn a_picture_can_be_written_to_a_file() {
    let file = folder("file").join("routes.json");
    std::fs::write(&file, two_deployments()).unwrap();
    let output = graph("file", &[], &["--format", "svg", "--output", "out.svg"]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(0), String::new()));
    assert!(std::fs::read_to_string(folder("file").join("out.svg")).unwrap().starts_with("<svg "));
}

#[test]
fn exit_codes_tell_what_is_wrong() {
    std::fs::write(folder("codes").join("bad.json"), "{}").unwrap();
    std::fs::write(folder("codes").join("routes.json"), two_deployments()).unwrap();
    for (arguments, code, said) in [
        (&["bad.json"][..], 1, "bad.json: it has errors"),
        (&["none.json"], 2, "none.json: "),
        (&["--output", "none/out.svg"], 2, "none/out.svg: "),
        (&["--format", "png"], 2, "invalid value 'png'"),
    ] {
        let output = graph("codes", &[], arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(stderr(&output).contains(said), "{arguments:?}: {}", stderr(&output));
    }
}

/// Answers as a gateway does, until the test ends. Returns its address.
fn gateway(document: &str) -> String {
    let closed =
        |state: &str| json!({ "gate": { "state": state, "until": null, "reason": null, "why": null } });
    let health = json!({
        "now": 1, "deployments": [
            { "deployment": "one", "isolate": closed("drained"), "object": null },
            { "deployment": "two", "isolate": closed("closed"), "object": null },
        ],
    });
    let routes = json!({
        "version": "1", "source": "kv", "warnings": [], "trouble": null,
        "disabled": [{ "deployment": "two", "variable": "TWO" }],
    });
    let answers = [
        ("/admin/api/health ", health.to_string()),
        ("/admin/api/routes ", routes.to_string()),
        ("/admin/api/routes/document ", document.to_owned()),
    ];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let first = lines.next().unwrap_or_default();
            let is_authorized = lines
                .take_while(|line| !line.is_empty())
                .any(|line| line == "authorization: Bearer zq-token");
            let found = answers.iter().find(|(path, _)| first.starts_with(&format!("GET {path}")));
            let (status, body) = match found {
                Some((_, body)) if is_authorized => ("200 OK", body.clone()),
                _ => ("401 Unauthorized", json!({ "error": { "code": "invalid_admin_token" } }).to_string()),
            };
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n");
            let _ = write!(&stream, "{head}content-length: {}\r\n\r\n{body}", body.len());
        }
    });
    address
}

#[test]
fn a_gateway_says_which_document_serves_and_how_its_deployments_are() {
    let address = gateway(&two_deployments());
    let token = [("SWITCHYARD_ADMIN_TOKEN", "zq-token")];
    let output = graph("gateway", &token, &["--gateway", &address]);
    let said = stdout(&output);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    assert!(said.contains("  d0[\"one<br/>gpt<br/>openai<br/>drained\"]:::drained\n"), "{said}");
    assert!(said.contains("  d1[\"two<br/>gpt<br/>openai<br/>disabled\"]:::disabled\n"), "{said}");
    let refused = graph("gateway", &[("SWITCHYARD_ADMIN_TOKEN", "other")], &["--gateway", &address]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(stderr(&refused).contains("does not accept the token"), "{}", stderr(&refused));
}
