//! The status of a gateway, as text.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Value;
use switchyard::vocabulary::time::Instant;

use crate::output::{BOLD, GREEN, RED, YELLOW, counted, painted, printable, table};
use crate::routes_versions::FoundIssue;

/// What the admin API says about a gateway.
pub struct GatewayStatus {
    /// The answer of `GET /admin/api/routes`.
    pub routes: RoutesAnswer,
    /// The answer of `GET /admin/api/health`.
    pub health: HealthAnswer,
}

/// Which document serves.
#[derive(Debug, Deserialize)]
pub struct RoutesAnswer {
    version: String,
    source: String,
    warnings: Vec<FoundIssue>,
    disabled: Vec<DisabledAnswer>,
    trouble: Option<TroubleAnswer>,
    canary: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct DisabledAnswer {
    deployment: String,
    variable: String,
}

#[derive(Debug, Deserialize)]
struct TroubleAnswer {
    kind: String,
    issues: Option<Vec<FoundIssue>>,
}

/// The state of the deployments.
#[derive(Debug, Deserialize)]
pub struct HealthAnswer {
    object: Option<String>,
    trouble: Option<String>,
    deployments: Vec<DeploymentAnswer>,
}

#[derive(Debug, Deserialize)]
struct DeploymentAnswer {
    deployment: String,
    isolate: ObservedAnswer,
    object: Option<ObservedAnswer>,
    credential: Option<CredentialAnswer>,
}

/// Which credential a deployment uses in one isolate.
#[derive(Debug, Deserialize)]
struct CredentialAnswer {
    keys: Option<usize>,
    in_use: Option<usize>,
    #[serde(default)]
    refused: Vec<usize>,
    token_problem: Option<String>,
}

impl CredentialAnswer {
    /// What is wrong with it.
    fn said(&self) -> Option<String> {
        if let Some(problem) = &self.token_problem {
            return Some(printable(&format!("no new token: {problem}")));
        }
        let refused: Vec<String> = self.refused.iter().map(ToString::to_string).collect();
        let in_use = match (self.keys, self.in_use) {
            _ if refused.is_empty() => return None,
            (Some(keys), Some(key)) => format!("key {key} of {keys} in use"),
            _ => "no key in use".to_owned(),
        };
        Some(format!("{in_use}, refused: {}", refused.join(", ")))
    }
}

/// What is known about a deployment: in one isolate, or in a region.
#[derive(Debug, Deserialize)]
struct ObservedAnswer {
    gate: GateAnswer,
    /// Of an isolate only.
    share: Option<f64>,
    successes: u32,
    failures: u32,
    latency_ms: Option<f64>,
    first_token_ms: Option<f64>,
    headroom: Option<f64>,
    last_error: Option<LastErrorAnswer>,
}

#[derive(Debug, Deserialize)]
struct GateAnswer {
    state: String,
    until: Option<Instant>,
    why: Option<String>,
}

#[derive(Debug, Deserialize)]
struct LastErrorAnswer {
    class: String,
    at: Instant,
}

/// The columns of the deployments. The counts are those of the last ten seconds.
const HEADS: [&str; 8] = ["deployment", "state", "served", "failed", "headroom", "latency", "until", "why"];
/// The column with the state.
const STATE: usize = 1;

/// The status as text. `origin`: the gateway.
pub fn status_text(origin: &str, status: &GatewayStatus, is_coloured: bool) -> String {
    let GatewayStatus { routes, health } = status;
    let mut text = format!("{}\n", painted(BOLD, origin, is_coloured));
    let mut line = |about: &str, said: &str| {
        let _ = writeln!(text, "{about:<9} {said}");
    };
    let issue = |found: &FoundIssue| printable(&found.clone().into_issue().to_string());
    let source = match routes.source.as_str() {
        "kv" => "from KV",
        "last_good" => "the last good one, because the current one cannot serve",
        "compiled_in" => "the one that was deployed with the Worker, because KV has none",
        other => other,
    };
    line("routes", &format!("version {}, {source}", routes.version));
    if let Some(canary @ Value::Object(members)) = &routes.canary {
        let scalars = members.iter().filter(|(_, value)| !value.is_object() && !value.is_array());
        let said: Vec<String> = scalars.map(|(name, value)| format!("{name} {}", plain(value))).collect();
        line("canary", &if said.is_empty() { canary.to_string() } else { said.join(", ") });
    }
    if let Some(trouble) = &routes.trouble {
        let issues = trouble.issues.as_deref().unwrap_or_default();
        let said = match trouble.kind.as_str() {
            "gone" => "KV has no document any more".to_owned(),
            "refused" => format!("the one in KV is refused: {}", counted(issues.len(), "error")),
            other => other.to_owned(),
        };
        line("document", &painted(RED, &said, is_coloured));
        for found in issues {
            line("  error", &issue(found));
        }
    }
    for found in &routes.warnings {
        line("warning", &issue(found));
    }
    match (&health.object, &health.trouble) {
        (_, Some(trouble)) => {
            let said = format!("of one isolate, not shared: {trouble}");
            line("health", &painted(YELLOW, &said, is_coloured));
        }
        (Some(object), None) => {
            line("health", &format!("as {object} has it, counts of the last ten seconds"));
        }
        (None, None) => line("health", "of one isolate, counts of the last ten seconds"),
    }
    let rows: Vec<Vec<String>> =
        health.deployments.iter().map(|found| row(found, &routes.disabled)).collect();
    let colour = |row: usize, column: usize| {
        let state = rows.get(row).filter(|_| column == STATE)?.get(STATE)?;
        Some(match state.as_str() {
            "serving" => GREEN,
            "ejected" | "disabled" => RED,
            _ => YELLOW,
        })
    };
    text.push('\n');
    text.push_str(&table(&HEADS, &rows, colour, is_coloured));
    text
}

fn row(found: &DeploymentAnswer, disabled: &[DisabledAnswer]) -> Vec<String> {
    let observed = found.object.as_ref().unwrap_or(&found.isolate);
    // A switch is in the isolate first, and an ejection may be known to one of both only.
    let gates = [&observed.gate, &found.isolate.gate];
    let gate = gates.into_iter().find(|gate| gate.state != "closed").unwrap_or(&observed.gate);
    let disabled = disabled.iter().find(|other| other.deployment == found.deployment);
    let share = found.isolate.share.unwrap_or(1.0);
    let state = match (disabled, gate.state.as_str()) {
        (Some(_), _) => "disabled".to_owned(),
        (None, "closed") if share < 1.0 => format!("returning, {:.0} %", share * 100.0),
        (None, "closed") => "serving".to_owned(),
        (None, "open") => "ejected".to_owned(),
        (None, "probation") => "being probed".to_owned(),
        (None, other) => other.to_owned(),
    };
    let last_error = observed.last_error.as_ref();
    let why = match disabled {
        Some(DisabledAnswer { variable, .. }) => format!("the variable {variable} is missing or invalid"),
        None => gate.why.clone().unwrap_or_else(|| {
            last_error
                .map(|last| format!("last failure: {} at {}", last.class, last.at.utc()))
                .unwrap_or_default()
        }),
    };
    let credential = found.credential.as_ref().and_then(CredentialAnswer::said);
    let why = match credential {
        Some(said) if why.is_empty() => said,
        Some(said) => format!("{said}; {why}"),
        None => why,
    };
    let latency = match (observed.latency_ms, observed.first_token_ms) {
        (Some(whole), _) => format!("{whole:.0} ms"),
        (None, Some(first)) => format!("{first:.0} ms to the first token"),
        (None, None) => "-".to_owned(),
    };
    vec![
        found.deployment.clone(),
        state,
        observed.successes.to_string(),
        observed.failures.to_string(),
        observed.headroom.map_or("-".to_owned(), |left| format!("{:.0} %", left * 100.0)),
        latency,
        gate.until.map_or("-".to_owned(), |until| until.utc().to_string()),
        why,
    ]
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn observed(state: &str, more: &Value) -> Value {
        let why = (state != "closed").then_some("5 requests in a row failed");
        let mut value = json!({
            "gate": { "state": state, "until": null, "reason": null, "why": why },
            "share": 1.0, "successes": 0, "failures": 0, "latency_ms": null, "first_token_ms": null,
            "headroom": null, "last_error": null, "a_later_field": 1,
        });
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        value
    }

    fn shown(routes: Value, health: Value, is_coloured: bool) -> String {
        let status = GatewayStatus {
            routes: serde_json::from_value(routes).unwrap(),
            health: serde_json::from_value(health).unwrap(),
        };
        status_text("https://gateway.example", &status, is_coloured)
    }

    fn routes() -> Value {
        json!({ "version": "a07b5512fe90", "source": "kv", "warnings": [], "disabled": [], "trouble": null })
    }

    #[test]
    fn each_deployment_has_a_line_with_its_state_and_the_reason() {
        let at = 1_767_225_600_000_u64;
        let gate =
            json!({ "gate": { "state": "open", "until": at, "why": "the account's quota is used up" } });
        let busy = json!({ "successes": 12, "failures": 1, "latency_ms": 431.6, "headroom": 0.5,
            "last_error": { "class": "rate_limit", "at": at } });
        let slow = json!({ "share": 0.4, "first_token_ms": 90.2 });
        let health = json!({ "now": at, "object": "default/weur", "trouble": null, "deployments": [
            { "deployment": "azure", "isolate": observed("closed", &json!({})), "object": observed("closed", &busy) },
            { "deployment": "quota", "isolate": observed("closed", &json!({})), "object": observed("open", &gate) },
            { "deployment": "drained", "isolate": observed("drained", &json!({})), "object": null },
            { "deployment": "slow", "isolate": observed("closed", &slow), "object": null,
              "credential": { "keys": 2, "in_use": 2, "refused": [1] } },
            { "deployment": "probed", "isolate": observed("probation", &json!({})), "object": null,
              "credential": { "token_expires_at": null, "token_problem": "AADSTS7000222 (the client secret has expired)" } },
            { "deployment": "no-key", "isolate": observed("closed", &json!({})), "object": null },
        ] });
        let mut routes = routes();
        routes["disabled"] = json!([{ "deployment": "no-key", "variable": "OPENAI_API_KEY" }]);
        insta::assert_snapshot!(shown(routes, health, false), @r"
        https://gateway.example
        routes    version a07b5512fe90, from KV
        health    as default/weur has it, counts of the last ten seconds

        deployment  state            served  failed  headroom  latency                   until                 why
        azure       serving          12      1       50 %      432 ms                    -                     last failure: rate_limit at 2026-01-01T00:00:00Z
        quota       ejected          0       0       -         -                         2026-01-01T00:00:00Z  the account's quota is used up
        drained     drained          0       0       -         -                         -                     5 requests in a row failed
        slow        returning, 40 %  0       0       -         90 ms to the first token  -                     key 2 of 2 in use, refused: 1
        probed      being probed     0       0       -         -                         -                     no new token: AADSTS7000222 (the client secret has expired); 5 requests in a row failed
        no-key      disabled         0       0       -         -                         -                     the variable OPENAI_API_KEY is missing or invalid
        ");
    }

    #[test]
    fn what_is_wrong_with_the_document_and_with_sharing_is_said() {
        let issue =
            json!({ "code": "no_clients", "path": "clients", "found": "nothing", "expected": "a client" });
        let mut routes = routes();
        routes["source"] = json!("last_good");
        routes["warnings"] = json!([issue]);
        routes["trouble"] = json!({ "kind": "refused", "issues": [issue] });
        routes["canary"] = json!({ "version": "3f2a90c1d4e5", "percent": 5, "old": {} });
        let health = json!({ "now": 0, "object": null, "trouble": "the binding HEALTH is missing", "deployments": [] });
        insta::assert_snapshot!(shown(routes.clone(), health.clone(), false), @r"
        https://gateway.example
        routes    version a07b5512fe90, the last good one, because the current one cannot serve
        canary    percent 5, version 3f2a90c1d4e5
        document  the one in KV is refused: 1 error
          error   clients: found nothing, expected a client
        warning   clients: found nothing, expected a client
        health    of one isolate, not shared: the binding HEALTH is missing

        deployment  state  served  failed  headroom  latency  until  why
        ");
        let painted = shown(routes, health, true);
        assert!(painted.contains("\u{1b}[31mthe one in KV is refused: 1 error\u{1b}[0m"), "{painted:?}");
    }
}
