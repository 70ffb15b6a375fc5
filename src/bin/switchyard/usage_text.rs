//! What was used on each day, and what is left of limits, as text.

use std::fmt::Write as _;

use serde::Deserialize;
use switchyard::vocabulary::time::Millis;

use crate::limit_notation::dollars;
use crate::output::{BOLD, RED, YELLOW, counted, painted, table};

/// The answer of `GET /admin/api/usage/days`.
#[derive(Debug, Deserialize)]
pub struct DaysAnswer {
    by: String,
    /// The latest first.
    days: Vec<DayAnswer>,
}

#[derive(Debug, Deserialize)]
struct DayAnswer {
    day: String,
    is_over: bool,
    rows: Vec<UsedAnswer>,
}

/// What one client, model or deployment used on a day.
#[derive(Debug, Default, Clone, Deserialize)]
struct UsedAnswer {
    name: String,
    requests: u64,
    refused: u64,
    input_tokens: u64,
    cached_input_tokens: u64,
    output_tokens: u64,
    reasoning_tokens: u64,
    images: u64,
    audio_ms: u64,
    characters: u64,
    micro_usd: u64,
}

/// The answer of `GET /admin/api/usage`.
#[derive(Debug, Deserialize)]
pub struct LimitsAnswer {
    limits: Vec<LimitAnswer>,
    is_complete: bool,
}

#[derive(Debug, Deserialize)]
struct LimitAnswer {
    client: Option<String>,
    meter: String,
    unit: String,
    amount: u64,
    per: Option<String>,
    spent: u64,
    leased: u64,
    free: u64,
    resets_in_ms: Option<Millis>,
}

impl UsedAnswer {
    fn add(&mut self, more: &Self) {
        for (sum, more) in [
            (&mut self.requests, more.requests),
            (&mut self.refused, more.refused),
            (&mut self.input_tokens, more.input_tokens),
            (&mut self.cached_input_tokens, more.cached_input_tokens),
            (&mut self.output_tokens, more.output_tokens),
            (&mut self.reasoning_tokens, more.reasoning_tokens),
            (&mut self.images, more.images),
            (&mut self.audio_ms, more.audio_ms),
            (&mut self.characters, more.characters),
            (&mut self.micro_usd, more.micro_usd),
        ] {
            *sum = sum.saturating_add(more);
        }
    }

    fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

impl LimitAnswer {
    /// How much is spent, in thousandths.
    fn share(&self) -> u128 {
        u128::from(self.spent) * 1_000 / u128::from(self.amount.max(1))
    }

    /// 0: all is spent. 1: nearly all. 2: isolates hold nearly all that is not spent. 3: none of
    /// these.
    fn level(&self) -> u8 {
        match self.share() {
            1_000.. => 0,
            800.. => 1,
            _ if self.free.saturating_mul(100) <= self.amount => 2,
            _ => 3,
        }
    }

