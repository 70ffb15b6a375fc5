//! Where the top-level members of a JSON body stand, in one pass over its bytes.
//!
//! Nearly all of a large body is text: messages, and images in base64. serde_json skips text a machine word at a time, which in Wasm is
//! four bytes, and has to be given valid UTF-8, which takes a pass of its own. [`members`] skips 64 bytes at a time in Wasm, and learns
//! on the way whether there is anything but ASCII. It only says yes or no; what is wrong with a body, [`parse`] tells in serde_json's words.
//!
//! Invariants:
//! - [`members`] takes what [`parse`] takes and finds the same members in it. Only UTF-8 it does not check: see [`ScannedObject::is_ascii`];
//! - neither recurses, and what is open costs a bit, or a byte, per level of depth;
//! - memory for members is bounded by [`MAX_FIELDS`].

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::plain::{TOP, plain};

/// Most top-level fields of a body. OpenAI's largest request has about forty; without a limit, a body of nothing but tiny
/// fields would cost many times its size in bookkeeping.
pub const MAX_FIELDS: usize = 1024;

/// Room for so many members at first.
const USUAL_FIELDS: usize = 12;

/// Where a member stands.
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
    /// In order.
    pub members: Vec<MemberSpan>,
    /// If not, some text in it is not ASCII and may not be UTF-8 either.
    pub is_ascii: bool,
}

/// The members of the object that `body` is. `None` where it is none, or where it has more than [`MAX_FIELDS`].
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

// Each step gets what is left of the body and answers what it leaves of it, or `None` where there is no JSON. So what is left stays in
// registers; kept in a struct, it would go through memory between any two bytes. `seen`: all words of text so far, one over the other.

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
        // Behind a value: the end of what it stands in, as often as that is the end of a value too, or the next one.
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

/// A digit after a leading zero is no part of the number, and nothing that may follow one.
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

/// One digit or more.
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

/// What stands behind an opening quote, the closing one included.
fn text<'a>(mut rest: &'a [u8], seen: &mut u64) -> Option<&'a [u8]> {
    loop {
        rest = match rest.get(plain(rest, seen)?..)? {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', rest @ ..] => escape(rest)?,
            _control => return None,
        };
    }
}

/// What stands behind an escape, given without its backslash. Whether a `\u` is half a character shows when the string is decoded, if
/// it ever is.
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

/// What a value stands in: a bit for each level, set where that is an object.
#[derive(Debug, Default)]
struct OpenContainers {
    depth: usize,
    /// The innermost levels, the last one lowest.
    top: u64,
    /// Full words of the levels around them. Empty for all but bombs, so that nobody else pays for an allocation.
    below: Vec<u64>,
}

impl OpenContainers {
    fn push(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.below.push(self.top);
        }
        self.top = self.top << 1 | u64::from(is_object);
        self.depth += 1;
    }

    fn last(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.top & 1 == 1)
    }

    fn pop(&mut self) {
        self.top >>= 1;
        self.depth = self.depth.saturating_sub(1);
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.top = self.below.pop().unwrap_or_default();
        }
    }
}

/// The members of the object in `text` by serde_json, as far as it can be read, and how the reading ended.
pub fn parse(text: &str) -> (Vec<MemberSpan>, Result<(), serde_json::Error>) {
    let mut found = Vec::with_capacity(USUAL_FIELDS);
    let mut json = serde_json::Deserializer::from_str(text);
    let ended = MemberCollector { text, found: &mut found }.deserialize(&mut json).and_then(|()| json.end());
    (found, ended)
}

/// Puts members aside while they are read, so that those before an error, or before the end of a prefix, are not lost.
struct MemberCollector<'a> {
    text: &'a str,
    found: &'a mut Vec<MemberSpan>,
}

impl MemberCollector<'_> {
    /// Where `part`, which borrows from the text, stands in it.
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
