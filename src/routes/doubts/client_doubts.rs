//! Doubts about clients.

use super::{DoubtCollector, entry};
use crate::routes::graph::{Client, Secret};

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
        for client in clients {
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

    fn shared_key(&mut self, client: &Client, key: &Secret, env: &dyn Fn(&str) -> Option<String>) {
        let operator =
            OPERATORS.into_iter().find(|name| env(name).is_some_and(|token| token.trim() == key.reveal()));
        let provider = self.graph.deployments.iter().find(|deployment| {
            let token = deployment.via.as_ref().and_then(|via| via.token.as_ref());
            deployment.api_key == *key || token == Some(key)
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
