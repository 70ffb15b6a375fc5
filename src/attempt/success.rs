//! Whether an answer whose status is a success is an answer.
//!
//! A proxy's login page, a body that breaks off, an error without the status of one: all of them come with a 200, and no client
//! can use them. Another deployment may well have the answer, so they are failures.
//!
//! In doubt an answer is one: servers that are compatible with OpenAI's differ in much, and what is refused here can never be
//! had from them. So of what an operation answers only one member has to be there, whatever it holds; and of a body too large
//! to be read only the beginning counts.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::classify::{classify_event_error, is_error};
use super::failure::Failure;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::operation::Operation;

/// An answer with a 2xx status.
#[derive(Debug, Clone, Copy)]
pub struct Success<'a> {
    /// What was asked for.
    pub operation: Operation,
    /// HTTP status.
    pub status: u16,
    /// The `content-type` header; empty where there was none.
    pub content_type: &'a str,
    /// The body, or its beginning.
    pub body: &'a [u8],
    /// `body` is all of it, and not only the first bytes of a larger one.
    pub is_whole: bool,
}

/// The failure that a 2xx answer really is, if it is one: nothing, a page for people, what is not JSON or breaks off where JSON
/// was asked for, an `error` at the top level without any result beside it, a Responses object that failed, or an object that
/// is nothing of what the operation answers. A stream of events is judged by its events, not here.
pub fn fault_behind_success(success: &Success<'_>) -> Option<Failure> {
    let fault =
        |class, reason| Some(Failure { status: Some(success.status), ..Failure::silent(class, reason) });
    let medium = Medium::of(success.content_type);
    let answers_in_json = answers_in_json(success.operation, success.content_type);
    let body = if answers_in_json { without_mark(success.body).trim_ascii_start() } else { success.body };
    // To have deleted something may need no words.
    let may_be_empty = success.operation.is_on_stored_objects() && success.status == 204;
    if may_be_empty {
        return None;
    }
    if matches!(success.status, 204 | 205) || (body.is_empty() && success.is_whole) {
        return fault(ErrorClass::Truncated, "empty");
    }
    match medium {
        Medium::Events => return None,
        Medium::Page => return fault(ErrorClass::Unavailable, "not_json"),
        _ if !answers_in_json => return None,
        Medium::Json | Medium::Unknown | Medium::Other => {}
    }
    if body.first().is_some_and(|first| *first != b'{') {
        return fault(ErrorClass::Unavailable, "not_json");
    }
    if !success.is_whole {
        return None;
    }
    let envelope: Envelope = match parse(body) {
        Ok(envelope) => envelope,
        Err(InvalidJson::EndedEarly) => return fault(ErrorClass::Truncated, "ended_early"),
        Err(InvalidJson::Malformed) => return fault(ErrorClass::Unavailable, "not_json"),
    };
    // What is stored may have failed, a response or a batch, and is what was asked for.
    let is_record = success.operation.is_on_stored_objects() && envelope.members.contains(&Member::Object);
    let is_fault = !is_record && (envelope.has_failed || !envelope.has_result);
    if let Some(error) = envelope.error.filter(|_| is_fault) {
        return Some(Failure { status: Some(success.status), ..classify_event_error(&error) });
    }
    if !answer_members(success.operation).iter().any(|member| envelope.members.contains(member)) {
        return fault(ErrorClass::Unavailable, "no_answer");
    }
    None
}

/// Whether a `content-type` header announces server-sent events.
pub fn is_event_stream(content_type: &str) -> bool {
    essence(content_type).eq_ignore_ascii_case("text/event-stream")
}

/// Whether a `content-type` header announces JSON, or nothing.
pub fn is_json(content_type: &str) -> bool {
    matches!(Medium::of(content_type), Medium::Json | Medium::Unknown)
}

/// A media type without its parameters.
fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// What a `content-type` header announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Medium {
    Json,
    Events,
    /// For people to look at: no operation answers so.
    Page,
    Other,
    /// There is no such header.
    Unknown,
}

impl Medium {
    fn of(content_type: &str) -> Self {
        let essence = essence(content_type);
        if essence.is_empty() {
            Self::Unknown
        } else if essence.as_bytes().last_chunk::<4>().is_some_and(|end| end.eq_ignore_ascii_case(b"json")) {
            Self::Json
        } else if is_event_stream(essence) {
            Self::Events
        } else if ["text/html", "application/xhtml+xml"].iter().any(|page| essence.eq_ignore_ascii_case(page))
        {
            Self::Page
        } else {
            Self::Other
        }
    }
}

