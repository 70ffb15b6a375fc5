//! `GET /v1/models`: the named nodes that a key may use, in OpenAI's shape.

use serde_json::{Value, json};

use crate::routes::graph::{Client, Graph};

/// The list of models.
pub fn list(graph: &Graph, client: &Client) -> Value {
    let data: Vec<Value> =
        graph.models.keys().filter(|name| client.may_use(name)).map(|name| model(name)).collect();
    json!({ "object": "list", "data": data })
}

/// One model, if it exists and the key may use it. Other clients do not learn that it exists.
pub fn one(graph: &Graph, client: &Client, name: &str) -> Option<Value> {
    (graph.models.contains_key(name) && client.may_use(name)).then(|| model(name))
}

fn model(name: &str) -> Value {
    // A node has no creation date, but clients expect a number.
    json!({ "id": name, "object": "model", "created": 0, "owned_by": "switchyard" })
}
