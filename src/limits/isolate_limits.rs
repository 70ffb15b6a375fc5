//! The leases of an isolate. A request reserves from them at its begin and settles at its end; both
//! take no time. Only a request that finds too little waits: for one answer of the ledger.

use std::rc::Rc;

use super::limit_wire::{LimitAnswer, LimitReport, ReportRow};
use crate::vocabulary::limit::{LimitRate, LimitUnit, Period};
use crate::vocabulary::sorted::BoxedMap;
use crate::vocabulary::time::{Instant, Millis};

/// Nothing is reserved from a lease that ends sooner: the ledger must know before what is reserved.
const MARGIN_MS: Millis = Millis::new(1_000);

/// For how long a lease should last, when its size is chosen.
const FORECAST_MS: u64 = 15_000;

/// For how long a refusal is repeated without asking again: what others give back is found soon,
/// and a client that hammers does not reach the ledger each time.
const REFUSAL_MS: Millis = Millis::new(250);

/// A lease of which nothing was reserved for this long is given back.
const UNUSED_MS: Millis = Millis::new(5_000);
/// How often, at most, requests look for such leases. An isolate may have one for each of thousands
/// of users, and then some is always unused.
const LOOK_MS: Millis = Millis::new(1_000);

/// What a request takes from one limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Which limit, and which value it is counted by. Most are names in the routes document, which
    /// a request shares.
    pub meter: Rc<str>,
    /// The limit.
    pub rate: LimitRate,
    /// Units.
    pub amount: u64,
}

/// What a request has reserved of its claims. It must be settled, with the same claims. Without
/// parts, it is that of a request that goes on although the ledger does not answer: what it uses is
/// counted once the ledger does.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reservation(Vec<ReservedPart>);

/// What is reserved of one lease.
#[derive(Debug, PartialEq, Eq)]
struct ReservedPart {
    /// The position of the claim.
    claim: usize,
    /// The number of the lease.
    number: u64,
    amount: u64,
}

/// The result of [`IsolateLimits::reserve`].
#[derive(Debug, PartialEq, Eq)]
pub enum Reserving {
    /// All claims are reserved.
    Reserved(Reservation),
    /// The leases hold too little: the ledger must be asked, with [`IsolateLimits::report`].
    Ask,
    /// The ledger has refused.
    Refused {
        /// The limit of the first claim that it refused.
        rate: LimitRate,
        /// When to try again; `None`: never, the request is larger than the limit.
        retry_ms: Option<Millis>,
    },
}

/// The leases of an isolate.
#[derive(Debug, Default)]
pub struct IsolateLimits {
    holder: u64,
    number: u64,
    meters: BoxedMap<String, HeldMeter>,
    /// When to look for leases that nobody uses.
    looks_at: Instant,
}

#[derive(Debug)]
struct HeldMeter {
    rate: LimitRate,
    leases: Vec<HeldLease>,
    /// The number of the wish that is under way, and what it needs.
    asked: Option<(u64, u64)>,
    /// The largest amount that a request waits for.
    need: u64,
    /// What all requests wait for.
    awaited: u64,
    /// What was used without a lease.
    debts: Vec<HeldDebt>,
    /// What the ledger had free, and when.
    free: Option<(u64, Instant)>,
    /// The latest refusal.
    refusal: Option<LimitRefusal>,
    /// What was reserved since `since`, for the forecast: all together, or of requests in flight
    /// the most at one time.
    reserved: u64,
    since: Instant,
    /// Units in [`FORECAST_MS`], by the latest interval; `None` before there was one.
    forecast: Option<u64>,
    /// The latest lease.
    granted: u64,
    used_at: Instant,
}

#[derive(Debug, Clone, Copy)]
struct LimitRefusal {
    amount: u64,
    /// The limit that refused it. A higher one may not.
    limit: u64,
    /// When the ledger said it.
    at: Instant,
    /// When to try again; `None`: never.
    until: Option<Instant>,
}

#[derive(Debug)]
struct HeldDebt {
    amount: u64,
    /// The number under which it was reported. From then on it stays as it is.
    number: Option<u64>,
}

/// What is left of a limit, as far as the isolate knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitView {
    /// Units that a request could have now. Leases of other isolates are not in it.
    pub remaining: u64,
    /// In how long nothing of the limit is taken, if nothing more is used.
    pub reset_ms: Millis,
}

