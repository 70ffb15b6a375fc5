//! What an answer used.

use serde::Serialize;

/// What an answer used, in the units in which providers bill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Tokens of the input, cached ones included.
    pub input_tokens: u64,
    /// Those of them that the provider had in its cache.
    pub cached_input_tokens: u64,
    /// Tokens of the output, those of reasoning included.
    pub output_tokens: u64,
    /// Those of them that were spent on reasoning.
    pub reasoning_tokens: u64,
    /// Generated images.
    pub images: u64,
    /// The length of transcribed audio in milliseconds.
    pub audio_ms: u64,
    /// Characters of text that became speech.
    pub characters: u64,
    /// Whether tokens are estimated: the provider did not report them.
    pub is_estimated: bool,
}

impl Usage {
    /// So many tokens of output.
    pub fn of_output(output_tokens: u64) -> Self {
        Self { output_tokens, ..Self::default() }
    }
}
