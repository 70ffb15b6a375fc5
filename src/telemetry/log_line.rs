//! The log line of a request: its record as JSON.

use super::request_record::{RequestRecord, outcome_name, provider};
use crate::attempt::trail::{Attempt, AttemptOutcome};
use crate::vocabulary::cache_status::CacheStatus;
use crate::vocabulary::decimal;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::time::{Instant, Millis};
use crate::vocabulary::usage::Usage;

/// The version of the schema. A new member does not change it.
const VERSION: u64 = 1;

/// The room for a line of one attempt, and for a data point after it.
const USUAL_BYTES: usize = 1_536;

/// A key as it is written: with its quotes and the colon.
macro_rules! key {
    ($name:literal) => {
        concat!("\"", $name, "\":")
    };
}

/// The line while it is written: members of JSON objects, each with a comma before it. A derived
/// serializer costs more, for every request (docs/benchmarks.md, Telemetry).
struct Line(String);

impl Line {
    /// Begins an object. `key` is empty in a list.
    fn open(&mut self, key: &str) {
        self.key(key);
        self.0.push('{');
    }

    fn close(&mut self) {
        self.0.push('}');
    }

    fn key(&mut self, key: &str) {
        if !matches!(self.0.as_bytes().last(), None | Some(b'{' | b'[')) {
            self.0.push(',');
        }
        self.0.push_str(key);
    }

    fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        if text.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\')) {
            self.0.push_str(&serde_json::to_string(text).unwrap_or_default());
        } else {
            self.0.push('"');
            self.0.push_str(text);
            self.0.push('"');
        }
    }

    /// A text that is left out if it is empty.
    fn some_text(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.text(key, text);
        }
    }

    fn flag(&mut self, key: &str, value: bool) {
        self.key(key);
        self.0.push_str(if value { "true" } else { "false" });
    }

    fn number(&mut self, key: &str, number: u64) {
        self.key(key);
        decimal::push(&mut self.0, number);
    }

    /// A number that is left out if it is zero.
    fn some_number(&mut self, key: &str, number: u64) {
        if number > 0 {
            self.number(key, number);
        }
    }

    fn optional(&mut self, key: &str, number: Option<u64>) {
        if let Some(number) = number {
            self.number(key, number);
        }
    }

    fn usage(&mut self, usage: &Usage) {
        self.open(key!("usage"));
        self.number(key!("input_tokens"), usage.input_tokens);
        self.some_number(key!("cached_input_tokens"), usage.cached_input_tokens);
        self.number(key!("output_tokens"), usage.output_tokens);
        self.some_number(key!("reasoning_tokens"), usage.reasoning_tokens);
        self.some_number(key!("images"), usage.images);
        self.some_number(key!("audio_ms"), usage.audio_ms);
        self.some_number(key!("characters"), usage.characters);
        self.flag(key!("estimated"), usage.is_estimated);
        self.close();
    }

    fn attempt(&mut self, attempt: &Attempt, arrived_at: Instant) {
        let ended = attempt.ended.as_ref();
        let outcome = ended.map(|ended| &ended.outcome);
        let (status, reason) = match outcome {
            Some(AttemptOutcome::Served(status)) => (Some(*status), ""),
            Some(AttemptOutcome::Failed(failure)) => (failure.status, failure.reason.as_str()),
            Some(AttemptOutcome::Abandoned) | None => (None, ""),
        };
        self.open("");
        self.text(key!("deployment"), &attempt.deployment.name);
        self.text(key!("outcome"), outcome_name(outcome));
        self.optional(key!("status"), status.map(u64::from));
        self.some_text(key!("reason"), reason);
        self.number(key!("at_ms"), (attempt.started_at - arrived_at).get());
        self.number(key!("ms"), ended.map_or(0, |ended| ended.after_ms.get()));
        if attempt.is_drill {
            self.flag(key!("drill"), true);
        }
        // What the provider charges for although the attempt does not serve.
        if let Some(usage) = attempt.charged() {
            self.usage(usage);
        }
        self.close();
    }

    fn times(&mut self, record: &RequestRecord<'_>) {
        let times = record.times();
        self.open(key!("ms"));
        self.number(key!("total"), times.total_ms.get());
        self.optional(key!("first_token"), record.end.first_token_ms.map(Millis::get));
        self.number(key!("upstream"), times.upstream_ms.get());
        self.number(key!("backoff"), times.backoff_ms.get());
        self.number(key!("own"), times.own_ms.get());
        self.close();
    }
}

