//! The receiving side: each batch counts once, and what is stored survives an eviction.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use switchyard::counters::{
    BATCH_EVERY_MS, CounterBatch, CounterLedger, CounterOutbox, Counters, Family, FinishedRequest,
    REMEMBERED_MS, RETENTION_MS,
};
use switchyard::vocabulary::time::{Instant, Millis};

use crate::times::{at, ms};
use crate::{attempt, batch, served};

/// The rows of an object.
#[derive(Default, Clone, PartialEq, Debug)]
struct Rows(BTreeMap<String, String>);

impl Rows {
    /// Stores what changed. Returns how many rows are written or removed.
    fn save(&mut self, ledger: &mut CounterLedger) -> usize {
        let rows = ledger.unsaved();
        for row in &rows {
            match &row.json {
                Some(json) => drop(self.0.insert(row.id.clone(), json.clone())),
                None => drop(self.0.remove(&row.id)),
            }
        }
        ledger.on_saved();
        rows.len()
    }

    fn restored(&self) -> CounterLedger {
        CounterLedger::restore(self.0.clone())
    }

    fn text(&self) -> String {
        self.0.iter().map(|(id, json)| format!("{id} {json}")).collect::<Vec<_>>().join("\n")
    }
}

fn requests(counters: &Counters) -> u64 {
    counters.sum(Family::Requests, &[], 0)
}

fn one_request(n: u64) -> CounterBatch {
    batch(n, |counters| counters.on_request(&served(), [attempt("azure", "ok", 900)]))
}

fn many_clients(n: u64, clients: usize) -> CounterBatch {
    batch(n, |counters| {
        for number in 0..clients {
            counters.on_request(&FinishedRequest { client: &format!("client-{number}"), ..served() }, []);
        }
    })
}

#[test]
fn a_batch_that_comes_again_is_not_counted_again() {
    let mut ledger = CounterLedger::default();
    assert_eq!(ledger.merge(5, &one_request(1), at(1)), 1);
    assert_eq!(ledger.merge(5, &one_request(1), at(2)), 1);
    assert_eq!(ledger.merge(5, &one_request(2), at(3)), 2);
    assert_eq!(ledger.merge(5, &one_request(1), at(4)), 2, "a late copy");
    assert_eq!(ledger.merge(6, &one_request(1), at(5)), 1, "another reporter");
    assert_eq!(requests(ledger.gathered()), 3);
}

#[test]
fn a_batch_without_a_number_is_not_counted() {
    let mut ledger = CounterLedger::default();
    assert_eq!(ledger.merge(5, &one_request(0), at(1)), 0);
    assert!(ledger.gathered().is_empty());
}

#[test]
fn an_eviction_changes_nothing() {
    let (mut ledger, mut rows) = (CounterLedger::default(), Rows::default());
    ledger.merge(5, &many_clients(1, 200), at(1));
    ledger.on_ejection("azure", "quota", at(1));
    rows.save(&mut ledger);
    let mut restored = rows.restored();
    assert_eq!(restored.gathered(), ledger.gathered());
    assert!(restored.unsaved().is_empty());
    assert_eq!(restored.merge(5, &many_clients(1, 200), at(2)), 1, "it remembers the number");
    assert_eq!(requests(restored.gathered()), 200);
    // A batch that is under way when the object is evicted keeps its number and its content.
    let sent = restored.batch(at(20_000)).unwrap();
    rows.save(&mut restored);
    restored.merge(6, &one_request(1), at(20_001));
    rows.save(&mut restored);
    let mut again = rows.restored();
    assert_eq!(again.batch(at(40_000)), Some(sent.clone()));
    again.on_counted(sent.n);
    rows.save(&mut again);
    assert_eq!(requests(rows.restored().gathered()), 1);
    assert_eq!(rows.restored().batch(at(60_000)).unwrap().n, 2);
}

