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

    fn rows(&self, from: &str, until: &str, most: u32) -> Result<Vec<(String, String)>, Infallible> {
        let rows = self.0.borrow();
        let rows = rows.range(from.to_owned()..until.to_owned()).take(usize::try_from(most).unwrap());
        Ok(rows.map(|(key, text)| (key.clone(), text.clone())).collect())
    }

    fn text(&self, key: &str) -> Result<Option<String>, Infallible> {
        Ok(self.0.borrow().get(key).cloned())
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
