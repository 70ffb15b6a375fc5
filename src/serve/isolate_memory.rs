//! The state of one isolate between requests: the routes that serve, and the link to its shard.
//!
//! Invariant: nothing here belongs to a single request.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::canary_state::CanaryServing;
use super::flight::Flights;
use super::issued_key::IssuedKey;
use super::ledger_link::LedgerLink;
use super::object_link::ObjectLink;
use super::serving::Serving;
use crate::counters::CounterOutbox;
use crate::entry::limit_claims::LedgerName;
use crate::entry::made_objects::MadeObjects;
use crate::entry::object_affinity::ObjectAffinity;
use crate::health::recent_records::RecentRecords;
use crate::keys::key_cache::KeyCache;
use crate::keys::key_uses::KeyUses;
use crate::reply::masks::without_secrets;
use crate::request::access_keys::AccessKeys;
use crate::routes::Issue;
use crate::upstream::token_store::TokenStore;
use crate::vocabulary::rng::{Rng, SecureRng};
use crate::vocabulary::time::Instant;

/// The state of one isolate between requests.
#[derive(Default)]
pub struct Isolate {
    pub(super) routes: RefCell<Option<Rc<Serving>>>,
    /// When the latest check of the document in KV began.
    pub(super) checked_at: Cell<Instant>,
    /// When the latest check began to which KV has answered.
    pub(super) confirmed_at: Cell<Instant>,
    /// When the latest check failed, if it did.
    pub(super) failed_at: Cell<Option<Instant>>,
    /// When the check that is under way began.
    pub(super) reading_since: Cell<Option<Instant>>,
    /// When the latest check began that was too late for a stale document. It is logged once.
    pub(super) stale_check: Cell<Instant>,
    pub(super) problem: RefCell<Option<DocumentProblem>>,
    /// The hash of the document that was written here, and until when KV may still show another one
    /// that is older.
    pub(super) written: Cell<Option<(u64, Instant)>>,
    /// The hash of the document that the registry knows as the current one.
    pub(super) noticed: Cell<Option<u64>>,
    /// The canary that serves a share of the requests.
    pub(super) canary: RefCell<Option<Rc<CanaryServing>>>,
    /// The number of the latest canary that is known to have ended.
    pub(super) ended_canary: Cell<u64>,
    /// The drained deployments that the document has lost, and when their drains end. If one comes
    /// back before, it is still drained.
    pub(super) ending_drains: RefCell<Vec<(String, Instant)>>,
    rng: RefCell<Option<SecureRng>>,
    /// The owner of each known stored object.
    pub(super) owners: RefCell<ObjectAffinity>,
    /// Stored objects of clients that see only those that they have made.
    pub(super) made_objects: RefCell<MadeObjects>,
    /// Hashes of the responses of the background whose usage was counted, oldest first.
    pub(super) counted: RefCell<VecDeque<u64>>,
    pub(super) link: RefCell<Option<ObjectLink>>,
    /// How much work in the background waits to send counters.
    pub(super) flushes: Cell<usize>,
    /// The records of recent requests with failures.
    pub(super) records: RefCell<RecentRecords>,
    /// Whether there is a binding for data points, once that is known.
    has_metrics: Cell<Option<bool>>,
    /// The keys that sign the tokens of Cloudflare Access.
    pub(super) access_keys: RefCell<AccessKeys>,
    /// The leases of limits, by ledger.
    pub(super) ledgers: RefCell<BTreeMap<LedgerName, LedgerLink>>,
    /// The values of the secrets in the Secrets Store that documents of this isolate name. `None`:
    /// the store has no such secret, or has not answered yet.
    pub(super) secrets: RefCell<BTreeMap<String, Option<String>>>,
    /// The tokens with which upstreams are called.
    pub(super) tokens: RefCell<TokenStore>,
    /// What is counted of finished requests, until the shard has counted it.
    pub(super) counters: RefCell<CounterOutbox>,
    /// The requests for which equal ones wait.
    pub(super) flights: Flights,
    /// The issued keys that it knows.
    pub(super) keys: RefCell<KeyCache<Rc<IssuedKey>>>,
    /// Which of them were used, until the registry knows it.
    pub(super) key_uses: RefCell<KeyUses>,
}

/// A problem of the document in KV, while another document serves.
#[derive(Clone)]
pub enum DocumentProblem {
    /// It does not compile.
    Refused {
        /// All issues of the document.
        issues: Vec<Issue>,
        /// The hash of its text.
        hash: u64,
    },
    /// KV no longer has a document.
    Missing,
}

impl DocumentProblem {
    /// Whether the document with this hash was refused.
    pub(super) fn is_refusal_of(&self, document: u64) -> bool {
        matches!(self, Self::Refused { hash, .. } if *hash == document)
    }
}

impl Isolate {
    /// The routes that serve new requests. `None` before the first document is loaded.
    pub fn current(&self) -> Option<Rc<Serving>> {
        self.routes.borrow().clone()
    }

    /// The problem of the document in KV, if there is one.
    pub fn problem(&self) -> Option<DocumentProblem> {
        self.problem.borrow().clone()
    }

    /// Whether there is a binding for data points.
    pub(super) fn has_metrics(&self, find_out: impl FnOnce() -> bool) -> bool {
        let has_metrics = self.has_metrics.get().unwrap_or_else(find_out);
        self.has_metrics.set(Some(has_metrics));
        has_metrics
    }

    /// A line for the log that contains text of an upstream, without secrets and hosts.
    pub fn without_secrets(&self, line: String) -> String {
        match self.current() {
            Some(routes) => {
                let mut masked = without_secrets(&routes.graph, &self.tokens.borrow(), line.into_bytes());
                if let Some(canary) = &*self.canary.borrow() {
                    masked = without_secrets(&canary.serving.graph, &TokenStore::default(), masked);
                }
                String::from_utf8(masked).unwrap_or_default()
            }
            None => line,
        }
    }

    /// 64 random bits. The first call seeds the generator with `seed`.
    pub fn random(&self, seed: impl FnOnce() -> [u8; 32]) -> u64 {
        self.rng.borrow_mut().get_or_insert_with(|| SecureRng::new(seed())).next_u64()
    }
}
