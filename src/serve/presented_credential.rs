//! The credential that an attempt presents, and the next one if it is refused.
//!
//! An attempt tries each credential of its deployment once. Only if all are refused, the deployment
//! is judged.

use serde::Serialize;

use super::platform::Platform;
use super::receive::Inbound;
use super::serving::Serving;
use crate::attempt::failure::Failure;
use crate::attempt::machine::Dispatch;
use crate::routes::graph::Deployment;
use crate::upstream::Credential;
use crate::vocabulary::scope::Scope;
use crate::vocabulary::time::Instant;

/// The credential that a call presents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PresentedCredential {
    /// The key at this place of the list.
    Key(usize),
}

impl PresentedCredential {
    /// The credential that an attempt presents first.
    pub(super) fn first<P: Platform>(
        platform: &P,
        inbound: &Inbound,
        dispatch: &Dispatch,
        routes: &Serving,
    ) -> Self {
        let deployment = &dispatch.deployment;
        if deployment.other_keys.is_empty() {
            return Self::Key(0);
        }
        let may_repeat = inbound.facts.is_replayable;
        Self::Key(routes.keys.borrow_mut().choose(deployment.id, platform.now(), may_repeat))
    }

    /// What the request has in its headers.
    pub(super) fn credential<'a>(&'a self, deployment: &'a Deployment) -> Credential<'a> {
        match self {
            Self::Key(index) => Credential::key(deployment, *index),
        }
    }

    /// The upstream serves the request.
    pub(super) fn on_accepted(&self, dispatch: &Dispatch, routes: &Serving) {
        match self {
            Self::Key(index) if !dispatch.deployment.other_keys.is_empty() => {
                routes.keys.borrow_mut().on_accepted(dispatch.deployment.id, *index);
            }
            Self::Key(_) => {}
        }
    }

    /// The credential to present after this one was refused. `since`: when the attempt began.
    ///
    /// # Errors
    /// The failure of the attempt, if there is none. If the request cannot be sent again and
    /// another key is left for the next one, the deployment is not judged by it.
    pub(super) fn after<P: Platform>(
        self,
        failure: Failure,
        platform: &P,
        inbound: &Inbound,
        dispatch: &Dispatch,
        routes: &Serving,
        since: Instant,
    ) -> Result<Self, Failure> {
        let (deployment, Self::Key(index)) = (&dispatch.deployment, self);
        let now = platform.now();
        let mut keys = routes.keys.borrow_mut();
        let Some(next) = keys.on_refused(deployment.id, index, since, now) else { return Err(failure) };
        // The reason is a text of the upstream.
        platform.warn(&platform.isolate().without_secrets(format!(
            "credentials: {} refuses its key {} of {} ({}); key {} is tried",
            deployment.name,
            index + 1,
            deployment.keys().count(),
            failure.reason,
            next + 1,
        )));
        if inbound.facts.is_replayable {
            return Ok(Self::Key(next));
        }
        let scope = if keys.has_accepted(deployment.id) { Scope::Request } else { failure.scope };
        Err(Failure { scope, ..failure })
    }
}

/// Which credential a deployment uses, for administrators.
#[derive(Debug, Serialize)]
pub(super) struct CredentialStatus {
    /// The number of its keys.
    keys: usize,
    /// The one that is in use, counted from 1; `None` if all are refused.
    in_use: Option<usize>,
    /// Those that are refused, counted from 1.
    refused: Vec<usize>,
}

impl CredentialStatus {
    /// The status of a deployment; `None` if it has one key.
    pub(super) fn of(deployment: &Deployment, routes: &Serving) -> Option<Self> {
        if deployment.other_keys.is_empty() {
            return None;
        }
        let keys = deployment.keys().count();
        let refused: Vec<usize> = routes.keys.borrow().refused(deployment.id).map(|key| key + 1).collect();
        let in_use = (1..=keys).find(|key| !refused.contains(key));
        Some(Self { keys, in_use, refused })
    }
}
