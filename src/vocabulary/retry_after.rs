//! Reads and writes hints: how long an upstream asks the gateway to wait.
//!
//! A hint is a duration in milliseconds. It is never negative, and a longer one is cut to
//! [`LONGEST_HINT_MS`]. Long hints are not dropped: "in three days" must not allow an earlier
//! return than "in one day".

use std::time::{Duration, UNIX_EPOCH};

use super::headers::Headers;
use super::time::{Instant, Millis};

/// One day.
pub const LONGEST_HINT_MS: Millis = Millis::new(24 * 60 * 60 * 1000);

/// The hint in the headers of a response: `retry-after-ms`, which Azure sends and the official SDKs
/// prefer; then its older name `x-ms-retry-after-ms`; then `retry-after` in seconds, with
/// fractions, or as an HTTP date (RFC 9110 §10.2.3). A date in the past means now. A value that
/// cannot be read counts as absent.
pub fn retry_after(headers: &Headers, now: Instant) -> Option<Millis> {
    let value_of = |name| headers.get(name).map(str::trim);
    let in_ms = |name| value_of(name).and_then(decimal).and_then(|ms| hint(ms, 1.0));
    in_ms("retry-after-ms").or_else(|| in_ms("x-ms-retry-after-ms")).or_else(|| {
        let value = value_of("retry-after")?;
        decimal(value).and_then(|seconds| hint(seconds, 1000.0)).or_else(|| until_date(value, now))
    })
}

/// The hint in the text of an error: "retry after 22 seconds" (Azure OpenAI), "try again in 12
/// seconds" (Azure API Management), "try again in 1m2.5s" (OpenAI), "will be replenished in
/// 00:00:03" (a quota of Azure API Management). It is the last resort, for answers without a hint
/// in their headers.
pub fn in_text(text: &str) -> Option<Millis> {
    let text = text.to_ascii_lowercase();
    if let Some((_, rest)) = text.split_once("replenished in ") {
        return clock_length(rest);
    }
    let (_, rest) = text.split_once("retry after ").or_else(|| text.split_once("try again in "))?;
    length(rest.trim_start())
}

/// The headers that ask a client to wait, in both spellings that clients read.
pub fn headers(ms: Millis) -> [(&'static str, String); 2] {
    [("retry-after-ms", ms.to_string()), ("retry-after", ms.seconds_rounded_up().max(1).to_string())]
}

/// A duration at the start of `text`, in Go's format: numbers and units without spaces, `1h2m3.5s`.
/// Units may also be words. `None` if there is no such number.
pub fn length(text: &str) -> Option<Millis> {
    let mut rest = text;
    let mut total = None;
    while let Some((number, unit, after)) = number_and_unit(rest) {
        total = Some((hint(number, unit)? + total.unwrap_or(Millis::ZERO)).min(LONGEST_HINT_MS));
        rest = after;
    }
    total
}

/// A duration as days, hours, minutes and seconds: `d.hh:mm:ss`. The days may be missing.
fn clock_length(text: &str) -> Option<Millis> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, ':' | '.')).unwrap_or(text.len());
    let (hours, rest) = text.get(..end)?.split_once(':')?;
    let (minutes, seconds) = rest.split_once(':')?;
    let (days, hours) = hours.split_once('.').unwrap_or(("0", hours));
    // A full stop or a fraction may follow the seconds.
    let seconds = seconds.split('.').next()?;
    let mut total = 0_u64;
    for (part, in_next) in [(days, 24), (hours, 60), (minutes, 60), (seconds, 1)] {
        total = total.checked_add(part.parse().ok()?)?.checked_mul(in_next)?;
    }
    Some((Millis::new(1_000) * total).min(LONGEST_HINT_MS))
}

/// Splits a number and its unit off the front. The unit is given in milliseconds.
fn number_and_unit(text: &str) -> Option<(f64, f64, &str)> {
    let (number, rest) = text.split_at_checked(text.find(|c: char| !c.is_ascii_digit() && c != '.')?)?;
    let rest = rest.trim_start();
    let (unit, after) =
        rest.split_at_checked(rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len()))?;
    let ms = match unit {
        "ms" | "millisecond" | "milliseconds" => 1.0,
        "s" | "sec" | "second" | "seconds" => 1000.0,
        "m" | "min" | "minute" | "minutes" => 60_000.0,
        "h" | "hour" | "hours" => 3_600_000.0,
        _ => return None,
    };
    Some((decimal(number)?, ms, after))
}

