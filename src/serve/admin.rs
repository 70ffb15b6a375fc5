//! The admin API: it shows which document serves and the state of each deployment, and it sets
//! switches. Every request needs `ADMIN_TOKEN`, or `VIEWER_TOKEN` if it only looks, or comes
//! through Cloudflare Access (`admin_caller`). Without any of them configured, the API rejects all
//! requests. What changes something is logged in the registry.

use std::pin::Pin;
use std::rc::Rc;

use serde::Serialize;
use serde_json::Value;

use super::admin_body;
use super::admin_caller::AdminCaller;
use super::client_reply::OwnText;
use super::daily_usage;
use super::deployment_question;
use super::explain_request::ExplainRequest;
use super::explained::explain;
use super::fact_source::LiveFacts;
use super::identity;
use super::isolate_memory::DocumentProblem;
use super::key_admin;
use super::limit_usage;
use super::metrics;
use super::object_answer::AskError;
use super::platform::{Platform, Work};
use super::presented_credential::CredentialStatus;
use super::receive::Arrival;
use super::recent_requests;
use super::registry_link::log_act;
use super::routes_change;
use super::serving::Serving;
use super::shared_orders::{share_order, unknown};
use super::timed_faults;
use crate::health::Snapshot;
use crate::health::drains::name_key;
use crate::health::shard::object_requests::Order;
use crate::registry::version_ledger::Act;
use crate::request::admin_path::{AdminPath, parse};
use crate::request::credentials;
use crate::routes::graph::Deployment;
use crate::routes::{Issue, doubts};
use crate::scan::json_value::json;
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::switch::Switch;
use crate::vocabulary::time::Instant;

/// The future is behind a pointer, so that V8 compiles it only when such a request comes.
type AdminAnswer<'a> = Pin<Box<dyn Future<Output = Result<OwnText, ClientError>> + 'a>>;

/// The answer to a request below `/admin`; `None` for any other path.
pub fn answer<'a, P: Platform>(
    platform: &'a P,
    arrival: &'a Arrival,
    routes: &'a Serving,
) -> Option<AdminAnswer<'a>> {
    let path = arrival.path.strip_prefix("/admin/")?;
    Some(Box::pin(answer_below(path, platform, arrival, routes)))
}

async fn answer_below<P: Platform>(
    path: &str,
    platform: &P,
    arrival: &Arrival,
    routes: &Serving,
) -> Result<OwnText, ClientError> {
    let caller = AdminCaller::of(platform, arrival).await?;
    let Some(path) = parse(path) else {
        return Err(ClientError::UnknownPath { method: arrival.method.clone(), path: arrival.path.clone() });
    };
    arrival.check_method(path.allow())?;
    let act = path.act(&arrival.method);
    let subject = match &path {
        AdminPath::Switch(_, name) | AdminPath::Faults(name) => name.clone(),
        AdminPath::Ask(name) => Some(name.clone()),
        AdminPath::Key(id) | AdminPath::KeyRotation(id) => Some(id.clone()),
        _ => None,
    };
    let needs_admin = path.needs_admin(&arrival.method);
    let reply = match if needs_admin { caller.may_change(arrival) } else { Ok(()) } {
        Ok(()) => answer_path(path, platform, arrival, routes, &caller).await,
        Err(error) => Err(error),
    };
    if let Some(act) = act {
        let result = match &reply {
            Ok(reply) if reply.status == 200 => "ok",
            Ok(_) => routes_change::REFUSED,
            Err(error) => error.code(),
        };
        // The registry logs changes of the routes itself, in the step that records them. What is
        // faulty, and why, is in the body of the request. What becomes of a key is logged with it.
        let is_logged = ["routes.", "fault.", "key."].iter().any(|logged| act.starts_with(logged));
        // Of a document that is refused, the version is known where it is compiled.
        let is_refused = result == routes_change::REFUSED && act.starts_with("routes.");
        if !is_refused && (result != "ok" || !is_logged) {
            log_act(
                platform,
                Act {
                    who: caller.who,
                    what: act.to_owned(),
                    subject,
                    why: routes_change::why(arrival),
                    result: result.to_owned(),
                },
            );
        }
    }
    reply
}

