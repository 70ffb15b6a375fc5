//! Reads a few fields of a JSON body, and edits it by splicing bytes.
//!
//! Routing needs a few top-level fields of a body, and an upstream needs a few of them changed. The
//! rest does not matter here, and may include images of several megabytes. So a body is scanned
//! once for the positions of its top-level members. An edit copies all other bytes unchanged: they
//! are never parsed into values and never written anew.
//!
//! Invariants:
//! - [`edit`] returns valid JSON if the body is valid, and every member that no edit names keeps
//!   its bytes;
//! - of a repeated field the last one is read, and every one is edited, because parsers differ in
//!   which one counts;
//! - names are compared decoded: `"mod\u0065l"` is `model`;
//! - memory is bounded by [`MAX_FIELDS`], and the stack does not grow with the depth of a body.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::Serialize;
use serde_json::Value;

use super::splice::Splice;
use crate::routes::graph::Params;
use crate::scan::top_level::{self, MAX_FIELDS, MemberSpan};
use crate::vocabulary::needs::OUTPUT_LIMITS;
use crate::vocabulary::operation::Operation;

/// The field with the options of a stream.
const STREAM_OPTIONS: &str = "stream_options";

/// The facts of a body that routing needs, and the positions of its top-level members.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of a body")]
pub struct Peek {
    /// `model`, if it is present and not `null`.
    pub model: Option<String>,
    /// Whether `stream` is `true`.
    pub is_streamed: bool,
    /// The largest of `max_tokens`, `max_completion_tokens` and `max_output_tokens`.
    pub max_output_tokens: Option<u64>,
    /// `store`, if it is `true` or `false`.
    pub store: Option<bool>,
    /// Whether `background` is `true`.
    pub is_background: bool,
    /// `previous_response_id`, if it is a string.
    pub previous_response_id: Option<String>,
    /// Whether `conversation` is present and not `null`. Then the request adds items to that
    /// conversation.
    has_conversation: bool,
    /// Whether `prompt` is an object: a stored prompt, which may name the model.
    has_stored_prompt: bool,
    members: Vec<BodyMember>,
    /// Where the JSON begins: after a byte order mark.
    start: usize,
    /// Where the first member begins, or would begin.
    head: usize,
    is_whole: bool,
}

/// The position of one top-level member.
#[derive(Debug, Clone, PartialEq, Eq)]
struct BodyMember {
    /// The decoded name, if it differs from the text between the quotes of the key.
    decoded: Option<String>,
    /// The text between the previous member and this one: a comma and white space.
    gap: Range<usize>,
    /// The name with its quotes.
    key: Range<usize>,
    value: Range<usize>,
}

impl BodyMember {
    /// The name. `body` must be the body that this member belongs to.
    fn name<'a>(&'a self, body: &'a [u8]) -> &'a str {
        let raw = || bytes(body, &(self.key.start + 1..self.key.end.saturating_sub(1)));
        self.decoded.as_deref().unwrap_or_else(|| std::str::from_utf8(raw()).unwrap_or_default())
    }
}

/// Why a body cannot be routed. `Display` is for the client, and quotes nothing of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyError {
    /// The body is empty, or only white space.
    Empty,
    /// The body is not JSON.
    NotJson {
        /// The parser's message: what is wrong, and where.
        reason: String,
        /// Counted from 1.
        line: usize,
        /// In bytes, counted from 1.
        column: usize,
    },
    /// Bytes that are not UTF-8, or an escape of half a surrogate pair.
    NotUnicode {
        /// Offset in bytes.
        at: usize,
    },
    /// JSON, but not an object.
    NotAnObject,
    /// `model` is not a string: a number, a list, …
    ModelNotAString,
    /// More than [`MAX_FIELDS`] top-level fields.
    TooManyFields,
}

impl fmt::Display for BodyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(formatter, "The request body is empty; a JSON object was expected."),
            Self::NotJson { reason, .. } => {
                write!(formatter, "The request body is not valid JSON: {reason}.")
            }
            Self::NotUnicode { at } => {
                write!(formatter, "The request body is not valid Unicode at byte {at}.")
            }
            Self::NotAnObject => write!(formatter, "The request body is not a JSON object."),
            Self::ModelNotAString => write!(formatter, "`model` must be a string."),
            Self::TooManyFields => {
                write!(formatter, "The request body has more than {MAX_FIELDS} top-level fields.")
            }
        }
    }
}

