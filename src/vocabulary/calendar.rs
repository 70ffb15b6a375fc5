//! Days and months in UTC, without a library: the Gregorian calendar is a few divisions.
//! Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".

use super::time::{Instant, Millis};

const DAY_MS: u64 = 86_400_000;
/// From 0000-03-01, where years of the algorithm begin, to 1970-01-01.
const DAYS_TO_EPOCH: u64 = 719_468;
const DAYS_OF_ERA: u64 = 146_097;

/// A date in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// The year.
    pub year: u64,
    /// The month, 1 to 12.
    pub month: u64,
    /// The day of the month, from 1.
    pub day: u64,
}

impl Date {
    /// The date of a point in time.
    pub const fn of(at: Instant) -> Self {
        let days = at.epoch_ms() / DAY_MS + DAYS_TO_EPOCH;
        let (era, day_of_era) = (days / DAYS_OF_ERA, days % DAYS_OF_ERA);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // Years begin in March, so that a leap day is the last day of one.
        let from_march = (5 * day_of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let january = if month <= 2 { 1 } else { 0 };
        Self {
            year: year_of_era + era * 400 + january,
            month,
            day: day_of_year - (153 * from_march + 2) / 5 + 1,
        }
    }

    /// Midnight of the date, in UTC. Dates before 1970 give the epoch.
    pub const fn midnight(self) -> Instant {
        let (year, from_march) = if self.month > 2 {
            (self.year, self.month - 3)
        } else {
            (self.year.saturating_sub(1), self.month + 9)
        };
        let year_of_era = year % 400;
        let day_of_year = (153 * from_march + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = (year / 400 * DAYS_OF_ERA + day_of_era).saturating_sub(DAYS_TO_EPOCH);
        Instant::from_epoch_ms(days.saturating_mul(DAY_MS))
    }
}

/// The end of the day of a point in time: the next midnight.
pub fn day_end(at: Instant) -> Instant {
    Date::of(at).midnight() + Millis::new(DAY_MS)
}

/// The end of the month of a point in time: midnight of the first day of the next month.
pub fn month_end(at: Instant) -> Instant {
    let Date { year, month, .. } = Date::of(at);
    let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    Date { year: next.0, month: next.1, day: 1 }.midnight()
}
