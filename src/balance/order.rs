//! Strategies: the order in which the targets of a node are tried, from a request and some
//! randomness.
//!
//! Every strategy returns an order, never a single choice, so fallback works the same for all of
//! them. Targets that must not be used are left out before any draw, so the shares among the rest
//! are right: of 70, 20 and 10 without the first, two thirds and one third remain.
//!
//! Health changes an order as follows. In every strategy, a deployment that has just recovered, or
//! is short of headroom, moves behind the others in a part of the requests. `latency` and
//! `least_busy` compare deployments by their health. Ejected deployments keep their place in the
//! order, so that the walk sees which would have been used.

use std::collections::BTreeSet;
use std::ops::Range;

use super::affinity::Chance;
use super::cursors::Cursors;
use super::order_notes::{LeftOut, Measure, NoteSink, OrderNotes};
use crate::geography::distance::distance_km;
use crate::health::gate::Admission;
use crate::health::{AnswerKind, Health};
use crate::routes::graph::{Deployment, Destination, Node, Sticky, Strategy, Target};
use crate::usage::price::EXACT_IN_MICRO;
use crate::vocabulary::facts::Facts;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::rng::Rng;
use crate::vocabulary::time::Instant;
use crate::vocabulary::usage::Usage;

/// Output tokens assumed for the price of a request that names no limit.
const USUAL_OUTPUT_TOKENS: u64 = 500;

/// What an order depends on besides the node and the request.
pub struct OrderInputs<'a> {
    /// The time of the request.
    pub now: Instant,
    /// The kind of answer that the request waits for.
    pub kind: AnswerKind,
    /// Randomness for draws.
    pub rng: &'a mut dyn Rng,
    /// The next turns of round-robin nodes.
    pub cursors: &'a Cursors,
    /// What is known of the deployments.
    pub health: &'a Health,
    /// Where the reasons for the order are noted, for an explanation.
    pub notes: Option<&'a mut OrderNotes>,
}

/// A target with its index in the node.
type Candidate<'a> = (usize, &'a Target);

/// The purposes of numbers from [`Chance`].
const DRAW: u64 = 1;
const STEP_BACK: u64 = 2;

