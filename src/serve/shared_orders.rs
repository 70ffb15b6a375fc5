//! Orders of administrators to all isolates, and the error for what they cannot be about.

use std::rc::Rc;

use super::object_reports::share;
use super::platform::Platform;
use crate::health::shard::object_requests::Order;
use crate::routes::graph::{Deployment, nearest_deployment};
use crate::vocabulary::client_error::ClientError;

/// Shares an order with all isolates.
///
/// # Errors
/// An object does not take it.
pub(super) async fn share_order<P: Platform>(platform: &P, order: &Order) -> Result<(), ClientError> {
    share(platform, order).await.map_err(|error| {
        platform.warn(&format!("health: a switch was not shared: {error}"));
        ClientError::SwitchNotShared
    })
}

/// The error for a name that no deployment has.
pub(super) fn unknown(name: &str, all: &[Rc<Deployment>]) -> ClientError {
    let nearest = nearest_deployment(name, all);
    ClientError::DeploymentNotFound { deployment: name.to_owned(), nearest }
}
