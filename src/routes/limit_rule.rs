//! The limits of a client or of the gateway, compiled.

use std::borrow::Cow;
use std::rc::Rc;

use super::affinity_key::AffinityKey;
use super::glob::Glob;
use super::reads::Reads;
use crate::vocabulary::facts::Facts;
use crate::vocabulary::limit::LimitRate;
use crate::vocabulary::rng::stable_hash;

/// Longer values are counted by their hash.
const LONGEST_VALUE: usize = 128;

/// One limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitRule {
    /// What tells it apart from the other limits of its list, and what stays the same when only its
    /// amount changes.
    pub name: Rc<str>,
    /// How much, and in which time.
    pub rate: LimitRate,
    /// What it is counted for.
    pub by: LimitKey,
    /// Patterns for the names of the entry nodes whose requests count. Empty: all requests.
    pub models: Vec<Glob>,
}

/// What a limit is counted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitKey {
    /// All requests together.
    All,
    /// Each issued key. The key in the document counts as one.
    IssuedKey,
    /// This one key, which has the limit. The name of the limit says which.
    ThisKey,
    /// Each country.
    Country,
    /// Each data centre.
    Colo,
    /// Each value of this.
    Each(AffinityKey),
}

/// What happens to a request whose limits cannot be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreachable {
    /// It is refused.
    FailClosed,
    /// It is served.
    FailOpen,
}

impl LimitKey {
    /// The notations of the document.
    pub const NOTATIONS: &'static str = "client, key, user, country, colo, header:NAME or metadata:KEY";

    /// Parses the notation of the document.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "key" => Some(Self::IssuedKey),
            "country" => Some(Self::Country),
            "colo" => Some(Self::Colo),
            // A prompt is not somebody who uses something.
            "prompt_cache_key" => None,
            _ => AffinityKey::parse(text).map(Self::Each),
        }
    }

    /// Adds the parts of a request that it needs to `reads`.
    pub fn gather(&self, reads: &mut Reads) {
        match self {
            Self::All | Self::IssuedKey | Self::ThisKey => {}
            Self::Country | Self::Colo => reads.place = true,
            Self::Each(key) => key.gather(reads),
        }
    }

    /// The value for a request. A request without one counts for the empty value, together with all
    /// others that have none.
    fn value<'f>(&'f self, facts: &'f Facts) -> Cow<'f, str> {
        let place = |code: &'f Option<String>| Cow::Borrowed(code.as_deref().unwrap_or_default());
        match self {
            Self::All | Self::ThisKey => Cow::Borrowed(""),
            Self::IssuedKey => Cow::Borrowed(&facts.key),
            Self::Country => place(&facts.place.country),
            Self::Colo => place(&facts.place.colo),
            Self::Each(key) => key.text(facts).unwrap_or_default(),
        }
    }
}

impl LimitRule {
    /// Whether the requests that enter at this node count.
    pub fn counts(&self, node: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|glob| glob.matches(node))
    }

    /// The meter for a request: the name of the limit, and the value that it is counted for.
    pub fn meter(&self, facts: &Facts) -> Rc<str> {
        if matches!(self.by, LimitKey::All | LimitKey::ThisKey) {
            return Rc::clone(&self.name);
        }
        let value = self.by.value(facts);
        if value.len() > LONGEST_VALUE {
            format!("{}={:016x}", self.name, stable_hash(value.as_bytes())).into()
        } else {
            format!("{}={value}", self.name).into()
        }
    }
}
