//! Which alerts operators get, and which isolate sends it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;
use switchyard::alerting::alert::{Alert, AlertReceipt};
use switchyard::health::alert_subject::{AlertInterest, refused_routes};
use switchyard::health::drains::name_key;
use switchyard::health::reason::Reason;
use switchyard::health::shard::Shard;
use switchyard::health::wire::{Batch, HealthReport, Probe, ShardAnswer, WireEjection};
use switchyard::vocabulary::alert_kind::AlertKind;
use switchyard::vocabulary::error_class::ErrorClass;
use switchyard::vocabulary::operation::Operation;
use switchyard::vocabulary::peer_id::PeerId;
use switchyard::vocabulary::rng::SplitMix64;
use switchyard::vocabulary::time::{Instant, Millis};

use crate::times::ms;

/// A region in which isolates report by hand.
struct Reports {
    shard: Shard,
    now: Instant,
    rng: SplitMix64,
    kinds: Vec<AlertKind>,
}

impl Reports {
    fn new() -> Self {
        let mut rng = SplitMix64::new(7);
        let shard = Shard::new(&mut rng);
        Self { shard, now: Instant::from_epoch_ms(1_767_225_600_000), rng, kinds: AlertKind::ALL.to_vec() }
    }

    fn wait(&mut self, length: Millis) -> &mut Self {
        self.now += length;
        self
    }

    /// Isolate `reporter` reports this, and gets these alerts.
    fn report(&mut self, reporter: u64, deployments: &[(&str, Batch)], refused: Option<&str>) -> Vec<Alert> {
        let deployments = deployments.iter().map(|(name, batch)| ((*name).to_owned(), batch.clone()));
        let refused = refused.map(|version| refused_routes(version, &["an issue"])).unwrap_or_default();
        let report = HealthReport {
            v: 1,
            reporter: PeerId(reporter),
            reports_per_second: 100,
            deployments: deployments.collect(),
            alerts: Some(AlertInterest { kinds: self.kinds.clone(), region: "enam".to_owned(), refused }),
            ..HealthReport::default()
        };
        // As the messages travel.
        let report = HealthReport::parse(&report.to_json()).unwrap();
        let answer = self.shard.report(&report, self.now, &mut self.rng);
        ShardAnswer::parse(&answer.to_json()).unwrap().alerts
    }

    /// Isolate `reporter` reports nothing new.
    fn ask(&mut self, reporter: u64) -> Vec<Alert> {
        self.report(reporter, &[], None)
    }

    /// The object is evicted, and restores itself from its storage.
    fn evict(&mut self) {
        let saved = self.shard.changed_since(0).map(|(identity, saved)| (identity.to_owned(), saved.clone()));
        let saved: Vec<_> = saved.collect();
        let alerts = self.shard.stored_alerts();
        self.shard = Shard::restore(self.shard.head(), saved, self.now);
        self.shard.restore_alerts(&alerts, self.now);
    }

    fn take(&mut self, alert: &Alert, webhook: &str, of: &[&str]) {
        let of = of.iter().map(|id| (*id).to_owned()).collect();
        self.shard.on_alert_taken(&AlertReceipt { id: alert.id.clone(), webhook: webhook.to_owned(), of });
    }
}

fn ejected(remaining: Millis, reason: Reason) -> Batch {
    Batch { ejected: Some(WireEjection { remaining_ms: remaining, reason }), ..Batch::default() }
}

fn probed(probe: Probe) -> Batch {
    Batch { probe: Some(probe), answered: true, ..Batch::default() }
}

/// What a webhook gets.
fn data(alert: &Alert) -> Value {
    let body: Value = serde_json::from_str(&alert.body).unwrap();
    body["data"].clone()
}

fn kinds(alerts: &[Alert]) -> Vec<AlertKind> {
    alerts.iter().map(|alert| alert.kind).collect()
}

const A: &str = "a@1";

