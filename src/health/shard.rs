//! What the isolates of a region know together. It runs in one place; the isolates
//! [report](super::reporter) to it.
//!
//! The shard adds up what the isolates saw, and has its own gate for each deployment. Every answer
//! contains what has changed, states when to report again, and may grant a lease: the right to send
//! a probe. There is one lease at a time for each deployment.
//!
//! A hub is another shard, to which shards report facts that hold everywhere and decisions of an
//! administrator. So these reach all regions, and nothing else does.
//!
//! Invariants:
//! - Changes are numbered. Numbers grow as long as the history (the epoch) lasts, also over
//!   evictions ([`ShardHead`], [`SavedDeployment`]).
//! - There is at most one live lease for each deployment.
//! - Only a probe that passed or an administrator shortens an ejection of the shard.
//! - Memory depends on the number of deployments only, and that number is bounded.

mod alert_queue;
mod hub;
pub mod object_requests;
mod persisted;
mod shard_entry;
pub mod shard_store;
mod uplink;
pub mod view;

use super::drains::{is_same_name, name_of};
use super::reason::Reason;
use super::recent_records::RecentRecords;
use super::sharing::{AFTER_FAILURE_MS, BASE_MS, LATEST_MS};
use super::wire::{HealthReport, ShardAnswer, VERSION};
use crate::alerting::alert::AlertReceipt;
use crate::counters::CounterLedger;
use crate::vocabulary::peer_id::PeerId;
use crate::vocabulary::rng::Rng;
use crate::vocabulary::sorted::{self, BoxedMap};
use crate::vocabulary::time::{Instant, Millis};
use alert_queue::AlertQueue;
pub use persisted::{SavedDeployment, ShardHead};
use shard_entry::{LeaseRequest, ShardEntry, UNUSED_MS, is_question};
use uplink::Uplink;

/// The largest number of deployments to store. A routes document has dozens.
pub const MAX_DEPLOYMENTS: usize = 1_000;

/// The longest identity to store, in bytes.
pub const MAX_IDENTITY: usize = 512;

/// A deployment without any state that was not mentioned for this long is forgotten.
const FORGOTTEN_MS: Millis = Millis::new(3_600_000);

/// The shard of a region, or the hub of all regions.
#[derive(Debug, Clone)]
pub struct Shard {
    head: ShardHead,
    entries: BoxedMap<String, ShardEntry>,
    /// The latest time that was assigned to a report, in microseconds.
    slot_us: u64,
    /// The same for isolates that have just seen failures.
    failure_slot_us: u64,
    /// No lease is granted before this time: leases from before an eviction must expire first.
    no_lease_before: Instant,
    uplink: Uplink,
    pub(super) counters: CounterLedger,
    alerts: AlertQueue,
    records: RecentRecords,
}

impl Shard {
    /// Begins a new history.
    pub fn new(rng: &mut dyn Rng) -> Self {
        Self::restore(ShardHead { epoch: PeerId(rng.next_u64()), ..ShardHead::default() }, [], Instant::EPOCH)
    }

    /// Continues a history.
    pub fn restore(
        head: ShardHead,
        saved: impl IntoIterator<Item = (String, SavedDeployment)>,
        now: Instant,
    ) -> Self {
        let saved = saved.into_iter().filter(|(identity, _)| identity.len() <= MAX_IDENTITY);
        let saved = saved.take(MAX_DEPLOYMENTS);
        let entries =
            sorted::boxed_map(saved.map(|(identity, saved)| (identity, ShardEntry::restore(saved, now))));
        let change = entries.values().map(|entry| entry.change()).max().unwrap_or(0).max(head.change);
        let is_first = head.change == 0 && entries.is_empty();
        Self {
            head: ShardHead { change, ..head },
            entries,
            slot_us: 0,
            failure_slot_us: 0,
            no_lease_before: if is_first { Instant::EPOCH } else { now + UNUSED_MS },
            uplink: Uplink::default(),
            counters: CounterLedger::default(),
            records: RecentRecords::default(),
            alerts: AlertQueue::default(),
        }
    }

    /// Continues with the counters of a history.
    #[must_use]
    pub fn with_counters(self, counters: CounterLedger) -> Self {
        Self { counters, ..self }
    }

    /// What isolates have counted, and the ejections of the region.
    pub fn counters(&self) -> &CounterLedger {
        &self.counters
    }

    /// The same, to take note of what was stored.
    pub fn counters_mut(&mut self) -> &mut CounterLedger {
        &mut self.counters
    }

    /// The part of the state that is stored for the shard as a whole.
    pub fn head(&self) -> ShardHead {
        self.head
    }

    /// Continues with the alerts that were stored.
    pub fn restore_alerts(&mut self, json: &str, now: Instant) {
        self.alerts = AlertQueue::parse(json, now);
    }

    /// What has to be stored of the alerts. `None`: it is stored already.
    pub fn changed_alerts(&self) -> Option<String> {
        self.alerts.changed()
    }

    /// The alerts as they are stored.
    pub fn stored_alerts(&self) -> String {
        self.alerts.to_json()
    }

    /// The alerts are stored.
    pub fn on_alerts_saved(&mut self) {
        self.alerts.on_saved();
    }

    /// A webhook has taken an alert.
    pub fn on_alert_taken(&mut self, receipt: &AlertReceipt) {
        self.alerts.on_taken(receipt);
    }

