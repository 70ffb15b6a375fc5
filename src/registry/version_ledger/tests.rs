//! What the registry records, refuses and forgets.

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use serde_json::Value;

use super::*;
use crate::registry::memory_rows::Rows;
use crate::vocabulary::time::short::ms;

const START: Instant = Instant::from_epoch_ms(1_767_225_600_000);

fn note(version: &str) -> ChangeNote {
    let (who, why) = ("admin".to_owned(), Some("because".to_owned()));
    ChangeNote { version: version.to_owned(), who, why, how: ChangeKind::Put }
}

fn begin(ledger: &VersionLedger<'_, Rows>, expected: &str, version: &str, at: Instant) -> Begun {
    ledger.begin(request(expected, version, format!("{{\"v\":\"{version}\"}}")), at).unwrap()
}

fn request(expected: &str, version: &str, document: String) -> BeginRequest {
    let (expected, serving) = (expected.to_owned(), "v0".to_owned());
    BeginRequest { expected, serving, note: note(version), document, canary: None }
}

/// Entries of the log.
fn logged(ledger: &VersionLedger<'_, Rows>, since: Option<u64>, before: Option<u64>) -> Vec<Value> {
    ledger.acts(since, before, START).unwrap().iter().map(|act| serde_json::from_str(act).unwrap()).collect()
}

/// Makes a change as a whole.
fn change(ledger: &VersionLedger<'_, Rows>, version: &str, at: Instant) -> VersionEntry {
    let Begun::Admitted(token) = begin(ledger, "*", version, at) else { panic!("{version}") };
    ledger.commit(token, version, at).unwrap().unwrap();
    ledger.find(None).unwrap().unwrap()
}

#[test]
fn of_two_changes_based_on_one_version_exactly_one_wins() {
    let rows = Rows::default();
    let ledger = VersionLedger(&rows);
    // While the registry is empty, the version that serves counts.
    assert_eq!(begin(&ledger, "vx", "v1", START), Begun::Stale(Some("v0".to_owned())));
    assert_eq!(begin(&ledger, "v0", "v1", START), Begun::Admitted(1));
    assert_eq!(begin(&ledger, "v0", "v2", START), Begun::Busy, "before the first one is written");
    assert!(ledger.commit(1, "v1", START).unwrap().is_some());
    assert_eq!(begin(&ledger, "v0", "v2", START), Begun::Stale(Some("v1".to_owned())), "and after");
    assert_eq!(begin(&ledger, "v1", "v1", START), Begun::Unchanged(1));
    assert_eq!(begin(&ledger, "v1", "v2", START), Begun::Admitted(2));
}

#[test]
fn a_change_that_is_not_written_leaves_no_trace_and_blocks_for_half_a_minute_at_most() {
    let rows = Rows::default();
    let ledger = VersionLedger(&rows);
    change(&ledger, "v1", START);
    assert_eq!(begin(&ledger, "v1", "v2", START), Begun::Admitted(2));
    ledger.abort(2).unwrap();
    assert_eq!(begin(&ledger, "v1", "v3", START), Begun::Admitted(3));
    assert_eq!(begin(&ledger, "v1", "v4", START + PENDING_MS - ms(1)), Begun::Busy);
    assert_eq!(begin(&ledger, "v1", "v4", START + PENDING_MS), Begun::Admitted(4));
    assert_eq!(ledger.commit(3, "v3", START).unwrap(), None, "another one has taken its place");
    ledger.abort(3).unwrap();
    assert!(ledger.commit(4, "v4", START).unwrap().is_some());
    let versions: Vec<_> = ledger.entries().unwrap().into_iter().map(|entry| entry.version).collect();
    assert_eq!(versions, ["v1", "v4"]);
}

#[test]
fn a_change_whose_end_got_lost_is_recorded_when_an_isolate_serves_it() {
    let rows = Rows::default();
    let ledger = VersionLedger(&rows);
    change(&ledger, "v1", START);
    assert_eq!(begin(&ledger, "v1", "v2", START), Begun::Admitted(2));
    assert_eq!(ledger.notice("v2", None, START + ms(60_000)).unwrap(), Noticed::Known);
    let entry = ledger.find(None).unwrap().unwrap();
    assert_eq!((entry.number, entry.version.as_str(), entry.who.as_str()), (2, "v2", "admin"));
    assert_eq!(ledger.document(2).unwrap(), "{\"v\":\"v2\"}");
    // The end comes nevertheless.
    assert_eq!(ledger.commit(2, "v2", START).unwrap(), Some(entry.number));
}

