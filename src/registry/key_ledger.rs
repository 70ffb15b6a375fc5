//! The issued keys, over the storage of the registry: the list of all keys, and which records must
//! still be written to the store.
//!
//! A change is made here first, and its record is written to the store then. What the store has not
//! taken waits in a list of its own ([`KeyLedger::unwritten`]), so no change is lost.

use serde::{Deserialize, Serialize};

use super::key_totals::{self, KeyTotals};
use super::version_ledger::{Act, RegistryStorage, RowKind, VersionLedger};
use crate::keys::key_format::KeyHash;
use crate::keys::key_record::{KeyRecord, KeyState};
use crate::keys::key_uses::{KeyUse, UsesMessage};
use crate::scan::json_value::{self, json};
use crate::vocabulary::time::{Instant, Millis};

/// The most keys of one page of the list.
pub const MOST_LISTED: u64 = 1_000;
/// The most keys of one import. Their records are written one after the other.
pub const MOST_IMPORTED: usize = 50;
/// What ids begin with.
const ID_PREFIX: &str = "key_";

/// The body of all requests about keys; each path uses a part of it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KeysRequest {
    /// The number of the key; of a page, that of the key before it.
    pub number: u64,
    /// `list`: how many keys.
    pub limit: u64,
    /// Who asks.
    pub who: String,
    /// The reason, if one was given.
    pub why: Option<String>,
    /// `issue`, `import` and `rotate`: the keys to add. The gateway makes ids, revisions and times.
    pub keys: Vec<KeyEntry>,
    /// `rotate`: how long the old key goes on.
    pub overlap_ms: Millis,
    /// `used`: the isolate that says it. `number` is that of its message.
    pub reporter: u64,
    /// `used`: of each key its number, and the requests, tokens and micro-dollars that it used.
    pub uses: Vec<Vec<u64>>,
}

impl KeysRequest {
    /// `used`: this message.
    pub fn of_uses(message: &UsesMessage) -> Self {
        let row = |(key, used): &(u64, KeyUse)| vec![*key, used.requests, used.tokens, used.micro_usd];
        Self {
            number: message.number,
            reporter: message.reporter,
            uses: message.uses.iter().map(row).collect(),
            ..Self::default()
        }
    }

    fn uses_message(&self) -> UsesMessage {
        let of = |row: &Vec<u64>| match *row.as_slice() {
            [key, requests, tokens, micro_usd] => Some((key, KeyUse { requests, tokens, micro_usd })),
            _ => None,
        };
        let uses = self.uses.iter().filter_map(of).collect();
        UsesMessage { reporter: self.reporter, number: self.number, uses }
    }
}

/// The answer to `used`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UsedAnswer {
    /// After what time the isolate may tell more.
    pub next_ms: Millis,
}

/// What the registry knows of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyEntry {
    /// Its SHA-256, as 64 hexadecimal digits.
    pub hash: String,
    /// Its first characters.
    pub prefix: String,
    /// Who issued it.
    pub created_by: String,
    /// The id of the key in whose place it came.
    pub replaces: Option<String>,
    /// The id of the key that came in its place.
    pub replaced_by: Option<String>,
    /// Its record, as the store has it or gets it.
    pub record: KeyRecord,
}

/// The number in an id.
pub fn number_of(id: &str) -> Option<u64> {
    let digits = id.strip_prefix(ID_PREFIX)?;
    let number = digits.parse().ok().filter(|number| (1..1 << 52).contains(number))?;
    (id_of(number) == id).then_some(number)
}

fn id_of(number: u64) -> String {
    format!("{ID_PREFIX}{number}")
}

/// The issued keys, over a storage.
#[derive(Debug)]
pub struct KeyLedger<'a, S>(pub &'a S);

