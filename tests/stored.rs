//! Requests about stored objects: which deployments are tried, in which order, and which owners are
//! remembered.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, reason = "other tests use the rest of it")]
mod graphs;

use std::rc::Rc;

use graphs::{Builder, Isolate, facts};
use proptest::prelude::*;
use switchyard::attempt::failure::Failure;
use switchyard::attempt::machine::{Action, Machine, MachineEvent, Reply};
use switchyard::entry::object_affinity::{MOST, ObjectAffinity};
use switchyard::entry::stored_objects;
use switchyard::request::stored_object::StoredObject;
use switchyard::routes::compile;
use switchyard::routes::glob::Glob;
use switchyard::routes::graph::{
    AzureApi, Client, Deployment, Destination, Graph, Node, Retry, Rule, RuleAction, Secret,
    Strategy as Order, Upstream, Via,
};
use switchyard::routes::when::{BUCKETS, Condition, Fact, ValueTest};
use switchyard::vocabulary::client_error::ClientError;
use switchyard::vocabulary::denial::Denial;
use switchyard::vocabulary::error_class::{ErrorClass, Triggers};
use switchyard::vocabulary::facts::Facts;
use switchyard::vocabulary::operation::Operation;
use switchyard::vocabulary::time::{Instant, Millis};

const NOW: Instant = Instant::from_epoch_ms(1_000);

/// Each name has its own account. Names with the same first letter share one.
fn builder(names: &[&str]) -> Builder {
    let mut build = Builder::new(names);
    for name in names {
        build.edit(name, |deployment| {
            deployment.api_key = Secret::new(name.chars().take(1).collect::<String>());
        });
    }
    build
}

fn is_unknown_object() -> Failure {
    Failure {
        is_unknown_object: true,
        status: Some(400),
        ..Failure::silent(ErrorClass::BadRequest, "unknown")
    }
}

/// The deployments that are tried, in order, and the reply. Only the deployment `knows` has the
/// object.
fn asked(graph: &Rc<Graph>, entry: &Rc<Node>, facts: Facts, knows: Option<&str>) -> (Vec<String>, Reply) {
    let mut isolate = Isolate::new(graph, 1);
    let mut context = isolate.context(NOW);
    let (mut machine, mut action) = Machine::start(Rc::clone(graph), Rc::new(facts), entry, &mut context);
    let mut names = Vec::new();
    loop {
        let event = match action {
            Action::Dispatch(dispatch) => {
                names.push(dispatch.deployment.name.clone());
                let number = dispatch.number;
                if knows == Some(dispatch.deployment.name.as_str()) {
                    MachineEvent::Committed { number, status: 200 }
                } else {
                    MachineEvent::Failed { number, failure: is_unknown_object() }
                }
            }
            Action::Reply(reply) => return (names, reply),
            other => panic!("{other:?}"),
        };
        action = machine.on(event, &mut context);
    }
}

#[test]
fn an_unknown_object_is_looked_for_at_every_account_once() {
    let mut build = builder(&["a", "b", "a2", "c"]);
    let entry = build.node_with(Order::Priority, &["a", "b", "a2", "c"], |node| {
        // Neither setting matters here: these targets do not fail, and a retry of one would not
        // help.
        node.policy.fallback_on =
            Some(Triggers { classes: vec![ErrorClass::RateLimit], statuses: Vec::new() });
        node.policy.retry = Some(Retry { on: Triggers::of(|_| true), ..Retry::default() });
    });
    let graph = build.graph();
    let (names, reply) = asked(&graph, &entry, facts(), None);
    assert_eq!((names.join(" "), reply), ("a b c".to_owned(), Reply::Exhausted));
    let (names, reply) = asked(&graph, &entry, facts(), Some("b"));
    assert_eq!((names.join(" "), reply), ("a b".to_owned(), Reply::Pass));
}

