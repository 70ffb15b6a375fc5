//! Who calls the admin API: by a token of the gateway, by Cloudflare Access, or by both.
//!
//! A token decides the role, and Access then gives the name. Without a token, Access alone admits
//! whom `ACCESS_ADMINS` or `ACCESS_VIEWERS` lists. Without these variables it admits nobody.

use super::platform::Platform;
use super::receive::Arrival;
use crate::request::access_keys::{AccessKey, KeyLookup};
use crate::request::access_token::{AccessApplication, AccessClaim, is_listed};
use crate::request::credentials;
use crate::vocabulary::access_fault::AccessFault;
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::time::Millis;

/// The variable with the token that may do everything.
pub(super) const ADMIN_TOKEN: &str = "ADMIN_TOKEN";

/// The header with the token of Cloudflare Access.
const ASSERTION: &str = "cf-access-jwt-assertion";
/// How long the address of the keys may take to answer.
const KEYS_MS: Millis = Millis::new(5_000);

/// What a caller of the admin API may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Everything.
    Admin,
    /// Look.
    Viewer,
}

/// Who calls the admin API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AdminCaller {
    pub(super) role: Role,
    /// The name in the history and in the log: that of Access, else the role.
    pub(super) who: String,
    /// Whether a browser may have added the credential by itself.
    is_by_access: bool,
}

impl AdminCaller {
    /// Finds out who calls.
    ///
    /// # Errors
    /// There is no valid credential, or it admits nobody.
    pub(super) async fn of<P: Platform>(platform: &P, arrival: &Arrival) -> Result<Self, ClientError> {
        let role = role_of_token(platform, arrival);
        let access = match application(platform).zip(arrival.header(ASSERTION)) {
            None => None,
            Some((application, token)) => Some(name(platform, &application, token).await),
        };
        let listed = |list, name: &str| variable(platform, list).is_some_and(|list| is_listed(&list, name));
        match (role, access) {
            (Some(role), access) => {
                let unnamed = if role == Role::Admin { "admin" } else { "viewer" };
                let who = access.and_then(Result::ok).unwrap_or_else(|| unnamed.to_owned());
                Ok(Self { role, who, is_by_access: false })
            }
            (None, None) => Err(ClientError::InvalidAdminToken),
            (None, Some(Err(fault))) => Err(ClientError::AccessTokenRefused(fault)),
            (None, Some(Ok(who))) => {
                let role = if listed("ACCESS_ADMINS", &who) {
                    Role::Admin
                } else if listed("ACCESS_VIEWERS", &who) {
                    Role::Viewer
                } else {
                    return Err(ClientError::AccessNotAdmitted { name: who });
                };
                Ok(Self { role, who, is_by_access: true })
            }
        }
    }

    /// Checks that the caller may do what changes something.
    ///
    /// A browser sends the cookie of Access with the requests of any page, and Access makes a token
    /// of it. So what a page of another site sends does not count.
    ///
    /// # Errors
    /// The caller may only look, or may not have sent this.
    pub(super) fn may_change(&self, arrival: &Arrival) -> Result<(), ClientError> {
        let is_own = match arrival.header("sec-fetch-site") {
            Some(site) => matches!(site, "same-origin" | "none"),
            None => arrival.header("origin").is_none(),
        };
        match self.role {
            Role::Viewer => Err(ClientError::AdminTokenNeeded),
            Role::Admin if self.is_by_access && !is_own => Err(ClientError::CrossSiteRequest),
            Role::Admin => Ok(()),
        }
    }
}

/// The role of the token of a request; `None` if it has no valid one. A token that is not
/// configured is never valid.
fn role_of_token<P: Platform>(platform: &P, arrival: &Arrival) -> Option<Role> {
    let given = arrival.key()?;
    let has = |name| is_token(platform, name, given);
    [(ADMIN_TOKEN, Role::Admin), ("VIEWER_TOKEN", Role::Viewer)]
        .into_iter()
        .find_map(|(name, role)| has(name).then_some(role))
}

/// Whether a secret of a request is the value of this variable.
pub(super) fn is_token<P: Platform>(platform: &P, name: &str, given: &str) -> bool {
    variable(platform, name).is_some_and(|known| credentials::matches(&known, given))
}

fn application<P: Platform>(platform: &P) -> Option<AccessApplication> {
    AccessApplication::of(&variable(platform, "ACCESS_TEAM_DOMAIN")?, &variable(platform, "ACCESS_AUD")?)
}

/// Not inlined, as it is used for each variable.
#[inline(never)]
fn variable<P: Platform>(platform: &P, name: &str) -> Option<String> {
    platform.variable(name)
}

/// Who has signed in, by a token of Access.
async fn name<P: Platform>(
    platform: &P,
    application: &AccessApplication,
    token: &str,
) -> Result<String, AccessFault> {
    let claim = AccessClaim::check(token, application, platform.now())?;
    let key = key(platform, &application.keys_url(), &claim.key).await?;
    match platform.is_signed(&key, &claim.signed, &claim.signature).await {
        Ok(true) => Ok(claim.name),
        // The runtime fails for a key that is none.
        Ok(false) | Err(_) => Err(AccessFault::Signature),
    }
}

/// The key with this id. The isolate remembers the keys.
async fn key<P: Platform>(platform: &P, url: &str, id: &str) -> Result<AccessKey, AccessFault> {
    let keys = &platform.isolate().access_keys;
    let find = || keys.borrow_mut().find(url, id, platform.now());
    if let KeyLookup::Known(key) = find()? {
        return Ok(key);
    }
    let answer = platform.get(url, KEYS_MS).await;
    let text = match &answer {
        Ok((200, text)) => text,
        Ok(_) | Err(_) => "",
    };
    if !keys.borrow_mut().take(text, platform.now()) {
        let why = answer.map_or_else(|error| error.to_string(), |(status, _)| format!("status {status}"));
        platform.warn(&format!("access: there are no keys at {url}: {why}"));
    }
    match find()? {
        KeyLookup::Known(key) => Ok(key),
        KeyLookup::Read => Err(AccessFault::KeysUnavailable),
    }
}