/// A finite number written in digits. Rust would also read `inf` and `NaN`, which are not
/// durations.
fn decimal(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// `number` units as a hint, rounded up so that no client returns too early.
fn hint(number: f64, unit_ms: f64) -> Option<Millis> {
    (number >= 0.0).then(|| Millis::from_f64((number * unit_ms).ceil()).min(LONGEST_HINT_MS))
}

fn until_date(value: &str, now: Instant) -> Option<Millis> {
    let date = httpdate::parse_http_date(value).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let wait = date.saturating_sub(Duration::from_millis(now.epoch_ms())).as_millis();
    Some(u64::try_from(wait).map_or(LONGEST_HINT_MS, Millis::new).min(LONGEST_HINT_MS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::time::short::ms;
    use proptest::prelude::*;

    /// 2026-01-01T00:00:00Z.
    const NOW: Instant = Instant::from_epoch_ms(1_767_225_600_000);

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        Headers::of(pairs.iter().copied())
    }

    #[test]
    fn every_form_of_the_headers_is_read() {
        type Row<'a> = (&'a [(&'a str, &'a str)], Option<Millis>);
        let rows: [Row<'_>; 20] = [
            (&[], None),                                                             // nothing said
            (&[("retry-after-ms", "850")], Some(ms(850))),                           // Azure
            (&[("retry-after-ms", "0.4")], Some(ms(1))), // rounded up: not too early
            (&[("x-ms-retry-after-ms", "700")], Some(ms(700))), // older Azure
            (&[("retry-after", "1"), ("retry-after-ms", "850")], Some(ms(850))), // the finer one wins
            (&[("x-ms-retry-after-ms", "1"), ("retry-after-ms", "2")], Some(ms(2))), // the newer name wins
            (&[("retry-after", "7")], Some(ms(7_000))),
            (&[("retry-after", " 1.5 ")], Some(ms(1_500))), // fractions, blanks
            (&[("retry-after", "0")], Some(ms(0))),         // "now" is an answer
            (&[("retry-after", "Thu, 01 Jan 2026 00:00:30 GMT")], Some(ms(30_000))),
            (&[("retry-after", "Wed, 31 Dec 2025 23:59:00 GMT")], Some(ms(0))), // a date that has passed
            (&[("retry-after", "Fri, 01 Jan 2100 00:00:00 GMT")], Some(LONGEST_HINT_MS)),
            (&[("retry-after", "86400")], Some(LONGEST_HINT_MS)), // exactly the cap
            (&[("retry-after", "86401")], Some(LONGEST_HINT_MS)), // one above it
            (&[("retry-after", "99999999999999999999999")], Some(LONGEST_HINT_MS)), // beyond 64 bits
            (&[("retry-after", "-5")], None),
            (&[("retry-after", "NaN")], None), // a float to Rust's parser
            (&[("retry-after", "inf")], None),
            (&[("retry-after", "soon")], None),
            (&[("retry-after-ms", "garbage"), ("retry-after", "2")], Some(ms(2_000))), // the next header is asked
        ];
        for (pairs, expected) in rows {
            assert_eq!(retry_after(&headers(pairs), NOW), expected, "{pairs:?}");
        }
    }

    #[test]
    fn the_text_of_an_error_is_the_last_resort() {
        let rows = [
            ("Please retry after 22 seconds. Please go here: https://aka.ms/oai", Some(22_000)), // Azure OpenAI
            ("Please retry after 1 second.", Some(1_000)),
            ("Rate limit is exceeded. Try again in 12 seconds.", Some(12_000)), // Azure API Management
            ("Please try again in 7.66s. Visit https://platform.openai.com", Some(7_660)), // OpenAI
            ("Please try again in 20ms.", Some(20)),
            ("Please try again in 1m2.5s.", Some(62_500)), // Go's way
            ("Please try again in 400h.", Some(LONGEST_HINT_MS.get())),
            ("Please try again in 9000h9000h.", Some(LONGEST_HINT_MS.get())),
            ("Please retry after some time.", None),  // no number
            ("Please retry after 22 bananas.", None), // no unit
            ("Please retry after 22", None),
            ("Please retry after 1.2.3 seconds", None), // no number either
            ("Please try again later.", None),
            ("You sent 22 seconds of audio", None), // not a hint
        ];
        for (text, expected) in rows {
            assert_eq!(in_text(text), expected.map(ms), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_header_gives_a_bounded_hint_or_none(value in ".*", number in any::<f64>(), now in any::<u64>().prop_map(Instant::from_epoch_ms)) {
            for value in [value, number.to_string()] {
                for name in ["retry-after-ms", "x-ms-retry-after-ms", "retry-after"] {
                    let hint = retry_after(&headers(&[(name, &value)]), now);
                    prop_assert!(hint.is_none_or(|ms| ms <= LONGEST_HINT_MS));
                }
                let hint = in_text(&format!("retry after {value}"));
                prop_assert!(hint.is_none_or(|ms| ms <= LONGEST_HINT_MS));
            }
        }
    }
}
