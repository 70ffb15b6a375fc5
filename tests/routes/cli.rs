//! The command line.

use std::process::{Command, Output};

fn switchyard(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_good_document_is_called_good() {
    let output = switchyard(&["check", "examples/simple-router.json"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("examples/simple-router.json: good: 2 deployments, 1 model,"));
}

#[test]
fn a_bad_document_fails_with_all_its_issues() {
    // The schema of the document is JSON, but it is not a routes document.
    let output = switchyard(&["check", "routes.schema.json"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stdout(&output);
    for path in [
        "error: deployments: found nothing",
        "error: models: found nothing",
        "error: properties: found the key",
    ] {
        assert!(said.contains(path), "{path}: {said}");
    }
}

/// Checks a document in a folder of its own, without variables.
fn check(name: &str, document: &str, options: &[&str]) -> (Option<i32>, String) {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("routes.json"), document).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    let output = command.current_dir(&folder).env_clear().arg("check").args(options).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), stdout(&output))
}

const MISSPELT: &str = r#"{
  "version": 1,
  "clients": { "app": { "key": "${SWITCHYARD_KEY}" } },
  "deployments": { "openai": { "provider": "openai", "model": "m", "api_key": "zq-literal" } },
  "models": {
    "chat": { "targets": ["opnai"] }
  }
}"#;

#[test]
fn an_error_is_shown_in_its_line_without_credentials() {
    let (code, said) = check("place-of-an-error", MISSPELT, &[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("routes.json:6:27"), "{said}");
    assert!(said.contains("6 |     \"chat\": { \"targets\": [\"opnai\"] }\n"), "{said}");
    assert!(said.contains("^^^^^^^") && said.contains("did you mean \"openai\"?"), "{said}");
    assert!(said.contains("routes.json:4:"), "{said}");
    assert!(!said.contains("zq-literal") && !said.contains('\u{1b}'), "{said}");
}

#[test]
fn a_syntax_error_is_shown_up_to_its_place() {
    let (code, said) = check("syntax-error", "{\n  \"a\": 'zq-literal'\n}", &[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("routes.json:2:8") && said.contains("texts take double quotes"), "{said}");
    assert!(!said.contains("zq-literal"), "{said}");
}

#[test]
fn errors_and_warnings_are_printed_as_json_too() {
    let (code, said) = check("json-of-errors", MISSPELT, &["--json"]);
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &report["good"]), (Some(1), &serde_json::json!(false)));
    let target =
        report["errors"].as_array().unwrap().iter().find(|error| error["nearest"] == "openai").unwrap();
    assert_eq!((&target["line"], &target["column"]), (&serde_json::json!(6), &serde_json::json!(27)));
    assert_eq!(target["path"], "models.chat.targets[0]");

    let document = MISSPELT.replace("opnai", "openai").replace("zq-literal", "${OPENAI_API_KEY}");
    for (options, expected) in [(&["--json"][..], 0), (&["--json", "--deny-warnings"], 1)] {
        let (code, said) = check("json-of-warnings", &document, options);
        let report: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!((code, &report["good"]), (Some(expected), &serde_json::json!(true)), "{options:?}");
        assert_eq!(report["warnings"][0]["code"], "unusable_variable");
        assert_eq!(report["errors"], serde_json::json!([]));
    }
}

#[test]
fn shells_get_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = stdout(&switchyard(&["completions", shell]));
        assert!(said.contains("deny-warnings") && said.contains("rollback"), "{shell}");
    }
    assert_eq!(switchyard(&["completions", "cmd"]).status.code(), Some(2));
}

#[test]
fn the_schema_that_is_printed_is_the_one_that_is_published() {
    assert_eq!(stdout(&switchyard(&["schema"])), include_str!("../../routes.schema.json"));
    assert_eq!(stdout(&switchyard(&["schema", "--bare"])), include_str!("../../src/routes/shape.json"));
}

