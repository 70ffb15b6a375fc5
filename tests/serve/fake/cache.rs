//! A cache of answers.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use switchyard::serve::platform::{Clock, PlatformError};
use switchyard::vocabulary::headers::Headers;
use switchyard::vocabulary::time::{Instant, Millis};

use super::{Bench, Fake};

type Entry = (Headers, Vec<u8>);

/// A cache of answers, by key. It forgets nothing, so that the gateway has to.
#[derive(Debug, Default)]
pub struct FakeCache {
    entries: RefCell<BTreeMap<String, Entry>>,
    looks: Cell<usize>,
    /// How long it takes to find an entry.
    delay: Cell<Millis>,
    is_broken: Cell<bool>,
}

impl FakeCache {
    pub fn keep(&self, key: &str, headers: &Headers, answer: &[u8]) -> Result<(), PlatformError> {
        if self.is_broken.get() {
            return Err(PlatformError::new("the cache is broken"));
        }
        self.entries.borrow_mut().insert(key.to_owned(), (headers.clone(), answer.to_vec()));
        Ok(())
    }

    pub async fn find(&self, fake: &Fake, key: &str) -> Result<Option<Entry>, PlatformError> {
        self.looks.set(self.looks.get() + 1);
        fake.at(fake.now() + self.delay.get()).await;
        if self.is_broken.get() {
            return Err(PlatformError::new("the cache is broken"));
        }
        Ok(self.entries.borrow().get(key).cloned())
    }
}

impl Bench {
    /// How often the cache was asked for an answer.
    pub fn cache_looks(&self) -> usize {
        self.fake.world.cache.looks.get()
    }

    /// The `cache-control` of all entries of the cache.
    pub fn cache_controls(&self) -> Vec<String> {
        let entries = self.fake.world.cache.entries.borrow();
        entries.values().map(|(headers, _)| headers.get("cache-control").unwrap().to_owned()).collect()
    }

    /// From now on, it takes this long to find an entry in the cache.
    pub fn delay_cache(&self, delay: Millis) {
        self.fake.world.cache.delay.set(delay);
    }

    /// From now on, the cache can neither be read nor written.
    pub fn break_cache(&self) {
        self.fake.world.cache.is_broken.set(true);
    }

    /// The clients of the requests that begin from now on leave at this time.
    pub fn clients_leave_at(&self, at: Option<Instant>) {
        self.fake.world.client_leaves_at.set(at);
    }
}
