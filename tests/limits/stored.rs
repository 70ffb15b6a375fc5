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