/// The order in which the targets of `node` are tried: indices into `node.targets`, each at most
/// once.
///
/// `usable` says whether a target, of this node or of one below it, may be used at all (policy,
/// failed already, disabled, …). Targets that it refuses are left out, and so are targets of
/// weight 0, in every strategy. The order is empty if nothing is left.
///
/// - `priority`: lower numbers first. Equal ones are a tier, ordered by weighted draws.
/// - `weighted`: a draw by weight, then another one among the rest, and so on.
/// - `round_robin`: starts at the target whose turn it is.
/// - `random`: every order is equally likely.
/// - `latency`: two targets are picked at random, and the one with the shorter wait
///   ([`Health::score`], for this kind of answer) comes first; then the others, shortest wait
///   first. A deployment without measurements of this kind counts as fast as the fastest, and one
///   that is due for a probe as faster.
/// - `least_busy`: fewest requests in flight first; equal ones by weighted draws.
/// - `match`: only the target of the first condition that holds; nothing if that target is not
///   usable.
/// - `cost`: the price of this request (its input, and the output that it allows or 500 tokens; an
///   image; a minute of audio), cheapest first.
/// - `nearest`: the distance from the request to the deployment's region ([`distance_km`]), nearest
///   first.
///
/// For `latency`, `least_busy`, `cost` and `nearest` a node counts as the best of the usable
/// deployments below it that are not ejected. A target without a known price or distance comes
/// last. Equal targets keep the order of the document.
///
/// `sticky` takes the draws of a request from its affinity key. It replaces `round_robin`,
/// `random`, `latency` and `least_busy` by draws by weight.
pub fn order(
    node: &Node,
    facts: &Facts,
    sticky: Option<&Sticky>,
    usable: &dyn Fn(&Target) -> bool,
    inputs: &mut OrderInputs<'_>,
) -> Vec<usize> {
    let view = CandidateView { health: inputs.health, facts, usable, kind: inputs.kind, now: inputs.now };
    let eligible = match &node.strategy {
        Strategy::Match(cases) => cases.first(facts).map_or(0..0, |case| case..case + 1),
        _ => 0..node.targets.len(),
    };
    let mut notes: NoteSink<'_> = inputs.notes.as_deref_mut();
    if let Some(notes) = &mut notes {
        notes.left_out = view.left_out(node, &eligible);
    }
    let eligible = node.targets.iter().enumerate().take(eligible.end).skip(eligible.start);
    let mut order: Vec<Candidate> = eligible.filter(|(_, target)| view.takes_traffic(target)).collect();
    let mut chance = Chance::of(sticky, facts, inputs.now, inputs.rng);
    let is_sticky = chance.is_sticky();
    if let Some(notes) = &mut notes {
        notes.is_sticky = is_sticky;
    }
    match &node.strategy {
        Strategy::Priority => {
            if !order.is_sorted_by_key(|(_, target)| target.priority) {
                ascending(&mut order, &mut |target| f64::from(target.priority), None);
            }
            note_each(&mut notes, &order, |target| Measure::Priority(target.priority));
            for tier in order.chunk_by_mut(|(_, a), (_, b)| a.priority == b.priority) {
                draw(tier, &mut chance, &mut notes);
            }
        }
        Strategy::Weighted => draw(&mut order, &mut chance, &mut notes),
        Strategy::RoundRobin | Strategy::Random | Strategy::Latency | Strategy::LeastBusy if is_sticky => {
            draw(&mut order, &mut chance, &mut notes);
        }
        Strategy::RoundRobin => {
            let turn = inputs.cursors.turn(node.id) % order.len().max(1);
            order.rotate_left(turn);
            note_each(&mut notes, &order, |_| Measure::Turn);
        }
        Strategy::Random => {
            shuffle(&mut order, chance.rng());
            note_each(&mut notes, &order, |_| Measure::Chance);
        }
        Strategy::Latency => {
            shuffle(&mut order, chance.rng());
            let shortest = view.shortest_latency(&order);
            let unknown = shortest.unwrap_or(1.0);
            // Where no latency is known, what the targets are compared by means nothing.
            let measured = sink(&mut notes, if shortest.is_some() { Measure::WaitMs } else { no_wait });
            ascending(
                &mut order,
                &mut |target| view.least(target, &|leaf| Some(view.wait(leaf, unknown))),
                measured,
            );
            better_of_two(&mut order, chance.rng(), &mut notes);
        }
        Strategy::LeastBusy => {
            draw(&mut order, &mut chance, &mut None);
            let in_flight = |leaf: &Deployment| Some(f64::from(view.health.in_flight(leaf.id, view.now)));
            let measured = sink(&mut notes, Measure::InFlight);
            ascending(&mut order, &mut |target| view.least(target, &in_flight), measured);
        }
        Strategy::Match(_) => {}
        Strategy::Cost => {
            let price = |leaf: &Deployment| price(leaf, facts);
            let measured = sink(&mut notes, Measure::PriceMicros);
            ascending(&mut order, &mut |target| view.least(target, &price), measured);
        }
        Strategy::Nearest => {
            let distance = |leaf: &Deployment| distance_km(&facts.place, leaf.region.as_deref()?);
            let measured = sink(&mut notes, Measure::DistanceKm);
            ascending(&mut order, &mut |target| view.least(target, &distance), measured);
        }
    }
    step_back(&mut order, &view, &mut chance, &mut notes);
    let is_drawn = !matches!(
        node.strategy,
        Strategy::Priority | Strategy::Cost | Strategy::Nearest | Strategy::Match(_)
    );
    if is_drawn && !is_sticky {
        move_leased_first(&mut order, &view, &mut notes);
    }
    order.into_iter().map(|(index, _)| index).collect()
}

/// What is known of targets at the time of a request.
struct CandidateView<'a> {
    health: &'a Health,
    facts: &'a Facts,
    usable: &'a dyn Fn(&Target) -> bool,
    kind: AnswerKind,
    now: Instant,
}

