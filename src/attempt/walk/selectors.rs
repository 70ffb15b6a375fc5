//! How a walk selects targets. For a real request, randomness, health and the strategies decide.
//! For a preview (which targets are possible?), only the document and the health decide.

use std::rc::Rc;

use super::obstacle::Obstacle;
use super::position::{Frame, Selector, Walk};
use crate::attempt::context::Context;
use crate::attempt::walk_notes::WalkNote;
use crate::balance::order::order;
use crate::balance::order_notes::OrderNotes;
use crate::health::Health;
use crate::routes::graph::{Deployment, Destination, Node, Strategy, Target, WhenAllEjected};
use crate::vocabulary::time::Instant;

/// Selects the targets that the request goes to.
pub(super) struct LiveSelector<'a, 'b> {
    pub(super) context: &'a mut Context<'b>,
    /// Ejected deployments at the start of an order: without the ejection they would come first.
    pub(super) probe_candidates: Vec<usize>,
    /// Ejected deployments that were skipped, and that `when_all_ejected` allows to probe.
    pub(super) refused: Vec<usize>,
    pub(super) has_skipped_ejected: bool,
    pub(super) last_resort: Option<LastResort>,
}

/// The position to return to when nothing else is left.
pub(super) struct LastResort {
    pub(super) until: Instant,
    pub(super) frames: Vec<Frame>,
    pub(super) deployment: Rc<Deployment>,
}

impl<'a, 'b> LiveSelector<'a, 'b> {
    pub(super) fn new(context: &'a mut Context<'b>) -> Self {
        Self {
            context,
            probe_candidates: Vec::new(),
            refused: Vec::new(),
            has_skipped_ejected: false,
            last_resort: None,
        }
    }
}

impl Selector for LiveSelector<'_, '_> {
    fn order(&mut self, walk: &Walk, node: &Node) -> Vec<usize> {
        // A node as a target is always usable: when nothing inside it may be tried, the walk comes
        // back.
        let usable = |target: &Target| match &target.to {
            Destination::Deployment(deployment) => walk.obstacle(deployment).is_none(),
            Destination::Node(_) => true,
        };
        let mut order_notes = self.context.notes.is_some().then(OrderNotes::default);
        let mut inputs = self.context.order_inputs(walk.answer_kind());
        inputs.notes = order_notes.as_mut();
        let order = order(node, &walk.facts, walk.sticky(), &usable, &mut inputs);
        let (order, owners) = walk.owner_first(node, order);
        if let (Some(notes), Some(order_notes)) = (self.context.notes.as_deref_mut(), order_notes) {
            notes.extend(walk.entered(&order, order_notes, owners).map(WalkNote::Entered));
        }
        let ejected = |index: &usize| match &node.targets.get(*index)?.to {
            Destination::Deployment(deployment) => {
                walk.refusal(deployment, self.context.health, self.context.now).map(|_| deployment.id)
            }
            Destination::Node(_) => None,
        };
        self.probe_candidates.extend(order.iter().map_while(ejected));
        order
    }

    fn passes_over(&mut self, walk: &Walk, deployment: &Rc<Deployment>, obstacle: Obstacle) {
        if let Some(notes) = self.context.notes.as_deref_mut() {
            let (depth, is_edge) = (walk.depth(), walk.is_at_edge(walk.frames.len()));
            let deployment = Rc::clone(deployment);
            notes.push(WalkNote::PassedOver { depth, deployment, obstacle, is_edge });
        }
    }

    fn admits(&mut self, walk: &Walk, deployment: &Rc<Deployment>) -> bool {
        let Some(refusal) = walk.refusal(deployment, self.context.health, self.context.now) else {
            return true;
        };
        self.has_skipped_ejected = true;
        if self.context.notes.is_some() {
            self.passes_over(walk, deployment, Obstacle::of(refusal));
        }
        let Some(until) = refusal.until.filter(|_| walk.when_all_ejected() == WhenAllEjected::Probe) else {
            return false;
        };
        self.refused.push(deployment.id);
        let is_sooner = self.last_resort.as_ref().is_none_or(|known| until < known.until);
        if refusal.may_be_forced && is_sooner {
            let frames = walk.frames.clone();
            self.last_resort = Some(LastResort { until, frames, deployment: Rc::clone(deployment) });
        }
        false
    }
}

/// Finds the possible targets of a request, in the order of the document.
pub(super) struct PreviewSelector<'a> {
    pub(super) health: &'a Health,
    pub(super) now: Instant,
    /// How many of the initial frames the walk never left.
    pub(super) enclosing: usize,
}

impl Selector for PreviewSelector<'_> {
    fn order(&mut self, walk: &Walk, node: &Node) -> Vec<usize> {
        self.enclosing = self.enclosing.min(walk.frames.len().saturating_sub(1));
        match &node.strategy {
            Strategy::Match(cases) => cases.first(&walk.facts).into_iter().collect(),
            _ => (0..node.targets.len()).collect(),
        }
    }

    fn admits(&mut self, walk: &Walk, deployment: &Rc<Deployment>) -> bool {
        walk.refusal(deployment, self.health, self.now).is_none()
    }
}
