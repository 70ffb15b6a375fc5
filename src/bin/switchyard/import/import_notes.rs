//! What the importer has to say: about keys, and about variables that have to be set.

use std::collections::BTreeMap;

use serde::Serialize;

/// What became of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyFate {
    /// It has the same effect.
    Mapped,
    /// It has nearly the same effect.
    Approximated,
    /// The gateway does it without a setting.
    NotNeeded,
    /// It has no effect.
    NoEquivalent,
}

/// One remark about a place of the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ImportNote {
    /// The line, from 1.
    pub line: usize,
    /// The path of the key.
    pub key: String,
    /// What became of it.
    pub fate: KeyFate,
    /// How, or why not.
    pub note: String,
}

/// All remarks.
#[derive(Debug, Default)]
pub struct ImportNotes {
    /// About keys.
    pub notes: Vec<ImportNote>,
    /// The variables of the document, with what they are for. Values are never here.
    pub variables: BTreeMap<String, String>,
}

impl ImportNotes {
    /// Notes what is nearly the same.
    pub fn near(&mut self, line: usize, key: &str, note: impl Into<String>) {
        self.note(line, key, KeyFate::Approximated, note);
    }

    /// Notes what has no effect.
    pub fn lost(&mut self, line: usize, key: &str, note: impl Into<String>) {
        self.note(line, key, KeyFate::NoEquivalent, note);
    }

    /// Notes what became of a key.
    pub fn note(&mut self, line: usize, key: &str, fate: KeyFate, note: impl Into<String>) {
        self.notes.push(ImportNote { line, key: key.to_owned(), fate, note: note.into() });
    }

    /// Names a variable that has to be set, and returns how the document refers to it.
    pub fn variable(&mut self, name: &str, purpose: &str) -> String {
        self.variables.entry(name.to_owned()).or_insert_with(|| purpose.to_owned());
        format!("${{{name}}}")
    }
}
