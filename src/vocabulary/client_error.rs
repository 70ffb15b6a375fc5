//! Errors of the gateway itself, in OpenAI's shape:
//! `{"error": {"message", "type", "param", "code"}}`.
//!
//! The SDKs turn them into exceptions and read `code`, `type` and `param`, so a client handles them
//! like any other error. Every message says how to fix the problem, using only what the client may
//! know: no deployment, no address, no secret. Text from clients is quoted with at most 100
//! characters and without control characters.

use serde_json::json;

use super::access_fault::AccessFault;
use super::needs::{Lack, missing};
use super::time::Millis;

/// Most characters that are quoted from a client's text.
const QUOTED_CHARS: usize = 100;

/// Most characters of a parser's message about a body. The message ends with the position of the
/// error.
const REASON_CHARS: usize = 300;

/// Most reasons that a [`ClientError::NoEligibleDeployment`] lists.
const LISTED_REASONS: usize = 5;

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
    /// The client may not use this model.
    ModelNotAllowed {
        /// The client's name in the routes document.
        client: String,
        /// The model that it asked for.
        model: String,
    },
    /// No node has this name.
    ModelNotFound {
        /// The model that the client asked for.
        model: String,
        /// The most similar model that this client may use.
        nearest: Option<String>,
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
            | Self::InvalidObjectPath { .. } => 400,
            Self::InvalidApiKey | Self::NoClients | Self::InvalidAdminToken => 401,
            Self::AccessTokenRefused(fault) => fault.status(),
            Self::ModelNotAllowed { .. }
            | Self::AdminTokenNeeded
            | Self::FaultNotAllowed
            | Self::AccessNotAdmitted { .. }
            | Self::CrossSiteRequest => 403,
            Self::ModelNotFound { .. }
            | Self::DeploymentNotFound { .. }
            | Self::RequestNotFound { .. }
            | Self::VersionNotFound { .. }
            | Self::NoCanary
            | Self::UnknownPath { .. }
            | Self::ObjectNotFound { .. }
            | Self::StatefulOperation { .. } => 404,
            Self::MethodNotAllowed { .. } => 405,
            Self::RequestTimeout { .. } => 408,
            Self::ChangeUnderWay | Self::CanaryUnderWay { .. } => 409,
            Self::RoutesChanged { .. } => 412,
            Self::RequestTooLarge { .. } => 413,
            Self::UnsupportedEncoding { .. } => 415,
            Self::RoutesRefused { .. } => 422,
            Self::WebSocketNotSupported { .. } => 426,
            Self::IfMatchMissing => 428,
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
            | Self::TooManyBodies => 503,
            Self::UpstreamTimeout { .. }
            | Self::DeadlineExceeded { .. }
            | Self::OutcomeUnknown { is_late: true } => 504,
        }
    }

    /// The code by which programs distinguish errors. `invalid_api_key`, `model_not_found` and
    /// `unknown_url` are OpenAI's own.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidApiKey | Self::NoClients => "invalid_api_key",
            Self::InvalidAdminToken => "invalid_admin_token",
            Self::AdminTokenNeeded => "admin_token_needed",
            Self::FaultNotAllowed => "fault_not_allowed",
            Self::InvalidFault { .. } => "invalid_fault",
            Self::AccessTokenRefused(fault) => fault.code(),
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
            Self::ModelNotAllowed { .. } => "model_not_allowed",
            Self::ModelNotFound { .. } => "model_not_found",
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
            Self::ObjectNotFound { .. } => "object_not_found",
            Self::StatefulOperation { .. } => "operation_not_supported",
        }
    }

    /// OpenAI's `type`: whose fault it is.
    pub fn kind(&self) -> &'static str {
        if self.status() < 500 { "invalid_request_error" } else { "server_error" }
    }

    /// The parameter that is at fault, if there is one.
    pub fn param(&self) -> Option<&'static str> {
        match self {
            Self::ModelNotAllowed { .. } | Self::ModelNotFound { .. } | Self::MissingModel => Some("model"),
            Self::InvalidObjectPath { .. } | Self::ObjectNotFound { .. } | Self::RequestNotFound { .. } => {
                Some("id")
            }
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
    pub fn is_retryable(&self) -> bool {
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
                | Self::TooManyBodies
                | Self::AccessTokenRefused(AccessFault::KeysUnavailable)
                | Self::NoEligibleDeployment { returns_in_ms: Some(_), .. }
        )
    }

    /// What happened and how to fix it, for people.
    #[expect(clippy::too_many_lines, reason = "one arm for each error")]
    pub fn message(&self) -> String {
        match self {
            Self::InvalidApiKey => "Incorrect or missing API key. Send the key that this gateway gave you, as \
                'Authorization: Bearer KEY' or as 'api-key: KEY'; a provider's key does not work here."
                .into(),
            Self::NoClients => "This gateway lets nobody in yet: its routes document has no \"clients\" section. \
                Add one, such as \"clients\": {\"my-app\": {\"key\": \"${MY_APP_KEY}\", \"models\": [\"*\"]}}, \
                and set the secret MY_APP_KEY."
                .into(),
            Self::InvalidAdminToken => "The admin API needs the value of the secret ADMIN_TOKEN, as \
                'Authorization: Bearer TOKEN'. While that secret is not set, it is closed."
                .into(),
            Self::AdminTokenNeeded => "You may look, and not change anything. Send the value of the secret ADMIN_TOKEN, \
                or have ACCESS_ADMINS name you."
                .into(),
            Self::AccessTokenRefused(fault) => {
                format!("The token of Cloudflare Access in Cf-Access-Jwt-Assertion {}.", fault.message())
            }
            Self::AccessNotAdmitted { name } => format!(
                "Cloudflare Access says that you are '{}', whom neither ACCESS_ADMINS nor ACCESS_VIEWERS names.",
                quoted(name)
            ),
            Self::CrossSiteRequest => "A page of another site sent this, so nothing was changed. Send the value of the \
                secret ADMIN_TOKEN."
                .into(),
            Self::FaultNotAllowed => "x-switchyard-fault needs the value of the secret ADMIN_TOKEN: as the key of the \
                request, or beside a client's key as 'x-switchyard-admin-token: TOKEN'."
                .into(),
            Self::InvalidFault { text, nearest } => format!(
                "x-switchyard-fault cannot do '{}'.{} Write DEPLOYMENT=FAULT, with a deployment of the routes document \
                 (GET /admin/api/health lists them) and 429, 500, hang or cut; separate several with commas.",
                quoted(text),
                nearest.as_ref().map(|part| format!(" Did you mean '{}'?", quoted(part))).unwrap_or_default()
            ),
            Self::RegistryMissing => "There is no registry of versions here. Add the binding REGISTRY to the class \
                Registry in wrangler.toml, with a migration that has new_sqlite_classes = [\"Registry\"], and deploy. \
                Without it, write the document with `npx wrangler kv key put routes --path routes.json --binding ROUTES --remote`."
                .into(),
            Self::RegistryUnavailable => "The Durable Object that has the versions could not be reached, so nothing was \
                changed. Try again; if it stays, check the binding REGISTRY in wrangler.toml."
                .into(),
            Self::IfMatchMissing => "Say on which version the change is based: send the etag of GET \
                /admin/api/routes/document as the header If-Match, or If-Match: * to replace whatever serves."
                .into(),
            Self::RoutesChanged { current } => format!(
                "Somebody has changed the routes: the current version is '{}'. Get it with GET \
                 /admin/api/routes/document, make the change there, and send its etag as If-Match.",
                quoted(current)
            ),
            Self::ChangeUnderWay => "Another change of the routes is under way. It ends within 30 s; look at GET \
                /admin/api/routes/history before you try again."
                .into(),
            Self::CanaryUnderWay { version } => format!(
                "A canary of version '{}' is under way. Wait until it ends, or end it: POST /admin/api/routes/canary \
                 with {{\"action\": \"take_back\"}} or {{\"action\": \"promote\"}}.",
                quoted(version)
            ),
            Self::NoCanary => "No canary is under way. PUT /admin/api/routes?canary=5&minutes=10 starts one; GET \
                /admin/api/audit says how the last one ended."
                .into(),
            Self::VersionNotFound { version } => format!(
                "There is no version '{}'. GET /admin/api/routes/history lists the versions that are kept.",
                quoted(version)
            ),
            Self::RoutesRefused { count } => format!(
                "The document has {count} error{}, so it was not stored; what served goes on. \"issues\" lists all.",
                if *count == 1 { "" } else { "s" }
            ),
            Self::RoutesNotWritten => "The KV namespace of the routes did not answer, or did not take the document. KV \
                takes one write a second for a key. Look at GET /admin/api/routes/history, and try again; if it stays, \
                check the binding ROUTES in wrangler.toml."
                .into(),
            Self::DeploymentNotFound { deployment, nearest } => format!(
                "The routes document has no deployment '{}'.{} GET /admin/api/health lists them.",
                quoted(deployment),
                nearest.as_ref().map(|name| format!(" Did you mean '{}'?", quoted(name))).unwrap_or_default()
            ),
            Self::SwitchNotShared => "The switch is at work in the isolate that took this call, and nowhere else: the \
                Durable Object that tells the others could not be reached. Try again; if it stays, check the binding \
                HEALTH in wrangler.toml."
                .into(),
            Self::MetricsUnavailable => "The Durable Object that has the counters could not be reached, so there are no \
                metrics now. Counters are not lost. Try again; if it stays, check the binding HEALTH in wrangler.toml."
                .into(),
            Self::RequestNotFound { id } => format!(
                "There is no record of the request '{}'. The gateway keeps the latest requests that failed, or in \
                 which an attempt failed; those of other isolates arrive within seconds. The log has more of \
                 them, and of the other requests as many as settings.log.sample allows.",
                quoted(id),
            ),
            Self::RecordsUnavailable => "The Durable Object that has the records could not be reached. Try again; if it \
                stays, check the binding HEALTH in wrangler.toml. The log has the records, too."
                .into(),
            Self::ModelNotAllowed { client, model } => format!(
                "Client '{}' may not use model '{}'. GET /v1/models lists what it may use; the \"models\" of the \
                 client in the routes document decide it.",
                quoted(client),
                quoted(model)
            ),
            Self::ModelNotFound { model, nearest } => format!(
                "Model '{}' does not exist.{} GET /v1/models lists the models that you may use.",
                quoted(model),
                nearest.as_ref().map(|name| format!(" Did you mean '{}'?", quoted(name))).unwrap_or_default()
            ),
            Self::InvalidJson(reason) | Self::InvalidForm(reason) => cut(reason, REASON_CHARS),
            Self::MissingModel => "You must provide a \"model\" parameter. GET /v1/models lists the models that \
                you may use."
                .into(),
            Self::RequestTooLarge { limit } => format!(
                "The request body is larger than the {limit} bytes that this gateway keeps, and they do not contain \
                 \"model\". Put \"model\" before the long fields, send a smaller body, or have the gateway's operator \
                 raise settings.buffer_bytes."
            ),
            Self::RequestTimeout { after_ms } => format!(
                "The request body did not arrive within {after_ms} ms, the time for the whole request. Send a smaller \
                 body, let your client wait longer, or have the gateway's operator raise \"deadline_ms\"."
            ),
            Self::TooManyBodies => "The gateway holds too many large request bodies at this moment. Try again in a \
                second."
                .into(),
            Self::UnsupportedEncoding { encoding } => format!(
                "The request body has the content-encoding '{}'. Send it without one: the gateway has to read it.",
                quoted(encoding)
            ),
            Self::Internal => "The gateway could not answer. Try again; if it stays, tell its operator the request \
                id in x-switchyard-request-id."
                .into(),
            Self::NoEligibleDeployment { model, reasons, returns_in_ms } => {
                none_eligible(model, reasons, *returns_in_ms)
            }
            Self::CapabilityMissing { model, lacks, limit } => missing(&quoted(model), lacks, limit),
            Self::UpstreamUnreachable { attempts } => {
                format!("No upstream could be reached ({}). Try again in a moment.", counted(*attempts))
            }
            Self::UpstreamTimeout { attempts } => format!(
                "No upstream answered in time ({}). Try again in a moment, or ask for a shorter answer.",
                counted(*attempts)
            ),
            Self::OutcomeUnknown { .. } => "The upstream did not say whether it did this: it may have done it. \
                 The gateway does not repeat it. Look whether it was done before you send it again."
                .to_owned(),
            Self::DeadlineExceeded { after_ms } => format!(
                "The request was not finished within its deadline of {after_ms} ms. Ask for a shorter answer or \
                 have the gateway's operator raise \"deadline_ms\"; your client's own timeout counts too."
            ),
            Self::RoutesUnavailable => "The gateway has no valid routes document to serve with. Try again in a \
                moment; the gateway's log says what is wrong with the document."
                .into(),
            Self::UnknownPath { method, path } => format!(
                "Unknown request URL: {} {}. Use an OpenAI path such as /v1/chat/completions, or an Azure OpenAI \
                 path such as /openai/deployments/MODEL/chat/completions.",
                quoted(method),
                quoted(path)
            ),
            Self::MethodNotAllowed { method, allow } => {
                format!("Method {} is not allowed here. Use {allow}.", quoted(method))
            }
            Self::WebSocketNotSupported { path } => format!(
                "This gateway does not serve WebSockets. Use POST {} over HTTP; with \"stream\": true the answer comes as \
                 server-sent events.",
                quoted(path)
            ),
            Self::InvalidObjectPath { path } => format!(
                "'{}' cannot be the path of an object. Use ids as the gateway's answers had them, such as file-abc123: up to \
                 128 letters, digits, '_', '-', '.' and ':', and at most 8 parts between slashes.",
                quoted(path)
            ),
            Self::ObjectNotFound { path } => format!(
                "'{}' not found: no model that your key opens here leads to an account that keeps such objects. GET \
                 /v1/models lists the models that you may use.",
                quoted(path)
            ),
            Self::StatefulOperation { path } => format!(
                "{} belongs to a part of the provider's API that this gateway does not route. Besides models, it routes files, \
                 uploads, batches, vector_stores, conversations, containers, fine_tuning, evals, assistants, threads, videos, \
                 and stored responses and chat completions. Call the provider directly for realtime, for the administration \
                 of an organization and for others.",
                quoted(path)
            ),
        }
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

/// Text from somebody else, shortened for a message.
fn quoted(words: &str) -> String {
    cut(words, QUOTED_CHARS)
}

/// The first `most` characters, with spaces instead of control characters.
fn cut(words: &str, most: usize) -> String {
    let mut rest = words.chars();
    let mut cut: String =
        rest.by_ref().take(most).map(|char| if char.is_control() { ' ' } else { char }).collect();
    if rest.next().is_some() {
        cut.push('…');
    }
    cut
}

fn none_eligible(model: &str, reasons: &[String], returns_in_ms: Option<Millis>) -> String {
    let advice = returns_in_ms.map_or_else(
        || {
            "Use another model, or have the gateway's operator check its requirements and deployments."
                .to_owned()
        },
        |ms| format!("Try again in {} s.", ms.seconds_rounded_up().max(1)),
    );
    format!("No deployment may serve model '{}' right now.{} {advice}", quoted(model), ruled_out(reasons))
}

fn is_about_context(lack: &Lack) -> bool {
    matches!(lack, Lack::ContextTokens { .. })
}

fn ruled_out(reasons: &[String]) -> String {
    let listed: Vec<String> = reasons.iter().take(LISTED_REASONS).map(|reason| quoted(reason)).collect();
    if listed.is_empty() { String::new() } else { format!(" Ruled out: {}.", listed.join("; ")) }
}

fn counted(attempts: u32) -> String {
    format!("{attempts} attempt{}", if attempts == 1 { "" } else { "s" })
}

#[cfg(test)]
pub(crate) mod tests;
