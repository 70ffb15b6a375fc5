//! `GET /admin/api/requests`: the records of recent requests that failed, or in which an attempt
//! failed.
//!
//! This isolate has its own at once. Those of all isolates are at the hub, within seconds.

use super::object_answer::AskError;
use super::platform::Platform;
use crate::vocabulary::client_error::ClientError;

/// The record of the request with this id, or without an id all that are known, latest first.
///
/// # Errors
/// Nobody knows the request, or the hub does not answer.
pub(super) async fn answer<P: Platform>(platform: &P, id: Option<String>) -> Result<String, ClientError> {
    let isolate = platform.isolate();
    let known = id.as_ref().and_then(|id| Some(isolate.records.borrow().get(id)?.json.clone()));
    if let Some(json) = known {
        return Ok(json);
    }
    let objects = isolate.objects(platform).ok_or(ClientError::RecordsUnavailable)?;
    match (objects.ask_hub(platform, "requests", id.clone()).await, id) {
        (Ok(json), _) => Ok(json),
        (Err(AskError::Status(404, _)), Some(id)) => Err(ClientError::RequestNotFound { id }),
        (Err(_), _) => Err(ClientError::RecordsUnavailable),
    }
}
