//! How much more a deployment can take, as its answers state: traffic moves away before the
//! deployment has to refuse requests.
//!
//! Sources: OpenAI's guide "Rate limits" (`x-ratelimit-*` with durations as in Go); Microsoft's
//! "Manage Azure OpenAI quota" (the same names with plain seconds; older versions have no limits);
//! Microsoft's azure-openai-benchmark, which reads `azure-openai-deployment-utilization` of
//! provisioned deployments.

use crate::routes::graph::RateLimits;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::retry_after;
use crate::vocabulary::time::{Instant, Millis};

/// While more than this part is left, a deployment gets all of its traffic.
const PLENTY: f64 = 0.2;

/// The share of traffic for a deployment that has nothing left. It is enough to notice when that
/// changes, and to serve where all deployments are scarce.
const FLOOR: f64 = 0.05;

/// How long a reading without a reset time is valid: limits are per minute.
const LIMIT_MS: Millis = Millis::new(60_000);

/// How long a utilisation is valid: it changes with every request.
const UTILIZATION_MS: Millis = Millis::new(10_000);

/// The longest time for which a reading is valid.
const LONGEST_MS: Millis = Millis::new(300_000);

/// What the headers of one answer stated.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Headroom {
    requests: Option<HeaderReading>,
    tokens: Option<HeaderReading>,
    utilization: Option<HeaderReading>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct HeaderReading {
    /// `0.0..=1.0`
    left: f64,
    until: Instant,
}

impl Headroom {
    /// Reads the headers. `limits` is used where an answer states the remaining amount but not the
    /// limit.
    pub fn of(headers: &Headers, limits: &RateLimits, now: Instant) -> Option<Self> {
        let value = |name| headers.get(name).map(str::trim);
        let headroom = Self {
            requests: HeaderReading::of(
                value("x-ratelimit-limit-requests"),
                value("x-ratelimit-remaining-requests"),
                value("x-ratelimit-reset-requests"),
                limits.rpm,
                now,
            ),
            tokens: HeaderReading::of(
                value("x-ratelimit-limit-tokens"),
                value("x-ratelimit-remaining-tokens"),
                value("x-ratelimit-reset-tokens"),
                limits.tpm,
                now,
            ),
            utilization: value("azure-openai-deployment-utilization").and_then(percent).map(|used| {
                HeaderReading { left: (1.0 - used / 100.0).clamp(0.0, 1.0), until: now + UTILIZATION_MS }
            }),
        };
        (headroom != Self::default()).then_some(headroom)
    }

    /// Headroom with this part left of everything, for as long as a reading is valid.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn of_part(left: f64, now: Instant) -> Self {
        let requests = HeaderReading { left: left.clamp(0.0, 1.0), until: now + LONGEST_MS };
        Self { requests: Some(requests), ..Self::default() }
    }

    /// Whether it comes from a provisioned deployment (PTU). Such a deployment refuses requests for
    /// short moments when it is full.
    pub fn is_provisioned(&self) -> bool {
        self.utilization.is_some()
    }

    /// The part that is left of the scarcest resource, `0.0..=1.0`; `None` if no reading is valid
    /// any more.
    pub fn remaining(&self, now: Instant) -> Option<f64> {
        let readings = [self.requests, self.tokens, self.utilization];
        readings
            .into_iter()
            .flatten()
            .filter(|reading| now < reading.until)
            .map(|reading| reading.left)
            .reduce(f64::min)
    }
}

impl HeaderReading {
    fn of(
        limit: Option<&str>,
        remaining: Option<&str>,
        reset: Option<&str>,
        configured: Option<u32>,
        now: Instant,
    ) -> Option<Self> {
        let remaining = number(remaining?)?;
        let limit = limit.and_then(number).or(configured.map(f64::from)).filter(|limit| *limit > 0.0);
        let left = match limit {
            Some(limit) => (remaining / limit).clamp(0.0, 1.0),
            // With nothing remaining, the limit does not matter.
            None if remaining <= 0.0 => 0.0,
            None => return None,
        };
        let reset_ms = reset.and_then(length).unwrap_or(LIMIT_MS).min(LONGEST_MS);
        Some(Self { left, until: now + reset_ms })
    }
}

/// The part of its usual traffic that a deployment with this much left should get, `0.0..=1.0`.
pub fn share(left: f64) -> f64 {
    FLOOR + (1.0 - FLOOR) * (left / PLENTY).clamp(0.0, 1.0)
}

/// A reset time: `6m0s` of OpenAI, or the plain seconds of Azure.
fn length(text: &str) -> Option<Millis> {
    let seconds = number(text).map(|seconds| Millis::from_f64((seconds * 1_000.0).ceil()));
    seconds.or_else(|| retry_after::length(text))
}

fn percent(text: &str) -> Option<f64> {
    number(text.strip_suffix('%').unwrap_or(text).trim_end())
}

