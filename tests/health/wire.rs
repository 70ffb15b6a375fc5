//! The exact text on the wire. Other versions read it.

use proptest::prelude::*;
use switchyard::alerting::alert::Alert;
use switchyard::health::alert_subject::AlertInterest;
use switchyard::health::reason::Reason;
use switchyard::health::recent_records::RecentRecord;
use switchyard::health::wire::{
    Batch, HealthReport, KnownHistory, Latency, MAX_BYTES, Probe, ProbeUrgency, Record, ShardAnswer,
    WireEjection, WireError, WireLease,
};
use switchyard::routes::graph::Ejections;
use switchyard::vocabulary::alert_kind::AlertKind;
use switchyard::vocabulary::error_class::ErrorClass::{Timeout, Unavailable};
use switchyard::vocabulary::operation::Operation;
use switchyard::vocabulary::peer_id::PeerId;

use crate::times::ms;

fn report() -> HealthReport {
    let batch = Batch {
        seen: 41,
        successes: 12,
        failures: 6,
        answered: true,
        answered_ms: Some(ms(2_800)),
        run: 5,
        run_ms: ms(2_100),
        class: Some(Unavailable),
        age_ms: ms(3_200),
        latency: Some(Latency { mean_ms: 3_100.5, count: 4 }),
        first_token: Some(Latency { mean_ms: 412.5, count: 12 }),
        tokens_per_second: Some(61.0),
        headroom: Some(0.25),
        ejected: Some(WireEjection {
            remaining_ms: ms(9_100),
            reason: Reason::ConsecutiveFailures { failures: 5, class: Unavailable },
        }),
        missing: [(Operation::Responses, ms(300_000))].into(),
        reasons: [(Operation::Responses, Reason::Forbidden { operation: Operation::Responses })].into(),
        probe: Some(Probe::Failed { class: Some(Timeout) }),
        wants: Some(ProbeUrgency::Early),
        ejections: Ejections { failures_in_a_row: 3, ..Ejections::default() },
    };
    HealthReport {
        v: 1,
        n: 7,
        reporter: PeerId(0xbeef),
        known: Some(KnownHistory { epoch: PeerId(u64::MAX), change: 42 }),
        reports_per_second: 200,
        deployments: [("east@1".to_owned(), batch)].into(),
        counters: serde_json::from_str(r#"{"n":4,"labels":["east","quota"],"series":[[7,2,3,1]]}"#).ok(),
        is_shard: true,
        records: vec![RecentRecord { id: "req_1".to_owned(), json: "{}".to_owned() }],
        alerts: Some(AlertInterest {
            kinds: AlertKind::ALL.to_vec(),
            region: "enam".to_owned(),
            refused: "{}".to_owned(),
        }),
    }
}

fn answer() -> ShardAnswer {
    let open = Record {
        change: 44,
        opened: 44,
        closed: 40,
        reset: 12,
        ejected: Some(WireEjection {
            remaining_ms: ms(20_000),
            reason: Reason::RateLimited { hint_ms: Some(ms(20_000)) },
        }),
        closed_for_ms: None,
        trips: 2,
        probing_ms: Some(ms(1_500)),
        missing: [(Operation::Responses, ms(299_000))].into(),
        reasons: [(Operation::Responses, Reason::RateLimited { hint_ms: None })].into(),
        drained: true,
        fault: "500 20 60000 game day".to_owned(),
        latency_ms: Some(3_100.5),
        first_token_ms: Some(412.5),
        lease: Some(WireLease { from_ms: ms(0), until_ms: ms(5_000) }),
    };
    let closed = Record { change: 43, closed: 43, closed_for_ms: Some(ms(700)), ..Record::default() };
    let alert = Alert {
        id: "a1".to_owned(),
        kind: AlertKind::Routes,
        body: "{}".to_owned(),
        taken: vec!["b2".to_owned()],
    };
    ShardAnswer {
        v: 1,
        n: 7,
        epoch: PeerId(u64::MAX),
        change: 44,
        next_ms: ms(1_000),
        full: true,
        reset: 12,
        deployments: [("east@1".to_owned(), open), ("west@2".to_owned(), closed)].into(),
        counted: 4,
        alerts: vec![alert],
    }
}

#[test]
fn version_one_is_written_and_read_like_this() {
    let texts = [report().to_json(), answer().to_json()];
    insta::assert_snapshot!(texts.join("\n"), @r#"
    {"v":1,"n":7,"reporter":"000000000000beef","known":{"epoch":"ffffffffffffffff","change":42},"reports_per_second":200,"deployments":{"east@1":{"seen":41,"successes":12,"failures":6,"answered":true,"answered_ms":2800,"run":5,"run_ms":2100,"class":"unavailable","age_ms":3200,"latency":{"mean_ms":3100.5,"count":4},"first_token":{"mean_ms":412.5,"count":12},"tokens_per_second":61.0,"headroom":0.25,"ejected":{"remaining_ms":9100,"reason":{"kind":"consecutive_failures","failures":5,"class":"unavailable"}},"missing":{"responses":300000},"reasons":{"responses":{"kind":"forbidden","operation":"responses"}},"probe":{"is":"failed","class":"timeout"},"wants":"early","ejections":{"first_ms":10000,"longest_ms":30000,"failures_in_a_row":3}}},"counters":{"n":4,"labels":["east","quota"],"series":[[7,2,3,1]]},"is_shard":true,"records":[{"id":"req_1","json":"{}"}],"alerts":{"kinds":["ejected","recovered","budget","routes"],"region":"enam","refused":"{}"}}
    {"v":1,"n":7,"epoch":"ffffffffffffffff","change":44,"next_ms":1000,"full":true,"reset":12,"deployments":{"east@1":{"change":44,"opened":44,"closed":40,"reset":12,"ejected":{"remaining_ms":20000,"reason":{"kind":"rate_limited","hint_ms":20000}},"trips":2,"probing_ms":1500,"missing":{"responses":299000},"reasons":{"responses":{"kind":"rate_limited","hint_ms":null}},"drained":true,"fault":"500 20 60000 game day","latency_ms":3100.5,"first_token_ms":412.5,"lease":{"from_ms":0,"until_ms":5000}},"west@2":{"change":43,"closed":43,"closed_for_ms":700}},"counted":4,"alerts":[{"id":"a1","kind":"routes","body":"{}","taken":["b2"]}]}
    "#);
    assert_eq!(HealthReport::parse(&texts[0]), Ok(report()));
    assert_eq!(ShardAnswer::parse(&texts[1]), Ok(answer()));
}

#[test]
fn a_report_that_says_nothing_is_short() {
    let report = HealthReport { v: 1, n: 1, reports_per_second: 200, ..HealthReport::default() };
    insta::assert_snapshot!(report.to_json(), @r#"{"v":1,"n":1,"reporter":"0000000000000000","reports_per_second":200,"deployments":{}}"#);
    assert_eq!(HealthReport::parse(r#"{"v":1}"#), Ok(HealthReport { v: 1, ..HealthReport::default() }));
    assert_eq!(ShardAnswer::parse(r#"{"v":1}"#), Ok(ShardAnswer { v: 1, ..ShardAnswer::default() }));
}

#[test]
fn what_a_later_version_adds_costs_nothing_but_itself() {
    let text = r#"{"v":1,"n":3,"reporter":"0a","mood":"fine","known":{"epoch":"not hex","change":1},"deployments":{
        "a":{"successes":2,"class":"haunted","wants":"desperately","probe":{"is":"postponed"},"headroom":"much",
             "missing":{"telepathy":5,"responses":7,"embeddings":"long"},
             "reasons":{"telepathy":{"kind":"quota"},"responses":{"kind":"haunted","by":3},"embeddings":"why"},"ejected":{"remaining_ms":5,"reason":{"kind":"haunted","by":3}}},
        "b":{"successes":"many"},
        "c":{"failures":1,"probe":{"is":"failed","class":"haunted"},"ejected":{"remaining_ms":6,"reason":{"kind":"probe_failed","class":"haunted"}}},
        "d":{"ejected":{"remaining_ms":-1}}}}"#;
    let read = HealthReport::parse(text).unwrap();
    let ejected = |remaining_ms| Some(WireEjection { remaining_ms, reason: Reason::Other });
    let a = Batch {
        successes: 2,
        ejected: ejected(ms(5)),
        missing: [(Operation::Responses, ms(7))].into(),
        reasons: [(Operation::Responses, Reason::Other)].into(),
        ..Batch::default()
    };
    let c = Batch {
        failures: 1,
        probe: Some(Probe::Failed { class: None }),
        ejected: ejected(ms(6)),
        ..Batch::default()
    };
    let deployments = [("a", a), ("c", c), ("d", Batch::default())];
    let deployments = deployments.map(|(name, batch)| (name.to_owned(), batch)).into();
    assert_eq!(
        read,
        HealthReport { v: 1, n: 3, reporter: PeerId(10), deployments, ..HealthReport::default() }
    );

    let text = r#"{"v":1,"weather":[],"deployments":{
        "a":{"change":3,"ejected":{"remaining_ms":5,"reason":17},"lease":{"from_ms":0,"until_ms":5,"for":"two"}},
        "b":{"change":4,"lease":"all yours","missing":[1],"drained":true},
        "c":[],
        "d":{"change":5,"ejected":{"for":"a while"}}}}"#;
    let read = ShardAnswer::parse(text).unwrap();
    let lease = Some(WireLease { from_ms: ms(0), until_ms: ms(5) });
    let a = Record { change: 3, ejected: ejected(ms(5)), lease, ..Record::default() };
    let b = Record { change: 4, drained: true, ..Record::default() };
    assert_eq!(read.deployments, [("a".to_owned(), a), ("b".to_owned(), b)].into());
}

#[test]
fn a_list_is_not_taken_for_an_object_with_its_fields_in_order() {
    let text = r#"{"v":1,"known":["0a",1],"deployments":{
        "a":{"latency":[412.5,12],"ejected":[5,{"kind":"quota"}],"probe":["failed","timeout"],"missing":[["responses",7]]},
        "b":[41,12,6],
        "c":{"ejected":{"remaining_ms":5,"reason":["quota"]},"class":["timeout"]}}}"#;
    let read = HealthReport::parse(text).unwrap();
    let ejected = Some(WireEjection { remaining_ms: ms(5), reason: Reason::Other });
    let deployments = [("a", Batch::default()), ("c", Batch { ejected, ..Batch::default() })];
    let deployments = deployments.map(|(name, batch)| (name.to_owned(), batch)).into();
    assert_eq!(read, HealthReport { v: 1, deployments, ..HealthReport::default() });
    // A record with an ejection that is not understood must not close the gate.
    let text = r#"{"v":1,"deployments":{
        "a":{"change":3,"ejected":[5,{"kind":"quota"}]},
        "b":{"change":3,"ejected":null,"lease":[0,5],"latency_ms":null}}}"#;
    let read = ShardAnswer::parse(text).unwrap();
    assert_eq!(read.deployments, [("b".to_owned(), Record { change: 3, ..Record::default() })].into());
}