#[derive(Debug)]
struct HeldLease {
    number: u64,
    granted: u64,
    used: u64,
    reserved: u64,
    until: Instant,
    /// It is given back. It stays until the ledger has said that it knows.
    is_closing: bool,
}

impl HeldLease {
    fn rest(&self, now: Instant) -> u64 {
        if self.is_closing || now + MARGIN_MS >= self.until {
            return 0;
        }
        self.granted.saturating_sub(self.used.saturating_add(self.reserved))
    }
}

impl HeldMeter {
    fn new(rate: LimitRate, now: Instant) -> Self {
        Self {
            rate,
            leases: Vec::new(),
            asked: None,
            need: 0,
            awaited: 0,
            debts: Vec::new(),
            free: None,
            refusal: None,
            reserved: 0,
            since: now,
            forecast: None,
            granted: 0,
            used_at: now,
        }
    }

    fn rest(&self, now: Instant) -> u64 {
        self.leases.iter().fold(0, |sum, lease| sum.saturating_add(lease.rest(now)))
    }

    /// What requests that have not ended have reserved.
    fn in_flight(&self) -> u64 {
        self.leases.iter().fold(0, |sum, lease| sum.saturating_add(lease.reserved))
    }

    /// What is probably needed in [`FORECAST_MS`], or of requests in flight at one time. While
    /// nothing is known, each lease is twice as large as the one before.
    fn expected(&self) -> u64 {
        self.forecast.unwrap_or(self.granted.saturating_mul(2))
    }

    /// Whether more should be asked for before a request finds too little.
    fn is_low(&self, now: Instant) -> bool {
        self.need > self.rest(now) || self.rest(now) < self.expected() / 2
    }

    /// Whether the ledger must hear of it: it has leases, or used something without one.
    fn is_held(&self) -> bool {
        !self.leases.is_empty() || !self.debts.is_empty()
    }

    fn is_unused(&self, now: Instant) -> bool {
        now - self.used_at >= UNUSED_MS && self.need == 0
    }

    fn owe(&mut self, amount: u64) {
        match self.debts.iter_mut().find(|debt| debt.number.is_none()) {
            Some(debt) => debt.amount = debt.amount.saturating_add(amount),
            None => self.debts.push(HeldDebt { amount, number: None }),
        }
    }

    fn refuses(&self, amount: u64, now: Instant) -> Option<LimitRefusal> {
        self.refusal.filter(|refusal| {
            let until = refusal.until.unwrap_or(Instant::MAX).min(refusal.at + REFUSAL_MS);
            amount >= refusal.amount && self.rate.amount <= refusal.limit && now < until
        })
    }
}

impl IsolateLimits {
    /// The leases of the isolate with this random number.
    pub fn new(holder: u64) -> Self {
        Self { holder, ..Self::default() }
    }

    /// Reserves all claims, or none of them.
    pub fn reserve(&mut self, claims: &[Claim], now: Instant) -> Reserving {
        let mut is_short = false;
        for claim in claims {
            let Some(meter) = self.meter(claim, now) else { continue };
            meter.rate = claim.rate;
            if meter.rest(now) >= claim.amount {
                continue;
            }
            if let Some(refusal) = meter.refuses(claim.amount, now) {
                let retry_ms = refusal.until.map(|until| until - now);
                return Reserving::Refused { rate: claim.rate, retry_ms };
            }
            meter.need = meter.need.max(claim.amount);
            meter.awaited = meter.awaited.saturating_add(claim.amount);
            is_short = true;
        }
        if is_short {
            return Reserving::Ask;
        }
        let mut parts = Vec::with_capacity(claims.len());
        for (at, claim) in claims.iter().enumerate() {
            let Some(meter) = self.meters.get_mut(&*claim.meter) else { continue };
            meter.reserved = match claim.rate.unit {
                LimitUnit::Concurrent => meter.reserved.max(meter.in_flight().saturating_add(claim.amount)),
                _ => meter.reserved.saturating_add(claim.amount),
            };
            meter.used_at = now;
            let mut left = claim.amount;
            for lease in &mut meter.leases {
                let amount = left.min(lease.rest(now));
                if amount > 0 {
                    lease.reserved += amount;
                    left -= amount;
                    parts.push(ReservedPart { claim: at, number: lease.number, amount });
                }
            }
        }
        Reserving::Reserved(Reservation(parts))
    }

