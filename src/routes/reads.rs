//! What the conditions of a document read of a request.

/// What the conditions and sticky nodes of a document read of headers and of the body, so that nothing else of them is gathered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// Lower-case names of headers.
    pub headers: Vec<String>,
    /// Top-level names of body fields.
    pub body: Vec<String>,
    /// Whether a condition depends on where a request comes from, or an order that any request may come to. What else depends on it,
    /// its node tells ([`super::graph::Node::reads_place`]).
    pub place: bool,
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
}

fn note(names: &mut Vec<String>, name: &str) {
    if let Err(place) = names.binary_search_by(|known| known.as_str().cmp(name)) {
        names.insert(place, name.to_owned());
    }
}
