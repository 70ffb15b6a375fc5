//! A position in the graph: the stack of frames, and how it moves.

use std::rc::Rc;

use super::obstacle::Obstacle;
use crate::attempt::failure::Failure;
use crate::attempt::phase::Patience;
use crate::attempt::walk_notes::EnteredNode;
use crate::balance::order_notes::{LeftOut, OrderNotes};
use crate::health::gate::{Admission, Refusal};
use crate::health::{AnswerKind, Health};
use crate::routes::graph::{
    Commit, Deployment, Destination, Graph, Hedge, Node, Retry, Sticky, Timeouts, WhenAllEjected,
};
use crate::upstream;
use crate::vocabulary::error_class::{ErrorClass, Triggers};
use crate::vocabulary::facts::Facts;
use crate::vocabulary::time::Instant;

/// The initial capacity for frames: `settings`, the entry, and two nodes below it.
const USUAL_DEPTH: usize = 4;

/// A position in the graph.
#[derive(Clone)]
pub struct Walk {
    pub(super) graph: Rc<Graph>,
    pub(super) facts: Rc<Facts>,
    pub(super) frames: Vec<Frame>,
    pub(super) started_at: Instant,
    /// The node at which the walk starts. What it requires also holds for the edges of `settings`,
    /// which are taken after its frame is left.
    entry: Option<Rc<Node>>,
    pub(super) tried: Vec<usize>,
    /// The last resort was used: a request makes at most one such attempt at an ejected deployment.
    pub(super) has_used_last_resort: bool,
    /// A deployment was skipped because it is ejected.
    pub(super) has_skipped_ejected: bool,
}

/// One node on the path to the current target. The outermost frame is for `settings` and has no
/// node.
#[derive(Clone)]
pub(super) struct Frame {
    pub(super) node: Option<Rc<Node>>,
    /// Destinations to try before `order`, the last one first: the entry of the walk, or the
    /// targets of edges.
    pub(super) ahead: Vec<Destination>,
    /// The indices of the remaining targets, in order.
    pub(super) order: std::vec::IntoIter<usize>,
    pub(super) has_taken_edge: bool,
    pub(super) attempts_left: u32,
    pub(super) deadline: Instant,
}

/// The decisions of a walk: which target of a node comes first, and whether the health of a
/// deployment admits an attempt.
pub(super) trait Selector {
    /// The order of the targets of a node that the walk has just entered.
    fn order(&mut self, walk: &Walk, node: &Node) -> Vec<usize>;
    /// Whether a deployment without an obstacle may be tried.
    fn admits(&mut self, walk: &Walk, deployment: &Rc<Deployment>) -> bool;
    /// The walk passes over a deployment.
    fn passes_over(&mut self, _walk: &Walk, _deployment: &Rc<Deployment>, _obstacle: Obstacle) {}
}

impl Walk {
    /// A walk that starts before `entry`. The limits of the whole request come from `entry`, or
    /// else from `settings`. The time limit of the client can only make the deadline earlier.
    /// Both begin with the arrival of the request.
    pub fn new(graph: Rc<Graph>, facts: Rc<Facts>, entry: &Rc<Node>, now: Instant) -> Self {
        let left_ms = graph.allowed_ms(entry, facts.patience_ms) - facts.upload_ms;
        let allowed_attempts = entry.max_attempts.unwrap_or(graph.settings.max_attempts);
        let settings = Frame {
            ahead: vec![Destination::Node(Rc::clone(entry))],
            attempts_left: if facts.is_replayable { allowed_attempts } else { allowed_attempts.min(1) },
            deadline: now + left_ms,
            // The node of a request for a stored object leads everywhere that the request may go.
            // An edge of the settings would lead past the requirements of the nodes of the client.
            has_taken_edge: entry.id >= graph.node_count,
            ..Frame::of_settings()
        };
        let mut frames = Vec::with_capacity(USUAL_DEPTH);
        frames.push(settings);
        Self { started_at: now, entry: Some(Rc::clone(entry)), ..Self::of(graph, facts, frames) }
    }

    pub(super) fn of(graph: Rc<Graph>, facts: Rc<Facts>, frames: Vec<Frame>) -> Self {
        Self {
            graph,
            facts,
            frames,
            started_at: Instant::EPOCH,
            entry: None,
            tried: Vec::new(),
            has_used_last_resort: false,
            has_skipped_ejected: false,
        }
    }

