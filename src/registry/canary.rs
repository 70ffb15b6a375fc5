//! A canary: a new version of the routes document serves a share of the requests for some time,
//! and is compared with the version that serves the rest.
//!
//! - [`sequential_test`]: whether the new version does worse, beyond chance;
//! - [`version_counts`]: what is counted of each version;
//! - [`canary_trial`]: the counts of all isolates, and when the canary ends, and how;
//! - [`canary_tally`]: the counts of one isolate, and when it reports them;
//! - [`canary_ledger`]: the canary in the storage of the registry.

pub mod canary_alert;
pub mod canary_ledger;
pub mod canary_tally;
pub mod canary_trial;
pub mod sequential_test;
pub mod version_counts;
