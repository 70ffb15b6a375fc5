//! For random documents, requests and health: an explanation names what the machine tries.

use std::rc::Rc;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use switchyard::attempt::attempt_budgets::AttemptBudgets;
use switchyard::attempt::context::Context;
use switchyard::attempt::failure::Failure;
use switchyard::attempt::machine::{Action, Machine, MachineEvent};
use switchyard::balance::cursors::Cursors;
use switchyard::explain::course_view::PlannedTarget;
use switchyard::health::{AnswerKind, Outcome, Sample};
use switchyard::serve::explain_request::ExplainRequest;
use switchyard::serve::explained::{Explanation, explain};
use switchyard::serve::fact_source::FactSource;
use switchyard::serve::receive::{Arrival, Inbound, Subject};
use switchyard::serve::serving::Serving;
use switchyard::telemetry::trace_context::TraceContext;
use switchyard::upstream::Credential;
use switchyard::vocabulary::error_class::ErrorClass;
use switchyard::vocabulary::operation::Operation;
use switchyard::vocabulary::rng::{Rng as _, SplitMix64};

use super::times::ms;
use super::{Assumed, NOW, SECRET, serving};

/// Makes random choices from a seed.
struct Dice(SplitMix64);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        self.0.below(count)
    }

    /// True once in so many times.
    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn any<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// Adds a key once in so many times.
    fn maybe(&mut self, many: usize, to: &mut Value, key: &str, value: impl FnOnce(&mut Self) -> Value) {
        if self.one_in(many) {
            to[key] = value(self);
        }
    }

    fn document(&mut self) -> Value {
        let deployments: Vec<String> = (0..=self.below(5)).map(|index| format!("d{index}")).collect();
        let mut declared = Map::new();
        for name in &deployments {
            declared.insert(name.clone(), self.deployment(name));
        }
        let mut names = deployments;
        let mut models = Map::new();
        for index in 0..=self.below(4) {
            let node = self.node(&names);
            let name = format!("n{index}");
            models.insert(name.clone(), node);
            names.push(name);
        }
        let last = format!("n{}", models.len() - 1);
        let mut settings = json!({ "max_attempts": 1 + self.below(8) });
        self.maybe(5, &mut settings, "on", |_| json!({ "unavailable": names[0] }));
        self.maybe(8, &mut settings, "min_quality", |_| json!(1));
        let mut document = json!({
            "version": 1, "settings": settings, "deployments": declared, "models": models,
            "clients": { "app": { "key": "${APP_KEY}" } },
        });
        self.maybe(2, &mut document, "rules", |dice| {
            let when = match dice.below(3) {
                0 => json!({ "header": { "x-tier": "gold" } }),
                1 => json!({ "percent": 50 }),
                _ => json!({ "body": { "user": "u1" } }),
            };
            json!([{ "when": when, "use": last }])
        });
        document
    }

    fn deployment(&mut self, name: &str) -> Value {
        let key = if self.one_in(12) { "MISSING" } else { "KEY" };
        let mut deployment = json!({ "api_key": format!("${{{key}_{name}}}"), "quality": self.below(4) });
        if self.one_in(3) {
            deployment["provider"] = json!("azure");
            deployment["endpoint"] = json!(format!("https://{name}.openai.azure.com"));
            deployment["deployment"] = json!(format!("gpt-{name}"));
            deployment["api_version"] = json!(self.any(&["2024-10-21", "v1"]));
        } else {
            deployment["provider"] = json!("openai");
            deployment["model"] = json!(format!("gpt-{name}"));
        }
        self.maybe(2, &mut deployment, "tags", |_| json!(["eu"]));
        self.maybe(2, &mut deployment, "region", |dice| {
            json!(dice.any(&["eastus", "westeurope", "japaneast"]))
        });
        self.maybe(2, &mut deployment, "cost", |dice| json!({ "input": dice.below(5), "output": 1 }));
        self.maybe(4, &mut deployment, "capabilities", |dice| match dice.below(3) {
            0 => json!({ "tools": false }),
            1 => json!({ "output_tokens": 1_000 }),
            _ => json!({ "context_tokens": 20 }),
        });
        self.maybe(
            3,
            &mut deployment,
            "params",
            |_| json!({ "drop": ["store"], "set": { "temperature": 0, "safety_identifier": "${TENANT}" } }),
        );
        self.maybe(4, &mut deployment, "limits", |_| json!({ "rpm": 60, "tpm": 1_000 }));
        deployment
    }

    fn node(&mut self, names: &[String]) -> Value {
        let strategies = [
            "priority",
            "weighted",
            "round_robin",
            "random",
            "latency",
            "cost",
            "least_busy",
            "nearest",
            "tiers",
            "match",
        ];
        let strategy = *self.any(&strategies);
        let targets: Vec<Value> = (0..=self.below(4))
            .map(|index| {
                let to = self.any(names).clone();
                match strategy {
                    "weighted" if index > 0 && self.one_in(5) => json!({ "use": to, "weight": 0 }),
                    "weighted" => json!({ "use": to, "weight": 1 + self.below(9) }),
                    "tiers" => json!({ "use": to, "priority": self.below(2), "weight": 1 + self.below(3) }),
                    _ => json!(to),
                }
            })
            .collect();
        let mut node = if strategy == "match" {
            let when = json!({ "header": { "x-tier": "gold" } });
            json!({ "strategy": "match", "cases": [{ "when": when, "use": targets[0] }], "else": targets[targets.len() - 1] })
        } else {
            let strategy = if strategy == "tiers" { "priority" } else { strategy };
            json!({ "strategy": strategy, "targets": targets })
        };
        self.maybe(4, &mut node, "fallback_on", |dice| {
            json!([dice.any(&["unavailable", "rate_limit", "503"])])
        });
        if node.get("fallback_on") == Some(&json!(["503"])) {
            node["fallback_on"] = json!([503]);
        }
        self.maybe(4, &mut node, "on", |dice| {
            let class = *dice.any(&["unavailable", "context_window", "timeout"]);
            json!({ class: dice.any(names) })
        });
        self.maybe(4, &mut node, "retry", |dice| json!({ "attempts": dice.below(3) }));
        self.maybe(5, &mut node, "max_attempts", |dice| json!(1 + dice.below(5)));
        self.maybe(8, &mut node, "min_quality", |dice| json!(dice.below(3)));
        self.maybe(8, &mut node, "require_tags", |_| json!(["eu"]));
        self.maybe(4, &mut node, "sticky", |_| json!({ "by": "user" }));
        self.maybe(8, &mut node, "hedge", |_| json!({ "after": 100, "max_share": 1 }));
        self.maybe(6, &mut node, "when_all_ejected", |_| json!("fail"));
        self.maybe(6, &mut node, "deadline_ms", |_| json!(3_000));
        node
    }

    fn request(&mut self) -> Value {
        let model = if self.one_in(15) { "unknown".to_owned() } else { format!("n{}", self.below(4)) };
        let mut body = json!({ "model": model, "messages": [{ "role": "user", "content": "Hello, how are you today?" }] });
        self.maybe(3, &mut body, "tools", |_| json!([{ "type": "function" }]));
        self.maybe(3, &mut body, "max_tokens", |_| json!(2_000));
        self.maybe(2, &mut body, "stream", |_| json!(true));
        self.maybe(2, &mut body, "user", |dice| json!(format!("u{}", dice.below(3))));
        self.maybe(3, &mut body, "store", |_| json!(true));
        let mut request = match self.below(10) {
            0 => json!({ "path": "/v1/files/file-1" }),
            1 => json!({ "path": "/v1/responses", "body": body }),
            _ => json!({ "path": "/v1/chat/completions?api-version=1", "body": body }),
        };
        request["client"] = json!("app");
        self.maybe(2, &mut request, "headers", |_| {
            json!({ "x-tier": "gold", "Authorization": format!("Bearer {SECRET}-client"), "cf-ray": "1" })
        });
        self.maybe(2, &mut request, "place", |dice| json!({ "colo": dice.any(&["FRA", "IAD", "NRT"]) }));
        request
    }

    /// Things that have happened to the deployments of an isolate.
    fn past(&mut self, serving: &Serving) {
        let mut health = serving.health.borrow_mut();
        for id in 0..serving.graph.deployments.len() {
            let kind = if self.one_in(2) { AnswerKind::Stream } else { AnswerKind::Whole };
            let began_at = NOW - ms(1 + self.below(20_000) as u64);
            let begin = |health: &mut switchyard::health::Health| {
                health.begin(id, Operation::ChatCompletions, kind, 100, began_at)
            };
            let (outcome, times) = match self.below(8) {
                0 => {
                    health.drain(id);
                    continue;
                }
                1 => {
                    drop(begin(&mut health));
                    continue;
                }
                2 => {
                    let hint = ms(self.below(60_000) as u64);
                    (Outcome::failed(ErrorClass::RateLimit, Some(hint)), 1)
                }
                3 => (Outcome::failed(ErrorClass::Unavailable, None), 1 + self.below(8)),
                4 | 5 => (Outcome::Served, 1 + self.below(3)),
                6 => (Outcome::failed(ErrorClass::NotFound, None), 1),
                _ => continue,
            };
            for _ in 0..times {
                let ticket = begin(&mut health);
                let ended_at = began_at + ms(self.below(900) as u64);
                health.record(ticket, &Sample::of(outcome), ended_at, &mut self.0);
            }
        }
    }
}

