//! Properties that hold for every history of isolates that share a shard.

use proptest::prelude::*;
use switchyard::health::gate::Transition;
use switchyard::health::reason::Reason;
use switchyard::health::shard::Shard;
use switchyard::health::wire::{
    Batch, HealthReport, KnownHistory, Latency, Probe, ProbeUrgency, Record, ShardAnswer, WireEjection,
    WireLease,
};
use switchyard::health::{AnswerKind, Outcome, Ticket};
use switchyard::routes::graph::Ejections;
use switchyard::vocabulary::error_class::ErrorClass::{self, *};
use switchyard::vocabulary::operation::Operation::Responses;
use switchyard::vocabulary::peer_id::PeerId;
use switchyard::vocabulary::rng::SplitMix64;
use switchyard::vocabulary::time::Millis;

use crate::region::{Member, NAMES, RATE, Region};
use crate::times::{at, ms};

#[derive(Debug, Clone)]
enum Step {
    Wait(Millis),
    /// A request of the nth isolate, sent as the walk does. A probe stays in flight.
    Request(usize),
    ProbeUrgency(usize, bool),
    Fail(usize, ErrorClass, Option<Millis>),
    /// The probe of the nth isolate ends.
    End(usize, bool),
    HealthReport(usize),
    Evict,
    Reset,
}

const MEMBERS: usize = 4;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let nth = 0..MEMBERS;
    let class = prop::sample::select(vec![Unavailable, Timeout, RateLimit, Quota, BadRequest]);
    let step = prop_oneof![
        4 => (0u64..4_000).prop_map(|wait| Step::Wait(ms(wait))),
        6 => nth.clone().prop_map(Step::Request),
        2 => (nth.clone(), any::<bool>()).prop_map(|(nth, early)| Step::ProbeUrgency(nth, early)),
        6 => (nth.clone(), class, prop::option::of(0u64..60_000))
            .prop_map(|(nth, class, hint)| Step::Fail(nth, class, hint.map(ms))),
        3 => (nth.clone(), any::<bool>()).prop_map(|(nth, passes)| Step::End(nth, passes)),
        6 => nth.prop_map(Step::HealthReport),
        1 => Just(Step::Evict),
        1 => Just(Step::Reset),
    ];
    prop::collection::vec(step, 0..250)
}

proptest! {
    #[test]
    fn one_lease_at_a_time_and_no_ejection_shortened_but_by_a_probe_or_an_administrator(steps in steps()) {
        let mut region = Region::acquainted(MEMBERS as u64);
        let mut probes: Vec<Option<Ticket>> = (0..MEMBERS).map(|_| None).collect();
        let mut until = [at(0); MEMBERS + 1];
        let mut change = 0;
        let mut has_ended = false;
        for step in steps {
            match step {
                Step::Wait(ms) => { region.wait(ms); }
                Step::Request(nth) => {
                    if let Some(probe) = region.members[nth].request(region.now) {
                        probes[nth] = Some(probe);
                    }
                }
                Step::ProbeUrgency(nth, early) => region.members[nth].health.request_probe(0, early, region.now),
                Step::Fail(nth, class, hint_ms) => {
                    // The request does not respect the gate: some requests have no other target.
                    let changes = region.members[nth].attempt(Outcome::failed(class, hint_ms), region.now);
                    // The request may have been a probe. A probe that is refused for an error of
                    // the caller has passed.
                    has_ended |= changes.iter().any(|change| change.transition == Transition::Recovered);
                }
                Step::End(nth, passes) => {
                    let outcome = if passes { Outcome::Served } else { Outcome::failed(Timeout, None) };
                    if let Some(probe) = probes[nth].take() {
                        has_ended |= passes;
                        region.members[nth].end(probe, outcome, region.now);
                    }
                }
                Step::HealthReport(nth) => { region.report(nth); }
                Step::Evict => region.evict(),
                Step::Reset => {
                    has_ended = true;
                    region.shard.reset(NAMES[0], region.now);
                }
            }
            let leases = (0..MEMBERS).filter(|nth| region.members[*nth].health.snapshot(region.now)[0].leased);
            prop_assert!(leases.count() <= 1);
            prop_assert!(region.shard.head().change >= change, "numbers only grow");
            change = region.shard.head().change;
            let shard = region.shard.view(region.now);
            let shard = shard.iter().find(|view| view.identity == NAMES[0]).and_then(|view| view.gate.until);
            let members = region.members.iter().map(|member| member.health.snapshot(region.now)[0].gate.until);
            for (nth, now_until) in members.chain([shard]).enumerate() {
                let now_until = now_until.unwrap_or(at(0));
                let is_over = until[nth] <= region.now;
                prop_assert!(now_until >= until[nth] || is_over || has_ended, "{nth} of {MEMBERS}");
                until[nth] = now_until;
            }
        }
    }
}

fn reasons() -> impl Strategy<Value = Reason> {
    prop_oneof![
        any::<u32>().prop_map(|failures| Reason::ConsecutiveFailures { failures, class: Timeout }),
        any::<Option<u64>>().prop_map(|hint| Reason::RateLimited { hint_ms: hint.map(ms) }),
        Just(Reason::Drained),
        Just(Reason::Other),
        Just(Reason::Quota),
    ]
}

fn ejections() -> impl Strategy<Value = Option<WireEjection>> {
    prop::option::of(
        (any::<u64>(), reasons())
            .prop_map(|(remaining_ms, reason)| WireEjection { remaining_ms: ms(remaining_ms), reason }),
    )
}

