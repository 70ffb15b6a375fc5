//! Ejections of single operations, as isolates and regions tell each other about them.

use switchyard::health::gate::Transition;
use switchyard::health::reason::Reason;
use switchyard::health::shard::Shard;
use switchyard::health::wire::HealthReport;
use switchyard::health::{GateChange, Outcome};
use switchyard::vocabulary::error_class::ErrorClass::{Auth, NotFound, RateLimit};
use switchyard::vocabulary::operation::Operation::Responses;
use switchyard::vocabulary::scope::Scope;
use switchyard::vocabulary::time::Millis;

use crate::region::{Member, NAMES, RATE, Region, failed};
use crate::times::ms;

const HINT_MS: Option<Millis> = Some(ms(20_000));
const FORBIDDEN: Outcome = Outcome::Failed { class: Auth, scope: Scope::Operation, hint_ms: None };
const LIMITED: Outcome = Outcome::Failed { class: RateLimit, scope: Scope::Operation, hint_ms: HINT_MS };

/// What ejects one operation, with its reason and its sentence.
fn cases() -> [(Outcome, Reason, &'static str); 3] {
    [
        (FORBIDDEN, Reason::Forbidden { operation: Responses }, "the credential may not use responses"),
        (
            LIMITED,
            Reason::RateLimited { hint_ms: HINT_MS },
            "rate limited; it asked to be left alone for 20000 ms",
        ),
        (
            failed(NotFound),
            Reason::NotFound { operation: Responses },
            "the deployment is not there or does not offer responses",
        ),
    ]
}

/// Why the operation is ejected, as the isolate shows it.
fn shown(region: &Region, nth: usize) -> Option<Reason> {
    region.members[nth].health.snapshot(region.now)[0].missing.first()?.1.reason
}

fn logged(changes: &[GateChange]) -> Vec<(Option<Reason>, String)> {
    let reason = |change: &GateChange| match change.transition {
        Transition::Ejected { reason, .. } => Some(reason),
        Transition::Recovered => None,
    };
    changes.iter().map(|change| (reason(change), change.transition.to_string())).collect()
}

#[test]
fn an_isolate_that_learns_of_an_ejected_operation_shows_and_logs_why() {
    for (outcome, reason, sentence) in cases() {
        let mut region = Region::acquainted(2);
        region.members[0].attempt_at(0, Responses, outcome, region.now);
        region.report(0);
        region.wait(ms(1_000));
        for evicted in [false, true] {
            if evicted {
                region.evict();
                region.members.push(Member::new(9));
            }
            let learns = region.members.len() - 1;
            let logged = logged(&region.report(learns));
            assert_eq!(logged.len(), 1, "{outcome:?}");
            assert_eq!(logged[0].0, Some(reason));
            assert!(logged[0].1.ends_with(sentence), "{logged:?}");
            region.report(0);
            assert_eq!([shown(&region, 0), shown(&region, learns)], [Some(reason); 2]);
            assert_eq!(region.shard.view(region.now)[0].missing[0].1.reason, Some(reason));
        }
    }
}

#[test]
fn the_other_region_learns_why_an_operation_is_ejected() {
    for (outcome, reason, _) in cases() {
        let (mut east, mut west) = (Region::acquainted(1), Region::acquainted(1));
        let mut hub = Shard::new(&mut east.rng);
        east.members[0].attempt_at(0, Responses, outcome, east.now);
        east.settle();
        east.poll(&mut hub);
        west.poll(&mut hub);
        west.wait(ms(1_000)).settle();
        assert_eq!(shown(&west, 0), Some(reason), "{outcome:?}");
    }
}

#[test]
fn the_way_to_the_object_and_back_does_not_extend_the_limit_of_an_operation() {
    let mut region = Region::acquainted(1);
    let limited_at = region.now;
    region.members[0].attempt_at(0, Responses, LIMITED, limited_at);
    let member = &mut region.members[0];
    let report = member.reporter.report(&mut member.health, RATE, limited_at, &mut member.rng);
    let answer = region.shard.report(&report, limited_at + ms(40), &mut region.rng);
    let member = &mut region.members[0];
    member.reporter.on_answer(&mut member.health, &answer, limited_at + ms(80), &mut member.rng);
    let ends_at = region.members[0].health.ejected_until(0, Responses);
    assert_eq!(ends_at, Some(limited_at + ms(20_000)));
}

#[test]
fn a_message_without_reasons_leaves_what_is_known() {
    let older = format!(r#"{{"v":1,"deployments":{{"{}":{{"missing":{{"responses":250000}}}}}}}}"#, NAMES[0]);
    let older = HealthReport::parse(&older).unwrap();
    for (first, expected) in [
        (None, Reason::NotFound { operation: Responses }),
        (Some(FORBIDDEN), Reason::Forbidden { operation: Responses }),
    ] {
        let mut region = Region::acquainted(1);
        if let Some(outcome) = first {
            region.members[0].attempt_at(0, Responses, outcome, region.now);
            region.report(0);
            region.wait(ms(100_000));
        }
        region.shard.report(&older, region.now, &mut region.rng);
        region.report(0);
        assert_eq!(shown(&region, 0), Some(expected));
    }
}

#[test]
fn an_isolate_keeps_its_own_reason_if_an_older_object_says_none() {
    let mut region = Region::acquainted(1);
    region.members[0].attempt_at(0, Responses, FORBIDDEN, region.now);
    let member = &mut region.members[0];
    let report = member.reporter.report(&mut member.health, RATE, region.now, &mut member.rng);
    let mut answer = region.shard.report(&report, region.now + ms(40), &mut region.rng);
    let record = answer.deployments.get_mut(NAMES[0]).unwrap();
    assert_eq!(record.missing.len(), 1);
    record.reasons.clear();
    member.reporter.on_answer(&mut member.health, &answer, region.now + ms(80), &mut member.rng);
    assert_eq!(shown(&region, 0), Some(Reason::Forbidden { operation: Responses }));
}
