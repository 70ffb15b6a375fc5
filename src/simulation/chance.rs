//! The distributions that a simulation draws from.

use crate::vocabulary::rng::Rng;
use crate::vocabulary::time::Millis;

/// Times to the next of events that happen independently, `rate` of them in a second.
pub fn interval_ms(rate: f64, rng: &mut dyn Rng) -> Millis {
    Millis::from_f64((-(1.0 - rng.unit()).ln() * 1_000.0 / rate).ceil())
}

/// Numbers that scatter about a median by factors: few are very large, as latencies are. `spread`: about two thirds of them lie
/// within a factor of `e^spread`.
pub fn scattered(median: f64, spread: f64, rng: &mut dyn Rng) -> f64 {
    // The sum of twelve even numbers is as good as normal (Irwin and Hall).
    let normal = (0..12).map(|_| rng.unit()).sum::<f64>() - 6.0;
    median * (normal * spread).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::rng::SplitMix64;

    #[test]
    fn draws_have_the_mean_and_the_median_that_they_should() {
        let mut rng = SplitMix64::new(7);
        let total: Millis = (0..10_000).map(|_| interval_ms(2.0, &mut rng)).sum();
        assert!((4_800_000..5_200_000).contains(&total.get()), "{total}");
        let below = (0..10_000).filter(|_| scattered(300.0, 0.4, &mut rng) < 300.0).count();
        assert!((4_800..5_200).contains(&below), "{below}");
    }
}
