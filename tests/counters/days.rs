//! What was used on each day: the rows of a report, by whom, and which days are known.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use serde_json::Value;
use switchyard::counters::usage_days::{DaysAsked, UsageDay};
use switchyard::counters::{Counters, FinishedRequest};
use switchyard::vocabulary::time::Instant;
use switchyard::vocabulary::usage::Usage;

use crate::times::ms;
use crate::{attempt, served};

const NOON: Instant = Instant::from_epoch_ms(1_796_040_000_000);

/// The starts that are stored.
type Starts = BTreeMap<String, String>;

fn begin(starts: &mut Starts, day: UsageDay, totals: &Counters) {
    let row = day.start(totals);
    starts.insert(row.id, row.json.unwrap());
}

fn report(by: &str, days: &str, totals: &Counters, starts: &Starts) -> Value {
    let start = |row: &str| Ok::<_, ()>(starts.get(row).cloned());
    let text = DaysAsked::parse(by, days).unwrap().report(UsageDay::of(NOON), totals, start).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn add(totals: &mut Counters, client: &str, model: &str, micro_usd: u64) {
    let usage = Usage {
        input_tokens: 20,
        cached_input_tokens: 8,
        output_tokens: 7,
        reasoning_tokens: 3,
        images: 1,
        audio_ms: 500,
        characters: 9,
        ..Usage::default()
    };
    let request = FinishedRequest { client, model, usage, micro_usd, ..served() };
    totals.on_request(&request, [attempt("openai", "timeout", 50), attempt("azure", "ok", 90)]);
}

#[test]
fn a_day_has_what_came_after_its_start_and_before_the_next_one() {
    let (today, mut starts, mut totals) = (UsageDay::of(NOON), Starts::new(), Counters::default());
    add(&mut totals, "before", "chat", 1);
    begin(&mut starts, today.before(1), &totals);
    add(&mut totals, "app", "chat", 100);
    let refused = FinishedRequest { outcome: "insufficient_quota", deployment: None, ..served() };
    totals.on_request(&refused, []);
    begin(&mut starts, today, &totals);
    add(&mut totals, "app", "chat", 1_000);
    add(&mut totals, "batch", "embed", 10_000);
    let days = report("client", "2", &totals, &starts);
    assert_snapshot!(days, @r#"{"by":"client","days":[{"day":"2026-11-30","is_over":false,"rows":[{"audio_ms":500,"cached_input_tokens":8,"characters":9,"images":1,"input_tokens":20,"micro_usd":1000,"name":"app","output_tokens":7,"reasoning_tokens":3,"refused":0,"requests":1},{"audio_ms":500,"cached_input_tokens":8,"characters":9,"images":1,"input_tokens":20,"micro_usd":10000,"name":"batch","output_tokens":7,"reasoning_tokens":3,"refused":0,"requests":1}]},{"day":"2026-11-29","is_over":true,"rows":[{"audio_ms":500,"cached_input_tokens":8,"characters":9,"images":1,"input_tokens":20,"micro_usd":100,"name":"app","output_tokens":7,"reasoning_tokens":3,"refused":1,"requests":2}]}]}"#);
}

#[test]
fn the_same_usage_is_added_up_by_client_by_model_and_by_deployment() {
    let (today, mut starts, mut totals) = (UsageDay::of(NOON), Starts::new(), Counters::default());
    begin(&mut starts, today, &totals);
    add(&mut totals, "app", "chat", 1);
    add(&mut totals, "app", "embed", 10);
    add(&mut totals, "", "em\"b\ned", 100);
    for (by, expected) in [
        ("client", vec![("", 1, 100), ("app", 2, 11)]),
        ("model", vec![("chat", 1, 1), ("em\"b\ned", 1, 100), ("embed", 1, 10)]),
        // Those that it served: the attempts that failed are not requests of another deployment.
        ("deployment", vec![("azure", 3, 111)]),
    ] {
        let found = report(by, "1", &totals, &starts);
        let rows = found["days"][0]["rows"].as_array().unwrap().iter();
        let row = |row: &Value| {
            let name = row["name"].as_str().unwrap().to_owned();
            (name, row["requests"].as_u64().unwrap(), row["micro_usd"].as_u64().unwrap())
        };
        let expected: Vec<_> = expected.iter().map(|(name, n, usd)| ((*name).to_owned(), *n, *usd)).collect();
        assert_eq!(rows.map(row).collect::<Vec<_>>(), expected, "{by}");
    }
}

#[test]
fn days_without_a_start_are_empty_and_those_before_the_first_start_unknown() {
    let (today, mut starts, mut totals) = (UsageDay::of(NOON), Starts::new(), Counters::default());
    assert_eq!(report("client", "7", &totals, &starts)["days"].as_array().unwrap().len(), 0);
    begin(&mut starts, today.before(3), &totals);
    add(&mut totals, "app", "chat", 5);
    begin(&mut starts, today, &totals);
    let found = report("client", "7", &totals, &starts);
    let found = found["days"].as_array().unwrap().iter();
    let found = found.map(|day| (day["day"].as_str().unwrap(), day["rows"].as_array().unwrap().len()));
    let expected = [("2026-11-30", 0), ("2026-11-29", 0), ("2026-11-28", 0), ("2026-11-27", 1)];
    assert_eq!(found.collect::<Vec<_>>(), expected);
    // Two days are asked for. That nothing was used on the second one is known from before.
    assert_eq!(report("client", "2", &totals, &starts)["days"].as_array().unwrap().len(), 2);
    starts.remove(&today.before(3).row());
    assert_eq!(report("client", "2", &totals, &starts)["days"].as_array().unwrap().len(), 1);
}

#[test]
fn a_start_that_cannot_be_read_costs_its_own_days_alone() {
    let (today, mut starts, mut totals) = (UsageDay::of(NOON), Starts::new(), Counters::default());
    begin(&mut starts, today.before(2), &totals);
    add(&mut totals, "app", "chat", 5);
    starts.insert(today.before(1).row(), "{".to_owned());
    add(&mut totals, "app", "chat", 50);
    begin(&mut starts, today, &totals);
    let found = report("client", "7", &totals, &starts);
    assert_eq!(found["days"][1]["rows"].as_array().unwrap().len(), 0);
    assert_eq!(found["days"][2]["rows"][0]["micro_usd"], 55, "the sum stays");
    // A start beyond the totals, after rows of the totals were damaged, is no negative usage.
    let found = report("client", "1", &Counters::default(), &starts);
    assert_eq!(found["days"][0]["rows"].as_array().unwrap().len(), 0);
}

#[test]
fn what_is_not_a_question_about_days_is_none() {
    for (by, days, is_one) in [
        ("client", "1", true),
        ("deployment", "35", true),
        ("client", "0", false),
        ("client", "36", false),
        ("client", "-1", false),
        ("client", "7.5", false),
        ("client", "", false),
        ("key", "7", false),
        ("", "7", false),
    ] {
        assert_eq!(DaysAsked::parse(by, days).is_some(), is_one, "{by} {days}");
    }
}

#[test]
fn rows_are_in_the_order_of_days() {
    let day = UsageDay::of(NOON);
    assert_eq!(day.row(), "day/20787");
    assert_eq!(UsageDay::of_row("day/20787"), Some(day));
    assert!(day.before(20_700).row() < day.row() && day.row() < UsageDay::of(Instant::MAX).row());
    let midnight = NOON.day_end();
    assert!(UsageDay::of(midnight) > day && UsageDay::of(midnight - ms(1)) == day);
    for row in ["day/", "day/x", "1/series/0", "numbers"] {
        assert_eq!(UsageDay::of_row(row), None, "{row}");
    }
}
