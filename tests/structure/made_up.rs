//! Small invented crates on which each check fails and passes.

use std::collections::BTreeMap;

use crate::checks::{
    circles, colliding_file_names, duplicate_types, import_violations, long_files, wide_comments_of,
};
use crate::crate_tree::CrateTree;

const FLOORS: &[&[&str]] = &[&["low", "beside"], &["high"]];

fn crate_of(files: &[(&str, &str)]) -> CrateTree {
    let files: BTreeMap<&str, &str> = files.iter().copied().collect();
    CrateTree::load(&|path| files.get(path.to_str()?).map(|text| (*text).to_owned())).unwrap()
}

/// A crate with the modules `low`, `beside` and `high`, which have these texts.
fn three(low: &str, beside: &str, high: &str) -> CrateTree {
    crate_of(&[
        ("lib.rs", "mod low; mod beside; mod high;"),
        ("low.rs", low),
        ("beside.rs", beside),
        ("high.rs", high),
    ])
}

#[test]
fn an_import_of_a_lower_floor_is_fine() {
    let high = "use crate::low::Thing; fn f() { crate::beside::f(); } ";
    assert!(import_violations(&three("", "", high), FLOORS).is_empty());
}

#[test]
fn an_import_of_a_higher_floor_is_found_however_it_is_written() {
    for low in [
        "use crate::high::Thing;",
        "use crate::{high::{self, Thing}};",
        "use crate::high as other;",
        "use crate::high::*;",
        "use super::high::Thing;",
        "pub use crate::high::Thing;",
        "fn f() { use crate::high::Thing; }",
        "fn f(thing: crate::high::Thing) {}",
        "fn f() { crate::high::g(); }",
        "impl crate::high::Thing {}",
        "fn f() { println!(\"{}\", crate::high::g()); }",
        "wrap! { struct Other { thing: crate::high::Thing } }",
        "macro_rules! m { () => { $crate::high::g() }; }",
        "mod inner { use super::super::high::Thing; }",
    ] {
        assert_eq!(import_violations(&three(low, "", ""), FLOORS), ["low.rs imports high"], "{low}");
    }
}

#[test]
fn an_import_of_the_same_floor_is_found() {
    let tree = three("use crate::beside::Thing;", "", "");
    assert_eq!(import_violations(&tree, FLOORS), ["low.rs imports beside"]);
}

#[test]
fn an_import_from_the_root_is_found() {
    let tree = three("use crate::Thing;", "", "");
    assert_eq!(import_violations(&tree, FLOORS), ["low.rs imports from the root"]);
}

#[test]
fn tests_may_import_what_they_like() {
    for low in [
        "#[cfg(test)] mod tests { use crate::high::Thing; }",
        "#[cfg(test)] mod tests;",
        "#[cfg(test)] use crate::high::Thing;",
        "#[cfg(test)] fn f() { crate::high::g(); }",
    ] {
        assert!(import_violations(&three(low, "", ""), FLOORS).is_empty(), "{low}");
    }
}

#[test]
fn a_module_without_a_floor_and_a_floor_without_its_module_are_found() {
    let tree = crate_of(&[
        ("lib.rs", "mod low; mod new; mod high;"),
        ("low.rs", ""),
        ("new.rs", ""),
        ("high.rs", ""),
    ]);
    assert_eq!(import_violations(&tree, FLOORS), ["new is on no floor", "there is no module beside"]);
}

#[test]
fn two_files_that_import_each_other_are_found() {
    let tree = three("", "use crate::high::Thing;", "use super::beside::Other;");
    assert_eq!(circles(&tree), ["beside.rs, high.rs"]);
}

#[test]
fn a_longer_circle_is_found_once() {
    let tree = three("use crate::beside::A;", "use crate::high::B;", "use crate::low::C;");
    assert_eq!(circles(&tree), ["beside.rs, high.rs, low.rs"]);
}

#[test]
fn a_way_that_does_not_come_back_is_no_circle() {
    assert!(circles(&three("", "use crate::low::A;", "use crate::{beside::B, low::A};")).is_empty());
}

#[test]
fn a_parent_and_its_child_that_need_each_other_are_found() {
    let of = |parent: &str, child: &str| {
        circles(&crate_of(&[("lib.rs", "mod parent;"), ("parent.rs", parent), ("parent/child.rs", child)]))
    };
    let both = ["parent.rs, parent/child.rs"];
    assert_eq!(of("mod child; use child::Part;", "use super::Whole;"), both);
    assert_eq!(of("mod child; fn f() { child::g() }", "fn f(whole: super::Whole) {}"), both);
    assert_eq!(of("mod child; pub use self::child::Part;", "use crate::parent::Whole;"), both);
    // A module that only declares another one does not depend on it.
    assert!(of("mod child;", "use super::Whole;").is_empty());
    assert!(of("mod child; use child::Part;", "").is_empty());
}

#[test]
fn a_type_name_that_is_there_twice_is_found() {
    for (low, high) in [
        ("struct Thing;", "enum Thing {}"),
        ("trait Thing {}", "type Thing = u8;"),
        ("wrap! { pub struct Thing { field: u8 } }", "union Thing { a: u8 }"),
        ("mod inner { struct Thing; }", "fn f() { struct Thing; }"),
    ] {
        assert_eq!(duplicate_types(&three(low, "", high)), ["Thing in high.rs, low.rs"], "{low} {high}");
    }
}

#[test]
fn associated_types_variants_and_tests_do_not_count_as_types() {
    let low = "struct Thing; enum Other { Variant } #[cfg(test)] mod tests { struct Variant; struct Thing; }";
    let high = "impl Iterator for X { type Thing = u8; } enum Another { Variant }";
    assert!(duplicate_types(&three(low, "", high)).is_empty());
}

#[test]
fn two_files_of_the_same_name_are_found() {
    let tree = crate_of(&[
        ("lib.rs", "mod low; mod high;"),
        ("low/mod.rs", "mod part; mod own;"),
        ("low/part.rs", ""),
        ("low/own.rs", ""),
        ("high.rs", "mod part; mod low;"),
        ("high/part.rs", ""),
        ("high/low.rs", ""),
    ]);
    assert_eq!(
        colliding_file_names(&tree, &[]),
        ["low: high/low.rs, low/mod.rs", "part: high/part.rs, low/part.rs"]
    );
    assert_eq!(colliding_file_names(&tree, &["low", "part"]), [""; 0]);
}

#[test]
fn a_long_file_is_found() {
    let tree = three("\n\n\n", "\n\n", "");
    assert_eq!(long_files(&tree, 2), ["low.rs has 3 lines"]);
}

#[test]
fn a_wide_comment_is_found() {
    let text = "// short\nlet a_long_line_of_code = 1;\n    /// a comment of 26 columns\n//! ```\n//! let code = \"is not wrapped\";\n//! ```\n";
    assert_eq!(wide_comments_of("low.rs", text, 20), ["low.rs:3: 31 columns"]);
}
