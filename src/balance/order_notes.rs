//! Why the targets of a node are in their order: what a strategy notes for an explanation.
//!
//! A request that is served notes nothing.

use serde::Serialize;

/// Why the targets of a node are in their order. A target is its index in the node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OrderNotes {
    /// Whether the draws come from the affinity key of the request.
    pub is_sticky: bool,
    /// What the targets were compared by.
    pub measures: Vec<(usize, Measure)>,
    /// The targets that are not in the order.
    pub left_out: Vec<(usize, LeftOut)>,
    /// The targets that moved behind the others, with the share of their usual traffic that they
    /// should get.
    pub behind: Vec<(usize, f64)>,
    /// The targets that kept their place in this draw, with the share of their usual traffic that
    /// they should get.
    pub kept: Vec<(usize, f64)>,
    /// The two targets that `latency` has drawn, the faster one first.
    pub drawn: Option<[usize; 2]>,
    /// The target that came first because this isolate alone may probe it.
    pub leased: Option<usize>,
}

/// What a target is compared by. A value is infinite if it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// `priority`: the tier.
    Priority(u32),
    /// A draw by weight.
    Weight {
        /// The weight.
        weight: f64,
        /// Its part of the weights of all that took part in the draw.
        share: f64,
    },
    /// `round_robin`: the targets take turns.
    Turn,
    /// `random`: a draw in which all are equal.
    Chance,
    /// `latency`: the expected wait in milliseconds.
    WaitMs(f64),
    /// `least_busy`: the number of requests in flight.
    InFlight(f64),
    /// `cost`: the price of the request in millionths of a dollar.
    PriceMicros(f64),
    /// `nearest`: the distance in kilometres.
    DistanceKm(f64),
}

/// Why a target is not in an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// Its weight is 0.
    NoWeight,
    /// `match` has chosen another one.
    OtherCase,
    /// It may not be used.
    Unusable,
}

/// Where a strategy notes its reasons; `None`: nowhere.
pub(super) type NoteSink<'a> = Option<&'a mut OrderNotes>;
