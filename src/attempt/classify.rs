//! From an error response of an upstream to a failure.
//!
//! There are three sources, in this order: the status; the structured fields of the body (`code`,
//! the inner code, `type`), which refine the status; the text of the message, which can only refine
//! the class within a status. So a 400 with the text "rate limit" stays a client error, and a 429
//! with the text of a content filter stays a rate limit.
//!
//! An error in a 200 answer (in a body or in an event of a stream) has no status.
//! `ErrorFields::implied_status` finds the status that its fields imply, and then the same rules
//! apply.
//!
//! Sources: the guide "Error codes" and the OpenAPI document of OpenAI; "Troubleshoot errors" of
//! Microsoft, for Azure OpenAI in Foundry; the pages of Cloudflare on AI Gateway guardrails and
//! DLP, and on 5xx errors.

use std::borrow::Cow;

use memchr::memmem;
use serde_json::Value;

use super::failure::Failure;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::retry_after;
use crate::vocabulary::scope::Scope;
use crate::vocabulary::time::{Instant, Millis};

/// An answer with a status that is not 2xx, as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct UnclassifiedResponse<'a> {
    /// HTTP status.
    pub status: u16,
    /// All headers of the upstream.
    pub headers: &'a Headers,
    /// The body, or the part of it that was read.
    pub body: &'a [u8],
    /// When it arrived.
    pub now: Instant,
}

/// Classifies an answer whose status is not 2xx. The field `response` of the failure stays empty:
/// other code decides which headers may reach a client.
pub fn classify(answer: &UnclassifiedResponse<'_>) -> Failure {
    let body: Option<Value> = serde_json::from_slice(answer.body).ok();
    let fields = match &body {
        Some(body) => ErrorFields::in_body(body),
        None => ErrorFields {
            message: String::from_utf8_lossy(answer.body).to_ascii_lowercase(),
            is_page: answer.headers.get("content-type").is_some_and(is_page),
            ..ErrorFields::default()
        },
    };
    // Cloudflare answers with 52x or 530 if it did not reach the upstream. If the upstream answered
    // itself, there is a request id.
    let unreached = matches!(answer.status, 520..=526 | 530)
        && !answer.headers.iter().any(|(name, _)| REQUEST_ID_HEADERS.contains(&name));
    let hint_ms = retry_after::retry_after(answer.headers, answer.now);
    let class = match class_of(answer.status, &fields) {
        _ if unreached => ErrorClass::Connection,
        // A 403 that ends is a limit, unless it has a reason that does not.
        ErrorClass::Auth
            if answer.status == 403 && hint_ms.is_some() && !fields.is_of_credential_or_place() =>
        {
            ErrorClass::RateLimit
        }
        class => class,
    };
    Failure { hint_ms: hint_ms.or_else(|| fields.hint_of(class)), ..fields.failure(answer.status, class) }
}

/// Classifies an error without a status: the `error` object of an event of a stream, or of a 2xx
/// body.
pub fn classify_event_error(error: &Value) -> Failure {
    let fields = ErrorFields::in_error(error);
    let status = fields.implied_status();
    let failure = fields.failure(status, class_of(status, &fields));
    Failure { status: Some(200), hint_ms: fields.hint_of(failure.class), ..failure }
}

