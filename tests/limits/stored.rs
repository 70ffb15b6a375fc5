//! The ledger in the storage of its object.

use proptest::prelude::*;
use serde_json::{Value, json};
use switchyard::limits::stored_ledger::{REPORT, StoredLedger, USAGE};
use switchyard::vocabulary::time::{Instant, Millis};

use crate::ledger_rows::LedgerRows;

const START: Instant = Instant::from_epoch_ms(1_769_904_000_000);

fn ask(ledger: &StoredLedger<LedgerRows>, path: &str, body: &Value, now: Instant) -> Value {
    let Ok(reply) = ledger.answer(path, &body.to_string(), now);
    assert_eq!(reply.status, 200, "{}", reply.text);
    serde_json::from_str(&reply.text).unwrap()
}

fn wish(holder: &str, number: u64, need: u64, unit: &str, per: &str) -> Value {
    let rate = json!({"unit": unit, "amount": 100, "per": per});
    json!({
        "holder": holder,
        "wishes": [{"meter": "a b", "rate": rate, "number": number, "need": need, "wanted": need}],
    })
}

proptest! {
    #[test]
    fn an_eviction_at_any_time_changes_no_answer(
        steps in prop::collection::vec((0..4_u64, 0..30_u64, 0..20_000_u64, any::<bool>(), any::<bool>()), 1..40),
        per in prop::sample::select(vec!["minute", "hour", "day", "month"]),
    ) {
        let (rows, other_rows) = (LedgerRows::default(), LedgerRows::default());
        let mut evicted = StoredLedger::new(rows.clone());
        let stays = StoredLedger::new(other_rows.clone());
        let (mut now, mut numbers) = (START, [0_u64; 4]);
        for (holder, amount, ms, is_done, is_evicted) in steps {
            now += Millis::new(ms);
            let number = &mut numbers[usize::try_from(holder).unwrap()];
            let mut report = wish(&format!("{holder:x}"), *number + 1, amount, "tokens", per);
            report["leases"] = json!([{
                "meter": "a b", "number": *number, "used": amount / 2, "reserved": u64::from(!is_done), "is_done": is_done,
            }]);
            report["debts"] = json!([{
                "meter": "debts", "rate": {"unit": "micro_usd", "amount": u64::MAX, "per": per}, "number": *number, "used": amount,
            }]);
            (report["wants_alerts"], report["client"]) = (json!(true), json!("app"));
            *number += 1;
            if is_evicted {
                evicted = StoredLedger::new(rows.clone());
            }
            // Lengths of leases depend on who has reported, which is not stored: a few isolates
            // make no difference.
            prop_assert_eq!(ask(&evicted, REPORT, &report, now), ask(&stays, REPORT, &report, now));
            prop_assert_eq!(&*rows.0.borrow(), &*other_rows.0.borrow());
        }
        prop_assert_eq!(ask(&evicted, USAGE, &json!(null), now), ask(&stays, USAGE, &json!(null), now));
    }
}

#[test]
fn what_no_longer_counts_leaves_the_storage() {
    let rows = LedgerRows::default();
    let ledger = StoredLedger::new(rows.clone());
    let Ok(reply) = ledger.answer(REPORT, &wish("1", 1, 40, "requests", "minute").to_string(), START);
    let mut at = reply.alarm_at.unwrap();
    assert_eq!(at, START + Millis::new(60_000));
    let mut rings = 0;
    while let Ok(Some(next)) = ledger.on_alarm(at) {
        assert!(next > at);
        (at, rings) = (next, rings + 1);
    }
    assert!(rings < 4, "{rings}");
    assert!(rows.0.borrow().is_empty(), "{rows:?}");
}

#[test]
fn usage_tells_what_is_spent_leased_and_free() {
    let ledger = StoredLedger::new(LedgerRows::default());
    ask(&ledger, REPORT, &wish("1", 1, 40, "tokens", "day"), START);
    let used = json!({"holder": "1", "leases": [{"meter": "a b", "number": 1, "used": 15}]});
    ask(&ledger, REPORT, &used, START);
    let expected = json!([{
        "meter": "a b", "unit": "tokens", "amount": 100, "per": "day", "spent": 15, "leased": 25, "free": 60,
        "resets_in_ms": 86_400_000,
    }]);
    assert_eq!(ask(&ledger, USAGE, &json!(null), START), expected);
}

