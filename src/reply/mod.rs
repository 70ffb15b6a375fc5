//! What the client gets.

pub mod error;
