//! A canary with many isolates, in virtual time: what the isolates count, what they report, and
//! what the registry decides. Reports get lost, isolates learn of the canary and of its end late,
//! and outages hit both versions.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use switchyard::registry::canary::canary_tally::{BothCounts, CanaryAnswer, CanaryTally};
use switchyard::registry::canary::canary_trial::{CanaryFinding, CanaryTerms, CanaryTrial, Verdict};
use switchyard::registry::canary::version_counts::CountedEnd;
use switchyard::vocabulary::rng::{Rng, SplitMix64};
use switchyard::vocabulary::time::{Instant, Millis};

const BEGAN_AT: Instant = Instant::from_epoch_ms(1_767_225_600_000);
/// A minute after the canary begins, most isolates serve it. Each has its own moment within this
/// time, and the same again after the end, if no answer to a report tells it.
const PROPAGATION_MS: Millis = Millis::new(90_000);

/// What happens to requests.
#[derive(Debug, Clone, Copy)]
struct World {
    isolates: usize,
    requests_per_second: f64,
    share: u32,
    minutes: u64,
    /// The probability of a failure with any version.
    failures: f64,
    /// The same, from the third to the sixth minute.
    failures_in_outage: f64,
    /// The probability that a request fails because of the new version.
    breaks: f64,
    /// By what factor the answers of the new version begin later.
    slower: f64,
    /// The probability of an attempt that fails because of the new version.
    more_fallbacks: f64,
}

const GOOD: World = World {
    isolates: 100,
    requests_per_second: 20.0,
    share: 5,
    minutes: 10,
    failures: 0.01,
    failures_in_outage: 0.01,
    breaks: 0.0,
    slower: 1.0,
    more_fallbacks: 0.0,
};

/// The sizes: isolates, requests a second, runs with different seeds.
const SIZES: [(usize, f64, u64); 4] =
    [(10, 5.0, 200), (100, 20.0, 100), (1_000, 50.0, 40), (10_000, 100.0, 6)];

/// How a canary went.
#[derive(Debug, Default)]
struct Run {
    verdict: Option<Verdict>,
    /// The requests of the new version that had been served when it ended.
    served: u64,
    /// Those that were served afterwards, until all isolates knew of the end.
    afterwards: u64,
    /// The most reports in any ten seconds, for each second.
    busiest: u64,
}

struct SimulatedIsolate {
    tally: CanaryTally,
    begins_at: Instant,
    /// When it hears of the end from the store of documents.
    delay_ms: Millis,
    knows_the_end: bool,
    last: Option<(BothCounts, Instant)>,
}

fn run(world: &World, seed: u64) -> Run {
    let mut rng = SplitMix64::new(seed);
    let until = BEGAN_AT + Millis::new(world.minutes * 60_000);
    let terms = CanaryTerms {
        id: 1,
        version: "0123456789ab".into(),
        base: "ba9876543210".into(),
        share: world.share,
        until,
    };
    let delay = |rng: &mut SplitMix64| Millis::from_f64(rng.unit() * PROPAGATION_MS.as_f64());
    let mut isolates: Vec<SimulatedIsolate> = (0..world.isolates)
        .map(|_| SimulatedIsolate {
            tally: CanaryTally::new(1, &mut rng),
            begins_at: BEGAN_AT + delay(&mut rng),
            delay_ms: delay(&mut rng),
            knows_the_end: false,
            last: None,
        })
        .collect();
    let (mut trial, mut run, mut ended_at) = (CanaryTrial::default(), Run::default(), Instant::MAX);
    let (mut window, mut reports) = (0, 0);
    let mut now = BEGAN_AT;
    loop {
        let gap_ms = -(1.0 - rng.unit()).ln() * 1_000.0 / world.requests_per_second;
        now += Millis::from_f64(gap_ms.ceil());
        if ended_at == Instant::MAX && now >= until {
            run.verdict = trial.verdict(&terms, now);
            return run;
        }
        if now >= until || (ended_at < Instant::MAX && now - ended_at > PROPAGATION_MS) {
            return run;
        }
        let at = rng.below(world.isolates);
        let isolate = &mut isolates[at];
        let knows_end = isolate.knows_the_end || ended_at + isolate.delay_ms <= now;
        if now < isolate.begins_at || knows_end {
            continue;
        }
        let is_new = rng.unit() < f64::from(world.share) / 100.0;
        if is_new && ended_at < Instant::MAX {
            run.afterwards += 1;
        } else if is_new {
            run.served += 1;
        }
        isolate.tally.count(is_new, &outcome(world, is_new, now, &mut rng));
        if isolate.tally.due_at().is_none_or(|due_at| now < due_at) {
            continue;
        }
        let report = isolate.tally.report(now, &mut rng);
        if now.period(Millis::new(10_000)) != window {
            (window, reports) = (now.period(Millis::new(10_000)), 0);
        }
        reports += 1;
        run.busiest = run.busiest.max(reports / 10);
        // Some get lost on their way, some answers on the way back.
        if rng.unit() < 0.05 {
            continue;
        }
        if ended_at == Instant::MAX {
            let before = isolate.last.as_ref().map(|(counts, at)| (counts, *at));
            let next_ms = trial.on_report(before, &report.counts, now);
            isolate.last = Some((report.counts, now));
            if let Some(verdict) = trial.verdict(&terms, now) {
                (run.verdict, ended_at) = (Some(verdict), now);
            }
            let answer = CanaryAnswer { next_ms, ended: None };
            if rng.unit() < 0.95 {
                isolate.tally.on_answer(&answer, now, &mut rng);
            }
        }
        isolate.knows_the_end = ended_at < Instant::MAX;
    }
}

