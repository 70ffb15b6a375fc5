//! The admin API: what serves, what does not, and switches. It needs `ADMIN_TOKEN`; without one configured it is closed.

use std::rc::Rc;

use serde::Serialize;
use serde_json::Value;
use wasm_bindgen::JsCast;

use super::arrival::Arrival;
use super::isolate::{self, Routes, Trouble};
use super::object::Order;
use super::{clock, js, share};
use crate::health::Snapshot;
use crate::request::admin_path::{AdminPath, Switch, parse};
use crate::request::credentials;
use crate::routes::graph::Deployment;
use crate::routes::{Issue, nearest};
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::time::Millis;

/// The answer to a request below `/admin`; `None` for any other path.
pub async fn answer(arrival: &Arrival, routes: &Routes) -> Option<Result<String, ClientError>> {
    let path = arrival.path.strip_prefix("/admin/")?;
    let token = js::string_at(arrival.exchange.env().unchecked_ref(), "ADMIN_TOKEN");
    let admitted = token.zip(arrival.key()).is_some_and(|(known, given)| credentials::matches(&known, given));
    if !admitted {
        return Some(Err(ClientError::InvalidAdminToken));
    }
    let Some(path) = parse(path) else {
        return Some(Err(ClientError::UnknownPath {
            method: arrival.method.clone(),
            path: arrival.path.clone(),
        }));
    };
    let allow = path.allow();
    if arrival.method != allow {
        return Some(Err(ClientError::MethodNotAllowed { method: arrival.method.clone(), allow }));
    }
    Some(match path {
        AdminPath::Routes => Ok(documents(routes)),
        AdminPath::Health => Ok(health(arrival, routes).await),
        AdminPath::Switch(switch, name) => turn(switch, name, arrival, routes).await,
    })
}

#[derive(Serialize)]
struct Documents<'a> {
    version: &'a str,
    source: &'static str,
    warnings: &'a [Issue],
    disabled: Vec<Disabled<'a>>,
    trouble: Option<OfKv>,
}

#[derive(Serialize)]
struct Disabled<'a> {
    deployment: &'a str,
    variable: &'a str,
}

#[derive(Serialize)]
struct OfKv {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    issues: Option<Vec<Issue>>,
}

/// `GET /admin/api/routes`: the document that serves, what is disabled, and what is the matter with the
/// document in KV, if anything is.
fn documents(routes: &Routes) -> String {
    let disabled = routes.graph.deployments.iter().filter_map(|deployment| {
        let variable = &deployment.disabled.as_ref()?.variable;
        Some(Disabled { deployment: &deployment.name, variable })
    });
    to_json(&Documents {
        version: &routes.graph.version,
        source: routes.source.name(),
        warnings: &routes.warnings,
        disabled: disabled.collect(),
        trouble: isolate::trouble().map(|trouble| match trouble {
            Trouble::Gone => OfKv { kind: "gone", issues: None },
            Trouble::Refused { issues, .. } => OfKv { kind: "refused", issues: Some(issues) },
        }),
    })
}

#[derive(Serialize)]
struct Healths<'a> {
    now: Millis,
    object: Option<String>,
    trouble: Option<String>,
    deployments: Vec<HealthOf<'a>>,
}

#[derive(Serialize)]
struct HealthOf<'a> {
    deployment: &'a str,
    isolate: Snapshot,
    object: Option<&'a Value>,
}

/// `GET /admin/api/health`: every deployment, as this isolate sees it and as the object of its region does.
async fn health(arrival: &Arrival, routes: &Routes) -> String {
    let objects = share::objects(arrival);
    let viewed = match &objects {
        None => Err(missing_binding()),
        Some(objects) => objects.ask_shard("view", None).await,
    };
    let (shard, trouble) = match viewed {
        Ok(view) => (serde_json::from_str(&view).unwrap_or_default(), None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let of_shard = |deployment: &Deployment| {
        let is_its =
            |known: &&Value| known.get("identity").and_then(Value::as_str) == Some(&deployment.identity);
        shard.iter().find(is_its)
    };
    let here = routes.health.borrow().snapshot(clock::now());
    let deployments = routes.graph.deployments.iter().zip(here).map(|(deployment, here)| HealthOf {
        deployment: &deployment.name,
        isolate: here,
        object: of_shard(deployment),
    });
    to_json(&Healths {
        now: clock::now(),
        object: objects.map(|objects| objects.shard()),
        trouble,
        deployments: deployments.collect(),
    })
}

/// `POST /admin/api/deployments/…`: at work here at once, and wherever the object is listened to within seconds.
async fn turn(
    switch: Switch,
    name: Option<String>,
    arrival: &Arrival,
    routes: &Routes,
) -> Result<String, ClientError> {
    let all = &routes.graph.deployments;
    let meant: Vec<&Rc<Deployment>> = match &name {
        None => all.iter().collect(),
        Some(name) => {
            let found = all.iter().find(|deployment| deployment.name == *name);
            vec![found.ok_or_else(|| unknown(name, all))?]
        }
    };
    {
        let mut health = routes.health.borrow_mut();
        for deployment in &meant {
            match switch {
                Switch::Drain => health.drain(deployment.id),
                Switch::Enable => health.enable(deployment.id),
                Switch::Reset => health.reset(deployment.id, clock::now()),
            }
        }
    }
    let deployments =
        name.as_ref().map(|_| meant.iter().map(|deployment| deployment.identity.clone()).collect());
    let told = match share::objects(arrival) {
        None => Err(missing_binding()),
        Some(objects) => {
            let order = to_json(&Order { switch, deployments });
            // The hub keeps it for all regions; this region need not wait until its object asks there.
            match objects.ask_hub("switch", Some(order.clone())).await {
                Ok(_) => objects.ask_shard("switch", Some(order)).await.map(drop),
                Err(error) => Err(error),
            }
        }
    };
    told.map_err(|reason| {
        js::warn(&format!("health: a switch was not shared: {reason}"));
        ClientError::SwitchNotShared
    })?;
    let names = meant.iter().map(|deployment| deployment.name.clone()).collect();
    Ok(to_json(&Order { switch, deployments: Some(names) }))
}

fn missing_binding() -> String {
    format!("the binding {} is missing", share::BINDING)
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn unknown(name: &str, all: &[Rc<Deployment>]) -> ClientError {
    let nearest = nearest(name, all.iter().map(|deployment| deployment.name.as_str()));
    ClientError::DeploymentNotFound { deployment: name.to_owned(), nearest }
}
