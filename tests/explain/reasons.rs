//! The reasons that an explanation gives: for each place, for each exclusion, for each attempt.

use serde_json::{Value, json};
use switchyard::explain::course_view::{AttemptReason, CourseEnd, PlannedNode, PlannedTarget};
use switchyard::health::{AnswerKind, Outcome, Sample};
use switchyard::serve::explain_request::ExplainRequest;
use switchyard::serve::explained::{Explanation, explain};
use switchyard::serve::serving::Serving;
use switchyard::vocabulary::error_class::ErrorClass;
use switchyard::vocabulary::operation::Operation;
use switchyard::vocabulary::rng::SplitMix64;

use super::times::ms;
use super::{Assumed, NOW, explained, serving};

/// Four deployments and these nodes.
fn document(models: &Value) -> Value {
    let deployment = |name: &str| json!({ "provider": "openai", "api_key": "${KEY}", "model": name });
    json!({
        "version": 1,
        "clients": { "app": { "key": "${APP_KEY}" } },
        "deployments": {
            "a": deployment("a"), "b": deployment("b"), "c": deployment("c"),
            "off": { "provider": "openai", "api_key": "${MISSING_KEY}", "model": "off" },
        },
        "models": models,
    })
}

fn chat(model: &str) -> Value {
    json!({ "path": "/v1/chat/completions", "client": "app", "body": { "model": model, "messages": [] } })
}

/// The entry node of an explanation.
fn entry(explanation: &Explanation) -> &PlannedNode {
    explanation.course.as_ref().unwrap().tree[0].node.as_ref().unwrap()
}

fn target<'a>(node: &'a PlannedNode, to: &str) -> &'a PlannedTarget {
    node.targets.iter().find(|target| target.to == to).unwrap_or_else(|| panic!("{to} in {node:#?}"))
}

/// The reasons for the place of a target, as JSON.
fn because(node: &PlannedNode, to: &str) -> Value {
    serde_json::to_value(&target(node, to).because).unwrap()
}

/// The kind of the reason why a target is not tried, and its text.
fn excluded<'a>(node: &'a PlannedNode, to: &str) -> (&'a str, &'a str) {
    let excluded = target(node, to).excluded.as_ref().unwrap_or_else(|| panic!("{to} in {node:#?}"));
    (excluded.kind, &excluded.why)
}

fn order(explanation: &Explanation) -> Vec<&str> {
    let attempts = &explanation.course.as_ref().unwrap().attempts;
    attempts.iter().map(|attempt| attempt.deployment.as_str()).collect()
}

fn fail(serving: &Serving, name: &str, outcome: Outcome, times: usize) {
    let id = serving.graph.deployments.iter().find(|known| known.name == name).unwrap().id;
    let mut health = serving.health.borrow_mut();
    for _ in 0..times {
        let ticket = health.begin(id, Operation::ChatCompletions, AnswerKind::Whole, 0, NOW - ms(100));
        health.record(ticket, &Sample::of(outcome), NOW, &mut SplitMix64::new(1));
    }
}

