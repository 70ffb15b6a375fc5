//! `switchyard explain`: where a request would go, and why.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::Read;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use serde::Deserialize;
use switchyard::health::{Health, Snapshot};
use switchyard::routes::graph::Graph;
use switchyard::routes::{compile, nearest};
use switchyard::serve::explain_request::ExplainRequest;
use switchyard::serve::explained::explain as explained;
use switchyard::serve::fact_source::FactSource;
use switchyard::serve::serving::{Serving, Source};
use switchyard::simulation::setup::made_up;
use switchyard::vocabulary::facts::Place;
use switchyard::vocabulary::rng::{Rng, SplitMix64};
use switchyard::vocabulary::time::Instant;

use crate::check::environment;
use crate::document_check::refusal;
use crate::explain_text;
use crate::output::{failed, is_coloured, say};

const EXAMPLES: &str = "\
Examples:
  cargo run -- explain --request request.json
  cargo run -- explain --routes examples/use-cases.json --request request.json --seed 2
  curl -H \"authorization: Bearer $ADMIN_TOKEN\" https://GATEWAY/admin/api/health > health.json
  cargo run -- explain --request request.json --health health.json --json

A request is an object like this one, where only `path` is required:
  {\"path\": \"/v1/chat/completions\", \"client\": \"app\",
   \"headers\": {\"x-tier\": \"gold\"}, \"place\": {\"country\": \"DE\", \"colo\": \"FRA\"},
   \"body\": {\"model\": \"chat\", \"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}}

Exit codes: 0 if a deployment is tried or the gateway answers itself, 1 if the client gets an
error of the gateway at once, 2 if the request cannot be explained.";

/// Says where a request would go and why, without sending anything.
///
/// Every attempt is assumed to fail, so that all of them are shown. Variables come from the
/// environment, then from .dev.vars. A missing one gets a made-up value.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The routes document.
    #[arg(long, value_name = "FILE", default_value = "routes.json")]
    routes: String,
    /// The request; `-` reads it from standard input.
    #[arg(long, value_name = "FILE")]
    request: String,
    /// The answer of GET /admin/api/health. Without it, every deployment is healthy.
    #[arg(long, value_name = "FILE")]
    health: Option<String>,
    /// The seed of the draws: another one shows another draw.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Leave deployments out whose variables are missing, as the Worker does.
    #[arg(long)]
    strict: bool,
    /// Print one JSON object, as POST /admin/api/explain answers.
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub fn explain(arguments: &Arguments) -> ExitCode {
    run(arguments).unwrap_or_else(|why| failed("not_done", &why, 2, arguments.json))
}

fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let document = read(&arguments.routes)?;
    let known = environment();
    let missing = RefCell::new(BTreeSet::new());
    let env = |name: &str| {
        known(name).or_else(|| {
            missing.borrow_mut().insert(name.to_owned());
            (!arguments.strict).then(|| made_up(name))
        })
    };
    let compiled = compile(&document, &env)
        .map_err(|errors| refusal(&arguments.routes, &document, &errors, "it serves nothing"))?;
    let text = read(&arguments.request)?;
    let request = ExplainRequest::parse(&text).map_err(|why| format!("{}: {why}", arguments.request))?;
    let mut rng = SplitMix64::new(arguments.seed);
    let serving = Serving::new(compiled, Source::CompiledIn, 0, None, &mut rng);
    let now = match &arguments.health {
        None => system_time(),
        Some(file) => restore(&serving, file)?,
    };
    let source = Assumed { now, rng: RefCell::new(rng), place: request.place.clone() };
    let explanation =
        explained(&serving, &request, &source).map_err(|why| format!("{}: {why}", arguments.request))?;
    if arguments.json {
        say(format_args!("{}\n", serde_json::to_string_pretty(&explanation).unwrap_or_default()));
    } else {
        let missing = missing.into_inner();
        if !missing.is_empty() && !arguments.strict {
            let names: Vec<&str> = missing.iter().map(String::as_str).collect();
            eprintln!("note: not set, so made up: {}", names.join(", "));
        }
        let text = explain_text::text(&explanation, arguments.health.is_some(), is_coloured());
        say(format_args!("{text}"));
    }
    Ok(if explanation.error.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn read(file: &str) -> Result<String, String> {
    let text = if file == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    text.map_err(|error| format!("{file}: {error}"))
}

#[expect(clippy::disallowed_methods, reason = "the command line is outside the core")]
fn system_time() -> Instant {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Instant::from_epoch_ms(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The answer of `GET /admin/api/health`, as far as it is used.
#[derive(Deserialize)]
struct HealthAnswer {
    now: Instant,
    #[serde(default)]
    object: Option<String>,
    #[serde(default)]
    trouble: Option<String>,
    deployments: Vec<DeploymentAnswer>,
}

#[derive(Deserialize)]
struct DeploymentAnswer {
    deployment: String,
    isolate: Snapshot,
}

/// Sets the health of the deployments to that of a file. Returns its time.
fn restore(serving: &Serving, file: &str) -> Result<Instant, String> {
    let answer: HealthAnswer = serde_json::from_str(&read(file)?)
        .map_err(|error| format!("{file}: it is not an answer of GET /admin/api/health: {error}"))?;
    let graph: &Graph = &serving.graph;
    let mut known = Vec::new();
    for DeploymentAnswer { deployment: name, isolate } in &answer.deployments {
        if let Some(deployment) = graph.deployments.iter().find(|deployment| deployment.name == *name) {
            known.push((deployment.id, isolate));
            continue;
        }
        let meant = nearest(name, graph.deployments.iter().map(|found| found.name.as_str()));
        let meant = meant.map(|meant| format!("; did you mean '{meant}'?")).unwrap_or_default();
        eprintln!("note: the document has no deployment '{name}', so its health is not used{meant}");
    }
    let has_shard = answer.object.is_some() && answer.trouble.is_none();
    let restored = Health::of(&graph.deployments).restored(known, has_shard, answer.now);
    serving.health.replace(restored);
    Ok(answer.now)
}

/// What is assumed about a request, besides its text.
struct Assumed {
    now: Instant,
    rng: RefCell<SplitMix64>,
    place: Place,
}

impl FactSource for Assumed {
    fn now(&self) -> Instant {
        self.now
    }

    fn random(&self) -> u64 {
        self.rng.borrow_mut().next_u64()
    }

    fn place(&self) -> Place {
        self.place.clone()
    }

    fn owner_of(&self, _id: &str) -> Option<usize> {
        None
    }

    fn body_part(&self, _start: usize, _end: usize) -> Vec<u8> {
        Vec::new()
    }
}
