//! Moving averages of deployments: how soon they answer, and how fast they generate output.
//!
//! The weight of each sample depends on the time since the previous one. If many samples of one
//! moment were added one after the other, the first would count and the rest would not, because no
//! time lies between them. This is the normal case: the clock of a Worker does not advance between
//! two I/O operations. So all samples of a moment count as one sample, their mean, and their order
//! does not matter. A time before the newest one counts as the newest.

use crate::vocabulary::time::Instant;

/// The time after which an older average has 1/e of its weight against new samples. Answers take
/// seconds, so this is a few of them.
const SMOOTHING_MS: f64 = 10_000.0;

/// The time in which a peak fades to 1/e if no sample comes at all. It determines how often a slow
/// deployment is tried again: one that is ten times slower than the rest after 2.3 times this
/// value, one that is only a little slower soon. With a smaller value, an isolate with one request
/// a minute would alternate between fast and slow deployments.
const FADING_MS: f64 = 60_000.0;

/// An average in which newer samples have more weight.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Ewma {
    newest: Option<LatestSample>,
}

impl Ewma {
    /// Takes a sample.
    pub fn observe(&mut self, sample: f64, now: Instant) {
        LatestSample::observe(&mut self.newest, sample, now, LatestSample::average);
    }

    /// The average; `None` before the first sample.
    pub fn value(&self) -> Option<f64> {
        self.newest.map(|latest| latest.average())
    }
}

/// An average that rises at once and falls slowly: a sample above the average becomes its value (as
/// in the peak EWMA of Finagle and linkerd). Without samples it fades, so that a deployment that
/// was slow is tried again.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PeakEwma {
    newest: Option<LatestSample>,
}

impl PeakEwma {
    /// Takes a sample.
    pub fn observe(&mut self, sample: f64, now: Instant) {
        LatestSample::observe(&mut self.newest, sample, now, |latest| latest.faded_peak(now));
    }

    /// The value at this time; `None` before the first sample.
    pub fn value(&self, now: Instant) -> Option<f64> {
        self.newest.map(|latest| latest.faded_peak(now))
    }
}

/// All samples of one moment, and the value before that moment.
#[derive(Debug, Clone, Copy, PartialEq)]
struct LatestSample {
    at: Instant,
    count: u32,
    mean: f64,
    worst: f64,
    /// The value before this moment.
    before: f64,
    /// The weight of that value; 0 if there was none.
    before_weight: f64,
}

impl LatestSample {
    fn observe(newest: &mut Option<Self>, sample: f64, now: Instant, value: impl Fn(&Self) -> f64) {
        let (before, before_weight) = match newest {
            Some(latest) if now <= latest.at => {
                latest.count = latest.count.saturating_add(1);
                latest.mean += (sample - latest.mean) / f64::from(latest.count);
                latest.worst = latest.worst.max(sample);
                return;
            }
            Some(latest) => (value(latest), decay(latest.at, now, SMOOTHING_MS)),
            None => (0.0, 0.0),
        };
        *newest = Some(Self { at: now, count: 1, mean: sample, worst: sample, before, before_weight });
    }

    fn average(&self) -> f64 {
        self.before * self.before_weight + self.mean * (1.0 - self.before_weight)
    }

    fn faded_peak(&self, now: Instant) -> f64 {
        self.average().max(self.worst) * decay(self.at, now, FADING_MS)
    }
}

