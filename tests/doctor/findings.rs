//! What is found in an answer: a table of payloads as the providers send them.

use std::rc::Rc;

use serde_json::{Value, json};
use switchyard::doctor::diagnosis::{
    Finding, QuestionOutcome, Setting, Silence, codes_of_errors, diagnose, wants_completion_limit,
};
use switchyard::doctor::question::QuestionKind::{self, Embedding, Listing};
use switchyard::routes::graph::{Deployment, Secret};
use switchyard::vocabulary::headers::Headers;

use super::{azure, deployment, openai, through_ai_gateway};

const CHAT: QuestionKind = QuestionKind::Chat { is_reasoning: false };

fn answer(status: u16, body: &Value) -> QuestionOutcome {
    let headers = Headers::of([("content-type", "application/json")]);
    QuestionOutcome::Answer { status, headers, body: body.to_string().into_bytes() }
}

fn found(deployment: &Deployment, kind: QuestionKind, outcome: &QuestionOutcome) -> Finding {
    diagnose(deployment, kind, outcome, &Setting { host: "asked.example", ..Setting::default() })
}

/// Checks the code of the finding for each error answer, and that it says what to do.
#[track_caller]
fn check(deployment: &Deployment, rows: &[(u16, Value, &str)]) {
    for (status, body, code) in rows {
        let finding = found(deployment, CHAT, &answer(*status, body));
        assert_eq!(finding.code, *code, "{status} {body}");
        assert_eq!(finding.is_good, *code == "well", "{status} {body}");
        assert_eq!(finding.remedy.is_empty(), finding.is_good, "{status} {body}: {}", finding.remedy);
        let text = format!("{} {} {:?}", finding.found, finding.remedy, finding.said);
        assert!(!text.contains(['{', '}']), "{text}");
        assert!(!text.contains("zq-secret-key"), "{text}");
    }
}

fn oai(kind: &str, code: &str, message: &str) -> Value {
    json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
}

fn invalid(code: &str, message: &str) -> Value {
    oai("invalid_request_error", code, message)
}

fn az(code: &str, message: &str) -> Value {
    json!({ "error": { "code": code, "message": message } })
}

#[test]
fn credentials_of_openai() {
    check(
        &openai(),
        &[
            (
                401,
                invalid(
                    "invalid_api_key",
                    "Incorrect API key provided: zq-secr*********-key. You can find your API key at https://platform.openai.com/account/api-keys.",
                ),
                "invalid_api_key",
            ),
            (
                401,
                json!({ "error": { "message": "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).", "type": "invalid_request_error", "param": null, "code": null } }),
                "no_api_key",
            ),
            (
                401,
                invalid(
                    "mismatched_organization",
                    "OpenAI-Organization header should match organization for API key",
                ),
                "wrong_organization",
            ),
            (
                401,
                invalid("mismatched_project", "OpenAI-Project header should match project for API key"),
                "wrong_organization",
            ),
            (401, invalid("invalid_organization", "No such organization: org-x."), "wrong_organization"),
            (
                401,
                json!({ "error": { "message": "You must be a member of an organization to use the API.", "type": "invalid_request_error", "code": null } }),
                "wrong_organization",
            ),
            (
                401,
                json!({ "error": { "message": "You have insufficient permissions for this operation. Missing scopes: model.request. Check that you have the correct role in your organization (Reader, Writer, Owner).", "type": "invalid_request_error" } }),
                "scope_missing",
            ),
            (401, invalid("ip_not_authorized", "Your IP is not authorized."), "address_refused"),
            (
                401,
                invalid(
                    "account_deactivated",
                    "The OpenAI account associated with this API key has been deactivated.",
                ),
                "account_closed",
            ),
            (
                401,
                invalid(
                    "incorrect_hostname",
                    "attempted to access resource with incorrect regional hostname. Please make your request to eu.api.openai.com",
                ),
                "wrong_region",
            ),
            (
                403,
                oai(
                    "request_forbidden",
                    "unsupported_country_region_territory",
                    "Country, region, or territory not supported",
                ),
                "country_refused",
            ),
            (401, json!({}), "credential_refused"),
            (403, json!({ "error": "no" }), "forbidden"),
        ],
    );
}

