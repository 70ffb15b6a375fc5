//! The versions of the routes document and the log of acts, over a storage.
//!
//! A change has two steps, because the document itself is written to another store between them:
//! [`VersionLedger::begin`] admits it, and [`VersionLedger::commit`] records it. One change is
//! under way at a time. If the second step never comes, the first one ends after [`PENDING_MS`]. If
//! the document was written nevertheless, [`VersionLedger::notice`] records the change as begun.
//!
//! Every request reads what it needs from the storage, so an eviction loses nothing.

use serde::{Deserialize, Serialize};

use super::canary::canary_trial::CanaryTerms;
use super::difference::Difference;
use crate::scan::json_value::{self, json};
use crate::vocabulary::time::{Instant, Millis};

/// The versions that are kept.
pub const RETAINED_VERSIONS: u64 = 100;
/// The entries of the log that are kept.
pub const RETAINED_ACTS: u64 = 10_000;
/// How long an entry of the log is kept: 400 days.
pub const ACTS_RETENTION_MS: Millis = Millis::new(400 * 86_400_000);
/// How many entries are looked at in one step for those that are too old.
const OLD_ACTS_STEP: u64 = 16;
/// The entries of the log in one answer.
pub const MOST_ACTS: u64 = 1_000;
/// How long a change may be under way.
pub const PENDING_MS: Millis = Millis::new(30_000);
/// How long an isolate may still load a version after another one has replaced it. The store of
/// documents is cached.
pub const STALE_MS: Millis = Millis::new(600_000);
/// The longest text of a row, in bytes. A row of the platform holds 2 MB.
const PART_BYTES: usize = 1_000_000;
/// The most characters of a reason.
const WHY_CHARS: usize = 500;

/// The kinds of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowKind {
    /// The one row of the numbers of the last rows, and of the change that is under way.
    Head,
    /// A [`VersionEntry`].
    Version,
    /// What a version changed.
    Difference,
    /// The text of a version.
    Document,
    /// The text of the change that is under way.
    Pending,
    /// An [`Act`] with its number and time.
    Audit,
    /// The one row of the latest canary.
    Canary,
    /// The text of its new version.
    CanaryDocument,
    /// The last report of an isolate about it.
    CanaryIsolate,
    /// An alert about one that was taken back.
    CanaryAlert,
    /// The one row of the number of the last issued key.
    KeyHead,
    /// A [`KeyEntry`](super::key_ledger::KeyEntry).
    Key,
    /// The hash of a key, under its first bits. The part is the number of the key.
    KeyHash,
    /// The [totals](super::key_totals::KeyTotals) of a key.
    KeyUse,
    /// The last message of an isolate about the use of keys.
    KeyReporter,
    /// The one row of the pace of these messages (`key_pace`).
    KeyPace,
    /// A key whose record must be written to the store.
    KeyUnwritten,
}

impl RowKind {
    /// The name in the storage.
    pub fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Version => "version",
            Self::Difference => "difference",
            Self::Document => "document",
            Self::Pending => "pending",
            Self::Audit => "audit",
            Self::Canary => "canary",
            Self::CanaryDocument => "canary_document",
            Self::CanaryIsolate => "canary_isolate",
            Self::CanaryAlert => "canary_alert",
            Self::KeyHead => "key_head",
            Self::Key => "key",
            Self::KeyHash => "key_hash",
            Self::KeyUse => "key_use",
            Self::KeyReporter => "key_reporter",
            Self::KeyPace => "key_pace",
            Self::KeyUnwritten => "key_unwritten",
        }
    }
}

/// The storage: rows with a kind, a number and a part.
pub trait RegistryStorage {
    /// Why the storage failed.
    type Error;

    /// The rows with numbers from `from` to before `until`, in the order of numbers and parts.
    ///
    /// # Errors
    /// The storage failed.
    fn rows(&self, kind: RowKind, from: u64, until: u64) -> Result<Vec<(u64, String)>, Self::Error>;
    /// Writes or replaces a row.
    ///
    /// # Errors
    /// The storage failed.
    fn put(&self, kind: RowKind, number: u64, part: u64, text: &str) -> Result<(), Self::Error>;
    /// Removes the rows with numbers from `from` to before `until`.
    ///
    /// # Errors
    /// The storage failed.
    fn remove(&self, kind: RowKind, from: u64, until: u64) -> Result<(), Self::Error>;
}

