//! The number of the last batch that was counted of each reporter.

use crate::vocabulary::time::{Instant, Millis};

/// For how long a reporter is remembered at least. An isolate repeats a batch for a shorter time.
pub const REMEMBERED_MS: Millis = Millis::new(3_600_000);

/// The most reporters. Beyond them, the batches of new reporters are not counted yet: they wait
/// until an older one can be forgotten.
const MOST_REPORTERS: usize = 16_384;

/// With more reporters than this, those are forgotten that have not reported for long. So a hub,
/// which hears of some dozens of shards, forgets none.
const MANY_REPORTERS: usize = 1_024;

/// How many groups of reporters are stored apart, so that a batch writes a small row.
const GROUPS: u64 = 64;

/// The last batch that was counted of a reporter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LastBatch {
    reporter: u64,
    n: u64,
    at: Instant,
}

/// The last batches of all reporters.
#[derive(Debug, Clone, Default)]
pub(super) struct SeenBatches {
    /// In the order of the reporters.
    last: Vec<LastBatch>,
    /// Groups that changed since they were stored.
    unsaved: Vec<u64>,
    /// When reporters can be forgotten again.
    forget_at: Instant,
}

impl SeenBatches {
    /// The number of the last batch of this reporter; 0: none.
    pub(super) fn last(&self, reporter: u64) -> u64 {
        let found = self.find(reporter).ok().and_then(|at| self.last.get(at));
        found.map_or(0, |last| last.n)
    }

    fn find(&self, reporter: u64) -> Result<usize, usize> {
        self.last.binary_search_by(|last| last.reporter.cmp(&reporter))
    }

    /// Notes that a batch is counted. `false`: there is no room for the reporter.
    pub(super) fn note(&mut self, reporter: u64, n: u64, now: Instant) -> bool {
        self.forget(now);
        if self.find(reporter).is_err() && self.last.len() >= MOST_REPORTERS {
            return false;
        }
        self.restore(reporter, n, now);
        note(&mut self.unsaved, reporter);
        true
    }

    /// Forgets reporters, at most once in a minute.
    fn forget(&mut self, now: Instant) {
        if self.last.len() <= MANY_REPORTERS || now < self.forget_at {
            return;
        }
        self.forget_at = now + Millis::new(60_000);
        let unsaved = &mut self.unsaved;
        self.last.retain(|last| {
            let stays = now < last.at + REMEMBERED_MS;
            if !stays {
                note(unsaved, last.reporter);
            }
            stays
        });
    }

    /// The groups that changed since they were stored, each with its reporters: identity, number
    /// and time.
    pub(super) fn unsaved(&self) -> impl Iterator<Item = (u64, Vec<Vec<u64>>)> {
        self.unsaved.iter().map(|group| {
            let of_group = self.last.iter().filter(|last| last.reporter % GROUPS == *group);
            (*group, of_group.map(|last| vec![last.reporter, last.n, last.at.epoch_ms()]).collect())
        })
    }

    /// All changes are stored.
    pub(super) fn on_saved(&mut self) {
        self.unsaved.clear();
    }

    /// Remembers a reporter that was stored.
    pub(super) fn restore(&mut self, reporter: u64, n: u64, at: Instant) {
        let last = LastBatch { reporter, n, at };
        match self.find(reporter) {
            Ok(place) => {
                if let Some(known) = self.last.get_mut(place) {
                    *known = last;
                }
            }
            Err(place) => self.last.insert(place, last),
        }
    }
}

/// Notes that the group of a reporter changed.
fn note(unsaved: &mut Vec<u64>, reporter: u64) {
    let group = reporter % GROUPS;
    if !unsaved.contains(&group) {
        unsaved.push(group);
    }
}
