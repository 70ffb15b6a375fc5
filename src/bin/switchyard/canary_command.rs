//! `switchyard canary`: how the new version of the routes does beside the old one, and its end by
//! hand.

use std::fmt::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Value, json};
use switchyard::vocabulary::time::Instant;

use crate::gateway_client::{GatewayArguments, GatewayClient};
use crate::gateway_error::{GatewayError, finished};
use crate::output::say;

const EXAMPLES: &str = "\
Examples:
  export SWITCHYARD_URL=https://switchyard.example.workers.dev SWITCHYARD_ADMIN_TOKEN=...
  switchyard canary status
  switchyard canary promote
  switchyard canary take-back --why 'the prices are wrong'

Exit codes: 0 if it is done, 1 if no canary runs, 2 if the arguments are not understood, 3 if the
gateway cannot be asked or does not accept the token.";

/// Looks at the canary of a change of the routes, or ends it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    action: CanaryCommand,
}

#[derive(Debug, Subcommand)]
enum CanaryCommand {
    /// Shows what both versions have done, and the evidence against the new one.
    Status(StatusArguments),
    /// The new version takes over now.
    Promote(EndArguments),
    /// The old version goes on alone.
    TakeBack(EndArguments),
}

#[derive(Debug, Args)]
struct StatusArguments {
    /// Print the canary as JSON; `null` if none runs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gateway: GatewayArguments,
}

#[derive(Debug, Args)]
struct EndArguments {
    /// The reason, for the log of acts.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Print the answer of the gateway as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gateway: GatewayArguments,
}

/// Runs the subcommand.
pub fn canary(arguments: &Arguments) -> ExitCode {
    let (result, as_json) = match &arguments.action {
        CanaryCommand::Status(arguments) => (status(arguments), arguments.json),
        CanaryCommand::Promote(arguments) => (end(arguments, "promote"), arguments.json),
        CanaryCommand::TakeBack(arguments) => (end(arguments, "take_back"), arguments.json),
    };
    finished(result, as_json)
}

/// What of `GET /admin/api/routes` is shown.
#[derive(Deserialize)]
struct RoutesStatus {
    version: String,
    canary: Option<CanaryStatus>,
}

#[derive(Deserialize)]
struct CanaryStatus {
    version: String,
    base: String,
    share: u32,
    until: Instant,
    old: CountedVersion,
    new: CountedVersion,
    evidence: EvidenceStatus,
    enough_evidence: f64,
    least_requests: u64,
}

#[derive(Deserialize)]
struct CountedVersion {
    requests: u64,
    failed: u64,
    fell_back: u64,
    p50: Option<u64>,
    p95: Option<u64>,
}

#[derive(Deserialize)]
struct EvidenceStatus {
    failures: f64,
    fallbacks: f64,
    slowness: f64,
}

fn status(arguments: &StatusArguments) -> Result<ExitCode, GatewayError> {
    let gateway = GatewayClient::from_arguments(&arguments.gateway)?;
    let answer = gateway.get("/admin/api/routes", &[])?.accepted()?;
    let routes: RoutesStatus = answer.json()?;
    if arguments.json {
        say(format_args!("{:#}\n", answer.json::<Value>()?.get("canary").unwrap_or(&Value::Null)));
    } else {
        say(format_args!("{}", text(&routes)));
    }
    Ok(if routes.canary.is_some() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn text(routes: &RoutesStatus) -> String {
    let Some(canary) = &routes.canary else {
        return format!("No canary runs. Version {} serves.\n", routes.version);
    };
    let CanaryStatus { version, base, share, until, old, new, evidence, enough_evidence, least_requests } =
        canary;
    let mut text = format!("Version {version} serves {share} % of the requests until {}.\n\n", until.utc());
    let _ = writeln!(
        text,
        "{:<14}{:>10}{:>10}{:>11}{:>10}{:>10}",
        "", "requests", "failed", "fell back", "p50", "p95"
    );
    for (name, counts) in [(base, old), (version, new)] {
        let ms = |time: Option<u64>| time.map_or_else(|| "-".to_owned(), |time| format!("{time} ms"));
        let CountedVersion { requests, failed, fell_back, p50, p95 } = counts;
        let (p50, p95) = (ms(*p50), ms(*p95));
        let _ = writeln!(text, "{name:<14}{requests:>10}{failed:>10}{fell_back:>11}{p50:>10}{p95:>10}");
    }
    let EvidenceStatus { failures, fallbacks, slowness } = evidence;
    let _ = writeln!(
        text,
        "\nEvidence that it is worse: failures {failures:.1}, fallbacks {fallbacks:.1}, slowness {slowness:.1}.\n\
         It is taken back at {enough_evidence}, and takes over with at least {least_requests} requests."
    );
    text
}

/// What the gateway answers when a canary has been ended.
#[derive(Deserialize)]
struct EndedCanary {
    version: String,
    base: String,
}

fn end(arguments: &EndArguments, action: &str) -> Result<ExitCode, GatewayError> {
    let gateway = GatewayClient::from_arguments(&arguments.gateway)?;
    let body = json!({ "action": action, "why": arguments.why }).to_string();
    let answer = gateway.post("/admin/api/routes/canary", &[], &body)?.accepted()?;
    if arguments.json {
        say(format_args!("{:#}\n", answer.json::<Value>()?));
    } else {
        let EndedCanary { version, base } = answer.json()?;
        let stays = if action == "promote" { version } else { base };
        say(format_args!("Version {stays} serves alone. Everywhere within two minutes.\n"));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::text;

    #[test]
    fn the_status_shows_both_versions_and_the_evidence() {
        let counts = |requests: u64, p95: Option<u64>| json!({ "requests": requests, "failed": 1, "fell_back": 2, "p50": 512, "p95": p95 });
        let routes = json!({ "version": "an older one", "source": "kv", "canary": {
            "version": "a07b5512fe90", "base": "3f2a90c1d4e5", "share": 5, "until": 1_767_226_200_000_u64,
            "old": counts(1893, Some(1536)), "new": counts(96, None),
            "evidence": { "failures": 0.61, "fallbacks": 0.5, "slowness": 0.7 },
            "enough_evidence": 300.0, "least_requests": 50,
        } });
        let expected = "\
Version a07b5512fe90 serves 5 % of the requests until 2026-01-01T00:10:00Z.

                requests    failed  fell back       p50       p95
3f2a90c1d4e5        1893         1          2    512 ms   1536 ms
a07b5512fe90          96         1          2    512 ms         -

Evidence that it is worse: failures 0.6, fallbacks 0.5, slowness 0.7.
It is taken back at 300, and takes over with at least 50 requests.
";
        assert_eq!(text(&serde_json::from_value(routes).unwrap()), expected);
        let none = json!({ "version": "3f2a90c1d4e5", "canary": null });
        assert_eq!(
            text(&serde_json::from_value(none).unwrap()),
            "No canary runs. Version 3f2a90c1d4e5 serves.\n"
        );
    }
}