/// How a version came to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It was there before the registry.
    Found,
    /// `PUT /admin/api/routes`
    Put,
    /// `POST /admin/api/routes/rollback`
    Rollback,
    /// It was a canary, and took over.
    Canary,
    /// Somebody wrote the document outside the API.
    Outside,
}

/// A change: which version, by whom, why and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeNote {
    /// The version that the change makes.
    pub version: String,
    /// Who makes it.
    pub who: String,
    /// The reason, if one was given.
    pub why: Option<String>,
    /// How it is made.
    pub how: ChangeKind,
}

/// A recorded version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionEntry {
    /// Its number: 1 for the first version.
    pub number: u64,
    /// The version, as the header `x-switchyard-routes` has it.
    pub version: String,
    /// Who made it.
    pub who: String,
    /// The reason, if one was given.
    pub why: Option<String>,
    /// How it was made.
    pub how: ChangeKind,
    /// When it was recorded.
    pub at: Instant,
    /// How many places of the document it changed.
    pub changes: usize,
    /// When the next version replaced it.
    pub replaced_at: Option<Instant>,
}

/// An act of an administrator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// Who.
    pub who: String,
    /// What: `routes.put`, `deployment.drain`.
    pub what: String,
    /// The deployment or the version, if there is one.
    pub subject: Option<String>,
    /// The reason, if one was given.
    pub why: Option<String>,
    /// `ok`, or the code of the error.
    pub result: String,
}

/// An entry of the log of acts.
#[derive(Serialize)]
struct AuditEntry<'a> {
    /// Numbers have no gaps.
    number: u64,
    at: Instant,
    who: &'a str,
    what: &'a str,
    subject: Option<&'a str>,
    why: Option<&'a str>,
    result: &'a str,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct LedgerHead {
    number: u64,
    version: Option<String>,
    acts: u64,
    /// The number of the first entry of the log that is kept.
    #[serde(default)]
    first_act: u64,
    begun: u64,
    pending: Option<PendingChange>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PendingChange {
    token: u64,
    note: ChangeNote,
    until: Instant,
}

/// `begin`: a change is to be made. The answer is a `BeginAnswer` with status 200, 409 if another
/// change is under way (with the version of a canary, if it is one), or 412 with the current
/// version.
#[derive(Debug, Serialize, Deserialize)]
pub struct BeginRequest {
    /// The version that the change is based on, or `*`.
    pub expected: String,
    /// The version that serves, if the registry has none.
    pub serving: String,
    /// The change.
    pub note: ChangeNote,
    /// The text of the new version.
    pub document: String,
    /// The percentage of requests that it serves at first, and for how many minutes.
    #[serde(default)]
    pub canary: Option<(u32, u64)>,
}

/// The answer to [`VersionLedger::begin`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// The change may be written. The token commits it.
    Admitted(u64),
    /// This version is the current one already.
    Unchanged(u64),
    /// It is a canary on these terms.
    OnTrial(CanaryTerms),
    /// The current version is another one than was expected; there is none if it is missing.
    Stale(Option<String>),
    /// Another change is under way.
    Busy,
}

/// What a notice of a version tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noticed {
    /// The registry has it as the current one.
    Known,
    /// It was replaced a short time ago, and a cache may still have it.
    Stale,
    /// The registry does not know it, and needs the text to record it.
    Wanted,
}

/// The versions and the log, over a storage.
#[derive(Debug)]
pub struct VersionLedger<'a, S>(pub &'a S);

/// Whether an entry of the log is older than those that are kept.
fn is_old_act(text: &str, now: Instant) -> bool {
    let entry: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let at = entry.as_ref().and_then(|entry| entry.get("at")?.as_u64());
    at.is_some_and(|at| now - Instant::from_epoch_ms(at) > ACTS_RETENTION_MS)
}

