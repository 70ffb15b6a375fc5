//! What is stored of an issued key.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::vocabulary::time::Instant;

/// The record of a key. It never has the key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// The id, such as `key_17`.
    pub id: String,
    /// How often the record was written. Of two records of a key, the one with the higher number is
    /// the later one.
    pub revision: u64,
    /// The name of the client that it belongs to.
    pub client: String,
    /// Its name, for people.
    pub name: String,
    /// Who has it, for people.
    pub owner: Option<String>,
    /// Names and patterns of the models to which it narrows its client.
    pub models: Option<Vec<String>>,
    /// Its own limits, as the document writes those of a client. They hold besides those of its
    /// client.
    #[serde(default)]
    pub limits: Option<Vec<Value>>,
    /// The id under which these are counted: that of the first key which it came in the place of.
    /// So a rotation does not give them anew. `None`: its own id.
    #[serde(default)]
    pub limits_as: Option<String>,
    /// When it was issued.
    pub created: Instant,
    /// When it ends.
    pub expires: Option<Instant>,
    /// When it was revoked.
    pub revoked: Option<Instant>,
    /// Whether it comes from another gateway, and may have any form.
    #[serde(default)]
    pub is_imported: bool,
}

/// Whether a key opens its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It does.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody has revoked it.
    Revoked,
}

impl KeyState {
    /// The name in the admin API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl KeyRecord {
    /// The id under which its limits are counted.
    pub fn counted_as(&self) -> &str {
        self.limits_as.as_deref().unwrap_or(&self.id)
    }

    /// Whether the key opens its client.
    pub fn state(&self, now: Instant) -> KeyState {
        match (self.revoked, self.expires) {
            (Some(_), _) => KeyState::Revoked,
            (None, Some(expires)) if now >= expires => KeyState::Expired,
            _ => KeyState::Active,
        }
    }
}