async fn answer_path<P: Platform>(
    path: AdminPath,
    platform: &P,
    arrival: &Arrival,
    routes: &Serving,
    caller: &AdminCaller,
) -> Result<OwnText, ClientError> {
    let who = caller.who.as_str();
    // What is rare and large is behind a pointer of its own.
    let answer: AdminAnswer<'_> = match path {
        AdminPath::Routes if arrival.method == "PUT" => {
            Box::pin(routes_change::put(platform, arrival, routes, who))
        }
        AdminPath::Check => Box::pin(routes_change::check(platform, arrival)),
        AdminPath::Rollback => Box::pin(routes_change::roll_back(platform, arrival, routes, who)),
        AdminPath::Canary => Box::pin(routes_change::end_canary(platform, arrival, who)),
        AdminPath::Document => Box::pin(routes_change::document(platform)),
        AdminPath::History => Box::pin(routes_change::history(platform)),
        AdminPath::Version(version) => Box::pin(routes_change::version(platform, version)),
        AdminPath::Audit => Box::pin(routes_change::audit(platform, arrival)),
        AdminPath::Faults(name) => Box::pin(timed_faults::answer(platform, arrival, routes, name, who)),
        AdminPath::Usage => Box::pin(limit_usage::answer(platform, arrival, routes)),
        AdminPath::UsageDays => Box::pin(daily_usage::answer(platform, arrival)),
        AdminPath::Keys if arrival.method == "POST" => {
            Box::pin(key_admin::issue(platform, arrival, routes, who))
        }
        AdminPath::Keys => Box::pin(key_admin::list(platform, arrival)),
        AdminPath::KeyImport => Box::pin(key_admin::import(platform, arrival, routes, who)),
        AdminPath::Key(id) => Box::pin(key_admin::one(platform, arrival, id, who)),
        AdminPath::KeyRotation(id) => Box::pin(key_admin::rotate(platform, arrival, id, who)),
        AdminPath::Ask(name) => {
            return Box::pin(deployment_question::answer(platform, arrival, routes, &name)).await;
        }
        AdminPath::Explain => Box::pin(explained(platform, arrival, routes)),
        AdminPath::Routes => Box::pin(document_status(platform, arrival, routes, caller)),
        AdminPath::Health => return Ok(OwnText::json(health(platform, routes).await)),
        AdminPath::Metrics => {
            let content_type = metrics::format(arrival).content_type();
            let page = metrics::page(platform, arrival, routes).await?;
            return Ok(OwnText { content_type, ..OwnText::json(page) });
        }
        AdminPath::Requests(id) => return recent_requests::answer(platform, id).await.map(OwnText::json),
        AdminPath::Switch(switch, name) => {
            return turn(platform, switch, name, routes).await.map(OwnText::json);
        }
    };
    answer.await
}

#[derive(Serialize)]
struct DocumentStatus<'a> {
    version: &'a str,
    source: &'static str,
    warnings: Vec<&'a Issue>,
    disabled: Vec<DisabledDeployment<'a>>,
    trouble: Option<ProblemStatus>,
    /// `null` without a canary.
    canary: Option<Box<serde_json::value::RawValue>>,
    caller: CallerStatus<'a>,
}

/// Who asks, so that a page does not offer what would be refused.
#[derive(Serialize)]
struct CallerStatus<'a> {
    who: &'a str,
    may_change: bool,
}

#[derive(Serialize)]
struct DisabledDeployment<'a> {
    deployment: &'a str,
    variable: &'a str,
}

#[derive(Serialize)]
struct ProblemStatus {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    issues: Option<Vec<Issue>>,
}

/// `GET /admin/api/routes`: the document that serves, the disabled deployments, the problem of the
/// document in KV, if there is one, and who asks.
async fn document_status<P: Platform>(
    platform: &P,
    arrival: &Arrival,
    routes: &Serving,
    caller: &AdminCaller,
) -> Result<OwnText, ClientError> {
    let canary = routes_change::canary_view(platform).await?;
    let disabled = routes.graph.deployments.iter().filter_map(|deployment| {
        let variable = &deployment.disabled.as_ref()?.variable;
        Some(DisabledDeployment { deployment: &deployment.name, variable })
    });
    let found = doubts(&routes.graph, &|name: &str| platform.variable(name));
    Ok(OwnText::json(json(&DocumentStatus {
        version: &routes.graph.version,
        source: routes.source.name(),
        warnings: routes.warnings.iter().chain(&found).collect(),
        disabled: disabled.collect(),
        trouble: platform.isolate().problem().map(|problem| match problem {
            DocumentProblem::Missing => ProblemStatus { kind: "gone", issues: None },
            DocumentProblem::Refused { issues, .. } => {
                ProblemStatus { kind: "refused", issues: Some(issues) }
            }
        }),
        canary: serde_json::value::RawValue::from_string(canary).ok(),
        caller: CallerStatus { who: &caller.who, may_change: caller.may_change(arrival).is_ok() },
    })))
}

#[derive(Serialize)]
struct HealthStatus<'a> {
    now: Instant,
    tasks: usize,
    waits: usize,
    object: Option<String>,
    trouble: Option<String>,
    deployments: Vec<DeploymentStatus<'a>>,
}