impl Peek {
    /// Reads a whole body.
    ///
    /// # Errors
    /// The body is not one JSON object in UTF-8, or its `model` is neither a string nor `null`.
    pub fn of(body: &[u8]) -> Result<Self, BodyError> {
        let (start, json) = after_mark(body);
        let not_unicode =
            |error: std::str::Utf8Error| BodyError::NotUnicode { at: start + error.valid_up_to() };
        if let Some(object) = top_level::members(json) {
            if !object.is_ascii {
                std::str::from_utf8(json).map_err(not_unicode)?;
            }
            return Self::from_members(body, start, &object.members);
        }
        let text = std::str::from_utf8(json).map_err(not_unicode)?;
        if json.trim_ascii().is_empty() {
            return Err(BodyError::Empty);
        }
        let (found, ended) = top_level::parse(text);
        match ended {
            Ok(()) => Self::from_members(body, start, &found),
            Err(_) if found.len() > MAX_FIELDS => Err(BodyError::TooManyFields),
            Err(error) if error.is_data() => Err(BodyError::NotAnObject),
            Err(error) => Err(BodyError::NotJson {
                reason: error.to_string(),
                line: error.line(),
                column: error.column(),
            }),
        }
    }

    /// Reads the first bytes of a body that is too large to buffer; the rest is unknown. `None` if
    /// they do not contain the whole `model`, or do not begin a JSON object.
    pub fn of_prefix(prefix: &[u8]) -> Option<Self> {
        let (start, json) = after_mark(prefix);
        let text = json.utf8_chunks().next()?.valid();
        let (mut found, ended) = top_level::parse(text);
        if ended.is_err_and(|error| !error.is_eof()) {
            return None;
        }
        // A number at the end may continue in the rest of the body.
        let goes_on = text.ends_with(|last: char| last.is_ascii_digit());
        found.pop_if(|last| goes_on && last.value.end == text.len());
        let peek = Self::from_members(prefix, start, &found).ok()?;
        peek.model.is_some().then_some(Self { is_whole: false, ..peek })
    }

    /// Whether a request with this body leaves something at the upstream. Responses are stored
    /// unless `store` is `false`, and are added to a conversation if the request names one. Chat
    /// completions are stored only if `store` is `true`. Nothing else is stored:
    /// <https://platform.openai.com/docs/api-reference/responses/create>. A value that cannot be
    /// read (`"store": 0`) counts as the default, because the upstream may treat it so.
    pub fn has_side_effects(&self, operation: Operation) -> bool {
        match operation {
            Operation::Responses => self.is_background || self.has_conversation || self.store.unwrap_or(true),
            Operation::ChatCompletions => self.store.unwrap_or(false),
            _ => false,
        }
    }

    /// Whether it harms if a request with this body is done twice: a background response goes on by
    /// itself, and a conversation would have each entry twice. A response that is only stored twice
    /// harms nobody.
    pub fn is_done_once(&self, operation: Operation) -> bool {
        operation == Operation::Responses && (self.is_background || self.has_conversation)
    }

    /// Whether the upstream takes the model from a stored prompt (`prompt: {id}`), because the body
    /// names none. Only Responses have such prompts.
    pub fn takes_model_of_prompt(&self, operation: Operation) -> bool {
        let has_prompts = matches!(
            operation,
            Operation::Responses | Operation::ResponsesInputTokens | Operation::ResponsesCompact
        );
        has_prompts && self.has_stored_prompt && self.model.is_none()
    }

    /// Whether this is the whole body. If not, [`edit`] takes and returns only the first bytes.
    /// `model` is right in them. But fields in the rest are neither dropped nor renamed, and come
    /// after the fields that are set.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// How many members are named `model`. `body` must be the body of this peek.
    pub fn model_count(&self, body: &[u8]) -> usize {
        self.members.iter().filter(|member| member.name(body) == "model").count()
    }

