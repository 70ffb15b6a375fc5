//! `switchyard history` and `switchyard rollback`: the versions of the routes document.

use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::difference_text::difference_text;
use crate::gateway_client::{GatewayArguments, GatewayClient};
use crate::gateway_error::{GatewayError, finished};
use crate::output::{Progress, is_coloured, say};
use crate::routes_versions::{
    ChangeAnswer, FoundIssue, ListedVersion, RefusedDocument, history_text, listed_versions, named_version,
    version_text,
};

const EXAMPLES_OF_HISTORY: &str = "\
Examples:
  export SWITCHYARD_URL=https://switchyard.example.workers.dev SWITCHYARD_ADMIN_TOKEN=...
  switchyard history
  switchyard history a07b5512fe90
  switchyard history 12 --json | jq -r .document > old-routes.json

Exit codes: 0 if it is shown, 1 if there is no such version, 2 if the arguments are not understood,
3 if the gateway cannot be asked.";

const EXAMPLES_OF_ROLLBACK: &str = "\
Examples:
  export SWITCHYARD_URL=https://switchyard.example.workers.dev SWITCHYARD_ADMIN_TOKEN=...
  switchyard rollback 3f2a90c1d4e5
  switchyard rollback 11 --why 'Sweden answers with 500'

Exit codes: 0 if the version serves, 1 if there is no such version or it has errors with the variables
of today, 2 if the arguments are not understood, 3 if the gateway cannot be asked, 4 if another change
is under way.";

/// Lists the last 100 versions of the routes document, or shows one with what it changed.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES_OF_HISTORY)]
pub struct HistoryArguments {
    /// The version to show, or its number.
    version: Option<String>,
    /// Print the answer of the gateway as JSON; that for one version has its document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gateway: GatewayArguments,
}

/// Makes an old version of the routes document serve again, at once and without a question.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES_OF_ROLLBACK)]
pub struct RollbackArguments {
    /// The version, or its number in the history.
    version: String,
    /// The reason, for the history: at most 500 characters.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Print the answer of the gateway as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gateway: GatewayArguments,
}

/// Runs `history`.
pub fn history(arguments: &HistoryArguments) -> ExitCode {
    finished(shown(arguments), arguments.json)
}

#[derive(Deserialize)]
struct ShownVersion {
    #[serde(flatten)]
    listed: ListedVersion,
    difference: Value,
}

fn shown(arguments: &HistoryArguments) -> Result<ExitCode, GatewayError> {
    let gateway = GatewayClient::from_arguments(&arguments.gateway)?;
    let progress = Progress::of("Fetching the history");
    let path = match &arguments.version {
        None => "/admin/api/routes/history".to_owned(),
        Some(version) => {
            format!("/admin/api/routes/history/{}", in_path(&named_version(&gateway, version)?))
        }
    };
    if arguments.version.is_none() && !arguments.json {
        let versions = listed_versions(&gateway)?;
        drop(progress);
        say(format_args!("{}", history_text(&versions, is_coloured())));
        return Ok(ExitCode::SUCCESS);
    }
    let answer = gateway.get(&path, &[])?.accepted()?;
    drop(progress);
    if arguments.json {
        say(format_args!("{:#}\n", answer.json::<Value>()?));
    } else {
        let shown: ShownVersion = answer.json()?;
        say(format_args!("{}", version_text(&shown.listed, &shown.difference, is_coloured())));
    }
    Ok(ExitCode::SUCCESS)
}

/// A text as one part of a path.
pub fn in_path(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Runs `rollback`.
pub fn rollback(arguments: &RollbackArguments) -> ExitCode {
    finished(rolled_back(arguments), arguments.json)
}

fn rolled_back(arguments: &RollbackArguments) -> Result<ExitCode, GatewayError> {
    let gateway = GatewayClient::from_arguments(&arguments.gateway)?;
    let progress = Progress::of("Going back");
    let version = named_version(&gateway, &arguments.version)?;
    let body = json!({ "version": version, "why": arguments.why }).to_string();
    let answer = gateway.post("/admin/api/routes/rollback", &[], &body)?;
    drop(progress);
    if answer.status == 422
        && let Ok(RefusedDocument { issues }) = answer.json()
    {
        if arguments.json {
            say(format_args!("{}\n", answer.body));
        } else {
            for issue in issues.into_iter().map(FoundIssue::into_issue) {
                say(format_args!("error: {issue}\n"));
            }
            say(format_args!("The gateway refuses version {version}. Nothing was changed.\n"));
        }
        return Ok(ExitCode::FAILURE);
    }
    let answer = answer.accepted()?;
    if arguments.json {
        say(format_args!("{:#}\n", answer.json::<Value>()?));
        return Ok(ExitCode::SUCCESS);
    }
    let change: ChangeAnswer = answer.json()?;
    if let Some(difference) = &change.difference {
        say(format_args!("{}", difference_text(difference, is_coloured())));
    }
    for warning in change.warnings.iter().cloned().map(FoundIssue::into_issue) {
        say(format_args!("warning: {warning}\n"));
    }
    say(format_args!("{}", change.text()));
    Ok(ExitCode::SUCCESS)
}
