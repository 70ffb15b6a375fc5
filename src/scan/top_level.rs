//! Finds the top-level members of a JSON body in one pass over its bytes.
//!
//! Nearly all of a large body is text: messages, and images in base64. serde_json skips text one
//! machine word at a time, which is four bytes in Wasm, and it needs valid UTF-8, which takes a
//! pass of its own. [`members`] skips 64 bytes at a time in Wasm, and also notes whether all text
//! is ASCII. It only accepts or rejects a body. The message about an error comes from serde_json,
//! in [`parse`].
//!
//! Invariants:
//! - [`members`] accepts the same bodies as [`parse`] and finds the same members in them. But it
//!   does not check UTF-8: see [`ScannedObject::is_ascii`];
//! - neither function recurses; each open level of depth costs a bit, or a byte;
//! - memory for members is bounded by [`MAX_FIELDS`].

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::plain::{TOP, plain};

/// Most top-level fields of a body. OpenAI's largest request has about forty. Without a limit, a
/// body of many tiny fields would need many times its size in memory.
pub const MAX_FIELDS: usize = 1024;

/// The initial capacity for members.
const USUAL_FIELDS: usize = 12;

/// The position of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberSpan {
    /// The name with its quotes.
    pub key: Range<usize>,
    /// The value, without the white space around it.
    pub value: Range<usize>,
}

/// A body that is one JSON object.
#[derive(Debug, PartialEq, Eq)]
pub struct ScannedObject {
    /// The members, in order.
    pub members: Vec<MemberSpan>,
    /// Whether all text in it is ASCII. If not, the text may not even be UTF-8.
    pub is_ascii: bool,
}

/// The members of the object in `body`. `None` if the body is not a JSON object, or has more than
/// [`MAX_FIELDS`] members.
pub fn members(body: &[u8]) -> Option<ScannedObject> {
    let at = |rest: &[u8]| body.len() - rest.len();
    let (mut members, mut seen) = (Vec::with_capacity(USUAL_FIELDS), 0);
    let mut rest = space(take(space(body), b'{')?);
    if let Some(end) = take(rest, b'}') {
        rest = end;
    } else {
        loop {
            let key_end = string(rest, &mut seen)?;
            let start = colon(key_end)?;
            let end = value(start, &mut seen)?;
            if members.len() == MAX_FIELDS {
                return None;
            }
            members.push(MemberSpan { key: at(rest)..at(key_end), value: at(start)..at(end) });
            rest = space(end);
            let Some(next) = take(rest, b',') else { break };
            rest = space(next);
        }
        rest = take(rest, b'}')?;
    }
    space(rest).is_empty().then_some(ScannedObject { members, is_ascii: seen & TOP == 0 })
}

/// Calls `on_member` with the name and the value of each member of the object in `json`, in order.
/// The name is between its quotes, as it is written. `None` if `json` is not one JSON object; the
/// members before the fault are reported.
pub fn each_member<'a>(json: &'a [u8], on_member: &mut dyn FnMut(&'a [u8], &'a [u8])) -> Option<()> {
    let mut rest = space(take(space(json), b'{')?);
    if let Some(end) = take(rest, b'}') {
        return space(end).is_empty().then_some(());
    }
    loop {
        let (name, value, end) = member(rest)?;
        on_member(name, value);
        rest = space(end);
        let Some(next) = take(rest, b',') else { break };
        rest = space(next);
    }
    space(take(rest, b'}')?).is_empty().then_some(())
}

/// The value at the start of `rest`, if it is a member of an object at this depth (1: the outermost
/// one). `rest` is the end of a JSON text. All levels of the depth must be objects.
pub fn value_at_depth(rest: &[u8], depth: usize) -> Option<&[u8]> {
    let end = value(rest, &mut 0)?;
    let found = before(rest, end);
    let mut rest = space(end);
    for _ in 0..depth {
        while let Some(next) = take(rest, b',') {
            let (_, _, end) = member(space(next))?;
            rest = space(end);
        }
        rest = space(take(rest, b'}')?);
    }
    rest.is_empty().then_some(found)
}

