//! Searches for members of JSON in bytes, without parsing the JSON.
//!
//! A stream has thousands of events, and few of them matter. Their bytes show which ones. Searching
//! an event is cheap, but preparing a searcher costs more than searching one event. So each
//! searcher is prepared once.

use std::sync::OnceLock;

use memchr::memmem::Finder;

/// The quoted name of a member. It is not found inside string values, because a quote within a
/// string is escaped.
#[derive(Debug)]
pub struct Needle {
    quoted: &'static str,
    finder: OnceLock<Finder<'static>>,
}

impl Needle {
    /// A searcher for `quoted`, a name with its quotes: `"error"`, for example.
    pub const fn of(quoted: &'static str) -> Self {
        Self { quoted, finder: OnceLock::new() }
    }

    fn finder(&self) -> &Finder<'static> {
        self.finder.get_or_init(|| Finder::new(self.quoted))
    }

    /// Whether `name`, without quotes, is the name of this member.
    pub fn is_for(&self, name: &[u8]) -> bool {
        self.quoted.trim_matches('"').as_bytes() == name
    }

    /// Whether `json` contains the quoted name, as the name of a member or as a value.
    pub fn is_in(&self, json: &[u8]) -> bool {
        self.finder().find(json).is_some()
    }

    /// The text after each member of that name in `json`, at any depth, starting with the member's
    /// value.
    pub fn values_in<'a>(&'a self, json: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.finder().find_iter(json).filter_map(|at| {
            let after = json.get(at + self.quoted.len()..)?.trim_ascii_start();
            Some(after.strip_prefix(b":")?.trim_ascii_start())
        })
    }

    /// Whether `json` has a member of that name with a value other than `null`, at any depth.
    /// `true` may be wrong. `false` is right unless the name is written with escapes, which no
    /// upstream does.
    pub fn has_value_in(&self, json: &[u8]) -> bool {
        self.values_in(json).any(|value| !value.starts_with(b"null"))
    }

    /// Whether `json` contains the quoted name with a meaning: as a value, or as the name of a
    /// member with a value other than `null`. `true` may be wrong, as for [`Self::has_value_in`].
    pub fn says_something_in(&self, json: &[u8]) -> bool {
        self.finder().find_iter(json).any(|at| {
            let after = json.get(at + self.quoted.len()..).unwrap_or_default().trim_ascii_start();
            after.strip_prefix(b":").is_none_or(|value| !value.trim_ascii_start().starts_with(b"null"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Needle;

    #[test]
    fn members_are_found_at_any_depth_and_not_in_texts() {
        let needle = Needle::of("\"error\"");
        for (json, values, [has_value, says_something], is_in) in [
            (r#"{"error":{"code":1}}"#, vec![r#"{"code":1}}"#], [true, true], true),
            (r#"{"a":[{"error" : null}]}"#, vec!["null}]}"], [false, false], true),
            (
                r#"{"error":null,"a":{"error":0}}"#,
                vec![r#"null,"a":{"error":0}}"#, "0}}"],
                [true, true],
                true,
            ),
            // A value of that name, and a string that mentions it.
            (r#"{"type":"error"}"#, vec![], [false, true], true),
            (r#"{"text":"say \"error\": 1"}"#, vec![], [false, false], false),
            (r#"{"errors":1}"#, vec![], [false, false], false),
            (r#"{"error":"#, vec![""], [true, true], true),
            ("", vec![], [false, false], false),
        ] {
            let found: Vec<_> = needle.values_in(json.as_bytes()).map(String::from_utf8_lossy).collect();
            assert_eq!(found, values, "{json}");
            assert_eq!(needle.has_value_in(json.as_bytes()), has_value, "{json}");
            assert_eq!(needle.says_something_in(json.as_bytes()), says_something, "{json}");
            assert_eq!(needle.is_in(json.as_bytes()), is_in, "{json}");
        }
    }
}
