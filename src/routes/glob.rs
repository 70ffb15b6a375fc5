//! Globs: `*` stands for any run of characters, `/` included; everything else for itself.
//!
//! No library: the usual ones bring a regex engine (hundreds of kilobytes of Wasm) for what is a loop here.

/// A compiled glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Any string is a glob.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What every text that matches begins with: all that stands before the first star.
    pub fn head(&self) -> &str {
        self.0.split('*').next().unwrap_or_default()
    }

    /// Whether the whole of `text` matches. Linear in `text` for each `*`; no pattern makes it explode.
    pub fn matches(&self, text: &str) -> bool {
        let Some((head, rest)) = self.0.split_once('*') else { return self.0 == text };
        let Some(mut text) = text.strip_prefix(head) else { return false };
        let mut parts = rest.split('*').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return text.ends_with(part);
            }
            // The leftmost place is always right: it leaves the most for the parts that follow.
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
