//! The meaning of an event that is too long to be kept: its type and its error, from the beginning
//! and the end of its data.
//!
//! A `type`, an error or an ending stands at one of the two ends. What lies between them is the
//! text of an answer, or the message of an error, and decides nothing.

use serde_json::{Value, json};

use super::sse::SseEvent;
use crate::scan::needle::Needle;

static TYPE: Needle = Needle::of("\"type\"");
static CODE: Needle = Needle::of("\"code\"");
static PARAM: Needle = Needle::of("\"param\"");
static MESSAGE: Needle = Needle::of("\"message\"");
static ERROR: Needle = Needle::of("\"error\"");

/// Whether the `type` of an event is one of `kinds`.
pub fn is_of_type(event: &SseEvent<'_>, kinds: &[Needle]) -> bool {
    let both = TYPE.values_in(event.data).chain(TYPE.values_in(event.end));
    let mut values = both.filter_map(|value| value.strip_prefix(b"\""));
    values.any(|value| kinds.iter().any(|kind| kind.is_for(until_quote(value))))
}

/// Whether an event reports an error: by its `error`, or by its type. Of an event that is still
/// arriving, `end` is empty.
pub fn is_error(event: &SseEvent<'_>) -> bool {
    let members = first_members(event.data);
    let has_error = |(name, value): &(&[u8], &[u8])| match *name {
        b"error" => !is_nothing(value),
        b"type" => value.strip_prefix(b"\"").is_some_and(|kind| until_quote(kind) == b"error"),
        _ => false,
    };
    // The type of a flat error may follow its long message.
    let is_flat = members.iter().any(|(name, _)| matches!(*name, b"message" | b"code"));
    members.iter().any(has_error) || (is_flat && is_of_type(event, std::slice::from_ref(&ERROR)))
}

/// The error of such an event, with the beginning of its message.
pub fn error(event: &SseEvent<'_>) -> Value {
    let both = |needle: &'static Needle| needle.values_in(event.data).chain(needle.values_in(event.end));
    let whole = both(&ERROR).filter(|value| !is_nothing(value)).find_map(first_value);
    whole.unwrap_or_else(|| {
        // The names at the end belong to the outermost object. Those before the message do as well.
        let name = |needle| both(needle).filter_map(first_value).last().unwrap_or(Value::Null);
        let message = MESSAGE.values_in(event.data).find_map(first_text).unwrap_or_default();
        json!({ "message": message, "type": name(&TYPE), "param": name(&PARAM), "code": name(&CODE) })
    })
}

/// The members of the outermost object whose names are in `json`, the beginning of a text: name and
/// what follows the colon.
fn first_members(json: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut members = Vec::new();
    let (mut depth, mut text_from, mut is_escaped) = (0_usize, None, false);
    let mut name = None;
    for (at, byte) in json.iter().enumerate() {
        if let Some(from) = text_from {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => (text_from, name) = (None, json.get(from..at)),
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => text_from = Some(at + 1),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b':' if depth == 1 => {
                let value = json.get(at + 1..).unwrap_or_default().trim_ascii_start();
                members.extend(name.take().map(|name| (name, value)));
            }
            _ => {}
        }
    }
    members
}

/// Whether a value, given with what follows it, is empty or says that there is no error.
fn is_nothing(value: &[u8]) -> bool {
    let inner = |open: u8, close: u8| {
        let inner = value.strip_prefix(&[open])?.trim_ascii_start();
        Some(inner.is_empty() || inner.starts_with(&[close]))
    };
    match value.first() {
        Some(b'"') => inner(b'"', b'"'),
        Some(b'{') => inner(b'{', b'}'),
        Some(b'[') => inner(b'[', b']'),
        _ => None,
    }
    .unwrap_or(true)
}

fn until_quote(text: &[u8]) -> &[u8] {
    let end = memchr::memchr(b'"', text).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// The value at the start of `json`, if it is whole.
fn first_value(json: &[u8]) -> Option<Value> {
    serde_json::Deserializer::from_slice(json).into_iter().next()?.ok()
}

/// The text at the start of `json`. If it is cut off, the part that is there.
fn first_text(json: &[u8]) -> Option<String> {
    if let Some(whole) = first_value(json) {
        return whole.as_str().map(str::to_owned);
    }
    json.strip_prefix(b"\"")?;
    // The cut may be within an escape, which has at most twelve bytes, or within a character.
    let read = |cut: usize| {
        let mut text = json.get(..json.len().checked_sub(cut)?)?.to_vec();
        text.push(b'"');
        serde_json::from_slice::<String>(&text).ok()
    };
    (0..12).find_map(read).map(|text| text + "…")
}
