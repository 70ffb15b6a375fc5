//! What each path gets: a model's answer, a list, a state, or an error.

use std::rc::Rc;

use wasm_bindgen::JsValue;
use web_sys::Response;

use super::arrival::Arrival;
use super::host::Exchange;
use super::inbound::{Asked, Inbound, receive};
use super::isolate::{self, Routes};
use super::{admin, drive, respond, share};
use crate::entry::entry_node;
use crate::reply::response_headers::{self, ServedRequest};
use crate::reply::{cors, models};
use crate::request::api_path::{self, ApiPath};
use crate::request::credentials;
use crate::routes::graph::Node;
use crate::vocabulary::client_error::ClientError;

/// Answers a request.
pub async fn serve(head: &str, exchange: &Exchange) -> Result<Response, JsValue> {
    let arrival = Arrival::of(head, exchange);
    let routes = match isolate::routes(exchange).await {
        Ok(routes) => routes,
        Err(error) => return respond::error(&(&error).into(), Vec::new()),
    };
    let settings = &routes.graph.settings;
    let origin = arrival.header("origin");
    let cors = cors::headers(&settings.cors_origins, origin);
    if arrival.method == "OPTIONS" {
        let requested = arrival.header("access-control-request-headers");
        let preflight = cors::preflight(&settings.cors_origins, origin, requested);
        if !preflight.is_empty() {
            return respond::empty(204, &preflight);
        }
    }
    let known = match answer(&arrival, &routes).await {
        Ok(Answer::Routed(inbound, node)) => {
            return drive::run(Rc::new(inbound), node, Rc::clone(&routes), cors).await;
        }
        Ok(Answer::Known(text)) => Ok(text),
        Err(error) => Err(error),
    };
    let served =
        ServedRequest { request_id: &arrival.id, routes: &routes.graph.version, node: None, tried: None };
    let mut headers = response_headers::own(&served, settings.expose);
    headers.extend(cors);
    match known {
        Ok(text) => respond::json(&text, headers),
        Err(error) => respond::error(&(&error).into(), headers),
    }
}

/// Where an answer comes from.
enum Answer {
    /// From here: JSON.
    Known(String),
    /// From a deployment below this node.
    Routed(Inbound, Rc<Node>),
}

async fn answer(arrival: &Arrival, routes: &Rc<Routes>) -> Result<Answer, ClientError> {
    let graph = &routes.graph;
    if arrival.path == "/healthz" {
        return Ok(Answer::Known(r#"{"status":"ok"}"#.to_owned()));
    }
    if let Some(answer) = admin::answer(arrival, routes).await {
        return answer.map(Answer::Known);
    }
    let path = api_path::parse(&arrival.path, &graph.prefixes).with_method(&arrival.method);
    let is_allowed = |allow: &&str| allow.split(", ").any(|method| method == arrival.method);
    if let Some(allow) = path.allow().filter(|allow| !is_allowed(allow)) {
        return Err(ClientError::MethodNotAllowed { method: arrival.method.clone(), allow });
    }
    let client = || credentials::client(graph, arrival.key());
    let asked = match path {
        ApiPath::Operation { operation, model } => Asked::Operation { operation, model },
        ApiPath::StoredObject(stored) => Asked::StoredObject(stored.checked()?),
        ApiPath::Models => return Ok(Answer::Known(models::list(graph, client()?).to_string())),
        ApiPath::Model(name) => {
            let client = client()?;
            let model = models::one(graph, client, &name);
            let model = model.ok_or_else(|| entry_node::unknown(graph, &name, client))?;
            return Ok(Answer::Known(model.to_string()));
        }
        ApiPath::Stateful => return Err(ClientError::StatefulOperation { path: arrival.path.clone() }),
        ApiPath::Unknown => {
            let (method, path) = (arrival.method.clone(), arrival.path.clone());
            return Err(ClientError::UnknownPath { method, path });
        }
    };
    let client = client()?;
    // Before the body is read: a new isolate learns meanwhile what the others know.
    share::report_if_due(arrival);
    let (inbound, node) = receive(arrival, routes, client, asked).await?;
    Ok(Answer::Routed(inbound, node))
}