/// The first [`WHY_CHARS`] characters of a reason.
pub(super) fn shortened(why: Option<String>) -> Option<String> {
    why.map(|why| why.chars().take(WHY_CHARS).collect())
}

impl<S: RegistryStorage> VersionLedger<'_, S> {
    fn head(&self) -> Result<LedgerHead, S::Error> {
        let rows = self.0.rows(RowKind::Head, 0, 1)?;
        Ok(rows.first().and_then(|(_, text)| json_value::parse(text)).unwrap_or_default())
    }

    fn save(&self, head: &LedgerHead) -> Result<(), S::Error> {
        self.0.put(RowKind::Head, 0, 0, &json(head))
    }

    /// Admits a change, if the current version is the expected one (`*`: any) and no other change
    /// is under way. `serving`: the version that counts as current while the registry has none.
    ///
    /// # Errors
    /// The storage failed.
    pub fn begin(&self, request: BeginRequest, now: Instant) -> Result<Begun, S::Error> {
        let BeginRequest { expected, serving, mut note, document, .. } = request;
        let mut head = self.head()?;
        let current = head.version.as_deref().unwrap_or(&serving);
        if expected != "*" && expected != current {
            return Ok(Begun::Stale(Some(current.to_owned())));
        }
        if head.pending.as_ref().is_some_and(|pending| now < pending.until) {
            return Ok(Begun::Busy);
        }
        if head.version.as_ref() == Some(&note.version) {
            return Ok(Begun::Unchanged(head.number));
        }
        note.why = shortened(note.why);
        self.0.remove(RowKind::Pending, 0, 1)?;
        self.put_text(RowKind::Pending, 0, &document)?;
        head.begun += 1;
        head.pending = Some(PendingChange { token: head.begun, note, until: now + PENDING_MS });
        self.save(&head)?;
        Ok(Begun::Admitted(head.begun))
    }

    /// Records the change that is under way, and returns the number of its version. `None` if it is
    /// another one than that of this token, and was not recorded either.
    ///
    /// # Errors
    /// The storage failed.
    pub fn commit(&self, token: u64, version: &str, now: Instant) -> Result<Option<u64>, S::Error> {
        let mut head = self.head()?;
        if let Some(pending) = head.pending.take_if(|pending| pending.token == token) {
            return self.record_pending(head, pending, now).map(Some);
        }
        Ok((head.version.as_deref() == Some(version)).then_some(head.number))
    }

    /// The document of the change of this token was not written.
    ///
    /// # Errors
    /// The storage failed.
    pub fn abort(&self, token: u64) -> Result<(), S::Error> {
        let mut head = self.head()?;
        if head.pending.as_ref().is_some_and(|pending| pending.token == token) {
            head.pending = None;
            self.save(&head)?;
            self.0.remove(RowKind::Pending, 0, 1)?;
        }
        Ok(())
    }

    /// An isolate serves this version. With the text of an unknown one, the version is recorded.
    ///
    /// # Errors
    /// The storage failed.
    pub fn notice(&self, version: &str, document: Option<&str>, now: Instant) -> Result<Noticed, S::Error> {
        let mut head = self.head()?;
        if head.version.as_deref() == Some(version) {
            return Ok(Noticed::Known);
        }
        if let Some(pending) = head.pending.take_if(|pending| pending.note.version == version) {
            self.record_pending(head, pending, now)?;
            return Ok(Noticed::Known);
        }
        let is_stale = |entry: &VersionEntry| {
            entry.version == version && entry.replaced_at.is_some_and(|at| now - at < STALE_MS)
        };
        if self.entries()?.iter().any(is_stale) {
            return Ok(Noticed::Stale);
        }
        let Some(document) = document else { return Ok(Noticed::Wanted) };
        let how = if head.number == 0 { ChangeKind::Found } else { ChangeKind::Outside };
        let note = ChangeNote { version: version.to_owned(), who: "unknown".to_owned(), why: None, how };
        self.record(head, note, document, now)?;
        Ok(Noticed::Known)
    }

    fn record_pending(
        &self,
        head: LedgerHead,
        pending: PendingChange,
        now: Instant,
    ) -> Result<u64, S::Error> {
        let document = self.text(RowKind::Pending, 0)?;
        let recorded = self.record(head, pending.note, &document, now)?;
        self.0.remove(RowKind::Pending, 0, 1)?;
        Ok(recorded)
    }

    /// Whether a change is under way.
    ///
    /// # Errors
    /// The storage failed.
    pub(super) fn is_changing(&self, now: Instant) -> Result<bool, S::Error> {
        Ok(self.head()?.pending.is_some_and(|pending| now < pending.until))
    }

    /// Records a version that is the current one from now on.
    ///
    /// # Errors
    /// The storage failed.
    pub(super) fn record_now(&self, note: ChangeNote, document: &str, now: Instant) -> Result<u64, S::Error> {
        self.record(self.head()?, note, document, now)
    }

    /// The head is written last: what precedes it is written again by the next change.
    fn record(
        &self,
        mut head: LedgerHead,
        note: ChangeNote,
        document: &str,
        now: Instant,
    ) -> Result<u64, S::Error> {
        let before = self.text(RowKind::Document, head.number)?;
        let difference =
            if head.number == 0 { Difference::default() } else { Difference::between(&before, document) };
        let number = head.number + 1;
        self.0.remove(RowKind::Document, number, number + 1)?;
        self.put_text(RowKind::Document, number, document)?;
        self.0.put(RowKind::Difference, number, 0, &json(&difference))?;
        if let Some(mut replaced) = self.entry(head.number)? {
            replaced.replaced_at = Some(now);
            self.0.put(RowKind::Version, replaced.number, 0, &json(&replaced))?;
        }
        let ChangeNote { version, who, why, how } = note;
        let (changes, replaced_at) = (difference.count(), None);
        let entry = VersionEntry { number, version, who, why, how, at: now, changes, replaced_at };
        self.0.put(RowKind::Version, number, 0, &json(&entry))?;
        let oldest = (number + 1).saturating_sub(RETAINED_VERSIONS);
        for kind in [RowKind::Version, RowKind::Difference, RowKind::Document] {
            self.0.remove(kind, 0, oldest)?;
        }
        head.number = number;
        head.version = Some(entry.version.clone());
        let what = match how {
            ChangeKind::Found => "routes.found",
            ChangeKind::Put => "routes.put",
            ChangeKind::Rollback => "routes.rollback",
            ChangeKind::Canary => "routes.canary.take_over",
            ChangeKind::Outside => "routes.written_outside_the_api",
        };
        let act = Act {
            who: entry.who.clone(),
            what: what.to_owned(),
            subject: Some(entry.version.clone()),
            why: entry.why.clone(),
            result: "ok".to_owned(),
        };
        self.append(&mut head, &act, now)?;
        self.save(&head)?;
        Ok(number)
    }

    /// Adds an act to the log.
    ///
    /// # Errors
    /// The storage failed.
    pub fn add_act(&self, mut act: Act, now: Instant) -> Result<(), S::Error> {
        let mut head = self.head()?;
        act.why = shortened(act.why);
        self.append(&mut head, &act, now)?;
        self.save(&head)
    }

    fn append(&self, head: &mut LedgerHead, act: &Act, now: Instant) -> Result<(), S::Error> {
        head.acts += 1;
        let entry = AuditEntry {
            number: head.acts,
            at: now,
            who: &act.who,
            what: &act.what,
            subject: act.subject.as_deref(),
            why: act.why.as_deref(),
            result: &act.result,
        };
        self.0.put(RowKind::Audit, head.acts, 0, &json(&entry))?;
        self.remove_old_acts(head, now)
    }

    /// Removes the entries beyond the most that are kept, and those that are too old. The head must
    /// be saved afterwards, if it has changed.
    fn remove_old_acts(&self, head: &mut LedgerHead, now: Instant) -> Result<(), S::Error> {
        let mut first = (head.acts + 1).saturating_sub(RETAINED_ACTS).max(head.first_act).max(1);
        loop {
            let rows = self.0.rows(RowKind::Audit, first, first + OLD_ACTS_STEP)?;
            // Numbers have no gaps, and entries are in the order of time.
            let old = rows.iter().take_while(|(_, text)| is_old_act(text, now)).count() as u64;
            first += old;
            if old < OLD_ACTS_STEP {
                break;
            }
        }
        if first != head.first_act {
            head.first_act = first;
            self.0.remove(RowKind::Audit, 0, first)?;
        }
        Ok(())
    }

    /// Entries of the log as JSON, oldest first: the first ones after `since`, else the last ones
    /// before `before`, else the last ones.
    ///
    /// # Errors
    /// The storage failed.
    pub fn acts(
        &self,
        since: Option<u64>,
        before: Option<u64>,
        now: Instant,
    ) -> Result<Vec<String>, S::Error> {
        let mut head = self.head()?;
        let known = head.first_act;
        self.remove_old_acts(&mut head, now)?;
        if head.first_act != known {
            self.save(&head)?;
        }
        let (last, oldest) = (head.acts, head.first_act);
        let until = before.unwrap_or(u64::MAX).min(last + 1);
        let (from, until) = match since {
            Some(since) => {
                let from = since.saturating_add(1).max(oldest);
                (from, until.min(from.saturating_add(MOST_ACTS)))
            }
            None => (until.saturating_sub(MOST_ACTS).max(oldest), until),
        };
        if from >= until {
            return Ok(Vec::new());
        }
        let rows = self.0.rows(RowKind::Audit, from, until)?;
        Ok(rows.into_iter().map(|(_, text)| text).collect())
    }

    /// All versions that are kept, oldest first.
    ///
    /// # Errors
    /// The storage failed.
    pub fn entries(&self) -> Result<Vec<VersionEntry>, S::Error> {
        let number = self.head()?.number;
        let rows = self.0.rows(RowKind::Version, 0, number + 1)?;
        Ok(rows.iter().filter_map(|(_, text)| json_value::parse(text)).collect())
    }

    /// The latest entry of a version; of the current one without a version.
    ///
    /// # Errors
    /// The storage failed.
    pub fn find(&self, version: Option<&str>) -> Result<Option<VersionEntry>, S::Error> {
        match version {
            None => self.entry(self.head()?.number),
            Some(version) => Ok(self.entries()?.into_iter().rev().find(|entry| entry.version == version)),
        }
    }

    fn entry(&self, number: u64) -> Result<Option<VersionEntry>, S::Error> {
        let rows = self.0.rows(RowKind::Version, number, number + 1)?;
        Ok(rows.first().and_then(|(_, text)| json_value::parse(text)))
    }

    /// What the version with this number changed: a [`Difference`] as JSON.
    ///
    /// # Errors
    /// The storage failed.
    pub fn difference(&self, number: u64) -> Result<String, S::Error> {
        self.text(RowKind::Difference, number)
    }

    /// The text of the version with this number.
    ///
    /// # Errors
    /// The storage failed.
    pub fn document(&self, number: u64) -> Result<String, S::Error> {
        self.text(RowKind::Document, number)
    }

    /// A text that was written in parts.
    ///
    /// # Errors
    /// The storage failed.
    pub(super) fn text(&self, kind: RowKind, number: u64) -> Result<String, S::Error> {
        Ok(self.0.rows(kind, number, number + 1)?.into_iter().map(|(_, part)| part).collect())
    }

    /// Writes a text in parts.
    ///
    /// # Errors
    /// The storage failed.
    pub(super) fn put_text(&self, kind: RowKind, number: u64, text: &str) -> Result<(), S::Error> {
        let mut rest = text;
        let mut part = 0;
        while let Some((head, tail)) = rest.split_at_checked(rest.floor_char_boundary(PART_BYTES)) {
            self.0.put(kind, number, part, head)?;
            part += 1;
            rest = tail;
            if rest.is_empty() {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
