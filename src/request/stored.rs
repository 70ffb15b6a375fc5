//! Responses that an upstream has stored: what can be done with one, and who may have it.
//!
//! Such a request names no model, and an id does not tell who minted it. So every account is a candidate that the client's
//! models lead to, and the one that is remembered comes first; whoever does not know the id lets the request go on to the next.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::facts::Facts;
use super::operation::Operation;
use crate::attempt::class::{ErrorClass, Triggers};
use crate::reply::error::ClientError;
use crate::routes::graph::{
    Client, Deployment, Destination, Graph, Node, Policy, Requirements, Strategy, Target,
};
use crate::routes::when::{Condition, Fact};

/// Longest id that is passed on. OpenAI's and Azure's are half as long.
const MOST_ID_BYTES: usize = 128;

/// A stored response, and what is to be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its id, as the client wrote it.
    pub id: String,
    /// What is asked for.
    pub part: Part,
}

/// What of a stored response a path stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `GET` or `DELETE responses/{id}`
    Whole,
    /// `POST responses/{id}/cancel`
    Cancel,
    /// `GET responses/{id}/input_items`
    InputItems,
}

impl Stored {
    /// The methods that it takes, as the value of an `allow` header.
    pub fn allow(&self) -> &'static str {
        match self.part {
            Part::Whole => "GET, DELETE",
            Part::Cancel => "POST",
            Part::InputItems => "GET",
        }
    }

    /// The path below `/v1/`.
    pub fn path(&self) -> String {
        let end = match self.part {
            Part::Whole => "",
            Part::Cancel => "/cancel",
            Part::InputItems => "/input_items",
        };
        format!("responses/{}{end}", self.id)
    }

    /// Nothing but an id may become part of a path at an upstream.
    ///
    /// # Errors
    /// Where it is none.
    pub fn checked(self) -> Result<Self, ClientError> {
        if is_id(&self.id) { Ok(self) } else { Err(ClientError::InvalidResponseId { id: self.id }) }
    }
}

/// Whether this can be an id: 1 to 128 letters, digits, `_` and `-`.
pub fn is_id(text: &str) -> bool {
    (1..=MOST_ID_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// The entry node: where a rule for this path or operation holds, the deployments that its node leads to, else those of all nodes
/// that the client may use. First comes one of each account, the minting one before the others, and then, for what one deployment
/// cannot do now, the rest.
///
/// # Errors
/// Where a rule chooses what the key does not open, or there is nobody to ask.
pub fn entry(
    graph: &Graph,
    facts: &Facts,
    client: &Client,
    stored: &Stored,
) -> Result<Rc<Node>, ClientError> {
    let by_rule = graph.rules.iter().find(|rule| looks_at_the_way(&rule.when) && rule.when.holds(facts));
    let mut reached = BTreeSet::new();
    let mut seen = BTreeSet::new();
    match by_rule.map(|rule| &rule.node) {
        Some(node) if !client.may_use(&node.name) => {
            return Err(ClientError::ModelNotAllowed {
                client: client.name.clone(),
                model: node.name.clone(),
            });
        }
        Some(node) => reach(node, &mut reached, &mut seen),
        None => {
            for (_, node) in graph.models.iter().filter(|(name, _)| client.may_use(name)) {
                reach(node, &mut reached, &mut seen);
            }
        }
    }
    if !reached.is_empty() {
        for (_, to) in &graph.settings.on {
            follow(to, &mut reached, &mut seen);
        }
    }
    let offers = |deployment: &&Rc<Deployment>| {
        reached.contains(&deployment.id)
            && deployment.disabled.is_none()
            && crate::upstream::supports(deployment, facts.operation)
    };
    let minting = facts.minted_by.and_then(|id| graph.deployments.get(id));
    let mut accounts: Vec<&Rc<Deployment>> = Vec::new();
    let mut others = Vec::new();
    for deployment in graph.deployments.iter().filter(offers) {
        let known = accounts.iter().any(|known| known.shares_storage_with(deployment));
        if known { others.push(deployment) } else { accounts.push(deployment) }
    }
    let is_minting =
        |account: &&Rc<Deployment>| minting.is_some_and(|minting| minting.shares_storage_with(account));
    let (first, then): (Vec<_>, Vec<_>) = accounts.into_iter().partition(is_minting);
    let targets: Vec<Target> = (0..)
        .zip(first.into_iter().chain(then).chain(others))
        .map(|(priority, to)| Target { to: Destination::Deployment(Rc::clone(to)), weight: 1.0, priority })
        .collect();
    if targets.is_empty() {
        return Err(ClientError::ResponseNotFound { id: stored.id.clone() });
    }
    Ok(Rc::new(Node {
        id: graph.node_count,
        name: Operation::StoredResponses.path().to_owned(),
        strategy: Strategy::Priority,
        targets,
        // Who has it is not known: whoever cannot say is passed over.
        policy: Policy {
            fallback_on: Some(Triggers::of(ErrorClass::is_curable_elsewhere)),
            ..Policy::default()
        },
        max_attempts: None,
        deadline_ms: None,
        requirements: Requirements::default(),
        on: Vec::new(),
    }))
}

/// Whether a rule looks at the path or the operation. Others choose by what such a request does not have, by where its client
/// is now, or by a draw, and would look for a response where it never was.
fn looks_at_the_way(when: &Condition) -> bool {
    match when {
        Condition::Fact(Fact::Path | Fact::Operation, _) => true,
        Condition::Always | Condition::Fact(..) | Condition::Share { .. } => false,
        Condition::All(conditions) | Condition::Any(conditions) => conditions.iter().any(looks_at_the_way),
        Condition::Not(condition) => looks_at_the_way(condition),
    }
}

/// Every deployment below a node, behind its edges too.
fn reach(node: &Node, reached: &mut BTreeSet<usize>, seen: &mut BTreeSet<usize>) {
    if seen.insert(node.id) {
        let ends = node.targets.iter().map(|target| &target.to).chain(node.on.iter().map(|(_, to)| to));
        for to in ends {
            follow(to, reached, seen);
        }
    }
}

fn follow(to: &Destination, reached: &mut BTreeSet<usize>, seen: &mut BTreeSet<usize>) {
    match to {
        Destination::Deployment(deployment) => {
            reached.insert(deployment.id);
        }
        Destination::Node(node) => reach(node, reached, seen),
    }
}

#[cfg(test)]
mod tests {
    use super::is_id;

    #[test]
    fn an_id_is_one_plain_word() {
        let longest = "x".repeat(128);
        for id in ["resp_0f09a275", "resp-1", "a", longest.as_str()] {
            assert!(is_id(id), "{id}");
        }
        let too_long = "x".repeat(129);
        for id in ["", "..", "a/b", "a%2Fb", "%2e%2e", "a?b", "a b", "é", "a\0", too_long.as_str()] {
            assert!(!is_id(id), "{id}");
        }
    }
}
