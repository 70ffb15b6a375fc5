//! The reply if every candidate failed: the failure that the client can do most about, in the
//! upstream's own words. It also says how long the whole pool asks to wait, so that the client's
//! SDK neither retries too early nor gives up too early.

use memchr::memmem;
use serde_json::{Value, json};

use crate::attempt::classify::asks_for_verification;
use crate::attempt::failure::{ErrorResponse, Failure, NOT_A_STREAM};
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::error_reply::ErrorReply;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::retry_after;
use crate::vocabulary::time::Millis;

/// The wait for a pool that gave no hint.
const DEFAULT_RETRY_AFTER_MS: Millis = Millis::new(1_000);

/// The error reply for these failures: one failure per attempt, in order. If the deadline ended the
/// request before the candidates ran out, `late_ms` is the time that the request was allowed.
pub fn reply(failures: &[&Failure], late_ms: Option<Millis>) -> ErrorReply {
    let attempts = u32::try_from(failures.len()).unwrap_or(u32::MAX);
    let only_late = relevant(failures).all(|failure| failure.class == ErrorClass::Timeout);
    if let Some(after_ms) = late_ms.filter(|_| only_late) {
        return (&ClientError::DeadlineExceeded { after_ms }).into();
    }
    let Some(chosen) = decisive(failures) else {
        return (&ClientError::DeadlineExceeded { after_ms: late_ms.unwrap_or_default() }).into();
    };
    if let Some(unclear) = failures.iter().find(|failure| failure.is_unclear) {
        let is_late = unclear.class == ErrorClass::Timeout;
        return (&ClientError::OutcomeUnknown { is_late }).into();
    }
    let mut reply = upstream_reply(chosen).unwrap_or_else(|| own_reply(chosen, attempts));

    if !reply.headers.iter().any(|(name, _)| is_about_range(name)) {
        let headers = chosen.response.as_ref().map(|response| &response.headers);
        let about_range =
            headers.into_iter().flat_map(Headers::iter).filter(|(name, _)| is_about_range(name));
        reply.headers.extend(about_range.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    if reply.status == 409 {
        // A lock ends soon, what is finished stays so. Only the upstream knows which one it is, and
        // SDKs try again by themselves.
        return reply;
    }
    let may_retry = chosen.class.is_transient() && !chosen.is_permanent;
    let is_theirs = |name: &str| !matches!(name, "retry-after" | "retry-after-ms" | "x-should-retry");
    reply.headers = Headers::of(reply.headers.iter().filter(|(name, _)| is_theirs(name)));
    reply.headers.push("x-should-retry", if may_retry { "true" } else { "false" });
    if may_retry {
        let after_ms = failures
            .iter()
            .filter(|failure| failure.class.is_transient() && !failure.is_permanent)
            .map(|failure| failure.hint_ms.unwrap_or(DEFAULT_RETRY_AFTER_MS))
            .min()
            .unwrap_or(DEFAULT_RETRY_AFTER_MS);
        reply.headers.extend(retry_after::headers(after_ms));
    }
    reply
}

/// The failure that decides about the reply: the one that the client can do most about.
pub fn decisive<'f>(failures: &[&'f Failure]) -> Option<&'f Failure> {
    relevant(failures).min_by_key(|failure| (failure.is_unknown_object, rank(failure)))
}

/// The failures that may decide about the reply.
fn relevant<'f>(failures: &[&'f Failure]) -> impl Iterator<Item = &'f Failure> {
    // A failure that the client can fix counts only if it is the last one. Otherwise an edge led to
    // another deployment, which may have fixed it, and the failure of that deployment decides.
    let last = failures.len().saturating_sub(1);
    // In a search, an account that does not know the object proves little while another account
    // could not be asked. But an account that does not offer the operation does not have the object
    // either.
    let is_search = failures.iter().any(|failure| failure.is_unknown_object);
    let is_relevant = move |index: usize, failure: &Failure| {
        let may_have_it = !is_search || failure.class != ErrorClass::NotFound;
        failure.is_unknown_object || (may_have_it && (index == last || failure.class.is_curable_elsewhere()))
    };
    failures
        .iter()
        .copied()
        .enumerate()
        .filter(move |(index, failure)| is_relevant(*index, failure))
        .map(|(_, failure)| failure)
}