/// The weight that remains after the time from `since` to `now`: 1 if no time has passed.
fn decay(since: Instant, now: Instant, constant_ms: f64) -> f64 {
    (-(now - since).as_f64() / constant_ms).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::time::short::at;
    use proptest::prelude::*;

    fn near(actual: Option<f64>, expected: f64) -> bool {
        actual.is_some_and(|actual| (actual - expected).abs() < 1e-6 * expected.abs().max(1.0))
    }

    #[test]
    fn there_is_no_average_before_the_first_sample() {
        assert_eq!(Ewma::default().value(), None);
        assert_eq!(PeakEwma::default().value(at(5)), None);
    }

    #[test]
    fn samples_with_the_same_timestamp_all_count() {
        let (mut plain, mut peak) = (Ewma::default(), PeakEwma::default());
        for sample in [100.0, 900.0, 200.0] {
            plain.observe(sample, at(1_000));
            peak.observe(sample, at(1_000));
        }
        assert!(near(plain.value(), 400.0));
        assert!(near(peak.value(at(1_000)), 900.0));
        // A later batch moves the average by as much as one sample with the mean of the batch.
        for sample in [800.0, 1_000.0, 1_200.0] {
            plain.observe(sample, at(11_000));
        }
        let before_weight = (-1.0_f64).exp();
        assert!(near(plain.value(), 400.0 * before_weight + 1_000.0 * (1.0 - before_weight)), "{plain:?}");
    }

    #[test]
    fn a_worse_sample_is_believed_at_once_and_better_ones_slowly() {
        let mut peak = PeakEwma::default();
        peak.observe(100.0, at(0));
        peak.observe(5_000.0, at(1));
        assert!(near(peak.value(at(1)), 5_000.0));
        peak.observe(100.0, at(1_001));
        let soon = peak.value(at(1_001)).unwrap();
        assert!((4_000.0..5_000.0).contains(&soon), "{soon}");
        for second in 2..60 {
            peak.observe(100.0, at(second * 1_000 + 1));
        }
        let later = peak.value(at(59_001)).unwrap();
        assert!((100.0..150.0).contains(&later), "{later}");
    }

    #[test]
    fn a_slow_deployment_without_samples_is_forgiven_in_time() {
        let mut peak = PeakEwma::default();
        peak.observe(1_000.0, at(0));
        assert!(near(peak.value(at(60_000)), 1_000.0 * (-1.0_f64).exp()));
        assert!(peak.value(at(140_000)).unwrap() < 100.0); // Ten times slower: tried again after about 2.3 minutes.
    }

    #[test]
    fn a_clock_that_steps_back_is_the_same_moment() {
        let mut peak = PeakEwma::default();
        peak.observe(100.0, at(10_000));
        peak.observe(300.0, at(9_000));
        assert!(near(peak.value(at(9_000)), 300.0));
        assert!(near(peak.value(at(10_000)), 300.0));
    }

    proptest! {
        #[test]
        fn the_order_within_a_moment_does_not_matter(before in 1f64..1e5, samples in prop::collection::vec(1f64..1e5, 1..20)) {
            let fold = |samples: &[f64]| {
                let (mut plain, mut peak) = (Ewma::default(), PeakEwma::default());
                plain.observe(before, at(0));
                peak.observe(before, at(0));
                for sample in samples {
                    plain.observe(*sample, at(3_000));
                    peak.observe(*sample, at(3_000));
                }
                (plain.value().unwrap(), peak.value(at(3_000)).unwrap())
            };
            let backwards: Vec<f64> = samples.iter().rev().copied().collect();
            let (forth, back) = (fold(&samples), fold(&backwards));
            prop_assert!(near(Some(forth.0), back.0) && near(Some(forth.1), back.1));
        }

        #[test]
        fn a_peak_is_never_below_the_newest_sample_nor_above_the_worst(
            steps in prop::collection::vec((1u64..60_000, 0f64..1e6), 1..50),
        ) {
            let mut peak = PeakEwma::default();
            let (mut now, mut worst) = (0, 0.0_f64);
            for (wait_ms, sample) in steps {
                now += wait_ms;
                let before = peak.value(at(now)).unwrap_or(0.0);
                peak.observe(sample, at(now));
                worst = worst.max(sample);
                let value = peak.value(at(now)).unwrap();
                prop_assert!(value >= sample * 0.999_999 && value <= worst * 1.000_001);
                prop_assert!(value <= before.max(sample) * 1.000_001, "a better sample never raises it");
            }
        }
    }
}
