//! One limit as the ledger counts it: what is spent, what is leased to whom, and when more comes.
//!
//! `taken` is what is spent or leased. A token bucket gives it back evenly; a calendar period gives
//! it back at its end; a limit of what is in flight gives it back when it is no longer in flight.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::vocabulary::limit::{LimitRate, LimitUnit, Period};
use crate::vocabulary::time::{Instant, Millis};

/// A lease is at most this part of what is free for each holder, so that the last holders to ask
/// find something, too.
const SHARE_OF_FREE: u64 = 2;

/// For how long a lease is remembered whose holder has not said that it is done with it.
const REMEMBERED_MS: Millis = Millis::new(600_000);

/// Identifies a lease: its holder, and the number of the holder's request for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LeaseId {
    /// The isolate.
    pub holder: u64,
    /// Its number for the request.
    pub number: u64,
}

/// A part of a limit that an isolate may spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    granted: u64,
    /// What its holder has said to have used of it.
    used: u64,
    /// What its requests in flight had reserved when it last reported.
    reserved: u64,
    until: Instant,
    /// It has ended. It is remembered so that a late report counts, and counts once.
    has_ended: bool,
    /// Its holder has said that it is done with it, and says so until it has the answer.
    is_done: bool,
    /// The end of the calendar period in which it was granted.
    period_end: Option<Instant>,
}

impl Lease {
    /// When it ends, or is forgotten.
    fn ends_at(&self) -> Instant {
        if self.has_ended { self.until + REMEMBERED_MS } else { self.until }
    }

    /// What is taken for it.
    fn taken(&self, unit: LimitUnit) -> u64 {
        match (self.has_ended, unit) {
            (false, _) => self.granted.max(self.used),
            // What was in flight may have been spent, and nobody will say so.
            (true, LimitUnit::Requests | LimitUnit::Tokens | LimitUnit::MicroUsd) => {
                self.used.saturating_add(self.reserved)
            }
            // Nothing is in flight for ever.
            (true, LimitUnit::Concurrent) => 0,
        }
    }
}

/// What a holder asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseWish {
    /// What the request that waits needs; 0 if none waits.
    pub need: u64,
    /// What is probably needed until the end of the lease, with `need`.
    pub wanted: u64,
}

/// What a holder says about a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseReport {
    /// All that was used of it so far.
    pub used: u64,
    /// What requests in flight have reserved of it.
    pub reserved: u64,
    /// Nothing more will be reserved: what is neither used nor reserved returns.
    pub is_done: bool,
}

/// The answer to a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A lease of so many units, until then.
    Granted {
        /// Units.
        amount: u64,
        /// When it returns, unless its holder reports.
        until: Instant,
    },
    /// What is needed does not fit.
    Refused {
        /// When it may fit; `None`: never, because it is more than the whole limit.
        retry_ms: Option<Millis>,
    },
}

/// How much of a limit is spent when operators get an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threshold {
    /// 80 percent.
    Nearly,
    /// All of it, or so much that a request did not fit into the rest.
    Whole,
}

impl Threshold {
    /// The share in percent.
    pub fn percent(self) -> u64 {
        match self {
            Self::Nearly => 80,
            Self::Whole => 100,
        }
    }
}

/// One limit, for one value of what it is counted by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meter {
    rate: LimitRate,
    /// Token buckets: units times the milliseconds in which the bucket fills, so that all
    /// arithmetic is exact. Others: units.
    taken: u128,
    /// Token buckets: until when `taken` is computed.
    counted_at: Instant,
    /// Calendar periods: the end of the one that `taken` belongs to.
    period_end: Option<Instant>,
    /// Calendar periods: the largest amount of the limit for which there was an alert in this
    /// period that [`Threshold::Nearly`] is reached; 0: none. While a document with another amount
    /// spreads, isolates with both report, and each amount has one alert.
    #[serde(default, rename = "told_nearly")]
    reported_nearly: u64,
    /// The same for [`Threshold::Whole`].
    #[serde(default, rename = "told_whole")]
    reported_whole: u64,
    /// In the order of their ids. Each lease is stored in a row of its own.
    #[serde(skip)]
    leases: Vec<(LeaseId, Lease)>,
    /// The leases that have changed since they were stored.
    #[serde(skip)]
    changed: BTreeSet<LeaseId>,
    /// No lease ends, and none is forgotten, earlier.
    #[serde(skip)]
    next_end: Instant,
}

