//! The texts in a JSON value: its strings at any depth, decoded. Names of members are no texts.
//!
//! Rules look for words in what a client wrote. So the reader is more tolerant than a parser: half
//! a surrogate pair becomes the replacement character, depth does not matter, and of a value that
//! is cut off, what is there counts. Otherwise a client could hide a text behind such a fault.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// The bytes of a `\u` escape.
const UNIT: usize = 6;

/// Whether `is_wanted` is true for a text in `json`, a JSON value or the beginning of one.
pub fn has_text(json: &[u8], is_wanted: &mut dyn FnMut(&str) -> bool) -> bool {
    let mut rest = json;
    while let Some(begun) = memchr(b'"', rest).and_then(|quote| rest.get(quote + 1..)) {
        let length = length_of(begun);
        rest = begun.get(length + 1..).unwrap_or_default();
        let is_name = rest.trim_ascii_start().starts_with(b":");
        if !is_name && is_wanted(&decoded(begun.get(..length).unwrap_or_default())) {
            return true;
        }
    }
    false
}

/// The length of a text that begins after its quote: up to the next quote that is not escaped, or
/// up to the end.
pub fn length_of(begun: &[u8]) -> usize {
    let mut length = 0;
    while let Some(found) = begun.get(length..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        length += found;
        if begun.get(length) == Some(&b'"') {
            return length;
        }
        // The byte after a backslash ends nothing.
        length += 2;
    }
    begun.len()
}

/// The text that `raw` stands for, which is what a JSON string has between its quotes. Never fails:
/// an escape that is none counts as its characters.
pub fn decoded(raw: &[u8]) -> Cow<'_, str> {
    if memchr(b'\\', raw).is_none() {
        return String::from_utf8_lossy(raw);
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, escape)) = memchr(b'\\', rest).and_then(|at| rest.split_at_checked(at)) {
        bytes.extend_from_slice(before);
        rest = unescape(escape, &mut bytes);
    }
    bytes.extend_from_slice(rest);
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// Adds the character of the escape that `text` begins with, and returns what follows.
fn unescape<'a>(text: &'a [u8], bytes: &mut Vec<u8>) -> &'a [u8] {
    let after = |length: usize| text.get(length..).unwrap_or_default();
    if let Some(first) = unit(text) {
        let second = unit(after(UNIT))
            .filter(|second| (0xd800..0xdc00).contains(&first) && (0xdc00..0xe000).contains(second));
        let units = [first].into_iter().chain(second);
        let character = char::decode_utf16(units).next().and_then(Result::ok);
        let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
        bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        return after(if second.is_some() { 2 * UNIT } else { UNIT });
    }
    let byte = match text.get(1) {
        Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
        Some(b'b') => 8,
        Some(b'f') => 12,
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        _ => {
            bytes.push(b'\\');
            return after(1);
        }
    };
    bytes.push(byte);
    after(2)
}

/// The unit of UTF-16 that the escape at the start of `text` stands for.
fn unit(text: &[u8]) -> Option<u16> {
    let digits = text.get(..UNIT)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::{decoded, has_text};

    fn texts(json: &str) -> Vec<String> {
        let mut texts = Vec::new();
        has_text(json.as_bytes(), &mut |text| {
            texts.push(text.to_owned());
            false
        });
        texts
    }

    #[test]
    fn every_string_is_a_text_and_no_name_is() {
        for (json, expected) in [
            (r#""a""#, &["a"][..]),
            (r#"{"name":"a","list" : ["b",{"c":"d"}, 7, null]}"#, &["a", "b", "d"]),
            (r#"["a\"b","\\","c:","\n\t\/"]"#, &["a\"b", "\\", "c:", "\n\t/"]),
            (r#"["\u0061\u00fc","\ud83d\ude00"]"#, &["aü", "😀"]),
            // Half a pair, and what follows it.
            (r#"["a\ud800b","\udc00","\ud800\u0061"]"#, &["a\u{fffd}b", "\u{fffd}", "\u{fffd}a"]),
            // No escapes.
            (r#"["\u00zz","\x","\u+061"]"#, &["\\u00zz", "\\x", "\\u+061"]),
            // What is cut off.
            (r#"["whole","cut o"#, &["whole", "cut o"]),
            (r#"["cut\"#, &["cut\\"]),
            (r"[", &[]),
            (r#"{"n"#, &["n"]),
            ("", &[]),
        ] {
            assert_eq!(texts(json), expected, "{json}");
        }
    }

    #[test]
    fn a_deep_text_is_found() {
        let json = format!("{}\"a\"{}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(texts(&json), ["a"]);
    }

    #[test]
    fn the_search_ends_at_the_first_text_that_is_wanted() {
        let mut seen = 0;
        let found = has_text(br#"["a","b","c"]"#, &mut |text| {
            seen += 1;
            text == "b"
        });
        assert_eq!((found, seen), (true, 2));
    }

    proptest! {
        #[test]
        fn a_text_is_read_as_a_parser_reads_it(text: String, is_ascii: bool) {
            let written = Value::String(text.clone()).to_string();
            let escaped: String = written.encode_utf16().map(|unit| match u8::try_from(unit) {
                Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
                _ => format!("\\u{unit:04x}"),
            }).collect();
            let written = if is_ascii { escaped } else { written };
            prop_assert_eq!(texts(&written), [text]);
        }

        #[test]
        fn no_bytes_are_too_strange(bytes: Vec<u8>) {
            has_text(&bytes, &mut |_| false);
            decoded(&bytes);
        }
    }
}
