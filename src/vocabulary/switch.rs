//! What an administrator can do with a deployment by hand.

use serde::{Deserialize, Serialize};

/// What can be done with a deployment by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// Take all traffic away.
    Drain,
    /// Let it have traffic again.
    Enable,
    /// Forget what was learned about it.
    Reset,
}

impl Switch {
    /// The one that a path names.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "drain" => Some(Self::Drain),
            "enable" => Some(Self::Enable),
            "reset" => Some(Self::Reset),
            _ => None,
        }
    }
}
