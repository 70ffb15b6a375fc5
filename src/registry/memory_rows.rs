//! The rows of the registry in memory, for tests.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;

use super::version_ledger::{RegistryStorage, RowKind};

#[derive(Default)]
pub(super) struct Rows(pub(super) RefCell<BTreeMap<(RowKind, u64, u64), String>>);

impl RegistryStorage for Rows {
    type Error = Infallible;

    fn rows(&self, kind: RowKind, from: u64, until: u64) -> Result<Vec<(u64, String)>, Infallible> {
        let rows = self.0.borrow();
        let rows = rows.range((kind, from, 0)..(kind, until, 0));
        Ok(rows.map(|((_, number, _), text)| (*number, text.clone())).collect())
    }

    fn put(&self, kind: RowKind, number: u64, part: u64, text: &str) -> Result<(), Infallible> {
        self.0.borrow_mut().insert((kind, number, part), text.to_owned());
        Ok(())
    }

    fn remove(&self, kind: RowKind, from: u64, until: u64) -> Result<(), Infallible> {
        let mut rows = self.0.borrow_mut();
        let keys: Vec<_> = rows.range((kind, from, 0)..(kind, until, 0)).map(|(key, _)| *key).collect();
        for key in keys {
            rows.remove(&key);
        }
        Ok(())
    }
}
