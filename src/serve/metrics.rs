//! `GET /admin/metrics`: the counters of all regions and the state of deployments, for Prometheus.
//!
//! The counters come from the hub, and the states from the shard of the region in which the request
//! arrives. Both are asked at the same time, once. Without the counters there is an error, because
//! zeros would be wrong. Without the states the page has none.

use futures::future::join;
use serde::Deserialize;

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

/// The path of the page.
pub(super) const PATH: &str = "/admin/metrics";

/// A deployment in the view of a shard.
#[derive(Deserialize)]
struct SeenDeployment {
    identity: String,
    gate: SeenGate,
    missing: Vec<(String, SeenGate)>,
}

#[derive(Deserialize)]
struct SeenGate {
    state: String,
}

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
    let state_of = |view: &[SeenDeployment], deployment: &Deployment| {
        let (identity, name) = (&deployment.identity, name_key(&deployment.identity));
        let known = view.iter().filter(|known| known.identity == *identity || known.identity == name);
        known.fold((state_without(deployment), false), |(worst, is_drained), known| {
            (worst.max(known.state()), is_drained || known.gate.state == "drained")
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
) -> (Option<CounterBatch>, Option<Vec<SeenDeployment>>) {
    let hub = objects.ask_hub(platform, "counters", None);
    let (totals, view) = join(hub, objects.ask_shard(platform, "view", None)).await;
    for error in [totals.as_ref().err(), view.as_ref().err()].into_iter().flatten() {
        platform.warn(&format!("metrics: an object does not answer: {error}"));
    }
    let read_totals = |text: String| json_value::read(serde_json::from_str(&text).ok()?).ok();
    let read_view = |text: String| json_value::read(serde_json::from_str(&text).ok()?).ok();
    (totals.ok().and_then(read_totals), view.ok().and_then(read_view))
}

/// The state of a deployment of which the shard knows nothing.
fn state_without(deployment: &Deployment) -> DeploymentState {
    if deployment.disabled.is_some() { DeploymentState::Out } else { DeploymentState::Healthy }
}

impl SeenDeployment {
    fn state(&self) -> DeploymentState {
        match self.gate.state.as_str() {
            "open" => DeploymentState::Out,
            "probation" => DeploymentState::Partial,
            _ if self.missing.iter().any(|(_, gate)| gate.state != "closed") => DeploymentState::Partial,
            _ => DeploymentState::Healthy,
        }
    }
}