#[test]
fn each_strategy_says_what_it_compares_by() {
    let mut document = document(&json!({
        "tiers": { "targets": [{ "use": "a", "priority": 2 }, { "use": "b", "priority": 1 }, { "use": "c", "priority": 2, "weight": 3 }] },
        "weights": { "strategy": "weighted", "targets": [{ "use": "a", "weight": 70 }, { "use": "b", "weight": 30 }, { "use": "c", "weight": 0 }] },
        "turns": { "strategy": "round_robin", "targets": ["a", "b"] },
        "chance": { "strategy": "random", "targets": ["a", "b"] },
        "price": { "strategy": "cost", "targets": ["a", "b", "c"] },
        "near": { "strategy": "nearest", "targets": ["a", "b", "c"] },
        "busy": { "strategy": "least_busy", "targets": ["a", "b"] },
        "fast": { "strategy": "latency", "targets": ["a", "b"] },
        "case": { "strategy": "match", "cases": [{ "when": { "header": { "x-tier": "gold" } }, "use": "a" }], "else": "b" },
        "kept": { "strategy": "random", "targets": ["a", "b"], "sticky": { "by": "client" } },
    }));
    for (name, region, input) in [("a", "japaneast", 5), ("b", "westeurope", 1)] {
        document["deployments"][name]["region"] = json!(region);
        document["deployments"][name]["cost"] = json!({ "input": input });
    }
    let serving = serving(&document);
    fail(&serving, "a", Outcome::Served, 1);
    drop(serving.health.borrow_mut().begin(1, Operation::ChatCompletions, AnswerKind::Whole, 0, NOW));
    let node = |model: &str| {
        let mut request = chat(model);
        request["place"] = json!({ "colo": "FRA" });
        entry(&explained(&serving, &request, 1)).clone()
    };
    let tiers = node("tiers");
    assert_eq!(tiers.targets[0].to, "b");
    assert_eq!(because(&tiers, "b"), json!([{ "by": { "priority": 1 } }]));
    let of_tier =
        json!([{ "by": { "priority": 2 } }, { "by": { "weight": { "weight": 3.0, "share": 0.75 } } }]);
    assert_eq!(because(&tiers, "c"), of_tier);
    let weights = node("weights");
    assert_eq!(because(&weights, "a"), json!([{ "by": { "weight": { "weight": 70.0, "share": 0.7 } } }]));
    assert_eq!(excluded(&weights, "c"), ("no_weight", "its weight is 0"));
    assert_eq!(because(&node("turns"), "a"), json!([{ "by": "turn" }]));
    assert_eq!(because(&node("chance"), "a"), json!([{ "by": "chance" }]));
    let price = node("price");
    let places: Vec<&str> = price.targets.iter().map(|target| target.to.as_str()).collect();
    assert_eq!(places, ["b", "a", "c"]);
    let tokens = f64::from(u32::try_from(chat("price")["body"].to_string().len()).unwrap() / 4);
    assert_eq!(because(&price, "a"), json!([{ "by": { "price_micros": 5.0 * tokens } }]));
    assert_eq!(because(&price, "c"), json!([{ "by": { "price_micros": null } }]), "no price");
    let near = node("near");
    assert_eq!(near.targets[0].to, "b");
    let distance = |name| because(&near, name)[0]["by"]["distance_km"].as_f64().unwrap();
    assert!((200.0..600.0).contains(&distance("b")), "Frankfurt to the Netherlands: {}", distance("b"));
    assert!((8_500.0..10_000.0).contains(&distance("a")), "to Japan: {}", distance("a"));
    assert_eq!(because(&node("busy"), "b"), json!([{ "by": { "in_flight": 1.0 } }]));
    let fast = node("fast");
    let waits = ["a", "b"].map(|name| because(&fast, name)[0]["by"]["wait_ms"].clone());
    assert_eq!(waits, [json!(100.0), json!(200.0)], "{fast:#?}");
    assert_eq!(because(&fast, "a")[1], "faster_of_two");
    let case = node("case");
    assert_eq!(because(&case, "b"), json!(["case"]));
    assert_eq!(excluded(&case, "a"), ("other_case", "`match` chooses another target"));
    let kept = node("kept");
    assert!(kept.is_sticky);
    assert_eq!(because(&kept, "a"), json!([{ "by": { "weight": { "weight": 1.0, "share": 0.5 } } }]));
}

#[test]
fn an_explanation_says_how_the_request_uses_the_cache_of_its_node() {
    let serving = serving(&document(&json!({
        "kept": { "targets": ["a"], "cache": { "ttl": 60 } },
        "not": { "targets": ["a"] },
    })));
    let cache_of = |change: &dyn Fn(&mut Value)| {
        let mut request = chat("kept");
        change(&mut request);
        serde_json::to_value(explained(&serving, &request, 1).cache).unwrap()
    };
    let reads =
        |reads: bool, seconds: u32| json!({ "reads": reads, "keeps_seconds": seconds, "bypass": null });
    let bypass = |why: &str| json!({ "reads": false, "keeps_seconds": 0, "bypass": why });
    assert_eq!(cache_of(&|_| {}), reads(true, 60));
    let headers = |name: &'static str, value: &'static str| {
        move |request: &mut Value| request["headers"] = json!({ name: value })
    };
    assert_eq!(cache_of(&headers("cf-aig-cache-ttl", "5")), reads(true, 5));
    assert_eq!(cache_of(&headers("cache-control", "no-cache")), reads(false, 60));
    assert_eq!(cache_of(&headers("cf-aig-skip-cache", "true")), bypass("refused"));
    assert_eq!(cache_of(&|request| request["body"]["store"] = json!(true)), bypass("side_effects"));
    assert_eq!(
        cache_of(&|request| request["body"]["tools"] = json!([{ "type": "mcp" }])),
        bypass("hosted_tools")
    );
    assert_eq!(
        cache_of(&|request| request["body"]["messages"] = json!([{ "file_id": "f" }])),
        bypass("stored_object")
    );
    assert_eq!(cache_of(&|request| request["path"] = json!("/v1/images/generations")), bypass("operation"));
    assert_eq!(
        cache_of(&|request| request["body"]["messages"] = json!("a".repeat(1 << 20))),
        bypass("too_long")
    );
    let explanation = serde_json::to_value(explained(&serving, &chat("not"), 1)).unwrap();
    assert_eq!(explanation.get("cache"), None);
}

