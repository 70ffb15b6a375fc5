//! What is wrong with a routes document: where, what was found, what was expected.
//!
//! What was found is always quoted from the document as it is written, never from what a variable stands for, and a value
//! that may be a credential is not quoted at all: issues go to logs, terminals and the admin page.
//!
//! What is written is the author's fault, and the document is refused. What a variable stands for changes behind the document's
//! back, so a bad value disables the deployment or the client that it stands in, as a missing one does, and the rest serves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::at::At;
use super::placeholder;

/// One problem of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Issue {
    /// Where: `deployments.azure-eastus.timeout.idle_ms`, or `$` for the document as a whole.
    pub path: String,
    /// What stands there.
    pub found: String,
    /// What should stand there.
    pub expected: String,
    /// The valid name that comes nearest, if one is near.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
    /// What follows from it, or a hint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Issue {
    /// An issue with the document as a whole.
    pub fn of_document(found: impl Into<String>, expected: impl Into<String>) -> Self {
        let path = At::Root.to_string();
        Self { path, found: found.into(), expected: expected.into(), nearest: None, note: None }
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: found {}, expected {}", self.path, self.found, self.expected)?;
        if let Some(nearest) = &self.nearest {
            write!(formatter, "; did you mean {nearest:?}?")?;
        }
        if let Some(note) = &self.note {
            write!(formatter, " ({note})")?;
        }
        Ok(())
    }
}

/// Gathers the issues of one document.
pub struct IssueCollector<'a> {
    written: &'a Value,
    issues: Vec<Issue>,
    warnings: Vec<Issue>,
    /// How many of the issues were there when [`Self::settle`] was called, if it was.
    settled: Option<usize>,
    /// Paths of the strings whose variables are missing or of no use, where a deployment or a client is disabled by it.
    useless: BTreeSet<String>,
    /// The first variable that disables a deployment or a client, by section and name.
    disabled: BTreeMap<(String, String), String>,
}

impl<'a> IssueCollector<'a> {
    /// An empty report on the document as it is written.
    pub fn new(written: &'a Value) -> Self {
        Self {
            written,
            issues: Vec::new(),
            warnings: Vec::new(),
            settled: None,
            useless: BTreeSet::new(),
            disabled: BTreeMap::new(),
        }
    }

    /// The document as it is written.
    pub fn written(&self) -> &'a Value {
        self.written
    }

    /// An issue with the value at a place. Where a variable gave it, it is a warning, and the deployment or the client is
    /// disabled; everywhere else a bad value leaves nothing to go on with.
    pub fn refuse(&mut self, at: At<'_>, expected: impl Into<String>) {
        self.refuse_value(at, expected, None);
    }

    /// An issue with a name that none of `valid` is; of a variable's value, as in [`Self::refuse`].
    pub fn refuse_name<'n>(
        &mut self,
        at: At<'_>,
        name: &str,
        expected: impl Into<String>,
        valid: impl IntoIterator<Item = &'n str>,
    ) {
        self.refuse_value(at, expected, nearest(name, valid));
    }

    fn refuse_value(&mut self, at: At<'_>, expected: impl Into<String>, nearest: Option<String>) {
        let Some((variable, consequence)) = self.variable(at).zip(consequence(at)) else {
            return self.refuse_found(at, self.found(at), expected, nearest);
        };
        if !self.is_useless(at) {
            self.disable(at, variable, expected, format!("until {variable} has such a value, {consequence}"));
        }
    }

    /// The variable that gave the value at a place. What is said before [`Self::settle`] is said of what is written.
    fn variable(&self, at: At<'_>) -> Option<&'a str> {
        self.settled?;
        placeholder::first_variable(at.find(self.written)?.as_str()?)
    }

    /// A variable that is not set. A warning where it disables a deployment or a client, else an issue.
    pub fn miss(&mut self, at: At<'_>, variable: &str) {
        let expected = format!("the variable {variable} to be set");
        match consequence(at) {
            Some(consequence) => self.disable(at, variable, expected, format!("until then {consequence}")),
            None => self.refuse_found(at, self.found(at), expected, None),
        }
    }

    fn disable(&mut self, at: At<'_>, variable: &str, expected: impl Into<String>, note: String) {
        self.warn_always(at, expected, note);
        self.useless.insert(at.to_string());
        if let Some((section, name)) = at.entry() {
            self.disabled.entry((section.to_owned(), name.to_owned())).or_insert_with(|| variable.to_owned());
        }
    }

    /// Whether what stands at this place disables its deployment or client, so that all is said of it.
    pub fn is_useless(&self, at: At<'_>) -> bool {
        // No document whose variables are sound pays for the path.
        !self.useless.is_empty() && self.useless.contains(&at.to_string())
    }

    /// The variable that disables an entry of a section.
    pub fn disabled(&self, section: &str, name: &str) -> Option<&str> {
        self.disabled.get(&(section.to_owned(), name.to_owned())).map(String::as_str)
    }

    /// An issue with a key, whatever its value is.
    pub fn refuse_key(&mut self, at: At<'_>, expected: impl Into<String>, nearest: Option<String>) {
        let found = format!("the key {}", quoted(at.last_key().unwrap_or_default()));
        self.refuse_found(at, found, expected, nearest);
    }

    /// An issue with what is written, where that takes words of its own.
    pub fn refuse_found(
        &mut self,
        at: At<'_>,
        found: impl Into<String>,
        expected: impl Into<String>,
        nearest: Option<String>,
    ) {
        let path = at.to_string();
        if !self.is_settled(&path) {
            let (found, expected) = (found.into(), expected.into());
            self.issues.push(Issue { path, found, expected, nearest, note: None });
        }
    }

    /// An issue for each key that an object has twice.
    pub fn refuse_duplicates(&mut self, paths: Vec<String>) {
        let issue = |path| Issue { path, ..Issue::of_document("this key more than once", "each key once") };
        self.issues.extend(paths.into_iter().map(issue));
    }

    /// A warning: the document serves, but not as its author may think.
    pub fn warn(&mut self, at: At<'_>, expected: impl Into<String>, note: impl Into<String>) {
        if !self.is_useless(at) {
            self.warn_always(at, expected, note);
        }
    }

    fn warn_always(&mut self, at: At<'_>, expected: impl Into<String>, note: impl Into<String>) {
        let (path, found, expected) = (at.to_string(), self.found(at), expected.into());
        self.warnings.push(Issue { path, found, expected, nearest: None, note: Some(note.into()) });
    }

    /// From here on the values are those of the variables, and what is said of a place that already has an issue is only a
    /// consequence of that one, and is dropped.
    pub fn settle(&mut self) {
        self.settled = Some(self.issues.len());
    }

    /// Whether something was wrong with this place, or with an element of this list, when the report was settled.
    pub fn is_settled(&self, path: &str) -> bool {
        self.issues.iter().take(self.settled.unwrap_or_default()).any(|issue| {
            let is_same_or_in = |inner: &str, outer: &str, steps: &[char]| {
                inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(steps))
            };
            // A misspelt key stands for the one that was meant.
            let is_what_was_meant = issue.nearest.as_ref().is_some_and(|nearest| {
                issue.path.rsplit_once('.').is_some_and(|(parent, _)| path == format!("{parent}.{nearest}"))
            });
            is_what_was_meant
                || is_same_or_in(path, &issue.path, &['.', '['])
                || is_same_or_in(&issue.path, path, &['['])
        })
    }

    /// The warnings, if there is no issue; else the issues.
    pub fn finish(self) -> Result<Vec<Issue>, Vec<Issue>> {
        if self.issues.is_empty() { Ok(self.warnings) } else { Err(self.issues) }
    }

    /// The issues of a document of which nothing could be used.
    pub fn into_issues(self) -> Vec<Issue> {
        self.issues
    }

    /// What stands at a place, in words that are safe to print.
    pub fn found(&self, at: At<'_>) -> String {
        let Some(value) = at.find(self.written) else { return "nothing".to_owned() };
        let is_secret = matches!(at.last_key(), Some("api_key" | "key" | "token"));
        match value {
            Value::String(text) if is_secret && placeholder::sole_variable(text).is_none() => {
                "a literal text (not shown)".to_owned()
            }
            Value::Number(_) if is_secret => "a number (not shown)".to_owned(),
            Value::String(text) if text.contains("://") && text.contains(['@', '?', '#']) => {
                "a URL with a user, a query or a fragment (not shown)".to_owned()
            }
            Value::String(text) => quoted(text),
            Value::Array(list) if list.is_empty() => "an empty list".to_owned(),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(object) if object.is_empty() => "an empty object".to_owned(),
            Value::Object(_) => "an object".to_owned(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        }
    }
}

