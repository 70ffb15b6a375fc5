//! Error responses with a status.

use super::*;
use switchyard::vocabulary::scope::Scope::{Account, Deployment, Operation, Place, Request};

use crate::times::ms;

#[test]
fn openais_kinds_of_bad_request_are_distinguished() {
    check(&[
        // An error of the caller is classified as such, with any code.
        (400, invalid(None, "Missing body"), BadRequest),
        (400, invalid("invalid_value", "Invalid value: 'foo'."), BadRequest),
        (400, invalid("unsupported_parameter", "'max_tokens' is not supported with this model."), BadRequest),
        (400, invalid("unsupported_value", "'temperature' does not support 0."), BadRequest),
        (400, invalid("invalid_encrypted_content", "The content could not be verified."), BadRequest),
        (400, invalid("previous_response_not_found", "Previous response not found."), BadRequest),
        // A field that is too long does not mean that the context is too long.
        (400, invalid("string_above_max_length", "Invalid 'user': string too long."), BadRequest),
        // The prompt may be refused, or only malformed: the text decides.
        (
            400,
            invalid(
                "invalid_prompt",
                "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
            ),
            ContentPolicy,
        ),
        (400, invalid("invalid_prompt", "Invalid prompt: it must not be empty."), BadRequest),
        (400, invalid("content_policy_violation", "Your request was rejected."), ContentPolicy),
        // A filter with its own code.
        (400, invalid("cyber_policy", "Flagged."), ContentPolicy),
        // The code that image generation uses for its filter.
        (400, openai("image_generation_user_error", "moderation_blocked", "Rejected."), ContentPolicy),
        // Image generation reports an exhausted budget with a 400.
        (400, invalid("billing_hard_limit_reached", "Billing hard limit has been reached"), Quota),
        (
            400,
            invalid("context_length_exceeded", "This model's maximum context length is 8192 tokens."),
            ContextWindow,
        ),
    ]);
}

#[test]
fn openais_refusals_of_a_credential_a_model_or_a_request_are_distinguished() {
    check(&[
        // Credentials, membership and addresses.
        (401, invalid("invalid_api_key", "Incorrect API key provided: sk-x."), Auth),
        (401, invalid(None, "You must be a member of an organization."), Auth),
        (401, invalid("ip_not_authorized", "Your IP is not authorized."), Auth),
        (
            403,
            openai("request_forbidden", "unsupported_country_region_territory", "Country not supported"),
            Auth,
        ),
        // The project has no access to this model. Its key works for other models.
        (403, invalid("model_not_found", "Project does not have access to model `gpt-x`"), NotFound),
        (404, invalid("model_not_found", "The model `gpt-x` does not exist."), NotFound),
        // The upstream does not have this route.
        (404, invalid(None, "Invalid URL (POST /v1/foo)"), NotFound),
        (408, openai("timeout", Value::Null, "Request timed out."), Timeout),
        (409, openai("conflict", Value::Null, "The resource was updated by another request."), BadRequest),
        (413, invalid(None, "Too large"), BadRequest),
        (415, invalid("unsupported_content_type", "Use JSON"), BadRequest),
        (422, invalid(None, "Unprocessable"), BadRequest),
    ]);
}

#[test]
fn openais_limits_and_outages_are_distinguished() {
    check(&[
        // A 429 that ends after some time.
        (429, openai("requests", "rate_limit_exceeded", "Rate limit reached"), RateLimit),
        (429, openai("tokens", "rate_limit_exceeded", "Rate limit reached"), RateLimit),
        (429, openai("requests", "slow_down", "Slow down"), RateLimit),
        // A 429 about billing.
        (429, openai("insufficient_quota", "insufficient_quota", "You exceeded your current quota."), Quota),
        (429, openai("insufficient_quota", Value::Null, "No credit."), Quota), // the type alone
        (429, openai("billing", "credit_balance_exhausted", "Exhausted"), Quota),
        (429, openai("billing", "organization_spend_limit_exceeded", "Spent"), Quota),
        (429, openai("billing", "project_spend_limit_exceeded", "Spent"), Quota),
        (429, openai("billing", "organization_usage_limit_exceeded", "Used"), Quota),
        // Compatible servers copy the text but not the code.
        (
            429,
            json!({ "error": "You exceeded your current quota, please check your plan and billing details." }),
            Quota,
        ),
        (500, openai("server_error", Value::Null, "The server had an error."), Unavailable),
        (502, json!({}), Unavailable),
        (503, openai("service_unavailable_error", "server_is_overloaded", "Overloaded"), Unavailable),
        // The timeout of a gateway does not show its cause, unless the body names it.
        (504, json!({}), Unavailable),
        (504, azure("Timeout", "The operation was timeout."), Timeout),
        (529, json!({ "error": { "type": "overloaded_error" } }), Unavailable),
    ]);
}

