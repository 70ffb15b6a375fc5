//! Compiles a document to the graph. It checks everything that the types of the document cannot
//! express, and reports all issues at once.
//!
//! Each part is built as far as possible. A part that cannot be built is `None`, with an issue that
//! gives the reason. Issues that only follow from another issue are not reported. There is a graph
//! only if there is no issue.

mod compiler;
mod condition;
mod deployment;
mod guards;
mod limit_list;
mod node;
mod operation_url;
mod policy;
mod settings;
mod size;
mod url;
mod webhooks;

use std::rc::Rc;

use super::at::At;
use super::cases::Cases;
use super::glob::Glob;
use super::graph::{Client, Destination, Ejections, Graph, Node, Rule, RuleAction};
use super::issue::{Issue, IssueCollector, quoted};
use super::raw::{RawDenial, RawDocument};
use super::variables;
use super::{json, shape};
use crate::scan::json_value;
use crate::vocabulary::denial::Denial;
use crate::vocabulary::rfc3339;
use crate::vocabulary::rng::stable_hash;
use crate::vocabulary::sorted;
use crate::vocabulary::time::Instant;
use compiler::Compiler;
pub use limit_list::{check_key_limits, key_limits};
use settings::ejections;

/// The largest document. A larger one is refused without parsing.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;

/// A valid document.
#[derive(Debug)]
pub struct Compiled {
    /// The compiled graph.
    pub graph: Graph,
    /// Parts that may not work as intended: missing or invalid variables, keys without effect.
    pub warnings: Vec<Issue>,
}

