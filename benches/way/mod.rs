//! The path of one healthy request through the core, step by step. The steps are those of the
//! Worker, without the network. The benchmarks use it, and so does the test that counts what each
//! step allocates.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Value, json};
use switchyard::attempt::attempt_budgets::AttemptBudgets;
use switchyard::attempt::context::Context;
use switchyard::attempt::machine::{Action, Dispatch, Machine, MachineEvent, Reply};
use switchyard::attempt::phase::{Phase, PhaseLimit};
use switchyard::attempt::success::{Success, fault_behind_success};
use switchyard::balance::cursors::Cursors;
use switchyard::entry::entry_node;
use switchyard::health::{GateChange, Health, Outcome, Sample};
use switchyard::reply::response_headers::{ServedRequest, own};
use switchyard::request::api_path::{self, ApiPath};
use switchyard::request::credentials;
use switchyard::request::json_body::{Edit, Peek, edit};
use switchyard::request::splice::Splice;
use switchyard::routes::compile;
use switchyard::routes::graph::{Client, Graph, Node};
use switchyard::upstream::{UpstreamCall, UpstreamRequest, prepare};
use switchyard::vocabulary::facts::{Facts, Place};
use switchyard::vocabulary::needs::Needs;
use switchyard::vocabulary::operation::Operation;
use switchyard::vocabulary::rng::{Rng, SplitMix64, stable_hash};
use switchyard::vocabulary::time::{Instant, Millis};

/// The routes document at the root of the repository.
pub const SAMPLE: &str = include_str!("../../routes.json");

/// The key of the client in the sample.
const KEY: &str = "sk-switchyard-0123456789abcdef0123456789abcdef";

/// The body of an answer of the deployment.
pub const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1767225600,"model":"gpt-4o-2024-08-06",
"choices":[{"index":0,"message":{"role":"assistant","content":"It is a gateway."},"finish_reason":"stop"}],
"usage":{"prompt_tokens":200,"completion_tokens":6,"total_tokens":206}}"#;

/// The sample, enlarged to what a large company has: 200 deployments, 260 more nodes, 300 more
/// clients and 500 rules of all kinds. The added rules stand before the rules of the sample. None
/// of them matches a request that is meant for the sample.
pub fn large() -> String {
    let mut document: Value = serde_json::from_str(SAMPLE).unwrap();
    let mut add = |section: &str, name: String, entry: Value| {
        document[section].as_object_mut().unwrap().insert(name, entry);
    };
    for n in 0..300 {
        let client =
            json!({ "key": format!("${{CLIENT_{n}_KEY}}"), "models": [format!("team-{n}-*"), "chat"] });
        add("clients", format!("client-{n}"), client);
    }
    let deployments = 200 - 9;
    for n in 0..deployments {
        let deployment = json!({
            "provider": "azure", "endpoint": format!("${{RESOURCE_{n}_ENDPOINT}}"), "api_key": format!("${{AZURE_{n}_KEY}}"),
            "deployment": format!("gpt-4o-{n}"), "region": "eastus", "tags": ["us"], "quality": n % 5,
        });
        add("deployments", format!("azure-{n}"), deployment);
    }
    for n in 0..260 {
        let targets: Vec<String> = (0..4).map(|more| format!("azure-{}", (n + more) % deployments)).collect();
        let strategy = ["priority", "weighted", "latency", "round_robin"][n % 4];
        add("models", format!("team-{n}-chat"), json!({ "strategy": strategy, "targets": targets }));
    }
    let rules = (0..500 - 4).map(|n| {
        let when = match n % 8 {
            0 => json!({ "path": format!("/ai/team-{n}/*") }),
            1 => json!({ "path": "/v1/*", "metadata": { "team": format!("team-{n}") } }),
            2 => json!({ "header": { "x-tenant": format!("tenant-{n}") }, "model": "chat*" }),
            3 => json!({ "model": format!("team-{n}-*"), "percent": 10, "by": "client" }),
            4 => json!({ "client": format!("client-{}", n % 300), "operation": "chat/completions" }),
            5 => json!({ "any": [{ "model": format!("gpt-{n}") }, { "header": { "x-model": format!("gpt-{n}") } }] }),
            6 => json!({ "body": { "user": format!("user-{n}-*") }, "country": { "not": ["DE", "FR"] } }),
            _ => json!({ "metadata": { "project": [format!("p-{n}"), format!("q-{n}")] }, "input_tokens": { "gt": 10 } }),
        };
        json!({ "when": when, "use": format!("team-{}-chat", n % 260) })
    });
    let mut rules: Vec<Value> = rules.collect();
    rules.extend_from_slice(document["rules"].as_array().unwrap());
    document["rules"] = Value::Array(rules);
    document.to_string()
}

