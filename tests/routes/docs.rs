//! The examples in the documentation compile.

use serde_json::Value;

use crate::documents::{base, compile_value, patched};

/// The JSON blocks of a page, each as an object.
fn blocks(page: &str) -> Vec<Value> {
    let mut blocks = Vec::new();
    for block in page.split("```json\n").skip(1) {
        let text = block.split("```").next().unwrap();
        let text = if text.starts_with('{') { text.to_owned() } else { format!("{{{text}}}") };
        blocks.push(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")));
    }
    blocks
}

#[test]
fn every_example_of_governance_compiles_as_a_part_of_a_document() {
    let blocks = blocks(include_str!("../../docs/governance.md"));
    assert!(blocks.len() > 1);
    for block in blocks {
        let compiled = compile_value(&patched(base(), &block));
        let compiled = compiled.unwrap_or_else(|issues| panic!("{block:#}: {issues:#?}"));
        assert_eq!(compiled.warnings, [], "{block:#}");
    }
}
