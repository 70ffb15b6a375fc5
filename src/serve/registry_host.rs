//! What the registry has of the platform.

use std::cell::Cell;
use std::pin::Pin;

use super::platform::{Clock, PlatformError, StoredText};
use crate::registry::version_ledger::RegistryStorage;
use crate::vocabulary::headers::Headers;

/// The storage and the platform of the registry.
pub trait RegistryHost: RegistryStorage + Clock {
    /// A variable or secret; `None` if it is absent or empty.
    fn variable(&self, name: &str) -> Option<String>;
    /// Sends a POST, and returns the status of its answer. No redirect is followed.
    fn post(
        &self,
        url: &str,
        headers: &Headers,
        body: String,
    ) -> impl Future<Output = Result<u16, PlatformError>>;
    /// Writes a warning to the log.
    fn warn(&self, line: &str);
    /// Whether the store is being written. One piece of work at a time does that.
    fn is_writing(&self) -> &Cell<bool>;
    /// The document with this key in the store.
    fn read_stored(&self, key: &str) -> impl Future<Output = Result<Option<StoredText>, PlatformError>>;
    /// Writes a document; without a text, removes it.
    fn write_stored(
        &self,
        key: &str,
        text: Option<&str>,
        note: Option<&str>,
    ) -> impl Future<Output = Result<(), PlatformError>>;
}

/// The end of a write. It is behind a pointer, so that there is one copy of the code.
pub(super) type WriteFuture<'a> = Pin<Box<dyn Future<Output = Result<(), PlatformError>> + 'a>>;

/// Writes a document to the store; without a text, removes it.
pub(super) fn write_stored<'a, H: RegistryHost>(
    host: &'a H,
    key: &'a str,
    text: Option<&'a str>,
    note: Option<&'a str>,
) -> WriteFuture<'a> {
    Box::pin(host.write_stored(key, text, note))
}
