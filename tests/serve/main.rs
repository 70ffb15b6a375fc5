//! Native tests of serving, in virtual time: attempts and flows against upstreams that follow a
//! script, with a client that may leave at any time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod access;
mod alerts;
mod answer_kinds;
mod attempts;
mod budget_alerts;
mod cached;
mod canary;
mod capabilities;
mod counting;
mod deployment_question;
mod documents;
mod drills;
mod entra;
mod exact_usage;
mod explained;
mod fake;
mod flows;
mod forms;
mod guards;
mod isolation;
mod issued_keys;
mod key_limits;
mod leaving;
#[allow(dead_code, reason = "the tests of limits look at the rows")]
#[path = "../ledger_rows/mod.rs"]
mod ledger_rows;
mod limits;
mod long_answers;
mod once;
mod own_objects;
mod records;
mod registry;
mod slow_uploads;
mod stored_secrets;
mod surface;
#[allow(dead_code, reason = "each of the test files uses a part of it")]
#[path = "../times/mod.rs"]
mod times;
mod uploads;
mod upstream_keys;

use fake::Step;

/// Two deployments, one after the other. The given settings are added to those here.
fn routes(settings: &str, model: &str) -> String {
    let deployment = |name: &str| {
        format!(
            r#""{name}": {{"provider": "openai", "endpoint": "https://{name}/v1", "api_key": "${{KEY}}", "model": "up-{name}"}}"#
        )
    };
    format!(
        r#"{{"version": 1,
            "settings": {{"deadline_ms": 60000, "health": {{"first_snapshot_ms": 0}}{settings}}},
            "clients": {{"app": {{"key": "${{SWITCHYARD_KEY}}", "models": ["*"]}}}},
            "deployments": {{{}, {}}},
            "models": {{"m": {{"targets": ["first", "second"], "retry": {{"attempts": 0}}{model}}}}}}}"#,
        deployment("first"),
        deployment("second"),
    )
}

/// A chat request.
const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
/// A streamed chat request.
const STREAM: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
/// A chat answer.
const ANSWER: &str = r#"{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}],"usage":{"completion_tokens":3}}"#;
/// A limit of a provider.
const LIMITED: &str = r#"{"error":{"message":"Slow down","type":"tokens","code":"rate_limit_exceeded"}}"#;
/// An error of a provider.
const OVERLOADED: &str = r#"{"error":{"message":"overloaded","type":"server_error","code":null}}"#;
/// The first event of a chat stream.
const FIRST: &str = "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"o\"}}]}\n\n";
/// The next event.
const NEXT: &str = "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"k\"}}]}\n\n";
/// The last events.
const LAST: &str = "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

/// The rest of a stream that takes longer than two seconds, with pauses of less than one.
fn slow_stream() -> Vec<Step> {
    let next = [Step::Bytes(NEXT.to_owned()), Step::Pause(times::ms(900))];
    let mut steps = [next.clone(), next.clone(), next].concat();
    steps.push(Step::Bytes(LAST.to_owned()));
    steps
}
