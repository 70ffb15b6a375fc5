//! Where the values of a document stand in its text. Only the command line uses this.

use std::collections::BTreeMap;
use std::ops::Range;

use super::at::At;
use super::json::MAX_DEPTH;
use super::placeholder::sole_variable;

/// The places of the values of a document, by their path.
#[derive(Debug, Default)]
pub struct SourceMap {
    places: BTreeMap<String, SourcePlace>,
    /// The strings that may be credentials, without their quotes.
    secrets: Vec<Range<usize>>,
}

/// Where a value stands.
#[derive(Debug, Clone)]
struct SourcePlace {
    /// Its key, with the quotes; for others the first byte of the value.
    key: Range<usize>,
    /// The value. For an object or a list, the key.
    value: Range<usize>,
}

impl SourceMap {
    /// Reads a document as far as it is JSON.
    pub fn of(document: &str) -> Self {
        let start = if document.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let mut reader = SourceReader { text: document, next: start, map: Self::default() };
        let _ = reader.value(At::Root, None, 0);
        reader.map
    }

    /// The bytes of the value at `path`, or of its key. If there is no such value, those of the
    /// innermost part of the document around it.
    pub fn span(&self, path: &str, is_key_meant: bool) -> Option<Range<usize>> {
        if let Some(place) = self.places.get(path) {
            return Some(if is_key_meant { place.key.clone() } else { place.value.clone() });
        }
        let mut ends = path.rmatch_indices(['.', '[']).filter_map(|(end, _)| path.get(..end));
        ends.find_map(|outer| self.places.get(outer))
            .or_else(|| self.places.get("$"))
            .map(|place| place.key.clone())
    }

    /// The document with a `*` for each byte of what may be a credential. All other bytes stay
    /// where they are.
    pub fn masked(&self, document: &str) -> String {
        let mut masked = String::with_capacity(document.len());
        let mut end = 0;
        for secret in &self.secrets {
            masked.push_str(document.get(end..secret.start).unwrap_or_default());
            masked.extend(std::iter::repeat_n('*', secret.len()));
            end = secret.end;
        }
        masked.push_str(document.get(end..).unwrap_or_default());
        masked
    }
}

/// Reads JSON, and notes where each value stands. `None` where the text is no JSON.
struct SourceReader<'a> {
    text: &'a str,
    next: usize,
    map: SourceMap,
}

impl SourceReader<'_> {
    fn peek(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.next..)?;
        self.next += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.text.as_bytes().get(self.next).copied()
    }

    /// Whether the next byte is this one. It is then read.
    fn takes(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.next += usize::from(is_next);
        is_next
    }

    fn value(&mut self, at: At<'_>, key: Option<Range<usize>>, depth: usize) -> Option<()> {
        let first = self.peek().filter(|first| first.is_ascii() && depth <= MAX_DEPTH)?;
        let start = self.next;
        let key = key.unwrap_or(start..start + 1);
        let is_nested = matches!(first, b'{' | b'[');
        let value = if is_nested {
            key.clone()
        } else if first == b'"' {
            let value = self.string()?;
            let text = self.text.get(value.start + 1..value.end - 1)?;
            if may_be_secret(at.innermost_key().unwrap_or_default(), text) {
                self.map.secrets.push(value.start + 1..value.end - 1);
            }
            value
        } else {
            let rest = self.text.as_bytes().get(start..)?;
            let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
            self.next += rest.iter().take_while(is_part).count();
            start..self.next
        };
        self.map.places.insert(at.to_string(), SourcePlace { key, value });
        match first {
            b'{' => self.object(at, depth + 1),
            b'[' => self.list(at, depth + 1),
            _ => (self.next > start).then_some(()),
        }
    }

    fn object(&mut self, at: At<'_>, depth: usize) -> Option<()> {
        self.next += 1;
        while self.peek()? == b'"' {
            let key = self.string()?;
            let name: String = serde_json::from_str(self.text.get(key.clone())?).ok()?;
            if !self.takes(b':') {
                return None;
            }
            self.value(at.key(&name), Some(key), depth)?;
            if !self.takes(b',') {
                break;
            }
        }
        self.takes(b'}').then_some(())
    }

    fn list(&mut self, at: At<'_>, depth: usize) -> Option<()> {
        self.next += 1;
        let mut index = 0;
        while self.peek()? != b']' {
            self.value(at.index(index), None, depth)?;
            index += 1;
            if !self.takes(b',') {
                break;
            }
        }
        self.takes(b']').then_some(())
    }

    /// The bytes of a string, with its quotes.
    fn string(&mut self) -> Option<Range<usize>> {
        let start = self.next;
        let mut is_escaped = false;
        for (length, byte) in self.text.as_bytes().get(start + 1..)?.iter().enumerate() {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => {
                    self.next = start + length + 2;
                    return Some(start..self.next);
                }
                _ => {}
            }
        }
        None
    }
}

/// Whether the text at this key may be a credential. Names of variables are none.
fn may_be_secret(key: &str, text: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let is_secret_key =
        ["key", "token", "secret", "assertion", "password", "url"].iter().any(|word| key.contains(word));
    let has_credentials = text.contains("://") && text.contains(['@', '?', '#']);
    (is_secret_key && sole_variable(text).is_none()) || has_credentials || text.contains("sk-")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::SourceMap;

    const DOCUMENT: &str = r#"{ "a.b": [1, {"c": "text \" ä"}], "api_key": "zq-literäl", "d": {} }"#;

    #[test]
    fn a_path_leads_to_its_place_in_the_text() {
        let map = SourceMap::of(DOCUMENT);
        for (path, is_key_meant, expected) in [
            ("$[\"a.b\"][0]", false, "1"),
            ("$[\"a.b\"][1].c", false, r#""text \" ä""#),
            ("$[\"a.b\"][1].c", true, "\"c\""),
            ("$[\"a.b\"]", false, "\"a.b\""),
            ("d", false, "\"d\""),
            // What is missing is shown where it is missing.
            ("d.e[0].f", false, "\"d\""),
            ("nowhere", false, "{"),
            ("$", false, "{"),
        ] {
            let span = map.span(path, is_key_meant).unwrap();
            assert_eq!(DOCUMENT.get(span), Some(expected), "{path}");
        }
    }

    #[test]
    fn credentials_are_masked_and_all_else_stays_in_its_place() {
        let masked = SourceMap::of(DOCUMENT).masked(DOCUMENT);
        assert_eq!(masked, DOCUMENT.replace("zq-literäl", "***********"));
        assert_eq!(masked.len(), DOCUMENT.len());
        let safe = r#"{"api_key": "${KEY}", "model": "m", "x": "https://user:p@host", "y": "sk-1"}"#;
        let masked = SourceMap::of(safe).masked(safe);
        assert!(masked.contains("${KEY}") && masked.contains("\"m\""), "{masked}");
        assert!(!masked.contains("user:p") && !masked.contains("sk-1"), "{masked}");
    }

    proptest! {
        #[test]
        fn every_text_is_read_and_every_place_is_in_it(text in r#"[\[\]{}:,"\\0-9a-cä ]{0,40}"#) {
            let map = SourceMap::of(&text);
            prop_assert_eq!(map.masked(&text).len(), text.len());
            for place in map.places.values() {
                prop_assert!(text.get(place.value.clone()).is_some() && text.get(place.key.clone()).is_some());
            }
        }
    }
}