fn batches() -> impl Strategy<Value = Batch> {
    let probe = prop::option::of(prop_oneof![
        Just(Probe::Begun),
        Just(Probe::Passed),
        Just(Probe::Failed { class: Some(Timeout) }),
        Just(Probe::Failed { class: None }),
        Just(Probe::Abandoned),
    ]);
    let wants = prop::option::of(prop_oneof![Just(ProbeUrgency::Due), Just(ProbeUrgency::Early)]);
    let counts = (any::<u64>(), any::<u32>(), any::<u32>(), any::<bool>(), any::<u32>(), any::<u64>());
    (counts, ejections(), probe, wants, any::<f64>(), any::<u64>()).prop_map(
        |((seen, successes, failures, answered, run, age_ms), ejected, probe, wants, float, run_ms)| Batch {
            seen,
            successes,
            failures,
            answered,
            answered_ms: Some(ms(age_ms)),
            run,
            run_ms: ms(run_ms),
            class: Some(Timeout),
            age_ms: ms(age_ms),
            latency: Some(Latency { mean_ms: float, count: run }),
            first_token: Some(Latency { mean_ms: float, count: run }),
            tokens_per_second: Some(float),
            headroom: Some(float),
            ejected,
            missing: [(Responses, ms(run_ms))].into(),
            reasons: ejected.iter().map(|ejected| (Responses, ejected.reason)).collect(),
            probe,
            wants,
            ejections: Ejections::default(),
        },
    )
}

fn records() -> impl Strategy<Value = Record> {
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u32>());
    let lease = prop::option::of(any::<(u64, u64)>());
    (numbers, ejections(), any::<Option<u64>>(), any::<Option<u64>>(), any::<bool>(), any::<f64>(), lease)
        .prop_map(
            |((change, closed, reset, trips), ejected, closed_for_ms, probing_ms, drained, float, lease)| {
                Record {
                    change,
                    opened: change,
                    closed,
                    reset,
                    ejected,
                    closed_for_ms: closed_for_ms.map(ms),
                    trips,
                    probing_ms: probing_ms.map(ms),
                    missing: [(Responses, ms(change))].into(),
                    reasons: ejected.iter().map(|ejected| (Responses, ejected.reason)).collect(),
                    drained,
                    fault: format!("500 {} {change} ", trips % 300),
                    latency_ms: Some(float),
                    first_token_ms: Some(float),
                    lease: lease.map(|(from_ms, until_ms)| WireLease {
                        from_ms: ms(from_ms),
                        until_ms: ms(until_ms),
                    }),
                }
            },
        )
}

proptest! {
    #[test]
    fn no_report_and_no_clock_break_a_shard(
        reports in prop::collection::vec((any::<u64>().prop_map(at), batches(), any::<u32>(), any::<Option<u64>>()), 0..30),
    ) {
        let mut rng = SplitMix64::new(3);
        let (mut shard, mut hub) = (Shard::new(&mut rng), Shard::new(&mut rng));
        for (now, batch, reports_per_second, change) in reports {
            let known = change.map(|change| KnownHistory { epoch: shard.head().epoch, change });
            let deployments = [(NAMES[0].to_owned(), batch)].into();
            let report = HealthReport { v: 1, n: 1, reporter: PeerId(now.epoch_ms() % 3), known, reports_per_second, deployments, ..HealthReport::default() };
            let answer = shard.report(&report, now, &mut rng);
            prop_assert!(answer.next_ms >= ms(250));
            prop_assert!(ShardAnswer::parse(&answer.to_json()).is_ok());
            let to_hub = shard.report_to_hub(now);
            let answer = hub.report(&to_hub, now, &mut rng);
            shard.merge_hub_answer(&answer, now);
            serde_json::to_string(&shard.view(now)).unwrap();
            shard.forget(now);
            prop_assert!(shard.changed_since(0).all(|(_, saved)| saved.change <= shard.head().change));
        }
    }

    #[test]
    fn no_answer_and_no_clock_break_an_isolate(
        answers in prop::collection::vec((any::<u64>().prop_map(at), records(), any::<[u64; 4]>()), 0..30),
    ) {
        let mut member = Member::new(1);
        let mut shard = Shard::new(&mut SplitMix64::new(4));
        for (now, record, [epoch, change, next_ms, reset]) in answers {
            let report = member.reporter.report(&mut member.health, RATE, now, &mut member.rng);
            let deployments = [(NAMES[0].to_owned(), record)].into();
            let answer = ShardAnswer {
                v: 1, n: report.n, epoch: PeerId(epoch % 2), change, next_ms: ms(next_ms), full: change % 2 == 0, reset, deployments, counted: change,
                ..ShardAnswer::default()
            };
            member.reporter.on_answer(&mut member.health, &answer, now, &mut member.rng);
            let _ = shard.report_to_hub(now);
            shard.merge_hub_answer(&ShardAnswer { n: report.n, ..answer }, now);
            member.request(now);
            member.health.request_probe(0, true, now);
            prop_assert!((0.0..=1.0).contains(&member.health.share(0, now)));
            prop_assert!(member.health.score(0, AnswerKind::Whole, now).is_none_or(|score| score.is_finite() && score >= 0.0));
            let latest = now.max(member.reporter.due_at(&member.health));
            prop_assert!(latest - now <= ms(3_600_000), "an answer does not silence it");
        }
    }
}