    /// The names and values of the top-level members. `body` must be the body of this peek.
    pub fn members<'a>(&'a self, body: &'a [u8]) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.members.iter().map(|member| (member.name(body), bytes(body, &member.value)))
    }

    /// The names of the top-level members, and where their values are. `body` must be the body of
    /// this peek.
    pub fn value_spans<'a>(&'a self, body: &'a [u8]) -> impl Iterator<Item = (&'a str, Range<usize>)> {
        self.members.iter().map(|member| (member.name(body), member.value.clone()))
    }

    /// Whether the body names a stored prompt.
    pub fn has_stored_prompt(&self) -> bool {
        self.has_stored_prompt
    }

    /// The member in which the first bytes of a longer body end: its name, and its value as far as
    /// it goes. `body` must be the body of this peek.
    pub fn begun_member<'a>(&self, body: &'a [u8]) -> Option<(Cow<'a, str>, &'a [u8])> {
        let rest = body.get(self.tail()..).filter(|_| !self.is_whole)?;
        let (key, value) = top_level::begun_member(rest)?;
        Some((decode(key, &(0..key.len())).ok()?, value))
    }

    /// The name of the field that states [`Self::max_output_tokens`]. `body` must be the body of
    /// this peek.
    pub fn output_limit(&self, body: &[u8]) -> Option<&'static str> {
        let largest = self.max_output_tokens?;
        let (name, _) = self
            .members(body)
            .find(|(name, value)| OUTPUT_LIMITS.contains(name) && read::<u64>(value) == Some(largest))?;
        OUTPUT_LIMITS.into_iter().find(|known| *known == name)
    }

    /// The values of the named top-level fields of `body`, for rules. A value that cannot be read
    /// is left out: one nested deeper than 127 levels, half a surrogate pair, a number beyond all
    /// limits. Earlier values of the same name do not count then either. If `body` is an excerpt,
    /// `original` returns the full text of a span that the excerpt shortens.
    pub fn fields(
        &self,
        body: &[u8],
        names: &[String],
        original: impl Fn(&Range<usize>) -> Option<Vec<u8>>,
    ) -> BTreeMap<String, Value> {
        let members = if names.is_empty() { &[] } else { self.members.as_slice() };
        let mut fields = BTreeMap::new();
        for member in members {
            let name = member.name(body);
            let Some(name) = names.iter().find(|wanted| *wanted == name) else { continue };
            let value = original(&member.value).map_or(Cow::Borrowed(bytes(body, &member.value)), Cow::Owned);
            match serde_json::from_slice(&value) {
                Ok(value) => fields.insert(name.clone(), value),
                Err(_) => fields.remove(name),
            };
        }
        fields
    }

    /// The positions of `found` are relative to `start`. All of them must be UTF-8.
    fn from_members(body: &[u8], start: usize, found: &[MemberSpan]) -> Result<Self, BodyError> {
        let open = body.iter().position(|byte| *byte == b'{').map_or(0, |open| open + 1);
        let head = found.first().map_or(open, |first| start + first.key.start);
        let mut peek = Self {
            model: None,
            is_streamed: false,
            max_output_tokens: None,
            store: None,
            is_background: false,
            previous_response_id: None,
            has_conversation: false,
            has_stored_prompt: false,
            members: Vec::with_capacity(found.len()),
            start,
            head,
            is_whole: true,
        };
        let mut output_limits = [None; OUTPUT_LIMITS.len()];
        let mut end = head;
        let in_body = |span: &Range<usize>| start + span.start..start + span.end;
        for MemberSpan { key, value } in found {
            let (key, value) = (in_body(key), in_body(value));
            let text = bytes(body, &value);
            let name = decode(body, &key)?;
            match &*name {
                "model" => peek.model = read_model(body, &value)?,
                "stream" => peek.is_streamed = text == b"true",
                // That of speech.
                "stream_format" => peek.is_streamed |= text == b"\"sse\"",
                "store" => peek.store = read(text),
                "background" => peek.is_background = text == b"true",
                "prompt" => peek.has_stored_prompt = text.first() == Some(&b'{'),
                "conversation" => peek.has_conversation = text != b"null",
                "previous_response_id" => peek.previous_response_id = serde_json::from_slice(text).ok(),
                name => {
                    let limits = OUTPUT_LIMITS.iter().zip(&mut output_limits);
                    for (_, limit) in limits.filter(|(known, _)| **known == name) {
                        *limit = read(text);
                    }
                }
            }
            let gap = end..key.start;
            end = value.end;
            let decoded = match name {
                Cow::Borrowed(_) => None,
                Cow::Owned(name) => Some(name),
            };
            peek.members.push(BodyMember { decoded, gap, key, value });
        }
        peek.max_output_tokens = output_limits.into_iter().flatten().max();
        Ok(peek)
    }

    /// Whether a request with this body does not ask for the usage of its stream, and can be made
    /// to: its `stream_options` are absent, `null` or an object. If `body` is an excerpt,
    /// `is_shortened` says whether something is left out in a span of it.
    pub fn can_ask_for_usage(&self, body: &[u8], is_shortened: impl Fn(&Range<usize>) -> bool) -> bool {
        let mut options = self.members.iter().filter(|member| member.name(body) == STREAM_OPTIONS);
        self.is_whole
            && options.all(|member| {
                !is_shortened(&member.value) && with_usage(bytes(body, &member.value)).is_some()
            })
    }

    /// Where the last member ends, or would end.
    fn tail(&self) -> usize {
        self.members.last().map_or(self.head, |last| last.value.end)
    }
}

