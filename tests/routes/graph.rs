//! The graph that a routes document compiles into.

use serde_json::{Value, json};
use switchyard::request::credentials::client;
use switchyard::routes::compile;
use switchyard::routes::graph::{
    AzureApi, Commit, Destination, Disabled, Expose, Node, Params, Retry, Strategy, Timeouts, Upstream,
};
use switchyard::upstream::{UpstreamCall, prepare};
use switchyard::usage::price::Price;
use switchyard::vocabulary::error_class::ErrorClass;
use switchyard::vocabulary::needs::{Feature, Features};
use switchyard::vocabulary::operation::Operation;

use crate::documents::{base, compiled, env, patched};
use crate::times::ms;

/// The names of the destinations of a node's targets.
fn targets(node: &Node) -> Vec<&str> {
    node.targets.iter().map(|target| name_of(&target.to)).collect()
}

fn name_of(destination: &Destination) -> &str {
    match destination {
        Destination::Deployment(deployment) => &deployment.name,
        Destination::Node(node) => &node.name,
    }
}

#[test]
fn settings_have_their_defaults_filled_in() {
    let settings = compiled(&json!({})).graph.settings;
    assert_eq!((settings.deadline_ms, settings.max_attempts), (ms(600_000), 4));
    assert_eq!(
        (settings.buffer_bytes, settings.refresh_ms, settings.keepalive_ms),
        (16 << 20, ms(30_000), ms(10_000))
    );
    assert_eq!(settings.max_stale_ms, ms(120_000));
    let Expose { request_id, model, deployment, attempts, trail, routes, timing, usage, cost } =
        settings.expose;
    assert!(!usage && !cost);
    assert!(request_id && model && deployment && attempts && trail && routes && timing, "all are shown");
    // The machine decides what the document does not set.
    let policy = settings.policy;
    assert!(policy.fallback_on.is_none() && policy.retry.is_none() && policy.commit.is_none());
    assert_eq!(policy.timeout, Timeouts::default());
    assert!(settings.on.is_empty() && settings.cors_origins.is_empty());
}

#[test]
fn a_document_is_refreshed_in_the_background_before_it_is_stale() {
    for (settings, refresh_ms, max_stale_ms) in [
        (json!({ "refresh_seconds": 3600 }), 60_000, 120_000),
        (json!({ "max_stale_seconds": 20 }), 10_000, 20_000),
        (json!({ "refresh_seconds": 3600, "max_stale_seconds": 86_400 }), 3_600_000, 86_400_000),
        (json!({ "refresh_seconds": 1, "max_stale_seconds": 1 }), 500, 1_000),
    ] {
        let found = compiled(&json!({ "settings": settings })).graph.settings;
        assert_eq!((found.refresh_ms, found.max_stale_ms), (ms(refresh_ms), ms(max_stale_ms)), "{settings}");
    }
}

#[test]
fn settings_are_taken_from_the_document() {
    let settings = compiled(&json!({ "settings": {
        "deadline_ms": 1000, "max_attempts": 2, "commit": "complete", "min_quality": 3, "require_tags": ["us"],
        "fallback_on": ["rate_limit_error", "5xx", 429, "418"], "on": { "context_window": "mini" },
        "retry": { "attempts": 3, "on": ["timeout"] }, "timeout": { "idle_ms": 5 },
        "buffer_bytes": 65536, "refresh_seconds": 1, "keepalive_ms": 2000,
        "expose": { "trail": false }, "cors": { "origins": ["https://*.example.com"] },
    } }))
    .graph
    .settings;
    assert_eq!((settings.deadline_ms, settings.max_attempts), (ms(1000), 2));
    assert_eq!(
        (settings.buffer_bytes, settings.refresh_ms, settings.keepalive_ms),
        (65_536, ms(1000), ms(2000))
    );
    assert_eq!(settings.policy.commit, Some(Commit::Complete));
    assert_eq!(settings.policy.timeout.idle_ms, Some(ms(5)));
    assert_eq!(settings.requirements.min_quality, 3);
    assert_eq!(settings.requirements.require_tags, ["us"]);
    let triggers = settings.policy.fallback_on.unwrap();
    assert_eq!(triggers.classes, [ErrorClass::RateLimit]);
    assert_eq!(triggers.statuses, [(500, 599), (429, 429), (418, 418)]);
    let retry = settings.policy.retry.unwrap();
    assert_eq!((retry.attempts, retry.on.classes), (3, vec![ErrorClass::Timeout]));
    assert_eq!(retry.backoff_ms, Retry::default().backoff_ms);
    let [(class, to)] = settings.on.as_slice() else { panic!("one edge") };
    assert_eq!((*class, name_of(to)), (ErrorClass::ContextWindow, "mini"));
    assert!(!settings.expose.trail && settings.expose.routes);
    assert!(settings.cors_origins[0].matches("https://a.example.com"));
}