#[test]
fn an_ejection_of_more_than_a_minute_is_one_alert_and_its_end_another() {
    let mut region = Reports::new();
    let began_at = region.now;
    assert!(region.report(1, &[(A, ejected(ms(120_000), Reason::Quota))], None).is_empty());
    assert!(region.wait(ms(59_999)).ask(1).is_empty());
    let alerts = region.wait(ms(1)).ask(1);
    assert_eq!(kinds(&alerts), [AlertKind::Ejected]);
    let alert = data(&alerts[0]);
    assert_eq!(alert["deployment"], "a");
    assert_eq!(alert["operation"], Value::Null);
    assert_eq!(alert["reason"]["kind"], "quota");
    assert_eq!(alert["since"], began_at.utc().to_string());
    assert_eq!(alert["until"], (began_at + ms(120_000)).utc().to_string());
    region.take(&alerts[0], "w", &["w"]);
    assert!(region.wait(ms(50_000)).ask(1).is_empty(), "it is sent once");
    // Another limit makes it longer, which is the same outage.
    assert!(region.report(2, &[(A, ejected(ms(60_000), Reason::Auth))], None).is_empty());
    let end = region.wait(ms(60_000)).report(2, &[(A, probed(Probe::Passed))], None);
    assert_eq!(kinds(&end), [AlertKind::Recovered]);
    assert_eq!(data(&end[0])["since"], began_at.utc().to_string());
    assert_ne!(end[0].id, alerts[0].id);
    region.take(&end[0], "w", &["w"]);
    assert!(region.wait(ms(600_000)).ask(1).is_empty());
}

#[test]
fn ejections_that_follow_each_other_are_one_outage() {
    let mut region = Reports::new();
    let unavailable = |failures| Reason::ConsecutiveFailures { failures, class: ErrorClass::Unavailable };
    let began_at = region.now;
    region.report(1, &[(A, ejected(ms(10_000), unavailable(5)))], None);
    let mut sent = Vec::new();
    for _ in 0..9 {
        // The probe fails as soon as it is allowed.
        region.wait(ms(10_001));
        let failed = Probe::Failed { class: Some(ErrorClass::Unavailable) };
        for alert in region.report(1, &[(A, probed(failed))], None) {
            region.take(&alert, "w", &["w"]);
            sent.push((alert.kind, region.now - began_at));
        }
    }
    assert_eq!(sent, [(AlertKind::Ejected, ms(60_006))]);
}

#[test]
fn what_is_not_known_to_be_out_for_a_minute_is_no_alert() {
    let limited = Reason::RateLimited { hint_ms: None };
    // A short limit, and then no request that would show whether it is over.
    let mut region = Reports::new();
    region.report(1, &[(A, ejected(ms(5_000), limited))], None);
    assert!(region.wait(ms(300_000)).ask(1).is_empty());
    // Another limit, minutes later, is another outage.
    assert!(region.report(1, &[(A, ejected(ms(30_000), limited))], None).is_empty());
    assert!(region.wait(ms(59_000)).ask(1).is_empty());
    // A recovery between two reports.
    let mut region = Reports::new();
    region.report(1, &[(A, ejected(ms(30_000), limited))], None);
    region.wait(ms(30_000));
    let both = Batch {
        ejected: Some(WireEjection { remaining_ms: ms(50_000), reason: limited }),
        ..probed(Probe::Passed)
    };
    assert!(region.report(1, &[(A, both)], None).is_empty());
    assert!(region.wait(ms(40_000)).ask(1).is_empty(), "the second one is 40 s old");
    // A recovery without an alert before it.
    assert!(region.wait(ms(11_000)).report(1, &[(A, probed(Probe::Passed))], None).is_empty());
    // A drain is the administrator's own act.
    let mut region = Reports::new();
    assert!(region.shard.drain(A, region.now));
    region.report(1, &[(A, ejected(ms(300_000), Reason::Quota))], None);
    assert!(region.wait(ms(100_000)).ask(1).is_empty());
    // So is a fault. What is still out after it is sent.
    let mut region = Reports::new();
    assert!(region.shard.set_fault(&name_key(A), "500 100 100000 ", region.now));
    region.report(1, &[(A, ejected(ms(300_000), Reason::Quota))], None);
    assert!(region.wait(ms(99_000)).ask(1).is_empty());
    assert_eq!(region.wait(ms(1_000)).ask(1).len(), 1);
}

#[test]
fn an_operation_has_an_outage_of_its_own() {
    let mut region = Reports::new();
    let reason = Reason::NotFound { operation: Operation::Responses };
    let missing = Batch {
        missing: BTreeMap::from([(Operation::Responses, ms(300_000))]),
        reasons: BTreeMap::from([(Operation::Responses, reason)]),
        ..Batch::default()
    };
    region.report(1, &[(A, missing)], None);
    let alerts = region.wait(ms(60_000)).ask(1);
    assert_eq!(data(&alerts[0])["operation"], "responses");
    assert_eq!(data(&alerts[0])["reason"]["kind"], "not_found");
    let back = Batch { missing: BTreeMap::from([(Operation::Responses, ms(0))]), ..Batch::default() };
    let end = region.report(1, &[(A, back)], None);
    assert_eq!(kinds(&end), [AlertKind::Recovered]);
    assert_eq!(data(&end[0])["operation"], "responses");
}

