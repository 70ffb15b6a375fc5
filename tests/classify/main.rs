//! Classification of the payloads that OpenAI, Azure OpenAI and AI Gateway are known to send.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_imports,
    reason = "tests"
)]

mod errors;
mod events;
mod properties;
mod successes;
#[allow(dead_code, reason = "each of the test files uses a part of it")]
#[path = "../times/mod.rs"]
mod times;
mod variants;

use proptest::prelude::*;
use serde_json::{Value, json};
use switchyard::attempt::classify::{UnclassifiedResponse, classify, classify_event_error};
use switchyard::attempt::failure::Failure;
use switchyard::attempt::success::{Success, fault_behind_success, is_event_stream};
use switchyard::vocabulary::error_class::ErrorClass::{
    self, Auth, BadRequest, Connection, ContentPolicy, ContextWindow, NotFound, Quota, RateLimit, Timeout,
    Truncated, Unavailable,
};
use switchyard::vocabulary::headers::Headers;
use switchyard::vocabulary::operation::Operation;
use times::at;

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Failure {
    classify(&UnclassifiedResponse {
        status,
        headers: &Headers::of(headers.iter().copied()),
        body,
        now: at(0),
    })
}

/// The failure in a complete body that came with a 200.
fn fault(operation: Operation, content_type: &str, body: &[u8]) -> Option<Failure> {
    fault_behind_success(&Success { operation, status: 200, content_type, body, is_whole: true })
}

/// Checks rows of status, body and class.
fn check(rows: &[(u16, Value, ErrorClass)]) {
    for (status, body, class) in rows {
        let failure = answer(*status, &[], body.to_string().as_bytes());
        assert_eq!(failure.class, *class, "{status} {body}");
        assert_eq!((failure.status, &failure.response), (Some(*status), &None), "{status} {body}");
    }
}

/// An error in the format of OpenAI.
fn openai(kind: &str, code: impl Into<Value>, message: &str) -> Value {
    json!({ "error": { "message": message, "type": kind, "param": null, "code": code.into() } })
}

/// The error of a refused request in the format of OpenAI.
fn invalid<'a>(code: impl Into<Option<&'a str>>, message: &str) -> Value {
    openai("invalid_request_error", code.into(), message)
}

/// An error of Azure's front end: it has only a code and a message.
fn azure(code: &str, message: &str) -> Value {
    json!({ "error": { "code": code, "message": message } })
}
