//! `switchyard import`: makes a routes document of a configuration of LiteLLM.

mod fallback_lists;
mod import_notes;
mod import_text;
mod key_table;
mod model_nodes;
mod model_rows;
mod router_entries;
mod row_providers;
mod translate;
mod value_checks;
mod wildcard_rows;
mod yaml_tree;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use switchyard::routes::compile;

use crate::output::{failed, say};
use import_notes::ImportNotes;
use import_text::{print_report, snippet};
use yaml_tree::YamlNode;

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
    let fail = |code: &str, why: String, exit_code: u8| failed(code, &why, exit_code, arguments.json);
    let text = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) => return fail("unusable_file", format!("{name}: {error}"), 2),
    };
    let Ok(text) = String::from_utf8(text) else {
        return fail("invalid_file", format!("{name}: the file is not UTF-8"), 1);
    };
    if text.len() > yaml_tree::MOST_BYTES {
        let why = format!("{name}: the file is larger than {} bytes", yaml_tree::MOST_BYTES);
        return fail("invalid_file", why, 1);
    }
    let root = match yaml_tree::read(&text) {
        Ok(root) => root,
        Err(error) => return fail("invalid_file", snippet(file, &text, &error), 1),
    };
    let Some(root) = root.filter(translate::is_litellm) else {
        let expected = "`model_list` is expected at the top of the file";
        return fail("invalid_file", format!("{name}: not a configuration of LiteLLM: {expected}"), 1);
    };
    let mut notes = ImportNotes::default();
    let document = translate::translate(&root, &arguments.model, &mut notes);
    let pretty = format!("{document:#}\n");
    notes.variables.retain(|variable, _| pretty.contains(&format!("${{{variable}}}")));
    notes.notes.sort();
    notes.notes.dedup();
    let env = |variable: &str| notes.variables.get(variable).map(|purpose| example_of(purpose));
    let issues = compile(&pretty, &env).err().unwrap_or_default();
    let mut issues: Vec<String> =
        issues.iter().map(|issue| format!("the document would have an error: {issue}")).collect();
    if document.get("deployments").and_then(Value::as_object).is_none_or(serde_json::Map::is_empty) {
        issues = vec!["nothing is imported: no row of `model_list` can be one of `deployments`".to_owned()];
    }
    if issues.is_empty()
        && let Some(output) = &arguments.output
        && let Err(error) = write(output, &pretty, arguments.force)
    {
        return fail("unusable_file", format!("{}: {error}", output.display()), 2);
    }
    if arguments.json {
        let shown = (issues.is_empty() && arguments.output.is_none()).then_some(&document);
        let report = json!({ "document": shown, "notes": notes.notes, "variables": notes.variables, "errors": issues });
        say(format_args!("{report:#}\n"));
    } else {
        if issues.is_empty() && arguments.output.is_none() {
            say(format_args!("{pretty}"));
        }
        eprintln!("\n{}", summary(&root, &document));
        print_report(&file.display().to_string(), &notes);
    }
    for issue in &issues {
        eprintln!("\n{name}: {issue}");
    }
    if issues.is_empty() && !arguments.json {
        let output =
            arguments.output.as_ref().map_or("MY-ROUTES.json".to_owned(), |path| path.display().to_string());
        eprintln!(
            "\nNext: set the variables, and look for errors and doubts with `cargo run -- check {output}`."
        );
        eprintln!(
            "Each key of LiteLLM, and what is different whatever the file says: docs/moving-from-litellm.md"
        );
    }
    if issues.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How much of the file is in the document.
fn summary(root: &YamlNode, document: &Value) -> String {
    let count = |key: &str| document.get(key).and_then(Value::as_object).map_or(0, serde_json::Map::len);
    let rows = root.peek("model_list").and_then(|entry| entry.value.items()).map_or(0, <[_]>::len);
    let (deployments, models) = (count("deployments"), count("models"));
    format!("Rows of `model_list`: {rows}. In the document: deployments {deployments}, models {models}.")
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
