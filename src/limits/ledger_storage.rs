//! What a ledger needs of the storage of its object.

/// The storage of the object: texts by keys.
pub trait LedgerStorage {
    /// Why the storage failed.
    type Error;
    /// The first rows with keys from `from` on and before `until`, in the order of the bytes of
    /// their keys, at most so many.
    ///
    /// # Errors
    /// The storage failed.
    fn rows(&self, from: &str, until: &str, most: u32) -> Result<Vec<(String, String)>, Self::Error>;
    /// The text of a row, if there is one.
    ///
    /// # Errors
    /// The storage failed.
    fn text(&self, key: &str) -> Result<Option<String>, Self::Error>;
    /// Writes a row.
    ///
    /// # Errors
    /// The storage failed.
    fn store(&self, key: &str, text: &str) -> Result<(), Self::Error>;
    /// Removes a row.
    ///
    /// # Errors
    /// The storage failed.
    fn delete(&self, key: &str) -> Result<(), Self::Error>;
}
