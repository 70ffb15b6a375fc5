//! The credential that an attempt presents, and the next one if it is refused.
//!
//! An attempt tries each key of its deployment once, or asks once for a new token. Only if all are
//! refused, the deployment is judged.

use std::rc::Rc;

use serde::Serialize;

use super::entra_tokens;
use super::platform::Platform;
use super::receive::Inbound;
use super::serving::Serving;
use crate::attempt::failure::Failure;
use crate::attempt::machine::Dispatch;
use crate::attempt::phase::Phase;
use crate::routes::entra::Entra;
use crate::routes::graph::Deployment;
use crate::upstream::Credential;
use crate::upstream::entra_token::TokenFailure;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::scope::Scope;
use crate::vocabulary::time::Instant;

/// The credential that a call presents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PresentedCredential {
    /// The key at this place of the list.
    Key(usize),
    /// A token.
    Token {
        text: Rc<str>,
        /// Whether it replaces one that was refused in the same attempt.
        is_second: bool,
    },
}

impl PresentedCredential {
    /// The credential that an attempt presents first.
    ///
    /// # Errors
    /// There is no token. Nothing was sent.
    pub(super) async fn first<P: Platform>(
        platform: &P,
        inbound: &Inbound,
        dispatch: &Dispatch,
        routes: &Serving,
    ) -> Result<Self, Failure> {
        let deployment = &dispatch.deployment;
        if let Some(entra) = &deployment.entra {
            // Behind a pointer, because most documents have none.
            return Box::pin(token(platform, entra, dispatch, None)).await;
        }
        if deployment.other_keys.is_empty() {
            return Ok(Self::Key(0));
        }
        let may_repeat = inbound.facts.is_replayable;
        Ok(Self::Key(routes.keys.borrow_mut().choose(deployment.id, platform.now(), may_repeat)))
    }

    /// What the request has in its headers.
    pub(super) fn credential<'a>(&'a self, deployment: &'a Deployment) -> Credential<'a> {
        match self {
            Self::Key(index) => Credential::key(deployment, *index),
            Self::Token { text, .. } => Credential::Token(text),
        }
    }

    /// The upstream serves the request.
    pub(super) fn on_accepted(&self, dispatch: &Dispatch, routes: &Serving) {
        if let Self::Key(index) = self
            && !dispatch.deployment.other_keys.is_empty()
        {
            routes.keys.borrow_mut().on_accepted(dispatch.deployment.id, *index);
        }
    }

    /// The credential to present after this one was refused. `since`: when the attempt began.
    ///
    /// # Errors
    /// The failure of the attempt, if there is none. If the request cannot be sent again and
    /// another credential is left for the next one, the deployment is not judged by it.
    pub(super) async fn after<P: Platform>(
        self,
        failure: Failure,
        platform: &P,
        inbound: &Inbound,
        dispatch: &Dispatch,
        routes: &Serving,
        since: Instant,
    ) -> Result<Self, Failure> {
        let may_repeat = inbound.facts.is_replayable;
        match (self, &dispatch.deployment.entra) {
            (Self::Key(index), _) => {
                next_key(index, failure, platform, dispatch, routes, (since, may_repeat))
            }
            (Self::Token { text, is_second: false }, Some(entra))
                if entra_tokens::may_replace(platform, entra, &text) =>
            {
                if may_repeat {
                    return token(platform, entra, dispatch, Some(&text)).await;
                }
                entra_tokens::replace(platform, entra, &text);
                Err(Failure { scope: Scope::Request, ..failure })
            }
            (Self::Token { .. }, _) => Err(failure),
        }
    }
}

fn next_key<P: Platform>(
    index: usize,
    failure: Failure,
    platform: &P,
    dispatch: &Dispatch,
    routes: &Serving,
    (since, may_repeat): (Instant, bool),
) -> Result<PresentedCredential, Failure> {
    let (deployment, now) = (&dispatch.deployment, platform.now());
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
    if may_repeat {
        return Ok(PresentedCredential::Key(next));
    }
    let scope = if keys.has_accepted(deployment.id) { Scope::Request } else { failure.scope };
    Err(Failure { scope, ..failure })
}

/// A token that is not the `refused` one.
///
/// # Errors
/// There is none. If Entra ID refuses it, that is the credential of the deployment. If Entra ID
/// does not answer, the deployment cannot serve for now.
async fn token<P: Platform>(
    platform: &P,
    entra: &Entra,
    dispatch: &Dispatch,
    refused: Option<&str>,
) -> Result<PresentedCredential, Failure> {
    let until = dispatch.limits.of(Phase::Headers, platform.now()).at;
    let found = entra_tokens::token(platform, entra, refused, until).await;
    let text = found.map_err(|TokenFailure { reason, is_refusal }| {
        Failure::silent(if is_refusal { ErrorClass::Auth } else { ErrorClass::Unavailable }, reason)
    })?;
    Ok(PresentedCredential::Token { text, is_second: refused.is_some() })
}

/// Which credential a deployment uses, for administrators.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum CredentialStatus {
    /// It has several keys.
    Keys {
        /// Their number.
        keys: usize,
        /// The one that is in use, counted from 1; `None` if all are refused.
        in_use: Option<usize>,
        /// Those that are refused, counted from 1.
        refused: Vec<usize>,
    },
    /// It has tokens of Entra ID.
    Token {
        /// When the token expires; `None` before the first one.
        token_expires_at: Option<Instant>,
        /// Why there is no newer one.
        token_problem: Option<String>,
    },
}

impl CredentialStatus {
    /// The status of a deployment; `None` if it has one key.
    pub(super) fn of<P: Platform>(platform: &P, deployment: &Deployment, routes: &Serving) -> Option<Self> {
        if let Some(entra) = &deployment.entra {
            let tokens = platform.isolate().tokens.borrow();
            let (token_expires_at, problem) = tokens.status(entra);
            return Some(Self::Token { token_expires_at, token_problem: problem.map(TokenFailure::said) });
        }
        if deployment.other_keys.is_empty() {
            return None;
        }
        let keys = deployment.keys().count();
        let refused: Vec<usize> = routes.keys.borrow().refused(deployment.id).map(|key| key + 1).collect();
        let in_use = (1..=keys).find(|key| !refused.contains(key));
        Some(Self::Keys { keys, in_use, refused })
    }
}
