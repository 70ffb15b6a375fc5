//! A place in a document. The path becomes a string only when it is printed, so it costs nothing
//! until then.

use std::fmt;

use serde_json::Value;

/// A place in a JSON document: a linked list of steps. Each step lives on the stack of the code
/// that walks the document.
#[derive(Debug, Clone, Copy)]
pub enum At<'a> {
    /// The document itself.
    Root,
    /// The value of this key.
    Key(&'a At<'a>, &'a str),
    /// This element of a list.
    Index(&'a At<'a>, usize),
}

impl<'a> At<'a> {
    /// One step down into an object.
    #[must_use]
    pub fn key(&'a self, key: &'a str) -> Self {
        Self::Key(self, key)
    }

    /// One step down into a list.
    #[must_use]
    pub fn index(&'a self, index: usize) -> Self {
        Self::Index(self, index)
    }

    /// The key of the last step, if that step is a key.
    pub fn last_key(&self) -> Option<&'a str> {
        match self {
            Self::Key(_, key) => Some(key),
            Self::Root | Self::Index(..) => None,
        }
    }

    /// The innermost key around this place: for an element, that of its list.
    pub fn innermost_key(&self) -> Option<&'a str> {
        match self {
            Self::Key(_, key) => Some(key),
            Self::Index(list, _) => list.innermost_key(),
            Self::Root => None,
        }
    }

    /// The section and the name of the top-level entry that contains this place: `("deployments",
    /// "azure-eastus")`.
    pub fn entry(&self) -> Option<(&'a str, &'a str)> {
        match self {
            Self::Key(Self::Key(Self::Root, section), name) => Some((section, name)),
            Self::Key(parent, _) | Self::Index(parent, _) => parent.entry(),
            Self::Root => None,
        }
    }

    /// The value at this place of `document`.
    pub fn find<'v>(&self, document: &'v Value) -> Option<&'v Value> {
        match self {
            Self::Root => Some(document),
            Self::Key(parent, key) => parent.find(document)?.get(key),
            Self::Index(parent, index) => parent.find(document)?.get(index),
        }
    }
}

/// `models.chat.targets[1]`. A key with other characters than letters, digits and `_-$/` is quoted:
/// `models["gpt-4.1"]`. The document itself is `$`.
impl fmt::Display for At<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => formatter.write_str("$"),
            Self::Index(parent, index) => write!(formatter, "{parent}[{index}]"),
            Self::Key(parent, key) => {
                let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$' | '/');
                if key.is_empty() || !key.chars().all(is_plain) {
                    write!(formatter, "{parent}[{key:?}]")
                } else if matches!(parent, Self::Root) {
                    formatter.write_str(key)
                } else {
                    write!(formatter, "{parent}.{key}")
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::At;

    #[test]
    fn a_path_reads_as_it_would_be_written_in_javascript() {
        let models = At::Root.key("models");
        let node = models.key("gpt-4.1");
        let targets = node.key("targets");
        assert_eq!(targets.index(1).to_string(), r#"models["gpt-4.1"].targets[1]"#);
        assert_eq!(At::Root.to_string(), "$");
        assert_eq!(At::Root.key("a b").to_string(), r#"$["a b"]"#);
    }
}