impl Meter {
    /// A meter of which nothing is spent.
    pub fn new(rate: LimitRate, now: Instant) -> Self {
        let period_end = rate.per.and_then(|per| per.end(now));
        Self {
            rate,
            taken: 0,
            counted_at: now,
            period_end,
            reported_nearly: 0,
            reported_whole: 0,
            leases: Vec::new(),
            changed: BTreeSet::new(),
            next_end: Instant::EPOCH,
        }
    }

    /// How many units one unit is in `taken`.
    fn scale(&self) -> u128 {
        self.rate.per.and_then(Period::bucket_ms).map_or(1, |ms| u128::from(ms.get()))
    }

    /// The limit.
    pub fn rate(&self) -> LimitRate {
        self.rate
    }

    /// Puts a stored lease back.
    pub fn restore(&mut self, id: LeaseId, lease: Lease) {
        self.insert(id, lease);
        self.next_end = Instant::EPOCH;
    }

    fn place(&self, id: LeaseId) -> Result<usize, usize> {
        self.leases.binary_search_by_key(&id, |(known, _)| *known)
    }

    fn lease(&self, id: LeaseId) -> Option<&Lease> {
        self.leases.get(self.place(id).ok()?).map(|(_, lease)| lease)
    }

    fn insert(&mut self, id: LeaseId, lease: Lease) {
        self.next_end = self.next_end.min(lease.ends_at());
        self.changed.insert(id);
        match self.place(id) {
            Ok(place) => {
                if let Some(known) = self.leases.get_mut(place) {
                    known.1 = lease;
                }
            }
            Err(place) => self.leases.insert(place, (id, lease)),
        }
    }