/// Compiles a routes document. `env` returns the values of variables.
///
/// # Errors
/// Every issue of the document, each with its path. The list is never empty.
pub fn compile(document: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Compiled, Vec<Issue>> {
    if document.len() > MAX_BYTES {
        return Err(vec![Issue::of_document(
            format!("a document of {} bytes", document.len()),
            format!("at most {MAX_BYTES} bytes"),
        )]);
    }
    let mut duplicates = Vec::new();
    let written = json::parse(document, &mut duplicates).map_err(|issue| vec![issue])?;
    let mut report = IssueCollector::new(&written);
    report.refuse_duplicates(duplicates);
    let sound = shape::check(&written, &mut report);
    let Some(mut sound) = sound else { return Err(report.into_issues()) };
    variables::expand(&mut sound, env, &mut report);
    report.settle();
    // A document that passes the schema always decodes, so this error is a bug of Switchyard. Its
    // text is not shown because it may quote a value.
    let Ok(raw) = json_value::read::<RawDocument>(sound) else {
        report.refuse_found(
            At::Root,
            "a document that its schema accepts and its types do not",
            "both to agree",
            None,
        );
        return Err(report.into_issues());
    };
    Compiler::of(&raw, report).document(version_of(stable_hash(document.as_bytes())))
}

/// The version of a document with this hash, as people see it.
pub fn version_of(hash: u64) -> String {
    format!("{:012x}", hash >> 16)
}

impl Compiler<'_> {
    fn document(mut self, version: String) -> Result<Compiled, Vec<Issue>> {
        let raw = self.raw;
        self.names();
        let usual = ejections(&(&raw.settings.health).into(), Ejections::default());
        for (name, deployment) in &raw.deployments {
            let deployment = self.deployment(name, deployment, usual);
            self.deployments.insert(name, Rc::new(deployment));
        }
        for name in raw.models.keys() {
            self.named_node(name);
        }
        let settings = self.settings(&raw.settings, At::Root.key("settings"));
        let clients = self.clients();
        let rules = self.rules();
        let nodes = self.nodes.into_iter();
        let models = sorted::map(nodes.filter_map(|(name, node)| Some((name.to_owned(), node?))));
        let prefixes = self.prefixes.into_iter().collect();
        // In order of their names, which is also the order of their ids.
        let deployments: Vec<_> = self.deployments.into_values().collect();
        let warnings = self.report.finish()?;
        let node_count = self.sizes.len();
        let longest_deadline_ms = Graph::longest_deadline(&settings, models.values());
        let leads_to_nearest =
            |(_, to): &(_, Destination)| matches!(to, Destination::Node(node) if node.reads_place);
        let mut reads = self.reads;
        for deployment in &deployments {
            deployment.capabilities.gather(&mut reads);
        }
        reads.place |= settings.on.iter().any(leads_to_nearest);
        let graph = Graph {
            version,
            settings,
            clients,
            deployments,
            models,
            rules,
            reads,
            prefixes,
            node_count,
            longest_deadline_ms,
        };
        Ok(Compiled { graph, warnings })
    }

    /// Checks that names are unique and fit in a header.
    fn names(&mut self) {
        for section in ["clients", "deployments", "models"] {
            let section_at = At::Root.key(section);
            for name in self.declared(section) {
                let at = section_at.key(name);
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/@+-".contains(&byte);
                if name.is_empty() || name.len() > 128 || !name.bytes().all(fits) {
                    let expected = "1 to 128 letters, digits and . _ : / @ + - (names are sent in headers)";
                    self.report.refuse_found(at, format!("the name {}", quoted(name)), expected, None);
                }
            }
        }
        let models = At::Root.key("models");
        for name in self.declared("models") {
            if self.is_declared("deployments", name) {
                let found = format!("the name of a deployment, {}", quoted(name));
                self.report.refuse_found(
                    models.key(name),
                    found,
                    "a name of its own: targets could mean either",
                    None,
                );
            }
        }
        for section in ["deployments", "models"] {
            if self.declared(section).next().is_none() {
                self.report.refuse(At::Root.key(section), "at least one entry");
            }
        }
    }

    fn clients(&mut self) -> Option<Vec<Client>> {
        let section = At::Root.key("clients");
        let mut clients: Vec<Client> = Vec::new();
        for (name, client) in self.raw.clients.as_ref()? {
            let at = section.key(name);
            let key = self.client_key(&client.key, at.key("key"));
            if let Some(other) =
                key.as_ref().and_then(|key| clients.iter().find(|other| other.key.as_ref() == Some(key)))
            {
                let note = format!(
                    "it has the same value as that of {}, and who calls with it counts as that one",
                    other.name
                );
                self.report.warn(at.key("key"), "same_key", "a key of its own", note);
            }
            let models = match &client.models {
                Some(globs) => self.names_of_nodes(globs, at.key("models")),
                None => vec![Glob::new("*")],
            };
            let limits = self.limits(&client.limits, at.key("limits"));
            let expires = client.expires.as_deref().and_then(|text| self.expiry(text, at.key("expires")));
            let key = key.filter(|_| self.report.disabled("clients", name).is_none());
            // What is issued for a disabled client does not open it either.
            let allow_keys = key.is_some() && client.allow_keys == Some(true);
            let imported_keys = allow_keys && client.imported_keys == Some(true);
            clients.push(Client {
                name: name.clone(),
                key,
                models,
                limits: limits.into(),
                guard: Rc::new(self.guard(client, at)),
                allow_keys,
                imported_keys,
                expires,
                ..Client::default()
            });
        }
        Some(clients)
    }

    /// When the keys of a client end. A text with a missing variable disables the client.
    fn expiry(&mut self, text: &str, at: At<'_>) -> Option<Instant> {
        let expires = rfc3339::parse_end(text);
        if expires.is_none() && !self.report.is_unusable(at) {
            let expected = "a time such as \"2027-01-31T18:00:00Z\", or a day such as \"2027-01-31\"";
            self.report.refuse(at, expected);
        }
        expires
    }

    fn rules(&mut self) -> Cases<Rule> {
        let section = At::Root.key("rules");
        let mut rules = Vec::new();
        for (index, rule) in self.raw.rules.iter().enumerate() {
            let at = section.index(index);
            let chosen = rule.to.as_deref().unwrap_or("deny");
            let when = self.condition(&rule.when, at.key("when"), chosen);
            let action = match (&rule.to, &rule.deny) {
                (Some(name), None) => self.rule_node(name, at.key("use")).map(RuleAction::Use),
                (None, Some(denial)) => Some(RuleAction::Deny(self.denial(denial, at.key("deny")))),
                (has_use, _) => {
                    let found = if has_use.is_some() { "both" } else { "neither of them" };
                    self.report.refuse_found(at, found, "either `use` or `deny`", None);
                    None
                }
            };
            rules.extend(action.map(|action| Rule { when, action }));
        }
        rules.into()
    }

    fn denial(&mut self, denial: &RawDenial, at: At<'_>) -> Denial {
        let code = denial.code.as_deref().unwrap_or("denied");
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if code.is_empty() || code.len() > 64 || !code.bytes().all(fits) {
            self.report.refuse(at.key("code"), "1 to 64 lower-case letters, digits and _");
        }
        let message = denial.message.trim();
        if message.is_empty() || message.len() > 1_000 {
            self.report.refuse(at.key("message"), "1 to 1000 bytes");
        }
        Denial { status: denial.status.unwrap_or(403), code: code.to_owned(), message: message.to_owned() }
    }

    fn rule_node(&mut self, name: &str, at: At<'_>) -> Option<Rc<Node>> {
        if self.is_declared("models", name) {
            return self.nodes.get(name).cloned().flatten();
        }
        let expected = if self.is_declared("deployments", name) {
            "the name of a node: this is a deployment, which a node can have as its only target"
        } else {
            "the name of a node"
        };
        let names: Vec<_> = self.declared("models").collect();
        self.report.refuse_name(at, name, expected, names);
        None
    }
}
