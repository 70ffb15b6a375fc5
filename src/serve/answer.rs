//! How the answer of an upstream is to be handled: which part of it is looked at before it is passed on, and what makes it a
//! failure. Pure.

use crate::attempt::failure::{ErrorResponse, Failure};
use crate::attempt::{
    classify::{self, UnclassifiedResponse},
    success::{self, Success},
};
use crate::request::stored_object::StoredObject;
use crate::routes::graph::Commit;
use crate::upstream::forwarding;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::time::Instant;

/// The most bytes of a JSON answer that are held, to see that it is whole: any text, and few images. It lies in memory twice.
pub const JSON_BYTES: usize = 1024 * 1024;
/// The most bytes of an upstream's error body that are read.
pub const ERROR_BODY_BYTES: usize = 64 * 1024;

/// What was asked for, as far as the handling of its answer depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The operation.
    pub operation: Operation,
    /// The stored object that it is about, if any.
    pub stored: Option<&'a StoredObject>,
    /// When an answer may start to flow.
    pub commit: Commit,
    /// `settings.buffer_bytes`.
    pub buffer_bytes: usize,
}

/// How a successful answer is to be handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// It flows at once. `is_watched`: its events are read, to see how it ends.
    Pass {
        /// Whether its events are read.
        is_watched: bool,
    },
    /// Its events are held until the commit point, or until so many bytes are held.
    Events {
        /// The commit point.
        until: Commit,
        /// In bytes.
        most: usize,
    },
    /// It is held until its end, or until more bytes than this are held.
    Whole {
        /// In bytes.
        most: usize,
    },
}

impl Question<'_> {
    /// How many bytes the platform may read at once, of JSON that says how long it is.
    pub fn read_up_to(&self) -> usize {
        if self.commit == Commit::Headers || self.stored.is_some() { 0 } else { JSON_BYTES }
    }

    /// Whether an answer of that content type is a stored object that is passed on as it is: bytes, or a stream that is
    /// replayed, in which an error is what was asked for. The JSON of stored objects is looked at, since it tells ids.
    pub fn is_record(&self, content_type: &str) -> bool {
        self.stored.is_some_and(|stored| {
            success::is_event_stream(content_type) || stored.is_content() || !success::is_json(content_type)
        })
    }

    /// How an answer of that content type is to be handled.
    pub fn handling(&self, content_type: &str) -> Handling {
        let is_stream = success::is_event_stream(content_type);
        if self.is_record(content_type) || self.commit == Commit::Headers {
            return Handling::Pass { is_watched: is_stream };
        }
        let most = match self.commit {
            Commit::FirstToken if is_stream => self.buffer_bytes,
            Commit::FirstToken if success::answers_in_json(self.operation, content_type) => JSON_BYTES,
            // What is not JSON cannot be told from a fault by its end, so it need not be waited for.
            Commit::FirstToken => 0,
            Commit::Headers | Commit::Complete => self.buffer_bytes,
        };
        if is_stream { Handling::Events { until: self.commit, most } } else { Handling::Whole { most } }
    }

    /// What a status that is no success means. `body`: as much of the error as was read.
    ///
    /// An account that does not know the id of a stored object answers with 404, in whatever words, and one that does not do
    /// an operation at all with 405: another account may have the object.
    pub fn refusal(&self, status: u16, headers: &Headers, body: Vec<u8>, now: Instant) -> Failure {
        let failure = classify::classify(&UnclassifiedResponse { status, headers, body: &body, now });
        let is_elsewhere =
            self.stored.is_some_and(|stored| status == 405 || (status == 404 && stored.id.is_some()));
        // A redirect is not passed on: its target is internal.
        let response = (status >= 400).then(|| error_response(status, headers, body));
        Failure { response, is_unknown_object: failure.is_unknown_object || is_elsewhere, ..failure }
    }

    /// A failure, where a successful answer turns out to be none. An error is small: of a long answer it is enough to know
    /// that it came to its end.
    ///
    /// # Errors
    /// The failure.
    pub fn judge_whole(&self, status: u16, headers: &Headers, body: &[u8]) -> Result<(), Failure> {
        self.judge(status, headers, body, body.len() <= ERROR_BODY_BYTES)
    }

    /// A failure, where what is known of a successful answer shows that it is none.
    ///
    /// # Errors
    /// The failure.
    pub fn judge(&self, status: u16, headers: &Headers, body: &[u8], is_whole: bool) -> Result<(), Failure> {
        let content_type = headers.get("content-type").unwrap_or_default();
        let success = Success { operation: self.operation, status, content_type, body, is_whole };
        let Some(failure) = success::fault_behind_success(&success) else { return Ok(()) };
        Err(Failure { response: Some(error_response(status, headers, body.to_vec())), ..failure })
    }
}

