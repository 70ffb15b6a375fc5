//! The paths of stored objects (a response, a file, a batch, …), and which ids are forwarded.

use std::borrow::Cow;

use super::percent;
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
    /// The path below `/v1/`, as the client wrote it; decoded once it is checked.
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

    /// The fine-tuned model with this name, which only its account can delete. `None` if the name
    /// does not have the form of one: `ft:…` at OpenAI, `….ft-…` on Azure.
    pub fn fine_tuned_model(name: &str) -> Option<Self> {
        let is_fine_tuned = is_id(name) && (name.starts_with("ft:") || name.contains(".ft-"));
        is_fine_tuned.then(|| Self {
            operation: Operation::FineTuning,
            path: format!("models/{name}"),
            id: Some(name.to_owned()),
        })
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

    /// Checks that the path consists of plain ids, after decoding (`%3A`). Only those may become
    /// part of a path at an upstream.
    ///
    /// # Errors
    /// A part is not a plain id, or there are too many parts.
    pub fn checked(self) -> Result<Self, ClientError> {
        // Each part is decoded by itself, so that an encoded slash does not divide one.
        let parts: Vec<Cow<'_, str>> =
            self.path.split('/').take(MOST_PARTS + 1).map(percent::decode).collect();
        if parts.len() > MOST_PARTS || !parts.iter().all(|part| is_id(part)) {
            return Err(ClientError::InvalidObjectPath { path: self.path });
        }
        let id = self.id.as_deref().map(|id| percent::decode(id).into_owned());
        Ok(Self { operation: self.operation, path: parts.join("/"), id })
    }

    /// The id of the object that a request with this path deletes, if it deletes one: not what is
    /// within an object.
    pub fn deleted_id(&self) -> Option<&str> {
        self.id.as_deref().filter(|id| self.path.strip_suffix(id).is_some_and(|path| path.ends_with('/')))
    }

    /// Whether the answer is the object's own bytes, of any type: the content of a file.
    pub fn is_content(&self) -> bool {
        self.path.ends_with("/content")
    }
}

/// Whether `text` can be an id: 1 to 128 letters, digits, `_`, `-`, `.` and `:`, and not only dots.
/// The id of a fine-tuned model has colons: `ft:gpt-4o-mini:acme::7qTVM5AR`.
pub fn is_id(text: &str) -> bool {
    (1..=MOST_ID_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte))
        && text.bytes().any(|byte| byte != b'.')
}

#[cfg(test)]
mod tests {
    use super::{StoredObject, is_id};
    use crate::vocabulary::operation::Operation;

    #[test]
    fn an_id_is_one_plain_word() {
        let longest = "x".repeat(128);
        for id in ["resp_0f09a275", "resp-1", "a", "run.1", "..x", "ft:gpt-4o:acme::7q", longest.as_str()] {
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
            ("fine_tuning/checkpoints/ft:m:o::1/permissions", Some((FineTuning, Some("ft:m:o::1")))),
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
    fn an_encoded_id_means_the_same_as_the_plain_one() {
        let at = |path: &str| StoredObject::at(&path.split('/').collect::<Vec<_>>()).unwrap();
        let plain = at("fine_tuning/checkpoints/ft:m:o::1:ckpt-step-80/permissions").checked().unwrap();
        let encoded = at("fine_tuning/checkpoints/ft%3Am%3ao%3A%3A1%3Ackpt%2Dstep-80/permissions").checked();
        assert_eq!(encoded.unwrap(), plain);
        assert_eq!(plain.id.as_deref(), Some("ft:m:o::1:ckpt-step-80"));
    }

    #[test]
    fn the_name_of_a_fine_tuned_model_is_known_by_its_form() {
        for (name, expected) in [
            ("ft:gpt-4o-mini-2024-07-18:acme::7qTVM5AR", true),
            ("gpt-4o-mini-2024-07-18.ft-0ab3f80e4f22", true),
            ("gpt-4o", false),
            ("ft", false),
            ("ft:a/b", false),
            ("ft:a b", false),
        ] {
            let model = StoredObject::fine_tuned_model(name);
            assert_eq!(model.is_some(), expected, "{name}");
            assert!(model.is_none_or(|model| model.path == format!("models/{name}")
                && model.clone().checked().is_ok_and(|checked| checked == model)));
        }
    }

    #[test]
    fn only_plain_words_become_part_of_a_path() {
        let checked =
            |path: &str| StoredObject::at(&path.split('/').collect::<Vec<_>>()).map(StoredObject::checked);
        assert!(checked("files/a/b/c/d/e/f/g").is_some_and(|checked| checked.is_ok()));
        for path in [
            "files/a/b/c/d/e/f/g/h",
            "files/..",
            "files/%2e%2e/x",
            "files/%2E./x",
            "files/a%2Fb",
            "files/a%252Fb",
            "files/a%00",
            "files/a b",
            "batches/b/ca?ncel",
        ] {
            assert!(checked(path).is_some_and(|checked| checked.is_err()), "{path}");
        }
    }
}