#[test]
fn models_of_openai() {
    check(
        &openai(),
        &[
            (
                404,
                invalid(
                    "model_not_found",
                    "The model `gpt-x` does not exist or you do not have access to it.",
                ),
                "model_not_allowed",
            ),
            (404, invalid("model_not_found", "The model 'gpt-x' does not exist"), "model_not_found"),
            (
                403,
                invalid("model_not_found", "Project `proj_1` does not have access to model `gpt-4o`"),
                "model_not_allowed",
            ),
            (
                403,
                json!({ "error": { "message": "You are not allowed to sample from this model", "type": "invalid_request_error" } }),
                "model_not_allowed",
            ),
            (
                403,
                json!({ "error": { "message": "Your organization must be verified to use the model `gpt-image-1`. Please go to: https://platform.openai.com/settings/organization/general and click on Verify Organization.", "type": "invalid_request_error" } }),
                "organization_not_verified",
            ),
            (
                400,
                invalid("unsupported_value", "Your organization must be verified to stream this model."),
                "organization_not_verified",
            ),
            (
                404,
                invalid(
                    "model_not_found",
                    "The model `text-davinci-003` has been deprecated, learn more here: https://platform.openai.com/docs/deprecations",
                ),
                "model_retired",
            ),
            (
                404,
                json!({ "error": { "message": "Invalid URL (POST /chat/completions)", "type": "invalid_request_error" } }),
                "unknown_path",
            ),
            (404, json!({ "detail": "Not Found" }), "unknown_path"),
        ],
    );
}

#[test]
fn limits_and_outages_of_openai() {
    check(
        &openai(),
        &[
            (
                429,
                oai(
                    "insufficient_quota",
                    "insufficient_quota",
                    "You exceeded your current quota, please check your plan and billing details.",
                ),
                "quota_exhausted",
            ),
            (429, oai("billing", "project_spend_limit_exceeded", "Spent"), "quota_exhausted"),
            (
                400,
                invalid("billing_hard_limit_reached", "Billing hard limit has been reached"),
                "quota_exhausted",
            ),
            (
                429,
                oai(
                    "requests",
                    "rate_limit_exceeded",
                    "Rate limit reached for gpt-4o in organization org-x on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s.",
                ),
                "rate_limited",
            ),
            (
                503,
                oai(
                    "service_unavailable_error",
                    "server_is_overloaded",
                    "The engine is currently overloaded, please try again later.",
                ),
                "no_capacity",
            ),
            (
                500,
                oai("server_error", "", "The server had an error while processing your request."),
                "provider_failed",
            ),
            (502, json!({}), "unreachable"),
            (504, json!({}), "provider_slow"),
            (402, json!({ "error": { "message": "Pay" } }), "payment_required"),
            (418, json!({ "error": { "message": "I am a teapot" } }), "unknown_error"),
        ],
    );
}

#[test]
fn requests_that_are_refused() {
    check(
        &openai(),
        &[
            // The model works: it has begun to answer.
            (
                400,
                invalid(
                    "",
                    "Could not finish the message because max_tokens or model output limit was reached. Please try again with higher max_tokens.",
                ),
                "well",
            ),
            (
                400,
                invalid(
                    "unsupported_parameter",
                    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
                ),
                "unsupported_parameter",
            ),
            (
                400,
                invalid(
                    "unsupported_value",
                    "Unsupported value: 'temperature' does not support 0.2 with this model.",
                ),
                "unsupported_parameter",
            ),
            (
                400,
                json!({ "error": { "message": "Unrecognized request argument supplied: foo" } }),
                "unsupported_parameter",
            ),
            (
                422,
                json!({ "error": { "message": "Extra inputs are not permitted" } }),
                "unsupported_parameter",
            ),
            (
                400,
                invalid(
                    "content_policy_violation",
                    "Your request was rejected as a result of our safety system.",
                ),
                "content_filter",
            ),
            (400, invalid("", "Something else"), "input_refused"),
        ],
    );
}

