//! Makes a tree of what a walk has noted: each node that it entered, with its targets.

use std::rc::Rc;

use super::course_view::{AttemptReason, Exclusion, PlaceReason, PlannedNode, PlannedTarget};
use crate::attempt::walk::Obstacle;
use crate::attempt::walk_notes::{ChosenBy, EnteredNode, WalkNote};
use crate::balance::order_notes::{LeftOut, OrderNotes};
use crate::routes::graph::{Deployment, Destination, Graph, Node, Strategy};
use crate::vocabulary::error_class::ErrorClass;

/// The tree while it grows.
pub struct CourseBuilder {
    /// The edges of the settings.
    edges: Vec<(ErrorClass, Destination)>,
    /// The nodes in the order in which the walk entered them. The first one stands for the
    /// settings, whose only target is the entry node.
    visits: Vec<Visit>,
    /// The nodes around the current target, as indices of visits.
    stack: Vec<usize>,
    /// What was chosen for the attempt that follows.
    chosen: Option<Choice>,
    /// The target of the latest attempt.
    latest: Option<Choice>,
}

/// A node that the walk has entered.
struct Visit {
    /// The visit of the node around it.
    outer: Option<usize>,
    node: Option<Rc<Node>>,
    is_sticky: bool,
    targets: Vec<VisitTarget>,
}

struct VisitTarget {
    to: Destination,
    place: Option<usize>,
    edge: Option<ErrorClass>,
    because: Vec<PlaceReason>,
    excluded: Option<Exclusion>,
    attempts: Vec<u32>,
    /// The visit of the node that it leads to.
    inner: Option<usize>,
}

/// A target that was chosen.
#[derive(Clone, Copy)]
struct Choice {
    visit: usize,
    target: usize,
    by: AttemptReason,
    is_probe: bool,
}

impl CourseBuilder {
    /// The tree of a walk that begins at `entry`.
    pub fn new(graph: &Graph, entry: &Rc<Node>) -> Self {
        let mut first = VisitTarget::of(Destination::Node(Rc::clone(entry)));
        first.place = Some(1);
        let settings = Visit { outer: None, node: None, is_sticky: false, targets: vec![first] };
        Self {
            edges: graph.settings.on.clone(),
            visits: vec![settings],
            stack: vec![0],
            chosen: None,
            latest: None,
        }
    }

    /// Adds what the walk has noted in a step.
    pub fn take(&mut self, notes: impl Iterator<Item = WalkNote>) {
        for note in notes {
            match note {
                WalkNote::Entered(entered) => self.enter(entered),
                WalkNote::PassedOver { depth, deployment, obstacle, is_edge } => {
                    if let Some((visit, target)) = self.at(depth, &deployment, is_edge) {
                        self.exclude(visit, target, exclusion(&obstacle, &deployment));
                    }
                }
                WalkNote::Chosen { path, deployment, is_probe, by } => {
                    self.refuse_chosen();
                    let place = match by {
                        ChosenBy::LastResort => self.passed_over(&deployment, &path),
                        ChosenBy::Order | ChosenBy::Edge => {
                            self.at(path.len(), &deployment, by == ChosenBy::Edge)
                        }
                    };
                    let by = match by {
                        ChosenBy::Order => AttemptReason::Order,
                        ChosenBy::Edge => AttemptReason::Edge,
                        ChosenBy::LastResort => AttemptReason::LastResort,
                    };
                    self.chosen = place.map(|(visit, target)| Choice { visit, target, by, is_probe });
                }
            }
        }
    }

    /// The attempt that follows the latest choice begins. Returns why it is made, whether it is a
    /// probe, and the names of the nodes around it.
    pub fn dispatched(&mut self, number: u32) -> (AttemptReason, bool, Vec<String>) {
        let choice = match (self.chosen.take(), self.latest) {
            (Some(chosen), _) => chosen,
            // Nothing was chosen anew: the same deployment again.
            (None, Some(latest)) => Choice { by: AttemptReason::Retry, is_probe: false, ..latest },
            (None, None) => return (AttemptReason::Order, false, Vec::new()),
        };
        self.latest = Some(choice);
        if let Some(target) = self.target(choice.visit, choice.target) {
            target.attempts.push(number);
        }
        (choice.by, choice.is_probe, self.path(choice.visit))
    }

    /// The tree of all notes.
    pub fn tree(mut self) -> Vec<PlannedTarget> {
        self.refuse_chosen();
        self.visits.first().map(|settings| self.targets(settings)).unwrap_or_default()
    }

