//! The registry: which routes documents have served, who changed them and why, and what
//! administrators did.
//!
//! - [`canary`]: a new version that serves a share of the requests, and how it is compared;
//! - [`difference`]: what differs between two documents;
//! - [`key_ledger`]: the list of issued keys, and which records the store must get;
//! - `key_pace`: how often isolates tell what keys used;
//! - [`key_totals`]: what each of them has used;
//! - [`version_ledger`]: the versions, how a change becomes one, and the log of acts, over a
//!   storage;
//! - [`registry_requests`]: the requests that the Durable Object `Registry` answers.

pub mod canary;
pub mod difference;
pub mod key_ledger;
mod key_pace;
pub mod key_totals;
#[cfg(test)]
mod memory_rows;
pub mod registry_requests;
pub mod version_ledger;
