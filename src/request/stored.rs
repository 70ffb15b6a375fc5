//! What an account keeps (a stored response, a file, a batch, …): what can be done with it, and who may have it.
//!
//! Such a request names no model, and an id does not tell who minted it. So every account is a candidate that the client's
//! models lead to, and the one that is remembered comes first; whoever does not know the id lets the request go on to the next.
//! What has no id yet, and lists, belong to the first of these accounts: the home of what the client makes.

use std::rc::Rc;

use super::facts::Facts;
use super::operation::Operation;
use crate::attempt::class::{ErrorClass, Triggers};
use crate::reply::error::ClientError;
use crate::routes::graph::{
    Client, Deployment, Destination, Graph, Node, Policy, Requirements, Retry, Strategy, Target,
};
use crate::routes::when::{Condition, Fact};

/// Longest part of a path that is passed on. OpenAI's and Azure's ids are half as long.
const MOST_ID_BYTES: usize = 128;

/// Most parts of a path. OpenAI's longest has six.
const MOST_PARTS: usize = 8;

/// What is to be done with what an account keeps. The method says the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The kind of object.
    pub operation: Operation,
    /// The path below `/v1/`, as the client wrote it.
    pub path: String,
    /// The id of the object that the path leads to or through; `None` where it stands for all of them: to make one, or for a list.
    pub id: Option<String>,
}

impl Stored {
    /// The list of stored chat completions.
    pub fn completions() -> Self {
        let operation = Operation::StoredCompletions;
        Self { operation, path: Operation::ChatCompletions.path().to_owned(), id: None }
    }

    /// What these parts of a path stand for (OpenAI's OpenAPI document, 2.3.0). Below an id anything may follow.
    pub fn at(parts: &[&str]) -> Option<Self> {
        let (operation, id) = match parts {
            ["responses", id, ..] => (Operation::StoredResponses, Some(id)),
            ["chat", "completions", id, ..] => (Operation::StoredCompletions, Some(id)),
            ["fine_tuning", "jobs"] | ["fine_tuning", "alpha", "graders", "run" | "validate"] => {
                (Operation::FineTuning, None)
            }
            ["fine_tuning", "jobs" | "checkpoints", id, ..] => (Operation::FineTuning, Some(id)),
            ["threads", "runs"] => (Operation::Threads, None),
            ["videos", "edits" | "extensions" | "characters"] => (Operation::Videos, None),
            ["videos", "characters", id, ..] => (Operation::Videos, Some(id)),
            ["fine_tuning", ..] | [] => return None,
            [kind, below @ ..] => {
                let mut kinds = Operation::ALL.into_iter().filter(|operation| operation.is_of_stored());
                (kinds.find(|operation| operation.path() == *kind)?, below.first())
            }
        };
        Some(Self { operation, path: parts.join("/"), id: id.map(|id| (*id).to_owned()) })
    }

    /// Nothing but plain words may become part of a path at an upstream.
    ///
    /// # Errors
    /// Where there is something else.
    pub fn checked(self) -> Result<Self, ClientError> {
        let mut parts = self.path.split('/');
        if parts.by_ref().take(MOST_PARTS).all(is_id) && parts.next().is_none() {
            Ok(self)
        } else {
            Err(ClientError::InvalidObjectPath { path: self.path })
        }
    }

    /// Whether the answer is the object's own bytes, of whatever kind: the content of a file.
    pub fn is_content(&self) -> bool {
        self.path.ends_with("/content")
    }
}

/// Whether this can be an id: 1 to 128 letters, digits, `_`, `-` and `.`, and not dots alone.
pub fn is_id(text: &str) -> bool {
    (1..=MOST_ID_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        && text.bytes().any(|byte| byte != b'.')
}

/// The entry node: where a rule for this path or operation holds, the deployments that its node leads to, as they stand there,
/// else those of all nodes that the client may use, in the order of their names.
///
/// A search asks one of each account first, the minting one before the others, and then, for what one deployment cannot do now,
/// the rest. What has no id stays in the first account as long as any deployment of it can do it.
///
/// # Errors
/// Where a rule chooses what the key does not open, or there is nobody to ask.
pub fn entry(
    graph: &Graph,
    facts: &Facts,
    client: &Client,
    stored: &Stored,
) -> Result<Rc<Node>, ClientError> {
    let by_rule = graph.rules.first_of(facts, &looks_at_the_way).and_then(|place| graph.rules.get(place));
    let mut reached = Vec::new();
    let mut seen = Vec::new();
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
            reached.sort_unstable();
        }
    }
    if !reached.is_empty() {
        for (_, to) in &graph.settings.on {
            follow(to, &mut reached, &mut seen);
        }
    }
    let deployments = reached.iter().filter_map(|id| graph.deployments.get(*id)).filter(|deployment| {
        deployment.disabled.is_none() && crate::upstream::supports(deployment, facts.operation)
    });
    let minting = facts.minted_by.and_then(|id| graph.deployments.get(id));
    // The deployments of each account.
    let mut accounts: Vec<Vec<&Rc<Deployment>>> = Vec::new();
    for deployment in deployments {
        let stores_there = |account: &&mut Vec<&Rc<Deployment>>| {
            account.first().is_some_and(|first| first.shares_storage_with(deployment))
        };
        if let Some(account) = accounts.iter_mut().find(stores_there) {
            account.push(deployment);
        } else {
            let is_minting = minting.is_some_and(|minting| minting.shares_storage_with(deployment));
            accounts.insert(if is_minting { 0 } else { accounts.len() }, vec![deployment]);
        }
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
    // What a POST asked for may be done though its answer is lost, and would be done twice.
    let is_post = facts.method == "POST";
    let may_be_done = |class| is_post && matches!(class, ErrorClass::Timeout | ErrorClass::Truncated);
    Ok(Rc::new(Node {
        id: graph.node_count,
        name: stored.operation.path().to_owned(),
        strategy: Strategy::Priority,
        targets,
        // Who has it is not known: whoever cannot say is passed over.
        policy: Policy {
            fallback_on: Some(Triggers::of(|class| class.is_curable_elsewhere() && !may_be_done(class))),
            retry: is_post.then(|| Retry { attempts: 0, ..Retry::default() }),
            ..Policy::default()
        },
        max_attempts: None,
        deadline_ms: None,
        reads_place: false,
        requirements: Requirements::default(),
        on: Vec::new(),
    }))
}

