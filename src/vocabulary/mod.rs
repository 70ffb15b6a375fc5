//! The words that every other module speaks: plain values and how they are read and written.
//!
//! The ground floor. It imports nothing of the crate outside itself.

pub mod client_error;
pub mod error_class;
pub mod error_reply;
pub mod facts;
pub mod headers;
pub mod operation;
pub mod retry_after;
pub mod rng;
pub mod switch;
pub mod time;
