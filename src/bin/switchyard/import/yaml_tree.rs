//! YAML as a tree with places. Each entry of a mapping remembers whether anybody read it, so that
//! what nobody read can be listed.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use saphyr_parser::{Event, Parser, ScalarStyle};

/// The largest file, in bytes: that of a routes document.
pub const MOST_BYTES: usize = 4 << 20;

/// The most values of a tree. Aliases are copies, so that a small file can be a large tree.
const MOST_VALUES: usize = 200_000;

/// How deep lists and mappings nest at most.
const MOST_LEVELS: usize = 64;

/// What is wrong with a file, and where.
#[derive(Debug)]
pub struct YamlError {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
}

/// A value and its place.
#[derive(Debug, Clone)]
pub struct YamlNode {
    /// The line, from 1.
    pub line: usize,
    /// What it is.
    pub value: YamlValue,
}

/// What a value is.
#[derive(Debug, Clone)]
pub enum YamlValue {
    /// A text, a number, a boolean or nothing.
    Scalar {
        /// Its text.
        text: String,
        /// Whether it has no quotes, so that it may be a number, a boolean or nothing.
        plain: bool,
    },
    /// A list.
    List(Vec<YamlNode>),
    /// A mapping.
    Map(Vec<YamlEntry>),
}

/// An entry of a mapping.
#[derive(Debug, Clone)]
pub struct YamlEntry {
    /// Its key.
    pub key: String,
    /// The line of the key, from 1.
    pub line: usize,
    /// Its value.
    pub value: YamlNode,
    /// Whether the importer read it.
    pub read: Cell<bool>,
    /// Whether a later entry of the mapping has the same key. YAML of Python takes the last one.
    pub replaced: bool,
    /// Whether it stands at the top and holds an anchor that an alias names.
    pub is_named: bool,
}

impl YamlNode {
    /// Nothing, at this line.
    pub fn nothing(line: usize) -> Self {
        Self { line, value: YamlValue::Map(Vec::new()) }
    }

    /// Whether it is a scalar without quotes.
    pub fn is_plain(&self) -> bool {
        matches!(self.value, YamlValue::Scalar { plain: true, .. })
    }

    /// The entries, if it is a mapping.
    pub fn entries(&self) -> &[YamlEntry] {
        if let YamlValue::Map(entries) = &self.value { entries } else { &[] }
    }

    /// The values, if it is a list.
    pub fn items(&self) -> Option<&[YamlNode]> {
        if let YamlValue::List(items) = &self.value { Some(items) } else { None }
    }

    /// The value of a key, without the mark that it was read.
    pub fn peek(&self, key: &str) -> Option<&YamlEntry> {
        self.entries().iter().find(|entry| entry.key == key && !entry.replaced && !entry.value.is_nothing())
    }

    /// The value of a key, which counts as read.
    pub fn get(&self, key: &str) -> Option<&YamlNode> {
        let entry = self.peek(key)?;
        entry.read.set(true);
        Some(&entry.value)
    }

