//! How the answer of an upstream is handled: which part of it is read before it is passed on, and
//! when a successful status is a failure. Pure.

use crate::attempt::failure::{ErrorResponse, Failure, NOT_A_STREAM};
use crate::attempt::{
    classify::{self, UnclassifiedResponse},
    success::{self, Success},
};
use crate::request::stored_object::StoredObject;
use crate::routes::graph::Commit;
use crate::upstream::forwarding;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::facts::Facts;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::time::Instant;

/// The most bytes of a JSON answer that are held to check that it is complete. Any text fits, and a
/// few images. The bytes are in memory twice.
pub const JSON_BYTES: usize = 1024 * 1024;
/// The most bytes that are read of an upstream's error body.
pub const ERROR_BODY_BYTES: usize = 64 * 1024;

/// The properties of a request that decide how its answer is handled.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The operation.
    pub operation: Operation,
    /// The stored object that the request is about, if any.
    pub stored: Option<&'a StoredObject>,
    /// Whether the request deletes the stored object.
    pub is_deletion: bool,
    /// What the client asked for.
    pub asked: Asked,
    /// When an answer may be committed.
    pub commit: Commit,
    /// `settings.buffer_bytes`.
    pub buffer_bytes: usize,
}

/// The form of the answer that a request asks for. An answer in the other form is a failure: the
/// client cannot read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A stream of events.
    Events,
    /// One piece.
    Whole,
    /// A stream of events, but some models answer in one piece. That is right, too.
    EventsOrWhole,
    /// Either form may be right.
    Unknown,
}

impl Asked {
    /// The form that these facts ask for. It is not known for stored objects, for speech that is
    /// not known to be streamed (a server may have its own key for it), for a stream of an
    /// operation that has none, and for a body of which only the beginning was read.
    pub fn of(facts: &Facts, is_stored: bool) -> Self {
        use Operation::{
            AudioSpeech, AudioTranscriptions, AudioTranslations, Embeddings, ImagesVariations, Moderations,
            ResponsesCompact, ResponsesInputTokens,
        };
        match facts.operation {
            // They do not stream. An upstream may ignore a client that asks for it.
            Embeddings | Moderations | ResponsesInputTokens | ResponsesCompact | ImagesVariations
                if facts.is_streamed =>
            {
                Self::Unknown
            }
            AudioSpeech | AudioTranscriptions | AudioTranslations if facts.is_streamed => Self::EventsOrWhole,
            AudioSpeech => Self::Unknown,
            _ if is_stored => Self::Unknown,
            _ if facts.is_streamed => Self::Events,
            _ if facts.is_replayable => Self::Whole,
            _ => Self::Unknown,
        }
    }
}

impl Asked {
    /// Whether a stream of events was asked for.
    pub fn allows_events(self) -> bool {
        matches!(self, Self::Events | Self::EventsOrWhole)
    }
}

/// How a successful answer is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// It is passed on at once.
    Pass {
        /// Whether its events are read, to see how the stream ends.
        is_watched: bool,
        /// Whether its media type says that it is a stream. If not, its first bytes decide whether
        /// it is watched.
        is_declared: bool,
    },
    /// Its events are held until the commit point, or until more bytes are held than allowed.
    Events {
        /// The commit point.
        until: Commit,
        /// The limit in bytes.
        most: usize,
        /// Whether its media type says that it is a stream. If not, its first bytes decide.
        is_declared: bool,
    },
    /// It is held until its end, or until more bytes are held than allowed. If it also may be a
    /// stream, its first bytes decide first.
    Whole {
        /// The limit in bytes.
        most: usize,
    },
}

