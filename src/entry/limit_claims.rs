//! What a request takes from the limits that count it, before it is sent.
//!
//! A request reserves its input and the output that it allows. What it really used is settled at
//! its end. A request that does not limit its output reserves `USUAL_OUTPUT`, but not more than
//! the whole limit, so that it is not refused for what it probably does not use.

use crate::limits::isolate_limits::Claim;
use crate::routes::graph::{Client, Graph, LimitKey, LimitRule, Node};
use crate::usage::basis::UsageBasis;
use crate::vocabulary::facts::Facts;
use crate::vocabulary::limit::LimitUnit;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::rng::stable_hash;

/// The output tokens that a request reserves if it states no limit.
const USUAL_OUTPUT: u64 = 1_024;

/// The ledgers among which the values of a limit with `by` are shared out, because a client may
/// have many of them.
pub const SHARDS: u64 = 16;

/// The claims of a request at one ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerClaims {
    /// The ledger.
    pub ledger: LedgerName,
    /// What is claimed there.
    pub claims: Vec<Claim>,
}

/// The name of a ledger.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LedgerName {
    /// Whose limits it has: a client's. `None`: those of the gateway.
    pub client: Option<String>,
    /// Which share of the values of limits with `by`. `None`: the limits without.
    pub shard: Option<u64>,
}

impl LedgerName {
    /// The name of the object.
    pub fn object(&self, pool: &str) -> String {
        let owner = match &self.client {
            Some(client) => format!("client:{client}"),
            None => "gateway".to_owned(),
        };
        match self.shard {
            Some(shard) => format!("{pool}/{owner}#{shard}"),
            None => format!("{pool}/{owner}"),
        }
    }
}

/// The claims of a request: first at the ledgers of its client, then at those of the gateway.
pub fn claims(
    graph: &Graph,
    client: &Client,
    facts: &Facts,
    node: &Node,
    basis: impl FnOnce() -> UsageBasis,
) -> Vec<LedgerClaims> {
    let mut all: Vec<LedgerClaims> = Vec::new();
    let own = client.limits.iter().chain(client.key_limits.iter()).map(|rule| (Some(&client.name), rule));
    let mut rules = own.chain(graph.settings.limits.iter().map(|rule| (None, rule))).peekable();
    if rules.peek().is_none() {
        return all;
    }
    let basis = basis();
    for (client, rule) in rules.filter(|(_, rule)| rule.counts(&node.name)) {
        let meter = rule.meter(facts);
        let ledger = LedgerName { client: client.cloned(), shard: shard_of(rule, &meter) };
        let claim = Claim { meter, rate: rule.rate, amount: amount(graph, rule, facts, node, &basis) };
        match all.iter_mut().find(|known| known.ledger == ledger) {
            Some(known) => known.claims.push(claim),
            None => all.push(LedgerClaims { ledger, claims: vec![claim] }),
        }
    }
    all
}

/// Which share of the ledgers has a meter; `None`: it is a limit of all requests of its owner.
pub fn shard_of(rule: &LimitRule, meter: &str) -> Option<u64> {
    (rule.by != LimitKey::All).then(|| stable_hash(meter.as_bytes()) % SHARDS)
}

fn amount(graph: &Graph, rule: &LimitRule, facts: &Facts, node: &Node, basis: &UsageBasis) -> u64 {
    use Operation::{ChatCompletions, Completions, Responses, ResponsesCompact};
    let units = |output_tokens: u64| {
        let usage = basis.at_most(output_tokens);
        match rule.rate.unit {
            LimitUnit::Requests | LimitUnit::Concurrent => 1,
            LimitUnit::Tokens => usage.input_tokens.saturating_add(usage.output_tokens),
            // Whatever is about a stored object was paid when it was made.
            LimitUnit::MicroUsd if facts.operation.is_on_stored_objects() => 0,
            LimitUnit::MicroUsd => graph.highest_price(node).micro_usd(&usage),
        }
    };
    match facts.max_output_tokens {
        Some(most) => units(most),
        None if matches!(facts.operation, ChatCompletions | Completions | Responses | ResponsesCompact) => {
            units(USUAL_OUTPUT).min(rule.rate.amount).max(units(0))
        }
        None => units(0),
    }
}
