//! `switchyard status`: which document serves, and the state of each deployment.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::gateway_client::{GatewayArguments, GatewayClient};
use crate::gateway_error::{GatewayError, finished};
use crate::output::{Progress, is_coloured, say};
use crate::status_text::{GatewayStatus, status_text};

const EXAMPLES: &str = "\
Examples:
  export SWITCHYARD_URL=https://switchyard.example.workers.dev SWITCHYARD_ADMIN_TOKEN=...
  switchyard status
  switchyard status --json | jq .health.deployments

Exit codes: 0 if the status is shown, whatever it is, 2 if the arguments are not understood, 3 if the
gateway cannot be asked.";

/// Shows which routes document serves, its problems, and the state of each deployment.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Print one JSON object: `routes` and `health`, as the admin API answers.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gateway: GatewayArguments,
}

/// Runs the subcommand.
pub fn status(arguments: &Arguments) -> ExitCode {
    finished(shown(arguments), arguments.json)
}

fn shown(arguments: &Arguments) -> Result<ExitCode, GatewayError> {
    let gateway = GatewayClient::from_arguments(&arguments.gateway)?;
    let progress = Progress::of("Asking for the status");
    let routes = gateway.get("/admin/api/routes", &[])?.accepted()?;
    let health = gateway.get("/admin/api/health", &[])?.accepted()?;
    drop(progress);
    if arguments.json {
        let report = json!({
            "gateway": gateway.origin(), "routes": routes.json::<Value>()?, "health": health.json::<Value>()?,
        });
        say(format_args!("{report:#}\n"));
    } else {
        let status = GatewayStatus { routes: routes.json()?, health: health.json()? };
        say(format_args!("{}", status_text(gateway.origin(), &status, is_coloured())));
    }
    Ok(ExitCode::SUCCESS)
}
