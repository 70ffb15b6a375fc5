//! Where the facts of a request come from that are neither in its head nor in the known bytes of
//! its body.

use std::rc::Rc;

use super::identity;
use super::limiting;
use super::platform::Platform;
use crate::entry::limit_claims::LedgerName;
use crate::routes::graph::{Client, Graph};
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::facts::Place;
use crate::vocabulary::time::Instant;

/// The source of these facts: the platform, or what an explanation assumes.
pub trait FactSource {
    /// The current time.
    fn now(&self) -> Instant;
    /// 64 random bits.
    fn random(&self) -> u64;
    /// Where the request comes from.
    fn place(&self) -> Place;
    /// The owner of the stored object with this id, if it is known.
    fn owner_of(&self, id: &str) -> Option<usize>;
    /// The client of an issued key, if the source knows it.
    fn issued_client(&self, _key: &str) -> Option<Result<Rc<Client>, ClientError>> {
        None
    }
    /// What is left of a limit, if the source knows it.
    fn limit_left(&self, _ledger: &LedgerName, _meter: &str) -> Option<u64> {
        None
    }
    /// The bytes `start..end` of the body.
    fn body_part(&self, start: usize, end: usize) -> Vec<u8>;
}

/// The source for a request that is served, or explained with what this isolate knows.
pub(super) struct LiveFacts<'a, P> {
    pub(super) platform: &'a P,
    pub(super) graph: &'a Graph,
    /// The place that a request to explain states. Its body is known as a whole.
    pub(super) stated_place: Option<&'a Place>,
}

impl<P: Platform> FactSource for LiveFacts<'_, P> {
    fn now(&self) -> Instant {
        self.platform.now()
    }

    fn random(&self) -> u64 {
        self.platform.random()
    }

    fn place(&self) -> Place {
        self.stated_place.cloned().unwrap_or_else(|| self.platform.place())
    }

    fn owner_of(&self, id: &str) -> Option<usize> {
        self.platform.isolate().owner_of(id, self.graph)
    }

    fn issued_client(&self, key: &str) -> Option<Result<Rc<Client>, ClientError>> {
        identity::known_issued(self.platform, self.graph, key)
    }

    fn limit_left(&self, ledger: &LedgerName, meter: &str) -> Option<u64> {
        limiting::view(self.platform, ledger, meter).map(|view| view.remaining)
    }

    fn body_part(&self, start: usize, end: usize) -> Vec<u8> {
        if self.stated_place.is_some() { Vec::new() } else { self.platform.body_part(start, end) }
    }
}
