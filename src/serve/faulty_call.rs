//! A call that a drill answers, in place of the deployment: nothing is sent.

use super::answer::{Asked, Question};
use super::platform::{PlatformCall, ResponseHead};
use crate::attempt::failure::Failure;
use crate::stream::protocol::Protocol;
use crate::vocabulary::fault::Fault;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::time::Instant;

const JSON: &str = "application/json";

/// The beginning of a stream of chat or legacy completions, with content.
const COMPLETION: &str = r#"data: {"id":"drill","object":"chat.completion.chunk","created":0,"model":"drill","choices":[{"index":0,"delta":{"role":"assistant","content":"Drill"},"text":"Drill","finish_reason":null}]}

"#;

/// The beginning of the stream of a response, with content.
const RESPONSE: &str = r#"event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"drill","object":"response","created_at":0,"status":"in_progress","model":"drill","output":[]}}

event: response.output_item.added
data: {"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"drill","type":"message","role":"assistant","status":"in_progress","content":[]}}

event: response.content_part.added
data: {"type":"response.content_part.added","sequence_number":2,"item_id":"drill","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":3,"item_id":"drill","output_index":0,"content_index":0,"delta":"Drill"}

"#;

/// The beginning of any other stream of events.
const OTHER: &str = "data: {\"type\":\"drill\"}\n\n";

/// The answer of a fault that has one: a refusal, or the head of an answer that breaks off. What
/// follows is the same as after an answer of the deployment.
///
/// # Errors
/// The fault refuses the request.
#[inline(never)]
pub(super) fn answer<C: PlatformCall>(
    fault: Fault,
    question: &Question<'_>,
    call: &C,
    now: Instant,
) -> Result<ResponseHead, Failure> {
    let mut headers = Headers::default();
    if fault == Fault::Cut {
        let (content_type, first) = beginning(question);
        headers.push("content-type", content_type);
        call.break_off(&headers, first.as_bytes());
        return Ok(ResponseHead { status: 200, headers, body: None });
    }
    headers.push("content-type", JSON);
    let (status, kind) = if fault == Fault::RateLimit {
        headers.push("retry-after", "1");
        (429, "rate_limit_error")
    } else {
        (500, "server_error")
    };
    let body = [
        r#"{"error":{"message":"A drill has answered, and not the provider.","code":"drill","param":null,"type":""#,
        kind,
        "\"}}",
    ];
    Err(question.refusal(status, &headers, body.concat().into_bytes(), now))
}

/// The media type and the beginning of an answer. That of a stream has content, so that it reaches
/// its commit point.
fn beginning(question: &Question<'_>) -> (&'static str, &'static str) {
    if question.asked != Asked::Events {
        return (JSON, "{\"id\":\"drill\",");
    }
    let events = match Protocol::of(question.operation) {
        Protocol::Chat => COMPLETION,
        Protocol::Responses => RESPONSE,
        Protocol::Other => OTHER,
    };
    ("text/event-stream", events)
}
