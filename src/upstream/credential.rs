//! What a call presents to its upstream, so that it is served.

use crate::routes::graph::Deployment;

/// A credential for one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential<'a> {
    /// The key of an account; empty if there is none.
    Key(&'a str),
    /// A token, which every provider reads as a bearer token.
    Token(&'a str),
}

impl<'a> Credential<'a> {
    /// The key of a deployment at this place of its list; the first one if there is no such place.
    pub fn key(deployment: &'a Deployment, index: usize) -> Self {
        Self::Key(deployment.keys().nth(index).unwrap_or(&deployment.api_key).reveal())
    }

    /// Its `authorization` header; `None` without a credential.
    pub(super) fn bearer(self) -> Option<(&'static str, String)> {
        let (Self::Key(secret) | Self::Token(secret)) = self;
        (!secret.is_empty()).then(|| ("authorization", format!("Bearer {secret}")))
    }
}
