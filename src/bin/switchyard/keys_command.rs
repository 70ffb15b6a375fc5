//! `switchyard keys`: the issued keys of a gateway.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use switchyard::vocabulary::time::Instant;

use crate::gateway_client::{GatewayArguments, GatewayClient};
use crate::gateway_error::{GatewayError, finished};
use crate::history::in_path;
use crate::limit_notation::{dollars, limit, notation};
use crate::litellm_keys::{ClientChoice, ReadKeys, read};
use crate::output::{GREEN, Progress, RED, YELLOW, counted, is_coloured, printable, say, table};

const EXAMPLES: &str = "\
Examples:
  export SWITCHYARD_URL=https://switchyard.example.workers.dev SWITCHYARD_ADMIN_TOKEN=...
  switchyard keys issue --client apps --name 'billing job' --owner ada@example.com
  switchyard keys issue --client apps --name ci --model 'chat-*' --expires 2027-12-31 > key.txt
  switchyard keys issue --client apps --name trial --limit usd=50/month --limit requests=60/minute
  switchyard keys list --client apps
  switchyard keys show key_17
  switchyard keys rotate key_17 --overlap 3600
  switchyard keys revoke key_17 --why 'it was in a log'
  switchyard keys import litellm-keys.json --client apps --team team-web=web --dry-run

Exit codes: 0 if it is done, 1 if the gateway refuses it or there is no such key, 2 if the arguments
are not understood or a file cannot be read, 3 if the gateway cannot be asked.";

/// The most keys that the gateway takes in one import.
const BATCH: usize = 50;
/// The most keys of a page.
const PAGE: usize = 1_000;

/// Issues keys for clients of the routes document, lists, rotates, revokes and imports them.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct KeysArguments {
    #[command(subcommand)]
    action: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Lists the keys.
    List(ListArguments),
    /// Issues a key, and prints it this one time: alone on the standard output.
    Issue(IssueArguments),
    /// Shows a key.
    Show(OneArguments),
    /// Issues a key in the place of another one, which goes on for a while.
    Rotate(RotateArguments),
    /// Revokes a key.
    Revoke(RevokeArguments),
    /// Imports the keys of LiteLLM by their hashes, so that they go on working.
    Import(ImportArguments),
}

#[derive(Debug, Args)]
struct Common {
    /// Print the answer of the gateway as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gateway: GatewayArguments,
}

#[derive(Debug, Args)]
struct ListArguments {
    /// Only the keys of this client.
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct IssueArguments {
    /// The client of the routes document that the key belongs to. It needs `allow_keys`.
    #[arg(long, value_name = "NAME")]
    client: String,
    /// What the key is for.
    #[arg(long)]
    name: String,
    /// Who has it.
    #[arg(long)]
    owner: Option<String>,
    /// A model, or a pattern of models, that it may use. Several: repeat it. Default: all of the
    /// client.
    #[arg(long = "model", value_name = "PATTERN")]
    models: Vec<String>,
    /// A limit of this key alone, besides those of its client: requests=600/minute,
    /// tokens=1000000/day, usd=50/month, concurrent=4. Several: repeat it.
    #[arg(long = "limit", value_name = "LIMIT", value_parser = limit)]
    limits: Vec<Value>,
    /// When it ends: 2027-12-31, or 2027-12-31T18:00:00Z. Default: never.
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// The reason, for the log of acts.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct OneArguments {
    /// The id of the key: key_17.
    id: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct RotateArguments {
    /// The id of the old key: key_17.
    id: String,
    /// How long the old key goes on. 0: it ends at once.
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400, value_parser = clap::value_parser!(u64).range(0..=7_776_000))]
    overlap: u64,
    /// The reason, for the log of acts.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct RevokeArguments {
    /// The id of the key: key_17.
    id: String,
    /// The reason, for the log of acts.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct ImportArguments {
    /// The list: JSON of `/key/list?return_full_object=true` or `/key/info`, or CSV with the
    /// columns of the table `LiteLLM_VerificationToken`.
    file: String,
    /// The client that the keys belong to. It needs `allow_keys` and `imported_keys`.
    #[arg(long, value_name = "NAME", required_unless_present = "teams")]
    client: Option<String>,
    /// The client of the keys of a team. Several: repeat it.
    #[arg(long = "team", value_name = "TEAM=CLIENT", value_parser = team)]
    teams: Vec<(String, String)>,
    /// Only say what would be imported.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    common: Common,
}