#[test]
fn endpoints_are_understood_in_each_of_their_forms() {
    for (patch, expected) in [
        (json!({}), "https://name.openai.azure.com"),
        (json!({ "endpoint": "https://name.openai.azure.com/" }), "https://name.openai.azure.com"),
        (json!({ "endpoint": "https://name.openai.azure.com/openai/" }), "https://name.openai.azure.com"),
        (json!({ "endpoint": "https://name.openai.azure.com/openai/v1" }), "https://name.openai.azure.com"),
        (json!({ "endpoint": "https://name.openai.azure.com/openai/v1/" }), "https://name.openai.azure.com"),
        // A gateway in front of Azure has its own paths.
        (json!({ "endpoint": "https://apim.example.com/azure/v1" }), "https://apim.example.com/azure/v1"),
        (json!({ "endpoint": "${AZURE_ENDPOINT}" }), "https://name.openai.azure.com"),
    ] {
        let graph = compiled(&json!({ "deployments": { "azure": patch } })).graph;
        let Upstream::Azure { resource, .. } = &graph.deployments[0].upstream else { panic!("azure") };
        assert_eq!(resource, expected, "{patch}");
    }
    for (patch, expected) in [
        (json!({}), "https://api.openai.com/v1"),
        (json!({ "endpoint": "http://127.0.0.1:4010/v1/" }), "http://127.0.0.1:4010/v1"),
        (json!({ "endpoint": "${OPENAI_BASE_URL}" }), "https://api.openai.com/v1"),
    ] {
        let graph = compiled(&json!({ "deployments": { "openai": patch } })).graph;
        let Upstream::OpenAi { base, .. } = &graph.deployments[1].upstream else { panic!("openai") };
        assert_eq!(base, expected, "{patch}");
    }
}

#[test]
fn versions_without_a_date_mean_the_v1_api() {
    let v1 = |preview| AzureApi::V1 { preview };
    let dated = |version: &str| AzureApi::Dated(version.to_owned());
    for (version, expected, query) in [
        (json!(null), v1(false), ""),
        (json!("v1"), v1(false), ""),
        (json!("latest"), v1(false), ""),
        // Azure offers preview features only with this query parameter.
        (json!("preview"), v1(true), "?api-version=preview"),
        (json!("2024-10-21"), dated("2024-10-21"), "?api-version=2024-10-21"),
        (json!("2025-04-01-preview"), dated("2025-04-01-preview"), "?api-version=2025-04-01-preview"),
        (json!("${AZURE_VERSION}"), dated("2024-10-21"), "?api-version=2024-10-21"),
    ] {
        let graph = compiled(&json!({ "deployments": { "azure": { "api_version": version } } })).graph;
        let deployment = &graph.deployments[0];
        let Upstream::Azure { api, .. } = &deployment.upstream else { panic!("azure") };
        assert_eq!(*api, expected, "{version}");
        let call = UpstreamCall {
            operation: Operation::ChatCompletions,
            stored_object: None,
            query: "",
            node: "chat",
            client: "app",
            request_id: "r",
            attempt: 1,
        };
        let url = prepare(deployment, &call).url;
        assert_eq!(url.split_once("/chat/completions").map(|(_, query)| query), Some(query), "{version}");
    }
}

