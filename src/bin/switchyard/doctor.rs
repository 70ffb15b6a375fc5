//! `switchyard doctor`: asks each deployment something small, and says what is wrong with it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use serde::Serialize;
use serde_json::Value;
use switchyard::doctor::diagnosis::{Finding, Setting, diagnose};
use switchyard::doctor::question::{DoctorQuestion, QuestionKind};
use switchyard::routes::graph::Deployment;
use switchyard::routes::{compile, nearest};
use switchyard::simulation::setup::made_up;
use switchyard::vocabulary::time::Instant;

use crate::check::environment;
use crate::doctor_calls::ask_all;
use crate::doctor_through_gateway::{MOST_SECONDS, ask_through};
use crate::document_check::refusal;
use crate::gateway_client::{GatewayArguments, GatewayClient};
use crate::gateway_error::GatewayError;
use crate::output::{failed, is_coloured, say};

const EXAMPLES: &str = "\
Examples:
  cargo run -- doctor
  cargo run -- doctor my-routes.json --dry-run
  cargo run -- doctor my-routes.json --only azure-eastus openai
  cargo run -- doctor my-routes.json --yes --json
  cargo run -- doctor --gateway https://switchyard.example.workers.dev

Exit codes: 0 if all is well, 1 if something is wrong, 2 if nothing could be asked: the document has
errors, the arguments are not understood, or nobody said yes; 3 if the gateway cannot be asked.";

/// Asks each deployment something small with its real credentials, and says what is wrong and what
/// helps.
///
/// A chat model answers with one token, an embedding model embeds one word. For all others the list
/// of models is asked for, which costs nothing. The calls go to the providers directly, from this
/// machine. Variables come from the environment, then from .dev.vars. Before anything is sent, it
/// says what, and what that costs.
///
/// With --gateway, the Worker asks, with its own credentials and from its own addresses. The
/// document is that of the gateway, and the token is in SWITCHYARD_ADMIN_TOKEN.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The routes document. Default: routes.json, or with --gateway the document that it serves.
    #[arg(conflicts_with = "gateway")]
    file: Option<String>,
    /// Ask these deployments only.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    only: Vec<String>,
    /// Send without asking.
    #[arg(long, short)]
    yes: bool,
    /// Say what would be sent, and send nothing.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// How many seconds a deployment has to answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// The gateway that asks, in place of this machine.
    #[command(flatten)]
    gateway: GatewayArguments,
}

/// Why nothing was asked.
enum NotAsked {
    /// The document, the arguments, or nobody said yes.
    Here(String),
    /// The gateway cannot be asked, or refuses to ask.
    Gateway(GatewayError),
}

impl From<String> for NotAsked {
    fn from(why: String) -> Self {
        Self::Here(why)
    }
}

impl From<GatewayError> for NotAsked {
    fn from(error: GatewayError) -> Self {
        Self::Gateway(error)
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct DoctorReport<'a> {
    /// The file, or the address of the gateway.
    file: &'a str,
    /// Whether all deployments that were asked are well.
    good: bool,
    plan: &'a Plan<'a>,
    deployments: &'a [Diagnosed<'a>],
}

/// What is to be sent.
#[derive(Serialize)]
struct Plan<'a> {
    /// The number of requests.
    requests: usize,
    /// The most that they cost together, in dollars, without the deployments below.
    usd_at_most: f64,
    /// Deployments whose price is not known.
    without_price: Vec<&'a str>,
    #[serde(skip)]
    kinds: BTreeMap<&'static str, usize>,
    /// Whether the Worker asks.
    #[serde(skip)]
    is_worker: bool,
}

/// What was found about a deployment.
#[derive(Serialize)]
struct Diagnosed<'a> {
    deployment: &'a str,
    /// The key that was asked with, counted from 1, if the document lists several.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<usize>,
    /// `well`, `wrong`, `not_asked` or `planned`.
    state: &'static str,
    /// What was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    milliseconds: Option<u64>,
    code: &'static str,
    found: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    remedy: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    said: Option<String>,
    /// The error class of the gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'static str>,
}