    /// A budget ends what a client may do for days. Other limits give back within the hour.
    fn is_budget(&self) -> bool {
        matches!(self.per.as_deref(), Some("day" | "month"))
    }
}

/// A column with amounts: its head, its text, and whether it is shown if nobody has any.
type AmountColumn = (&'static str, fn(&UsedAnswer) -> String, bool);

const AMOUNTS: [AmountColumn; 10] = [
    ("requests", |used| used.requests.to_string(), true),
    ("refused", |used| used.refused.to_string(), false),
    ("input tokens", |used| used.input_tokens.to_string(), true),
    ("cached", |used| used.cached_input_tokens.to_string(), false),
    ("output tokens", |used| used.output_tokens.to_string(), true),
    ("reasoning", |used| used.reasoning_tokens.to_string(), false),
    ("images", |used| used.images.to_string(), false),
    ("audio", |used| if used.audio_ms == 0 { "0".to_owned() } else { seconds(used.audio_ms) }, false),
    ("characters", |used| used.characters.to_string(), false),
    ("cost", |used| dollars(used.micro_usd), true),
];

/// The usage as text, with what was answered of it. `origin`: the gateway. `asked`: for how many
/// days it was asked.
pub fn usage_text(
    origin: &str,
    asked: u64,
    usage: Option<&DaysAnswer>,
    limits: Option<&LimitsAnswer>,
    is_coloured: bool,
) -> String {
    let mut text = format!("{}\n", painted(BOLD, origin, is_coloured));
    if let Some(usage) = usage {
        days_text(&mut text, asked, usage, is_coloured);
        text.push('\n');
    }
    if let Some(limits) = limits {
        limits_text(&mut text, limits, is_coloured);
    }
    text
}

fn days_text(text: &mut String, asked: u64, usage: &DaysAnswer, is_coloured: bool) {
    let DaysAnswer { by, days } = usage;
    let mut all = UsedAnswer::default();
    days.iter().flat_map(|day| &day.rows).for_each(|used| all.add(used));
    let nothing = UsedAnswer::default();
    let shown: Vec<AmountColumn> = AMOUNTS
        .into_iter()
        .filter(|(_, amount, is_always)| *is_always || amount(&all) != amount(&nothing))
        .collect();
    let mut heads = vec!["day", by.as_str()];
    heads.extend(shown.iter().map(|(head, ..)| *head));
    let row = |day: &str, name: &str, used: &UsedAnswer| {
        let mut cells = vec![day.to_owned(), name.to_owned()];
        cells.extend(shown.iter().map(|(_, amount, _)| amount(used)));
        cells
    };
    let mut rows = Vec::new();
    for DayAnswer { day, rows: used, .. } in days {
        let mut used: Vec<&UsedAnswer> = used.iter().collect();
        used.sort_by_key(|used| std::cmp::Reverse((used.micro_usd, used.tokens(), used.requests)));
        let unknown = if by == "client" { "(no valid key)" } else { "(none)" };
        let name =
            |used: &UsedAnswer| if used.name.is_empty() { unknown.to_owned() } else { used.name.clone() };
        rows.extend(used.iter().map(|used| row(day, &name(used), used)));
        if used.is_empty() {
            rows.push(vec![day.clone(), "nothing used".to_owned()]);
        }
    }
    if rows.len() > 1 {
        rows.push(row("all", "", &all));
    }
    let running = days.iter().find(|day| !day.is_over);
    let running = running.map(|day| format!("; {} is not over", day.day)).unwrap_or_default();
    let _ = writeln!(text, "days of UTC, of all regions{running}");
    if let Some(first) = days.last().filter(|_| (days.len() as u64) < asked) {
        let _ = writeln!(text, "The hub has kept days since {}.", first.day);
    }
    if by == "deployment" {
        text.push_str("Requests are those that the deployment served.\n");
    }
    text.push('\n');
    text.push_str(&table(&heads, &rows, |_, _| None, is_coloured));
}

fn limits_text(text: &mut String, answer: &LimitsAnswer, is_coloured: bool) {
    let LimitsAnswer { limits, is_complete } = answer;
    let mut limits: Vec<&LimitAnswer> = limits.iter().collect();
    // The most urgent first, as on the page.
    limits.sort_by_key(|limit| (limit.level(), !limit.is_budget(), std::cmp::Reverse(limit.share())));
    if !is_complete {
        let words = "Not all ledgers have answered, so some limits are missing here.";
        let _ = writeln!(text, "{}", painted(YELLOW, words, is_coloured));
    }
    if limits.is_empty() {
        if *is_complete {
            text.push_str("Nothing is spent of any limit.\n");
        }
        return;
    }
    let _ = writeln!(text, "{} of which something is spent", counted(limits.len(), "limit"));
    let row = |limit: &&LimitAnswer| {
        let amount = |units: u64| if limit.unit == "micro_usd" { dollars(units) } else { units.to_string() };
        vec![
            limit.client.clone().unwrap_or_else(|| "(the gateway)".to_owned()),
            limit.meter.clone(),
            amount(limit.spent),
            amount(limit.amount),
            amount(limit.leased),
            amount(limit.free),
            limit.resets_in_ms.map_or_else(|| "-".to_owned(), begins_again),
        ]
    };
    let rows: Vec<Vec<String>> = limits.iter().map(row).collect();
    let colour = |row: usize, _| match limits.get(row)?.level() {
        0 => Some(RED),
        1 | 2 => Some(YELLOW),
        _ => None,
    };
    let heads = ["client", "limit", "spent", "of", "held", "free", "begins again"];
    text.push('\n');
    text.push_str(&table(&heads, &rows, colour, is_coloured));
}

/// `in 12 d 3 h`, `in 3 h 5 min`, `in 5 min`.
fn begins_again(after: Millis) -> String {
    let minutes = after.seconds_rounded_up().div_ceil(60);
    let (days, hours, rest) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
    match (days, hours) {
        (0, 0) => format!("in {rest} min"),
        (0, _) => format!("in {hours} h {rest} min"),
        _ => format!("in {days} d {hours} h"),
    }
}

/// `61.5 s`
fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1_000, ms % 1_000 / 100)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Without what is null.
    fn shown(asked: u64, usage: Value, limits: Value, is_coloured: bool) -> String {
        let usage: Option<DaysAnswer> = serde_json::from_value(usage).unwrap();
        let limits: Option<LimitsAnswer> = serde_json::from_value(limits).unwrap();
        usage_text("https://gateway.example", asked, usage.as_ref(), limits.as_ref(), is_coloured)
    }

