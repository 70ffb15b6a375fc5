//! One ledger and 1 to 10,000 isolates, with bursts, in virtual time.

use std::collections::BTreeMap;

use switchyard::limits::isolate_limits::{Claim, IsolateLimits, Reserving};
use switchyard::limits::limit_ledger::LimitLedger;
use switchyard::vocabulary::limit::{LimitRate, LimitUnit, Period};
use switchyard::vocabulary::rng::{Rng, SplitMix64};
use switchyard::vocabulary::time::{Instant, Millis};

const START: Instant = Instant::from_epoch_ms(1_769_904_000_000);
/// The time between two looks at the isolates.
const STEP_MS: u64 = 100;

/// What a run has shown.
#[derive(Debug, Default)]
struct Shown {
    served: u64,
    refused: u64,
    /// Refusals of the ledger while it had at least what was asked for.
    refused_in_vain: u64,
    /// Requests that waited for the ledger, by second.
    waits: BTreeMap<u64, u64>,
    /// Reports, by second.
    reports: BTreeMap<u64, u64>,
}

struct Crowd {
    ledger: LimitLedger,
    isolates: Vec<(IsolateLimits, Instant)>,
    rate: LimitRate,
    now: Instant,
    shown: Shown,
}

impl Crowd {
    fn new(isolates: u64, rate: LimitRate) -> Self {
        let isolates = (0..isolates).map(|holder| (IsolateLimits::new(holder), Instant::MAX)).collect();
        Self { ledger: LimitLedger::default(), isolates, rate, now: START, shown: Shown::default() }
    }

    fn second(&self) -> u64 {
        (self.now - START).get() / 1_000
    }

    fn report(&mut self, isolate: usize) {
        *self.shown.reports.entry(self.second()).or_default() += 1;
        let (limits, next_at) = &mut self.isolates[isolate];
        let answer = self.ledger.on_report(&limits.report(self.now), self.now).unwrap();
        limits.on_answer(&answer, self.now);
        *next_at = self.now + answer.next_ms;
    }

    fn claims(&self) -> [Claim; 1] {
        [Claim { meter: "m".into(), rate: self.rate, amount: 1 }]
    }

    fn request(&mut self, isolate: usize) {
        let claims = self.claims();
        for turn in 0..3 {
            let (limits, next_at) = &mut self.isolates[isolate];
            match limits.reserve(&claims, self.now) {
                Reserving::Reserved(reservation) => {
                    limits.settle(&claims, &reservation, |_| 1, self.now);
                    self.shown.served += 1;
                    if limits.is_due(&claims, *next_at, self.now) {
                        self.report(isolate);
                    }
                    return;
                }
                Reserving::Ask => {
                    *self.shown.waits.entry(self.second()).or_default() += 1;
                    self.report(isolate);
                }
                Reserving::Refused { .. } => {
                    self.shown.refused += 1;
                    let free = self
                        .ledger
                        .meter("m")
                        .map_or(self.rate.amount, switchyard::limits::meter::Meter::free);
                    self.shown.refused_in_vain += u64::from(turn > 0 && free >= 1);
                    return;
                }
            }
        }
        panic!("the ledger neither grants nor refuses");
    }

    /// Runs with so many requests a second, all isolates together. In each fourth second they are
    /// four times as many.
    fn run(&mut self, seconds: u64, per_second: u64, rng: &mut SplitMix64) {
        let ends_at = self.now + Millis::new(seconds * 1_000);
        while self.now < ends_at {
            let burst = if self.second() % 4 == 3 { 4 } else { 1 };
            for _ in 0..per_second * burst * STEP_MS / 1_000 {
                let isolate = usize::try_from(rng.next_u64() % self.isolates.len() as u64).unwrap();
                self.request(isolate);
            }
            self.now += Millis::new(STEP_MS);
            for isolate in 0..self.isolates.len() {
                let claims = self.claims();
                let (limits, next_at) = &mut self.isolates[isolate];
                if limits.is_due(&claims, *next_at, self.now) {
                    self.report(isolate);
                }
            }
        }
    }
}

#[test]
fn a_crowd_spends_a_limit_to_its_end_and_not_one_unit_more() {
    for (isolates, amount, seconds) in
        [(1, 20_000, 16), (10, 20_000, 16), (100, 20_000, 16), (1_000, 10_000, 8), (10_000, 5_000, 4)]
    {
        let rate = LimitRate { unit: LimitUnit::Requests, amount, per: Some(Period::Day) };
        let mut crowd = Crowd::new(isolates, rate);
        crowd.run(seconds, 1_000, &mut SplitMix64::new(isolates));
        let Shown { served, refused, refused_in_vain, .. } = crowd.shown;
        assert!(served <= amount, "{isolates} isolates served {served}");
        assert_eq!(refused_in_vain, 0, "{isolates} isolates");
        // More were sent than the limit has. What is left is what isolates hold.
        let leased = crowd.ledger.meter("m").unwrap().leased();
        assert!(
            served + leased >= amount - amount / 50,
            "{isolates} isolates served {served}, hold {leased}"
        );
        assert!(refused > 0);
    }
}

#[test]
fn in_the_steady_state_nobody_waits_and_the_ledger_has_little_to_do() {
    for (isolates, per_second) in [(1, 200), (10, 1_000), (100, 2_000), (1_000, 4_000)] {
        let rate = LimitRate { unit: LimitUnit::Requests, amount: 10_000_000, per: Some(Period::Hour) };
        let mut crowd = Crowd::new(isolates, rate);
        crowd.run(60, per_second, &mut SplitMix64::new(isolates));
        let late =
            |by_second: &BTreeMap<u64, u64>| by_second.range(30..).map(|(_, count)| count).sum::<u64>();
        assert_eq!(crowd.shown.refused, 0, "{isolates} isolates");
        assert_eq!(late(&crowd.shown.waits), 0, "{isolates} isolates: {:?}", crowd.shown.waits);
        let reports = late(&crowd.shown.reports) / 30;
        assert!(reports <= 250, "{isolates} isolates make {reports} reports a second");
    }
}