#[test]
fn what_is_no_report_is_refused_and_changes_nothing() {
    let rows = LedgerRows::default();
    let ledger = StoredLedger::new(rows.clone());
    for (path, body, status) in [
        (REPORT, "", 400),
        (REPORT, "[]", 400),
        (REPORT, r#"{"holder": "no hex"}"#, 400),
        (REPORT, r#"{"holder": "1", "wishes": [7]}"#, 400),
        ("other", "{}", 404),
    ] {
        let Ok(reply) = ledger.answer(path, body, START);
        assert_eq!(reply.status, status, "{path} {body}");
    }
    assert!(rows.0.borrow().is_empty());
}

/// A report about a lease of all of a limit of so many tokens a day, of which this was used.
fn used_up_to(used: u64, amount: u64) -> Value {
    let rate = json!({"unit": "tokens", "amount": amount, "per": "day"});
    json!({
        "holder": "1", "wants_alerts": true, "client": "app",
        "debts": [{"meter": "tokens/day", "rate": rate, "number": used, "used": 0}],
        "leases": [{"meter": "tokens/day", "number": 1, "used": used, "reserved": 1}],
    })
}

/// The alerts in an answer, as threshold and spent units.
fn alerts(answer: &Value) -> Vec<(u64, u64)> {
    let alerts = answer["alerts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of = |alert: &Value| {
        let body: Value = serde_json::from_str(alert["body"].as_str().unwrap()).unwrap();
        (body["data"]["threshold"].as_u64().unwrap(), body["data"]["spent"].as_u64().unwrap())
    };
    alerts.iter().map(of).collect()
}

fn leased_whole(ledger: &StoredLedger<LedgerRows>, now: Instant) {
    let rate = json!({"unit": "tokens", "amount": 1_000, "per": "day"});
    let wish = json!({"meter": "tokens/day", "rate": rate, "number": 1, "need": 900, "wanted": 900});
    ask(ledger, REPORT, &json!({"holder": "1", "wishes": [wish]}), now);
}

fn take(ledger: &StoredLedger<LedgerRows>, answer: &Value, now: Instant) {
    for alert in answer["alerts"].as_array().unwrap() {
        let receipt = json!({"id": alert["id"], "webhook": "w", "of": ["w"]});
        let Ok(reply) = ledger.answer("alert", &receipt.to_string(), now);
        assert_eq!(reply.status, 200);
    }
}

#[test]
fn each_threshold_of_a_period_is_reported_once_also_by_a_ledger_that_was_evicted() {
    let rows = LedgerRows::default();
    let ledger = || StoredLedger::new(rows.clone());
    leased_whole(&ledger(), START);
    for (used, amount, expected) in [
        (799, 1_000, vec![]),
        (800, 1_000, vec![(80, 800)]),
        (850, 1_000, vec![]),
        (1_000, 1_000, vec![(100, 1_000)]),
        (1_100, 1_000, vec![]),
        // A larger limit is nearly spent again. Isolates with the old document change nothing.
        (1_800, 2_000, vec![(80, 1_800)]),
        (1_801, 1_000, vec![]),
        (1_802, 2_000, vec![]),
        (2_500, 2_000, vec![(100, 2_500)]),
    ] {
        let answer = ask(&ledger(), REPORT, &used_up_to(used, amount), START);
        assert_eq!(alerts(&answer), expected, "{used} of {amount}");
        if !expected.is_empty() {
            take(&ledger(), &answer, START);
        }
    }
    assert!(!rows.0.borrow().contains_key("alerts"), "all of them were taken");
    let tomorrow = START + Millis::new(86_400_000);
    assert_eq!(alerts(&ask(&ledger(), REPORT, &used_up_to(2_500, 1_000), tomorrow)), []);
    let mut spent = used_up_to(7, 1_000);
    spent["debts"][0]["used"] = json!(850);
    assert_eq!(alerts(&ask(&ledger(), REPORT, &spent, tomorrow)), [(80, 850)]);
}

#[test]
fn an_alert_about_a_limit_says_whose_it_is_how_much_is_spent_and_when_it_begins_anew() {
    let ledger = StoredLedger::new(LedgerRows::default());
    let spent = |client: Value, meter: &str, unit: &str, used: u64| {
        let rate = json!({"unit": unit, "amount": 5_000_000, "per": "month"});
        let debt = json!({"meter": meter, "rate": rate, "number": 1, "used": used});
        let report = json!({"holder": "1", "wants_alerts": true, "client": client, "debts": [debt]});
        let answer = ask(&ledger, REPORT, &report, START);
        let text = answer["alerts"][0]["body"].as_str().unwrap().to_owned();
        take(&ledger, &answer, START);
        text
    };
    let bodies = [
        spent(json!("app"), "usd/month", "micro_usd", 4_123_456),
        spent(json!("app"), "tokens/month/user=a\"b", "tokens", 5_000_000),
        spent(json!(null), "requests/month", "requests", 6_000_000),
    ];
    insta::assert_snapshot!(bodies.join("\n"), @r#"
    {"version":1,"id":"7795db18e2ee2571","type":"budget","timestamp":"2026-02-01T00:00:00Z","message":"the client app has used 82 % of its limit of 5 US dollars a month (usd/month), which begins anew at 2026-03-01T00:00:00Z","data":{"client":"app","meter":"usd/month","unit":"micro_usd","amount":5000000,"per":"month","spent":4123456,"share":82,"threshold":80,"resets_at":"2026-03-01T00:00:00Z"}}
    {"version":1,"id":"91d8c8d7170de977","type":"budget","timestamp":"2026-02-01T00:00:00Z","message":"the client app has used all of its limit of 5000000 tokens a month (tokens/month/user=a\"b): its requests are refused until 2026-03-01T00:00:00Z","data":{"client":"app","meter":"tokens/month/user=a\"b","unit":"tokens","amount":5000000,"per":"month","spent":5000000,"share":100,"threshold":100,"resets_at":"2026-03-01T00:00:00Z"}}
    {"version":1,"id":"75a97494d80b00e6","type":"budget","timestamp":"2026-02-01T00:00:00Z","message":"the gateway has used all of its limit of 5000000 requests a month (requests/month): its requests are refused until 2026-03-01T00:00:00Z","data":{"client":null,"meter":"requests/month","unit":"requests","amount":5000000,"per":"month","spent":6000000,"share":120,"threshold":100,"resets_at":"2026-03-01T00:00:00Z"}}
    "#);
}

#[test]
fn a_limit_whose_rest_is_too_little_for_a_request_counts_as_spent() {
    let ledger = StoredLedger::new(LedgerRows::default());
    let rate = json!({"unit": "tokens", "amount": 1_000, "per": "day"});
    let asking = |number: u64, need: u64, used: u64| {
        json!({
            "holder": "1", "wants_alerts": true,
            "debts": [{"meter": "m", "rate": rate, "number": 1_000 + number, "used": used}],
            "wishes": [{"meter": "m", "rate": rate, "number": number, "need": need, "wanted": need}],
        })
    };
    // Less than 80 % is spent: the request is large, and the limit is not nearly spent.
    assert_eq!(alerts(&ask(&ledger, REPORT, &asking(1, 500, 700), START)), []);
    // More than the whole limit fits at no time.
    assert_eq!(alerts(&ask(&ledger, REPORT, &asking(2, 1_001, 0), START)), []);
    let answer = ask(&ledger, REPORT, &asking(3, 100, 200), START);
    assert_eq!(answer["grants"][0]["amount"], 100);
    assert_eq!(alerts(&answer), [(80, 900)]);
    // What is leased may come back.
    assert_eq!(alerts(&ask(&ledger, REPORT, &asking(4, 100, 0), START)), []);
    let answer = ask(&ledger, REPORT, &asking(5, 101, 0), START);
    assert_eq!(alerts(&answer), [(100, 900)]);
    let body = answer["alerts"][0]["body"].as_str().unwrap();
    assert!(body.contains("the rest is too little for a request"), "{body}");
}

#[test]
fn rates_are_not_reported_and_nothing_is_kept_while_no_webhook_asks_for_it() {
    let rows = LedgerRows::default();
    let ledger = StoredLedger::new(rows.clone());
    let spend = |unit: &str, per: Option<&str>, wants: bool| {
        let rate = json!({"unit": unit, "amount": 10, "per": per});
        let (debt, wish) = (
            json!({"meter": format!("{unit}{per:?}"), "rate": rate, "number": 1, "used": 10}),
            json!({"meter": format!("{unit}{per:?}"), "rate": rate, "number": 2, "need": 1, "wanted": 1}),
        );
        let report = json!({"holder": "1", "wants_alerts": wants, "debts": [debt], "wishes": [wish]});
        alerts(&ask(&ledger, REPORT, &report, START))
    };
    assert_eq!(spend("requests", Some("minute"), true), []);
    assert_eq!(spend("tokens", Some("hour"), true), []);
    assert_eq!(spend("concurrent", None, true), []);
    assert_eq!(spend("tokens", Some("day"), false), []);
    assert!(!rows.0.borrow().contains_key("alerts"));
    assert_eq!(spend("tokens", Some("day"), true), [(100, 10)], "a webhook that is new hears of it");
    assert!(rows.0.borrow().contains_key("alerts"));
}

#[test]
fn an_alert_that_is_not_taken_is_given_again_later_and_is_forgotten_after_an_hour() {
    let rows = LedgerRows::default();
    let ledger = || StoredLedger::new(rows.clone());
    leased_whole(&ledger(), START);
    assert_eq!(alerts(&ask(&ledger(), REPORT, &used_up_to(900, 1_000), START)), [(80, 900)]);
    let at = |ms: u64| alerts(&ask(&ledger(), REPORT, &used_up_to(900, 1_000), START + Millis::new(ms)));
    assert_eq!(at(14_000), []);
    assert_eq!(at(26_000), [(80, 900)]);
    let mut tries = 2;
    for second in 27..3_700 {
        tries += at(second * 1_000).len();
    }
    assert_eq!(tries, 8);
    assert!(!rows.0.borrow().contains_key("alerts"));
}
