//! The paths of stored objects (a response, a file, a batch, …), and which ids are forwarded.

use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::operation::Operation;

/// Longest part of a path that is forwarded. OpenAI's and Azure's ids are half as long.
const MOST_ID_BYTES: usize = 128;

/// Most parts of a path. OpenAI's longest path has six.
const MOST_PARTS: usize = 8;

/// A request for stored objects. The method says what to do with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// The kind of object.
    pub operation: Operation,
    /// The path below `/v1/`, as the client wrote it.
    pub path: String,
    /// The id of the first object in the path; `None` where the path is for all objects of its
    /// kind: to create one, or to list them.
    pub id: Option<String>,
}

impl StoredObject {
    /// The list of stored chat completions.
    pub fn completions() -> Self {
        let operation = Operation::StoredCompletions;
        Self { operation, path: Operation::ChatCompletions.path().to_owned(), id: None }
    }

    /// The stored object at these path parts (OpenAI's OpenAPI document, 2.3.0). Anything may
    /// follow an id.
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
                let mut kinds =
                    Operation::ALL.into_iter().filter(|operation| operation.is_on_stored_objects());
                (kinds.find(|operation| operation.path() == *kind)?, below.first())
            }
        };
        Some(Self { operation, path: parts.join("/"), id: id.map(|id| (*id).to_owned()) })
    }

    /// Checks that the path consists of plain ids. Only those may become part of a path at an
    /// upstream.
    ///
    /// # Errors
    /// A part is not a plain id, or there are too many parts.
    pub fn checked(self) -> Result<Self, ClientError> {
        let mut parts = self.path.split('/');
        if parts.by_ref().take(MOST_PARTS).all(is_id) && parts.next().is_none() {
            Ok(self)
        } else {
            Err(ClientError::InvalidObjectPath { path: self.path })
        }
    }

    /// Whether the answer is the object's own bytes, of any type: the content of a file.
    pub fn is_content(&self) -> bool {
        self.path.ends_with("/content")
    }
}

/// Whether `text` can be an id: 1 to 128 letters, digits, `_`, `-` and `.`, and not only dots.
pub fn is_id(text: &str) -> bool {
    (1..=MOST_ID_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        && text.bytes().any(|byte| byte != b'.')
}

#[cfg(test)]
mod tests {
    use super::{StoredObject, is_id};
    use crate::vocabulary::operation::Operation;

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
            let stored = StoredObject::at(&parts);
            let read = stored.as_ref().map(|stored| (stored.operation, stored.id.as_deref()));
            assert_eq!(read, expected, "{path}");
            assert!(stored.is_none_or(|stored| stored.path == path), "{path}");
        }
    }

    #[test]
    fn only_plain_words_become_part_of_a_path() {
        let checked =
            |path: &str| StoredObject::at(&path.split('/').collect::<Vec<_>>()).map(StoredObject::checked);
        assert!(checked("files/a/b/c/d/e/f/g").is_some_and(|checked| checked.is_ok()));
        for path in ["files/a/b/c/d/e/f/g/h", "files/..", "files/%2e%2e/x", "files/a b", "batches/b/ca?ncel"]
        {
            assert!(checked(path).is_some_and(|checked| checked.is_err()), "{path}");
        }
    }
}
