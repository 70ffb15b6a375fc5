//! The result of an attempt that did not serve: a value with an error class, never an exception.

use serde_json::Value;

use super::phase::LimitKind;
use crate::health::Outcome;
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::scope::Scope;
use crate::vocabulary::time::Millis;
use crate::vocabulary::upstream_ids::UpstreamIds;
use crate::vocabulary::usage::Usage;

/// The reason of an answer in one piece where a stream was asked for.
pub const NOT_A_STREAM: &str = "not_a_stream";

/// Why one attempt failed, and what the upstream answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The error class.
    pub class: ErrorClass,
    /// What the failure is about.
    pub scope: Scope,
    /// No wait cures it: the request is larger than the limit of the deployment.
    pub is_permanent: bool,
    /// The upstream may have done what was asked, and doing it twice harms. So the request was not
    /// repeated.
    pub is_unclear: bool,
    /// The limit that ended the attempt, if one did.
    pub limit: Option<LimitKind>,
    /// The status of the upstream, if one arrived. 200 if the error was in a 200 answer.
    pub status: Option<u16>,
    /// The failure is about an object that the client named (an earlier response, a file, an
    /// encrypted item) and that this account does not have. Another account may have it. Such a
    /// failure does not count against the deployment.
    pub is_unknown_object: bool,
    /// The hint: how long the upstream asks the gateway to wait (`retry-after-ms`, `retry-after`).
    pub hint_ms: Option<Millis>,
    /// A short name for the logs: the `code` of the upstream, or the phase that timed out. Never
    /// free text of the upstream, never a secret.
    pub reason: String,
    /// What the provider charges for although the attempt failed: an answer that reports its usage,
    /// or content that was held back.
    pub used: Option<Box<Usage>>,
    /// The ids of the answer, if there is one.
    pub upstream_ids: Option<Box<UpstreamIds>>,
    /// The error response of the upstream, and only that: an error in it means that the upstream
    /// says that it failed. The client gets it if no other attempt serves.
    pub response: Option<Box<ErrorResponse>>,
    /// The gateway itself does not go on with the request, at any deployment, and the client gets
    /// this error. It is no failure of the deployment, whatever its class.
    pub refusal: Option<Box<ClientError>>,
}

impl Failure {
    /// What health records of it.
    pub fn outcome(&self) -> Outcome {
        match self.limit {
            Some(LimitKind::Deadline | LimitKind::Share) => Outcome::CutShort,
            // The account works, it only does not have the object. The class does not matter: a
            // path below an unknown object is also "not found".
            _ if self.is_unknown_object => Outcome::failed(ErrorClass::BadRequest, None),
            _ => Outcome::Failed { class: self.class, scope: self.scope, hint_ms: self.hint_ms },
        }
    }

    /// Whether the credential itself was refused, so that another one may be accepted.
    pub fn is_refused_credential(&self) -> bool {
        self.class == ErrorClass::Auth
            && self.scope == Scope::Account
            && matches!(self.status, Some(401 | 403))
            && !self.is_unknown_object
    }

    /// Whether the upstream may have done what was asked, although no answer says so.
    ///
    /// It certainly has not if Cloudflare did not reach it (52x, 530), and if it says itself that
    /// it failed.
    pub fn may_be_done(&self) -> bool {
        match (self.class, self.status) {
            (ErrorClass::Connection, Some(521..=523 | 525 | 526 | 530)) => false,
            // A proxy lost the upstream, or a success has no usable answer.
            (ErrorClass::Connection | ErrorClass::Timeout | ErrorClass::Truncated, _)
            | (ErrorClass::Unavailable, Some(502 | 504)) => true,
            (ErrorClass::Unavailable, Some(200..=299)) => !self.tells_an_error(),
            _ => false,
        }
    }

    /// Whether the answer contains the error of the upstream.
    fn tells_an_error(&self) -> bool {
        let body = self.response.as_ref().and_then(|response| serde_json::from_slice(&response.body).ok());
        body.is_some_and(|body: Value| body.get("error").is_some_and(|error| !error.is_null()))
    }

    /// The failure of an attempt that this limit ended.
    pub fn late(limit: LimitKind) -> Self {
        let scope = if limit == LimitKind::Patience { Scope::Client } else { Scope::Deployment };
        Self { limit: Some(limit), scope, ..Self::silent(ErrorClass::Timeout, limit.name()) }
    }

    /// A failure without an answer: a connection error, a timeout, a broken stream.
    pub fn silent(class: ErrorClass, reason: impl Into<String>) -> Self {
        Self {
            class,
            scope: Scope::usual(class),
            is_permanent: false,
            is_unclear: false,
            limit: None,
            status: None,
            is_unknown_object: false,
            hint_ms: None,
            reason: reason.into(),
            used: None,
            upstream_ids: None,
            response: None,
            refusal: None,
        }
    }

    /// The end of an attempt with whose request the gateway does not go on.
    pub fn refused(error: ClientError) -> Self {
        let class = match error.status() {
            408 => ErrorClass::Timeout,
            500.. => ErrorClass::Unavailable,
            _ => ErrorClass::BadRequest,
        };
        let failure = Self::silent(class, error.code());
        Self { scope: Scope::Client, refusal: Some(Box::new(error)), ..failure }
    }
}

/// An error response as it arrived, but only with headers that may reach a client (see
/// `upstream::headers`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorResponse {
    /// HTTP status; 2xx if the error was in a 2xx answer.
    pub status: u16,
    /// The headers that may reach a client.
    pub headers: Headers,
    /// The body. The edge limits it to 64 KiB.
    pub body: Vec<u8>,
}
