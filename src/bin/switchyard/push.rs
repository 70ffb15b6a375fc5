//! `switchyard push`: makes a routes document serve.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use switchyard::registry::difference::Difference;
use switchyard::routes::Issue;
use switchyard::simulation::setup::made_up;

use crate::check::environment;
use crate::difference_text::{counted_changes, difference_text};
use crate::document_check::DocumentCheck;
use crate::gateway_answer::GatewayAnswer;
use crate::gateway_client::{GatewayArguments, GatewayClient};
use crate::gateway_error::{GatewayError, finished};
use crate::output::{Progress, confirmed, is_coloured, say};
use crate::routes_versions::{ChangeAnswer, CurrentDocument, FoundIssue, RefusedDocument, listed_versions};

const EXAMPLES: &str = "\
Examples:
  export SWITCHYARD_URL=https://switchyard.example.workers.dev SWITCHYARD_ADMIN_TOKEN=...
  switchyard push
  switchyard push my-routes.json --why 'chat moves to Sweden'
  switchyard push my-routes.json --dry-run
  switchyard push my-routes.json --yes --json
  switchyard push my-routes.json --canary 5 --minutes 30

Exit codes: 0 if the document serves, or with --dry-run would, 1 if it has errors or the answer was
no, 2 if the arguments or the file cannot be used, 3 if the gateway cannot be asked, 4 if another
change came first.";

/// Makes a routes document serve: checks it, shows what it changes, asks, and sends it.
///
/// A variable that is not set here counts as set: the gateway has its own. A change that somebody
/// made in between is never overwritten.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The routes document.
    #[arg(default_value = "routes.json")]
    file: String,
    /// The reason, for the history: at most 500 characters.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Check and show the changes, and send nothing.
    #[arg(long)]
    dry_run: bool,
    /// Let the document serve this part of the requests first. The gateway compares it with the
    /// current one, and keeps it or takes it back.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=50))]
    canary: Option<u8>,
    /// How long the canary lasts.
    #[arg(long, value_name = "MINUTES", requires = "canary", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1440))]
    minutes: u16,
    /// Print one JSON object: the answer of the gateway, or the errors.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gateway: GatewayArguments,
}

/// Runs the subcommand.
pub fn push(arguments: &Arguments) -> ExitCode {
    finished(run(arguments), arguments.json)
}