fn team(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(team, client)| !team.is_empty() && !client.is_empty());
    parts
        .map(|(team, client)| (team.to_owned(), client.to_owned()))
        .ok_or_else(|| "TEAM=CLIENT was expected, such as team-web=web".to_owned())
}

/// Runs the subcommand.
pub fn keys(arguments: &KeysArguments) -> ExitCode {
    let (result, common) = match &arguments.action {
        KeysCommand::List(arguments) => (list(arguments), &arguments.common),
        KeysCommand::Issue(arguments) => (issue(arguments), &arguments.common),
        KeysCommand::Show(arguments) => (show(arguments), &arguments.common),
        KeysCommand::Rotate(arguments) => (rotate(arguments), &arguments.common),
        KeysCommand::Revoke(arguments) => (revoke(arguments), &arguments.common),
        KeysCommand::Import(arguments) => (import(arguments), &arguments.common),
    };
    finished(result.map(|()| ExitCode::SUCCESS), common.json)
}

/// What is shown of a key.
#[derive(Deserialize)]
struct ListedKey {
    id: String,
    prefix: String,
    client: String,
    name: String,
    owner: Option<String>,
    models: Option<Vec<String>>,
    limits: Option<Vec<Value>>,
    limits_as: Option<String>,
    /// In the order of `limits`. Only where one key is shown.
    limit_usage: Option<Vec<SpentLimit>>,
    usage: KeyUsage,
    state: String,
    created: Instant,
    created_by: String,
    expires: Option<Instant>,
    revoked: Option<Instant>,
    replaces: Option<String>,
    replaced_by: Option<String>,
    last_used: Option<Instant>,
    is_written: bool,
}

/// What is spent of a limit.
#[derive(Deserialize)]
struct SpentLimit {
    unit: String,
    spent: u64,
    free: u64,
}

#[derive(Deserialize)]
struct KeyUsage {
    month: ListedUse,
    total: ListedUse,
}

#[derive(Deserialize)]
struct ListedUse {
    requests: u64,
    tokens: u64,
    micro_usd: u64,
}

#[derive(Deserialize)]
struct Page {
    keys: Vec<Value>,
    next: Option<String>,
}

fn parsed(key: &Value) -> Result<ListedKey, GatewayError> {
    serde_json::from_value(key.clone()).map_err(|error| {
        GatewayError::new(
            "unexpected_answer",
            format!("The answer is not what this version of the command line expects: {error}."),
            "Use the command line of the gateway's own version.",
        )
    })
}

fn list(arguments: &ListArguments) -> Result<(), GatewayError> {
    let gateway = GatewayClient::from_arguments(&arguments.common.gateway)?;
    let progress = Progress::of("Fetching the list");
    let (mut keys, mut after) = (Vec::new(), String::new());
    loop {
        let page: Page =
            gateway.get(&format!("/admin/api/keys?limit={PAGE}{after}"), &[])?.accepted()?.json()?;
        keys.extend(page.keys);
        let Some(next) = page.next else { break };
        after = format!("&after={}", in_path(&next));
    }
    drop(progress);
    if let Some(client) = &arguments.client {
        keys.retain(|key| key.get("client").and_then(Value::as_str) == Some(client));
    }
    if arguments.common.json {
        say(format_args!("{:#}\n", json!({ "keys": keys })));
        return Ok(());
    }
    let keys: Vec<ListedKey> = keys.iter().map(parsed).collect::<Result<_, _>>()?;
    if keys.is_empty() {
        say(format_args!("There is no key. switchyard keys issue makes one.\n"));
        return Ok(());
    }
    let heads =
        ["id", "state", "client", "key", "created", "expires", "last used", "this month", "name", "owner"];
    let rows: Vec<Vec<String>> = keys.iter().map(row).collect();
    let paint = |row: usize, column: usize| {
        let key = keys.get(row).filter(|_| column == 1)?;
        Some(if key.state == "active" { GREEN } else { RED })
    };
    say(format_args!("{}", table(&heads, &rows, paint, is_coloured())));
    Ok(())
}

fn row(key: &ListedKey) -> Vec<String> {
    let prefix = if key.prefix.is_empty() { "?".to_owned() } else { format!("{}…", key.prefix) };
    vec![
        key.id.clone(),
        key.state.clone(),
        key.client.clone(),
        prefix,
        day(Some(key.created)),
        day(key.expires),
        key.last_used.map_or_else(|| "never".to_owned(), hour),
        dollars(key.usage.month.micro_usd),
        key.name.clone(),
        key.owner.clone().unwrap_or_default(),
    ]
}

