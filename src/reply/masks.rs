//! Masks the secrets and the hosts of the document in text of an upstream: in errors, held streams
//! and logs. Such text may quote the credential or the address that the gateway has used.
//!
//! The values are compared exactly, hosts in any case. Nothing is prepared for this, because such
//! text is rare.

use std::ops::Range;

use memchr::memmem;

use crate::routes::graph::{Deployment, Graph, Secret, Upstream};
use crate::upstream::address::authority_of;

/// What stands in the place of a masked text.
const MASK: &[u8] = b"***";
/// A shorter text is no secret, and may be part of any word.
const SHORTEST_SECRET: usize = 8;
/// Hosts that everybody knows. Messages name them in addresses of documentation.
const PUBLIC_HOSTS: [&str; 2] = ["api.openai.com", "gateway.ai.cloudflare.com"];

/// The text without the secrets and hosts of the document.
pub fn without_secrets(graph: &Graph, text: Vec<u8>) -> Vec<u8> {
    let mut masks = Masks::of(&text);
    for deployment in &graph.deployments {
        masks.deployment(deployment);
    }
    for key in graph.clients.iter().flatten().filter_map(|client| client.key.as_ref()) {
        masks.secret(key);
    }
    masks.apply().unwrap_or(text)
}

/// The text without the secrets and hosts of this deployment.
pub fn without_secrets_of(deployment: &Deployment, text: Vec<u8>) -> Vec<u8> {
    let mut masks = Masks::of(&text);
    masks.deployment(deployment);
    masks.apply().unwrap_or(text)
}

/// The parts of a text to mask.
struct Masks<'a> {
    text: &'a [u8],
    lower_case: Vec<u8>,
    found: Vec<Range<usize>>,
}

impl<'a> Masks<'a> {
    fn of(text: &'a [u8]) -> Self {
        Self { text, lower_case: text.to_ascii_lowercase(), found: Vec::new() }
    }

    fn deployment(&mut self, deployment: &Deployment) {
        self.secret(&deployment.api_key);
        let via = deployment.via.as_ref();
        if let Some(token) = via.and_then(|via| via.token.as_ref()) {
            self.secret(token);
        }
        let (Upstream::OpenAi { base: address, .. } | Upstream::Azure { resource: address, .. }) =
            &deployment.upstream;
        self.host(address);
        if let Some(via) = via {
            self.host(&via.base);
        }
    }

    fn secret(&mut self, secret: &Secret) {
        let secret = secret.reveal();
        if secret.len() < SHORTEST_SECRET {
            return;
        }
        self.each(secret);
        // As it stands in JSON, where some servers also escape `/`.
        let quoted = serde_json::to_string(secret).unwrap_or_default();
        let escaped = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
        if escaped != secret {
            self.each(escaped);
        }
        if escaped.contains('/') {
            self.each(&escaped.replace('/', "\\/"));
        }
    }

    fn each(&mut self, secret: &str) {
        let places = memmem::find_iter(self.text, secret);
        self.found.extend(places.map(|start| start..start + secret.len()));
    }

    /// The host of this address. A host without a dot is a local one, and may be any word.
    fn host(&mut self, address: &str) {
        let host = authority_of(address).split(':').next().unwrap_or_default().to_ascii_lowercase();
        if !host.contains('.') || PUBLIC_HOSTS.contains(&host.as_str()) {
            return;
        }
        let continues =
            |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
        for start in memmem::find_iter(&self.lower_case, &host) {
            let end = start + host.len();
            let before = start.checked_sub(1).and_then(|at| self.lower_case.get(at));
            // The name of another host may contain this one.
            let is_part = continues(before) || before == Some(&b'.') || continues(self.lower_case.get(end));
            if !is_part {
                self.found.push(start..end);
            }
        }
    }

    /// The masked text; `None` if nothing was found.
    fn apply(mut self) -> Option<Vec<u8>> {
        if self.found.is_empty() {
            return None;
        }
        self.found.sort_unstable_by_key(|range| (range.start, range.end));
        let mut masked = Vec::with_capacity(self.text.len());
        let mut end = 0;
        for range in self.found {
            // A range that begins within the one before is part of the same mask.
            if range.start >= end {
                masked.extend_from_slice(self.text.get(end..range.start).unwrap_or_default());
                masked.extend_from_slice(MASK);
            }
            end = end.max(range.end);
        }
        masked.extend_from_slice(self.text.get(end..).unwrap_or_default());
        Some(masked)
    }
}
