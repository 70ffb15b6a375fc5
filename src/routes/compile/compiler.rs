//! The state of a compilation, and the functions that all its parts use.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::size::SubtreeSize;
use crate::routes::at::At;
use crate::routes::graph::{Deployment, Node, Secret};
use crate::routes::issue::IssueCollector;
use crate::routes::placeholder::sole_variable;
use crate::routes::raw::RawDocument;
use crate::routes::reads::Reads;

/// The state of one compilation.
pub(super) struct Compiler<'a> {
    pub(super) raw: &'a RawDocument,
    pub(super) report: IssueCollector<'a>,
    /// The deployments that passed the shape check.
    pub(super) deployments: BTreeMap<&'a str, Rc<Deployment>>,
    /// The named nodes built so far; `None` if a node has an issue.
    pub(super) nodes: BTreeMap<&'a str, Option<Rc<Node>>>,
    /// The named nodes under construction, outermost first. A reference to one of them is a cycle.
    pub(super) in_progress: Vec<&'a str>,
    /// The number of nodes around the one under construction.
    pub(super) depth: usize,
    /// Whether the nesting was too deep somewhere. The issue is reported once.
    pub(super) is_too_deep: bool,
    /// The size of the subtree below each node, by node id.
    pub(super) sizes: Vec<SubtreeSize>,
    pub(super) reads: Reads,
    pub(super) prefixes: Vec<String>,
}

impl<'a> Compiler<'a> {
    /// The state before anything is compiled.
    pub(super) fn of(raw: &'a RawDocument, report: IssueCollector<'a>) -> Self {
        Self {
            raw,
            report,
            deployments: BTreeMap::new(),
            nodes: BTreeMap::new(),
            in_progress: Vec::new(),
            depth: 0,
            is_too_deep: false,
            sizes: Vec::new(),
            reads: Reads::default(),
            prefixes: Vec::new(),
        }
    }

    /// The names in a section of the document as it is written. Entries that failed the shape check
    /// are included, so that one mistake does not cause a second issue at every reference to the
    /// entry.
    pub(super) fn declared(&self, section: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let section = self.report.written().get(section).and_then(serde_json::Value::as_object);
        section.into_iter().flat_map(|entries| entries.keys().map(String::as_str))
    }

    pub(super) fn is_declared(&self, section: &str, name: &str) -> bool {
        self.report.written().get(section).is_some_and(|entries| entries.get(name).is_some())
    }

    /// The value of a secret for an upstream. `None` if its variable is missing or invalid, or if
    /// the text is not exactly one variable.
    pub(super) fn secret(&mut self, expanded: &str, at: At<'_>) -> Option<Secret> {
        self.checked_secret(expanded, at, Self::header_value)
    }

    /// The same for the key of a client. People choose such keys, so any printable character may be
    /// in one. Values of variables have no space at either end, which a header would lose.
    pub(super) fn client_key(&mut self, expanded: &str, at: At<'_>) -> Option<Secret> {
        self.checked_secret(expanded, at, |compiler, key, at| {
            if key.chars().any(char::is_control) {
                compiler.report.refuse(at, "printable characters alone");
            }
        })
    }

    /// The value of a secret, if `check` reports no issue with it.
    pub(super) fn checked_secret(
        &mut self,
        expanded: &str,
        at: At<'_>,
        check: impl FnOnce(&mut Self, &str, At<'_>),
    ) -> Option<Secret> {
        let written = at.find(self.report.written()).and_then(serde_json::Value::as_str).unwrap_or_default();
        if sole_variable(written).is_none() {
            let expected =
                "exactly one variable, such as \"${OPENAI_API_KEY}\": secrets stay out of the document";
            self.report.refuse_found(at, self.report.found(at), expected, None);
            return None;
        }
        check(self, expanded, at);
        (!self.report.is_unusable(at)).then(|| Secret::new(expanded))
    }

    /// Refuses a value that cannot be sent in a header.
    pub(super) fn header_value(&mut self, value: &str, at: At<'_>) {
        if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.report.refuse(at, "a value that fits a header: visible ASCII, no spaces");
        }
    }
}
