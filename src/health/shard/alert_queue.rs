//! The alerts of a region: what is watched for them, and which isolate sends each.
//!
//! Invariants:
//! - An outage has one alert, and one more when it is over. A refused document has one.
//! - Memory is bounded: by the number of deployments, the [outbox](AlertOutbox) and
//!   [`MAX_REFUSALS`].

use serde::{Deserialize, Serialize};

use super::shard_entry::ShardEntry;
use crate::alerting::alert::{Alert, AlertReceipt};
use crate::alerting::alert_outbox::AlertOutbox;
use crate::health::alert_subject::{AlertInterest, AlertSubject, Outage};
use crate::health::drains::name_key;
use crate::health::gate::Gate;
use crate::health::reason::Reason;
use crate::health::tolerant;
use crate::scan::json_value;
use crate::vocabulary::alert_kind::AlertKind;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::peer_id::PeerId;
use crate::vocabulary::rng::{Rng, stable_hash};
use crate::vocabulary::sorted::BoxedMap;
use crate::vocabulary::time::{Instant, Millis};

/// An ejection that is shorter is no alert. With a pause that is longer, it is another outage.
pub const OUTAGE_MS: Millis = Millis::new(60_000);

/// A refused document that no report mentions for this long is over. If it comes again, there is
/// another alert.
const REFUSAL_OVER_MS: Millis = Millis::new(600_000);

/// The most refused documents to remember.
const MAX_REFUSALS: usize = 8;

/// What a shard knows about alerts. It is stored as it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct AlertQueue {
    /// The gates that are not closed. This is a list because a further kind of map is 8 KiB of
    /// Wasm, with gzip.
    #[serde(deserialize_with = "json_value::lenient")]
    outages: Vec<WatchedOutage>,
    #[serde(deserialize_with = "json_value::lenient")]
    waiting: AlertOutbox,
    /// The refused documents for which there was an alert, by a hash.
    #[serde(deserialize_with = "json_value::lenient")]
    refusals: Vec<PeerId>,
    /// When a report last mentioned each of them.
    #[serde(skip)]
    mentioned_at: Vec<Instant>,
    /// Whether something has to be stored.
    #[serde(skip)]
    is_changed: bool,
}

/// A gate that is not closed.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct WatchedOutage {
    /// That of [`WatchedGate::key`].
    key: String,
    since: Instant,
    /// The latest change that closed the deployment. With another one, this is another outage.
    closed: u64,
    /// Whether there was an alert.
    is_alerted: bool,
    /// The end of the ejection when it was last looked at. `None`: not since it was restored.
    #[serde(skip)]
    seen_until: Option<Instant>,
}

/// A gate of a deployment or of one of its operations.
struct WatchedGate<'a> {
    identity: &'a str,
    operation: Option<Operation>,
    gate: &'a Gate,
    closed: u64,
}

/// What separates an identity and an operation in a key. No identity has one.
const SEPARATOR: char = ' ';

impl WatchedGate<'_> {
    fn key(&self) -> String {
        match self.operation {
            None => self.identity.to_owned(),
            Some(operation) => format!("{}{SEPARATOR}{}", self.identity, operation.path()),
        }
    }
}

/// The outage with this key.
fn outage(key: &str, since: Instant, ejection: Option<(Instant, Reason)>) -> Outage<'_> {
    let (deployment, operation) = match key.split_once(SEPARATOR) {
        Some((deployment, operation)) => (deployment, Some(operation)),
        None => (key, None),
    };
    Outage { deployment, operation, since, ejection }
}

fn gates(entries: &BoxedMap<String, ShardEntry>) -> impl Iterator<Item = WatchedGate<'_>> {
    entries.iter().flat_map(|(identity, entry)| {
        let saved = entry.saved();
        let of = move |operation, gate| WatchedGate { identity, operation, gate, closed: saved.closed };
        let operations = saved.missing.iter().map(move |(operation, gate)| of(Some(*operation), gate));
        std::iter::once(of(None, &saved.gate)).chain(operations)
    })
}

impl AlertQueue {
    /// Reads what was stored. What is not understood is lost.
    pub(super) fn parse(text: &str, now: Instant) -> Self {
        let read = serde_json::from_str(text).ok().and_then(tolerant::read::<Self>);
        let mut queue = read.unwrap_or_default();
        // Mentions are not stored. As long as the object is used, the documents are mentioned.
        queue.mentioned_at = vec![now; queue.refusals.len()];
        queue
    }

    /// What has to be stored. `None`: it is stored already.
    pub(super) fn changed(&self) -> Option<String> {
        self.is_changed.then(|| self.to_json())
    }

