//! `switchyard usage`: what was used on each of the last days, and what is left of limits.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use switchyard::counters::usage_days::MOST_DAYS;

use crate::gateway_client::{GatewayArguments, GatewayClient};
use crate::gateway_error::{GatewayError, finished};
use crate::output::{Progress, is_coloured, say};
use crate::usage_text::usage_text;

const EXAMPLES: &str = "\
Examples:
  export SWITCHYARD_URL=https://switchyard.example.workers.dev SWITCHYARD_ADMIN_TOKEN=...
  switchyard usage
  switchyard usage --by model --days 30
  switchyard usage --days 1 --json | jq '[.usage.days[0].rows[].micro_usd] | (add // 0) / 1e6'

Exit codes: 0 if the usage is shown, whatever it is, 2 if the arguments are not understood, 3 if the
gateway cannot be asked.";

/// Shows what was used on each of the last days, and what is left of limits and budgets.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct UsageArguments {
    /// By what the usage of a day is added up.
    #[arg(long, value_name = "WHAT", default_value = "client",
        value_parser = ["client", "model", "deployment"])]
    by: String,
    /// How many days, including today (UTC): at most 35.
    #[arg(long, value_name = "NUMBER", default_value_t = 7,
        value_parser = clap::value_parser!(u64).range(1..=MOST_DAYS))]
    days: u64,
    /// Print one JSON object: `usage` and `limits`, as the admin API answers.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gateway: GatewayArguments,
}

/// Runs the subcommand.
pub fn usage(arguments: &UsageArguments) -> ExitCode {
    finished(shown(arguments), arguments.json)
}

fn shown(arguments: &UsageArguments) -> Result<ExitCode, GatewayError> {
    let gateway = GatewayClient::from_arguments(&arguments.gateway)?;
    let progress = Progress::of("Asking for the usage");
    let UsageArguments { by, days, .. } = arguments;
    let usage = gateway.get(&format!("/admin/api/usage/days?by={by}&days={days}"), &[])?.accepted()?;
    let limits = gateway.get("/admin/api/usage", &[])?.accepted()?;
    drop(progress);
    if arguments.json {
        let report = json!({
            "gateway": gateway.origin(), "usage": usage.json::<Value>()?, "limits": limits.json::<Value>()?,
        });
        say(format_args!("{report:#}\n"));
    } else {
        let text = usage_text(gateway.origin(), *days, &usage.json()?, &limits.json()?, is_coloured());
        say(format_args!("{text}"));
    }
    Ok(ExitCode::SUCCESS)
}
