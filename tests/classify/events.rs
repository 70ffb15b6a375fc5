//! Errors in streams.

use super::*;
use crate::times::ms;

#[test]
fn an_error_of_a_stream_finds_the_status_that_it_stands_for() {
    let rows = [
        // The codes of a failed response, from OpenAI's OpenAPI document.
        (json!({ "code": "server_error" }), Unavailable),
        (json!({ "code": "rate_limit_exceeded" }), RateLimit),
        (json!({ "code": "invalid_prompt" }), BadRequest),
        (json!({ "code": "data_residency_mismatch" }), NotFound), // this account may not serve it, another may
        (json!({ "code": "bio_policy" }), ContentPolicy),
        (json!({ "code": "vector_store_timeout" }), Timeout),
        (json!({ "code": "invalid_image_format" }), BadRequest),
        (json!({ "code": "image_too_large" }), BadRequest),
        (json!({ "code": "image_content_policy_violation" }), ContentPolicy),
        (json!({ "code": "unsupported_image_media_type" }), BadRequest),
        (json!({ "code": "failed_to_download_image" }), BadRequest),
        (json!({ "code": "image_file_not_found" }), BadRequest),
        // Other codes and types.
        (json!({ "code": "insufficient_quota" }), Quota),
        (json!({ "code": "content_filter", "status": 400 }), ContentPolicy),
        (json!({ "code": "DeploymentNotFound" }), NotFound),
        (json!({ "code": "invalid_api_key" }), Auth),
        (json!({ "type": "tokens" }), RateLimit), // OpenAI's types of a rate limit
        (json!({ "type": "overloaded_error" }), Unavailable),
        (json!({ "type": "image_generation_server_error" }), Unavailable), // not the image's fault
        (json!({ "code": 503 }), Unavailable),
        // The code has priority over the type.
        (json!({ "code": "server_error", "type": "invalid_request_error" }), Unavailable),
        (json!({ "code": "news_to_us", "type": "invalid_request_error" }), BadRequest),
        // The upstream had accepted the request, so an unknown error is not the fault of the
        // caller.
        (json!({ "code": "news_to_us" }), Unavailable),
        (json!("Oops"), Unavailable),
        (Value::Null, Unavailable),
    ];
    for (error, class) in rows {
        let failure = classify_event_error(&error);
        assert_eq!((failure.class, failure.status), (class, Some(200)), "{error}");
    }
    let throttled = json!({ "code": "rate_limit_exceeded", "message": "Please try again in 1.2s." });
    assert_eq!(classify_event_error(&throttled).hint_ms, Some(ms(1_200)));
}
