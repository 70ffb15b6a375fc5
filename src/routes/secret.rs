//! Secrets of the document.

use crate::vocabulary::rng::stable_hash;

/// A string that is never printed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret {
    text: String,
    fingerprint: u64,
}

impl Secret {
    /// Wraps a secret and computes its fingerprint.
    pub fn new(secret: impl Into<String>) -> Self {
        let text = secret.into();
        Self { fingerprint: Self::fingerprint_of(&text), text }
    }

    /// The secret itself. Use it only for a request header or a comparison in constant time.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// A hash: the same for equal secrets, and almost certainly different for others. It is as
    /// confidential as the secret.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The fingerprint of a secret with this text.
    pub fn fingerprint_of(text: &str) -> u64 {
        stable_hash(text.as_bytes())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(…)")
    }
}
