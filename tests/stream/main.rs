//! Streams in the formats of OpenAI and Azure OpenAI: parsing, the commit point, and the ending.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_imports,
    reason = "tests"
)]

mod course;
mod error_events;
mod filtered;
mod long_events;
mod properties;
mod used;

use proptest::prelude::*;
use serde_json::{Value, json};
use switchyard::attempt::failure::Failure;
use switchyard::routes::graph::Commit;
use switchyard::stream::choices::ChatChoices;
use switchyard::stream::hold::{FIRST_TOKEN_BYTES, FIRST_TOKEN_EVENTS, Hold, HoldVerdict};
use switchyard::stream::protocol::{Meaning, Protocol, broken_stream, error_event};
use switchyard::stream::sse::{EVENT_LIMIT, Parser, RETAINED_BYTES, SseEvent};
use switchyard::stream::tail::{Ending, Tail};
use switchyard::usage::basis::UsageBasis;
use switchyard::usage::reported::Reported;
use switchyard::vocabulary::error_class::ErrorClass;
use switchyard::vocabulary::operation::Operation;
use switchyard::vocabulary::usage::Usage;

// Chat completions.
const AZURE_FIRST: &str = r#"data: {"id":"","object":"","created":0,"model":"","choices":[],"prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}]}"#;
const ROLE: &str = r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}"#;
const EMPTY: &str =
    r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":null,"content_filter_results":{}}]}"#;
const TEXT: &str = r#"data: {"choices":[{"index":0,"delta":{"content":"Zürich"},"finish_reason":null}]}"#;
const TOOL: &str = r#"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","function":{"name":"f","arguments":""}}]},"finish_reason":null}]}"#;
const REASONING: &str = r#"data: {"choices":[{"index":0,"delta":{"content":null,"reasoning_content":"Hm"},"finish_reason":null}]}"#;
const LEGACY: &str = r#"data: {"choices":[{"index":0,"text":"Hi","logprobs":null,"finish_reason":null}]}"#;
const LEGACY_EMPTY: &str =
    r#"data: {"choices":[{"index":0,"text":"","logprobs":null,"finish_reason":null}]}"#;
const FINISH: &str = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const FILTERED: &str = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"content_filter"}]}"#;
/// The second of two choices.
const SECOND: &str = r#"data: {"choices":[{"index":1,"delta":{"content":"Basel"},"finish_reason":null}]}"#;
const SECOND_FINISH: &str = r#"data: {"choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}"#;
/// Both choices in one chunk, with the members in Azure's order.
const BOTH: &str = r#"data: {"choices":[{"delta":{"content":"A"},"finish_reason":null,"index":0},{"delta":{"content":"B"},"finish_reason":null,"index":1}]}"#;
const BOTH_FINISH: &str = r#"data: {"choices":[{"delta":{},"finish_reason":"stop","index":0},{"delta":{},"finish_reason":"length","index":1}]}"#;
/// The second of two tool calls. It is not a choice of its own.
const SECOND_TOOL: &str = r#"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"{"}}]},"finish_reason":null}]}"#;
/// From a server that supports only one choice.
const UNNUMBERED: &str = r#"data: {"choices":[{"delta":{"content":"Hi"}}]}"#;
const UNNUMBERED_FINISH: &str = r#"data: {"choices":[{"delta":{"content":""},"finish_reason":"stop"}]}"#;
/// Some servers write an empty text if there is no reason.
const EMPTY_REASON: &str = r#"data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":""}]}"#;
/// The last choice index that is tracked. `BEYOND` has the next index.
const LAST_INDEX: &str = r#"data: {"choices":[{"index":127,"text":"Hi","finish_reason":null}]}"#;
const LAST_INDEX_FINISH: &str = r#"data: {"choices":[{"index":127,"text":"","finish_reason":"stop"}]}"#;
const BEYOND: &str = r#"data: {"choices":[{"index":128,"text":"Hi","finish_reason":null}]}"#;
const BEYOND_FINISH: &str = r#"data: {"choices":[{"index":128,"text":"","finish_reason":"stop"}]}"#;
/// Azure's asynchronous filter reports on a choice that has finished.
const FILTER_REPORT: &str = r#"data: {"choices":[{"content_filter_offsets":{"end_offset":2},"content_filter_results":{},"finish_reason":null,"index":0}]}"#;
const USAGE: &str =
    r#"data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;
const DONE: &str = "data: [DONE]";
const ERROR: &str =
    r#"data: {"error":{"message":"Slow down","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#;
const MALFORMED: &str = r#"data: {"choices":[{"index":0,"#;
/// Text that looks like the end of a stream and like an error.
const LIAR: &str = r#"data: {"choices":[{"index":0,"delta":{"content":"\"finish_reason\":\"stop\" [DONE] {\"error\":{\"code\":500}} \"response.completed\""},"finish_reason":null}]}"#;
/// A filter that failed reports an error below the top level. The text continues without the
/// filter.
const FILTER_ERROR: &str = r#"data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null,"content_filter_results":{"error":{"code":"content_filter_error","message":"down"}}}]}"#;
const PING: &str = "event: ping\ndata: {\"type\":\"ping\"}";
const COMMENT: &str = ": keep-alive";

// Responses.
const CREATED: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"status\":\"in_progress\",\"error\":null}}";
const IN_PROGRESS: &str =
    "event: response.in_progress\ndata: {\"type\":\"response.in_progress\",\"response\":{\"error\":null}}";