#[test]
fn the_scope_of_a_token_is_that_of_the_api_and_of_the_cloud() {
    for (version, more, expected) in [
        ("v1", json!({}), "https://ai.azure.com/.default"),
        ("2024-10-21", json!({}), "https://cognitiveservices.azure.com/.default"),
        ("2024-10-21", json!({ "scope": "api://own/.default" }), "api://own/.default"),
        (
            "v1",
            json!({ "authority": "https://login.microsoftonline.us/" }),
            "https://cognitiveservices.azure.us/.default",
        ),
        (
            "v1",
            json!({ "authority": "https://login.partner.microsoftonline.cn" }),
            "https://cognitiveservices.azure.cn/.default",
        ),
    ] {
        let mut entra = json!({ "tenant": "t", "client_id": "c", "client_secret": "${K}" });
        entra.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let changed = json!({ "api_key": null, "api_version": version, "auth": { "entra": entra } });
        let graph = compiled(&json!({ "deployments": { "azure": changed } })).graph;
        let entra = graph.deployments[0].entra.as_ref().unwrap();
        assert_eq!(entra.scope, expected, "{version} {more}");
        assert!(!entra.authority.ends_with('/'));
    }
}

#[test]
fn a_deployment_has_all_that_the_document_says_of_it() {
    let graph = compiled(&json!({ "deployments": { "openai": {
        "organization": "org", "project": "proj", "region": "eastus", "quality": 3, "tags": ["a", "b"],
        "cost": { "input": 2.5, "image": 0.04, "minute": 0.006, "request": 0.0001 }, "timeout": { "connect_ms": 1, "headers_ms": 2, "first_token_ms": 3, "idle_ms": 4, "total_ms": 5 },
        "params": { "drop": ["user"], "rename": { "max_tokens": "max_completion_tokens" }, "set": { "store": false } },
        "via": { "account": "acc", "gateway": "gw", "token": "${CF_AIG_TOKEN}" },
    } } }))
    .graph;
    let deployment = &graph.deployments[1];
    assert_eq!((deployment.id, deployment.name.as_str()), (1, "openai"));
    let upstream = Upstream::OpenAi {
        base: "https://api.openai.com/v1".to_owned(),
        model: "gpt-4o".to_owned(),
        organization: Some("org".to_owned()),
        project: Some("proj".to_owned()),
    };
    assert_eq!(deployment.upstream, upstream);
    assert_eq!(deployment.api_key.reveal(), "top-secret-OPENAI_API_KEY");
    assert_eq!((deployment.region.as_deref(), deployment.quality), (Some("eastus"), 3));
    assert_eq!(deployment.tags, ["a", "b"]);
    let price = Price {
        input: 2_500_000,
        cached_input: 2_500_000,
        output: 0,
        image: 40_000_000_000,
        minute: 6_000_000_000,
        request: 100_000_000,
    };
    assert_eq!(deployment.cost, Some(price));
    let timeouts = Timeouts {
        connect_ms: Some(ms(1)),
        headers_ms: Some(ms(2)),
        first_token_ms: Some(ms(3)),
        idle_ms: Some(ms(4)),
        total_ms: Some(ms(5)),
    };
    assert_eq!(deployment.timeout, timeouts);
    let params = Params {
        drop: vec!["user".to_owned()],
        rename: vec![("max_tokens".to_owned(), "max_completion_tokens".to_owned())],
        set: vec![("store".to_owned(), json!(false))],
        ..Params::default()
    };
    assert_eq!(deployment.params, params);
    let via = deployment.via.as_ref().unwrap();
    assert_eq!(via.base, "https://gateway.ai.cloudflare.com/v1/acc/gw");
    assert_eq!(via.token.as_ref().unwrap().reveal(), "top-secret-CF_AIG_TOKEN");
}

#[test]
fn an_endpoint_of_via_stands_in_the_place_of_the_host() {
    let via = json!({ "account": "acc", "gateway": "gw", "endpoint": "http://localhost:4020/" });
    let graph = compiled(&json!({ "deployments": { "azure": { "via": via } } })).graph;
    assert_eq!(graph.deployments[0].via.as_ref().unwrap().base, "http://localhost:4020/v1/acc/gw");
}

