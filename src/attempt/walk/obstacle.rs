//! Why a deployment may not be tried: the document forbids it, or its health does.

use std::rc::Rc;

use super::{Frame, Walk};
use crate::health::Health;
use crate::health::gate::{Admission, Refusal};
use crate::health::reason::Reason;
use crate::request::facts::Facts;
use crate::routes::graph::{Deployment, Destination, Graph, Node, Strategy, Target};
use crate::time::Millis;
use crate::upstream;

impl Walk {
    /// Why this deployment may not be tried here; `None` if it may.
    pub fn obstacle(&self, deployment: &Deployment) -> Option<Obstacle> {
        if deployment.disabled.is_some() {
            return Some(Obstacle::Disabled);
        }
        if !upstream::supports(deployment, self.facts.operation) {
            return Some(Obstacle::Unsupported);
        }
        let requirements = self
            .nodes()
            .map(|node| &node.requirements)
            .chain(std::iter::once(&self.graph.settings.requirements));
        for required in requirements {
            if deployment.quality < required.min_quality {
                return Some(Obstacle::Quality { required: required.min_quality });
            }
            if let Some(tag) = required.require_tags.iter().find(|tag| !deployment.tags.contains(tag)) {
                return Some(Obstacle::Tag { required: tag.clone() });
            }
        }
        self.tried.contains(&deployment.id).then_some(Obstacle::Tried)
    }

    /// Why the health of this deployment admits no attempt now; `None` if it does.
    pub(super) fn refusal(&self, deployment: &Deployment, health: &Health, now: Millis) -> Option<Refusal> {
        match health.admission(deployment.id, self.facts.operation, now) {
            Admission::Refused(refusal) => Some(refusal),
            Admission::Open | Admission::Probe => None,
        }
    }

    fn explore(&mut self, at: &Destination, health: &Health, now: Millis, found: &mut Vec<Obstacle>) {
        match at {
            Destination::Deployment(deployment) => {
                let ejected = || {
                    let Refusal { until, reason, .. } = self.refusal(deployment, health, now)?;
                    Some(Obstacle::Ejected { until, reason })
                };
                let obstacle = self.obstacle(deployment).or_else(ejected);
                found.extend(obstacle.filter(|obstacle| !found.contains(obstacle)));
            }
            Destination::Node(node) => {
                self.frames.push(Frame::of(Rc::clone(node), 0));
                let case = match &node.strategy {
                    Strategy::Match(cases) => Some(cases.first(&self.facts)),
                    _ => None,
                };
                let is_used = |index: usize, target: &Target| {
                    target.weight > 0.0 && case.is_none_or(|case| case == Some(index))
                };
                for (_, target) in
                    node.targets.iter().enumerate().filter(|(index, target)| is_used(*index, target))
                {
                    self.explore(&target.to, health, now, found);
                }
                self.frames.pop();
            }
        }
    }
}

/// Why nothing below `entry` may be tried: the different reasons, for the error message of a request that found no deployment.
/// It follows every path, and no request that is served comes here.
pub fn obstacles(
    graph: &Rc<Graph>,
    facts: &Rc<Facts>,
    entry: &Rc<Node>,
    health: &Health,
    now: Millis,
) -> Vec<Obstacle> {
    let mut walk = Walk::of(Rc::clone(graph), Rc::clone(facts), Vec::new());
    let mut found = Vec::new();
    walk.explore(&Destination::Node(Rc::clone(entry)), health, now, &mut found);
    found
}

/// Why a deployment may not be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// A variable that it needs is missing or of no use.
    Disabled,
    /// Its provider does not offer the operation.
    Unsupported,
    /// Its `quality` is too low.
    Quality {
        /// What is asked for.
        required: u32,
    },
    /// It lacks a tag.
    Tag {
        /// The tag that is asked for.
        required: String,
    },
    /// It failed in this request already.
    Tried,
    /// Its gate is open.
    Ejected {
        /// When it may be back; `None` where only an administrator can tell.
        until: Option<Millis>,
        /// Why.
        reason: Reason,
    },
}

impl Obstacle {
    /// For how long it stays, where time takes it away.
    pub fn ends_in_ms(&self, now: Millis) -> Option<Millis> {
        match self {
            Self::Ejected { until, .. } => until.map(|until| until.saturating_sub(now)),
            _ => None,
        }
    }
}

impl std::fmt::Display for Obstacle {
    /// For a client: what is missing, and no name of a deployment or a variable.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Disabled => formatter.write_str("a variable is not set, or its value is of no use"),
            Self::Unsupported => formatter.write_str("the provider does not offer the operation"),
            Self::Quality { required } => write!(formatter, "quality is below {required}"),
            Self::Tag { required } => write!(formatter, "the tag '{required}' is missing"),
            Self::Tried => formatter.write_str("tried already"),
            Self::Ejected { reason, .. } => reason.fmt(formatter),
        }
    }
}
