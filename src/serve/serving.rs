//! The routes that serve, with the state of their deployments in this isolate.

use std::cell::RefCell;
use std::rc::Rc;

use crate::attempt::attempt_budgets::AttemptBudgets;
use crate::balance::cursors::Cursors;
use crate::health::Health;
use crate::health::headroom::Headroom;
use crate::routes::Compiled;
use crate::routes::Issue;
use crate::routes::graph::{Deployment, Graph};
use crate::upstream::key_choices::KeyChoices;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::rng::Rng;
use crate::vocabulary::time::Instant;

/// The routes that serve, with the state of their deployments.
pub struct Serving {
    /// The compiled document.
    pub graph: Rc<Graph>,
    /// The round-robin positions of its nodes.
    pub(super) cursors: Cursors,
    /// The health of its deployments.
    pub health: RefCell<Health>,
    /// Which keys of its deployments are refused.
    pub(super) keys: RefCell<KeyChoices>,
    /// The budgets for further attempts of its nodes.
    pub budgets: RefCell<AttemptBudgets>,
    /// Where the document came from.
    pub source: Source,
    /// Warnings about the document. They do not prevent it from serving.
    pub warnings: Vec<Issue>,
    /// The hash of the document's text.
    pub hash: u64,
    /// For a canary: where the health of the deployments is that both versions have.
    shared: Option<SharedHealth>,
}

/// The deployments that two versions have in common. Their health is in the other version, and is
/// lent for each step.
struct SharedHealth {
    owner: Rc<Serving>,
    /// The id of each of these deployments here, and there.
    ids: Vec<(usize, usize)>,
}

/// Where a document came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// KV, key `routes`.
    Kv,
    /// KV, key `routes.last-good`: the current document is missing or bad.
    LastGood,
    /// Compiled into the Worker.
    CompiledIn,
}

impl Source {
    /// The name in the admin API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kv => "kv",
            Self::LastGood => "last_good",
            Self::CompiledIn => "compiled_in",
        }
    }
}

impl Serving {
    /// A compiled document that serves from now on. It takes over the health of the same
    /// deployments from `before`.
    pub fn new(
        compiled: Compiled,
        source: Source,
        hash: u64,
        before: Option<&Self>,
        rng: &mut dyn Rng,
    ) -> Self {
        let cursors = Cursors::new(compiled.graph.node_count, rng);
        let graph = Rc::new(compiled.graph);
        let mut health = Health::of(&graph.deployments);
        let known = before.map(|before| (before.keys.borrow(), &before.graph.deployments));
        let known = known.as_ref().map(|(keys, deployments)| (&**keys, deployments.as_slice()));
        let keys = KeyChoices::of(&graph.deployments, known);
        if let Some(before) = before {
            health.adopt(&before.health.borrow());
        }
        Self {
            graph,
            cursors,
            health: RefCell::new(health),
            keys: RefCell::new(keys),
            budgets: RefCell::default(),
            source,
            warnings: compiled.warnings,
            hash,
            shared: None,
        }
    }

    /// A compiled document that serves a share of the requests beside `owner`.
    pub(super) fn beside(compiled: Compiled, hash: u64, owner: &Rc<Self>, rng: &mut dyn Rng) -> Self {
        let mut serving = Self::new(compiled, Source::Kv, hash, None, rng);
        let ids = serving.health.get_mut().ids_in(&owner.health.borrow());
        serving.shared = Some(SharedHealth { owner: Rc::clone(owner), ids });
        serving
    }

    /// Takes over what a canary knows of the deployments that the version before it does not have.
    pub(super) fn learn_from(&mut self, canary: &Self) {
        if let Some(SharedHealth { ids, .. }) = &canary.shared {
            let is_shared = |id| ids.iter().any(|(here, _)| *here == id);
            self.health.get_mut().adopt_some(&canary.health.borrow(), |id| !is_shared(id));
        }
    }

    /// Uses what is known about the deployments.
    pub(super) fn with_health<T>(&self, act: impl FnOnce(&mut Health) -> T) -> T {
        self.exchange();
        let result = act(&mut self.health.borrow_mut());
        self.exchange();
        result
    }

    /// Borrows the health of the deployments that both versions have, or gives it back. This is
    /// apart, so that each step has one copy of its code.
    #[inline(never)]
    fn exchange(&self) {
        if let Some(SharedHealth { owner, ids }) = &self.shared {
            self.health.borrow_mut().exchange(&mut owner.health.borrow_mut(), ids);
        }
    }

    /// Whether the document has a deployment of this name.
    pub(super) fn has_deployment(&self, name: &str) -> bool {
        self.graph.deployments.iter().any(|deployment| deployment.name == name)
    }

    /// Records the headroom of the deployment from the headers of a response.
    pub fn on_response(&self, deployment: &Deployment, headers: &Headers, now: Instant) {
        if let Some(headroom) = Headroom::of(headers, &deployment.limits, now) {
            self.with_health(|health| health.record_headroom(deployment.id, headroom));
        }
    }
}
