//! Many isolates and one ledger, with lost messages, crashes and bursts.

use std::collections::BTreeMap;

use proptest::prelude::*;
use switchyard::limits::isolate_limits::{Claim, IsolateLimits, Reservation, Reserving};
use switchyard::limits::limit_ledger::LimitLedger;
use switchyard::vocabulary::limit::{LimitRate, LimitUnit, Period};
use switchyard::vocabulary::time::{Instant, Millis};

const START: Instant = Instant::from_epoch_ms(1_769_904_000_000);

/// Isolates, a ledger, and what was truly used.
struct World {
    rate: LimitRate,
    ledger: LimitLedger,
    isolates: Vec<Isolate>,
    now: Instant,
    /// What requests have used or may still use, by requests of isolates that live.
    spent: u64,
    waits: u64,
    /// Fresh refusals of what would fit.
    refusals_with_free: u64,
}

struct Isolate {
    limits: IsolateLimits,
    next_at: Instant,
    in_flight: Vec<(Reservation, u64)>,
}

impl World {
    fn new(isolates: usize, rate: LimitRate) -> Self {
        let isolate = |number: usize| Isolate {
            limits: IsolateLimits::new(number as u64),
            next_at: Instant::MAX,
            in_flight: Vec::new(),
        };
        Self {
            rate,
            ledger: LimitLedger::default(),
            isolates: (0..isolates).map(isolate).collect(),
            now: START,
            spent: 0,
            waits: 0,
            refusals_with_free: 0,
        }
    }

    /// A report and its answer. `answers`: how many of the two copies arrive, 0 to 2.
    fn exchange(&mut self, isolate: usize, copies: usize) {
        let now = self.now;
        let report = self.isolates[isolate].limits.report(now);
        for _ in 0..copies {
            let answer = self.ledger.on_report(&report, now).unwrap();
            let isolate = &mut self.isolates[isolate];
            isolate.limits.on_answer(&answer, now);
            isolate.next_at = now + answer.next_ms;
        }
    }

    fn claim(&self, amount: u64) -> [Claim; 1] {
        [Claim { meter: "m".into(), rate: self.rate, amount }]
    }

    /// A request that reserves. Returns whether it may go on.
    fn request(&mut self, isolate: usize, amount: u64) -> bool {
        let claims = self.claim(amount);
        for turn in 0..3 {
            match self.isolates[isolate].limits.reserve(&claims, self.now) {
                Reserving::Reserved(reservation) => {
                    self.spent += amount;
                    self.isolates[isolate].in_flight.push((reservation, amount));
                    return true;
                }
                Reserving::Ask => {
                    self.waits += 1;
                    self.exchange(isolate, 1);
                }
                Reserving::Refused { .. } => {
                    let free = self
                        .ledger
                        .meter("m")
                        .map_or(self.rate.amount, switchyard::limits::meter::Meter::free);
                    self.refusals_with_free += u64::from(turn > 0 && free >= amount);
                    return false;
                }
            }
        }
        false
    }

