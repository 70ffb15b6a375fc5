//! The kinds of alerts.

use serde::{Deserialize, Serialize};

/// A kind of alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// A deployment is out for more than a minute.
    Ejected,
    /// Such a deployment is back.
    Recovered,
    /// A limit of a day or a month is nearly or wholly spent.
    Budget,
    /// A routes document is refused, or a canary was taken back.
    Routes,
}

impl AlertKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Ejected, Self::Recovered, Self::Budget, Self::Routes];
}
