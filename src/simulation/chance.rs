//! The distributions of the random numbers in a simulation.

use crate::vocabulary::rng::Rng;
use crate::vocabulary::time::Millis;

/// A random time to the next event, for independent events with `rate` per second (exponential
/// distribution).
pub fn interval_ms(rate: f64, rng: &mut dyn Rng) -> Millis {
    Millis::from_f64((-(1.0 - rng.unit()).ln() * 1_000.0 / rate).ceil())
}

/// A random number from a log-normal distribution, which has few very large values, like latencies.
/// About two thirds of the numbers are within a factor of `e^spread` of the median.
pub fn scattered(median: f64, spread: f64, rng: &mut dyn Rng) -> f64 {
    // The sum of twelve uniform numbers is close to a normal distribution (Irwin–Hall).
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