fn run(arguments: &Arguments) -> Result<ExitCode, GatewayError> {
    let Arguments { file, json: as_json, .. } = arguments;
    let document = std::fs::read_to_string(file).map_err(|error| GatewayError::of_file(file, &error))?;
    let check = checked(file, &document);
    if !*as_json {
        say(format_args!("{}", check.text(is_coloured())));
    }
    if !check.errors.is_empty() {
        if *as_json {
            say(format_args!("{:#}\n", json!(check.report())));
        }
        return Ok(ExitCode::FAILURE);
    }
    let gateway = GatewayClient::from_arguments(&arguments.gateway)?;
    if arguments.canary.is_some() {
        assert_canaries(&gateway)?;
    }
    let current = CurrentDocument::of(&gateway)?;
    let difference = json!(Difference::between(&current.text, &document));
    if !*as_json {
        let shown = difference_text(&difference, is_coloured());
        let origin = gateway.origin();
        say(format_args!("\nChanges of version {}, which serves at {origin}:\n{shown}", current.version));
        if shown.is_empty() {
            say(format_args!("none but spaces and the order of keys\n"));
        }
    }
    if arguments.dry_run {
        if *as_json {
            let report = json!({
                "is_dry_run": true, "based_on": current.version, "difference": difference, "check": check.report(),
            });
            say(format_args!("{report:#}\n"));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let is_same = current.text == document;
    if !arguments.yes && !is_same {
        let question = format!("Send {} to {}?", counted_changes(&difference), gateway.origin());
        match confirmed(&question) {
            Some(true) => {}
            Some(false) => {
                eprintln!("Nothing was sent.");
                return Ok(ExitCode::FAILURE);
            }
            None => {
                return Err(GatewayError::of_arguments(
                    "no_terminal",
                    "Nobody can be asked: the input is not a terminal. Nothing was sent.",
                    "Add --yes.",
                ));
            }
        }
    }
    let answer = sent(&gateway, arguments, &document, &current.version)?;
    if answer.status == 422
        && let Ok(refused) = answer.json::<RefusedDocument>()
    {
        return Ok(refusal(arguments, &check, &answer, refused.issues));
    }
    let answer = match answer.accepted() {
        Err(error) if error.code == "routes_changed" => return Err(lost_race(&gateway, file, error)),
        answer => answer?,
    };
    if *as_json {
        let mut report = answer.json::<Value>()?;
        if let Some(report) = report.as_object_mut() {
            report.insert("based_on".to_owned(), json!(current.version));
        }
        say(format_args!("{report:#}\n"));
    } else {
        let change: ChangeAnswer = answer.json()?;
        let coloured = is_coloured();
        for warning in change.warnings.clone() {
            say(format_args!("\n{}", check.issue(&warning.into_issue(), false, coloured).trim_end()));
        }
        match arguments.canary.filter(|_| change.is_changed) {
            Some(percent) => say(format_args!(
                "\nVersion {} is the canary: it serves {percent} % of the requests for {} minutes, and is \
                 then kept or taken back. `switchyard canary status` shows it.\n",
                change.version, arguments.minutes
            )),
            None => say(format_args!("\n{}", change.text())),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The check of a document that serves elsewhere: what is wrong whatever the variables are.
fn checked<'a>(file: &'a str, document: &str) -> DocumentCheck<'a> {
    let known = environment();
    let unset = RefCell::new(BTreeSet::new());
    let env = |name: &str| {
        known(name).or_else(|| {
            unset.borrow_mut().insert(format!("${{{name}}}"));
            Some(made_up(name))
        })
    };
    let mut check = DocumentCheck::new(file, document, &env);
    let unset = unset.into_inner();
    // The value that was made up is wrong, not the document. The gateway knows the real one.
    check.errors.retain(|issue| !unset.iter().any(|name| issue.found.contains(name)));
    check
}

/// An older gateway would ignore that only a part of the requests is meant.
fn assert_canaries(gateway: &GatewayClient) -> Result<(), GatewayError> {
    let status: Value = gateway.get("/admin/api/routes", &[])?.accepted()?.json()?;
    if status.get("canary").is_some() {
        return Ok(());
    }
    Err(GatewayError::new(
        "older_gateway",
        "The gateway has no canaries: the document would serve all requests at once.",
        "Deploy this version with `npx wrangler deploy`, or push without --canary.",
    ))
}

fn sent(
    gateway: &GatewayClient,
    arguments: &Arguments,
    document: &str,
    based_on: &str,
) -> Result<GatewayAnswer, GatewayError> {
    let _progress = Progress::of("Sending the document");
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(why) = &arguments.why {
        query.append_pair("why", why);
    }
    if let Some(percent) = arguments.canary {
        let minutes = arguments.minutes.to_string();
        query.append_pair("canary", &percent.to_string()).append_pair("minutes", &minutes);
    }
    let path = format!("/admin/api/routes?{}", query.finish());
    gateway.put(path.trim_end_matches('?'), &[("if-match", &format!("\"{based_on}\""))], document)
}

/// The gateway found errors that do not show here, mostly in the values of its variables.
fn refusal(
    arguments: &Arguments,
    check: &DocumentCheck<'_>,
    answer: &GatewayAnswer,
    issues: Vec<FoundIssue>,
) -> ExitCode {
    if arguments.json {
        say(format_args!("{}\n", answer.body));
        return ExitCode::FAILURE;
    }
    let issues: Vec<Issue> = issues.into_iter().map(FoundIssue::into_issue).collect();
    let coloured = is_coloured();
    say(format_args!("\n"));
    for issue in &issues {
        say(format_args!("{}", check.issue(issue, true, coloured)));
    }
    say(format_args!("The gateway refuses the document. Nothing was changed.\n"));
    ExitCode::FAILURE
}

/// Another version serves than the one whose changes were shown.
fn lost_race(gateway: &GatewayClient, file: &str, error: GatewayError) -> GatewayError {
    let latest = listed_versions(gateway).ok().and_then(|versions| versions.into_iter().next());
    let latest = latest.map(|latest| {
        let why = latest.why.map(|why| format!(", because: {why}")).unwrap_or_default();
        format!(" Version {} was made by {} at {}{why}.", latest.version, latest.who, latest.at.utc())
    });
    GatewayError {
        message: format!("{}{}", error.message, latest.unwrap_or_default()),
        help: format!(
            "Nothing was changed. Look at it with `switchyard diff {file}`, take over what you want to keep, and \
             push again."
        ),
        ..error
    }
}
