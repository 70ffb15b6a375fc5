//! What an isolate knows of issued keys, and when it may read a record from the store.
//!
//! A record serves for [`FRESH_MS`]. From [`DUE_MS`] on, it is read again in the background, so a
//! key in use is never waited for. That a key does not exist is known for [`UNKNOWN_MS`]. Both are
//! bounded. Reads for keys that are not known take from a budget, which a key that exists gives
//! back: so guessing costs nothing, and keys that exist do not pay for it.

use super::key_format::KeyHash;
use crate::vocabulary::sorted::BoxedMap;
use crate::vocabulary::time::{Instant, Millis};

/// How long a record serves after it was read.
pub const FRESH_MS: Millis = Millis::new(60_000);
/// The age from which it is read again in the background.
pub const DUE_MS: Millis = Millis::new(30_000);
/// How long it is known that a key does not exist.
pub const UNKNOWN_MS: Millis = Millis::new(10_000);
/// How long a known record goes on while the store does not answer.
pub const RETENTION_MS: Millis = Millis::new(600_000);
/// How long after a failed read a known record is not read again.
const FAILED_MS: Millis = Millis::new(5_000);
/// How long the caches of the store may not have a record that was written.
const SETTLED_MS: Millis = Millis::new(120_000);
/// A read that has not ended after this time has died with its request.
const DEAD_AFTER_MS: Millis = Millis::new(15_000);
/// The most keys that are known.
pub const MOST_KNOWN: usize = 4_096;
/// The most keys that are known not to exist.
pub const MOST_UNKNOWN: usize = 1_024;
/// A read for a key that is not known may begin so often, on average.
const READ_EVERY_MS: Millis = Millis::new(50);
/// So many such reads may begin at once.
pub const BURST: u64 = 100;

/// The two kinds of keys have budgets of their own: anybody can guess a text, but hardly a key with
/// the right checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// It has the form of issued keys.
    Issued,
    /// It has another form: it may have been imported.
    Foreign,
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnownKey<T> {
    /// Its record serves. `is_due`: it should be read again, in the background.
    Fresh {
        /// The record.
        value: T,
        /// Whether to read it again.
        is_due: bool,
    },
    /// Its record must be read first. If the store does not answer, this one serves.
    Stale(T),
    /// It does not exist.
    Unknown,
    /// Nothing.
    Nothing,
}

/// Whether a read may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadBegun {
    /// Yes. [`KeyCache::end`] must follow.
    Yes,
    /// Another request reads the same key.
    UnderWay,
    /// Too many keys were asked for that do not exist.
    NoBudget,
}

/// A limit of the rate of reads: the time at which the budget is whole again.
#[derive(Debug, Clone, Copy, Default)]
struct ReadBudget(Instant);

impl ReadBudget {
    fn take(&mut self, now: Instant) -> bool {
        let whole_at = self.0.max(now);
        if whole_at - now > READ_EVERY_MS * (BURST - 1) {
            return false;
        }
        self.0 = whole_at + READ_EVERY_MS;
        true
    }

    fn give_back(&mut self) {
        self.0 = self.0 - READ_EVERY_MS;
    }
}

#[derive(Debug)]
struct CachedKey<T> {
    hash: KeyHash,
    revision: u64,
    value: T,
    /// When the latest read began to which the store has answered.
    checked_at: Instant,
    /// Since when it is known.
    known_since: Instant,
    failed_at: Option<Instant>,
}

#[derive(Debug)]
struct UnknownKey {
    hash: KeyHash,
    checked_at: Instant,
}

#[derive(Debug)]
struct BegunRead {
    began_at: Instant,
    /// It took from the budget of this form.
    budgeted: Option<KeyForm>,
}

/// The keys that an isolate knows. `T`: what it keeps of a record.
#[derive(Debug)]
pub struct KeyCache<T> {
    known: BoxedMap<u64, CachedKey<T>>,
    unknown: BoxedMap<u64, UnknownKey>,
    /// The reads that are under way.
    reading: BoxedMap<u64, BegunRead>,
    issued_budget: ReadBudget,
    foreign_budget: ReadBudget,
}

impl<T> Default for KeyCache<T> {
    fn default() -> Self {
        Self {
            known: BoxedMap::new(),
            unknown: BoxedMap::new(),
            reading: BoxedMap::new(),
            issued_budget: ReadBudget::default(),
            foreign_budget: ReadBudget::default(),
        }
    }
}