    /// Ends the oldest request of an isolate: it used so many percent of what it reserved.
    fn end(&mut self, isolate: usize, part: u64) {
        if self.isolates[isolate].in_flight.is_empty() {
            return;
        }
        let (reservation, reserved) = self.isolates[isolate].in_flight.remove(0);
        let used = reserved * part / 100;
        self.spent -= reserved - used;
        let claims = self.claim(reserved);
        self.isolates[isolate].limits.settle(&claims, &reservation, |_| used, self.now);
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Request { isolate, amount } => {
                self.request(isolate, amount);
            }
            Step::End { isolate, part } => self.end(isolate, part),
            Step::Report { isolate, copies } => self.exchange(isolate, copies),
            Step::Pass { ms } => self.tick(ms),
        }
    }

    fn tick(&mut self, ms: u64) {
        self.now += Millis::new(ms);
        for isolate in 0..self.isolates.len() {
            let (claims, next_at) = (self.claim(1), self.isolates[isolate].next_at);
            if self.isolates[isolate].limits.is_due(&claims, next_at, self.now) {
                self.exchange(isolate, 1);
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Request { isolate: usize, amount: u64 },
    End { isolate: usize, part: u64 },
    Report { isolate: usize, copies: usize },
    Pass { ms: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..5_usize, 1..40_u64).prop_map(|(isolate, amount)| Step::Request { isolate, amount }),
        3 => (0..5_usize, 0..=100_u64).prop_map(|(isolate, part)| Step::End { isolate, part }),
        1 => (0..5_usize, 0..3_usize).prop_map(|(isolate, copies)| Step::Report { isolate, copies }),
        3 => (1..6_000_u64).prop_map(|ms| Step::Pass { ms }),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    #[test]
    fn isolates_never_spend_more_than_the_limit_of_a_day(amount in 50..2_000_u64, steps in steps()) {
        let rate = LimitRate { unit: LimitUnit::Tokens, amount, per: Some(Period::Day) };
        let mut world = World::new(5, rate);
        for step in steps {
            world.take(step);
            prop_assert!(world.spent <= amount, "{} of {amount}", world.spent);
            prop_assert_eq!(world.refusals_with_free, 0);
        }
        // Everything ends, and everything is reported: the ledger counts what was used, exactly.
        for isolate in 0..5 {
            while !world.isolates[isolate].in_flight.is_empty() {
                world.end(isolate, 50);
            }
        }
        for _ in 0..4 {
            world.tick(6_000);
        }
        let free = world.ledger.meter("m").map_or(amount, switchyard::limits::meter::Meter::free);
        prop_assert_eq!(amount - world.spent, free);
    }

    #[test]
    fn what_an_isolate_held_returns_after_it_has_ended(steps in steps()) {
        let rate = LimitRate { unit: LimitUnit::Tokens, amount: 500, per: Some(Period::Day) };
        let mut world = World::new(5, rate);
        for step in steps {
            world.take(step);
        }
        world.isolates.clear();
        world.now += Millis::new(60_000);
        world.ledger.advance(world.now);
        let leased = world.ledger.meter("m").map_or(0, switchyard::limits::meter::Meter::leased);
        prop_assert_eq!(leased, 0);
    }
}

#[test]
fn in_the_steady_state_no_request_waits() {
    let rate = LimitRate { unit: LimitUnit::Requests, amount: 600_000, per: Some(Period::Minute) };
    let mut world = World::new(8, rate);
    let mut waits_by_second = BTreeMap::new();
    for second in 0..120_u64 {
        let before = world.waits;
        for _ in 0..20 {
            for isolate in 0..8 {
                assert!(world.request(isolate, 1));
                world.end(isolate, 100);
            }
            world.tick(50);
        }
        waits_by_second.insert(second, world.waits - before);
    }
    let late: u64 = waits_by_second.range(20..).map(|(_, waits)| waits).sum();
    assert_eq!(late, 0, "{waits_by_second:?}");
}

#[test]
fn a_request_is_refused_only_if_the_ledger_was_asked_for_it() {
    let rate = LimitRate { unit: LimitUnit::Requests, amount: 3, per: Some(Period::Day) };
    let mut world = World::new(1, rate);
    assert!(world.request(0, 1) && world.request(0, 1));
    // The isolate asks ahead for nothing in particular, and half of one unit is none.
    let report = world.isolates[0].limits.report(START);
    assert_eq!((report.wishes.len(), report.wishes[0].need), (1, 0));
    let answer = world.ledger.on_report(&report, START).unwrap();
    assert_eq!(answer.grants[0].amount, 0);
    // A request comes before the answer does.
    let claims = world.claim(1);
    assert_eq!(world.isolates[0].limits.reserve(&claims, START), Reserving::Ask);
    world.isolates[0].limits.on_answer(&answer, START);
    assert!(world.request(0, 1), "the last one is free");
    assert!(!world.request(0, 1));
}

#[test]
fn a_raised_limit_is_asked_at_once_and_a_lowered_one_is_not() {
    let of = |amount| LimitRate { unit: LimitUnit::Requests, amount, per: Some(Period::Day) };
    let mut world = World::new(1, of(2));
    assert!(world.request(0, 1) && world.request(0, 1) && !world.request(0, 1));
    let mut reserve = |amount| {
        world.rate = of(amount);
        let claims = world.claim(1);
        world.isolates[0].limits.reserve(&claims, START)
    };
    assert!(matches!(reserve(1), Reserving::Refused { .. }));
    assert_eq!(reserve(100), Reserving::Ask);
}
