//! What the events of a stream mean, in each of the protocols that share server-sent events.
//!
//! - Chat (and legacy) completions: unnamed events with a JSON chunk each; `[DONE]` ends the stream.
//! - Responses: named events; one of `response.completed`, `response.incomplete`, `response.failed` or `error` ends it.
//! - Anything else that streams (images, speech, transcriptions): a `type` each, of which those are understood that complete
//!   what was asked for.
//!
//! In all of them an error may come as an event of a stream whose status was 200.

use serde_json::{Map, Value, json};

use super::sse::SseEvent;
use crate::attempt::classify::{classify_event_error, is_error};
use crate::attempt::failure::Failure;
use crate::scan::needle::Needle;
use crate::vocabulary::operation::Operation;

/// Which language a stream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Chat completions and legacy completions.
    Chat,
    /// The Responses API.
    Responses,
    /// Whatever else streams events.
    Other,
}

/// What one event means for the question whether an answer may start to flow, and whether it has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// It came before any work of the model could be seen: a role, an empty delta, Azure's first chunk with the filter
    /// results of the prompt, `response.created` and its like, the opening of an empty message, a ping.
    Prelude,
    /// Work of the model, or anything that is not recognised.
    Content,
    /// An image, a transcript or the speech is complete. Another image may follow, or an error. (Of the choices of a chat
    /// [`ChatChoices`](super::choices::ChatChoices) knows.)
    Finish,
    /// The stream is complete.
    Done,
    /// The upstream reports a failure.
    Error(Failure),
    /// The data should be JSON and is not.
    Malformed,
}

impl Protocol {
    /// The protocol in which the answer to an operation streams.
    pub fn of(operation: Operation) -> Self {
        match operation {
            Operation::ChatCompletions | Operation::Completions => Self::Chat,
            Operation::Responses | Operation::StoredResponses => Self::Responses,
            _ => Self::Other,
        }
    }

    /// What an event means. It reads the whole event: where many go by, ask [`Self::may_end`] first.
    pub fn meaning(self, event: &SseEvent<'_>) -> Meaning {
        // What the data cannot change, or is too long to be asked. The name alone ends a response: its last event repeats
        // the whole answer.
        match event.name {
            _ if event.data.starts_with(b"[DONE]") => return Meaning::Done,
            b"ping" | b"keepalive" => return Meaning::Prelude,
            b"response.completed" | b"response.incomplete" if self == Self::Responses => {
                return Meaning::Done;
            }
            b"response.failed" | b"error" if event.is_oversized => {
                return Meaning::Error(classify_event_error(&Value::Null));
            }
            name if self == Self::Other && is_completion(name) => return Meaning::Finish,
            _ if event.is_oversized => return Meaning::Content,
            _ => {}
        }
        let Ok(data) = serde_json::from_slice::<Value>(event.data) else {
            return match self {
                _ if event.name == b"error" => Meaning::Error(classify_event_error(&Value::Null)),
                Self::Chat | Self::Responses => Meaning::Malformed,
                Self::Other => Meaning::Content,
            };
        };
        if let Some(error) = data.get("error").filter(|error| is_error(error)) {
            return Meaning::Error(classify_event_error(error));
        }
        let kind = data.get("type").and_then(Value::as_str).unwrap_or_default();
        if event.name == b"error" || kind == "error" {
            return Meaning::Error(classify_event_error(&data));
        }
        match self {
            _ if matches!(kind, "ping" | "keepalive") => Meaning::Prelude,
            Self::Chat => meaning_of_chunk(&data),
            Self::Responses if is_response_event(event.name) => {
                meaning_of_response_event(&String::from_utf8_lossy(event.name), &data)
            }
            Self::Responses => meaning_of_response_event(kind, &data),
            Self::Other if is_completion(kind.as_bytes()) => Meaning::Finish,
            Self::Other => Meaning::Content,
        }
    }

