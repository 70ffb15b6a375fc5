//! Warnings of what is valid and probably not meant. Each case has a document near it that is
//! meant.

use serde_json::{Value, json};
use switchyard::routes::doubts;

use crate::documents::{base, compile_value, env, patched};

/// The codes and paths of all warnings about the patched base document.
fn warned(patch: &Value) -> Vec<(String, String)> {
    let compiled =
        compile_value(&patched(base(), patch)).unwrap_or_else(|issues| panic!("{patch}: {issues:#?}"));
    let found = doubts(&compiled.graph, &env);
    let all: Vec<_> = compiled.warnings.into_iter().chain(found).collect();
    for warning in &all {
        assert!(!warning.to_string().contains("sk-"), "a value leaks: {warning}");
    }
    all.into_iter().map(|warning| (warning.code.unwrap().to_owned(), warning.path)).collect()
}

#[track_caller]
fn assert_doubt(code: &str, path: &str, doubtful: &Value, meant: &Value) {
    let docs = include_str!("../../docs/cli.md");
    assert!(docs.contains(&format!("| `{code}` |")), "{code} stands in docs/cli.md");
    assert_eq!(warned(doubtful), [(code.to_owned(), path.to_owned())], "{doubtful}");
    assert_eq!(warned(meant), [], "{meant}");
}

/// A deployment at Azure in a region.
fn azure(region: &str) -> Value {
    json!({
        "provider": "azure", "api_key": "${AZURE_KEY}", "deployment": "d", "region": region,
        "endpoint": format!("https://{region}.openai.azure.com"),
    })
}

#[test]
fn the_base_document_has_no_doubts() {
    assert_eq!(warned(&json!({})), []);
}

#[test]
fn a_deployment_that_nobody_reaches() {
    let third = json!({ "provider": "openai", "api_key": "${OPENAI_API_KEY}", "model": "m" });
    assert_doubt(
        "unreachable_deployment",
        "deployments.third",
        &json!({ "deployments": { "third": third } }),
        &json!({ "deployments": { "third": third }, "settings": { "on": { "content_policy": "third" } } }),
    );
    let edge =
        json!({ "deployments": { "third": third }, "models": { "mini": { "on": { "timeout": "third" } } } });
    assert_eq!(warned(&edge), []);
}

#[test]
fn a_fallback_that_lacks_what_the_first_target_can_do() {
    let azure = |capabilities: Value| json!({ "deployments": { "azure": { "capabilities": capabilities } } });
    assert_doubt(
        "fallback_lacks",
        "models.chat.targets",
        &azure(json!({ "tools": false })),
        &azure(json!({ "tools": true })),
    );
    let both = |first: u32, second: u32| {
        json!({ "deployments": {
            "openai": { "capabilities": { "context_tokens": first } },
            "azure": { "capabilities": { "context_tokens": second } },
        } })
    };
    assert_doubt("fallback_lacks", "models.chat.targets", &both(128_000, 16_000), &both(16_000, 128_000));
    // One tier has no fallback, and a second fallback can serve.
    let balanced = json!({
        "deployments": { "azure": { "capabilities": { "vision": false } } },
        "models": { "chat": { "strategy": "weighted" } },
    });
    assert_eq!(warned(&balanced), []);
    let third = json!({
        "deployments": {
            "azure": { "capabilities": { "vision": false } },
            "third": { "provider": "openai", "api_key": "${OPENAI_API_KEY}", "model": "m" },
        },
        "models": { "chat": { "targets": ["openai", "azure", "third"] } },
    });
    assert_eq!(warned(&third), []);
}

#[test]
fn no_second_region() {
    let two = |first: &str, second: &str| {
        json!({
            "deployments": { "one": azure(first), "two": azure(second) },
            "models": { "pool": { "strategy": "weighted", "targets": ["one", "two"] } },
        })
    };
    assert_doubt(
        "no_second_region",
        "models.pool.targets",
        &two("eastus", "eastus"),
        &two("eastus", "westus"),
    );
    // A pool that is a target of another node is judged with that node.
    let inner = json!({ "models": { "chat": { "targets": ["openai", "azure", "pool"] } } });
    assert_eq!(warned(&patched(two("eastus", "eastus"), &inner)), []);
    // An edge can leave the region.
    let edge = json!({ "models": { "pool": { "on": { "timeout": "openai" } } } });
    assert_eq!(warned(&patched(two("eastus", "eastus"), &edge)), []);
    // Without a stated region, the resource tells.
    let without = |mut document: Value| {
        for name in ["one", "two"] {
            document["deployments"][name].as_object_mut().unwrap().remove("region");
        }
        document
    };
    assert_doubt(
        "no_second_region",
        "models.pool.targets",
        &without(two("eastus", "eastus")),
        &without(two("eastus", "westus")),
    );
}