    /// The meter of a claim. One that is not known yet begins now.
    fn meter(&mut self, claim: &Claim, now: Instant) -> Option<&mut HeldMeter> {
        // The name is copied once, not for each request.
        if !self.meters.contains_key(&*claim.meter) {
            self.meters.insert(claim.meter.to_string(), Box::new(HeldMeter::new(claim.rate, now)));
        }
        self.meters.get_mut(&*claim.meter).map(AsMut::as_mut)
    }

    /// Ends the reservation of these claims. `used`: what was really used of a meter; more than was
    /// reserved counts, too.
    pub fn settle(
        &mut self,
        claims: &[Claim],
        reservation: &Reservation,
        used: impl Fn(&Claim) -> u64,
        now: Instant,
    ) {
        for (at, claim) in claims.iter().enumerate() {
            let Some(meter) = self.meter(claim, now) else { continue };
            let is_in_flight = meter.rate.unit == LimitUnit::Concurrent;
            let mut left = used(claim);
            meter.used_at = now;
            let mut last = None;
            for part in reservation.0.iter().filter(|part| part.claim == at) {
                let place = meter.leases.iter().position(|lease| lease.number == part.number);
                let Some(lease) = place.and_then(|place| meter.leases.get_mut(place)) else { continue };
                lease.reserved = lease.reserved.saturating_sub(part.amount);
                // What was in flight is free again; everything else is spent.
                if !is_in_flight {
                    let of_this = left.min(part.amount);
                    lease.used = lease.used.saturating_add(of_this);
                    left -= of_this;
                }
                last = place;
            }
            match last.and_then(|place| meter.leases.get_mut(place)) {
                _ if is_in_flight || left == 0 => {}
                Some(lease) => lease.used = lease.used.saturating_add(left),
                None => meter.owe(left),
            }
        }
    }

    /// Whether nothing is held and nothing is owed, so that no report is needed.
    pub fn is_idle(&self) -> bool {
        !self.meters.values().any(|meter| meter.is_held())
    }

    /// What is left of a limit. `None` if the ledger has said nothing about it yet.
    pub fn view(&self, meter: &str, now: Instant) -> Option<LimitView> {
        let meter = self.meters.get(meter)?;
        let (free, at) = meter.free?;
        let LimitRate { amount, per, .. } = meter.rate;
        let bucket_ms = per.and_then(Period::bucket_ms).map(Millis::get);
        // A bucket has filled since.
        let filled = bucket_ms.map_or(0, |ms| {
            let units = u128::from(amount) * u128::from((now - at).get()) / u128::from(ms.max(1));
            u64::try_from(units).unwrap_or(u64::MAX)
        });
        let held = meter.leases.iter().filter(|lease| !lease.is_closing).fold(0_u64, |sum, lease| {
            let rest = lease.granted.saturating_sub(lease.used.saturating_add(lease.reserved));
            sum.saturating_add(rest)
        });
        let remaining = free.saturating_add(filled).saturating_add(held).min(amount);
        let reset_ms = match (bucket_ms, per.and_then(|per| per.end(now))) {
            (Some(ms), _) => {
                let missing = u128::from(amount - remaining) * u128::from(ms);
                let ms = missing.div_ceil(u128::from(amount.max(1)));
                Millis::new(u64::try_from(ms).unwrap_or(u64::MAX))
            }
            (None, Some(end)) => end - now,
            (None, None) => Millis::ZERO,
        };
        Some(LimitView { remaining, reset_ms })
    }

    /// Whether a request that has these claims should have a report sent: a lease of theirs runs
    /// low, the ledger expects a report since `next_at`, or a lease that nobody uses can return.
    pub fn is_due(&mut self, claims: &[Claim], next_at: Instant, now: Instant) -> bool {
        let mut of_claims = claims.iter().filter_map(|claim| self.meters.get(&*claim.meter));
        if of_claims.any(|meter| meter.asked.is_none() && meter.is_low(now)) {
            return true;
        }
        if now >= next_at {
            return self.meters.values().any(|meter| meter.is_held());
        }
        if now < self.looks_at {
            return false;
        }
        self.looks_at = now + LOOK_MS;
        self.meters.values().any(|meter| meter.is_held() && meter.is_unused(now))
    }

