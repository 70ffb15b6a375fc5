//! Limits and budgets that many isolates share, without a wait per request.
//!
//! One object, the ledger, owns what may be spent. Isolates lease parts of it and debit their
//! leases locally. Invariants:
//! - what is spent and what is leased together never exceed the limit, so isolates cannot overspend
//!   together;
//! - a lease that dies with its isolate returns at its end: nothing is lost for longer;
//! - what an isolate reports about a lease is a total, so a report that arrives twice counts once;
//! - the ledger refuses only what does not fit into the part that is neither spent nor leased.
//!
//! - [`meter`]: one limit, as the ledger counts it;
//! - [`budget_alert`]: what webhooks get when a limit is nearly or wholly spent;
//! - [`limit_ledger`]: the meters of one object, and its answers;
//! - [`stored_ledger`]: the ledger in the [`ledger_storage`] of its object;
//! - [`object_rows`]: which stored objects a client has made, in an object of the same class;
//! - [`isolate_limits`]: the leases of an isolate, and what its requests reserve;
//! - [`limit_wire`]: the messages between them.

pub mod budget_alert;
pub mod isolate_limits;
pub mod ledger_storage;
pub mod limit_ledger;
pub mod limit_wire;
pub mod meter;
pub mod object_rows;
pub mod stored_ledger;
