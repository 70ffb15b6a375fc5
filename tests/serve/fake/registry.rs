//! The registry in memory, as its code runs in the Worker.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;

use switchyard::registry::registry_requests::answer;
use switchyard::registry::version_ledger::{RegistryStorage, RowKind};
use switchyard::serve::platform::PlatformError;
use switchyard::vocabulary::time::Instant;

/// The registry of a test.
#[derive(Default)]
pub struct FakeRegistry {
    rows: RefCell<BTreeMap<(RowKind, u64, u64), String>>,
    /// The paths of the requests, in order.
    pub asked: RefCell<Vec<String>>,
    /// The paths whose requests get lost.
    pub lost: RefCell<Vec<String>>,
}

impl FakeRegistry {
    pub fn ask(&self, path: &str, body: &str, now: Instant) -> Result<(u16, String), PlatformError> {
        self.asked.borrow_mut().push(path.to_owned());
        if self.lost.borrow().iter().any(|lost| lost == path) {
            return Err(PlatformError::new("the registry cannot be reached"));
        }
        let Ok(answered) = answer(self, path, body, now);
        Ok(answered)
    }
}

impl RegistryStorage for FakeRegistry {
    type Error = Infallible;

    fn rows(&self, kind: RowKind, from: u64, until: u64) -> Result<Vec<(u64, String)>, Infallible> {
        let rows = self.rows.borrow();
        let rows = rows.range((kind, from, 0)..(kind, until, 0));
        Ok(rows.map(|((_, number, _), text)| (*number, text.clone())).collect())
    }

    fn put(&self, kind: RowKind, number: u64, part: u64, text: &str) -> Result<(), Infallible> {
        self.rows.borrow_mut().insert((kind, number, part), text.to_owned());
        Ok(())
    }

    fn remove(&self, kind: RowKind, from: u64, until: u64) -> Result<(), Infallible> {
        self.rows.borrow_mut().retain(|(of, number, _), _| *of != kind || *number < from || *number >= until);
        Ok(())
    }
}
