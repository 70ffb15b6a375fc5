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
    // The schema of the document is JSON, and no document.
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

#[test]
fn the_schema_that_is_printed_is_the_one_that_is_published() {
    assert_eq!(stdout(&switchyard(&["schema"])), include_str!("../../routes.schema.json"));
    assert_eq!(stdout(&switchyard(&["schema", "--bare"])), include_str!("../../src/routes/shape.json"));
}

#[test]
fn help_is_printed_where_it_is_needed() {
    assert!(stdout(&switchyard(&["--help"])).contains("switchyard check [FILE]"));
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
    // Its models have nothing behind their only deployments.
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