/// The line, without a line break. `reason` of an attempt is a text of the upstream, so secrets
/// must be masked.
pub fn log_line(record: &RequestRecord<'_>) -> String {
    let deployment = record.deployment();
    let (provider, upstream_model) = deployment.map_or(("", ""), provider);
    let mut line = Line(String::with_capacity(USUAL_BYTES));
    line.open("");
    line.number(key!("v"), VERSION);
    line.text(key!("event"), "request");
    line.text(key!("time"), &record.arrived_at.utc_ms());
    line.text(key!("request_id"), record.request_id);
    line.some_text(key!("trace_id"), record.trace_id);
    line.text(key!("outcome"), record.end.outcome);
    line.some_text(key!("reason"), record.end.reason);
    line.number(key!("status"), u64::from(record.end.status));
    line.some_text(key!("client"), record.client);
    if let Some(labels) = record.labels.filter(|labels| !labels.is_empty()) {
        line.open(key!("labels"));
        for (name, value) in labels {
            line.text(&format!("{}:", serde_json::to_string(name).unwrap_or_default()), value);
        }
        line.close();
    }
    line.some_text(key!("key"), record.key);
    line.some_text(key!("operation"), record.operation.map_or("", Operation::path));
    line.some_text(key!("model"), record.model);
    line.flag(key!("stream"), record.is_streamed);
    line.some_text(key!("deployment"), deployment.map_or("", |deployment| &deployment.name));
    line.some_text(key!("provider"), provider);
    line.some_text(key!("upstream_model"), upstream_model);
    line.flag(key!("fallback"), record.is_fallback());
    if record.end.trail.has_drill() {
        line.flag(key!("drill"), true);
    }
    line.some_text(key!("cache"), record.cache.map_or("", CacheStatus::name));
    line.key(concat!(key!("attempts"), "["));
    for attempt in record.end.trail.attempts() {
        line.attempt(attempt, record.arrived_at);
    }
    line.0.push(']');
    line.times(record);
    line.usage(&record.end.usage);
    line.optional(key!("micro_usd"), record.micro_usd);
    line.text(key!("routes"), record.routes);
    line.some_text(key!("colo"), record.origin.colo);
    line.some_text(key!("country"), record.origin.country);
    line.some_text(key!("cf_ray"), record.origin.cf_ray);
    line.some_text(key!("cf_aig_log_id"), &record.end.upstream_ids.aig_log_id);
    line.some_text(key!("upstream_request_id"), &record.end.upstream_ids.request_id);
    line.close();
    line.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::Line;

    proptest! {
        #[test]
        fn any_text_and_any_number_can_be_read_again(text: String, number: u64) {
            let mut line = Line(String::new());
            line.open("");
            line.text(key!("first"), &text);
            line.key(concat!(key!("list"), "["));
            for _ in 0..2 {
                line.open("");
                line.number(key!("number"), number);
                line.close();
            }
            line.0.push(']');
            line.text(key!("last"), "{[");
            line.close();
            let list = [json!({"number": number}), json!({"number": number})];
            let read: serde_json::Value = serde_json::from_str(&line.0).unwrap();
            prop_assert_eq!(read, json!({"first": text, "list": list, "last": "{["}));
            prop_assert!(!line.0.contains('\n'));
        }
    }
}