    /// The leases that have changed since the last call; `None`: the lease is forgotten.
    pub fn take_changed(&mut self) -> Vec<(LeaseId, Option<Lease>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|id| (id, self.lease(id).copied())).collect()
    }

    /// The limit of today's document. What is spent stays spent.
    pub fn set_amount(&mut self, amount: u64, now: Instant) {
        self.advance(now);
        self.rate.amount = amount;
    }

    /// Brings the meter to this time. A clock that goes back changes nothing.
    pub fn advance(&mut self, now: Instant) {
        if let Some(end) = self.period_end
            && now >= end
        {
            // What the new period inherits: nothing. Leases of the old one no longer count here.
            self.taken = 0;
            (self.reported_nearly, self.reported_whole) = (0, 0);
            self.period_end = self.rate.per.and_then(|per| per.end(now));
        }
        if self.scale() > 1 && now > self.counted_at {
            let back = u128::from(self.rate.amount) * u128::from((now - self.counted_at).get());
            self.taken = self.taken.saturating_sub(back);
            self.counted_at = now;
        }
        if now < self.next_end {
            return;
        }
        let mut leases = std::mem::take(&mut self.leases);
        self.next_end = Instant::MAX;
        leases.retain_mut(|(id, lease)| {
            if !lease.has_ended && now >= lease.until {
                self.change(lease, |lease| lease.has_ended = true);
                self.changed.insert(*id);
            }
            let ends_at = lease.ends_at();
            if now >= ends_at {
                self.changed.insert(*id);
            }
            self.next_end = self.next_end.min(ends_at);
            now < ends_at
        });
        self.leases = leases;
    }

    /// Forgets the leases that this holder is done with and no longer reports: it has the answer to
    /// the report that said so. `is_reported`: by the number of a lease.
    pub fn forget_done(&mut self, holder: u64, is_reported: impl Fn(u64) -> bool) {
        let changed = &mut self.changed;
        self.leases.retain(|(id, lease)| {
            let is_forgotten =
                id.holder == holder && lease.is_done && lease.has_ended && !is_reported(id.number);
            if is_forgotten {
                changed.insert(*id);
            }
            !is_forgotten
        });
    }

    /// When time alone changes something: a lease or a period ends, or a bucket is full. `None`:
    /// never.
    pub fn next_at(&self) -> Option<Instant> {
        let leases = self.leases.iter().map(|(_, lease)| lease.ends_at());
        let full_at = (self.scale() > 1 && self.taken > 0).then(|| {
            let ms = self.taken.div_ceil(u128::from(self.rate.amount.max(1)));
            self.counted_at + Millis::new(u64::try_from(ms).unwrap_or(u64::MAX))
        });
        leases.chain(self.period_end.filter(|_| self.taken > 0)).chain(full_at).min()
    }

    /// What was spent without a lease, while the ledger could not be asked. The same number counts
    /// once.
    pub fn spend(&mut self, id: LeaseId, amount: u64, now: Instant) {
        self.advance(now);
        if self.lease(id).is_some() {
            return;
        }
        self.taken = self.taken.saturating_add(u128::from(amount).saturating_mul(self.scale()));
        let (until, period_end) = (now, self.period_end);
        let lease = Lease {
            granted: 0,
            used: amount,
            reserved: 0,
            until,
            has_ended: true,
            is_done: true,
            period_end,
        };
        self.insert(id, lease);
    }

    /// Changes a lease, and what is taken for it. A lease of an earlier calendar period takes
    /// nothing from this one.
    fn change(&mut self, lease: &mut Lease, change: impl FnOnce(&mut Lease)) {
        let before = lease.taken(self.rate.unit);
        change(lease);
        let after = lease.taken(self.rate.unit);
        if lease.period_end == self.period_end {
            let units = |units: u64| u128::from(units) * self.scale();
            self.taken = self.taken.saturating_add(units(after)).saturating_sub(units(before));
        }
    }

    /// What is neither spent nor leased, in units.
    pub fn free(&self) -> u64 {
        let scale = self.scale();
        let all = u128::from(self.rate.amount) * scale;
        u64::try_from(all.saturating_sub(self.taken) / scale).unwrap_or(u64::MAX)
    }

    /// What is leased and not used, in units.
    pub fn leased(&self) -> u64 {
        let live = self.live().filter(|(_, lease)| lease.period_end == self.period_end);
        live.map(|(_, lease)| lease)
            .fold(0, |sum, lease| sum.saturating_add(lease.granted.saturating_sub(lease.used)))
    }

    /// What is spent, in units. It may be more than the limit.
    pub fn spent(&self) -> u64 {
        let taken = self.taken.div_ceil(self.scale());
        u64::try_from(taken).unwrap_or(u64::MAX).saturating_sub(self.leased())
    }

    /// The threshold of a calendar period that is reached and had no alert in this period. From
    /// then on it counts as reported. `refused`: what a request needed that did not fit; 0: none.
    pub fn take_threshold(&mut self, refused: u64) -> Option<Threshold> {
        let (amount, spent) = (self.rate.amount, self.spent());
        let is_reached = |percent: u64| u128::from(spent) * 100 >= u128::from(amount) * u128::from(percent);
        if !self.rate.is_quota() || !is_reached(Threshold::Nearly.percent()) {
            return None;
        }
        // Leases of others return: a request that fits then is not refused for good.
        let is_short = refused <= amount && spent.saturating_add(refused) > amount;
        let (reported, threshold) = if is_reached(Threshold::Whole.percent()) || is_short {
            (&mut self.reported_whole, Threshold::Whole)
        } else {
            (&mut self.reported_nearly, Threshold::Nearly)
        };
        let is_new = *reported < amount;
        *reported = amount.max(*reported);
        // A limit that has none left is no longer nearly spent.
        self.reported_nearly = self.reported_nearly.max(self.reported_whole);
        is_new.then_some(threshold)
    }

    fn live(&self) -> impl Iterator<Item = &(LeaseId, Lease)> {
        self.leases.iter().filter(|(_, lease)| !lease.has_ended)
    }

    /// Whether nothing is spent and nothing is leased.
    pub fn is_idle(&self) -> bool {
        self.taken == 0 && self.leases.is_empty()
    }

    /// Decides about a wish. The same wish asked again, because its answer was lost, gets the same
    /// lease. `length_ms`: how long a lease lasts.
    pub fn grant(&mut self, id: LeaseId, wish: LeaseWish, length_ms: Millis, now: Instant) -> Decision {
        self.advance(now);
        if let Some(lease) = self.lease(id) {
            return Decision::Granted { amount: lease.granted, until: lease.until };
        }
        let free = self.free();
        if wish.need > free {
            return Decision::Refused { retry_ms: self.retry_ms(wish.need, now) };
        }
        let share = free / self.holders(id.holder).saturating_mul(SHARE_OF_FREE);
        let granted = wish.wanted.min(share).max(wish.need);
        if granted == 0 {
            return Decision::Refused { retry_ms: self.retry_ms(1, now) };
        }
        let until = self.period_end.map_or(now + length_ms, |end| end.min(now + length_ms));
        self.taken = self.taken.saturating_add(u128::from(granted) * self.scale());
        let lease = Lease {
            granted,
            used: 0,
            reserved: 0,
            until,
            has_ended: false,
            is_done: false,
            period_end: self.period_end,
        };
        self.insert(id, lease);
        Decision::Granted { amount: granted, until }
    }

    /// How many isolates hold leases at most, with this one.
    fn holders(&self, with: u64) -> u64 {
        let others = self.live().filter(|(id, _)| id.holder != with).count();
        u64::try_from(others).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// Takes what a holder says about a lease, and lengthens it. Returns the new end; `None` if it
    /// has ended, or is not known. What was used beyond the lease, or after its end, is counted all
    /// the same.
    pub fn report(
        &mut self,
        id: LeaseId,
        report: LeaseReport,
        length_ms: Millis,
        now: Instant,
    ) -> Option<Instant> {
        self.advance(now);
        let mut lease = *self.lease(id)?;
        self.change(&mut lease, |lease| {
            lease.used = lease.used.max(report.used);
            lease.reserved = report.reserved;
            lease.is_done |= report.is_done && report.reserved == 0;
            lease.has_ended |= lease.is_done;
        });
        if !lease.has_ended {
            // What is in flight at the end of a calendar period stays in that period.
            let end = lease.period_end.filter(|_| report.reserved == 0);
            lease.until = end.unwrap_or(Instant::MAX).min(now + length_ms);
        }
        self.insert(id, lease);
        (!lease.has_ended).then_some(lease.until)
    }

    /// When so much may be free; `None`: never.
    fn retry_ms(&self, need: u64, now: Instant) -> Option<Millis> {
        if need > self.rate.amount {
            return None;
        }
        let scale = self.scale();
        let missing =
            (self.taken + u128::from(need) * scale).saturating_sub(u128::from(self.rate.amount) * scale);
        let by_time = match (self.period_end, self.rate.per) {
            (Some(end), _) => Some(end - now),
            (None, Some(_)) => {
                let ms = missing.div_ceil(u128::from(self.rate.amount.max(1)));
                Some(Millis::new(u64::try_from(ms).unwrap_or(u64::MAX)))
            }
            (None, None) => None,
        };
        // Leases that are not used may return earlier.
        let by_leases = self.live().map(|(_, lease)| lease.until - now).min();
        let is_enough = u128::from(self.leased()) * scale >= missing;
        [by_time, by_leases.filter(|_| is_enough)].into_iter().flatten().min().or(Some(Millis::new(1_000)))
    }
}
