//! The state of a compilation, and what every part of it asks for.

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
    /// The deployments that could be read.
    pub(super) deployments: BTreeMap<&'a str, Rc<Deployment>>,
    /// The named nodes that were built; `None` where that failed.
    pub(super) nodes: BTreeMap<&'a str, Option<Rc<Node>>>,
    /// The named nodes that are being built, outermost first.
    pub(super) under_way: Vec<&'a str>,
    /// How deep in nodes the one that is being built is.
    pub(super) depth: usize,
    /// Whether somewhere the nesting was too deep.
    pub(super) is_too_deep: bool,
    /// What hangs below each node, by its id.
    pub(super) sizes: Vec<SubtreeSize>,
    pub(super) reads: Reads,
    pub(super) prefixes: Vec<String>,
}

impl<'a> Compiler<'a> {
    /// The names in a section of the document as it is written: also of what could not be read, so that one fault does not
    /// make a second one of every place that mentions it.
    pub(super) fn declared(&self, section: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let section = self.report.written().get(section).and_then(serde_json::Value::as_object);
        section.into_iter().flat_map(|entries| entries.keys().map(String::as_str))
    }

    pub(super) fn is_declared(&self, section: &str, name: &str) -> bool {
        self.report.written().get(section).is_some_and(|entries| entries.get(name).is_some())
    }

    /// The value of a secret; `None` where its variable is missing or of no use, or it is not one variable.
    pub(super) fn secret(&mut self, expanded: &str, at: At<'_>) -> Option<Secret> {
        let written = at.find(self.report.written()).and_then(serde_json::Value::as_str).unwrap_or_default();
        if sole_variable(written).is_none() {
            let expected =
                "exactly one variable, such as \"${OPENAI_API_KEY}\": secrets stay out of the document";
            self.report.refuse_found(at, self.report.found(at), expected, None);
            return None;
        }
        self.header_value(expanded, at);
        (!self.report.is_useless(at)).then(|| Secret::new(expanded))
    }

    /// Refuses what could not be sent as a header.
    pub(super) fn header_value(&mut self, value: &str, at: At<'_>) {
        if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.report.refuse(at, "a value that fits a header: visible ASCII, no spaces");
        }
    }
}