proptest! {
    /// Holds for every graph, and with any other failures on the way.
    #[test]
    fn a_search_ends_asks_nobody_twice_and_crosses_no_requirement(
        recipe in graphs::recipe(),
        answers in proptest::collection::vec(0..4_u8, 6),
        owner in proptest::option::of(0..7_usize),
    ) {
        let (graph, entry) = recipe.build();
        let mut isolate = Isolate::new(&graph, 1);
        let mut context = isolate.context(NOW);
        let facts = Rc::new(Facts { owner, ..facts() });
        let (mut machine, mut action) = Machine::start(Rc::clone(&graph), facts, &entry, &mut context);
        let mut strangers = Vec::new();
        for _ in 0..1_000 {
            let event = match action {
                Action::Dispatch(dispatch) => {
                    let id = dispatch.deployment.id;
                    prop_assert!(!strangers.contains(&id), "asked again: {}", machine.trail().text());
                    prop_assert!(dispatch.deployment.quality >= graph.settings.requirements.min_quality);
                    let number = dispatch.number;
                    match answers[id] {
                        0 => MachineEvent::Failed { number, failure: Failure::silent(ErrorClass::Unavailable, "down") },
                        1 => MachineEvent::Committed { number, status: 200 },
                        _ => {
                            strangers.push(id);
                            MachineEvent::Failed { number, failure: is_unknown_object() }
                        }
                    }
                }
                Action::Sleep { ms } => {
                    context.now += ms;
                    MachineEvent::SleepElapsed
                }
                Action::Reply(_) | Action::Stop => return Ok(()),
                Action::Wait => {
                    prop_assert!(false, "nothing is under way");
                    return Ok(());
                }
            };
            action = machine.on(event, &mut context);
        }
        prop_assert!(false, "no end: {}", machine.trail().text());
    }
}

#[test]
fn it_is_looked_for_behind_edges_after_the_targets() {
    let mut build = builder(&["a", "b", "long", "much", "outer"]);
    let (long, much, outer) = (build.deployment("long"), build.deployment("much"), build.deployment("outer"));
    let entry = build.node_with(Order::Priority, &["a", "b"], |node| {
        node.on = vec![(ErrorClass::BadRequest, long), (ErrorClass::RateLimit, much)];
    });
    build.settings.on = vec![(ErrorClass::Auth, outer)];
    build.settings.max_attempts = 9;
    let graph = build.graph();
    assert_eq!(asked(&graph, &entry, facts(), None).0.join(" "), "a b long much outer");
}

#[test]
fn the_search_keeps_to_the_limits() {
    let mut build = builder(&["a", "b", "c"]);
    let entry = build.node_with(Order::Priority, &["a", "b", "c"], |node| node.max_attempts = Some(2));
    let graph = build.graph();
    assert_eq!(asked(&graph, &entry, facts(), None).0.join(" "), "a b");
}

#[test]
fn who_is_remembered_comes_first_wherever_it_stands_below_the_entry() {
    let mut build = builder(&["a", "b", "c", "c2"]);
    let inner = build.node(Order::Priority, &["b", "c"]);
    let entry = build.over(Order::Priority, vec![build.deployment("a"), Destination::Node(inner)], |_| {});
    let graph = build.graph();
    for (owner, expected) in [
        (None, "a b c"),
        (Some(0), "a b c"),
        (Some(1), "b c a"),
        (Some(2), "c b a"),
        (Some(3), "c b a"),
        (Some(9), "a b c"),
    ] {
        let (names, _) = asked(&graph, &entry, Facts { owner, ..facts() }, None);
        assert_eq!(names.join(" "), expected, "{owner:?}");
    }
}

#[test]
fn who_is_remembered_is_not_asked_where_requirements_forbid_it() {
    let mut build = builder(&["a", "b"]);
    build.edit("a", |deployment| deployment.quality = 3);
    let entry = build.node_with(Order::Priority, &["a", "b"], |node| node.requirements.min_quality = 3);
    let graph = build.graph();
    let facts = Facts { owner: Some(1), ..facts() };
    assert_eq!(asked(&graph, &entry, facts, None).0.join(" "), "a");
}

fn client(models: &[&str]) -> Client {
    let models = models.iter().map(|pattern| Glob::new(*pattern)).collect();
    Client { name: "app".to_owned(), models, ..Client::default() }
}

fn at(path: &str) -> StoredObject {
    StoredObject::at(&path.split('/').collect::<Vec<_>>()).unwrap()
}