/// The changes that a deployment needs in a body.
#[derive(Debug, Clone, Copy)]
pub struct Edit<'a> {
    /// The value to write as `model`; `None` leaves it unchanged.
    pub model: Option<&'a str>,
    /// Fields to drop, rename and set, in this order. They cannot change `model`.
    pub params: &'a Params,
    /// Whether to ask for the usage of the stream, if [`Peek::can_ask_for_usage`].
    pub asks_for_usage: bool,
}

/// The edit of a body; `None` if nothing changes, so that the caller can send the original. `peek`
/// must be of this `body`. A byte order mark is left out, because not every parser accepts one.
///
/// A field is renamed only if no field has the new name. A field that is set replaces all fields of
/// the same name, or is added at the end.
pub fn edit(body: &[u8], peek: &Peek, edit: &Edit<'_>) -> Option<Splice> {
    let params = edit.params;
    let mut items: Vec<Item<'_>> = peek.members.iter().map(|member| Item::unchanged(body, member)).collect();
    items.retain(|item| item.name == "model" || !params.drop.iter().any(|name| name == item.name));
    let mut is_changed = items.len() < peek.members.len() || peek.start > 0;
    for (from, to) in &params.rename {
        if from == "model" || to == "model" || items.iter().any(|item| item.name == to) {
            continue;
        }
        for item in items.iter_mut().filter(|item| item.name == from) {
            item.name = to;
            item.key = Part::New(json(to));
            is_changed = true;
        }
    }
    for (name, value) in params.set.iter().filter(|(name, _)| name != "model") {
        is_changed |= set(body, &mut items, name, json(value));
    }
    if let Some(model) = edit.model {
        is_changed |= set(body, &mut items, "model", json(model));
    }
    if edit.asks_for_usage {
        let options = items.iter().rfind(|item| item.name == STREAM_OPTIONS);
        let value = options.map_or(&b"null"[..], |item| item.value.of(body));
        if let Some(value) = with_usage(value) {
            is_changed |= set(body, &mut items, STREAM_OPTIONS, value);
        }
    }
    is_changed.then(|| spliced(body.len(), peek, &items))
}

/// A member of the edited body, as the four parts in which it is written.
struct Item<'a> {
    name: &'a str,
    gap: Part,
    key: Part,
    colon: Part,
    value: Part,
}

enum Part {
    /// A span of the original.
    Original(Range<usize>),
    New(Vec<u8>),
}

impl Part {
    fn of<'a>(&'a self, body: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Original(span) => bytes(body, span),
            Self::New(new) => new,
        }
    }
}

impl<'a> Item<'a> {
    fn unchanged(body: &'a [u8], member: &'a BodyMember) -> Self {
        Self {
            name: member.name(body),
            gap: Part::Original(member.gap.clone()),
            key: Part::Original(member.key.clone()),
            colon: Part::Original(member.key.end..member.value.start),
            value: Part::Original(member.value.clone()),
        }
    }
}