#[test]
fn help_is_printed_where_it_is_needed() {
    assert!(stdout(&switchyard(&["--help"])).contains("switchyard check [OPTIONS] [FILE]"));
    for arguments in [&[][..], &["chekc"], &["check", "a", "b"], &["check", "no-such-file.json"]] {
        let output = switchyard(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_simulation_is_printed_with_its_seed() {
    let arguments = ["simulate", "examples/load-balanced.json", "--scenario", "quota", "--isolates", "6"];
    let output = switchyard(&[&arguments[..], &["--seed", "5"]].concat());
    let said = stdout(&output);
    assert!(said.contains("6 isolates in 3 regions, 90 s,"), "{said}");
    assert!(said.contains("seed 5"), "{said}");
    assert!(said.contains("share of the calls"), "{said}");
    assert!(!said.contains('\u{1b}'), "colours are for terminals");
    let output = switchyard(&[&arguments[..], &["--seed", "5", "--json"]].concat());
    let value: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(value["scenario"], "quota");
    assert_eq!(output.status.code(), Some(i32::from(value["kept"] == false)));
}

#[test]
fn a_broken_promise_fails_the_simulation() {
    // Each model of this document has only one deployment and no fallback.
    let document = "examples/path-dispatch.json";
    let arguments = ["simulate", document, "--scenario", "quota", "--isolates", "6", "--seed", "5"];
    let output = switchyard(&arguments);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("BROKEN  client-visible failures"));
}

#[test]
fn a_simulation_that_is_not_understood_lists_what_there_is() {
    assert!(stdout(&switchyard(&["simulate", "--help"])).contains("  brown-out "));
    for arguments in [
        &["simulate", "--scenario", "snow"][..],
        &["simulate", "--seed"],
        &["simulate", "--isolates", "some"],
        &["simulate", "a.json", "b.json"],
        &["simulate", "no-such-file.json"],
    ] {
        let output = switchyard(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn every_subcommand_has_a_help_with_examples() {
    for (arguments, usage, example) in [
        (&["--help"][..], "switchyard schema [OPTIONS]", "cargo run -- schema > routes.schema.json"),
        (&["help"], "switchyard simulate [OPTIONS] [FILE]", "cargo run -- check examples/azure-regions.json"),
        (
            &["check", "--help"],
            "Usage: switchyard check [OPTIONS] [FILE]",
            "OPENAI_API_KEY=sk-... cargo run -- check",
        ),
        (
            &["explain", "--help"],
            "Usage: switchyard explain [OPTIONS] --request <FILE>",
            "cargo run -- explain --request request.json",
        ),
        (&["schema", "-h"], "Usage: switchyard schema [OPTIONS]", "cargo run -- schema --bare"),
        (
            &["simulate", "--help"],
            "Usage: switchyard simulate [OPTIONS] [FILE]",
            "--scenario flapping --json",
        ),
        (
            &["push", "--help"],
            "Usage: switchyard push [OPTIONS] [FILE]",
            "switchyard push my-routes.json --dry-run",
        ),
        (
            &["keys", "--help"],
            "Usage: switchyard keys <COMMAND>",
            "switchyard keys revoke key_17 --why 'it was in a log'",
        ),
        (&["pull", "--help"], "Usage: switchyard pull [OPTIONS]", "switchyard pull --output routes.json"),
        (&["diff", "--help"], "Usage: switchyard diff [OPTIONS] [FILE]", "switchyard diff my-routes.json"),
        (
            &["history", "--help"],
            "Usage: switchyard history [OPTIONS] [VERSION]",
            "switchyard history a07b5512fe90",
        ),
        (
            &["rollback", "--help"],
            "Usage: switchyard rollback [OPTIONS] <VERSION>",
            "switchyard rollback 11 --why",
        ),
        (&["status", "--help"], "Usage: switchyard status [OPTIONS]", "switchyard status --json"),
        (
            &["drain", "--help"],
            "Usage: switchyard drain [OPTIONS] <DEPLOYMENT>",
            "switchyard drain azure-eastus",
        ),
        (
            &["enable", "--help"],
            "Usage: switchyard enable [OPTIONS] <DEPLOYMENT>",
            "switchyard enable azure-eastus",
        ),
        (
            &["reset", "--help"],
            "Usage: switchyard reset [OPTIONS] <DEPLOYMENT|--all>",
            "switchyard reset --all",
        ),
        (&["audit", "--help"], "Usage: switchyard audit [OPTIONS]", "switchyard audit > audit.jsonl"),
        // Without `--release` a simulation takes minutes.
        (&["simulate", "-h"], "[default: all]", "cargo run --release -- simulate\n"),
    ] {
        let output = switchyard(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}");
        let said = stdout(&output);
        assert!(said.contains(usage) && said.contains("Examples:\n"), "{arguments:?}: {said}");
        assert!(said.contains(example), "{arguments:?}: {said}");
    }
}

#[test]
fn arguments_that_are_not_understood_are_named() {
    for (arguments, why) in [
        (&[][..], "switchyard check [OPTIONS] [FILE]"),
        (&["chekc"], "unrecognized subcommand 'chekc'"),
        (&["check", "a", "b"], "unexpected argument 'b'"),
        (&["check", "--strict"], "unexpected argument '--strict'"),
        (&["check", "no-such-file.json"], "no-such-file.json: "),
        (&["explain"], "--request <FILE>"),
        (&["explain", "--request", "no-such-file.json"], "no-such-file.json: "),
        (&["schema", "--bear"], "unexpected argument '--bear'"),
        (&["schema", "more"], "unexpected argument 'more'"),
        (&["simulate", "--scenario", "snow"], "brown-out"),
        (&["simulate", "--scenario", "outrage"], "a similar value exists: 'outage'"),
        (&["simulate", "--seed"], "--seed <N>"),
        (&["simulate", "--seed", "-1"], "'-1'"),
        (&["simulate", "--isolates", "some"], "invalid value 'some' for '--isolates <N>'"),
        (&["simulate", "a.json", "b.json"], "unexpected argument 'b.json'"),
        (&["push", "--minutes", "5"], "--canary"),
        (&["push", "--canary", "51", "--minutes", "1"], "51 is not in 1..=50"),
        (&["push", "no-such-file.json"], "no-such-file.json: "),
        (&["pull", "--force"], "--output <FILE>"),
        (&["diff", "Cargo.toml"], "Cargo.toml: no JSON: "),
        (&["rollback"], "<VERSION>"),
        (&["reset"], "<DEPLOYMENT|--all>"),
        (&["reset", "azure", "--all"], "cannot be used with"),
        (&["simulate", "no-such-file.json"], "no-such-file.json: "),
    ] {
        let output = switchyard(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(why), "{arguments:?}: {said}");
    }
}

#[test]
fn of_an_option_that_stands_twice_the_last_counts() {
    let arguments = ["simulate", "no-such-file.json", "--seed", "5", "--seed", "6", "--json", "--json"];
    let said = String::from_utf8_lossy(&switchyard(&arguments).stderr).into_owned();
    assert!(said.starts_with("no-such-file.json: "), "{said}");
}

#[test]
fn variables_are_taken_from_dev_vars_and_a_bad_line_is_reported_but_not_quoted() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("dev-vars");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("routes.json"), include_str!("../../examples/simple-router.json")).unwrap();
    let check = |dev_vars: &str| {
        std::fs::write(folder.join(".dev.vars"), dev_vars).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
        let output = command.current_dir(&folder).env_clear().arg("check").output().unwrap();
        (stdout(&output), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (said, refused) = check("");
    assert_eq!((said.matches("warning[unusable_variable]: ").count(), refused.as_str()), (5, ""), "{said}");
    let (said, refused) = check(
        "# variables
AZURE_OPENAI_ENDPOINT=https://example.openai.azure.com # a comment
AZURE_OPENAI_API_KEY='azure#key'
AZURE_OPENAI_API_VERSION = \"2024-10-21\"
export OPENAI_API_KEY=sk-1
SWITCHYARD_KEY=sk-2
MORE=sk-3 sk-4
",
    );
    assert!(said.starts_with("routes.json: good: "), "{said}");
    assert_eq!(refused, ".dev.vars: 1 bad line left out: put values with spaces in quotes\n");
}
