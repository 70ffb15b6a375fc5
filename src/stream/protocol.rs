//! The meaning of a stream's events, in each of the protocols that use server-sent events.
//!
//! - Chat (and legacy) completions: unnamed events with one JSON chunk each; `[DONE]` ends the
//!   stream.
//! - Responses: named events; one of `response.completed`, `response.incomplete`, `response.failed`
//!   or `error` ends the stream.
//! - Other streams (images, speech, transcriptions): each event has a `type`. Only those that carry
//!   a part of the requested output, and those that complete it, are recognised.
//!
//! In all of them an error may come as an event after a status of 200.

use serde_json::{Map, Value, json};

use super::cut_event;
use super::sse::SseEvent;
use crate::attempt::classify::{classify_event_error, is_error};
use crate::attempt::failure::{ErrorResponse, Failure};
use crate::scan::needle::Needle;
use crate::usage::reported::Reported;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::operation::Operation;

/// The protocol of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Chat completions and legacy completions.
    Chat,
    /// The Responses API.
    Responses,
    /// Any other stream of events.
    Other,
}

/// What one event means for two questions: may the answer be sent, and has it ended?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// It came before any visible work of the model: a role, an empty delta, Azure's first chunk
    /// with the filter results of the prompt, `response.created` and similar events, the opening of
    /// an empty message, a ping.
    Prelude,
    /// Work of the model, or an event that is not recognised.
    Content,
    /// An image is complete. Another one may follow, or an error.
    /// (For the choices of a chat see [`ChatChoices`](super::choices::ChatChoices).)
    Finish,
    /// The stream is complete.
    Done,
    /// The upstream reports a failure.
    Error(Failure),
    /// The upstream reports a failure without a reason. Azure's `response.failed` has an empty
    /// error where an `error` event with the decision of a content filter follows.
    Unexplained(Failure),
    /// The data should be JSON but is not.
    Malformed,
}

impl Protocol {
    /// The protocol of an operation's streamed answer.
    pub fn of(operation: Operation) -> Self {
        match operation {
            Operation::ChatCompletions | Operation::Completions => Self::Chat,
            Operation::Responses | Operation::StoredResponses => Self::Responses,
            _ => Self::Other,
        }
    }

    /// The meaning of an event. It parses the whole event; for many events, call [`Self::may_end`]
    /// first.
    pub fn meaning(self, event: &SseEvent<'_>) -> Meaning {
        // These cases do not depend on the data. The name alone ends a response, because its last
        // event repeats the whole answer.
        match event.name {
            _ if is_end_marker(event) => return Meaning::Done,
            name if is_ping(name) => return Meaning::Prelude,
            b"response.completed" | b"response.incomplete" if self == Self::Responses => {
                return Meaning::Done;
            }
            name if self == Self::Other && is_image(name) => return Meaning::Finish,
            name if self == Self::Other && is_last_word(name) => return Meaning::Done,
            _ if event.is_oversized => return self.meaning_of_ends(event),
            _ => {}
        }
        let Ok(data) = serde_json::from_slice::<Value>(event.data) else {
            return match self {
                // Some servers send the message alone.
                _ if event.name == b"error" => {
                    Meaning::Error(failure_of(&String::from_utf8_lossy(event.data).into()))
                }
                Self::Chat | Self::Responses => Meaning::Malformed,
                Self::Other => Meaning::Content,
            };
        };
        if let Some(error) = data.get("error").filter(|error| is_error(error)) {
            return Meaning::Error(failure_of(error));
        }
        let kind = data.get("type").and_then(Value::as_str).unwrap_or_default();
        // The second is the form of vLLM.
        if event.name == b"error" || kind == "error" || data.get("object").is_some_and(|is| is == "error") {
            return Meaning::Error(failure_of(&data));
        }
        match self {
            _ if matches!(kind, "ping" | "keepalive") => Meaning::Prelude,
            Self::Chat => meaning_of_chunk(&data),
            Self::Responses if is_response_event(event.name) => {
                meaning_of_response_event(&String::from_utf8_lossy(event.name), &data)
            }
            Self::Responses => meaning_of_response_event(kind, &data),
            Self::Other if is_image(kind.as_bytes()) => Meaning::Finish,
            Self::Other if is_last_word(kind.as_bytes()) => Meaning::Done,
            Self::Other => Meaning::Content,
        }
    }

    /// The meaning of an event of which only both ends are known.
    fn meaning_of_ends(self, event: &SseEvent<'_>) -> Meaning {
        if self.has_failed(event) {
            return Meaning::Error(failure_of(&cut_event::error(event)));
        }
        match self {
            Self::Responses if cut_event::is_of_type(event, &LAST_RESPONSE_EVENTS) => Meaning::Done,
            Self::Other if cut_event::is_of_type(event, &IMAGES) => Meaning::Finish,
            Self::Other if cut_event::is_of_type(event, &LAST_WORDS) => Meaning::Done,
            _ => Meaning::Content,
        }
    }

