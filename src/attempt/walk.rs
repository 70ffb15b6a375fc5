//! The walk over the graph: which deployment is next after a failure.
//!
//! The walk has a stack of frames, one for each node between the entry and the current target. A
//! failure is first applied to the innermost frame. Either an `on` edge for its error class is
//! taken, or `fallback_on` allows the next target of that node, or the walk leaves the frame and
//! applies the same failure to the next outer frame. So fallback works the same below every
//! strategy and at any depth.
//!
//! The walk skips ejected deployments. If nothing else is left, and `when_all_ejected` allows it,
//! the walk returns to the deployment whose ejection ends first.
//!
//! Invariants: a deployment that was tried is never offered again, by any path; the requirements,
//! attempt limits and deadlines of all frames on the stack apply, and the requirements of the entry
//! always; the walk ends, because the nodes
//! form a finite tree of paths and each path is used once.

mod explanation;
pub mod obstacle;
mod position;
mod selectors;

use std::rc::Rc;

use super::context::Context;
use super::failure::Failure;
use super::walk_notes::{ChosenBy, WalkNote};
use crate::health::Health;
use crate::health::gate::Admission;
use crate::routes::graph::{Deployment, Destination};
use crate::vocabulary::time::Instant;
pub use explanation::obstacles;
pub use obstacle::Obstacle;
use position::Frame;
pub use position::Walk;
use selectors::{LastResort, LiveSelector, PreviewSelector};

impl Walk {
    /// The next deployment to try; `None` when nothing is left. `failed` is the failure of the last
    /// attempt; `None` at the start.
    pub fn advance(&mut self, failed: Option<&Failure>, context: &mut Context<'_>) -> Option<Rc<Deployment>> {
        let now = context.now;
        let mut selector = LiveSelector::new(context);
        let found = self.seek(failed, now, &mut selector);
        let LiveSelector { context, probe_candidates, refused, has_skipped_ejected, last_resort } = selector;
        self.has_skipped_ejected |= has_skipped_ejected;
        for id in probe_candidates {
            context.health.request_probe(id, false, now);
        }
        let is_usual = found.is_some();
        let found = found.or_else(|| {
            // A probe may open a path for the next request.
            for id in refused {
                context.health.request_probe(id, true, now);
            }
            let LastResort { frames, deployment, .. } = last_resort.filter(|_| !self.has_used_last_resort)?;
            self.has_used_last_resort = true;
            self.frames = frames;
            Some(deployment)
        });
        if let (Some(notes), Some(deployment)) = (context.notes.as_deref_mut(), &found) {
            let is_edge = self.is_at_edge(self.frames.len());
            notes.push(WalkNote::Chosen {
                path: self.frames.iter().filter_map(|frame| frame.node.clone()).collect(),
                deployment: Rc::clone(deployment),
                is_probe: context.health.admission(deployment.id, self.facts.operation, now)
                    != Admission::Open,
                by: match is_usual {
                    false => ChosenBy::LastResort,
                    true if is_edge => ChosenBy::Edge,
                    true => ChosenBy::Order,
                },
            });
        }
        found
    }

    /// A deployment for a hedge of the attempt at `deployment`, and the walk at that position. It
    /// is the next deployment below the node that hedges; other nodes are not used.
    pub fn hedge(
        &self,
        deployment: &Deployment,
        context: &mut Context<'_>,
    ) -> Option<(Self, Rc<Deployment>)> {
        let (depth, hedging, _) = self.hedging()?;
        let mut ahead = self.clone();
        ahead.forbid(deployment);
        let now = context.now;
        let found = ahead.seek(None, now, &mut LiveSelector::new(context))?;
        let still_there = ahead.frames.get(depth).and_then(|frame| frame.node.as_ref());
        still_there.is_some_and(|node| Rc::ptr_eq(node, hedging)).then_some((ahead, found))
    }

    /// Whether the walk finds another deployment after this failure of `deployment`, and the
    /// earliest deadline that applies there. This changes nothing: it uses no randomness and moves
    /// no cursor.
    pub fn alternative(
        &self,
        deployment: &Deployment,
        failed: &Failure,
        health: &Health,
        now: Instant,
    ) -> Option<Instant> {
        if self.is_next_beside(deployment, failed, health, now) {
            return Some(self.deadline());
        }
        let mut ahead = self.clone();
        ahead.forbid(deployment);
        // The number of current frames that the walk does not leave on its path: their deadlines
        // apply to the alternative too. A node that is entered on the path starts its deadline when
        // it is entered.
        let mut selector = PreviewSelector { health, now, enclosing: self.frames.len() };
        ahead.seek(Some(failed), now, &mut selector)?;
        ahead.frames.iter().take(selector.enclosing).map(|frame| frame.deadline).min()
    }

    /// Whether the next deployment after this failure is one of the same node. This fast check does
    /// not move the walk.
    fn is_next_beside(
        &self,
        deployment: &Deployment,
        failed: &Failure,
        health: &Health,
        now: Instant,
    ) -> bool {
        let Some(Frame { node: Some(node), ahead, order, has_taken_edge, .. }) = self.frames.last() else {
            return false;
        };
        let has_edge = !has_taken_edge && node.on.iter().any(|(on, _)| *on == failed.class);
        if failed.is_unknown_object || has_edge || !ahead.is_empty() {
            return false;
        }
        let next = order.as_slice().iter().map_while(|index| match &node.targets.get(*index)?.to {
            Destination::Deployment(next) => Some(next),
            Destination::Node(_) => None,
        });
        let may_be_tried = |next: &Rc<Deployment>| {
            next.id != deployment.id
                && self.obstacle(next).is_none()
                && self.refusal(next, health, now).is_none()
        };
        self.falls_back_on(failed.class, failed.status)
            && self.may_attempt(now)
            && next.into_iter().any(may_be_tried)
    }
}