impl<'a> Diagnosed<'a> {
    fn of(deployment: &'a Deployment, finding: Finding) -> Self {
        Self {
            deployment: &deployment.name,
            key: None,
            state: if finding.is_good { "well" } else { "wrong" },
            asked: None,
            milliseconds: None,
            code: finding.code,
            found: finding.found,
            remedy: finding.remedy,
            said: finding.said,
            class: finding.class.map(switchyard::vocabulary::error_class::ErrorClass::name),
        }
    }

    fn unasked(deployment: &'a Deployment, state: &'static str, code: &'static str, found: &str) -> Self {
        let finding = Finding {
            code,
            is_good: true,
            found: found.to_owned(),
            remedy: String::new(),
            said: None,
            class: None,
        };
        Self { state, ..Self::of(deployment, finding) }
    }
}

/// Runs the subcommand.
pub fn doctor(arguments: &Arguments) -> ExitCode {
    run(arguments).unwrap_or_else(|why| match why {
        NotAsked::Here(why) => failed("not_done", &why, 2, arguments.json),
        NotAsked::Gateway(error) => error.report(arguments.json),
    })
}

fn run(arguments: &Arguments) -> Result<ExitCode, NotAsked> {
    let is_named = arguments.gateway.is_named();
    let client = is_named.then(|| GatewayClient::from_arguments(&arguments.gateway)).transpose()?;
    let (file, document) = if let Some(client) = &client {
        let document = client.get("/admin/api/routes/document", &[])?.accepted()?.body;
        (client.origin(), document)
    } else {
        let file = arguments.file.as_deref().unwrap_or("routes.json");
        (file, std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?)
    };
    // The values of the gateway's variables stay there. What is asked does not depend on them.
    let compiled = match &client {
        Some(_) => compile(&document, &|name| Some(made_up(name))),
        None => compile(&document, &environment()),
    };
    let compiled = compiled.map_err(|errors| refusal(file, &document, &errors, "nothing is asked"))?;
    let chosen = chosen(&compiled.graph.deployments, &arguments.only)?;
    let written: Value = serde_json::from_str(&document).unwrap_or_default();
    let mut found: Vec<Option<Diagnosed<'_>>> = Vec::new();
    let mut asked: Vec<(&Deployment, DoctorQuestion)> = Vec::new();
    for deployment in &chosen {
        let stated_model = written_key(&written, &deployment.name, "model");
        let (diagnosed, question) = prepared(deployment, stated_model);
        let Some(question) = question else {
            found.push(diagnosed);
            continue;
        };
        let others = (1..=deployment.other_keys.len())
            .filter_map(|key| DoctorQuestion::with_key(deployment, question.kind, key));
        for question in std::iter::once(question.clone()).chain(others) {
            found.push(None);
            asked.push((*deployment, question));
        }
    }
    let plan = plan_of(&asked, client.is_some());
    if arguments.dry_run {
        let planned: Vec<Diagnosed<'_>> = planned(found, &asked);
        return Ok(report(arguments, file, &plan, &planned));
    }
    if !asked.is_empty() && !arguments.yes {
        agreed(&plan, file)?;
    }
    let calls = match &client {
        Some(client) => ask_through(client, &asked, arguments.timeout.min(MOST_SECONDS), !arguments.json)?,
        None => ask_all(&asked, Duration::from_secs(arguments.timeout), !arguments.json),
    };
    let mut calls = asked.iter().zip(calls).map(|((deployment, question), call)| {
        let setting = Setting {
            key_variable: variable_in(&written, &deployment.name, "api_key", question.key),
            endpoint_variable: variable_in(&written, &deployment.name, "endpoint", 0),
            host: if call.host.is_empty() { question.host() } else { &call.host },
            now: now(),
            is_worker: client.is_some(),
        };
        let finding = diagnose(deployment, call.kind, &call.outcome, &setting);
        let (asked, milliseconds) = (Some(call.kind.name()), Some(call.milliseconds));
        let key = key_of(deployment, question);
        Diagnosed { key, asked, milliseconds, ..Diagnosed::of(deployment, finding) }
    });
    let diagnosed: Vec<Diagnosed<'_>> =
        found.into_iter().filter_map(|found| found.or_else(|| calls.next())).collect();
    Ok(report(arguments, file, &plan, &diagnosed))
}

