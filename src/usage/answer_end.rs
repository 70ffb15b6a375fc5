//! The ends of an answer in one piece that is too long to be held. Its usage is in the last bytes.
//! Whether it is a response of the background is in the first.

use super::basis::UsageBasis;
use super::reported::Reported;

/// How much of the end is kept: far more than what follows the choices, the images or the vectors.
const RETAINED_BYTES: usize = 16 * 1024;

/// How much of the beginning is kept: more than what precedes the output of a response.
const FIRST_BYTES: usize = 1024;

/// What is known of an answer that flows by.
#[derive(Debug, Default)]
pub struct AnswerEnd {
    /// The first bytes.
    first: Vec<u8>,
    /// The last bytes, up to twice as many as are kept.
    last: Vec<u8>,
    length: usize,
}

impl AnswerEnd {
    /// Takes the next bytes of the answer.
    pub fn push(&mut self, bytes: &[u8]) {
        self.length += bytes.len();
        let room = FIRST_BYTES - self.first.len();
        self.first.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        let bytes = bytes.get(bytes.len().saturating_sub(RETAINED_BYTES)..).unwrap_or_default();
        if self.last.len() + bytes.len() > 2 * RETAINED_BYTES {
            self.last.drain(..self.last.len().saturating_sub(RETAINED_BYTES));
        }
        self.last.extend_from_slice(bytes);
    }

    /// The bytes that have come.
    pub fn length(&self) -> usize {
        self.length
    }

    /// What the answer used, if it ends here.
    pub fn usage(&self, basis: &UsageBasis) -> Reported {
        if self.last.len() == self.length {
            basis.of_answer(&self.last)
        } else {
            basis.of_ends(&self.first, &self.last, self.length)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::operation::Operation;
    use crate::vocabulary::usage::Usage;

    fn usage(operation: Operation, answer: &str, piece: usize) -> Usage {
        let mut end = AnswerEnd::default();
        answer.as_bytes().chunks(piece).for_each(|piece| end.push(piece));
        assert_eq!(end.length(), answer.len());
        let images = if operation == Operation::ImagesGenerations { 2 } else { 0 };
        let basis = UsageBasis { operation, input_tokens: 10, characters: 0, images, is_background: false };
        end.usage(&basis).usage
    }

    #[test]
    fn a_long_response_of_the_background_is_counted_when_it_is_read() {
        let long = "A".repeat(5 * RETAINED_BYTES);
        for (start, is_counted) in [
            (r#"{"id":"resp_1","object":"response","background":true,"output":[{"result":""#, true),
            (r#"{"id":"resp_1","object":"response","background":false,"output":[{"result":""#, false),
            (r#"{"id":"resp_1","metadata":{"background":true},"output":[{"result":""#, false),
        ] {
            let mut end = AnswerEnd::default();
            for text in [start, &long, r#""}],"usage":{"input_tokens":3,"output_tokens":4}}"#] {
                end.push(text.as_bytes());
            }
            let operation = Operation::StoredResponses;
            let basis =
                UsageBasis { operation, input_tokens: 0, characters: 0, images: 0, is_background: false };
            let reported = end.usage(&basis);
            let used = Usage { input_tokens: 3, output_tokens: 4, ..Usage::default() };
            assert_eq!(reported.usage, if is_counted { used } else { Usage::default() }, "{start}");
            assert_eq!(reported.background.is_some(), is_counted, "{start}");
        }
    }

    #[test]
    fn the_usage_of_a_long_answer_is_at_its_end() {
        use Operation::{ChatCompletions, Embeddings, ImagesGenerations, Responses};
        let used = Usage { input_tokens: 3, output_tokens: 4, ..Usage::default() };
        let long = "A".repeat(5 * RETAINED_BYTES);
        for (operation, start, end, expected) in [
            (
                ImagesGenerations,
                r#"{"data":[{"b64_json":""#,
                r#""}],"size":"auto","usage":{"input_tokens":3,"output_tokens":4}}"#,
                Usage { images: 2, ..used },
            ),
            (
                Embeddings,
                r#"{"data":[{"embedding":""#,
                r#""}],"usage":{"prompt_tokens":3,"total_tokens":3}}"#,
                Usage { output_tokens: 0, ..used },
            ),
            (
                Responses,
                r#"{"output":""#,
                r#"","usage":{"input_tokens":3,"output_tokens":4},"metadata":{}}"#,
                used,
            ),
            // It is of another level, or cut off.
            (
                ChatCompletions,
                r#"{"choices":[{"x":""#,
                r#"","usage":{"completion_tokens":4}}]}"#,
                Usage {
                    input_tokens: 10,
                    output_tokens: ((5 * RETAINED_BYTES + 54) / 4) as u64,
                    is_estimated: true,
                    ..Usage::default()
                },
            ),
            (
                ImagesGenerations,
                r#"{"data":[{"b64_json":""#,
                r#""}],"usage":{"input_tokens":3,"#,
                Usage { input_tokens: 10, images: 2, is_estimated: true, ..Usage::default() },
            ),
        ] {
            let answer = [start, &long, end].concat();
            for piece in [1, 1_000, RETAINED_BYTES, 3 * RETAINED_BYTES, usize::MAX] {
                assert_eq!(usage(operation, &answer, piece), expected, "{operation:?} {piece}");
            }
            let whole = [start, end].concat();
            assert_eq!(usage(operation, &whole, 7).is_estimated, expected.is_estimated, "{whole}");
        }
    }
}
