//! Conditions on the facts of a request.

use crate::request::facts::Facts;

/// A compiled `when`.
#[derive(Debug)]
pub enum Condition {
    /// Always holds.
    Always,
}

impl Condition {
    /// Whether it holds for this request.
    pub fn holds(&self, _facts: &Facts) -> bool {
        match self {
            Self::Always => true,
        }
    }
}
