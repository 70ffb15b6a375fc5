//! Which requests may be answered from the cache of their entry node, and with which answers.
//!
//! An answer is kept if the same request would get an equally good one from a provider, and if
//! nothing but the answer is missing when the provider is not asked. So a request with a side
//! effect is never answered from the cache, and neither is one whose answer depends on something
//! that changes at the provider: a stored object, or a tool that the provider runs.

use serde_json::Value;

use crate::request::json_body::Peek;
use crate::routes::graph::AnswerCache;
use crate::scan::needle::Needle;
use crate::vocabulary::facts::Facts;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::operation::Operation;

/// The longest body of a request, and of an answer, with which the cache deals.
pub const MOST_CACHED_BYTES: usize = 1024 * 1024;

/// The members of a body with which a provider searches by itself: OpenAI, and Azure.
const SEARCHES: [&str; 2] = ["web_search_options", "data_sources"];

/// What names an object of the provider, at any depth of a body.
static STORED_OBJECTS: [Needle; 4] = [
    Needle::of("\"file_id\""),
    Needle::of("\"file_ids\""),
    Needle::of("\"vector_store_ids\""),
    Needle::of("\"item_reference\""),
];

/// How a request uses the cache of its entry node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheUse {
    /// Whether an answer that was kept is given to it.
    pub reads: bool,
    /// How many seconds its own answer is kept.
    pub ttl_seconds: u32,
}

/// Why a request does not use the cache of its entry node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheBypass {
    /// The client does not want it.
    Refused,
    /// It is part of a drill.
    Drill,
    /// Answers of this operation are not kept, or not as a stream.
    Operation,
    /// Its body is too long.
    TooLong,
    /// It leaves something at the provider.
    SideEffects,
    /// It names a stored object.
    StoredObject,
    /// The provider runs a tool.
    HostedTools,
}

impl CacheBypass {
    /// The name in explanations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Drill => "drill",
            Self::Operation => "operation",
            Self::TooLong => "too_long",
            Self::SideEffects => "side_effects",
            Self::StoredObject => "stored_object",
            Self::HostedTools => "hosted_tools",
        }
    }
}

/// A request whose entry node keeps answers.
pub struct CacheQuestion<'a> {
    /// The key of the node.
    pub cache: &'a AnswerCache,
    /// The facts.
    pub facts: &'a Facts,
    /// The headers.
    pub headers: &'a Headers,
    /// The members of its JSON body, if it has one.
    pub peek: Option<&'a Peek>,
    /// The bytes of the body, or an excerpt.
    pub body: &'a [u8],
    /// The length of the whole body in bytes.
    pub length: usize,
    /// Whether a drill answers in place of a deployment.
    pub is_drill: bool,
}

impl CacheQuestion<'_> {
    /// How the request uses the cache.
    ///
    /// # Errors
    /// Why it does not.
    pub fn cache_use(&self) -> Result<CacheUse, CacheBypass> {
        let reads = self.wish()?;
        let facts = self.facts;
        if self.is_drill {
            return Err(CacheBypass::Drill);
        }
        let is_cacheable = match facts.operation {
            Operation::ChatCompletions | Operation::Completions | Operation::Responses => true,
            Operation::Embeddings | Operation::Moderations | Operation::ResponsesInputTokens => {
                !facts.is_streamed
            }
            _ => false,
        };
        let Some(peek) = self.peek.filter(|_| is_cacheable) else { return Err(CacheBypass::Operation) };
        if !peek.is_whole() || !facts.is_replayable || self.length > MOST_CACHED_BYTES {
            return Err(CacheBypass::TooLong);
        }
        if facts.has_side_effects || facts.is_done_once {
            return Err(CacheBypass::SideEffects);
        }
        let names_object = STORED_OBJECTS.iter().any(|needle| needle.is_in(self.body));
        if facts.previous_response_id.is_some() || peek.has_stored_prompt() || names_object {
            return Err(CacheBypass::StoredObject);
        }
        if !peek.members(self.body).all(|(name, value)| is_free_of_hosted_tools(name, value)) {
            return Err(CacheBypass::HostedTools);
        }
        Ok(CacheUse { reads, ttl_seconds: self.ttl_seconds() })
    }

    /// Whether the client takes an answer that was kept.
    ///
    /// # Errors
    /// If it wants nothing of the cache.
    fn wish(&self) -> Result<bool, CacheBypass> {
        let is_true = |value: &str| value.trim().eq_ignore_ascii_case("true");
        let mut reads = true;
        for directive in self.headers.get("cache-control").unwrap_or_default().split(',').map(str::trim) {
            if directive.eq_ignore_ascii_case("no-store") {
                return Err(CacheBypass::Refused);
            }
            let is_fresh = ["no-cache", "max-age=0"].iter().any(|name| directive.eq_ignore_ascii_case(name));
            reads &= !is_fresh;
        }
        let skips = self.headers.get("cf-aig-skip-cache").is_some_and(is_true);
        if skips { Err(CacheBypass::Refused) } else { Ok(reads) }
    }

    /// A client may have its answers kept for less time than the node keeps them, not for longer.
    fn ttl_seconds(&self) -> u32 {
        let stated = self.headers.get("cf-aig-cache-ttl").and_then(|seconds| seconds.trim().parse().ok());
        let stated = stated.filter(|seconds: &u32| *seconds > 0);
        stated.map_or(self.cache.ttl_seconds, |seconds| seconds.min(self.cache.ttl_seconds))
    }
}

/// Whether a member of the body lets the provider run no tool. The tools that the client runs are
/// part of the request, like its messages.
fn is_free_of_hosted_tools(name: &str, value: &[u8]) -> bool {
    if SEARCHES.contains(&name) {
        return value == b"null";
    }
    if name != "tools" {
        return true;
    }
    match serde_json::from_slice(value) {
        Ok(Value::Null) => true,
        Ok(Value::Array(tools)) => tools
            .iter()
            .all(|tool| matches!(tool.get("type").and_then(Value::as_str), Some("function" | "custom"))),
        _ => false,
    }
}
