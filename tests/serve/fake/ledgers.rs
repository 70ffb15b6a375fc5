//! The Durable Objects of limits in memory, as their code runs in the Worker.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;
use switchyard::limits::stored_ledger::{StoredLedger, USAGE};
use switchyard::serve::platform::{Clock, PlatformError};
use switchyard::vocabulary::time::{Instant, Millis};

use super::Fake;
use crate::ledger_rows::LedgerRows;

/// All ledgers of a test.
#[derive(Default)]
pub struct FakeLedgers {
    ledgers: RefCell<BTreeMap<String, Rc<StoredLedger<LedgerRows>>>>,
    rows: RefCell<BTreeMap<String, LedgerRows>>,
    /// The reports, by the name of the ledger.
    pub asked: RefCell<Vec<String>>,
    /// Whether no ledger can be reached.
    pub is_lost: Cell<bool>,
    /// How long a ledger takes to answer.
    pub takes: Cell<Millis>,
    /// Whether no ledger ever answers.
    pub hangs: Cell<bool>,
}

impl FakeLedgers {
    fn ledger(&self, name: &str) -> Rc<StoredLedger<LedgerRows>> {
        let rows = self.rows.borrow_mut().entry(name.to_owned()).or_default().clone();
        let new = || Rc::new(StoredLedger::new(rows));
        Rc::clone(self.ledgers.borrow_mut().entry(name.to_owned()).or_insert_with(new))
    }

    /// Evicts all ledgers: their memory is lost, their rows stay.
    pub fn evict(&self) {
        self.ledgers.borrow_mut().clear();
    }

    /// What is spent, leased and free of a meter.
    pub fn usage(&self, ledger: &str, meter: &str, now: Instant) -> (u64, u64, u64) {
        let Ok(reply) = self.ledger(ledger).answer(USAGE, "", now);
        let meters: Vec<Value> = serde_json::from_str(&reply.text).unwrap();
        let found = meters.iter().find(|found| found["meter"] == meter);
        let units = |key: &str| found.map_or(0, |found| found[key].as_u64().unwrap());
        (units("spent"), units("leased"), units("free"))
    }

    pub async fn ask(
        &self,
        fake: &Fake,
        name: &str,
        path: &str,
        body: &str,
    ) -> Result<(u16, String), PlatformError> {
        self.asked.borrow_mut().push(name.to_owned());
        if self.hangs.get() {
            return fake.never().await;
        }
        fake.sleep_until(fake.now() + self.takes.get()).await;
        if self.is_lost.get() {
            return Err(PlatformError::new("the ledger cannot be reached"));
        }
        let Ok(reply) = self.ledger(name).answer(path, body, fake.now());
        Ok((reply.status, reply.text))
    }
}
