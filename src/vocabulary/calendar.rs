//! Days and months in UTC, without a library: the Gregorian calendar is a few divisions.
//! Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".

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
    /// The date of a day. `days`: since 1970-01-01.
    pub const fn of_day(days: u64) -> Self {
        let days = days.saturating_add(DAYS_TO_EPOCH);
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

    /// The days from 1970-01-01 to the first day of the next month.
    pub const fn next_month(self) -> u64 {
        let (year, month) = if self.month == 12 { (self.year + 1, 1) } else { (self.year, self.month + 1) };
        let (year, from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let year_of_era = year % 400;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + (153 * from_march + 2) / 5;
        (year / 400 * DAYS_OF_ERA + day_of_era).saturating_sub(DAYS_TO_EPOCH)
    }
}
