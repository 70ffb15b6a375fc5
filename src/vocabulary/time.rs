//! Time as an argument. Nothing outside `src/edge` reads a clock.
//!
//! A point in time is an [`Instant`], a length of time is a number of [`Millis`]. Names tell them
//! apart as well, because both are plain numbers in JSON: points are called `now`, `at`, `…_at` or
//! `deadline`, or by a preposition (`since`, `from`, `until`, `not_before`); lengths end in `_ms`.
//! (What a simulation logs is counted from the start of its run. So `at`, `from` and `until` are
//! lengths there.)
//!
//! Arithmetic saturates: nothing lies before the epoch, no length is negative, and what is too
//! large is `MAX`. `MAX` stands for "never" and "for ever", and stays so whatever is added to it.

use std::fmt::{self, Display, Formatter};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Shl, Sub};

use serde::{Deserialize, Serialize};

use super::calendar::Date;
use super::decimal;

/// The milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// A point in time: milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instant(u64);

/// A length of time, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(u64);

impl Instant {
    /// The Unix epoch, before which there is nothing.
    pub const EPOCH: Self = Self(0);
    /// The end of time: never.
    pub const MAX: Self = Self(u64::MAX);

    /// The point so many milliseconds after the epoch.
    pub const fn from_epoch_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the epoch.
    pub const fn epoch_ms(self) -> u64 {
        self.0
    }

    /// How much later it is than `earlier`; nothing, if it is not.
    pub const fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }

    /// As people write it: `2026-01-31T23:59:59Z`, without the milliseconds.
    pub fn utc(self) -> impl Display {
        let mut text = self.utc_seconds();
        text.push('Z');
        text
    }

    /// With the milliseconds: `2026-01-31T23:59:59.250Z`
    /// ([RFC 3339](https://www.rfc-editor.org/rfc/rfc3339)).
    pub fn utc_ms(self) -> String {
        let mut text = self.utc_seconds();
        text.push('.');
        decimal::push_padded(&mut text, self.0 % 1_000, 3);
        text.push('Z');
        text
    }

    fn utc_seconds(self) -> String {
        let Date { year, month, day } = Date::of_day(self.0 / DAY_MS);
        let seconds = self.0 / 1_000 % 86_400;
        let mut text = String::with_capacity("2026-01-31T23:59:59.250Z".len());
        decimal::push_padded(&mut text, year, 4);
        for (separator, number) in
            [('-', month), ('-', day), ('T', seconds / 3_600), (':', seconds / 60 % 60), (':', seconds % 60)]
        {
            text.push(separator);
            decimal::push_padded(&mut text, number, 2);
        }
        text
    }

    /// The end of its day in UTC: the next midnight.
    #[must_use]
    pub const fn day_end(self) -> Self {
        Self((self.0 / DAY_MS + 1).saturating_mul(DAY_MS))
    }

    /// The end of its month in UTC: midnight of the first day of the next month.
    #[must_use]
    pub const fn month_end(self) -> Self {
        Self(Date::of_day(self.0 / DAY_MS).next_month().saturating_mul(DAY_MS))
    }

    /// How many whole periods of this length have passed since the epoch. A length of 0 counts as
    /// 1.
    pub const fn period(self, length: Millis) -> u64 {
        match self.0.checked_div(length.0) {
            Some(periods) => periods,
            None => self.0,
        }
    }
}

impl Millis {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// For ever.
    pub const MAX: Self = Self(u64::MAX);

    /// So many milliseconds.
    pub const fn new(ms: u64) -> Self {
        Self(ms)
    }

    /// How many milliseconds.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// How many seconds, rounded up: for whoever is to come back then, and not too early.
    pub const fn seconds_rounded_up(self) -> u64 {
        self.0.div_ceil(1_000)
    }

    /// The whole milliseconds of a number of them; 0, if it is negative or no number.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, and takes what is no number for 0"
    )]
    pub const fn from_f64(ms: f64) -> Self {
        Self(ms as u64)
    }

    /// How many milliseconds, to reckon with.
    #[expect(clippy::cast_precision_loss, reason = "lengths of time are far below 2^53 ms")]
    pub const fn as_f64(self) -> f64 {
        self.0 as f64
    }
}

impl Add<Millis> for Instant {
    type Output = Self;

    fn add(self, length: Millis) -> Self {
        Self(self.0.saturating_add(length.0))
    }
}

impl Sub<Millis> for Instant {
    type Output = Self;

    fn sub(self, length: Millis) -> Self {
        Self(self.0.saturating_sub(length.0))
    }
}

impl Sub for Instant {
    type Output = Millis;

