//! Why no deployment may be tried: the explanation for the client.

use std::rc::Rc;

use super::obstacle::Obstacle;
use super::position::{Frame, Walk};
use crate::health::Health;
use crate::routes::graph::{Destination, Graph, Node, Strategy, Target};
use crate::vocabulary::facts::Facts;
use crate::vocabulary::time::Instant;

/// The distinct reasons why no deployment below `entry` may be tried, for the error message. It
/// follows every path. Only requests that find no deployment run it.
pub fn obstacles(
    graph: &Rc<Graph>,
    facts: &Rc<Facts>,
    entry: &Rc<Node>,
    health: &Health,
    now: Instant,
) -> Vec<Obstacle> {
    let mut walk = Walk::of(Rc::clone(graph), Rc::clone(facts), Vec::new());
    let mut found = Vec::new();
    walk.explore(&Destination::Node(Rc::clone(entry)), health, now, &mut found);
    found
}

impl Walk {
    fn explore(&mut self, at: &Destination, health: &Health, now: Instant, found: &mut Vec<Obstacle>) {
        match at {
            Destination::Deployment(deployment) => {
                let ejected = || self.refusal(deployment, health, now).map(Obstacle::of);
                let mut note = |obstacle| {
                    if !found.contains(&obstacle) {
                        found.push(obstacle);
                    }
                };
                match self.obstacle(deployment).or_else(ejected) {
                    // The client learns of everything at once.
                    Some(Obstacle::Lacks(_)) => {
                        deployment.capabilities.lacks(&self.facts).map(Obstacle::Lacks).for_each(note);
                    }
                    Some(obstacle) => note(obstacle),
                    None => {}
                }
            }
            Destination::Node(node) => {
                self.frames.push(Frame::of(Rc::clone(node), Instant::EPOCH));
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
