//! The paths of stored objects (a stored response, a file, a batch, …), and which ids are passed on.

use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::operation::Operation;

/// Longest part of a path that is passed on. OpenAI's and Azure's ids are half as long.
const MOST_ID_BYTES: usize = 128;

/// Most parts of a path. OpenAI's longest has six.
const MOST_PARTS: usize = 8;

/// What is to be done with a stored object. The method says the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// The kind of object.
    pub operation: Operation,
    /// The path below `/v1/`, as the client wrote it.
    pub path: String,
    /// The id of the object that the path leads to or through; `None` where it stands for all of them: to make one, or for a list.
    pub id: Option<String>,
}

impl StoredObject {
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
                let mut kinds =
                    Operation::ALL.into_iter().filter(|operation| operation.is_on_stored_objects());
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
