//! `switchyard drain`, `enable` and `reset`: the switches of deployments.

use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use crate::gateway_client::{GatewayArguments, GatewayClient};
use crate::gateway_error::{GatewayError, finished};
use crate::history::in_path;
use crate::output::{Progress, counted, say};

const EXAMPLES_OF_SWITCH: &str = "\
Examples:
  export SWITCHYARD_URL=https://switchyard.example.workers.dev SWITCHYARD_ADMIN_TOKEN=...
  switchyard drain azure-eastus --why 'maintenance until noon'
  switchyard enable azure-eastus

Exit codes: 0 if it is done, 1 if there is no such deployment, 2 if the arguments are not understood,
3 if the gateway cannot be asked, or the switch took effect in one isolate only.";

const EXAMPLES_OF_RESET: &str = "\
Examples:
  export SWITCHYARD_URL=https://switchyard.example.workers.dev SWITCHYARD_ADMIN_TOKEN=...
  switchyard reset azure-eastus
  switchyard reset --all

Exit codes: 0 if it is done, 1 if there is no such deployment, 2 if the arguments are not understood,
3 if the gateway cannot be asked, or the reset took effect in one isolate only.";

/// The deployment of `drain` and of `enable`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES_OF_SWITCH)]
pub struct SwitchArguments {
    /// The deployment.
    deployment: String,
    /// The reason, for the log of acts: at most 500 characters.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Print the answer of the gateway as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gateway: GatewayArguments,
}

/// Forgets what was learned about a deployment, for example after it was repaired. A drain stays.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES_OF_RESET, group = clap::ArgGroup::new("which").required(true))]
pub struct ResetArguments {
    /// The deployment.
    #[arg(group = "which")]
    deployment: Option<String>,
    /// All deployments.
    #[arg(long, group = "which")]
    all: bool,
    /// The reason, for the log of acts: at most 500 characters.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Print the answer of the gateway as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gateway: GatewayArguments,
}

/// Runs `drain`.
pub fn drain(arguments: &SwitchArguments) -> ExitCode {
    let SwitchArguments { deployment, why, json, gateway } = arguments;
    finished(turned(gateway, Some(deployment), "drain", why.as_deref(), *json), *json)
}

/// Runs `enable`.
pub fn enable(arguments: &SwitchArguments) -> ExitCode {
    let SwitchArguments { deployment, why, json, gateway } = arguments;
    finished(turned(gateway, Some(deployment), "enable", why.as_deref(), *json), *json)
}

/// Runs `reset`.
pub fn reset(arguments: &ResetArguments) -> ExitCode {
    let ResetArguments { deployment, why, json, gateway, .. } = arguments;
    finished(turned(gateway, deployment.as_deref(), "reset", why.as_deref(), *json), *json)
}

#[derive(Deserialize)]
struct TurnedDeployments {
    deployments: Vec<String>,
}

fn turned(
    gateway: &GatewayArguments,
    deployment: Option<&str>,
    switch: &str,
    why: Option<&str>,
    as_json: bool,
) -> Result<ExitCode, GatewayError> {
    let gateway = GatewayClient::from_arguments(gateway)?;
    let progress = Progress::of("Turning the switch");
    let mut path = match deployment {
        Some(deployment) => format!("/admin/api/deployments/{}/{switch}", in_path(deployment)),
        None => format!("/admin/api/deployments/{switch}"),
    };
    if let Some(why) = why {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("why", why).finish();
        path.extend(["?", &query]);
    }
    let answer = gateway.post(&path, &[], "")?.accepted()?;
    drop(progress);
    if as_json {
        say(format_args!("{:#}\n", answer.json::<Value>()?));
    } else {
        let turned: TurnedDeployments = answer.json()?;
        say(format_args!("{}", text(switch, &turned.deployments)));
    }
    Ok(ExitCode::SUCCESS)
}

fn text(switch: &str, deployments: &[String]) -> String {
    let subject = match deployments {
        [deployment] => deployment.clone(),
        _ => counted(deployments.len(), "deployment"),
    };
    match switch {
        "drain" => format!("{subject} gets no new requests. Everywhere within seconds.\n"),
        "enable" => format!("{subject} gets requests again. Everywhere within seconds.\n"),
        _ => format!("What was learned about {subject} is forgotten. Everywhere within seconds.\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn the_effect_of_a_switch_is_said() {
        let one = ["azure".to_owned()];
        let two = ["azure".to_owned(), "openai".to_owned()];
        assert_eq!(text("drain", &one), "azure gets no new requests. Everywhere within seconds.\n");
        assert_eq!(text("enable", &one), "azure gets requests again. Everywhere within seconds.\n");
        let all = "What was learned about 2 deployments is forgotten. Everywhere within seconds.\n";
        assert_eq!(text("reset", &two), all);
    }
}
