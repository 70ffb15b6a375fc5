//! Other spellings of the same errors, from OpenAI, Azure OpenAI, Azure API Management and the
//! networks before them.

use super::*;
use crate::times::ms;
use switchyard::vocabulary::scope::Scope::{self, Account, Deployment, Operation, Place, Request};

/// An error of Azure API Management.
fn management(message: &str) -> Value {
    json!({ "statusCode": 403, "message": message })
}

fn check_scopes(rows: &[(u16, Value, ErrorClass, Scope)]) {
    for (status, body, class, scope) in rows {
        let bytes = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        let failure = answer(*status, &[], bytes.as_bytes());
        assert_eq!((failure.class, failure.scope), (*class, *scope), "{status} {body}");
    }
}

#[test]
fn a_blocked_place_is_known_by_the_many_answers_of_networks() {
    let cloudflare = json!({ "title": "Error 1009: Access denied", "status": 403, "error_code": 1009,
        "error_name": "country_banned", "cloudflare_error": true });
    check_scopes(&[
        (403, azure("403", "Traffic is not from an approved private endpoint."), Auth, Place),
        (403, azure("403", "Access denied by the network security perimeter."), Auth, Place),
        (403, invalid(None, "Your country is not supported."), Auth, Place),
        (403, invalid(None, "Your IP address is not authorized."), Auth, Place),
        (403, cloudflare, Auth, Place),
        (403, json!("The request is blocked."), Auth, Place),
        (403, json!("<!DOCTYPE html><title>Access denied</title>"), Auth, Place),
        (451, invalid(None, "Unavailable for legal reasons"), Auth, Place),
    ]);
    let page = answer(403, &[("content-type", "text/html; charset=UTF-8")], b"");
    assert_eq!((page.class, page.scope), (Auth, Place));
    let failure =
        classify_event_error(&json!({ "code": "ip_not_authorized", "type": "invalid_request_error" }));
    assert_eq!((failure.class, failure.scope), (Auth, Place));
}

#[test]
fn a_missing_permission_is_about_one_operation_however_it_is_worded() {
    let role = "The principal `x` lacks the required data action `Microsoft.CognitiveServices/accounts/OpenAI/responses/write` to perform `POST /openai/responses` operation.";
    check_scopes(&[
        (401, azure("PermissionDenied", role), Auth, Operation),
        (403, azure("AuthenticationTypeDisabled", "Key based authentication is disabled."), Auth, Account),
        (403, invalid("access_terminated", "Your access was terminated."), Auth, Account),
    ]);
    let failure = classify_event_error(&json!({ "code": "insufficient_permissions", "message": "No" }));
    assert_eq!((failure.class, failure.scope), (Auth, Operation));
}

#[test]
fn a_tool_server_that_fails_is_the_clients_in_every_form() {
    let of_server =
        "Error retrieving tool list from MCP server: 'crm'. Http status code: 424 (Failed Dependency)";
    let of_tool = json!({ "error": { "message": "Failed", "type": "invalid_request_error",
        "param": "tools[0].server_url", "code": "http_error" } });
    check_scopes(&[
        (424, of_tool, BadRequest, Request),
        (424, azure("424", of_server), BadRequest, Request),
        (424, azure("tool_user_error", "The tool failed."), BadRequest, Request),
        (424, azure("424", "Model container failed"), Unavailable, Deployment),
    ]);
    for code in ["http_error", "server_error", "external_connector_error"] {
        let failure = classify_event_error(&json!({ "code": code, "message": of_server }));
        assert_eq!((failure.class, failure.scope), (BadRequest, Request), "{code}");
    }
    for code in ["mcp_protocol_error", "conflict", "conversation_locked"] {
        let failure = classify_event_error(&json!({ "code": code, "message": "No" }));
        assert_eq!((failure.class, failure.scope), (BadRequest, Request), "{code}");
    }
}

#[test]
fn a_request_over_the_whole_limit_is_known_by_its_numbers() {
    for (message, is_permanent) in [
        ("Rate limit reached for x on tokens per min (TPM): Limit 10000, Used 0, Requested 61337.", true),
        ("Rate limit reached for x on tokens per min (TPM): Limit: 10,000, Requested: 61,337.", true),
        ("Rate limit reached for x on tokens per min (TPM): Limit 30000, Used 29500, Requested 800.", false),
        ("Rate limit reached for x on requests per min (RPM): Limit 3, Used 3, Requested 1.", false),
    ] {
        let failure =
            answer(429, &[], openai("tokens", "rate_limit_exceeded", message).to_string().as_bytes());
        assert_eq!((failure.class, failure.is_permanent), (RateLimit, is_permanent), "{message}");
    }
}

#[test]
fn a_tier_without_capacity_is_about_the_request_in_a_stream_as_well() {
    for code in ["resource_unavailable", "capacity_exceeded", "service_tier_capacity_exceeded"] {
        let failure = classify_event_error(&json!({ "code": code, "message": "No capacity" }));
        assert_eq!((failure.class, failure.scope), (RateLimit, Request), "{code}");
    }
}

#[test]
fn a_403_about_a_quota_is_a_limit_unless_the_quota_is_paid_for() {
    for (message, hint_ms) in [
        ("Token quota is exceeded. Try again in 3 seconds.", Some(3_000)),
        ("You have exceeded your call quota", None),
        ("Out of bandwidth quota. Quota will be replenished in 0.02:00:00.", Some(7_200_000)),
        ("Out of token quota. Quota will be replenished in 10.00:00:00.", Some(86_400_000)),
    ] {
        let failure = answer(403, &[], management(message).to_string().as_bytes());
        assert_eq!((failure.class, failure.hint_ms), (RateLimit, hint_ms.map(ms)), "{message}");
    }
    let failure =
        classify_event_error(&management("Out of call volume quota. Quota will be replenished in 00:00:03."));
    assert_eq!((failure.class, failure.hint_ms), (RateLimit, Some(ms(3_000))));
    let paid = "You exceeded your current quota, please check your plan and billing details.";
    for (body, class, scope) in [
        (openai("insufficient_quota", "insufficient_quota", paid), Quota, Account),
        (invalid(None, paid), Quota, Account),
        (invalid("invalid_api_key", "Incorrect API key provided"), Auth, Account),
        (openai("request_forbidden", "unsupported_country_region_territory", "No"), Auth, Place),
    ] {
        let failure = answer(403, &[("retry-after", "3")], body.to_string().as_bytes());
        assert_eq!((failure.class, failure.scope), (class, scope), "{body}");
    }
}

#[test]
fn what_the_gateway_has_set_is_known_in_every_wording() {
    let version = "Azure OpenAI Responses API is enabled only for api-version 2025-03-01-preview and later";
    let unverified = "Your organization must be verified to use the model `gpt-image-1`.";
    check_scopes(&[
        (400, azure("BadRequest", version), NotFound, Request),
        (400, azure("BadRequest", "The api-version '2023-01-01' is not supported."), NotFound, Request),
        (400, azure("InvalidApiVersionParameter", "The api-version '1' is invalid."), NotFound, Request),
        (400, azure("BadRequest", "This model requires API version 2025-01-01 or later."), NotFound, Request),
        (404, azure("UnsupportedApiVersion", "API version '2022' is not supported here."), NotFound, Request),
        (403, invalid(None, unverified), NotFound, Request),
        (404, invalid("model_not_found", unverified), NotFound, Request),
    ]);
}
