//! The price of a deployment, in integers, so that sums are exact.

use crate::vocabulary::usage::Usage;

/// Picodollars in a dollar.
const PICO: f64 = 1e12;
/// Picodollars in a micro-dollar.
const PICO_IN_MICRO: u128 = 1_000_000;
/// How many of the units of [`Price::exact`] a micro-dollar has.
pub const EXACT_IN_MICRO: f64 = 6e10;
/// Milliseconds in a minute.
const MINUTE_MS: u128 = 60_000;

/// What a deployment charges, in picodollars (millionths of a millionth of a dollar). A dollar for
/// a million tokens is a million of them for one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Price {
    /// For a token of the input. For speech, for a character.
    pub input: u64,
    /// For a token of the input that came from the provider's cache.
    pub cached_input: u64,
    /// For a token of the output.
    pub output: u64,
    /// For an image in the answer.
    pub image: u64,
    /// For a minute of audio.
    pub minute: u64,
    /// For a request.
    pub request: u64,
}

impl Price {
    /// Dollars for a million of something, as picodollars for one.
    pub fn per_million(dollars: f64) -> u64 {
        Self::each(dollars / 1e6)
    }

    /// Dollars as picodollars. What is not a price is 0.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast from f64 saturates")]
    pub fn each(dollars: f64) -> u64 {
        (dollars * PICO).round() as u64
    }

    /// The higher one of each part.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            input: self.input.max(other.input),
            cached_input: self.cached_input.max(other.cached_input),
            output: self.output.max(other.output),
            image: self.image.max(other.image),
            minute: self.minute.max(other.minute),
            request: self.request.max(other.request),
        }
    }

    /// The cost of a request in millionths of a dollar, rounded half up.
    pub fn micro_usd(&self, usage: &Usage) -> u64 {
        let unit = PICO_IN_MICRO * MINUTE_MS;
        let rounded = self.exact(usage).saturating_add(unit / 2) / unit;
        u64::try_from(rounded).unwrap_or(u64::MAX)
    }

    /// The cost of a request, in 60,000ths of a picodollar: a millisecond of audio at a picodollar
    /// a minute costs one of them.
    pub fn exact(&self, usage: &Usage) -> u128 {
        let cached = usage.cached_input_tokens.min(usage.input_tokens);
        // Speech is charged by its tokens where they are known.
        let characters = if usage.input_tokens == 0 { usage.characters } else { 0 };
        let parts = [
            (usage.input_tokens - cached, self.input),
            (cached, self.cached_input),
            (usage.output_tokens, self.output),
            (usage.images, self.image),
            (characters, self.input),
            (1, self.request),
        ];
        let cost = |(quantity, price)| u128::from(quantity).saturating_mul(u128::from(price));
        let whole = parts.map(cost).into_iter().fold(0, u128::saturating_add).saturating_mul(MINUTE_MS);
        whole.saturating_add(cost((usage.audio_ms, self.minute)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpt() -> Price {
        Price {
            input: Price::per_million(2.5),
            cached_input: Price::per_million(1.25),
            output: Price::per_million(10.0),
            ..Price::default()
        }
    }

    fn tokens(input_tokens: u64, cached_input_tokens: u64, output_tokens: u64) -> Usage {
        Usage { input_tokens, cached_input_tokens, output_tokens, ..Usage::default() }
    }

    #[test]
    fn dollars_become_whole_picodollars() {
        for (dollars, picodollars) in [
            (2.5, 2_500_000),
            (0.075, 75_000),
            (0.1, 100_000),
            (0.0, 0),
            (1_000_000.0, 1_000_000_000_000),
            (-1.0, 0),
            (f64::NAN, 0),
            (f64::INFINITY, u64::MAX),
        ] {
            assert_eq!(Price::per_million(dollars), picodollars, "{dollars}");
        }
        assert_eq!(Price::each(0.04), 40_000_000_000);
        assert_eq!(Price::each(0.006), 6_000_000_000);
    }

    #[test]
    fn a_request_costs_what_its_parts_cost_and_is_rounded_once() {
        let image = Price { image: Price::each(0.04), request: Price::each(0.01), ..Price::default() };
        let whisper = Price { minute: Price::each(0.006), ..Price::default() };
        let speech = Price { input: Price::per_million(15.0), ..Price::default() };
        let cents = Price { input: 300_000, cached_input: 300_000, output: 400_000, ..Price::default() };
        for (price, usage, micro_usd) in [
            (gpt(), tokens(1_000, 0, 100), 3_500),
            (gpt(), tokens(1_000, 400, 100), 3_000),
            // 0.3 + 0.4 and 0.4: half a micro-dollar and more counts as one.
            (cents, tokens(1, 0, 1), 1),
            (cents, tokens(0, 0, 1), 0),
            (Price { input: 500_000, ..Price::default() }, tokens(1, 0, 0), 1),
            (Price { input: 499_999, ..Price::default() }, tokens(1, 0, 0), 0),
            (image, Usage { images: 3, ..Usage::default() }, 130_000),
            (whisper, Usage { audio_ms: 90_500, ..Usage::default() }, 9_050),
            (whisper, Usage { audio_ms: 1, ..Usage::default() }, 0),
            (whisper, Usage { audio_ms: 5, ..Usage::default() }, 1),
            (speech, Usage { characters: 1_000, ..Usage::default() }, 15_000),
            // Its tokens are known.
            (speech, Usage { characters: 1_000, ..tokens(10, 0, 0) }, 150),
            (Price::default(), tokens(u64::MAX, 0, u64::MAX), 0),
            (Price { input: u64::MAX, output: u64::MAX, ..gpt() }, tokens(u64::MAX, 0, u64::MAX), u64::MAX),
            // More of the input came from the cache than there was: it counts as all of it.
            (gpt(), tokens(10, 20, 0), 13),
        ] {
            assert_eq!(price.micro_usd(&usage), micro_usd, "{price:?} {usage:?}");
        }
    }
}
