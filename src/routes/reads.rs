//! The parts of a request that a document reads.

use crate::vocabulary::needs::Features;

/// The headers and body fields that the conditions and sticky nodes of a document read. Only these
/// are extracted from a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// Lower-case names of headers.
    pub headers: Vec<String>,
    /// Top-level names of body fields.
    pub body: Vec<String>,
    /// Top-level names of body fields in whose texts something is looked for.
    pub texts: Vec<String>,
    /// Whether the place of a request is needed for every request: by a condition, or by the order
    /// of a node that any request can reach. For all other nodes, see
    /// [`super::graph::Node::reads_place`].
    pub place: bool,
    /// The features that some deployment lacks.
    pub features: Features,
    /// The shortest context of a deployment, if any states one.
    pub context_tokens: Option<u64>,
}

impl Reads {
    /// Adds a header, by its lower-case name.
    pub fn note_header(&mut self, name: &str) {
        note(&mut self.headers, name);
    }

    /// Adds a top-level body field.
    pub fn note_body(&mut self, name: &str) {
        note(&mut self.body, name);
    }

    /// Adds a top-level body field in whose texts something is looked for.
    pub fn note_texts(&mut self, name: &str) {
        note(&mut self.texts, name);
    }
}

fn note(names: &mut Vec<String>, name: &str) {
    if let Err(place) = names.binary_search_by(|known| known.as_str().cmp(name)) {
        names.insert(place, name.to_owned());
    }
}
