//! The meters of one object, and its answers to isolates.

use std::collections::BTreeMap;

use super::limit_wire::{LeaseLength, LimitAnswer, LimitGrant, LimitReport};
use super::meter::{Decision, LeaseId, LeaseReport, LeaseWish, Meter};
use crate::vocabulary::time::{Instant, Millis};

/// How long a lease lasts if few isolates hold leases.
const LEASE_MS: Millis = Millis::new(15_000);

/// The most reports that the ledger should get in a second. With more isolates, leases are longer.
const REPORTS_PER_SECOND: u64 = 100;

/// What may be spent, and who holds leases of it.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    meters: BTreeMap<String, Meter>,
    /// When each isolate last reported.
    seen: BTreeMap<u64, Instant>,
}

impl Ledger {
    /// A meter.
    pub fn meter(&self, name: &str) -> Option<&Meter> {
        self.meters.get(name)
    }

    /// The meters, to be stored.
    pub fn meters(&self) -> impl Iterator<Item = (&str, &Meter)> {
        self.meters.iter().map(|(name, meter)| (name.as_str(), meter))
    }

    /// Puts a stored meter back.
    pub fn restore(&mut self, name: String, meter: Meter) {
        self.meters.insert(name, meter);
    }

    /// How long a lease lasts: so long that each isolate reports twice in it, and all of them not
    /// too often together.
    pub fn length_ms(&self) -> Millis {
        let isolates = u64::try_from(self.seen.len()).unwrap_or(u64::MAX);
        LEASE_MS.max(Millis::new(isolates.saturating_mul(2_000 / REPORTS_PER_SECOND)))
    }

    /// Takes a report, and answers its wishes. Reports come first: what returns can be granted.
    /// `None` if the report does not say who reports.
    pub fn on_report(&mut self, report: &LimitReport, now: Instant) -> Option<LimitAnswer> {
        let holder = u64::from_str_radix(&report.holder, 16).ok()?;
        self.forget(now);
        self.seen.insert(holder, now);
        let length_ms = self.length_ms();
        let mut answer = LimitAnswer { next_ms: length_ms / 2, ..LimitAnswer::default() };
        for lease in &report.leases {
            let id = LeaseId { holder, number: lease.number };
            let said = LeaseReport { used: lease.used, reserved: lease.reserved, is_done: lease.is_done };
            let meter = self.meters.get_mut(&lease.meter);
            let until = meter.and_then(|meter| meter.report(id, said, length_ms, now));
            let for_ms = until.map(|until| until - now).filter(|ms| *ms > Millis::ZERO);
            answer.lengths.push(LeaseLength { meter: lease.meter.clone(), number: lease.number, for_ms });
        }
        for wish in &report.wishes {
            let meter = self.meters.entry(wish.meter.clone()).or_insert_with(|| Meter::new(wish.rate, now));
            meter.set_amount(wish.rate.amount, now);
            let id = LeaseId { holder, number: wish.number };
            let (amount, for_ms) =
                match meter.grant(id, LeaseWish { need: wish.need, wanted: wish.wanted }, length_ms, now) {
                    Decision::Granted { amount, until } => (amount, Some(until - now)),
                    Decision::Refused { retry_ms } => (0, retry_ms),
                };
            let free = meter.free();
            answer.grants.push(LimitGrant {
                meter: wish.meter.clone(),
                number: wish.number,
                amount,
                for_ms,
                free,
            });
        }
        Some(answer)
    }

    /// Brings all meters to this time. Forgets those of which nothing is taken, and isolates that
    /// have ended.
    pub fn forget(&mut self, now: Instant) {
        for meter in self.meters.values_mut() {
            meter.advance(now);
        }
        self.meters.retain(|_, meter| !meter.is_idle());
        let longest_ms = self.length_ms();
        self.seen.retain(|_, at| now - *at < longest_ms);
    }
}
