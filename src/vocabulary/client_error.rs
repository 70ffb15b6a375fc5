//! Errors of the gateway itself, in OpenAI's shape:
//! `{"error": {"message", "type", "param", "code"}}`.
//!
//! The SDKs turn them into exceptions and read `code`, `type` and `param`, so a client handles them
//! like any other error. Every message says how to fix the problem, using only what the client may
//! know: no deployment, no address, no secret. Text from clients is quoted with at most 100
//! characters and without control characters.

use serde_json::json;

use super::access_fault::AccessFault;
use super::admission_fault::AdmissionFault;
use super::denial::Denial;
use super::limit::{LimitRate, LimitUnit};
use super::needs::Lack;
use super::time::Millis;

mod error_messages;

/// Why the gateway answers a request itself, instead of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientError {
    /// No client of the routes document has this key, or the request has no key.
    InvalidApiKey,
    /// The routes document has no clients.
    NoClients,
    /// The admin API was called without its token, or no token is configured.
    InvalidAdminToken,
    /// Who may only look called something that changes something.
    AdminTokenNeeded,
    /// A request asks for a fault, and has no admin token.
    FaultNotAllowed,
    /// A request asks for a fault that does not exist, or of a deployment that does not exist.
    InvalidFault {
        /// The part of the header.
        text: String,
        /// The most similar name of a deployment, if it names one that does not exist.
        nearest: Option<String>,
    },
    /// The token of Cloudflare Access says nothing about who calls, and there is no other one.
    AccessTokenRefused(AccessFault),
    /// Cloudflare Access says who calls, and the gateway's variables do not admit them.
    AccessNotAdmitted {
        /// The email address, or the name of the service.
        name: String,
    },
    /// A page of another site called something that changes something, in the name of who has
    /// signed in to Cloudflare Access.
    CrossSiteRequest,
    /// There is no binding to the registry.
    RegistryMissing,
    /// The Durable Object with the versions of the document did not answer.
    RegistryUnavailable,
    /// A change of the routes does not say on which version it is based.
    IfMatchMissing,
    /// A change of the routes is based on another version than the current one.
    RoutesChanged {
        /// The current version.
        current: String,
    },
    /// Another change of the routes is under way.
    ChangeUnderWay,
    /// A canary of a change of the routes is under way.
    CanaryUnderWay {
        /// Its version.
        version: String,
    },
    /// No canary is under way.
    NoCanary,
    /// The registry has no such version.
    VersionNotFound {
        /// The version in the request.
        version: String,
    },
    /// A routes document does not compile.
    RoutesRefused {
        /// The number of its issues.
        count: usize,
    },
    /// The store did not take the routes document, or cannot be read.
    RoutesNotWritten,
    /// The admin API was asked about a deployment that does not exist.
    DeploymentNotFound {
        /// The name in the request.
        deployment: String,
        /// The most similar name of a deployment.
        nearest: Option<String>,
    },
    /// A switch of the admin API took effect in this isolate only.
    SwitchNotShared,
    /// The Durable Object with the counters did not answer.
    MetricsUnavailable,
    /// The admin API was asked about a request of which there is no record.
    RequestNotFound {
        /// The id in the request.
        id: String,
    },
    /// The Durable Object with the records did not answer.
    RecordsUnavailable,
    /// The key belongs to a client, and its time is over.
    KeyExpired,
    /// The issued key was revoked.
    KeyRevoked,
    /// Whether there is such an issued key cannot be found out now.
    KeysUnavailable,
    /// There is no issued key with this id.
    KeyNotFound {
        /// The id in the request.
        id: String,
    },
    /// The issued key has ended already, or it is there already.
    KeyNotActive,
    /// The routes document has no such client.
    ClientNotFound {
        /// The name in the request.
        client: String,
        /// The most similar name of a client.
        nearest: Option<String>,
    },
    /// The routes document does not allow keys of this kind for the client.
    KeysNotAllowed {
        /// The name of the client.
        client: String,
        /// What the document lacks: `allow_keys` or `imported_keys`.
        lacks: &'static str,
    },
    /// The store did not take the record of a key.
    KeysNotWritten,
    /// No node has this name, or the client may not use it. One answer for both: otherwise a client
    /// could find out what others use.
    ModelNotFound {
        /// The model that the client asked for.
        model: String,
        /// The most similar model that this client may use.
        nearest: Option<String>,
    },
    /// A limit of the client, or of the gateway, is used up.
    LimitReached {
        /// The limit.
        rate: LimitRate,
        /// Whether it is the client's own.
        is_own: bool,
        /// When the request may fit; `None`: never, because it is larger than the whole limit.
        retry_ms: Option<Millis>,
    },
    /// Nobody can say what is left of a limit.
    LimitsUnavailable,
    /// The rules for its client do not admit the request.
    NotAdmitted(AdmissionFault),
    /// A rule of the routes document refuses the request.
    Denied {
        /// The index of the rule.
        rule: usize,
        /// What the rule says.
        denial: Denial,
    },
    /// The body is not JSON, or not an object. Holds the parser's message.
    InvalidJson(String),
    /// The body is not the multipart form that it should be. Holds the parser's message.
    InvalidForm(String),
    /// The request names no model, and no rule chooses a node for it.
    MissingModel,
    /// The body is larger than the gateway buffers, and its beginning names no model.
    RequestTooLarge {
        /// How much is buffered, in bytes.
        limit: u64,
    },
    /// The body did not arrive within the deadline of the request, or within the time for which its
    /// client waits.
    RequestTimeout {
        /// How long the request was allowed to take.
        after_ms: Millis,
    },
    /// The bodies of other requests take all the room that this isolate has for bodies.
    TooManyBodies,
    /// The body is compressed.
    UnsupportedEncoding {
        /// Its `content-encoding`.
        encoding: String,
    },
    /// The runtime failed.
    Internal,
    /// Requirements or the state of the deployments left none to try.
    NoEligibleDeployment {
        /// The node.
        model: String,
        /// Why deployments were ruled out, each reason once, without their names:
        /// `quality is below 3`.
        reasons: Vec<String>,
        /// Milliseconds until the first ejected deployment may be back; `None` where waiting does
        /// not help.
        returns_in_ms: Option<Millis>,
    },
    /// No model of the node can do what the request needs.
    CapabilityMissing {
        /// The node.
        model: String,
        /// What the models lack, each of them the first that was found.
        lacks: Vec<Lack>,
        /// The name of the field that limits the output.
        limit: &'static str,
    },
    /// Every attempt failed before an answer arrived.
    UpstreamUnreachable {
        /// The number of attempts.
        attempts: u32,
    },
    /// Every attempt failed, and an upstream did not answer in time.
    UpstreamTimeout {
        /// The number of attempts.
        attempts: u32,
    },
    /// No answer says whether the upstream did what was asked, and doing it twice harms.
    OutcomeUnknown {
        /// Whether a time limit ended the attempt, and not a broken connection.
        is_late: bool,
    },
    /// The deadline of the whole request has passed.
    DeadlineExceeded {
        /// How long the request was allowed to take.
        after_ms: Millis,
    },
    /// There is no valid routes document.
    RoutesUnavailable,
    /// No operation has this path.
    UnknownPath {
        /// `POST`
        method: String,
        /// As it arrived.
        path: String,
    },
    /// The path exists, but does not accept this method.
    MethodNotAllowed {
        /// The method of the request.
        method: String,
        /// The methods to use instead; also the value of the `Allow` header that a 405 must have
        /// (RFC 9110, 15.5.6).
        allow: &'static str,
    },
    /// The client asked for a WebSocket. The same path takes requests over HTTP.
    WebSocketNotSupported {
        /// As it arrived.
        path: String,
    },
    /// The path cannot be the path of a stored object.
    InvalidObjectPath {
        /// Below `/v1/`, as it arrived.
        path: String,
    },
    /// No deployment that the client may use can own this stored object.
    ObjectNotFound {
        /// Below `/v1/`, as it arrived.
        path: String,
    },
    /// The client has made no stored object with this id.
    NotOwnObject {
        /// As it arrived.
        id: String,
    },
    /// Nobody can say which stored objects the client has made.
    ObjectsUnavailable,
    /// A list of stored objects cannot be narrowed to those of the client.
    ListNotReadable,
    /// A list has more pages, and on those that were read is nothing that the client has made.
    NoOwnListed {
        /// So many objects of others were passed over.
        passed: usize,
    },
    /// A part of the provider's API that the gateway does not route: it is bound to one account, or
    /// needs a connection of another kind (realtime).
    StatefulOperation {
        /// As it arrived.
        path: String,
    },
}

