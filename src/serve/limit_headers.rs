//! `x-ratelimit-*`: what is left of the limits of the client itself, also where one is used up.
//! OpenAI's clients read these six headers: <https://platform.openai.com/docs/guides/rate-limits>

use super::client_reply::OwnHeaders;
use super::limiting::left;
use super::platform::Platform;
use crate::entry::limit_claims::LedgerClaims;
use crate::vocabulary::decimal;
use crate::vocabulary::limit::LimitUnit;
use crate::vocabulary::time::Millis;

/// The headers of a provider about its own limits, each followed by a line break. Where the client
/// has limits of its own, they would not be true.
pub(super) const OF_PROVIDERS: &str = "x-ratelimit-limit-requests\nx-ratelimit-remaining-requests\n\
    x-ratelimit-reset-requests\nx-ratelimit-limit-tokens\nx-ratelimit-remaining-tokens\nx-ratelimit-reset-tokens\n";

/// The headers about requests and tokens, for the limits that the client has.
pub(super) fn of<P: Platform>(platform: &P, claims: &[LedgerClaims]) -> OwnHeaders {
    let mut headers = Vec::with_capacity(6);
    for (unit, names) in [
        (
            LimitUnit::Requests,
            ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
        ),
        (
            LimitUnit::Tokens,
            ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
        ),
    ] {
        if let Some(left) = left(platform, claims, unit) {
            let values =
                [left.amount.to_string(), left.view.remaining.to_string(), length(left.view.reset_ms)];
            headers.extend(names.into_iter().zip(values));
        }
    }
    headers
}

/// A duration as OpenAI writes it: `120ms`, `6m0s`, `23h59m59s`.
fn length(ms: Millis) -> String {
    let mut text = String::with_capacity(16);
    let mut push = |number: u64, unit: &str| {
        decimal::push(&mut text, number);
        text.push_str(unit);
    };
    if ms < Millis::new(1_000) {
        push(ms.get(), "ms");
        return text;
    }
    let seconds = ms.seconds_rounded_up();
    if seconds >= 3_600 {
        push(seconds / 3_600, "h");
    }
    if seconds >= 60 {
        push(seconds / 60 % 60, "m");
    }
    push(seconds % 60, "s");
    text
}

#[cfg(test)]
mod tests {
    use super::length;
    use crate::vocabulary::time::short::ms;

    #[test]
    fn durations_are_written_as_openai_writes_them() {
        for (millis, expected) in [
            (0, "0ms"),
            (120, "120ms"),
            (1_000, "1s"),
            (1_001, "2s"),
            (59_999, "1m0s"),
            (360_000, "6m0s"),
            (3_600_000, "1h0m0s"),
            (86_399_000, "23h59m59s"),
        ] {
            assert_eq!(length(ms(millis)), expected, "{millis}");
        }
    }
}
