//! The command-line arguments. Exit code 2 means that they are not understood, or that a file
//! cannot be read.

use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::output::say;
use crate::{
    audit, canary_command, check, doctor, explain, fault_command, graph, history, import, keys_command, pull,
    push, simulate, status, switches, usage_command,
};

const EXAMPLES: &str = "\
Examples:
  cargo run -- check
  cargo run -- check examples/azure-regions.json
  cargo run -- doctor --only azure-eastus
  cargo run -- explain --request request.json
  cargo run -- graph my-routes.json --format svg --output routes.svg
  cargo run -- import litellm_config.yaml --output my-routes.json
  cargo run -- schema > routes.schema.json
  cargo run --release -- simulate my-routes.json --scenario outage

With SWITCHYARD_URL and SWITCHYARD_ADMIN_TOKEN of a running gateway:
  cargo run -- push my-routes.json --why 'chat moves to Sweden'
  cargo run -- status";

const EXAMPLES_OF_SCHEMA: &str = "\
Examples:
  cargo run -- schema > routes.schema.json
  cargo run -- schema --bare > src/routes/shape.json";

const EXAMPLES_OF_COMPLETIONS: &str = "\
Examples:
  switchyard completions bash > ~/.local/share/bash-completion/completions/switchyard
  switchyard completions fish > ~/.config/fish/completions/switchyard.fish";

/// Checks, explains and simulates routes documents, and operates running gateways.
#[derive(Debug, Parser)]
#[command(name = "switchyard", version, flatten_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Audit(audit::Arguments),
    Canary(canary_command::Arguments),
    Check(check::Arguments),
    Completions(CompletionsArguments),
    Diff(pull::DiffArguments),
    /// Takes all new requests from a deployment, for example before its maintenance.
    Drain(switches::SwitchArguments),
    /// Ends a drain.
    Enable(switches::SwitchArguments),
    Doctor(doctor::Arguments),
    Explain(explain::Arguments),
    Fault(fault_command::FaultArguments),
    Graph(graph::Arguments),
    History(history::HistoryArguments),
    Import(import::Arguments),
    Keys(keys_command::KeysArguments),
    Pull(pull::PullArguments),
    Push(push::Arguments),
    Reset(switches::ResetArguments),
    Rollback(history::RollbackArguments),
    Schema(SchemaArguments),
    Simulate(simulate::Arguments),
    Status(status::Arguments),
    Usage(usage_command::UsageArguments),
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
        Command::Audit(arguments) => audit::audit(&arguments),
        Command::Canary(arguments) => canary_command::canary(&arguments),
        Command::Check(arguments) => check::check(&arguments),
        Command::Completions(arguments) => completions(&arguments),
        Command::Diff(arguments) => pull::diff(&arguments),
        Command::Drain(arguments) => switches::drain(&arguments),
        Command::Enable(arguments) => switches::enable(&arguments),
        Command::Doctor(arguments) => doctor::doctor(&arguments),
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::Fault(arguments) => fault_command::fault(&arguments),
        Command::Graph(arguments) => graph::graph(&arguments),
        Command::History(arguments) => history::history(&arguments),
        Command::Import(arguments) => import::import(&arguments),
        Command::Keys(arguments) => keys_command::keys(&arguments),
        Command::Pull(arguments) => pull::pull(&arguments),
        Command::Push(arguments) => push::push(&arguments),
        Command::Reset(arguments) => switches::reset(&arguments),
        Command::Rollback(arguments) => history::rollback(&arguments),
        Command::Schema(arguments) => schema(&arguments),
        Command::Simulate(arguments) => simulate::simulate(&arguments),
        Command::Status(arguments) => status::status(&arguments),
        Command::Usage(arguments) => usage_command::usage(&arguments),
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
