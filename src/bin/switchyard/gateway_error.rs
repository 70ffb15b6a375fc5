//! Why a command on a gateway did not do what it should.

use std::fmt::Display;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::json;

use crate::output::{printable, say};

/// Why a call did not lead to an answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GatewayError {
    /// A name for programs: that of the gateway's error, or one of the command line.
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

    /// A file cannot be read or written.
    pub fn of_file(file: &str, error: &dyn Display) -> Self {
        Self::new("unusable_file", format!("{file}: {error}"), "")
    }

    /// The exit code: 1 if the gateway refuses it, 2 if the arguments or a file cannot be used,
    /// 3 if there is no gateway or it does not accept the token, 4 if another change came first.
    pub fn exit_code(&self) -> u8 {
        match self.code.as_str() {
            "deployment_not_found" | "invalid_json" | "routes_refused" | "version_not_found" => 1,
            "half_a_service_token"
            | "invalid_document"
            | "no_gateway"
            | "no_terminal"
            | "no_token"
            | "unusable_file"
            | "wrong_address" => 2,
            "change_under_way" | "routes_changed" => 4,
            _ => 3,
        }
    }

    /// Prints the error: as JSON to the standard output, as text to the standard error. Returns
    /// the exit code.
    pub fn report(&self, as_json: bool) -> ExitCode {
        if as_json {
            say(format_args!("{:#}\n", json!({ "error": self })));
        }
        eprintln!("error: {}", printable(&self.message));
        if !self.help.is_empty() {
            eprintln!("help: {}", printable(&self.help));
        }
        ExitCode::from(self.exit_code())
    }
}

/// The exit code of a command. An error is printed.
pub fn finished(result: Result<ExitCode, GatewayError>, as_json: bool) -> ExitCode {
    result.unwrap_or_else(|error| error.report(as_json))
}
