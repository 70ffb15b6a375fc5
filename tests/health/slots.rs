//! The rate of reports, from ten isolates to a hundred thousand.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use switchyard::health::Health;
use switchyard::health::reporter::Reporter;
use switchyard::health::shard::Shard;
use switchyard::vocabulary::rng::SplitMix64;
use switchyard::vocabulary::time::{Instant, Millis};

use crate::isolate::START;
use crate::region::Member;
use crate::times::ms;

const RATE: u32 = 400;

/// Isolates of which only the reporters matter. All of them share one health that has nothing to
/// report.
struct Crowd {
    shard: Shard,
    reporters: Vec<Reporter>,
    health: Health,
    rng: SplitMix64,
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    now: Instant,
}

impl Crowd {
    fn new(isolates: usize) -> Self {
        let mut rng = SplitMix64::new(isolates as u64);
        Self {
            shard: Shard::new(&mut rng),
            reporters: (0..isolates as u64).map(Reporter::new).collect(),
            health: Health::default(),
            rng,
            due: (0..isolates).map(|nth| Reverse((START, nth))).collect(),
            now: START,
        }
    }

    /// Runs for `ms` milliseconds. Returns the number of reports in each second.
    fn run(&mut self, ms: Millis) -> BTreeMap<u64, u32> {
        let mut reports = BTreeMap::new();
        let (begin, end) = (self.now, self.now + ms);
        while let Some(Reverse((at, nth))) = self.due.pop() {
            if at >= end {
                self.due.push(Reverse((at, nth)));
                break;
            }
            self.now = at.max(self.now);
            let reporter = &mut self.reporters[nth];
            let report = reporter.report(&mut self.health, RATE, self.now, &mut self.rng);
            let answer = self.shard.report(&report, self.now, &mut self.rng);
            reporter.on_answer(&mut self.health, &answer, self.now, &mut self.rng);
            *reports.entry((self.now - begin).get() / 1_000).or_default() += 1;
            self.due.push(Reverse((reporter.due_at(&self.health), nth)));
        }
        self.now = end;
        reports
    }

    /// Ejects a deployment in all isolates at once.
    fn trip(&mut self) {
        let mut tripped = Member::new(1);
        tripped.trip(self.now);
        let due_at = |(nth, reporter): (usize, &Reporter)| Reverse((reporter.due_at(&tripped.health), nth));
        self.due = self.reporters.iter().enumerate().map(due_at).collect();
    }
}

#[test]
fn reports_keep_to_the_rate_however_many_isolates_there_are_and_while_all_of_them_trip_at_once() {
    for isolates in [10, 150, 1_000, 10_000, 100_000] {
        let mut crowd = Crowd::new(isolates);
        let round_ms = (isolates as u64 * 2_000 / u64::from(RATE)).max(1_000);
        let cold = crowd.run(ms(1_000));
        assert_eq!(cold[&0] as usize, isolates, "everybody begins with a report");
        let scheduled = crowd.run(ms(2 * round_ms));
        let most = *scheduled.values().max().unwrap();
        assert!(most <= RATE / 2 + 1, "{isolates} isolates: {most} a second");
        // No isolate waits longer than the rate requires.
        let all: u32 = scheduled.values().sum();
        assert!(all as usize * 10 >= isolates * 15, "{isolates} isolates: {all} reports");
        crowd.trip();
        let storm = crowd.run(ms(2 * round_ms));
        let most = *storm.values().max().unwrap();
        assert!(most <= RATE, "{isolates} isolates: {most} a second in the storm");
        if round_ms == 1_000 {
            assert!(storm[&0] as usize >= isolates, "with room for it everybody says so at once");
        }
        let after = crowd.run(ms(2 * round_ms));
        let most = *after.values().max().unwrap();
        assert!(most <= RATE / 2 + 1, "{isolates} isolates: {most} a second after the storm");
    }
}