/// A chat request of about `bytes` bytes, in messages of about `message_bytes` bytes each.
pub fn chat(bytes: usize, message_bytes: usize) -> Vec<u8> {
    let content = "All that the user said. ".repeat(message_bytes.div_ceil(24));
    let message = json!({ "role": "user", "content": content });
    let count = (bytes / (content.len() + 32)).max(1);
    let body = json!({
        "messages": vec![message; count], "max_tokens": 256, "model": "chat", "temperature": 0.2, "user": "user-1",
    });
    body.to_string().into_bytes()
}

/// An isolate that serves requests for the model `chat`.
pub struct Way {
    pub graph: Rc<Graph>,
    pub body: Vec<u8>,
    rng: SplitMix64,
    cursors: Cursors,
    health: Health,
    budgets: AttemptBudgets,
    changes: Vec<GateChange>,
    now: Instant,
}

impl Way {
    /// An isolate with the graph of `document`. It has already served 100 requests.
    pub fn new(document: &str) -> Self {
        let env = |name: &str| {
            Some(match name {
                "SWITCHYARD_KEY" => KEY.to_owned(),
                _ if name.ends_with("ENDPOINT") => {
                    format!("https://{}.openai.azure.com", name.to_lowercase().replace('_', "-"))
                }
                _ if name.ends_with("URL") => "https://api.openai.com/v1".to_owned(),
                // Other values are as long as the key in the requests.
                _ => format!("sk-switchyard-{:032x}", stable_hash(name.as_bytes())),
            })
        };
        let graph = compile(document, &env).unwrap().graph;
        let mut rng = SplitMix64::new(1);
        let cursors = Cursors::new(graph.node_count, &mut rng);
        let known = graph.deployments.iter().map(|found| (found.identity.clone(), found.limits));
        let mut way = Self {
            health: Health::new(known),
            graph: Rc::new(graph),
            body: chat(1_000, 800),
            rng,
            cursors,
            budgets: AttemptBudgets::default(),
            changes: Vec::new(),
            now: Instant::from_epoch_ms(1_767_225_600_000),
        };
        (0..100).for_each(|_| way.whole());
        way
    }

    /// Finds the client and the operation.
    pub fn arrive(&self) -> (&Client, Operation) {
        let path = api_path::parse("/v1/chat/completions", &self.graph.prefixes).with_method("POST");
        let ApiPath::Operation { operation, .. } = path else { panic!("{path:?}") };
        let key = format!("Bearer {KEY}");
        (credentials::client(&self.graph, credentials::key(Some(&key), None)).unwrap(), operation)
    }

    /// Reads the members of the body.
    pub fn peek(&self) -> Peek {
        Peek::of(&self.body).unwrap()
    }

    pub fn facts(&mut self, peek: &Peek, client: &Client, operation: Operation) -> Facts {
        Facts {
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            query: BTreeMap::new(),
            operation,
            model: peek.model.clone().unwrap(),
            client: client.name.clone(),
            key: String::new(),
            headers: BTreeMap::new(),
            metadata: BTreeMap::new(),
            place: Place { colo: Some("FRA".to_owned()), ..Place::default() },
            body: peek.fields(&self.body, &self.graph.reads.body, |_| None),
            labels: Rc::clone(&client.guard.labels),
            texts: Vec::new(),
            input_tokens: self.body.len() as u64 / 4,
            max_output_tokens: peek.max_output_tokens,
            needs: Needs::default(),
            is_streamed: peek.is_streamed,
            is_replayable: true,
            has_side_effects: peek.has_side_effects(operation),
            is_done_once: false,
            previous_response_id: None,
            owner: None,
            patience_ms: None,
            upload_ms: Millis::ZERO,
            draw: self.rng.unit(),
        }
    }