/// These `stream_options` with `include_usage`; all other members keep their bytes. `None` if they
/// have it already, or are neither an object nor `null`.
fn with_usage(options: &[u8]) -> Option<Vec<u8>> {
    let options = if options == b"null" { b"{}" } else { options };
    let members = top_level::members(options)?.members;
    let is_stated =
        |member: &&MemberSpan| decode(options, &member.key).is_ok_and(|name| name == "include_usage");
    let mut edited = Vec::with_capacity(options.len() + 24);
    let mut from = 0;
    for MemberSpan { value, .. } in members.iter().filter(is_stated) {
        if bytes(options, value) == b"true" {
            return None;
        }
        edited.extend_from_slice(bytes(options, &(from..value.start)));
        edited.extend_from_slice(b"true");
        from = value.end;
    }
    if from == 0 {
        edited.extend_from_slice(b"{\"include_usage\":true");
        edited.extend_from_slice(if members.is_empty() { b"" } else { b"," });
        from = options.iter().position(|byte| *byte == b'{')? + 1;
    }
    edited.extend_from_slice(bytes(options, &(from..options.len())));
    Some(edited)
}

/// Sets `name` wherever it occurs, or adds it. Returns whether this changes anything.
fn set<'a>(body: &[u8], items: &mut Vec<Item<'a>>, name: &'a str, value: Vec<u8>) -> bool {
    let (mut is_there, mut is_changed) = (false, false);
    for item in items.iter_mut().filter(|item| item.name == name) {
        is_there = true;
        if item.value.of(body) != value {
            item.value = Part::New(value.clone());
            is_changed = true;
        }
    }
    if is_there {
        return is_changed;
    }
    let (gap, colon) = (Part::New(b",".to_vec()), Part::New(b":".to_vec()));
    items.push(Item { name, gap, key: Part::New(json(name)), colon, value: Part::New(value) });
    true
}

fn spliced(length: usize, peek: &Peek, items: &[Item<'_>]) -> Splice {
    let mut splice = Splice::default();
    splice.keep(peek.start..peek.head);
    for (index, item) in items.iter().enumerate() {
        // A gap comes before every member except the first remaining one.
        let gap = if index > 0 { Some(&item.gap) } else { None };
        for part in gap.into_iter().chain([&item.key, &item.colon, &item.value]) {
            match part {
                Part::Original(span) => splice.keep(span.clone()),
                Part::New(bytes) => splice.insert(bytes),
            }
        }
    }
    splice.keep(peek.tail()..length);
    splice
}

fn json<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    // Strings and JSON values can always be serialized.
    serde_json::to_vec(value).unwrap_or_default()
}

/// A body after its byte order mark, and the length of that mark. Some clients send one (RFC 8259
/// §8.1: a parser may ignore it).
fn after_mark(body: &[u8]) -> (usize, &[u8]) {
    body.strip_prefix(b"\xEF\xBB\xBF").map_or((0, body), |json| (body.len() - json.len(), json))
}

/// The bytes of a span. A span must come from a peek of the same body; any other span yields
/// nothing instead of a panic.
fn bytes<'a>(body: &'a [u8], span: &Range<usize>) -> &'a [u8] {
    body.get(span.clone()).unwrap_or_default()
}

/// Decodes a string, given with its quotes.
fn decode<'a>(body: &'a [u8], string: &Range<usize>) -> Result<Cow<'a, str>, BodyError> {
    let quoted = bytes(body, string);
    let not_unicode = || BodyError::NotUnicode { at: string.start };
    match quoted {
        [b'"', plain @ .., b'"'] if !plain.contains(&b'\\') => {
            std::str::from_utf8(plain).map(Cow::Borrowed).map_err(|_| not_unicode())
        }
        _ => serde_json::from_slice(quoted).map(Cow::Owned).map_err(|_| not_unicode()),
    }
}

fn read_model(body: &[u8], value: &Range<usize>) -> Result<Option<String>, BodyError> {
    match bytes(body, value) {
        b"null" => Ok(None),
        [b'"', ..] => decode(body, value).map(|model| Some(model.into_owned())),
        _ => Err(BodyError::ModelNotAString),
    }
}

/// A number or a Boolean; `None` if the text is of another type.
fn read<T: FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