    /// Whether an event of which the middle is missing, or which is still arriving, reports a
    /// failure.
    pub(super) fn has_failed(self, event: &SseEvent<'_>) -> bool {
        let is_failure = self == Self::Responses
            && (event.name == b"response.failed"
                || cut_event::is_of_type(event, std::slice::from_ref(&RESPONSE_FAILED)));
        event.name == b"error" || is_failure || cut_event::is_error(event)
    }

    /// Whether an event may mean [`Meaning::Finish`], [`Meaning::Done`] or [`Meaning::Error`]. It
    /// only searches bytes, which is cheap. `true` may be wrong, because the text of an answer can
    /// contain anything. `false` is right unless an upstream writes ASCII letters of its keys as
    /// escapes.
    pub fn may_end(self, event: &SseEvent<'_>) -> bool {
        if event.is_oversized || event.name == b"error" || is_end_marker(event) {
            return true;
        }
        match self {
            Self::Chat => ERROR.is_in(event.data),
            Self::Responses if is_response_event(event.name) => {
                LAST_RESPONSE_EVENTS.iter().any(|last| last.is_for(event.name))
                    || ERROR.says_something_in(event.data)
            }
            Self::Responses => {
                ERROR.is_in(event.data) || LAST_RESPONSE_EVENTS.iter().any(|name| name.is_in(event.data))
            }
            Self::Other => {
                is_image(event.name)
                    || is_last_word(event.name)
                    || ERROR.is_in(event.data)
                    || IMAGES.iter().chain(&LAST_WORDS).any(|name| name.is_in(event.data))
            }
        }
    }
}

impl Protocol {
    /// What an event reports about the usage of the stream. It only searches bytes, unless the
    /// event reports something.
    pub(super) fn reported(self, event: &SseEvent<'_>) -> Option<Reported> {
        match self {
            Self::Chat | Self::Other if event.is_oversized => Reported::in_event(event.end),
            Self::Chat | Self::Other => Reported::in_event(event.data),
            Self::Responses if Self::is_last(event) => {
                Reported::in_last_event_of_response(event.data, event.end)
            }
            Self::Responses => None,
        }
    }

    /// Whether an event is the last one of a response, by its name or its type.
    fn is_last(event: &SseEvent<'_>) -> bool {
        if is_response_event(event.name) {
            return LAST_RESPONSE_EVENTS.iter().any(|last| last.is_for(event.name));
        }
        cut_event::is_of_type(event, &LAST_RESPONSE_EVENTS)
    }

    /// Whether an event carries a part of an image, of a transcript or of speech, so that the event
    /// that completes it must follow. It only searches bytes.
    pub(super) fn is_part(self, event: &SseEvent<'_>) -> bool {
        self == Self::Other
            && PARTS.iter().any(|part| {
                // A name such as `message` does not give the meaning.
                let is_telling = event.name.contains(&b'.');
                part.is_for(event.name) || (!is_telling && (part.is_in(event.data) || part.is_in(event.end)))
            })
    }
}

static ERROR: Needle = Needle::of("\"error\"");

static RESPONSE_FAILED: Needle = Needle::of("\"response.failed\"");

/// The last events of a response.
static LAST_RESPONSE_EVENTS: [Needle; 3] = [
    Needle::of("\"response.completed\""),
    Needle::of("\"response.incomplete\""),
    Needle::of("\"response.failed\""),
];

/// The events that carry a part of the output. An event that completes it must follow.
static PARTS: [Needle; 5] = [
    Needle::of("\"image_generation.partial_image\""),
    Needle::of("\"image_edit.partial_image\""),
    Needle::of("\"transcript.text.delta\""),
    Needle::of("\"transcript.text.segment\""),
    Needle::of("\"speech.audio.delta\""),
];

/// The events that complete an image.
static IMAGES: [Needle; 2] =
    [Needle::of("\"image_generation.completed\""), Needle::of("\"image_edit.completed\"")];

/// The last events of the streams of a transcript and of speech.
static LAST_WORDS: [Needle; 2] =
    [Needle::of("\"transcript.text.done\""), Needle::of("\"speech.audio.done\"")];

fn is_image(kind: &[u8]) -> bool {
    IMAGES.iter().any(|image| image.is_for(kind))
}

fn is_last_word(kind: &[u8]) -> bool {
    LAST_WORDS.iter().any(|last| last.is_for(kind))
}

/// Whether the name of an event gives its meaning. Some servers leave the name out; then the `type`
/// in the data is the same.
fn is_response_event(name: &[u8]) -> bool {
    name.starts_with(b"response.")
}

/// Whether an event is `[DONE]`, which ends a stream and carries nothing.
pub(super) fn is_end_marker(event: &SseEvent<'_>) -> bool {
    event.data.starts_with(b"[DONE]")
}

/// Whether an event with this name only keeps the connection open.
pub(super) fn is_ping(name: &[u8]) -> bool {
    matches!(name, b"ping" | b"keepalive")
}

fn meaning_of_chunk(chunk: &Value) -> Meaning {
    let Some(choices) = chunk.get("choices").and_then(Value::as_array) else {
        return Meaning::Content;
    };
    if choices.iter().all(is_opening) { Meaning::Prelude } else { Meaning::Content }
}

