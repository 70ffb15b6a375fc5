//! Server-sent events: when an answer may be sent, and whether it ended well.

pub mod choices;
pub mod cut_event;
pub mod hold;
pub mod protocol;
pub mod sse;
pub mod tail;
pub mod usage_filter;
