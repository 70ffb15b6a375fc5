//! Compiles `settings.webhooks`.

use super::compiler::Compiler;
use super::url;
use crate::routes::at::At;
use crate::routes::graph::{Secret, Webhook};
use crate::routes::raw::{RawAlertKind, RawWebhook};
use crate::signature::SigningKey;
use crate::vocabulary::alert_kind::AlertKind;

/// An alert means a call for each of them.
const MAX_WEBHOOKS: usize = 8;

/// What a URL of a webhook must be.
const EXPECTED: &str = "a URL with https (or http to loopback) and without user and fragment, such as https://example.com/alerts";

impl Compiler<'_> {
    pub(super) fn webhooks(&mut self, raw: &[RawWebhook], at: At<'_>) -> Vec<Webhook> {
        if raw.len() > MAX_WEBHOOKS {
            let (found, expected) = (format!("{} webhooks", raw.len()), format!("at most {MAX_WEBHOOKS}"));
            self.report.refuse_found(at, found, expected, None);
        }
        raw.iter().enumerate().filter_map(|(index, raw)| self.webhook(raw, at.index(index))).collect()
    }

    fn webhook(&mut self, raw: &RawWebhook, at: At<'_>) -> Option<Webhook> {
        let is_url = is_webhook_url(&raw.url);
        if !is_url {
            self.report.refuse(at.key("url"), EXPECTED);
        }
        let secret = raw.secret.as_ref().map(|secret| {
            self.checked_secret(secret, at.key("secret"), |compiler, secret, at| {
                if SigningKey::parse(secret).is_none() {
                    compiler
                        .report
                        .refuse(at, "whsec_ and base64, or a text that does not begin with whsec_");
                }
            })
        });
        let key = match secret {
            None => None,
            Some(secret) => Some(SigningKey::parse(secret?.reveal())?),
        };
        let url = is_url.then(|| Secret::new(raw.url.clone()))?;
        let kinds = match &raw.on {
            None => AlertKind::ALL.to_vec(),
            Some(kinds) => kinds.iter().map(|kind| (*kind).into()).collect(),
        };
        Some(Webhook { id: format!("{:016x}", url.fingerprint()), url, kinds, key })
    }
}

/// Whether alerts can be sent there. Unlike an endpoint, it may have a query.
fn is_webhook_url(text: &str) -> bool {
    let (address, query) = text.split_once('?').unwrap_or((text, ""));
    url::parse(address).is_some()
        && query.bytes().all(|byte| byte.is_ascii_graphic() && !b"#\\\"<>^`{|}".contains(&byte))
}

impl From<RawAlertKind> for AlertKind {
    fn from(raw: RawAlertKind) -> Self {
        match raw {
            RawAlertKind::Ejected => Self::Ejected,
            RawAlertKind::Recovered => Self::Recovered,
            RawAlertKind::Budget => Self::Budget,
            RawAlertKind::Routes => Self::Routes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_webhook_url;

    #[test]
    fn a_webhook_is_called_with_https_or_on_this_machine_and_may_have_a_query() {
        for (text, expected) in [
            ("https://hooks.example.com/services/T0/B0/x", true),
            ("https://hooks.example.com", true),
            ("https://example.com/workflows/?api-version=2016-06-01&sig=a%2Bb_c-d", true),
            ("http://127.0.0.1:8080/alerts?x=1", true),
            ("http://hooks.example.com/x", false),
            ("https://user:pass@hooks.example.com/x", false),
            ("https://hooks.example.com/x#top", false),
            ("https://hooks.example.com/x?a=1#top", false),
            ("https://hooks.example.com/x?a b", false),
            ("https://hooks.example.com/x?a\nb", false),
            ("https://hooks.example.com/x?é", false),
            ("?", false),
            ("", false),
        ] {
            assert_eq!(is_webhook_url(text), expected, "{text}");
        }
    }
}