impl<S: RegistryStorage> KeyLedger<'_, S> {
    fn last(&self) -> Result<u64, S::Error> {
        let rows = self.0.rows(RowKind::KeyHead, 0, 1)?;
        Ok(rows.first().and_then(|(_, text)| text.parse().ok()).unwrap_or(0))
    }

    /// What is known of the key with this number.
    ///
    /// # Errors
    /// The storage failed.
    pub fn entry(&self, number: u64) -> Result<Option<KeyEntry>, S::Error> {
        let rows = self.0.rows(RowKind::Key, number, number.saturating_add(1))?;
        Ok(rows.first().and_then(|(_, text)| json_value::parse(text)))
    }

    fn put(&self, number: u64, entry: &KeyEntry) -> Result<(), S::Error> {
        self.0.put(RowKind::Key, number, 0, &json(entry))?;
        self.0.put(RowKind::KeyUnwritten, number, 0, "")
    }

    fn is_known(&self, hash: &str) -> Result<bool, S::Error> {
        let Some(short) = short(hash) else { return Ok(false) };
        Ok(self.0.rows(RowKind::KeyHash, short, short + 1)?.iter().any(|(_, known)| known == hash))
    }

    /// Adds keys that are not known yet, and returns their numbers.
    ///
    /// # Errors
    /// The storage failed.
    pub fn add(&self, keys: Vec<KeyEntry>, who: &str, now: Instant) -> Result<Vec<u64>, S::Error> {
        let mut numbers = Vec::new();
        for mut key in keys {
            let Some(short) = short(&key.hash) else { continue };
            if self.is_known(&key.hash)? {
                continue;
            }
            let number = self.last()? + 1;
            key.record.id = id_of(number);
            (key.record.revision, key.record.created) = (1, now);
            who.clone_into(&mut key.created_by);
            self.0.put(RowKind::KeyHash, short, number, &key.hash)?;
            self.put(number, &key)?;
            self.0.put(RowKind::KeyHead, 0, 0, &number.to_string())?;
            numbers.push(number);
        }
        Ok(numbers)
    }

    /// Adds the key that comes in the place of another one. `None` if there is no such key, or it
    /// does not open its client any more. Then the error is in the state.
    ///
    /// # Errors
    /// The storage failed.
    pub fn add_successor(&self, request: &mut KeysRequest, now: Instant) -> Result<Successor, S::Error> {
        let Some(old) = self.entry(request.number)? else { return Ok(Successor::NoSuchKey) };
        if old.record.state(now) != KeyState::Active {
            return Ok(Successor::NotActive);
        }
        let mut keys = std::mem::take(&mut request.keys);
        for key in &mut keys {
            let record = old.record.clone();
            let limits_as = record.limits.is_some().then(|| record.counted_as().to_owned());
            key.record = KeyRecord { is_imported: false, limits_as, ..record };
        }
        let added = self.add(keys, &request.who, now)?;
        Ok(added.first().map_or(Successor::NotActive, |number| Successor::Added(*number)))
    }

    /// The old key ends after the overlap, and both keys name each other.
    ///
    /// # Errors
    /// The storage failed.
    pub fn replace(&self, request: &KeysRequest, by: u64, now: Instant) -> Result<(), S::Error> {
        let Some((mut old, mut new)) = self.entry(request.number)?.zip(self.entry(by)?) else {
            return Ok(());
        };
        let ends_at = now + request.overlap_ms;
        old.record.expires = Some(old.record.expires.map_or(ends_at, |expires| expires.min(ends_at)));
        old.record.revision += 1;
        old.replaced_by = Some(id_of(by));
        self.put(request.number, &old)?;
        new.replaces = Some(id_of(request.number));
        self.0.put(RowKind::Key, by, 0, &json(&new))
    }

    /// Revokes a key. Returns whether there is such a key. To revoke it again changes nothing.
    ///
    /// # Errors
    /// The storage failed.
    pub fn revoke(&self, number: u64, now: Instant) -> Result<bool, S::Error> {
        let Some(mut entry) = self.entry(number)? else { return Ok(false) };
        if entry.record.revoked.is_none() {
            entry.record.revoked = Some(now);
            entry.record.revision += 1;
            self.put(number, &entry)?;
        }
        Ok(true)
    }

    /// Forgets a key that was never shown to anybody, because the store did not take its record.
    ///
    /// # Errors
    /// The storage failed.
    pub fn forget(&self, number: u64) -> Result<(), S::Error> {
        if let Some(short) = self.entry(number)?.and_then(|entry| short(&entry.hash)) {
            self.0.remove(RowKind::KeyHash, short, short + 1)?;
        }
        self.0.remove(RowKind::Key, number, number + 1)?;
        self.0.remove(RowKind::KeyUnwritten, number, number + 1)
    }

    /// The numbers of the keys whose records the store does not have yet.
    ///
    /// # Errors
    /// The storage failed.
    pub fn unwritten(&self) -> Result<Vec<u64>, S::Error> {
        let rows = self.0.rows(RowKind::KeyUnwritten, 0, u64::MAX)?;
        Ok(rows.into_iter().map(|(number, _)| number).collect())
    }

    /// Whether the store has the record of a key.
    ///
    /// # Errors
    /// The storage failed.
    pub fn is_written(&self, number: u64) -> Result<bool, S::Error> {
        Ok(self.0.rows(RowKind::KeyUnwritten, number, number + 1)?.is_empty())
    }

    /// The store has taken this revision of the record. Returns whether that is the latest one.
    ///
    /// # Errors
    /// The storage failed.
    pub fn on_written(&self, number: u64, revision: u64) -> Result<bool, S::Error> {
        let is_latest = self.entry(number)?.is_none_or(|entry| entry.record.revision == revision);
        if is_latest {
            self.0.remove(RowKind::KeyUnwritten, number, number + 1)?;
        }
        Ok(is_latest)
    }

    /// The store may not have the latest revision: a write failed, and another one may have come
    /// before it.
    ///
    /// # Errors
    /// The storage failed.
    pub fn on_write_failed(&self, number: u64) -> Result<(), S::Error> {
        if self.entry(number)?.is_none() {
            return Ok(());
        }
        self.0.put(RowKind::KeyUnwritten, number, 0, "")
    }

    /// An isolate says what keys have used. Returns after what time it may say more.
    ///
    /// # Errors
    /// The storage failed.
    pub fn on_used(&self, used: &KeysRequest, now: Instant) -> Result<Millis, S::Error> {
        key_totals::count(self.0, &used.uses_message(), self.last()?, now)
    }

    /// A key as the admin API shows it; `None` if there is no such key.
    ///
    /// # Errors
    /// The storage failed.
    pub fn view(&self, number: u64, now: Instant) -> Result<Option<String>, S::Error> {
        Ok(self.views(number, number.saturating_add(1), now)?.pop().map(|(_, view)| view))
    }

    /// A page of the list, as a JSON object.
    ///
    /// # Errors
    /// The storage failed.
    pub fn page(&self, request: &KeysRequest, now: Instant) -> Result<String, S::Error> {
        let from = request.number.saturating_add(1);
        let (limit, last) = (request.limit.clamp(1, MOST_LISTED), self.last()?);
        let (mut views, mut at) = (Vec::new(), from);
        // There are gaps where keys were forgotten.
        while (views.len() as u64) < limit && at <= last {
            let until = at + (limit - views.len() as u64);
            views.extend(self.views(at, until, now)?);
            at = until;
        }
        let next = views.last().filter(|_| at <= last).map(|(number, _)| id_of(*number));
        let views: Vec<_> = views.into_iter().map(|(_, view)| view).collect();
        Ok(format!("{{\"keys\":[{}],\"next\":{}}}", views.join(","), json(&next)))
    }

    fn views(&self, from: u64, until: u64, now: Instant) -> Result<Vec<(u64, String)>, S::Error> {
        let uses = self.0.rows(RowKind::KeyUse, from, until)?;
        let unwritten = self.0.rows(RowKind::KeyUnwritten, from, until)?;
        let mut views = Vec::new();
        for (number, text) in self.0.rows(RowKind::Key, from, until)? {
            let Some(entry) = json_value::parse::<KeyEntry>(&text) else { continue };
            let record = &entry.record;
            let row = uses.iter().find(|(of, _)| *of == number);
            let totals = row.map(|(_, row)| KeyTotals::of(row)).unwrap_or_default();
            let is_written = !unwritten.iter().any(|(unwritten, _)| *unwritten == number);
            // The members of the record, and what the store does not have.
            let members = json(record);
            let view = format!(
                "{},\"prefix\":{},\"state\":\"{}\",\"created_by\":{},\"replaces\":{},\"replaced_by\":{},\
                 {},\"is_written\":{is_written}}}",
                members.strip_suffix('}').unwrap_or_default(),
                json(&entry.prefix),
                record.state(now).name(),
                json(&entry.created_by),
                json(&entry.replaces),
                json(&entry.replaced_by),
                totals.members(now),
            );
            views.push((number, view));
        }
        Ok(views)
    }

    /// Adds an act to the log.
    ///
    /// # Errors
    /// The storage failed.
    pub fn log(
        &self,
        (who, why): (&str, Option<String>),
        what: &str,
        subject: String,
        now: Instant,
    ) -> Result<(), S::Error> {
        let (who, what, result) = (who.to_owned(), what.to_owned(), "ok".to_owned());
        VersionLedger(self.0).add_act(Act { who, what, subject: Some(subject), why, result }, now)
    }
}

/// What becomes of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Successor {
    /// The number of the new key.
    Added(u64),
    /// There is no such key.
    NoSuchKey,
    /// The old key does not open its client any more.
    NotActive,
}

/// The first bits of a hash, as a number that the storage keeps exactly.
fn short(hash: &str) -> Option<u64> {
    Some(KeyHash::parse(hash)?.short() >> 12)
}

#[cfg(test)]
mod tests;