#[test]
fn what_was_written_outside_the_api_is_recorded_with_what_it_changed() {
    let rows = Rows::default();
    let ledger = VersionLedger(&rows);
    assert_eq!(ledger.notice("v0", None, START).unwrap(), Noticed::Wanted);
    assert_eq!(ledger.notice("v0", Some("{\"a\":1}"), START).unwrap(), Noticed::Known);
    assert_eq!(ledger.notice("v9", Some("{\"a\":2}"), START).unwrap(), Noticed::Known);
    let entries = ledger.entries().unwrap();
    assert_eq!((entries[0].how, entries[0].changes), (ChangeKind::Found, 0));
    assert_eq!((entries[1].how, entries[1].changes), (ChangeKind::Outside, 1));
    assert_eq!((entries[0].replaced_at, entries[1].replaced_at), (Some(START), None));
    assert!(ledger.difference(2).unwrap().contains(r#""path":"a""#));
    let acts: Vec<_> = logged(&ledger, None, None).into_iter().map(|act| act["what"].clone()).collect();
    assert_eq!(acts, ["routes.found", "routes.written_outside_the_api"]);
}

#[test]
fn a_cache_with_the_version_before_is_no_change_until_it_must_have_ended() {
    let rows = Rows::default();
    let ledger = VersionLedger(&rows);
    change(&ledger, "v1", START);
    change(&ledger, "v2", START);
    let late = START + STALE_MS;
    assert_eq!(ledger.notice("v1", Some("{}"), late - ms(1)).unwrap(), Noticed::Stale);
    assert_eq!(ledger.notice("v1", Some("{}"), late).unwrap(), Noticed::Known);
    assert_eq!(ledger.find(None).unwrap().unwrap().how, ChangeKind::Outside);
    assert_eq!(ledger.find(Some("v1")).unwrap().unwrap().number, 3, "the latest of a version");
}

#[test]
fn long_documents_are_kept_in_parts_that_a_row_holds() {
    let rows = Rows::default();
    let ledger = VersionLedger(&rows);
    let document = format!("\"{}\"", "aé€".repeat(500_000));
    let Begun::Admitted(token) = ledger.begin(request("*", "v1", document.clone()), START).unwrap() else {
        panic!()
    };
    ledger.commit(token, "v1", START).unwrap();
    assert!(rows.0.borrow().values().all(|text| text.len() <= PART_BYTES));
    assert_eq!(ledger.document(1).unwrap(), document);
    assert!(!rows.0.borrow().keys().any(|(kind, ..)| *kind == RowKind::Pending));
}

#[test]
fn the_latest_hundred_versions_are_kept() {
    let rows = Rows::default();
    let ledger = VersionLedger(&rows);
    for number in 1..=RETAINED_VERSIONS + 20 {
        change(&ledger, &format!("v{number}"), START);
    }
    let entries = ledger.entries().unwrap();
    assert_eq!((entries.len(), entries[0].number), (100, 21));
    assert_eq!(ledger.find(Some("v20")).unwrap(), None);
    for kind in [RowKind::Version, RowKind::Difference, RowKind::Document] {
        assert_eq!(rows.rows(kind, 0, u64::MAX).unwrap().len(), 100, "{kind:?}");
    }
}

#[test]
fn the_log_is_read_by_its_numbers() {
    let rows = Rows::default();
    let ledger = VersionLedger(&rows);
    let act = Act {
        who: "viewer".to_owned(),
        what: "deployment.drain".to_owned(),
        subject: Some("a".to_owned()),
        why: Some("x".repeat(9_000)),
        result: "admin_token_needed".to_owned(),
    };
    for _ in 0..1_005 {
        ledger.add_act(act.clone(), START).unwrap();
    }
    let numbers = |since, before| {
        let acts = logged(&ledger, since, before);
        let number = |act: &Value| act["number"].as_u64().unwrap();
        acts.first().zip(acts.last()).map(|(first, last)| (number(first), number(last), acts.len()))
    };
    assert_eq!(numbers(None, None), Some((6, 1_005, 1_000)));
    assert_eq!(numbers(Some(0), None), Some((1, 1_000, 1_000)));
    assert_eq!(numbers(Some(1_000), None), Some((1_001, 1_005, 5)));
    assert_eq!(numbers(Some(1_005), None), None);
    assert_eq!(numbers(Some(u64::MAX), Some(u64::MAX)), None);
    assert_eq!(numbers(None, Some(6)), Some((1, 5, 5)));
    assert_eq!(numbers(Some(2), Some(5)), Some((3, 4, 2)));
    assert_eq!(numbers(None, Some(0)), None);
    let first = &logged(&ledger, Some(0), None)[0];
    assert_eq!(first["why"].as_str().unwrap().len(), WHY_CHARS);
}

#[test]
fn entries_of_the_log_are_kept_for_400_days() {
    let rows = Rows::default();
    let ledger = VersionLedger(&rows);
    let day = |number: u64| START + ms(number * 86_400_000);
    let add = |at| {
        let (who, what, result) = ("admin".to_owned(), "deployment.drain".to_owned(), "ok".to_owned());
        ledger.add_act(Act { who, what, subject: None, why: None, result }, at).unwrap();
    };
    let numbers = |since, at| -> Vec<u64> {
        let acts = ledger.acts(since, None, at).unwrap();
        acts.iter()
            .map(|act| serde_json::from_str::<Value>(act).unwrap()["number"].as_u64().unwrap())
            .collect()
    };
    let stored = || rows.0.borrow().keys().filter(|(kind, ..)| *kind == RowKind::Audit).count();
    for number in 0..100 {
        add(day(number));
    }
    assert_eq!(numbers(Some(0), day(400)).len(), 100, "on the last day");
    assert_eq!(numbers(Some(0), day(450)), (51..=100).collect::<Vec<_>>(), "without another act");
    assert_eq!(stored(), 50);
    add(day(451));
    assert_eq!((stored(), numbers(None, day(451))[0]), (50, 52));
    assert_eq!(numbers(Some(60), day(451))[0], 61);
    assert_eq!(numbers(Some(0), day(900)), Vec::<u64>::new());
    add(day(900));
    assert_eq!((stored(), numbers(Some(0), day(900))), (1, vec![102]), "numbers go on");
}

#[test]
fn a_log_that_an_older_version_wrote_is_read_on() {
    let rows = Rows::default();
    let ledger = VersionLedger(&rows);
    change(&ledger, "v1", START);
    let head = rows.0.borrow()[&(RowKind::Head, 0, 0)].clone();
    let mut old: Value = serde_json::from_str(&head).unwrap();
    old.as_object_mut().unwrap().remove("first_act").unwrap();
    rows.put(RowKind::Head, 0, 0, &old.to_string()).unwrap();
    assert_eq!(logged(&ledger, None, None).len(), 1);
    assert_eq!(change(&ledger, "v2", START).number, 2);
}

proptest! {
    /// Whatever comes in whatever order: numbers have no gaps, the last version is the current one,
    /// and every change is in the log.
    #[test]
    fn the_history_is_a_sequence(steps in proptest::collection::vec((0..5_u8, 0..6_u8, 0..60_000_u64), 1..60)) {
        let rows = Rows::default();
        let ledger = VersionLedger(&rows);
        let (mut now, mut tokens) = (START, vec![(0, String::new())]);
        for (step, version, pause) in steps {
            now += ms(pause);
            let version = format!("v{version}");
            let (token, of) = tokens.last().cloned().unwrap();
            match step {
                0 => if let Begun::Admitted(token) = begin(&ledger, "*", &version, now) {
                    tokens.push((token, version));
                },
                1 => if let Some(number) = ledger.commit(token, &of, now).unwrap() {
                    let entry = ledger.find(None).unwrap().unwrap();
                    prop_assert_eq!((entry.number, entry.version), (number, of));
                },
                2 => ledger.abort(token).unwrap(),
                _ => drop(ledger.notice(&version, Some(&version), now).unwrap()),
            }
        }
        let entries = ledger.entries().unwrap();
        prop_assert!(entries.iter().zip(1..).all(|(entry, number)| entry.number == number));
        prop_assert!(entries.windows(2).all(|two| two[0].version != two[1].version));
        prop_assert!(entries.iter().rev().skip(1).all(|entry| entry.replaced_at.is_some()));
        prop_assert_eq!(ledger.find(None).unwrap(), entries.last().cloned());
        prop_assert_eq!(ledger.acts(None, None, now).unwrap().len(), entries.len());
    }
}
