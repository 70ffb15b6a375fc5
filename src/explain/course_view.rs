//! The course of a request as plain values, which become JSON or text.

use serde::Serialize;

use crate::balance::order_notes::Measure;
use crate::vocabulary::time::{Instant, Millis};

/// What the machine does with a request whose attempts all fail.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Course {
    /// The most attempts of the request.
    pub max_attempts: u32,
    /// The most time of the request.
    pub deadline_ms: Millis,
    /// The attempts, in order.
    pub attempts: Vec<PlannedAttempt>,
    /// How the request ends after them.
    pub end: CourseEnd,
    /// The entry node, and the edges of the settings that are taken.
    pub tree: Vec<PlannedTarget>,
}

/// How a request ends if every attempt fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CourseEnd {
    /// The client gets one of the failures.
    Exhausted,
    /// Nothing may be tried.
    NoneEligible,
    /// The time of the request is over.
    DeadlineExceeded,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedAttempt {
    /// Counted from 1.
    pub number: u32,
    /// The name of the deployment.
    pub deployment: String,
    /// The id of the deployment in the graph.
    #[serde(skip)]
    pub id: usize,
    /// The names of the nodes around it, from the entry node on.
    pub path: Vec<String>,
    /// Why it is made.
    pub by: AttemptReason,
    /// Whether it is a probe of an ejected deployment.
    pub is_probe: bool,
    /// The wait before it.
    pub wait_ms: Millis,
    /// When the answer begins to flow.
    pub commit: &'static str,
    /// When it is hedged.
    pub hedge_after_ms: Option<Millis>,
    /// How long each phase may take.
    pub limits: PlannedLimits,
}

/// Why an attempt is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptReason {
    /// It is the turn of the deployment.
    Order,
    /// An edge leads to the deployment.
    Edge,
    /// The attempt before failed there, and is repeated.
    Retry,
    /// Nothing else is left: the deployment is ejected, and is the first to return.
    LastResort,
}

/// How long the phases of an attempt may take, from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PlannedLimits {
    /// Until the headers of the answer.
    pub headers: PlannedLimit,
    /// Until the first content of a stream, or the first bytes of any other answer.
    pub first_token: PlannedLimit,
    /// Until the next piece of an answer that is held.
    pub held_pause: PlannedLimit,
    /// Until the next piece of a stream that flows.
    pub flow_pause: PlannedLimit,
}

/// One limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PlannedLimit {
    /// The time; `None`: no limit.
    pub ms: Option<Millis>,
    /// What it comes from: the name of the limit.
    pub from: &'static str,
}

/// A node that the walk has entered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedNode {
    /// The strategy.
    pub strategy: &'static str,
    /// Whether the affinity key of the request decides the draws.
    pub is_sticky: bool,
    /// The targets: those in the order, then the edges that were taken, then those that are left
    /// out.
    pub targets: Vec<PlannedTarget>,
}

/// A target of a node, or of an edge.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedTarget {
    /// The name of the deployment or node.
    pub to: String,
    /// The place in the order, counted from 1; `None` for an edge, and for what is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<usize>,
    /// The error class of the edge that leads to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edge: Option<&'static str>,
    /// Why it has its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<PlaceReason>,
    /// Why it is not tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excluded: Option<Exclusion>,
    /// The numbers of the attempts there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<u32>,
    /// What the walk found inside it, if it is a node that was entered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<PlannedNode>,
}

/// A reason for a place in an order.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaceReason {
    /// What it was compared by.
    By(Measure),
    /// `match` has chosen it.
    Case,
    /// It is the faster one of two that were drawn.
    FasterOfTwo,
    /// It should get only this share of its usual traffic now, and moved behind the others.
    Behind(f64),
    /// It should get only this share of its usual traffic now, and this request is a part of that.
    Kept(f64),
    /// This isolate alone may probe it, so it comes first.
    Leased,
    /// It leads to the owner of the stored object, so it comes first.
    Owner,
}

/// Why a target is not tried.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exclusion {
    /// A name for programs.
    pub kind: &'static str,
    /// The same for people.
    pub why: String,
    /// When it may be back, if time ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Instant>,
}
