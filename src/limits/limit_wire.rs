//! The messages between isolates and the ledger, as JSON. Times are lengths from the moment of
//! writing, because clocks differ.
//!
//! There is one type of row for each direction: a derived reader of a type costs 3 KB of Wasm.

use serde::{Deserialize, Serialize};

use crate::alerting::alert::Alert;
use crate::scan::json_value;
use crate::vocabulary::limit::LimitRate;
use crate::vocabulary::time::Millis;

/// What an isolate asks and reports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitReport {
    /// The isolate: a random number. Hexadecimal, because JSON numbers are not precise enough.
    pub holder: String,
    /// What it says about its leases: `used`, `reserved`, `is_done`.
    pub leases: Vec<ReportRow>,
    /// What it has spent without a lease, while the ledger could not be asked: `rate`, `used`.
    pub debts: Vec<ReportRow>,
    /// What it asks for: `rate`, `need`, `wanted`.
    pub wishes: Vec<ReportRow>,
    /// Whether its document has a webhook for alerts about limits.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub wants_alerts: bool,
    /// Whose limits these are, with `wants_alerts`: a client's. `None`: those of the gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
}

/// A row of a report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReportRow {
    /// The meter: which limit, and which value it is counted by.
    pub meter: String,
    /// The number of the lease, which a wish has before it is one. Debts have numbers that no lease
    /// has.
    pub number: u64,
    /// The limit, as the document has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<LimitRate>,
    /// All that was used of it so far.
    pub used: u64,
    /// What requests in flight have reserved.
    pub reserved: u64,
    /// What the request that waits needs.
    pub need: u64,
    /// What is probably needed until the end of the lease.
    pub wanted: u64,
    /// Nothing more will be reserved.
    pub is_done: bool,
}

/// The answer of the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitAnswer {
    /// For each lease of the report: how long it lasts from now on. For each debt: that it is
    /// counted.
    pub lengths: Vec<AnswerRow>,
    /// For each wish.
    pub grants: Vec<AnswerRow>,
    /// When the isolate reports again at the latest, while it has leases.
    pub next_ms: Millis,
    /// Alerts that this isolate is to send.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "json_value::lenient")]
    pub alerts: Vec<Alert>,
}

/// A row of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AnswerRow {
    /// The meter.
    pub meter: String,
    /// The number of the lease.
    pub number: u64,
    /// The units that are granted; 0: refused.
    pub amount: u64,
    /// How long the lease lasts; `None`: it has ended, or the ledger does not know it. Of a
    /// refusal, when to try again; `None`: never.
    pub for_ms: Option<Millis>,
    /// What is neither spent nor leased of the meter now, if the ledger knows it.
    pub free: Option<u64>,
}
