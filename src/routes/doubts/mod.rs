//! Doubts: what a valid document says and its author probably does not mean.
//!
//! The doubts are found in the compiled graph, apart from the compilation: no request waits for
//! them. What only the written document shows is a warning of `compile`. A doubt never quotes a
//! value that can come from a variable, only keys, names and numbers.

mod client_doubts;
mod deployment_doubts;
mod node_doubts;
mod reachable;

use super::at::At;
use super::graph::{Graph, Timeouts};
use super::issue::Issue;
use crate::vocabulary::time::Millis;
use reachable::Reachable;

/// A time limit up to this is probably a number of seconds: a model does not answer this fast.
const SECONDS_MEANT: Millis = Millis::new(300);

/// The doubts about a document. `env` returns the values of variables: a client's key must not be
/// that of an operator.
pub fn doubts(graph: &Graph, env: &dyn Fn(&str) -> Option<String>) -> Vec<Issue> {
    let reach = Reachable::of(graph);
    let mut doubts = DoubtCollector { graph, found: Vec::new() };
    let settings = &graph.settings;
    doubts.times("settings", &settings.policy.timeout, settings.deadline_ms);
    doubts.deadline("settings", Some(settings.deadline_ms));
    doubts.retries("settings", settings.policy.retry.as_ref(), settings.max_attempts);
    doubts.clients(env);
    doubts.deployments(&reach);
    doubts.nodes(&reach);
    doubts.found
}

/// Collects the doubts about one document.
struct DoubtCollector<'a> {
    graph: &'a Graph,
    found: Vec<Issue>,
}

impl DoubtCollector<'_> {
    fn add(&mut self, code: &'static str, path: String, found: &str, expected: &str, note: &str) {
        self.found.push(Issue {
            code: Some(code),
            path,
            found: found.to_owned(),
            expected: expected.to_owned(),
            nearest: None,
            note: Some(note.to_owned()),
        });
    }

    /// Doubts about the `timeout` of what is at `path`, where a request ends after `deadline_ms`.
    fn times(&mut self, path: &str, timeouts: &Timeouts, deadline_ms: Millis) {
        for (key, limit_ms) in [
            ("connect_ms", timeouts.connect_ms),
            ("headers_ms", timeouts.headers_ms),
            ("first_token_ms", timeouts.first_token_ms),
            ("idle_ms", timeouts.idle_ms),
            ("total_ms", timeouts.total_ms),
        ] {
            let Some(limit_ms) = limit_ms else { continue };
            let place = format!("{path}.timeout.{key}");
            self.short(&place, limit_ms);
            if limit_ms > deadline_ms {
                self.add(
                    "timeout_beyond_deadline",
                    place,
                    &limit_ms.to_string(),
                    &format!("at most the deadline, {deadline_ms}"),
                    "the deadline ends the request first, so this limit has no effect and no time is \
                     left for a fallback",
                );
            }
        }
    }

    /// A deadline that is too short for any model.
    fn deadline(&mut self, path: &str, deadline_ms: Option<Millis>) {
        if let Some(deadline_ms) = deadline_ms {
            self.short(&format!("{path}.deadline_ms"), deadline_ms);
        }
    }

    fn short(&mut self, place: &str, limit_ms: Millis) {
        if limit_ms <= SECONDS_MEANT {
            self.add(
                "seconds_as_milliseconds",
                place.to_owned(),
                &limit_ms.to_string(),
                "milliseconds, such as 20000 for 20 seconds",
                "few models answer this fast: nearly every request would fail",
            );
        }
    }
}

/// The path of an entry of a section.
fn entry(section: &str, name: &str) -> String {
    At::Root.key(section).key(name).to_string()
}
