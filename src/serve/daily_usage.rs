//! `GET /admin/api/usage/days`: what was used on each of the last days. The hub adds it up, so its
//! answer is short, and is that of the gateway.

use super::client_reply::OwnText;
use super::platform::Platform;
use super::receive::Arrival;
use crate::counters::usage_days::{DaysAsked, MOST_DAYS};
use crate::health::shard::shard_store::DAYS;
use crate::request::query;
use crate::vocabulary::client_error::ClientError;

/// The last days, by client, model or deployment, as the query asks.
pub(super) async fn answer<P: Platform>(platform: &P, arrival: &Arrival) -> Result<OwnText, ClientError> {
    let parameters = query::parse(&arrival.query);
    let parameter = |name: &str, default| parameters.get(name).map_or(default, String::as_str);
    let (by, days) = (parameter("by", "client"), parameter("days", "7"));
    if DaysAsked::parse(by, days).is_none() {
        return Err(ClientError::InvalidJson(format!(
            "The parameter `by` is client, model or deployment, and `days` a number from 1 to {MOST_DAYS}, such as \
             by=model&days=7."
        )));
    }
    let objects = platform.isolate().objects(platform).ok_or(ClientError::MetricsUnavailable)?;
    let asked = objects.ask_hub(platform, &[DAYS, by, "/", days].concat(), None).await;
    asked.map(OwnText::json).map_err(|error| {
        platform.warn(&format!("usage: the hub does not answer: {error}"));
        ClientError::MetricsUnavailable
    })
}
