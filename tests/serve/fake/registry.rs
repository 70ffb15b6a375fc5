//! The registry in memory, as its code runs in the Worker.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;

use switchyard::registry::registry_requests::ALARM;
use switchyard::registry::version_ledger::{RegistryStorage, RowKind};
use switchyard::serve::canary_writes::answer;
use switchyard::serve::platform::{Clock, Platform, PlatformError, StoredText};
use switchyard::serve::registry_host::RegistryHost;
use switchyard::vocabulary::headers::Headers;
use switchyard::vocabulary::time::Instant;

use super::Fake;

/// The registry of a test.
#[derive(Default)]
pub struct FakeRegistry {
    rows: RefCell<BTreeMap<(RowKind, u64, u64), String>>,
    /// The paths of the requests, in order.
    pub asked: RefCell<Vec<String>>,
    /// The bodies of the requests, in order.
    pub received: RefCell<Vec<String>>,
    /// The paths whose requests get lost.
    pub lost: RefCell<Vec<String>>,
    /// The paths whose answers get lost.
    pub unanswered: RefCell<Vec<String>>,
    /// When its alarm rings.
    alarm_at: Cell<Option<Instant>>,
    is_writing: Cell<bool>,
}

/// The registry, with the store that it writes to.
struct Host<'a>(&'a FakeRegistry, &'a Fake);

impl FakeRegistry {
    pub(super) async fn ask(
        &self,
        fake: &Fake,
        path: &str,
        body: &str,
    ) -> Result<(u16, String), PlatformError> {
        self.asked.borrow_mut().push(path.to_owned());
        self.received.borrow_mut().push(body.to_owned());
        if self.lost.borrow().iter().any(|lost| lost == path) {
            return Err(PlatformError::new("the registry cannot be reached"));
        }
        let Ok(reply) = answer(&Host(self, fake), path, body).await;
        self.alarm_at.set(reply.alarm_at.or(self.alarm_at.get()));
        if self.unanswered.borrow().iter().any(|lost| lost == path) {
            return Err(PlatformError::new("the connection to the registry broke"));
        }
        Ok((reply.status, reply.text))
    }

    /// All that it stores and ever received.
    pub fn text(&self) -> String {
        let rows: Vec<_> = self.rows.borrow().values().cloned().collect();
        rows.join("\n") + &self.received.borrow().join("\n")
    }

    pub(super) async fn ring(&self, fake: &Fake) {
        if self.alarm_at.get().is_some_and(|at| at <= fake.world.now.get()) {
            let Ok(reply) = answer(&Host(self, fake), ALARM, "").await;
            self.alarm_at.set(reply.alarm_at);
        }
    }
}

impl RegistryStorage for Host<'_> {
    type Error = Infallible;

    fn rows(&self, kind: RowKind, from: u64, until: u64) -> Result<Vec<(u64, String)>, Infallible> {
        let rows = self.0.rows.borrow();
        let rows = rows.range((kind, from, 0)..(kind, until, 0));
        Ok(rows.map(|((_, number, _), text)| (*number, text.clone())).collect())
    }

    fn put(&self, kind: RowKind, number: u64, part: u64, text: &str) -> Result<(), Infallible> {
        self.0.rows.borrow_mut().insert((kind, number, part), text.to_owned());
        Ok(())
    }

    fn remove(&self, kind: RowKind, from: u64, until: u64) -> Result<(), Infallible> {
        self.0
            .rows
            .borrow_mut()
            .retain(|(of, number, _), _| *of != kind || *number < from || *number >= until);
        Ok(())
    }
}

impl Clock for Host<'_> {
    fn now(&self) -> Instant {
        self.1.now()
    }

    async fn sleep_until(&self, at: Instant) {
        self.1.sleep_until(at).await;
    }
}

impl RegistryHost for Host<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        self.1.variable(name)
    }

    async fn post(&self, url: &str, headers: &Headers, body: String) -> Result<u16, PlatformError> {
        self.1.post(url, headers, body).await
    }

    fn warn(&self, line: &str) {
        self.1.world.log.borrow_mut().push(line.to_owned());
    }

    fn is_writing(&self) -> &Cell<bool> {
        &self.0.is_writing
    }

    async fn read_stored(&self, key: &str) -> Result<Option<StoredText>, PlatformError> {
        self.1.world.stored(key)
    }

    async fn write_stored(
        &self,
        key: &str,
        text: Option<&str>,
        note: Option<&str>,
    ) -> Result<(), PlatformError> {
        self.1.world.store(key, text, note)
    }
}
