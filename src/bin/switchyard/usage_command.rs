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
    let asked = |path: &str| gateway.get(path, &[])?.accepted();
    let usage = asked(&format!("/admin/api/usage/days?by={by}&days={days}"));
    let limits = asked("/admin/api/usage");
    drop(progress);
    if arguments.json {
        let (usage, limits) = (usage?.json::<Value>()?, limits?.json::<Value>()?);
        let report = json!({ "gateway": gateway.origin(), "usage": usage, "limits": limits });
        say(format_args!("{report:#}\n"));
        return Ok(ExitCode::SUCCESS);
    }
    let usage = usage.and_then(|answer| answer.json());
    let limits = limits.and_then(|answer| answer.json());
    if usage.is_ok() || limits.is_ok() {
        let (usage, limits) = (usage.as_ref().ok(), limits.as_ref().ok());
        say(format_args!("{}", usage_text(gateway.origin(), *days, usage, limits, is_coloured())));
    }
    // What cannot be shown is an error, below what can.
    usage?;
    limits?;
    Ok(ExitCode::SUCCESS)
}
