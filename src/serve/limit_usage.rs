//! `GET /admin/api/usage`, and the limits of one key: what is spent and what is left of limits, as
//! their ledgers say.

use std::pin::Pin;

use futures::future::join_all;
use serde_json::{Map, Value, json};

use super::client_reply::OwnText;
use super::object_answer::text_within;
use super::object_reports::pool_of;
use super::platform::Platform;
use super::receive::Arrival;
use super::serving::Serving;
use crate::entry::limit_claims::{LedgerName, SHARDS, shard_of};
use crate::limits::stored_ledger::{MeterUsage, USAGE};
use crate::request::query;
use crate::routes::graph::{LimitKey, LimitRule};
use crate::scan::json_value;
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
    let asked = asked(platform, ledgers.get(..MOST_LEDGERS).unwrap_or(&ledgers)).await;
    let mut limits: Vec<Value> = Vec::new();
    let mut is_complete = ledgers.len() <= MOST_LEDGERS;
    for (ledger, meters) in ledgers.iter().zip(asked) {
        is_complete &= meters.is_some();
        for mut meter in meters.into_iter().flatten() {
            meter.insert("client".to_owned(), json!(ledger.client));
            limits.push(Value::Object(meter));
        }
    }
    Ok(OwnText::json(json!({ "limits": limits, "is_complete": is_complete }).to_string()))
}

/// The meters of a ledger; `None` if it does not answer.
type Meters = Option<Vec<Map<String, Value>>>;

/// The meters of these ledgers. Behind a pointer, so that there is one copy of the code.
fn asked<'a, P: Platform>(
    platform: &'a P,
    ledgers: &'a [LedgerName],
) -> Pin<Box<dyn Future<Output = Vec<Meters>> + 'a>> {
    let pool = pool_of(platform);
    Box::pin(join_all(ledgers.iter().map(move |ledger| {
        let object = ledger.object(&pool);
        async move {
            let asked = platform.ask_ledger(&object, USAGE, String::new());
            let text = text_within(platform, ANSWER_MS, asked).await.ok()?;
            serde_json::from_str(&text).ok()
        }
    })))
}

/// The limits of an issued key of this client, each with what is spent of it. `None` if a ledger
/// does not answer.
pub(super) async fn of_key<P: Platform>(
    platform: &P,
    client: &str,
    limits: &[LimitRule],
) -> Option<Vec<Value>> {
    let ledger = |limit: &LimitRule| LedgerName {
        client: Some(client.to_owned()),
        shard: shard_of(limit, &limit.name),
    };
    let ledgers: Vec<LedgerName> = limits.iter().map(ledger).collect();
    let asked = asked(platform, &ledgers).await;
    let used = |(limit, meters): (&LimitRule, Meters)| {
        let is_it = |meter: &Map<String, Value>| meter.get("meter").is_some_and(|name| *name == *limit.name);
        let known = meters?.into_iter().find(is_it).map(Value::Object);
        // Of what was never used, the ledger knows nothing.
        let unused = MeterUsage::unused(&limit.name, limit.rate, platform.now());
        let unused = || json_value::parse(&serde_json::to_string(&unused).ok()?);
        let mut used: Value = known.or_else(unused)?;
        used.as_object_mut()?.insert("client".to_owned(), client.into());
        Some(used)
    };
    limits.iter().zip(asked).map(used).collect()
}

/// The ledgers of these limits.
fn ledgers_of(client: Option<&str>, limits: &[LimitRule]) -> Vec<LedgerName> {
    let ledger = |shard| LedgerName { client: client.map(str::to_owned), shard };
    let whole = limits.iter().any(|limit| limit.by == LimitKey::All).then(|| ledger(None));
    let shards = if limits.iter().any(|limit| limit.by != LimitKey::All) { SHARDS } else { 0 };
    whole.into_iter().chain((0..shards).map(|shard| ledger(Some(shard)))).collect()
}
