//! Readers of JSON that work on bytes: they find what is looked for and never build values.
//!
//! The ground floor. They are on the path of every request and of every byte of a body, and are measured.

pub mod needle;
pub mod plain;
pub mod top_level;
