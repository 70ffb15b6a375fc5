//! The attributes of spans as JSON objects, in the names of OpenTelemetry's conventions for
//! generative AI (<https://github.com/open-telemetry/semantic-conventions-genai>, version 0.1.0).
//! What these have no name for is under `switchyard.`.

use serde::Serialize;
use serde_json::{Map, Value};

use super::request_record::{RequestRecord, provider};
use crate::attempt::failure::Failure;
use crate::routes::graph::{Deployment, Upstream};
use crate::upstream::address::authority_of;
use crate::vocabulary::facts::Facts;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::request_outcome::OK;

#[derive(Serialize)]
struct AttemptAttributes<'a> {
    /// The name of the span. It is no attribute.
    name: String,
    #[serde(rename = "gen_ai.operation.name")]
    operation: &'static str,
    #[serde(rename = "gen_ai.provider.name")]
    provider: &'static str,
    #[serde(rename = "gen_ai.request.model")]
    model: &'a str,
    #[serde(rename = "gen_ai.request.stream")]
    is_streamed: bool,
    #[serde(rename = "server.address")]
    address: &'a str,
    #[serde(rename = "switchyard.deployment")]
    deployment: &'a str,
    #[serde(rename = "switchyard.attempt")]
    number: u32,
}

/// The attributes of an attempt, at its beginning. `name` is the name of its span.
pub fn of_attempt(facts: &Facts, deployment: &Deployment, number: u32) -> String {
    let (_, model) = provider(deployment);
    let operation = operation_name(facts.operation);
    let (provider, url) = match &deployment.upstream {
        Upstream::OpenAi { base, .. } => ("openai", base),
        Upstream::Azure { resource, .. } => ("azure.ai.openai", resource),
    };
    to_json(&AttemptAttributes {
        name: format!("{operation} {model}"),
        operation,
        provider,
        model,
        is_streamed: facts.is_streamed,
        address: authority_of(url),
        deployment: &deployment.name,
        number,
    })
}

#[derive(Serialize)]
struct FailureAttributes<'a> {
    #[serde(rename = "error.type")]
    class: &'static str,
    #[serde(rename = "http.response.status_code", skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(rename = "switchyard.reason")]
    reason: &'a str,
}

/// What a failure adds to the attributes of its attempt. The reason is a text of the upstream, so
/// secrets must be masked.
pub fn of_failure(failure: &Failure) -> String {
    to_json(&FailureAttributes {
        class: failure.class.name(),
        status: failure.status,
        reason: &failure.reason,
    })
}

#[derive(Serialize)]
struct RequestAttributes<'a> {
    #[serde(rename = "gen_ai.operation.name", skip_serializing_if = "str::is_empty")]
    operation: &'static str,
    #[serde(rename = "gen_ai.request.model", skip_serializing_if = "str::is_empty")]
    model: &'a str,
    #[serde(rename = "gen_ai.request.stream")]
    is_streamed: bool,
    /// In seconds.
    #[serde(rename = "gen_ai.response.time_to_first_chunk", skip_serializing_if = "Option::is_none")]
    first_chunk: Option<f64>,
    #[serde(rename = "gen_ai.usage.input_tokens")]
    input_tokens: u64,
    #[serde(rename = "gen_ai.usage.cache_read.input_tokens")]
    cached_input_tokens: u64,
    #[serde(rename = "gen_ai.usage.output_tokens")]
    output_tokens: u64,
    #[serde(rename = "gen_ai.usage.reasoning.output_tokens")]
    reasoning_tokens: u64,
    #[serde(rename = "error.type", skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(rename = "switchyard.request_id")]
    request_id: &'a str,
    #[serde(rename = "switchyard.client", skip_serializing_if = "str::is_empty")]
    client: &'a str,
    #[serde(rename = "switchyard.deployment", skip_serializing_if = "str::is_empty")]
    deployment: &'a str,
    #[serde(rename = "switchyard.trail")]
    trail: String,
    #[serde(rename = "switchyard.usage.estimated")]
    is_estimated: bool,
    #[serde(rename = "switchyard.cost.micro_usd", skip_serializing_if = "Option::is_none")]
    micro_usd: Option<u64>,
    #[serde(rename = "switchyard.routes")]
    routes: &'a str,
}

/// The longest text of an answer that is an attribute.
const LONGEST_TEXT: usize = 256;

/// What an answer says about itself. `first`: all of it, or of a stream what came up to its commit
/// point. Of an answer that flows, nothing is known. Nobody but a trace asks for it, so it is read
/// into values.
#[inline(never)]
pub fn of_response(first: &[u8]) -> Map<String, Value> {
    // The first event of a stream that has data.
    let event = first.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"data:"));
    let json = if first.trim_ascii_start().starts_with(b"{") { first } else { event.unwrap_or_default() };
    let read: Value = serde_json::from_slice(json).unwrap_or_default();
    let answer = read.get("response").filter(|response| response.is_object()).unwrap_or(&read);
    let text = |value: Option<&Value>| {
        value.and_then(Value::as_str).filter(|text| text.len() <= LONGEST_TEXT).map(str::to_owned)
    };
    let choices = answer.get("choices").and_then(Value::as_array).into_iter().flatten();
    let reasons: Vec<String> = choices.filter_map(|choice| text(choice.get("finish_reason"))).collect();
    let attributes = [
        ("gen_ai.response.id", text(answer.get("id"))),
        ("gen_ai.response.model", text(answer.get("model"))),
        // The conventions have a list. The runtime takes no lists.
        ("gen_ai.response.finish_reasons", Some(reasons.join(",")).filter(|reasons| !reasons.is_empty())),
    ];
    attributes
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), Value::String(value?))))
        .collect()
}

/// The attributes of a request, at its end. `response`: [`of_response`].
pub fn of_request(record: &RequestRecord<'_>, response: &Map<String, Value>) -> String {
    let mut attributes = of_record(record);
    for (name, value) in response {
        attributes.truncate(attributes.len().saturating_sub(1));
        attributes.extend([",\"", name, "\":", &value.to_string(), "}"]);
    }
    attributes
}

fn of_record(record: &RequestRecord<'_>) -> String {
    to_json(&RequestAttributes {
        operation: record.operation.map_or("", operation_name),
        model: record.model,
        is_streamed: record.is_streamed,
        first_chunk: record.end.first_token_ms.map(|ms| ms.as_f64() / 1_000.0),
        input_tokens: record.end.usage.input_tokens,
        cached_input_tokens: record.end.usage.cached_input_tokens,
        output_tokens: record.end.usage.output_tokens,
        reasoning_tokens: record.end.usage.reasoning_tokens,
        error: Some(record.end.outcome).filter(|outcome| *outcome != OK),
        request_id: record.request_id,
        client: record.client,
        deployment: record.deployment().map_or("", |deployment| &deployment.name),
        trail: record.end.trail.text(),
        is_estimated: record.end.usage.is_estimated,
        micro_usd: record.micro_usd,
        routes: record.routes,
    })
}

/// The name of an operation in the conventions, or else its path.
fn operation_name(operation: Operation) -> &'static str {
    match operation {
        Operation::ChatCompletions | Operation::Responses => "chat",
        Operation::Completions => "text_completion",
        Operation::Embeddings => "embeddings",
        other => other.path(),
    }
}

fn to_json(attributes: &impl Serialize) -> String {
    serde_json::to_string(attributes).unwrap_or_default()
}
