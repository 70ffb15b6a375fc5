//! A limit that is counted for each user: an isolate has a meter, and leases, for each of them.

use switchyard::limits::isolate_limits::{Claim, IsolateLimits, Reserving};
use switchyard::limits::limit_ledger::LimitLedger;
use switchyard::vocabulary::limit::{LimitRate, LimitUnit, Period};
use switchyard::vocabulary::time::{Instant, Millis};

const START: Instant = Instant::from_epoch_ms(1_769_904_000_000);
const RATE: LimitRate = LimitRate { unit: LimitUnit::Requests, amount: 100_000, per: Some(Period::Day) };

struct Users {
    limits: IsolateLimits,
    ledger: LimitLedger,
    next_at: Instant,
}

impl Users {
    fn new() -> Self {
        Self { limits: IsolateLimits::new(1), ledger: LimitLedger::default(), next_at: Instant::MAX }
    }

    fn report(&mut self, now: Instant) {
        let answer = self.ledger.on_report(&self.limits.report(now), now).unwrap();
        self.limits.on_answer(&answer, now);
        self.next_at = now + answer.next_ms;
    }

    /// A request of a user. Returns whether it sent a report after it had reserved.
    fn request(&mut self, user: u64, now: Instant) -> bool {
        let claims = [Claim { meter: format!("requests/day/user={user}").into(), rate: RATE, amount: 1 }];
        for _ in 0..3 {
            match self.limits.reserve(&claims, now) {
                Reserving::Reserved(reservation) => {
                    self.limits.settle(&claims, &reservation, |_| 1, now);
                    let is_due = self.limits.is_due(&claims, self.next_at, now);
                    if is_due {
                        self.report(now);
                    }
                    return is_due;
                }
                Reserving::Ask => self.report(now),
                refused @ Reserving::Refused { .. } => panic!("{refused:?}"),
            }
        }
        panic!("user {user} waits for ever");
    }

    /// What is left of the limit of user 7, and not leased.
    fn free_of_user_7(&self) -> u64 {
        self.ledger.meter("requests/day/user=7").unwrap().free()
    }
}

#[test]
fn leases_of_users_who_left_return_with_one_report_in_a_second() {
    let mut users = Users::new();
    let mut now = START;
    // One comes each 10 ms. So later the lease of one is unused each 10 ms.
    for visitor in 1..=500 {
        users.request(visitor, now);
        now += Millis::new(10);
    }
    let mut reports = 0;
    for _ in 0..600 {
        reports += u64::from(users.request(0, now));
        now += Millis::new(10);
    }
    assert!((2..=20).contains(&reports), "{reports} reports in 6 seconds");
    assert_eq!(users.free_of_user_7(), RATE.amount - 1, "what was not used is back");
}