/// Whether a header tells which ranges of which version of a file can be read. A 416 has them, with
/// any body.
fn is_about_range(name: &str) -> bool {
    matches!(name, "content-range" | "accept-ranges" | "etag" | "last-modified")
}

/// The failures that the client can do most about come first: those that it can fix in its request,
/// then those that pass with time. Those that only the operator can fix come last.
fn rank(failure: &Failure) -> u8 {
    match failure.class {
        // Too large for one deployment: another one may serve it, if its failure passes.
        ErrorClass::RateLimit if failure.is_permanent => 8,
        ErrorClass::BadRequest => 0,
        ErrorClass::ContextWindow => 1,
        ErrorClass::ContentPolicy => 2,
        ErrorClass::RateLimit => 3,
        ErrorClass::Unavailable => 4,
        ErrorClass::Truncated => 5,
        ErrorClass::Timeout => 6,
        ErrorClass::Connection => 7,
        ErrorClass::Quota => 9,
        ErrorClass::NotFound => 10,
        ErrorClass::Auth => 11,
    }
}

/// The upstream's response, unchanged, if a client can use it. An error without the `error` object
/// around it (Azure's Responses API) gets one. `None` if the error is about the gateway's own
/// resources: a credential, of which it may quote a part, or a deployment that does not exist. That
/// an account must be verified depends on what was asked, so the client learns of it.
fn upstream_reply(failure: &Failure) -> Option<ErrorReply> {
    let ErrorResponse { headers, body, .. } = failure.response.as_deref()?;
    let parsed: Value = serde_json::from_slice(body).ok()?;
    let wrapped = wrapped(&parsed);
    let parsed = wrapped.as_ref().unwrap_or(&parsed);
    let message = parsed.pointer("/error/message")?;
    let is_ours = match failure.class {
        ErrorClass::Auth => true,
        ErrorClass::NotFound => {
            !failure.is_unknown_object && !message.as_str().is_some_and(asks_for_verification)
        }
        _ => false,
    };
    if is_ours {
        return None;
    }
    let body = wrapped.as_ref().map_or_else(|| body.clone(), |wrapped| wrapped.to_string().into_bytes());
    let body = without_accounts(body);
    Some(ErrorReply { status: status(failure), headers: headers.clone(), body })
}

/// The same error in OpenAI's shape. `None` if it already has that shape, or an unknown one.
fn wrapped(parsed: &Value) -> Option<Value> {
    if parsed.get("error").is_none() && parsed.get("message").is_some_and(Value::is_string) {
        return Some(json!({ "error": parsed }));
    }
    // OpenAI-compatible servers put the whole message there.
    let message = [parsed.get("error"), parsed.get("detail")]
        .into_iter()
        .flatten()
        .find(|message| message.is_string())?;
    Some(json!({ "error": { "message": message, "type": null, "param": null, "code": null } }))
}

/// Prefixes of account and key names at OpenAI. Errors about rate limits and quotas quote such
/// names, and they must not reach the client.
const ACCOUNTS: [&str; 3] = ["org-", "proj_", "sk-"];

/// The same text, with each account name cut to its prefix.
fn without_accounts(body: Vec<u8>) -> Vec<u8> {
    if !ACCOUNTS.iter().any(|prefix| memmem::find(&body, prefix.as_bytes()).is_some()) {
        return body;
    }
    let mut masked = Vec::with_capacity(body.len());
    let mut rest = body.as_slice();
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    while let Some((byte, after)) = rest.split_first() {
        // Inside a word it is not a prefix: `task-1` names no key.
        let begins_word = masked.last().is_none_or(|before| !is_name(before));
        let prefix = ACCOUNTS.iter().find(|prefix| begins_word && rest.starts_with(prefix.as_bytes()));
        if let Some(prefix) = prefix {
            let length = rest.iter().take_while(|byte| is_name(byte)).count();
            masked.extend_from_slice(prefix.as_bytes());
            masked.extend_from_slice(b"***");
            rest = rest.get(length..).unwrap_or_default();
        } else {
            masked.push(*byte);
            rest = after;
        }
    }
    masked
}