/// The deployments that are to be asked, in the order of the document.
fn chosen<'a>(all: &'a [Rc<Deployment>], only: &[String]) -> Result<Vec<&'a Deployment>, String> {
    for name in only {
        if !all.iter().any(|deployment| deployment.name == *name) {
            let meant = nearest(name, all.iter().map(|deployment| deployment.name.as_str()));
            let meant = meant.map(|meant| format!("; did you mean '{meant}'?")).unwrap_or_default();
            return Err(format!("The document has no deployment '{name}'{meant}"));
        }
    }
    let is_chosen = |deployment: &&Deployment| only.is_empty() || only.contains(&deployment.name);
    Ok(all.iter().map(|deployment| &**deployment).filter(is_chosen).collect())
}

/// What is known without asking, or the question.
fn prepared<'a>(
    deployment: &'a Deployment,
    stated_model: Option<&str>,
) -> (Option<Diagnosed<'a>>, Option<DoctorQuestion>) {
    if let Some(disabled) = &deployment.disabled {
        return (Some(Diagnosed::of(deployment, Finding::missing_variable(&disabled.variable, false))), None);
    }
    if let Some(question) = DoctorQuestion::new(deployment, QuestionKind::of(deployment, stated_model)) {
        return (None, Some(question));
    }
    let why = "Through AI Gateway, Azure has no list of models, and what the model is for is not known.";
    (Some(Diagnosed::unasked(deployment, "not_asked", "no_question", why)), None)
}

/// The number of the key, if there are several.
fn key_of(deployment: &Deployment, question: &DoctorQuestion) -> Option<usize> {
    (!deployment.other_keys.is_empty()).then_some(question.key + 1)
}

fn plan_of<'a>(asked: &[(&'a Deployment, DoctorQuestion)], is_worker: bool) -> Plan<'a> {
    let (without_price, kinds) = (Vec::new(), BTreeMap::new());
    let mut plan = Plan { requests: asked.len(), usd_at_most: 0.0, without_price, kinds, is_worker };
    for (deployment, question) in asked {
        *plan.kinds.entry(question.kind.name()).or_insert(0) += 1;
        match question.micro_usd(deployment) {
            Some(micro_usd) => plan.usd_at_most += micro_usd / 1e6,
            None => plan.without_price.push(&deployment.name),
        }
    }
    plan
}

fn planned<'a>(
    found: Vec<Option<Diagnosed<'a>>>,
    asked: &[(&'a Deployment, DoctorQuestion)],
) -> Vec<Diagnosed<'a>> {
    let mut asked = asked.iter().map(|(deployment, question)| {
        let found = format!("{} at {}", question.kind.name(), question.host());
        Diagnosed {
            asked: Some(question.kind.name()),
            key: key_of(deployment, question),
            ..Diagnosed::unasked(deployment, "planned", "planned", &found)
        }
    });
    found.into_iter().filter_map(|found| found.or_else(|| asked.next())).collect()
}

/// The plan as text.
fn plan_text(plan: &Plan<'_>) -> String {
    let mut text = String::new();
    let requests = counted(plan.requests, "request");
    let way = if plan.is_worker {
        "with the credentials of the gateway, from the Worker to the providers"
    } else {
        "with the credentials of this machine, directly to the providers"
    };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{requests}, {way}:");
    for (kind, count) in &plan.kinds {
        let _ = writeln!(text, "  {count} × {kind}");
    }
    let _ = write!(text, "At most about {} USD by the prices in the document", usd(plan.usd_at_most));
    if !plan.without_price.is_empty() {
        let _ =
            write!(text, ", and what these cost, which have no `cost`: {}", plan.without_price.join(", "));
    }
    text.push_str(".\n");
    text
}

