//! What a command prints.

use std::fmt::Arguments;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use serde_json::json;

/// Prints to the standard output. Whoever reads it may have gone, as `head` does. Then nobody
/// misses the rest, and the exit code stays that of the command.
pub fn say(text: Arguments<'_>) {
    let _ = std::io::stdout().lock().write_fmt(text);
}

/// Why a command has no result: as text on the standard error, and as JSON on the standard output
/// if that was asked for. `code`: a name for programs. Returns the exit code.
pub fn failed(code: &str, why: &str, exit_code: u8, as_json: bool) -> ExitCode {
    let why = why.trim();
    if as_json {
        // The lines of the file that may follow are for people.
        let message = why.split("\n\n").next().unwrap_or(why);
        say(format_args!("{:#}\n", json!({ "error": { "code": code, "help": "", "message": message } })));
    }
    eprintln!("{why}");
    ExitCode::from(exit_code)
}

/// Whether the output has colours: only on a terminal, and not if `NO_COLOR` is set.
pub fn is_coloured() -> bool {
    may_have_colours(&std::io::stdout())
}

/// The same for the standard error.
pub fn is_error_coloured() -> bool {
    may_have_colours(&std::io::stderr())
}

fn may_have_colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// `1 deployment`, `2 deployments`.
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Words in a colour or in bold, for a terminal.
pub fn painted(code: &str, words: &str, is_coloured: bool) -> String {
    if is_coloured { format!("\u{1b}[{code}m{words}\u{1b}[0m") } else { words.to_owned() }
}

/// Bold, for names that matter.
pub const BOLD: &str = "1";
/// Green: what is there, or works.
pub const GREEN: &str = "32";
/// Red: what is gone, or does not work.
pub const RED: &str = "31";
/// Yellow: what passes.
pub const YELLOW: &str = "33";

/// A text from elsewhere as one line. Control characters could do things to a terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|found| if found.is_control() { ' ' } else { found }).collect()
}

/// Columns under their heads, each as wide as its widest cell. The last one is not padded. Cells
/// are painted after they are padded: `paint` gets the row and the column.
pub fn table(
    heads: &[&str],
    rows: &[Vec<String>],
    paint: impl Fn(usize, usize) -> Option<&'static str>,
    is_coloured: bool,
) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(heads.get(column).map(|head| head.len())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let padded = |column: usize, cell: &str| match widths.get(column) {
        Some(width) if column + 1 < heads.len() => format!("{cell:width$}"),
        _ => cell.to_owned(),
    };
    let mut text = String::new();
    let mut line = |cells: Vec<String>| {
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    };
    line(
        heads
            .iter()
            .enumerate()
            .map(|(column, head)| painted(BOLD, &padded(column, head), is_coloured))
            .collect(),
    );
    for (number, row) in rows.iter().enumerate() {
        let row: Vec<String> = row.iter().map(|cell| printable(cell)).collect();
        let cells = row.iter().enumerate().map(|(column, cell)| match paint(number, column) {
            Some(code) => painted(code, &padded(column, cell), is_coloured),
            None => padded(column, cell),
        });
        line(cells.collect());
    }
    text
}

/// Says on a terminal what takes long, until it is dropped.
pub struct Progress {
    is_shown: bool,
}

impl Progress {
    /// Begins something.
    pub fn of(what: &str) -> Self {
        let is_shown = std::io::stderr().is_terminal();
        if is_shown {
            let mut stderr = std::io::stderr().lock();
            let _ = write!(stderr, "{what} …");
            let _ = stderr.flush();
        }
        Self { is_shown }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(std::io::stderr().lock(), "\r\u{1b}[2K");
        }
    }
}

/// Asks a question on the terminal. `None` if there is nobody to ask.
pub fn confirmed(question: &str) -> Option<bool> {
    if !std::io::stdin().is_terminal() {
        return None;
    }
    let mut stderr = std::io::stderr().lock();
    let _ = write!(stderr, "{question} [y/N] ");
    let _ = stderr.flush();
    let mut answer = String::new();
    let _ = std::io::stdin().read_line(&mut answer);
    Some(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_are_as_wide_as_their_cells_and_lines_end_with_them() {
        let rows = [vec!["é".to_owned(), "two".to_owned()], vec!["three".to_owned(), String::new()]];
        assert_eq!(table(&["a", "b"], &rows, |_, _| None, false), "a      b\né      two\nthree\n");
        let painted = table(&["a", "b"], &rows, |row, column| (row + column == 0).then_some("32"), true);
        let evil = table(&["a", "b"], &[vec!["\u{1b}[2J\n".to_owned(), String::new()]], |_, _| None, false);
        assert_eq!(evil, "a      b\n [2J\n");
        assert!(painted.contains("\u{1b}[32mé    \u{1b}[0m  two\n"), "{painted:?}");
    }
}
