//! The log line of a request: its record as JSON.

use serde::Serialize;

use super::request_record::{RequestRecord, outcome_name, provider};
use crate::attempt::trail::{Attempt, AttemptOutcome};
use crate::vocabulary::operation::Operation;
use crate::vocabulary::time::{Instant, Millis};
use crate::vocabulary::usage::Usage;

/// The version of the schema. A new member does not change it.
const VERSION: u32 = 1;

/// The room for a line of one attempt.
const USUAL_BYTES: usize = 1024;

#[derive(Serialize)]
struct LogLine<'a> {
    v: u32,
    event: &'static str,
    time: String,
    request_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    trace_id: &'a str,
    outcome: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    client: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    operation: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    model: &'a str,
    stream: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    deployment: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    provider: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    upstream_model: &'a str,
    fallback: bool,
    attempts: Vec<AttemptLine<'a>>,
    ms: TimesLine,
    usage: UsageLine,
    #[serde(skip_serializing_if = "Option::is_none")]
    micro_usd: Option<u64>,
    routes: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    colo: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    country: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    cf_ray: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    cf_aig_log_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    upstream_request_id: &'a str,
}

#[derive(Serialize)]
struct AttemptLine<'a> {
    deployment: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    ms: Millis,
    /// What the provider charges for although the attempt does not serve.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageLine>,
}

#[derive(Serialize)]
struct TimesLine {
    total: Millis,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_token: Option<Millis>,
    upstream: Millis,
    backoff: Millis,
    own: Millis,
}

#[derive(Serialize)]
struct UsageLine {
    input_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cached_input_tokens: u64,
    output_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    reasoning_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    images: u64,
    #[serde(skip_serializing_if = "is_zero")]
    audio_ms: u64,
    #[serde(skip_serializing_if = "is_zero")]
    characters: u64,
    estimated: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl UsageLine {
    fn of(usage: &Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            cached_input_tokens: usage.cached_input_tokens,
            output_tokens: usage.output_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            images: usage.images,
            audio_ms: usage.audio_ms,
            characters: usage.characters,
            estimated: usage.is_estimated,
        }
    }
}

impl<'a> AttemptLine<'a> {
    fn of(attempt: &'a Attempt) -> Self {
        let ended = attempt.ended.as_ref();
        let outcome = ended.map(|ended| &ended.outcome);
        let (status, reason) = match outcome {
            Some(AttemptOutcome::Served(status)) => (Some(*status), ""),
            Some(AttemptOutcome::Failed(failure)) => (failure.status, failure.reason.as_str()),
            Some(AttemptOutcome::Abandoned) | None => (None, ""),
        };
        Self {
            deployment: &attempt.deployment.name,
            outcome: outcome_name(outcome),
            status,
            reason,
            ms: ended.map_or(Millis::ZERO, |ended| ended.after_ms),
            usage: attempt.charged().map(UsageLine::of),
        }
    }
}

/// `2026-01-31T23:59:59.250Z` (RFC 3339).
fn timestamp(at: Instant) -> String {
    let seconds = at.utc().to_string();
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), at.epoch_ms() % 1_000)
}

/// The line, without a line break. `reason` of an attempt is a text of the upstream, so secrets
/// must be masked.
pub fn log_line(record: &RequestRecord<'_>) -> String {
    let times = record.times();
    let deployment = record.deployment();
    let (provider, upstream_model) = deployment.map_or(("", ""), provider);
    let line = LogLine {
        v: VERSION,
        event: "request",
        time: timestamp(record.arrived_at),
        request_id: record.request_id,
        trace_id: record.trace_id,
        outcome: record.end.outcome,
        reason: record.end.reason,
        status: record.end.status,
        client: record.client,
        operation: record.operation.map_or("", Operation::path),
        model: record.model,
        stream: record.is_streamed,
        deployment: deployment.map_or("", |deployment| &deployment.name),
        provider,
        upstream_model,
        fallback: record.is_fallback(),
        attempts: record.end.trail.attempts().iter().map(AttemptLine::of).collect(),
        ms: TimesLine {
            total: times.total_ms,
            first_token: record.end.first_token_ms,
            upstream: times.upstream_ms,
            backoff: times.backoff_ms,
            own: times.own_ms,
        },
        usage: UsageLine::of(&record.end.usage),
        micro_usd: record.micro_usd,
        routes: record.routes,
        colo: record.origin.colo,
        country: record.origin.country,
        cf_ray: record.origin.cf_ray,
        cf_aig_log_id: &record.end.upstream_ids.aig_log_id,
        upstream_request_id: &record.end.upstream_ids.request_id,
    };
    let mut json = Vec::with_capacity(USUAL_BYTES);
    // Writing to memory cannot fail.
    let _ = serde_json::to_writer(&mut json, &line);
    String::from_utf8(json).unwrap_or_default()
}
