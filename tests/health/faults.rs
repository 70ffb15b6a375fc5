//! A fault for a time belongs to the name of a deployment, and spreads like a drain.

use switchyard::health::Health;
use switchyard::routes::graph::RateLimits;
use switchyard::vocabulary::fault::Fault;

use crate::region::{Member, Region};
use crate::times::ms;

fn health(identities: [&str; 2]) -> Health {
    Health::new(identities.map(|identity| (identity, RateLimits::default())))
}

fn order(region: &mut Region, fault: &str) {
    let body = serde_json::json!({ "action": "fault", "deployments": ["east@"], "fault": fault }).to_string();
    let answer = region.shard.on_request("switch", &body, region.now, &mut region.rng);
    assert_eq!(answer.status, 200, "{}", answer.text);
}

/// The fault of the first deployment that a member knows, and how long it lasts.
fn known(region: &Region, nth: usize) -> Option<(Fault, u8, u64)> {
    let fault = region.members[nth].health.fault(0)?;
    (fault.until > region.now).then(|| (fault.fault, fault.share, (fault.until - region.now).get()))
}

#[test]
fn a_fault_reaches_isolates_that_know_another_address_and_ends_by_itself() {
    let mut region = Region::new(0);
    for (id, identities) in [(1, ["east@1", "west@1"]), (2, ["east@2", "west@1"])] {
        region.members.push(Member { health: health(identities), ..Member::new(id) });
    }
    region.settle();
    order(&mut region, "500 20 60000 game day");
    region.wait(ms(1_000)).settle();
    for nth in 0..2 {
        let (fault, share, left) = known(&region, nth).unwrap();
        assert_eq!((fault, share), (Fault::ServerError, 20));
        assert!((55_000..60_000).contains(&left), "{left}");
        assert!(region.members[nth].health.fault(1).is_none());
    }
    region.evict();
    region.members.push(Member { health: health(["east@3", "west@1"]), ..Member::new(3) });
    region.report(2);
    assert!(known(&region, 2).is_some(), "an eviction loses nothing");
    region.wait(ms(60_000));
    assert!((0..3).all(|nth| known(&region, nth).is_none()), "nothing had to be sent");
}

#[test]
fn a_fault_is_replaced_and_ended_for_all() {
    let mut region = Region::new(0);
    for id in 1..3 {
        region.members.push(Member { health: health(["east@1", "west@1"]), ..Member::new(id) });
    }
    region.settle();
    for (fault, expected) in [("500 20 60000 ", Some(20)), ("hang 100 60000 ", Some(100)), ("", None)] {
        order(&mut region, fault);
        region.wait(ms(1_000)).settle();
        for nth in 0..2 {
            assert_eq!(known(&region, nth).map(|(_, share, _)| share), expected, "{fault:?}");
        }
    }
}

#[test]
fn a_fault_stays_when_the_document_changes_the_address_or_the_deployment_is_reset() {
    let mut region = Region::new(0);
    region.members.push(Member { health: health(["east@1", "west@1"]), ..Member::new(1) });
    region.settle();
    order(&mut region, "cut 100 60000 ");
    region.wait(ms(1_000)).settle();
    let before = &region.members[0].health;
    let mut after = health(["west@1", "east@2"]);
    after.adopt(before);
    assert!(after.fault(0).is_none());
    assert_eq!(after.fault(1).map(|fault| fault.fault), Some(Fault::Cut));
    after.reset(1, region.now);
    assert_eq!(after.fault(1).map(|fault| fault.fault), Some(Fault::Cut), "people decided it");
}
