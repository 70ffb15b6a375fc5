//! The entry node of a request for a stored object: which deployments may own it, and in which
//! order they are tried.
//!
//! Such a request names no model, and an id does not name its account. So every account that the
//! client's models lead to is a candidate. The remembered owner comes first. A deployment that does
//! not know the id passes the request on to the next one. A request without an id (a creation or a
//! list) goes to the first of these accounts: the client's objects are created there.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::entry_node::by_rule;
use super::reach::reach;
use crate::request::stored_object::StoredObject;
use crate::routes::graph::{
    Client, Deployment, Destination, Graph, Node, Policy, Requirements, Retry, Strategy, Target,
};
use crate::routes::when::{Condition, Fact};
use crate::upstream;
use crate::usage::price::Price;
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::error_class::{ErrorClass, Triggers};
use crate::vocabulary::facts::Facts;

/// Makes the entry node. If a rule for this path or operation holds, its targets are the
/// deployments that the rule's node leads to, in the order of that node. Otherwise they are the
/// deployments of all nodes that the client may use, in the order of their names. Each of them is
/// one that a request for a model could get there: requirements and weights hold on the way.
///
/// A search tries one deployment of each account first, the owner's account before the others. Then
/// it tries the other deployments, in case the first one of an account cannot do the operation now.
/// A request without an id stays in the first account as long as any of its deployments can serve
/// it.
///
/// # Errors
/// A rule refuses the request, or there is no deployment to try: none can own the object, or a rule
/// chooses a node that the key may not use.
pub fn entry_node(
    graph: &Graph,
    facts: &Facts,
    client: &Client,
    stored: &StoredObject,
) -> Result<Rc<Node>, ClientError> {
    let by_rule = by_rule(graph, rule(graph, facts))?;
    let entries: Vec<&Rc<Node>> = match by_rule {
        Some(node) if !client.may_use(&node.name) => Vec::new(),
        Some(node) => vec![node],
        None => {
            let usable = graph.models.iter().filter(|(name, _)| client.may_use(name));
            usable.map(|(_, node)| node).collect()
        }
    };
    let reached = reach(graph, facts, &entries, by_rule.is_some());
    let deployments = reached.iter().filter_map(|id| graph.deployments.get(*id)).filter(|deployment| {
        deployment.disabled.is_none() && upstream::supports(deployment, facts.operation)
    });
    let owner = facts.owner.and_then(|id| graph.deployments.get(id));
    // The deployments, grouped by account. A document may have thousands of them.
    let mut accounts: Vec<Vec<&Rc<Deployment>>> = Vec::new();
    let mut places = BTreeMap::new();
    for deployment in deployments {
        let place = *places.entry(deployment.account()).or_insert(accounts.len());
        match accounts.get_mut(place) {
            Some(account) => account.push(deployment),
            None => accounts.push(vec![deployment]),
        }
    }
    let place_of_owner = owner.and_then(|owner| places.get(&owner.account()));
    if let Some(first) = place_of_owner.and_then(|place| accounts.get_mut(..=*place)) {
        first.rotate_right(1);
    }
    let mut targets: Vec<Target> = Vec::new();
    for is_first in [true, false] {
        for account in &accounts {
            for (place, deployment) in account.iter().enumerate() {
                let comes_now = stored.id.is_none() || place == 0;
                if comes_now == is_first {
                    let to = Destination::Deployment(Rc::clone(deployment));
                    let priority = u32::try_from(targets.len()).unwrap_or(u32::MAX);
                    targets.push(Target { to, weight: 1.0, priority });
                }
            }
        }
    }
    if targets.is_empty() {
        return Err(ClientError::ObjectNotFound { path: stored.path.clone() });
    }
    // A POST may have taken effect although its answer is lost. A second try would do it twice,
    // which only the document can ask for. An edge asks for it, but leads nowhere else: the targets
    // are already all that the request may use.
    let is_post = facts.method == "POST";
    let settings = &graph.settings;
    let retry = settings.policy.retry.as_ref().filter(|retry| retry.states_on);
    let may_be_done = |class| {
        let is_asked_for = settings.on.iter().any(|(on, _)| *on == class)
            || retry.is_some_and(|retry| retry.on.classes.contains(&class));
        is_post && matches!(class, ErrorClass::Timeout | ErrorClass::Truncated) && !is_asked_for
    };
    Ok(Rc::new(Node {
        id: graph.node_count,
        name: stored.operation.path().to_owned(),
        strategy: Strategy::Priority,
        targets,
        // The owner is not known, so a deployment that cannot answer is passed over.
        policy: Policy {
            fallback_on: Some(Triggers::of(|class| class.is_curable_elsewhere() && !may_be_done(class))),
            retry: is_post.then(|| Retry { attempts: 0, ..retry.cloned().unwrap_or_default() }),
            ..Policy::default()
        },
        max_attempts: None,
        deadline_ms: None,
        reads_place: false,
        // What it may cost is known at its end.
        highest_price: Price::default(),
        requirements: Requirements::default(),
        on: Vec::new(),
        cache: None,
    }))
}

/// The rule that chooses the targets or refuses the request, if one for this path or operation
/// matches.
pub fn rule(graph: &Graph, facts: &Facts) -> Option<usize> {
    graph.rules.first_of(facts, &reads_path_or_operation)
}

/// Whether a rule looks at the path or the operation. Other rules choose by facts that such a
/// request does not have, by where the client is now, or by a draw. They would look for an object
/// where it never was.
fn reads_path_or_operation(when: &Condition) -> bool {
    match when {
        Condition::Fact(Fact::Path | Fact::Operation, _) => true,
        Condition::Always | Condition::Fact(..) | Condition::Share { .. } => false,
        Condition::All(conditions) | Condition::Any(conditions) => {
            conditions.iter().any(reads_path_or_operation)
        }
        Condition::Not(condition) => reads_path_or_operation(condition),
    }
}
