//! Members of JSON that are looked for in bytes, without reading the JSON.
//!
//! Of the thousands of events that go by, few mean anything, and which ones shows in their bytes. To look is cheap; to make ready for
//! looking costs more than to look through an event, so that is done once for each member.

use std::sync::OnceLock;

use memchr::memmem::Finder;

/// The quoted name of a member. In the texts of an answer it is not found, for a quote within a text is escaped.
#[derive(Debug)]
pub struct Needle {
    quoted: &'static str,
    finder: OnceLock<Finder<'static>>,
}

impl Needle {
    /// Looks for `quoted`: `"error"`, say, with its quotes.
    pub const fn of(quoted: &'static str) -> Self {
        Self { quoted, finder: OnceLock::new() }
    }

    fn finder(&self) -> &Finder<'static> {
        self.finder.get_or_init(|| Finder::new(self.quoted))
    }

    /// Whether this is the name, without its quotes.
    pub fn is_for(&self, name: &[u8]) -> bool {
        self.quoted.trim_matches('"').as_bytes() == name
    }

    /// Whether `json` says it, as the name of a member or as a value.
    pub fn is_in(&self, json: &[u8]) -> bool {
        self.finder().find(json).is_some()
    }

    /// What follows each member of that name in `json`, at any depth, from its value on.
    pub fn values_in<'a>(&'a self, json: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.finder().find_iter(json).filter_map(|at| {
            let after = json.get(at + self.quoted.len()..)?.trim_ascii_start();
            Some(after.strip_prefix(b":")?.trim_ascii_start())
        })
    }

    /// Whether `json` has a member of that name with a value other than `null`, at any depth. `true` may be wrong; `false` is right
    /// unless the name is written with escapes, which no upstream does.
    pub fn has_value_in(&self, json: &[u8]) -> bool {
        self.values_in(json).any(|value| !value.starts_with(b"null"))
    }
}

#[cfg(test)]
mod tests {
    use super::Needle;

    #[test]
    fn members_are_found_at_any_depth_and_not_in_texts() {
        let needle = Needle::of("\"error\"");
        for (json, values, has_value, is_in) in [
            (r#"{"error":{"code":1}}"#, vec![r#"{"code":1}}"#], true, true),
            (r#"{"a":[{"error" : null}]}"#, vec!["null}]}"], false, true),
            (r#"{"error":null,"a":{"error":0}}"#, vec![r#"null,"a":{"error":0}}"#, "0}}"], true, true),
            // A value of that name, and a text about it.
            (r#"{"type":"error"}"#, vec![], false, true),
            (r#"{"text":"say \"error\": 1"}"#, vec![], false, false),
            (r#"{"errors":1}"#, vec![], false, false),
            (r#"{"error":"#, vec![""], true, true),
            ("", vec![], false, false),
        ] {
            let found: Vec<_> = needle.values_in(json.as_bytes()).map(String::from_utf8_lossy).collect();
            assert_eq!(found, values, "{json}");
            assert_eq!(needle.has_value_in(json.as_bytes()), has_value, "{json}");
            assert_eq!(needle.is_in(json.as_bytes()), is_in, "{json}");
        }
    }
}
