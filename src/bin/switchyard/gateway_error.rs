//! Why a gateway cannot be asked.

#![allow(dead_code, reason = "the commands that use it follow")]

use std::process::ExitCode;

use serde::Serialize;
use serde_json::json;

use crate::output::say;

/// The exit code if the gateway cannot be asked.
const UNREACHABLE: u8 = 3;

/// Why a call did not lead to an answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GatewayError {
    /// A name for programs: that of the gateway's error, or one of the client.
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl GatewayError {
    /// An error of this kind.
    pub fn new(code: &str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), help: help.into() }
    }

    /// Prints the error: as JSON to the standard output, as text to the standard error. Returns
    /// the exit code.
    pub fn report(&self, as_json: bool) -> ExitCode {
        if as_json {
            say(format_args!("{:#}\n", json!({ "error": self })));
        }
        eprintln!("error: {}", self.message);
        if !self.help.is_empty() {
            eprintln!("help: {}", self.help);
        }
        ExitCode::from(UNREACHABLE)
    }
}
