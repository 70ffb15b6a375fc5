//! The rows of a ledger of limits, in memory. Clones are the same rows.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::rc::Rc;

use switchyard::limits::ledger_storage::LedgerStorage;

#[derive(Debug, Clone, Default)]
pub struct LedgerRows(pub Rc<RefCell<BTreeMap<String, String>>>);

impl LedgerStorage for LedgerRows {
    type Error = Infallible;

    fn all(&self) -> Result<Vec<(String, String)>, Infallible> {
        Ok(self.0.borrow().clone().into_iter().collect())
    }

    fn has(&self, key: &str) -> Result<bool, Infallible> {
        Ok(self.0.borrow().contains_key(key))
    }

    fn store(&self, key: &str, text: &str) -> Result<(), Infallible> {
        self.0.borrow_mut().insert(key.to_owned(), text.to_owned());
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), Infallible> {
        self.0.borrow_mut().remove(key);
        Ok(())
    }
}
