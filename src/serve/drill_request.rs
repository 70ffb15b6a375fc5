//! A request that asks for faults: who may, and as whom it is served.

use super::admin_caller::{ADMIN_TOKEN as ADMIN_VARIABLE, is_token};
use super::platform::Platform;
use super::receive::Arrival;
use crate::request::fault_header::{self, ADMIN_TOKEN, FAULT};
use crate::routes::glob::Glob;
use crate::routes::graph::{Client, Graph};
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::fault::Fault;

/// The name of the administrator where clients have theirs.
const ADMIN: &str = "admin";

/// What a request asks for that has the header.
pub(super) struct DrillRequest {
    /// The faults, each with the id of its deployment.
    pub(super) faults: Vec<(usize, Fault)>,
    /// The administrator, if the key of the request is the admin token. It may use all models.
    pub(super) admin: Option<Client>,
}

/// The drill that a request asks for, if it does. The token is checked first, so that nobody else
/// learns the names of deployments.
///
/// # Errors
/// The request has no admin token, or the header is not valid.
pub(super) fn of<P: Platform>(
    platform: &P,
    arrival: &Arrival,
    graph: &Graph,
) -> Result<Option<Box<DrillRequest>>, ClientError> {
    let Some(text) = arrival.header(FAULT) else { return Ok(None) };
    let is_admin = |given: Option<&str>| given.is_some_and(|given| is_token(platform, ADMIN_VARIABLE, given));
    let is_key = is_admin(arrival.key());
    if !is_key && !is_admin(arrival.header(ADMIN_TOKEN)) {
        return Err(ClientError::FaultNotAllowed);
    }
    let faults = fault_header::parse(text, &graph.deployments)?;
    let admin = || Client { name: ADMIN.to_owned(), models: vec![Glob::new("*")], ..Client::default() };
    Ok(Some(Box::new(DrillRequest { faults, admin: is_key.then(admin) })))
}
