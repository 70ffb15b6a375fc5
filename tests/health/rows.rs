//! The storage of an object, in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use switchyard::counters::CounterRow;
use switchyard::health::shard::shard_store::ShardStorage;

/// The rows of an object, which outlive its memory, and the number of writes.
#[derive(Debug, Default)]
pub struct Rows {
    pub head: Option<String>,
    pub alerts: Option<String>,
    pub deployments: BTreeMap<String, String>,
    pub counters: BTreeMap<String, String>,
    /// The number of rows that were written.
    pub writes: usize,
    /// Whether nothing can be stored now.
    pub fails: bool,
}

/// The storage of an object. A clone is the same storage.
#[derive(Debug, Default, Clone)]
pub struct Storage(pub Rc<RefCell<Rows>>);

impl Storage {
    pub fn writes(&self) -> usize {
        self.0.borrow().writes
    }
}

impl ShardStorage for Storage {
    type Error = &'static str;

    fn open(&self) -> Result<Option<String>, Self::Error> {
        Ok(self.0.borrow().head.clone())
    }

    fn deployments(&self) -> Result<Vec<(String, String)>, Self::Error> {
        Ok(self.0.borrow().deployments.clone().into_iter().collect())
    }

    fn save_head(&self, json: String) -> Result<(), Self::Error> {
        let rows = &mut *self.0.borrow_mut();
        rows.head = Some(json);
        rows.writes += 1;
        Ok(())
    }

    fn save_deployment(&self, identity: &str, json: String) -> Result<(), Self::Error> {
        let rows = &mut *self.0.borrow_mut();
        rows.deployments.insert(identity.to_owned(), json);
        rows.writes += 1;
        Ok(())
    }

    fn alerts(&self) -> Result<Option<String>, Self::Error> {
        Ok(self.0.borrow().alerts.clone())
    }

    fn save_alerts(&self, json: String) -> Result<(), Self::Error> {
        let rows = &mut *self.0.borrow_mut();
        rows.alerts = Some(json);
        rows.writes += 1;
        Ok(())
    }

    fn remove_deployment(&self, identity: &str) -> Result<(), Self::Error> {
        self.0.borrow_mut().deployments.remove(identity);
        Ok(())
    }
    fn counters(&self) -> Result<Vec<(String, String)>, Self::Error> {
        Ok(self.0.borrow().counters.clone().into_iter().filter(|(row, _)| !row.starts_with("day/")).collect())
    }

    fn save_counters(&self, rows: &[CounterRow]) -> Result<(), Self::Error> {
        let stored = &mut *self.0.borrow_mut();
        if stored.fails {
            return Err("the disk is full");
        }
        for row in rows {
            stored.writes += 1;
            match &row.json {
                Some(json) => drop(stored.counters.insert(row.id.clone(), json.clone())),
                None => drop(stored.counters.remove(&row.id)),
            }
        }
        Ok(())
    }

    fn latest_day(&self) -> Result<Option<String>, Self::Error> {
        let rows = self.0.borrow();
        Ok(rows.counters.keys().rfind(|row| row.starts_with("day/")).cloned())
    }

    fn day(&self, row: &str) -> Result<Option<String>, Self::Error> {
        Ok(self.0.borrow().counters.get(row).cloned())
    }

    fn remove_days_before(&self, row: &str) -> Result<(), Self::Error> {
        self.0.borrow_mut().counters.retain(|known, _| !known.starts_with("day/") || known.as_str() >= row);
        Ok(())
    }
}