#[test]
fn a_missing_variable_disables_its_deployment_alone() {
    let compiled = compiled(&json!({
        "deployments": { "openai": { "endpoint": "${MISSING_URL}", "api_key": "${MISSING_KEY}" } },
        "clients": { "app": { "key": "${MISSING_KEY}" } },
    }));
    let [azure, openai] = compiled.graph.deployments.as_slice() else { panic!("both are in the graph") };
    assert_eq!(azure.disabled, None);
    assert_eq!(openai.disabled, Some(Disabled { variable: "MISSING_KEY".to_owned() }));
    assert_eq!(openai.api_key.reveal(), "");
    assert!(compiled.graph.clients.unwrap()[0].key.is_none());
    assert_eq!(targets(&compiled.graph.models["chat"]), ["openai", "azure"], "targets keep their places");
    assert_eq!(compiled.warnings.len(), 3);
}

#[test]
fn a_key_opens_the_door_to_the_first_client_that_has_it() {
    let document = json!({ "clients": {
        "a": { "key": "${SHARED_A}" }, "b": { "key": "${SHARED_B}" }, "c": { "key": "${C_KEY}" }, "d": { "key": "${MISSING_KEY}" },
    } });
    let graph = compiled(&document).graph;
    for (key, expected) in [
        ("the-same-key", Some("a")),
        ("top-secret-C_KEY", Some("c")),
        ("top-secret-C_KEX", None),
        ("top-secret-C_KEY2", None),
        ("", None),
    ] {
        let client = client(&graph, Some(key)).ok().map(|client| client.name.as_str());
        assert_eq!(client, expected, "{key}");
    }
}

#[test]
fn the_key_of_a_client_may_have_any_printable_character() {
    let document = json!({ "clients": { "app": { "key": "${PASSPHRASE}" } } });
    let compiled = compiled(&document);
    assert_eq!(compiled.warnings, []);
    for (key, expected) in [
        ("geheimer Schlüssel §1", true),
        // As a runtime reads it that takes each byte of a header as a character.
        ("geheimer Schl\u{c3}\u{bc}ssel \u{c2}\u{a7}1", true),
        ("geheimer Schlussel §1", false),
        ("geheimer", false),
    ] {
        assert_eq!(client(&compiled.graph, Some(key)).is_ok(), expected, "{key}");
    }
}

#[test]
fn a_value_that_is_of_no_use_disables_what_it_stands_in_alone() {
    let via = json!({ "account": "${BAD}", "gateway": "g" });
    let name = "https://name.openai.azure.com";
    // The patch, the path of the warning, and the value of the variable.
    for (patch, path, value) in [
        // Secrets are sent in headers, which do not allow every character.
        (json!({ "deployments": { "azure": { "api_key": "${BAD}" } } }), "api_key", "zq zq"),
        (json!({ "deployments": { "azure": { "api_key": "${BAD}" } } }), "api_key", "zqzq\nzqzq"),
        (json!({ "deployments": { "azure": { "endpoint": "${BAD}" } } }), "endpoint", "zqzq"),
        (json!({ "deployments": { "azure": { "endpoint": "https://${BAD}" } } }), "endpoint", "zq@zq"),
        (json!({ "deployments": { "azure": { "api_version": "${BAD}" } } }), "api_version", "zqzq"),
        (json!({ "deployments": { "azure": { "via": via } } }), "via.account", "zq/zq"),
        // The value is valid, but not for AI Gateway.
        (
            json!({ "deployments": { "azure": { "api_version": "${BAD}", "via": { "account": "a", "gateway": "g" } } } }),
            "api_version",
            "v1",
        ),
        (
            json!({ "deployments": { "azure": { "api_version": "${BAD}", "via": { "account": "a", "gateway": "g" } } } }),
            "api_version",
            "zqzq",
        ),
        (
            json!({ "deployments": { "azure": { "endpoint": "${BAD}", "via": { "account": "a", "gateway": "g" } } } }),
            "endpoint",
            "https://zqzq.example.com",
        ),
        (
            json!({ "deployments": { "azure": { "params": { "drop": ["${BAD}"] } } } }),
            "params.drop[0]",
            "model",
        ),
        (
            json!({ "deployments": { "azure": { "params": { "rename": { "user": "${BAD}" } } } } }),
            "params.rename.user",
            "stream",
        ),
    ] {
        let document = patched(base(), &patch).to_string();
        let env = |name: &str| if name == "BAD" { Some(value.to_owned()) } else { env(name) };
        let compiled = compile(&document, &env).unwrap_or_else(|issues| panic!("{patch}: {issues:?}"));
        let [azure, openai] = compiled.graph.deployments.as_slice() else { panic!("{patch}: both stay") };
        assert_eq!(azure.disabled, Some(Disabled { variable: "BAD".to_owned() }), "{patch}");
        assert_eq!(openai.disabled, None, "{patch}");
        assert_eq!(targets(&compiled.graph.models["chat"]), ["openai", "azure"], "{patch}");
        let [warning] = compiled.warnings.as_slice() else { panic!("{patch}: {:?}", compiled.warnings) };
        assert_eq!(warning.path, format!("deployments.azure.{path}"));
        assert!(warning.to_string().contains("BAD"), "{warning}");
        assert!(!warning.to_string().contains("zq"), "a value leaks: {warning}");
        // The same value, written into the document, is an error of the author.
        let written = document.replace("${BAD}", &value.replace('\n', "\\n"));
        assert!(compile(&written, &env).is_err(), "{written}");
    }
    // A valid value of the same variable disables nothing.
    let patch = json!({ "deployments": { "azure": { "endpoint": "${BAD}" } } });
    let compiled = compile(&patched(base(), &patch).to_string(), &|_| Some(name.to_owned())).unwrap();
    assert!(compiled.graph.deployments.iter().all(|deployment| deployment.disabled.is_none()));
}