/// Calls `on_element` with each element of the list in `json`, in order. `None` if `json` is not
/// one JSON list; the elements before the fault are reported.
pub fn each_element<'a>(json: &'a [u8], on_element: &mut dyn FnMut(&'a [u8])) -> Option<()> {
    let mut rest = space(take(json, b'[')?);
    if take(rest, b']').is_none() {
        loop {
            let end = value(rest, &mut 0)?;
            on_element(before(rest, end));
            rest = space(end);
            let Some(next) = take(rest, b',') else { break };
            rest = space(next);
        }
    }
    space(take(rest, b']')?).is_empty().then_some(())
}

/// The number of elements of the list in `json`. `None` if `json` is not one JSON list.
pub fn element_count(json: &[u8]) -> Option<u64> {
    let mut count = 0;
    each_element(json, &mut |_| count += 1)?;
    Some(count)
}

/// The member that begins in `rest`, which follows another member: its name with its quotes, and
/// its value as far as it goes.
pub fn begun_member(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = space(take(space(rest), b',')?);
    let name_end = string(start, &mut 0)?;
    Some((before(start, name_end), colon(name_end)?))
}

/// The name of a member without its quotes, its value, and what follows.
fn member(rest: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let name_end = string(rest, &mut 0)?;
    let start = colon(name_end)?;
    let end = value(start, &mut 0)?;
    let name = before(rest, name_end).strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    Some((name, before(start, end), end))
}

/// The part of `rest` before `end`, which is what follows it.
fn before<'a>(rest: &'a [u8], end: &[u8]) -> &'a [u8] {
    rest.get(..rest.len().saturating_sub(end.len())).unwrap_or_default()
}

// Each step takes the rest of the body and returns what it leaves of it, or `None` if that is not
// JSON. So the rest stays in registers; in a struct, it would go through memory between any two
// bytes. `seen` is the bitwise or of all words of text so far.

#[inline]
fn space(mut rest: &[u8]) -> &[u8] {
    while let [b' ' | b'\n' | b'\r' | b'\t', more @ ..] = rest {
        rest = more;
    }
    rest
}

#[inline]
fn take(rest: &[u8], byte: u8) -> Option<&[u8]> {
    rest.split_first().filter(|(first, _)| **first == byte).map(|(_, rest)| rest)
}

/// A colon, and the white space around it.
#[inline]
fn colon(rest: &[u8]) -> Option<&[u8]> {
    take(space(rest), b':').map(space)
}

fn value<'a>(mut rest: &'a [u8], seen: &mut u64) -> Option<&'a [u8]> {
    let mut open = OpenContainers::default();
    loop {
        let (first, more) = rest.split_first()?;
        rest = match first {
            b'"' => text(more, seen)?,
            b'{' => {
                let inner = space(more);
                if let Some(end) = take(inner, b'}') {
                    end
                } else {
                    open.push(true);
                    rest = colon(string(inner, seen)?)?;
                    continue;
                }
            }
            b'[' => {
                let inner = space(more);
                if let Some(end) = take(inner, b']') {
                    end
                } else {
                    open.push(false);
                    rest = inner;
                    continue;
                }
            }
            b't' => more.strip_prefix(b"rue")?,
            b'f' => more.strip_prefix(b"alse")?,
            b'n' => more.strip_prefix(b"ull")?,
            b'-' | b'0'..=b'9' => number(rest)?,
            _ => return None,
        };
        // After a value: closes all containers that end here, then continues with the next value.
        loop {
            let Some(is_object) = open.last() else { return Some(rest) };
            let (first, more) = space(rest).split_first()?;
            rest = match first {
                b',' if is_object => {
                    rest = colon(string(space(more), seen)?)?;
                    break;
                }
                b',' => {
                    rest = space(more);
                    break;
                }
                b'}' if is_object => more,
                b']' if !is_object => more,
                _ => return None,
            };
            open.pop();
        }
    }
}

