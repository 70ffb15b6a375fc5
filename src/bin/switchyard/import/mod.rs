//! `switchyard import`: makes a routes document of a configuration of LiteLLM.

mod fallback_lists;
mod import_notes;
mod key_table;
mod model_nodes;
mod model_rows;
mod router_entries;
mod translate;
mod value_checks;
mod wildcard_rows;
mod yaml_tree;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use switchyard::routes::compile;

use crate::output::say;
use import_notes::{ImportNotes, KeyFate};
use yaml_tree::YamlError;

const EXAMPLES: &str = "\
Exit codes:
  0  there is a routes document; the report says what is not the same
  1  there is none: the file is not valid YAML, has nothing that can be imported, or gives a
     document with errors
  2  the arguments are not understood, or a file cannot be read or written

Examples:
  cargo run -- import litellm_config.yaml
  cargo run -- import litellm_config.yaml --output my-routes.json
  cargo run -- import litellm_config.yaml --output my-routes.json --json > report.json
  cargo run -- import wildcards.yaml --model gpt-4o --model text-embedding-3-small
  cargo run -- import --table";

/// Makes a routes document of a configuration file of LiteLLM, and reports what is not the same.
///
/// The document goes to the standard output or to a file, the report to the standard error. Keys
/// that stand in the file do not go into the document: the report names variables for them.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The configuration file.
    #[arg(required_unless_present = "table")]
    file: Option<PathBuf>,
    /// Write the document to this file.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it exists.
    #[arg(long, requires = "output")]
    force: bool,
    /// A model that your clients use, for rows whose `model_name` has a `*`. May be given several
    /// times.
    #[arg(long, value_name = "NAME")]
    model: Vec<String>,
    /// Print the report as JSON to the standard output, with the document unless that goes to a
    /// file.
    #[arg(long)]
    json: bool,
    /// Print what each key of LiteLLM becomes, as Markdown.
    #[arg(long, conflicts_with_all = ["output", "json", "model"])]
    table: bool,
}

/// Runs the subcommand.
pub fn import(arguments: &Arguments) -> ExitCode {
    if arguments.table {
        say(format_args!("{}", key_table::markdown()));
        return ExitCode::SUCCESS;
    }
    let Some(file) = &arguments.file else { return ExitCode::from(2) };
    let name = file.display();
    let text = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) => {
            eprintln!("{name}: {error}");
            return ExitCode::from(2);
        }
    };
    let Ok(text) = String::from_utf8(text) else {
        eprintln!("{name}: the file is not UTF-8");
        return ExitCode::FAILURE;
    };
    if text.len() > yaml_tree::MOST_BYTES {
        eprintln!("{name}: the file is larger than {} bytes", yaml_tree::MOST_BYTES);
        return ExitCode::FAILURE;
    }
    let root = match yaml_tree::read(&text) {
        Ok(root) => root,
        Err(error) => {
            eprint!("{}", snippet(file, &text, &error));
            return ExitCode::FAILURE;
        }
    };
    let Some(root) = root.filter(translate::is_litellm) else {
        eprintln!("{name}: not a configuration of LiteLLM: `model_list` is expected at the top of the file");
        return ExitCode::FAILURE;
    };
    let mut notes = ImportNotes::default();
    let document = translate::translate(&root, &arguments.model, &mut notes);
    let pretty = format!("{document:#}\n");
    notes.variables.retain(|variable, _| pretty.contains(&format!("${{{variable}}}")));
    notes.notes.sort();
    notes.notes.dedup();
    let env = |variable: &str| notes.variables.get(variable).map(|purpose| example_of(purpose));
    let issues = compile(&pretty, &env).err().unwrap_or_default();
    if issues.is_empty()
        && let Some(output) = &arguments.output
        && let Err(error) = write(output, &pretty, arguments.force)
    {
        eprintln!("{}: {error}", output.display());
        return ExitCode::from(2);
    }
    if arguments.json {
        let shown = (issues.is_empty() && arguments.output.is_none()).then_some(&document);
        let issues: Vec<String> = issues.iter().map(ToString::to_string).collect();
        let report = json!({ "document": shown, "notes": notes.notes, "variables": notes.variables, "errors": issues });
        say(format_args!("{report:#}\n"));
    } else {
        if issues.is_empty() && arguments.output.is_none() {
            say(format_args!("{pretty}"));
        }
        print_report(&file.display().to_string(), &notes);
    }
    for issue in &issues {
        eprintln!("{name}: the document would have an error: {issue}");
    }
    if issues.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A value that is valid where a variable stands, to check the rest of the document.
fn example_of(purpose: &str) -> String {
    if purpose.starts_with("endpoint") {
        "https://example.openai.azure.com".to_owned()
    } else if purpose.starts_with("API version") {
        "2024-10-21".to_owned()
    } else {
        "example".to_owned()
    }
}

fn write(output: &Path, document: &str, force: bool) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    options.open(output)?.write_all(document.as_bytes())
}

fn print_report(file: &str, notes: &ImportNotes) {
    for (fate, title) in [
        (KeyFate::NoEquivalent, "has no equivalent"),
        (KeyFate::Approximated, "is not quite the same"),
        (KeyFate::NotNeeded, "is not needed"),
    ] {
        let found: Vec<_> = notes.notes.iter().filter(|note| note.fate == fate).collect();
        if !found.is_empty() {
            eprintln!("\nWhat {title}:");
        }
        for note in found {
            eprintln!("  {file}:{}: {}: {}", note.line, note.key, note.note);
        }
    }
    if !notes.variables.is_empty() {
        eprintln!("\nVariables to set, each with `npx wrangler secret put NAME`, locally in .dev.vars:");
    }
    for (name, purpose) in &notes.variables {
        eprintln!("  {name}: {purpose}");
    }
}

/// An error with its place and its line. A line may hold a secret, so that only its shape is shown.
fn snippet(file: &Path, text: &str, error: &YamlError) -> String {
    let line = text.lines().nth(error.line.saturating_sub(1)).unwrap_or_default();
    let (key, value) = line.split_once(':').unwrap_or(("", line));
    let hidden = if value.trim().is_empty() { "" } else { " …" };
    let shown = if line.contains(':') { format!("{key}:{hidden}") } else { hidden.trim_start().to_owned() };
    let number = error.line.to_string();
    let margin = " ".repeat(number.len());
    let column = error.column.min(key.chars().count() + 3);
    format!(
        "error: {}\n{margin}--> {}:{}:{}\n{margin} |\n{number} | {shown}\n{margin} | {}^\n",
        error.problem,
        file.display(),
        error.line,
        error.column,
        " ".repeat(column.saturating_sub(1)),
    )
}
