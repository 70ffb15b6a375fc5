//! Masks the secrets and the hosts of the document in text of an upstream: in errors, held streams
//! and logs. Such text may quote the credential or the address that the gateway has used.
//!
//! The values are compared exactly, hosts in any case. In JSON each character of a secret may be
//! written as an escape. Nothing is prepared for this, because such text is rare.

use std::collections::BTreeSet;

use memchr::{memchr, memchr2_iter, memmem};

use crate::routes::graph::{Deployment, Graph, Upstream};
use crate::upstream::address::authority_of;
use crate::upstream::token_store::TokenStore;

/// What stands in the place of a masked text.
const MASK: &[u8] = b"***";
/// A shorter text is no secret, and may be part of any word.
const SHORTEST_SECRET: usize = 8;
/// How often a text may be quoted in JSON: an error may quote an error that quotes a request.
const MOST_QUOTED: u8 = 3;
/// The most bytes of a character that is written as an escape in JSON that is quoted so often.
const MOST_WRITTEN: usize = 16;
/// Hosts that everybody knows. Messages name them in addresses of documentation.
const PUBLIC_HOSTS: [&str; 2] = ["api.openai.com", "gateway.ai.cloudflare.com"];

/// The text without the secrets and hosts of the document, and without these tokens.
pub fn without_secrets(graph: &Graph, tokens: &TokenStore, text: Vec<u8>) -> Vec<u8> {
    let mut masks = Masks::of(&text);
    tokens.texts().for_each(|token| masks.secret(token));
    for deployment in &graph.deployments {
        masks.deployment(deployment);
    }
    for key in graph.clients.iter().flatten().filter_map(|client| client.key.as_ref()) {
        masks.secret(key.reveal());
    }
    masks.apply().unwrap_or(text)
}

/// The text without the secrets and hosts of this deployment, and without these tokens.
pub fn without_secrets_of(deployment: &Deployment, tokens: &TokenStore, text: Vec<u8>) -> Vec<u8> {
    masked_for(deployment, tokens, Masks::of(&text)).unwrap_or(text)
}

/// The same for the beginning of a longer text: it may end within a secret or a host.
pub fn without_secrets_of_beginning(deployment: &Deployment, tokens: &TokenStore, text: Vec<u8>) -> Vec<u8> {
    let masks = Masks { is_beginning: true, ..Masks::of(&text) };
    masked_for(deployment, tokens, masks).unwrap_or(text)
}

fn masked_for(deployment: &Deployment, tokens: &TokenStore, mut masks: Masks<'_>) -> Option<Vec<u8>> {
    tokens.texts().for_each(|token| masks.secret(token));
    masks.deployment(deployment);
    masks.apply()
}

/// The parts of a text to mask.
struct Masks<'a> {
    text: &'a [u8],
    lower_case: Vec<u8>,
    found: BTreeSet<(usize, usize)>,
    /// The text goes on, and is not here to its end.
    is_beginning: bool,
}

impl<'a> Masks<'a> {
    fn of(text: &'a [u8]) -> Self {
        Self { text, lower_case: text.to_ascii_lowercase(), found: BTreeSet::new(), is_beginning: false }
    }

    fn deployment(&mut self, deployment: &Deployment) {
        deployment.keys().for_each(|key| self.secret(key.reveal()));
        if let Some(entra) = &deployment.entra {
            self.secret(entra.proof.secret().reveal());
        }
        let via = deployment.via.as_ref();
        if let Some(token) = via.and_then(|via| via.token.as_ref()) {
            self.secret(token.reveal());
        }
        // What variables set in the body may be meant for the upstream alone.
        let params = &deployment.params;
        for (_, value) in params.set.iter().filter(|(name, _)| params.from_variables.contains(name)) {
            value.as_str().into_iter().for_each(|text| self.secret(text));
        }
        let (Upstream::OpenAi { base: address, .. } | Upstream::Azure { resource: address, .. }) =
            &deployment.upstream;
        self.host(address);
        if let Some(via) = via {
            self.host(&via.base);
        }
    }

