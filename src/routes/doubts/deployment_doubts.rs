//! Doubts about deployments.

use super::reachable::Reachable;
use super::{DoubtCollector, entry};
use crate::routes::graph::{AzureApi, Upstream};

impl DoubtCollector<'_> {
    pub(super) fn deployments(&mut self, reach: &Reachable<'_>) {
        let graph = self.graph;
        for deployment in &graph.deployments {
            let path = entry("deployments", &deployment.name);
            if !reach.deployments.contains(&deployment.id) {
                self.add(
                    "unreachable_deployment",
                    path.clone(),
                    "a deployment that no node leads to",
                    "a target or an edge that names it",
                    "as it is, it takes no traffic",
                );
            }
            // A request never takes longer than the longest deadline of all.
            self.times(&path, &deployment.timeout, graph.longest_deadline_ms);
            if let Upstream::Azure { api: AzureApi::Dated(version), .. } = &deployment.upstream
                && !is_date(version)
            {
                self.add(
                    "impossible_date",
                    format!("{path}.api_version"),
                    "a date that no calendar has",
                    "a version that Azure lists, such as \"2024-10-21\", or \"v1\"",
                    "Azure answers 404 to an unknown version",
                );
            }
        }
    }
}

/// Whether a version of the form `2024-10-21` or `2024-10-21-preview` begins with a date.
fn is_date(version: &str) -> bool {
    let part = |from: usize, to: usize| version.get(from..to).and_then(|digits| digits.parse::<u32>().ok());
    let (Some(year), Some(month), Some(day)) = (part(0, 4), part(5, 7), part(8, 10)) else { return false };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    // Azure OpenAI has no version before 2022.
    (2022..2100).contains(&year) && (1..=days).contains(&day)
}
