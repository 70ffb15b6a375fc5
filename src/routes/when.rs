//! Conditions on the facts of a request.
//!
//! A condition never fails: a fact that the request does not have matches nothing. Values that
//! arrive as text (headers, query) are also compared with numbers and booleans. A list in the body
//! or in the metadata matches if one of its elements matches. Patterns (`contains`, `matches`) look
//! at every text within a value, at any depth.

use std::borrow::Cow;
use std::ops::{Bound, RangeBounds};

use serde_json::Value;

use super::affinity_key::AffinityKey;
use super::glob::Glob;
use super::reads::Reads;
use super::text_pattern::TextPattern;
use crate::scan::{texts, top_level};
use crate::vocabulary::facts::Facts;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::rng::mix;

/// A compiled `when`.
#[derive(Debug, Clone)]
pub enum Condition {
    /// Always holds.
    Always,
    /// A test of one fact.
    Fact(Fact, ValueTest),
    /// Holds for a share of the requests.
    Share {
        /// The share, in hundredths of a percent.
        buckets: u64,
        /// The affinity key: requests with the same key always get the same result. Without it,
        /// each request is drawn separately.
        by: Option<AffinityKey>,
        /// Makes this share independent of others, so that they do not all select the same
        /// requests.
        salt: u64,
    },
    /// All of these hold.
    All(Vec<Condition>),
    /// At least one of these holds.
    Any(Vec<Condition>),
    /// This does not hold.
    Not(Box<Condition>),
}

/// The part of a request that a test reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// The path, without the query.
    Path,
    /// What the client sent as `model`.
    Model,
    /// The HTTP method, in upper case.
    Method,
    /// The operation, for example `chat/completions`.
    Operation,
    /// A header, by its lower-case name.
    Header(String),
    /// A query parameter, by name.
    Query(String),
    /// An entry of the metadata, by name.
    Metadata(String),
    /// The client's name.
    Client,
    /// What the document says about the client, by name.
    Label(String),
    /// Where the request comes from, in upper case.
    Continent,
    /// Where the request comes from, in upper case.
    Country,
    /// The data centre that received the request, in upper case.
    Colo,
    /// A field of the body: the name of the top-level field, and the names below it.
    Body(String, Vec<String>),
    /// The estimated tokens of the input.
    InputTokens,
}

/// A test of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueTest {
    /// Matches this glob.
    Text(Glob),
    /// Equals this number.
    Number(f64),
    /// Equals this boolean.
    Bool(bool),
    /// Begins with this text.
    Prefix(String),
    /// Is a number in this range.
    Within(Bound<f64>, Bound<f64>),
    /// Is present (`true`) or absent (`false`).
    Exists(bool),
    /// A text within the value has this pattern.
    Pattern(Box<TextPattern>),
    /// At least one of these holds.
    Any(Vec<ValueTest>),
    /// All of these hold.
    All(Vec<ValueTest>),
    /// This does not hold.
    Not(Box<ValueTest>),
}

/// The total number of buckets. A share takes some of them.
pub const BUCKETS: u64 = 10_000;

impl Condition {
    /// Whether this holds for a request.
    pub fn holds(&self, facts: &Facts) -> bool {
        match self {
            Self::Always => true,
            Self::Fact(fact, test) => {
                test.holds(fact.of(facts).as_ref(), &|pattern| fact.has_text(facts, pattern))
            }
            Self::Share { buckets, by, salt } => {
                // A request without the key is in no share.
                let hash = by.as_ref().map_or(Some(facts.draw.to_bits()), |key| key.hash(facts));
                hash.is_some_and(|hash| mix(hash ^ salt) % BUCKETS < *buckets)
            }
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(facts)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(facts)),
            Self::Not(condition) => !condition.holds(facts),
        }
    }

    /// Adds what this condition reads to `reads`, and the path prefixes that it requires to
    /// `prefixes`.
    pub fn gather(&self, reads: &mut Reads, prefixes: &mut Vec<String>) {
        match self {
            Self::Fact(Fact::Header(name), _) => reads.note_header(name),
            Self::Fact(Fact::Body(name, _), test) => {
                if test.any(&|test| matches!(test, ValueTest::Pattern(_))) {
                    reads.note_texts(name);
                }
                if test.any(&|test| !matches!(test, ValueTest::Pattern(_))) {
                    reads.note_body(name);
                }
            }
            Self::Fact(Fact::Path, test) => test.gather_prefixes(prefixes),
            Self::Fact(Fact::Continent | Fact::Country | Fact::Colo, _) => reads.place = true,
            Self::Share { by: Some(key), .. } => key.gather(reads),
            Self::Always | Self::Fact(..) | Self::Share { .. } => {}
            Self::All(conditions) | Self::Any(conditions) => {
                for condition in conditions {
                    condition.gather(reads, prefixes);
                }
            }
            // A path under `not` is not a prefix.
            Self::Not(condition) => condition.gather(reads, &mut Vec::new()),
        }
    }
}

