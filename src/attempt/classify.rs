//! From an upstream's answer to a failure.
//!
//! Three sources, in this order: the status; then the structured fields of the body (`code`, the inner code, `type`), which
//! refine the status; then the text of the message, which only ever speaks within a status. So a 400 whose text echoes "rate
//! limit" stays the caller's fault, and a 429 with a content filter's text stays a rate limit.
//!
//! An error behind a 200, in a body or in a stream's event, has no status of its own. `ErrorFields::implied_status` finds the one
//! that its fields stand for, and then the same rules apply.
//!
//! Sources: OpenAI's guide "Error codes" and its OpenAPI document; Microsoft's "Troubleshoot errors" for Azure OpenAI in
//! Foundry; Cloudflare's pages on AI Gateway guardrails and DLP, and on 5xx errors.

use std::borrow::Cow;

use memchr::memmem;
use serde_json::Value;

use super::failure::Failure;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::retry_after;
use crate::vocabulary::time::{Instant, Millis};

/// An answer that is not a success, as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct UnclassifiedResponse<'a> {
    /// HTTP status.
    pub status: u16,
    /// Every header of the upstream.
    pub headers: &'a Headers,
    /// The body, or as much of it as was read.
    pub body: &'a [u8],
    /// When it arrived.
    pub now: Instant,
}

/// Classifies an answer whose status is not 2xx. `response` of the failure is left empty: which headers may reach a client
/// is not decided here.
pub fn classify(answer: &UnclassifiedResponse<'_>) -> Failure {
    let body: Option<Value> = serde_json::from_slice(answer.body).ok();
    let fields = match &body {
        Some(body) => ErrorFields::in_body(body),
        None => ErrorFields {
            message: String::from_utf8_lossy(answer.body).to_lowercase(),
            ..ErrorFields::default()
        },
    };
    // The front door answers 52x and 530 where it never reached the upstream; an upstream that answered left its request id.
    let unreached = matches!(answer.status, 520..=526 | 530)
        && !answer.headers.iter().any(|(name, _)| REQUEST_ID_HEADERS.contains(&name));
    let class = if unreached { ErrorClass::Connection } else { class_of(answer.status, &fields) };
    Failure {
        class,
        status: Some(answer.status),
        is_unknown_object: fields.is_of_unknown_object(answer.status, class),
        hint_ms: retry_after::retry_after(answer.headers, answer.now).or_else(|| fields.hint_of(class)),
        reason: fields.reason(class),
        response: None,
    }
}

/// Classifies an error that came without a status: the `error` object of a stream's event or of a 2xx body.
pub fn classify_event_error(error: &Value) -> Failure {
    let fields = ErrorFields::in_error(error);
    let status = fields.implied_status();
    let class = class_of(status, &fields);
    Failure {
        class,
        status: Some(200),
        is_unknown_object: fields.is_of_unknown_object(status, class),
        hint_ms: fields.hint_of(class),
        reason: fields.reason(class),
        response: None,
    }
}

/// Whether the value of an `error` field is one. Many a success carries an empty one.
pub fn is_error(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// Headers by which an answer shows that it came from an upstream and not from a proxy before it.
const REQUEST_ID_HEADERS: [&str; 4] =
    ["x-request-id", "apim-request-id", "x-ms-request-id", "x-ms-client-request-id"];

/// Billing: waiting never helps.
const QUOTA_CODES: [&str; 7] = [
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "billing_not_active",
];

/// The deployment is not there, or cannot do this. `OpperationNotSupported` is how Azure has spelled it.
const NOT_FOUND_CODES: [&str; 6] = [
    "DeploymentNotFound",
    "OperationNotSupported",
    "OpperationNotSupported",
    "model_not_found",
    "deployment_not_found",
    "data_residency_mismatch",
];

/// The prompt is too long.
const CONTEXT_CODES: [&str; 1] = ["context_length_exceeded"];

/// A filter's decision. The numbers are AI Gateway's: 2016 and 2017 are guardrails, 2029 and 2030 are DLP.
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

/// Wordings of a prompt that is too long, in lower case: newer and older OpenAI, Azure, and servers compatible with them.
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

/// Wordings of a filter's decision, in lower case. None has an apostrophe: Azure writes it in two ways.
const POLICY_TEXTS: [&str; 6] = [
    "content management policy",
    "response was filtered",
    "safety system",
    "violating our usage policy",
    "content_policy_violation",
    "responsibleaipolicyviolation",
];

/// What the caller named lives in another account, or was made with another key.
const OBJECT_CODES: [&str; 2] = ["previous_response_not_found", "invalid_encrypted_content"];

/// Fields of a request that name an object. An id that an upstream takes for malformed is one of another upstream's.
const OBJECT_PARAMS: [&str; 2] = ["previous_response_id", "response_id"];

/// Wordings of an object that is not there, in lower case. (`Files [file-1] were not found`.)
const OBJECT_TEXTS: [&str; 5] =
    ["with id '", "no such file", "were not found", "response not found", "no response found"];

/// Wordings by which a 400 says the same.
const REFUSED_OBJECT_TEXTS: [&str; 2] = ["previous response with id '", "no such file"];

/// The class of an error under the status that it has or stands for.
fn class_of(status: u16, fields: &ErrorFields<'_>) -> ErrorClass {
    match status {
        402 => ErrorClass::Quota,
        403 if fields.is_any(&QUOTA_CODES) => ErrorClass::Quota,
        // A project that lacks one model is no reason to distrust its key.
        403 if fields.is_any(&NOT_FOUND_CODES) => ErrorClass::NotFound,
        // Blocked regions and network rules refuse whoever comes with this credential from here.
        401 | 403 => ErrorClass::Auth,
        404 if fields.is_about_an_object() => ErrorClass::BadRequest,
        // 410: a model that has been retired.
        404 | 410 => ErrorClass::NotFound,
        408 => ErrorClass::Timeout,
        429 if fields.is_any(&QUOTA_CODES) || fields.mentions(&["check your plan and billing"]) => {
            ErrorClass::Quota
        }
        429 => ErrorClass::RateLimit,
        424 if fields.is_any(&POLICY_CODES) => ErrorClass::ContentPolicy,
        409 | 424 => ErrorClass::Unavailable,
        400..=499 => class_of_refusal(fields),
        500..=599 if fields.is_any(&TIMEOUT_CODES) => ErrorClass::Timeout,
        // 5xx and 529; redirects, which are not followed; and what is no status at all.
        _ => ErrorClass::Unavailable,
    }
}

/// The class of a 400 and its like: the caller's fault unless something better is known.
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
    } else if fields.mentions(&["model not supported"]) {
        // A deployment that cannot do Responses, in the v1 API of Azure.
        ErrorClass::NotFound
    } else {
        ErrorClass::BadRequest
    }
}