/// Whether a choice has no content yet: its delta holds at most a role, and there is no text beside
/// it.
fn is_opening(choice: &Value) -> bool {
    let is_silent = |(key, value): (&String, &Value)| match key.as_str() {
        "index" | "logprobs" | "content_filter_results" | "content_filter_offsets" => true,
        "delta" => value
            .as_object()
            .is_none_or(|delta| delta.iter().all(|(key, value)| key == "role" || is_empty(value))),
        _ => is_empty(value),
    };
    choice.as_object().is_some_and(|choice| choice.iter().all(is_silent))
}

fn meaning_of_response_event(kind: &str, data: &Value) -> Meaning {
    let field = |pointer| data.pointer(pointer).unwrap_or(&Value::Null);
    match kind {
        "response.completed" | "response.incomplete" => Meaning::Done,
        "response.failed" => {
            let error = field("/response/error");
            let failure = failure_of(error);
            if has_reason(error) { Meaning::Error(failure) } else { Meaning::Unexplained(failure) }
        }
        "response.created" | "response.in_progress" | "response.queued" => Meaning::Prelude,
        // Only a message opens before it has content. A reasoning or tool item shows that the model
        // works.
        "response.output_item.added"
            if field("/item/type") == "message" && is_empty(field("/item/content")) =>
        {
            Meaning::Prelude
        }
        "response.content_part.added"
            if matches!(field("/part/type").as_str(), Some("output_text" | "refusal"))
                && is_empty(field("/part/text"))
                && is_empty(field("/part/refusal")) =>
        {
            Meaning::Prelude
        }
        _ => Meaning::Content,
    }
}

/// The failure that an error in an event reports. If the error has a message, the client can get it
/// as if it were the body of a response. The headers are not known here.
fn failure_of(error: &Value) -> Failure {
    let stated = error.get(0).unwrap_or(error);
    let has_message = stated.get("message").unwrap_or(stated).as_str().is_some_and(|text| !text.is_empty());
    let response = has_message.then(|| {
        let mut error = completed(stated);
        // In a flat error these describe the event.
        error.remove("sequence_number");
        error.remove("object");
        if error.get("type").and_then(Value::as_str) == Some("error") {
            error.insert("type".to_owned(), Value::Null);
        }
        let body = json!({ "error": error }).to_string().into_bytes();
        Box::new(ErrorResponse { status: 200, headers: Headers::default(), body })
    });
    Failure { response, ..classify_event_error(error) }
}

/// Whether an error says what happened.
fn has_reason(error: &Value) -> bool {
    let is_said = |member| error.get(member).is_some_and(|value| !is_empty(value));
    ["code", "message", "type", "innererror"].into_iter().any(is_said)
        || error.as_str().is_some_and(|text| !text.is_empty())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The bytes that end a broken stream so that the official SDKs raise an error, and no client takes
/// the answer for complete. No `[DONE]` and nothing else may follow.
///
/// They begin with two line ends, because the stream may be cut anywhere. The first ends an
/// unfinished line (or completes a CRLF). The second dispatches the unfinished event, which would
/// otherwise include ours. An event that was cut in the middle of its JSON then reaches the client
/// as it is; the SDKs refuse it too. After a complete event they are two empty lines, which mean
/// nothing.
///
/// `error` is OpenAI's error object, from an upstream or from [`broken_stream`]. It is sent
/// unchanged, except that missing members that every error has are added. If it is a string, that
/// is the message.
///
/// A Responses error uses the names of OpenAI's document (`code`, `message`, `param`,
/// `sequence_number`), and repeats them in an `error` object. Without that object the official
/// Python SDK returns the event instead of raising. Its sequence number is 0, because the real one
/// is not known here. A client that resumes after it misses nothing.
pub fn error_event(protocol: Protocol, error: &Value) -> Vec<u8> {
    let error = completed(error);
    match protocol {
        Protocol::Chat | Protocol::Other => format!("\n\ndata: {}\n\n", json!({ "error": error })),
        Protocol::Responses => {
            let member = |name| error.get(name).unwrap_or(&Value::Null);
            let event = json!({
                "type": "error",
                "code": member("code"),
                "message": member("message"),
                "param": member("param"),
                "sequence_number": 0,
                "error": error,
            });
            format!("\n\nevent: error\ndata: {event}\n\n")
        }
    }
    .into_bytes()
}

/// The error of a stream that the gateway itself ends.
pub fn broken_stream(code: &str, message: &str) -> Value {
    json!({ "message": message, "type": "server_error", "param": null, "code": code })
}

/// An error with the members that every error has. Without a message the SDKs have nothing to
/// raise.
fn completed(error: &Value) -> Map<String, Value> {
    let mut members = error.as_object().cloned().unwrap_or_default();
    for name in ["type", "param", "code"] {
        members.entry(name).or_insert(Value::Null);
    }
    let is_text = |value: &&Value| value.as_str().is_some_and(|text| !text.is_empty());
    let message = error.get("message").filter(is_text).or(Some(error).filter(is_text));
    let message =
        message.cloned().unwrap_or_else(|| "The request failed while its answer was streamed.".into());
    members.insert("message".to_owned(), message);
    members
}