#[test]
fn azures_kinds_of_bad_request_are_distinguished() {
    let filtered = "The response was filtered due to the prompt triggering Azure OpenAI\u{2019}s content management policy.";
    let verdicts = json!({ "jailbreak": { "filtered": true, "detected": true } });
    check(&[
        // The prompt was filtered, and the inner code says the same.
        (
            400,
            json!({ "error": { "message": filtered, "type": null, "param": "prompt", "code": "content_filter", "status": 400,
                "innererror": { "code": "ResponsibleAIPolicyViolation", "content_filter_result": verdicts } } }),
            ContentPolicy,
        ),
        // The other spelling of the inner error, below a code that says nothing.
        (
            400,
            json!({ "error": { "code": "BadRequest", "inner_error": { "code": "ResponsibleAIPolicyViolation" } } }),
            ContentPolicy,
        ),
        (
            400,
            json!({ "error": { "code": "content_filter", "innererror": { "code": "ContentFiltered" } } }),
            ContentPolicy,
        ),
        // Without the wrapper. The Responses API has answered in this form.
        (
            400,
            json!({ "message": filtered, "type": "invalid_request_error", "param": "prompt", "code": "content_filter",
                "content_filters": [{ "blocked": true, "source_type": "prompt" }] }),
            ContentPolicy,
        ),
        // Without a code, and with the typographic apostrophe.
        (400, json!({ "error": { "message": filtered } }), ContentPolicy),
        // The deployment does not support this operation: both spellings of the code, and the text
        // of the v1 API.
        (
            400,
            azure(
                "OperationNotSupported",
                "The chatCompletion operation does not work with the specified model.",
            ),
            NotFound,
        ),
        (
            400,
            azure("OpperationNotSupported", "The operation does not work with the specified model."),
            NotFound,
        ),
        (400, azure("BadRequest", "Model not supported"), NotFound),
        // The model behind Azure answers in the error format of OpenAI.
        (400, invalid("context_length_exceeded", "Too long"), ContextWindow),
        (400, invalid("unsupported_parameter", "No"), BadRequest),
        (400, azure("BadRequest", "Unrecognized request argument supplied: stream_options"), BadRequest),
    ]);
}

#[test]
fn azures_refusals_limits_and_outages_are_distinguished() {
    check(&[
        (401, azure("401", "Access denied due to invalid subscription key or wrong API endpoint."), Auth),
        (401, azure("PermissionDenied", "Principal does not have access to API/Operation."), Auth),
        // Without the wrapper, and with `statusCode` instead of `code`.
        (
            401,
            json!({ "statusCode": 401, "message": "Unauthorized. Access token is missing, invalid or has expired." }),
            Auth,
        ),
        // Network rules, disabled public access, a blocked resource.
        (403, azure("403", "Access denied due to Virtual Network/Firewall rules."), Auth),
        (403, azure("Forbidden", "Public access is disabled."), Auth),
        (403, json!({ "message": "Your resource has been temporarily blocked" }), Auth),
        (404, azure("DeploymentNotFound", "The API deployment for this resource does not exist."), NotFound),
        (404, invalid("DeploymentNotFound", "The API deployment does not exist."), NotFound),
        // A wrong path, host or api-version.
        (404, azure("404", "Resource not found"), NotFound),
        // A retired model.
        (410, azure("ModelDeprecated", "The model has been retired."), NotFound),
        (408, azure("Timeout", "The operation was timeout."), Timeout),
        // A model container that failed.
        (424, azure("424", "Model container failed"), Unavailable),
        (
            429,
            azure("429", "Requests have exceeded token rate limit of your current OpenAI S0 pricing tier."),
            RateLimit,
        ),
        (429, azure("RateLimitReached", "Rate limit reached"), RateLimit),
        (429, azure("too_many_requests", "Too many requests"), RateLimit),
        // The service has no capacity. The quota is not used up.
        (
            429,
            json!({ "error": { "message": "The service is temporarily unable to process your request." } }),
            RateLimit,
        ),
        (
            429,
            json!({ "error": { "message": "The system is currently experiencing high demand and cannot process your request." } }),
            RateLimit,
        ),
        (500, openai("server_error", Value::Null, "The server had an error"), Unavailable),
        (
            503,
            azure(
                "503",
                "The service is temporarily unable to process your request. Please try again later.",
            ),
            Unavailable,
        ),
    ]);
}

