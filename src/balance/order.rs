//! Strategies: from a node, a request and some randomness to the order in which targets are tried.
//!
//! Every strategy yields an order, never a single choice, so fallback works below each of them alike. Targets that may
//! not be used are left out before anything is drawn, so that shares are right among what is left: of 70, 20 and 10
//! without the first, two thirds and one third remain.

use std::cell::Cell;
use std::collections::BTreeSet;

use super::nearest::distance_km;
use crate::request::facts::Facts;
use crate::rng::Rng;
use crate::routes::graph::{Deployment, Destination, Node, Strategy, Target};

/// Output tokens that a request is priced with where it names no limit.
const USUAL_OUTPUT_TOKENS: u64 = 500;

/// More nodes than a routes document of any sensible size has. Nodes beyond it have no cursor, and take turns no more.
const MOST_CURSORS: usize = 1 << 20;

/// Cursors start below this: far above the number of a node's targets, so that each of them is as likely to be first,
/// and small enough for a word of wasm32.
const START_BELOW: usize = 1 << 30;

/// Whose turn it is at the nodes that take turns: one isolate's memory, by `Node::id`.
///
/// Each isolate counts for itself and starts anywhere, so that many of them do not march in step.
#[derive(Debug)]
pub struct Cursors(Vec<Cell<usize>>);

impl Cursors {
    /// Cursors for a graph of that many nodes ([`crate::routes::graph::Graph::node_count`]).
    pub fn new(node_count: usize, rng: &mut dyn Rng) -> Self {
        Self((0..node_count.min(MOST_CURSORS)).map(|_| Cell::new(rng.below(START_BELOW))).collect())
    }

    /// The next turn of a node: one more than the last. Always 0 of a node that the graph does not have.
    fn turn(&self, node: usize) -> usize {
        self.0.get(node).map_or(0, |next| next.replace(next.get().wrapping_add(1)))
    }
}

/// A target with its index in the node.
type Candidate<'a> = (usize, &'a Target);

/// The order in which the targets of `node` are to be tried: indices into `node.targets`, each at most once.
///
/// `usable` says of a target, of this node or of one below it, whether it may be used at all (policy, failed already,
/// disabled, …). What it refuses is left out, and so are targets of weight 0, whatever the strategy. Empty if nothing
/// is left.
///
/// - `priority`: lower numbers first; equal ones are a tier, ordered by weighted draws.
/// - `weighted`: a draw by weight, and again among what is left.
/// - `latency`, `least_busy`: as `weighted`, because nothing here knows the health of deployments.
/// - `round_robin`: from the target whose turn it is onwards.
/// - `random`: every order is as likely.
/// - `match`: the target of the first condition that holds and no other; nothing if that one is not usable.
/// - `cost`: by the price of this request (its input, and the output that it allows or 500 tokens), cheapest first.
/// - `nearest`: by the distance from the request to the deployment's region ([`distance_km`]).
///
/// For the last two, a node counts as the best of the usable deployments below it; a target without a known price or
/// distance comes last, and equals keep the order of the document.
pub fn order(
    node: &Node,
    facts: &Facts,
    usable: &dyn Fn(&Target) -> bool,
    cursors: &Cursors,
    rng: &mut dyn Rng,
) -> Vec<usize> {
    let takes_traffic = |target: &Target| target.weight > 0.0 && usable(target);
    let mut order: Vec<Candidate> =
        node.targets.iter().enumerate().filter(|(_, target)| takes_traffic(target)).collect();
    match &node.strategy {
        Strategy::Priority => {
            order.sort_by_key(|(_, target)| target.priority);
            for tier in order.chunk_by_mut(|(_, a), (_, b)| a.priority == b.priority) {
                draw(tier, rng);
            }
        }
        Strategy::Weighted | Strategy::Latency | Strategy::LeastBusy => draw(&mut order, rng),
        Strategy::RoundRobin => {
            let turn = cursors.turn(node.id) % order.len().max(1);
            order.rotate_left(turn);
        }
        Strategy::Random => shuffle(&mut order, rng),
        Strategy::Match(cases) => {
            let case = cases.iter().position(|condition| condition.holds(facts));
            order.retain(|(index, _)| Some(*index) == case);
        }
        Strategy::Cost => {
            ascending(&mut order, |target| least(target, &takes_traffic, &|leaf| price(leaf, facts)));
        }
        Strategy::Nearest => {
            let distance = |leaf: &Deployment| distance_km(&facts.place, leaf.region.as_deref()?);
            ascending(&mut order, |target| least(target, &takes_traffic, &distance));
        }
    }
    order.into_iter().map(|(index, _)| index).collect()
}

/// Weighted draws without replacement, all at once.
///
/// Each candidate gets a finishing time from the exponential distribution with its weight as the rate; the order of
/// arrival is distributed as that of one draw after the other (Efraimidis and Spirakis 2006, "Weighted random sampling
/// with a reservoir"). Compared by their logarithms, times neither overflow nor vanish, however far apart weights are.
fn draw(candidates: &mut [Candidate], rng: &mut dyn Rng) {
    ascending(candidates, |target| (-(1.0 - rng.unit()).ln()).ln() - target.weight.ln());
}

/// Fisher and Yates.
fn shuffle(candidates: &mut [Candidate], rng: &mut dyn Rng) {
    for last in (1..candidates.len()).rev() {
        candidates.swap(last, rng.below(last + 1));
    }
}

/// Sorts by a key that is computed once for each; equals stay in order.
fn ascending(candidates: &mut [Candidate], mut key: impl FnMut(&Target) -> f64) {
    if candidates.len() < 2 {
        return;
    }
    let mut keyed: Vec<_> = candidates.iter().map(|candidate| (key(candidate.1), *candidate)).collect();
    keyed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    for (place, (_, candidate)) in candidates.iter_mut().zip(keyed) {
        *place = candidate;
    }
}

/// The least value among the deployments that a target leads to, through targets that take traffic; infinite where none
/// has a value. Nodes that many ways lead to are looked into once.
fn least(
    target: &Target,
    takes_traffic: &dyn Fn(&Target) -> bool,
    value: &dyn Fn(&Deployment) -> Option<f64>,
) -> f64 {
    let mut least = f64::INFINITY;
    let mut seen = BTreeSet::new();
    let mut pending = vec![target];
    while let Some(target) = pending.pop() {
        match &target.to {
            Destination::Deployment(deployment) => {
                least = least.min(value(deployment).unwrap_or(f64::INFINITY));
            }
            Destination::Node(node) if seen.insert(node.id) => {
                pending.extend(node.targets.iter().filter(|target| takes_traffic(target)));
            }
            Destination::Node(_) => {}
        }
    }
    least
}

/// What this request would cost there, in millionths of a dollar.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn price(deployment: &Deployment, facts: &Facts) -> Option<f64> {
    let output_tokens = facts.max_output_tokens.unwrap_or(USUAL_OUTPUT_TOKENS);
    deployment.cost.map(|cost| facts.input_tokens as f64 * cost.input + output_tokens as f64 * cost.output)
}

#[cfg(test)]
mod tests;
