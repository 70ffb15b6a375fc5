//! `switchyard explain`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A state of health in which nothing is known, at the time of these tests.
const NOTHING_KNOWN: &str = r#"{"now":1767225600000,"deployments":[]}"#;

/// Runs the command without any variable, in a folder without a file. `request` is its input.
fn explain(arguments: &[&str], request: &str) -> Output {
    let folder = folder();
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command.current_dir(folder).env_clear().arg("explain").args(arguments).args(["--request", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that does not read its input has closed it, perhaps before this.
    let _ = child.stdin.take().unwrap().write_all(request.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command.current_dir(folder()).env_clear();
    command.args(["explain", "--request", "-", "--routes", &format!("{ROOT}/routes.json")]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Nothing is printed before the request is read.
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(chat("chat").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = stderr(&output);
    assert!(matches!(output.status.code(), Some(0 | 1)) && !said.contains("panicked"), "{said}");
}

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("explain");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A file with this content.
fn file(name: &str, content: &str) -> String {
    let path = folder().join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

fn example(name: &str) -> String {
    format!("{ROOT}/examples/{name}")
}

fn chat(model: &str) -> String {
    let body =
        json!({ "model": model, "messages": [{ "role": "user", "content": "Hello" }], "max_tokens": 100 });
    json!({ "path": "/v1/chat/completions", "client": "app", "place": { "colo": "FRA" }, "body": body })
        .to_string()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The head and the tree of every node of every example, and all that is said of one.
#[test]
fn the_examples_are_explained() {
    let health = file("nothing-known.json", NOTHING_KNOWN);
    let mut names: Vec<String> = std::fs::read_dir(format!("{ROOT}/examples"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "json"))
        .collect();
    names.sort();
    let mut transcript = String::new();
    for name in names {
        let document: Value =
            serde_json::from_str(&std::fs::read_to_string(example(&name)).unwrap()).unwrap();
        let client = document["clients"].as_object().unwrap().keys().next().unwrap();
        for model in document["models"].as_object().unwrap().keys() {
            let request = chat(model).replace(r#""client":"app""#, &format!(r#""client":"{client}""#));
            let output = explain(&["--routes", &example(&name), "--health", &health], &request);
            let said = stdout(&output);
            assert_eq!(output.status.code(), Some(0), "{name} {model}: {said} {}", stderr(&output));
            let is_whole = name == "through-ai-gateway.json";
            let shown = if is_whole { &said } else { said.split("\n\nattempt ").next().unwrap() };
            // The version of a document changes with every word in it.
            let said = shown.lines().skip(1).collect::<Vec<_>>().join("\n");
            writeln!(transcript, "# {name}: {model}\n{said}\n").unwrap();
        }
    }
    insta::assert_snapshot!(transcript);
}

#[test]
fn the_json_is_that_of_the_admin_api() {
    let output = explain(&["--routes", &example("simple-router.json"), "--json"], &chat("gpt-4-router"));
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    let explanation: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(explanation["entry"], "gpt-4-router");
    assert_eq!(explanation["course"]["attempts"][0]["deployment"], explanation["calls"][0]["deployment"]);
}

#[test]
fn a_text_says_how_the_request_uses_the_cache() {
    let mut document: Value =
        serde_json::from_str(&std::fs::read_to_string(example("simple-router.json")).unwrap()).unwrap();
    document["models"]["gpt-4-router"]["cache"] = json!({ "ttl": 60 });
    let routes = file("cached.json", &document.to_string());
    let plain = chat("gpt-4-router");
    for (request, line) in [
        (plain.clone(), "cache     an answer that was kept, or else a new answer, which is kept for 60 s"),
        (
            plain.replacen('{', r#"{"headers":{"cache-control":"no-cache"},"#, 1),
            "cache     a new answer, which is kept for 60 s",
        ),
        (
            plain.replacen('{', r#"{"headers":{"cache-control":"no-store"},"#, 1),
            "cache     not used: refused",
        ),
    ] {
        let said = stdout(&explain(&["--routes", &routes], &request));
        assert!(said.lines().any(|found| found.trim() == line), "{said}");
    }
}

#[test]
fn a_text_has_no_colours_without_a_terminal_and_names_the_variables_that_are_made_up() {
    let output = explain(&["--routes", &example("simple-router.json")], &chat("gpt-4-router"));
    assert!(!stdout(&output).contains('\u{1b}'));
    assert!(
        stderr(&output).starts_with("note: not set, so made up: AZURE_OPENAI_API_KEY, "),
        "{}",
        stderr(&output)
    );
    let output = explain(&["--routes", &example("simple-router.json"), "--strict"], &chat("gpt-4-router"));
    assert_eq!(output.status.code(), Some(1), "every deployment is disabled");
    let said = stdout(&output);
    assert!(said.contains("the variable OPENAI_API_KEY is not set"), "{said}");
    assert!(said.contains("The client gets 503 no_eligible_deployment: "), "{said}");
}

#[test]
fn the_health_of_a_gateway_is_used() {
    let gate = json!({ "state": "open", "until": 1_767_225_660_000_u64, "reason": { "kind": "quota" }, "why": null });
    let snapshot = json!({
        "gate": gate, "missing": [], "share": 0.0, "in_flight": 0, "consecutive_failures": 1, "successes": 0, "failures": 0,
        "latency_ms": null, "first_token_ms": 250.0, "tokens_per_second": null, "headroom": null, "last_error": null,
        "leased": false, "wanted": false, "overdue": false,
    });
    let health = json!({
        "now": 1_767_225_600_000_u64, "tasks": 1, "waits": 0, "object": "default/weur", "trouble": null,
        "deployments": [
            { "deployment": "openai-gpt4o", "isolate": snapshot, "object": null },
            { "deployment": "opnai-gpt4o", "isolate": snapshot, "object": null },
        ],
    });
    let health = file("quota.json", &health.to_string());
    let arguments = ["--routes", &example("simple-router.json"), "--health", &health];
    let output = explain(&arguments, &chat("gpt-4-router"));
    let said = stdout(&output);
    assert!(said.contains("at 2026-01-01T00:00:00Z"), "{said}");
    let line = "openai-gpt4o  not tried: until 2026-01-01T00:01:00Z: the account's quota is used up";
    assert!(said.contains(line), "{said}");
    let note = "note: the document has no deployment 'opnai-gpt4o', so its health is not used; did you mean 'openai-gpt4o'?";
    assert!(stderr(&output).contains(note), "{}", stderr(&output));
}

#[test]
fn what_cannot_be_explained_is_said_with_what_was_expected() {
    let routes = example("simple-router.json");
    let no_health = file("no-health.json", "[]");
    let no_routes = file("no-routes.json", r#"{"version":1}"#);
    for (arguments, request, said) in [
        (&["--routes", &routes][..], "[]", "-: A JSON object was expected: "),
        (
            &["--routes", &routes],
            r#"{"path":"/","pth":1}"#,
            "-: There is no key 'pth'. The keys are method, path,",
        ),
        (
            &["--routes", &routes],
            r#"{"path":"/","client":"ap"}"#,
            "-: The routes document has no such client. Did you mean 'app'?",
        ),
        (
            &["--routes", &routes, "--health", &no_health],
            r#"{"path":"/"}"#,
            "it is not an answer of GET /admin/api/health: ",
        ),
        (&["--routes", &routes, "--health", "no-such-file"], r#"{"path":"/"}"#, "no-such-file: "),
        (&["--routes", "no-such-file"], "{}", "no-such-file: "),
        (&["--routes", &no_routes], "{}", "error: deployments: found nothing"),
        (&["--routes", &no_routes], "{}", &format!(" --> {no_routes}:1:1\n")),
    ] {
        let output = explain(arguments, request);
        assert_eq!(output.status.code(), Some(2), "{arguments:?} {request}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(stderr(&output).contains(said), "{arguments:?}: {}", stderr(&output));
    }
}
