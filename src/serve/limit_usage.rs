//! `GET /admin/api/usage`: what is spent and what is left of the limits, as their ledgers say.

use futures::future::join_all;
use serde_json::{Map, Value, json};

use super::client_reply::OwnText;
use super::object_answer::text_within;
use super::object_reports::pool_of;
use super::platform::Platform;
use super::receive::Arrival;
use super::serving::Serving;
use crate::entry::limit_claims::{LedgerName, SHARDS};
use crate::limits::stored_ledger::USAGE;
use crate::request::query;
use crate::routes::graph::{LimitKey, LimitRule};
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::time::Millis;

/// How long all ledgers together may take.
const ANSWER_MS: Millis = Millis::new(5_000);
/// The most ledgers that one call asks. `?client=` asks those of one client.
const MOST_LEDGERS: usize = 200;

/// The limits of all clients and of the gateway, or those of the client in the query.
pub(super) async fn answer<P: Platform>(
    platform: &P,
    arrival: &Arrival,
    routes: &Serving,
) -> Result<OwnText, ClientError> {
    let wanted = query::parse(&arrival.query).get("client").cloned();
    let clients = routes.graph.clients.iter().flatten();
    let of_clients = clients.map(|client| (Some(client.name.as_str()), &client.limits[..]));
    let gateway = (None, &routes.graph.settings.limits[..]);
    let owners = of_clients
        .chain([gateway])
        .filter(|(client, _)| wanted.as_deref().is_none_or(|wanted| *client == Some(wanted)));
    let ledgers: Vec<LedgerName> = owners.flat_map(|(client, limits)| ledgers_of(client, limits)).collect();
    let pool = pool_of(platform);
    let asked = ledgers.iter().take(MOST_LEDGERS).map(|ledger| {
        let object = ledger.object(&pool);
        async move {
            let asked = platform.ask_ledger(&object, USAGE, String::new());
            let text = text_within(platform, ANSWER_MS, asked).await.ok()?;
            serde_json::from_str::<Vec<Map<String, Value>>>(&text).ok()
        }
    });
    let mut limits: Vec<Value> = Vec::new();
    let mut is_complete = ledgers.len() <= MOST_LEDGERS;
    for (ledger, meters) in ledgers.iter().zip(join_all(asked).await) {
        is_complete &= meters.is_some();
        for mut meter in meters.into_iter().flatten() {
            meter.insert("client".to_owned(), json!(ledger.client));
            limits.push(Value::Object(meter));
        }
    }
    Ok(OwnText::json(json!({ "limits": limits, "is_complete": is_complete }).to_string()))
}

/// The ledgers of these limits.
fn ledgers_of(client: Option<&str>, limits: &[LimitRule]) -> Vec<LedgerName> {
    let ledger = |shard| LedgerName { client: client.map(str::to_owned), shard };
    let whole = limits.iter().any(|limit| limit.by == LimitKey::All).then(|| ledger(None));
    let shards = if limits.iter().any(|limit| limit.by != LimitKey::All) { SHARDS } else { 0 };
    whole.into_iter().chain((0..shards).map(|shard| ledger(Some(shard)))).collect()
}