impl CandidateView<'_> {
    fn takes_traffic(&self, target: &Target) -> bool {
        target.weight > 0.0 && (self.usable)(target)
    }

    /// The targets that are not candidates.
    fn left_out(&self, node: &Node, eligible: &Range<usize>) -> Vec<(usize, LeftOut)> {
        let why = |(index, target): (usize, &Target)| {
            let why = match () {
                () if !eligible.contains(&index) => LeftOut::OtherCase,
                () if self.takes_traffic(target) => return None,
                () if (self.usable)(target) => LeftOut::NoWeight,
                () => LeftOut::Unusable,
            };
            Some((index, why))
        };
        node.targets.iter().enumerate().filter_map(why).collect()
    }

    fn admission(&self, deployment: &Deployment) -> Admission {
        self.health.admission(deployment.id, self.facts.operation, self.now)
    }

    /// The part of its usual traffic that a target should get, `0.0..=1.0`. For a node, it is that
    /// of the best deployment below.
    fn share(&self, target: &Target) -> f64 {
        let mut best = None;
        self.visit(target, &mut |leaf| {
            if self.admission(leaf) == Admission::Open {
                best = Some(self.health.share(leaf.id, self.now).max(best.unwrap_or(0.0)));
            }
        });
        // An ejected deployment does not move behind: the walk passes over it. A deployment that is
        // due for a probe gets it.
        best.unwrap_or(1.0)
    }

    /// How long a request would wait there, in milliseconds, for comparison. `unknown_ms` stands in
    /// for a latency that was never measured.
    fn wait(&self, deployment: &Deployment, unknown_ms: f64) -> f64 {
        if self.admission(deployment) != Admission::Open {
            return 0.0;
        }
        let in_flight = f64::from(self.health.in_flight(deployment.id, self.now));
        self.health.score(deployment.id, self.kind, self.now).unwrap_or(unknown_ms * (in_flight + 1.0))
    }

    /// The shortest known latency of the candidates.
    fn shortest_latency(&self, candidates: &[Candidate<'_>]) -> Option<f64> {
        let mut shortest = f64::INFINITY;
        for (_, target) in candidates {
            self.visit(target, &mut |leaf| {
                if let Some(score) = self.health.score(leaf.id, self.kind, self.now) {
                    shortest =
                        shortest.min(score / (f64::from(self.health.in_flight(leaf.id, self.now)) + 1.0));
                }
            });
        }
        shortest.is_finite().then_some(shortest)
    }

    /// The least value among the deployments that a target leads to and that are not ejected, else
    /// among the ejected ones. It is infinite if none has a value.
    fn least(&self, target: &Target, value: &dyn Fn(&Deployment) -> Option<f64>) -> f64 {
        let (mut least, mut of_ejected) = (f64::INFINITY, f64::INFINITY);
        self.visit(target, &mut |leaf| {
            let value = value(leaf).unwrap_or(f64::INFINITY);
            let least = if matches!(self.admission(leaf), Admission::Refused(_)) {
                &mut of_ejected
            } else {
                &mut least
            };
            *least = least.min(value);
        });
        if least.is_finite() { least } else { of_ejected }
    }

    /// Calls `look` for every deployment that a target leads to, through targets that take traffic.
    /// A node with several ways to it is visited once.
    fn visit(&self, target: &Target, look: &mut dyn FnMut(&Deployment)) {
        if let Destination::Deployment(deployment) = &target.to {
            return look(deployment);
        }
        let mut seen = BTreeSet::new();
        let mut pending = vec![target];
        while let Some(target) = pending.pop() {
            match &target.to {
                Destination::Deployment(deployment) => look(deployment),
                Destination::Node(node) if seen.insert(node.id) => {
                    pending.extend(node.targets.iter().filter(|target| self.takes_traffic(target)));
                }
                Destination::Node(_) => {}
            }
        }
    }
}

/// Moves candidates behind the others that should get less than their usual traffic, each with the
/// probability that it should not get this request. They are still there for fallback. The draws of
/// one affinity key stay the same while the share is the same. So a preferred target that recovers
/// gets some of its keys back and then more of them, and not each of them now and then.
fn step_back(
    candidates: &mut Vec<Candidate<'_>>,
    view: &CandidateView<'_>,
    chance: &mut Chance<'_>,
    notes: &mut NoteSink<'_>,
) {
    if candidates.len() < 2 {
        return;
    }
    let mut behind = Vec::new();
    candidates.retain(|candidate| {
        let share = view.share(candidate.1);
        let stays = share >= 1.0 || chance.unit(candidate.1, STEP_BACK) < share;
        if let Some(notes) = notes
            && share < 1.0
        {
            let list = if stays { &mut notes.kept } else { &mut notes.behind };
            list.push((candidate.0, share));
        }
        if !stays {
            behind.push(*candidate);
        }
        stays
    });
    candidates.append(&mut behind);
}

/// Moves a deployment to the front if only this isolate may probe it, for a short time: all
/// isolates wait for the result.
fn move_leased_first(candidates: &mut [Candidate<'_>], view: &CandidateView<'_>, notes: &mut NoteSink<'_>) {
    let is_leased = |(_, target): &Candidate<'_>| match &target.to {
        Destination::Deployment(deployment) => view.health.is_leased(deployment.id, view.now),
        Destination::Node(_) => false,
    };
    if let Some(at) = candidates.iter().position(is_leased)
        && let Some(ahead) = candidates.get_mut(..=at)
    {
        ahead.rotate_right(1);
        if let Some(notes) = notes {
            notes.leased = ahead.first().map(|(index, _)| *index);
        }
    }
}

