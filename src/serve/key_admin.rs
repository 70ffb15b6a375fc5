//! `/admin/api/keys`: issues keys, lists, rotates, revokes and imports them.
//!
//! The registry has the list and writes the records to the store. The key itself is made here, and
//! leaves the isolate only with the answer that shows it.

use serde_json::Value;

use super::admin_body;
use super::client_reply::OwnText;
use super::key_writes::{NOT_ACTIVE, NOT_WRITTEN};
use super::limit_usage;
use super::platform::Platform;
use super::receive::Arrival;
use super::registry_link::{ask, value};
use super::routes_change::why;
use super::serving::Serving;
use crate::entry::entry_node;
use crate::keys::key_cache::FRESH_MS;
use crate::keys::key_format::{self, KeyHash};
use crate::keys::key_record::KeyRecord;
use crate::registry::key_ledger::{KeyEntry, KeysRequest, MOST_IMPORTED, MOST_LISTED, number_of};
use crate::registry::registry_requests::RegistryAnswer;
use crate::request::key_request::ImportedKey;
use crate::request::{key_request, query};
use crate::routes::graph::{Client, Graph};
use crate::routes::{check_key_limits, key_limits, nearest};
use crate::vocabulary::client_error::ClientError;

/// How long a revoked key may still serve somewhere: KV shows a change within a minute, and an
/// isolate keeps a record for another one.
const ENDS_WITHIN_SECONDS: u64 = 60 + FRESH_MS.get() / 1_000;
/// How many keys one page of the list has, if the request does not say it.
const USUAL_LIMIT: u64 = 100;

/// `POST /admin/api/keys`
///
/// # Errors
/// The request is not valid, the document does not allow it, or the key cannot be stored.
pub(super) async fn issue<P: Platform>(
    platform: &P,
    arrival: &Arrival,
    routes: &Serving,
    who: &str,
) -> Result<OwnText, ClientError> {
    let body = admin_body::read(platform, arrival).await?;
    let record = key_request::issue(&body, platform.now()).map_err(ClientError::InvalidJson)?;
    check(&routes.graph, &record)?;
    let key = new_key(platform);
    let (hash, prefix) = (KeyHash::of(&key), key_format::shown(&key).to_owned());
    let keys = vec![KeyEntry { hash: hash.hex(), prefix, record, ..KeyEntry::default() }];
    let request = KeysRequest { keys, ..by(arrival, who) };
    let view = changed(ask(platform, "keys/issue", &request).await?, "")?;
    let record = request.keys.into_iter().next().map(|key| key.record).unwrap_or_default();
    let KeyRecord { id, .. } = value(&view)?;
    // The isolate knows at once what was stored, whatever the caches of the store have.
    platform.isolate().learn_key(&hash, KeyRecord { id, revision: 1, ..record }, platform.now());
    Ok(shown(&key, &view, ""))
}

/// What is spent of the limits of a key; `null` if a ledger does not answer, or if they are not
/// understood.
async fn spent_of<P: Platform>(platform: &P, record: KeyRecord) -> Value {
    let limits = record.limits.as_deref().unwrap_or_default();
    let Ok(limits) = key_limits(limits, record.counted_as()) else { return Value::Null };
    limit_usage::of_key(platform, &record.client, &limits).await.map_or(Value::Null, Value::Array)
}

/// `GET /admin/api/keys`
///
/// # Errors
/// A parameter is not valid, or the registry does not answer.
pub(super) async fn list<P: Platform>(platform: &P, arrival: &Arrival) -> Result<OwnText, ClientError> {
    let parameters = query::parse(&arrival.query);
    let limit = parameters.get("limit").map_or(Some(USUAL_LIMIT), |limit| limit.parse().ok());
    let after = parameters.get("after").map_or(Some(0), |id| number_of(id));
    let limit = limit.filter(|limit| (1..=MOST_LISTED).contains(limit));
    let (Some(limit), Some(after)) = (limit, after) else {
        return Err(ClientError::InvalidJson(format!(
            "The parameter `limit` is a number from 1 to {MOST_LISTED}, and `after` is the id of a key, such as \
             limit=100&after=key_17."
        )));
    };
    let (_, text) =
        ask(platform, "keys/list", &KeysRequest { number: after, limit, ..KeysRequest::default() }).await?;
    Ok(OwnText::json(text))
}

/// `GET /admin/api/keys/{id}` and `DELETE /admin/api/keys/{id}`
///
/// # Errors
/// There is no such key, or the registry does not answer.
pub(super) async fn one<P: Platform>(
    platform: &P,
    arrival: &Arrival,
    id: String,
    who: &str,
) -> Result<OwnText, ClientError> {
    let request = about(arrival, &id, who)?;
    if arrival.method != "DELETE" {
        let view = changed(ask(platform, "keys/show", &request).await?, &id)?;
        let usage = spent_of(platform, value(&view)?).await;
        return Ok(OwnText::json(with("{", &view, &format!("\"limit_usage\":{usage}"))));
    }
    let view = changed(ask(platform, "keys/revoke", &request).await?, &id)?;
    let now = platform.now();
    platform.isolate().change_key(&id, |record| record.revoked = Some(now));
    Ok(OwnText::json(with("{", &view, &ends_within())))
}

