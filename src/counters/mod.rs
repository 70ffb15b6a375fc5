//! What is added up about finished requests: how many, how long, how they ended, and what they
//! used.
//!
//! [`Counters`] is a set of series. An isolate adds finished requests to it. A [`CounterOutbox`]
//! makes numbered batches of what it added, which go to the shard of the region with the reports
//! about health, and from there to the hub in the same way. A [`CounterLedger`] is the receiving
//! side: it counts each batch once, and says what has to be stored for that. [`metrics_text`]
//! writes the totals for Prometheus, and [`usage_days`] says what was used on each day.
//!
//! ```
//! use switchyard::counters::{Counters, FailedUsage, FinishedAttempt, FinishedRequest};
//! use switchyard::vocabulary::time::Millis;
//! use switchyard::vocabulary::usage::Usage;
//!
//! let mut counters = Counters::default();
//! let request = FinishedRequest {
//!     client: "app",
//!     model: "chat",
//!     outcome: "ok",
//!     duration_ms: Millis::new(1_250),
//!     deployment: Some("azure-eastus"),
//!     first_token_ms: None,
//!     is_fallback: true,
//!     usage: Usage { input_tokens: 20, output_tokens: 7, ..Usage::default() },
//!     micro_usd: 135,
//!     cache: None,
//! };
//! let attempt = |deployment, outcome, ms| {
//!     let duration_ms = Millis::new(ms);
//!     FinishedAttempt { deployment, outcome, duration_ms }
//! };
//! let attempts = [attempt("openai", "rate_limit", 50), attempt("azure-eastus", "ok", 1_150)];
//! counters.on_request(&request, attempts);
//! ```
//!
//! Invariants:
//! - Sums are exact: whole numbers of requests, milliseconds, tokens and micro-dollars.
//! - Memory is bounded: the number of series of each family, and the bytes of all labels. What is
//!   beyond these bounds counts in a series whose labels are `other`.
//! - What has been counted in a ledger is never counted again, whatever is lost or repeated.

mod counter_batch;
mod counter_ledger;
mod counter_outbox;
mod counter_set;
mod finished_request;
mod histogram;
mod label_table;
pub mod metrics_text;
mod seen_batches;
mod series;
mod stored_counters;
mod usage_cells;
pub mod usage_days;

pub use counter_batch::CounterBatch;
pub use counter_ledger::CounterLedger;
pub use counter_outbox::{BATCH_EVERY_MS, CounterOutbox, RETENTION_MS};
pub use counter_set::Counters;
pub use finished_request::{FailedUsage, FinishedAttempt, FinishedRequest};
pub use histogram::BOUNDS_MS;
pub use label_table::MOST_LABEL_BYTES;
pub use seen_batches::REMEMBERED_MS;
pub use series::Family;
pub use stored_counters::CounterRow;