impl Question<'_> {
    /// Whether this status is an answer. 304 is one to `if-none-match`, which goes to the upstream.
    pub fn is_answer(&self, status: u16) -> bool {
        (200..300).contains(&status) || (status == 304 && self.stored.is_some())
    }

    /// Whether an answer with this status has no body.
    pub fn is_empty(status: u16) -> bool {
        status == 304
    }

    /// How many bytes the platform may read at once. This applies to JSON with a known length.
    pub fn read_up_to(&self) -> usize {
        let is_decided_later = self.commit == Commit::Headers || self.stored.is_some();
        if is_decided_later || self.asked.allows_events() { 0 } else { JSON_BYTES }
    }

    /// Whether an answer with this status and content type is part of a stored object that is
    /// passed on unchanged: bytes, a range of bytes, or a replayed stream. An error inside such a
    /// stream belongs to the stored object. The JSON of stored objects is read, because it contains
    /// ids. A page is one of a network in between, unless it is the content of a file.
    pub fn is_record(&self, status: u16, content_type: &str) -> bool {
        self.stored.is_some_and(|stored| {
            status == 206
                || success::is_event_stream(content_type)
                || stored.is_content()
                || success::may_be_bytes(content_type)
        })
    }

    /// How an answer with this status and content type is handled.
    pub fn handling(&self, status: u16, content_type: &str) -> Handling {
        let is_stream = success::is_event_stream(content_type);
        // Servers that declare another type, or none, still send the stream that was asked for.
        let may_be_stream = is_stream || self.asked == Asked::Events;
        if self.is_record(status, content_type) || self.commit == Commit::Headers {
            let is_watched = is_stream || self.asked.allows_events();
            return Handling::Pass { is_watched, is_declared: is_stream };
        }
        let most = match self.commit {
            Commit::FirstToken if may_be_stream => self.buffer_bytes,
            Commit::FirstToken if success::answers_in_json(self.operation, content_type) => JSON_BYTES,
            // The end of an answer that is not JSON does not show a failure, so it is not awaited.
            Commit::FirstToken => 0,
            Commit::Headers | Commit::Complete => self.buffer_bytes,
        };
        if may_be_stream {
            Handling::Events { until: self.commit, most, is_declared: is_stream }
        } else {
            Handling::Whole { most }
        }
    }

    /// Whether an answer in one piece with this content type may report usage that counts. Of what
    /// is stored, responses of the background are counted when they are read.
    pub fn reports_usage(&self, content_type: &str) -> bool {
        let may_count = self.stored.is_none() || self.operation == Operation::StoredResponses;
        may_count && success::answers_in_json(self.operation, content_type)
    }

    /// The failure of a stream where an answer in one piece was asked for.
    pub fn unasked_stream(&self, status: u16, content_type: &str) -> Option<Failure> {
        let is_unasked = self.asked == Asked::Whole && success::is_event_stream(content_type);
        is_unasked.then(|| wrong_form(status, "a_stream"))
    }

    /// The failure of an answer that is not the stream that was asked for: its own, if it contains
    /// an error. `body`: the part that was read.
    pub fn not_a_stream(&self, status: u16, headers: &Headers, body: &[u8], has_ended: bool) -> Failure {
        // It may declare that it is a stream. Then its bytes decide.
        let declared = headers.get("content-type").filter(|declared| !success::is_event_stream(declared));
        match self.judge_as(declared.unwrap_or_default(), status, headers, body, has_ended) {
            Ok(()) => wrong_form(status, NOT_A_STREAM),
            Err(failure) => Self::failed_by_event(failure, &Headers::default()),
        }
    }

    /// The failure for a status that is not a success. `body`: the part of the error body that was
    /// read.
    ///
    /// A 404 for the id of a stored object means that the account does not have the object. The
    /// text of the error does not matter. A 405 means that the account does not support the
    /// operation. In both cases another account may have the object.
    pub fn refusal(&self, status: u16, headers: &Headers, body: Vec<u8>, now: Instant) -> Failure {
        let failure = classify::classify(&UnclassifiedResponse { status, headers, body: &body, now });
        let is_elsewhere =
            self.stored.is_some_and(|stored| status == 405 || (status == 404 && stored.id.is_some()));
        // A redirect is not passed on, because its target is internal.
        let response = (status >= 400).then(|| Box::new(error_response(status, headers, body)));
        let reason = if (300..400).contains(&status) { "redirect".to_owned() } else { failure.reason };
        let is_unknown_object = failure.is_unknown_object || is_elsewhere;
        Failure { is_unknown_object, reason, response, ..failure }
    }

    /// A failure that an event reports, with the headers that an error may have: its own, or else
    /// those of its stream.
    pub fn failed_by_event(failure: Failure, headers: &Headers) -> Failure {
        let is_of_stream =
            |name: &str| matches!(name, "content-type" | "cache-control" | "x-accel-buffering");
        let response = failure.response.map(|response| {
            let known = if response.headers.iter().next().is_some() { &response.headers } else { headers };
            let all = known.iter().filter(|(name, _)| forwarding::is_returned(name) && !is_of_stream(name));
            let json = [("content-type", "application/json")];
            Box::new(ErrorResponse { headers: Headers::of(json.into_iter().chain(all)), ..*response })
        });
        Failure { response, ..failure }
    }

    /// Checks a successful answer by the bytes that are known so far. `has_ended`: these are all of
    /// them. An error body is small, so the content of a long answer is not checked: it is enough
    /// that it has ended.
    ///
    /// # Errors
    /// The failure, if the answer is not a success.
    pub fn judge(&self, status: u16, headers: &Headers, body: &[u8], has_ended: bool) -> Result<(), Failure> {
        let content_type = headers.get("content-type").unwrap_or_default();
        self.judge_as(content_type, status, headers, body, has_ended)
    }

    fn judge_as(
        &self,
        content_type: &str,
        status: u16,
        headers: &Headers,
        body: &[u8],
        has_ended: bool,
    ) -> Result<(), Failure> {
        let is_whole = has_ended && body.len() <= ERROR_BODY_BYTES;
        if self.is_deletion {
            // The status says that it is done, whatever the body is.
            return Ok(());
        }
        let success = Success { operation: self.operation, status, content_type, body, is_whole };
        let Some(failure) = success::fault_behind_success(&success) else { return Ok(()) };
        Err(Failure { response: Some(Box::new(error_response(status, headers, body.to_vec()))), ..failure })
    }
}

fn wrong_form(status: u16, reason: &str) -> Failure {
    Failure { status: Some(status), ..Failure::silent(ErrorClass::Unavailable, reason) }
}