const QUEUED: &str = "event: response.queued\ndata: {\"type\":\"response.queued\",\"response\":{}}";
const MESSAGE_OPENS: &str = "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"item\":{\"type\":\"message\",\"content\":[]}}";
const PART_OPENS: &str = "event: response.content_part.added\ndata: {\"type\":\"response.content_part.added\",\"part\":{\"type\":\"output_text\",\"text\":\"\",\"annotations\":[]}}";
const REASONING_OPENS: &str = "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"item\":{\"type\":\"reasoning\",\"summary\":[]}}";
const DELTA: &str = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi \\\"response.completed\\\"\"}";
const COMPLETED: &str = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"error\":null}}";
const INCOMPLETE: &str = "event: response.incomplete\ndata: {\"type\":\"response.incomplete\",\"response\":{\"status\":\"incomplete\"}}";
const RESPONSE_FAILED: &str = "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"Oops\"}}}";
const UNEXPLAINED: &str = "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":null}}";
const EMPTY_ERROR: &str =
    r#"data: {"type":"response.failed","response":{"error":{"code":null,"message":""}}}"#;
const FILTER_EVENT: &str = "event: error\ndata: {\"type\":\"error\",\"code\":\"content_policy_violation\",\"message\":\"The response was filtered\"}";
const ERROR_EVENT: &str = "event: error\ndata: {\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"Slow down\",\"param\":null,\"sequence_number\":1}";
const NAMELESS_CREATED: &str = r#"data: {"type":"response.created","response":{}}"#;
const NAMELESS_DELTA: &str = r#"data: {"type":"response.output_text.delta","delta":"Hi"}"#;
const NAMELESS_COMPLETED: &str = r#"data: {"type":"response.completed","response":{}}"#;
const NAMELESS_FAILED: &str =
    r#"data: {"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded"}}}"#;
const NAMELESS_ERROR: &str =
    r#"data: {"type":"error","error":{"code":"rate_limit_exceeded"},"sequence_number":2}"#;

// Other protocols.
const PARTIAL_IMAGE: &str = "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"AAAA\"}";

const PARTIAL_EDIT: &str = "event: image_edit.partial_image\ndata: {\"type\":\"image_edit.partial_image\"}";
const NAMELESS_PARTIAL_IMAGE: &str = r#"data: {"b64_json":"AAAA","type":"image_generation.partial_image"}"#;
const IMAGE: &str = "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"AAAA\"}";
const EDITED_IMAGE: &str = "event: image_edit.completed\ndata: {\"type\":\"image_edit.completed\"}";
const TRANSCRIPT_DELTA: &str =
    r#"data: {"type":"transcript.text.delta","delta":"so \"transcript.text.done\" it is"}"#;
const TRANSCRIPT: &str = r#"data: {"type":"transcript.text.done","text":"Hi"}"#;
const SEGMENT: &str = r#"data: {"type":"transcript.text.segment","text":"Hi","speaker":"A"}"#;
const SPEECH_DELTA: &str = r#"data: {"type":"speech.audio.delta","audio":"AAAA"}"#;
const SPEECH: &str = r#"data: {"type":"speech.audio.done","usage":{"total_tokens":3}}"#;

use ErrorClass::{ContentPolicy, RateLimit, Truncated, Unavailable};
use Protocol::{Chat, Other, Responses};

/// A chat request of some 40 bytes.
const BASIS: UsageBasis = UsageBasis {
    operation: Operation::ChatCompletions,
    input_tokens: 10,
    characters: 0,
    images: 0,
    is_background: false,
};

/// The bytes of a stream of whole events.
fn stream(events: &[&str]) -> Vec<u8> {
    events.iter().flat_map(|event| [event.as_bytes(), b"\n\n"].concat()).collect()
}

/// All events in `chunks`: the name, the data, and whether the event was too long.
fn parse<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<(Vec<u8>, Vec<u8>, bool)> {
    let mut parser = Parser::default();
    let mut events = Vec::new();
    for chunk in chunks {
        parser
            .push(chunk, |event| events.push((event.name.to_vec(), event.data.to_vec(), event.is_oversized)));
    }
    events
}

/// The result of a stream that was held and then watched: the bytes that were sent, and how the
/// stream ended. The error is the reason why it did not commit.
#[derive(Debug, PartialEq)]
struct Course {
    bytes: Vec<u8>,
    ending: Result<Ending, Failure>,
}

fn run<'a>(
    protocol: Protocol,
    until: Commit,
    limit: usize,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Course {
    let mut hold = Hold::new(protocol, until, limit);
    let mut chunks = chunks.into_iter();
    let mut verdict = HoldVerdict::Wait;
    while verdict == HoldVerdict::Wait {
        verdict = match chunks.next() {
            Some(chunk) => hold.push(chunk),
            None => hold.end(),
        };
    }
    if let HoldVerdict::Fail(failure) = verdict {
        return Course { bytes: Vec::new(), ending: Err(failure) };
    }
    let mut bytes = hold.take();
    let mut tail = hold.tail();
    for chunk in chunks {
        bytes.extend_from_slice(chunk);
        tail.push(chunk);
    }
    Course { bytes, ending: Ok(tail.ending(false)) }
}

/// How a stream ended: with a failure before the commit point, complete, cut off, or with an error
/// that the upstream sent after the commit point.
#[derive(Debug, PartialEq)]
enum Fate {
    FailedUnseen(ErrorClass),
    Finished,
    CutOff,
    FailedVisibly(ErrorClass),
}

fn fate(protocol: Protocol, until: Commit, events: &[&str]) -> Fate {
    let bytes = stream(events);
    match run(protocol, until, usize::MAX, bytes.iter().map(std::slice::from_ref)).ending {
        Err(failure) => Fate::FailedUnseen(failure.class),
        Ok(Ending::Finished) => Fate::Finished,
        Ok(Ending::Truncated) => Fate::CutOff,
        Ok(Ending::Failed(failure)) => Fate::FailedVisibly(failure.class),
    }
}