/// Whether the value of an `error` field is an error. Many successful answers have an empty one.
pub fn is_error(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// Headers that prove that an answer came from an upstream, not from a proxy before it.
const REQUEST_ID_HEADERS: [&str; 4] =
    ["x-request-id", "apim-request-id", "x-ms-request-id", "x-ms-client-request-id"];

/// Billing: a wait never helps.
pub const QUOTA_CODES: [&str; 7] = [
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "billing_not_active",
];

/// The deployment does not exist, or does not support the operation. Azure has used the spelling
/// `OpperationNotSupported`.
const NOT_FOUND_CODES: [&str; 6] = [
    "DeploymentNotFound",
    "OperationNotSupported",
    "OpperationNotSupported",
    "model_not_found",
    "deployment_not_found",
    "data_residency_mismatch",
];

/// The error of a tool server that the client named, as the Responses API reports it. Of a failed
/// response, only the code and the message are known.
const TOOL_SERVER_CODES: [&str; 2] = ["external_connector_error", "tool_user_error"];
const TOOL_SERVER_TEXTS: [&str; 1] = ["tool list from mcp server"];

/// The state of an object that the client named does not allow the request.
const STATE_CODES: [&str; 3] = ["conflict", "Conflict", "conversation_locked"];

/// The credential is valid, and lacks the permission for this operation.
pub const PERMISSION_CODES: [&str; 2] = ["missing_scope", "insufficient_permissions"];
const PERMISSION_TEXTS: [&str; 3] =
    ["missing scopes", "insufficient permissions", "lacks the required data action"];

/// The credential itself is refused, whatever the status.
const CREDENTIAL_CODES: [&str; 6] = [
    "invalid_api_key",
    "account_deactivated",
    "access_terminated",
    "invalid_organization",
    "invalid_issuer",
    // Azure: this resource accepts no keys.
    "AuthenticationTypeDisabled",
];

/// Calls from this country or network are refused, by the provider, by Azure's firewall or by a
/// network in between.
const PLACE_CODES: [&str; 2] = ["unsupported_country_region_territory", "ip_not_authorized"];
const PLACE_TEXTS: [&str; 11] = [
    "country",
    "ip address",
    "virtual network",
    "firewall",
    "public access is disabled",
    "private endpoint",
    "network security perimeter",
    "the request is blocked",
    "<html",
    "<!doctype html",
    "error code: 10",
];

/// A tier without resources at this moment: OpenAI's flex processing, and the tiers of compatible
/// servers.
const TIER_CODES: [&str; 3] = ["resource_unavailable", "capacity_exceeded", "service_tier_capacity_exceeded"];

/// Cloudflare refuses the headers that the client itself chose, such as its `user-agent`.
const SIGNATURE_TEXTS: [&str; 1] = ["error code: 1010"];

/// Texts about what the gateway itself chose, not the client: the API version (also written
/// `api-version`), the account.
const SETTING_TEXTS: [&str; 4] = ["api version", "api-version", VERIFICATION_TEXTS[0], VERIFICATION_TEXTS[1]];

/// The account must be verified for what was asked. Another request may need no verification, so
/// the client learns of it if no other account serves.
pub const VERIFICATION_TEXTS: [&str; 2] = ["must be verified to", "organization is not verified"];

/// Whether an error says that its account must be verified for what was asked.
pub fn asks_for_verification(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    VERIFICATION_TEXTS.iter().any(|text| message.contains(text))
}

/// The prompt is too long.
const CONTEXT_CODES: [&str; 1] = ["context_length_exceeded"];

/// The decision of a content filter. The numbers are codes of AI Gateway: 2016 and 2017 are
/// guardrails, 2029 and 2030 are DLP.
const POLICY_CODES: [&str; 12] = [
    "content_filter",
    "ContentFiltered",
    "content_policy_violation",
    "ResponsibleAIPolicyViolation",
    "image_content_policy_violation",
    "moderation_blocked",
    "cyber_policy",
    "bio_policy",
    "2016",
    "2017",
    "2029",
    "2030",
];

const TIMEOUT_CODES: [&str; 4] = ["Timeout", "timeout", "timeout_error", "vector_store_timeout"];

/// Texts of the error "prompt too long", in lower case: from new and old versions of OpenAI, from
/// Azure, and from compatible servers.
const CONTEXT_TEXTS: [&str; 11] = [
    "maximum context length",
    "exceeds the context window",
    "exceed the context window",
    "maximum context limit",
    "exceed context limit",
    "longer than the model's context length",
    "exceeds the available context size",
    "input tokens exceed the configured limit",
    "exceeds the maximum number of tokens allowed",
    "maximum input length is",
    "prompt is too long",
];

/// Texts of the decision of a content filter, in lower case. None contains an apostrophe, because
/// Azure uses two different characters for it.
const POLICY_TEXTS: [&str; 6] = [
    "content management policy",
    "response was filtered",
    "safety system",
    "violating our usage policy",
    "content_policy_violation",
    "responsibleaipolicyviolation",
];

/// The object that the client named belongs to another account, or was made with another key.
const OBJECT_CODES: [&str; 2] = ["previous_response_not_found", "invalid_encrypted_content"];

/// Fields of a request that name an object. An id that one upstream rejects as malformed may be the
/// id of another upstream.
const OBJECT_PARAMS: [&str; 2] = ["previous_response_id", "response_id"];

/// Texts of "object not found" errors, in lower case (`Files [file-1] were not found`).
const OBJECT_TEXTS: [&str; 5] =
    ["with id '", "no such file", "were not found", "response not found", "no response found"];

/// Texts of a 400 with the same meaning.
const REFUSED_OBJECT_TEXTS: [&str; 2] = ["previous response with id '", "no such file"];

/// The error class for a real or implied status.
fn class_of(status: u16, fields: &ErrorFields<'_>) -> ErrorClass {
    match status {
        _ if fields.is_of_tool_server(status) => ErrorClass::BadRequest,
        402 => ErrorClass::Quota,
        403 | 429 if fields.is_any(&QUOTA_CODES) || fields.mentions(&["check your plan and billing"]) => {
            ErrorClass::Quota
        }
        // If a project lacks one model, or an account is not verified for it, its key is still
        // valid.
        403 if fields.is_any(&NOT_FOUND_CODES) || fields.mentions(&SETTING_TEXTS) => ErrorClass::NotFound,
        // Azure API Management refuses in this way what is over a quota for a time.
        403 if fields.mentions(&["quota"]) => ErrorClass::RateLimit,
        403 | 424 if fields.is_any(&POLICY_CODES) => ErrorClass::ContentPolicy,
        // 451: refused in this country.
        401 | 403 | 451 => ErrorClass::Auth,
        404 if fields.is_about_an_object() => ErrorClass::BadRequest,
        // 410: the model is retired.
        404 | 410 => ErrorClass::NotFound,
        408 => ErrorClass::Timeout,
        // 498: Groq's flex tier has no capacity.
        429 | 498 => ErrorClass::RateLimit,
        413 if fields.is_any(&["rate_limit_exceeded", "tokens"]) => ErrorClass::RateLimit,
        // The state of the object that the client named.
        409 => ErrorClass::BadRequest,
        // The container of a model has failed.
        424 => ErrorClass::Unavailable,
        400..=499 => class_of_refusal(fields),
        500..=599 if fields.is_any(&TIMEOUT_CODES) => ErrorClass::Timeout,
        // 5xx and 529; redirects, which are not followed; numbers that are not an HTTP status.
        _ => ErrorClass::Unavailable,
    }
}

/// The class of a 400 and similar statuses: a client error, unless the fields show something else.
fn class_of_refusal(fields: &ErrorFields<'_>) -> ErrorClass {
    if fields.is_any(&QUOTA_CODES) {
        // Image generation reports an exhausted budget with a 400.
        ErrorClass::Quota
    } else if fields.is_any(&NOT_FOUND_CODES) {
        ErrorClass::NotFound
    } else if fields.is_any(&CONTEXT_CODES) {
        ErrorClass::ContextWindow
    } else if fields.is_any(&POLICY_CODES) {
        ErrorClass::ContentPolicy
    } else if fields.mentions(&CONTEXT_TEXTS) {
        ErrorClass::ContextWindow
    } else if fields.mentions(&POLICY_TEXTS) {
        ErrorClass::ContentPolicy
    } else if fields.mentions(&SETTING_TEXTS) {
        // Another deployment may have another version or account.
        ErrorClass::NotFound
    } else if fields.mentions(&["model not supported"]) {
        // In the v1 API of Azure: the deployment does not support Responses.
        ErrorClass::NotFound
    } else {
        ErrorClass::BadRequest
    }
}

/// The fields of an error that classification uses.
#[derive(Debug, Default)]
struct ErrorFields<'a> {
    /// `code`, `status` or `statusCode`: a name or a number.
    code: Option<Cow<'a, str>>,
    /// The `code` of `innererror`, which is more precise.
    inner: Option<Cow<'a, str>>,
    /// `type`.
    kind: Option<Cow<'a, str>>,
    /// `param`: the field of the request that the error is about.
    param: Option<&'a str>,
    /// The message, in lower case.
    message: String,
    /// It is a page, not an error of the API: a network in between has answered.
    is_page: bool,
}