    /// Chooses the entry node.
    pub fn choose(&self, facts: &Facts, client: &Client) -> Rc<Node> {
        entry_node::choose(&self.graph, facts, client).unwrap()
    }

    /// Starts the machine, which dispatches the first attempt.
    pub fn start(&mut self, facts: &Rc<Facts>, node: &Rc<Node>) -> (Machine, Dispatch) {
        self.now += Millis::new(10);
        let (graph, facts) = (Rc::clone(&self.graph), Rc::clone(facts));
        let (machine, action) = Machine::start(graph, facts, node, &mut self.context());
        let Action::Dispatch(dispatch) = action else { panic!("{action:?}") };
        (machine, dispatch)
    }

    /// The request to the upstream, the edited body, and the time limit for the response headers.
    pub fn call(
        &self,
        dispatch: &Dispatch,
        facts: &Facts,
        peek: &Peek,
    ) -> (UpstreamRequest, Option<Splice>, PhaseLimit) {
        let call = UpstreamCall {
            operation: facts.operation,
            stored_object: None,
            query: "",
            node: "chat",
            client: &facts.client,
            request_id: "req_1",
            attempt: dispatch.number,
        };
        let outgoing = prepare(&dispatch.deployment, &call);
        let changes = Edit {
            model: outgoing.model.as_deref(),
            params: &dispatch.deployment.params,
            asks_for_usage: false,
        };
        let body = edit(&self.body, peek, &changes);
        (outgoing, body, dispatch.limits.of(Phase::Headers, self.now))
    }

    /// Checks the answer and reports the commit to the machine.
    pub fn answered(&mut self, machine: &mut Machine, dispatch: &Dispatch, facts: &Facts) {
        let success = Success {
            operation: facts.operation,
            status: 200,
            content_type: "application/json",
            body: ANSWER.as_bytes(),
            is_whole: true,
        };
        assert_eq!(fault_behind_success(&success), None);
        self.now += Millis::new(10);
        let action =
            machine.on(MachineEvent::Committed { number: dispatch.number, status: 200 }, &mut self.context());
        assert!(matches!(action, Action::Reply(Reply::Pass)), "{action:?}");
    }

    /// The headers of the reply. The attempt is recorded in health.
    pub fn reply(&mut self, machine: &mut Machine, node: &Node) -> Vec<(&'static str, String)> {
        let trail = machine.take_trail();
        let served = ServedRequest {
            request_id: "req_1",
            routes: &self.graph.version,
            node: Some(&node.name),
            tried: Some((&trail, Millis::new(11))),
            used: None,
        };
        let headers = own(&served, self.graph.settings.expose);
        let sample = Sample { output_tokens: Some(6), ..Sample::of(Outcome::Served) };
        let ticket = machine.take_ticket().unwrap();
        let Context { now, rng, health, changes, .. } = self.context();
        changes.extend(health.record(ticket, &sample, now, rng));
        headers
    }

    /// All steps of one request.
    pub fn whole(&mut self) {
        let graph = Rc::clone(&self.graph);
        let operation = self.arrive().1;
        let client = graph.clients.iter().flatten().find(|client| client.name == "app").unwrap();
        let peek = self.peek();
        let facts = Rc::new(self.facts(&peek, client, operation));
        let node = self.choose(&facts, client);
        let (mut machine, dispatch) = self.start(&facts, &node);
        self.call(&dispatch, &facts, &peek);
        self.answered(&mut machine, &dispatch, &facts);
        self.reply(&mut machine, &node);
    }

    fn context(&mut self) -> Context<'_> {
        let Self { rng, cursors, health, budgets, changes, now, .. } = self;
        Context { now: *now, rng, cursors, health, budgets, changes, notes: None }
    }
}
