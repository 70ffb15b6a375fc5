//! Alerts that an isolate sends to webhooks.
//!
//! The shard of the region decides which alerts are sent, and a ledger decides about those of its
//! limits. It gives each alert to one isolate, with the answer to a report. The isolate sends it
//! beside the requests, and tells the object which webhook has taken it. Of a webhook that did not
//! take it, the object hears nothing: it gives the alert again.

use std::rc::Rc;

use super::isolate_memory::{DocumentProblem, Isolate};
use super::object_answer::text_within;
use super::object_link::RegionObjects;
use super::platform::{Platform, PlatformError};
use super::timing::until;
use crate::alerting::alert::{Alert, AlertReceipt, RECEIPT};
use crate::health::alert_subject::{AlertInterest, refused_routes};
use crate::routes::graph::{Graph, Webhook};
use crate::routes::version_of;
use crate::vocabulary::alert_kind::AlertKind;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::time::{Instant, Millis};

/// How long a webhook has time to take an alert.
pub(super) const POST_MS: Millis = Millis::new(5_000);

impl Isolate {
    /// The alerts that the document of this isolate asks for, and what it reports. `None` without
    /// webhooks.
    #[inline(never)]
    pub(super) fn alert_interest(&self, graph: &Graph, region: &str) -> Option<AlertInterest> {
        let webhooks = &graph.settings.webhooks;
        if webhooks.is_empty() {
            return None;
        }
        let is_wanted = |kind: &AlertKind| webhooks.iter().any(|webhook| webhook.kinds.contains(kind));
        let kinds: Vec<_> = AlertKind::ALL.into_iter().filter(is_wanted).collect();
        let refused = match &*self.problem.borrow() {
            Some(DocumentProblem::Refused { issues, hash }) if kinds.contains(&AlertKind::Routes) => {
                refused_routes(&version_of(*hash), issues)
            }
            _ => String::new(),
        };
        Some(AlertInterest { kinds, region: region.to_owned(), refused })
    }
}

/// The object that has given an alert, and hears who has taken it.
#[derive(Debug, Clone)]
pub(super) enum AlertSource {
    /// The shard of the region.
    Shard(RegionObjects),
    /// The ledger with this name.
    Ledger(String),
}

/// Whether the document has a webhook for alerts about limits.
pub(super) fn wants_budgets(graph: &Graph) -> bool {
    graph.settings.webhooks.iter().any(|webhook| webhook.kinds.contains(&AlertKind::Budget))
}

/// Sends alerts beside the requests.
#[inline(never)]
pub(super) fn send_alerts<P: Platform>(
    platform: &P,
    source: &AlertSource,
    graph: &Rc<Graph>,
    alerts: Vec<Alert>,
) {
    for alert in alerts {
        let wanted = |webhook: &&Webhook| webhook.kinds.contains(&alert.kind);
        let of: Vec<_> =
            graph.settings.webhooks.iter().filter(wanted).map(|webhook| webhook.id.clone()).collect();
        for (index, webhook) in graph.settings.webhooks.iter().enumerate() {
            if !of.contains(&webhook.id) || alert.taken.contains(&webhook.id) {
                continue;
            }
            let receipt = AlertReceipt { id: alert.id.clone(), webhook: webhook.id.clone(), of: of.clone() };
            let (background, source) = (platform.clone(), source.clone());
            let (webhook, body) = (webhook.clone(), alert.body.clone());
            platform.in_background(async move {
                if post(&background, &webhook, index, &receipt.id, body).await {
                    confirm(&background, &source, &receipt).await;
                }
            });
        }
    }
}

/// Sends an alert to a webhook. Returns whether the webhook has taken it. A redirect is not
/// followed, and counts as a refusal.
async fn post<P: Platform>(platform: &P, webhook: &Webhook, index: usize, id: &str, body: String) -> bool {
    let headers = post_headers(webhook, id, platform.now(), &body);
    let posted = platform.post(webhook.url.reveal(), &headers, body);
    let refused = refusal(index, id, until(platform, platform.now() + POST_MS, posted).await.as_ref());
    if let Some(line) = &refused {
        platform.warn(line);
    }
    refused.is_none()
}

/// The headers of an alert, with its signature.
#[inline(never)]
pub(super) fn post_headers(webhook: &Webhook, id: &str, now: Instant, body: &str) -> Headers {
    let timestamp = now.epoch_ms() / 1_000;
    let mut headers = Headers::of([
        ("content-type", "application/json"),
        ("user-agent", "switchyard"),
        ("webhook-id", id),
        ("webhook-timestamp", &timestamp.to_string()),
    ]);
    if let Some(key) = &webhook.key {
        headers.push("webhook-signature", &key.sign(id, timestamp, body));
    }
    headers
}

/// The line for the log if a webhook has not taken an alert: `posted` is the status of its answer,
/// in time.
#[inline(never)]
pub(super) fn refusal(index: usize, id: &str, posted: Option<&Result<u16, PlatformError>>) -> Option<String> {
    let why = match posted {
        Some(Ok(200..=299)) => return None,
        Some(Ok(status)) => format!("status {status}"),
        // The text of the error is not logged: it may contain the URL.
        Some(Err(_)) => "it cannot be reached".to_owned(),
        None => format!("no answer within {POST_MS} ms"),
    };
    Some(format!("alerts: settings.webhooks[{index}] did not take the alert {id}: {why}"))
}

/// Tells the object that a webhook has taken an alert.
async fn confirm<P: Platform>(platform: &P, source: &AlertSource, receipt: &AlertReceipt) {
    let text = serde_json::to_string(receipt).unwrap_or_default();
    let confirmed = match source {
        AlertSource::Shard(objects) => objects.ask_shard(platform, RECEIPT, Some(text)).await,
        AlertSource::Ledger(ledger) => {
            text_within(platform, POST_MS, platform.ask_ledger(ledger, RECEIPT, text)).await
        }
    };
    if let Err(error) = confirmed {
        let id = &receipt.id;
        platform.warn(&format!("alerts: the alert {id} was sent, and the object does not know it: {error}"));
    }
}