#[test]
fn a_client_with_a_value_that_is_of_no_use_is_nobody() {
    let good = json!({ "key": "${WEB_KEY}" });
    for (client, path, value) in [
        (json!({ "key": "${BAD}" }), "key", "zqzq\nzqzq"),
        (json!({ "key": "${BAD}" }), "key", "zq\tzq"),
        (json!({ "key": "${APP_KEY}", "models": ["${BAD}"] }), "models[0]", "zqzq"),
        // A missing variable outside the key also disables the client.
        (json!({ "key": "${APP_KEY}", "models": ["${BAD}"] }), "models[0]", ""),
    ] {
        let patch = json!({ "clients": { "app": client, "web": good } });
        let env = |name: &str| if name == "BAD" { Some(value.to_owned()) } else { env(name) };
        let compiled = compile(&patched(base(), &patch).to_string(), &env).unwrap();
        let [app, web] = &compiled.graph.clients.unwrap()[..] else { panic!("two") };
        assert!(app.key.is_none() && web.key.is_some(), "{patch}");
        let [warning] = compiled.warnings.as_slice() else { panic!("{patch}: {:?}", compiled.warnings) };
        assert_eq!(warning.path, format!("clients.app.{path}"));
        assert!(warning.to_string().contains("BAD"), "{warning}");
        assert!(!warning.to_string().contains("zq"), "a value leaks: {warning}");
    }
}

#[test]
fn clients_have_keys_and_the_models_that_they_may_use() {
    let graph =
        compiled(&json!({ "clients": { "web": { "key": "${WEB_KEY}", "models": ["ch*", "mini"] } } })).graph;
    let [app, web] = &graph.clients.unwrap()[..] else { panic!("two") };
    assert!(app.models.iter().any(|glob| glob.matches("anything")));
    assert_eq!((web.name.as_str(), web.key.as_ref().unwrap().reveal()), ("web", "top-secret-WEB_KEY"));
    assert!(web.models[0].matches("chat") && web.models[1].matches("mini"));
    assert!(compiled(&json!({ "clients": null })).graph.clients.is_none());
}

#[test]
fn strategies_have_the_names_of_the_articles_as_well() {
    for (name, is_it) in [
        ("priority", (|strategy| matches!(strategy, Strategy::Priority)) as fn(&Strategy) -> bool),
        ("fallback", |strategy| matches!(strategy, Strategy::Priority)),
        ("weighted", |strategy| matches!(strategy, Strategy::Weighted)),
        ("load_balance", |strategy| matches!(strategy, Strategy::Weighted)),
        ("random_weighted", |strategy| matches!(strategy, Strategy::Weighted)),
        ("round_robin", |strategy| matches!(strategy, Strategy::RoundRobin)),
        ("random", |strategy| matches!(strategy, Strategy::Random)),
        ("latency", |strategy| matches!(strategy, Strategy::Latency)),
        ("cost", |strategy| matches!(strategy, Strategy::Cost)),
        ("least_busy", |strategy| matches!(strategy, Strategy::LeastBusy)),
        ("nearest", |strategy| matches!(strategy, Strategy::Nearest)),
    ] {
        let graph = compiled(&json!({ "models": { "chat": { "strategy": name } } })).graph;
        assert!(is_it(&graph.models["chat"].strategy), "{name}");
    }
}