/// A finite number that is not negative.
fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::time::short::ms;
    use proptest::prelude::*;

    const NOW: Instant = Instant::from_epoch_ms(1_000_000);

    fn headroom(pairs: &[(&str, &str)], limits: RateLimits) -> Option<Headroom> {
        Headroom::of(&Headers::of(pairs.iter().copied()), &limits, NOW)
    }

    #[test]
    fn what_is_left_is_read_in_every_spelling() {
        type Row<'a> = (&'a [(&'a str, &'a str)], Option<f64>);
        let rows: [Row<'_>; 14] = [
            (&[], None),
            (&[("x-ratelimit-limit-requests", "60"), ("x-ratelimit-remaining-requests", "15")], Some(0.25)),
            (
                &[("x-ratelimit-limit-tokens", "150000"), ("x-ratelimit-remaining-tokens", "149984")],
                Some(149_984.0 / 150_000.0),
            ),
            // The scarcer of the two.
            (
                &[
                    ("x-ratelimit-limit-requests", "100"),
                    ("x-ratelimit-remaining-requests", "90"),
                    ("x-ratelimit-limit-tokens", "100"),
                    ("x-ratelimit-remaining-tokens", "10"),
                ],
                Some(0.1),
            ),
            (&[("azure-openai-deployment-utilization", "66%")], Some(0.34)),
            (&[("azure-openai-deployment-utilization", " 66.0 % ")], Some(0.34)),
            (&[("azure-openai-deployment-utilization", "104%")], Some(0.0)), // bursts are allowed for
            (&[("azure-openai-deployment-utilization", "high")], None),
            (&[("x-ratelimit-remaining-requests", "0")], Some(0.0)), // no limit needed
            (&[("x-ratelimit-remaining-requests", "7")], None),      // of how many?
            (&[("x-ratelimit-limit-requests", "60")], None),
            (&[("x-ratelimit-limit-requests", "0"), ("x-ratelimit-remaining-requests", "7")], None),
            (&[("x-ratelimit-limit-requests", "10"), ("x-ratelimit-remaining-requests", "-1")], None), // unlimited, to some
            (&[("x-ratelimit-limit-requests", "10"), ("x-ratelimit-remaining-requests", "70")], Some(1.0)),
        ];
        for (pairs, expected) in rows {
            let left = headroom(pairs, RateLimits::default()).and_then(|headroom| headroom.remaining(NOW));
            assert_eq!(
                left.map(|left| (left * 1e6).round()),
                expected.map(|left| (left * 1e6).round()),
                "{pairs:?}"
            );
        }
    }

    #[test]
    fn configured_limits_stand_in_for_a_missing_header() {
        let limits = RateLimits { rpm: Some(70), tpm: None };
        let pairs = [("x-ratelimit-remaining-requests", "7")];
        assert_eq!(headroom(&pairs, limits).and_then(|headroom| headroom.remaining(NOW)), Some(0.1));
    }

    #[test]
    fn a_reading_holds_until_its_reset() {
        for (reset, lasts_ms) in [
            ("12ms", 12), // OpenAI
            ("1s", 1_000),
            ("6m0s", 300_000), // six minutes, and no reading is believed for longer than five
            ("1m2.5s", 62_500),
            ("1h2m3.5s", 300_000),
            ("10", 10_000), // Azure
            ("0.5", 500),
            ("500µs", 60_000), // not understood: the usual minute
            ("soon", 60_000),
            ("-3", 60_000),
            ("1e99", 300_000),
        ] {
            let pairs = [
                ("x-ratelimit-limit-requests", "10"),
                ("x-ratelimit-remaining-requests", "1"),
                ("x-ratelimit-reset-requests", reset),
            ];
            let read = headroom(&pairs, RateLimits::default()).unwrap();
            assert_eq!(read.remaining(NOW + ms(lasts_ms) - ms(1)), Some(0.1), "{reset}");
            assert_eq!(read.remaining(NOW + ms(lasts_ms)), None, "{reset}");
        }
        let full =
            headroom(&[("azure-openai-deployment-utilization", "100%")], RateLimits::default()).unwrap();
        assert_eq!((full.remaining(NOW + ms(9_999)), full.remaining(NOW + ms(10_000))), (Some(0.0), None));
    }

    #[test]
    fn only_provisioned_deployments_tell_their_utilisation() {
        let provisioned = headroom(&[("azure-openai-deployment-utilization", "5%")], RateLimits::default());
        let standard = headroom(&[("x-ratelimit-remaining-requests", "0")], RateLimits::default());
        assert_eq!(provisioned.map(|headroom| headroom.is_provisioned()), Some(true));
        assert_eq!(standard.map(|headroom| headroom.is_provisioned()), Some(false));
    }

    #[test]
    fn traffic_moves_away_in_the_last_fifth_and_never_ceases() {
        for (left, expected) in [(1.0, 1.0), (0.5, 1.0), (0.2, 1.0), (0.1, 0.525), (0.0, 0.05)] {
            assert!((share(left) - expected).abs() < 1e-9, "{left}: {}", share(left));
        }
    }

    proptest! {
        #[test]
        fn any_header_gives_a_share_or_none(limit in ".*", remaining in any::<f64>(), reset in ".*", used in ".*", now in any::<u64>().prop_map(Instant::from_epoch_ms)) {
            let headers = Headers::of([
                ("x-ratelimit-limit-tokens", limit),
                ("x-ratelimit-remaining-tokens", remaining.to_string()),
                ("x-ratelimit-reset-tokens", reset),
                ("azure-openai-deployment-utilization", used),
            ]);
            let left = Headroom::of(&headers, &RateLimits { rpm: None, tpm: Some(5) }, now).and_then(|read| read.remaining(now));
            if let Some(left) = left {
                prop_assert!((0.0..=1.0).contains(&left));
                prop_assert!((0.05..=1.0).contains(&share(left)));
            }
        }
    }
}
