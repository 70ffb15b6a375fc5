//! The native companion of the Worker: it checks routes documents, prints their schema, explains
//! where a request would go, draws them, makes documents of configurations of LiteLLM, and
//! simulates documents during outages and other failures.

#![allow(clippy::print_stderr, reason = "a command-line tool prints")]

#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/check.rs"]
mod check;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/cli.rs"]
mod cli;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/explain.rs"]
mod explain;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/explain_text.rs"]
mod explain_text;
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
#[path = "switchyard/import/mod.rs"]
mod import;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/output.rs"]
mod output;
#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/simulate.rs"]
mod simulate;

#[cfg(not(target_arch = "wasm32"))]
#[path = "switchyard/snippets.rs"]
mod snippets;

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    cli::run()
}

/// `cargo build --target wasm32-unknown-unknown` without `--lib` builds this file too.
#[cfg(target_arch = "wasm32")]
fn main() {}
