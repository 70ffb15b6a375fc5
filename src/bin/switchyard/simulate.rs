//! `switchyard simulate`: the whole system on a virtual clock.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use clap::builder::PossibleValuesParser;
use switchyard::routes::Issue;
use switchyard::simulation::print;
use switchyard::simulation::promise::Promise;
use switchyard::simulation::scenario::{Scenario, ScenarioOptions};
use switchyard::simulation::scenarios::SCENARIOS;
use switchyard::simulation::setup::graph_of;

use crate::document_check::refusal;
use crate::output::{failed, is_coloured, say};

/// The name that selects every scenario.
const ALL: &str = "all";

const EXAMPLES: &str = "\
Examples:
  cargo run --release -- simulate
  cargo run --release -- simulate --scenario outage --isolates 600
  cargo run --release -- simulate examples/azure-regions.json --scenario brown-out --seed 7
  cargo run --release -- simulate --scenario flapping --json
";

/// Runs routes through failure scenarios on a virtual clock. Exit code 1 if a promise is broken.
///
/// Without a document, every scenario uses its own routes. With a document, the failure hits the
/// deployment that has the most traffic. Variables get made-up values, and no request leaves the
/// machine.
#[derive(Debug, Args)]
#[command(after_help = examples_and_scenarios(), args_override_self = true)]
pub struct Arguments {
    /// The routes document.
    file: Option<String>,
    /// The scenario to run.
    #[arg(long, value_name = "NAME", default_value = ALL, value_parser = names(), hide_possible_values = true)]
    scenario: String,
    /// The number of isolates in all regions together.
    #[arg(long, value_name = "N")]
    isolates: Option<usize>,
    /// The seed of all randomness. It is printed; the same seed repeats the run exactly.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print one JSON object per line instead of text.
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub fn simulate(arguments: &Arguments) -> ExitCode {
    run(arguments).unwrap_or_else(|why| failed("not_done", &why, 2, arguments.json))
}

fn names() -> PossibleValuesParser {
    std::iter::once(ALL).chain(SCENARIOS.iter().map(|scenario| scenario.name)).into()
}

fn examples_and_scenarios() -> String {
    let widest = SCENARIOS.iter().map(|scenario| scenario.name.len()).max().unwrap_or(0);
    let line = |scenario: &Scenario| format!("\n  {:widest$}  {}", scenario.name, scenario.about);
    format!("{EXAMPLES}\nScenarios:{}", SCENARIOS.iter().map(line).collect::<String>())
}

/// A seed for the run. It is printed, so it is no secret.
#[expect(clippy::disallowed_methods, reason = "the command line is outside the core")]
fn any_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::from(since.subsec_micros()))
}

fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let listed = |issues: Vec<Issue>| {
        issues.iter().map(|issue| format!("error: {issue}")).collect::<Vec<_>>().join("\n")
    };
    let seed = arguments.seed.unwrap_or_else(any_seed);
    let mut choices = ScenarioOptions { seed, isolates: arguments.isolates, ..ScenarioOptions::default() };
    if let Some(file) = &arguments.file {
        let document = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
        let refused = |errors: Vec<Issue>| refusal(file, &document, &errors, "nothing is simulated");
        choices.graph = Some(graph_of(&document).map_err(refused)?);
    }
    let is_selected = |scenario: &&Scenario| [ALL, scenario.name].contains(&arguments.scenario.as_str());
    let coloured = is_coloured();
    let (mut broken, mut promised) = (0, 0);
    for scenario in SCENARIOS.iter().filter(is_selected) {
        let run = scenario.run(&choices).map_err(listed)?;
        promised += run.promises.len();
        broken += run.promises.iter().filter(|promise| !Promise::is_kept(promise)).count();
        if arguments.json {
            say(format_args!("{}\n", print::value(scenario, &run, seed)));
        } else {
            say(format_args!("{}\n", print::text(scenario, &run, seed, coloured)));
        }
    }
    if !arguments.json {
        say(format_args!("{} of {promised} promises kept, seed {}\n", promised - broken, seed));
    }
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
