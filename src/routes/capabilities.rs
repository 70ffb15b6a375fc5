//! What the model of a deployment can do, as far as the document says it.

use super::reads::Reads;
use crate::vocabulary::facts::Facts;
use crate::vocabulary::needs::{Features, Lack};

/// The limits of a model. What the document does not state is no limit: nothing is assumed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// The features that it lacks.
    pub lacks: Features,
    /// The longest input, in tokens.
    pub context_tokens: Option<u64>,
    /// The longest output, in tokens.
    pub output_tokens: Option<u64>,
}

impl Capabilities {
    /// What the model lacks for this request: nothing if it can serve it. Features come first.
    pub fn lacks(&self, facts: &Facts) -> impl Iterator<Item = Lack> {
        let features = self.lacks.and(facts.needs.features).iter().map(Lack::Feature);
        features.chain(self.lacks_context(facts)).chain(self.lacks_output(facts))
    }

    /// Whether the input of this request is too long for the model.
    pub fn lacks_context(&self, facts: &Facts) -> Option<Lack> {
        let needed = facts.needs.context_tokens;
        let most = self.context_tokens.filter(|most| needed > *most)?;
        Some(Lack::ContextTokens { needed, most })
    }

    fn lacks_output(&self, facts: &Facts) -> Option<Lack> {
        let needed = facts.max_output_tokens?;
        let most = self.output_tokens.filter(|most| needed > *most)?;
        Some(Lack::OutputTokens { needed, most })
    }

    /// Adds what has to be read of a request to compare it.
    pub fn gather(&self, reads: &mut Reads) {
        reads.features = reads.features.or(self.lacks);
        let shortest = reads.context_tokens.into_iter().chain(self.context_tokens).min();
        reads.context_tokens = shortest;
    }
}
