//! The structure of `src`: which module may import which, and how files and types may be named.
//!
//! The checks read the source files with `syn`. Each check has a test on a small invented crate,
//! which shows that the check can fail.

#![allow(clippy::unwrap_used, reason = "tests")]

mod checks;
mod crate_tree;
mod made_up;

use std::path::Path;
use std::sync::OnceLock;

use checks::{circles, colliding_file_names, duplicate_types, import_violations, long_files, wide_comments};
use crate_tree::CrateTree;

/// The floors of the crate from the lowest to the highest, in the reading order of `lib.rs`. A
/// module may import modules of lower floors. Modules of one floor do not import each other.
const FLOORS: &[&[&str]] = &[
    &["scan"],
    &["vocabulary"],
    &["geography", "usage", "counters", "signature", "alerting", "keys"],
    &["routes"],
    &["request", "health", "limits", "registry"],
    &["upstream", "balance"],
    &["entry", "attempt"],
    &["stream", "reply", "telemetry", "explain", "drawing", "doctor"],
    &["serve"],
    &["simulation", "edge"],
];

/// The most lines that a file may have.
const MOST_LINES: usize = 600;

/// The most columns that a line of a comment may have.
const MOST_COLUMNS: usize = 100;

/// File names that two files may share: `vocabulary/usage.rs` has the plain value that the module
/// `usage` reads and prices.
const SHARED_FILE_NAMES: &[&str] = &["usage"];

fn source() -> &'static CrateTree {
    static SOURCE: OnceLock<CrateTree> = OnceLock::new();
    SOURCE.get_or_init(|| CrateTree::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap())
}

#[track_caller]
fn assert_none(found: &[String], what: &str) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn modules_import_lower_floors_alone() {
    assert_none(&import_violations(source(), FLOORS), "imports that do not lead down");
}

#[test]
fn no_files_form_a_circle() {
    assert_none(&circles(source()), "files that import each other");
}

#[test]
fn type_names_are_unique() {
    assert_none(&duplicate_types(source()), "types of the same name");
}

#[test]
fn file_names_are_unique() {
    let found = colliding_file_names(source(), SHARED_FILE_NAMES);
    assert_none(&found, "files of the same name");
}

#[test]
fn files_are_short() {
    assert_none(&long_files(source(), MOST_LINES), "files that are too long");
}

#[test]
fn comments_are_narrow() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["src", "tests", "benches"].map(|folder| root.join(folder));
    assert_none(&wide_comments(&folders, MOST_COLUMNS), "comments that are too wide");
}

#[test]
fn the_documentation_of_the_crate_lists_the_floors_in_order() {
    let documentation = source().documentation_of_the_root();
    let listed: Vec<&str> = documentation
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- [`").or_else(|| line.trim().strip_prefix("- `")))
        .filter_map(|line| line.split('`').next())
        .collect();
    let floors: Vec<&str> = FLOORS.iter().flat_map(|floor| floor.iter().copied()).collect();
    assert_eq!(listed, floors);
}

#[test]
fn the_tests_that_the_security_page_names_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/security.md")).unwrap();
    let names: Vec<(&str, &str)> =
        page.split('`').skip(1).step_by(2).filter_map(|text| text.split_once("::")).collect();
    assert!(names.len() > 15, "{names:?}");
    for (file, test) in names {
        let found = ["serve", "routes", "fuzz"].into_iter().any(|folder| {
            let text = std::fs::read_to_string(root.join(format!("tests/{folder}/{file}.rs")));
            text.is_ok_and(|text| text.contains(&format!("fn {test}(")))
        });
        assert!(found, "{file}::{test}");
    }
}