/// Whether a rule looks at the path or the operation. Others choose by what such a request does not have, by where its client
/// is now, or by a draw, and would look for an object where it never was.
fn looks_at_the_way(when: &Condition) -> bool {
    match when {
        Condition::Fact(Fact::Path | Fact::Operation, _) => true,
        Condition::Always | Condition::Fact(..) | Condition::Share { .. } => false,
        Condition::All(conditions) | Condition::Any(conditions) => conditions.iter().any(looks_at_the_way),
        Condition::Not(condition) => looks_at_the_way(condition),
    }
}

/// Every deployment below a node, behind its edges too.
fn reach(node: &Node, reached: &mut Vec<usize>, seen: &mut Vec<usize>) {
    if !seen.contains(&node.id) {
        seen.push(node.id);
        let ends = node.targets.iter().map(|target| &target.to).chain(node.on.iter().map(|(_, to)| to));
        for to in ends {
            follow(to, reached, seen);
        }
    }
}

fn follow(to: &Destination, reached: &mut Vec<usize>, seen: &mut Vec<usize>) {
    match to {
        Destination::Deployment(deployment) if reached.contains(&deployment.id) => {}
        Destination::Deployment(deployment) => reached.push(deployment.id),
        Destination::Node(node) => reach(node, reached, seen),
    }
}

#[cfg(test)]
mod tests {
    use super::{Stored, is_id};
    use crate::request::operation::Operation;

    #[test]
    fn an_id_is_one_plain_word() {
        let longest = "x".repeat(128);
        for id in ["resp_0f09a275", "resp-1", "a", "run.1", "..x", longest.as_str()] {
            assert!(is_id(id), "{id}");
        }
        let too_long = "x".repeat(129);
        for id in
            ["", ".", "..", "...", "a/b", "a%2Fb", "%2e%2e", "a?b", "a b", "é", "a\0", too_long.as_str()]
        {
            assert!(!is_id(id), "{id}");
        }
    }

    #[test]
    fn a_path_leads_to_an_object_or_stands_for_all_of_a_kind() {
        use Operation::{
            Assistants, Batches, Containers, Conversations, Evals, Files, FineTuning, StoredCompletions,
            StoredResponses, Threads, Uploads, VectorStores, Videos,
        };
        for (path, expected) in [
            ("files", Some((Files, None))),
            ("files/file-1/content", Some((Files, Some("file-1")))),
            ("uploads/upload_1/parts", Some((Uploads, Some("upload_1")))),
            ("batches/batch_1/cancel", Some((Batches, Some("batch_1")))),
            ("vector_stores/vs_1/files/file-1/content", Some((VectorStores, Some("vs_1")))),
            ("conversations/conv_1/items", Some((Conversations, Some("conv_1")))),
            ("containers/cntr_1/files", Some((Containers, Some("cntr_1")))),
            ("fine_tuning/jobs", Some((FineTuning, None))),
            ("fine_tuning/jobs/ftjob-1/events", Some((FineTuning, Some("ftjob-1")))),
            ("fine_tuning/alpha/graders/run", Some((FineTuning, None))),
            ("evals/eval_1/runs/run_1", Some((Evals, Some("eval_1")))),
            ("assistants", Some((Assistants, None))),
            ("threads", Some((Threads, None))),
            ("threads/runs", Some((Threads, None))),
            ("threads/thread_1/runs/run_1/cancel", Some((Threads, Some("thread_1")))),
            ("videos/edits", Some((Videos, None))),
            ("videos/video_1/content", Some((Videos, Some("video_1")))),
            ("responses/resp_1/cancel", Some((StoredResponses, Some("resp_1")))),
            ("chat/completions/chatcmpl-1/messages", Some((StoredCompletions, Some("chatcmpl-1")))),
            ("fine_tuning", None),
            ("fine_tuning/else", None),
            ("realtime", None),
            ("chat", None),
        ] {
            let parts: Vec<&str> = path.split('/').collect();
            let stored = Stored::at(&parts);
            let read = stored.as_ref().map(|stored| (stored.operation, stored.id.as_deref()));
            assert_eq!(read, expected, "{path}");
            assert!(stored.is_none_or(|stored| stored.path == path), "{path}");
        }
    }

    #[test]
    fn only_plain_words_become_part_of_a_path() {
        let checked = |path: &str| Stored::at(&path.split('/').collect::<Vec<_>>()).map(Stored::checked);
        assert!(checked("files/a/b/c/d/e/f/g").is_some_and(|checked| checked.is_ok()));
        for path in ["files/a/b/c/d/e/f/g/h", "files/..", "files/%2e%2e/x", "files/a b", "batches/b/ca?ncel"]
        {
            assert!(checked(path).is_some_and(|checked| checked.is_err()), "{path}");
        }
    }
}
