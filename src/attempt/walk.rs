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
mod guides;
mod obstacle;
mod position;

use std::rc::Rc;

use super::context::Surroundings;
use super::failure::Failure;
use crate::health::Health;
use crate::routes::graph::{Deployment, Destination};
use crate::vocabulary::time::Millis;
pub use explanation::obstacles;
use guides::{Choice, LastResort, Outlook};
pub use obstacle::Obstacle;
use position::Frame;
pub use position::Walk;

impl Walk {
    /// The next deployment to try; `failed` is what the last one ended with, `None` at the start. `None` when nothing is left.
    pub fn advance(
        &mut self,
        failed: Option<&Failure>,
        around: &mut Surroundings<'_>,
    ) -> Option<Rc<Deployment>> {
        let now = around.now;
        let mut choice = Choice::new(around);
        let found = self.seek(failed, now, &mut choice);
        let Choice { around, wanted, refused, has_passed_over, last_resort } = choice;
        self.has_passed_over |= has_passed_over;
        for id in wanted {
            around.health.want(id, false, now);
        }
        found.or_else(|| {
            // The next request may find a way.
            for id in refused {
                around.health.want(id, true, now);
            }
            let LastResort { frames, deployment, .. } = last_resort.filter(|_| !self.is_last)?;
            self.is_last = true;
            self.frames = frames;
            Some(deployment)
        })
    }

    /// A deployment to try beside `deployment`, which has not failed, and the walk that stands there: the next one below the node
    /// that hedges, and nowhere else.
    pub fn hedge(
        &self,
        deployment: &Deployment,
        around: &mut Surroundings<'_>,
    ) -> Option<(Self, Rc<Deployment>)> {
        let (depth, hedging, _) = self.hedging()?;
        let mut ahead = self.clone();
        ahead.forbid(deployment);
        let now = around.now;
        let found = ahead.seek(None, now, &mut Choice::new(around))?;
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
        now: Millis,
    ) -> Option<Millis> {
        if self.is_next_beside(deployment, failed, health, now) {
            return Some(self.deadline());
        }
        let mut ahead = self.clone();
        ahead.forbid(deployment);
        // How many of the frames that stand now enclose the way there as well: as many as are never left on it. A node that is
        // entered on the way begins its own time then.
        let mut outlook = Outlook { health, now, enclosing: self.frames.len() };
        ahead.seek(Some(failed), now, &mut outlook)?;
        ahead.frames.iter().take(outlook.enclosing).map(|frame| frame.deadline).min()
    }

    /// Whether the way from `deployment` after such a failure is a short one: to another deployment of the same node. That is seen
    /// from here, without going there.
    fn is_next_beside(
        &self,
        deployment: &Deployment,
        failed: &Failure,
        health: &Health,
        now: Millis,
    ) -> bool {
        let Some(Frame { node: Some(node), ahead, order, edge_taken, .. }) = self.frames.last() else {
            return false;
        };
        let has_edge = !edge_taken && node.on.iter().any(|(on, _)| *on == failed.class);
        if failed.unknown_object || has_edge || !ahead.is_empty() {
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
