//! Headers as one text, `name\nvalue\n…`: in this form they cross to Wasm and back in one call.
//! Neither a name nor a value can contain a line break (RFC 9110 §5.5); a header that does is left
//! out.

use std::fmt;

/// Headers in the order of arrival; names in lower case.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    text: String,
    pairs: Vec<Pair>,
}

/// The position of one header: its name begins at `start`, its value ends before `end`, and a line
/// break follows each.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Pair {
    start: usize,
    value: usize,
    end: usize,
}

impl Headers {
    /// Parses a text in the form of [`Self::text`]. A name without a value is left out.
    pub fn parse(text: String) -> Self {
        let mut pairs = Vec::with_capacity(24);
        let mut breaks = memchr::memchr_iter(b'\n', text.as_bytes());
        let mut start = 0;
        while let (Some(name_end), Some(end)) = (breaks.next(), breaks.next()) {
            pairs.push(Pair { start, value: name_end + 1, end });
            start = end + 1;
        }
        Self { text, pairs }
    }

    /// Makes headers from pairs. If a name is repeated, both are stored, and [`Self::get`] finds
    /// the first.
    pub fn of<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut headers = Self::default();
        for (name, value) in pairs {
            headers.push(name.as_ref(), value.as_ref());
        }
        headers
    }

    /// Adds a header at the end. A name or value with a line break is ignored, because it would
    /// become a second header.
    pub fn push(&mut self, name: &str, value: &str) {
        if name.contains('\n') || value.contains('\n') {
            return;
        }
        let start = self.text.len();
        self.text.extend([name, "\n", value, "\n"]);
        self.pairs.push(Pair { start, value: start + name.len() + 1, end: self.text.len() - 1 });
    }

    /// The value of a header, by its lower-case name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|pair| {
            let part = |from, to| self.text.get(from..to).unwrap_or_default();
            (part(pair.start, pair.value.saturating_sub(1)), part(pair.value, pair.end))
        })
    }

    /// All headers as one text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

impl<N: AsRef<str>, V: AsRef<str>> Extend<(N, V)> for Headers {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, pairs: I) {
        for (name, value) in pairs {
            self.push(name.as_ref(), value.as_ref());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Headers;

    #[test]
    fn a_text_and_its_headers_are_the_same() {
        let headers = Headers::of([("a", "1"), ("empty", ""), ("b", "2: x"), ("a", "3")]);
        assert_eq!(headers.text(), "a\n1\nempty\n\nb\n2: x\na\n3\n");
        assert_eq!(Headers::parse(headers.text().to_owned()), headers);
        assert_eq!((headers.get("a"), headers.get("empty"), headers.get("c")), (Some("1"), Some(""), None));
    }

    #[test]
    fn a_line_break_makes_no_second_header() {
        let headers = Headers::of([("a", "1\nx-evil\n2"), ("b\nc", "1"), ("d", "4")]);
        assert_eq!(headers.text(), "d\n4\n");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "([a-z]{0,3}|é|\n){0,12}") {
            let headers = Headers::parse(text.clone());
            let again = Headers::of(headers.iter());
            prop_assert!(text.starts_with(again.text()));
            prop_assert_eq!(again.iter().count(), headers.iter().count());
        }
    }
}
