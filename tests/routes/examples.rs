//! The sample and the examples compile.

use std::path::Path;

use switchyard::routes::{compile, doubts};

use crate::documents;

/// As in the other tests, but each endpoint is a resource of its own.
fn env(name: &str) -> Option<String> {
    if name.ends_with("ENDPOINT") {
        let host = name.to_ascii_lowercase().replace('_', "-");
        return Some(format!("https://{host}.openai.azure.com"));
    }
    documents::env(name)
}

#[test]
fn every_example_compiles_and_is_listed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = std::fs::read_to_string(root.join("examples/README.md")).unwrap();
    let mut count = 0;
    for entry in std::fs::read_dir(root.join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        let document = std::fs::read_to_string(&path).unwrap();
        let compiled = compile(&document, &env).unwrap_or_else(|issues| panic!("{name}: {issues:#?}"));
        assert_eq!(compiled.warnings, [], "{name}");
        assert_eq!(doubts(&compiled.graph, &env), [], "{name}");
        assert!(document.contains("\"$schema\": \"../routes.schema.json\""), "{name} names its schema");
        assert!(listed.contains(&format!("({name})")), "{name} is in the list");
        count += 1;
    }
    assert_eq!(count, listed.matches(".json) |").count(), "nothing is listed that is not there");
}

#[test]
fn the_sample_compiles_with_and_without_its_variables() {
    let document = include_str!("../../routes.json");
    let compiled = compile(document, &env).unwrap();
    assert_eq!(compiled.warnings, []);
    assert_eq!(doubts(&compiled.graph, &env), []);
    let prefixes: Vec<_> = compiled.graph.prefixes.iter().map(|(prefix, _)| prefix).collect();
    assert_eq!(prefixes, ["/ai/azure", "/ai/openai", "/ai/prod"]);

    let compiled = compile(document, &|_| None).unwrap();
    assert!(compiled.graph.deployments.iter().all(|deployment| deployment.disabled.is_some()));
}
