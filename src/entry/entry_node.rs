//! The entry node of a request: the rules choose first, then the `model` that the client wrote.

use std::rc::Rc;

use crate::routes::graph::{Client, Graph, Node, RuleAction};
use crate::routes::nearest;
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::facts::Facts;

/// Chooses the entry node. A key grants access to nodes: only the chosen node is checked, not the
/// way to it.
///
/// # Errors
/// A rule refuses the request; no model is given and no rule applies; the model does not exist; or
/// the key may not use it.
pub fn choose(graph: &Graph, facts: &Facts, client: &Client) -> Result<Rc<Node>, ClientError> {
    let node = match by_rule(graph, rule(graph, facts))? {
        Some(node) => node,
        None if facts.model.is_empty() => return Err(ClientError::MissingModel),
        None => graph.models.get(&facts.model).ok_or_else(|| unknown(graph, &facts.model, client))?,
    };
    if client.may_use(&node.name) {
        Ok(Rc::clone(node))
    } else {
        Err(ClientError::ModelNotAllowed { client: client.name.clone(), model: node.name.clone() })
    }
}

/// The node that the rule at this place chooses, if there is a rule.
///
/// # Errors
/// The rule refuses the request.
pub(super) fn by_rule(graph: &Graph, rule: Option<usize>) -> Result<Option<&Rc<Node>>, ClientError> {
    let Some((place, rule)) = rule.and_then(|place| Some((place, graph.rules.get(place)?))) else {
        return Ok(None);
    };
    match &rule.action {
        RuleAction::Use(node) => Ok(Some(node)),
        RuleAction::Deny(denial) => Err(ClientError::Denied { rule: place, denial: denial.clone() }),
    }
}

/// The rule that chooses the entry node, or refuses the request, if one matches.
pub fn rule(graph: &Graph, facts: &Facts) -> Option<usize> {
    graph.rules.first(facts)
}

/// The error for a model that does not exist, with the nearest name that the key may use.
pub fn unknown(graph: &Graph, model: &str, client: &Client) -> ClientError {
    let usable = graph.models.keys().map(String::as_str).filter(|name| client.may_use(name));
    let nearest = nearest(model, usable);
    ClientError::ModelNotFound { model: model.to_owned(), nearest }
}
