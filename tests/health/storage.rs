//! What a shard stores, to the letter: after a deployment of the gateway the next version reads it,
//! and after a rollback the one before.

use switchyard::health::shard::shard_store::StoredShard;
use switchyard::health::shard::{SavedDeployment, Shard, ShardHead};
use switchyard::health::wire::KnownHistory;
use switchyard::vocabulary::peer_id::PeerId;
use switchyard::vocabulary::rng::SplitMix64;
use switchyard::vocabulary::time::{Instant, Millis};

use crate::rows::Storage;

const HEAD: &str = r#"{"epoch":"000000000000beef","change":9,"reset":4,"forgotten":2,"hub":{"epoch":"ffffffffffffffff","change":7}}"#;

const SAVED: [&str; 2] = [
    r#"{"change":5,"opened":4,"closed":3,"reset":2,"gate":{"state":{"closed":{"since":null}},"trips":0,"probes":0,"drained":true},"missing":[["responses",{"state":{"open":{"until":7,"reason":{"kind":"not_found","operation":"responses"}}},"trips":0,"probes":0,"drained":false}]]}"#,
    r#"{"change":5,"opened":5,"closed":0,"reset":0,"gate":{"state":{"probation":{"ejection":{"until":7,"reason":{"kind":"rate_limited","hint_ms":null}},"lost_at":8}},"trips":2,"probes":1,"drained":false},"missing":[]}"#,
];

#[test]
fn what_was_stored_is_read_and_written_again_as_it_was() {
    let hub = Some(KnownHistory { epoch: PeerId(u64::MAX), change: 7 });
    let head = ShardHead { epoch: PeerId(0xbeef), change: 9, reset: 4, forgotten: 2, hub };
    assert_eq!((ShardHead::parse(HEAD), head.to_json()), (Some(head), HEAD.to_owned()));
    let first = ShardHead { epoch: PeerId(1), ..ShardHead::default() };
    assert_eq!(
        first.to_json(),
        r#"{"epoch":"0000000000000001","change":0,"reset":0,"forgotten":0,"hub":null}"#
    );
    for text in SAVED {
        assert_eq!(SavedDeployment::parse(text).unwrap().to_json(), text);
    }
}