    fn secret(&mut self, secret: &str) {
        let (text, secret) = (self.text, secret.as_bytes());
        let Some(first) = secret.first().filter(|_| secret.len() >= SHORTEST_SECRET) else { return };
        let places = memmem::find_iter(text, secret);
        self.found.extend(places.map(|start| (start, start + secret.len())));
        if self.is_beginning {
            let from = text.len().saturating_sub(secret.len() * MOST_WRITTEN);
            let is_begun =
                |start: &usize| (0..=MOST_QUOTED).any(|quoted| is_begun(secret, text, *start, quoted));
            self.found.extend((from..text.len()).find(is_begun).map(|start| (start, text.len())));
        }
        if memchr(b'\\', text).is_none() {
            return;
        }
        for start in memchr2_iter(*first, b'\\', text) {
            let end = (1..=MOST_QUOTED).find_map(|quoted| end_of(secret, text, start, quoted));
            self.found.extend(end.map(|end| (start, end)));
        }
    }

    /// The host of this address. A host without a dot is a local one, and may be any word.
    fn host(&mut self, address: &str) {
        let host = authority_of(address).split(':').next().unwrap_or_default().to_ascii_lowercase();
        if !host.contains('.') || PUBLIC_HOSTS.contains(&host.as_str()) {
            return;
        }
        let continues =
            |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
        let begun = (1..host.len()).rev().filter(|_| self.is_beginning);
        let begun = begun.filter_map(|length| host.as_bytes().get(..length));
        let begun =
            begun.filter(|begun| self.lower_case.ends_with(begun)).map(|begun| self.text.len() - begun.len());
        for start in memmem::find_iter(&self.lower_case, &host).chain(begun) {
            let end = start + host.len();
            let before = start.checked_sub(1).and_then(|at| self.lower_case.get(at));
            // The name of another host may contain this one.
            let is_after_escape = self.text.get(..start).is_some_and(|before| {
                [&b"\\n"[..], b"\\r", b"\\t"].iter().any(|escape| before.ends_with(escape))
            });
            let is_part = (continues(before) && !is_after_escape)
                || before == Some(&b'.')
                || continues(self.lower_case.get(end));
            if !is_part {
                self.found.insert((start, end.min(self.text.len())));
            }
        }
    }

    /// The masked text; `None` if nothing was found.
    fn apply(self) -> Option<Vec<u8>> {
        if self.found.is_empty() {
            return None;
        }
        let mut masked = Vec::with_capacity(self.text.len());
        let mut end = 0;
        for (start, found_end) in self.found {
            // What begins within the one before is part of the same mask.
            if start >= end {
                masked.extend_from_slice(self.text.get(end..start).unwrap_or_default());
                masked.extend_from_slice(MASK);
            }
            end = end.max(found_end);
        }
        masked.extend_from_slice(self.text.get(end..).unwrap_or_default());
        Some(masked)
    }
}

/// Where `secret` ends that begins at `start` of a text that was quoted so often in JSON.
fn end_of(secret: &[u8], text: &[u8], start: usize, quoted: u8) -> Option<usize> {
    secret.iter().try_fold(start, |at, expected| {
        let (byte, after) = unquoted(text, at, quoted)?;
        (byte == *expected).then_some(after)
    })
}

/// Whether the text ends within `secret`, which begins at `start` of a text that was quoted so
/// often in JSON.
fn is_begun(secret: &[u8], text: &[u8], start: usize, quoted: u8) -> bool {
    let mut at = start;
    for expected in secret {
        match unquoted(text, at, quoted) {
            Some((byte, after)) if byte == *expected => at = after,
            Some(_) => return false,
            // The text ends here, or within an escape.
            None => {
                return text.get(at..).is_none_or(|rest| {
                    rest.is_empty() || (rest.first() == Some(&b'\\') && rest.len() < MOST_WRITTEN)
                });
            }
        }
    }
    false
}

/// The character at this place, without the escapes of the quotes, and the place after it. Only
/// characters of which secrets consist are known.
fn unquoted(text: &[u8], at: usize, quoted: u8) -> Option<(u8, usize)> {
    let Some(inner) = quoted.checked_sub(1) else { return Some((*text.get(at)?, at + 1)) };
    let (byte, after) = unquoted(text, at, inner)?;
    if byte != b'\\' {
        return Some((byte, after));
    }
    match unquoted(text, after, inner)? {
        (b'u', digits) => {
            let (mut code, mut at) = (0, digits);
            for _ in 0..4 {
                let (digit, after) = unquoted(text, at, inner)?;
                (code, at) = (code * 16 + char::from(digit).to_digit(16)?, after);
            }
            Some((u8::try_from(code).ok().filter(u8::is_ascii)?, at))
        }
        (b'"' | b'\\' | b'/', _) => unquoted(text, after, inner),
        _ => None,
    }
}
