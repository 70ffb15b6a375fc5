//! `switchyard check`: what is wrong with a routes document.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use switchyard::routes::{Issue, compile};

const EXAMPLES: &str = "\
Examples:
  cargo run -- check
  cargo run -- check examples/azure-regions.json
  OPENAI_API_KEY=sk-... cargo run -- check my-routes.json";

/// Says what is wrong with a routes document. Exit code 1 if something is.
///
/// Variables are taken from the environment, then from .dev.vars; missing ones are warnings.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The routes document.
    #[arg(default_value = "routes.json")]
    file: String,
}

/// Runs the subcommand.
pub fn check(arguments: &Arguments) -> ExitCode {
    let file = &arguments.file;
    let document = match std::fs::read_to_string(file) {
        Ok(document) => document,
        Err(error) => {
            eprintln!("{file}: {error}");
            return ExitCode::from(2);
        }
    };
    let dev_vars = std::fs::read_to_string(".dev.vars").map(|text| dev_vars(&text)).unwrap_or_default();
    let env = |name: &str| std::env::var(name).ok().or_else(|| dev_vars.get(name).cloned());
    match compile(&document, &env) {
        Ok(compiled) => {
            print_all("warning", &compiled.warnings);
            let deployments = counted(compiled.graph.deployments.len(), "deployment");
            let models = counted(compiled.graph.models.len(), "model");
            println!("{file}: good: {deployments}, {models}, version {}", compiled.graph.version);
            ExitCode::SUCCESS
        }
        Err(issues) => {
            print_all("error", &issues);
            println!("{file}: {} to put right", counted(issues.len(), "thing"));
            ExitCode::FAILURE
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn print_all(kind: &str, issues: &[Issue]) {
    for issue in issues {
        println!("{kind}: {issue}");
    }
}

/// The variables of a `.dev.vars` file: lines of `NAME=value`, the value in quotes or not.
fn dev_vars(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.strip_prefix("export ").unwrap_or(line).split_once('='));
    let bare = |value: &str| {
        let value = value.trim();
        let quoted = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
        quoted.unwrap_or(value).to_owned()
    };
    pairs.map(|(name, value)| (name.trim().to_owned(), bare(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::dev_vars;

    #[test]
    fn dev_vars_are_read_as_wrangler_reads_them() {
        let text = "# a comment\nA=1\nexport B = \"two = 2\"\n\nC='3'\nnot a line\nD=\n";
        let pairs: Vec<_> = dev_vars(text).into_iter().collect();
        let expected = [("A", "1"), ("B", "two = 2"), ("C", "3"), ("D", "")];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
