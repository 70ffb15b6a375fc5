//! Durable Objects in memory: the shards and the hub of a pool, as their code runs in the Worker.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use futures::task::LocalSpawnExt;
use switchyard::counters::{CounterRow, Counters};
use switchyard::health::shard::shard_store::{ShardStorage, StoredShard};
use switchyard::serve::health_object::{answer, on_alarm, report_to_hub};
use switchyard::serve::object_link::pool_of_shard;
use switchyard::serve::platform::{Clock, Objects, PlatformError};
use switchyard::vocabulary::rng::SplitMix64;
use switchyard::vocabulary::time::{Instant, Millis};

use super::Fake;

/// All objects of a test.
#[derive(Default)]
pub struct FakeObjects {
    objects: RefCell<BTreeMap<String, Rc<StoredShard<ObjectStorage>>>>,
    rows: RefCell<BTreeMap<String, Rc<RefCell<ObjectRows>>>>,
    /// The requests that were answered or lost: object and path.
    pub asked: RefCell<Vec<String>>,
    /// The objects that cannot be reached.
    pub lost: RefCell<Vec<String>>,
    /// Whether answers are lost on their way, after the object has done its work.
    pub loses_answers: Cell<bool>,
    /// How long an object takes to answer.
    pub takes: Cell<Millis>,
}

/// What an object stores.
#[derive(Default)]
struct ObjectRows {
    head: Option<String>,
    alerts: Option<String>,
    deployments: BTreeMap<String, String>,
    counters: BTreeMap<String, String>,
}

struct ObjectStorage {
    fake: Fake,
    rows: Rc<RefCell<ObjectRows>>,
}

impl FakeObjects {
    fn object(&self, fake: &Fake, name: &str) -> Rc<StoredShard<ObjectStorage>> {
        let rows = Rc::clone(self.rows.borrow_mut().entry(name.to_owned()).or_default());
        let is_hub = pool_of_shard(name) == Ok(None);
        let new = || Rc::new(StoredShard::new(ObjectStorage { fake: fake.clone(), rows }, is_hub));
        Rc::clone(self.objects.borrow_mut().entry(name.to_owned()).or_insert_with(new))
    }

    /// Evicts all objects: their memory is lost, their rows stay.
    pub fn evict(&self) {
        self.objects.borrow_mut().clear();
    }

    /// What an object has gathered.
    pub fn gathered(&self, fake: &Fake, name: &str) -> Counters {
        let (object, now) = (self.object(fake, name), fake.now());
        object.with(now, &mut rng(now), |shard, _| shard.counters().gathered().clone()).unwrap()
    }

    /// How often an object was asked for a path.
    pub fn asked(&self, asked: &str) -> usize {
        self.asked.borrow().iter().filter(|found| *found == asked).count()
    }

    pub async fn ask(
        &self,
        fake: &Fake,
        name: &str,
        path: &str,
        body: Option<String>,
    ) -> Result<(u16, String), PlatformError> {
        self.asked.borrow_mut().push(format!("{name} {path}"));
        fake.sleep_until(fake.now() + self.takes.get()).await;
        if self.lost.borrow().iter().any(|lost| lost == name) {
            return Err(PlatformError::new("the object cannot be reached"));
        }
        let shard = self.object(fake, name);
        let now = fake.now();
        let answered = answer(&shard, path, &body.unwrap_or_default(), &mut rng(now))?;
        if let Some(pool) = pool_of_shard(name).unwrap().map(ToOwned::to_owned) {
            if answered.is_hub_due {
                let (shard, pool) = (Rc::clone(&shard), pool.clone());
                let work = async move { drop(report_to_hub(&shard, &pool, &mut rng(now)).await) };
                fake.spawner.spawn_local(work).unwrap();
            }
            if let Some(at) = answered.alarm_at {
                ring(fake, name.to_owned(), pool, at);
            }
        }
        if self.loses_answers.get() {
            return Err(PlatformError::new("the answer was lost"));
        }
        Ok((answered.status, answered.text))
    }
}

