//! Pictures of routes documents: what they show, and that both forms can be read.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod command;
mod contents;
mod forms;
