//! The key of an answer in the cache of a node: equal requests have the same key, and no others.
//!
//! The key is a SHA-256 over everything that an answer may depend on. Each part has its length
//! before it, so that no client can write a body or a header whose parts look like those of another
//! request. Where in doubt, two requests are different: that costs a call, and never an answer that
//! is not the client's.
//!
//! - The client, by its name in the document. No key of another client leads to its answers.
//! - The version of the document, and the node. A changed document begins with an empty cache.
//! - What the `match` nodes on the way choose: their conditions may read anything.
//! - The operation, the model in the path, the query, and the `openai-*` headers.
//! - The members of the body in the order of their names, with their bytes as they came. Of a
//!   repeated member each one counts, in their order.
//! - What the node lists in `by`, and whether it is there.

use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::request::excerpt::Excerpt;
use crate::request::json_body::Peek;
use crate::routes::graph::{AnswerCache, Destination, Graph, Node, Strategy};
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::facts::Facts;
use crate::vocabulary::headers::Headers;

/// Changes with what a key is made of, so that an older gateway's answers are not found.
const FORM: &str = "answer 1";

/// How much of a long body is read at a time.
const WINDOW_BYTES: usize = 64 * 1024;

/// A request, as far as its answer depends on it.
pub struct AnswerQuestion<'a> {
    /// The document.
    pub graph: &'a Graph,
    /// The entry node.
    pub node: &'a Node,
    /// The key `cache` of the entry node.
    pub cache: &'a AnswerCache,
    /// The facts.
    pub facts: &'a Facts,
    /// The headers.
    pub headers: &'a Headers,
    /// The members of the body.
    pub peek: &'a Peek,
    /// The body, or an excerpt of it.
    pub body: &'a Excerpt,
    /// The bytes between two offsets of the whole body.
    pub part: &'a dyn Fn(usize, usize) -> Vec<u8>,
}

impl AnswerQuestion<'_> {
    /// The key: 64 hexadecimal digits.
    pub fn key(&self) -> String {
        let Self { graph, node, facts, .. } = self;
        let mut hash = CacheKeyHash(Sha256::new());
        for text in [FORM, &graph.version, &facts.client, &node.name, facts.operation.path(), &facts.model] {
            hash.part(text.as_bytes());
        }
        hash.choices(node, facts);
        hash.edges(&graph.settings.on, facts);
        hash.pairs(facts.query.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        hash.pairs(self.headers.iter().filter(|(name, _)| name.starts_with("openai-")));
        for by in &self.cache.by {
            let text = by.text(facts);
            hash.number(usize::from(text.is_some()));
            hash.part(text.as_deref().unwrap_or_default().as_bytes());
        }
        // A sort would add 4 KB to the Wasm, and a body has few members.
        let mut members: Vec<(&str, Range<usize>)> = Vec::new();
        for (name, span) in self.peek.value_spans(self.body.text()) {
            members.insert(members.partition_point(|(known, _)| *known <= name), (name, span));
        }
        hash.number(members.len());
        for (name, span) in members {
            hash.part(name.as_bytes());
            self.value(&mut hash, &span);
        }
        let mut key = String::with_capacity(64);
        for byte in hash.0.finalize() {
            key.extend(
                [byte >> 4, byte & 15].into_iter().filter_map(|digit| char::from_digit(digit.into(), 16)),
            );
        }
        key
    }

    /// The value of a member, at a span of the excerpt.
    fn value(&self, hash: &mut CacheKeyHash, span: &Range<usize>) {
        if !self.body.is_shortened(span) {
            return hash.part(self.body.text().get(span.clone()).unwrap_or_default());
        }
        let (mut at, end) = (self.body.original(span.start), self.body.original(span.end));
        hash.number(end.saturating_sub(at));
        while at < end {
            let next = end.min(at + WINDOW_BYTES);
            hash.0.update((self.part)(at, next));
            at = next;
        }
    }
}

struct CacheKeyHash(Sha256);

impl CacheKeyHash {
    fn number(&mut self, number: usize) {
        self.0.update((number as u64).to_le_bytes());
    }

    fn part(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.0.update(bytes);
    }

    fn pairs<'a>(&mut self, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
        for (name, value) in pairs {
            self.number(1);
            self.part(name.as_bytes());
            self.part(value.as_bytes());
        }
        self.number(0);
    }

    /// What the `match` nodes below a node choose for a request.
    fn choices(&mut self, node: &Node, facts: &Facts) {
        let chosen = match &node.strategy {
            Strategy::Match(cases) => {
                let chosen = cases.first(facts);
                self.number(chosen.unwrap_or(usize::MAX));
                chosen.and_then(|at| node.targets.get(at..=at)).unwrap_or_default()
            }
            _ => node.targets.as_slice(),
        };
        for target in chosen {
            self.below(&target.to, facts);
        }
        self.edges(&node.on, facts);
    }

    fn edges(&mut self, edges: &[(ErrorClass, Destination)], facts: &Facts) {
        for (_, to) in edges {
            self.below(to, facts);
        }
    }

    fn below(&mut self, to: &Destination, facts: &Facts) {
        if let Destination::Node(node) = to {
            self.choices(node, facts);
        }
    }
}