impl<'a> ErrorFields<'a> {
    /// The fields of a whole body. They are in its `error` (in AI Gateway, the first item of its
    /// `error` or `errors` array). If there is no such wrapper, as in some answers of Azure, they
    /// are in the body itself.
    fn in_body(body: &'a Value) -> Self {
        let error = [body.get("error"), body.pointer("/errors/0")]
            .into_iter()
            .flatten()
            .find(|error| is_error(error));
        Self::in_error(error.unwrap_or(body))
    }

    fn in_error(error: &'a Value) -> Self {
        let error = error.get(0).unwrap_or(error);
        let inner = error.get("innererror").or_else(|| error.get("inner_error"));
        let message = error.get("message").unwrap_or(error).as_str().unwrap_or_default();
        Self {
            code: ["code", "statusCode", "status"].into_iter().find_map(|key| name_of(error.get(key)?)),
            inner: inner.and_then(|inner| name_of(inner.get("code")?)),
            kind: error.get("type").and_then(name_of),
            param: error.get("param").and_then(Value::as_str),
            message: message.to_ascii_lowercase(),
            // The page of Cloudflare for clients that accept JSON.
            is_page: error.get("cloudflare_error").is_some(),
        }
    }

    /// The failure for this class. `status`: the real or the implied one.
    fn failure(&self, status: u16, class: ErrorClass) -> Failure {
        let is_permanent = class == ErrorClass::RateLimit && self.is_over_whole_limit(status);
        Failure {
            status: Some(status),
            scope: if is_permanent { Scope::Request } else { self.scope_of(status, class) },
            is_permanent,
            is_unknown_object: self.is_of_unknown_object(status, class),
            ..Failure::silent(class, self.reason(class))
        }
    }

