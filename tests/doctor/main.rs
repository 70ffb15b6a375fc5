//! `switchyard doctor`: what is asked of a deployment, and what is found.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod command;
mod findings;
mod questions;
mod through_gateway;

use std::rc::Rc;

use serde_json::{Value, json};
use switchyard::routes::compile;
use switchyard::routes::graph::Deployment;

/// The deployment that a document has, with these keys over the usual ones.
fn deployment(keys: &Value) -> Rc<Deployment> {
    let mut written = json!({ "provider": "openai", "api_key": "${KEY}", "model": "gpt-4o" });
    if keys["provider"] == "azure" {
        written = json!({
            "api_key": "${KEY}", "endpoint": "https://r.openai.azure.com", "deployment": "chat-prod",
        });
    }
    for (key, value) in keys.as_object().unwrap() {
        written[key] = value.clone();
    }
    let document = json!({
        "version": 1, "deployments": { "one": written }, "models": { "m": { "targets": ["one"] } },
    });
    let compiled = compile(&document.to_string(), &|_| Some("zq-secret-key".to_owned())).unwrap();
    let mut deployments = compiled.graph.deployments;
    drop(compiled.graph.models);
    deployments.remove(0)
}

/// An OpenAI deployment, an Azure one, and both through AI Gateway.
fn openai() -> Rc<Deployment> {
    deployment(&json!({}))
}

fn azure() -> Rc<Deployment> {
    deployment(&json!({ "provider": "azure", "api_version": "2024-10-21" }))
}

fn through_ai_gateway() -> Rc<Deployment> {
    let via = json!({ "account": "0123456789abcdef0123456789abcdef", "gateway": "main", "token": "${KEY}" });
    deployment(&json!({ "via": via }))
}
