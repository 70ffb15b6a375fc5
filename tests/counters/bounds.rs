//! Memory is bounded, and what is beyond the bounds is not lost.

use std::collections::BTreeSet;

use proptest::prelude::*;
use switchyard::counters::usage_days::UsageDay;
use switchyard::counters::{CounterBatch, Counters, Family, FinishedRequest, MOST_LABEL_BYTES};

use crate::served;

fn with_clients(count: usize) -> Counters {
    let mut counters = Counters::default();
    for number in 0..count {
        counters.on_request(&FinishedRequest { client: &format!("client-{number}"), ..served() }, []);
    }
    counters
}

fn series(counters: &Counters, family: Family) -> usize {
    let json = serde_json::to_value(CounterBatch::new(1, counters)).unwrap();
    json["series"].as_array().unwrap().iter().filter(|series| series[0] == family as u64).count()
}

#[test]
fn what_is_beyond_the_limit_of_a_family_counts_as_other() {
    let most = Family::Requests.most_series();
    let counters = with_clients(most + 500);
    assert_eq!(series(&counters, Family::Requests), most + 1);
    assert_eq!(counters.sum(Family::Requests, &[(0, "other"), (1, "other"), (2, "other")], 0), 500);
    assert_eq!(counters.sum(Family::Requests, &[], 0), most as u64 + 500);
    // Another family still has room.
    assert_eq!(series(&counters, Family::RequestDuration), 1);
    assert_eq!(counters.sum(Family::RequestDuration, &[], 0), (most as u64 + 500) * 1_200);
}

#[test]
fn histograms_have_a_limit_of_their_own() {
    let mut counters = Counters::default();
    for number in 0..1_500 {
        counters.on_request(&FinishedRequest { model: &format!("model-{number}"), ..served() }, []);
    }
    assert_eq!(series(&counters, Family::RequestDuration), Family::RequestDuration.most_series() + 1);
    assert_eq!(counters.sum(Family::RequestDuration, &[], 0), 1_500 * 1_200);
}

#[test]
fn a_name_other_is_not_everything_else() {
    let mut counters = Counters::default();
    counters.on_request(&FinishedRequest { client: "other", ..served() }, []);
    assert_eq!(counters.sum(Family::Requests, &[(0, "other"), (1, "chat"), (2, "ok")], 0), 1);
    let read = CounterBatch::new(1, &counters).counters();
    assert_eq!(read.sum(Family::Requests, &[(0, "other"), (1, "chat"), (2, "ok")], 0), 1);
}

#[test]
fn long_labels_are_cut_between_characters() {
    let long = "é".repeat(MOST_LABEL_BYTES);
    let mut counters = Counters::default();
    counters.on_request(&FinishedRequest { client: &long, ..served() }, []);
    let cut = "é".repeat(MOST_LABEL_BYTES / 2);
    assert_eq!(counters.sum(Family::Requests, &[(0, &cut)], 0), 1);
}

#[test]
fn the_bytes_of_all_labels_are_bounded() {
    let mut counters = Counters::default();
    for number in 0..2_000 {
        let client = format!("{number}-{}", "x".repeat(100));
        counters.on_request(&FinishedRequest { client: &client, ..served() }, []);
    }
    let text = serde_json::to_string(&CounterBatch::new(1, &counters)).unwrap();
    assert!(text.len() < 300_000, "{} bytes", text.len());
    assert_eq!(counters.sum(Family::Requests, &[], 0), 2_000);
    assert!(counters.sum(Family::Requests, &[(0, "other")], 0) > 0);
}

/// As many series as there can be, with large numbers.
fn full() -> Counters {
    let mut counters = Counters::default();
    let names: Vec<String> = (0..3_000).map(|number| format!("deployment-{number}")).collect();
    for name in &names {
        let usage =
            switchyard::vocabulary::usage::Usage { input_tokens: u64::from(u32::MAX), ..Default::default() };
        let request = FinishedRequest {
            client: name,
            model: name,
            deployment: Some(name),
            first_token_ms: Some(crate::times::ms(70_000)),
            usage,
            micro_usd: 1 << 40,
            is_fallback: true,
            ..served()
        };
        counters.on_request(&request, [crate::attempt(name, "ok", 70_000)]);
        counters.on_ejection(name, "consecutive_failures");
    }
    counters
}

#[test]
fn a_full_batch_fits_into_a_message() {
    let text = serde_json::to_string(&CounterBatch::new(1, &full())).unwrap();
    assert!(text.len() < switchyard::health::wire::MAX_BYTES * 3 / 4, "{} bytes", text.len());
}

#[test]
fn the_start_of_a_day_is_one_row_of_the_storage() {
    let start = UsageDay::of(crate::times::at(0)).start(&full()).json.unwrap();
    // A row and a parameter may have 2 MB. Rows are stored as texts in a JSON text.
    let stored = serde_json::to_string(&start).unwrap();
    assert!((100_000..1_000_000).contains(&stored.len()), "{} bytes", stored.len());
    let read: CounterBatch = serde_json::from_str(&start).unwrap();
    for family in [Family::Requests, Family::Attempts, Family::Usage] {
        assert_eq!(read.counters().sum(family, &[], 0), full().sum(family, &[], 0));
    }
    assert_eq!(read.counters().sum(Family::RequestDuration, &[], 0), 0, "days have no histograms");
}

proptest! {
    #[test]
    fn sums_are_kept_however_counters_are_split_into_batches(
        clients in proptest::collection::vec((0..40_u32, 0..5_u32, any::<u16>()), 0..200),
        cut in 0..200_usize,
    ) {
        let add = |counters: &mut Counters, (client, model, duration): &(u32, u32, u16)| {
            let (client, model) = (format!("c{client}"), format!("m{model}"));
            let duration_ms = crate::times::ms(u64::from(*duration));
            counters.on_request(&FinishedRequest { client: &client, model: &model, duration_ms, ..served() }, []);
        };
        let mut all = Counters::default();
        for request in &clients {
            add(&mut all, request);
        }
        let (one, two) = clients.split_at(cut.min(clients.len()));
        let mut merged = Counters::default();
        for part in [one, two] {
            let mut counters = Counters::default();
            for request in part {
                add(&mut counters, request);
            }
            let json = serde_json::to_string(&CounterBatch::new(1, &counters)).unwrap();
            serde_json::from_str::<CounterBatch>(&json).unwrap().add_to(&mut merged, |_| ());
        }
        let clients: BTreeSet<String> = clients.iter().map(|(client, ..)| format!("c{client}")).collect();
        for client in &clients {
            let labels = [(0, client.as_str())];
            prop_assert_eq!(merged.sum(Family::Requests, &labels, 0), all.sum(Family::Requests, &labels, 0));
        }
        for cell in 0..21 {
            prop_assert_eq!(merged.sum(Family::RequestDuration, &[], cell), all.sum(Family::RequestDuration, &[], cell));
        }
    }
}