#[test]
fn ai_gateways_own_errors_are_distinguished() {
    let gateway = |code: i32| json!({ "success": false, "result": [], "messages": [], "error": [{ "code": code, "message": "No" }] });
    check(&[
        (401, gateway(2009), Auth),
        // Guardrails, for the prompt and for the answer.
        (424, gateway(2016), ContentPolicy),
        (424, gateway(2017), ContentPolicy),
        // DLP, for the prompt and for the answer.
        (400, gateway(2029), ContentPolicy),
        (400, gateway(2030), ContentPolicy),
        // AI Gateway itself requires a payment.
        (402, gateway(2021), Quota),
        (403, json!({ "success": false, "error": { "message": "Access denied by policy" } }), Auth),
        // The rate and spend limits of AI Gateway.
        (429, gateway(2003), RateLimit),
        (503, gateway(7013), Unavailable),
        // The error format of Cloudflare's REST API.
        (
            401,
            json!({ "success": false, "errors": [{ "code": 10000, "message": "Authentication error" }] }),
            Auth,
        ),
    ]);
}

#[test]
fn a_prompt_that_is_too_long_is_known_by_its_many_wordings() {
    let wordings = [
        "This model's maximum context length is 8192 tokens, however you requested 9000 tokens.", // OpenAI, embeddings too
        "Your input exceeds the context window of this model. Please adjust your input and try again.", // OpenAI, newer
        "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300000 tokens.",
        "the request exceeds the available context size. try increasing the context size", // llama.cpp
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
        "Prompt is too long: 210000 tokens > 200000 maximum",
    ];
    for message in wordings {
        // Without a code, and with codes that say no more than the status.
        check(&[
            (400, json!({ "error": { "message": message, "code": null } }), ContextWindow),
            (400, invalid("BadRequest", message), ContextWindow),
            (
                400,
                json!({ "object": "error", "message": message, "type": "BadRequestError", "code": 400 }),
                ContextWindow,
            ),
            (413, json!({ "message": message }), ContextWindow),
            (422, json!({ "error": message }), ContextWindow),
        ]);
    }
}

#[test]
fn text_speaks_only_within_its_status() {
    check(&[
        // A prompt that is quoted in the error does not choose the class.
        (400, invalid(None, "Invalid input: 'rate limit 429 too many requests'"), BadRequest),
        (400, invalid(None, "Invalid input: 'DeploymentNotFound'"), BadRequest),
        (
            429,
            openai(
                "tokens",
                "rate_limit_exceeded",
                "The response was filtered due to our content management policy",
            ),
            RateLimit,
        ),
        (429, openai("tokens", "rate_limit_exceeded", "maximum context length"), RateLimit),
        (500, azure("500", "DeploymentNotFound: Internal server error"), Unavailable),
        (500, openai("server_error", Value::Null, "maximum context length"), Unavailable),
        // "The model produced invalid content" is a fault of the model, not a decision of a filter.
        (500, openai("model_error", Value::Null, "The model produced invalid content."), Unavailable),
        (401, invalid(None, "check your plan and billing, rate limit"), Auth),
        // `max_tokens` cut the completion. The context window was not full.
        (
            400,
            openai(
                "invalid_request_error",
                Value::Null,
                "Could not finish: max_tokens or model output limit was reached.",
            ),
            BadRequest,
        ),
    ]);
}

#[test]
fn a_404_for_what_the_caller_named_is_the_callers() {
    check(&[
        (404, invalid("previous_response_not_found", "Not found"), BadRequest),
        (404, invalid(None, "Item with id 'rs_1' not found."), BadRequest),
        (404, invalid(None, "No such File object: file-1"), BadRequest),
        (404, json!({ "error": { "message": "Not found", "param": "file_id", "code": null } }), BadRequest),
        // The model is not an object of the caller.
        (404, json!({ "error": { "message": "Not found", "param": "model", "code": null } }), NotFound),
        (
            404,
            json!({ "error": { "message": "Not found", "param": "model_id", "code": "model_not_found" } }),
            NotFound,
        ),
        (404, azure("resource_not_found", "Resource not found"), NotFound),
    ]);
}