impl ClientError {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::InvalidJson(_)
            | Self::InvalidForm(_)
            | Self::MissingModel
            | Self::CapabilityMissing { .. }
            | Self::InvalidFault { .. }
            | Self::InvalidObjectPath { .. }
            | Self::ListNotReadable
            | Self::NoOwnListed { .. } => 400,
            Self::InvalidApiKey
            | Self::NoClients
            | Self::InvalidAdminToken
            | Self::KeyExpired
            | Self::KeyRevoked => 401,
            Self::AccessTokenRefused(fault) => fault.status(),
            Self::Denied { denial, .. } => denial.status,
            Self::NotAdmitted(fault) => fault.status(),
            Self::AdminTokenNeeded
            | Self::FaultNotAllowed
            | Self::AccessNotAdmitted { .. }
            | Self::CrossSiteRequest => 403,
            Self::ModelNotFound { .. }
            | Self::KeyNotFound { .. }
            | Self::ClientNotFound { .. }
            | Self::DeploymentNotFound { .. }
            | Self::RequestNotFound { .. }
            | Self::VersionNotFound { .. }
            | Self::NoCanary
            | Self::UnknownPath { .. }
            | Self::ObjectNotFound { .. }
            | Self::NotOwnObject { .. }
            | Self::StatefulOperation { .. } => 404,
            Self::MethodNotAllowed { .. } => 405,
            Self::RequestTimeout { .. } => 408,
            Self::ChangeUnderWay
            | Self::CanaryUnderWay { .. }
            | Self::KeyNotActive
            | Self::KeysNotAllowed { .. } => 409,
            Self::RoutesChanged { .. } => 412,
            Self::RequestTooLarge { .. } => 413,
            Self::UnsupportedEncoding { .. } => 415,
            Self::RoutesRefused { .. } => 422,
            Self::WebSocketNotSupported { .. } => 426,
            Self::IfMatchMissing => 428,
            Self::LimitReached { .. } => 429,
            Self::Internal => 500,
            Self::UpstreamUnreachable { .. } | Self::OutcomeUnknown { is_late: false } => 502,
            Self::NoEligibleDeployment { .. }
            | Self::RoutesUnavailable
            | Self::SwitchNotShared
            | Self::MetricsUnavailable
            | Self::RecordsUnavailable
            | Self::RegistryMissing
            | Self::RegistryUnavailable
            | Self::RoutesNotWritten
            | Self::LimitsUnavailable
            | Self::ObjectsUnavailable
            | Self::KeysUnavailable
            | Self::KeysNotWritten
            | Self::TooManyBodies => 503,
            Self::UpstreamTimeout { .. }
            | Self::DeadlineExceeded { .. }
            | Self::OutcomeUnknown { is_late: true } => 504,
        }
    }

    /// The code by which programs distinguish errors. `invalid_api_key`, `model_not_found` and
    /// `unknown_url` are OpenAI's own.
    pub fn code(&self) -> &str {
        match self {
            Self::InvalidApiKey | Self::NoClients => "invalid_api_key",
            Self::InvalidAdminToken => "invalid_admin_token",
            Self::AdminTokenNeeded => "admin_token_needed",
            Self::FaultNotAllowed => "fault_not_allowed",
            Self::InvalidFault { .. } => "invalid_fault",
            Self::AccessTokenRefused(fault) => fault.code(),
            Self::Denied { denial, .. } => &denial.code,
            Self::NotAdmitted(fault) => fault.code(),
            Self::AccessNotAdmitted { .. } => "access_not_admitted",
            Self::CrossSiteRequest => "cross_site_request",
            Self::RegistryMissing => "registry_missing",
            Self::RegistryUnavailable => "registry_unavailable",
            Self::IfMatchMissing => "if_match_needed",
            Self::RoutesChanged { .. } => "routes_changed",
            Self::ChangeUnderWay => "change_under_way",
            Self::CanaryUnderWay { .. } => "canary_under_way",
            Self::NoCanary => "no_canary",
            Self::VersionNotFound { .. } => "version_not_found",
            Self::RoutesRefused { .. } => "routes_refused",
            Self::RoutesNotWritten => "routes_not_written",
            Self::DeploymentNotFound { .. } => "deployment_not_found",
            Self::SwitchNotShared => "switch_not_shared",
            Self::MetricsUnavailable => "metrics_unavailable",
            Self::RequestNotFound { .. } => "request_not_found",
            Self::RecordsUnavailable => "records_unavailable",
            Self::KeyExpired => "api_key_expired",
            Self::KeyRevoked => "api_key_revoked",
            Self::KeysUnavailable => "keys_unavailable",
            Self::KeyNotFound { .. } => "key_not_found",
            Self::KeyNotActive => "key_not_active",
            Self::ClientNotFound { .. } => "client_not_found",
            Self::KeysNotAllowed { .. } => "keys_not_allowed",
            Self::KeysNotWritten => "keys_not_written",
            Self::ModelNotFound { .. } => "model_not_found",
            Self::LimitReached { rate, .. } if rate.is_quota() => "insufficient_quota",
            Self::LimitReached { .. } => "rate_limit_exceeded",
            Self::LimitsUnavailable => "limits_unavailable",
            Self::InvalidJson(_) => "invalid_json",
            Self::InvalidForm(_) => "invalid_form",
            Self::MissingModel => "missing_model",
            Self::RequestTooLarge { .. } => "request_too_large",
            Self::RequestTimeout { .. } => "request_timeout",
            Self::TooManyBodies => "too_many_bodies",
            Self::UnsupportedEncoding { .. } => "unsupported_encoding",
            Self::Internal => "internal_error",
            Self::NoEligibleDeployment { .. } => "no_eligible_deployment",
            Self::CapabilityMissing { lacks, .. } if lacks.iter().all(is_about_context) => {
                "context_length_exceeded"
            }
            Self::CapabilityMissing { .. } => "capability_missing",
            Self::UpstreamUnreachable { .. } => "upstream_unreachable",
            Self::UpstreamTimeout { .. } => "upstream_timeout",
            Self::OutcomeUnknown { .. } => "upstream_outcome_unknown",
            Self::DeadlineExceeded { .. } => "deadline_exceeded",
            Self::RoutesUnavailable => "routes_unavailable",
            Self::UnknownPath { .. } => "unknown_url",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::WebSocketNotSupported { .. } => "websocket_not_supported",
            Self::InvalidObjectPath { .. } => "invalid_object_path",
            Self::ObjectNotFound { .. } | Self::NotOwnObject { .. } => "object_not_found",
            Self::ObjectsUnavailable => "objects_unavailable",
            Self::ListNotReadable | Self::NoOwnListed { .. } => "list_not_readable",
            Self::StatefulOperation { .. } => "operation_not_supported",
        }
    }

    /// OpenAI's `type`: whose fault it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::LimitReached { rate, .. } if rate.is_quota() => "insufficient_quota",
            Self::LimitReached { rate, .. } if rate.unit == LimitUnit::Tokens => "tokens",
            Self::LimitReached { .. } => "requests",
            _ if self.status() < 500 => "invalid_request_error",
            _ => "server_error",
        }
    }

    /// The parameter that is at fault, if there is one.
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::NotAdmitted(fault) => fault.param(),
            Self::ModelNotFound { .. } | Self::MissingModel => Some("model"),
            Self::InvalidObjectPath { .. }
            | Self::ObjectNotFound { .. }
            | Self::NotOwnObject { .. }
            | Self::RequestNotFound { .. }
            | Self::KeyNotFound { .. } => Some("id"),
            Self::ClientNotFound { .. } | Self::KeysNotAllowed { .. } => Some("client"),
            Self::CapabilityMissing { lacks, limit, .. } => {
                let is_about_output = |lack: &Lack| matches!(lack, Lack::OutputTokens { .. });
                lacks.iter().all(is_about_output).then_some(limit)
            }
            _ => None,
        }
    }

    /// Whether the same request may succeed in a moment. It becomes `x-should-retry`, which the
    /// SDKs obey.
    ///
    /// After a missed deadline a retry is not worth it: it would take as long again, from slow
    /// deployments or with a slow upload. The same holds if no deployment is eligible, unless one
    /// is ejected for a time: requirements and missing keys do not change by waiting.
    ///
    /// What is used up for a day or a month does not come back in a moment.
    pub fn is_retryable(&self) -> bool {
        if let Self::LimitReached { rate, retry_ms, .. } = self {
            return retry_ms.is_some() && !rate.is_quota();
        }
        matches!(
            self,
            Self::UpstreamUnreachable { .. }
                | Self::UpstreamTimeout { .. }
                | Self::RoutesUnavailable
                | Self::SwitchNotShared
                | Self::MetricsUnavailable
                | Self::RecordsUnavailable
                | Self::RegistryUnavailable
                | Self::RoutesNotWritten
                | Self::KeysUnavailable
                | Self::KeysNotWritten
                | Self::TooManyBodies
                | Self::LimitsUnavailable
                | Self::ObjectsUnavailable
                | Self::AccessTokenRefused(AccessFault::KeysUnavailable)
                | Self::NoEligibleDeployment { returns_in_ms: Some(_), .. }
        )
    }

    /// The response body. It is valid JSON for any client input.
    pub fn body(&self) -> String {
        json!({ "error": {
            "message": self.message(),
            "type": self.kind(),
            "param": self.param(),
            "code": self.code(),
        }})
        .to_string()
    }
}

fn is_about_context(lack: &Lack) -> bool {
    matches!(lack, Lack::ContextTokens { .. })
}

#[cfg(test)]
pub(crate) mod tests;