/// The request as the gateway receives it. `None` if it gets an error before any attempt.
fn received(serving: &Serving, request: &ExplainRequest, source: &dyn FactSource) -> Option<Inbound> {
    let graph = &serving.graph;
    let arrival = Rc::new(Arrival {
        method: request.method.clone(),
        path: request.path.clone(),
        query: request.query.clone(),
        headers: request.headers.clone(),
        at: NOW,
        id: "req_1".to_owned(),
        trace: TraceContext::of(None, "req_1"),
    });
    let subject = Subject::of(arrival.asks_for(graph).ok()?, &arrival).ok()?;
    let client = graph.clients.iter().flatten().next()?;
    Inbound::of_bytes(&arrival, graph, client, subject, request.body.clone(), source).ok()
}

/// What the machine tries if every attempt fails at once, and the waits between.
fn tried(serving: &Serving, inbound: &Inbound, source: &dyn FactSource) -> Vec<(String, u64)> {
    let graph = &serving.graph;
    let mut health = serving.health.borrow().clone();
    // The cursors of an isolate that has served nothing.
    let cursors = Cursors::new(graph.node_count, &mut SplitMix64::new(1));
    let (mut budgets, mut changes, mut now) = (AttemptBudgets::default(), Vec::new(), NOW);
    let mut rng = SplitMix64::new(source.random());
    let mut context = |now, step: &mut dyn FnMut(&mut Context<'_>)| {
        let (rng, health, budgets) = (&mut rng, &mut health, &mut budgets);
        let changes = &mut changes;
        step(&mut Context { now, rng, cursors: &cursors, health, budgets, changes, notes: None });
    };
    let mut started = None;
    context(now, &mut |context| {
        let facts = Rc::clone(&inbound.facts);
        started = Some(Machine::start(Rc::clone(graph), facts, &inbound.node, context));
    });
    let (mut machine, mut action) = started.unwrap();
    let mut tried = Vec::new();
    let mut waited_ms = 0;
    loop {
        let mut event = Some(match action {
            Action::Dispatch(dispatch) => {
                tried.push((dispatch.deployment.name.clone(), std::mem::take(&mut waited_ms)));
                let failure = Failure::silent(ErrorClass::Unavailable, "");
                MachineEvent::Failed { number: dispatch.number, failure }
            }
            Action::Sleep { ms } => {
                now += ms;
                waited_ms += ms.get();
                MachineEvent::SleepElapsed
            }
            Action::Reply(_) | Action::Stop => return tried,
            Action::Wait => panic!("nothing is under way"),
        });
        let mut next = None;
        context(now, &mut |context| next = Some(machine.on(event.take().unwrap(), context)));
        action = next.unwrap();
    }
}

