//! `switchyard audit`: exports the log of what administrators did.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use crate::gateway_client::{GatewayArguments, GatewayClient};
use crate::gateway_error::{GatewayError, finished};
use crate::output::{Progress, say};

const EXAMPLES: &str = "\
Examples:
  export SWITCHYARD_URL=https://switchyard.example.workers.dev SWITCHYARD_ADMIN_TOKEN=...
  switchyard audit > audit.jsonl
  switchyard audit --since \"$(tail -n 1 audit.jsonl | jq .number)\" >> audit.jsonl

Exit codes: 0 if all entries are printed, 2 if the arguments are not understood, 3 if the gateway
cannot be asked.";

/// Prints the log of what administrators did: one line of JSON for each act, oldest first.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Only the entries after the one with this number.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    since: u64,
    /// Has no effect: lines of JSON are what is printed.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gateway: GatewayArguments,
}

/// Runs the subcommand.
pub fn audit(arguments: &Arguments) -> ExitCode {
    finished(exported(arguments), arguments.json)
}

fn exported(arguments: &Arguments) -> Result<ExitCode, GatewayError> {
    let gateway = GatewayClient::from_arguments(&arguments.gateway)?;
    let mut since = arguments.since;
    loop {
        let progress = Progress::of("Fetching the log");
        let path = format!("/admin/api/audit?since={since}");
        let answer = gateway.get(&path, &[("accept", "application/x-ndjson")])?.accepted()?;
        drop(progress);
        if answer.body.trim().is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        // A page that does not go on would be asked for again and again.
        let Some(last) = last_number(&answer.body).filter(|last| *last > since) else {
            let message = "The answer is no page of the log.";
            return Err(GatewayError::new("unexpected_answer", message, ""));
        };
        say(format_args!("{}", answer.body));
        since = last;
    }
}

/// The number of the last entry of a page.
fn last_number(page: &str) -> Option<u64> {
    serde_json::from_str::<Value>(page.trim_end().lines().next_back()?).ok()?.get("number")?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::last_number;

    #[test]
    fn the_next_page_begins_after_the_last_entry() {
        assert_eq!(last_number("{\"number\":3}\n{\"number\":4}\n"), Some(4));
        assert_eq!(last_number(""), None);
        assert_eq!(last_number("no JSON\n"), None);
    }
}
