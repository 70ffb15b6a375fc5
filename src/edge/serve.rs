//! What each path gets: a model's answer, a list, a state, or an error.

use std::rc::Rc;

use wasm_bindgen::JsValue;
use web_sys::{Request, Response};
use worker::{Context, Env};

use super::arrival::Arrival;
use super::inbound::receive;
use super::isolate::{self, Routes};
use super::{admin, drive, respond};
use crate::reply::error::ClientError;
use crate::reply::headers::{self, Served};
use crate::reply::{cors, models};
use crate::request::path::{self, Path};
use crate::request::{credentials, entry};

/// Answers a request.
pub async fn serve(request: Request, env: Env, context: Context) -> Result<Response, JsValue> {
    let arrival = Arrival::of(request);
    let routes = match isolate::routes(&env, &context).await {
        Ok(routes) => routes,
        Err(error) => return respond::error(&(&error).into(), Vec::new()),
    };
    let settings = &routes.graph.settings;
    let origin = arrival.header("origin");
    let mut extra = cors::headers(&settings.cors_origins, origin);
    if arrival.method == "OPTIONS" {
        let requested = arrival.header("access-control-request-headers");
        let preflight = cors::preflight(&settings.cors_origins, origin, requested);
        if !preflight.is_empty() {
            return respond::empty(204, &preflight);
        }
    }
    let served =
        Served { request_id: &arrival.id, routes: &routes.graph.version, route: None, elapsed_ms: 0 };
    extra.extend(headers::own(&served, settings.expose));
    match dispatch(&arrival, &routes, &env, &context, &extra).await {
        Ok(response) => Ok(response),
        Err(Refusal::Error(error)) => respond::error(&(&error).into(), extra),
        Err(Refusal::Runtime(error)) => Err(error),
    }
}

/// Why there is no response yet.
enum Refusal {
    /// The client is to be told so.
    Error(ClientError),
    /// JavaScript failed us.
    Runtime(JsValue),
}

impl From<ClientError> for Refusal {
    fn from(error: ClientError) -> Self {
        Self::Error(error)
    }
}

impl From<JsValue> for Refusal {
    fn from(error: JsValue) -> Self {
        Self::Runtime(error)
    }
}

async fn dispatch(
    arrival: &Arrival,
    routes: &Rc<Routes>,
    env: &Env,
    context: &Context,
    extra: &[(&'static str, String)],
) -> Result<Response, Refusal> {
    let graph = &routes.graph;
    if arrival.path == "/healthz" {
        return Ok(respond::json(&serde_json::json!({ "status": "ok", "routes": graph.version }), extra)?);
    }
    if let Some(answer) = admin::answer(arrival, routes, env) {
        return Ok(respond::json(&answer?, extra)?);
    }
    let path = path::parse(&arrival.path, &graph.prefixes);
    if let Some(allow) = path.allow().filter(|allow| arrival.method != *allow) {
        return Err(ClientError::MethodNotAllowed { method: arrival.method.clone(), allow }.into());
    }
    let client = || credentials::client(graph, arrival.key());
    match path {
        Path::Operation { operation, model } => {
            let (inbound, node) = receive(arrival, routes, client()?, operation, model).await?;
            Ok(drive::run(Rc::new(inbound), node, Rc::clone(routes), context, extra).await?)
        }
        Path::Models => Ok(respond::json(&models::list(graph, client()?), extra)?),
        Path::Model(name) => {
            let client = client()?;
            let model =
                models::one(graph, client, &name).ok_or_else(|| entry::unknown(graph, &name, client))?;
            Ok(respond::json(&model, extra)?)
        }
        Path::Stateful => Err(ClientError::StatefulOperation { path: arrival.path.clone() }.into()),
        Path::Unknown => {
            Err(ClientError::UnknownPath { method: arrival.method.clone(), path: arrival.path.clone() }
                .into())
        }
    }
}
