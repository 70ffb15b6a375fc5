//! Whether an answer with a success status is a usable answer.
//!
//! The login page of a proxy, a truncated body, an error with a success status: all of them arrive
//! with a 200, and no client can use them. Another deployment may have a real answer, so they are
//! failures.
//!
//! In doubt, an answer counts as usable. Servers that are compatible with OpenAI differ in many
//! ways, and an answer that is rejected here can never reach the client. So only one of the
//! expected members of the operation has to be present, with any value. If a body is too large to
//! read, only its beginning is checked.

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
    /// The operation of the request.
    pub operation: Operation,
    /// HTTP status.
    pub status: u16,
    /// The `content-type` header; empty if there was none.
    pub content_type: &'a str,
    /// The body, or its beginning.
    pub body: &'a [u8],
    /// Whether `body` is complete, and not only the first bytes of a larger one.
    pub is_whole: bool,
}

/// The failure behind a 2xx answer, if it is one: an empty body, except for the text of silence; an
/// HTML page; a body that should be JSON but is not, or is truncated; an `error` at the top level
/// without a result; a Responses object that failed; or an object without any member that the
/// operation answers with. A stream is checked event by event, not here.
pub fn fault_behind_success(success: &Success<'_>) -> Option<Failure> {
    let fault =
        |class, reason| Some(Failure { status: Some(success.status), ..Failure::silent(class, reason) });
    let medium = Medium::of(success.content_type);
    let answers_in_json = answers_in_json(success.operation, success.content_type);
    let body = if answers_in_json { without_mark(success.body).trim_ascii_start() } else { success.body };
    // The answer to a deletion may be empty.
    let may_be_empty = success.operation.is_on_stored_objects() && success.status == 204;
    // So may a transcript of silence, as text or as subtitles.
    let is_transcript =
        matches!(success.operation, Operation::AudioTranscriptions | Operation::AudioTranslations);
    let is_text = is_transcript && medium == Medium::Other;
    if may_be_empty || (is_text && success.status == 200 && body.is_empty()) {
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
    if is_transcript && body.starts_with(b"\"") {
        // Some servers answer in this way if plain text was asked for.
        return match serde_json::from_slice::<&RawValue>(body) {
            Err(error) if success.is_whole && error.is_eof() => fault(ErrorClass::Truncated, "ended_early"),
            Err(_) if success.is_whole => fault(ErrorClass::Unavailable, "not_json"),
            _ => None,
        };
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
    // A stored object (a response or a batch) may have failed, and still be what the client asked
    // for.
    let is_object = |member: &Member| matches!(member, Member::Object | Member::Id | Member::Status);
    let is_record = success.operation.is_on_stored_objects() && envelope.members.iter().any(is_object);
    let is_fault = !is_record && (envelope.has_failed || !envelope.has_result);
    if let Some(error) = envelope.error.filter(|_| is_fault) {
        return Some(Failure { status: Some(success.status), ..classify_event_error(&error) });
    }
    if is_fault && envelope.has_failed {
        // It may have failed without a reason (Azure, where a content filter decided).
        return fault(ErrorClass::Unavailable, "failed");
    }
    // About stored objects there are answers of many kinds, and new ones come: graders answer with
    // a reward.
    let has_answer =
        || answer_members(success.operation).iter().any(|member| envelope.members.contains(member));
    if !success.operation.is_on_stored_objects() && !has_answer() {
        return fault(ErrorClass::Unavailable, "no_answer");
    }
    None
}

/// Whether a `content-type` header declares server-sent events.
pub fn is_event_stream(content_type: &str) -> bool {
    essence(content_type).eq_ignore_ascii_case("text/event-stream")
}

/// Whether an answer with these first bytes is a stream of events. If it declares that it is one,
/// only JSON or a page shows that it is not. `None` if they are too few to tell.
pub fn begins_as_events(first: &[u8], is_declared: bool) -> Option<bool> {
    const FIELDS: [&[u8]; 5] = [b":", b"data:", b"event:", b"id:", b"retry:"];
    let text = without_mark(first).trim_ascii_start();
    if is_declared {
        return text.first().map(|first| !matches!(first, b'{' | b'[' | b'<'));
    }
    if FIELDS.iter().any(|field| text.starts_with(field)) {
        return Some(true);
    }
    if FIELDS.iter().any(|field| field.starts_with(text)) { None } else { Some(false) }
}

/// Whether an answer of this media type can be the bytes of a stored object. JSON is read, and a
/// page is no answer of the API.
pub fn may_be_bytes(content_type: &str) -> bool {
    matches!(Medium::of(content_type), Medium::Events | Medium::Other)
}

/// Whether a `content-type` header declares JSON, whatever its parameters say.
pub fn is_json(content_type: &str) -> bool {
    let essence = essence(content_type).as_bytes();
    essence.last_chunk::<4>().is_some_and(|end| end.eq_ignore_ascii_case(b"json"))
}

/// A media type without its parameters.
fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// What a `content-type` header declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Medium {
    Json,
    Events,
    /// An HTML page. No operation answers with one.
    Page,
    Other,
    /// There is no `content-type` header.
    Unknown,
}

impl Medium {
    fn of(content_type: &str) -> Self {
        let essence = essence(content_type);
        if essence.is_empty() {
            Self::Unknown
        } else if is_json(essence) {
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

/// Whether an answer should be JSON: because of its media type, or because its operation answers
/// only in JSON, even if the server declares another type. Speech is binary. Transcriptions and
/// translations may be plain text or subtitles.
pub fn answers_in_json(operation: Operation, content_type: &str) -> bool {
    use Operation::{AudioSpeech, AudioTranscriptions, AudioTranslations};
    Medium::of(content_type) == Medium::Json
        || !matches!(operation, AudioSpeech | AudioTranscriptions | AudioTranslations)
}

/// A text without its byte order mark (BOM).
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text)
}

/// The expected members: every answer of the operation has at least one of them. They come from the
/// OpenAPI document of OpenAI, and a few from servers that differ from it: `images` and
/// `embeddings` instead of `data`, and speech in JSON, which OpenAI does not have.
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

/// A member at the top level that identifies an answer.
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

/// The parts of a body that identify an answer. Results are only checked for emptiness, never
/// parsed into values.
#[derive(Debug, Default)]
struct Envelope {
    error: Option<Value>,
    /// Whether `status` is `failed`.
    has_failed: bool,
    /// Whether there is a result that is not empty.
    has_result: bool,
    /// The known members that are not null.
    members: Vec<Member>,
}

/// Why a body is not a JSON object.
enum InvalidJson {
    EndedEarly,
    Malformed,
}

fn parse(body: &[u8]) -> Result<Envelope, InvalidJson> {
    // Skipped values are not checked for valid UTF-8, so the whole text is checked first.
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

/// A derived struct would reject a duplicate member, but clients accept one.
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