#[test]
fn each_exclusion_has_its_reason() {
    let mut document = document(&json!({
        "all": { "targets": ["a", "b", "c", "off"], "min_quality": 2, "require_tags": ["eu"] },
    }));
    for (name, quality, tags) in [("a", 1, json!(["eu"])), ("b", 2, json!([])), ("c", 2, json!(["eu"]))] {
        document["deployments"][name]["quality"] = json!(quality);
        document["deployments"][name]["tags"] = tags;
    }
    document["deployments"]["c"]["capabilities"] = json!({ "tools": false });
    let serving = serving(&document);
    let mut request = chat("all");
    request["body"]["tools"] = json!([{}]);
    let explanation = explained(&serving, &request, 1);
    let node = entry(&explanation);
    assert_eq!(excluded(node, "a"), ("min_quality", "quality is below 2"));
    assert_eq!(excluded(node, "b"), ("require_tags", "the tag 'eu' is missing"));
    assert_eq!(excluded(node, "c"), ("capability", "its model does not take tools"));
    let why = "the variable MISSING_KEY is not set, or its value is of no use";
    assert_eq!(excluded(node, "off"), ("disabled", why));
    assert_eq!(explanation.course.as_ref().unwrap().end, CourseEnd::NoneEligible);
    assert_eq!(explanation.course.as_ref().unwrap().max_attempts, 4);
    assert_eq!(explanation.error.as_ref().unwrap().code, "capability_missing");
    assert_eq!(serde_json::to_value(&explanation.facts).unwrap()["needs"], json!(["tools"]));
}

#[test]
fn an_ejected_deployment_has_its_time_and_is_the_last_resort() {
    let serving = serving(&document(&json!({ "both": { "targets": ["a", "b"] } })));
    let limited = |seconds: u64| Outcome::failed(ErrorClass::RateLimit, Some(ms(seconds * 1_000)));
    fail(&serving, "a", limited(60), 1);
    let explanation = explained(&serving, &chat("both"), 1);
    assert_eq!(order(&explanation), ["b", "b"], "and one retry, as it is the last one");
    let first = target(entry(&explanation), "a").excluded.as_ref().unwrap();
    assert_eq!((first.kind, first.until), ("ejected", Some(NOW + ms(60_000))));
    fail(&serving, "b", limited(20), 1);
    let explanation = explained(&serving, &chat("both"), 1);
    assert_eq!(order(&explanation), ["b"]);
    let attempt = &explanation.course.as_ref().unwrap().attempts[0];
    assert_eq!((attempt.by, attempt.is_probe), (AttemptReason::LastResort, true));
    assert_eq!(attempt.path, ["both"]);
    assert_eq!(target(entry(&explanation), "b").attempts, [1]);
    serving.health.borrow_mut().drain(1);
    let explanation = explained(&serving, &chat("both"), 1);
    assert_eq!(excluded(entry(&explanation), "b"), ("drained", "drained by an administrator"));
    assert_eq!(order(&explanation), ["a"]);
}

#[test]
fn the_last_resort_has_the_place_to_which_the_walk_returns() {
    let serving = serving(&document(&json!({
        "inner": { "targets": ["a"], "when_all_ejected": "fail" },
        "outer": { "targets": ["inner", "a"] },
    })));
    fail(&serving, "a", Outcome::failed(ErrorClass::RateLimit, Some(ms(60_000))), 1);
    let explanation = explained(&serving, &chat("outer"), 1);
    let attempts = &explanation.course.as_ref().unwrap().attempts;
    assert_eq!((attempts[0].path.as_slice(), attempts.len()), (&["outer".to_owned()][..], 1));
    let node = entry(&explanation);
    assert_eq!(target(node, "a").attempts, [1]);
    let inner = target(node, "inner").node.as_ref().unwrap();
    assert_eq!((target(inner, "a").attempts.len(), excluded(inner, "a").0), (0, "ejected"));
}

