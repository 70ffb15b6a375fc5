//! Messages with batches: what is written, and what is not understood.

use insta::assert_snapshot;
use proptest::prelude::*;
use switchyard::counters::{CounterBatch, Counters, Family};

use crate::{attempt, batch, served};

#[test]
fn a_batch_is_short_json() {
    let sample = batch(7, |counters| {
        counters.on_request(&served(), [attempt("azure", "ok", 900)]);
        counters.on_ejection("azure", "quota");
    });
    assert_snapshot!(
        serde_json::to_string(&sample).unwrap(),
        @r#"{"n":7,"labels":["chat","app","ok","azure","quota"],"series":[[1,3,2,4,1],[2,2,1200,0,0,0,0,0,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0],[9,3,1200,0,0,0,0,0,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0],[4,5,4,1],[5,5,900,0,0,0,0,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0],[7,5,6,1]]}"#
    );
}

#[test]
fn series_that_are_not_understood_are_left_out() {
    for (series, is_understood) in [
        ("[1,2,3,4,5]", true),
        ("[1,0,0,4,5]", true),
        ("[]", false),
        ("[1]", false),
        ("[1,2,3,4]", false),
        ("[1,2,3,4,5,6]", false),
        ("[1,2,3,99,5]", false),
        ("[1,2,3,18446744073709551615,5]", false),
        ("[99,2,3,4,5]", false),
        ("[0,2,3,4,5]", false),
    ] {
        let json =
            format!(r#"{{"n":1,"labels":["app","chat","ok"],"series":[{series},[1,2,3,4,10]],"more":true}}"#);
        let batch: CounterBatch = serde_json::from_str(&json).unwrap();
        let found = batch.counters().sum(Family::Requests, &[], 0);
        assert_eq!(found, if is_understood { 15 } else { 10 }, "{series}");
    }
}

#[test]
fn a_series_of_everything_else_stays_one() {
    let json = r#"{"n":1,"labels":["app"],"series":[[1,1,1,1,5],[1,2,1,0,7]]}"#;
    let counters = serde_json::from_str::<CounterBatch>(json).unwrap().counters();
    assert_eq!(counters.sum(Family::Requests, &[(0, "other"), (1, "other"), (2, "other")], 0), 12);
}

#[test]
fn numbers_do_not_overflow() {
    let json = r#"{"n":1,"labels":["a"],"series":[[1,2,2,2,18446744073709551615],[1,2,2,2,1]]}"#;
    let counters = serde_json::from_str::<CounterBatch>(json).unwrap().counters();
    assert_eq!(counters.sum(Family::Requests, &[], 0), u64::MAX);
}

proptest! {
    #[test]
    fn any_numbers_are_read_without_a_panic(
        labels in proptest::collection::vec(".{0,20}", 0..8),
        series in proptest::collection::vec(proptest::collection::vec(prop_oneof![0..12_u64, any::<u64>()], 0..30), 0..20),
    ) {
        let json = serde_json::json!({ "n": 1, "labels": labels, "series": series });
        let batch: CounterBatch = serde_json::from_value(json).unwrap();
        let mut counters = Counters::default();
        batch.add_to(&mut counters, |_| ());
        // What was understood is written and read again as it is.
        let again = CounterBatch::new(1, &counters).counters();
        for family in Family::ALL {
            for cell in 0..21 {
                prop_assert_eq!(again.sum(family, &[], cell), counters.sum(family, &[], cell));
            }
        }
    }
}