    /// What to report to the ledger, and what to ask it for.
    pub fn report(&mut self, now: Instant) -> LimitReport {
        self.looks_at = now + LOOK_MS;
        let mut report = LimitReport { holder: format!("{:x}", self.holder), ..LimitReport::default() };
        for (name, meter) in &mut self.meters {
            let passed_ms = (now - meter.since).get();
            if passed_ms >= 1_000 {
                (meter.forecast, meter.reserved) = match meter.rate.unit {
                    LimitUnit::Concurrent => (Some(meter.reserved), meter.in_flight()),
                    _ => (Some(meter.reserved.saturating_mul(FORECAST_MS) / passed_ms), 0),
                };
                meter.since = now;
            }
            let is_unused = meter.is_unused(now);
            let (mut rest, enough) = (meter.rest(now), meter.expected().saturating_mul(2));
            for lease in &mut meter.leases {
                let is_spent = lease.used >= lease.granted;
                // The other leases are more than enough: this one returns early.
                let is_surplus = rest.saturating_sub(lease.rest(now)) > enough;
                if lease.reserved == 0 && (is_unused || is_spent || is_surplus || now >= lease.until) {
                    rest = rest.saturating_sub(lease.rest(now));
                    lease.is_closing = true;
                }
                report.leases.push(ReportRow {
                    meter: name.clone(),
                    number: lease.number,
                    used: lease.used,
                    reserved: lease.reserved,
                    is_done: lease.is_closing,
                    ..ReportRow::default()
                });
            }
            for debt in &mut meter.debts {
                let number = *debt.number.get_or_insert_with(|| {
                    self.number += 1;
                    self.number
                });
                let (meter, rate, used) = (name.clone(), Some(meter.rate), debt.amount);
                report.debts.push(ReportRow { meter, number, rate, used, ..ReportRow::default() });
            }
            if meter.asked.is_none() && !is_unused && meter.is_low(now) {
                self.number += 1;
                meter.asked = Some((self.number, 0));
            }
            if let Some((number, need)) = &mut meter.asked {
                *need = meter.need;
                report.wishes.push(ReportRow {
                    meter: name.clone(),
                    number: *number,
                    rate: Some(meter.rate),
                    need: *need,
                    wanted: meter.expected().max(meter.awaited).max(meter.need),
                    ..ReportRow::default()
                });
            }
        }
        report
    }

    /// Takes the answer to a report.
    pub fn on_answer(&mut self, answer: &LimitAnswer, now: Instant) {
        for length in &answer.lengths {
            let Some(meter) = self.meters.get_mut(&length.meter) else { continue };
            // The ledger ends it, or no longer knows it: nothing more is reserved. It stays while
            // requests are in flight.
            let for_ms = length.for_ms;
            meter.debts.retain(|debt| debt.number != Some(length.number));
            meter.free = length.free.map(|free| (free, now)).or(meter.free);
            meter
                .leases
                .retain(|lease| lease.number != length.number || for_ms.is_some() || lease.reserved > 0);
            if let Some(lease) = meter.leases.iter_mut().find(|lease| lease.number == length.number) {
                lease.until = for_ms.map_or(now, |ms| now + ms);
            }
        }
        for grant in &answer.grants {
            let Some(meter) = self.meters.get_mut(&grant.meter) else { continue };
            let Some((_, need)) = meter.asked.filter(|(number, _)| *number == grant.number) else { continue };
            meter.asked = None;
            // Requests that came after the wish are not in it. They ask again, and this answer does
            // not refuse them.
            (meter.need, meter.awaited) = (0, 0);
            meter.free = grant.free.map(|free| (free, now)).or(meter.free);
            if grant.amount > 0 {
                meter.refusal = None;
                meter.granted = grant.amount;
                let until = grant.for_ms.map_or(now, |ms| now + ms);
                let lease = HeldLease {
                    number: grant.number,
                    granted: grant.amount,
                    used: 0,
                    reserved: 0,
                    until,
                    is_closing: false,
                };
                meter.leases.push(lease);
            } else if need > 0 {
                let (limit, until) = (meter.rate.amount, grant.for_ms.map(|ms| now + ms));
                meter.refusal = Some(LimitRefusal { amount: need, limit, at: now, until });
            }
        }
        self.forget(now);
    }

    /// Forgets meters without leases.
    fn forget(&mut self, now: Instant) {
        let is_needed = |meter: &HeldMeter| meter.is_held() || meter.asked.is_some() || !meter.is_unused(now);
        let unneeded = self.meters.iter().filter(|(_, meter)| !is_needed(meter));
        let unneeded: Vec<String> = unneeded.map(|(name, _)| name.clone()).collect();
        for name in &unneeded {
            self.meters.remove(name);
        }
    }
}