#[test]
fn of_the_head_only_the_epoch_is_needed() {
    let head = ShardHead { epoch: PeerId(10), ..ShardHead::default() };
    for text in [
        r#"{"epoch":"0a"}"#,
        r#"{"epoch":"0a","mood":"fine","hub":null}"#,
        // If the stored state of the hub is not understood, the shard asks the hub for everything.
        r#"{"epoch":"0a","hub":{"epoch":"not hex","change":1}}"#,
        r#"{"epoch":"0a","hub":["0a",1]}"#,
    ] {
        assert_eq!(ShardHead::parse(text), Some(head), "{text}");
    }
    for text in
        ["", "[]", "null", "{}", r#"["0a",1,2,3,null]"#, r#"{"epoch":7}"#, r#"{"epoch":"0a","change":-1}"#]
    {
        assert_eq!(ShardHead::parse(text), None, "{text}");
    }
}

#[test]
fn what_is_not_understood_of_a_stored_deployment_costs_no_more_than_it_must() {
    let is_same = |text: &str, expected: &str| {
        assert_eq!(SavedDeployment::parse(text), Some(SavedDeployment::parse(expected).unwrap()), "{text}");
    };
    is_same(r#"{"missing":[]}"#, &SavedDeployment::default().to_json());
    // Unknown content of a gate.
    let gate = |gate: &str| format!(r#"{{"gate":{gate},"missing":[]}}"#);
    is_same(&gate("{}"), r#"{"missing":[]}"#);
    is_same(&gate(r#"{"state":{"closed":{"since":"then","for":"good"}}}"#), r#"{"missing":[]}"#);
    is_same(&gate(r#"{"state":{"closed":{},"mood":"fine"}}"#), r#"{"missing":[]}"#);
    let other = gate(r#"{"state":{"open":{"until":7,"reason":{"kind":"other"}}}}"#);
    for reason in
        [r#"{"kind":"haunted"}"#, "17", r#"["quota"]"#, r#"{"kind":"probe_failed","class":"haunted"}"#]
    {
        is_same(&gate(&format!(r#"{{"state":{{"open":{{"until":7,"reason":{reason}}}}}}}"#)), &other);
    }
    // Unknown content of the operations that the deployment does not offer.
    let open = r#"{"state":{"open":{"until":7,"reason":{"kind":"quota"}}}}"#;
    is_same(
        &format!(
            r#"{{"missing":[["telepathy",{open}],["responses",7],"responses",[],["files",{open},"more"]]}}"#
        ),
        &format!(r#"{{"missing":[["files",{open}]]}}"#),
    );
    for text in [
        "",
        "[]",
        "{}",
        r#"{"missing":{}}"#,
        r#"{"change":"many","missing":[]}"#,
        &gate("null"),
        &gate("[]"),
        &gate(r#"{"state":null}"#),
        &gate(r#"{"state":"closed"}"#),
        &gate(r#"{"state":{}}"#),
        &gate(r#"{"state":{"haunted":{}}}"#),
        &gate(r#"{"state":{"closed":[5]}}"#),
        &gate(r#"{"state":{"open":{"until":7}}}"#),
        &gate(r#"{"state":{"open":[7,{"kind":"quota"}]}}"#),
        &gate(r#"{"state":{"probation":{"ejection":[7,{"kind":"quota"}],"lost_at":8}}}"#),
        &gate(r#"{"trips":-1}"#),
    ] {
        assert_eq!(SavedDeployment::parse(text), None, "{text}");
    }
}

fn with<T>(shard: &StoredShard<Storage>, now: Instant, work: impl FnOnce(&mut Shard) -> T) -> T {
    shard.with(now, &mut SplitMix64::new(7), |shard, _| work(shard)).unwrap()
}

#[test]
fn a_switch_and_the_history_survive_an_eviction_and_reading_alone_writes_nothing() {
    let (rows, now) = (Storage::default(), Instant::EPOCH + Millis::new(1_000));
    let shard = StoredShard::new(rows.clone(), false);
    let epoch = with(&shard, now, |shard| shard.head().epoch);
    assert_eq!(rows.writes(), 1, "the name of the history is stored at once");
    assert!(with(&shard, now, |shard| shard.drain("a", now)));
    let (head, writes) = (with(&shard, now, |shard| shard.head()), rows.writes());

    let restored = StoredShard::new(rows.clone(), false);
    let view = with(&restored, now, |shard| serde_json::to_value(shard.view(now)).unwrap());
    assert_eq!(view[0]["identity"], "a");
    assert_eq!(view[0], with(&shard, now, |shard| serde_json::to_value(shard.view(now)).unwrap())[0]);
    assert_eq!(with(&restored, now, |shard| shard.head()), head);
    assert_eq!((head.epoch, rows.writes()), (epoch, writes));
}

#[test]
fn what_nobody_mentions_any_more_is_removed_from_the_storage_too() {
    let (rows, now) = (Storage::default(), Instant::EPOCH + Millis::new(1_000));
    let shard = StoredShard::new(rows.clone(), false);
    assert!(with(&shard, now, |shard| shard.drain("a", now) && shard.enable("a", now)));
    assert!(rows.0.borrow().deployments.contains_key("a"));
    with(&shard, now + Millis::new(3_600_001), |_| ());
    assert!(rows.0.borrow().deployments.is_empty());
}

#[test]
fn a_storage_with_an_unreadable_head_begins_a_new_history() {
    let rows = Storage::default();
    rows.0.borrow_mut().head = Some("{".to_owned());
    let head = with(&StoredShard::new(rows.clone(), false), Instant::EPOCH, |shard| shard.head());
    assert_eq!(rows.0.borrow().head, Some(head.to_json()));
}
