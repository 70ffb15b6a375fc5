//! `switchyard check`: lists the errors of a routes document.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use switchyard::routes::{Issue, compile, doubts};

use crate::output::say;

const EXAMPLES: &str = "\
Examples:
  cargo run -- check
  cargo run -- check examples/azure-regions.json
  OPENAI_API_KEY=sk-... cargo run -- check my-routes.json";

/// Checks a routes document and lists its errors. The exit code is 1 if there are any.
///
/// Variables come from the environment, then from .dev.vars. A missing variable is a warning.
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
    let env = environment();
    match compile(&document, &env) {
        Ok(compiled) => {
            print_all("warning", &compiled.warnings);
            print_all("warning", &doubts(&compiled.graph, &env));
            let deployments = counted(compiled.graph.deployments.len(), "deployment");
            let models = counted(compiled.graph.models.len(), "model");
            say(format_args!("{file}: good: {deployments}, {models}, version {}\n", compiled.graph.version));
            ExitCode::SUCCESS
        }
        Err(issues) => {
            print_all("error", &issues);
            say(format_args!("{file}: {} to put right\n", counted(issues.len(), "thing")));
            ExitCode::FAILURE
        }
    }
}

/// The variables of the environment, then those of `.dev.vars`.
pub fn environment() -> impl Fn(&str) -> Option<String> {
    let (dev_vars, refused) = dev_vars(&std::fs::read_to_string(".dev.vars").unwrap_or_default());
    if refused > 0 {
        eprintln!(".dev.vars: {} left out: put values with spaces in quotes", counted(refused, "bad line"));
    }
    move |name: &str| std::env::var(name).ok().or_else(|| dev_vars.get(name).cloned())
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn print_all(kind: &str, issues: &[Issue]) {
    for issue in issues {
        say(format_args!("{kind}: {issue}\n"));
    }
}

/// The variables of a `.dev.vars` file, and the number of lines that cannot be read. Those lines
/// are not quoted, because they may hold a secret.
///
/// wrangler differs in three ways. It does not replace `$NAME` outside single quotes, a `#` without
/// a space before it begins a comment, and spaces need no quotes.
fn dev_vars(text: &str) -> (BTreeMap<String, String>, usize) {
    let mut variables = BTreeMap::new();
    let mut refused = 0;
    for line in dotenvy::from_read_iter(text.as_bytes()) {
        match line {
            Ok((name, value)) => drop(variables.insert(name, value)),
            Err(_) => refused += 1,
        }
    }
    (variables, refused)
}

#[cfg(test)]
mod tests {
    use super::dev_vars;

    fn read(text: &str) -> (Vec<(String, String)>, usize) {
        let (variables, refused) = dev_vars(text);
        (variables.into_iter().collect(), refused)
    }

    #[test]
    fn dev_vars_are_read_as_wrangler_reads_them() {
        let text = "# a comment\nA=1\nexport B = \"two = 2\"\n\nC='3'\nnot a line\nD=\n";
        let expected = [("A", "1"), ("B", "two = 2"), ("C", "3"), ("D", "")];
        assert_eq!(
            read(text),
            (expected.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(), 1)
        );
    }

    #[test]
    fn comments_quotes_and_line_breaks_are_those_of_dotenv() {
        for (text, expected) in [
            ("A=1 # a comment", "1"),
            ("A='1 # none'", "1 # none"),
            ("A=\"one\\ntwo\"", "one\ntwo"),
            ("A='one\ntwo'", "one\ntwo"),
            ("A='$B'", "$B"),
            ("A=https://example.com/?a=b&c=d#e", "https://example.com/?a=b&c=d#e"),
            ("A=1\r\n", "1"),
            ("A=1\nA=2", "2"),
        ] {
            assert_eq!(read(text), (vec![("A".to_owned(), expected.to_owned())], 0), "{text}");
        }
    }

    #[test]
    fn bad_lines_are_left_out_and_counted() {
        let (variables, refused) = read("A=two words\n=1\n1A=1\nB='open");
        assert_eq!((variables.len(), refused), (0, 4));
    }
}