    /// What has to be stored after the change with this number, with the identities.
    pub fn changed_since(&self, change: u64) -> impl Iterator<Item = (&str, &SavedDeployment)> {
        let entries = self.entries.iter().map(|(identity, entry)| (identity.as_str(), entry.saved()));
        entries.filter(move |(_, saved)| saved.change > change)
    }

    /// Forgets deployments that nobody mentions any more. Returns their identities: what was stored
    /// for them can be deleted too.
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

    /// Takes a report and answers it.
    pub fn report(&mut self, report: &HealthReport, now: Instant, rng: &mut dyn Rng) -> ShardAnswer {
        let known = report.known.filter(|known| known.epoch == self.head.epoch);
        let has_failures = report.deployments.values().any(|batch| batch.failures > 0);
        let next_ms = self.next_ms(report.reports_per_second, has_failures, now);
        for (identity, batch) in &report.deployments {
            let (mut change, mut ejection) = (self.head.change, None);
            if let Some(entry) = self.entry(identity, now) {
                let is_new = !report.is_shard && entry.ejection().is_none();
                let seen = if known.is_some() { batch.seen } else { 0 };
                entry.merge_batch(report.reporter, batch, seen, &mut change, now, rng);
                ejection = entry.ejection().filter(|_| is_new);
                let lease_request = LeaseRequest { reporter: report.reporter, next_ms };
                entry.grant(&lease_request, batch.wants, now);
            }
            self.head.change = change;
            self.count_ejection(identity, ejection, now);
        }
        for record in &report.records {
            self.records.push(record.clone());
        }
        let batch = report.counters.as_ref();
        let counted = batch.map_or(0, |batch| self.counters.merge(report.reporter.0, batch, now));
        self.uplink.on_report();
        // A reporter that missed the removal of a record gets the full state.
        let full = known.is_none_or(|known| known.change < self.head.forgotten);
        let since = known.filter(|_| !full).map_or(0, |known| known.change);
        let deployments = self.entries.iter().filter_map(|(identity, entry)| {
            let asks = report.deployments.get(identity).is_some_and(is_question);
            let is_included = asks || entry.change() > since || (known.is_none() && entry.has_latency(now));
            is_included.then(|| (identity.clone(), entry.record(report.reporter, known.is_none(), now)))
        });
        let alerts = report
            .alerts
            .as_ref()
            .map(|interest| self.alerts.on_report(interest, report.reporter, &self.entries, now, rng));
        ShardAnswer {
            v: VERSION,
            n: report.n,
            epoch: self.head.epoch,
            change: self.head.change,
            next_ms,
            full,
            reset: self.head.reset,
            deployments: sorted::map(deployments),
            counted,
            alerts: alerts.unwrap_or_default(),
        }
    }

    /// Counts an ejection of this region, if there is one.
    fn count_ejection(&mut self, identity: &str, ejection: Option<Reason>, now: Instant) {
        if let Some(reason) = ejection {
            self.counters.on_ejection(name_of(identity), reason.name(), now);
        }
    }

    /// Every answered report gets the next free time for the next report: a second from now, or
    /// later if the rate would be exceeded. So reports respect the rate for any number of isolates,
    /// and the shard stores nothing about an isolate.
    ///
    /// Half of the rate is for these reports. A quarter is for isolates that have just seen
    /// failures: they may report sooner, as long as there is room. A quarter is for urgent reports,
    /// which isolates schedule themselves.
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

    /// Removes all traffic from a deployment until [`Self::enable`]. `false`: there is no room for
    /// the deployment.
    pub fn drain(&mut self, identity: &str, now: Instant) -> bool {
        self.administer(identity, now, |entry, change| entry.set_drained(true, change))
    }

    /// Ends [`Self::drain`], for all identities of the same name.
    pub fn enable(&mut self, identity: &str, now: Instant) -> bool {
        let namesakes = self.entries.iter_mut().filter(|(known, _)| is_same_name(known, identity));
        for (_, entry) in namesakes {
            entry.set_drained(false, &mut self.head.change);
        }
        self.administer(identity, now, |entry, change| entry.set_drained(false, change))
    }

    /// Sets the fault of a name, or ends it. `text`: [`TimedFault::text`], with the time from now.
    ///
    /// [`TimedFault::text`]: super::timed_fault::TimedFault::text
    pub fn set_fault(&mut self, key: &str, text: &str, now: Instant) -> bool {
        self.administer(key, now, |entry, change| entry.set_fault(text, now, change))
    }

    /// Forgets what was learned about a deployment, in the shard and in all isolates. A drained
    /// deployment stays drained.
    pub fn reset(&mut self, identity: &str, now: Instant) -> bool {
        self.administer(identity, now, ShardEntry::reset)
    }

    /// Does [`Self::reset`] for all deployments.
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

    /// The entry of a deployment. It is created if there is room.
    fn entry(&mut self, identity: &str, now: Instant) -> Option<&mut ShardEntry> {
        if !self.entries.contains_key(identity) {
            if identity.len() > MAX_IDENTITY || self.entries.len() >= MAX_DEPLOYMENTS {
                return None;
            }
            let entry = ShardEntry::new(self.no_lease_before, now);
            self.entries.insert(identity.to_owned(), Box::new(entry));
        }
        self.entries.get_mut(identity).map(AsMut::as_mut)
    }
}
