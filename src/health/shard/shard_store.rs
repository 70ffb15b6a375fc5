//! A shard with its copy in storage: when it is read, what is written, and when what nobody reports
//! any more is removed.
//!
//! Invariant: gates, switches, alerts and the numbers of changes are in the storage before an
//! answer leaves the object, and so is what a report adds to the counters. Averages and leases are
//! not stored: they are learned again after an eviction. The start of a day is stored before
//! anything is counted on it.

use std::cell::{Cell, RefCell};

use super::object_requests::ObjectAnswer;
use super::{SavedDeployment, Shard, ShardHead};
use crate::counters::usage_days::{DaysAsked, MOST_DAYS, UsageDay};
use crate::counters::{CounterLedger, CounterRow};
use crate::vocabulary::rng::Rng;
use crate::vocabulary::time::{Instant, Millis};

/// How often to remove deployments that no report mentions any more.
const FORGET_EVERY_MS: Millis = Millis::new(600_000);

/// The path of what was used on each of the last days: `days/client/7`.
pub const DAYS: &str = "days/";

/// The storage of an object: one text for the shard, one for its alerts, and one for each
/// deployment.
pub trait ShardStorage {
    /// Why the storage failed.
    type Error;

    /// Prepares the storage, and returns the text of the shard, if there is one.
    ///
    /// # Errors
    /// The storage failed.
    fn open(&self) -> Result<Option<String>, Self::Error>;
    /// The identities of all stored deployments, with their texts.
    ///
    /// # Errors
    /// The storage failed.
    fn deployments(&self) -> Result<Vec<(String, String)>, Self::Error>;
    /// Stores the text of the shard.
    ///
    /// # Errors
    /// The storage failed.
    fn save_head(&self, json: String) -> Result<(), Self::Error>;
    /// Stores the text of a deployment.
    ///
    /// # Errors
    /// The storage failed.
    fn save_deployment(&self, identity: &str, json: String) -> Result<(), Self::Error>;
    /// The text of the alerts, if there is one.
    ///
    /// # Errors
    /// The storage failed.
    fn alerts(&self) -> Result<Option<String>, Self::Error>;
    /// Stores the text of the alerts.
    ///
    /// # Errors
    /// The storage failed.
    fn save_alerts(&self, json: String) -> Result<(), Self::Error>;
    /// Removes a deployment.
    ///
    /// # Errors
    /// The storage failed.
    fn remove_deployment(&self, identity: &str) -> Result<(), Self::Error>;
    /// The rows of counters, without those of days: names with texts.
    ///
    /// # Errors
    /// The storage failed.
    fn counters(&self) -> Result<Vec<(String, String)>, Self::Error>;
    /// Stores and removes rows of counters: either all of the stored ones are stored, or none.
    ///
    /// # Errors
    /// The storage failed.
    fn save_counters(&self, rows: &[CounterRow]) -> Result<(), Self::Error>;
    /// The name of the row of the latest day, if there is one.
    ///
    /// # Errors
    /// The storage failed.
    fn latest_day(&self) -> Result<Option<String>, Self::Error>;
    /// The row of the day with this name, if there is one.
    ///
    /// # Errors
    /// The storage failed.
    fn day(&self, row: &str) -> Result<Option<String>, Self::Error>;
    /// Removes the rows of the days before the one of this name.
    ///
    /// # Errors
    /// The storage failed.
    fn remove_days_before(&self, row: &str) -> Result<(), Self::Error>;
}

/// A shard, and its copy in storage.
#[derive(Debug)]
pub struct StoredShard<S> {
    storage: S,
    shard: RefCell<Option<Shard>>,
    saved: Cell<ShardHead>,
    forget_at: Cell<Instant>,
    /// Whether it is the hub, which alone keeps what was used on each day.
    is_hub: bool,
    /// The day whose start is known to be stored.
    day: Cell<Option<UsageDay>>,
}

impl<S: ShardStorage> StoredShard<S> {
    /// The shard in this storage, or the hub. It is read with the first use.
    pub fn new(storage: S, is_hub: bool) -> Self {
        Self {
            storage,
            shard: RefCell::new(None),
            saved: Cell::default(),
            forget_at: Cell::new(Instant::EPOCH),
            is_hub,
            day: Cell::new(None),
        }
    }

    /// The storage.
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// Runs `work` on the shard, and stores the changes.
    ///
    /// # Errors
    /// The storage failed.
    pub fn with<T>(
        &self,
        now: Instant,
        rng: &mut dyn Rng,
        work: impl FnOnce(&mut Shard, &mut dyn Rng) -> T,
    ) -> Result<T, S::Error> {
        let mut shard = self.shard.borrow_mut();
        let shard = match &mut *shard {
            Some(shard) => shard,
            none => none.insert(self.load(now, rng)?),
        };
        self.begin_day(shard, now)?;
        let result = work(shard, rng);
        self.save(shard, now)?;
        Ok(result)
    }

