//! The record of one request: what is written down when it ends.

use std::collections::BTreeMap;

use crate::attempt::trail::{AttemptOutcome, Trail};
use crate::routes::graph::Deployment;
use crate::usage::price::Price;
use crate::vocabulary::cache_status::CacheStatus;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::request_outcome::OK;
use crate::vocabulary::time::{Instant, Millis};
use crate::vocabulary::upstream_ids::{UpstreamIds, is_id};
use crate::vocabulary::usage::Usage;

/// What is known of a request at its end.
#[derive(Debug, Clone, Copy)]
pub struct RequestRecord<'a> {
    /// The gateway's id of the request.
    pub request_id: &'a str,
    /// The id of the trace that it belongs to.
    pub trace_id: &'a str,
    /// When it arrived.
    pub arrived_at: Instant,
    /// When its reply began: an error, or the headers of the answer.
    pub replied_at: Instant,
    /// When it ended.
    pub ended_at: Instant,
    /// The name of the client in the routes document; empty if no client was identified.
    pub client: &'a str,
    /// What the routes document says about the client, if it was identified.
    pub labels: Option<&'a BTreeMap<String, String>>,
    /// The id of the issued key; empty if the request came with none.
    pub key: &'a str,
    /// The operation, if the path names one.
    pub operation: Option<Operation>,
    /// The entry node; empty if none was chosen.
    pub model: &'a str,
    /// Whether the client asked for a stream.
    pub is_streamed: bool,
    /// How it ended.
    pub end: RequestEnd<'a>,
    /// What it cost in millionths of a US dollar; `None` if the deployment has no price.
    pub micro_usd: Option<u64>,
    /// The version of the routes document.
    pub routes: &'a str,
    /// The names of the deployments that this isolate ejected with it, with commas between them.
    pub ejected: &'a str,
    /// Where the request came from.
    pub origin: RequestOrigin<'a>,
    /// What the cache of the entry node had, if it has one.
    pub cache: Option<CacheStatus>,
}

/// How a request ended.
#[derive(Debug, Clone, Copy)]
pub struct RequestEnd<'a> {
    /// [`OK`], `client_left`, the class of the failure, or the code of the gateway's own error.
    pub outcome: &'a str,
    /// Why it failed, in a short name: that of the last failure, or what cut the stream. Empty if
    /// there is nothing to add.
    pub reason: &'a str,
    /// The HTTP status that the client got.
    pub status: u16,
    /// The attempts.
    pub trail: &'a Trail,
    /// The time from the begin of the serving attempt to the first token, if the answer is a stream
    /// that was awaited so far.
    pub first_token_ms: Option<Millis>,
    /// What the answer used.
    pub usage: Usage,
    /// The ids of the answer at the upstream; of the last error, if nobody served.
    pub upstream_ids: &'a UpstreamIds,
}

impl<'a> RequestEnd<'a> {
    /// An end without an answer of an upstream.
    pub fn without_answer(outcome: &'a str, status: u16, trail: &'a Trail) -> Self {
        static NO_IDS: UpstreamIds = UpstreamIds { request_id: String::new(), aig_log_id: String::new() };
        let failure = trail.failures().last();
        Self {
            outcome,
            reason: failure.map_or("", |failure| &failure.reason),
            status,
            trail,
            first_token_ms: None,
            usage: Usage::default(),
            upstream_ids: failure.and_then(|failure| failure.upstream_ids.as_deref()).unwrap_or(&NO_IDS),
        }
    }
}

/// Where a request came from, as the headers of Cloudflare say. They name no single client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestOrigin<'a> {
    /// The id of the request at Cloudflare, with the data centre at its end.
    pub cf_ray: &'a str,
    /// The IATA code of the data centre.
    pub colo: &'a str,
    /// The country of the client, ISO 3166-1 alpha-2.
    pub country: &'a str,
}

