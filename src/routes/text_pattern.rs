//! Patterns that are looked for in the texts of a value.

use memchr::memmem::Finder;
use regex_lite::{Regex, RegexBuilder};

/// The most bytes of a field of the body that are looked at. The time of a search grows with them,
/// and a client decides how long its texts are.
pub const LOOKED_AT_BYTES: usize = 1024 * 1024;

/// The most bytes of a compiled regular expression. The time of a search grows with them, too: with
/// so many, a MiB of text takes less than a second.
const COMPILED_BYTES: usize = 16 * 1024;
/// The deepest nesting of groups in a regular expression.
const DEEPEST: u32 = 50;

/// A pattern that is looked for anywhere in a text.
#[derive(Debug, Clone)]
pub struct TextPattern {
    source: String,
    search: Search,
}

#[derive(Debug, Clone)]
enum Search {
    /// In lower case.
    Words(Box<Finder<'static>>),
    Expression(Regex),
}

impl TextPattern {
    /// A pattern for these words, whatever the case of their ASCII letters.
    pub fn words(words: &str) -> Self {
        let finder = Box::new(Finder::new(&words.to_ascii_lowercase()).into_owned());
        Self { source: words.to_owned(), search: Search::Words(finder) }
    }

    /// A pattern for a regular expression. The time of a search is linear in the text.
    ///
    /// # Errors
    /// It is no regular expression, or a very large one. The text says what is wrong.
    pub fn expression(source: &str) -> Result<Self, String> {
        let mut builder = RegexBuilder::new(source);
        let expression = builder.size_limit(COMPILED_BYTES).nest_limit(DEEPEST).build();
        let search = expression.map(Search::Expression).map_err(|error| error.to_string())?;
        Ok(Self { source: source.to_owned(), search })
    }

    /// The pattern as it is written.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Whether it is a regular expression.
    pub fn is_expression(&self) -> bool {
        matches!(self.search, Search::Expression(_))
    }

    /// Whether the pattern is found in `text`.
    pub fn is_in(&self, text: &str) -> bool {
        match &self.search {
            Search::Words(finder) => finder.find(text.to_ascii_lowercase().as_bytes()).is_some(),
            Search::Expression(expression) => expression.is_match(text),
        }
    }
}

impl PartialEq for TextPattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.is_expression() == other.is_expression()
    }
}

#[cfg(test)]
mod tests {
    use super::TextPattern;

    #[test]
    fn words_are_found_in_any_case_of_ascii_letters() {
        let words = TextPattern::words("Straße 1");
        for (text, expected) in [
            ("in der straße 1, oben", true),
            ("STRAßE 1", true),
            ("STRASSE 1", false),
            ("straße  1", false),
            ("", false),
        ] {
            assert_eq!(words.is_in(text), expected, "{text}");
        }
    }

    #[test]
    fn an_expression_is_found_anywhere_and_compares_exactly() {
        for (source, text, expected) in [
            (r"\bAKIA[0-9A-Z]{16}\b", "key: AKIA0123456789ABCDEF.", true),
            (r"\bAKIA[0-9A-Z]{16}\b", "key: akia0123456789abcdef.", false),
            ("(?i)secret", "SECRET", true),
            ("^a$", "b\na", false),
            ("(?m)^a$", "b\na", true),
        ] {
            let expression = TextPattern::expression(source).unwrap();
            assert_eq!(expression.is_in(text), expected, "{source} in {text}");
        }
    }

    #[test]
    fn an_expression_that_is_wrong_or_huge_is_refused() {
        for source in ["(", "[a", "**", r"\p{L}", "(a{1000}){1000}", &"(".repeat(100)] {
            assert!(TextPattern::expression(source).is_err(), "{source}");
        }
    }

    #[test]
    fn an_expression_that_others_need_ages_for_is_searched_in_linear_time() {
        let expression = TextPattern::expression("(a+)+$").unwrap();
        assert!(!expression.is_in(&format!("{}b", "a".repeat(50_000))));
    }
}
