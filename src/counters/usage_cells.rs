//! The cells of [`Family::Usage`](super::Family::Usage).

pub(super) const INPUT: usize = 0;
pub(super) const CACHED_INPUT: usize = 1;
pub(super) const OUTPUT: usize = 2;
pub(super) const REASONING: usize = 3;
pub(super) const IMAGES: usize = 4;
pub(super) const AUDIO_MS: usize = 5;
pub(super) const CHARACTERS: usize = 6;
pub(super) const MICRO_USD: usize = 7;
pub(super) const COUNT: usize = 8;