impl AsRef<Condition> for Condition {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// The value of a fact.
pub(super) enum FactValue<'a> {
    /// Matches this glob.
    Text(&'a str),
    /// A number that does not come from JSON.
    Number(f64),
    /// A JSON value that is neither null nor a text.
    Json(&'a Value),
}

impl Fact {
    /// The value of this fact, if the request has it.
    pub(super) fn of<'a>(&self, facts: &'a Facts) -> Option<FactValue<'a>> {
        // In the facts, an empty model or client means that there is none.
        let text = |text: &'a str| (!text.is_empty()).then_some(FactValue::Text(text));
        match self {
            Self::Path => text(&facts.path),
            Self::Model => text(&facts.model),
            Self::Method => text(&facts.method),
            Self::Operation => text(facts.operation.path()),
            Self::Client => text(&facts.client),
            Self::Label(name) => facts.labels.get(name).map(|value| FactValue::Text(value)),
            Self::Header(name) => facts.headers.get(name).map(|value| FactValue::Text(value)),
            Self::Query(name) => facts.query.get(name).map(|value| FactValue::Text(value)),
            Self::Metadata(name) => facts.metadata.get(name).and_then(FactValue::json),
            Self::Continent => facts.place.continent.as_deref().and_then(text),
            Self::Country => facts.place.country.as_deref().and_then(text),
            Self::Colo => facts.place.colo.as_deref().and_then(text),
            Self::Body(name, below) => below
                .iter()
                .try_fold(facts.body.get(name)?, |value, name| value.get(name))
                .and_then(FactValue::json),
            #[expect(clippy::cast_precision_loss, reason = "an estimate; no body has 2^53 tokens")]
            Self::InputTokens => Some(FactValue::Number(facts.input_tokens as f64)),
        }
    }

    /// Whether a text within the value of this fact has this pattern.
    fn has_text(&self, facts: &Facts, pattern: &TextPattern) -> bool {
        let is_in = |json: &[u8]| texts::has_text(json, &mut |text| pattern.is_in(text));
        match self {
            Self::Body(name, below) => {
                facts.texts.iter().any(|(known, json)| known == name && any_below(json, below, &is_in))
            }
            _ => match self.of(facts) {
                Some(FactValue::Text(text)) => pattern.is_in(text),
                Some(FactValue::Json(value)) => is_in(value.to_string().as_bytes()),
                Some(FactValue::Number(_)) | None => false,
            },
        }
    }
}

/// Whether `is_it` is true for the value that these names lead to in `json`. Of a name that an
/// object has twice, each value counts.
fn any_below(json: &[u8], names: &[String], is_it: &dyn Fn(&[u8]) -> bool) -> bool {
    let Some((name, below)) = names.split_first() else { return is_it(json) };
    let mut found = false;
    // Of a value that is cut off, the members before the cut count.
    let _ = top_level::each_member(json, &mut |known, value| {
        found = found || (texts::decoded(known) == name.as_str() && any_below(value, below, is_it));
    });
    found
}

