//! Conditions on the facts of a request.

/// A compiled `when`.
#[derive(Debug)]
pub enum Condition {
    /// Always holds.
    Always,
}