impl<T: Clone> KeyCache<T> {
    /// What is known of the key with this hash.
    pub fn find(&self, hash: &KeyHash, now: Instant) -> KnownKey<T> {
        if let Some(known) = self.known.get(&hash.short()).filter(|known| known.hash == *hash) {
            let age_ms = now - known.checked_at;
            let value = known.value.clone();
            let has_failed = known.failed_at.is_some_and(|failed_at| now - failed_at < FAILED_MS);
            return match age_ms {
                _ if age_ms < FRESH_MS || (has_failed && age_ms < RETENTION_MS) => {
                    KnownKey::Fresh { value, is_due: age_ms >= DUE_MS && !has_failed }
                }
                _ if age_ms < RETENTION_MS => KnownKey::Stale(value),
                _ => KnownKey::Nothing,
            };
        }
        let unknown = self.unknown.get(&hash.short()).filter(|unknown| unknown.hash == *hash);
        match unknown {
            Some(unknown) if now - unknown.checked_at < UNKNOWN_MS => KnownKey::Unknown,
            _ => KnownKey::Nothing,
        }
    }

    /// Begins the read of a record, if it may begin.
    pub fn begin(&mut self, hash: &KeyHash, form: KeyForm, now: Instant) -> ReadBegun {
        let short = hash.short();
        if self.reading.get(&short).is_some_and(|read| now - read.began_at < DEAD_AFTER_MS) {
            return ReadBegun::UnderWay;
        }
        let budgeted = (!self.known.contains_key(&short)).then_some(form);
        if budgeted.is_some_and(|form| !self.budget(form).take(now)) {
            return ReadBegun::NoBudget;
        }
        self.reading.insert(short, Box::new(BegunRead { began_at: now, budgeted }));
        ReadBegun::Yes
    }

    fn budget(&mut self, form: KeyForm) -> &mut ReadBudget {
        match form {
            KeyForm::Issued => &mut self.issued_budget,
            KeyForm::Foreign => &mut self.foreign_budget,
        }
    }

    /// The read that began at this time has ended, whatever came of it.
    pub fn end(&mut self, hash: &KeyHash, began_at: Instant) {
        if self.reading.get(&hash.short()).is_some_and(|read| read.began_at == began_at) {
            self.reading.remove(&hash.short());
        }
    }

    /// The store did not answer to a read.
    pub fn on_failure(&mut self, hash: &KeyHash, now: Instant) {
        if let Some(known) = self.known.get_mut(&hash.short()).filter(|known| known.hash == *hash) {
            known.failed_at = Some(now);
        }
    }

    /// The store has no such key, according to a read that began at this time.
    pub fn learn_unknown(&mut self, hash: &KeyHash, began_at: Instant) {
        let short = hash.short();
        if let Some(known) = self.known.get_mut(&short).filter(|known| known.hash == *hash) {
            // The caches of the store may not have it yet.
            if began_at - known.known_since < SETTLED_MS {
                known.checked_at = known.checked_at.max(began_at);
                return;
            }
            self.known.remove(&short);
        }
        if self.unknown.len() >= MOST_UNKNOWN {
            self.unknown.clear();
        }
        self.unknown.insert(short, Box::new(UnknownKey { hash: *hash, checked_at: began_at }));
    }

    /// The store has this revision, according to a read that began at this time, or it was written
    /// here. `make`: what is kept of it. An older revision than the known one comes from a cache of
    /// the store, and changes nothing.
    pub fn learn(&mut self, hash: &KeyHash, revision: u64, began_at: Instant, make: impl FnOnce() -> T) {
        let short = hash.short();
        self.unknown.remove(&short);
        if let Some(form) = self.reading.get_mut(&short).and_then(|read| read.budgeted.take()) {
            self.budget(form).give_back();
        }
        if let Some(known) = self.known.get_mut(&short).filter(|known| known.hash == *hash) {
            if revision > known.revision {
                (known.revision, known.value) = (revision, make());
            }
            known.checked_at = known.checked_at.max(began_at);
            known.failed_at = None;
            return;
        }
        if self.known.len() >= MOST_KNOWN {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.checked_at).map(|(short, _)| *short);
            oldest.and_then(|oldest| self.known.remove(&oldest));
        }
        let value = make();
        let known = CachedKey {
            hash: *hash,
            revision,
            value,
            checked_at: began_at,
            known_since: began_at,
            failed_at: None,
        };
        self.known.insert(short, Box::new(known));
    }

    /// What is kept of a key was changed here: a new revision of it.
    pub fn change(&mut self, is_meant: impl Fn(&T) -> bool, change: impl FnOnce(&T) -> T) {
        if let Some(known) = self.known.values_mut().find(|known| is_meant(&known.value)) {
            known.value = change(&known.value);
            known.revision += 1;
        }
    }

    /// How many keys are known, and how many are known not to exist.
    pub fn sizes(&self) -> (usize, usize) {
        (self.known.len(), self.unknown.len())
    }
}

#[cfg(test)]
mod tests;
