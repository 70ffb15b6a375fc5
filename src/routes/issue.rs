//! Issues: what is wrong with a routes document. An issue has the path, what was found and what was
//! expected.
//!
//! The found value is always quoted from the document as it is written, never from the value of a
//! variable. A value that may be a credential is not quoted. The reason: issues go to logs,
//! terminals and the admin page.
//!
//! A mistake in the document is the author's, and the document is refused. The value of a variable
//! can change without a change of the document. Therefore an invalid or missing value only disables
//! the deployment or the client that uses it, and the rest of the document stays in service.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::at::At;
use super::placeholder;
use crate::vocabulary::sorted;

/// The most names that are suggested for one document. A document with more misspelt names is
/// broken in another way, and each suggestion compares the name with all others.
const MAX_SUGGESTIONS: usize = 100;

/// One issue of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Issue {
    /// For a warning: what kind it is. The name does not change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// The path: `deployments.azure-eastus.timeout.idle_ms`, or `$` for the document as a whole.
    pub path: String,
    /// What the document has there.
    pub found: String,
    /// What the document should have there.
    pub expected: String,
    /// The most similar valid name, if one is similar enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
    /// The consequence, or a hint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Issue {
    /// Creates an issue with the document as a whole.
    pub fn of_document(found: impl Into<String>, expected: impl Into<String>) -> Self {
        let path = At::Root.to_string();
        Self { code: None, path, found: found.into(), expected: expected.into(), nearest: None, note: None }
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

/// Collects the issues and warnings of one document.
pub struct IssueCollector<'a> {
    written: &'a Value,
    issues: Vec<Issue>,
    warnings: Vec<Issue>,
    /// The places of the issues when [`Self::settle`] was called. `None` before.
    settled: Option<SettledPlaces>,
    /// How many more names may be suggested.
    suggestions_left: usize,
    /// Paths of the strings that have a missing or invalid variable and therefore disable a
    /// deployment or a client.
    unusable: BTreeSet<String>,
    /// The first variable that disables a deployment or a client, by section and name.
    disabled: BTreeMap<(String, String), String>,
}

/// The places of issues. A document may have thousands, and each later issue is compared with them.
#[derive(Debug, Default)]
struct SettledPlaces {
    /// The paths of the issues.
    paths: BTreeSet<String>,
    /// For misspelt keys: the paths of the keys that were meant.
    meant: BTreeSet<String>,
}

impl SettledPlaces {
    fn of(issues: &[Issue]) -> Self {
        let meant = issues.iter().filter_map(|issue| {
            let (parent, _) = issue.path.rsplit_once('.')?;
            Some(format!("{parent}.{}", issue.nearest.as_ref()?))
        });
        Self { paths: sorted::set(issues.iter().map(|issue| issue.path.clone())), meant: sorted::set(meant) }
    }

    /// Whether there is an issue with this place, with what it is in, or with an element of this
    /// list.
    fn cover(&self, path: &str) -> bool {
        let outer = path.match_indices(['.', '[']).filter_map(|(end, _)| path.get(..end));
        let elements = format!("{path}[");
        self.meant.contains(path)
            || outer.chain([path]).any(|path| self.paths.contains(path))
            || self.paths.range(elements.clone()..).next().is_some_and(|first| first.starts_with(&elements))
    }
}

impl<'a> IssueCollector<'a> {
    /// Creates a collector without issues for the document as it is written.
    pub fn new(written: &'a Value) -> Self {
        Self {
            written,
            issues: Vec::new(),
            warnings: Vec::new(),
            settled: None,
            suggestions_left: MAX_SUGGESTIONS,
            unusable: BTreeSet::new(),
            disabled: BTreeMap::new(),
        }
    }

