//! Pictures as Mermaid text, which GitHub and many editors draw.

use std::fmt::Write;

use super::picture::{ArrowKind, BoxKind, Picture, PictureBox, ShownState};
use super::shortened;

/// The most characters of a name or of a line below it.
const MOST_CHARACTERS: usize = 60;

/// More edges than this are not drawn where Mermaid has its usual settings, as on GitHub.
pub const MOST_EDGES: usize = 500;

/// The most characters of a text that Mermaid draws with its usual settings.
pub const MOST_TEXT: usize = 50_000;

/// The picture as Mermaid text.
pub fn mermaid(picture: &Picture) -> String {
    let mut text = format!("%% routes {}\nflowchart LR\n", escaped(&picture.version));
    for found in &picture.nodes {
        let (open, close) = brackets(found.kind);
        // Writing to a string cannot fail.
        let _ = write!(text, "  {}{open}\"{}\"{close}", found.id, label_of(found));
        if let Some(state) = found.state {
            let _ = write!(text, ":::{}", state.name());
        }
        text.push('\n');
    }
    for arrow in &picture.edges {
        let line = if arrow.kind == ArrowKind::On { "-.->" } else { "-->" };
        let _ = write!(text, "  {} {line}", arrow.from);
        if !arrow.label.is_empty() {
            let _ = write!(text, "|\"{}\"|", escaped(&shortened(&arrow.label, MOST_CHARACTERS)));
        }
        let _ = writeln!(text, " {}", arrow.to);
    }
    for state in ShownState::ALL {
        if picture.nodes.iter().any(|found| found.state == Some(state)) {
            let (fill, stroke) = colours(state);
            let _ = writeln!(text, "  classDef {} fill:{fill},stroke:{stroke},color:#1f2328", state.name());
        }
    }
    text
}

/// The shape of a box.
fn brackets(kind: BoxKind) -> (&'static str, &'static str) {
    match kind {
        BoxKind::Rule => ("{{", "}}"),
        BoxKind::Settings => ("[[", "]]"),
        BoxKind::Model => ("([", "])"),
        BoxKind::InlineNode => ("(", ")"),
        BoxKind::Deployment => ("[", "]"),
    }
}

/// The fill and the frame for a state.
pub(super) fn colours(state: ShownState) -> (&'static str, &'static str) {
    match state {
        ShownState::Serving => ("#dafbe1", "#1a7f37"),
        ShownState::Probation => ("#fff8c5", "#9a6700"),
        ShownState::Ejected => ("#ffebe9", "#cf222e"),
        ShownState::Drained => ("#ddf4ff", "#0969da"),
        ShownState::Disabled => ("#eaeef2", "#6e7781"),
    }
}

fn label_of(found: &PictureBox) -> String {
    let state = found.state.filter(|state| *state != ShownState::Serving).map(ShownState::name);
    let lines =
        [found.name.as_str()].into_iter().chain(found.details.iter().map(String::as_str)).chain(state);
    lines.map(|line| escaped(&shortened(line, MOST_CHARACTERS))).collect::<Vec<_>>().join("<br/>")
}

/// The text between quotes. What Mermaid or HTML could read as anything else is written as its
/// number: `#35;`. Mermaid also looks for `style` with a colon, and for comments, inside of quotes.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        let is_plain = character.is_ascii_alphanumeric() || " -_./,=()[]|?+".contains(character);
        if is_plain || !character.is_ascii() {
            escaped.push(character);
        } else {
            let _ = write!(escaped, "#{};", u32::from(character));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn texts_cannot_end_their_quotes_or_be_read_as_html() {
        for (text, expected) in [
            ("gpt-4o (eu) [1]", "gpt-4o (eu) [1]"),
            ("a\"b", "a#34;b"),
            ("<b>&amp;", "#60;b#62;#38;amp#59;"),
            ("#35;", "#35;35#59;"),
            ("`md`", "#96;md#96;"),
            ("%%{init}%%", "#37;#37;#123;init#125;#37;#37;"),
            ("ünï 🚂", "ünï 🚂"),
        ] {
            assert_eq!(escaped(text), expected, "{text}");
        }
    }
}