#[test]
fn targets_are_names_arrows_and_nodes_in_place() {
    let graph = compiled(&json!({ "models": { "chat": { "targets": [
        "mini",
        { "use": "openai" },
        { "use": { "targets": ["azure"] } },
        { "strategy": "random", "targets": ["azure", "${TO_CHAT}-2"] },
    ] }, "chat-2": { "targets": ["azure"] } } }))
    .graph;
    let chat = &graph.models["chat"];
    assert_eq!(targets(chat), ["mini", "openai", "models.chat.targets[2].use", "models.chat.targets[3]"]);
    let Destination::Node(inline) = &chat.targets[3].to else { panic!("a node") };
    assert_eq!(targets(inline), ["azure", "chat-2"]);
    // Without numbers, the order of the list is the priority.
    assert_eq!(chat.targets.iter().map(|target| target.priority).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert!(chat.targets.iter().all(|target| (target.weight - 1.0).abs() < f64::EPSILON));
}

#[test]
fn priorities_and_weights_are_taken_as_they_are() {
    let graph = compiled(&json!({ "models": { "chat": { "targets": [
        { "use": "openai", "priority": 7, "weight": 0.25 },
        { "use": "azure", "priority": 0 },
    ] } } }))
    .graph;
    let of: Vec<_> =
        graph.models["chat"].targets.iter().map(|target| (target.priority, target.weight)).collect();
    assert_eq!(of, [(7, 0.25), (0, 1.0)]);
}

#[test]
fn a_match_pairs_conditions_and_targets() {
    let graph = compiled(&json!({ "models": { "chat": {
        "strategy": "match", "targets": null,
        "cases": [{ "when": { "operation": "embeddings" }, "use": "mini" }], "else": { "targets": ["azure"] },
    } } }))
    .graph;
    let chat = &graph.models["chat"];
    let Strategy::Match(conditions) = &chat.strategy else { panic!("match") };
    assert_eq!((conditions.len(), targets(chat)), (2, vec!["mini", "models.chat.else"]));
}

#[test]
fn ids_are_dense_and_nodes_of_one_name_are_one_node() {
    let graph = compiled(&json!({ "models": {
        "a": { "targets": ["mini", { "targets": ["mini"] }], "on": { "timeout": "mini" } },
    } }))
    .graph;
    // The nodes are `a`, its inline node, `chat` and `mini`.
    assert_eq!(graph.node_count, 4);
    let a = &graph.models["a"];
    let Destination::Node(first) = &a.targets[0].to else { panic!("a node") };
    let Destination::Node(inline) = &a.targets[1].to else { panic!("a node") };
    let Destination::Node(nested) = &inline.targets[0].to else { panic!("a node") };
    let (_, Destination::Node(edge)) = &a.on[0] else { panic!("a node") };
    assert!([nested, edge, &graph.models["mini"]].iter().all(|other| other.id == first.id));
    let mut ids = vec![a.id, inline.id, first.id, graph.models["chat"].id];
    ids.sort_unstable();
    assert_eq!(ids, [0, 1, 2, 3]);
}

#[test]
fn the_graph_knows_what_its_conditions_read() {
    let graph = compiled(&json!({
        "models": { "pick": {
            "strategy": "match",
            "cases": [{ "when": { "header": { "X-B": "1" }, "path": "/in/a/case/*" }, "use": "mini" }],
        } },
        "rules": [
            { "when": { "header": { "x-A": "1" }, "body": { "metadata.tier": "gold", "stream": true } }, "use": "chat" },
            { "when": { "any": [{ "percent": 1, "by": "user" }, { "percent": 1, "by": "header:X-C" }, { "percent": 1, "by": "metadata:m" }] }, "use": "chat" },
            { "when": { "not": { "header": { "x-d": { "exists": true } }, "path": "/never/*" } }, "use": "chat" },
            { "when": { "path": ["/ai/azure/*", "/ai/*/x/*", "/exact", "/ai/prod-eu/*"] }, "use": "chat" },
            { "when": { "path": { "prefix": "/pre/" } }, "use": "chat" },
            // The paths of the API itself are not prefixes that are cut off.
            { "when": { "path": ["/v1/*", "/openai/deployments/*", "/images/*", "/*", "/models/*"] }, "use": "chat" },
        ],
    }))
    .graph;
    assert_eq!(graph.reads.headers, ["x-a", "x-b", "x-c", "x-d"]);
    assert_eq!(graph.reads.body, ["metadata", "safety_identifier", "stream", "user"]);
    let prefixes: Vec<_> = graph.prefixes.iter().map(|(prefix, _)| prefix).collect();
    assert_eq!(prefixes, ["/ai/azure", "/ai/prod-eu", "/in/a/case", "/pre"]);
}

#[test]
fn the_deepest_nesting_that_is_allowed_compiles() {
    // Each node takes two levels of JSON, of the 64 that a document may have. A test thread has
    // twice the stack of a Worker.
    let inline = (0..30).fold(json!({ "targets": ["openai"] }), |inner, _| json!({ "targets": [inner] }));
    let graph = compiled(&json!({ "models": { "chat": inline } })).graph;
    assert_eq!(graph.node_count, 32);
    let when = (0..59).fold(json!({ "country": "DE" }), |inner, _| json!({ "not": inner }));
    assert_eq!(compiled(&json!({ "rules": [{ "when": when, "use": "chat" }] })).graph.rules.len(), 1);
}

#[test]
fn the_version_is_that_of_the_text() {
    let document = base().to_string();
    let version = |text: &str| compile(text, &env).unwrap().graph.version;
    assert_eq!(version(&document), version(&document));
    assert_ne!(version(&document), version(&format!("{document} ")));
    assert_eq!(version(&document).len(), 12);
}

#[test]
fn capabilities_are_limits_and_only_what_some_model_lacks_is_read() {
    let with = |capabilities: Value, params: Value| {
        compiled(&json!({ "deployments": { "openai": { "capabilities": capabilities, "params": params } } }))
            .graph
    };
    let names = |features: Features| features.iter().map(Feature::name).collect::<Vec<_>>();
    let all = json!({
        "tools": false, "vision": false, "json_schema": false, "audio": false, "context_tokens": 128_000, "output_tokens": 16_384,
    });
    let graph = with(all.clone(), json!({}));
    assert_eq!(names(graph.reads.features), ["tools", "vision", "json_schema", "audio"]);
    assert_eq!(graph.reads.context_tokens, Some(128_000));
    let openai = graph.deployments.iter().find(|deployment| deployment.name == "openai").unwrap();
    assert_eq!(openai.capabilities.output_tokens, Some(16_384));
    // What is not stated, and what a model can do, limits nothing.
    for stated in [json!({}), json!({ "tools": true, "vision": true, "json_schema": true, "audio": true })] {
        let reads = with(stated, json!({})).reads;
        assert!(reads.features.is_empty() && reads.context_tokens.is_none());
    }
    // A field that the deployment edits is not the client's any more.
    let params = json!({ "drop": ["tools", "text"], "set": { "max_tokens": 100, "modalities": ["text"] } });
    let graph = with(all, params);
    assert_eq!(names(graph.reads.features), ["vision"]);
    let openai = graph.deployments.iter().find(|deployment| deployment.name == "openai").unwrap();
    assert_eq!(openai.capabilities.output_tokens, None);
}

#[test]
fn fields_that_are_set_from_a_variable_are_known() {
    let set = json!({ "temperature": 0, "user": "${TENANT}", "metadata": { "tenant": ["a ${TENANT}"] } });
    let graph = compiled(&json!({ "deployments": { "openai": { "params": { "set": set } } } })).graph;
    let openai = graph.deployments.iter().find(|deployment| deployment.name == "openai").unwrap();
    assert_eq!(openai.params.from_variables, ["metadata", "user"]);
}
