//! How a rule refuses a request.

/// The error that a client gets, as the routes document states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The status, 400 to 499.
    pub status: u16,
    /// The code, by which programs tell errors apart.
    pub code: String,
    /// What happened, for people.
    pub message: String,
}