    /// The text of a scalar that is not empty.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            YamlValue::Scalar { text, .. } if !text.is_empty() && !self.is_nothing() => Some(text),
            _ => None,
        }
    }

    /// A number, with or without quotes.
    pub fn number(&self) -> Option<f64> {
        let number = self.text()?.replace('_', "").parse::<f64>().ok()?;
        number.is_finite().then_some(number)
    }

    /// A boolean, as YAML 1.1 spells it.
    pub fn boolean(&self) -> Option<bool> {
        match self.text()?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        }
    }

    /// The texts of a list, or the one text.
    pub fn texts(&self) -> Vec<&str> {
        match self.items() {
            Some(items) => items.iter().filter_map(Self::text).collect(),
            None => self.text().into_iter().collect(),
        }
    }

    /// Marks everything below as read.
    pub fn mark_read(&self) {
        for item in self.items().unwrap_or_default() {
            item.mark_read();
        }
        for entry in self.entries() {
            entry.read.set(true);
            entry.value.mark_read();
        }
    }

    /// Whether it has no value.
    pub fn is_nothing(&self) -> bool {
        match &self.value {
            YamlValue::Scalar { text, plain: true } => {
                matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }

    fn size(&self) -> usize {
        1 + self.items().unwrap_or_default().iter().map(Self::size).sum::<usize>()
            + self.entries().iter().map(|entry| entry.value.size()).sum::<usize>()
    }

    fn levels(&self) -> usize {
        let items = self.items().unwrap_or_default().iter().map(Self::levels);
        let entries = self.entries().iter().map(|entry| entry.value.levels());
        1 + items.chain(entries).max().unwrap_or(0)
    }
}

/// A list or a mapping that is being read.
enum Open {
    List(usize, usize, Vec<YamlNode>),
    Map(usize, usize, Vec<YamlEntry>, Option<(String, usize)>),
}

/// Reads the first document of a file.
///
/// # Errors
/// What is wrong and where: the syntax, or a tree that is too large or too deep.
pub fn read(text: &str) -> Result<Option<YamlNode>, YamlError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut anchors = BTreeMap::new();
    let mut open: Vec<Open> = Vec::new();
    let mut root: Option<YamlNode> = None;
    // Where anchors stand: their number, and the line of the key at the top.
    let mut places: Vec<(usize, usize)> = Vec::new();
    let mut named = BTreeSet::new();
    let mut values = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| YamlError {
            line: error.marker().line(),
            column: error.marker().col() + 1,
            problem: error.info().to_owned(),
        })?;
        let (line, column) = (span.start.line(), span.start.col() + 1);
        let fail = |problem: &str| YamlError { line, column, problem: problem.to_owned() };
        let (anchor, node) = match event {
            Event::DocumentStart(_) if root.is_some() => {
                return Err(fail("the file has a second document; one is expected"));
            }
            Event::Scalar(scalar, style, anchor, _) => {
                let value =
                    YamlValue::Scalar { text: scalar.into_owned(), plain: style == ScalarStyle::Plain };
                (anchor, YamlNode { line, value })
            }
            Event::Alias(id) => {
                let known: &YamlNode =
                    anchors.get(&id).ok_or_else(|| fail("the alias stands inside its own anchor"))?;
                values += known.size();
                if values > MOST_VALUES || known.levels() + open.len() > MOST_LEVELS {
                    return Err(fail("the aliases make the file too large or too deep"));
                }
                named.insert(id);
                (0, known.clone())
            }
            Event::SequenceStart(anchor, _) => {
                open.push(Open::List(anchor, line, Vec::new()));
                if open.len() > MOST_LEVELS {
                    return Err(fail("lists and mappings nest too deep"));
                }
                continue;
            }
            Event::MappingStart(anchor, _) => {
                open.push(Open::Map(anchor, line, Vec::new(), None));
                if open.len() > MOST_LEVELS {
                    return Err(fail("lists and mappings nest too deep"));
                }
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(anchor, line, items)) => {
                    (anchor, YamlNode { line, value: YamlValue::List(items) })
                }
                Some(Open::Map(anchor, line, entries, _)) => {
                    (anchor, YamlNode { line, value: YamlValue::Map(merged(entries)) })
                }
                None => continue,
            },
            _ => continue,
        };
        values += 1;
        if values > MOST_VALUES {
            return Err(fail("the file has too many values"));
        }
        if anchor != 0 {
            anchors.insert(anchor, node.clone());
            if let Some(Open::Map(_, _, _, Some((_, line)))) = open.first() {
                places.push((anchor, *line));
            }
        }
        match open.last_mut() {
            None => root = Some(node),
            Some(Open::List(_, _, items)) => items.push(node),
            Some(Open::Map(_, _, entries, key)) => match key.take() {
                Some((key, line)) => {
                    entries.push(YamlEntry {
                        key,
                        line,
                        value: node,
                        read: Cell::new(false),
                        replaced: false,
                        is_named: false,
                    });
                }
                None => match node.value {
                    YamlValue::Scalar { text, .. } => *key = Some((text, line)),
                    _ => return Err(fail("a key is a list or a mapping; a text is expected")),
                },
            },
        }
    }
    if let Some(YamlNode { value: YamlValue::Map(entries), .. }) = &mut root {
        for entry in entries {
            entry.is_named = places.iter().any(|(id, line)| *line == entry.line && named.contains(id));
        }
    }
    Ok(root)
}

/// The entries with those of `<<`, which stand behind: an own entry counts more.
fn merged(entries: Vec<YamlEntry>) -> Vec<YamlEntry> {
    let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.key == "<<");
    let mut later = BTreeSet::new();
    for entry in own.iter_mut().rev() {
        entry.replaced = !later.insert(entry.key.clone());
    }
    for merge in merges {
        let sources = match merge.value.value {
            YamlValue::List(items) => items,
            value => vec![YamlNode { line: merge.line, value }],
        };
        for entry in sources.iter().flat_map(YamlNode::entries) {
            if later.insert(entry.key.clone()) {
                own.push(entry.clone());
            }
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::{YamlNode, read};

    fn node(text: &str) -> YamlNode {
        read(text).unwrap().unwrap()
    }

    #[test]
    fn anchors_and_merges_are_resolved_and_an_own_entry_counts_more() {
        let tree = node("base: &b {a: 1, b: 2}\nrow:\n  <<: *b\n  b: 3\n");
        let row = tree.get("row").unwrap();
        assert_eq!((row.get("a").unwrap().text(), row.get("b").unwrap().text()), (Some("1"), Some("3")));
    }

    #[test]
    fn of_equal_keys_the_last_counts() {
        let tree = node("a: 1\na: 2\n");
        assert_eq!(tree.get("a").unwrap().text(), Some("2"));
        assert_eq!(tree.entries().iter().filter(|entry| entry.replaced).count(), 1);
    }

    #[test]
    fn what_harms_is_refused_with_its_place() {
        let bomb = (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
            format!("{text}a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1)
        });
        for (text, line) in
            [("a: [1\nb: 2\n", 2), ("a: 1\n b: 2\n", 2), (&bomb, 0), (&"[".repeat(500), 1), ("a: &a [*a]", 1)]
        {
            let error = read(text).unwrap_err();
            assert!(line == 0 || error.line == line, "{text}: {error:?}");
        }
    }

    #[test]
    fn no_document_is_nothing() {
        assert!(read("").unwrap().is_none_or(|node| node.text().is_none()));
        assert!(read("# only a comment\n").unwrap().is_none_or(|node| node.text().is_none()));
    }
}
