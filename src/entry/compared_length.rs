//! How strictly the estimated length of an input is compared with the contexts of models.
//!
//! The estimate decides where a request goes: to a deployment that has room for it. But it is only
//! an estimate. Where no deployment has room by it, a refusal would be final, so the estimate must
//! be clearly too long. Until then, the deployments with the longest context are tried, and the
//! provider decides.

use std::rc::Rc;

use super::reach::reach_by;
use crate::routes::graph::{Deployment, Graph, Node};
use crate::upstream;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::facts::Facts;
use crate::vocabulary::needs::Lack;

/// A request is refused if the estimate is more than so many times the longest context. A token has
/// four bytes in English prose, up to ten in scripts with several bytes for a character (Cyrillic,
/// Devanagari), and more in code that is indented with spaces.
const MARGIN: u64 = 4;

/// The tokens to compare with the contexts of deployments, for a request that enters at `entry`:
/// the estimate, or the longest context that a deployment has if the estimate is not clearly
/// longer.
pub fn compared_tokens(graph: &Graph, facts: &Facts, entry: &Rc<Node>) -> u64 {
    let estimate = facts.needs.context_tokens;
    if estimate == 0 {
        return estimate;
    }
    let could_serve = |deployment: &&Rc<Deployment>| {
        let mut lacks = deployment.capabilities.lacks(facts);
        deployment.disabled.is_none()
            && upstream::supports(deployment, facts.operation)
            && lacks.all(|lack| matches!(lack, Lack::ContextTokens { .. }))
    };
    let mut longest = 0;
    let reached = reach_by(graph, facts, entry, ErrorClass::ContextWindow);
    for deployment in reached.iter().filter_map(|id| graph.deployments.get(*id)).filter(could_serve) {
        match deployment.capabilities.context_tokens {
            None => return estimate,
            Some(most) => longest = longest.max(most),
        }
    }
    if estimate <= longest.saturating_mul(MARGIN) { estimate.min(longest) } else { estimate }
}
