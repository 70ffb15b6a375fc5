//! Pictures of a routes document.
//!
//! [`picture`] makes boxes and arrows of the compiled graph. [`mermaid`] and [`svg`] write them.
//! None of this is in the Worker.

mod condition_text;
pub mod mermaid;
pub mod picture;
pub mod svg;

/// The text with at most `most` characters. What is left out shows as `…`. Control characters are
/// spaces.
fn shortened(text: &str, most: usize) -> String {
    let plain = |character: char| if is_control(character) { ' ' } else { character };
    if text.chars().count() <= most {
        return text.chars().map(plain).collect();
    }
    text.chars().take(most.saturating_sub(1)).map(plain).chain(['…']).collect()
}

/// Whether the character is none that people see: a control character, a line separator, one that
/// turns the direction of the text, or one that XML does not allow.
fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(character, '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn long_texts_are_cut_and_control_characters_are_spaces() {
        for (text, most, expected) in [
            ("chat", 4, "chat"),
            ("chats", 4, "cha…"),
            ("🚂🚃🚄", 3, "🚂🚃🚄"),
            ("🚂🚃🚄🚅", 3, "🚂🚃…"),
            ("a\nb\u{0}c\u{202e}d", 9, "a b c d"),
            ("", 3, ""),
        ] {
            assert_eq!(shortened(text, most), expected, "{text:?}");
        }
    }
}
