//! Percent-encoding of path segments (RFC 3986 §2.1), both ways.

use std::fmt::Write;

/// Decodes `%XX`. A `%` without two hexadecimal digits stands for itself; bytes that are no UTF-8 become U+FFFD, which no
/// configured name contains. `+` is no space: that is a rule of HTML forms.
pub fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.split_first_chunk::<2>().filter(|_| *first == b'%');
        let decoded = escaped.and_then(|([high, low], after)| Some((hex(*high)? << 4 | hex(*low)?, after)));
        let (byte, after) = decoded.unwrap_or((*first, after));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Encodes everything but RFC 3986's unreserved characters, so that any name is one segment of a path.
pub fn encode(segment: &str) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{decode, encode};

    #[test]
    fn what_is_no_escape_stands_for_itself() {
        for (text, expected) in [
            ("gpt-4o", "gpt-4o"),
            ("gpt%2D4o", "gpt-4o"),
            // Either case of digits.
            ("%c3%A9", "é"),
            ("a+b", "a+b"),
            // Cut short, and not hexadecimal.
            ("100%", "100%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            // `from_str_radix` would take a sign.
            ("%+4", "%+4"),
            // Decoded once, not twice.
            ("%2541", "%41"),
            ("%ff", "\u{fffd}"),
        ] {
            assert_eq!(decode(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(name in ".*") {
            let encoded = encode(&name);
            prop_assert!(encoded.is_ascii() && !encoded.contains(['/', '?', '#', ' ', '&']));
            prop_assert_eq!(decode(&encoded), name);
        }
    }
}