    fn load(&self, now: Instant, rng: &mut dyn Rng) -> Result<Shard, S::Error> {
        let Some(head) = self.storage.open()?.and_then(|json| ShardHead::parse(&json)) else {
            let shard = Shard::new(rng).with_counters(self.load_counters()?);
            // The head is stored at once, because the name of the shard's history must survive an
            // eviction.
            self.save_head(shard.head())?;
            return Ok(shard);
        };
        self.saved.set(head);
        let saved = self.storage.deployments()?.into_iter();
        let saved = saved.filter_map(|(identity, json)| Some((identity, SavedDeployment::parse(&json)?)));
        let mut shard = Shard::restore(head, saved, now).with_counters(self.load_counters()?);
        if let Some(alerts) = self.storage.alerts()? {
            shard.restore_alerts(&alerts, now);
        }
        Ok(shard)
    }

    /// Answers a request for a path. The path has no leading `/`.
    ///
    /// # Errors
    /// The storage failed.
    pub fn answer(
        &self,
        path: &str,
        body: &str,
        now: Instant,
        rng: &mut dyn Rng,
    ) -> Result<ObjectAnswer, S::Error> {
        match path.strip_prefix(DAYS).and_then(|asked| asked.split_once('/')) {
            Some((by, days)) => self.on_days(DaysAsked::parse(by, days), now, rng),
            None => self.with(now, rng, |shard, rng| shard.on_request(path, body, now, rng)),
        }
    }

    /// What was used on each of the last days. Not inlined, as only people ask for it.
    #[inline(never)]
    fn on_days(
        &self,
        asked: Option<DaysAsked>,
        now: Instant,
        rng: &mut dyn Rng,
    ) -> Result<ObjectAnswer, S::Error> {
        let Some(asked) = asked else { return Ok(ObjectAnswer::of(400, "not a number of days")) };
        let text = self.with(now, rng, |shard, _| {
            let last = self.latest_day()?.unwrap_or_else(|| UsageDay::of(now));
            asked.report(last, shard.counters().gathered(), |row| self.storage.day(row))
        })??;
        Ok(ObjectAnswer::of(200, text))
    }

    fn latest_day(&self) -> Result<Option<UsageDay>, S::Error> {
        Ok(self.storage.latest_day()?.and_then(|row| UsageDay::of_row(&row)))
    }

    /// If another day begins, stores the totals with which it does, and removes days that are not
    /// kept any more. What could not be stored before comes first: whoever sent it sends it again
    /// if it is lost, so it must not be in the start of a day and missing in the totals.
    #[inline(never)]
    fn begin_day(&self, shard: &mut Shard, now: Instant) -> Result<(), S::Error> {
        let today = UsageDay::of(now);
        if !self.is_hub || self.day.get() == Some(today) {
            return Ok(());
        }
        self.save(shard, now)?;
        if self.latest_day()?.is_none_or(|latest| latest < today) {
            self.storage.save_counters(&[today.start(shard.counters().gathered())])?;
            self.storage.remove_days_before(&today.before(MOST_DAYS - 1).row())?;
        }
        self.day.set(Some(today));
        Ok(())
    }

    fn load_counters(&self) -> Result<CounterLedger, S::Error> {
        Ok(CounterLedger::restore(self.storage.counters()?))
    }

    /// Stores the changes. Usually there are none, and nothing is written.
    fn save(&self, shard: &mut Shard, now: Instant) -> Result<(), S::Error> {
        if now >= self.forget_at.get() {
            self.forget_at.set(now + FORGET_EVERY_MS);
            for identity in shard.forget(now) {
                self.storage.remove_deployment(&identity)?;
            }
        }
        let rows = shard.counters().unsaved();
        if !rows.is_empty() {
            self.storage.save_counters(&rows)?;
            shard.counters_mut().on_saved();
        }
        let saved = self.saved.get();
        for (identity, record) in shard.changed_since(saved.change) {
            self.storage.save_deployment(identity, record.to_json())?;
        }
        if let Some(alerts) = shard.changed_alerts() {
            self.storage.save_alerts(alerts)?;
            shard.on_alerts_saved();
        }
        if shard.head() == saved { Ok(()) } else { self.save_head(shard.head()) }
    }

    fn save_head(&self, head: ShardHead) -> Result<(), S::Error> {
        self.storage.save_head(head.to_json())?;
        self.saved.set(head);
        Ok(())
    }
}