    /// The document as it is written.
    pub fn written(&self) -> &'a Value {
        self.written
    }

    /// Refuses the value at a place. If the value comes from a variable and belongs to a deployment
    /// or a client, this is a warning and disables that entry. Otherwise it is an issue.
    pub fn refuse(&mut self, at: At<'_>, expected: impl Into<String>) {
        self.refuse_value(at, expected, None);
    }

    /// Refuses a name that is not in `valid`. The value of a variable is treated as in
    /// [`Self::refuse`].
    pub fn refuse_name<'n>(
        &mut self,
        at: At<'_>,
        name: &str,
        expected: impl Into<String>,
        valid: impl IntoIterator<Item = &'n str>,
    ) {
        let nearest = self.nearest(name, valid);
        self.refuse_value(at, expected, nearest);
    }

    /// The name in `valid` that was probably meant; `None` after many suggestions.
    pub fn nearest<'n>(&mut self, word: &str, valid: impl IntoIterator<Item = &'n str>) -> Option<String> {
        self.suggestions_left = self.suggestions_left.checked_sub(1)?;
        nearest(word, valid)
    }

    fn refuse_value(&mut self, at: At<'_>, expected: impl Into<String>, nearest: Option<String>) {
        let Some((variable, consequence)) = self.variable(at).zip(consequence(at)) else {
            return self.refuse_found(at, self.found(at), expected, nearest);
        };
        if !self.is_unusable(at) {
            self.disable(at, variable, expected, format!("until {variable} has such a value, {consequence}"));
        }
    }

    /// The variable from which the value at a place comes. `None` before [`Self::settle`]: until
    /// then the values are those of the document as it is written.
    fn variable(&self, at: At<'_>) -> Option<&'a str> {
        self.settled.as_ref()?;
        placeholder::first_variable(at.find(self.written)?.as_str()?)
    }

    /// Reports a variable that is not set: a warning if it disables a deployment or a client, else
    /// an issue.
    pub fn miss(&mut self, at: At<'_>, variable: &str) {
        let expected = format!("the variable {variable} to be set");
        match consequence(at) {
            Some(consequence) => self.disable(at, variable, expected, format!("until then {consequence}")),
            None => self.refuse_found(at, self.found(at), expected, None),
        }
    }

    fn disable(&mut self, at: At<'_>, variable: &str, expected: impl Into<String>, note: String) {
        self.warn_always(at, "unusable_variable", expected, note);
        self.unusable.insert(at.to_string());
        if !is_one_of_keys(at) {
            self.disable_entry(at, variable);
        }
    }

    /// Disables the deployment or the client at this place, because this variable has no valid
    /// value.
    pub fn disable_entry(&mut self, at: At<'_>, variable: &str) {
        if let Some((section, name)) = at.entry() {
            self.disabled.entry((section.to_owned(), name.to_owned())).or_insert_with(|| variable.to_owned());
        }
    }

    /// Whether the value at this place disables its deployment or client. Further issues and
    /// warnings about it are then not reported.
    pub fn is_unusable(&self, at: At<'_>) -> bool {
        // If all variables are valid, this avoids the cost of building the path.
        !self.unusable.is_empty() && self.unusable.contains(&at.to_string())
    }

    /// The variable that disables an entry of a section.
    pub fn disabled(&self, section: &str, name: &str) -> Option<&str> {
        self.disabled.get(&(section.to_owned(), name.to_owned())).map(String::as_str)
    }

    /// Refuses a key, independent of its value.
    pub fn refuse_key(&mut self, at: At<'_>, expected: impl Into<String>, nearest: Option<String>) {
        let found = format!("the key {}", quoted(at.last_key().unwrap_or_default()));
        self.refuse_found(at, found, expected, nearest);
    }

    /// Refuses what is written, with a `found` text from the caller.
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
            self.issues.push(Issue { code: None, path, found, expected, nearest, note: None });
        }
    }

    /// Adds an issue for each key that an object has twice.
    pub fn refuse_duplicates(&mut self, paths: Vec<String>) {
        let issue = |path| Issue { path, ..Issue::of_document("this key more than once", "each key once") };
        self.issues.extend(paths.into_iter().map(issue));
    }

    /// Adds a warning: the document is valid but may not work as its author intends.
    pub fn warn(
        &mut self,
        at: At<'_>,
        code: &'static str,
        expected: impl Into<String>,
        note: impl Into<String>,
    ) {
        if !self.is_unusable(at) {
            self.warn_always(at, code, expected, note);
        }
    }

    fn warn_always(
        &mut self,
        at: At<'_>,
        code: &'static str,
        expected: impl Into<String>,
        note: impl Into<String>,
    ) {
        let (path, found, expected) = (at.to_string(), self.found(at), expected.into());
        let code = Some(code);
        self.warnings.push(Issue { code, path, found, expected, nearest: None, note: Some(note.into()) });
    }

    /// Marks the end of the checks of the document as it is written. From here on the values are
    /// those of the variables. A later issue at a place that already has one is only its
    /// consequence and is dropped.
    pub fn settle(&mut self) {
        self.settled = Some(SettledPlaces::of(&self.issues));
    }

    /// Whether this place, or an element of this list, had an issue when [`Self::settle`] was
    /// called.
    pub fn is_settled(&self, path: &str) -> bool {
        self.settled.as_ref().is_some_and(|settled| settled.cover(path))
    }

    /// Returns the warnings.
    ///
    /// # Errors
    /// The issues, if there are any.
    pub fn finish(self) -> Result<Vec<Issue>, Vec<Issue>> {
        if self.issues.is_empty() { Ok(self.warnings) } else { Err(self.issues) }
    }

    /// The issues of a document that has no valid part.
    pub fn into_issues(self) -> Vec<Issue> {
        self.issues
    }

    /// Describes the value at a place with a text that is safe to print.
    pub fn found(&self, at: At<'_>) -> String {
        let Some(value) = at.find(self.written) else { return "nothing".to_owned() };
        let is_secret = matches!(
            at.innermost_key(),
            Some("api_key" | "key" | "secret" | "client_secret" | "assertion" | "token" | "url")
        );
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

/// The consequence of an invalid value. `None` if the place is not in an entry that can be
/// disabled.
fn consequence(at: At<'_>) -> Option<&'static str> {
    match at.entry() {
        Some(("deployments", _)) if is_one_of_keys(at) => Some("this key of the list is not used"),
        Some(("deployments", _)) => Some("this deployment takes no traffic"),
        Some(("clients", _)) => Some("nobody can call as this client"),
        _ => None,
    }
}

/// Whether this is an element of a list of keys. Without it, the deployment still has the others.
fn is_one_of_keys(at: At<'_>) -> bool {
    matches!(at, At::Index(At::Key(_, "api_key"), _))
}

/// The text in quotes. A long text is shortened.
pub fn quoted(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST).and_then(|(end, _)| text.get(..end)) {
        Some(start) => format!("{:?}", format!("{start}…")),
        None => format!("{text:?}"),
    }
}

/// The name in `valid` that is most similar to `word`, if it is probably meant: it differs by a
/// typing error, or one contains the other (`azure_deployment` and `deployment`).
pub fn nearest<'n>(word: &str, valid: impl IntoIterator<Item = &'n str>) -> Option<String> {
    // Valid names are shorter. The limit is needed because the time for the distance grows with the
    // product of the lengths.
    const LONGEST: usize = 128;
    // The sum of these products for all names. Clients can cause this search too.
    const MOST_STEPS: usize = 1_000_000;
    if word.len() > LONGEST {
        return None;
    }
    let mut steps = 0;
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
        // Ranks after every typing error. A common beginning ranks first (`azure-openai` means
        // `azure`), then a longer common part.
        let far = if longer.starts_with(shorter.as_str()) { 2 * LONGEST } else { 3 * LONGEST };
        (shorter.len() >= 4 && longer.contains(shorter.as_str())).then(|| (far - shorter.len(), name))
    };
    valid
        .into_iter()
        .filter(|name| name.len() <= LONGEST)
        .take_while(|name| {
            steps += (word.len() + 1) * (name.len() + 1);
            steps <= MOST_STEPS
        })
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
        assert_eq!(nearest("azure-openai", ["openai", "azure"]).as_deref(), Some("azure"));
        for (word, expected) in [
            ("api-key", Some("api_key")),
            ("modle", Some("model")),
            ("Endpoint", Some("endpoint")),
            // The name is a part of LiteLLM's key.
            ("azure_deployment", Some("deployment")),
            ("banana", None),
            // A name of one letter is one typing error away from any other letter.
            ("x", None),
        ] {
            assert_eq!(nearest(word, keys).as_deref(), expected, "{word}");
        }
    }
}
