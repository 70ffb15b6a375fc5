//! What one isolate remembers between requests: the routes that serve, and what it shares about their health.
//!
//! Invariant: nothing here belongs to a single request.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::object_link::ObjectLink;
use super::serving::Serving;
use crate::entry::object_affinity::ObjectAffinity;
use crate::routes::Issue;
use crate::vocabulary::rng::{Rng, SplitMix64};
use crate::vocabulary::time::Instant;

/// What one isolate remembers.
#[derive(Default)]
pub struct Isolate {
    pub(super) routes: RefCell<Option<Rc<Serving>>>,
    pub(super) checked_at: Cell<Instant>,
    pub(super) failed_at: Cell<Option<Instant>>,
    pub(super) problem: RefCell<Option<DocumentProblem>>,
    rng: RefCell<Option<SplitMix64>>,
    /// Which deployment created which stored object.
    pub(super) owners: RefCell<ObjectAffinity>,
    pub(super) link: RefCell<Option<ObjectLink>>,
}

/// What is wrong with the document in KV, while another one serves.
#[derive(Clone)]
pub enum DocumentProblem {
    /// It does not compile.
    Refused {
        /// Everything that is wrong with it.
        issues: Vec<Issue>,
        /// The hash of its text.
        hash: u64,
    },
    /// It is no longer there.
    Missing,
}

impl DocumentProblem {
    /// Whether it is that the document with this hash was refused.
    pub(super) fn is_refusal_of(&self, document: u64) -> bool {
        matches!(self, Self::Refused { hash, .. } if *hash == document)
    }
}

impl Isolate {
    /// The routes that serve new requests, once there are any.
    pub fn current(&self) -> Option<Rc<Serving>> {
        self.routes.borrow().clone()
    }

    /// What is wrong with the document in KV, if anything is.
    pub fn problem(&self) -> Option<DocumentProblem> {
        self.problem.borrow().clone()
    }

    /// 64 random bits. `seed`: seeds the generator, the first time.
    pub fn random(&self, seed: impl FnOnce() -> u64) -> u64 {
        self.rng.borrow_mut().get_or_insert_with(|| SplitMix64::new(seed())).next_u64()
    }
}
