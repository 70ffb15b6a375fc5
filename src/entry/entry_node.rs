//! The entry node of a request: the rules choose first, then the `model` that the client wrote.

use std::rc::Rc;

use crate::routes::graph::{Client, Graph, Node, RuleAction};
use crate::routes::nearest;
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::facts::Facts;

/// Chooses the entry node. A key grants access to nodes: only the chosen node is checked, not the
/// way to it. A node that the key may not use is answered like one that does not exist, and always
/// by the name that the client wrote: no answer tells what other clients have.
///
/// # Errors
/// A rule refuses the request; no model is given and no rule applies; or no model that the key may
/// use has this name.
pub fn choose(graph: &Graph, facts: &Facts, client: &Client) -> Result<Rc<Node>, ClientError> {
    let node = by_rule(graph, rule(graph, facts))?.or_else(|| graph.models.get(&facts.model));
    match node.filter(|node| client.may_use(&node.name)) {
        Some(node) => Ok(Rc::clone(node)),
        None if facts.model.is_empty() => Err(ClientError::MissingModel),
        None => Err(unknown(graph, &facts.model, client)),
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

/// The error for a model that does not exist, or that the key may not use, with the nearest name
/// that it may use.
pub fn unknown(graph: &Graph, model: &str, client: &Client) -> ClientError {
    let usable =
        graph.models.keys().map(String::as_str).filter(|name| *name != model && client.may_use(name));
    let nearest = nearest(model, usable);
    ClientError::ModelNotFound { model: model.to_owned(), nearest }
}
