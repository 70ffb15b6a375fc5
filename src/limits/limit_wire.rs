//! The messages between isolates and the ledger, as JSON. Times are lengths from the moment of
//! writing, because clocks differ.

use serde::{Deserialize, Serialize};

use crate::vocabulary::limit::LimitRate;
use crate::vocabulary::time::Millis;

/// What an isolate asks and reports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitReport {
    /// The isolate: a random number. Hexadecimal, because JSON numbers are not precise enough.
    pub holder: String,
    /// What it says about its leases.
    pub leases: Vec<LeaseUse>,
    /// What it has spent without a lease.
    pub debts: Vec<LimitDebt>,
    /// What it asks for.
    pub wishes: Vec<LimitWish>,
}

/// What an isolate has spent without a lease, while the ledger could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitDebt {
    /// The meter.
    pub meter: String,
    /// The limit, as the document has it.
    pub rate: LimitRate,
    /// A number that no lease of the isolate has.
    pub number: u64,
    /// Units.
    pub amount: u64,
}

/// What an isolate says about a lease.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseUse {
    /// The meter.
    pub meter: String,
    /// The number of the lease.
    pub number: u64,
    /// All that was used of it so far.
    pub used: u64,
    /// What requests in flight have reserved.
    #[serde(default)]
    pub reserved: u64,
    /// Nothing more will be reserved.
    #[serde(default)]
    pub is_done: bool,
}

/// A wish for a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitWish {
    /// The meter: which limit, and which value it is counted by.
    pub meter: String,
    /// The limit, as the document has it.
    pub rate: LimitRate,
    /// The number that the lease will have.
    pub number: u64,
    /// What the request that waits needs.
    pub need: u64,
    /// What is probably needed until the end of the lease.
    pub wanted: u64,
}

/// The answer of the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitAnswer {
    /// For each lease of the report: how long it lasts from now on. For each debt: that it is
    /// counted.
    pub lengths: Vec<LeaseLength>,
    /// For each wish.
    pub grants: Vec<LimitGrant>,
    /// When the isolate reports again at the latest, while it has leases.
    pub next_ms: Millis,
}

/// How long a lease lasts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseLength {
    /// The meter.
    pub meter: String,
    /// The number of the lease.
    pub number: u64,
    /// `None`: it has ended, or the ledger does not know it.
    pub for_ms: Option<Millis>,
    /// What is neither spent nor leased of the meter now, if the ledger knows it.
    #[serde(default)]
    pub free: Option<u64>,
}

/// The answer to a wish.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitGrant {
    /// The meter.
    pub meter: String,
    /// The number of the lease.
    pub number: u64,
    /// The units that are granted; 0: refused.
    pub amount: u64,
    /// How long the lease lasts; of a refusal, when to try again. `None`: never.
    pub for_ms: Option<Millis>,
    /// What is neither spent nor leased now.
    pub free: u64,
}
