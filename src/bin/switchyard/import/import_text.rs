//! What the importer says to people: the report, and where a file is not YAML.

use std::path::Path;

use super::import_notes::{ImportNote, ImportNotes, KeyFate};
use super::yaml_tree::YamlError;

/// Prints what is not the same, and what has to be set.
pub fn print_report(file: &str, notes: &ImportNotes) {
    for (fate, title) in [
        (KeyFate::NoEquivalent, "has no equivalent"),
        (KeyFate::Approximated, "is not quite the same"),
        (KeyFate::NotNeeded, "is not needed"),
    ] {
        // What is said of many rows is said once.
        let mut same: Vec<(&ImportNote, Vec<usize>)> = Vec::new();
        for note in notes.notes.iter().filter(|note| note.fate == fate) {
            let general = general_key(&note.key);
            let like = same
                .iter_mut()
                .find(|(known, _)| known.note == note.note && general_key(&known.key) == general);
            match like {
                Some((_, lines)) => lines.push(note.line),
                None => same.push((note, vec![note.line])),
            }
        }
        if !same.is_empty() {
            eprintln!("\nWhat {title}:");
        }
        for (note, lines) in same {
            let (key, more) = match lines.as_slice() {
                [] | [_] => (note.key.clone(), String::new()),
                [_, others @ ..] => {
                    let shown: Vec<String> = others.iter().take(5).map(ToString::to_string).collect();
                    let rest = if others.len() > 5 { ", …" } else { "" };
                    let times = others.len();
                    let lines = format!(" ({times} more: {}{rest})", shown.join(", "));
                    (general_key(&note.key), lines)
                }
            };
            eprintln!("  {file}:{}: {key}{more}: {}", note.line, note.note);
        }
    }
    if !notes.variables.is_empty() {
        eprintln!("\nVariables to set, each with `npx wrangler secret put NAME`, locally in .dev.vars:");
    }
    for (name, purpose) in &notes.variables {
        eprintln!("  {name}: {purpose}");
    }
}

/// A key without the places in lists.
fn general_key(key: &str) -> String {
    let mut parts = key.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "[]" + part.split_once(']').map_or("", |(_, after)| after))
}

/// What usually causes an error of the YAML parser.
fn help_with(problem: &str, line: &str) -> Option<&'static str> {
    let value = line.split_once(": ").map_or(line, |(_, value)| value).trim_start();
    let causes: [(&str, &str); 9] = [
        ("tab", "YAML is indented with spaces, not with tabs."),
        (
            "mapping values are not allowed",
            "The line before lacks the `:` after its key, or a value with `: ` in it lacks quotes.",
        ),
        ("anchor or alias", "A value that begins with `*` needs quotes: `model_name: \"*\"`."),
        ("unknown anchor", "`*NAME` repeats what `&NAME` marks further above."),
        ("unexpected character", "A value that begins with `@`, `` ` `` or `%` needs quotes."),
        (
            "expected ',' or",
            "A `{` or `[` is not closed before this place, a `,` is missing, or a value with `: ` in it lacks quotes.",
        ),
        (
            "expected key",
            "The line is indented neither as the lines before it nor deeper, or an entry before it is not complete.",
        ),
        ("expected '-' indicator", "The line is indented as a list, and does not begin with `- `."),
        ("quoted scalar", "A quotation mark further above is not closed."),
    ];
    if value.starts_with('*') && !problem.contains("unknown anchor") {
        return causes.iter().find(|(part, _)| *part == "anchor or alias").map(|(_, help)| *help);
    }
    causes.iter().find(|(part, _)| problem.contains(part)).map(|(_, help)| *help)
}

/// An error with its place and its line. A line may hold a secret, so that only its shape is shown.
pub fn snippet(file: &Path, text: &str, error: &YamlError) -> String {
    let line = text.lines().nth(error.line.saturating_sub(1)).unwrap_or_default();
    let (key, value) = line.split_once(':').unwrap_or(("", line));
    let hidden = if value.trim().is_empty() { "" } else { " …" };
    let shown = if line.contains(':') { format!("{key}:{hidden}") } else { hidden.trim_start().to_owned() };
    let number = error.line.to_string();
    let margin = " ".repeat(number.len());
    let column = error.column.min(key.chars().count() + 3);
    format!(
        "error: {}\n{margin}--> {}:{}:{}\n{margin} |\n{number} | {shown}\n{margin} | {}^\n",
        error.problem,
        file.display(),
        error.line,
        error.column,
        " ".repeat(column.saturating_sub(1)),
    ) + &help_with(&error.problem, line).map_or_else(String::new, |help| format!("{margin} = help: {help}\n"))
}