/// An upstream's error with only the headers that may reach the client.
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
        Question {
            operation,
            stored,
            is_deletion: false,
            asked: Asked::Unknown,
            commit,
            buffer_bytes: BUFFER,
        }
    }

    #[test]
    fn an_answer_is_held_as_its_operation_and_its_commit_point_ask() {
        use Operation::{AudioSpeech, ChatCompletions};
        for (operation, commit, content_type, expected) in [
            (
                ChatCompletions,
                Commit::Headers,
                EVENTS,
                Handling::Pass { is_watched: true, is_declared: true },
            ),
            (
                ChatCompletions,
                Commit::Headers,
                JSON,
                Handling::Pass { is_watched: false, is_declared: false },
            ),
            (
                ChatCompletions,
                Commit::FirstToken,
                EVENTS,
                Handling::Events { until: Commit::FirstToken, most: BUFFER, is_declared: true },
            ),
            (
                ChatCompletions,
                Commit::Complete,
                EVENTS,
                Handling::Events { until: Commit::Complete, most: BUFFER, is_declared: true },
            ),
            (ChatCompletions, Commit::FirstToken, JSON, Handling::Whole { most: JSON_BYTES }),
            (ChatCompletions, Commit::Complete, JSON, Handling::Whole { most: BUFFER }),
            // The end of an audio answer does not show a failure.
            (AudioSpeech, Commit::FirstToken, "audio/mpeg", Handling::Whole { most: 0 }),
            (AudioSpeech, Commit::Complete, "audio/mpeg", Handling::Whole { most: BUFFER }),
        ] {
            let found = question(operation, None, commit).handling(200, content_type);
            assert_eq!(found, expected, "{operation:?} {commit:?} {content_type}");
        }
    }

    #[test]
    fn an_answer_in_the_wrong_form_is_noticed_by_its_media_type_or_its_first_bytes() {
        let question = |asked| Question { asked, ..question(Operation::Responses, None, Commit::FirstToken) };
        for content_type in [JSON, "text/plain", ""] {
            let handling = question(Asked::Events).handling(200, content_type);
            let expected = Handling::Events { until: Commit::FirstToken, most: BUFFER, is_declared: false };
            assert_eq!(handling, expected, "{content_type}");
            assert_eq!(question(Asked::Whole).unasked_stream(200, content_type), None);
        }
        assert_eq!(question(Asked::Events).read_up_to(), 0, "its first bytes decide first");
        assert!(question(Asked::Whole).unasked_stream(200, EVENTS).is_some());
        for asked in [Asked::Events, Asked::Unknown] {
            assert_eq!(question(asked).unasked_stream(200, EVENTS), None);
        }
        let headers = Headers::of([("content-type", JSON)]);
        let answer = br#"{"id":"resp_1","output":[]}"#;
        let error = br#"{"error":{"message":"Slow down","code":"rate_limit_exceeded"}}"#;
        for (body, reason) in [(&answer[..], "not_a_stream"), (&error[..], "rate_limit_exceeded")] {
            assert_eq!(question(Asked::Events).not_a_stream(200, &headers, body, true).reason, reason);
        }
    }

    #[test]
    fn of_a_stored_object_only_json_is_looked_at() {
        for (path, content_type, expected) in [
            ("files/file-1", JSON, Handling::Whole { most: JSON_BYTES }),
            ("files/file-1/content", JSON, Handling::Pass { is_watched: false, is_declared: false }),
            (
                "files/file-1",
                "application/octet-stream",
                Handling::Pass { is_watched: false, is_declared: false },
            ),
            ("files/file-1", "text/html", Handling::Whole { most: JSON_BYTES }),
            ("files/file-1/content", "text/html", Handling::Pass { is_watched: false, is_declared: false }),
            ("responses/resp_1", EVENTS, Handling::Pass { is_watched: true, is_declared: true }),
        ] {
            let stored = stored(path, Some("x"));
            let question = question(Operation::Files, Some(&stored), Commit::FirstToken);
            assert_eq!(question.handling(200, content_type), expected, "{path} {content_type}");
            assert_eq!(question.read_up_to(), 0, "its headers decide first");
        }
    }

    #[test]
    fn the_answers_to_a_range_and_to_a_condition_are_answers() {
        let stored = stored("files/file-1", Some("file-1"));
        let question = |stored| question(Operation::Files, stored, Commit::FirstToken);
        let part = question(Some(&stored)).handling(206, JSON);
        assert_eq!(
            part,
            Handling::Pass { is_watched: false, is_declared: false },
            "a part is not JSON by itself"
        );
        assert!(question(Some(&stored)).is_answer(304));
        assert!(!question(None).is_answer(304), "nobody asked for it");
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
        let redirect = question.refusal(302, &headers, Vec::new(), at(0));
        assert_eq!((redirect.response, redirect.reason.as_str()), (None, "redirect"));
        let response = question.refusal(500, &headers, b"{}".to_vec(), at(0)).response.unwrap();
        assert_eq!(response.headers, Headers::of([("x-request-id", "r")]));
    }
}
