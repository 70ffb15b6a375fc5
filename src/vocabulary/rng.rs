//! Randomness as an argument. Only `src/edge` produces entropy.

use chacha20::ChaCha12Rng;
use chacha20::rand_core::{Rng as _, SeedableRng};

/// A source of random numbers, seeded by its owner.
pub trait Rng {
    /// The next 64 random bits.
    fn next_u64(&mut self) -> u64;

    /// A number in `0.0..1.0`.
    fn unit(&mut self) -> f64 {
        // An f64 holds 53 bits exactly.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64")]
        let numerator = (self.next_u64() >> 11) as f64;
        numerator / 9_007_199_254_740_992.0
    }

    /// A number in `0..n`; 0 where `n` is 0.
    fn below(&mut self, n: usize) -> usize {
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let drawn = (self.unit() * n as f64) as usize;
        drawn.min(n.saturating_sub(1))
    }
}

/// A cryptographic generator (ChaCha with 12 rounds). Whoever knows some of its numbers, such as
/// the id of a request, cannot compute any other.
#[derive(Debug)]
pub struct SecureRng(ChaCha12Rng);

impl SecureRng {
    /// A generator with a seed from the platform's secure source.
    pub fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha12Rng::from_seed(seed))
    }
}

impl Rng for SecureRng {
    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014): eight bytes of state, and good enough to spread load.
/// One of its numbers gives all others away, so none may be published.
#[derive(Debug, Clone)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// A generator that yields the same numbers for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }
}

impl Rng for SplitMix64 {
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }
}

/// The finaliser of SplitMix64: spreads every bit of `x` over the whole number.
pub fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A 64-bit hash of `bytes` that is the same in every isolate and every version (FNV-1a, finalised
/// by [`mix`]).
pub fn stable_hash(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    mix(fnv)
}

#[cfg(test)]
mod tests {
    use super::{Rng, SecureRng};

    #[test]
    fn a_seed_determines_the_numbers_and_every_bit_of_it_counts() {
        let numbers = |seed| {
            let mut rng = SecureRng::new(seed);
            [(); 40].map(|()| rng.next_u64())
        };
        let known = numbers([7; 32]);
        assert_eq!(numbers([7; 32]), known);
        for byte in 0..32 {
            let mut seed = [7; 32];
            seed[byte] ^= 1;
            let other = numbers(seed);
            assert!(known.iter().zip(other).all(|(known, other)| *known != other), "{byte}");
        }
    }
}