    /// What an error of this class is about.
    fn scope_of(&self, status: u16, class: ErrorClass) -> Scope {
        match class {
            ErrorClass::Auth if self.is_any(&CREDENTIAL_CODES) => Scope::Account,
            ErrorClass::Auth if self.mentions(&SIGNATURE_TEXTS) => Scope::Request,
            ErrorClass::Auth if status == 451 || self.is_of_place() => Scope::Place,
            ErrorClass::Auth
                if status == 403 || self.is_any(&PERMISSION_CODES) || self.mentions(&PERMISSION_TEXTS) =>
            {
                Scope::Operation
            }
            ErrorClass::NotFound if self.mentions(&SETTING_TEXTS) => Scope::Request,
            ErrorClass::RateLimit if status == 498 || self.is_any(&TIER_CODES) => Scope::Request,
            class => Scope::usual(class),
        }
    }

    fn is_of_place(&self) -> bool {
        self.is_page || self.is_any(&PLACE_CODES) || self.mentions(&PLACE_TEXTS)
    }

    /// Whether a refusal has a reason that no wait cures.
    fn is_of_credential_or_place(&self) -> bool {
        self.is_any(&CREDENTIAL_CODES) || self.is_any(&PERMISSION_CODES) || self.is_any(&PLACE_CODES)
    }

    /// Whether a tool server failed that the client named.
    fn is_of_tool_server(&self, status: u16) -> bool {
        // The failed dependency of a field of the request is what that field names.
        let is_named = |param: &str| !param.is_empty() && param != "model";
        self.is_any(&TOOL_SERVER_CODES)
            || self.names().any(|name| name.starts_with("mcp_"))
            || self.mentions(&TOOL_SERVER_TEXTS)
            || (status == 424 && (self.param.is_some_and(is_named) || self.mentions(&["mcp server"])))
    }

    /// Whether the request needs more than the whole limit, so that no wait helps: "Request too
    /// large for … Limit 30000, Requested 61337".
    fn is_over_whole_limit(&self, status: u16) -> bool {
        let number_after = |name: &str| {
            self.message.split(name).skip(1).find_map(|rest| {
                let digits =
                    rest.trim_start_matches([':', ' ']).split(|c: char| !c.is_ascii_digit() && c != ',');
                digits.take(1).find_map(|digits| digits.replace(',', "").parse::<u64>().ok())
            })
        };
        let exceeds = || Some(number_after("requested")? > number_after("limit")?);
        status == 413 || self.mentions(&["request too large"]) || exceeds().unwrap_or(false)
    }

    /// The names of the error, the most reliable first.
    fn names(&self) -> impl Iterator<Item = &str> {
        [&self.code, &self.inner, &self.kind].into_iter().flatten().map(|name| &**name)
    }

    fn is_any(&self, codes: &[&str]) -> bool {
        self.names().any(|name| codes.contains(&name))
    }

    fn mentions(&self, texts: &[&str]) -> bool {
        texts.iter().any(|text| memmem::find(self.message.as_bytes(), text.as_bytes()).is_some())
    }