#[test]
fn credentials_and_networks_of_azure() {
    check(
        &azure(),
        &[
            (
                401,
                az(
                    "401",
                    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource.",
                ),
                "key_of_another_resource",
            ),
            (401, az("PermissionDenied", "Principal does not have access to API/Operation."), "role_missing"),
            (
                401,
                json!({ "statusCode": 401, "message": "Unauthorized. Access token is missing, invalid, audience is incorrect (https://cognitiveservices.azure.com), or have expired." }),
                "token_instead_of_key",
            ),
            (
                403,
                az("AuthenticationTypeDisabled", "Key based authentication is disabled for this resource."),
                "keys_disabled",
            ),
            (403, az("403", "Access denied due to Virtual Network/Firewall rules."), "firewall"),
            (
                403,
                az("403", "Public access is disabled. Please configure private endpoint."),
                "private_endpoint_only",
            ),
            (
                403,
                json!({ "code": "403", "message": "A Virtual Network is configured for this resource. Please use the correct endpoint for making requests. Check https://aka.ms/cogsvc-vnet for more details." }),
                "custom_domain_needed",
            ),
            (403, az("403", "Access denied by network security perimeter."), "firewall"),
            (
                403,
                json!({ "message": "Your resource has been temporarily blocked because we detected behavior that may violate our content policy." }),
                "resource_blocked",
            ),
        ],
    );
}

#[test]
fn addresses_and_models_of_azure() {
    check(
        &azure(),
        &[
            (
                404,
                az(
                    "DeploymentNotFound",
                    "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please wait a moment and try again.",
                ),
                "deployment_not_found",
            ),
            (
                404,
                invalid("DeploymentNotFound", "The API deployment for this resource does not exist."),
                "deployment_not_found",
            ),
            (404, az("404", "Resource not found"), "unknown_path"),
            (400, az("BadRequest", "API version not supported"), "wrong_api_version"),
            (
                400,
                az("BadRequest", "api-version query parameter is not allowed when using /v1 path"),
                "wrong_api_version",
            ),
            (
                400,
                az(
                    "OperationNotSupported",
                    "The chatCompletion operation does not work with the specified model, text-embedding-3-small. Please choose different model and try again.",
                ),
                "wrong_operation",
            ),
            (400, az("OpperationNotSupported", "Our services aren't available."), "wrong_operation"),
            (410, az("ModelDeprecated", "The model has been retired."), "model_retired"),
            (404, json!({ "unknown": true }), "unknown_path"),
            (424, az("424", "Model container failed"), "model_failed"),
        ],
    );
}

#[test]
fn limits_and_filters_of_azure() {
    let filtered = json!({ "error": {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI\u{2019}s content management policy.",
        "type": null, "param": "prompt", "code": "content_filter", "status": 400,
        "innererror": { "code": "ResponsibleAIPolicyViolation", "content_filter_result": {} },
    } });
    check(
        &azure(),
        &[
            (400, filtered, "content_filter"),
            (
                429,
                az(
                    "429",
                    "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 22 seconds.",
                ),
                "rate_limited",
            ),
            (429, az("RateLimitReached", "Rate limit reached"), "rate_limited"),
            (
                429,
                json!({ "error": { "message": "The system is currently experiencing high demand and cannot process your request." } }),
                "no_capacity",
            ),
            (
                503,
                az(
                    "503",
                    "The service is temporarily unable to process your request. Please try again later.",
                ),
                "no_capacity",
            ),
            (
                429,
                oai("insufficient_quota", "insufficient_quota", "You exceeded your current quota"),
                "quota_exhausted",
            ),
        ],
    );
}

#[test]
fn ai_gateway_speaks_for_itself_and_passes_on_what_the_provider_says() {
    let own = |code: i32, message: &str| json!({ "success": false, "result": [], "messages": [], "error": [{ "code": code, "message": message }] });
    check(
        &through_ai_gateway(),
        &[
            (400, own(2001, "Please configure AI Gateway in the Cloudflare dashboard"), "ai_gateway_unknown"),
            (401, own(2009, "Unauthorized"), "ai_gateway_token"),
            (
                401,
                json!({ "success": false, "errors": [{ "code": 10000, "message": "Authentication error" }] }),
                "ai_gateway_token",
            ),
            (401, json!({ "name": "AiGatewayError", "internalCode": 2009 }), "ai_gateway_token"),
            (400, own(2008, "Invalid provider"), "ai_gateway_provider"),
            (424, own(2016, "Prompt blocked due to security configurations"), "ai_gateway_filter"),
            (400, own(2029, "Request content blocked due to DLP policy violations"), "ai_gateway_filter"),
            (429, own(2003, "Rate limited"), "ai_gateway_limit"),
            (402, own(2021, "Payment required"), "ai_gateway_payment"),
            (
                403,
                json!({ "success": false, "error": { "message": "Access denied by policy" } }),
                "ai_gateway_policy",
            ),
            // Of the provider behind it.
            (401, invalid("invalid_api_key", "Incorrect API key provided: sk-x."), "invalid_api_key"),
            (429, oai("requests", "rate_limit_exceeded", "Rate limit reached"), "rate_limited"),
        ],
    );
    // The same numbers mean nothing without AI Gateway.
    check(&openai(), &[(401, own(2009, "Unauthorized"), "credential_refused")]);
}

