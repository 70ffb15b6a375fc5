//! How many further attempts the requests of a node may make, in one isolate: second tries and fallbacks by a retry budget, hedges by
//! a share of the requests.
//!
//! Gates stop traffic to what is down, but only after failures; and where nothing is healthy, every further attempt makes it worse.

use std::collections::BTreeMap;

use crate::health::retry_budget::RetryBudget;
use crate::health::ring::Ring;
use crate::routes::graph::Node;
use crate::vocabulary::time::{Instant, Millis};

/// Ten of them are the window in which hedges are counted.
const BUCKET_MS: Millis = Millis::new(6_000);

/// The budgets of the nodes of a graph, by `Node::id`. Nodes come to be known as requests enter them: most nodes are inner ones
/// that no request enters, and that are not hedged.
#[derive(Debug, Default)]
pub struct AttemptBudgets(BTreeMap<usize, NodeBudgets>);

#[derive(Debug)]
struct NodeBudgets {
    retries: RetryBudget,
    hedgeable: Ring,
    hedges: Ring,
}

impl AttemptBudgets {
    /// A request enters the graph at `entry`.
    pub fn on_request(&mut self, entry: &Node, now: Instant) {
        self.of(entry).retries.deposit(now);
    }

    /// Whether a request that entered at `entry` may make a further attempt; if so, it is counted.
    pub fn try_retry(&mut self, entry: &Node, now: Instant) -> bool {
        self.of(entry).retries.try_withdraw(now)
    }

    /// A request makes an attempt that `node` lets be hedged.
    pub fn on_hedgeable_attempt(&mut self, node: &Node, now: Instant) {
        self.of(node).hedgeable.add(1, now);
    }

    /// Whether one of them may be hedged now, if at most that share of them are to be within a minute; if so, it is counted.
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
