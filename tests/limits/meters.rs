//! One limit, as the ledger counts it.

use switchyard::limits::meter::{Decision, LeaseId, LeaseReport, LeaseWish, Meter};
use switchyard::vocabulary::limit::{LimitRate, LimitUnit, Period};
use switchyard::vocabulary::time::{Instant, Millis};

const LENGTH: Millis = Millis::new(15_000);

fn at(ms: u64) -> Instant {
    // 2026-01-31T23:59:00Z: a month ends after a minute.
    Instant::from_epoch_ms(1_769_903_940_000 + ms)
}

fn meter(amount: u64, per: Option<Period>) -> Meter {
    let unit = if per.is_some() { LimitUnit::Requests } else { LimitUnit::Concurrent };
    Meter::new(LimitRate { unit, amount, per }, at(0))
}

fn id(holder: u64, number: u64) -> LeaseId {
    LeaseId { holder, number }
}

fn grant(meter: &mut Meter, id: LeaseId, need: u64, wanted: u64, now: u64) -> Decision {
    meter.grant(id, LeaseWish { need, wanted }, LENGTH, at(now))
}

fn done(used: u64) -> LeaseReport {
    LeaseReport { used, reserved: 0, is_done: true }
}

#[test]
fn a_lease_is_a_share_of_what_is_free_and_at_least_what_is_needed() {
    let mut meter = meter(100, Some(Period::Day));
    let amounts =
        [(1, 1, 1_000), (2, 1, 1_000), (3, 30, 30), (4, 1, 1_000)].map(|(holder, need, wanted)| match grant(
            &mut meter,
            id(holder, 1),
            need,
            wanted,
            0,
        ) {
            Decision::Granted { amount, .. } => amount,
            Decision::Refused { .. } => 0,
        });
    assert_eq!(amounts, [50, 12, 30, 1]);
    assert_eq!(meter.free(), 7);
}

#[test]
fn a_wish_that_is_asked_again_gets_the_same_lease() {
    let mut meter = meter(100, Some(Period::Day));
    let first = grant(&mut meter, id(1, 1), 10, 10, 0);
    assert_eq!(grant(&mut meter, id(1, 1), 10, 10, 5), first);
    assert_eq!(meter.free(), 90);
}

#[test]
fn a_report_that_comes_twice_counts_once() {
    let mut meter = meter(100, Some(Period::Day));
    grant(&mut meter, id(1, 1), 40, 40, 0);
    for _ in 0..3 {
        meter.report(id(1, 1), done(15), LENGTH, at(10));
        assert_eq!(meter.free(), 85);
    }
}

#[test]
fn a_lease_whose_holder_is_gone_returns_at_its_end_but_for_what_was_said_to_be_in_flight() {
    for (unit_per, free) in [(Some(Period::Day), 75), (None, 100)] {
        let mut meter = meter(100, unit_per);
        grant(&mut meter, id(1, 1), 40, 40, 0);
        meter.report(id(1, 1), LeaseReport { used: 5, reserved: 20, is_done: false }, LENGTH, at(1_000));
        meter.advance(at(15_999));
        assert_eq!(meter.free(), 60);
        meter.advance(at(16_000));
        assert_eq!(meter.free(), free);
    }
}

#[test]
fn a_report_after_the_end_of_a_lease_is_counted() {
    let mut meter = meter(100, Some(Period::Day));
    grant(&mut meter, id(1, 1), 40, 40, 0);
    meter.advance(at(20_000));
    assert_eq!(meter.free(), 100);
    assert_eq!(meter.report(id(1, 1), done(30), LENGTH, at(21_000)), None);
    assert_eq!(meter.free(), 70);
}

#[test]
fn a_bucket_fills_evenly_and_says_when_enough_is_there() {
    let mut meter = meter(60, Some(Period::Minute));
    grant(&mut meter, id(1, 1), 60, 60, 0);
    meter.report(id(1, 1), done(60), LENGTH, at(0));
    let refused = |ms| Decision::Refused { retry_ms: Some(Millis::new(ms)) };
    assert_eq!(grant(&mut meter, id(1, 2), 1, 1, 0), refused(1_000));
    assert_eq!(grant(&mut meter, id(1, 3), 10, 10, 500), refused(9_500));
    assert_eq!(grant(&mut meter, id(1, 4), 61, 61, 500), Decision::Refused { retry_ms: None });
    assert!(matches!(grant(&mut meter, id(1, 5), 1, 9, 1_000), Decision::Granted { amount: 1, .. }));
    meter.advance(at(120_000));
    assert_eq!(meter.free(), 60);
}

#[test]
fn a_month_ends_at_midnight_in_utc_and_what_was_leased_before_does_not_count_after() {
    let mut meter = meter(100, Some(Period::Month));
    let granted = grant(&mut meter, id(1, 1), 100, 100, 50_000);
    assert_eq!(granted, Decision::Granted { amount: 100, until: at(60_000) });
    assert_eq!(
        grant(&mut meter, id(2, 1), 1, 1, 51_000),
        Decision::Refused { retry_ms: Some(Millis::new(9_000)) }
    );
    assert!(matches!(grant(&mut meter, id(2, 2), 90, 90, 60_000), Decision::Granted { .. }));
    meter.report(id(1, 1), done(100), LENGTH, at(61_000));
    assert_eq!(meter.free(), 10);
}

#[test]
fn a_lower_limit_of_a_new_document_counts_what_is_spent() {
    let mut meter = meter(100, Some(Period::Day));
    grant(&mut meter, id(1, 1), 50, 50, 0);
    meter.set_amount(40, at(1));
    assert_eq!(meter.free(), 0);
    meter.report(id(1, 1), done(10), LENGTH, at(2));
    assert_eq!(meter.free(), 30);
}
