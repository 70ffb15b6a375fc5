//! What is written down about each request: one record, and its views.
//!
//! A record holds names of the routes document, numbers, and ids. It holds no prompt, no answer, no
//! key and no address of a client. docs/telemetry.md describes the views for their readers.

pub mod data_point;
pub mod log_line;
pub mod request_record;
pub mod span_attributes;
pub mod trace_context;