    /// Whether a deployment was skipped because it is ejected.
    pub fn has_skipped_ejected(&self) -> bool {
        self.has_skipped_ejected
    }

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
            .chain(&self.entry)
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
        if let Some(lack) = deployment.capabilities.lacks(&self.facts).next() {
            return Some(Obstacle::Lacks(lack));
        }
        self.tried.contains(&deployment.id).then_some(Obstacle::Tried)
    }

    /// Why the health of this deployment admits no attempt now; `None` if it admits one.
    pub(super) fn refusal(&self, deployment: &Deployment, health: &Health, now: Instant) -> Option<Refusal> {
        match health.admission(deployment.id, self.facts.operation, now) {
            Admission::Refused(refusal) => Some(refusal),
            Admission::Open | Admission::Probe => None,
        }
    }

    /// Moves to the next deployment that may be tried.
    pub(super) fn seek(
        &mut self,
        failed: Option<&Failure>,
        now: Instant,
        selector: &mut dyn Selector,
    ) -> Option<Rc<Deployment>> {
        self.apply_failure(failed);
        loop {
            // When a limit is reached, at any depth, everything inside its frame ends.
            let exhausted = !self.may_attempt(now);
            let frame = self.frames.last_mut()?;
            match if exhausted { None } else { frame.next() } {
                Some(Destination::Deployment(deployment)) => match self.obstacle(&deployment) {
                    None if selector.admits(self, &deployment) => return Some(deployment),
                    None => {}
                    Some(obstacle) => selector.passes_over(self, &deployment, obstacle),
                },
                Some(Destination::Node(node)) => {
                    self.frames.push(Frame::of(Rc::clone(&node), now));
                    let order = selector.order(self, &node);
                    if let Some(frame) = self.frames.last_mut() {
                        frame.order = order.into_iter();
                    }
                }
                None if !exhausted && self.takes_context_edge() => {}
                None => {
                    self.frames.pop();
                    self.apply_failure(failed);
                }
            }
        }
    }

    /// Takes the edge for inputs that are too long, if the innermost frame has one and has passed
    /// over a deployment for that reason. No attempt has failed then, but the request goes where it
    /// would go after such a failure.
    fn takes_context_edge(&mut self) -> bool {
        if self.facts.needs.context_tokens == 0 {
            return false;
        }
        let to = self.context_edge().cloned();
        match (to, self.frames.last_mut()) {
            (Some(to), Some(frame)) => {
                frame.has_taken_edge = true;
                frame.ahead = vec![to];
                true
            }
            _ => false,
        }
    }

    fn context_edge(&self) -> Option<&Destination> {
        let frame = self.frames.last().filter(|frame| !frame.has_taken_edge)?;
        let edges = frame.node.as_ref().map_or(&self.graph.settings.on, |node| &node.on);
        let (_, to) = edges.iter().find(|(on, _)| *on == ErrorClass::ContextWindow)?;
        // It may lack a feature, too. The edge can lead to a deployment that has both.
        let is_too_short = |leaf: &Deployment| {
            leaf.capabilities.lacks_context(&self.facts).is_some()
                && matches!(self.obstacle(leaf), Some(Obstacle::Lacks(_)))
        };
        let mut targets = frame.node.as_ref().or(self.entry.as_ref())?.targets.iter();
        targets.any(|target| target.weight > 0.0 && target.leads_to(&is_too_short)).then_some(to)
    }

    /// Counts an attempt against the limits of all frames.
    pub fn count_attempt(&mut self) {
        for frame in &mut self.frames {
            frame.attempts_left = frame.attempts_left.saturating_sub(1);
        }
    }

    /// Excludes this deployment from the rest of the walk.
    pub fn forbid(&mut self, deployment: &Deployment) {
        self.tried.push(deployment.id);
    }

    /// Excludes every deployment that shares its storage with this one.
    pub fn forbid_storage_of(&mut self, deployment: &Deployment) {
        let sharing = self.graph.deployments.iter().filter(|other| other.shares_storage_with(deployment));
        self.tried.extend(sharing.map(|other| other.id));
    }

    /// Whether the limits of all frames allow one more attempt at time `at`.
    pub fn may_attempt(&self, at: Instant) -> bool {
        self.frames.iter().all(|frame| frame.attempts_left > 0) && at < self.deadline()
    }

    /// The earliest deadline of all frames.
    pub fn deadline(&self) -> Instant {
        self.frames.iter().map(|frame| frame.deadline).min().unwrap_or_default()
    }

    /// Whether the document itself asks to repeat a request after this failure: with an edge for
    /// its class, or with `retry.on`.
    pub fn may_repeat(&self, failure: &Failure) -> bool {
        let settings = &self.graph.settings;
        let mut edges = self.nodes().map(|node| &node.on).chain([&settings.on]).flatten();
        let retry = self.retry().filter(|retry| retry.states_on);
        edges.any(|(on, _)| *on == failure.class)
            || retry.is_some_and(|retry| retry.on.contains(failure.class, failure.status))
    }

    /// How long the client waits, and when that ends, if it says so. Like the deadline, it begins
    /// with the arrival of the request.
    pub fn patience(&self) -> Option<Patience> {
        let ms = self.facts.patience_ms?;
        Some(Patience { ms, ends_at: self.started_at + (ms - self.facts.upload_ms) })
    }

    /// `retry` of the nearest node that has one, or of `settings`.
    pub fn retry(&self) -> Option<Retry> {
        self.nodes()
            .find_map(|node| node.policy.retry.clone())
            .or_else(|| self.graph.settings.policy.retry.clone())
    }

    /// `commit` of the nearest node that has one, or of `settings`, or the default.
    pub fn commit(&self) -> Commit {
        self.nodes()
            .find_map(|node| node.policy.commit)
            .or(self.graph.settings.policy.commit)
            .unwrap_or(Commit::FirstToken)
    }

    /// The kind of answer that an attempt waits for until its commit point.
    pub fn answer_kind(&self) -> AnswerKind {
        let is_begun_early = self.facts.is_streamed && self.commit() != Commit::Complete;
        if is_begun_early { AnswerKind::Stream } else { AnswerKind::Whole }
    }

    /// `hedge` of the nearest node that has one, with that node and its index in `frames`. If no
    /// node has one, `hedge` of `settings`, for the innermost node.
    pub fn hedging(&self) -> Option<(usize, &Rc<Node>, Hedge)> {
        let of_node = |(depth, frame): (usize, &Frame)| Some((depth, frame.node.as_ref()?.policy.hedge?));
        let innermost = || Some((self.frames.len().checked_sub(1)?, self.graph.settings.policy.hedge?));
        let (depth, hedge) = self.frames.iter().enumerate().rev().find_map(of_node).or_else(innermost)?;
        Some((depth, self.frames.get(depth)?.node.as_ref()?, hedge))
    }

    /// `sticky` of the nearest node that has one, or of `settings`.
    pub(super) fn sticky(&self) -> Option<&Sticky> {
        let nearest = self.nodes().find_map(|node| node.policy.sticky.as_ref());
        nearest.or(self.graph.settings.policy.sticky.as_ref())
    }

    /// `when_all_ejected` of the nearest node that has one, or of `settings`, or the default.
    pub(super) fn when_all_ejected(&self) -> WhenAllEjected {
        let nearest = self.nodes().find_map(|node| node.policy.when_all_ejected);
        nearest.or(self.graph.settings.policy.when_all_ejected).unwrap_or_default()
    }

    /// For each phase: the limit of the nearest node that has one, or of the deployment, or of
    /// `settings`.
    pub fn timeouts(&self, deployment: &Deployment) -> Timeouts {
        self.nodes()
            .fold(Timeouts::default(), |nearest, node| nearest.or(node.policy.timeout))
            .or(deployment.timeout)
            .or(self.graph.settings.policy.timeout)
    }

    /// The same order, but targets that lead to the owner of the stored object come first. Returns
    /// their number, too.
    pub(super) fn owner_first(&self, node: &Node, order: Vec<usize>) -> (Vec<usize>, usize) {
        let Some(owner) = self.facts.owner.and_then(|id| self.graph.deployments.get(id)) else {
            return (order, 0);
        };
        let (mut first, mut then): (Vec<usize>, Vec<usize>) = order.into_iter().partition(|index| {
            let target = node.targets.get(*index);
            target.is_some_and(|target| target.leads_to(&|leaf| leaf.shares_storage_with(owner)))
        });
        let owners = first.len();
        first.append(&mut then);
        (first, owners)
    }

    /// The number of nodes around the current target.
    pub(super) fn depth(&self) -> usize {
        self.frames.len().saturating_sub(1)
    }

    /// Whether an edge of the innermost of so many frames leads to the current target.
    pub(super) fn is_at_edge(&self, frames: usize) -> bool {
        let frame = frames.checked_sub(1).and_then(|last| self.frames.get(last));
        frame.is_some_and(|frame| frame.has_taken_edge && frame.order.len() == 0)
    }

    /// The node that the walk has just entered, for an explanation.
    pub(super) fn entered(&self, order: &[usize], notes: OrderNotes, owners: usize) -> Option<EnteredNode> {
        let node = self.frames.last()?.node.clone()?;
        let obstacle = |(index, _): &(usize, LeftOut)| match &node.targets.get(*index)?.to {
            Destination::Deployment(deployment) => Some((*index, self.obstacle(deployment)?)),
            Destination::Node(_) => None,
        };
        let unusable = notes.left_out.iter().filter(|(_, why)| *why == LeftOut::Unusable);
        let obstacles = unusable.filter_map(obstacle).collect();
        let (depth, outer) = (self.depth().saturating_sub(1), self.frames.len().saturating_sub(1));
        let is_entry = outer == 1 && self.entry.as_ref().is_some_and(|entry| Rc::ptr_eq(entry, &node));
        let is_edge = !is_entry && self.is_at_edge(outer);
        let order = order.to_vec();
        Some(EnteredNode { depth, node: Rc::clone(&node), order, notes, owners, obstacles, is_edge })
    }

    /// The number of attempts that are left for the whole request.
    pub fn attempts_left(&self) -> u32 {
        self.frames.first().map_or(0, |frame| frame.attempts_left)
    }

    /// The nodes of the frames, innermost first.
    fn nodes(&self) -> impl Iterator<Item = &Rc<Node>> {
        self.frames.iter().rev().filter_map(|frame| frame.node.as_ref())
    }

    /// Applies a failure to the frames, innermost first. Leaves the frames that cannot handle it.
    pub(super) fn apply_failure(&mut self, failed: Option<&Failure>) {
        let Some(failure) = failed else { return };
        let Failure { class, status, is_unknown_object, .. } = *failure;
        while let Some(frame) = self.frames.last_mut() {
            let edges = frame.node.as_ref().map_or(&self.graph.settings.on, |node| &node.on);
            if is_unknown_object {
                // This is not a failure of the target: the deployment does not own the stored
                // object. The walk searches for it at the other targets first, then at the targets
                // of all edges, for any error class.
                if frame.ahead.is_empty() && frame.order.len() == 0 && !frame.has_taken_edge {
                    frame.has_taken_edge = true;
                    frame.ahead = edges.iter().rev().map(|(_, to)| to.clone()).collect();
                }
                if !frame.ahead.is_empty() || frame.order.len() > 0 {
                    return;
                }
                self.frames.pop();
                continue;
            }
            if let Some((_, to)) = edges.iter().find(|(on, _)| *on == class && !frame.has_taken_edge) {
                frame.has_taken_edge = true;
                frame.order = Vec::new().into_iter();
                frame.ahead = vec![to.clone()];
                return;
            }
            if self.falls_back_on(class, status) {
                return;
            }
            self.frames.pop();
        }
    }

    /// Whether the innermost frame may try its next target after this failure: the nearest
    /// `fallback_on` decides.
    pub(super) fn falls_back_on(&self, class: ErrorClass, status: Option<u16>) -> bool {
        let nearest = self.nodes().find_map(|node| node.policy.fallback_on.as_ref());
        nearest.or(self.graph.settings.policy.fallback_on.as_ref()).map_or_else(
            || class.is_curable_elsewhere(),
            |triggers: &Triggers| triggers.contains(class, status),
        )
    }
}

impl Frame {
    fn of_settings() -> Self {
        Self {
            node: None,
            ahead: Vec::new(),
            order: Vec::new().into_iter(),
            has_taken_edge: false,
            attempts_left: u32::MAX,
            deadline: Instant::MAX,
        }
    }

    /// The frame of a node that is entered now. Its targets are not in order yet.
    pub(super) fn of(node: Rc<Node>, now: Instant) -> Self {
        Self {
            attempts_left: node.max_attempts.unwrap_or(u32::MAX),
            deadline: node.deadline_ms.map_or(Instant::MAX, |deadline_ms| now + deadline_ms),
            node: Some(node),
            ..Self::of_settings()
        }
    }

    fn next(&mut self) -> Option<Destination> {
        self.ahead.pop().or_else(|| {
            let index = self.order.next()?;
            self.node.as_ref()?.targets.get(index).map(|target| target.to.clone())
        })
    }
}