#[test]
fn a_timeout_that_is_longer_than_the_deadline() {
    for (path, doubtful, meant) in [
        (
            "settings.timeout.idle_ms",
            json!({ "settings": { "deadline_ms": 30_000, "timeout": { "idle_ms": 30_001 } } }),
            json!({ "settings": { "deadline_ms": 30_000, "timeout": { "idle_ms": 30_000 } } }),
        ),
        (
            "models.chat.timeout.total_ms",
            json!({ "models": { "chat": { "deadline_ms": 5_000, "timeout": { "total_ms": 60_000 } } } }),
            json!({ "models": { "chat": { "timeout": { "total_ms": 60_000 } } } }),
        ),
        (
            "deployments.azure.timeout.total_ms",
            json!({ "deployments": { "azure": { "timeout": { "total_ms": 700_000 } } } }),
            json!({ "settings": { "deadline_ms": 800_000 }, "deployments": { "azure": { "timeout": { "total_ms": 700_000 } } } }),
        ),
    ] {
        assert_doubt("timeout_beyond_deadline", path, &doubtful, &meant);
    }
}

#[test]
fn milliseconds_where_seconds_were_meant() {
    for (path, doubtful, meant) in [
        (
            "settings.timeout.first_token_ms",
            json!({ "settings": { "timeout": { "first_token_ms": 20 } } }),
            json!({ "settings": { "timeout": { "first_token_ms": 20_000 } } }),
        ),
        (
            "deployments.openai.timeout.total_ms",
            json!({ "deployments": { "openai": { "timeout": { "total_ms": 300 } } } }),
            json!({ "deployments": { "openai": { "timeout": { "total_ms": 301 } } } }),
        ),
        (
            "models.chat.deadline_ms",
            json!({ "models": { "chat": { "deadline_ms": 60 } } }),
            json!({ "models": { "chat": { "deadline_ms": 60_000 } } }),
        ),
    ] {
        assert_doubt("seconds_as_milliseconds", path, &doubtful, &meant);
    }
    let inline = json!({ "models": { "chat": { "targets": [{ "targets": ["openai"], "timeout": { "idle_ms": 9 } }, "azure"] } } });
    assert_eq!(warned(&inline)[0].1, "models.chat.targets[0].timeout.idle_ms");
}

#[test]
fn weights_that_are_unset_beside_set_ones() {
    let weighted = |second: Value| json!({ "models": { "chat": { "strategy": "weighted", "targets": [{ "use": "openai", "weight": 70 }, second] } } });
    let set = json!({ "use": "azure", "weight": 30 });
    assert_doubt("unset_weight", "models.chat.targets[1]", &weighted(json!("azure")), &weighted(set));
    let tiers = |priority: u32| {
        json!({ "models": { "chat": { "targets": [
            { "use": "openai", "weight": 70, "priority": 1 }, { "use": "azure", "priority": priority },
        ] } } })
    };
    assert_doubt("unset_weight", "models.chat.targets[1]", &tiers(1), &tiers(2));
    // A target that is switched off says nothing about the others.
    let off = json!({ "models": { "chat": { "strategy": "weighted", "targets": [{ "use": "openai", "weight": 0 }, "azure"] } } });
    assert_eq!(warned(&off), []);
}

#[test]
fn retries_that_multiply_with_those_of_the_sdk() {
    let retry = |attempts: u32| json!({ "models": { "chat": { "retry": { "attempts": attempts } } } });
    assert_doubt("retries_multiply", "models.chat.retry.attempts", &retry(3), &retry(2));
    let settings = |attempts: u32| json!({ "settings": { "retry": { "attempts": attempts } } });
    assert_doubt("retries_multiply", "settings.retry.attempts", &settings(5), &settings(1));
}

