//! What an answer used: the quantities that providers charge for.

/// What an answer used. Quantities that do not apply to its operation are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Tokens of the input, with those that came from the provider's cache.
    pub input_tokens: u64,
    /// Tokens of the input that came from the provider's cache.
    pub cached_input_tokens: u64,
    /// Tokens of the output, with those of reasoning.
    pub output_tokens: u64,
    /// Tokens of the output that the model used to reason.
    pub reasoning_tokens: u64,
    /// Images in the answer.
    pub images: u64,
    /// Milliseconds of audio that were transcribed or translated.
    pub audio_ms: u64,
    /// Characters that were spoken.
    pub characters: u64,
    /// Whether a quantity is an estimate, because the provider did not report it.
    pub is_estimated: bool,
}
