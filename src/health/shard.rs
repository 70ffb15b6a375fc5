//! What the isolates of a region know together. It lives in one place; they [report](super::reporter) to it.
//!
//! The shard adds up what they saw and has a gate of its own for each deployment. Every answer brings what has changed, says when
//! to come again, and may bring the right to send a probe: of those there is one at a time for each deployment.
//!
//! A hub is one more shard, to which shards report: facts that hold everywhere, and an administrator's word. So these
//! reach all regions, and nothing else does.
//!
//! Invariants:
//! - Changes are numbered. Numbers grow as long as the history (the epoch) lasts, over evictions too ([`ShardHead`], [`SavedDeployment`]).
//! - At most one live lease for each deployment.
//! - An ejection of the shard's is shortened only by a probe that passed, or by an administrator.
//! - Memory depends on the number of deployments alone, and that is bounded.

mod hub;
pub mod object_requests;
mod persisted;
mod shard_entry;
mod uplink;
pub mod view;

use std::collections::BTreeMap;

use super::sharing::{AFTER_FAILURE_MS, BASE_MS};
use super::wire::{HealthReport, PeerId, ShardAnswer, VERSION};
use crate::vocabulary::rng::Rng;
use crate::vocabulary::time::{Instant, Millis};
pub use persisted::{SavedDeployment, ShardHead};
use shard_entry::{LeaseRequest, ShardEntry, UNUSED_MS, is_question};
use uplink::Uplink;

/// Most deployments that are kept. A routes document has dozens.
pub const MAX_DEPLOYMENTS: usize = 1_000;

/// Longest identity that is kept, in bytes.
pub const MAX_IDENTITY: usize = 512;

/// What says nothing any more, and was not mentioned for so long, is forgotten.
const FORGOTTEN_MS: Millis = Millis::new(3_600_000);

/// Nobody is told to come later than this, whatever the rate.
const LATEST_MS: Millis = Millis::new(3_600_000);

/// The shard of a region, or the hub of all.
#[derive(Debug, Clone)]
pub struct Shard {
    head: ShardHead,
    entries: BTreeMap<String, ShardEntry>,
    /// The latest time that was given away for a report, in microseconds.
    slot_us: u64,
    /// The same for isolates that come sooner.
    failure_slot_us: u64,
    /// No leases before: those of the time before an eviction have to run out first.
    no_lease_before: Instant,
    uplink: Uplink,
}

impl Shard {
    /// Begins a new history.
    pub fn new(rng: &mut dyn Rng) -> Self {
        Self::restore(ShardHead { epoch: PeerId(rng.next_u64()), ..ShardHead::default() }, [], Instant::EPOCH)
    }

    /// Goes on with a history.
    pub fn restore(
        head: ShardHead,
        saved: impl IntoIterator<Item = (String, SavedDeployment)>,
        now: Instant,
    ) -> Self {
        let saved = saved.into_iter().filter(|(identity, _)| identity.len() <= MAX_IDENTITY);
        let saved = saved.take(MAX_DEPLOYMENTS);
        let entries: BTreeMap<_, _> =
            saved.map(|(identity, saved)| (identity, ShardEntry::restore(saved, now))).collect();
        let change = entries.values().map(ShardEntry::change).max().unwrap_or(0).max(head.change);
        let is_first = head.change == 0 && entries.is_empty();
        Self {
            head: ShardHead { change, ..head },
            entries,
            slot_us: 0,
            failure_slot_us: 0,
            no_lease_before: if is_first { Instant::EPOCH } else { now + UNUSED_MS },
            uplink: Uplink::default(),
        }
    }

    /// What has to be stored of it as a whole.
    pub fn head(&self) -> ShardHead {
        self.head
    }

    /// What has to be stored after a change of that number, with the identities.
    pub fn changed_since(&self, change: u64) -> impl Iterator<Item = (&str, &SavedDeployment)> {
        let entries = self.entries.iter().map(|(identity, entry)| (identity.as_str(), entry.saved()));
        entries.filter(move |(_, saved)| saved.change > change)
    }

    /// Forgets deployments that nobody mentions any more. Their identities: what was stored of them can go as well.
    pub fn forget(&mut self, now: Instant) -> Vec<String> {
        let mut forgotten = Vec::new();
        self.entries.retain(|identity, entry| {
            let stays = !entry.is_idle(now, FORGOTTEN_MS);
            if !stays {
                self.head.forgotten = self.head.forgotten.max(entry.change());
                forgotten.push(identity.clone());
            }
            stays
        });
        forgotten
    }

