//! How many tokens an answer says that it has.

use crate::scan::needle::Needle;

/// The names of the output's size: of chat completions and completions, and of responses.
static NAMES: [Needle; 2] = [Needle::of("\"completion_tokens\""), Needle::of("\"output_tokens\"")];

/// The tokens of the output, where the text has a `usage` that tells. The last one counts: what the model wrote stands before.
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
    fn the_size_of_the_output_is_found_where_it_is_told() {
        for (json, tokens) in [
            (
                r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}}"#,
                Some(12),
            ),
            (r#"{"usage": {"input_tokens": 9, "output_tokens": 7, "output_tokens_details": {}}}"#, Some(7)),
            // What a model wrote about tokens is not what it used.
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