/// `POST /admin/api/keys/{id}/rotate`
///
/// # Errors
/// There is no such key, it has ended, or the new one cannot be stored.
pub(super) async fn rotate<P: Platform>(
    platform: &P,
    arrival: &Arrival,
    id: String,
    who: &str,
) -> Result<OwnText, ClientError> {
    let body = admin_body::read(platform, arrival).await?;
    let overlap_ms = key_request::overlap(&body).map_err(ClientError::InvalidJson)?;
    let key = new_key(platform);
    let (hash, prefix) = (KeyHash::of(&key).hex(), key_format::shown(&key).to_owned());
    let keys = vec![KeyEntry { hash, prefix, ..KeyEntry::default() }];
    let request = KeysRequest { keys, overlap_ms, ..about(arrival, &id, who)? };
    let views = changed(ask(platform, "keys/rotate", &request).await?, &id)?;
    let ends_at = platform.now() + overlap_ms;
    platform.isolate().change_key(&id, |record| {
        record.expires = Some(record.expires.map_or(ends_at, |expires| expires.min(ends_at)));
    });
    let views: Value = value(&views)?;
    let view = |name| views.get(name).cloned().unwrap_or_default().to_string();
    let ends = format!("\"old\":{},{}", view("old"), ends_within());
    Ok(shown(&key, &view("new"), &ends))
}

/// `POST /admin/api/keys/import`
///
/// # Errors
/// A key is not valid, the document does not allow it, or the registry does not answer.
pub(super) async fn import<P: Platform>(
    platform: &P,
    arrival: &Arrival,
    routes: &Serving,
    who: &str,
) -> Result<OwnText, ClientError> {
    let body = admin_body::read(platform, arrival).await?;
    let imported = key_request::import(&body, MOST_IMPORTED).map_err(ClientError::InvalidJson)?;
    for key in &imported {
        let client = client(&routes.graph, &key.record.client)?;
        if !client.imported_keys {
            let client = client.name.clone();
            return Err(ClientError::KeysNotAllowed { client, lacks: "imported_keys" });
        }
        check_limits(&routes.graph, &key.record)?;
    }
    let new = |ImportedKey { hash, prefix, record }| KeyEntry { hash, prefix, record, ..KeyEntry::default() };
    let request = KeysRequest { keys: imported.into_iter().map(new).collect(), ..by(arrival, who) };
    let (_, text) = ask(platform, "keys/import", &request).await?;
    Ok(OwnText::json(text))
}

/// A request about the key with this id.
fn about(arrival: &Arrival, id: &str, who: &str) -> Result<KeysRequest, ClientError> {
    let number = number_of(id).ok_or_else(|| ClientError::KeyNotFound { id: id.to_owned() })?;
    Ok(KeysRequest { number, ..by(arrival, who) })
}

/// A request by this administrator.
fn by(arrival: &Arrival, who: &str) -> KeysRequest {
    KeysRequest { who: who.to_owned(), why: why(arrival), ..KeysRequest::default() }
}

/// The text of the registry's answer about a key.
fn changed((status, text): RegistryAnswer, id: &str) -> Result<String, ClientError> {
    match status {
        200 => Ok(text),
        NOT_WRITTEN => Err(ClientError::KeysNotWritten),
        NOT_ACTIVE => Err(ClientError::KeyNotActive),
        _ => Err(ClientError::KeyNotFound { id: id.to_owned() }),
    }
}

/// A new key. Both sources of its bits are secure ones.
fn new_key<P: Platform>(platform: &P) -> String {
    let mut secret = platform.seed();
    for bytes in secret.chunks_mut(8) {
        let random = platform.random().to_le_bytes();
        bytes.iter_mut().zip(random).for_each(|(byte, random)| *byte ^= random);
    }
    key_format::make(secret)
}

/// The client of a key, if the document has it.
fn client<'g>(graph: &'g Graph, name: &str) -> Result<&'g Client, ClientError> {
    let clients = || graph.clients.iter().flatten();
    clients().find(|client| client.name == name).ok_or_else(|| ClientError::ClientNotFound {
        client: name.to_owned(),
        nearest: nearest(name, clients().map(|client| client.name.as_str())),
    })
}

/// Checks that the document allows the key, and has the models that it names.
fn check(graph: &Graph, record: &KeyRecord) -> Result<(), ClientError> {
    let client = client(graph, &record.client)?;
    if !client.allow_keys {
        return Err(ClientError::KeysNotAllowed { client: client.name.clone(), lacks: "allow_keys" });
    }
    for model in record.models.iter().flatten().filter(|model| !model.contains('*')) {
        if !graph.models.contains_key(model) || !client.may_use(model) {
            return Err(entry_node::unknown(graph, model, client));
        }
    }
    check_limits(graph, record)
}

/// Checks the limits of a key as the document's own are checked.
fn check_limits(graph: &Graph, record: &KeyRecord) -> Result<(), ClientError> {
    let Some(limits) = &record.limits else { return Ok(()) };
    check_key_limits(limits, graph).map_err(|issues| {
        let issues: Vec<String> = issues.iter().map(ToString::to_string).collect();
        ClientError::InvalidJson(format!("The limits of the key are not valid. {}.", issues.join(". ")))
    })
}

fn ends_within() -> String {
    format!("\"ends_everywhere_within_seconds\":{ENDS_WITHIN_SECONDS}")
}

/// The answer that shows a key, this one time.
fn shown(key: &str, view: &str, more: &str) -> OwnText {
    OwnText::json(with(&format!("{{\"key\":\"{key}\","), view, more))
}

/// A JSON object, with members before and after its own.
fn with(before: &str, object: &str, after: &str) -> String {
    let members = object.trim_start_matches('{').strip_suffix('}').unwrap_or_default();
    let comma = if after.is_empty() { "" } else { "," };
    [before, members, comma, after, "}"].concat()
}
