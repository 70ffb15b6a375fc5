//! `switchyard check`: lists the errors of a routes document.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;

use crate::document_check::DocumentCheck;
use crate::output::{counted, failed, is_coloured, say};

const EXAMPLES: &str = "\
Examples:
  cargo run -- check
  cargo run -- check examples/azure-regions.json
  OPENAI_API_KEY=sk-... cargo run -- check my-routes.json
  cargo run -- check --deny-warnings --json my-routes.json

Exit codes: 0 if the document is good, 1 if it has errors (with --deny-warnings also if it has
warnings), 2 if the arguments are not understood or the file cannot be read.";

/// Checks a routes document and lists its errors. The exit code is 1 if there are any.
///
/// Variables come from the environment, then from .dev.vars. A missing variable is a warning.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The routes document.
    #[arg(default_value = "routes.json")]
    file: String,
    /// Exit with 1 if there are warnings.
    #[arg(long)]
    deny_warnings: bool,
    /// Print one JSON object: `errors` and `warnings` with their line and column.
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub fn check(arguments: &Arguments) -> ExitCode {
    let file = &arguments.file;
    let document = match std::fs::read_to_string(file) {
        Ok(document) => document,
        Err(error) => {
            return failed("unusable_file", &format!("{file}: {error}"), 2, arguments.json);
        }
    };
    let found = DocumentCheck::new(file, &document, &environment());
    if arguments.json {
        let report = serde_json::to_string_pretty(&found.report()).unwrap_or_default();
        say(format_args!("{report}\n"));
    } else {
        say(format_args!("{}", found.text(is_coloured())));
    }
    if found.graph.is_none() || (arguments.deny_warnings && !found.warnings.is_empty()) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
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
