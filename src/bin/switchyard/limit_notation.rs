//! Limits on the command line: `requests=600/minute`, `usd=50/month`, `concurrent=4`.

use serde_json::{Map, Value};

const EXPECTED: &str = "requests=600/minute, tokens=1000000/day, usd=50/month or concurrent=4 was expected";

/// The limit in a text, in the form of the routes document. The gateway checks it further.
///
/// # Errors
/// What was expected.
pub fn limit(text: &str) -> Result<Value, String> {
    let parsed = || {
        let (unit, rest) = text.split_once('=')?;
        let (amount, per) = rest.split_once('/').map_or((rest, None), |(amount, per)| (amount, Some(per)));
        let amount: Value = match unit {
            "usd" => amount.parse::<f64>().ok().filter(|usd| *usd > 0.0)?.into(),
            "requests" | "tokens" | "concurrent" => amount.parse::<u64>().ok()?.into(),
            _ => return None,
        };
        let is_time = per.is_some_and(|per| ["minute", "hour", "day", "month"].contains(&per));
        let is_whole = if unit == "concurrent" { per.is_none() } else { is_time };
        let mut limit = Map::from_iter([(unit.to_owned(), amount)]);
        limit.extend(per.map(|per| ("per".to_owned(), per.into())));
        is_whole.then_some(Value::Object(limit))
    };
    parsed().ok_or_else(|| EXPECTED.to_owned())
}

/// A limit as the command line writes it, with the models that it counts.
pub fn notation(limit: &Value) -> String {
    let amount = ["requests", "tokens", "usd", "concurrent"]
        .into_iter()
        .find_map(|unit| Some(format!("{unit}={}", limit.get(unit)?)));
    let per = limit.get("per").and_then(Value::as_str).map(|per| format!("/{per}"));
    let models = limit.get("models").and_then(Value::as_array).map(|models| {
        let names: Vec<_> = models.iter().filter_map(Value::as_str).collect();
        format!(" of {}", names.join(", "))
    });
    [amount, per, models].into_iter().flatten().collect()
}

/// Millionths of a US dollar, in dollars.
pub fn dollars(micro_usd: u64) -> String {
    let (whole, rest) = (micro_usd / 1_000_000, format!("{:06}", micro_usd % 1_000_000));
    let rest = rest.trim_end_matches('0');
    format!("${whole}.{rest:0<2}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_limit_is_written_as_it_is_read() {
        for (text, expected) in [
            ("requests=600/minute", json!({ "requests": 600, "per": "minute" })),
            ("tokens=2000000/day", json!({ "tokens": 2_000_000, "per": "day" })),
            ("usd=0.5/month", json!({ "usd": 0.5, "per": "month" })),
            ("concurrent=4", json!({ "concurrent": 4 })),
        ] {
            assert_eq!(limit(text), Ok(expected.clone()), "{text}");
            assert_eq!(notation(&expected), text);
        }
        assert_eq!(
            notation(&json!({ "usd": 5, "per": "day", "models": ["a", "b-*"] })),
            "usd=5/day of a, b-*"
        );
        for text in [
            "",
            "600",
            "requests=600",
            "requests=-1/day",
            "usd=x/day",
            "usd=0/day",
            "concurrent=4/day",
            "eur=5/day",
            "usd=5/week",
        ] {
            assert!(limit(text).is_err(), "{text}");
        }
    }

    #[test]
    fn dollars_have_their_cents_and_what_is_less() {
        for (micro_usd, expected) in
            [(0, "$0.00"), (1, "$0.000001"), (1_500_000, "$1.50"), (12_345_000_000, "$12345.00")]
        {
            assert_eq!(dollars(micro_usd), expected);
        }
    }
}