/// Sets the alarm of an object. It also rings after an eviction.
fn ring(fake: &Fake, name: String, pool: String, at: Instant) {
    let spawner = fake.spawner.clone();
    let fake = fake.clone();
    let work = async move {
        let mut next = Some(at);
        while let Some(at) = next {
            fake.sleep_until(at).await;
            let objects = fake.world.objects.borrow().clone().unwrap();
            let shard = objects.object(&fake, &name);
            next = on_alarm(&shard, &pool, &mut rng(fake.now())).await.unwrap().next_at;
        }
    };
    spawner.spawn_local(work).unwrap();
}

fn rng(now: Instant) -> SplitMix64 {
    SplitMix64::new(now.epoch_ms())
}

impl Clock for ObjectStorage {
    fn now(&self) -> Instant {
        self.fake.now()
    }

    async fn sleep_until(&self, at: Instant) {
        self.fake.sleep_until(at).await;
    }
}

impl Objects for ObjectStorage {
    async fn ask_object(
        &self,
        object: &str,
        near: Option<&str>,
        path: &str,
        body: Option<String>,
    ) -> Result<(u16, String), PlatformError> {
        // A hub calls nobody, so this does not go round in circles.
        Box::pin(self.fake.ask_object(object, near, path, body)).await
    }
}

impl ShardStorage for ObjectStorage {
    type Error = PlatformError;

    fn open(&self) -> Result<Option<String>, PlatformError> {
        Ok(self.rows.borrow().head.clone())
    }

    fn deployments(&self) -> Result<Vec<(String, String)>, PlatformError> {
        Ok(self.rows.borrow().deployments.clone().into_iter().collect())
    }

    fn save_head(&self, json: String) -> Result<(), PlatformError> {
        self.rows.borrow_mut().head = Some(json);
        Ok(())
    }

    fn save_deployment(&self, identity: &str, json: String) -> Result<(), PlatformError> {
        self.rows.borrow_mut().deployments.insert(identity.to_owned(), json);
        Ok(())
    }

    fn alerts(&self) -> Result<Option<String>, PlatformError> {
        Ok(self.rows.borrow().alerts.clone())
    }

    fn save_alerts(&self, json: String) -> Result<(), PlatformError> {
        self.rows.borrow_mut().alerts = Some(json);
        Ok(())
    }

    fn remove_deployment(&self, identity: &str) -> Result<(), PlatformError> {
        self.rows.borrow_mut().deployments.remove(identity);
        Ok(())
    }

    fn counters(&self) -> Result<Vec<(String, String)>, PlatformError> {
        Ok(self
            .rows
            .borrow()
            .counters
            .clone()
            .into_iter()
            .filter(|(row, _)| !row.starts_with("day/"))
            .collect())
    }

    fn save_counters(&self, rows: &[CounterRow]) -> Result<(), PlatformError> {
        for row in rows {
            let stored = &mut self.rows.borrow_mut().counters;
            match &row.json {
                Some(json) => drop(stored.insert(row.id.clone(), json.clone())),
                None => drop(stored.remove(&row.id)),
            }
        }
        Ok(())
    }

    fn latest_day(&self) -> Result<Option<String>, PlatformError> {
        let rows = self.rows.borrow();
        Ok(rows.counters.keys().rfind(|row| row.starts_with("day/")).cloned())
    }

    fn day(&self, row: &str) -> Result<Option<String>, PlatformError> {
        Ok(self.rows.borrow().counters.get(row).cloned())
    }

    fn remove_days_before(&self, row: &str) -> Result<(), PlatformError> {
        self.rows
            .borrow_mut()
            .counters
            .retain(|known, _| !known.starts_with("day/") || known.as_str() >= row);
        Ok(())
    }
}
