//! Object affinity: which deployment owns which stored object (a response, a file, …), as far as
//! this isolate has seen.
//!
//! An object exists only in the account that created it, and its id does not name that account. An
//! isolate remembers the owners that it has seen, so that the next request for the object needs no
//! search. An owner that is unknown or forgotten is searched for. So correctness does not depend on
//! this memory.
//!
//! Invariants: at most [`MOST`] ids are remembered, the newest ones. Only hashes of ids and
//! deployments are stored.

use std::collections::{BTreeMap, VecDeque};

use crate::request::stored_object::is_id;
use crate::routes::graph::{Deployment, Graph};
use crate::scan::needle::Needle;
use crate::vocabulary::rng::stable_hash;

/// Most ids that are remembered. They take some hundred kilobytes.
pub const MOST: usize = 4096;

/// The start of every response id at OpenAI, on Azure and at compatible servers.
pub const RESPONSE_ID_PREFIX: &str = "resp";

/// Members in which an answer names stored objects: its own id, the first id of a list, and the
/// results of a batch.
static ANSWER_MEMBERS: [Needle; 3] =
    [Needle::of("\"id\""), Needle::of("\"output_file_id\""), Needle::of("\"error_file_id\"")];

/// Members in which a request that creates an object names another object of the same account.
static REQUEST_MEMBERS: [Needle; 4] = [
    Needle::of("\"input_file_id\""),
    Needle::of("\"training_file\""),
    Needle::of("\"file_id\""),
    Needle::of("\"file_ids\""),
];

/// Which deployment owns which stored object.
#[derive(Debug, Default)]
pub struct ObjectAffinity {
    /// From the hash of an id to the hash of its owner's identity.
    owners: BTreeMap<u64, u64>,
    /// The ids, oldest first.
    ages: VecDeque<u64>,
}

impl ObjectAffinity {
    /// An empty memory.
    pub const fn new() -> Self {
        Self { owners: BTreeMap::new(), ages: VecDeque::new() }
    }

    /// Remembers that `deployment` owns the object with this id.
    pub fn learn(&mut self, id: &str, deployment: &Deployment) {
        let id = stable_hash(id.as_bytes());
        if self.owners.insert(id, stable_hash(deployment.identity.as_bytes())).is_none() {
            self.ages.push_back(id);
        }
        if self.ages.len() > MOST
            && let Some(oldest) = self.ages.pop_front()
        {
            self.owners.remove(&oldest);
        }
    }

    /// The owner of the object with this id, as an index in `graph`.
    pub fn owner_of(&self, id: &str, graph: &Graph) -> Option<usize> {
        let identity = self.owners.get(&stable_hash(id.as_bytes()))?;
        let mut deployments = graph.deployments.iter();
        let owner = deployments.find(|known| stable_hash(known.identity.as_bytes()) == *identity);
        owner.map(|deployment| deployment.id)
    }
}

/// The ids in the first bytes of an answer: a JSON body, or a stream that begins with
/// `response.created`. Each member yields its first id that begins with `prefix`.
pub fn ids_in_answer<'a>(answer: &'a [u8], prefix: &'a str) -> impl Iterator<Item = &'a str> {
    ANSWER_MEMBERS.iter().filter_map(move |member| first_id(answer, member, prefix))
}

/// The ids that a JSON request body names.
pub fn ids_in_request(body: &[u8]) -> impl Iterator<Item = &str> {
    REQUEST_MEMBERS.iter().filter_map(move |member| first_id(body, member, ""))
}

/// The first id that is the value of `member`, or the first item of a list there.
fn first_id<'a>(json: &'a [u8], member: &'a Needle, prefix: &str) -> Option<&'a str> {
    member.values_in(json).find_map(|value| {
        let value = value.strip_prefix(b"[").unwrap_or(value).trim_ascii_start().strip_prefix(b"\"")?;
        let end = value.iter().position(|byte| *byte == b'"')?;
        let id = str::from_utf8(value.get(..end)?).ok()?;
        (id.starts_with(prefix) && is_id(id)).then_some(id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_an_answer_is_found_in_its_first_bytes() {
        for (answer, expected) in [
            (r#"{"id":"resp_1","object":"response","output":[{"id":"msg_1"}]}"#, Some("resp_1")),
            // Members in another order, and a conversation with an id of its own.
            (r#"{"conversation":{"id":"conv_1"},"id" : "resp_2"}"#, Some("resp_2")),
            (
                r#"{"previous_response_id":"resp_0","metadata":{"note":"\"id\":\"resp_9\""},"id":"resp_3"}"#,
                Some("resp_3"),
            ),
            (
                "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_4\"}}\n\n",
                Some("resp_4"),
            ),
            // A list of input items names only the items.
            (r#"{"object":"list","data":[{"id":"msg_1"}],"first_id":"msg_1"}"#, None),
            (r#"{"id":"resp_cut"#, None),
            (r#"{"id":"resp/../x"}"#, None),
            (r#"{"id":7}"#, None),
            ("", None),
        ] {
            assert_eq!(ids_in_answer(answer.as_bytes(), RESPONSE_ID_PREFIX).next(), expected, "{answer}");
        }
    }

    #[test]
    fn the_results_of_a_batch_are_found_with_its_id() {
        let answer =
            br#"{"id":"batch_1","input_file_id":"file-0","output_file_id":"file-1","error_file_id":null}"#;
        assert_eq!(ids_in_answer(answer, "").collect::<Vec<_>>(), ["batch_1", "file-1"]);
    }

    #[test]
    fn a_request_names_what_it_is_made_from() {
        for (body, expected) in [
            (r#"{"input_file_id":"file-1","endpoint":"/v1/embeddings"}"#, Some("file-1")),
            (r#"{"name":"x", "file_ids" : [ "file-2", "file-3"]}"#, Some("file-2")),
            (r#"{"file_ids":[]}"#, None),
            (r#"{"training_file":7}"#, None),
            ("", None),
        ] {
            assert_eq!(ids_in_request(body.as_bytes()).next(), expected, "{body}");
        }
    }
}
