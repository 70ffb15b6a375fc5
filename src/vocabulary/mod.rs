//! The terms that all other modules use: plain values, and how they are read and written.
//!
//! These modules import nothing of the crate outside this folder.

pub mod access_fault;
pub mod admission_fault;
pub mod alert_kind;
pub mod cache_status;
pub mod calendar;
pub mod client_error;
pub mod decimal;
pub mod denial;
pub mod error_class;
pub mod error_reply;
pub mod facts;
pub mod fault;
pub mod headers;
pub mod limit;
pub mod needs;
pub mod operation;
pub mod peer_id;
pub mod request_outcome;
pub mod retry_after;
pub mod rfc3339;
pub mod rng;
pub mod scope;
pub mod sorted;
pub mod switch;
pub mod time;
pub mod upstream_ids;
pub mod usage;
