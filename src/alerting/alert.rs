//! An alert, and the text that webhooks get.

use serde::{Deserialize, Serialize};

use crate::scan::json_value::json;
use crate::vocabulary::alert_kind::AlertKind;
use crate::vocabulary::time::Instant;

/// The path of objects for an [`AlertReceipt`].
pub const RECEIPT: &str = "alert";

/// An alert for operators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The same for all tries and all receivers.
    pub id: String,
    /// What it is about.
    pub kind: AlertKind,
    /// The text that webhooks get: the same in every try.
    pub body: String,
    /// The webhooks that have taken it.
    #[serde(default)]
    pub taken: Vec<String>,
}

/// A webhook has taken an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertReceipt {
    /// The id of the alert.
    pub id: String,
    /// The webhook, by its id.
    pub webhook: String,
    /// All webhooks that are to get it, by the document of the isolate.
    pub of: Vec<String>,
}

impl Alert {
    /// An alert. `message`: it as a sentence. `data`: the members of the object for programs.
    ///
    /// Its times are those of the clock of whoever keeps it. It is close to other clocks, and
    /// people read them.
    pub fn new(id: String, kind: AlertKind, at: Instant, message: &str, data: &str) -> Self {
        let body = format!(
            r#"{{"version":1,"id":{},"type":{},"timestamp":"{}","message":{},"data":{{{data}}}}}"#,
            json(&id),
            json(&kind),
            at.utc(),
            json(message),
        );
        Self { id, kind, body, taken: Vec::new() }
    }
}