/// Whether an answer should be JSON: by its media type, or because its operation answers in JSON alone, whatever a careless
/// server calls it. Speech is binary, and transcriptions and translations may be plain text or subtitles.
pub fn answers_in_json(operation: Operation, content_type: &str) -> bool {
    use Operation::{AudioSpeech, AudioTranscriptions, AudioTranslations};
    Medium::of(content_type) == Medium::Json
        || !matches!(operation, AudioSpeech | AudioTranscriptions | AudioTranslations)
}

/// A text without its byte order mark.
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text)
}

/// Members one of which every answer of an operation has. They are those of OpenAI's OpenAPI document, and a few of servers
/// that differ from it: `images` and `embeddings` where it has `data`, and speech in JSON, which it does not have at all.
fn answer_members(operation: Operation) -> &'static [Member] {
    use Member::{
        Audio, Choices, Data, Embeddings, Id, Images, InputTokens, Object, Output, Results, Segments, Status,
        Task, Text, Usage,
    };
    match operation {
        Operation::ChatCompletions | Operation::Completions => &[Choices],
        Operation::Embeddings => &[Data, Embeddings],
        Operation::Responses => &[Output, Id, Status, Object],
        Operation::ResponsesInputTokens => &[InputTokens, Object],
        Operation::ResponsesCompact => &[Output, Object],
        Operation::Moderations => &[Results],
        Operation::ImagesGenerations | Operation::ImagesEdits | Operation::ImagesVariations => {
            &[Data, Images]
        }
        Operation::AudioSpeech => &[Audio, Data],
        Operation::AudioTranscriptions | Operation::AudioTranslations => &[Text, Segments, Usage, Task],
        _ => &[Id, Object, Data, Output, Status],
    }
}

/// A member at the top level that tells an answer from something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Member {
    Error,
    Status,
    Choices,
    Data,
    Output,
    Results,
    Text,
    Id,
    Object,
    InputTokens,
    Usage,
    Task,
    Segments,
    Images,
    Embeddings,
    Audio,
    #[serde(other)]
    Unknown,
}

/// What of a body tells an answer from something else. Results are only measured, never built.
#[derive(Debug, Default)]
struct Envelope {
    error: Option<Value>,
    /// The `status` says so.
    has_failed: bool,
    /// A result is there, and not an empty one.
    has_result: bool,
    /// The known members that are not null.
    members: Vec<Member>,
}

/// Why a body is no JSON object.
enum InvalidJson {
    EndedEarly,
    Malformed,
}

fn parse(body: &[u8]) -> Result<Envelope, InvalidJson> {
    // The values that are passed over are not looked at as text, so this has to be done before.
    let text = str::from_utf8(body).map_err(|error| match error.error_len() {
        Some(_) => InvalidJson::Malformed,
        None => InvalidJson::EndedEarly,
    })?;
    serde_json::from_str(text)
        .map_err(|error| if error.is_eof() { InvalidJson::EndedEarly } else { InvalidJson::Malformed })
}

impl<'de> Deserialize<'de> for Envelope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EnvelopeVisitor)
    }
}

/// A derived struct would refuse a member that comes twice, which clients do not.
struct EnvelopeVisitor;

impl<'de> Visitor<'de> for EnvelopeVisitor {
    type Value = Envelope;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Envelope, A::Error> {
        let mut envelope = Envelope::default();
        while let Some(member) = members.next_key()? {
            match member {
                Member::Unknown => {
                    members.next_value::<IgnoredAny>()?;
                }
                Member::Error => envelope.error = Some(members.next_value()?).filter(is_error),
                _ => {
                    let value = members.next_value::<&RawValue>()?.get();
                    envelope.note(member, value);
                }
            }
        }
        Ok(envelope)
    }
}

impl Envelope {
    fn note(&mut self, member: Member, value: &str) {
        use Member::{Choices, Data, Output, Results, Status, Text};
        if value == "null" {
            return;
        }
        self.members.push(member);
        let is_result = matches!(member, Choices | Data | Output | Results | Text);
        self.has_failed |= member == Status && value == "\"failed\"";
        self.has_result |= is_result && !matches!(value, "[]" | "{}" | "\"\"");
    }
}
