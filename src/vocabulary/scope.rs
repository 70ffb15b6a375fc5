//! What a failure is about: the part of an upstream that it shows to be at fault.

use crate::vocabulary::error_class::ErrorClass;

/// What a failure is about. Only that part is avoided afterwards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scope {
    /// The deployment.
    #[default]
    Deployment,
    /// The account, or its credential. It holds for calls from everywhere.
    Account,
    /// Calls from this place: a blocked country or network. Other regions may be served.
    Place,
    /// One operation. The others may be served.
    Operation,
    /// This request alone: its size, its tier, the objects and tools that it names. It shows
    /// nothing about other requests.
    Request,
    /// What the client did: it broke off its upload, or allowed too little time. Perhaps the
    /// upstream has not even seen the request.
    Client,
}

impl Scope {
    /// The scope of most failures of this class.
    pub fn usual(class: ErrorClass) -> Self {
        match class {
            ErrorClass::Quota | ErrorClass::Auth => Self::Account,
            ErrorClass::NotFound => Self::Operation,
            ErrorClass::ContextWindow | ErrorClass::ContentPolicy | ErrorClass::BadRequest => Self::Request,
            ErrorClass::RateLimit
            | ErrorClass::Unavailable
            | ErrorClass::Timeout
            | ErrorClass::Connection
            | ErrorClass::Truncated => Self::Deployment,
        }
    }
}
