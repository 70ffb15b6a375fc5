//! A drain belongs to the name of a deployment, whatever its address is.

use switchyard::health::Health;
use switchyard::health::drains::name_key;
use switchyard::routes::graph::RateLimits;

use crate::region::{Member, Region};
use crate::times::ms;

fn health(identities: [&str; 2]) -> Health {
    Health::new(identities.map(|identity| (identity, RateLimits::default())))
}

fn order(region: &mut Region, action: &str, keys: [&str; 2]) {
    let body = serde_json::json!({ "action": action, "deployments": keys }).to_string();
    let answer = region.shard.on_request("switch", &body, region.now, &mut region.rng);
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[test]
fn a_drain_stays_when_the_document_changes_the_address() {
    let mut before = health(["east@1", "west@1"]);
    before.drain(0);
    let mut after = health(["west@1", "east@2"]);
    after.adopt(&before);
    assert!(after.is_drained(1) && !after.is_drained(0));
    let mut back = health(["east@1", "other@1"]);
    back.adopt(&after);
    assert!(back.is_drained(0) && !back.is_drained(1));
    back.enable(0);
    assert!(!back.is_drained(0));
}

#[test]
fn a_drain_of_the_name_reaches_isolates_that_know_another_address() {
    let mut region = Region::new(0);
    for (id, identities) in [(1, ["east@1", "west@1"]), (2, ["east@2", "west@1"])] {
        region.members.push(Member { health: health(identities), ..Member::new(id) });
    }
    region.settle();
    order(&mut region, "drain", [&name_key("east@1"), "east@1"]);
    region.wait(ms(1_000)).settle();
    let drained = |region: &Region, nth: usize| region.members[nth].health.is_drained(0);
    assert!(drained(&region, 0) && drained(&region, 1));
    assert!(!region.members[1].health.is_drained(1));
    // One that starts later, with a third address, and after an eviction of the object.
    region.evict();
    region.members.push(Member { health: health(["east@3", "west@1"]), ..Member::new(3) });
    region.report(2);
    assert!(drained(&region, 2));
    // It ends for all of them, whoever enables it.
    order(&mut region, "enable", [&name_key("east@3"), "east@3"]);
    region.wait(ms(1_000)).settle();
    assert!((0..3).all(|nth| !drained(&region, nth)));
}

#[test]
fn a_drain_of_an_identity_by_an_older_version_still_holds() {
    let mut region = Region::new(0);
    region.members.push(Member { health: health(["east@1", "west@1"]), ..Member::new(1) });
    region.settle();
    region.shard.drain("east@1", region.now);
    region.wait(ms(1_000)).settle();
    assert!(region.members[0].health.is_drained(0));
    order(&mut region, "enable", [&name_key("east@2"), "east@2"]);
    region.wait(ms(1_000)).settle();
    assert!(!region.members[0].health.is_drained(0));
}