#[test]
fn a_page_is_of_something_in_between() {
    let page = |status, body: &str| {
        let headers = Headers::of([("content-type", "text/html; charset=utf-8")]);
        found(&openai(), CHAT, &QuestionOutcome::Answer { status, headers, body: body.as_bytes().to_vec() })
    };
    for status in [200, 403, 404, 407, 502, 503] {
        let finding = page(status, "<html><head><title>Blocked by Example Corp</title></head></html>");
        assert_eq!((finding.code, finding.is_good), ("page", false), "{status}");
        assert!(finding.said.unwrap().contains("Blocked by Example Corp"));
    }
    assert_eq!(page(403, "<html><title>Just a moment...</title>").code, "cloudflare_challenge");
    assert_eq!(page(403, "error code: 1010").code, "cloudflare_challenge");
}

#[test]
fn a_redirect_is_named() {
    let headers = Headers::of([("location", "https://elsewhere.example/")]);
    let outcome = QuestionOutcome::Answer { status: 302, headers, body: Vec::new() };
    assert_eq!(found(&openai(), CHAT, &outcome).code, "redirected");
}

#[test]
fn a_success_must_be_an_answer_of_the_api() {
    let chat = json!({ "id": "c", "object": "chat.completion", "choices": [{ "index": 0, "message": { "role": "assistant", "content": "" }, "finish_reason": "length" }] });
    let model = json!({ "id": "gpt-4o", "object": "model" });
    let models = json!({ "object": "list", "data": [{ "id": "llama" }, { "id": "gpt-4o" }] });
    let compatible = deployment(&json!({ "endpoint": "https://llm.example/v1", "model": "llama" }));
    let other = deployment(&json!({ "endpoint": "https://llm.example/v1", "model": "qwen" }));
    for (deployment, kind, body, code) in [
        (&openai(), CHAT, &chat, "well"),
        (&openai(), CHAT, &json!({ "status": "ok" }), "not_the_api"),
        (&openai(), CHAT, &json!({ "error": { "message": "no" } }), "not_the_api"),
        (&openai(), Embedding, &json!({ "data": [{ "embedding": [0.5] }] }), "well"),
        (&openai(), Embedding, &chat, "not_the_api"),
        (&openai(), Listing, &model, "well"),
        (&openai(), Listing, &json!({ "status": "ok" }), "not_the_api"),
        (&azure(), Listing, &models, "well"),
        (&compatible, Listing, &models, "well"),
        (&other, Listing, &models, "model_not_found"),
        (&other, Listing, &json!({ "object": "list", "data": [] }), "well"),
    ] {
        let finding = found(deployment, kind, &answer(200, body));
        assert_eq!((finding.code, finding.is_good), (code, code == "well"), "{kind:?} {body}");
    }
}

#[test]
fn silence_has_its_reason() {
    for (silence, code) in [
        (Silence::UnknownHost, "unknown_host"),
        (Silence::NoConnection("refused".to_owned()), "no_connection"),
        (Silence::Tls("invalid peer certificate: Expired".to_owned()), "no_secure_connection"),
        (Silence::TooLate(30), "no_answer_in_time"),
    ] {
        for deployment in [&openai(), &azure(), &through_ai_gateway()] {
            let finding = found(deployment, CHAT, &QuestionOutcome::Silence(silence.clone()));
            assert_eq!((finding.code, finding.is_good), (code, false));
            assert!(!format!("{finding:?}").contains('{') || !finding.remedy.contains('{'), "{finding:?}");
        }
    }
    let unknown = found(&azure(), CHAT, &QuestionOutcome::Silence(Silence::UnknownHost));
    assert!(unknown.found.contains("r.openai.azure.com") && unknown.remedy.contains("Keys and Endpoint"));
}