fn usd(amount: f64) -> String {
    if amount > 0.0 { format!("{amount:.6}") } else { "0".to_owned() }
}

/// Asks whether to send. Nothing is sent without a yes.
fn agreed(plan: &Plan<'_>, file: &str) -> Result<(), String> {
    eprint!("{file}: {}", plan_text(plan));
    if !std::io::stdin().is_terminal() {
        return Err("Nothing was sent: add --yes, or run it in a terminal.".to_owned());
    }
    eprint!("Send? [y/N] ");
    let _ = std::io::stderr().flush();
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    if read.is_ok() && matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        Ok(())
    } else {
        Err("Nothing was sent.".to_owned())
    }
}

fn report(arguments: &Arguments, file: &str, plan: &Plan<'_>, diagnosed: &[Diagnosed<'_>]) -> ExitCode {
    let good = diagnosed.iter().all(|found| found.state != "wrong");
    if arguments.json {
        let report = DoctorReport { file, good, plan, deployments: diagnosed };
        say(format_args!("{}\n", serde_json::to_string_pretty(&report).unwrap_or_default()));
    } else {
        if arguments.dry_run {
            say(format_args!("{file}: {}", plan_text(plan)));
        }
        say(format_args!("{}", text_of(diagnosed, is_coloured())));
        let wrong = diagnosed.iter().filter(|found| found.state == "wrong").count();
        match (wrong, arguments.dry_run) {
            (0, true) => say(format_args!("nothing was sent\n")),
            (0, false) => say(format_args!("all is well\n")),
            _ => say(format_args!(
                "{wrong} of {} with something to mend\n",
                counted(diagnosed.len(), "deployment")
            )),
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What was found, a block for each deployment.
fn text_of(diagnosed: &[Diagnosed<'_>], is_coloured: bool) -> String {
    let paint = |code: &str, text: &str| {
        if is_coloured { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    };
    let name = |found: &Diagnosed<'_>| match found.key {
        Some(key) => format!("{}, key {key}", found.deployment),
        None => found.deployment.to_owned(),
    };
    let longest = diagnosed.iter().map(|found| name(found).chars().count()).max().unwrap_or_default().min(40);
    let mut text = String::new();
    for found in diagnosed {
        let state = match found.state {
            "well" => paint("32", "well "),
            "wrong" => paint("31", "wrong"),
            _ => paint("2", "-    "),
        };
        let time = found.milliseconds.filter(|_| found.state == "well");
        let time = time.map(|milliseconds| format!(" ({milliseconds} ms)")).unwrap_or_default();
        let _ = writeln!(text, "{state}  {:longest$}  {}{time}", name(found), found.found);
        if found.state == "wrong" {
            let code = paint("2", &format!("[{}]", found.code));
            let said = found.said.as_deref().map(|said| format!(" {said}")).unwrap_or_default();
            let _ = writeln!(text, "       {code}{said}");
            let _ = writeln!(text, "       {} {}", paint("1", "->"), found.remedy);
        }
    }
    text
}

/// The variable that a key of a deployment in the document names, for a list the element at this
/// place.
fn variable_in<'a>(written: &'a Value, deployment: &str, key: &str, place: usize) -> Option<&'a str> {
    let value = written.get("deployments")?.get(deployment)?.get(key)?;
    let text = value.as_str().or_else(|| value.get(place)?.as_str())?;
    let (_, rest) = text.split_once("${")?;
    rest.split_once('}').map(|(name, _)| name)
}

/// A text of a deployment as the document has it.
fn written_key<'a>(written: &'a Value, deployment: &str, key: &str) -> Option<&'a str> {
    written.get("deployments")?.get(deployment)?.get(key)?.as_str()
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[expect(clippy::disallowed_methods, reason = "the command line is outside the core")]
fn now() -> Instant {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Instant::from_epoch_ms(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
