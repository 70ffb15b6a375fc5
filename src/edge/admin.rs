//! The admin API: what serves, and what does not. It needs `ADMIN_TOKEN`; without one configured it is closed.

use serde_json::{Value, json};
use wasm_bindgen::JsCast;
use worker::Env;

use super::arrival::Arrival;
use super::isolate::{self, Routes, Trouble};
use super::js;
use crate::reply::error::ClientError;
use crate::request::credentials;

/// The answer to a request below `/admin`; `None` for any other path.
pub fn answer(arrival: &Arrival, routes: &Routes, env: &Env) -> Option<Result<Value, ClientError>> {
    let path = arrival.path.strip_prefix("/admin/")?;
    let token = js::string_at(env.unchecked_ref(), "ADMIN_TOKEN");
    let admitted = token.zip(arrival.key()).is_some_and(|(known, given)| credentials::matches(&known, given));
    Some(match (admitted, path) {
        (false, _) => Err(ClientError::InvalidAdminToken),
        (true, "api/routes") if arrival.method == "GET" => Ok(status(routes)),
        (true, "api/routes") => {
            Err(ClientError::MethodNotAllowed { method: arrival.method.clone(), allow: "GET" })
        }
        (true, _) => {
            Err(ClientError::UnknownPath { method: arrival.method.clone(), path: arrival.path.clone() })
        }
    })
}

/// `GET /admin/api/routes`: the document that serves, what is disabled, and what is the matter with the
/// document in KV, if anything is.
fn status(routes: &Routes) -> Value {
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
