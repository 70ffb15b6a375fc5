//! What a request says about its usage, and the estimate for an answer that reports none.

use super::reported::Reported;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::usage::Usage;

/// What is known about the usage of a request before its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageBasis {
    /// The operation.
    pub operation: Operation,
    /// The estimated tokens of the input.
    pub input_tokens: u64,
    /// The characters to speak.
    pub characters: u64,
    /// The images that are asked for.
    pub images: u64,
    /// Whether a response is created in the background. It is counted when it is read.
    pub is_background: bool,
}

impl UsageBasis {
    /// That of a request that is not sent: whatever its answer is, nothing was used.
    pub fn of_nothing() -> Self {
        // No request of this operation is counted.
        let operation = Operation::Batches;
        Self { operation, input_tokens: 0, characters: 0, images: 0, is_background: false }
    }

    /// The usage of an answer in one piece: as reported, or else estimated from its length.
    pub fn of_answer(&self, body: &[u8]) -> Reported {
        let reported = Reported::in_answer(self.operation, body);
        self.counted(reported, quarter(body.len()), self.images)
    }

    /// What an answer in one piece reports that does not serve: an error, or an answer where a
    /// stream was asked for. `None` if it reports nothing: nothing is estimated then.
    pub fn reported(&self, body: &[u8]) -> Option<Usage> {
        if self.operation.is_on_stored_objects() {
            return None;
        }
        let answer = Reported::in_answer(self.operation, body).map(|reported| reported.usage);
        // An error of an image operation has no images.
        answer
            .or_else(|| Reported::in_ends(self.operation, body, body).map(|reported| reported.usage))
            .filter(|usage| *usage != Usage::default())
    }

    /// The usage of an answer in one piece, of which the beginning, the end and the length are
    /// known. The images are those that were asked for.
    pub fn of_ends(&self, start: &[u8], end: &[u8], length: usize) -> Reported {
        let with_images = |it: Reported| Reported { usage: Usage { images: self.images, ..it.usage }, ..it };
        let reported = Reported::in_ends(self.operation, start, end);
        self.counted(reported.map(with_images), quarter(length), self.images)
    }

    /// The usage of an answer in one piece that nobody reads. `bytes`: its length, as far as it is
    /// known.
    pub fn of_length(&self, bytes: usize) -> Usage {
        self.estimate(quarter(bytes), self.images)
    }

    /// The usage of a stream: as `reported`, or else a token for each of its `events`. `images`:
    /// how many of these events completed an image.
    pub fn of_stream(&self, reported: Option<Reported>, events: u64, images: u64) -> Reported {
        let with_images =
            |reported: Reported| Reported { usage: Usage { images, ..reported.usage }, ..reported };
        self.counted(reported.map(with_images), events, images)
    }

    /// What the request uses with so much output, as far as that can be known before its answer.
    pub fn at_most(&self, output_tokens: u64) -> Usage {
        self.estimate(output_tokens, self.images)
    }

    fn counted(&self, reported: Option<Reported>, output_tokens: u64, images: u64) -> Reported {
        match reported {
            // All other stored objects were counted when they were created.
            Some(reported)
                if self.operation == Operation::StoredResponses && reported.background.is_some() =>
            {
                reported
            }
            Some(reported) if !self.operation.is_on_stored_objects() => {
                let usage = Usage { characters: self.characters, ..reported.usage };
                Reported { usage, ..reported }
            }
            _ => self.estimate(output_tokens, images).into(),
        }
    }

    fn estimate(&self, output_tokens: u64, images: u64) -> Usage {
        use Operation::{
            AudioSpeech, AudioTranscriptions, AudioTranslations, ChatCompletions, Completions, Embeddings,
            ImagesEdits, ImagesGenerations, ImagesVariations, Moderations, Responses, ResponsesCompact,
        };
        let input_tokens = self.input_tokens;
        let estimated = Usage { is_estimated: true, ..Usage::default() };
        match self.operation {
            Responses if self.is_background => Usage::default(),
            ChatCompletions | Completions | Responses | ResponsesCompact => {
                Usage { input_tokens, output_tokens, ..estimated }
            }
            Embeddings | Moderations => Usage { input_tokens, ..estimated },
            ImagesGenerations => Usage { input_tokens, images, ..estimated },
            // The length of an upload says nothing about its tokens.
            ImagesEdits | ImagesVariations => Usage { images, ..estimated },
            AudioTranscriptions | AudioTranslations => Usage { output_tokens, ..estimated },
            // No answer reports them, and they are known.
            AudioSpeech => Usage { characters: self.characters, ..Usage::default() },
            _ => Usage::default(),
        }
    }
}

