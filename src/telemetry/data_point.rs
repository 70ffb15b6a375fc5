//! The data point of a request for Workers Analytics Engine. Its columns are documented in
//! docs/telemetry.md, and the queries in `examples/analytics` read them.
//!
//! Limits: 20 blobs with 16 KB together, 20 doubles, an index of 96 bytes
//! (<https://developers.cloudflare.com/analytics/analytics-engine/limits/>). A point beyond them is
//! dropped, so long texts are cut.

use super::request_record::{RequestRecord, provider};
use crate::vocabulary::decimal;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::time::Millis;

/// The version of the schema, the last double. A new column does not change it.
const VERSION: &str = "1";
/// The room for a point of one attempt.
const USUAL_BYTES: usize = 512;
/// The longest index, in bytes.
const INDEX_BYTES: usize = 96;
/// The longest blob, in bytes.
const BLOB_BYTES: usize = 900;

/// Adds the point as a text for the platform: the index and the blobs, each with a line break, and
/// the doubles in one line, with spaces between them.
pub fn append_data_point(text: &mut String, record: &RequestRecord<'_>) {
    let deployment = record.deployment();
    let (provider, upstream_model) = deployment.map_or(("", ""), provider);
    let first_failure = record.end.trail.failures().next().map_or("", |failure| failure.class.name());
    text.reserve(USUAL_BYTES);
    let mut blob = |blob: &str, most: usize| push(text, blob, most);
    blob(record.client, INDEX_BYTES);
    for value in [
        record.request_id,
        record.client,
        record.model,
        deployment.map_or("", |deployment| &deployment.name),
        provider,
        upstream_model,
        record.operation.map_or("", Operation::path),
        record.end.outcome,
    ] {
        blob(value, BLOB_BYTES);
    }
    blob(&record.end.trail.text(), BLOB_BYTES);
    for value in [
        record.routes,
        record.origin.colo,
        record.origin.country,
        &record.end.upstream_ids.aig_log_id,
        first_failure,
        if record.is_streamed { "stream" } else { "whole" },
        record.ejected,
        if record.end.trail.has_drill() { "drill" } else { "" },
    ] {
        blob(value, BLOB_BYTES);
    }
    let times = record.times();
    let usage = &record.end.usage;
    let attempts = record.end.trail.attempts().len();
    for number in [
        u64::from(record.end.status),
        u64::try_from(attempts).unwrap_or(u64::MAX),
        u64::from(record.is_fallback()),
        times.total_ms.get(),
        record.end.first_token_ms.unwrap_or(Millis::ZERO).get(),
        times.upstream_ms.get(),
        times.backoff_ms.get(),
        times.own_ms.get(),
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        usage.images,
    ] {
        push_double(text, number);
    }
    // In seconds.
    decimal::push(text, usage.audio_ms / 1_000);
    text.push('.');
    decimal::push_padded(text, usage.audio_ms % 1_000, 3);
    text.push(' ');
    push_double(text, usage.characters);
    push_double(text, record.micro_usd.unwrap_or(0));
    push_double(text, u64::from(usage.is_estimated));
    text.push_str(VERSION);
}

/// Adds a double, and a space.
fn push_double(text: &mut String, number: u64) {
    decimal::push(text, number);
    text.push(' ');
}

/// Adds a blob with at most `most` bytes. A line break in a name becomes a space.
fn push(text: &mut String, blob: &str, most: usize) {
    let end = blob.floor_char_boundary(most);
    let blob = blob.get(..end).unwrap_or_default();
    if blob.contains('\n') {
        text.push_str(&blob.replace('\n', " "));
    } else {
        text.push_str(blob);
    }
    text.push('\n');
}
