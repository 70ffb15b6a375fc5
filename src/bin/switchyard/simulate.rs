//! `switchyard simulate`: the whole system on a virtual clock.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use switchyard::simulation::print;
use switchyard::simulation::promise::Promise;
use switchyard::simulation::scenario::{Scenario, ScenarioOptions};
use switchyard::simulation::scenarios::{self, SCENARIOS};
use switchyard::simulation::setup::graph_of;

const HELP: &str = "\
switchyard simulate: runs routes through bad weather, on a virtual clock.

Usage:
  switchyard simulate [ROUTES.json] [--scenario NAME|all] [--isolates N] [--seed N] [--json]

Without a document every scenario has its own. With one, the weather befalls the deployment that has most traffic; made-up values
stand in for variables, and nothing is sent to anybody. Exit code 1 if a promise is broken.

  --scenario NAME   Which one; `all` by default.
  --isolates N      How many isolates there are, in all regions together.
  --seed N          The seed of all chance. It is printed: the same one repeats the run exactly.
  --json            One JSON object a line instead of text.

Examples:
  cargo run --release -- simulate
  cargo run --release -- simulate --scenario outage --isolates 600
  cargo run --release -- simulate examples/azure-regions.json --scenario brown-out --seed 7
  cargo run --release -- simulate --scenario flapping --json

Scenarios:
";

/// What was asked for.
struct Asked {
    document: Option<String>,
    scenarios: Vec<&'static Scenario>,
    choices: ScenarioOptions,
    json: bool,
}

/// Runs the subcommand with its arguments.
pub fn simulate(arguments: &[&str]) -> ExitCode {
    if arguments.iter().any(|argument| matches!(*argument, "--help" | "-h")) {
        print!("{}", help());
        return ExitCode::SUCCESS;
    }
    let asked = match asked(arguments) {
        Ok(asked) => asked,
        Err(why) => {
            eprint!("{why}\n\n{}", help());
            return ExitCode::from(2);
        }
    };
    run(asked).unwrap_or_else(|why| {
        eprintln!("{why}");
        ExitCode::from(2)
    })
}

fn help() -> String {
    let widest = SCENARIOS.iter().map(|scenario| scenario.name.len()).max().unwrap_or(0);
    let line = |scenario: &Scenario| format!("  {:widest$}  {}\n", scenario.name, scenario.about);
    format!("{HELP}{}", SCENARIOS.iter().map(line).collect::<String>())
}

fn asked(arguments: &[&str]) -> Result<Asked, String> {
    let mut asked = Asked {
        document: None,
        scenarios: SCENARIOS.iter().collect(),
        choices: ScenarioOptions { seed: any_seed(), ..ScenarioOptions::default() },
        json: false,
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().copied().ok_or_else(|| format!("`{argument}` needs a value."));
        match *argument {
            "--json" => asked.json = true,
            "--scenario" => match value()? {
                "all" => {}
                name => {
                    let found =
                        scenarios::named(name).ok_or_else(|| format!("There is no scenario `{name}`."))?;
                    asked.scenarios = vec![found];
                }
            },
            "--seed" => asked.choices.seed = number(argument, value()?)?,
            "--isolates" => asked.choices.isolates = Some(number(argument, value()?)?),
            document if !document.starts_with('-') && asked.document.is_none() => {
                asked.document = Some(document.to_owned());
            }
            _ => return Err(format!("`{argument}` is not understood.")),
        }
    }
    Ok(asked)
}

fn number<T: std::str::FromStr>(argument: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("`{argument}` takes a whole number, not `{value}`."))
}

/// A seed to be printed. It is no secret.
#[expect(clippy::disallowed_methods, reason = "the command line is outside the core")]
fn any_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::from(since.subsec_micros()))
}

fn run(mut asked: Asked) -> Result<ExitCode, String> {
    let said = |issues: Vec<switchyard::routes::Issue>| {
        issues.iter().map(|issue| format!("error: {issue}")).collect::<Vec<_>>().join("\n")
    };
    if let Some(file) = &asked.document {
        let document = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
        asked.choices.graph = Some(graph_of(&document).map_err(said)?);
    }
    let coloured = std::io::stdout().is_terminal();
    let (mut broken, mut promised) = (0, 0);
    for scenario in asked.scenarios {
        let run = scenario.run(&asked.choices).map_err(said)?;
        promised += run.promises.len();
        broken += run.promises.iter().filter(|promise| !Promise::is_kept(promise)).count();
        if asked.json {
            println!("{}", print::value(scenario, &run, asked.choices.seed));
        } else {
            println!("{}", print::text(scenario, &run, asked.choices.seed, coloured));
        }
    }
    if !asked.json {
        println!("{} of {promised} promises kept, seed {}", promised - broken, asked.choices.seed);
    }
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
