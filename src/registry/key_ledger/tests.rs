//! The list of issued keys, and what the store must get.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::registry::memory_rows::Rows;
use crate::vocabulary::time::short::ms;

const START: Instant = Instant::from_epoch_ms(1_800_000_000_000);

fn new(number: u64) -> KeyEntry {
    // The first bits are spread, as those of a hash.
    let hash = format!("{:016x}{number:048x}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let record = KeyRecord { client: "app".to_owned(), name: format!("n{number}"), ..KeyRecord::default() };
    KeyEntry { hash, record, ..KeyEntry::default() }
}

fn view(ledger: &KeyLedger<'_, Rows>, number: u64, now: Instant) -> Value {
    serde_json::from_str(&ledger.view(number, now).unwrap().unwrap()).unwrap()
}

fn page(ledger: &KeyLedger<'_, Rows>, after: u64, limit: u64) -> (Vec<String>, Option<String>) {
    let page = ledger.page(&KeysRequest { number: after, limit, ..KeysRequest::default() }, START).unwrap();
    let page: Value = serde_json::from_str(&page).unwrap();
    let id = |key: &Value| key["id"].as_str().unwrap().to_owned();
    (page["keys"].as_array().unwrap().iter().map(id).collect(), page["next"].as_str().map(str::to_owned))
}

fn rotation(number: u64, by: u64, overlap_ms: Millis) -> KeysRequest {
    KeysRequest { number, keys: vec![new(by)], overlap_ms, ..KeysRequest::default() }
}

#[test]
fn ids_are_read_as_they_are_written() {
    for (id, expected) in [
        ("key_1", Some(1)),
        ("key_100000", Some(100_000)),
        ("key_0", None),
        ("key_01", None),
        ("key_+1", None),
        ("key_", None),
        ("1", None),
        ("key_99999999999999999999", None),
    ] {
        assert_eq!(number_of(id), expected, "{id}");
    }
}

#[test]
fn a_key_is_added_once_whatever_is_imported_again() {
    let rows = Rows::default();
    let ledger = KeyLedger(&rows);
    assert_eq!(ledger.add(vec![new(1), new(2), new(1)], "admin", START).unwrap(), [1, 2]);
    assert_eq!(ledger.add(vec![new(2), new(3)], "admin", START + ms(5)).unwrap(), [3]);
    let bad = KeyEntry { hash: "sk-1".to_owned(), ..new(4) };
    assert!(ledger.add(vec![bad], "admin", START).unwrap().is_empty());
    assert_eq!(view(&ledger, 3, START)["created"], json!(START.epoch_ms() + 5));
}

#[test]
fn pages_go_over_the_gaps_of_keys_that_were_forgotten() {
    let rows = Rows::default();
    let ledger = KeyLedger(&rows);
    ledger.add((1..=6).map(new).collect(), "admin", START).unwrap();
    for number in [1, 3, 4, 6] {
        ledger.forget(number).unwrap();
    }
    assert_eq!(page(&ledger, 0, 1), (vec!["key_2".to_owned()], Some("key_2".to_owned())));
    assert_eq!(page(&ledger, 2, 1), (vec!["key_5".to_owned()], Some("key_5".to_owned())));
    assert_eq!(page(&ledger, 5, 1), (vec![], None));
    assert_eq!(page(&ledger, 0, 1_000), (vec!["key_2".to_owned(), "key_5".to_owned()], None));
    assert_eq!(page(&ledger, u64::MAX, 1_000), (vec![], None));
    assert_eq!(ledger.add(vec![new(6)], "admin", START).unwrap(), [7], "a number is never used again");
    assert_eq!(ledger.unwritten().unwrap(), [2, 5, 7]);
}

#[test]
fn many_keys_are_listed_page_by_page() {
    let rows = Rows::default();
    let ledger = KeyLedger(&rows);
    ledger.add((1..=20_000).map(new).collect(), "admin", START).unwrap();
    rows.remove(RowKind::KeyUnwritten, 0, u64::MAX).unwrap();
    let (mut count, mut after) = (0, 0);
    loop {
        let (ids, next) = page(&ledger, after, 1_000);
        count += ids.len();
        let Some(next) = next else { break };
        after = number_of(&next).unwrap();
    }
    assert_eq!(count, 20_000);
    assert!(ledger.add(vec![new(17_777)], "admin", START).unwrap().is_empty());
}

#[test]
fn a_key_that_is_replaced_ends_after_the_overlap_and_never_later_than_before() {
    for (expires, overlap, expected) in
        [(None, 1_000, 1_000), (Some(500), 1_000, 500), (Some(5_000), 1_000, 1_000), (None, 0, 0)]
    {
        let rows = Rows::default();
        let ledger = KeyLedger(&rows);
        let mut old = new(1);
        old.record.expires = expires.map(|expires| START + ms(expires));
        ledger.add(vec![old], "admin", START).unwrap();
        let mut request = rotation(1, 2, ms(overlap));
        assert_eq!(ledger.add_successor(&mut request, START).unwrap(), Successor::Added(2));
        ledger.replace(&request, 2, START).unwrap();
        let (old, new) = (ledger.entry(1).unwrap().unwrap(), ledger.entry(2).unwrap().unwrap());
        assert_eq!(old.record.expires, Some(START + ms(expected)));
        assert_eq!(new.record.expires, expires.map(|expires| START + ms(expires)));
        assert_eq!((new.replaces.as_deref(), old.replaced_by.as_deref()), (Some("key_1"), Some("key_2")));
        assert_eq!((old.record.revision, new.record.revision), (2, 1));
    }
}

#[test]
fn what_has_ended_or_is_not_there_is_not_replaced() {
    let rows = Rows::default();
    let ledger = KeyLedger(&rows);
    let mut short = new(1);
    short.record.expires = Some(START + ms(10));
    ledger.add(vec![short, new(2)], "admin", START).unwrap();
    ledger.revoke(2, START).unwrap();
    let successor = |number, at| ledger.add_successor(&mut rotation(number, 9, Millis::ZERO), at).unwrap();
    assert_eq!(successor(1, START + ms(10)), Successor::NotActive);
    assert_eq!(successor(2, START), Successor::NotActive);
    assert_eq!(successor(3, START), Successor::NoSuchKey);
    assert!(!ledger.revoke(3, START).unwrap());
}

#[test]
fn the_last_use_is_known_to_the_hour_and_never_goes_back() {
    let rows = Rows::default();
    let ledger = KeyLedger(&rows);
    ledger.add(vec![new(1)], "admin", START).unwrap();
    assert_eq!(view(&ledger, 1, START)["last_used"], Value::Null);
    let used = |number: u64| KeysRequest {
        reporter: crate::keys::key_uses::first_of(START.period(ms(3_600_000))),
        number,
        uses: vec![vec![1, 1, 42, 150], vec![9, 1, 42, 150], vec![0, 1, 1, 1], vec![1]],
        ..KeysRequest::default()
    };
    let hour = START.epoch_ms() / 3_600_000 * 3_600_000;
    for (number, at, expected) in [(1, 0, hour), (2, 3_600_000, hour + 3_600_000), (3, 0, hour + 3_600_000)] {
        ledger.on_used(&used(number), START + ms(at)).unwrap();
        assert_eq!(view(&ledger, 1, START)["last_used"], json!(expected));
        assert_eq!(view(&ledger, 1, START)["usage"]["total"]["requests"], json!(number));
    }
    assert!(rows.rows(RowKind::KeyUse, 2, u64::MAX).unwrap().is_empty(), "of no key that there is not");
}

#[test]
fn a_message_about_uses_counts_once_and_an_old_one_not_at_all() {
    let rows = Rows::default();
    let ledger = KeyLedger(&rows);
    ledger.add(vec![new(1)], "admin", START).unwrap();
    let hour_ms = ms(3_600_000);
    let first_of = crate::keys::key_uses::first_of;
    let say = |reporter: u64, number: u64, now: Instant| {
        let uses = vec![vec![1, 1, 10, 5]];
        ledger.on_used(&KeysRequest { number, reporter, uses, ..KeysRequest::default() }, now).unwrap();
        view(&ledger, 1, now)["usage"]["total"]["requests"].as_u64().unwrap()
    };
    let reporter = first_of(START.period(hour_ms)) + 5;
    assert_eq!([1, 1, 2, 1].map(|number| say(reporter, number, START)), [1, 1, 2, 2]);
    assert_eq!(say(reporter + 1, 1, START), 3, "another isolate");
    let later = START + hour_ms;
    assert_eq!([say(reporter, 2, later), say(reporter, 3, later)], [3, 4], "it is still remembered");
    let much_later = later + hour_ms;
    assert_eq!(say(reporter, 4, much_later), 4, "whether it was counted is not known");
    assert_eq!(say(first_of(much_later.period(hour_ms)), 1, much_later), 5);
    assert_eq!(rows.rows(RowKind::KeyReporter, 0, u64::MAX).unwrap().len(), 1, "the others are forgotten");
    assert_eq!(say(0, 0, much_later), 5, "of an older version of the gateway");
}

proptest! {
    /// Writes of records may overlap and fail. What the store has in the end is the latest
    /// revision, or the key still waits to be written.
    #[test]
    fn the_store_has_the_latest_revision_or_the_key_waits(steps in prop::collection::vec(0_u8..5, 1..40)) {
        let rows = Rows::default();
        let ledger = KeyLedger(&rows);
        ledger.add(vec![new(1)], "admin", START).unwrap();
        // The revisions that are being written. Each write ends with what `serve` does then.
        let (mut writes, mut stored) = (Vec::new(), 0);
        let revision = || ledger.entry(1).unwrap().unwrap().record.revision;
        let mut change = 0;
        for step in steps.into_iter().chain([3; 41]) {
            match step {
                0 if change == 0 => {
                    change += 1;
                    ledger.revoke(1, START).unwrap();
                }
                0 | 1 => {
                    change += 1;
                    ledger.replace(&rotation(1, 1, Millis::ZERO), 1, START).unwrap();
                }
                2 => writes.push(revision()),
                // The oldest write ends; it fails, or the store has its record now.
                _ if writes.is_empty() => {}
                4 => {
                    writes.remove(0);
                    ledger.on_write_failed(1).unwrap();
                }
                _ => {
                    let written = writes.remove(0);
                    stored = written;
                    if !ledger.on_written(1, written).unwrap() {
                        writes.push(revision());
                    }
                }
            }
        }
        prop_assert!(writes.is_empty());
        prop_assert!(stored == revision() || !ledger.is_written(1).unwrap(), "{stored} of {}", revision());
    }
}
