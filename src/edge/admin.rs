//! The admin API: what serves, what does not, and switches. It needs `ADMIN_TOKEN`; without one configured it is closed.

use std::rc::Rc;

use serde_json::{Value, json};
use wasm_bindgen::JsCast;
use worker::Env;

use super::arrival::Arrival;
use super::isolate::{self, Routes, Trouble};
use super::object::{Action, Switch};
use super::{clock, js, share};
use crate::reply::error::ClientError;
use crate::request::admin::{Path, parse};
use crate::request::credentials;
use crate::routes::graph::Deployment;
use crate::routes::nearest;

/// The answer to a request below `/admin`; `None` for any other path.
pub async fn answer(arrival: &Arrival, routes: &Routes, env: &Env) -> Option<Result<Value, ClientError>> {
    let path = arrival.path.strip_prefix("/admin/")?;
    let token = js::string_at(env.unchecked_ref(), "ADMIN_TOKEN");
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
        Path::Routes => Ok(documents(routes)),
        Path::Health => Ok(health(arrival, routes, env).await),
        Path::Drain(name) => switch(Action::Drain, Some(name), arrival, routes, env).await,
        Path::Enable(name) => switch(Action::Enable, Some(name), arrival, routes, env).await,
        Path::Reset(name) => switch(Action::Reset, Some(name), arrival, routes, env).await,
        Path::ResetAll => switch(Action::Reset, None, arrival, routes, env).await,
    })
}

/// `GET /admin/api/routes`: the document that serves, what is disabled, and what is the matter with the
/// document in KV, if anything is.
fn documents(routes: &Routes) -> Value {
    let disabled: Vec<Value> = routes
        .graph
        .deployments
        .iter()
        .filter_map(|deployment| {
            let variable = &deployment.disabled.as_ref()?.variable;
            Some(json!({ "deployment": deployment.name, "variable": variable }))
        })
        .collect();
    json!({
        "version": routes.graph.version,
        "source": routes.source.name(),
        "warnings": routes.warnings,
        "disabled": disabled,
        "trouble": isolate::trouble().map(|trouble| match trouble {
            Trouble::Gone => json!({ "kind": "gone" }),
            Trouble::Refused { issues, .. } => json!({ "kind": "refused", "issues": issues }),
        }),
    })
}

/// `GET /admin/api/health`: every deployment, as this isolate sees it and as the object of its region does.
async fn health(arrival: &Arrival, routes: &Routes, env: &Env) -> Value {
    let objects = share::objects(env, arrival);
    let (shard, trouble) = match &objects {
        None => (Value::Null, Some(format!("the binding {} is missing", share::BINDING))),
        Some(objects) => match objects.ask_shard("view", None).await {
            Ok(bytes) => (serde_json::from_slice(&bytes).unwrap_or_default(), None),
            Err(error) => (Value::Null, Some(error)),
        },
    };
    let of_shard = |deployment: &Deployment| {
        let known = shard.get("deployments")?.as_array()?.iter();
        known
            .clone()
            .find(|known| known.get("identity").and_then(Value::as_str) == Some(&deployment.identity))
    };
    let here = routes.with_health(|health| health.snapshot(clock::now()));
    let deployments: Vec<Value> = routes
        .graph
        .deployments
        .iter()
        .zip(here)
        .map(|(deployment, here)| {
            json!({ "deployment": deployment.name, "isolate": here, "object": of_shard(deployment) })
        })
        .collect();
    json!({
        "now": clock::now(),
        "object": objects.map(|objects| objects.shard()),
        "trouble": trouble,
        "deployments": deployments,
    })
}

/// `POST /admin/api/deployments/…`: at work here at once, and wherever the object is listened to within seconds.
async fn switch(
    action: Action,
    name: Option<String>,
    arrival: &Arrival,
    routes: &Routes,
    env: &Env,
) -> Result<Value, ClientError> {
    let all = &routes.graph.deployments;
    let meant: Vec<&Rc<Deployment>> = match &name {
        None => all.iter().collect(),
        Some(name) => {
            let found = all.iter().find(|deployment| deployment.name == *name);
            vec![found.ok_or_else(|| unknown(name, all))?]
        }
    };
    routes.with_health(|health| {
        for deployment in &meant {
            match action {
                Action::Drain => health.drain(deployment.id),
                Action::Enable => health.enable(deployment.id),
                Action::Reset => health.reset(deployment.id),
            }
        }
    });
    let deployments =
        name.as_ref().map(|_| meant.iter().map(|deployment| deployment.identity.clone()).collect());
    let told = match share::objects(env, arrival) {
        None => Err(format!("the binding {} is missing", share::BINDING)),
        Some(objects) => {
            let order = share::to_json(&Switch { action, deployments });
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
    let names: Vec<&str> = meant.iter().map(|deployment| deployment.name.as_str()).collect();
    Ok(json!({ "action": action, "deployments": names }))
}

fn unknown(name: &str, all: &[Rc<Deployment>]) -> ClientError {
    let nearest = nearest(name, all.iter().map(|deployment| deployment.name.as_str()));
    ClientError::DeploymentNotFound { deployment: name.to_owned(), nearest }
}