fn day(at: Option<Instant>) -> String {
    at.map_or_else(|| "never".to_owned(), |at| at.utc().to_string().chars().take(10).collect())
}

fn hour(at: Instant) -> String {
    at.utc().to_string().replace('T', " ").chars().take(16).collect()
}

/// A key, one member a line.
fn described(key: &ListedKey) -> String {
    let never = |at: Option<Instant>| at.map_or_else(|| "never".to_owned(), |at| at.utc().to_string());
    let models =
        key.models.as_ref().map_or_else(|| "all of the client".to_owned(), |models| models.join(", "));
    let mut members = vec![
        ("id", key.id.clone()),
        ("state", key.state.clone()),
        ("key", format!("{}…", key.prefix)),
        ("client", key.client.clone()),
        ("name", key.name.clone()),
        ("owner", key.owner.clone().unwrap_or_else(|| "nobody is named".to_owned())),
        ("models", models),
        ("created", format!("{} by {}", key.created.utc(), key.created_by)),
        ("expires", never(key.expires)),
        (
            "last used",
            key.last_used.map_or_else(|| "never".to_owned(), |at| format!("in the hour of {}", hour(at))),
        ),
    ];
    members.extend(limit_lines(key));
    for (name, used) in [("this month", &key.usage.month), ("in all", &key.usage.total)] {
        let (requests, tokens) = (used.requests, used.tokens);
        members.push((name, format!("{requests} requests, {tokens} tokens, {}", dollars(used.micro_usd))));
    }
    members.extend(key.revoked.map(|at| ("revoked", at.utc().to_string())));
    members.extend(key.replaces.clone().map(|id| ("replaces", id)));
    members.extend(key.replaced_by.clone().map(|id| ("replaced by", id)));
    if !key.is_written {
        members.push(("not yet", "KV does not have the latest change; the gateway tries again".to_owned()));
    }
    members
        .into_iter()
        .fold(String::new(), |text, (name, value)| text + &format!("{name:<11} {}\n", printable(&value)))
}

/// One line for each limit, with what is spent of it where that is known.
fn limit_lines(key: &ListedKey) -> Vec<(&'static str, String)> {
    let line = |(index, limit): (usize, &Value)| {
        let spent = key.limit_usage.as_ref().and_then(|usage| usage.get(index)).map(|limit| {
            let SpentLimit { unit, spent, free } = limit;
            let words = |units: u64| if unit == "micro_usd" { dollars(units) } else { units.to_string() };
            format!(": {} spent, {} free", words(*spent), words(*free))
        });
        ("limit", notation(limit) + &spent.unwrap_or_default())
    };
    let mut lines: Vec<_> = key.limits.iter().flatten().enumerate().map(line).collect();
    lines.extend(key.limits_as.clone().map(|id| ("counted as", id)));
    lines
}

fn issue(arguments: &IssueArguments) -> Result<(), GatewayError> {
    let gateway = GatewayClient::from_arguments(&arguments.common.gateway)?;
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
    put("client", arguments.client.as_str().into());
    put("name", arguments.name.as_str().into());
    put("owner", arguments.owner.clone().into());
    put("expires", arguments.expires.clone().into());
    if !arguments.models.is_empty() {
        put("models", arguments.models.clone().into());
    }
    if !arguments.limits.is_empty() {
        put("limits", arguments.limits.clone().into());
    }
    let path = with_why("/admin/api/keys", arguments.why.as_deref());
    let key: Value = changed(&gateway, &path, &Value::Object(body))?;
    shown_once(&key, arguments.common.json, "")
}

/// Prints a new key. On the standard output it stands alone, for pipes.
fn shown_once(key: &Value, as_json: bool, more: &str) -> Result<(), GatewayError> {
    if as_json {
        say(format_args!("{key:#}\n"));
        return Ok(());
    }
    let listed = parsed(key)?;
    eprint!("{}", described(&listed));
    eprintln!("{more}The key is shown this one time:");
    say(format_args!("{}\n", key.get("key").and_then(Value::as_str).unwrap_or_default()));
    Ok(())
}

fn show(arguments: &OneArguments) -> Result<(), GatewayError> {
    let gateway = GatewayClient::from_arguments(&arguments.common.gateway)?;
    let answer = gateway.get(&format!("/admin/api/keys/{}", in_path(&arguments.id)), &[])?;
    let key: Value = answer.accepted()?.json()?;
    if arguments.common.json {
        say(format_args!("{key:#}\n"));
    } else {
        say(format_args!("{}", described(&parsed(&key)?)));
    }
    Ok(())
}

