//! The number of output tokens that an answer declares.

use crate::scan::needle::Needle;

/// The names of the output size: in chat completions and completions, and in responses.
static NAMES: [Needle; 2] = [Needle::of("\"completion_tokens\""), Needle::of("\"output_tokens\"")];

/// The number of output tokens, if the text has a `usage` with one. The last match counts, because
/// the text of the model comes before `usage`.
pub fn output_tokens(json: &[u8]) -> Option<u64> {
    NAMES.iter().find_map(|name| {
        let digits = name.values_in(json).last()?;
        let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
        std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_the_output_is_found_in_each_protocol() {
        for (json, tokens) in [
            (
                r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}}"#,
                Some(12),
            ),
            (r#"{"usage": {"input_tokens": 9, "output_tokens": 7, "output_tokens_details": {}}}"#, Some(7)),
            // A token count in the text of the model is not the real one.
            (r#"{"text":"\"completion_tokens\": 5","usage":{"completion_tokens":3}}"#, Some(3)),
            (r#"{"usage":null}"#, None),
            (r#"{"usage":{"completion_tokens":null}}"#, None),
            (r#"{"usage":{"completion_tokens":99999999999999999999}}"#, None),
            (r#""completion_tokens":"#, None),
            ("", None),
        ] {
            assert_eq!(output_tokens(json.as_bytes()), tokens, "{json}");
        }
    }
}