    fn sub(self, earlier: Self) -> Millis {
        self.since(earlier)
    }
}

impl AddAssign<Millis> for Instant {
    fn add_assign(&mut self, length: Millis) {
        *self = *self + length;
    }
}

impl Add for Millis {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Millis {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl AddAssign for Millis {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Mul<u64> for Millis {
    type Output = Self;

    fn mul(self, times: u64) -> Self {
        Self(self.0.saturating_mul(times))
    }
}

impl Div<u64> for Millis {
    type Output = Self;

    /// Divided by 0, it is [`Self::MAX`].
    fn div(self, parts: u64) -> Self {
        Self(self.0.checked_div(parts).unwrap_or(u64::MAX))
    }
}

impl Shl<u32> for Millis {
    type Output = Self;

    /// Doubled so many times.
    fn shl(self, times: u32) -> Self {
        let factor = 1_u64.checked_shl(times).unwrap_or(u64::MAX);
        Self(self.0.saturating_mul(factor))
    }
}

impl Sum for Millis {
    fn sum<I: Iterator<Item = Self>>(lengths: I) -> Self {
        lengths.fold(Self::ZERO, Add::add)
    }
}

impl Display for Instant {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Display for Millis {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Short names for the numbers in tests.
#[cfg(test)]
pub(crate) mod short {
    use super::{Instant, Millis};

    /// So many milliseconds.
    pub(crate) const fn ms(ms: u64) -> Millis {
        Millis::new(ms)
    }

    /// The point so many milliseconds after the epoch.
    pub(crate) const fn at(ms: u64) -> Instant {
        Instant::from_epoch_ms(ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn never_and_for_ever_stay_so() {
        assert_eq!(Instant::MAX + Millis::new(1), Instant::MAX);
        assert_eq!(Instant::EPOCH + Millis::MAX, Instant::MAX);
        assert_eq!(Millis::MAX + Millis::new(1), Millis::MAX);
        assert_eq!(Millis::MAX * 2, Millis::MAX);
        assert_eq!(Millis::new(3) << 64, Millis::MAX);
        assert_eq!(Millis::ZERO << 64, Millis::ZERO);
        assert_eq!(Millis::new(3) / 0, Millis::MAX);
    }

    #[test]
    fn what_would_be_negative_is_nothing() {
        assert_eq!(Instant::EPOCH - Millis::new(1), Instant::EPOCH);
        assert_eq!(Instant::from_epoch_ms(1) - Instant::from_epoch_ms(2), Millis::ZERO);
        assert_eq!(Millis::new(1) - Millis::new(2), Millis::ZERO);
        assert_eq!(
            [f64::NAN, -1.0, 1.9, f64::INFINITY].map(Millis::from_f64).map(Millis::get),
            [0, 0, 1, u64::MAX]
        );
    }

    #[test]
    fn a_period_of_no_length_is_a_millisecond() {
        let at = Instant::from_epoch_ms(2_999);
        assert_eq!((at.period(Millis::new(1_000)), at.period(Millis::ZERO)), (2, 2_999));
    }

    #[test]
    fn a_point_in_time_is_written_for_people() {
        for (at, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399_999, "2000-02-28T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (951_868_800_000, "2000-03-01T00:00:00Z"),
            (1_767_225_599_000, "2025-12-31T23:59:59Z"),
            (1_767_225_610_000, "2026-01-01T00:00:10Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Instant::from_epoch_ms(at).utc().to_string(), expected, "{at}");
        }
        assert!(Instant::MAX.utc().to_string().ends_with('Z'));
    }

    #[test]
    fn both_are_numbers_in_json() {
        assert_eq!(serde_json::to_string(&(Instant::from_epoch_ms(5), Millis::new(7))).unwrap(), "[5,7]");
        assert_eq!(serde_json::from_str::<(Instant, Millis)>("[5,7]").unwrap().1, Millis::new(7));
    }

    proptest! {
        #[test]
        fn it_reckons_as_numbers_do(at in 0..1_u64 << 40, length in 0..1_u64 << 40, n in 1..1_u64 << 20, shift in 0..20_u32) {
            let (point, ms) = (Instant::from_epoch_ms(at), Millis::new(length));
            prop_assert_eq!((point + ms).epoch_ms(), at + length);
            prop_assert_eq!((point + ms) - point, ms);
            prop_assert_eq!((point + ms) - ms, point);
            prop_assert_eq!((ms * n).get(), length * n);
            prop_assert_eq!((ms / n).get(), length / n);
            prop_assert_eq!((ms << shift).get(), length << shift);
            prop_assert_eq!([ms, ms].into_iter().sum::<Millis>(), ms + ms);
        }
    }
}