#[test]
fn an_alert_goes_to_one_isolate_and_after_a_growing_time_to_another_one() {
    let mut region = Reports::new();
    let first = region.report(1, &[], Some("v1"));
    assert_eq!(kinds(&first), [AlertKind::Routes]);
    let (began_at, mut given) = (region.now, vec![(region.now, 1)]);
    while region.now < began_at + ms(7_200_000) {
        for reporter in 1..=3 {
            let alerts = region.report(reporter, &[], Some("v1"));
            assert!(alerts.iter().all(|alert| *alert == first[0]));
            given.extend(alerts.iter().map(|_| (region.now, reporter)));
        }
        region.wait(ms(500));
    }
    let waits: Vec<_> = given.windows(2).map(|two| (two[1].0 - two[0].0).get() / 1_000).collect();
    assert_eq!(waits, [15, 30, 60, 120, 240, 480, 960], "eight tries, then none");
    assert!(given.windows(2).all(|two| two[0].1 != two[1].1), "{given:?}");
}

#[test]
fn an_isolate_that_is_alone_gets_it_again_a_little_later() {
    let mut region = Reports::new();
    assert_eq!(region.report(1, &[], Some("v1")).len(), 1);
    assert!(region.wait(ms(24_999)).ask(1).is_empty());
    assert_eq!(region.wait(ms(1)).ask(1).len(), 1);
}

#[test]
fn it_is_given_until_every_webhook_has_taken_it() {
    let mut region = Reports::new();
    let alert = region.report(1, &[], Some("v1")).remove(0);
    region.take(&alert, "one", &["one", "two"]);
    // What another document had counts for nothing, and a receipt that comes twice counts once.
    region.take(&alert, "three", &["one", "two"]);
    region.take(&alert, "one", &["one", "two"]);
    let again = region.wait(ms(15_000)).ask(2);
    assert_eq!(again[0].taken, ["one"]);
    region.take(&alert, "two", &["one", "two"]);
    assert!(region.wait(ms(3_000_000)).ask(1).is_empty());
    region.take(&alert, "two", &["one", "two"]);
}

