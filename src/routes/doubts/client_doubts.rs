//! Doubts about clients.

use super::reachable::below;
use super::{DoubtCollector, entry};
use crate::routes::graph::{Client, LimitRule, Secret};
use crate::vocabulary::limit::LimitUnit::MicroUsd;

/// The variables with the tokens of operators.
const OPERATORS: [&str; 2] = ["ADMIN_TOKEN", "VIEWER_TOKEN"];

impl DoubtCollector<'_> {
    pub(super) fn clients(&mut self, env: &dyn Fn(&str) -> Option<String>) {
        let graph = self.graph;
        let clients = graph.clients.as_deref().unwrap_or_default();
        if clients.is_empty() {
            self.add(
                "no_clients",
                "clients".to_owned(),
                if graph.clients.is_some() { "an empty object" } else { "nothing" },
                "at least one client with a key",
                "as it is, every call gets 401",
            );
        }
        self.unpriced("settings.limits", &graph.settings.limits, &|_| true);
        for client in clients {
            let path = format!("{}.limits", entry("clients", &client.name));
            self.unpriced(&path, &client.limits, &|node| client.may_use(node));
            if let Some(key) = &client.key {
                self.shared_key(client, key, env);
            }
            for glob in &client.models {
                // A name that does not exist is an error of the document.
                if glob.as_str() != "*" && !graph.models.keys().any(|name| glob.matches(name)) {
                    self.add(
                        "pattern_without_match",
                        format!("{}.models", entry("clients", &client.name)),
                        "a pattern that matches no model",
                        "patterns that match the name of a model",
                        "as it is, the pattern allows nothing",
                    );
                }
            }
        }
    }

    /// Limits in dollars count nothing at deployments without a price.
    fn unpriced(&mut self, path: &str, limits: &[LimitRule], may_use: &dyn Fn(&str) -> bool) {
        let graph = self.graph;
        for (index, limit) in limits.iter().enumerate().filter(|(_, limit)| limit.rate.unit == MicroUsd) {
            let counted = |(name, _): &(&String, _)| may_use(name) && limit.counts(name);
            let nodes = graph.models.iter().filter(counted).map(|(_, node)| node);
            let missing = below(nodes.flat_map(|node| &node.targets), true)
                .into_iter()
                .find(|deployment| deployment.cost.is_none());
            if let Some(deployment) = missing {
                self.add(
                    "limit_without_price",
                    format!("{path}[{index}]"),
                    &format!(
                        "a limit in `usd` of requests that {} may serve, which has no `cost`",
                        deployment.name
                    ),
                    "a `cost` for every deployment that such requests can reach",
                    "what that deployment serves counts as free",
                );
            }
        }
    }

    fn shared_key(&mut self, client: &Client, key: &Secret, env: &dyn Fn(&str) -> Option<String>) {
        let operator =
            OPERATORS.into_iter().find(|name| env(name).is_some_and(|token| token.trim() == key.reveal()));
        let provider = self.graph.deployments.iter().find(|deployment| {
            let token = deployment.via.as_ref().and_then(|via| via.token.as_ref());
            deployment.keys().chain(token).any(|known| known == key)
        });
        let found = match (operator, provider) {
            (Some(variable), _) => format!("a key with the value of {variable}"),
            (None, Some(deployment)) => {
                format!("a key that is also a credential of deployment {}", deployment.name)
            }
            (None, None) => return,
        };
        let note = "who has this key can do more than call the gateway; change both, as both are known";
        let path = format!("{}.key", entry("clients", &client.name));
        self.add("shared_key", path, &found, "a key of its own", note);
    }
}