/// What an error says of itself.
#[derive(Debug, Default)]
struct ErrorFields<'a> {
    /// `code`, `status` or `statusCode`: a name, or a number.
    code: Option<Cow<'a, str>>,
    /// The code of `innererror`, which is more precise.
    inner: Option<Cow<'a, str>>,
    /// `type`.
    kind: Option<Cow<'a, str>>,
    /// `param`: which field of the request it is about.
    param: Option<&'a str>,
    /// The message in lower case.
    message: String,
}

impl<'a> ErrorFields<'a> {
    /// Of a whole body: the `error` in it (AI Gateway: the first of its `error` or `errors` array), or the body itself where
    /// that wrapper is missing, as it is in some of Azure's.
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
            message: message.to_lowercase(),
        }
    }

    /// Its names for itself, the best known first.
    fn names(&self) -> impl Iterator<Item = &str> {
        [&self.code, &self.inner, &self.kind].into_iter().flatten().map(|name| &**name)
    }

    fn is_any(&self, codes: &[&str]) -> bool {
        self.names().any(|name| codes.contains(&name))
    }

    fn mentions(&self, texts: &[&str]) -> bool {
        texts.iter().any(|text| memmem::find(self.message.as_bytes(), text.as_bytes()).is_some())
    }

    /// Whether a 404 is about something that the caller named (an earlier response, a file, an item), not about the
    /// deployment or its route.
    fn is_about_an_object(&self) -> bool {
        if self.is_any(&NOT_FOUND_CODES) {
            return false;
        }
        self.code.as_deref().is_some_and(|code| code.ends_with("_not_found") && code != "resource_not_found")
            || self.param.is_some_and(|param| !param.is_empty() && param != "model")
            || self.mentions(&OBJECT_TEXTS)
    }

    /// Whether the caller's fault is no more than to have named something that this account does not have: an answer for the
    /// wrong address.
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

    /// Whether an id is not of the form that this account gives (`file-…`, on Azure `assistant-…`): another one may have given it. The
    /// items of an input have the same form everywhere.
    fn is_of_foreign_id(&self) -> bool {
        self.mentions(&["expected an id that begin"])
            && !self.param.is_some_and(|param| param.starts_with("input["))
    }

    /// The status that an error stands for where none came with it. One that says nothing known is the upstream's own: it
    /// had accepted the request.
    fn implied_status(&self) -> u16 {
        self.names().find_map(status_of_name).unwrap_or(500)
    }

    /// The wait that the text asks for, where waiting helps.
    fn hint_of(&self, class: ErrorClass) -> Option<Millis> {
        if matches!(class, ErrorClass::RateLimit | ErrorClass::Unavailable) {
            retry_after::in_text(&self.message)
        } else {
            None
        }
    }

    /// A word for the logs: the first of its names that is one word, else the class.
    fn reason(&self, class: ErrorClass) -> String {
        let is_token = |name: &&str| {
            (1..=64).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        };
        self.names().find(is_token).unwrap_or(class.name()).to_owned()
    }
}

/// A string or a whole number as a word; a code may be either.
fn name_of(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) if !text.is_empty() => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

/// The status that a `code` or `type` stands for.
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
        "invalid_api_key" | "authentication_error" | "PermissionDenied" | "permission_error" => 401,
        "invalid_request_error" | "BadRequest" | "empty_image_file" | "failed_to_download_image" => 400,
        _ if name.ends_with("server_error") => 500,
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