/// The names of the deployments that are tried for a stored response, in order.
fn candidates(graph: &Graph, models: &[&str], owner: Option<usize>) -> Result<String, ClientError> {
    candidates_for("responses/resp_1", graph, models, owner)
}

fn candidates_for(
    path: &str,
    graph: &Graph,
    models: &[&str],
    owner: Option<usize>,
) -> Result<String, ClientError> {
    let stored = at(path);
    let facts = Facts { operation: stored.operation, owner, ..facts() };
    let node = stored_objects::entry_node(graph, &facts, &client(models), &stored)?;
    let name = |to: &Destination| match to {
        Destination::Deployment(deployment) => deployment.name.clone(),
        Destination::Node(node) => panic!("{node:?}"),
    };
    Ok(node.targets.iter().map(|target| name(&target.to)).collect::<Vec<_>>().join(" "))
}

#[test]
fn a_stored_response_is_looked_for_where_the_clients_models_lead() {
    let mut build = builder(&["a", "a2", "b", "c", "old"]);
    build.edit("old", |deployment| {
        deployment.upstream = Upstream::Azure {
            resource: "https://old.openai.azure.com".to_owned(),
            deployment: "gpt".to_owned(),
            api: AzureApi::Dated("2024-10-21".to_owned()),
        };
    });
    let b = build.deployment("b");
    let near = build.node_with(Order::Priority, &["a2", "a", "old"], |node| {
        node.on = vec![(ErrorClass::ContextWindow, b)];
    });
    let far = build.node(Order::Weighted, &["c"]);
    let old = build.node(Order::Priority, &["old"]);
    let mut graph = Rc::into_inner(build.graph()).unwrap();
    graph.models = [("near", near), ("far", far), ("old", old)]
        .map(|(name, node)| (name.to_owned(), node))
        .into_iter()
        .collect();
    for (models, owner, expected) in [
        (&["*"][..], None, "a b c a2"),
        // The account that has the object comes first. Further deployments of an account come after
        // the other accounts.
        (&["*"], Some(3), "c a b a2"),
        (&["*"], Some(1), "a b c a2"),
        (&["near"], Some(3), "a b a2"),
        (&["far"], None, "c"),
    ] {
        assert_eq!(candidates(&graph, models, owner).as_deref(), Ok(expected), "{models:?} {owner:?}");
    }
    for models in [&["old"][..], &["other"], &[]] {
        let nobody = ClientError::ObjectNotFound { path: "responses/resp_1".to_owned() };
        assert_eq!(candidates(&graph, models, None), Err(nobody), "{models:?}");
    }
}

#[test]
fn what_has_no_id_yet_stays_in_the_first_account_as_long_as_it_can() {
    let mut build = builder(&["a", "a2", "b", "b2"]);
    let all = build.node(Order::Weighted, &["b2", "b", "a2", "a"]);
    let one = build.node(Order::Priority, &["b2", "b", "a"]);
    let mut graph = Rc::into_inner(build.graph()).unwrap();
    graph.models = [("all".to_owned(), all), ("one".to_owned(), Rc::clone(&one))].into_iter().collect();
    let home = |graph: &Graph, path, owner| candidates_for(path, graph, &["*"], owner);
    assert_eq!(home(&graph, "files", None).as_deref(), Ok("a a2 b b2"));
    // A request that refers to an object goes to the account of this object.
    assert_eq!(home(&graph, "batches", Some(3)).as_deref(), Ok("b b2 a a2"));
    assert_eq!(home(&graph, "files/file-1", Some(3)).as_deref(), Ok("b a b2 a2"));
    // A node that a rule chooses has its own order.
    let when = Condition::Fact(Fact::Operation, ValueTest::Text(Glob::new("files")));
    graph.rules = vec![Rule { when, action: RuleAction::Use(one) }].into();
    assert_eq!(home(&graph, "files", None).as_deref(), Ok("b2 b a"));
    assert_eq!(home(&graph, "batches", None).as_deref(), Ok("a a2 b b2"));
}

