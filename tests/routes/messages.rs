//! The exact text of every message that a document can cause.

use std::fmt::Write;

use serde_json::{Value, json};
use switchyard::routes::{Issue, MAX_BYTES, compile};

use crate::documents::{base, compile_value, env, patched};

fn lines(issues: &[Issue]) -> String {
    issues.iter().fold(String::new(), |mut lines, issue| {
        writeln!(lines, "  {issue}").unwrap();
        lines
    })
}

/// The messages about each patched base document, below the name of the case.
fn transcript(cases: &[(&str, Value)]) -> String {
    let mut transcript = String::new();
    for (name, patch) in cases {
        let said = match compile_value(&patched(base(), patch)) {
            Ok(compiled) => lines(&compiled.warnings),
            Err(issues) => lines(&issues),
        };
        assert!(!said.is_empty(), "{name}: nothing is said of {patch}");
        assert!(!said.contains("top-secret") && !said.contains("sk-"), "{name}: a value leaks: {said}");
        write!(transcript, "{name}\n{said}\n").unwrap();
    }
    transcript
}

#[test]
fn faults_of_shape() {
    let transcript = transcript(&[
        ("no object", json!([])),
        ("required keys", json!({ "version": null, "deployments": null, "models": null })),
        ("another version", json!({ "version": 2 })),
        ("unknown key, near", json!({ "models": { "chat": { "strategi": "random" } } })),
        (
            "unknown key, as in LiteLLM",
            json!({ "models": { "chat": { "fallback_on_error_types": ["timeout"] } } }),
        ),
        ("unknown key, far", json!({ "deployments": { "openai": { "colour": "blue" } } })),
        (
            "misspelt key that is needed",
            json!({ "models": { "chat": { "targets": null, "tragets": ["openai"] } } }),
        ),
        (
            "misspelt secret",
            json!({ "deployments": { "openai": { "api-key": "sk-1234", "api_key": null } } }),
        ),
        (
            "wrong type",
            json!({ "models": { "chat": { "max_attempts": "4", "targets": "openai", "on": [] } } }),
        ),
        ("null", json!({ "models": { "chat": { "targets": ["openai", null] } } })),
        ("not whole", json!({ "models": { "chat": { "max_attempts": 1.5 } } })),
        ("zero", json!({ "settings": { "max_attempts": 0, "deadline_ms": 0 } })),
        (
            "out of range",
            json!({
                "settings": { "buffer_bytes": 70_000_000, "refresh_seconds": 0, "max_stale_seconds": 0 },
                "deployments": { "openai": { "quality": 101, "limits": { "rpm": 0 }, "cost": { "input": -1 } } },
                "rules": [{ "when": { "percent": 101 }, "use": "chat" }, { "when": {}, "deny": { "status": 500, "message": "No." } }],
            }),
        ),
        (
            "negative weight",
            json!({ "models": { "chat": { "strategy": "weighted", "targets": [{ "use": "openai", "weight": -1 }] } } }),
        ),
        (
            "capabilities",
            json!({ "deployments": { "openai": { "capabilities": {
                "tools": "yes", "visoin": true, "context_tokens": 0, "output_tokens": 1.5,
            } } } }),
        ),
        ("unknown provider", json!({ "deployments": { "openai": { "provider": "openia" } } })),
        (
            "a provider of another name, and what is wrong beside it",
            json!({ "deployments": { "azure": {
                "provider": "azure-openai", "endpoint": "http://name.openai.azure.com", "api_key": "zq-literal",
                "api_version": "2024", "via": { "account": "a b", "gateway": "g" },
            } } }),
        ),
        (
            "a provider of another name, with the URL of an operation",
            json!({ "deployments": { "openai": {
                "provider": "azure-openai", "api_key": "${K}", "deployment": "d",
                "endpoint": "https://x.openai.azure.com/openai/deployments/d/chat/completions",
            } } }),
        ),
        (
            "no provider, and what is wrong beside it",
            json!({ "deployments": { "openai": { "provider": null, "endpoint": "ftp://x", "quality": 101 } } }),
        ),
        ("unknown strategy", json!({ "models": { "chat": { "strategy": "latencey" } } })),
        ("unknown strategy, far", json!({ "models": { "chat": { "strategy": "vibes" } } })),
        ("unknown commit", json!({ "models": { "chat": { "commit": "header" } } })),
        ("a target without use", json!({ "models": { "chat": { "targets": [{ "weight": 1 }] } } })),
        (
            "an inline node with an unknown key",
            json!({ "models": { "chat": { "targets": [{ "use": { "targets": ["openai"], "wait": 1 } }] } } }),
        ),
        ("an empty list of triggers", json!({ "models": { "chat": { "fallback_on": [] } } })),
        (
            "a matcher of no kind",
            json!({ "rules": [{ "when": { "path": null, "header": { "x-tier": [] }, "query": { "a": { "matches": 1 } } }, "use": "chat" }] }),
        ),
        ("a status that is no failure", json!({ "models": { "chat": { "fallback_on": [200] } } })),
        (
            "health out of range",
            json!({
                "settings": { "health": { "reports_per_second": 0, "first_snapshot_ms": 1001, "reports": 1 }, "when_all_ejected": "failed" },
                "models": { "chat": { "hedge": { "after": 0, "max_share": 1.5 }, "sticky": { "ttl": 0 } }, "mini": { "hedge": {} } },
            }),
        ),
        (
            "webhooks of the wrong form",
            json!({ "settings": { "webhooks": [
                { "on": ["ejectd"] }, { "url": "https://h/x", "on": [], "secrets": "${S}" }, { "url": 7 },
            ] } }),
        ),
        (
            "a list in place of a number",
            json!({ "deployments": { "openai": { "timeout": { "idle_ms": [1], "idle": 2 } } } }),
        ),
    ]);
    insta::assert_snapshot!(transcript);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn faults_of_meaning() {
    let transcript = transcript(&[
        ("unknown target", json!({ "models": { "chat": { "targets": ["opnai", "mini"] } } })),
        ("unknown target, far", json!({ "models": { "chat": { "targets": ["banana"] } } })),
        (
            "unknown target through a variable",
            json!({ "models": { "chat": { "targets": ["${TO_NOWHERE}"] } } }),
        ),
        (
            "unknown names in an arrow, a case, an else, an edge and a rule",
            json!({
                "models": {
                    "chat": { "targets": [{ "use": "opnai" }], "on": { "timeout": "azuer" } },
                    "pick": { "strategy": "match", "cases": [{ "when": {}, "use": "mnii" }], "else": "chta" },
                },
                "settings": { "on": { "quota": "minni" } },
                "rules": [{ "when": {}, "use": "chatt" }],
            }),
        ),
        (
            "a rule that does both or nothing",
            json!({ "rules": [{ "when": {}, "use": "chat", "deny": { "message": "No." } }, { "when": {} }] }),
        ),
        (
            "a refusal without a usable code or message",
            json!({ "rules": [{ "when": {}, "deny": { "code": "Not Allowed", "message": " " } }] }),
        ),
        (
            "patterns that are none",
            json!({ "rules": [{ "when": { "body": { "messages": { "contains": "", "not": { "matches": "(a" } } } }, "use": "chat" }] }),
        ),
        ("a rule that uses a deployment", json!({ "rules": [{ "when": {}, "use": "openai" }] })),
        (
            "a cycle through targets",
            json!({ "models": { "chat": { "targets": ["mini"] }, "mini": { "targets": ["openai", "chat"] } } }),
        ),
        ("a cycle of one", json!({ "models": { "chat": { "targets": ["chat"] } } })),
        (
            "a cycle through an inline node and an edge",
            json!({
                "models": {
                    "chat": { "targets": [{ "targets": ["mini"] }] },
                    "mini": { "targets": ["openai"], "on": { "timeout": "long" } },
                    "long": { "strategy": "match", "cases": [{ "when": {}, "use": "azure" }], "else": "chat" },
                },
            }),
        ),
        ("no targets", json!({ "models": { "chat": { "targets": null }, "mini": { "targets": [] } } })),
        (
            "no cases",
            json!({ "models": { "chat": { "strategy": "match", "targets": null }, "mini": { "strategy": "match", "targets": null, "cases": [] } } }),
        ),
        (
            "weights that are all zero",
            json!({ "models": { "chat": { "strategy": "weighted", "targets": [{ "use": "openai", "weight": 0 }, { "use": "azure", "weight": 0.0 }] } } }),
        ),
        (
            "a priority for some",
            json!({ "models": { "chat": { "targets": [{ "use": "openai", "priority": 1 }, "azure", { "use": "mini", "weight": 2 }] } } }),
        ),
        (
            "keys that the strategy does not read",
            json!({
                "models": {
                    "chat": { "strategy": "round_robin", "targets": [{ "use": "openai", "weight": 1 }, { "use": "azure", "priority": 1 }], "cases": [], "else": "mini" },
                    "mini": { "strategy": "match", "targets": ["openai"], "cases": [{ "when": {}, "use": "azure" }] },
                },
            }),
        ),
        ("one name for two things", json!({ "models": { "openai": { "targets": ["azure"] } } })),
        (
            "names that fit no header",
            json!({ "models": { "": { "targets": ["openai"] }, "a b": { "targets": ["openai"] }, "näh": { "targets": ["openai"] } } }),
        ),
        ("nothing to route", json!({ "models": { "chat": null, "mini": null } })),
        (
            "literal secrets",
            json!({
                "clients": { "app": { "key": "sk-1234" } },
                "deployments": {
                    "openai": { "api_key": "Bearer ${OPENAI_API_KEY}" },
                    "azure": { "api_key": "sk-1234", "via": { "account": "a", "gateway": "g", "token": "sk-1234" } },
                },
            }),
        ),
        (
            "tokens of Entra ID",
            json!({ "deployments": {
                "openai": { "auth": { "entra": { "tenant": "t", "client_id": "c", "client_secret": "${K}" } } },
                "azure": { "api_key": null, "auth": { "entra": { "tenant": "a/b", "client_id": "", "client_secret": "sk-1234" } } },
                "azure-both": { "provider": "azure", "endpoint": "https://x.openai.azure.com", "deployment": "d",
                    "auth": { "entra": { "tenant": "t", "client_id": "c", "client_secret": "${K}", "assertion": "${K}",
                              "scope": "https://ai.azure.com/user", "authority": "login.example" } } },
                "azure-neither": { "provider": "azure", "endpoint": "https://x.openai.azure.com", "deployment": "d",
                    "auth": { "entra": { "tenant": "t", "client_id": "c", "secret": "${K}" } } },
            } }),
        ),
        (
            "lists of keys",
            json!({ "deployments": {
                "openai": { "api_key": ["${K}", "sk-1234", 7] },
                "azure": { "api_key": [] },
                "literal": { "provider": "openai", "model": "m", "api_key": ["${K}", "sk-1234"] },
                "more": { "provider": "openai", "model": "m", "api_key": ["${K}", "${K}", "${K}", "${K}", "${K}"] },
            } }),
        ),
        (
            "too many webhooks",
            json!({ "settings": { "webhooks": vec![json!({ "url": "https://h/x" }); 9] } }),
        ),
        (
            "webhooks that cannot be called or signed",
            json!({ "settings": { "webhooks": [
                { "url": "http://hooks.example.com/sk-1234" },
                { "url": "https://hooks.example.com/x?token=sk-1234#y" },
                { "url": "${MISSING_URL}", "secret": "sk-1234" },
                { "url": "${SPACED}", "secret": "${BAD_WEBHOOK_SECRET}" },
            ] } }),
        ),
        (
            "bad URLs",
            json!({
                "deployments": {
                    "openai": { "endpoint": "http://api.openai.com/v1" },
                    "azure": { "endpoint": "https://user:sk-1234@name.openai.azure.com" },
                    "third": { "provider": "openai", "model": "m", "api_key": "${K}", "endpoint": "https://host/v1?key=sk-1234" },
                },
            }),
        ),
        (
            "the URL of an operation",
            json!({ "deployments": {
                "openai": { "endpoint": "https://api.openai.com/v1/responses" },
                "azure": { "endpoint": "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21" },
                "foundry": { "provider": "azure", "deployment": "d", "api_key": "${K}", "endpoint": "https://x.services.ai.azure.com/models" },
                "other": { "provider": "openai", "model": "m", "api_key": "${K}", "endpoint": "https://x.openai.azure.com/openai/deployments/d/embeddings" },
            } }),
        ),
        (
            "what a provider needs",
            json!({
                "deployments": {
                    "openai": { "model": null },
                    "azure": { "endpoint": null, "deployment": null },
                },
            }),
        ),
        (
            "what a provider does not read",
            json!({
                "deployments": {
                    "openai": { "deployment": "d", "api_version": "2024-10-21" },
                    // The key is wrong, with any value of the variable.
                    "azure": { "organization": "${ORGANIZATION}", "project": "p" },
                },
            }),
        ),
        (
            "a project that fits no header",
            json!({ "deployments": { "openai": { "organization": "org-1", "project": "proj\n1" } } }),
        ),
        ("bad api_version", json!({ "deployments": { "azure": { "api_version": "2024-10" } } })),
        (
            "via without a dated version",
            json!({ "deployments": { "azure": { "api_version": "v1", "via": { "account": "a", "gateway": "g" } } } }),
        ),
        (
            "via and no name of a resource",
            json!({ "deployments": { "azure": { "endpoint": "https://example.com", "via": { "account": "a/b", "gateway": "", "endpoint": "http://example.com" } } } }),
        ),
        (
            "params of the gateway's own",
            json!({ "deployments": { "openai": { "params": { "set": { "stream": true }, "drop": ["model"], "rename": { "max_tokens": "model", "stream": "x" } } } } }),
        ),
        (
            "unknown error classes",
            json!({
                "models": { "chat": { "fallback_on": ["rate_limits", "6xx", "99", 429, "5xx", "429"], "retry": { "on": ["timeouts"] }, "on": { "context_windw": "mini" } } },
            }),
        ),
        (
            "a class under two names",
            json!({ "models": { "chat": { "on": { "rate_limit": "mini", "rate_limit_error": "mini" } } } }),
        ),
        (
            "unknown words in a when",
            json!({
                "rules": [
                    { "when": { "operation": "chat/completion", "client": ["app", "ap"] }, "use": "chat" },
                    { "when": { "operation": { "in": ["embeddings", "embedding"] }, "client": { "not": "apps" } }, "use": "chat" },
                ],
            }),
        ),
        (
            "an empty test",
            json!({ "rules": [{ "when": { "all": [{ "body": { "user": {} } }] }, "use": "chat" }] }),
        ),
        (
            "by what",
            json!({ "rules": [{ "when": { "percent": 5, "by": "clients" }, "use": "chat" }, { "when": { "percent": 5, "by": "header:" }, "use": "chat" }] }),
        ),
        (
            "sticky by what",
            json!({ "models": {
                "chat": { "sticky": { "by": "users" } },
                "a": { "targets": ["chat"], "sticky": { "by": "headers:x-session" } },
                "b": { "targets": ["chat"], "sticky": { "by": "header:" } },
                "c": { "targets": ["chat"], "sticky": { "by": "x-session" } },
            }, "settings": { "sticky": { "by": "prompt-cache-key" } } }),
        ),
        (
            "a cache of what, for whom and where",
            json!({ "models": {
                "chat": { "cache": { "ttl": 0 } },
                "a": { "targets": ["chat"], "cache": {} },
                "b": { "targets": ["chat"], "cache": { "ttl": 60, "by": ["keys", "header:"] } },
                "c": { "targets": [{ "targets": ["chat"], "cache": { "ttl": 60 } }] },
                "d": { "targets": ["chat"], "cache": { "ttl": 60, "single_flight": "yes", "for": 1 } },
            } }),
        ),
        (
            "a hedge after what",
            json!({ "models": {
                "chat": { "hedge": { "after": "P95" } },
                "a": { "targets": ["chat"], "hedge": { "after": "p0" } },
                "b": { "targets": ["chat"], "hedge": { "after": "p100" } },
                "c": { "targets": ["chat"], "hedge": { "after": "p99.9" } },
                "d": { "targets": ["chat"], "hedge": { "after": "2s" } },
                "e": { "targets": ["chat"], "hedge": { "after": "p" } },
                "f": { "targets": ["chat"], "hedge": { "after": "p+5" } },
            } }),
        ),
        ("by without percent", json!({ "rules": [{ "when": { "by": "client" }, "use": "chat" }] })),
        (
            "an end that is no time",
            json!({ "clients": { "app": { "expires": "next year" }, "web": { "key": "${KEY}", "expires": "2027-02-30" } } }),
        ),
        (
            "a client that may use nothing that exists",
            json!({ "clients": { "app": { "models": ["chta", "c*"] } } }),
        ),
        (
            "missing variables elsewhere",
            json!({ "models": { "chat": { "targets": ["${MISSING_TARGET}"] } }, "rules": [{ "when": { "path": "/${MISSING_PATH}/*" }, "use": "chat" }] }),
        ),
        ("variables that are none", json!({ "models": { "chat": { "require_tags": ["${US", "${a-b}"] } } })),
    ]);
    insta::assert_snapshot!(transcript);
}

#[test]
fn faults_of_what_a_client_may_do() {
    let transcript = transcript(&[
        (
            "what a client may do, with values of another kind",
            json!({ "clients": { "app": {
                "labels": { "team": 7 }, "metadata": { "pinned": {} }, "request": { "max_output_tokens": 0, "max_bytes": "1 MB" },
                "parameters": { "deny": [] }, "countries": [], "addresses": "10.0.0.1",
            } } }),
        ),
        (
            "what a client may do, with names that do not exist",
            json!({ "clients": { "app": {
                "operations": ["chat/completion", "videos/*", "chat/*"], "countries": ["DE", "Germany"],
                "addresses": ["203.0.113.0/24", "10.0.0.0/33", "localhost"],
            } } }),
        ),
    ]);
    insta::assert_snapshot!(transcript);
}

#[test]
fn faults_of_shape_and_of_meaning_come_together() {
    let transcript = transcript(&[(
        "in one document",
        json!({
            "settings": { "dedline_ms": 1 },
            "deployments": { "openai": { "quality": "3", "endpoint": "http://example.com" }, "azure": { "deployment": 5 } },
            "models": { "chat": { "targets": ["openai", "azure", "azur"], "commit": 1 } },
            "rules": [{ "when": { "by": "client", "percent": "5" }, "use": "mnii" }],
        }),
    )]);
    insta::assert_snapshot!(transcript);
}

#[test]
fn warnings() {
    let transcript = transcript(&[
        (
            "missing variables of a deployment",
            json!({ "deployments": { "openai": { "api_key": "${MISSING_KEY}", "endpoint": "${MISSING_URL}" } } }),
        ),
        (
            "values that are of no use",
            json!({ "deployments": {
                "openai": { "api_key": "${SPACED}", "endpoint": "${OTHER_KEY}" },
                "azure": { "api_version": "${GARBAGE}", "via": { "account": "${SPACED}", "gateway": "g" } },
            }, "clients": { "app": { "key": "${TABBED}", "models": ["${TO_NOWHERE}"] } } }),
        ),
        (
            "keys of a list that are of no use",
            json!({ "deployments": {
                "openai": { "api_key": ["${MISSING_KEY}", "${OPENAI_API_KEY}"] },
                "azure": { "api_key": ["${MISSING_KEY}", "${SPACED}"] },
            } }),
        ),
        (
            "a variable with the URL of an operation",
            json!({ "deployments": { "azure": { "endpoint": "${OPERATION_ADDRESS}" } } }),
        ),
        ("a region that is nowhere", json!({ "deployments": { "azure": { "region": "westeuropa" } } })),
        (
            "a region that is missing",
            json!({ "deployments": { "azure": { "region": "${MISSING_REGION}" } } }),
        ),
        (
            "strategies with nothing to go by",
            json!({
                "deployments": { "azure": { "region": "eastus", "cost": { "input": 1 } } },
                "models": {
                    "chat": { "strategy": "nearest", "targets": ["mini", { "strategy": "cost", "targets": ["openai"] }] },
                    "mini": { "strategy": "cost", "on": { "quota": "azure" } },
                    "fine": { "strategy": "cost", "targets": ["openai", { "strategy": "nearest", "targets": ["azure"] }] },
                },
            }),
        ),
        (
            "paths that are no operation's",
            json!({ "rules": [{ "when": { "path": ["/exact", "/ai/chat/completions", "/v1/embeddings/", "/v1/realtime"] }, "use": "chat" }] }),
        ),
        ("a missing variable of a client", json!({ "clients": { "app": { "key": "${MISSING_KEY}" } } })),
        (
            "hedges and stickiness without a choice",
            json!({
                "settings": { "hedge": { "after": 500 }, "sticky": { "by": "user" } },
                "models": {
                    "mini": { "hedge": { "after": "p95" }, "sticky": { "by": "user" } },
                    "pick": { "strategy": "match", "cases": [{ "when": {}, "use": "openai" }], "else": "mini", "hedge": { "after": 500 }, "sticky": { "by": "user" } },
                    "over": { "targets": [{ "targets": ["mini"], "sticky": { "by": "client" } }] },
                    // These have a choice: below them, or after a failure.
                    "pick-fine": { "strategy": "match", "cases": [{ "when": {}, "use": "chat" }], "hedge": { "after": 500 }, "sticky": { "by": "user" } },
                    "over-fine": { "targets": ["chat"], "hedge": { "after": 500 }, "sticky": { "by": "user" } },
                    "edge-fine": { "targets": ["openai"], "on": { "quota": "chat" }, "sticky": { "by": "user" } },
                    "chat": { "hedge": { "after": 500 }, "sticky": { "by": "user" } },
                },
            }),
        ),
        (
            "hedges that come too late",
            json!({
                "settings": { "hedge": { "after": 8000 }, "timeout": { "first_token_ms": 8000 } },
                "models": {
                    "chat": { "hedge": { "after": 9000 }, "timeout": { "total_ms": 5000, "first_token_ms": 8000 } },
                    "fine": { "targets": ["openai", "azure"], "hedge": { "after": 4999 }, "timeout": { "total_ms": 5000, "idle_ms": 100 } },
                    "usual": { "targets": ["openai", "azure"], "hedge": { "after": "p99" }, "timeout": { "total_ms": 1 } },
                },
            }),
        ),
        ("a tag that nobody has", json!({ "models": { "chat": { "require_tags": ["us", "eu"] } } })),
        (
            "one key for two clients",
            json!({ "clients": { "a": { "key": "${SHARED_A}" }, "b": { "key": "${SHARED_B}" } } }),
        ),
        (
            "a base URL without a path",
            json!({ "deployments": { "openai": { "endpoint": "https://example.com" } } }),
        ),
        (
            "an endpoint that via does not read",
            json!({ "deployments": { "openai": { "endpoint": "https://example.com/v1", "via": { "account": "a", "gateway": "g" } } } }),
        ),
    ]);
    insta::assert_snapshot!(transcript);
}

#[test]
fn faults_of_the_text() {
    let big = format!("{}{}", " ".repeat(MAX_BYTES), base());
    let mut transcript = String::new();
    for (name, document) in [
        ("empty", ""),
        ("comment", "{\n  \"version\": 1, // the format\n}"),
        ("trailing comma", "{ \"version\": 1, }"),
        ("single quotes", "{ 'version': 1 }"),
        (
            "duplicate keys",
            r#"{ "version": 1, "version": 1, "deployments": { "a": {}, "a": 1 }, "models": {} }"#,
        ),
        ("a weight that is no number", r#"{ "weight": 1e999 }"#),
        ("too long", &big),
    ] {
        let issues = compile(document, &env).map(drop).unwrap_err();
        write!(transcript, "{name}\n{}\n", lines(&issues)).unwrap();
    }
    insta::assert_snapshot!(transcript);
}

#[test]
fn graphs_that_are_too_large_are_refused() {
    let chain = |length: usize| {
        let node = |n: usize| {
            (
                format!("n{n}"),
                json!({ "targets": [if n + 1 < length { format!("n{}", n + 1) } else { "openai".to_owned() }] }),
            )
        };
        json!({ "models": (0..length).map(node).collect::<serde_json::Map<_, _>>() })
    };
    // Each level has two paths to the level below it.
    let diamonds = |levels: usize| {
        let node = |n: usize| {
            let below = if n == 0 { "openai".to_owned() } else { format!("n{}", n - 1) };
            (format!("n{n}"), json!({ "targets": [below.clone(), below] }))
        };
        json!({ "models": (0..levels).map(node).collect::<serde_json::Map<_, _>>() })
    };
    for (patch, is_fine) in
        [(chain(64), true), (chain(65), false), (diamonds(13), true), (diamonds(14), false)]
    {
        assert_eq!(compile_value(&patched(base(), &patch)).is_ok(), is_fine);
    }
    let transcript = transcript(&[
        ("nested 100 deep", chain(100)),
        ("a chain that would exhaust the stack", chain(20_000)),
        ("two to the power of 60 ways", diamonds(60)),
    ]);
    insta::assert_snapshot!(transcript);
}

#[test]
fn a_document_with_thousands_of_mistakes_is_answered_with_all_of_them_and_few_suggestions() {
    const MANY: usize = 2_000;
    let many = |entry: fn(usize) -> (String, Value)| (0..MANY).map(entry).collect::<serde_json::Map<_, _>>();
    let names = many(|n| (format!("node-{n}-of-many"), json!({ "targets": [format!("noed-{n}-of-many")] })));
    let keys = many(|n| (format!("n{n}"), json!({ "targest": ["openai"] })));
    let strategies = many(|n| (format!("n{n}"), json!({ "targets": ["openai"], "strategy": "randon" })));
    let classes =
        many(|n| (format!("n{n}"), json!({ "targets": ["openai"], "on": { "rate_limt": "openai" } })));
    for (models, at_least) in [(names, 100), (keys, 100), (strategies, 0), (classes, 100)] {
        let issues = compile_value(&patched(base(), &json!({ "models": models }))).map(drop).unwrap_err();
        let suggestions = issues.iter().filter(|issue| issue.nearest.is_some()).count();
        assert!(issues.len() >= MANY, "{} issues", issues.len());
        assert!((at_least..=100).contains(&suggestions), "{suggestions} suggestions");
    }
}

#[test]
fn an_issue_covers_what_follows_from_it_and_nothing_else() {
    let patch = json!({ "models": {
        // The list is covered by its element, and the misspelt key by the one that was meant.
        "chat": { "targets": ["openai", 7] },
        "mini": { "targest": ["openai"] },
        // Names with dots and with the same beginning are places of their own.
        "chat.targets": { "targets": ["nobody"] },
        "chatter": { "targets": [] },
    } });
    let issues = compile_value(&patched(base(), &patch)).map(drop).unwrap_err();
    let mut paths: Vec<_> = issues.into_iter().map(|issue| issue.path).collect();
    paths.sort_unstable();
    insta::assert_snapshot!(paths.join("\n"), @r#"
    models.chat.targets[1]
    models.chatter.targets
    models.mini.targest
    models["chat.targets"].targets[0]
    "#);
}

#[test]
fn issues_are_data_too() {
    let patch = json!({ "models": { "chat": { "strategi": "random" } } });
    let issues = compile_value(&patched(base(), &patch)).map(drop).unwrap_err();
    assert_eq!(
        serde_json::to_value(issues).unwrap(),
        json!([{
            "path": "models.chat.strategi",
            "found": "the key \"strategi\"",
            "expected": "a key that exists here",
            "nearest": "strategy",
        }])
    );
}
