//! The rows that say which stored objects a client has made.

use proptest::prelude::*;
use serde_json::{Value, json};
use switchyard::limits::object_rows::{FORGET, KNOWN, NOTE, UNUSED_DAYS};
use switchyard::limits::stored_ledger::StoredLedger;
use switchyard::vocabulary::time::{Instant, Millis};

use crate::ledger_rows::LedgerRows;

fn on_day(day: u64) -> Instant {
    Instant::from_epoch_ms(1_769_904_000_000) + Millis::new(86_400_000) * day
}

/// What the object of a client answers on this day, also if it was evicted before.
fn ask(rows: &LedgerRows, path: &str, ids: &[&str], day: u64) -> Vec<String> {
    let Ok(reply) = StoredLedger::new(rows.clone()).answer(path, &json!(ids).to_string(), on_day(day));
    assert_eq!(reply.status, 200, "{}", reply.text);
    let ids: Value = serde_json::from_str(&reply.text).unwrap();
    ids.as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_a_provider_removes_by_itself_is_forgotten_long_after_its_last_use() {
    let rows = LedgerRows::default();
    ask(&rows, NOTE, &["resp_1", "resp_2", "file-1", "upload_1", "cntr_1"], 0);
    assert_eq!(ask(&rows, KNOWN, &["resp_1"], UNUSED_DAYS), ["resp_1"], "it is in use");
    ask(&rows, NOTE, &["resp_3"], UNUSED_DAYS);
    let all = ["resp_1", "resp_2", "file-1", "upload_1", "cntr_1", "resp_3"];
    assert_eq!(ask(&rows, KNOWN, &["resp_2"], UNUSED_DAYS), ["resp_2"], "not before its day is over");
    ask(&rows, NOTE, &["file-2"], UNUSED_DAYS + 1);
    assert_eq!(ask(&rows, KNOWN, &all, UNUSED_DAYS + 1), ["resp_1", "resp_2", "file-1", "resp_3"]);
    ask(&rows, NOTE, &["file-3"], 10_000);
    assert_eq!(ask(&rows, KNOWN, &["file-1", "file-2", "file-3"], 10_000), ["file-1", "file-2", "file-3"]);
}

#[test]
fn rows_of_earlier_versions_have_no_day_and_stay_known() {
    let rows = LedgerRows::default();
    for id in ["resp_old", "file-old"] {
        rows.0.borrow_mut().insert(format!("object {id}"), String::new());
    }
    assert_eq!(ask(&rows, KNOWN, &["resp_old", "file-old", "resp_other"], 0), ["resp_old", "file-old"]);
    assert_eq!(ask(&rows, NOTE, &["resp_new"], UNUSED_DAYS + 1), ["resp_new"]);
    assert_eq!(
        ask(&rows, KNOWN, &["resp_old", "file-old"], UNUSED_DAYS + 1),
        ["file-old"],
        "it had a day since"
    );
}

#[test]
fn a_deleted_object_leaves_no_row() {
    let rows = LedgerRows::default();
    ask(&rows, NOTE, &["resp_1", "file-1"], 0);
    ask(&rows, KNOWN, &["resp_1"], 1);
    ask(&rows, FORGET, &["resp_1", "file-1", "file-2"], 2);
    assert_eq!(rows.0.borrow().len(), 0);
}

#[test]
fn the_rows_of_a_client_that_goes_on_for_years_are_bounded() {
    let (rows, mut most) = (LedgerRows::default(), 0);
    for day in 0..1_000 {
        for number in 0..10 {
            ask(&rows, NOTE, &[&format!("resp_{day}_{number}")], day);
        }
        most = most.max(rows.0.borrow().len());
    }
    // Ten a day, for the day of their making, those of 90 days, and the day on which they go.
    assert!(most <= 2 * 10 * 92, "{most}");
}

#[test]
fn limits_are_read_without_the_rows_of_objects() {
    let rows = LedgerRows::default();
    ask(&rows, NOTE, &["resp_1", "file-1"], 0);
    let ledger = StoredLedger::new(rows.clone());
    let Ok(reply) = ledger.answer("usage", "", on_day(0));
    assert_eq!((reply.status, reply.text.as_str()), (200, "[]"));
    assert_eq!(rows.0.borrow().len(), 3);
}

proptest! {
    #[test]
    fn an_object_that_is_used_is_known_and_each_day_finds_its_row(
        steps in prop::collection::vec((0..3_u8, 0..6_usize, 0..60_u64), 1..60),
    ) {
        let ids = ["resp_1", "resp_2", "upload_1", "cntr_1", "file-1", "batch_1"];
        let (rows, mut day) = (LedgerRows::default(), 0);
        let mut used: [Option<u64>; 6] = [None; 6];
        for (act, which, days) in steps {
            day += days;
            let id = ids[which];
            let known = ask(&rows, KNOWN, &[id], day) == [id];
            match used[which] {
                None => prop_assert!(!known),
                Some(_) if which >= 4 => prop_assert!(known),
                Some(last) if day <= last + UNUSED_DAYS => prop_assert!(known),
                Some(_) => {}
            }
            used[which] = known.then_some(day);
            match act {
                0 => { ask(&rows, FORGET, &[id], day); used[which] = None; }
                1 => { ask(&rows, NOTE, &[id], day); used[which] = Some(day); }
                _ => {}
            }
            let rows = rows.0.borrow();
            let of = |prefix: &str| rows.iter().filter(|(key, _)| key.starts_with(prefix)).count();
            let with_day = rows.iter().filter(|(key, day)| key.starts_with("object ") && !day.is_empty());
            let due_row = |key: &str, day: &str| key.replacen("object", &format!("until {day}"), 1);
            let are_found = with_day.clone().all(|(key, day)| rows.contains_key(&due_row(key, day)));
            prop_assert!(are_found, "{:?}", rows);
            prop_assert_eq!(of("until "), with_day.count());
        }
    }
}