#[test]
fn findings_name_what_is_known_of_the_deployment() {
    let setting = Setting {
        key_variable: Some("AZURE_KEY"),
        endpoint_variable: Some("AZURE_ENDPOINT"),
        host: "r.openai.azure.com",
        ..Setting::default()
    };
    let body = az("401", "Access denied due to invalid subscription key or wrong API endpoint.");
    let finding = diagnose(&azure(), CHAT, &answer(401, &body), &setting);
    assert!(finding.remedy.contains("the variable AZURE_KEY (`api_key`)"), "{}", finding.remedy);
    assert!(finding.remedy.contains("the variable AZURE_ENDPOINT (`endpoint`)"), "{}", finding.remedy);
    let finding = diagnose(&azure(), CHAT, &answer(404, &az("DeploymentNotFound", "No")), &setting);
    assert!(finding.found.contains("`chat-prod`"), "{}", finding.found);
    let finding =
        diagnose(&azure(), CHAT, &answer(400, &az("BadRequest", "API version not supported")), &setting);
    assert!(finding.found.contains("2024-10-21"), "{}", finding.found);
}

#[test]
fn a_rate_limit_says_which_one_and_for_how_long() {
    let headers = Headers::of([
        ("content-type", "application/json"),
        ("retry-after", "22"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-limit-tokens", "30000"),
    ]);
    let body = az("429", "Too many").to_string().into_bytes();
    let finding = found(&azure(), CHAT, &QuestionOutcome::Answer { status: 429, headers, body });
    assert!(finding.found.contains("(30000 tokens a minute)"), "{}", finding.found);
    assert!(finding.remedy.contains("in 22 s"), "{}", finding.remedy);
}

#[test]
fn the_form_of_a_key_is_a_hint_and_the_key_is_not_shown() {
    let refused = az("401", "Access denied due to invalid subscription key or wrong API endpoint.");
    let wrong = invalid("invalid_api_key", "Incorrect API key provided");
    for (key, is_azure, hint) in [
        ("sk-of-openai", true, "like one of OpenAI"),
        ("0123456789abcdef", false, "begin with `sk-`"),
        ("sk-with-space ", false, "spaces or a line break"),
        ("\"sk-quoted\"", false, "quotes around it"),
        ("Bearer sk-x", false, "begins with `Bearer `"),
    ] {
        let provider = if is_azure { "azure" } else { "openai" };
        let mut keyed = Rc::into_inner(deployment(&json!({ "provider": provider }))).unwrap();
        keyed.api_key = Secret::new(key);
        let finding = found(&keyed, CHAT, &answer(401, if is_azure { &refused } else { &wrong }));
        assert!(finding.remedy.contains(hint), "{key}: {}", finding.remedy);
        assert!(!finding.remedy.contains(key.trim()), "{}", finding.remedy);
    }
}

#[test]
fn values_of_variables_in_the_body_are_not_shown() {
    let keys = json!({ "params": { "set": { "user": "${KEY}", "seed_text": "plain-text" } } });
    let body = invalid("", "Invalid 'user': zq-secret-key, beside plain-text");
    let said = found(&deployment(&keys), CHAT, &answer(400, &body)).said.unwrap();
    assert_eq!(said, "400: Invalid 'user': ***, beside plain-text");
}

#[test]
fn every_code_is_documented() {
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cli.md")).unwrap();
    for code in codes_of_errors() {
        assert!(docs.contains(&format!("`{code}`")), "{code}");
    }
}

#[test]
fn a_model_that_wants_the_other_limit_says_so() {
    let asks = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
    assert!(wants_completion_limit(&answer(400, &invalid("unsupported_parameter", asks))));
    assert!(!wants_completion_limit(&answer(400, &invalid("unsupported_parameter", "temperature"))));
    assert!(!wants_completion_limit(&answer(500, &invalid("", asks))));
    assert!(!wants_completion_limit(&QuestionOutcome::Silence(Silence::UnknownHost)));
}