/// An error of an upstream with the headers that may reach the client.
fn error_response(status: u16, headers: &Headers, body: Vec<u8>) -> ErrorResponse {
    let headers = Headers::of(headers.iter().filter(|(name, _)| forwarding::is_returned(name)));
    ErrorResponse { status, headers, body }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::time::short::at;

    const EVENTS: &str = "text/event-stream";
    const JSON: &str = "application/json; charset=utf-8";
    const BUFFER: usize = 7;

    fn stored(path: &str, id: Option<&str>) -> StoredObject {
        StoredObject { operation: Operation::Files, path: path.to_owned(), id: id.map(str::to_owned) }
    }

    fn question(operation: Operation, stored: Option<&StoredObject>, commit: Commit) -> Question<'_> {
        Question { operation, stored, commit, buffer_bytes: BUFFER }
    }

    #[test]
    fn an_answer_is_held_as_its_operation_and_its_commit_point_ask() {
        use Operation::{AudioSpeech, ChatCompletions};
        for (operation, commit, content_type, expected) in [
            (ChatCompletions, Commit::Headers, EVENTS, Handling::Pass { is_watched: true }),
            (ChatCompletions, Commit::Headers, JSON, Handling::Pass { is_watched: false }),
            (
                ChatCompletions,
                Commit::FirstToken,
                EVENTS,
                Handling::Events { until: Commit::FirstToken, most: BUFFER },
            ),
            (
                ChatCompletions,
                Commit::Complete,
                EVENTS,
                Handling::Events { until: Commit::Complete, most: BUFFER },
            ),
            (ChatCompletions, Commit::FirstToken, JSON, Handling::Whole { most: JSON_BYTES }),
            (ChatCompletions, Commit::Complete, JSON, Handling::Whole { most: BUFFER }),
            // Audio shows no fault at its end.
            (AudioSpeech, Commit::FirstToken, "audio/mpeg", Handling::Whole { most: 0 }),
            (AudioSpeech, Commit::Complete, "audio/mpeg", Handling::Whole { most: BUFFER }),
        ] {
            let found = question(operation, None, commit).handling(content_type);
            assert_eq!(found, expected, "{operation:?} {commit:?} {content_type}");
        }
    }

    #[test]
    fn of_a_stored_object_only_json_is_looked_at() {
        for (path, content_type, expected) in [
            ("files/file-1", JSON, Handling::Whole { most: JSON_BYTES }),
            ("files/file-1/content", JSON, Handling::Pass { is_watched: false }),
            ("files/file-1", "application/octet-stream", Handling::Pass { is_watched: false }),
            ("responses/resp_1", EVENTS, Handling::Pass { is_watched: true }),
        ] {
            let stored = stored(path, Some("x"));
            let question = question(Operation::Files, Some(&stored), Commit::FirstToken);
            assert_eq!(question.handling(content_type), expected, "{path} {content_type}");
            assert_eq!(question.read_up_to(), 0, "its headers decide first");
        }
    }

    #[test]
    fn an_account_without_the_object_sends_the_request_on() {
        for (status, id, expected) in
            [(404, Some("x"), true), (404, None, false), (405, None, true), (400, Some("x"), false)]
        {
            let stored = stored("files", id);
            let question = question(Operation::Files, Some(&stored), Commit::FirstToken);
            let failure = question.refusal(status, &Headers::default(), b"{}".to_vec(), at(0));
            assert_eq!(failure.is_unknown_object, expected, "{status} {id:?}");
        }
        let question = question(Operation::ChatCompletions, None, Commit::FirstToken);
        assert!(!question.refusal(404, &Headers::default(), b"{}".to_vec(), at(0)).is_unknown_object);
    }

    #[test]
    fn a_redirect_and_what_tells_who_served_never_reach_the_client() {
        let question = question(Operation::ChatCompletions, None, Commit::FirstToken);
        let headers =
            Headers::of([("location", "https://internal"), ("set-cookie", "a=1"), ("x-request-id", "r")]);
        assert_eq!(question.refusal(302, &headers, Vec::new(), at(0)).response, None);
        let response = question.refusal(500, &headers, b"{}".to_vec(), at(0)).response.unwrap();
        assert_eq!(response.headers, Headers::of([("x-request-id", "r")]));
    }
}