fn own_reply(failure: &Failure, attempts: u32) -> ErrorReply {
    let (kind, message) = match failure.class {
        ErrorClass::Connection => return (&ClientError::UpstreamUnreachable { attempts }).into(),
        ErrorClass::Timeout if failure.response.is_none() => {
            return (&ClientError::UpstreamTimeout { attempts }).into();
        }
        ErrorClass::Auth => (
            "server_error",
            "No upstream accepted the gateway's credentials. Your own key is fine; the gateway's operator must look \
             after this.",
        ),
        ErrorClass::RateLimit => {
            ("rate_limit_error", "The upstream is receiving too many requests. Try again later.")
        }
        ErrorClass::Quota => ("insufficient_quota", "The upstream account has used up its quota."),
        ErrorClass::NotFound => {
            ("invalid_request_error", "No upstream offers this operation for this model.")
        }
        ErrorClass::ContextWindow => {
            ("invalid_request_error", "The input is longer than the model's context.")
        }
        ErrorClass::ContentPolicy => {
            ("invalid_request_error", "The upstream's content filter refused the input.")
        }
        ErrorClass::BadRequest => ("invalid_request_error", "The upstream refused the request as invalid."),
        ErrorClass::Unavailable if failure.reason == NOT_A_STREAM => {
            ("server_error", "The upstream did not answer with a stream, as it was asked to.")
        }
        ErrorClass::Unavailable | ErrorClass::Truncated | ErrorClass::Timeout => {
            ("server_error", "The upstream could not serve the request.")
        }
    };
    let name = if failure.reason == NOT_A_STREAM { NOT_A_STREAM } else { failure.class.name() };
    let code = format!("upstream_{name}");
    let body = json!({ "error": { "message": message, "type": kind, "param": null, "code": code } });
    ErrorReply {
        status: status(failure),
        headers: Headers::of([("content-type", "application/json")]),
        body: body.to_string().into_bytes(),
    }
}

