//! What decides on the way of a walk: chance, health and the strategies for a request that goes it, and nothing but the document for
//! one that only asks where it could go.

use std::rc::Rc;

use super::position::{Frame, Guide, Walk};
use crate::attempt::context::Surroundings;
use crate::balance::order::order;
use crate::health::Health;
use crate::routes::graph::{Deployment, Destination, Node, Strategy, Target, WhenAllEjected};
use crate::vocabulary::time::Millis;

/// Goes where the request will go.
pub(super) struct Choice<'a, 'b> {
    pub(super) around: &'a mut Surroundings<'b>,
    /// Ejected deployments that would have come before any other.
    pub(super) wanted: Vec<usize>,
    /// Ejected deployments that were passed over and that `when_all_ejected` lets be probed.
    pub(super) refused: Vec<usize>,
    pub(super) has_passed_over: bool,
    pub(super) last_resort: Option<LastResort>,
}

/// Where to go back to where nothing else is left.
pub(super) struct LastResort {
    pub(super) until: Millis,
    pub(super) frames: Vec<Frame>,
    pub(super) deployment: Rc<Deployment>,
}

impl<'a, 'b> Choice<'a, 'b> {
    pub(super) fn new(around: &'a mut Surroundings<'b>) -> Self {
        Self { around, wanted: Vec::new(), refused: Vec::new(), has_passed_over: false, last_resort: None }
    }
}

impl Guide for Choice<'_, '_> {
    fn order(&mut self, walk: &Walk, node: &Node) -> Vec<usize> {
        // A node as a target is always worth entering: where nothing in it may be tried, the walk comes straight back.
        let usable = |target: &Target| match &target.to {
            Destination::Deployment(deployment) => walk.obstacle(deployment).is_none(),
            Destination::Node(_) => true,
        };
        let order = order(node, &walk.facts, walk.sticky(), &usable, &mut self.around.order_inputs());
        let order = walk.minting_first(node, order);
        let ejected = |index: &usize| match &node.targets.get(*index)?.to {
            Destination::Deployment(deployment) => {
                walk.refusal(deployment, self.around.health, self.around.now).map(|_| deployment.id)
            }
            Destination::Node(_) => None,
        };
        self.wanted.extend(order.iter().map_while(ejected));
        order
    }

    fn admits(&mut self, walk: &Walk, deployment: &Rc<Deployment>) -> bool {
        let Some(refusal) = walk.refusal(deployment, self.around.health, self.around.now) else {
            return true;
        };
        self.has_passed_over = true;
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

/// Sees where a request could go, in the order of the document.
pub(super) struct Outlook<'a> {
    pub(super) health: &'a Health,
    pub(super) now: Millis,
    /// Of the frames at the start, how many were never left.
    pub(super) enclosing: usize,
}

impl Guide for Outlook<'_> {
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
