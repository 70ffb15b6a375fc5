//! A receiver of alerts.

use super::secret::Secret;
use crate::signature::SigningKey;
use crate::vocabulary::alert_kind::AlertKind;

/// A receiver of alerts.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Names it to other isolates: a hash of its URL.
    pub id: String,
    /// Where alerts are sent. Such URLs often contain a token, so it counts as a secret.
    pub url: Secret,
    /// The kinds of alerts that it gets.
    pub kinds: Vec<AlertKind>,
    /// The key that signs alerts. `None`: they are not signed.
    pub key: Option<SigningKey>,
}