#[test]
fn what_is_stored_is_readable() {
    let (mut ledger, mut rows) = (CounterLedger::default(), Rows::default());
    ledger.merge(0xbeef, &one_request(1), at(1_000));
    rows.save(&mut ledger);
    ledger.batch(at(20_000)).unwrap();
    ledger.merge(0xbeef, &one_request(2), at(21_000));
    rows.save(&mut ledger);
    assert_snapshot!(rows.text(), @r#"
    1/labels/0 ["chat","app","ok","azure"]
    1/series/0 [[1,3,2,4,1],[2,2,1200,0,0,0,0,0,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0],[9,3,1200,0,0,0,0,0,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0],[4,5,4,1],[5,5,900,0,0,0,0,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0]]
    2/labels/0 ["chat","app","ok","azure"]
    2/series/0 [[1,3,2,4,1],[2,2,1200,0,0,0,0,0,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0],[9,3,1200,0,0,0,0,0,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0],[4,5,4,1],[5,5,900,0,0,0,0,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0]]
    numbers [[2,0]]
    seen/47 [[48879,2,21000]]
    "#);
}

#[test]
fn a_report_writes_few_rows() {
    let (mut ledger, mut rows) = (CounterLedger::default(), Rows::default());
    ledger.merge(5, &one_request(1), at(1));
    assert_eq!(rows.save(&mut ledger), 3, "labels, series, the number of the reporter");
    ledger.merge(5, &one_request(2), at(2));
    assert_eq!(rows.save(&mut ledger), 2, "series, the number of the reporter");
    // Of many series, only those rows are written that have a series that changed.
    ledger.merge(5, &many_clients(3, 640), at(3));
    rows.save(&mut ledger);
    ledger.merge(5, &one_request(4), at(4));
    assert_eq!(rows.save(&mut ledger), 2);
    assert_eq!(rows.save(&mut ledger), 0);
}

#[test]
fn rows_of_a_counted_batch_are_removed() {
    let (mut ledger, mut rows) = (CounterLedger::default(), Rows::default());
    ledger.merge(5, &many_clients(1, 200), at(1));
    rows.save(&mut ledger);
    let before = rows.0.len();
    let sent = ledger.batch(at(20_000)).unwrap();
    ledger.on_counted(sent.n);
    rows.save(&mut ledger);
    assert!(before > 5);
    assert_eq!(rows.0.keys().collect::<Vec<_>>(), ["numbers", "seen/5"]);
}

#[test]
fn what_is_not_stored_does_not_leave() {
    let mut ledger = CounterLedger::default();
    ledger.merge(5, &one_request(1), at(1));
    assert_eq!(ledger.batch(at(20_000)), None, "the storage failed");
    Rows::default().save(&mut ledger);
    assert_eq!(ledger.batch(at(20_000)).unwrap().n, 1);
}

#[test]
fn damaged_rows_cost_no_more_than_they_must() {
    let (mut ledger, mut rows) = (CounterLedger::default(), Rows::default());
    ledger.merge(5, &many_clients(1, 200), at(1));
    rows.save(&mut ledger);
    for (id, json) in
        [("1/series/1", "{"), ("1/series/0", "[[1,2],[99]]"), ("1/labels/1", "7"), ("seen/5", "{}")]
    {
        let mut damaged = rows.clone();
        damaged.0.insert(id.to_owned(), json.to_owned());
        let mut restored = damaged.restored();
        let left = requests(restored.gathered());
        assert!((100..=200).contains(&left), "{id}: {left}");
        // It is stored again as a whole, and then read as it is.
        damaged.save(&mut restored);
        assert_eq!(damaged.restored().gathered(), restored.gathered(), "{id}");
        assert!(damaged.restored().unsaved().is_empty(), "{id}");
    }
    for id in ["mood", "1/2", "1/series/many", "a/series/1", "1/series/99999999999", "//", "", "day/20787"] {
        let mut damaged = rows.clone();
        damaged.0.insert(id.to_owned(), "[]".to_owned());
        assert_eq!(requests(damaged.restored().gathered()), 200, "{id}");
    }
}

#[test]
fn of_many_reporters_those_are_forgotten_that_repeat_nothing_any_more() {
    let mut ledger = CounterLedger::default();
    for reporter in 0..2_000 {
        ledger.merge(reporter, &one_request(1), at(reporter));
    }
    let later = at(1_000) + REMEMBERED_MS;
    ledger.merge(5_000, &one_request(1), later);
    assert_eq!(ledger.merge(1_999, &one_request(1), later), 1);
    assert_eq!(requests(ledger.gathered()), 2_001, "the younger ones are remembered");
    ledger.merge(7, &one_request(1), later);
    assert_eq!(requests(ledger.gathered()), 2_002, "the older ones are forgotten");
    assert!(RETENTION_MS + Millis::new(600_000) <= REMEMBERED_MS, "an isolate stops repeating long before");
}

#[test]
fn few_reporters_are_never_forgotten() {
    let mut ledger = CounterLedger::default();
    ledger.merge(5, &one_request(1), at(1));
    let much_later = at(1) + REMEMBERED_MS * 1_000;
    ledger.merge(6, &one_request(1), much_later);
    ledger.merge(5, &one_request(1), much_later);
    assert_eq!(requests(ledger.gathered()), 2);
}

#[test]
fn a_reporter_without_room_waits_and_loses_nothing() {
    let mut ledger = CounterLedger::default();
    let most = 16_384;
    for reporter in 0..most {
        assert_eq!(ledger.merge(reporter, &one_request(1), at(1)), 1);
    }
    assert_eq!(ledger.merge(most, &one_request(1), at(2)), 0);
    assert_eq!(ledger.merge(3, &one_request(2), at(2)), 2, "those that are known go on");
    assert_eq!(requests(ledger.gathered()), most + 1);
    assert_eq!(ledger.merge(most, &one_request(1), at(2) + REMEMBERED_MS), 1);
}

/// So long after the first moment of these tests.
fn later(length: u64) -> Instant {
    at(1_000_000 + length)
}

fn add(outbox: &mut CounterOutbox, now: Instant) {
    outbox.on_request(&served(), [attempt("azure", "ok", 900)], now);
}

#[test]
fn a_batch_goes_at_most_every_ten_seconds_and_again_until_it_is_counted() {
    let mut outbox = CounterOutbox::default();
    assert_eq!((outbox.due_at(), outbox.batch(later(1_000))), (None, None));
    add(&mut outbox, later(1_000));
    let first = outbox.batch(later(2_000)).unwrap();
    assert_eq!(first.n, 1);
    add(&mut outbox, later(3_000));
    assert_eq!(outbox.batch(later(11_999)), None);
    assert_eq!(outbox.batch(later(12_000)), Some(first.clone()), "it is not counted yet");
    assert!(!outbox.on_counted(0));
    assert!(outbox.on_counted(1));
    assert!(!outbox.on_counted(1));
    assert_eq!(outbox.batch(later(12_001)), None, "{BATCH_EVERY_MS} ms have not passed");
    let second = outbox.batch(later(22_000)).unwrap();
    assert_eq!((second.n, requests(&second.counters())), (2, 1));
    assert!(outbox.on_counted(2));
    assert!(outbox.is_empty());
}

#[test]
fn a_large_batch_does_not_wait() {
    let mut outbox = CounterOutbox::default();
    add(&mut outbox, later(1_000));
    outbox.batch(later(2_000)).unwrap();
    outbox.on_counted(1);
    for number in 0..1_200 {
        let client = format!("client-{number}");
        outbox.on_request(&FinishedRequest { client: &client, ..served() }, [], later(2_100));
    }
    assert_eq!(outbox.batch(later(2_200)).unwrap().n, 2);
    // It is repeated like any other.
    assert_eq!(outbox.batch(later(2_300)), None);
}

#[test]
fn an_isolate_repeats_a_batch_only_while_the_shard_certainly_remembers_it() {
    let mut outbox = CounterOutbox::default();
    add(&mut outbox, later(1_000));
    let first = outbox.batch(later(2_000)).unwrap();
    add(&mut outbox, later(3_000));
    let last = later(2_000) + RETENTION_MS - ms(1);
    assert_eq!(outbox.batch(last), Some(first));
    let second = outbox.batch(last + BATCH_EVERY_MS).unwrap();
    assert_eq!((second.n, requests(&second.counters())), (2, 1), "the first one is given up");
}

#[test]
fn work_in_the_background_begins_once_and_sends_what_no_report_takes() {
    let mut outbox = CounterOutbox::default();
    assert_eq!((outbox.flush_at(), outbox.begin_flush(later(0))), (None, None));
    add(&mut outbox, later(1_000));
    assert_eq!(outbox.flush_at(), Some(later(6_000)));
    let until = outbox.begin_flush(later(1_000)).unwrap();
    add(&mut outbox, later(2_000));
    assert_eq!(outbox.begin_flush(later(2_000)), None, "it is begun");
    outbox.batch(later(6_000)).unwrap();
    outbox.on_counted(1);
    assert_eq!(outbox.flush_at(), None);
    add(&mut outbox, later(7_000));
    assert_eq!(outbox.flush_at(), Some(later(16_000)), "ten seconds after the last batch");
    assert_eq!(outbox.begin_flush(later(7_000)), None, "the work that has begun sends this too");
    outbox.batch(later(16_000)).unwrap();
    outbox.on_counted(2);
    add(&mut outbox, later(25_500));
    // The work may run until 26 s, and this waits until 30.5 s.
    assert!(outbox.flush_at().unwrap() > until);
    let next = outbox.begin_flush(later(25_500)).unwrap();
    outbox.end_flush(until);
    assert_eq!(outbox.begin_flush(later(25_600)), None, "the end of the first does not end the second");
    outbox.end_flush(next);
    assert!(outbox.begin_flush(later(25_700)).is_some());
}
