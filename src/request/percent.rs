//! Percent-encoding and decoding of path segments (RFC 3986 §2.1).

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// All characters except RFC 3986's unreserved ones, so that any name becomes one path segment.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Decodes `%XX`. A `%` without two hexadecimal digits stays as it is. Bytes that are not UTF-8
/// become U+FFFD, which no configured name contains. `+` is not a space: that is a rule of HTML
/// forms.
pub fn decode(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// Encodes a name as one path segment, or as one query value.
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
            // Digits of either case.
            ("%c3%A9", "é"),
            ("a+b", "a+b"),
            // Incomplete, or not hexadecimal.
            ("100%", "100%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            // A sign is not a digit.
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
