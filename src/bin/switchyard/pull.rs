//! `switchyard pull` and `switchyard diff`: the document that serves, and what differs from it.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use switchyard::registry::difference::Difference;
use switchyard::routes::{SourceMap, version_of};
use switchyard::vocabulary::rng::stable_hash;

use crate::difference_text::{change_count, difference_text};
use crate::gateway_client::{GatewayArguments, GatewayClient};
use crate::gateway_error::{GatewayError, finished};
use crate::output::{is_coloured, say};
use crate::routes_versions::CurrentDocument;

const EXAMPLES_OF_PULL: &str = "\
Examples:
  export SWITCHYARD_URL=https://switchyard.example.workers.dev SWITCHYARD_ADMIN_TOKEN=...
  switchyard pull
  switchyard pull --output routes.json --force
  switchyard pull --json | jq -r .version

Exit codes: 0 if the document is there, 2 if the file exists or cannot be written, 3 if the gateway
cannot be asked.";

const EXAMPLES_OF_DIFF: &str = "\
Examples:
  export SWITCHYARD_URL=https://switchyard.example.workers.dev SWITCHYARD_ADMIN_TOKEN=...
  switchyard diff
  switchyard diff my-routes.json --json

Exit codes: 0 if nothing differs but spaces and the order of keys, 1 if something differs, 2 if the
arguments or the file cannot be used, 3 if the gateway cannot be asked.";

/// Prints the routes document that serves, as it was written.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES_OF_PULL)]
pub struct PullArguments {
    /// Write it to this file.
    #[arg(long, value_name = "FILE")]
    output: Option<String>,
    /// Replace the file if it exists.
    #[arg(long, requires = "output")]
    force: bool,
    /// Print one JSON object with the version and, without --output, the text of the document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gateway: GatewayArguments,
}

/// Shows what differs between the routes document that serves and a file.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES_OF_DIFF)]
pub struct DiffArguments {
    /// The routes document.
    #[arg(default_value = "routes.json")]
    file: String,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gateway: GatewayArguments,
}

/// Runs `pull`.
pub fn pull(arguments: &PullArguments) -> ExitCode {
    finished(pulled(arguments), arguments.json)
}

fn pulled(arguments: &PullArguments) -> Result<ExitCode, GatewayError> {
    let current = CurrentDocument::of(&GatewayClient::from_arguments(&arguments.gateway)?)?;
    if let Some(file) = &arguments.output {
        written(file, &current.text, arguments.force)?;
    }
    match (&arguments.output, arguments.json) {
        (None, true) => {
            let report = json!({ "version": current.version, "document": current.text });
            say(format_args!("{report:#}\n"));
        }
        (Some(file), true) => {
            let report = json!({ "version": current.version, "file": file });
            say(format_args!("{report:#}\n"));
        }
        (None, false) => say(format_args!("{}", current.text)),
        (Some(file), false) => eprintln!("{file}: version {}", current.version),
    }
    Ok(ExitCode::SUCCESS)
}

fn written(file: &str, document: &str, is_forced: bool) -> Result<(), GatewayError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    if is_forced {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let done = options.open(file).and_then(|mut file| file.write_all(document.as_bytes()));
    done.map_err(|error| {
        let help = match error.kind() {
            std::io::ErrorKind::AlreadyExists => "Add --force to replace it.",
            _ => "",
        };
        GatewayError { help: help.to_owned(), ..GatewayError::of_file(file, &error) }
    })
}

/// Runs `diff`.
pub fn diff(arguments: &DiffArguments) -> ExitCode {
    finished(compared(arguments), arguments.json)
}

fn compared(arguments: &DiffArguments) -> Result<ExitCode, GatewayError> {
    let file = &arguments.file;
    let document = std::fs::read_to_string(file).map_err(|error| GatewayError::of_file(file, &error))?;
    if let Err(error) = serde_json::from_str::<Value>(document.trim_start_matches('\u{feff}')) {
        let message = format!("{file}: no JSON: {error}");
        return Err(GatewayError::of_arguments(
            "invalid_document",
            message,
            "`switchyard check` shows the place.",
        ));
    }
    let gateway = GatewayClient::from_arguments(&arguments.gateway)?;
    let current = CurrentDocument::of(&gateway)?;
    let is_same = Difference::between(&current.text, &document).count() == 0;
    // The file was not checked, so that it may have keys in it.
    let masked = |text: &str| SourceMap::of(text).masked(text);
    let difference = json!(Difference::between(&masked(&current.text), &masked(&document)));
    let version = version_of(stable_hash(document.as_bytes()));
    if arguments.json {
        let report = json!({
            "version": current.version, "file": file, "file_version": version, "is_same": is_same,
            "difference": difference,
        });
        say(format_args!("{report:#}\n"));
    } else if is_same {
        let but = if version == current.version { "" } else { ", but for spaces and the order of keys" };
        say(format_args!("{file} is version {}, which serves{but}.\n", current.version));
    } else {
        say(format_args!(
            "--- {} version {}\n+++ {file} version {version}\n",
            gateway.origin(),
            current.version
        ));
        say(format_args!("{}", difference_text(&difference, is_coloured())));
        if change_count(&difference) == 0 {
            say(format_args!("Literal credentials differ, which are not shown.\n"));
        }
    }
    Ok(if is_same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
