//! How many further attempts the requests of a node may make in one isolate. A retry budget limits
//! retries and fallbacks. A share of the requests limits hedges.
//!
//! Gates stop traffic to a deployment that is down, but only after failures. When no deployment is
//! healthy, every further attempt adds load and makes the outage worse.

use std::collections::BTreeMap;

use crate::health::retry_budget::RetryBudget;
use crate::health::ring::Ring;
use crate::routes::graph::Node;
use crate::vocabulary::time::{Instant, Millis};

/// The length of one bucket. Ten buckets are the window in which hedges are counted.
const BUCKET_MS: Millis = Millis::new(6_000);

/// The budgets of the nodes of a graph, by `Node::id`. An entry is created at its first use,
/// because most nodes are inner nodes: no request enters the graph there, and they are not hedged.
#[derive(Debug, Clone, Default)]
pub struct AttemptBudgets(BTreeMap<usize, NodeBudgets>);

#[derive(Debug, Clone)]
struct NodeBudgets {
    retries: RetryBudget,
    hedgeable: Ring,
    hedges: Ring,
}

impl AttemptBudgets {
    /// Counts a request that enters the graph at `entry`.
    pub fn on_request(&mut self, entry: &Node, now: Instant) {
        self.of(entry).retries.deposit(now);
    }

    /// Whether a request that entered at `entry` may make a further attempt. If so, counts it.
    pub fn try_retry(&mut self, entry: &Node, now: Instant) -> bool {
        self.of(entry).retries.try_withdraw(now)
    }

    /// Counts an attempt that `node` allows to hedge.
    pub fn on_hedgeable_attempt(&mut self, node: &Node, now: Instant) {
        self.of(node).hedgeable.add(1, now);
    }

    /// Whether one of these attempts may be hedged now, if at most `max_share` of them may be
    /// hedged within a minute. If so, counts the hedge.
    pub fn try_hedge(&mut self, node: &Node, max_share: f64, now: Instant) -> bool {
        let budgets = self.of(node);
        let allowed = max_share * f64::from(budgets.hedgeable.sum(now));
        let is_allowed = f64::from(budgets.hedges.sum(now)) + 1.0 <= allowed;
        if is_allowed {
            budgets.hedges.add(1, now);
        }
        is_allowed
    }

    fn of(&mut self, node: &Node) -> &mut NodeBudgets {
        self.0.entry(node.id).or_default()
    }
}

impl Default for NodeBudgets {
    fn default() -> Self {
        let ring = || Ring::new(BUCKET_MS);
        Self { retries: RetryBudget::default(), hedgeable: ring(), hedges: ring() }
    }
}
