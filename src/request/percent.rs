//! Percent-encoding of path segments (RFC 3986 §2.1), both ways.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but RFC 3986's unreserved characters, so that any name is one segment of a path.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Decodes `%XX`. A `%` without two hexadecimal digits stands for itself. Bytes that are not UTF-8
/// become U+FFFD, which no configured name contains. `+` is not a space: that is a rule of HTML forms.
pub fn decode(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// Encodes a name as one segment of a path, or as one value of a query.
pub fn encode(segment: &str) -> Cow<'_, str> {
    utf8_percent_encode(segment, RESERVED).into()
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
            // A sign is no digit.
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
            prop_assert_eq!(decode(&encoded), name.as_str());
        }
    }
}