    /// What was chosen got no attempt: nothing else prevents one.
    fn refuse_chosen(&mut self) {
        let Some(Choice { visit, target, .. }) = self.chosen.take() else { return };
        let why = "the retry budget of its node is used up".to_owned();
        self.exclude(visit, target, Exclusion { kind: "retry_budget", why, until: None });
    }

    fn enter(&mut self, entered: EnteredNode) {
        let EnteredNode { depth, node, order, notes, owners, obstacles, is_edge } = entered;
        let outer = self.stack.get(depth).copied();
        let inner = self.visits.len();
        let to = Destination::Node(Rc::clone(&node));
        if let Some(outer) = outer {
            let target = self.target_to(outer, &to, is_edge);
            if let Some(target) = target.and_then(|target| self.target(outer, target)) {
                let known = *target.inner.get_or_insert(inner);
                self.stack.truncate(depth + 1);
                self.stack.push(known);
                if known != inner {
                    return;
                }
            }
        }
        let mut targets: Vec<VisitTarget> = Vec::with_capacity(node.targets.len());
        for (place, index) in order.iter().enumerate() {
            let Some(target) = node.targets.get(*index) else { continue };
            let mut target = VisitTarget::of(target.to.clone());
            target.place = Some(place + 1);
            target.because = because(&node, *index, &notes, place < owners);
            targets.push(target);
        }
        for (index, why) in &notes.left_out {
            let Some(target) = node.targets.get(*index) else { continue };
            let mut target = VisitTarget::of(target.to.clone());
            let obstacle = obstacles.iter().find(|(place, _)| place == index);
            target.excluded = match (why, obstacle, &target.to) {
                (LeftOut::Unusable, Some((_, obstacle)), Destination::Deployment(deployment)) => {
                    Some(exclusion(obstacle, deployment))
                }
                (LeftOut::NoWeight, ..) => Some(Exclusion::new("no_weight", "its weight is 0")),
                _ => Some(Exclusion::new("other_case", "`match` chooses another target")),
            };
            targets.push(target);
        }
        self.visits.push(Visit { outer, node: Some(node), is_sticky: notes.is_sticky, targets });
    }

    /// The target that leads to this deployment, in the node at this depth.
    fn at(&mut self, depth: usize, to: &Rc<Deployment>, is_edge: bool) -> Option<(usize, usize)> {
        self.stack.truncate(depth + 1);
        let visit = self.stack.get(depth).copied()?;
        let target = self.target_to(visit, &Destination::Deployment(Rc::clone(to)), is_edge)?;
        Some((visit, target))
    }

    /// The first target in order that leads there and that nothing is known of yet. After a last
    /// resort the walk may come to the same target again. The target of an edge is added.
    fn target_to(&mut self, visit: usize, to: &Destination, is_edge: bool) -> Option<usize> {
        let settings = &self.edges;
        let found = self.visits.get_mut(visit)?;
        let is_it = |target: &VisitTarget| target.place.is_some() && is_same(&target.to, to);
        let place = |is_wanted: &dyn Fn(&VisitTarget) -> bool| {
            found.targets.iter().position(|target| is_it(target) && is_wanted(target))
        };
        if !is_edge && let Some(place) = place(&VisitTarget::is_open).or_else(|| place(&|_| true)) {
            return Some(place);
        }
        let edges = found.node.as_ref().map_or(settings, |node| &node.on);
        let edge = edges.iter().find(|(_, known)| is_same(known, to)).map(|(class, _)| *class);
        found.targets.push(VisitTarget { edge, ..VisitTarget::of(to.clone()) });
        Some(found.targets.len() - 1)
    }

    /// The target that leads to this deployment, was passed over because it is ejected, and has
    /// these nodes around it. The walk returns to it.
    fn passed_over(&mut self, deployment: &Rc<Deployment>, path: &[Rc<Node>]) -> Option<(usize, usize)> {
        let to = Destination::Deployment(Rc::clone(deployment));
        let is_it = |target: &VisitTarget| {
            is_same(&target.to, &to) && target.excluded.as_ref().is_some_and(|found| found.kind == "ejected")
        };
        let mut found = self.visits.iter().enumerate().filter_map(|(visit, found)| {
            let stack = self.around(visit);
            let nodes = stack.iter().filter_map(|visit| self.visits.get(*visit)?.node.as_ref());
            let is_here = nodes.map(Rc::as_ptr).eq(path.iter().map(Rc::as_ptr));
            let target = if is_here { found.targets.iter().position(is_it) } else { None };
            Some((stack, visit, target?))
        });
        let (stack, visit, target) = found.next()?;
        self.stack = stack;
        Some((visit, target))
    }