#[test]
fn of_members_that_stand_twice_the_last_counts() {
    let text = r#"{"v":1,"n":1,"deployments":{"a":{"run":"some","run":2}},"n":3}"#;
    let batch = Batch { run: 2, ..Batch::default() };
    let deployments = [("a".to_owned(), batch)].into();
    assert_eq!(
        HealthReport::parse(text),
        Ok(HealthReport { v: 1, n: 3, deployments, ..HealthReport::default() })
    );
}

#[test]
fn what_is_no_message_of_this_version_is_refused_with_a_reason() {
    let long = " ".repeat(MAX_BYTES + 1);
    let texts: [&str; 7] =
        ["", "{", "[]", "{}", r#"{"v":2,"deployments":7}"#, r#"{"v":1,"deployments":7}"#, &long];
    let errors = texts.map(|text| HealthReport::parse(text).unwrap_err().to_string());
    insta::assert_snapshot!(errors.join("\n"), @"
    not a message about health: EOF while parsing a value at line 1 column 0
    not a message about health: EOF while parsing an object at line 1 column 1
    not a message about health: it has no version
    not a message about health: it has no version
    version 2 is not 1
    not a message about health: a member of it is of another type
    a message of 1048577 bytes is longer than 1048576
    ");
    assert_eq!(ShardAnswer::parse(r#"{"v":2}"#), Err(WireError::Version(2)));
}

proptest! {
    #[test]
    fn numbers_come_back_as_they_were_sent(number in any::<f64>().prop_filter("JSON has no others", |number| number.is_finite())) {
        let mut report = report();
        let batch = report.deployments.get_mut("east@1").unwrap();
        batch.latency = Some(Latency { mean_ms: number, count: 1 });
        batch.headroom = Some(number);
        prop_assert_eq!(HealthReport::parse(&report.to_json()), Ok(report));
        let mut answer = answer();
        answer.deployments.get_mut("east@1").unwrap().latency_ms = Some(number);
        prop_assert_eq!(ShardAnswer::parse(&answer.to_json()), Ok(answer));
    }

    #[test]
    fn no_text_is_too_strange(text in ".{0,200}") {
        let _ = HealthReport::parse(&text);
        let _ = ShardAnswer::parse(&text);
    }

    #[test]
    fn no_damage_is_too_strange(at in any::<prop::sample::Index>(), with in prop::collection::vec(any::<u8>(), 0..4)) {
        for text in [report().to_json(), answer().to_json()] {
            let mut bytes = text.into_bytes();
            let at = at.index(bytes.len());
            bytes.splice(at..(at + with.len()).min(bytes.len()), with.iter().copied());
            let damaged = String::from_utf8_lossy(&bytes);
            let _ = HealthReport::parse(&damaged);
            let _ = ShardAnswer::parse(&damaged);
        }
    }
}
