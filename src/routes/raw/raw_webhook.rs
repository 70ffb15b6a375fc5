//! Where alerts are sent.

use serde::Deserialize;

raw! {

/// A receiver of alerts.
pub struct RawWebhook {
    /// Where alerts are sent, with POST: https, or http to loopback. It often contains a token, so
    /// take it from a variable: `"${ALERT_URL}"`.
    pub url: String,
    /// The kinds of alerts. Default: all.
    #[cfg_attr(not(target_arch = "wasm32"), schemars(length(min = 1)))]
    pub on: Option<Vec<RawAlertKind>>,
    /// The secret that signs alerts, after Standard Webhooks: exactly one variable,
    /// `"${ALERT_SECRET}"`. Its value is `whsec_` and base64, or plain text.
    pub secret: Option<String>,
}

/// A kind of alert.
#[derive(Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum RawAlertKind {
    /// A deployment is out for more than a minute.
    Ejected,
    /// Such a deployment is back.
    Recovered,
    /// 80 % of a limit per day or month are spent, or all of it.
    Budget,
    /// A routes document is refused.
    Routes,
}

}