#[test]
fn what_another_account_may_have_is_distinguished_from_what_nobody_could_do() {
    let of = |param: &str, code: Option<&str>, message: &str| {
        json!({ "error": {
            "message": message, "type": "invalid_request_error", "param": param, "code": code,
        } })
    };
    for (status, body, is_unknown_object) in [
        // Requests that continue a response, and requests for a response. OpenAI and Azure use the
        // same texts.
        (
            400,
            of(
                "previous_response_id",
                Some("previous_response_not_found"),
                "Previous response with id 'resp_1' not found.",
            ),
            true,
        ),
        (400, invalid(None, "Previous response with id 'resp_1' not found."), true),
        (404, invalid(None, "Response with id 'resp_1' not found."), true),
        (
            404,
            invalid(None, "Item with id 'rs_1' not found. Items are not persisted when `store` is false."),
            true,
        ),
        (404, invalid(None, "Conversation with id 'conv_1' not found."), true),
        (404, invalid(None, "No such File object: file-1"), true),
        // An id in the format of another upstream.
        (
            400,
            of("previous_response_id", Some("invalid_value"), "Invalid 'previous_response_id': 'x'."),
            true,
        ),
        (
            400,
            of(
                "batch_id",
                Some("invalid_value"),
                "Invalid 'batch_id': 'b'. Expected an ID that begins with 'batch'.",
            ),
            true,
        ),
        (400, azure("invalidPayload", "Invalid file_id, expected an ID that begin with assistants"), true),
        // Files and stores that a request names.
        (404, of("input_file_id", None, "Input file not found."), true),
        (404, invalid(None, "Files [file-1] were not found"), true),
        (404, invalid(None, "No vector store found with id 'vs_1'."), true),
        (404, of("tools", None, "Vector store with id ['vs_1'] not found."), true),
        (400, invalid(None, "No such File object: file-1"), true),
        // Reasoning and compactions are encrypted with the key of an organization.
        (
            400,
            invalid("invalid_encrypted_content", "The encrypted content gAAA… could not be verified."),
            true,
        ),
        (400, invalid(None, "The encrypted content for item rs_1 could not be verified. Reason: …"), true),
        // These errors are the same at every account.
        (400, invalid(None, "Cannot cancel a synchronous response."), false),
        (400, of("temperature", Some("invalid_value"), "Invalid 'temperature'."), false),
        (422, of("response_id", None, "Unprocessable"), false),
        (400, of("input[3].id", None, "Invalid 'input[3].id'. Expected an ID that begins with 'fc'."), false),
    ] {
        let failure = answer(status, &[], body.to_string().as_bytes());
        assert_eq!(
            (failure.class, failure.is_unknown_object),
            (BadRequest, is_unknown_object),
            "{status} {body}"
        );
    }
    // The deployment itself does not exist: this is a failure of the deployment.
    for (status, body) in [
        (404, invalid("model_not_found", "The model `gpt-x` does not exist.")),
        (404, azure("404", "Resource not found")),
    ] {
        let failure = answer(status, &[], body.to_string().as_bytes());
        assert_eq!((failure.class, failure.is_unknown_object), (NotFound, false), "{status} {body}");
    }
    // The same error after a success, as an event of a stream.
    let event = json!({ "code": "previous_response_not_found", "message": "Previous response with id 'resp_1' not found." });
    let failure = classify_event_error(&event);
    assert_eq!((failure.class, failure.is_unknown_object), (BadRequest, true));
}

#[test]
fn a_status_without_json_is_classified_alone() {
    let rows = [
        (301, "<html>Moved</html>", Unavailable), // redirects are not followed
        (405, "", BadRequest),
        (404, "<html>", NotFound),
        (429, "", RateLimit),
        (500, "Web server is returning an unknown error", Unavailable),
        (503, "\u{0}\u{1}", Unavailable),
        (0, "", Unavailable), // no status of HTTP's
        (999, "", Unavailable),
    ];
    for (status, body, class) in rows {
        let failure = answer(status, &[], body.as_bytes());
        assert_eq!((failure.class, &*failure.reason), (class, class.name()), "{status}");
    }
}

