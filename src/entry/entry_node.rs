//! The entry node of a request: the rules choose first, then the `model` that the client wrote.

use std::rc::Rc;

use crate::routes::graph::{Client, Graph, Node};
use crate::routes::nearest;
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::facts::Facts;

/// Chooses the entry node. A key grants access to nodes: only the chosen node is checked, not the
/// way to it.
///
/// # Errors
/// No model is given and no rule applies; the model does not exist; or the key may not use it.
pub fn choose(graph: &Graph, facts: &Facts, client: &Client) -> Result<Rc<Node>, ClientError> {
    let by_rule = rule(graph, facts).and_then(|place| graph.rules.get(place));
    let node = match by_rule {
        Some(rule) => &rule.node,
        None if facts.model.is_empty() => return Err(ClientError::MissingModel),
        None => graph.models.get(&facts.model).ok_or_else(|| unknown(graph, &facts.model, client))?,
    };
    if client.may_use(&node.name) {
        Ok(Rc::clone(node))
    } else {
        Err(ClientError::ModelNotAllowed { client: client.name.clone(), model: node.name.clone() })
    }
}

/// The rule that chooses the entry node, if one matches.
pub fn rule(graph: &Graph, facts: &Facts) -> Option<usize> {
    graph.rules.first(facts)
}

/// The error for a model that does not exist, with the nearest name that the key may use.
pub fn unknown(graph: &Graph, model: &str, client: &Client) -> ClientError {
    let usable = graph.models.keys().map(String::as_str).filter(|name| client.may_use(name));
    let nearest = nearest(model, usable);
    ClientError::ModelNotFound { model: model.to_owned(), nearest }
}
