//! What the client gets.

pub mod cors;
pub mod exhausted;
pub mod models;
pub mod response_headers;