    /// Takes a report, and answers it.
    pub fn report(&mut self, report: &HealthReport, now: Instant, rng: &mut dyn Rng) -> ShardAnswer {
        let known = report.known.filter(|known| known.epoch == self.head.epoch);
        let has_failures = report.deployments.values().any(|batch| batch.failures > 0);
        let next_ms = self.next_ms(report.reports_per_second, has_failures, now);
        for (identity, batch) in &report.deployments {
            let mut change = self.head.change;
            if let Some(entry) = self.entry(identity, now) {
                let seen = if known.is_some() { batch.seen } else { 0 };
                entry.merge_batch(report.reporter, batch, seen, &mut change, now, rng);
                let lease_request = LeaseRequest { reporter: report.reporter, next_ms };
                entry.grant(&lease_request, batch.wants, now);
            }
            self.head.change = change;
        }
        self.uplink.on_report();
        // Somebody who has slept through what was forgotten is told everything.
        let full = known.is_none_or(|known| known.change < self.head.forgotten);
        let since = known.filter(|_| !full).map_or(0, |known| known.change);
        let deployments = self.entries.iter().filter_map(|(identity, entry)| {
            let asks = report.deployments.get(identity).is_some_and(is_question);
            let is_included = asks || entry.change() > since || (known.is_none() && entry.has_latency(now));
            is_included.then(|| (identity.clone(), entry.record(report.reporter, known.is_none(), now)))
        });
        ShardAnswer {
            v: VERSION,
            n: report.n,
            epoch: self.head.epoch,
            change: self.head.change,
            next_ms,
            full,
            reset: self.head.reset,
            deployments: deployments.collect(),
        }
    }

    /// Every report that is answered gets the next free time of coming again: a second from now, or later where the rate would
    /// be exceeded. So reports keep to the rate, however many isolates there are, and nothing is kept of any of them.
    ///
    /// Half of the rate is for those. A quarter is for isolates that have just seen failures, which may come again sooner, as long as
    /// there is room; and a quarter for what is urgent, which isolates see to themselves.
    fn next_ms(&mut self, reports_per_second: u32, has_failures: bool, now: Instant) -> Millis {
        let rate = u64::from(reports_per_second.clamp(1, 1_000_000));
        let in_us = |after_ms: Millis| (now + after_ms).epoch_ms().saturating_mul(1_000);
        let next = |slot_us: u64, shares: u64, base_ms: Millis| {
            slot_us.saturating_add(shares * 1_000_000 / rate).clamp(in_us(base_ms), in_us(LATEST_MS))
        };
        let wait_ms = |slot_us: u64| Instant::from_epoch_ms(slot_us / 1_000) - now;
        let soon_us = next(self.failure_slot_us, 4, AFTER_FAILURE_MS);
        if has_failures && soon_us < in_us(BASE_MS) {
            self.failure_slot_us = soon_us;
            return wait_ms(soon_us).max(AFTER_FAILURE_MS);
        }
        self.slot_us = next(self.slot_us, 2, BASE_MS);
        wait_ms(self.slot_us).max(BASE_MS)
    }

    /// Takes all traffic from a deployment until [`Self::enable`]. `false`: there is no room for it.
    pub fn drain(&mut self, identity: &str, now: Instant) -> bool {
        self.administer(identity, now, |entry, change| entry.set_drained(true, change))
    }

    /// Ends [`Self::drain`].
    pub fn enable(&mut self, identity: &str, now: Instant) -> bool {
        self.administer(identity, now, |entry, change| entry.set_drained(false, change))
    }

    /// Forgets what was learned about a deployment, here and everywhere. Drained stays drained.
    pub fn reset(&mut self, identity: &str, now: Instant) -> bool {
        self.administer(identity, now, ShardEntry::reset)
    }

    /// The same for all.
    pub fn reset_all(&mut self) {
        for entry in self.entries.values_mut() {
            entry.reset(&mut self.head.change);
        }
        self.head.change = self.head.change.saturating_add(1);
        self.head.reset = self.head.change;
    }

    fn administer(
        &mut self,
        identity: &str,
        now: Instant,
        act: impl FnOnce(&mut ShardEntry, &mut u64),
    ) -> bool {
        let mut change = self.head.change;
        let found = self.entry(identity, now).map(|entry| act(entry, &mut change));
        self.head.change = change;
        found.is_some()
    }

    /// The entry of a deployment, which is made where there is room.
    fn entry(&mut self, identity: &str, now: Instant) -> Option<&mut ShardEntry> {
        if !self.entries.contains_key(identity) {
            if identity.len() > MAX_IDENTITY || self.entries.len() >= MAX_DEPLOYMENTS {
                return None;
            }
            let entry = ShardEntry::new(self.no_lease_before, now);
            self.entries.insert(identity.to_owned(), entry);
        }
        self.entries.get_mut(identity)
    }
}
