//! What a command prints.

use std::fmt::Arguments;
use std::io::{IsTerminal, Write};

/// Prints to the standard output. Whoever reads it may have gone, as `head` does. Then nobody
/// misses the rest, and the exit code stays that of the command.
pub fn say(text: Arguments<'_>) {
    let _ = std::io::stdout().lock().write_fmt(text);
}

/// Whether the output has colours: only on a terminal, and not if `NO_COLOR` is set.
pub fn is_coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
