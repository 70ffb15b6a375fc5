//! JSON readers that work on bytes. They find positions and never build values. For what is read
//! rarely, there is a reader of values beside them ([`json_value`]).
//!
//! This is the ground floor. Every request and every byte of a body passes through it, so its speed
//! is measured.

pub mod json_value;
pub mod member_watch;
pub mod needle;
pub mod plain;
pub mod texts;
pub mod top_level;