    /// Whether an event may mean [`Meaning::Finish`], [`Meaning::Done`] or [`Meaning::Error`]. It looks at bytes only, which
    /// is cheap. A yes may be wrong, for the text of an answer can say anything; a no is right, unless an upstream were to
    /// write ASCII letters of its keys as escapes.
    pub fn may_end(self, event: &SseEvent<'_>) -> bool {
        if event.is_oversized || event.name == b"error" || event.data.starts_with(b"[DONE]") {
            return true;
        }
        match self {
            Self::Chat => ERROR.is_in(event.data),
            Self::Responses if is_response_event(event.name) => {
                LAST_RESPONSE_EVENTS.iter().any(|last| last.is_for(event.name))
                    || ERROR.has_value_in(event.data)
            }
            Self::Responses => {
                ERROR.is_in(event.data) || LAST_RESPONSE_EVENTS.iter().any(|name| name.is_in(event.data))
            }
            Self::Other => {
                is_completion(event.name)
                    || ERROR.is_in(event.data)
                    || COMPLETIONS.iter().any(|name| name.is_in(event.data))
            }
        }
    }
}

static ERROR: Needle = Needle::of("\"error\"");

/// The last events of responses.
static LAST_RESPONSE_EVENTS: [Needle; 3] = [
    Needle::of("\"response.completed\""),
    Needle::of("\"response.incomplete\""),
    Needle::of("\"response.failed\""),
];

/// The last events of streams that have no last word: each completes an image, a transcript, or the speech.
static COMPLETIONS: [Needle; 4] = [
    Needle::of("\"image_generation.completed\""),
    Needle::of("\"image_edit.completed\""),
    Needle::of("\"transcript.text.done\""),
    Needle::of("\"speech.audio.done\""),
];

fn is_completion(kind: &[u8]) -> bool {
    COMPLETIONS.iter().any(|completion| completion.is_for(kind))
}

/// Whether the name of an event says all: some servers leave it out, and then the data's `type` says the same.
fn is_response_event(name: &[u8]) -> bool {
    name.starts_with(b"response.")
}

fn meaning_of_chunk(chunk: &Value) -> Meaning {
    let Some(choices) = chunk.get("choices").and_then(Value::as_array) else {
        return Meaning::Content;
    };
    if choices.iter().all(is_opening) { Meaning::Prelude } else { Meaning::Content }
}

/// Whether a choice says nothing yet: its delta holds at most a role, and there is no text beside it.
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
        "response.failed" => Meaning::Error(classify_event_error(field("/response/error"))),
        "response.created" | "response.in_progress" | "response.queued" => Meaning::Prelude,
        // Only a message opens before there is anything in it: a reasoning or tool item shows that the model works.
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

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The bytes that end a broken stream so that the official SDKs raise an error, and nobody takes it for complete. No
/// `[DONE]` and nothing else may follow.
///
/// They begin with two line ends, since the stream may have been cut anywhere: the first ends an unfinished line (or completes
/// a CRLF), the second dispatches what came of its event, which would otherwise swallow ours. An event cut in the middle of
/// its JSON then reaches the client as it is; the SDKs refuse that as well. At the end of an event they are two empty lines,
/// which mean nothing.
///
/// `error` is OpenAI's error object, an upstream's or [`broken_stream`]'s. It is told as it is, except that the members which
/// every error has are added where they are missing. Where it is a text, that is its message.
///
/// A Responses error goes by the names of OpenAI's document (`code`, `message`, `param`, `sequence_number`), and once more as
/// an `error` object, without which the official Python SDK hands the event over instead of raising. Its number is 0, since
/// the real one is not known here: whoever resumes after it misses nothing.
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

/// The error of a stream that the gateway itself must end.
pub fn broken_stream(code: &str, message: &str) -> Value {
    json!({ "message": message, "type": "server_error", "param": null, "code": code })
}

/// An error with the members that every error has. Without a message the SDKs would have nothing to raise.
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
