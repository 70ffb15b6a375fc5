//! Errors and warnings with their place in the file, as rustc shows them.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use switchyard::routes::{Issue, SourceMap};

/// A routes document as a file.
pub struct SourceFile<'a> {
    name: &'a str,
    map: SourceMap,
    /// The text, without what may be a credential.
    masked: String,
}

impl<'a> SourceFile<'a> {
    /// The file of this name with this text.
    pub fn new(name: &'a str, document: &str) -> Self {
        let map = SourceMap::of(document);
        let masked = map.masked(document);
        Self { name, map, masked }
    }

    /// The line and the column at which an issue begins, from 1.
    pub fn place(&self, issue: &Issue) -> (usize, usize) {
        let before = self.masked.get(..self.span(issue).start).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }

    /// The issue with the line of the document. `level`: `error` or `warning`.
    pub fn text(&self, issue: &Issue, is_error: bool, is_coloured: bool) -> String {
        let level = if is_error { Level::ERROR } else { Level::WARNING };
        let span = self.span(issue);
        let (line, _) = self.place(issue);
        let start =
            self.masked.get(..span.start).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
        let length = |text: &str| text.find('\n').unwrap_or(text.len());
        // The rest of a line that is no JSON may hold a credential.
        let end = match syntax_error(issue) {
            Some(_) => span.end,
            None => start + self.masked.get(start..).map_or(0, length),
        };
        let source = self.masked.get(start..end).unwrap_or_default();
        let within = span.start - start..span.end.clamp(span.start, end.max(span.start)) - start;
        let title = format!("{}: found {}, expected {}", issue.path, issue.found, issue.expected);
        let mut title = level.primary_title(title);
        if let Some(code) = issue.code {
            title = title.id(code);
        }
        let snippet = Snippet::source(source).line_start(line).path(self.name);
        let mut group = title.element(snippet.annotation(AnnotationKind::Primary.span(within)));
        if let Some(nearest) = &issue.nearest {
            group = group.element(Level::HELP.message(format!("did you mean {nearest:?}?")));
        }
        if let Some(note) = &issue.note {
            group = group.element(Level::NOTE.message(note.as_str()));
        }
        let renderer = if is_coloured { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }

    /// The bytes of the document that an issue is about. They end at the borders of characters.
    fn span(&self, issue: &Issue) -> Range<usize> {
        if let Some((line, column)) = syntax_error(issue) {
            let lines = self.masked.split_inclusive('\n');
            let before: usize = lines.take(line.saturating_sub(1)).map(str::len).sum();
            let rest = self.masked.get(before..).unwrap_or_default();
            let within = rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
            let start = before + within;
            let wide = self.masked.get(start..).and_then(|rest| rest.chars().next());
            return start..start + wide.filter(|found| *found != '\n').map_or(0, char::len_utf8);
        }
        self.map.span(&issue.path, issue.found.starts_with("the key ")).unwrap_or(0..0)
    }
}

/// The line and the column that an error of the JSON parser names.
fn syntax_error(issue: &Issue) -> Option<(usize, usize)> {
    let (_, place) = issue.found.rsplit_once(" at line ").filter(|_| issue.path == "$")?;
    let (line, column) = place.split_once(" column ")?;
    Some((line.parse().ok()?, column.parse().ok()?))
}