    fn used(name: &str, requests: u64, input: u64, micro_usd: u64) -> Value {
        json!({
            "name": name, "requests": requests, "refused": 0, "input_tokens": input,
            "cached_input_tokens": 0, "output_tokens": 7, "reasoning_tokens": 0, "images": 0,
            "audio_ms": 0, "characters": 0, "micro_usd": micro_usd, "a_later_field": 1,
        })
    }

    fn limit(client: &Value, meter: &str, unit: &str, spent: u64, resets_in_ms: &Value) -> Value {
        json!({
            "client": client, "meter": meter, "unit": unit, "amount": 1_000_000, "per": "month",
            "spent": spent, "leased": 1_000, "free": 999_000_u64.saturating_sub(spent),
            "resets_in_ms": resets_in_ms,
        })
    }

    #[test]
    fn each_day_has_its_rows_and_the_limits_stand_below() {
        let mut refused = used("web", 9, 40, 20);
        refused["refused"] = json!(3);
        let usage = json!({ "by": "client", "days": [
            { "day": "2026-11-30", "is_over": false, "rows": [used("", 2, 0, 0), used("app", 12, 900, 1_230_000)] },
            { "day": "2026-11-29", "is_over": true, "rows": [] },
            { "day": "2026-11-28", "is_over": true, "rows": [refused] },
        ] });
        let limits = json!({ "is_complete": false, "limits": [
            limit(&json!("app"), "requests/minute", "requests", 10, &json!(null)),
            limit(&json!(null), "usd/month", "micro_usd", 812_500, &json!(1_047_600_000)),
            limit(&json!("web"), "usd/day/metadata:team=a", "micro_usd", 1_200_000, &json!(3_900_001)),
        ] });
        insta::assert_snapshot!(shown(7, usage.clone(), limits.clone(), false), @r"
        https://gateway.example
        days of UTC, of all regions; 2026-11-30 is not over
        The hub has kept days since 2026-11-28.

        day         client          requests  refused  input tokens  output tokens  cost
        2026-11-30  app             12        0        900           7              $1.23
        2026-11-30  (no valid key)  2         0        0             7              $0.00
        2026-11-29  nothing used
        2026-11-28  web             9         3        40            7              $0.00002
        all                         23        3        940           21             $1.23002

        Not all ledgers have answered, so some limits are missing here.
        3 limits of which something is spent

        client         limit                    spent    of       held    free     begins again
        web            usd/day/metadata:team=a  $1.20    $1.00    $0.001  $0.00    in 1 h 6 min
        (the gateway)  usd/month                $0.8125  $1.00    $0.001  $0.1865  in 12 d 3 h
        app            requests/minute          10       1000000  1000    998990   -
        ");
        let painted = shown(3, usage, limits, true);
        assert!(painted.contains("\u{1b}[31mweb"), "{painted:?}");
        assert!(painted.contains("\u{1b}[33musd/month"), "{painted:?}");
        assert!(!painted.contains("has kept days since"), "{painted:?}");
    }

    #[test]
    fn without_usage_and_limits_it_says_so() {
        let usage = json!({ "by": "model", "days": [{ "day": "2026-11-30", "is_over": false, "rows": [] }] });
        let limits = json!({ "is_complete": true, "limits": [] });
        insta::assert_snapshot!(shown(1, usage, limits, false), @r"
        https://gateway.example
        days of UTC, of all regions; 2026-11-30 is not over

        day         model         requests  input tokens  output tokens  cost
        2026-11-30  nothing used

        Nothing is spent of any limit.
        ");
    }

    #[test]
    fn what_was_answered_is_shown_without_the_rest() {
        let limits = json!({ "is_complete": true, "limits": [] });
        let text = shown(7, Value::Null, limits, false);
        assert_eq!(text, "https://gateway.example\nNothing is spent of any limit.\n");
        let usage = json!({ "by": "model", "days": [] });
        assert!(!shown(7, usage, Value::Null, false).contains("limit"));
    }

    #[test]
    fn the_most_urgent_limits_come_first_and_nothing_is_claimed_of_those_that_are_missing() {
        let usage = json!({ "by": "client", "days": [] });
        let order = |limits: Value, is_complete: bool| {
            shown(1, usage.clone(), json!({ "is_complete": is_complete, "limits": limits }), false)
        };
        let held = |name: &str, per: &str, spent: u64, free: u64| {
            let mut limit = limit(&json!("app"), name, "requests", spent, &json!(null));
            (limit["per"], limit["free"]) = (json!(per), json!(free));
            limit
        };
        let text = order(
            json!([
                held("half-of-a-minute", "minute", 500_000, 400_000),
                held("a-third-of-a-day", "day", 300_000, 700_000),
                held("held-by-isolates", "day", 400_000, 10_000),
                held("nearly-all", "minute", 800_000, 200_000),
                held("all", "minute", 1_000_000, 0),
            ]),
            true,
        );
        let at = |name: &str| text.find(name).unwrap();
        let names = ["app     all", "nearly-all", "held-by-isolates", "a-third-of-a-day", "half-of-a-minute"];
        assert!(names.is_sorted_by_key(|name| at(name)), "{text}");
        assert!(!order(json!([]), false).contains("Nothing is spent"), "ledgers are missing");
    }

    #[test]
    fn columns_of_what_somebody_used_are_shown() {
        let mut row = used("speech", 1, 0, 5);
        row["audio_ms"] = json!(61_590);
        row["characters"] = json!(12);
        let usage =
            json!({ "by": "deployment", "days": [{ "day": "2026-11-30", "is_over": false, "rows": [row] }] });
        let limits = json!({ "is_complete": true, "limits": [] });
        let text = shown(1, usage, limits, false);
        assert!(text.contains("requests  input tokens  output tokens  audio   characters  cost\n"), "{text}");
        assert!(text.contains("Requests are those that the deployment served.\n"), "{text}");
        assert!(text.contains("61.5 s  12          $0.000005\n"), "{text}");
    }
}
