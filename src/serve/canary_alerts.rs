//! What webhooks get when a canary was taken back. The registry sends it: there is one, so there is
//! one alert, also if no request comes any more.

use std::pin::Pin;

use super::alerts::{POST_MS, post_headers, refusal};
use super::registry_host::RegistryHost;
use super::timing::until;
use crate::health::alert_subject::AlertSubject;
use crate::registry::canary::canary_alert::{CanaryAlert, CanaryAlerts};
use crate::registry::version_ledger::VersionLedger;
use crate::routes::compile;
use crate::routes::graph::Webhook;
use crate::vocabulary::alert_kind::AlertKind;
use crate::vocabulary::peer_id::PeerId;
use crate::vocabulary::rng::stable_hash;

/// Sends what is due. Behind a pointer: this is rare.
///
/// # Errors
/// The storage failed.
pub(super) fn send_due<'a, H: RegistryHost>(
    host: &'a H,
) -> Pin<Box<dyn Future<Output = Result<(), H::Error>> + 'a>> {
    Box::pin(async move {
        while let Some((number, alert)) = CanaryAlerts(host).take_due(host.now())? {
            send(host, number, &alert).await?;
        }
        Ok(())
    })
}

async fn send<H: RegistryHost>(host: &H, number: u64, alert: &CanaryAlert) -> Result<(), H::Error> {
    let versions = VersionLedger(host);
    let current = versions.find(None)?.map(|current| versions.document(current.number)).transpose()?;
    let compiled = compile(&current.unwrap_or_default(), &|name: &str| host.variable(name));
    // Where a variable is missing for a moment, the next try finds it.
    let Ok(compiled) = compiled else { return Ok(()) };
    let CanaryAlert { version, base, why, at, taken, .. } = alert;
    let id = PeerId(stable_hash(format!("{number} {version} {}", at.epoch_ms()).as_bytes())).to_string();
    let body = AlertSubject::TakenBack { version, base, why }.alert(id.clone(), "", *at).body;
    let webhooks = compiled.graph.settings.webhooks.iter().enumerate();
    let wanted = |(_, webhook): &(usize, &Webhook)| webhook.kinds.contains(&AlertKind::Routes);
    let mut all_took_it = true;
    for (index, webhook) in webhooks.filter(wanted).filter(|(_, webhook)| !taken.contains(&webhook.id)) {
        let headers = post_headers(webhook, &id, host.now(), &body);
        let posted = host.post(webhook.url.reveal(), &headers, body.clone());
        match refusal(index, &id, until(host, host.now() + POST_MS, posted).await.as_ref()) {
            None => CanaryAlerts(host).on_taken(number, &webhook.id)?,
            Some(line) => {
                host.warn(&line);
                all_took_it = false;
            }
        }
    }
    if all_took_it { CanaryAlerts(host).remove(number) } else { Ok(()) }
}
