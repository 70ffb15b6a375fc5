//! The command-line arguments. Exit code 2 means that they are not understood, or that a file
//! cannot be read.

use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::output::say;
use crate::{check, explain, graph, import, simulate};

const EXAMPLES: &str = "\
Examples:
  cargo run -- check
  cargo run -- check examples/azure-regions.json
  cargo run -- explain --request request.json
  cargo run -- graph my-routes.json --format svg --output routes.svg
  cargo run -- import litellm_config.yaml --output my-routes.json
  cargo run -- schema > routes.schema.json
  cargo run --release -- simulate my-routes.json --scenario outage";

const EXAMPLES_OF_SCHEMA: &str = "\
Examples:
  cargo run -- schema > routes.schema.json
  cargo run -- schema --bare > src/routes/shape.json";

const EXAMPLES_OF_COMPLETIONS: &str = "\
Examples:
  switchyard completions bash > ~/.local/share/bash-completion/completions/switchyard
  switchyard completions fish > ~/.config/fish/completions/switchyard.fish";

/// Checks, explains and simulates routes documents.
#[derive(Debug, Parser)]
#[command(name = "switchyard", flatten_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Arguments),
    Completions(CompletionsArguments),
    Explain(explain::Arguments),
    Graph(graph::Arguments),
    Import(import::Arguments),
    Schema(SchemaArguments),
    Simulate(simulate::Arguments),
}

/// Prints the completions of a shell.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES_OF_COMPLETIONS)]
struct CompletionsArguments {
    /// The shell.
    shell: clap_complete::Shell,
}

/// Prints the JSON Schema of the routes document.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES_OF_SCHEMA)]
struct SchemaArguments {
    /// Leave out the descriptions, as in the copy inside the Worker.
    #[arg(long)]
    bare: bool,
}

/// Runs the subcommand that the arguments name.
pub fn run() -> ExitCode {
    match Cli::parse().command {
        Command::Check(arguments) => check::check(&arguments),
        Command::Completions(arguments) => completions(&arguments),
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::Graph(arguments) => graph::graph(&arguments),
        Command::Import(arguments) => import::import(&arguments),
        Command::Schema(arguments) => schema(&arguments),
        Command::Simulate(arguments) => simulate::simulate(&arguments),
    }
}

fn completions(arguments: &CompletionsArguments) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "switchyard", &mut script);
    say(format_args!("{}", String::from_utf8_lossy(&script)));
    ExitCode::SUCCESS
}

fn schema(arguments: &SchemaArguments) -> ExitCode {
    let schema =
        if arguments.bare { switchyard::routes::bare_schema() } else { switchyard::routes::schema() };
    say(format_args!("{schema}"));
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_arguments_are_declared_soundly() {
        Cli::command().debug_assert();
    }
}
