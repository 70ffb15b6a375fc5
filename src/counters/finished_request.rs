//! What is counted of a request that has ended.

use crate::vocabulary::cache_status::CacheStatus;
use crate::vocabulary::time::Millis;
use crate::vocabulary::usage::Usage;

/// A request that has ended. An unknown name is empty.
#[derive(Debug, Clone, Copy)]
pub struct FinishedRequest<'a> {
    /// The client's name in the routes document.
    pub client: &'a str,
    /// The name of the entry node, never the text of the client.
    pub model: &'a str,
    /// `ok`, the class of the last failure, the code of the gateway's own error, or `client_left`.
    pub outcome: &'a str,
    /// From the arrival of the request to the end of its answer.
    pub duration_ms: Millis,
    /// The deployment that served it, or else the last one that was tried.
    pub deployment: Option<&'a str>,
    /// From the beginning of the serving attempt to the first token of a stream.
    pub first_token_ms: Option<Millis>,
    /// Whether another deployment than the first one that was tried served it.
    pub is_fallback: bool,
    /// What it used.
    pub usage: Usage,
    /// What it cost.
    pub micro_usd: u64,
    /// What the cache of the entry node had, if it has one.
    pub cache: Option<CacheStatus>,
}

/// An attempt of such a request.
#[derive(Debug, Clone, Copy)]
pub struct FinishedAttempt<'a> {
    /// The deployment's name in the routes document.
    pub deployment: &'a str,
    /// `ok`, the class of its failure, `abandoned`, or `drill`.
    pub outcome: &'a str,
    /// From its dispatch to its commit point, or to its failure.
    pub duration_ms: Millis,
}

/// What a deployment charges for an attempt that failed.
#[derive(Debug, Clone, Copy)]
pub struct FailedUsage<'a> {
    /// The deployment's name in the routes document.
    pub deployment: &'a str,
    /// What the attempt used.
    pub usage: Usage,
    /// What it cost.
    pub micro_usd: u64,
}