    /// The visits around a visit, outermost first, and the visit itself.
    fn around(&self, visit: usize) -> Vec<usize> {
        let outer = |visit: &usize| self.visits.get(*visit).and_then(|visit| visit.outer);
        let mut stack: Vec<usize> = std::iter::successors(Some(visit), outer).collect();
        stack.reverse();
        stack
    }

    fn exclude(&mut self, visit: usize, target: usize, why: Exclusion) {
        if let Some(target) = self.target(visit, target).filter(|target| target.attempts.is_empty()) {
            target.excluded.get_or_insert(why);
        }
    }

    fn target(&mut self, visit: usize, target: usize) -> Option<&mut VisitTarget> {
        self.visits.get_mut(visit)?.targets.get_mut(target)
    }

    fn path(&self, visit: usize) -> Vec<String> {
        let around = self.around(visit);
        let nodes = around.iter().filter_map(|visit| self.visits.get(*visit)?.node.as_ref());
        nodes.map(|node| node.name.clone()).collect()
    }

    /// The targets of a node. A walk enters nodes only as deep as they are nested, so this does not
    /// recurse deeper than that.
    fn targets(&self, visit: &Visit) -> Vec<PlannedTarget> {
        let planned = |target: &VisitTarget| PlannedTarget {
            to: match &target.to {
                Destination::Deployment(deployment) => deployment.name.clone(),
                Destination::Node(node) => node.name.clone(),
            },
            place: target.place,
            edge: target.edge.map(ErrorClass::name),
            because: target.because.clone(),
            excluded: target.excluded.clone(),
            attempts: target.attempts.clone(),
            node: target.inner.and_then(|inner| self.visits.get(inner)).and_then(|inner| self.node(inner)),
        };
        visit.targets.iter().map(planned).collect()
    }

    fn node(&self, visit: &Visit) -> Option<PlannedNode> {
        let strategy = visit.node.as_ref()?.strategy.name();
        Some(PlannedNode { strategy, is_sticky: visit.is_sticky, targets: self.targets(visit) })
    }
}

impl VisitTarget {
    fn of(to: Destination) -> Self {
        Self {
            to,
            place: None,
            edge: None,
            because: Vec::new(),
            excluded: None,
            attempts: Vec::new(),
            inner: None,
        }
    }

    /// Whether nothing has happened to it.
    fn is_open(&self) -> bool {
        self.excluded.is_none() && self.attempts.is_empty() && self.inner.is_none()
    }
}

impl Exclusion {
    fn new(kind: &'static str, why: &str) -> Self {
        Self { kind, why: why.to_owned(), until: None }
    }
}

fn is_same(one: &Destination, other: &Destination) -> bool {
    match (one, other) {
        (Destination::Deployment(one), Destination::Deployment(other)) => one.id == other.id,
        (Destination::Node(one), Destination::Node(other)) => Rc::ptr_eq(one, other),
        _ => false,
    }
}

/// Why a target has its place.
fn because(node: &Node, index: usize, notes: &OrderNotes, is_owner: bool) -> Vec<PlaceReason> {
    let case = matches!(node.strategy, Strategy::Match(_)).then_some(PlaceReason::Case);
    let measured = notes.measures.iter().filter(|(target, _)| *target == index);
    let drawn = notes.drawn.filter(|[faster, _]| *faster == index).map(|_| PlaceReason::FasterOfTwo);
    let behind = notes.behind.iter().find(|(target, _)| *target == index);
    let kept = notes.kept.iter().find(|(target, _)| *target == index);
    let leased = notes.leased.filter(|target| *target == index).map(|_| PlaceReason::Leased);
    let owner = is_owner.then_some(PlaceReason::Owner);
    case.into_iter()
        .chain(measured.map(|(_, measure)| PlaceReason::By(*measure)))
        .chain(drawn)
        .chain(behind.map(|(_, share)| PlaceReason::Behind(*share)))
        .chain(kept.map(|(_, share)| PlaceReason::Kept(*share)))
        .chain(leased)
        .chain(owner)
        .collect()
}

fn exclusion(obstacle: &Obstacle, deployment: &Deployment) -> Exclusion {
    let why = match (obstacle, &deployment.disabled) {
        (Obstacle::Disabled, Some(disabled)) => {
            format!("the variable {} is not set, or its value is of no use", disabled.variable)
        }
        _ => obstacle.to_string(),
    };
    let until = match obstacle {
        Obstacle::Ejected { until, .. } => *until,
        _ => None,
    };
    Exclusion { kind: obstacle.kind(), why, until }
}