/// What follows where the value at a place is of no use; `None` where there is no entry that could be left out.
fn consequence(at: At<'_>) -> Option<&'static str> {
    match at.entry() {
        Some(("deployments", _)) => Some("this deployment takes no traffic"),
        Some(("clients", _)) => Some("nobody can call as this client"),
        _ => None,
    }
}

/// A text in quotes, shortened where it is long.
pub fn quoted(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST).and_then(|(end, _)| text.get(..end)) {
        Some(start) => format!("{:?}", format!("{start}…")),
        None => format!("{text:?}"),
    }
}

/// The name among `valid` that comes nearest to `word`, if it is near enough to be meant: a slip of the keyboard away, or
/// contained in it (`azure_deployment` for `deployment`).
pub fn nearest<'n>(word: &str, valid: impl IntoIterator<Item = &'n str>) -> Option<String> {
    // No name is that long, and the distance takes time in proportion to the product of the lengths.
    const LONGEST: usize = 128;
    if word.len() > LONGEST {
        return None;
    }
    let plain = |name: &str| name.to_ascii_lowercase().replace(['-', ' '], "_");
    let word = plain(word);
    let rank = |name: &'n str| {
        let candidate = plain(name);
        let distance = strsim::damerau_levenshtein(&word, &candidate);
        if distance * 3 <= word.chars().count().max(candidate.chars().count()) + 1 {
            return Some((distance, name));
        }
        let (shorter, longer) =
            if word.len() < candidate.len() { (&word, &candidate) } else { (&candidate, &word) };
        // Behind every slip; the longest part first.
        (shorter.len() >= 4 && longer.contains(shorter.as_str())).then(|| (2 * LONGEST - shorter.len(), name))
    };
    valid
        .into_iter()
        .filter(|name| name.len() <= LONGEST)
        .filter_map(rank)
        .min()
        .map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_name_is_near_or_none() {
        let keys = ["api_key", "api_version", "deployment", "endpoint", "model"];
        for (word, expected) in [
            ("api-key", Some("api_key")),
            ("modle", Some("model")),
            ("Endpoint", Some("endpoint")),
            // A part of what was written, as in LiteLLM's own key.
            ("azure_deployment", Some("deployment")),
            ("banana", None),
            // Of one letter every other letter is one slip away.
            ("x", None),
        ] {
            assert_eq!(nearest(word, keys).as_deref(), expected, "{word}");
        }
    }
}
