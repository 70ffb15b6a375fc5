//! `/admin/api/faults`: faults for a time, for a share of the attempts at a deployment. They spread
//! like drains, and end by themselves in every isolate.

use serde_json::{Value, json};

use super::admin_body;
use super::client_reply::OwnText;
use super::platform::Platform;
use super::receive::Arrival;
use super::registry_link::log_act;
use super::routes_change;
use super::serving::Serving;
use super::shared_orders::{share_order, unknown};
use crate::health::drains::name_key;
use crate::health::shard::object_requests::Order;
use crate::health::timed_fault::TimedFault;
use crate::registry::version_ledger::Act;
use crate::request::fault_request::FaultRequest;
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::switch::Switch;
use crate::vocabulary::time::{Instant, Millis};

/// What a call changes.
struct FaultChange {
    /// The answer.
    shown: Value,
    /// What the objects get.
    order: Option<Order>,
    what: &'static str,
    /// What is faulty, or was.
    subject: String,
    why: Option<String>,
}

/// Lists the faults, sets one, or ends one or all of them.
pub(super) async fn answer<P: Platform>(
    platform: &P,
    arrival: &Arrival,
    routes: &Serving,
    name: Option<String>,
    who: &str,
) -> Result<OwnText, ClientError> {
    let change = if arrival.method == "POST" {
        let body = admin_body::read(platform, arrival).await?;
        start(&body, routes_change::why(arrival), routes, platform.now())?
    } else {
        let objects = platform.isolate().objects(platform);
        let view = match &objects {
            Some(objects) => objects.ask_hub(platform, "view", None).await.ok(),
            None => None,
        };
        let faults = listed(view.as_deref(), routes, platform.now());
        if arrival.method != "DELETE" {
            return Ok(OwnText::json(json!({ "faults": faults }).to_string()));
        }
        FaultChange { why: routes_change::why(arrival), ..end(&faults, name.as_deref(), routes)? }
    };
    let FaultChange { shown, order, what, subject, why } = change;
    if let Some(order) = &order {
        share_order(platform, order).await?;
    }
    let (subject, result) = (Some(subject).filter(|subject| !subject.is_empty()), "ok".to_owned());
    log_act(platform, Act { who: who.to_owned(), what: what.to_owned(), subject, why, result });
    Ok(OwnText::json(shown.to_string()))
}

/// The faults that are set everywhere, as the view of the hub has them. Without one: those that
/// this isolate knows.
#[inline(never)]
fn listed(view: Option<&str>, routes: &Serving, now: Instant) -> Vec<Value> {
    let named = |name: &str, mut fault: Value| {
        fault.as_object_mut()?.insert("deployment".to_owned(), name.into());
        Some(fault)
    };
    let mut faults = Vec::new();
    if let Some(view) = view {
        let views: Vec<Value> = serde_json::from_str(view).unwrap_or_default();
        for view in &views {
            let name = view.get("identity").and_then(Value::as_str).and_then(|key| key.strip_suffix('@'));
            let fault = name.zip(view.get("fault"));
            faults.extend(fault.and_then(|(name, fault)| named(name, fault.clone())));
        }
    } else {
        let health = routes.health.borrow();
        for deployment in &routes.graph.deployments {
            let fault = health.fault(deployment.id).filter(|fault| fault.until > now);
            faults.extend(fault.and_then(|fault| named(&deployment.name, fault.view(now))));
        }
    }
    faults
}

#[inline(never)]
fn start(
    body: &str,
    usual_why: Option<String>,
    routes: &Serving,
    now: Instant,
) -> Result<FaultChange, ClientError> {
    let request = FaultRequest::parse(body, usual_why).map_err(ClientError::InvalidJson)?;
    let all = &routes.graph.deployments;
    let found = all.iter().find(|deployment| deployment.name == request.deployment);
    let deployment = found.ok_or_else(|| unknown(&request.deployment, all))?;
    let FaultRequest { deployment: name, fault, share, seconds, why } = request;
    let fault = TimedFault { fault, share, until: now + Millis::new(seconds * 1_000), why };
    let mut shown = fault.view(now);
    if let Some(members) = shown.as_object_mut() {
        members.insert("deployment".to_owned(), name.as_str().into());
    }
    let deployments = Some(vec![name_key(&deployment.identity)]);
    let order = Order { switch: Switch::Fault, deployments, fault: fault.text(now) };
    let why = format!("{} {share} % {seconds} s {}", fault.fault.name(), fault.why);
    routes.health.borrow_mut().set_fault(deployment.id, Some(fault));
    Ok(FaultChange { shown, order: Some(order), what: "fault.start", subject: name, why: Some(why) })
}

/// `name`: the deployment whose fault ends. `None`: all of them.
#[inline(never)]
fn end(faults: &[Value], name: Option<&str>, routes: &Serving) -> Result<FaultChange, ClientError> {
    let is_meant = |known: &str| name.is_none_or(|name| name == known);
    let mut names = Vec::new();
    for fault in faults {
        let known = fault.get("deployment").and_then(Value::as_str).unwrap_or_default();
        if is_meant(known) {
            names.push(known);
        }
    }
    let all = &routes.graph.deployments;
    if let Some(name) = name
        && names.is_empty()
        && !routes.has_deployment(name)
    {
        return Err(unknown(name, all));
    }
    for deployment in all {
        if is_meant(&deployment.name) {
            routes.health.borrow_mut().set_fault(deployment.id, None);
        }
    }
    let deployments = names.iter().map(|name| format!("{name}@")).collect();
    let order = Order { switch: Switch::Fault, deployments: Some(deployments), fault: String::new() };
    let order = Some(order).filter(|_| !names.is_empty());
    let subject = names.join(", ");
    Ok(FaultChange { shown: json!({ "ended": names }), order, what: "fault.end", subject, why: None })
}
