//! Alerts: what webhooks get, and which of them wait to be taken.
//!
//! Whoever knows that something happened keeps the alert in an outbox, which is stored: the shard
//! of a region about deployments and documents, a ledger about its limits. With the answer to a
//! report, an outbox gives an alert to one isolate, which sends it and confirms it.
//!
//! - [`alert`]: an alert and its text;
//! - [`alert_outbox`]: the alerts that wait, and who sends each.

pub mod alert;
pub mod alert_outbox;
