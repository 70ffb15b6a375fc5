//! Numbers as decimal text.
//!
//! For what every request writes: its log line, its data point, its headers. The formatting of the
//! standard library (`format!`) reads a description of each number and calls its function through a
//! pointer, which is more work for the same text.

/// Adds a number to a text.
pub fn push(text: &mut String, number: u64) {
    push_padded(text, number, 1);
}

/// Adds a number with at least so many digits: zeros before it fill them.
pub fn push_padded(text: &mut String, number: u64, digits: usize) {
    let mut buffer = itoa::Buffer::new();
    let number = buffer.format(number);
    for _ in number.len()..digits {
        text.push('0');
    }
    text.push_str(number);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{push, push_padded};

    proptest! {
        #[test]
        fn numbers_are_written_as_the_standard_library_writes_them(number: u64, digits in 0..25_usize) {
            let mut text = String::new();
            push(&mut text, number);
            text.push(' ');
            push_padded(&mut text, number, digits);
            prop_assert_eq!(text, format!("{number} {number:0digits$}"));
        }
    }
}
