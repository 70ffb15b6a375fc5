//! The arguments of the command line. Exit code 2: they are not understood, or a file cannot be
//! read.

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::{check, simulate};

const EXAMPLES: &str = "\
Examples:
  cargo run -- check
  cargo run -- check examples/azure-regions.json
  cargo run -- schema > routes.schema.json
  cargo run --release -- simulate my-routes.json --scenario outage";

const EXAMPLES_OF_SCHEMA: &str = "\
Examples:
  cargo run -- schema > routes.schema.json
  cargo run -- schema --bare > src/routes/shape.json";

/// Checks and simulates routes documents.
#[derive(Debug, Parser)]
#[command(name = "switchyard", flatten_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Arguments),
    Schema(SchemaArguments),
    Simulate(simulate::Arguments),
}

/// Prints the JSON Schema of the routes document.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES_OF_SCHEMA)]
struct SchemaArguments {
    /// Without descriptions, as the Worker carries it.
    #[arg(long)]
    bare: bool,
}

/// Does what the arguments say.
pub fn run() -> ExitCode {
    match Cli::parse().command {
        Command::Check(arguments) => check::check(&arguments),
        Command::Schema(arguments) => schema(&arguments),
        Command::Simulate(arguments) => simulate::simulate(&arguments),
    }
}

fn schema(arguments: &SchemaArguments) -> ExitCode {
    let schema =
        if arguments.bare { switchyard::routes::bare_schema() } else { switchyard::routes::schema() };
    print!("{schema}");
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