/// The upstream's status. If the error came with a success status, or without an answer, it is the
/// status of its class. If the gateway's credential was refused, the client must not get a 401.
fn status(failure: &Failure) -> u16 {
    let upstreams = failure.response.as_ref().map(|response| response.status);
    let of_class = match failure.class {
        ErrorClass::RateLimit | ErrorClass::Quota => 429,
        ErrorClass::NotFound => 404,
        ErrorClass::ContextWindow | ErrorClass::ContentPolicy | ErrorClass::BadRequest => 400,
        ErrorClass::Timeout => 504,
        ErrorClass::Auth | ErrorClass::Unavailable | ErrorClass::Connection | ErrorClass::Truncated => 502,
    };
    match failure.class {
        // A limit that came as a 403 (Azure API Management).
        ErrorClass::RateLimit if upstreams == Some(403) => of_class,
        ErrorClass::Auth => of_class,
        // A status that is not an HTTP error status cannot be forwarded.
        _ => upstreams.filter(|status| (400..600).contains(status)).unwrap_or(of_class),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::time::short::ms;

    fn answered(class: ErrorClass, status: u16, hint_ms: Option<Millis>, body: &str) -> Failure {
        let headers = Headers::of([("retry-after", "77"), ("x-request-id", "up-1")]);
        let response = Some(Box::new(ErrorResponse { status, headers, body: body.as_bytes().to_vec() }));
        Failure { status: Some(status), hint_ms, response, ..Failure::silent(class, "") }
    }

    fn header<'r>(reply: &'r ErrorReply, name: &str) -> Option<&'r str> {
        reply.headers.get(name)
    }

    fn code(reply: &ErrorReply) -> String {
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        body["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    const LIMITED: &str =
        r#"{"error":{"message":"slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;
    const TOO_LONG: &str = r#"{"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;

    #[test]
    fn what_needs_a_verified_account_is_returned_unchanged() {
        let text =
            |message: &str| format!(r#"{{"error":{{"message":"{message}","code":"unsupported_value"}}}}"#);
        for (message, expected) in [
            ("Your organization must be verified to stream this model.", "unsupported_value"),
            ("Your organization is not verified.", "unsupported_value"),
            ("Unknown API version.", "upstream_not_found"),
        ] {
            let reply = reply(&[&answered(ErrorClass::NotFound, 400, None, &text(message))], None);
            assert_eq!((reply.status, code(&reply).as_str()), (400, expected), "{message}");
            assert_eq!(header(&reply, "x-should-retry"), Some("false"));
        }
    }

    #[test]
    fn the_failure_that_the_client_can_fix_is_returned_unchanged() {
        let failures = [
            Failure::silent(ErrorClass::Connection, "refused"),
            answered(ErrorClass::RateLimit, 429, Some(ms(500)), LIMITED),
            answered(ErrorClass::ContextWindow, 400, None, TOO_LONG),
        ];
        let reply = reply(&failures.iter().collect::<Vec<_>>(), None);
        assert_eq!((reply.status, reply.body.as_slice()), (400, TOO_LONG.as_bytes()));
        assert_eq!(header(&reply, "x-should-retry"), Some("false"));
        assert_eq!(header(&reply, "retry-after"), None, "waiting does not mend it");
        assert_eq!(header(&reply, "x-request-id"), Some("up-1"));
    }

    #[test]
    fn a_failure_that_led_to_another_deployment_gives_way_to_the_failure_there() {
        // The edge for long prompts was taken, and the model with the longer context is busy. The
        // same request may succeed in a moment.
        let failures = [
            answered(ErrorClass::ContextWindow, 400, None, TOO_LONG),
            answered(ErrorClass::RateLimit, 429, Some(ms(500)), LIMITED),
        ];
        let reply = reply(&failures.iter().collect::<Vec<_>>(), None);
        assert_eq!((reply.status, header(&reply, "x-should-retry")), (429, Some("true")));
    }

    #[test]
    fn whether_a_conflict_is_tried_again_is_left_to_the_upstream_and_the_sdk() {
        const LOCKED: &str = r#"{"error":{"message":"locked","code":"conversation_locked"}}"#;
        let locked = answered(ErrorClass::BadRequest, 409, None, LOCKED);
        let reply = reply(&[&locked], None);
        assert_eq!((reply.status, header(&reply, "x-should-retry")), (409, None));
    }

    #[test]
    fn what_is_too_large_for_one_deployment_may_be_retried_if_another_one_was_busy() {
        let too_large =
            || Failure { is_permanent: true, ..answered(ErrorClass::RateLimit, 429, None, LIMITED) };
        let busy = || answered(ErrorClass::RateLimit, 429, Some(ms(7_000)), LIMITED);
        let refused = || answered(ErrorClass::Auth, 401, None, LIMITED);
        for (failures, should_retry, retry_after) in [
            (vec![too_large(), busy()], "true", Some("7")),
            (vec![busy(), too_large()], "true", Some("7")),
            (vec![too_large(), answered(ErrorClass::Unavailable, 503, None, LIMITED)], "true", Some("1")),
            (vec![too_large(), too_large()], "false", None),
            (vec![too_large(), refused()], "false", None),
        ] {
            let reply = reply(&failures.iter().collect::<Vec<_>>(), None);
            let found = (header(&reply, "x-should-retry"), header(&reply, "retry-after"));
            assert_eq!(found, (Some(should_retry), retry_after), "{failures:?}");
        }
    }

    #[test]
    fn an_unknown_object_is_reported_only_if_no_deployment_may_own_it() {
        const UNKNOWN: &str = r#"{"error":{"message":"Response with id 'resp_1' not found.","code":null}}"#;
        const DOWN: &str = r#"{"error":{"message":"overloaded","code":"server_is_overloaded"}}"#;
        let unknown =
            || Failure { is_unknown_object: true, ..answered(ErrorClass::BadRequest, 404, None, UNKNOWN) };
        let lacks_it = || answered(ErrorClass::NotFound, 404, None, r#"{"error":{"message":"Invalid URL"}}"#);
        for (failures, status, words) in [
            (vec![unknown(), unknown()], 404, Some(UNKNOWN)),
            // The deployment that is down may be the owner.
            (vec![answered(ErrorClass::Unavailable, 503, None, DOWN), unknown()], 503, Some(DOWN)),
            (vec![unknown(), Failure::silent(ErrorClass::Timeout, "headers"), unknown()], 504, None),
            (vec![unknown(), answered(ErrorClass::Auth, 401, None, DOWN)], 502, None),
            // A deployment without stored responses does not own this one.
            (vec![unknown(), lacks_it()], 404, Some(UNKNOWN)),
            (vec![lacks_it(), unknown(), lacks_it()], 404, Some(UNKNOWN)),
        ] {
            let reply = reply(&failures.iter().collect::<Vec<_>>(), None);
            assert_eq!(reply.status, status, "{failures:?}");
            if let Some(words) = words {
                assert_eq!(String::from_utf8_lossy(&reply.body), words);
            }
        }
    }

    #[test]
    fn names_of_accounts_do_not_leave() {
        let body = r#"{"error":{"message":"Limit reached in organization org-AbC123 (proj_x9, key sk-a-b_c) for task-1."}}"#;
        let reply = reply(&[&answered(ErrorClass::RateLimit, 429, None, body)], None);
        let expected = r#"{"error":{"message":"Limit reached in organization org-*** (proj_***, key sk-***) for task-1."}}"#;
        assert_eq!(String::from_utf8_lossy(&reply.body), expected);
    }

    #[test]
    fn a_deployment_that_is_not_there_is_not_named() {
        let body =
            r#"{"error":{"message":"The model `gpt-4o-internal` does not exist","code":"model_not_found"}}"#;
        let reply = reply(&[&answered(ErrorClass::NotFound, 404, None, body)], None);
        assert_eq!((reply.status, code(&reply).as_str()), (404, "upstream_not_found"));
    }

    #[test]
    fn a_status_that_http_does_not_know_becomes_a_bad_gateway() {
        let failure = answered(ErrorClass::Unavailable, 999, None, r#"{"error":{"message":"odd"}}"#);
        assert_eq!(reply(&[&failure], None).status, 502);
    }

    #[test]
    fn the_shortest_wait_of_the_pool_is_returned() {
        for (hints, expected_ms, expected_s) in [
            ([Some(9_000), Some(2_500)], "2500", "3"),
            ([Some(40), Some(2_500)], "40", "1"),
            // A deployment without a hint may be back in a second.
            ([None, Some(2_500)], "1000", "1"),
        ] {
            let failures =
                hints.map(|hint_ms| answered(ErrorClass::RateLimit, 429, hint_ms.map(ms), LIMITED));
            let reply = reply(&failures.iter().collect::<Vec<_>>(), None);
            assert_eq!(reply.status, 429);
            assert_eq!(header(&reply, "x-should-retry"), Some("true"));
            assert_eq!(header(&reply, "retry-after-ms"), Some(expected_ms));
            assert_eq!(header(&reply, "retry-after"), Some(expected_s));
        }
    }

    #[test]
    fn every_class_alone_has_a_fitting_status_and_openais_shape() {
        for (class, status, expected) in [
            (ErrorClass::Connection, "upstream_unreachable", 502),
            (ErrorClass::Timeout, "upstream_timeout", 504),
            (ErrorClass::Unavailable, "upstream_unavailable", 502),
            (ErrorClass::Truncated, "upstream_truncated", 502),
            (ErrorClass::RateLimit, "upstream_rate_limit", 429),
            (ErrorClass::Quota, "upstream_quota", 429),
            (ErrorClass::Auth, "upstream_auth", 502),
            (ErrorClass::NotFound, "upstream_not_found", 404),
            (ErrorClass::ContextWindow, "upstream_context_window", 400),
            (ErrorClass::ContentPolicy, "upstream_content_policy", 400),
            (ErrorClass::BadRequest, "upstream_bad_request", 400),
        ] {
            let reply = reply(&[&Failure::silent(class, "")], None);
            assert_eq!((reply.status, code(&reply).as_str()), (expected, status));
        }
    }

    #[test]
    fn a_refused_credential_of_ours_is_never_quoted() {
        let leak = r#"{"error":{"message":"Incorrect API key provided: sk-ab***yz","type":"invalid_request_error","code":"invalid_api_key"}}"#;
        let reply = reply(&[&answered(ErrorClass::Auth, 401, None, leak)], None);
        assert_eq!((reply.status, code(&reply).as_str()), (502, "upstream_auth"));
        assert!(!String::from_utf8_lossy(&reply.body).contains("sk-ab"));
    }

    #[test]
    fn an_error_without_its_wrapper_gets_one() {
        let bare = r#"{"message":"filtered","type":"invalid_request_error","param":"prompt","code":"content_filter"}"#;
        let reply = reply(&[&answered(ErrorClass::ContentPolicy, 400, None, bare)], None);
        assert_eq!((reply.status, code(&reply).as_str()), (400, "content_filter"));
    }

    #[test]
    fn messages_of_other_servers_are_forwarded() {
        for body in [r#"{"error":"temperature is too high"}"#, r#"{"detail":"temperature is too high"}"#] {
            let reply = reply(&[&answered(ErrorClass::BadRequest, 422, None, body)], None);
            let body: Value = serde_json::from_slice(&reply.body).unwrap();
            assert_eq!((reply.status, &body["error"]["message"]), (422, &json!("temperature is too high")));
        }
    }

    #[test]
    fn an_error_behind_a_success_gets_the_status_of_its_class() {
        let reply = reply(&[&answered(ErrorClass::RateLimit, 200, None, LIMITED)], None);
        assert_eq!((reply.status, code(&reply).as_str()), (429, "rate_limit_exceeded"));
    }

    #[test]
    fn a_page_of_html_becomes_json_with_the_same_status() {
        let reply =
            reply(&[&answered(ErrorClass::Unavailable, 503, None, "<html>Service Unavailable</html>")], None);
        assert_eq!((reply.status, code(&reply).as_str()), (503, "upstream_unavailable"));
        assert_eq!(header(&reply, "content-type"), Some("application/json"));
    }

    #[test]
    fn the_deadline_is_named_only_where_nothing_better_is_known() {
        let late = Failure::silent(ErrorClass::Timeout, "deadline");
        let after_the_deadline = reply(&[&late], Some(ms(9)));
        assert_eq!(code(&after_the_deadline), "deadline_exceeded");
        assert_eq!(
            header(&after_the_deadline, "x-should-retry"),
            Some("false"),
            "a second deadline helps nobody"
        );
        assert_eq!(code(&reply(&[], Some(ms(9)))), "deadline_exceeded");
        let too_long = answered(ErrorClass::ContextWindow, 400, None, TOO_LONG);
        assert_eq!(
            code(&reply(&[&too_long, &late], Some(ms(9)))),
            "deadline_exceeded",
            "the edge was late, not the prompt long"
        );
        let limited = answered(ErrorClass::RateLimit, 429, None, LIMITED);
        assert_eq!(code(&reply(&[&limited, &late], Some(ms(9)))), "rate_limit_exceeded");
    }
}