fn outcome(world: &World, is_new: bool, now: Instant, rng: &mut SplitMix64) -> CountedEnd {
    let minute = (now - BEGAN_AT).get() / 60_000;
    let failures = if (3..6).contains(&minute) { world.failures_in_outage } else { world.failures };
    let has_failed = rng.unit() < failures || (is_new && rng.unit() < world.breaks);
    let fell_back = has_failed || rng.unit() < 0.03 || (is_new && rng.unit() < world.more_fallbacks);
    // A long tail, as answers of models have it. All are slower while there is an outage.
    let usual = 400.0 * (1.0 - rng.unit()).powf(-0.5) * (1.0 + 3.0 * failures);
    let after_ms = Millis::from_f64(if is_new { usual * world.slower } else { usual });
    CountedEnd { has_failed, fell_back, after_ms }
}

/// The runs of each size in a world.
fn runs(world: World, of_size: impl Fn(u64) -> u64) -> Vec<(usize, Vec<Run>)> {
    let run_of = |(isolates, requests_per_second, runs): (usize, f64, u64)| {
        let world = World { isolates, requests_per_second, ..world };
        (isolates, (0..of_size(runs)).map(|seed| run(&world, seed)).collect())
    };
    SIZES.into_iter().map(run_of).collect()
}

/// The runs with this verdict.
fn with(runs: &[Run], verdict: Verdict) -> usize {
    runs.iter().filter(|run| run.verdict == Some(verdict)).count()
}

/// A request that fails is one with a failed attempt, too, so either test may be the first.
fn worse(runs: &[Run]) -> usize {
    runs.iter().filter(|run| matches!(run.verdict, Some(Verdict::Worse(_)))).count()
}

/// So many requests of a version that breaks 30 % are served before it is taken back, and so many
/// more until all isolates know of it.
const N: (u64, u64) = (80, 200);

#[test]
fn a_version_that_breaks_30_percent_is_taken_back_after_few_requests() {
    for (isolates, runs) in runs(World { breaks: 0.3, ..GOOD }, |runs| runs) {
        assert_eq!(worse(&runs), runs.len(), "{isolates} isolates");
        for Run { served, afterwards, .. } in runs {
            assert!(served <= N.0 && afterwards <= N.1, "{isolates} isolates: {served}, {afterwards}");
        }
    }
}

#[test]
fn a_version_that_breaks_30_percent_is_taken_back_although_an_outage_hits_both() {
    let world = World { breaks: 0.3, share: 20, failures: 0.1, failures_in_outage: 0.9, ..GOOD };
    for (isolates, runs) in runs(world, |runs| runs / 10) {
        assert_eq!(worse(&runs), runs.len(), "{isolates} isolates");
    }
}

/// Of all runs in a world, those in which the new version takes over, and how many reports a second
/// there were.
#[track_caller]
fn assert_kept(world: World, of_size: impl Fn(u64) -> u64) {
    let (mut all, mut kept) = (0, 0);
    for (isolates, runs) in runs(world, of_size) {
        kept += with(&runs, Verdict::TakesOver);
        all += runs.len();
        let busiest = runs.iter().map(|run| run.busiest).max().unwrap();
        assert!(busiest <= 200, "{isolates} isolates: {busiest} reports a second");
    }
    assert!(kept * 100 >= all * 99, "{kept} of {all}");
}

#[test]
fn a_good_version_takes_over_in_99_of_100_runs() {
    assert_kept(GOOD, |runs| runs);
}

#[test]
fn a_good_version_takes_over_in_99_of_100_runs_although_an_outage_hits_both() {
    assert_kept(World { failures_in_outage: 0.9, ..GOOD }, |runs| runs);
}

#[test]
fn ten_thousand_isolates_with_much_traffic_send_few_reports() {
    let world = World { isolates: 10_000, requests_per_second: 2_000.0, minutes: 3, ..GOOD };
    let run = run(&world, 1);
    assert_eq!(run.verdict, Some(Verdict::TakesOver));
    assert!(run.busiest <= 350, "{} reports a second", run.busiest);
}

#[test]
fn a_version_that_is_slower_or_falls_back_is_taken_back() {
    for (world, finding) in [
        (World { slower: 3.0, ..GOOD }, CanaryFinding::Slowness),
        (World { more_fallbacks: 0.3, ..GOOD }, CanaryFinding::Fallbacks),
    ] {
        for (isolates, runs) in runs(world, |runs| runs / 10) {
            assert_eq!(with(&runs, Verdict::Worse(finding)), runs.len(), "{isolates} isolates");
        }
    }
}

#[test]
fn a_version_with_too_few_requests_is_taken_back() {
    let run = run(&World { isolates: 10, requests_per_second: 0.2, ..GOOD }, 1);
    assert_eq!(run.verdict, Some(Verdict::TooFewRequests));
}