    /// Whether a 404 is about an object that the client named (an earlier response, a file, an
    /// item), and not about the deployment or its route.
    fn is_about_an_object(&self) -> bool {
        if self.is_any(&NOT_FOUND_CODES) {
            return false;
        }
        self.code.as_deref().is_some_and(|code| code.ends_with("_not_found") && code != "resource_not_found")
            || self.param.is_some_and(|param| !param.is_empty() && param != "model")
            || self.mentions(&OBJECT_TEXTS)
    }

    /// Whether the error only says that this account does not have the named object.
    fn is_of_unknown_object(&self, status: u16, class: ErrorClass) -> bool {
        class == ErrorClass::BadRequest
            && match status {
                404 => true,
                400 => {
                    self.is_any(&OBJECT_CODES)
                        || self.param.is_some_and(|param| OBJECT_PARAMS.contains(&param))
                        || self.mentions(&REFUSED_OBJECT_TEXTS)
                        || self.is_of_foreign_id()
                        || (self.mentions(&["encrypted content"])
                            && self.mentions(&["could not be verified"]))
                }
                _ => false,
            }
    }

    /// Whether an id does not have the form that this account uses (`file-…`, on Azure
    /// `assistant-…`), so that another account may have created it. Items of an input have the same
    /// form everywhere.
    fn is_of_foreign_id(&self) -> bool {
        self.mentions(&["expected an id that begin"])
            && !self.param.is_some_and(|param| param.starts_with("input["))
    }

    /// The status that an error without a status implies. An unknown error counts as an error of
    /// the upstream, because the upstream had accepted the request.
    fn implied_status(&self) -> u16 {
        self.names().find_map(status_of_name).unwrap_or(500)
    }

    /// The hint in the text, for classes where a wait helps.
    fn hint_of(&self, class: ErrorClass) -> Option<Millis> {
        if matches!(class, ErrorClass::RateLimit | ErrorClass::Unavailable) {
            retry_after::in_text(&self.message)
        } else {
            None
        }
    }

    /// A short name for the logs: the first name that is a single token, or else the class.
    fn reason(&self, class: ErrorClass) -> String {
        let is_token = |name: &&str| {
            (1..=64).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        };
        self.names().find(is_token).unwrap_or(class.name()).to_owned()
    }
}

fn is_page(content_type: &str) -> bool {
    content_type.as_bytes().get(..9).is_some_and(|start| start.eq_ignore_ascii_case(b"text/html"))
}

/// A string or a number as a name; a code may be either.
fn name_of(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) if !text.is_empty() => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

/// The status that a `code` or `type` implies.
fn status_of_name(name: &str) -> Option<u16> {
    if let Ok(status @ 400..=599) = name.parse() {
        return Some(status);
    }
    let is_any = |codes: &[&str]| codes.contains(&name);
    Some(match name {
        "rate_limit_exceeded"
        | "rate_limit_error"
        | "rate_limit_reached"
        | "RateLimitReached"
        | "too_many_requests"
        | "slow_down"
        | "requests"
        | "tokens" => 429,
        "internal_error"
        | "InternalServerError"
        | "api_error"
        | "service_unavailable_error"
        | "ServiceUnavailable"
        | "server_is_overloaded"
        | "overloaded_error"
        | "engine_overloaded" => 500,
        "authentication_error" | "PermissionDenied" | "permission_error" => 401,
        "invalid_request_error" | "BadRequest" | "empty_image_file" | "failed_to_download_image" => 400,
        _ if name.ends_with("server_error") => 500,
        _ if is_any(&TOOL_SERVER_CODES) || name.starts_with("mcp_") => 424,
        _ if is_any(&PERMISSION_CODES) || is_any(&CREDENTIAL_CODES) => 401,
        _ if is_any(&PLACE_CODES) => 403,
        _ if is_any(&STATE_CODES) => 409,
        _ if is_any(&TIER_CODES) => 429,
        _ if is_any(&QUOTA_CODES) => 429,
        _ if is_any(&TIMEOUT_CODES) => 408,
        _ if is_any(&NOT_FOUND_CODES) || is_any(&CONTEXT_CODES) || is_any(&POLICY_CODES) => 400,
        _ if name.ends_with("_not_found") => 404,
        _ if ["invalid_", "unsupported_", "image_", "string_"]
            .iter()
            .any(|start| name.starts_with(start)) =>
        {
            400
        }
        _ => return None,
    })
}
