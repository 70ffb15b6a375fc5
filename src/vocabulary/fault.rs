//! Faults of drills.

use serde::{Deserialize, Serialize};

/// How an attempt ends in a drill. It is not sent to its deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// A rate limit with a short `retry-after`.
    #[serde(rename = "429")]
    RateLimit,
    /// An error of the server.
    #[serde(rename = "500")]
    ServerError,
    /// No answer, until a limit of time ends the attempt.
    #[serde(rename = "hang")]
    Hang,
    /// An answer that breaks off after its first part.
    #[serde(rename = "cut")]
    Cut,
}

impl Fault {
    /// All faults.
    pub const ALL: [Self; 4] = [Self::RateLimit, Self::ServerError, Self::Hang, Self::Cut];

    /// The name in headers and in the admin API.
    pub fn name(self) -> &'static str {
        match self {
            Self::RateLimit => "429",
            Self::ServerError => "500",
            Self::Hang => "hang",
            Self::Cut => "cut",
        }
    }

    /// The fault with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::Fault;

    #[test]
    fn a_fault_has_the_same_name_everywhere() {
        for fault in Fault::ALL {
            assert_eq!(Fault::parse(fault.name()), Some(fault));
            assert_eq!(serde_json::to_value(fault).unwrap(), fault.name());
        }
        assert_eq!(Fault::parse("Hang"), None);
    }
}
