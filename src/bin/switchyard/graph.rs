//! `switchyard graph`: a picture of a routes document.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde::Deserialize;
use switchyard::drawing::mermaid::{MOST_EDGES, MOST_TEXT, mermaid};
use switchyard::drawing::picture::{Picture, ShownState};
use switchyard::drawing::svg::svg;
use switchyard::health::gate::GatePosition;
use switchyard::routes::graph::Deployment;
use switchyard::routes::{Issue, compile};
use switchyard::simulation::setup::made_up;

use crate::check::environment;
use crate::document_check::refusal;
use crate::gateway_client::{GatewayArguments, GatewayClient};
use crate::gateway_error::GatewayError;
use crate::output::{failed, say};

const EXAMPLES: &str = "\
Examples:
  cargo run -- graph
  cargo run -- graph examples/use-cases.json --format svg --output routes.svg
  cargo run -- graph my-routes.json --strict
  cargo run -- graph --gateway https://switchyard.example.workers.dev --format svg
  cargo run -- graph --json

Exit codes: 0 if there is a picture, 1 if the document has errors, 2 if the arguments are not
understood or a file cannot be read or written, 3 if the gateway cannot be asked.";

/// Draws a routes document: its rules, nodes, targets, edges and deployments.
///
/// Mermaid text is what GitHub draws in a block of the language `mermaid`. Variables have made-up
/// values, so that no picture has a secret.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The routes document. Without it, the document that the gateway serves, or routes.json.
    file: Option<String>,
    /// What is written.
    #[arg(long, value_enum, default_value_t = Format::Mermaid)]
    format: Format,
    /// The file to write, in place of standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<String>,
    /// Mark the deployments whose variables are missing or invalid here.
    #[arg(long)]
    strict: bool,
    /// Print one JSON object: the `version`, the `nodes` and the `edges`.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// The gateway whose view of the deployments is drawn: which are ejected, drained or disabled.
    #[command(flatten)]
    gateway: GatewayArguments,
}

/// The form of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Text that Mermaid draws.
    Mermaid,
    /// A picture.
    Svg,
}

/// Why there is no picture.
enum NoPicture {
    /// The document has errors.
    Refused(String),
    /// A file cannot be read or written.
    File(String),
    /// The gateway cannot be asked.
    Gateway(GatewayError),
}

impl From<GatewayError> for NoPicture {
    fn from(error: GatewayError) -> Self {
        Self::Gateway(error)
    }
}

/// Runs the subcommand.
pub fn graph(arguments: &Arguments) -> ExitCode {
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(NoPicture::Gateway(error)) => error.report(arguments.json),
        Err(NoPicture::Refused(why)) => failed("invalid_document", &why, 1, arguments.json),
        Err(NoPicture::File(why)) => failed("unusable_file", &why, 2, arguments.json),
    }
}

fn run(arguments: &Arguments) -> Result<(), NoPicture> {
    let client = arguments
        .gateway
        .is_named()
        .then(|| GatewayClient::from_arguments(&arguments.gateway))
        .transpose()?;
    let (name, document) = match (&arguments.file, &client) {
        (None, Some(client)) => {
            (client.origin().to_owned(), client.get("/admin/api/routes/document", &[])?.accepted()?.body)
        }
        (file, _) => {
            let file = file.as_deref().unwrap_or("routes.json");
            let read = std::fs::read_to_string(file);
            (file.to_owned(), read.map_err(|error| NoPicture::File(format!("{file}: {error}")))?)
        }
    };
    let refused = |issues: Vec<Issue>| {
        NoPicture::Refused(refusal(&name, &document, &issues, "there is nothing to draw"))
    };
    // Values of variables are in conditions too, so the picture is of made-up ones.
    let drawn = compile(&document, &|name| Some(made_up(name))).map_err(refused)?.graph;
    let mut states = client.as_ref().map(states_at).transpose()?.unwrap_or_default();
    if arguments.strict {
        let real = compile(&document, &environment()).map_err(refused)?.graph;
        let disabled = real.deployments.iter().filter(|deployment| deployment.disabled.is_some());
        states.extend(disabled.map(|deployment| (deployment.name.clone(), ShownState::Disabled)));
    }
    let state_of = |deployment: &Deployment| states.get(&deployment.name).copied();
    let picture = Picture::of(&drawn, &state_of);
    let text = if arguments.json {
        format!("{}\n", serde_json::to_string_pretty(&picture).unwrap_or_default())
    } else {
        match arguments.format {
            Format::Mermaid => mermaid_within_limits(&picture),
            Format::Svg => svg(&picture),
        }
    };
    match &arguments.output {
        None => say(format_args!("{text}")),
        Some(output) => {
            std::fs::write(output, text).map_err(|error| NoPicture::File(format!("{output}: {error}")))?;
        }
    }
    Ok(())
}

/// The answer of `GET /admin/api/health`, as far as it is used.
#[derive(Deserialize)]
struct HealthStates {
    deployments: Vec<DeploymentHealth>,
}

#[derive(Deserialize)]
struct DeploymentHealth {
    deployment: String,
    isolate: IsolateView,
}

#[derive(Deserialize)]
struct IsolateView {
    gate: GateState,
}

#[derive(Deserialize)]
struct GateState {
    state: GatePosition,
}

/// The answer of `GET /admin/api/routes`, as far as it is used.
#[derive(Deserialize)]
struct RoutesStates {
    disabled: Vec<DisabledName>,
}

#[derive(Deserialize)]
struct DisabledName {
    deployment: String,
}

/// The states of the deployments at a gateway.
fn states_at(client: &GatewayClient) -> Result<BTreeMap<String, ShownState>, GatewayError> {
    let health: HealthStates = client.get("/admin/api/health", &[])?.accepted()?.json()?;
    let routes: RoutesStates = client.get("/admin/api/routes", &[])?.accepted()?.json()?;
    let gates = health.deployments.into_iter().map(|found| {
        let state = match found.isolate.gate.state {
            GatePosition::Closed => ShownState::Serving,
            GatePosition::Open => ShownState::Ejected,
            GatePosition::Probation => ShownState::Probation,
            GatePosition::Drained => ShownState::Drained,
        };
        (found.deployment, state)
    });
    let disabled = routes.disabled.into_iter().map(|found| (found.deployment, ShownState::Disabled));
    Ok(gates.chain(disabled).collect())
}

fn mermaid_within_limits(picture: &Picture) -> String {
    let text = mermaid(picture);
    if picture.edges.len() > MOST_EDGES || text.chars().count() > MOST_TEXT {
        eprintln!(
            "note: with its usual settings, Mermaid draws at most {MOST_EDGES} edges and {MOST_TEXT} characters; \
             --format svg has no such limit"
        );
    }
    text
}