#[test]
fn a_deployment_that_recovers_or_is_short_of_headroom_moves_behind() {
    let mut document = document(&json!({ "both": { "targets": ["a", "b"] } }));
    document["deployments"]["a"]["limits"] = json!({ "tpm": 100 });
    let serving = serving(&document);
    let ticket = serving.health.borrow_mut().begin(0, Operation::ChatCompletions, AnswerKind::Whole, 95, NOW);
    drop(ticket);
    let explanations = (0..40).map(|seed| explained(&serving, &chat("both"), seed));
    let (behind, kept): (Vec<Explanation>, Vec<Explanation>) =
        explanations.partition(|explanation| order(explanation)[0] == "b");
    assert!((15..40).contains(&behind.len()), "{} of 40", behind.len());
    let share = because(entry(&behind[0]), "a")[1]["behind"].as_f64().unwrap();
    assert!((0.2..0.4).contains(&share), "{share}");
    // Where the draw put it first, the share says why it is not always so.
    assert_eq!(because(entry(&kept[0]), "a")[1]["kept"].as_f64(), Some(share));
}

#[test]
fn edges_retries_and_waits_are_distinguished() {
    let mut document = document(&json!({
        "inner": { "targets": ["a"], "retry": { "attempts": 1, "on": ["unavailable"], "backoff_ms": 100, "max_backoff_ms": 100 }, "on": { "unavailable": "b" } },
        "outer": { "targets": ["inner", "b"] },
    }));
    document["settings"] = json!({ "on": { "unavailable": "c" } });
    let serving = serving(&document);
    let explanation = explained(&serving, &chat("outer"), 1);
    let course = explanation.course.as_ref().unwrap();
    let attempts: Vec<_> = course
        .attempts
        .iter()
        .map(|attempt| (attempt.deployment.as_str(), attempt.by, attempt.path.len()))
        .collect();
    assert_eq!(
        attempts,
        [
            ("a", AttemptReason::Order, 2),
            ("a", AttemptReason::Retry, 2),
            ("b", AttemptReason::Edge, 2),
            ("b", AttemptReason::Retry, 2),
        ],
        "{course:#?}"
    );
    assert_eq!(course.attempts[1].wait_ms, ms(0), "another one is left");
    let inner = target(entry(&explanation), "inner").node.as_ref().unwrap();
    assert_eq!((target(inner, "b").edge, target(inner, "a").edge), (Some("unavailable"), None));
    // What is left when the attempts are used up is not reached.
    assert_eq!((course.max_attempts, course.end), (4, CourseEnd::Exhausted));
    let rest = target(entry(&explanation), "b");
    assert!(rest.attempts.is_empty() && rest.excluded.is_none(), "{rest:#?}");
    assert_eq!(course.tree.len(), 1, "the edge of the settings is not reached either");
    document["settings"]["max_attempts"] = json!(8);
    let serving = super::serving(&document);
    let explanation = explained(&serving, &chat("outer"), 1);
    let tree = &explanation.course.as_ref().unwrap().tree;
    assert_eq!((tree[1].to.as_str(), tree[1].edge), ("c", Some("unavailable")), "{tree:#?}");
    assert_eq!(excluded(entry(&explanation), "b"), ("tried", "tried already"));
}

#[test]
fn rules_models_and_stored_objects_say_where_a_request_enters() {
    let mut document = document(&json!({ "one": { "targets": ["a"] }, "two": { "targets": ["b", "a"] } }));
    document["rules"] = json!([
        { "when": { "header": { "x-tier": "gold" } }, "use": "two" },
        { "when": { "operation": "files" }, "use": "one" },
    ]);
    let serving = serving(&document);
    let entered = |request: &Value| {
        let explanation = explained(&serving, request, 1);
        (explanation.entry.clone().unwrap(), explanation.rule, order(&explanation)[0].to_owned())
    };
    assert_eq!(entered(&chat("one")), ("one".to_owned(), None, "a".to_owned()));
    let mut gold = chat("one");
    gold["headers"] = json!({ "X-Tier": "gold" });
    assert_eq!(entered(&gold), ("two".to_owned(), Some(0), "b".to_owned()));
    let file = json!({ "path": "/v1/files/file-1", "client": "app" });
    assert_eq!(entered(&file), ("files".to_owned(), Some(1), "a".to_owned()));
    // The owner of the object comes first, and the explanation says so.
    let stored = json!({ "path": "/v1/responses/resp_1", "client": "app" });
    let request = ExplainRequest::parse(&stored.to_string()).unwrap();
    let source = Assumed { owner: Some(1), ..Assumed::of(&request, 1) };
    let mut document = document.clone();
    document["deployments"]["b"]["project"] = json!("another");
    let serving = super::serving(&document);
    let explanation = explain(&serving, &request, &source).unwrap();
    assert_eq!(order(&explanation)[0], "b");
    assert_eq!(because(entry(&explanation), "b").as_array().unwrap().last(), Some(&json!("owner")));
    assert_eq!(explanation.facts.as_ref().unwrap().owner.as_deref(), Some("b"));
}

