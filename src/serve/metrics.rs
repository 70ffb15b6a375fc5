//! `GET /admin/metrics`: the counters of all regions and the state of deployments, for Prometheus.
//!
//! The counters come from the hub, and the states from the shard of the region in which the request
//! arrives. Both are asked at the same time, once. Without the counters there is an error, because
//! zeros would be wrong. Without the states the page has none.

use futures::future::join;
use serde_json::Value;

use super::object_link::RegionObjects;
use super::platform::Platform;
use super::receive::Arrival;
use super::serving::Serving;
use crate::counters::CounterBatch;
use crate::counters::metrics_text::{CurrentState, DeploymentState, MetricsFormat, metrics_text};
use crate::health::drains::name_key;
use crate::routes::graph::Deployment;
use crate::scan::json_value;
use crate::vocabulary::client_error::ClientError;

/// The format that the client asks for.
pub(super) fn format(arrival: &Arrival) -> MetricsFormat {
    MetricsFormat::accepted(arrival.header("accept").unwrap_or_default())
}

/// The page.
///
/// # Errors
/// The counters are not available.
pub(super) async fn page<P: Platform>(
    platform: &P,
    arrival: &Arrival,
    routes: &Serving,
) -> Result<String, ClientError> {
    let objects = platform.isolate().objects(platform).ok_or(ClientError::MetricsUnavailable)?;
    let (totals, view) = ask(platform, &objects).await;
    let batch = totals.ok_or(ClientError::MetricsUnavailable)?;
    let state_of = |view: &[Value], deployment: &Deployment| {
        let name = name_key(&deployment.identity);
        let is_it = |known: &&Value| {
            let identity = known.get("identity").and_then(Value::as_str);
            identity == Some(&deployment.identity) || identity == Some(&name)
        };
        let known = view.iter().filter(is_it);
        known.fold((state_without(deployment), false), |(worst, is_drained), known| {
            (worst.max(state(known)), is_drained || position(known.get("gate")) == "drained")
        })
    };
    let deployments = view.iter().flat_map(|view| {
        routes.graph.deployments.iter().map(|deployment| {
            let (state, is_drained) = state_of(view, deployment);
            (deployment.name.as_str(), state, is_drained)
        })
    });
    let state = CurrentState {
        version: env!("CARGO_PKG_VERSION"),
        routes: &routes.graph.version,
        region: objects.region,
        deployments: deployments.collect(),
    };
    Ok(metrics_text(&batch.counters(), &state, format(arrival)))
}

/// The totals of the hub, and the view of the region's shard.
async fn ask<P: Platform>(
    platform: &P,
    objects: &RegionObjects,
) -> (Option<CounterBatch>, Option<Vec<Value>>) {
    let hub = objects.ask_hub(platform, "counters", None);
    let (totals, view) = join(hub, objects.ask_shard(platform, "view", None)).await;
    for error in [totals.as_ref().err(), view.as_ref().err()].into_iter().flatten() {
        platform.warn(&format!("metrics: an object does not answer: {error}"));
    }
    // As an option, as it is read in a report: the Wasm then has one reader of it.
    let read = |text: String| json_value::parse::<Option<CounterBatch>>(&text)?;
    (totals.ok().and_then(read), view.ok().and_then(|text| serde_json::from_str(&text).ok()))
}

/// The state of a deployment of which the shard knows nothing.
fn state_without(deployment: &Deployment) -> DeploymentState {
    if deployment.disabled.is_some() { DeploymentState::Out } else { DeploymentState::Healthy }
}

/// The state of a deployment in the view of a shard.
fn state(known: &Value) -> DeploymentState {
    let is_missing = |operation: &Value| position(operation.get(1)) != "closed";
    match position(known.get("gate")) {
        "open" => DeploymentState::Out,
        "probation" => DeploymentState::Partial,
        _ if known.get("missing").and_then(Value::as_array).is_some_and(|all| all.iter().any(is_missing)) => {
            DeploymentState::Partial
        }
        _ => DeploymentState::Healthy,
    }
}

/// The position of a gate in such a view.
fn position(gate: Option<&Value>) -> &str {
    gate.and_then(|gate| gate.get("state")).and_then(Value::as_str).unwrap_or_default()
}
