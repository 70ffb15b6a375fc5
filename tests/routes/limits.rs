//! Limits in a document, and what they need of its prices.

use serde_json::json;
use switchyard::routes::affinity_key::AffinityKey;
use switchyard::routes::graph::{LimitKey, Unreachable};

use crate::documents::{base, compile_value, compiled, patched};

#[test]
fn limits_have_names_that_stay_when_only_the_amount_changes() {
    let limits = json!([
        { "requests": 600, "per": "minute" },
        { "tokens": 2_000_000, "per": "day", "by": "metadata:team" },
        { "usd": 0.5, "per": "month", "models": ["chat", "mi*"] },
        { "concurrent": 40, "by": "header:X-Team" },
        { "concurrent": 5, "by": "user" },
        { "requests": 9, "per": "hour", "by": "country" },
    ]);
    let patch = json!({ "clients": { "app": { "limits": limits } }, "settings": { "limits": [limits[0]], "limits_unreachable": "fail_open" } });
    let graph = compiled(&patch).graph;
    let [app] = &graph.clients.as_ref().unwrap()[..] else { panic!("one") };
    let shown: Vec<_> = app.limits.iter().map(|limit| (&*limit.name, limit.rate.amount)).collect();
    assert_eq!(
        shown,
        [
            ("requests/minute", 600),
            ("tokens/day/metadata:team", 2_000_000),
            ("usd/month/chat,mi*", 500_000),
            ("concurrent/header:X-Team", 40),
            ("concurrent/user", 5),
            ("requests/hour/country", 9),
        ]
    );
    assert_eq!(app.limits[3].by, LimitKey::Each(AffinityKey::Header("x-team".to_owned())));
    assert!(app.limits[2].counts("mini") && !app.limits[2].counts("other") && app.limits[0].counts("other"));
    assert_eq!(graph.settings.limits.len(), 1);
    assert_eq!(graph.settings.limits_unreachable, Some(Unreachable::FailOpen));
    assert!(graph.reads.place, "a limit by country needs the place");
    assert_eq!(graph.reads.headers, ["x-team"]);
    assert!(graph.reads.body.contains(&"user".to_owned()));
}

#[test]
fn a_limit_that_is_no_limit_is_refused_with_what_it_lacks() {
    for (limit, path, expected) in [
        (json!({}), "", "exactly one of"),
        (json!({ "per": "day" }), "", "exactly one of"),
        (json!({ "requests": 1, "tokens": 1, "per": "day" }), "", "exactly one of"),
        (json!({ "requests": 1 }), "", "`per`"),
        (json!({ "concurrent": 1, "per": "day" }), ".per", "no `per`"),
        (json!({ "requests": 0, "per": "day" }), ".requests", "1"),
        (json!({ "usd": 0, "per": "day" }), ".usd", "0.000001"),
        (json!({ "requests": 1, "per": "week" }), ".per", "month"),
        (json!({ "requests": 1, "per": "day", "by": "usr" }), ".by", "metadata:KEY"),
        (json!({ "requests": 1, "per": "day", "by": "header:" }), ".by", "header:NAME"),
        (json!({ "requests": 1, "per": "day", "by": "prompt_cache_key" }), ".by", "client"),
        (json!({ "requests": 1, "per": "day", "models": ["cat"] }), ".models[0]", "the name of a node"),
    ] {
        for (section, patch) in [
            ("clients.app.limits[0]", json!({ "clients": { "app": { "limits": [limit] } } })),
            ("settings.limits[0]", json!({ "settings": { "limits": [limit] } })),
        ] {
            let issues = compile_value(&patched(base(), &patch)).unwrap_err();
            let [issue] = &issues[..] else { panic!("{limit}: {issues:#?}") };
            assert_eq!(issue.path, format!("{section}{path}"), "{limit}");
            assert!(issue.to_string().contains(expected), "{limit}: {issue}");
        }
    }
    let twice = json!([{ "requests": 1, "per": "day" }, { "requests": 2, "per": "day" }]);
    let issues = compile_value(&patched(base(), &json!({ "settings": { "limits": twice } }))).unwrap_err();
    assert_eq!(issues.iter().map(|issue| issue.path.as_str()).collect::<Vec<_>>(), ["settings.limits[1]"]);
    let many = json!({ "settings": { "limits": vec![json!({ "requests": 1, "per": "day" }); 33] } });
    assert!(compile_value(&patched(base(), &many)).is_err());
}

#[test]
fn the_highest_price_of_a_node_is_that_of_all_that_it_leads_to() {
    let patch = json!({
        "deployments": {
            "azure": { "cost": { "input": 2, "output": 3 } },
            "openai": { "cost": { "input": 1, "output": 9, "request": 0.5 } },
        },
        "models": { "a": { "targets": ["azure"], "on": { "timeout": "b" } }, "b": { "targets": ["openai"] }, "c": { "targets": ["azure"] } },
        "settings": { "on": { "content_policy": "openai" } },
    });
    let graph = compiled(&patch).graph;
    let price = |name: &str| graph.models[name].highest_price;
    let both = price("a");
    assert_eq!((both.input, both.output, both.request), (2_000_000, 9_000_000, 500_000_000_000));
    assert_eq!(price("c").output, 3_000_000);
    assert_eq!(graph.highest_price(&graph.models["c"]).output, 9_000_000, "by an edge of the settings");
}