impl<'a> RequestOrigin<'a> {
    /// Reads `cf-ray` and `cf-ipcountry`
    /// (<https://developers.cloudflare.com/fundamentals/reference/http-headers/>).
    pub fn of(headers: &'a Headers) -> Self {
        let mut origin = Self::default();
        for (name, value) in headers.iter() {
            match name {
                "cf-ray" if is_id(value) => origin.cf_ray = value,
                "cf-ipcountry" if value.len() == 2 && is_id(value) => origin.country = value,
                _ => {}
            }
        }
        origin.colo = origin.cf_ray.rsplit_once('-').map_or("", |(_, colo)| colo);
        origin
    }
}

impl<'a> RequestRecord<'a> {
    /// The deployment that served, or else the one that was tried last.
    pub fn deployment(&self) -> Option<&'a Deployment> {
        let attempt = self.end.trail.serving().or_else(|| self.end.trail.attempts().last())?;
        Some(&attempt.deployment)
    }

    /// Whether the log has the record whatever its sample is: the request failed, or an attempt
    /// did.
    pub fn is_failure(&self) -> bool {
        self.end.outcome != OK || self.end.trail.failures().next().is_some()
    }

    /// Whether another deployment served than the one that was tried first.
    pub fn is_fallback(&self) -> bool {
        let first = self.end.trail.attempts().first();
        first
            .zip(self.end.trail.serving())
            .is_some_and(|(first, serving)| first.deployment.id != serving.deployment.id)
    }

    /// Whether a sample has the record. `share`: the part of all requests, `0.0..=1.0`. The id
    /// decides, so that every view of a request has it, or none.
    pub fn is_sampled(&self, share: f64) -> bool {
        let digits = self.request_id.get(4..12).unwrap_or_default();
        let draw = u32::from_str_radix(digits, 16).unwrap_or(0);
        f64::from(draw) < share * 4_294_967_296.0
    }

    /// The times of the request.
    pub fn times(&self) -> RecordTimes {
        let (upstream_ms, backoff_ms) = (self.end.trail.upstream_ms(), self.end.trail.backoff_ms());
        RecordTimes {
            total_ms: self.ended_at - self.arrived_at,
            upstream_ms,
            backoff_ms,
            own_ms: self.replied_at - self.arrived_at - upstream_ms - backoff_ms,
        }
    }
}

/// The times of a request, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordTimes {
    /// From its arrival to the end of its answer.
    pub total_ms: Millis,
    /// Waits for upstreams, up to the commit point.
    pub upstream_ms: Millis,
    /// Waits between attempts.
    pub backoff_ms: Millis,
    /// The rest of the time to the reply: the upload of the body, and the gateway's own work.
    pub own_ms: Millis,
}

/// The cost of a request in millionths of a US dollar, if its deployment has a price. What failed
/// costs nothing here. The price of a request counts when a stored object is created, not whenever
/// somebody asks about it.
pub fn micro_usd(operation: Option<Operation>, trail: &Trail, usage: &Usage) -> Option<u64> {
    // What a drill answered was never sent.
    let price = trail.serving().filter(|attempt| !attempt.is_drill)?.deployment.cost?;
    let is_on_stored = operation.is_some_and(Operation::is_on_stored_objects);
    let price = if is_on_stored { Price { request: 0, ..price } } else { price };
    Some(price.micro_usd(usage))
}

/// The outcome of an attempt as every view names it: [`OK`], the class of the failure,
/// `abandoned`, or `pending`.
pub fn outcome_name(outcome: Option<&AttemptOutcome>) -> &'static str {
    match outcome {
        None => "pending",
        Some(AttemptOutcome::Served(_)) => OK,
        Some(AttemptOutcome::Failed(failure)) => failure.class.name(),
        Some(AttemptOutcome::Abandoned) => "abandoned",
    }
}

/// The name of the provider, and the model or deployment there.
pub fn provider(deployment: &Deployment) -> (&'static str, &str) {
    use crate::routes::graph::Upstream::{Azure, OpenAi};
    match &deployment.upstream {
        OpenAi { model, .. } => ("openai", model),
        Azure { deployment, .. } => ("azure", deployment),
    }
}
