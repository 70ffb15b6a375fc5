//! Routes documents for tests, and an environment for them.

use serde_json::{Value, json};
use switchyard::routes::{Compiled, Issue, compile};

/// A small document without errors.
pub fn base() -> Value {
    json!({
        "version": 1,
        "clients": { "app": { "key": "${CLIENT_KEY}" } },
        "deployments": {
            "openai": { "provider": "openai", "api_key": "${OPENAI_API_KEY}", "model": "gpt-4o" },
            "azure": {
                "provider": "azure", "api_key": "${AZURE_KEY}", "endpoint": "https://name.openai.azure.com",
                "deployment": "gpt-4o-eastus", "api_version": "2024-10-21", "tags": ["us"],
            },
        },
        "models": {
            "chat": { "targets": ["openai", "azure"] },
            "mini": { "targets": ["openai"] },
        },
    })
}

/// Applies `patch` to `document` as in RFC 7396: objects are merged, null removes a key, and every
/// other value replaces the old one.
pub fn patched(mut document: Value, patch: &Value) -> Value {
    merge(&mut document, patch);
    document
}

fn merge(document: &mut Value, patch: &Value) {
    let Value::Object(entries) = patch else {
        document.clone_from(patch);
        return;
    };
    if !document.is_object() {
        *document = json!({});
    }
    let document = document.as_object_mut().unwrap();
    for (key, entry) in entries {
        if entry.is_null() {
            document.remove(key);
        } else {
            merge(document.entry(key.as_str()).or_insert(Value::Null), entry);
        }
    }
}

/// Every variable has a value whose form suits its name. Variables that begin with `MISSING` have
/// no value.
pub fn env(name: &str) -> Option<String> {
    if name.starts_with("MISSING") {
        return None;
    }
    Some(match name {
        "SPACED" => "sk-top secret".to_owned(),
        "TABBED" => "sk-top\tsecret".to_owned(),
        "PASSPHRASE" => "geheimer Schlüssel §1".to_owned(),
        "BAD_WEBHOOK_SECRET" => "whsec_top-secret".to_owned(),
        "SHARED_A" | "SHARED_B" => "the-same-key".to_owned(),
        "OPERATION_ADDRESS" => "https://top-secret.openai.azure.com/openai/v1/responses".to_owned(),
        "TO_CHAT" => "chat".to_owned(),
        "TO_NOWHERE" => "top-secret-name".to_owned(),
        _ if name.ends_with("ENDPOINT") => "https://name.openai.azure.com/".to_owned(),
        _ if name.ends_with("URL") => "https://api.openai.com/v1/".to_owned(),
        _ if name.ends_with("VERSION") => "2024-10-21".to_owned(),
        _ => format!("top-secret-{name}"),
    })
}

pub fn compile_value(document: &Value) -> Result<Compiled, Vec<Issue>> {
    compile(&document.to_string(), &env)
}

/// Compiles the base document with a patch. The result must be valid.
pub fn compiled(patch: &Value) -> Compiled {
    compile_value(&patched(base(), patch)).unwrap_or_else(|issues| {
        let lines: Vec<_> = issues.iter().map(ToString::to_string).collect();
        panic!("{patch}:\n{}", lines.join("\n"))
    })
}