#[test]
fn a_refused_document_is_reported_once_for_all_isolates_and_again_if_it_comes_again() {
    let mut region = Reports::new();
    let sent = |region: &mut Reports, reporter, version| {
        let alerts = region.report(reporter, &[], version);
        for alert in &alerts {
            region.take(alert, "w", &["w"]);
        }
        alerts.into_iter().map(|alert| data(&alert)["routes"]["version"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(sent(&mut region, 1, Some("v1")), ["v1"]);
    for reporter in 2..50 {
        assert!(sent(&mut region, reporter, Some("v1")).is_empty());
        region.wait(ms(60_000));
    }
    assert_eq!(sent(&mut region, 1, Some("v2")), ["v2"]);
    region.evict();
    assert!(sent(&mut region, 1, Some("v2")).is_empty());
    region.wait(ms(600_000));
    assert!(sent(&mut region, 1, None).is_empty());
    assert_eq!(sent(&mut region, 1, Some("v2")), ["v2"]);
}

#[test]
fn only_what_the_document_of_an_isolate_wants_is_given_to_it() {
    let mut region = Reports::new();
    region.kinds = vec![AlertKind::Routes];
    region.report(1, &[(A, ejected(ms(300_000), Reason::Quota))], None);
    assert!(region.wait(ms(100_000)).ask(1).is_empty());
    region.kinds = vec![AlertKind::Recovered];
    assert!(region.ask(1).is_empty(), "now it is watched");
    assert!(region.wait(ms(60_000)).report(1, &[], Some("v1")).is_empty());
    assert_eq!(
        kinds(&region.wait(ms(140_000)).report(1, &[(A, probed(Probe::Passed))], None)),
        [AlertKind::Recovered]
    );
    // Without any webhook, nothing is stored.
    let mut region = Reports::new();
    let batch = BTreeMap::from([(A.to_owned(), ejected(ms(300_000), Reason::Quota))]);
    let report = HealthReport { v: 1, deployments: batch, ..HealthReport::default() };
    let answer = region.shard.report(&report, region.now, &mut region.rng);
    assert!(answer.alerts.is_empty() && !answer.to_json().contains("alerts"));
    assert_eq!(region.shard.changed_alerts(), None);
}

#[test]
fn a_report_that_changes_nothing_of_the_alerts_stores_nothing() {
    let mut region = Reports::new();
    region.report(1, &[(A, ejected(ms(300_000), Reason::Quota))], None);
    assert!(region.shard.changed_alerts().is_some());
    region.shard.on_alerts_saved();
    for _ in 0..100 {
        region.wait(ms(500)).ask(1);
        assert_eq!(region.shard.changed_alerts(), None);
    }
}

#[test]
fn so_many_outages_at_once_are_reported_one_after_the_other() {
    let mut region = Reports::new();
    let names: Vec<_> = (0..400).map(|n| format!("d{n}@1")).collect();
    let batches: Vec<_> =
        names.iter().map(|name| (name.as_str(), ejected(ms(300_000), Reason::Quota))).collect();
    region.report(1, &batches, None);
    region.wait(ms(60_000));
    let mut sent = 0;
    for _ in 0..400 {
        let alerts = region.ask(1);
        assert!(alerts.len() <= 2);
        for alert in &alerts {
            region.take(alert, "w", &["w"]);
        }
        sent += alerts.len();
    }
    assert_eq!(sent, 256, "the oldest ones are dropped");
    let stored = region.shard.stored_alerts();
    assert!(stored.len() < 200_000, "{} bytes", stored.len());
}

#[test]
fn stored_alerts_that_are_not_understood_cost_no_more_than_they_must() {
    let mut region = Reports::new();
    for text in
        ["", "[]", "null", r#"{"outages":7,"waiting":{},"refusals":"x"}"#, r#"{"waiting":[{"alert":1}]}"#]
    {
        region.shard.restore_alerts(text, region.now);
        assert!(region.ask(1).is_empty(), "{text}");
    }
    assert_eq!(region.report(1, &[], Some("v1")).len(), 1);
}

/// What happens in a region.
#[derive(Debug, Clone)]
enum Event {
    Eject(usize, u64),
    Probe(usize, bool),
    Refuse(u8),
    Take(usize),
    Wait(u64),
    Evict,
}

fn event() -> impl Strategy<Value = (u64, Event)> {
    let event = prop_oneof![
        (0..3_usize, 1_000..200_000_u64).prop_map(|(nth, ms)| Event::Eject(nth, ms)),
        (0..3_usize, any::<bool>()).prop_map(|(nth, passed)| Event::Probe(nth, passed)),
        (0..3_u8).prop_map(Event::Refuse),
        (0..8_usize).prop_map(Event::Take),
        (0..90_000_u64).prop_map(Event::Wait),
        Just(Event::Evict),
    ];
    (1..4_u64, event)
}

proptest! {
    #[test]
    fn no_alert_is_lost_doubled_or_out_of_order(events in proptest::collection::vec(event(), 1..120)) {
        let mut region = Reports::new();
        let names = ["a@1", "b@1", "c@1"];
        let mut given: BTreeMap<String, Vec<(Instant, u64)>> = BTreeMap::new();
        let mut raised: Vec<Alert> = Vec::new();
        let mut taken: Vec<String> = Vec::new();
        for (reporter, event) in events {
            let alerts = match event {
                Event::Eject(nth, ms) => {
                    region.report(reporter, &[(names[nth], ejected(Millis::new(ms), Reason::Quota))], None)
                }
                Event::Probe(nth, passed) => {
                    let class = Some(ErrorClass::Unavailable);
                    let probe = if passed { Probe::Passed } else { Probe::Failed { class } };
                    region.report(reporter, &[(names[nth], probed(probe))], None)
                }
                Event::Refuse(version) => region.report(reporter, &[], Some(&version.to_string())),
                Event::Take(nth) => {
                    if let Some(alert) = raised.get(nth) {
                        let alert = alert.clone();
                        region.take(&alert, "w", &["w"]);
                        taken.push(alert.id);
                    }
                    region.ask(reporter)
                }
                Event::Wait(length) => region.wait(Millis::new(length)).ask(reporter),
                Event::Evict => {
                    region.evict();
                    region.ask(reporter)
                }
            };
            prop_assert!(alerts.len() <= 2);
            for alert in alerts {
                prop_assert!(!taken.contains(&alert.id), "it was taken");
                let tries = given.entry(alert.id.clone()).or_default();
                if let Some((at, _)) = tries.last() {
                    prop_assert!(region.now >= *at + ms(15_000) * (1 << (tries.len() - 1)));
                } else {
                    let a_minute_ago = (region.now - ms(60_000)).utc().to_string();
                    prop_assert!(data(&alert)["since"].as_str().is_none_or(|since| *since <= *a_minute_ago));
                    raised.push(alert);
                }
                tries.push((region.now, reporter));
                prop_assert!(tries.len() <= 8);
            }
        }
        // Of each deployment, beginnings and ends alternate.
        for name in ["a", "b", "c"] {
            let mut is_out = false;
            for alert in raised.iter().filter(|alert| data(alert)["deployment"] == name) {
                prop_assert_eq!(alert.kind == AlertKind::Ejected, !is_out);
                is_out = !is_out;
            }
        }
    }
}
