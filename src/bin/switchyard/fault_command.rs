//! `switchyard fault`: faults of deployments for a time, for drills.

use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::gateway_client::{GatewayArguments, GatewayClient};
use crate::gateway_error::{GatewayError, finished};
use crate::history::in_path;
use crate::output::{Progress, say};

const EXAMPLES: &str = "\
Examples:
  export SWITCHYARD_URL=https://switchyard.example.workers.dev SWITCHYARD_ADMIN_TOKEN=...
  switchyard fault azure-eastus 429 --share 20 --seconds 300 --why 'game day'
  switchyard fault --list
  switchyard fault --end azure-eastus
  switchyard fault --end --all

Exit codes: 0 if it is done, 1 if there is no such deployment, 2 if the arguments are not understood,
3 if the gateway cannot be asked, or the fault is at work in one isolate only.";

/// Makes a deployment fail for a time, without a call of its provider. It ends by itself.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "one for each flag")]
pub struct FaultArguments {
    /// The deployment.
    #[arg(required_unless_present_any = ["list", "all"], conflicts_with_all = ["list", "all"])]
    deployment: Option<String>,
    /// A rate limit, an error, no answer, or an answer that breaks off.
    #[arg(
        value_parser = ["429", "500", "hang", "cut"],
        required_unless_present_any = ["list", "end"],
        conflicts_with_all = ["list", "end"]
    )]
    fault: Option<String>,
    /// The part of the attempts that it answers, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100))]
    share: u64,
    /// How long it lasts: an hour at most.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// The reason, for the list and for the log of acts.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// List the faults that are set.
    #[arg(long)]
    list: bool,
    /// End the fault of the deployment, or with --all every fault.
    #[arg(long, conflicts_with = "list")]
    end: bool,
    /// All deployments.
    #[arg(long, requires = "end")]
    all: bool,
    /// Print the answer of the gateway as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gateway: GatewayArguments,
}

/// Runs `fault`.
pub fn fault(arguments: &FaultArguments) -> ExitCode {
    finished(asked(arguments), arguments.json)
}

fn asked(arguments: &FaultArguments) -> Result<ExitCode, GatewayError> {
    let FaultArguments { deployment, fault, share, seconds, why, .. } = arguments;
    let gateway = GatewayClient::from_arguments(&arguments.gateway)?;
    let progress = Progress::of("Asking the gateway");
    let answer = if arguments.list {
        gateway.get("/admin/api/faults", &[])
    } else if arguments.end {
        let name = deployment.as_ref().map(|name| format!("/{}", in_path(name)));
        gateway.delete(&format!("/admin/api/faults{}", name.unwrap_or_default()), &[])
    } else {
        let mut body =
            json!({ "deployment": deployment, "fault": fault, "share": share, "seconds": seconds });
        if let (Some(why), Some(body)) = (why, body.as_object_mut()) {
            body.insert("why".to_owned(), why.as_str().into());
        }
        gateway.post("/admin/api/faults", &[("content-type", "application/json")], &body.to_string())
    };
    let answer = answer?.accepted()?;
    drop(progress);
    if arguments.json {
        say(format_args!("{:#}\n", answer.json::<Value>()?));
    } else if arguments.list {
        say(format_args!("{}", list(&answer.json::<SetFaults>()?.faults)));
    } else if arguments.end {
        say(format_args!("{}", ended(&answer.json::<EndedFaults>()?.ended)));
    } else {
        say(format_args!("{}", begun(&answer.json()?)));
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Deserialize)]
struct SetFaults {
    faults: Vec<SetFault>,
}

#[derive(Deserialize)]
struct SetFault {
    deployment: String,
    fault: String,
    share: u64,
    remaining_ms: u64,
    why: Option<String>,
}

#[derive(Deserialize)]
struct EndedFaults {
    ended: Vec<String>,
}

/// What a fault does, in words, without the end of the line.
fn sentence(fault: &SetFault) -> String {
    let SetFault { deployment, fault, share, remaining_ms, why } = fault;
    let attempts =
        if *share == 100 { "all attempts".to_owned() } else { format!("{share} % of the attempts") };
    let why = why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    format!("{attempts} at {deployment} get {fault} for {} s{why}", remaining_ms.div_ceil(1_000))
}

fn begun(fault: &SetFault) -> String {
    format!(
        "From now on, {}. Everywhere within seconds.\nTo end it earlier: switchyard fault --end {}\n",
        sentence(fault),
        fault.deployment
    )
}

fn list(faults: &[SetFault]) -> String {
    if faults.is_empty() {
        return "No fault is set.\n".to_owned();
    }
    faults.iter().map(|fault| sentence(fault) + "\n").collect()
}

fn ended(deployments: &[String]) -> String {
    match deployments {
        [] => "No fault was set.\n".to_owned(),
        [deployment] => format!("The fault of {deployment} has ended. Everywhere within seconds.\n"),
        _ => format!("The faults of {} have ended. Everywhere within seconds.\n", deployments.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: FaultArguments,
    }

    #[test]
    fn a_line_sets_lists_or_ends_and_nothing_in_between() {
        for (line, is_understood) in [
            ("a 429", true),
            ("a cut --share 1 --seconds 3600 --why x", true),
            ("--list", true),
            ("--end a", true),
            ("a --end", true),
            ("--end --all", true),
            ("", false),
            ("a", false),
            ("a 503", false),
            ("a 429 --share 0", false),
            ("a 429 --seconds 3601", false),
            ("--list a", false),
            ("--list --end a", false),
            ("--end", false),
            ("--all", false),
            ("--end --all a", false),
            ("--end a 429", false),
        ] {
            let parsed = Line::try_parse_from(["fault"].into_iter().chain(line.split_whitespace()));
            assert_eq!(parsed.is_ok(), is_understood, "{line}");
        }
    }

    #[test]
    fn a_fault_is_said_in_words() {
        let fault = |share, why: Option<&str>| SetFault {
            deployment: "azure".to_owned(),
            fault: "429".to_owned(),
            share,
            remaining_ms: 59_001,
            why: why.map(str::to_owned),
        };
        let all = "all attempts at azure get 429 for 60 s";
        assert_eq!(list(&[fault(100, None)]), format!("{all}\n"));
        assert_eq!(list(&[fault(5, Some("b"))]), "5 % of the attempts at azure get 429 for 60 s (b)\n");
        assert_eq!(list(&[]), "No fault is set.\n");
        let end = "Everywhere within seconds.\nTo end it earlier: switchyard fault --end azure\n";
        assert_eq!(begun(&fault(100, None)), format!("From now on, {all}. {end}"));
        let names = ["azure".to_owned(), "openai".to_owned()];
        assert_eq!(ended(&names[..0]), "No fault was set.\n");
        assert_eq!(ended(&names[..1]), "The fault of azure has ended. Everywhere within seconds.\n");
        assert_eq!(ended(&names), "The faults of azure, openai have ended. Everywhere within seconds.\n");
    }
}
