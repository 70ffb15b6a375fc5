//! Entra ID: what is needed for a token with which Azure is called in place of a key.

use std::sync::Arc;

use super::secret::Secret;

/// An application of Entra ID, and what it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entra {
    /// The URL of the authority, without a trailing slash: `https://login.microsoftonline.com`.
    pub authority: String,
    /// The id or the domain of the tenant.
    pub tenant: String,
    /// The id of the application.
    pub client_id: String,
    /// How it proves to be that application.
    pub proof: EntraProof,
    /// What the token is for.
    pub scope: String,
    /// What two deployments with the same tokens have in common: all of this but the proof.
    pub identity: Arc<str>,
}

/// How an application proves to be itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntraProof {
    /// By its secret.
    Secret(Secret),
    /// By a token of another issuer that the application trusts.
    Assertion(Secret),
}

impl EntraProof {
    /// The secret or the token.
    pub fn secret(&self) -> &Secret {
        let (Self::Secret(secret) | Self::Assertion(secret)) = self;
        secret
    }
}
