//! `switchyard doctor --gateway`, against a server that answers as a gateway does.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::command::{Arrived, chat, server, stderr, stdout};

fn document() -> Value {
    let openai = |model: &str| {
        json!({
            "provider": "openai", "api_key": "${OPENAI_KEY}", "model": model, "endpoint": "${PROXY_URL}",
            "cost": { "input": 2.5, "output": 10 },
        })
    };
    let azure = json!({
        "provider": "azure", "endpoint": "${AZURE_ENDPOINT}", "api_key": "${AZURE_KEY}", "deployment": "gpt-4o",
        "api_version": "2024-10-21",
    });
    json!({
        "version": 1,
        "deployments": {
            "well": openai("gpt-4o"), "key": openai("gpt-4o"), "wants": openai("gpt-4o"), "slow": openai("gpt-4o"),
            "list": openai("tts-1"), "unset": openai("gpt-4o"), "firewall": azure, "gone": azure,
        },
        "models": { "m": { "targets": ["well", "key", "wants", "slow", "list", "unset", "firewall", "gone"] } },
    })
}

/// What the gateway says of a deployment.
fn answer(request: &Arrived) -> (u16, Value) {
    let answered = |status: u16, body: &Value| {
        let headers = json!({ "content-type": "application/json" });
        let host = "real.openai.azure.com";
        (
            200,
            json!({ "host": host, "ms": 7, "error": null, "status": status, "headers": headers, "body": body.to_string() }),
        )
    };
    let failed =
        |kind: &str, message: &str| (200, json!({ "ms": 7, "error": { "kind": kind, "message": message } }));
    let error = |message: &str, code: &str| json!({ "error": { "message": message, "code": code } });
    let Some(path) = request.line.strip_prefix("POST /admin/api/deployments/") else {
        return (200, document());
    };
    let is_asked = |name: &str| path.starts_with(&format!("{name}/ask?"));
    match path {
        _ if is_asked("well") => answered(200, &chat()),
        _ if is_asked("key") => answered(401, &error("Incorrect API key provided: ***", "invalid_api_key")),
        _ if is_asked("wants") && path.contains("question=chat&") => {
            answered(400, &error("Use 'max_completion_tokens' instead.", "unsupported_parameter"))
        }
        _ if is_asked("wants") && path.contains("question=reasoning&") => answered(200, &chat()),
        _ if is_asked("slow") => failed("timeout", "no answer"),
        _ if is_asked("list") && path.contains("question=models&") => (
            200,
            json!({ "host": "h", "ms": 7, "error": null, "status": 200, "headers": {}, "body": "{\"data\":[{\"id\":", "is_cut": true }),
        ),
        _ if is_asked("unset") => failed("disabled", "OPENAI_KEY"),
        _ if is_asked("firewall") => {
            answered(403, &error("Access denied due to Virtual Network/Firewall rules.", "403"))
        }
        _ if is_asked("gone") => answered(
            404,
            &error("The API deployment for this resource does not exist.", "DeploymentNotFound"),
        ),
        _ => (400, json!({})),
    }
}

fn doctor(arguments: &[&str]) -> (Output, Arc<Mutex<Vec<Arrived>>>) {
    let (base, arrived) = server(answer);
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command.current_dir(Path::new(env!("CARGO_TARGET_TMPDIR"))).env_clear().stdin(Stdio::null());
    command.env("SWITCHYARD_ADMIN_TOKEN", "zq-token-of-admin").env("PATH", "");
    command.args(["doctor", "--gateway", base.trim_end_matches("/v1")]).args(arguments);
    let output = command.output().unwrap();
    assert!(!format!("{output:?}").contains("zq-token"), "{output:?}");
    (output, arrived)
}

#[test]
fn the_gateway_asks_each_deployment_and_the_findings_are_about_the_worker() {
    let (output, arrived) = doctor(&["--yes", "--json", "--timeout", "5"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let found = |name: &str| {
        let all = report["deployments"].as_array().unwrap();
        all.iter().find(|found| found["deployment"] == name).unwrap().clone()
    };
    for (name, code) in [
        ("well", "well"),
        ("key", "invalid_api_key"),
        ("wants", "well"),
        ("slow", "no_answer_in_time"),
        ("list", "well"),
        ("unset", "missing_variable"),
        ("firewall", "firewall"),
        ("gone", "deployment_not_found"),
    ] {
        assert_eq!(found(name)["code"], code, "{}", found(name));
    }
    let said = |name: &str, key: &str| found(name)[key].as_str().unwrap().to_owned();
    assert!(said("firewall", "found").contains("refuse the address of the Worker"), "{}", found("firewall"));
    assert!(said("unset", "found").contains("OPENAI_KEY is missing in the Worker"), "{}", found("unset"));
    assert!(said("key", "remedy").contains("the variable OPENAI_KEY"), "{}", found("key"));
    let text = report.to_string();
    assert!(!text.contains("made-up") && !text.contains("this machine"), "values that are made up: {text}");
    let arrived = arrived.lock().unwrap();
    let asked = arrived.iter().filter(|request| request.line.contains("/ask?"));
    assert_eq!(asked.count(), 9, "one is asked twice");
    for request in arrived.iter() {
        assert!(request.head.contains("authorization: bearer zq-token-of-admin"), "{request:?}");
        assert!(
            !request.line.contains("/ask?") || request.line.contains("seconds=5&why=doctor"),
            "{request:?}"
        );
    }
}

#[test]
fn nothing_is_asked_before_somebody_agrees_and_the_plan_says_who_asks() {
    let (output, arrived) = doctor(&["--only", "well", "list"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = stderr(&output);
    assert!(said.contains("2 requests, with the credentials of the gateway, from the Worker"), "{said}");
    assert!(said.contains("At most about 0.000"), "{said}");
    let lines: Vec<String> = arrived.lock().unwrap().iter().map(|request| request.line.clone()).collect();
    assert_eq!(lines, ["GET /admin/api/routes/document HTTP/1.1\r\n"]);
}

#[test]
fn a_gateway_that_refuses_is_an_error_of_its_own() {
    let refused = json!({ "error": { "message": "Only ADMIN_TOKEN may do this.", "code": "admin_needed" } });
    let (base, _) =
        server(
            move |request| {
                if request.line.starts_with("GET") { (200, document()) } else { (403, refused.clone()) }
            },
        );
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command.env_clear().stdin(Stdio::null()).env("SWITCHYARD_ADMIN_TOKEN", "zq-viewer");
    let output =
        command.args(["doctor", "--yes", "--gateway", base.trim_end_matches("/v1")]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(stderr(&output).contains("Only ADMIN_TOKEN may do this."), "{output:?}");
    let both = Command::new(env!("CARGO_BIN_EXE_switchyard"))
        .args(["doctor", "routes.json", "--gateway", "https://gateway.example"])
        .output()
        .unwrap();
    assert_eq!(both.status.code(), Some(2), "a file and a gateway: {both:?}");
}
