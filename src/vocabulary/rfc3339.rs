//! Times as people write them (RFC 3339), for the ends of clients and keys.

use super::time::{Instant, Millis};

const DAY_MS: u64 = 86_400_000;

/// The end that a text states: a time such as `2027-01-31T18:00:00Z` or `…+02:00`, or a day such as
/// `2027-01-31`, which ends at midnight UTC.
pub fn parse_end(text: &str) -> Option<Instant> {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let year = number(parts.next()?, 4)?;
    let (month, day) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    if parts.next().is_some() || !(1970..=9999).contains(&year) {
        return None;
    }
    let midnight = Instant::from_epoch_ms(days(year, month, day)? * DAY_MS);
    match time {
        None => Some(midnight + Millis::new(DAY_MS)),
        Some(time) => of_day(midnight, time),
    }
}

/// Digits alone, so many of them.
fn number(digits: &str, length: usize) -> Option<u64> {
    let is_number = digits.len() == length && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

/// Days since the epoch (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// days_from_civil). `None` if the month has no such day.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        2 => 28 + u64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years that begin in March, so that a leap day is the last day of one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + (153 * month + 2) / 5 + day - 1;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// A time of the day that begins at `midnight` UTC: `18:00:00Z`, `18:00:00.5+02:00`.
fn of_day(midnight: Instant, text: &str) -> Option<Instant> {
    let offset_at = text.find(['Z', 'z', '+', '-'])?;
    let (clock, offset) = text.split_at_checked(offset_at)?;
    let (clock, fraction) = match clock.split_once('.') {
        Some((clock, fraction)) => (clock, fraction),
        None => (clock, "0"),
    };
    let mut parts = clock.split(':');
    let hour = number(parts.next()?, 2).filter(|hour| *hour < 24)?;
    let minute = number(parts.next()?, 2).filter(|minute| *minute < 60)?;
    // A leap second counts as the second after it.
    let second = number(parts.next()?, 2).filter(|second| *second <= 60)?;
    let is_fraction = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    if parts.next().is_some() || !is_fraction {
        return None;
    }
    let at = midnight + Millis::new(((hour * 60 + minute) * 60 + second) * 1_000);
    let (sign, offset) = offset.split_at_checked(1)?;
    if sign.eq_ignore_ascii_case("z") {
        return Some(at).filter(|_| offset.is_empty());
    }
    let (hours, minutes) = offset.split_once(':')?;
    let hours = number(hours, 2).filter(|hours| *hours < 24)?;
    let minutes = number(minutes, 2).filter(|minutes| *minutes < 60)?;
    let offset = Millis::new((hours * 60 + minutes) * 60_000);
    // East of Greenwich it is later than in UTC.
    Some(if sign == "+" { at - offset } else { at + offset })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::parse_end;
    use crate::vocabulary::time::Instant;

    #[test]
    fn a_time_is_read_as_written_and_a_day_counts_to_its_end() {
        for (text, expected) in [
            ("2027-01-31T18:00:00Z", Some("2027-01-31T18:00:00Z")),
            ("2027-01-31t18:00:00z", Some("2027-01-31T18:00:00Z")),
            ("2027-01-31 18:00:00.750Z", Some("2027-01-31T18:00:00Z")),
            ("2027-01-31T18:00:00+02:00", Some("2027-01-31T16:00:00Z")),
            ("2027-01-31T23:30:00-01:30", Some("2027-02-01T01:00:00Z")),
            ("2027-01-31", Some("2027-02-01T00:00:00Z")),
            ("2028-02-29", Some("2028-03-01T00:00:00Z")),
            ("1970-01-01", Some("1970-01-02T00:00:00Z")),
            ("2027-12-31", Some("2028-01-01T00:00:00Z")),
            ("2027-02-29", None),
            ("2100-02-29", None),
            ("2027-04-31", None),
            ("2027-13-01", None),
            ("2027-00-01", None),
            ("2027-01-00", None),
            ("27-01-01", None),
            ("2027-1-1", None),
            ("1969-12-31", None),
            ("2027-01-31T18:00Z", None),
            ("2027-01-31T18:00:00", None),
            ("2027-01-31T24:00:00Z", None),
            ("2027-01-31T18:60:00Z", None),
            ("2027-01-31T18:00:00.Z", None),
            ("2027-01-31T18:00:00+0200", None),
            ("2027-01-31T18:00:00Z ", None),
            ("+027-01-31", None),
            ("2027-01-31T18:00:00+é0:00", None),
            ("tomorrow", None),
            ("", None),
        ] {
            assert_eq!(parse_end(text).map(|at| at.utc().to_string()).as_deref(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(seconds in 0_u64..253_402_300_800) {
            let at = Instant::from_epoch_ms(seconds * 1_000);
            prop_assert_eq!(parse_end(&at.utc().to_string()), Some(at));
        }

        #[test]
        fn no_text_panics(text in ".{0,30}", odd in "[0-9TZ:.+-]{0,30}") {
            let _ = (parse_end(&text), parse_end(&odd));
        }
    }
}