impl<'a> FactValue<'a> {
    fn json(value: &'a Value) -> Option<Self> {
        match value {
            Value::Null => None,
            Value::String(text) => Some(Self::Text(text)),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Some(Self::Json(value)),
        }
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Json(value @ (Value::Number(_) | Value::Bool(_))) => Some(Cow::Owned(value.to_string())),
            Self::Number(number) => Some(Cow::Owned(number.to_string())),
            Self::Json(_) => None,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Text(text) => text.trim().parse().ok().filter(|n: &f64| n.is_finite()),
            Self::Json(value) => value.as_f64(),
            Self::Number(number) => Some(*number),
        }
    }

    fn boolean(&self) -> Option<bool> {
        match self {
            Self::Text(text) => text.parse().ok(),
            Self::Json(value) => value.as_bool(),
            Self::Number(_) => None,
        }
    }
}

impl ValueTest {
    /// `has_text`: whether a text within the value has a pattern.
    fn holds(&self, found: Option<&FactValue<'_>>, has_text: &dyn Fn(&TextPattern) -> bool) -> bool {
        match self {
            Self::Exists(is_expected) => found.is_some() == *is_expected,
            Self::Pattern(pattern) => has_text(pattern),
            Self::Not(test) => !test.holds(found, has_text),
            Self::Any(tests) => tests.iter().any(|test| test.holds(found, has_text)),
            Self::All(tests) => tests.iter().all(|test| test.holds(found, has_text)),
            Self::Text(_) | Self::Number(_) | Self::Bool(_) | Self::Prefix(_) | Self::Within(..) => {
                match found {
                    None => false,
                    Some(FactValue::Json(Value::Array(list))) => {
                        list.iter().filter_map(FactValue::json).any(|found| self.holds_for(&found))
                    }
                    Some(found) => self.holds_for(found),
                }
            }
        }
    }

    /// Tests one value that is not a list.
    fn holds_for(&self, found: &FactValue<'_>) -> bool {
        match self {
            Self::Text(glob) => found.text().is_some_and(|text| glob.matches(&text)),
            Self::Prefix(prefix) => found.text().is_some_and(|text| text.starts_with(prefix)),
            Self::Number(number) => found.number().is_some_and(|found| (*number..=*number).contains(&found)),
            Self::Within(low, high) => found.number().is_some_and(|found| (*low, *high).contains(&found)),
            Self::Bool(expected) => found.boolean() == Some(*expected),
            Self::Pattern(_) | Self::Exists(_) | Self::Not(_) | Self::Any(_) | Self::All(_) => false,
        }
    }

    /// Whether `is_it` is true for a part of this test that has no parts itself.
    fn any(&self, is_it: &dyn Fn(&ValueTest) -> bool) -> bool {
        match self {
            Self::Any(tests) | Self::All(tests) => tests.iter().any(|test| test.any(is_it)),
            Self::Not(test) => test.any(is_it),
            test => is_it(test),
        }
    }

    fn gather_prefixes(&self, prefixes: &mut Vec<String>) {
        match self {
            Self::Text(glob) => {
                prefixes.extend(glob.as_str().strip_suffix("/*").and_then(own_prefix).map(str::to_owned));
            }
            Self::Prefix(prefix) => {
                prefixes.extend(prefix.strip_suffix('/').and_then(own_prefix).map(str::to_owned));
            }
            Self::Any(tests) | Self::All(tests) => {
                for test in tests {
                    test.gather_prefixes(prefixes);
                }
            }
            Self::Number(_)
            | Self::Bool(_)
            | Self::Within(..)
            | Self::Pattern(_)
            | Self::Exists(_)
            | Self::Not(_) => {}
        }
    }
}

/// The path, if it can be a prefix before the API: not the root, no pattern, and not a path of the
/// API itself.
fn own_prefix(prefix: &str) -> Option<&str> {
    let first = prefix.strip_prefix('/')?.split('/').next()?;
    let with_model = Operation::ALL.iter().filter(|operation| !operation.is_on_stored_objects());
    let mut of_the_api = with_model.filter_map(|operation| operation.path().split('/').next());
    let is_own = !first.is_empty()
        && !prefix.contains('*')
        && !matches!(first, "v1" | "openai" | "models")
        && !of_the_api.any(|segment| segment == first);
    is_own.then_some(prefix)
}
