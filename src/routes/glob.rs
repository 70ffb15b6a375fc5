//! Globs: `*` matches any run of characters, `/` included. Every other character matches itself.
//!
//! No library is used: the usual ones need a regex engine (hundreds of kilobytes of Wasm), and a
//! loop is enough here.

/// A compiled glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Creates a glob. Every string is valid.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text before the first star. Every text that matches begins with it.
    pub fn head(&self) -> &str {
        self.0.split('*').next().unwrap_or_default()
    }

    /// Whether the glob matches all of `text`. The time is linear in `text` for each `*`. There is
    /// no exponential case.
    pub fn matches(&self, text: &str) -> bool {
        let Some((head, rest)) = self.0.split_once('*') else { return self.0 == text };
        let Some(mut text) = text.strip_prefix(head) else { return false };
        let mut parts = rest.split('*').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return text.ends_with(part);
            }
            // The leftmost match is always right: it leaves the most text for the parts that
            // follow.
            let Some((_, after)) = text.split_once(part) else { return false };
            text = after;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, text, expected) in [
            ("chat", "chat", true),
            ("chat", "chats", false),
            ("chat-*", "chat-", true),
            ("chat-*", "chat-a/b", true),
            ("chat-*", "chat", false),
            ("*", "", true),
            ("*-mini", "gpt-4o-mini", true),
            ("*-mini", "gpt-4o-mini-2", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            // The head and the tail may not share characters.
            ("ab*ba", "aba", false),
            ("**", "x", true),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), expected, "{pattern} on {text}");
        }
    }
}