/// The numbers of all attempts below these targets, with the names of the nodes around each.
fn placed(targets: &[PlannedTarget], path: &[String], found: &mut Vec<(u32, String, Vec<String>)>) {
    for target in targets {
        found.extend(target.attempts.iter().map(|number| (*number, target.to.clone(), path.to_vec())));
        let inner = target.node.iter().flat_map(|node| &node.targets);
        let inner: Vec<PlannedTarget> = inner.cloned().collect();
        placed(&inner, &[path, std::slice::from_ref(&target.to)].concat(), found);
    }
}

/// What is said of each target fits together.
fn check_targets(targets: &[PlannedTarget]) {
    let mut places: Vec<usize> = targets.iter().filter_map(|target| target.place).collect();
    places.sort_unstable();
    assert!(places.iter().enumerate().all(|(index, place)| index + 1 == *place), "{targets:#?}");
    for target in targets {
        let is_passed_over = target.excluded.as_ref().is_some_and(|excluded| excluded.kind == "ejected");
        assert!(target.excluded.is_none() || target.attempts.is_empty() || is_passed_over, "{target:#?}");
        assert!(target.place.is_some() || target.edge.is_some() || target.excluded.is_some(), "{target:#?}");
        assert!(target.node.is_none() || target.attempts.is_empty(), "{target:#?}");
        if let Some(node) = &target.node {
            check_targets(&node.targets);
        }
    }
}

