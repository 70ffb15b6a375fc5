//! The walk over the graph: which deployment is next, given what failed.
//!
//! A stack of frames, one for each node between the entry and the current target. A failure is first put to the innermost
//! frame: an `on` edge for its class is taken, or `fallback_on` allows that node's next target, or the frame is left and the
//! same failure is put to the one outside. So fallback works alike below every strategy and at any depth.
//!
//! Ejected deployments are passed over. Where nothing else is left, and `when_all_ejected` allows it, the walk goes back to the one that
//! is soonest to return.
//!
//! Invariants: a deployment that was tried is never offered again, by whichever path; requirements, attempt limits and
//! deadlines of every frame on the stack bind; the walk ends, since nodes form a finite tree of paths, each gone once.

mod explanation;
mod obstacle;
mod position;
mod selectors;

use std::rc::Rc;

use super::context::Context;
use super::failure::Failure;
use crate::health::Health;
use crate::routes::graph::{Deployment, Destination};
use crate::vocabulary::time::Instant;
pub use explanation::obstacles;
pub use obstacle::Obstacle;
use position::Frame;
pub use position::Walk;
use selectors::{LastResort, LiveSelector, PreviewSelector};

impl Walk {
    /// The next deployment to try; `failed` is what the last one ended with, `None` at the start. `None` when nothing is left.
    pub fn advance(&mut self, failed: Option<&Failure>, context: &mut Context<'_>) -> Option<Rc<Deployment>> {
        let now = context.now;
        let mut selector = LiveSelector::new(context);
        let found = self.seek(failed, now, &mut selector);
        let LiveSelector { context, probe_candidates, refused, has_skipped_ejected, last_resort } = selector;
        self.has_skipped_ejected |= has_skipped_ejected;
        for id in probe_candidates {
            context.health.request_probe(id, false, now);
        }
        found.or_else(|| {
            // The next request may find a way.
            for id in refused {
                context.health.request_probe(id, true, now);
            }
            let LastResort { frames, deployment, .. } = last_resort.filter(|_| !self.has_used_last_resort)?;
            self.has_used_last_resort = true;
            self.frames = frames;
            Some(deployment)
        })
    }

    /// A deployment to try beside `deployment`, which has not failed, and the walk that stands there: the next one below the node
    /// that hedges, and nowhere else.
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

    /// Whether there would be somewhere to go from `deployment` after such a failure, and until when: the nearest deadline
    /// that binds there. It draws nothing and moves no cursor, so that asking changes nothing.
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
        // How many of the frames that stand now enclose the way there as well: as many as are never left on it. A node that is
        // entered on the way begins its own time then.
        let mut selector = PreviewSelector { health, now, enclosing: self.frames.len() };
        ahead.seek(Some(failed), now, &mut selector)?;
        ahead.frames.iter().take(selector.enclosing).map(|frame| frame.deadline).min()
    }

    /// Whether the way from `deployment` after such a failure is a short one: to another deployment of the same node. That is seen
    /// from here, without going there.
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