#[test]
fn among_thousands_of_accounts_the_owner_comes_first_and_the_others_keep_their_order() {
    let names: Vec<String> = (0..4_000).map(|n| format!("d{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut build = Builder::new(&names);
    let node = build.node(Order::Priority, &names);
    let mut graph = build.graph();
    Rc::get_mut(&mut graph).unwrap().models.insert("m".to_owned(), node);
    let found = candidates(&graph, &["*"], Some(2_500)).unwrap();
    let found: Vec<&str> = found.split(' ').collect();
    let expected: Vec<&str> =
        std::iter::once("d2500").chain(names.iter().copied().filter(|name| *name != "d2500")).collect();
    assert_eq!(found, expected);
}

#[test]
fn nothing_is_made_twice() {
    let mut build = builder(&["a", "b"]);
    let all = build.node(Order::Priority, &["a", "b"]);
    build.settings.policy.retry = Some(Retry { on: Triggers::of(|_| true), ..Retry::default() });
    let mut graph = Rc::into_inner(build.graph()).unwrap();
    graph.models = [("all".to_owned(), all)].into_iter().collect();
    let graph = Rc::new(graph);
    for (method, class, expected) in [
        // The upstream has created nothing.
        ("POST", ErrorClass::Connection, 2),
        ("POST", ErrorClass::RateLimit, 2),
        ("POST", ErrorClass::Unavailable, 2),
        ("POST", ErrorClass::NotFound, 2),
        ("POST", ErrorClass::BadRequest, 1),
        // The upstream may have created something.
        ("POST", ErrorClass::Timeout, 1),
        ("POST", ErrorClass::Truncated, 1),
        // A list may be requested as often as the document allows.
        ("GET", ErrorClass::Timeout, 3),
        ("GET", ErrorClass::Unavailable, 4),
    ] {
        let stored = at("files");
        let facts = Facts {
            operation: stored.operation,
            method: method.to_owned(),
            has_side_effects: true,
            is_done_once: false,
            ..facts()
        };
        let node = stored_objects::entry_node(&graph, &facts, &client(&["*"]), &stored).unwrap();
        let mut isolate = Isolate::new(&graph, 1);
        let mut context = isolate.context(NOW);
        let (mut machine, mut action) =
            Machine::start(Rc::clone(&graph), Rc::new(facts), &node, &mut context);
        let mut attempts = 0;
        while !matches!(action, Action::Reply(_)) {
            let event = match action {
                Action::Dispatch(dispatch) => {
                    attempts += 1;
                    assert_eq!(dispatch.hedge_after_ms, None);
                    MachineEvent::Failed { number: dispatch.number, failure: Failure::silent(class, "") }
                }
                Action::Sleep { ms } => {
                    context.now += ms;
                    MachineEvent::SleepElapsed
                }
                other => panic!("{other:?}"),
            };
            action = machine.on(event, &mut context);
        }
        assert_eq!(attempts, expected, "{method} {class:?}: {}", machine.trail().text());
    }
}

#[test]
fn what_is_below_an_unknown_object_is_no_lack_of_the_deployment() {
    let mut build = builder(&["a", "b"]);
    let entry = build.node(Order::Priority, &["a", "b"]);
    let graph = build.graph();
    let mut isolate = Isolate::new(&graph, 1);
    for (is_unknown_object, expected) in [(true, "a b"), (true, "a b"), (false, "a b"), (false, "b")] {
        let facts = Facts { operation: Operation::Files, ..facts() };
        let mut context = isolate.context(NOW);
        let (mut machine, mut action) =
            Machine::start(Rc::clone(&graph), Rc::new(facts), &entry, &mut context);
        let mut names = Vec::new();
        while let Action::Dispatch(dispatch) = action {
            let number = dispatch.number;
            names.push(dispatch.deployment.name.clone());
            let failure = Failure { is_unknown_object, ..Failure::silent(ErrorClass::NotFound, "") };
            action = machine.on(
                match dispatch.deployment.name.as_str() {
                    "a" => MachineEvent::Failed { number, failure },
                    _ => MachineEvent::Committed { number, status: 200 },
                },
                &mut context,
            );
        }
        assert_eq!(names.join(" "), expected, "{is_unknown_object}");
    }
}

#[test]
fn a_rule_for_the_path_or_the_operation_chooses_who_is_asked() {
    let at = |fact, pattern: &str| Condition::Fact(fact, ValueTest::Text(Glob::new(pattern)));
    for (when, expected) in [
        (at(Fact::Path, "/v1/*"), "b"),
        (at(Fact::Operation, "responses/{id}"), "b"),
        (Condition::All(vec![at(Fact::Path, "/v1/*"), at(Fact::Client, "test")]), "b"),
        (Condition::Not(Box::new(at(Fact::Path, "/eu/*"))), "b"),
        (at(Fact::Path, "/eu/*"), "a b"),
        // Such a rule chooses by facts that a request for a stored response does not have.
        (Condition::Always, "a b"),
        (at(Fact::Client, "test"), "a b"),
        (Condition::Share { buckets: BUCKETS, by: None, salt: 0 }, "a b"),
    ] {
        let mut build = builder(&["a", "b"]);
        let (all, one) = (build.node(Order::Priority, &["a", "b"]), build.node(Order::Priority, &["b"]));
        let mut graph = Rc::into_inner(build.graph()).unwrap();
        graph.models = [("all".to_owned(), all)].into_iter().collect();
        let shown = format!("{when:?}");
        graph.rules = vec![Rule { when, action: RuleAction::Use(one) }].into();
        assert_eq!(candidates(&graph, &["*"], None).as_deref(), Ok(expected), "{shown}");
        if expected == "b" {
            let refused = candidates(&graph, &["all"], None);
            assert_eq!(refused, candidates(&graph, &[], None), "{shown}: as if there were no model");
            assert!(matches!(refused, Err(ClientError::ObjectNotFound { .. })), "{shown}: {refused:?}");
        }
    }
}

#[test]
fn a_rule_that_reads_the_path_or_the_operation_can_refuse_a_stored_object() {
    let at = |fact, pattern: &str| Condition::Fact(fact, ValueTest::Text(Glob::new(pattern)));
    let denial = Denial { status: 403, code: "no".to_owned(), message: "No.".to_owned() };
    for (when, is_denied) in [
        (at(Fact::Operation, "responses/*"), true),
        (at(Fact::Path, "/v1/*"), true),
        (Condition::Always, false),
    ] {
        let mut build = builder(&["a"]);
        let all = build.node(Order::Priority, &["a"]);
        let mut graph = Rc::into_inner(build.graph()).unwrap();
        graph.models = [("all".to_owned(), all)].into_iter().collect();
        let shown = format!("{when:?}");
        graph.rules = vec![Rule { when, action: RuleAction::Deny(denial.clone()) }].into();
        let expected = if is_denied {
            Err(ClientError::Denied { rule: 0, denial: denial.clone() })
        } else {
            Ok("a".to_owned())
        };
        assert_eq!(candidates(&graph, &["*"], None), expected, "{shown}");
    }
}

#[test]
fn a_search_crosses_nothing_that_a_request_for_a_model_may_not_cross() {
    let mut build = builder(&["a", "b", "c", "d"]);
    build.edit("a", |deployment| deployment.quality = 3);
    build.edit("b", |deployment| deployment.tags = vec!["eu".to_owned()]);
    let all = build.node(Order::Priority, &["a", "b", "c", "d"]);
    let precise = build.over(Order::Priority, vec![Destination::Node(Rc::clone(&all))], |node| {
        node.requirements.min_quality = 3;
    });
    let eu = build.over(Order::Priority, vec![Destination::Node(Rc::clone(&all))], |node| {
        node.requirements.require_tags = vec!["eu".to_owned()];
    });
    let both = build.over(Order::Priority, vec![Destination::Node(Rc::clone(&precise))], |node| {
        node.requirements.require_tags = vec!["eu".to_owned()];
    });
    let d = build.deployment("d");
    let resting = build.node_with(Order::Weighted, &["c", "d"], |node| {
        node.targets[0].weight = 0.0;
        node.on = vec![(ErrorClass::RateLimit, d)];
    });
    let client_is = |name| Condition::Fact(Fact::Client, ValueTest::Text(Glob::new(name)));
    let cases = |first, second| Order::Match(vec![client_is(first), client_is(second)].into());
    let matched = build.node(cases("someone", "test"), &["c", "d"]);
    let unmatched = build.node(cases("someone", "else"), &["c", "d"]);
    // Two ways, and nothing is required before them. So the edge of the settings counts as well.
    let targets = [&precise, &eu].map(|node| Destination::Node(Rc::clone(node))).to_vec();
    let either = build.over(Order::Priority, targets, |_| {});
    let c = build.deployment("c");
    build.settings.on = vec![(ErrorClass::Auth, c)];
    let mut graph = Rc::into_inner(build.graph()).unwrap();
    let names = ["all", "precise", "eu", "both", "resting", "matched", "unmatched", "either"];
    let nodes = [all, precise, eu, both, resting, matched, unmatched, either];
    graph.models = names.into_iter().map(str::to_owned).zip(nodes).collect();
    for (models, expected) in [
        (&["all"][..], Some("a b c d")),
        (&["precise"], Some("a")),
        (&["eu"], Some("b")),
        (&["both"], None),
        (&["either"], Some("a b c")),
        (&["precise", "eu"], Some("a b")),
        (&["resting"], Some("d c")),
        (&["matched"], Some("d c")),
        (&["unmatched"], None),
    ] {
        for path in ["files", "files/file-1", "responses/resp_1"] {
            let found = candidates_for(path, &graph, models, None).ok();
            assert_eq!(found.as_deref(), expected, "{models:?} {path}");
        }
    }
    let operation = Condition::Fact(Fact::Operation, ValueTest::Text(Glob::new("files")));
    graph.rules =
        vec![Rule { when: operation, action: RuleAction::Use(Rc::clone(&graph.models["eu"])) }].into();
    assert_eq!(candidates_for("files", &graph, &["*"], None).as_deref(), Ok("b"), "a rule leads there");
}

#[test]
fn an_edge_of_the_settings_does_not_lead_a_search_past_the_clients_nodes() {
    let mut build = builder(&["a", "b"]);
    build.edit("a", |deployment| deployment.quality = 3);
    let precise = build.node_with(Order::Priority, &["a"], |node| node.requirements.min_quality = 3);
    let b = build.deployment("b");
    build.settings.on = vec![(ErrorClass::Unavailable, Destination::clone(&b)), (ErrorClass::RateLimit, b)];
    let mut graph = Rc::into_inner(build.graph()).unwrap();
    graph.models = [("precise".to_owned(), precise)].into_iter().collect();
    let graph = Rc::new(graph);
    let stored = at("files");
    let facts = Facts { operation: stored.operation, ..facts() };
    let entry = stored_objects::entry_node(&graph, &facts, &client(&["*"]), &stored).unwrap();
    for class in [ErrorClass::Unavailable, ErrorClass::RateLimit] {
        let mut isolate = Isolate::new(&graph, 1);
        let mut context = isolate.context(NOW);
        let (mut machine, action) =
            Machine::start(Rc::clone(&graph), Rc::new(facts.clone()), &entry, &mut context);
        let Action::Dispatch(dispatch) = action else { panic!("{action:?}") };
        let failure = Failure { hint_ms: Some(Millis::new(300_000)), ..Failure::silent(class, "") };
        let next = machine.on(MachineEvent::Failed { number: dispatch.number, failure }, &mut context);
        assert!(!matches!(next, Action::Dispatch(_)), "{class:?}: {next:?}");
    }
}

#[test]
fn with_a_key_for_the_eu_alone_a_file_stays_there() {
    let document = include_str!("../examples/use-cases.json");
    let graph = compile(document, &|name: &str| {
        Some(if name.ends_with("ENDPOINT") {
            format!("https://{name}.openai.azure.com").replace('_', "-")
        } else {
            "2025-04-01-preview".to_owned()
        })
    });
    let graph = graph.unwrap().graph;
    assert_eq!(candidates_for("files", &graph, &["chat-eu"], None).as_deref(), Ok("azure-gpt4o-westeurope"));
    let precise = candidates_for("files", &graph, &["chat-precise"], None).unwrap();
    assert!(!precise.contains("mini"), "{precise}");
}

#[test]
fn each_gateway_that_has_the_key_is_an_account_of_its_own() {
    let mut build = Builder::new(&["a", "b"]);
    for (name, gateway, key, expected) in [
        ("b", "one", "", true),
        ("b", "two", "", false),
        // With a key of the document, the way does not matter.
        ("b", "two", "k", true),
    ] {
        for (name, gateway) in [("a", "one"), (name, gateway)] {
            build.edit(name, |deployment| {
                deployment.api_key = Secret::new(key);
                let base = format!("https://gateway.ai.cloudflare.com/v1/account/{gateway}");
                deployment.via = Some(Via { base, token: None });
            });
        }
        let pair = ["a", "b"].map(|name| match build.deployment(name) {
            Destination::Deployment(deployment) => deployment,
            Destination::Node(node) => panic!("{node:?}"),
        });
        assert_eq!(pair[0].shares_storage_with(&pair[1]), expected, "{gateway} {key}");
    }
}

#[test]
fn storage_is_that_of_an_account() {
    let mut build = Builder::new(&["a", "b"]);
    let openai = |base: &str, model: &str, project: Option<&str>| Upstream::OpenAi {
        base: base.to_owned(),
        model: model.to_owned(),
        organization: None,
        project: project.map(str::to_owned),
    };
    let azure = |name: &str, model: &str, api| Upstream::Azure {
        resource: format!("https://{name}.openai.azure.com"),
        deployment: model.to_owned(),
        api,
    };
    let v1 = AzureApi::V1 { preview: false };
    let dated = AzureApi::Dated("2025-04-01-preview".to_owned());
    let base = "https://api.openai.com/v1";
    for (one, other, keys, expected) in [
        (openai(base, "x", None), openai(base, "y", None), ["k", "k"], true),
        (openai(base, "x", None), openai(base, "x", None), ["k", "l"], false),
        (openai(base, "x", None), openai(base, "x", Some("p")), ["k", "k"], false),
        (openai(base, "x", None), openai("https://other.com/v1", "x", None), ["k", "k"], false),
        // A resource has two keys, and every API of it reaches the same storage.
        (azure("eu", "x", v1.clone()), azure("eu", "y", dated), ["k", "l"], true),
        (azure("eu", "x", v1.clone()), azure("us", "x", v1.clone()), ["k", "k"], false),
        (azure("eu", "x", v1), openai(base, "x", None), ["k", "k"], false),
    ] {
        for (name, upstream, key) in [("a", one, keys[0]), ("b", other, keys[1])] {
            build.edit(name, |deployment| {
                deployment.upstream = upstream;
                deployment.api_key = Secret::new(key);
            });
        }
        let pair = ["a", "b"].map(|name| match build.deployment(name) {
            Destination::Deployment(deployment) => deployment,
            Destination::Node(node) => panic!("{node:?}"),
        });
        assert_eq!(pair[0].shares_storage_with(&pair[1]), expected, "{pair:?}");
    }
}

#[test]
fn the_newest_ids_are_remembered_and_no_more() {
    let mut build = builder(&["a", "b"]);
    let _ = build.node(Order::Priority, &["a", "b"]);
    let graph = build.graph();
    let [a, b]: [&Rc<Deployment>; 2] = [&graph.deployments[0], &graph.deployments[1]];
    let mut affinity = ObjectAffinity::new();
    for number in 0..=MOST {
        affinity.learn(&format!("resp_{number}"), a);
        affinity.learn(&format!("resp_{number}"), a);
    }
    assert_eq!(affinity.owner_of("resp_0", &graph), None, "the oldest is forgotten");
    assert_eq!(affinity.owner_of("resp_1", &graph), Some(0));
    affinity.learn("resp_1", b);
    assert_eq!(affinity.owner_of("resp_1", &graph), Some(1), "what was seen last counts");
    assert_eq!(affinity.owner_of("resp_none", &graph), None);
    // A graph without that deployment.
    assert_eq!(affinity.owner_of("resp_1", &builder(&["a"]).graph()), None);
}