fn rotate(arguments: &RotateArguments) -> Result<(), GatewayError> {
    let gateway = GatewayClient::from_arguments(&arguments.common.gateway)?;
    let path = format!("/admin/api/keys/{}/rotate", in_path(&arguments.id));
    let path = with_why(&path, arguments.why.as_deref());
    let key = changed(&gateway, &path, &json!({ "overlap_seconds": arguments.overlap }))?;
    let old = key.get("old").map(parsed).transpose()?;
    let old = old.and_then(|old| Some(format!("{} ends at {}.\n", old.id, old.expires?.utc())));
    shown_once(&key, arguments.common.json, &old.unwrap_or_default())
}

fn revoke(arguments: &RevokeArguments) -> Result<(), GatewayError> {
    let gateway = GatewayClient::from_arguments(&arguments.common.gateway)?;
    let path = format!("/admin/api/keys/{}", in_path(&arguments.id));
    let answer = gateway.delete(&with_why(&path, arguments.why.as_deref()), &[])?;
    let key: Value = answer.accepted()?.json()?;
    if arguments.common.json {
        say(format_args!("{key:#}\n"));
        return Ok(());
    }
    let seconds = key.get("ends_everywhere_within_seconds").and_then(Value::as_u64).unwrap_or_default();
    say(format_args!("{}It ends everywhere within {seconds} s.\n", described(&parsed(&key)?)));
    Ok(())
}

fn changed(gateway: &GatewayClient, path: &str, body: &Value) -> Result<Value, GatewayError> {
    gateway.post(path, &[("content-type", "application/json")], &body.to_string())?.accepted()?.json()
}

fn with_why(path: &str, why: Option<&str>) -> String {
    why.map_or_else(|| path.to_owned(), |why| format!("{path}?why={}", in_path(why)))
}

#[derive(Default, Deserialize)]
struct ImportedKeys {
    imported: usize,
    known: usize,
    unwritten: usize,
}

fn import(arguments: &ImportArguments) -> Result<(), GatewayError> {
    let ImportArguments { file, client, teams, dry_run, common } = arguments;
    let text = std::fs::read_to_string(file).map_err(|error| GatewayError::of_file(file, &error))?;
    let clients =
        ClientChoice { usual: client.clone(), of_team: teams.iter().cloned().collect::<BTreeMap<_, _>>() };
    let ReadKeys { keys, left_out, without } =
        read(&text, &clients).map_err(|error| GatewayError::of_file(file, &error))?;
    let mut sum = ImportedKeys::default();
    if !dry_run {
        let gateway = GatewayClient::from_arguments(&common.gateway)?;
        let _progress = Progress::of(&format!("Importing {}", counted(keys.len(), "key")));
        for batch in keys.chunks(BATCH) {
            let answer = changed(&gateway, "/admin/api/keys/import", &json!({ "keys": batch }))?;
            let answer: ImportedKeys = serde_json::from_value(answer).unwrap_or_default();
            sum.imported += answer.imported;
            sum.known += answer.known;
            sum.unwritten += answer.unwritten;
        }
    }
    if common.json {
        let ImportedKeys { imported, known, unwritten } = sum;
        say(format_args!(
            "{:#}\n",
            json!({
                "read": keys.len(), "imported": imported, "known": known, "unwritten": unwritten,
                "left_out": left_out, "without": without,
            })
        ));
        return Ok(());
    }
    for why in &left_out {
        let words = format!("left out: {}", printable(why));
        say(format_args!("{}\n", crate::output::painted(YELLOW, &words, is_coloured())));
    }
    for what in &without {
        let words = format!("without: {}, which has no equivalent", printable(what));
        say(format_args!("{}\n", crate::output::painted(YELLOW, &words, is_coloured())));
    }
    if *dry_run {
        say(format_args!("{} would be imported.\n", counted(keys.len(), "key")));
        return Ok(());
    }
    let unwritten = if sum.unwritten > 0 {
        format!(" KV does not have {} of them yet; the gateway tries again.", sum.unwritten)
    } else {
        String::new()
    };
    say(format_args!(
        "{} imported, {} known before.{unwritten}\n",
        counted(sum.imported, "key"),
        counted(sum.known, "key")
    ));
    Ok(())
}
