//! What a ledger needs of the storage of its object.

/// The storage of the object: texts by keys.
pub trait LedgerStorage {
    /// Why the storage failed.
    type Error;
    /// All rows.
    ///
    /// # Errors
    /// The storage failed.
    fn all(&self) -> Result<Vec<(String, String)>, Self::Error>;
    /// Whether there is a row.
    ///
    /// # Errors
    /// The storage failed.
    fn has(&self, key: &str) -> Result<bool, Self::Error>;
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