#[test]
fn limits_and_edits_are_those_that_would_hold() {
    let mut document = document(&json!({
        "m": { "targets": ["a"], "timeout": { "headers_ms": 2_000 }, "commit": "complete", "deadline_ms": 9_000, "hedge": { "after": 500 } },
    }));
    document["deployments"]["a"]["params"] = json!({
        "drop": ["store"], "rename": { "max_tokens": "max_completion_tokens" },
        "set": { "temperature": 0, "service_tier": "${TENANT}" },
    });
    let serving = serving(&document);
    let mut request = chat("m");
    request["body"]["store"] = json!(false);
    request["body"]["max_tokens"] = json!(7);
    request["headers"] =
        json!({ "X-Stainless-Timeout": "5", "accept": "a/b", "cookie": "c=1", "Api-Key": "k" });
    let explanation = explained(&serving, &request, 1);
    let course = explanation.course.as_ref().unwrap();
    assert_eq!(course.deadline_ms, ms(5_000), "the client waits no longer");
    let attempt = &course.attempts[0];
    assert_eq!((attempt.commit, attempt.hedge_after_ms), ("complete", Some(ms(500))));
    assert_eq!((attempt.limits.headers.ms, attempt.limits.headers.from), (Some(ms(2_000)), "headers"));
    assert_eq!(
        (attempt.limits.first_token.ms, attempt.limits.first_token.from),
        (Some(ms(5_000)), "patience")
    );
    let call = serde_json::to_value(&explanation.calls[0]).unwrap();
    assert_eq!(
        call["body"],
        json!([
            { "field": "max_tokens", "is_dropped": true },
            { "field": "store", "is_dropped": true },
            { "field": "max_completion_tokens", "is_dropped": false },
            { "field": "model", "is_dropped": false, "value": "a" },
            { "field": "service_tier", "is_dropped": false },
            { "field": "temperature", "is_dropped": false, "value": 0 },
        ]),
        "what the client or a variable says is not shown"
    );
    assert_eq!(call["headers_passed"], json!(["x-stainless-timeout", "accept", "content-type"]));
    assert_eq!(call["headers_set"], json!(["accept-encoding", "authorization", "traceparent"]));
}

#[test]
fn of_a_form_only_the_model_is_edited() {
    let serving = serving(&document(&json!({ "m": { "targets": ["a"] } })));
    let form = "--x\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nm\r\n--x--\r\n";
    let request = json!({
        "path": "/v1/audio/transcriptions", "client": "app", "body": form,
        "headers": { "content-type": "multipart/form-data; boundary=x" },
    });
    let explanation = explained(&serving, &request, 1);
    let call = serde_json::to_value(&explanation.calls[0]).unwrap();
    assert_eq!(call["body"], json!([{ "field": "model", "is_dropped": false, "value": "a" }]));
}

#[test]
fn what_the_retry_budget_refuses_is_named() {
    let serving = serving(&document(&json!({ "both": { "targets": ["a", "b"] } })));
    // Both fail now, so that every further attempt costs something.
    fail(&serving, "a", Outcome::failed(ErrorClass::Unavailable, None), 1);
    fail(&serving, "b", Outcome::failed(ErrorClass::Unavailable, None), 1);
    let node = serving.graph.models["both"].clone();
    while serving.budgets.borrow_mut().try_retry(&node, NOW) {}
    let explanation = explained(&serving, &chat("both"), 1);
    assert_eq!(order(&explanation), ["a"]);
    assert_eq!(excluded(entry(&explanation), "b").0, "retry_budget");
}