#[derive(Serialize)]
struct DeploymentStatus<'a> {
    deployment: &'a str,
    isolate: Snapshot,
    object: Option<&'a Value>,
    /// The fault that is set for it.
    fault: Option<Value>,
    /// Which credential it uses, if there is a choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<CredentialStatus>,
}

/// `GET /admin/api/health`: every deployment, as this isolate sees it and as the shard of its
/// region sees it.
async fn health<P: Platform>(platform: &P, routes: &Serving) -> String {
    let objects = platform.isolate().objects(platform);
    let view = match &objects {
        None => Err(AskError::Unbound),
        Some(objects) => objects.ask_shard(platform, "view", None).await,
    };
    let (shard, trouble) = match view {
        Ok(view) => (serde_json::from_str(&view).unwrap_or_default(), None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let of_shard = |identity: &str| {
        let is_same = |known: &&Value| known.get("identity").and_then(Value::as_str) == Some(identity);
        shard.iter().find(is_same)
    };
    let now = platform.now();
    let here = routes.health.borrow().snapshot(now);
    let deployments = routes.graph.deployments.iter().zip(here).map(|(deployment, here)| DeploymentStatus {
        deployment: &deployment.name,
        credential: CredentialStatus::of(platform, deployment, routes),
        isolate: here,
        object: of_shard(&deployment.identity),
        fault: of_shard(&name_key(&deployment.identity))
            .and_then(|name| name.get("fault"))
            .filter(|fault| !fault.is_null())
            .cloned()
            .or_else(|| {
                let known = routes.health.borrow();
                let fault = known.fault(deployment.id).filter(|fault| fault.until > now)?;
                Some(fault.view(now))
            }),
    });
    let Work { tasks, waits } = platform.work();
    // What waits to send counters is a task with a wait, of no request.
    let flushes = platform.isolate().flushes.get();
    json(&HealthStatus {
        now: platform.now(),
        tasks: tasks.saturating_sub(flushes),
        waits: waits.saturating_sub(flushes),
        object: objects.map(|objects| objects.shard()),
        trouble,
        deployments: deployments.collect(),
    })
}

/// `POST /admin/api/explain`: where a request would go now, and why. Nothing is sent.
async fn explained<P: Platform>(
    platform: &P,
    arrival: &Arrival,
    routes: &Serving,
) -> Result<OwnText, ClientError> {
    let text = admin_body::read(platform, arrival).await?;
    let request = ExplainRequest::parse(&text).map_err(ClientError::InvalidJson)?;
    if request.client.is_none()
        && let Some(key) = request.key.as_deref().or_else(|| credentials::key_of(&request.headers))
    {
        // What comes of it is known afterwards, and shown.
        let _ = identity::identify(platform, &routes.graph, Some(key)).await;
    }
    let source = LiveFacts { platform, graph: &routes.graph, stated_place: Some(&request.place) };
    let explanation = explain(routes, &request, &source).map_err(ClientError::InvalidJson)?;
    Ok(OwnText::json(json(&explanation)))
}

/// `POST /admin/api/deployments/…`: sets a switch. It takes effect in this isolate at once, and
/// within seconds in all isolates that report to a shard.
async fn turn<P: Platform>(
    platform: &P,
    switch: Switch,
    name: Option<String>,
    routes: &Serving,
) -> Result<String, ClientError> {
    let all = &routes.graph.deployments;
    let chosen: Vec<&Rc<Deployment>> = match &name {
        None => all.iter().collect(),
        Some(name) => {
            let found = all.iter().find(|deployment| deployment.name == *name);
            vec![found.ok_or_else(|| unknown(name, all))?]
        }
    };
    {
        let mut health = routes.health.borrow_mut();
        for deployment in &chosen {
            match switch {
                Switch::Drain => health.drain(deployment.id),
                Switch::Enable => health.enable(deployment.id),
                Switch::Reset => health.reset(deployment.id, platform.now()),
                Switch::Fault => {}
            }
        }
    }
    let keys = |deployment: &&Rc<Deployment>| {
        let identity = deployment.identity.clone();
        // A drain belongs to the name. The object shows it for the identity, too.
        let of_name = (switch != Switch::Reset).then(|| name_key(&identity));
        of_name.into_iter().chain([identity])
    };
    let deployments = name.as_ref().map(|_| chosen.iter().flat_map(keys).collect());
    share_order(platform, &Order { switch, deployments, fault: String::new() }).await?;
    let names = chosen.iter().map(|deployment| deployment.name.clone()).collect();
    Ok(json(&Order { switch, deployments: Some(names), fault: String::new() }))
}