/// Picks two candidates at random and moves the one that is further ahead to the front; the others
/// stay in order. Always taking the best would send every request of every isolate there at once
/// (Mitzenmacher 2001, "The power of two choices").
fn better_of_two(candidates: &mut [Candidate<'_>], rng: &mut dyn Rng, notes: &mut NoteSink<'_>) {
    let count = candidates.len();
    let one = rng.below(count);
    // Any candidate except that one.
    let other = (one + 1 + rng.below(count.saturating_sub(1))) % count.max(1);
    if let (Some(notes), Some((one, _)), Some((other, _))) =
        (notes, candidates.get(one.min(other)), candidates.get(one.max(other)))
        && one != other
    {
        notes.drawn = Some([*one, *other]);
    }
    if let Some(ahead) = candidates.get_mut(..=one.min(other)) {
        ahead.rotate_right(1);
    }
}

/// Weighted draws without replacement, all at once.
///
/// Each candidate gets a finishing time from the exponential distribution with its weight as the
/// rate. The order of these times has the same distribution as one draw after the other (Efraimidis
/// and Spirakis 2006, "Weighted random sampling with a reservoir"). Times are compared by their
/// logarithms, so they neither overflow nor vanish, even if weights are far apart.
fn draw(candidates: &mut [Candidate<'_>], chance: &mut Chance<'_>, notes: &mut NoteSink<'_>) {
    if candidates.len() > 1 {
        let total = || candidates.iter().map(|(_, target)| target.weight).sum::<f64>();
        note_each(notes, candidates, |target| Measure::Weight {
            weight: target.weight,
            share: target.weight / total(),
        });
    }
    let time = &mut |target: &Target| (-(1.0 - chance.unit(target, DRAW)).ln()).ln() - target.weight.ln();
    ascending(candidates, time, None);
}

/// Notes what each candidate is compared by.
fn note_each(notes: &mut NoteSink<'_>, candidates: &[Candidate<'_>], measure: impl Fn(&Target) -> Measure) {
    if let Some(notes) = notes {
        notes.measures.extend(candidates.iter().map(|(index, target)| (*index, measure(target))));
    }
}

/// Where the keys of [`ascending`] are noted, and as what.
type KeySink<'a> = Option<(&'a mut OrderNotes, fn(f64) -> Measure)>;

fn no_wait(_stand_in: f64) -> Measure {
    Measure::WaitMs(f64::INFINITY)
}

fn sink<'a>(notes: &'a mut NoteSink<'_>, measure: fn(f64) -> Measure) -> KeySink<'a> {
    notes.as_deref_mut().map(|notes| (notes, measure))
}

/// The shuffle of Fisher and Yates.
fn shuffle(candidates: &mut [Candidate<'_>], rng: &mut dyn Rng) {
    for last in (1..candidates.len()).rev() {
        candidates.swap(last, rng.below(last + 1));
    }
}

/// Sorts by a key that is computed once for each candidate; equal ones stay in order. It is an
/// insertion sort, because there are few candidates, and the standard library's sort takes as much
/// Wasm as all strategies together.
fn ascending(
    candidates: &mut [Candidate<'_>],
    key: &mut dyn FnMut(&Target) -> f64,
    mut measured: KeySink<'_>,
) {
    if candidates.len() < 2 {
        return;
    }
    let mut keyed: Vec<(f64, Candidate<'_>)> = Vec::with_capacity(candidates.len());
    for candidate in &*candidates {
        let key = key(candidate.1);
        if let Some((notes, measure)) = &mut measured {
            notes.measures.push((candidate.0, measure(key)));
        }
        let place = keyed.partition_point(|(other, _)| other.total_cmp(&key).is_le());
        keyed.insert(place, (key, *candidate));
    }
    for (place, (_, candidate)) in candidates.iter_mut().zip(keyed) {
        *place = candidate;
    }
}

/// The price of this request there, in millionths of a dollar. A quantity that its operation does
/// not have is not charged.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn price(deployment: &Deployment, facts: &Facts) -> Option<f64> {
    use Operation::{
        AudioTranscriptions, AudioTranslations, ImagesEdits, ImagesGenerations, ImagesVariations,
    };
    let (images, audio_ms) = match facts.operation {
        ImagesGenerations | ImagesEdits | ImagesVariations => (1, 0),
        AudioTranscriptions | AudioTranslations => (0, 60_000),
        _ => (0, 0),
    };
    let expected = Usage {
        input_tokens: facts.input_tokens,
        output_tokens: facts.max_output_tokens.unwrap_or(USUAL_OUTPUT_TOKENS),
        images,
        audio_ms,
        ..Usage::default()
    };
    deployment.cost.map(|price| price.exact(&expected) as f64 / EXACT_IN_MICRO)
}

#[cfg(test)]
mod tests;
