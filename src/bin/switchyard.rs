//! The native companion of the Worker: it checks routes documents, prints their schema, draws
//! them, explains where a request would go, asks deployments whether they serve, makes documents of
//! configurations of LiteLLM, simulates documents during outages and other failures, and operates
//! running gateways by their admin API.

#![allow(clippy::print_stderr, reason = "a command-line tool prints")]

#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/audit.rs"]
mod audit;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/canary_command.rs"]
mod canary_command;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/check.rs"]
mod check;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/cli.rs"]
mod cli;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/difference_text.rs"]
mod difference_text;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/doctor.rs"]
mod doctor;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/doctor_calls.rs"]
mod doctor_calls;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/doctor_through_gateway.rs"]
mod doctor_through_gateway;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/document_check.rs"]
mod document_check;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/explain.rs"]
mod explain;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/explain_text.rs"]
mod explain_text;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/fault_command.rs"]
mod fault_command;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/gateway_address.rs"]
mod gateway_address;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/gateway_answer.rs"]
mod gateway_answer;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/gateway_client.rs"]
mod gateway_client;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/gateway_error.rs"]
mod gateway_error;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/graph.rs"]
mod graph;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/history.rs"]
mod history;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/http_agent.rs"]
mod http_agent;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/import/mod.rs"]
mod import;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/keys_command.rs"]
mod keys_command;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/limit_notation.rs"]
mod limit_notation;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/litellm_keys.rs"]
mod litellm_keys;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/output.rs"]
mod output;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/pull.rs"]
mod pull;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/push.rs"]
mod push;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/routes_versions.rs"]
mod routes_versions;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/simulate.rs"]
mod simulate;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/snippets.rs"]
mod snippets;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/status.rs"]
mod status;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/status_text.rs"]
mod status_text;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/switches.rs"]
mod switches;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/usage_command.rs"]
mod usage_command;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/usage_text.rs"]
mod usage_text;

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    cli::run()
}

/// `cargo build --target wasm32-unknown-unknown` without `--lib` builds this file too.
#[cfg(target_arch = "wasm32")]
fn main() {}
