//! What a picture shows.

use serde_json::{Value, json};
use switchyard::drawing::mermaid::mermaid;
use switchyard::drawing::picture::{ArrowKind, BoxKind, Picture, ShownState};
use switchyard::drawing::svg::svg;
use switchyard::routes::compile;
use switchyard::routes::graph::Deployment;

fn picture_with(document: &Value, state_of: &dyn Fn(&Deployment) -> Option<ShownState>) -> Picture {
    let compiled = compile(&document.to_string(), &|_| Some("https://made-up.example".to_owned())).unwrap();
    Picture::of(&compiled.graph, state_of)
}

/// The arrows of a picture as text: `from -> to: label`, with `=>` for an edge of `on`.
fn arrows(document: &Value) -> Vec<String> {
    let picture = picture_with(document, &|_| None);
    let name = |id: &str| picture.nodes.iter().find(|found| found.id == id).unwrap().name.clone();
    picture
        .edges
        .iter()
        .map(|arrow| {
            let line = if arrow.kind == ArrowKind::On { "=>" } else { "->" };
            format!("{} {line} {}: {}", name(&arrow.from), name(&arrow.to), arrow.label)
        })
        .collect()
}

fn document(models: &Value, rules: &Value, settings: &Value) -> Value {
    let deployment = |model: &str| json!({ "provider": "openai", "api_key": "${KEY}", "model": model });
    json!({
        "version": 1, "settings": settings, "rules": rules, "models": models,
        "deployments": { "a": deployment("x"), "b": deployment("y"), "c": deployment("z") },
    })
}

#[test]
fn a_rule_that_refuses_leads_nowhere_and_says_so() {
    let rules = json!([
        { "when": { "body": { "input": { "contains": "falcon" } } }, "deny": { "code": "secret", "message": "No." } },
        { "when": { "model": "x" }, "use": "m" },
    ]);
    let document = document(&json!({ "m": { "targets": ["a"] } }), &rules, &json!({}));
    assert_eq!(arrows(&document), ["rule 2 -> m: ", "m -> a: "]);
    let picture = picture_with(&document, &|_| None);
    assert_eq!(picture.nodes[0].details, ["body.input contains falcon", "refused: 403 secret"]);
    assert!(mermaid(&picture).contains("403 secret"));
    assert!(svg(&picture).contains("403 secret"));
}

#[test]
fn targets_have_their_tier_share_or_condition() {
    for (node, expected) in [
        (json!({ "targets": ["a"] }), vec!["m -> a: "]),
        (json!({ "targets": ["a", "b"] }), vec!["m -> a: 1", "m -> b: 2"]),
        (
            json!({ "targets": [
                { "use": "a", "priority": 10, "weight": 3 }, { "use": "b", "priority": 10, "weight": 1 },
                { "use": "c", "priority": 20 },
            ] }),
            vec!["m -> a: 1: 75 %", "m -> b: 1: 25 %", "m -> c: 2"],
        ),
        (
            json!({ "strategy": "weighted", "targets": [{ "use": "a", "weight": 1 }, { "use": "b", "weight": 0 }] }),
            vec!["m -> a: 100 %", "m -> b: 0 %"],
        ),
        (json!({ "strategy": "latency", "targets": ["a", "b"] }), vec!["m -> a: ", "m -> b: "]),
        (
            json!({
                "strategy": "match",
                "cases": [{ "when": { "country": "DE" }, "use": "a" }],
                "else": { "targets": ["b", "c"] },
            }),
            vec![
                "m -> a: country = DE",
                "m -> models.m.else: else",
                "models.m.else -> b: 1",
                "models.m.else -> c: 2",
            ],
        ),
    ] {
        let document = document(&json!({ "m": node }), &json!([]), &json!({}));
        assert_eq!(arrows(&document), expected, "{node}");
    }
}

#[test]
fn edges_to_one_place_are_one_arrow_with_all_their_classes() {
    let models = json!({
        "m": { "targets": ["a"], "on": { "rate_limit": "b", "timeout": "b", "content_policy": { "targets": ["c"] } } },
    });
    let found = arrows(&document(&models, &json!([]), &json!({ "on": { "quota": "m" } })));
    assert_eq!(
        found,
        [
            "settings.on => m: quota",
            "m -> a: ",
            "m => models.m.on.content_policy: content_policy",
            "m => b: rate_limit, timeout",
            "models.m.on.content_policy -> c: ",
        ]
    );
}

#[test]
fn rules_stand_in_order_with_their_conditions() {
    let rules = json!([
        { "when": { "path": "/ai/*" }, "use": "m" },
        { "when": { "percent": 5, "by": "client" }, "use": "m" },
    ]);
    let document = document(&json!({ "m": { "targets": ["a"] } }), &rules, &json!({}));
    assert_eq!(arrows(&document), ["rule 1 -> m: ", "rule 2 -> m: ", "m -> a: "]);
    let picture = picture_with(&document, &|_| None);
    let details: Vec<&[String]> = picture
        .nodes
        .iter()
        .filter(|found| found.kind == BoxKind::Rule)
        .map(|found| found.details.as_slice())
        .collect();
    assert_eq!(details, [["path = /ai/*"], ["5 % by client"]]);
}

#[test]
fn a_node_that_two_nodes_share_is_drawn_once() {
    let models = json!({
        "inner": { "targets": ["a"] }, "m": { "targets": ["inner", "b"] }, "n": { "targets": ["inner"] },
    });
    let picture = picture_with(&document(&models, &json!([]), &json!({})), &|_| None);
    let nodes: Vec<&str> = picture.nodes.iter().map(|found| found.name.as_str()).collect();
    assert_eq!(nodes, ["inner", "m", "n", "a", "b", "c"]);
}

#[test]
fn boxes_say_what_is_special_about_them() {
    let mut document = document(
        &json!({ "m": {
            "strategy": "nearest", "targets": ["a", "b"], "min_quality": 2, "require_tags": ["eu"],
            "commit": "complete", "hedge": { "after": "p95" }, "sticky": { "by": "header:x-user" },
        } }),
        &json!([]),
        &json!({}),
    );
    document["deployments"]["a"] = json!({
        "provider": "azure", "endpoint": "https://r.openai.azure.com", "api_key": "${KEY}", "deployment": "gpt",
        "region": "westeurope", "tags": ["eu"], "quality": 2,
    });
    let picture = picture_with(&document, &|found| (found.name == "b").then_some(ShownState::Drained));
    let details = |name: &str| {
        let found = picture.nodes.iter().find(|found| found.name == name).unwrap();
        (found.details.join("; "), found.state)
    };
    assert_eq!(
        details("m").0,
        "nearest; quality from 2; only tags: eu; commit: complete; hedge after p95; sticky by header:x-user"
    );
    assert_eq!(details("a"), ("gpt; azure · westeurope; tags: eu".to_owned(), None));
    assert_eq!(details("b"), ("y; openai".to_owned(), Some(ShownState::Drained)));
}
