//! The check of a routes document before it serves, and its presentation.

use std::fmt::Write as _;

use serde::Serialize;
use switchyard::routes::graph::Graph;
use switchyard::routes::{Issue, compile, doubts};

use crate::output::{counted, is_error_coloured};
use crate::snippets::SourceFile;

/// Why a command cannot use a document: each of its errors with its line, after what follows from
/// them (`consequence`). For the standard error.
pub fn refusal(file: &str, document: &str, errors: &[Issue], consequence: &str) -> String {
    let source = SourceFile::new(file, document);
    let coloured = is_error_coloured();
    let errors: Vec<String> = errors.iter().map(|error| source.text(error, true, coloured)).collect();
    format!("{file}: it has errors, so that {consequence}\n\n{}", errors.join("\n\n"))
}

/// A document with what was found in it.
pub struct DocumentCheck<'a> {
    file: &'a str,
    source: SourceFile<'a>,
    /// Why it would not serve.
    pub errors: Vec<Issue>,
    /// What is valid and probably not meant.
    pub warnings: Vec<Issue>,
    /// The graph of a document without errors.
    pub graph: Option<Graph>,
}

/// What `--json` prints.
#[derive(Serialize)]
pub struct CheckReport<'a> {
    file: &'a str,
    /// Whether the document would serve.
    good: bool,
    /// The version of a good document.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    errors: Vec<PlacedIssue<'a>>,
    warnings: Vec<PlacedIssue<'a>>,
}

/// An issue with its place in the file.
#[derive(Serialize)]
struct PlacedIssue<'a> {
    line: usize,
    column: usize,
    #[serde(flatten)]
    issue: &'a Issue,
}

impl<'a> DocumentCheck<'a> {
    /// Checks the text of a file. `env` returns the values of variables.
    pub fn new(file: &'a str, document: &str, env: &dyn Fn(&str) -> Option<String>) -> Self {
        let (errors, warnings, graph) = match compile(document, env) {
            Ok(compiled) => {
                let warnings = [compiled.warnings, doubts(&compiled.graph, env)].concat();
                (Vec::new(), warnings, Some(compiled.graph))
            }
            Err(errors) => (errors, Vec::new(), None),
        };
        Self { file, source: SourceFile::new(file, document), errors, warnings, graph }
    }

    /// What was found, for programs.
    pub fn report(&self) -> CheckReport<'_> {
        let placed = |issue| {
            let (line, column) = self.source.place(issue);
            PlacedIssue { line, column, issue }
        };
        CheckReport {
            file: self.file,
            good: self.graph.is_some(),
            version: self.graph.as_ref().map(|graph| graph.version.as_str()),
            errors: self.errors.iter().map(placed).collect(),
            warnings: self.warnings.iter().map(placed).collect(),
        }
    }

    /// An issue with its line of the document, which was perhaps found elsewhere.
    pub fn issue(&self, issue: &Issue, is_error: bool, is_coloured: bool) -> String {
        format!("{}\n\n", self.source.text(issue, is_error, is_coloured))
    }

    /// What was found, for people: each issue with its line, then a line about the whole.
    pub fn text(&self, is_coloured: bool) -> String {
        let errors = self.errors.iter().map(|issue| self.issue(issue, true, is_coloured));
        let warnings = self.warnings.iter().map(|issue| self.issue(issue, false, is_coloured));
        let mut text: String = errors.chain(warnings).collect();
        let file = self.file;
        let _ = match &self.graph {
            Some(graph) => {
                let deployments = counted(graph.deployments.len(), "deployment");
                let models = counted(graph.models.len(), "model");
                let warnings = match self.warnings.len() {
                    0 => String::new(),
                    count => format!(", {}", counted(count, "warning")),
                };
                writeln!(text, "{file}: good: {deployments}, {models}, version {}{warnings}", graph.version)
            }
            None => writeln!(text, "{file}: {} to put right", counted(self.errors.len(), "thing")),
        };
        text
    }
}