#[test]
fn prices_that_are_missing_or_for_one_token() {
    let cost = |azure: Value| {
        json!({
            "deployments": { "openai": { "cost": { "input": 2.5, "output": 10 } }, "azure": { "cost": azure } },
            "models": { "chat": { "strategy": "cost" } },
        })
    };
    let price = cost(json!({ "input": 2.5, "output": 10 }));
    assert_doubt("price_missing", "models.chat.strategy", &cost(Value::Null), &price);
    let small =
        |input: f64| json!({ "deployments": { "openai": { "cost": { "input": input, "output": 10 } } } });
    assert_doubt("price_per_token", "deployments.openai.cost.input", &small(0.000_002_5), &small(0.02));
    assert_eq!(warned(&small(0.0)), []);
}

#[test]
fn a_document_without_clients() {
    for clients in [Value::Null, json!({ "app": null })] {
        let patch = json!({ "clients": clients });
        assert_doubt("no_clients", "clients", &patch, &json!({}));
    }
}

#[test]
fn a_key_of_a_client_that_opens_more() {
    let admin = json!({ "clients": { "app": { "key": "${ADMIN_TOKEN}" } } });
    assert_doubt("shared_key", "clients.app.key", &admin, &json!({}));
    let provider = json!({ "clients": { "app": { "key": "${OPENAI_API_KEY}" } } });
    assert_doubt("shared_key", "clients.app.key", &provider, &json!({}));
    let via = json!({
        "clients": { "app": { "key": "${CF_AIG_TOKEN}" } },
        "deployments": { "openai": { "via": { "account": "a", "gateway": "g", "token": "${CF_AIG_TOKEN}" } } },
    });
    let own = patched(via.clone(), &json!({ "clients": { "app": { "key": "${CLIENT_KEY}" } } }));
    assert_doubt("shared_key", "clients.app.key", &via, &own);
}

#[test]
fn a_min_quality_that_nothing_reaches() {
    let quality = |least: u32| json!({ "deployments": { "azure": { "quality": 3 } }, "models": { "chat": { "min_quality": least } } });
    assert_doubt("min_quality_unreached", "models.chat.min_quality", &quality(4), &quality(3));
    let settings = |least: u32| json!({ "deployments": { "azure": { "quality": 3 } }, "settings": { "min_quality": least } });
    assert_doubt("min_quality_unreached", "settings.min_quality", &settings(9), &settings(3));
}

#[test]
fn a_pattern_of_a_client_that_matches_nothing() {
    let models = |pattern: &str| json!({ "clients": { "app": { "models": [pattern] } } });
    assert_doubt("pattern_without_match", "clients.app.models", &models("gpt-*"), &models("cha*"));
    assert_eq!(warned(&models("*")), []);
}

#[test]
fn dates_that_do_not_exist() {
    let version = |version: &str| json!({ "deployments": { "azure": { "api_version": version } } });
    for wrong in ["2024-13-99", "2023-02-29", "2024-04-31-preview", "2024-00-10", "0000-01-01"] {
        let path = "deployments.azure.api_version";
        assert_doubt("impossible_date", path, &version(wrong), &version("2024-02-29-preview"));
    }
}

#[test]
fn a_star_is_no_name_of_a_model() {
    let issues = compile_value(&patched(base(), &json!({ "models": { "*": { "targets": ["openai"] } } })))
        .unwrap_err();
    assert_eq!(issues[0].path, "models[\"*\"]");
}

#[test]
fn a_long_document_is_looked_through_in_time() {
    let names: Vec<String> = (0..3_000).map(|index| format!("n{index}")).collect();
    let models: serde_json::Map<String, Value> =
        names.iter().map(|name| (name.clone(), json!({ "targets": ["openai", "azure"] }))).collect();
    let found = warned(
        &json!({ "models": models, "deployments": { "azure": { "capabilities": { "tools": false } } } }),
    );
    assert_eq!(found, [], "what is below each node is not compared in a document of this size");
}

#[test]
fn a_limit_in_dollars_of_a_deployment_without_a_price() {
    let limited = |limit: Value, cost: Value| {
        json!({
            "clients": { "app": { "limits": [{ "requests": 9, "per": "day" }, limit] } },
            "deployments": { "azure": { "cost": cost }, "openai": { "cost": cost } },
        })
    };
    let usd = json!({ "usd": 5, "per": "month" });
    assert_doubt(
        "limit_without_price",
        "clients.app.limits[1]",
        &limited(usd.clone(), json!(null)),
        &limited(usd, json!({ "input": 1 })),
    );
}
