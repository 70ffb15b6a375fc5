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
    /// The exit code: 1 if the gateway refuses it, 2 if the arguments or a file cannot be used,
    /// 3 if there is no gateway or it does not accept the token, 4 if another change came first.
    #[serde(skip)]
    pub exit_code: u8,
}

impl GatewayError {
    /// An error of this kind: the gateway cannot be asked.
    pub fn new(code: &str, message: impl Into<String>, help: impl Into<String>) -> Self {
        let (code, message, help) = (code.to_owned(), message.into(), help.into());
        Self { code, message, help, exit_code: 3 }
    }

    /// The arguments or the variables of the command line cannot be used.
    pub fn of_arguments(code: &str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { exit_code: 2, ..Self::new(code, message, help) }
    }

    /// A file cannot be read or written.
    pub fn of_file(file: &str, error: &dyn Display) -> Self {
        Self::of_arguments("unusable_file", format!("{file}: {error}"), "")
    }

    /// An error that a gateway answers with.
    pub fn of_status(status: u16, code: &str, message: impl Into<String>, help: impl Into<String>) -> Self {
        let exit_code = match status {
            401 | 403 => 3,
            409 | 412 => 4,
            400..=499 => 1,
            _ => 3,
        };
        Self { exit_code, ..Self::new(code, message, help) }
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
        ExitCode::from(self.exit_code)
    }
}

/// The exit code of a command. An error is printed.
pub fn finished(result: Result<ExitCode, GatewayError>, as_json: bool) -> ExitCode {
    result.unwrap_or_else(|error| error.report(as_json))
}