/// The estimated tokens of a text of this length, as for the input.
fn quarter(bytes: usize) -> u64 {
    (bytes / 4) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basis(operation: Operation) -> UsageBasis {
        UsageBasis { operation, input_tokens: 10, characters: 0, images: 2, is_background: false }
    }

    #[test]
    fn an_answer_without_usage_is_estimated_as_its_operation_asks() {
        use Operation::{
            AudioSpeech, AudioTranscriptions, Batches, ChatCompletions, Embeddings, ImagesEdits,
            ImagesGenerations, Responses, ResponsesInputTokens, StoredResponses,
        };
        let estimated = Usage { is_estimated: true, ..Usage::default() };
        let both = Usage { input_tokens: 10, output_tokens: 5, ..estimated };
        for (operation, expected) in [
            (ChatCompletions, both),
            (Responses, both),
            (Embeddings, Usage { input_tokens: 10, ..estimated }),
            (ImagesGenerations, Usage { input_tokens: 10, images: 2, ..estimated }),
            (ImagesEdits, Usage { images: 2, ..estimated }),
            (AudioTranscriptions, Usage { output_tokens: 5, ..estimated }),
            (AudioSpeech, Usage::default()),
            (ResponsesInputTokens, Usage::default()),
            (StoredResponses, Usage::default()),
            (Batches, Usage::default()),
        ] {
            let body = br#"{"text":"0123456789a"}"#;
            assert_eq!(basis(operation).of_answer(body), expected.into(), "{operation:?}");
            assert_eq!(basis(operation).of_length(body.len()), expected, "{operation:?}");
            assert_eq!(basis(operation).of_stream(None, 5, 2), expected.into(), "{operation:?}");
        }
        let speech = UsageBasis { characters: 7, ..basis(AudioSpeech) };
        assert_eq!(speech.of_answer(b"ID3"), Usage { characters: 7, ..Usage::default() }.into());
        let background = UsageBasis { is_background: true, ..basis(Responses) };
        let queued = br#"{"id":"resp_1","status":"queued","background":true,"usage":null}"#;
        assert_eq!(background.of_answer(queued), Usage::default().into(), "it is counted when it is read");
    }

    #[test]
    fn only_what_was_created_in_the_background_is_counted_when_it_is_read() {
        let response = |background: bool| {
            format!(
                r#"{{"id":"resp_1","background":{background},"usage":{{"input_tokens":3,"output_tokens":4}}}}"#
            )
        };
        let used = Usage { input_tokens: 3, output_tokens: 4, ..Usage::default() };
        for (operation, is_background, expected) in [
            (Operation::Responses, false, used),
            (Operation::Responses, true, used),
            (Operation::StoredResponses, true, used),
            (Operation::StoredResponses, false, Usage::default()),
            (Operation::StoredCompletions, false, Usage::default()),
        ] {
            let found = basis(operation).of_answer(response(is_background).as_bytes());
            assert_eq!(found.usage, expected, "{operation:?} {is_background}");
        }
    }

    #[test]
    fn of_an_answer_that_does_not_serve_only_what_it_reports_counts() {
        use Operation::{AudioSpeech, ChatCompletions, ImagesEdits, StoredResponses};
        let error = r#"{"error":{"code":"x"},"usage":{"input_tokens":3,"output_tokens":4}}"#;
        let none = r#"{"error":{"code":"x"}}"#;
        let zero = r#"{"error":{"code":"x"},"usage":{"input_tokens":0,"output_tokens":0}}"#;
        let elsewhere = r#"{"error":{"usage":{"input_tokens":3}}}"#;
        let images = r#"{"data":[{},{}],"usage":{"input_tokens":3,"output_tokens":4}}"#;
        let used = Usage { input_tokens: 3, output_tokens: 4, ..Usage::default() };
        for (operation, body, expected) in [
            (ChatCompletions, error, Some(used)),
            (ImagesEdits, error, Some(used)),
            (ImagesEdits, images, Some(Usage { images: 2, ..used })),
            (StoredResponses, error, None),
            (ChatCompletions, none, None),
            (ChatCompletions, zero, None),
            (ChatCompletions, elsewhere, None),
            (ChatCompletions, "", None),
            (ImagesEdits, none, None),
            (AudioSpeech, none, None),
        ] {
            let basis = UsageBasis { characters: 7, ..basis(operation) };
            assert_eq!(basis.reported(body.as_bytes()), expected, "{operation:?} {body}");
        }
        assert_eq!(UsageBasis::of_nothing().reported(error.as_bytes()), None, "a drill is free");
    }

    #[test]
    fn a_stream_of_images_is_counted_by_its_images() {
        let reported = Usage { input_tokens: 3, output_tokens: 4, ..Usage::default() };
        let found = basis(Operation::ImagesGenerations).of_stream(Some(reported.into()), 9, 1);
        assert_eq!(found.usage, Usage { images: 1, ..reported });
    }
}