#[test]
fn a_52x_is_a_lost_connection_unless_the_upstream_left_its_request_id() {
    for status in [520, 521, 522, 523, 524, 525, 526, 530] {
        assert_eq!(answer(status, &[("cf-ray", "1")], b"error code: 1016").class, Connection);
        for header in ["x-request-id", "apim-request-id", "x-ms-request-id"] {
            assert_eq!(answer(status, &[(header, "1")], b"").class, Unavailable);
        }
    }
    for status in [519, 527, 529, 531] {
        assert_eq!(answer(status, &[], b"").class, Unavailable);
    }
}

#[test]
fn the_hint_comes_from_the_headers_and_from_the_text_last() {
    let throttled = azure("429", "Please retry after 22 seconds.").to_string();
    let hint =
        |status, headers: &[(&str, &str)], body: &str| answer(status, headers, body.as_bytes()).hint_ms;
    assert_eq!(hint(429, &[("retry-after-ms", "850")], &throttled), Some(ms(850)));
    assert_eq!(hint(429, &[], &throttled), Some(ms(22_000)));
    assert_eq!(hint(503, &[("retry-after", "3")], ""), Some(ms(3_000)));
    // The errors of Azure API Management have no `error` wrapper.
    let throttled = r#"{ "statusCode": 429, "message": "Rate limit is exceeded. Try again in 12 seconds." }"#;
    assert_eq!(hint(429, &[], throttled), Some(ms(12_000)));
    // A text that is not about waiting gives no hint, even if it reads like one.
    assert_eq!(hint(400, &[], r#"{ "error": "Invalid: 'retry after 22 seconds'" }"#), None);
}

#[test]
fn the_reason_is_a_word_and_never_prose() {
    let reason = |body: Value| answer(400, &[], body.to_string().as_bytes()).reason;
    assert_eq!(reason(invalid("invalid_value", "prose")), "invalid_value");
    assert_eq!(reason(invalid(None, "prose")), "invalid_request_error");
    assert_eq!(reason(azure("DeploymentNotFound", "prose")), "DeploymentNotFound");
    assert_eq!(reason(json!({ "statusCode": 401, "message": "prose" })), "401");
    for code in ["Incorrect API key sk-1", "", "line\nbreak", "ключ", &"x".repeat(65)] {
        assert_eq!(reason(openai("bad thing", code, "prose")), "bad_request", "{code:?}");
    }
}

/// An error of Azure without the wrapper `error`.
fn azure_gateway(status: u16, message: &str) -> Value {
    json!({ "statusCode": status, "message": message })
}

#[test]
fn each_failure_is_about_one_part_of_the_upstream() {
    let too_large = "Request too large for gpt-4o in organization org-A on tokens per min (TPM): Limit 30000, Requested 61337. The input or output tokens must be reduced";
    let reached = "Rate limit reached for gpt-4o in organization org-A on tokens per min (TPM): Limit 30000, Used 29500, Requested 800. Please try again in 600ms.";
    let connector =
        "Error retrieving tool list from MCP server: 'crm'. Http status code: 424 (Failed Dependency)";
    let unverified = "Your organization must be verified to stream this model.";
    let page = "<!DOCTYPE html><html><head><title>403 Forbidden</title></head></html>";
    for (status, body, class, scope) in [
        // A refused key is refused everywhere.
        (401, invalid("invalid_api_key", "Incorrect API key provided: sk-x."), Auth, Account),
        (
            401,
            azure_gateway(401, "Access denied due to invalid subscription key or wrong API endpoint."),
            Auth,
            Account,
        ),
        (403, invalid("account_deactivated", "Your account is deactivated."), Auth, Account),
        // A permission for one operation.
        (
            401,
            invalid("missing_scope", "You have insufficient permissions for this operation."),
            Auth,
            Operation,
        ),
        (401, invalid(None, "Missing scopes: api.responses.write."), Auth, Operation),
        (403, invalid(None, "You are not allowed to do this."), Auth, Operation),
        // A country, a network, a page of a network in between.
        (403, openai("request_forbidden", "unsupported_country_region_territory", "Country"), Auth, Place),
        (403, openai("", "403", "Access denied due to Virtual Network/Firewall rules."), Auth, Place),
        (403, json!(page), Auth, Place),
        (403, json!("error code: 1020"), Auth, Place),
        (401, invalid("ip_not_authorized", "Your IP is not authorized."), Auth, Place),
        // The headers that the client chose, and what it asked for.
        (403, json!("error code: 1010"), Auth, Request),
        (403, invalid("cyber_policy", "This request was flagged."), ContentPolicy, Request),
        (403, openai("", "content_filter", "The response was filtered."), ContentPolicy, Request),
        // What the request names.
        (424, openai("external_connector_error", "http_error", connector), BadRequest, Request),
        (409, invalid(None, "Cannot cancel a response that is completed."), BadRequest, Request),
        (424, openai("server_error", Value::Null, "The model container failed."), Unavailable, Deployment),
        // Its size, its tier.
        (429, openai("tokens", "rate_limit_exceeded", too_large), RateLimit, Request),
        (413, openai("tokens", "rate_limit_exceeded", too_large), RateLimit, Request),
        (
            429,
            openai("resource_unavailable", "resource_unavailable", "Resource Unavailable"),
            RateLimit,
            Request,
        ),
        (498, openai("", "capacity_exceeded", "Flex tier capacity exceeded"), RateLimit, Request),
        (429, openai("tokens", "rate_limit_exceeded", reached), RateLimit, Deployment),
        // Limits of Azure API Management.
        (
            403,
            azure_gateway(403, "Out of call volume quota. Quota will be replenished in 00:00:03."),
            RateLimit,
            Deployment,
        ),
        // What the gateway itself has set.
        (
            400,
            openai(
                "",
                "BadRequest",
                "Model o3-mini is enabled only for api versions 2024-12-01-preview and later",
            ),
            NotFound,
            Request,
        ),
        (400, openai("", "BadRequest", "API version not supported"), NotFound, Request),
        (
            400,
            openai("", "BadRequest", "Functions are not supported for this API version"),
            NotFound,
            Request,
        ),
        (400, openai("invalid_request_error", "unsupported_value", unverified), NotFound, Request),
        (404, openai("", "DeploymentNotFound", "The API deployment does not exist."), NotFound, Operation),
        (429, openai("insufficient_quota", "insufficient_quota", "You exceeded your quota"), Quota, Account),
    ] {
        let bytes = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        let failure = answer(status, &[], bytes.as_bytes());
        assert_eq!((failure.class, failure.scope), (class, scope), "{status} {body}");
        let is_permanent = bytes.contains("too large");
        assert_eq!(failure.is_permanent, is_permanent, "{status} {body}");
    }
}

#[test]
fn a_403_that_says_until_when_is_a_limit() {
    let body = azure_gateway(403, "Quota exceeded.").to_string();
    let failure = answer(403, &[("retry-after", "3")], body.as_bytes());
    assert_eq!((failure.class, failure.hint_ms), (RateLimit, Some(ms(3_000))));
    let body =
        azure_gateway(403, "Out of call volume quota. Quota will be replenished in 01:02:03.").to_string();
    assert_eq!(answer(403, &[], body.as_bytes()).hint_ms, Some(ms(3_723_000)));
}

#[test]
fn the_error_of_a_tool_server_in_an_event_is_the_clients() {
    let error = json!({ "type": "external_connector_error", "code": "http_error", "message": "MCP server: 'crm'", "param": "tools" });
    let failure = classify_event_error(&error);
    assert_eq!((failure.class, failure.scope), (BadRequest, Request));
}

#[test]
fn only_a_refused_credential_is_a_reason_to_present_another_one() {
    let key = openai("invalid_request_error", "invalid_api_key", "Incorrect API key provided");
    let azure = json!({ "error": { "code": "401", "message": "Access denied due to invalid subscription key or wrong API endpoint." } });
    let closed = openai("invalid_request_error", "account_deactivated", "The account was deactivated");
    let scope = openai("invalid_request_error", "missing_scope", "Missing scopes: model.request");
    let role = json!({ "error": { "code": "PermissionDenied", "message": "The principal lacks the required data action" } });
    let place = openai("request_forbidden", "unsupported_country_region_territory", "Country not supported");
    let limit = openai("tokens", "rate_limit_exceeded", "Slow down");
    for (status, body, expected) in [
        (401, &key, true),
        (401, &azure, true),
        (401, &json!({}), true),
        (403, &closed, true),
        (403, &json!({}), false),
        (401, &scope, false),
        (401, &role, false),
        (403, &place, false),
        (429, &limit, false),
        (500, &key, false),
    ] {
        let failure = answer(status, &[], body.to_string().as_bytes());
        assert_eq!(failure.is_refused_credential(), expected, "{status} {body}");
    }
    // An upstream that has begun to answer has accepted the credential.
    assert!(!classify_event_error(&key["error"]).is_refused_credential());
}
