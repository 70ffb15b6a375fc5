//! The switches of the admin API.

use serde::{Deserialize, Serialize};

/// What an administrator can do with a deployment by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// Stop all traffic to it.
    Drain,
    /// Allow traffic again.
    Enable,
    /// Forget what was learned about it.
    Reset,
    /// Answer attempts at it with a fault, or end that. It has a path of its own.
    Fault,
}

impl Switch {
    /// The switch that a path names.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "drain" => Some(Self::Drain),
            "enable" => Some(Self::Enable),
            "reset" => Some(Self::Reset),
            _ => None,
        }
    }
}