/// Skips a number. A digit after a leading zero is neither part of the number nor allowed after it.
fn number(rest: &[u8]) -> Option<&[u8]> {
    let mut rest = match rest.strip_prefix(b"-").unwrap_or(rest) {
        [b'0', rest @ ..] => rest,
        rest => digits(rest)?,
    };
    if let [b'.', more @ ..] = rest {
        rest = digits(more)?;
    }
    if let [b'e' | b'E', b'+' | b'-', more @ ..] | [b'e' | b'E', more @ ..] = rest {
        rest = digits(more)?;
    }
    Some(rest)
}

/// Skips one or more digits.
fn digits(rest: &[u8]) -> Option<&[u8]> {
    let [b'0'..=b'9', rest @ ..] = rest else { return None };
    let mut rest = rest;
    while let [b'0'..=b'9', more @ ..] = rest {
        rest = more;
    }
    Some(rest)
}

#[inline]
fn string<'a>(rest: &'a [u8], seen: &mut u64) -> Option<&'a [u8]> {
    text(take(rest, b'"')?, seen)
}

/// Skips a string, given without its opening quote.
fn text<'a>(mut rest: &'a [u8], seen: &mut u64) -> Option<&'a [u8]> {
    loop {
        rest = match rest.get(plain(rest, seen)?..)? {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', rest @ ..] => escape(rest)?,
            _control => return None,
        };
    }
}

/// Skips an escape, given without its backslash. A `\u` of half a surrogate pair is found later, if
/// the string is decoded.
#[inline]
pub fn escape(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', rest @ ..] => Some(rest),
        [b'u', rest @ ..] => {
            let (digits, rest) = rest.split_first_chunk::<4>()?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(rest)
        }
        _ => None,
    }
}

/// The containers around a value: one bit for each level, set if it is an object.
#[derive(Debug, Default)]
pub(super) struct OpenContainers {
    depth: usize,
    /// The innermost levels; the lowest bit is the innermost one.
    top: u64,
    /// Full words of the outer levels. Empty unless a body is extremely deep, so that usual bodies
    /// need no allocation.
    below: Vec<u64>,
}

impl OpenContainers {
    /// Opens a container.
    pub(super) fn push(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.below.push(self.top);
        }
        self.top = self.top << 1 | u64::from(is_object);
        self.depth += 1;
    }

    /// Whether the innermost container is an object; `None` outside of all containers.
    pub(super) fn last(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.top & 1 == 1)
    }

    /// Whether exactly one container is open.
    pub(super) fn is_outermost(&self) -> bool {
        self.depth == 1
    }

    /// Closes the innermost container.
    pub(super) fn pop(&mut self) {
        self.top >>= 1;
        self.depth = self.depth.saturating_sub(1);
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.top = self.below.pop().unwrap_or_default();
        }
    }
}

/// The members of the object in `text`, read by serde_json as far as possible, and how the reading
/// ended.
pub fn parse(text: &str) -> (Vec<MemberSpan>, Result<(), serde_json::Error>) {
    let mut found = Vec::with_capacity(USUAL_FIELDS);
    let mut json = serde_json::Deserializer::from_str(text);
    let ended = MemberCollector { text, found: &mut found }.deserialize(&mut json).and_then(|()| json.end());
    (found, ended)
}

/// Collects members while they are read, so that those before an error, or before the end of a
/// prefix, are not lost.
struct MemberCollector<'a> {
    text: &'a str,
    found: &'a mut Vec<MemberSpan>,
}

impl MemberCollector<'_> {
    /// The position of `part`, which borrows from the text.
    fn span(&self, part: &RawValue) -> Range<usize> {
        let start = part.get().as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        start..start + part.get().len()
    }
}

impl<'de> DeserializeSeed<'de> for MemberCollector<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MemberCollector<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            let span = MemberSpan { key: self.span(key), value: self.span(value) };
            self.found.push(span);
            if self.found.len() > MAX_FIELDS {
                return Err(A::Error::custom("too many fields"));
            }
        }
        Ok(())
    }
}
