//! Affinity keys: a `when` with `percent` and a sticky node use one to treat related requests
//! alike.

use std::borrow::Cow;

use serde_json::Value;

use super::reads::Reads;
use crate::vocabulary::facts::Facts;
use crate::vocabulary::rng::stable_hash;

/// Where a request's affinity key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AffinityKey {
    /// The authenticated client.
    Client,
    /// The issued key. The key in the document is no key of this kind.
    IssuedKey,
    /// The body's `user` or `safety_identifier`.
    User,
    /// The body's `prompt_cache_key`.
    PromptCacheKey,
    /// A request header, by its lower-case name.
    Header(String),
    /// An entry of the metadata.
    Metadata(String),
}

/// Body fields that identify the end user. OpenAI replaces `user` by `safety_identifier`.
const USER_FIELDS: [&str; 2] = ["user", "safety_identifier"];

/// The body field that identifies the prompt.
const PROMPT_FIELD: &str = "prompt_cache_key";

impl AffinityKey {
    /// Parses the notation of the document: `client`, `key`, `user`, `prompt_cache_key`,
    /// `header:NAME` or `metadata:KEY`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "client" => Some(Self::Client),
            "key" => Some(Self::IssuedKey),
            "user" => Some(Self::User),
            "prompt_cache_key" => Some(Self::PromptCacheKey),
            _ => match text.split_once(':')? {
                (_, "") => None,
                ("header", name) => Some(Self::Header(name.to_ascii_lowercase())),
                ("metadata", name) => Some(Self::Metadata(name.to_owned())),
                _ => None,
            },
        }
    }

    /// Adds the headers and body fields that this key needs to `reads`.
    pub fn gather(&self, reads: &mut Reads) {
        match self {
            Self::User => USER_FIELDS.iter().for_each(|name| reads.note_body(name)),
            Self::PromptCacheKey => reads.note_body(PROMPT_FIELD),
            Self::Header(name) => reads.note_header(name),
            Self::Client | Self::IssuedKey | Self::Metadata(_) => {}
        }
    }

    /// The hash of the request's affinity key. It is the same in every isolate and version. `None`
    /// if the request has no key.
    pub fn hash(&self, facts: &Facts) -> Option<u64> {
        self.text(facts).map(|text| stable_hash(text.as_bytes()))
    }

    /// The text of the request's affinity key. An empty one counts as no key.
    pub fn text<'a>(&'a self, facts: &'a Facts) -> Option<Cow<'a, str>> {
        let json = |value: &'a Value| match value {
            Value::String(key) => Some(Cow::Borrowed(key.as_str())),
            Value::Number(_) | Value::Bool(_) => Some(Cow::Owned(value.to_string())),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        let some = |text: &Cow<'a, str>| !text.is_empty();
        let field = |name: &str| facts.body.get(name).and_then(json).filter(some);
        let text = match self {
            Self::Client => Some(Cow::Borrowed(facts.client.as_str())),
            Self::IssuedKey => Some(Cow::Borrowed(facts.key.as_str())),
            Self::User => USER_FIELDS.into_iter().find_map(field),
            Self::PromptCacheKey => field(PROMPT_FIELD),
            Self::Header(name) => facts.headers.get(name).map(|value| Cow::Borrowed(value.as_str())),
            Self::Metadata(name) => facts.metadata.get(name).and_then(json),
        };
        text.filter(some)
    }
}