fn check(explanation: &Explanation, expected: &[(String, u64)]) {
    let course = explanation.course.as_ref().unwrap();
    let named: Vec<(String, u64)> =
        course.attempts.iter().map(|attempt| (attempt.deployment.clone(), attempt.wait_ms.get())).collect();
    assert_eq!(named, expected, "{explanation:#?}");
    let mut found = Vec::new();
    placed(&course.tree, &[], &mut found);
    found.sort();
    let attempts: Vec<_> = course
        .attempts
        .iter()
        .map(|attempt| (attempt.number, attempt.deployment.clone(), attempt.path.clone()))
        .collect();
    assert_eq!(found, attempts, "each attempt has one place: {:#?}", course.tree);
    check_targets(&course.tree);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_explanation_names_what_the_machine_tries_and_keeps_every_secret(seed: u64, draws: u64) {
        let mut dice = Dice(SplitMix64::new(seed));
        let serving = serving(&dice.document());
        dice.past(&serving);
        let request = ExplainRequest::parse(&dice.request().to_string()).unwrap();
        let owner = if dice.one_in(2) { Some(0) } else { None };
        let source = || Assumed { owner, ..Assumed::of(&request, draws) };
        let before = serving.health.borrow().snapshot(NOW);
        let explanation = explain(&serving, &request, &source()).unwrap();
        prop_assert_eq!(serving.health.borrow().snapshot(NOW), before, "nothing of the isolate changes");
        prop_assert_eq!(&explanation, &explain(&serving, &request, &source()).unwrap());
        let text = serde_json::to_string(&explanation).unwrap();
        prop_assert!(!text.contains(SECRET), "{}", text);

        let live = source();
        let Some(inbound) = received(&serving, &request, &live) else {
            prop_assert!(explanation.course.is_none() && explanation.error.is_some(), "{:#?}", explanation);
            return Ok(());
        };
        let expected = tried(&serving, &inbound, &live);
        prop_assert_eq!(explanation.error.is_some(), expected.is_empty(), "{:#?}", explanation);
        check(&explanation, &expected);
        for call in &explanation.calls {
            let deployment = serving.graph.deployments.iter().find(|known| known.name == call.deployment);
            let deployment = deployment.unwrap();
            let sent = inbound.prepare(deployment, Credential::key(deployment, 0), (1, &inbound.arrival.query), false, 1);
            if let Ok(sent) = sent {
                prop_assert_eq!(&call.url, &sent.url);
                let headers: Vec<_> = sent.headers.iter().map(|(name, _)| name).collect();
                prop_assert_eq!(&call.headers_set, &headers);
            }
        }
    }
}