    /// Writes it as JSON.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn on_saved(&mut self) {
        self.is_changed = false;
    }

    /// Takes what a reporter is interested in, after its report was merged. Returns the alerts that
    /// it is to send.
    ///
    /// Not inlined: without webhooks, nothing of this runs.
    #[inline(never)]
    pub(super) fn on_report(
        &mut self,
        interest: &AlertInterest,
        reporter: PeerId,
        entries: &BoxedMap<String, ShardEntry>,
        now: Instant,
        rng: &mut dyn Rng,
    ) -> Vec<Alert> {
        let is_wanted = |kind| interest.kinds.contains(&kind);
        if is_wanted(AlertKind::Ejected) || is_wanted(AlertKind::Recovered) {
            self.watch(interest, entries, now, rng);
        }
        if is_wanted(AlertKind::Routes) && !interest.refused.is_empty() {
            self.on_refusal(interest, now, rng);
        }
        self.is_changed |= self.waiting.drop_old(now);
        let given = self.waiting.give(&interest.kinds, reporter, now);
        self.is_changed |= !given.is_empty();
        given
    }

    fn watch(
        &mut self,
        interest: &AlertInterest,
        entries: &BoxedMap<String, ShardEntry>,
        now: Instant,
        rng: &mut dyn Rng,
    ) {
        let mut before: Vec<_> = std::mem::take(&mut self.outages).into_iter().map(Some).collect();
        // Both lists are in the same order, so the next one is nearly always the first to look at.
        let mut next = 0;
        for watched in gates(entries) {
            let Some(ejection) = watched.gate.ejected_until().zip(watched.gate.reason()) else { continue };
            let (key, closed) = (watched.key(), watched.closed);
            let is_same = |state: &Option<WatchedOutage>| {
                state.as_ref().is_some_and(|state| state.key == key && state.closed == closed)
            };
            let at = (next..before.len()).chain(0..next).find(|at| before.get(*at).is_some_and(is_same));
            next = at.map_or(next, |at| at + 1);
            let known = at.and_then(|at| before.get_mut(at)?.take());
            let mut state = known.unwrap_or_else(|| {
                self.is_changed = true;
                WatchedOutage { key, since: now, closed, is_alerted: false, seen_until: None }
            });
            self.is_changed |= state.look(ejection.0, now);
            // In a drill, people know what is out.
            let is_meant = || {
                let name = entries.get(&name_key(watched.identity));
                watched.gate.is_drained() || name.is_some_and(|name| name.fault(now).is_some())
            };
            if !state.is_alerted && state.is_long(ejection.0, now) && !is_meant() {
                state.is_alerted = true;
                self.is_changed = true;
                let outage = outage(&state.key, state.since, Some(ejection));
                self.add(AlertSubject::Outage(outage), interest, now, rng);
            }
            self.outages.push(state);
        }
        // What is left is closed, or the shard has forgotten the deployment.
        for WatchedOutage { key, since, is_alerted, .. } in before.into_iter().flatten() {
            self.is_changed = true;
            let outage = outage(&key, since, None);
            if is_alerted && entries.contains_key(outage.deployment) {
                self.add(AlertSubject::Outage(outage), interest, now, rng);
            }
        }
    }

    /// A reporter's document is refused.
    fn on_refusal(&mut self, interest: &AlertInterest, now: Instant, rng: &mut dyn Rng) {
        let document = PeerId(stable_hash(interest.refused.as_bytes()));
        let known = self.refusals.iter().position(|known| *known == document);
        if let Some(mentioned_at) = known.and_then(|known| self.mentioned_at.get_mut(known)) {
            if now - std::mem::replace(mentioned_at, now) < REFUSAL_OVER_MS {
                return;
            }
        } else {
            if self.refusals.len() >= MAX_REFUSALS {
                self.refusals.remove(0);
                self.mentioned_at.remove(0);
            }
            self.refusals.push(document);
            self.mentioned_at.push(now);
        }
        self.is_changed = true;
        self.add(AlertSubject::Routes(&interest.refused), interest, now, rng);
    }

    /// Adds an alert, if its kind is wanted.
    fn add(&mut self, subject: AlertSubject<'_>, interest: &AlertInterest, at: Instant, rng: &mut dyn Rng) {
        if !interest.kinds.contains(&subject.kind()) {
            return;
        }
        let alert = subject.alert(PeerId(rng.next_u64()).to_string(), &interest.region, at);
        self.waiting.add(alert, at);
        self.is_changed = true;
    }

    /// A webhook has taken an alert.
    pub(super) fn on_taken(&mut self, receipt: &AlertReceipt) {
        self.is_changed |= self.waiting.on_taken(receipt);
    }
}

impl WatchedOutage {
    /// Looks at the gate, which is ejected until then. Returns whether this is another outage.
    fn look(&mut self, until: Instant, now: Instant) -> bool {
        // Between two ejections there may be no request that shows whether the deployment is back.
        let is_other =
            !self.is_alerted && self.seen_until.is_some_and(|seen| until > seen && now >= seen + OUTAGE_MS);
        if is_other {
            self.since = now;
        }
        self.seen_until = Some(until);
        is_other
    }

    /// Whether it lasts long enough for an alert. An ejection whose time is over, and
    /// which no probe has ended because there are no requests, does not become longer by that.
    fn is_long(&self, until: Instant, now: Instant) -> bool {
        let long_at = self.since + OUTAGE_MS;
        now >= long_at && until >= long_at
    }
}
