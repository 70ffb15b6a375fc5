//! Successes, and failures that look like one.

use super::*;

#[test]
fn an_error_behind_a_success_is_a_failure() {
    let rows = [
        (openai("server_error", Value::Null, "Oops"), Unavailable),
        (openai("server_error", "rate_limit_exceeded", "Slow down"), RateLimit),
        (json!({ "error": { "code": 500, "message": "Oops" } }), Unavailable), // a number
        (json!({ "error": { "code": "429" } }), RateLimit),                    // a number in a string
        (json!({ "error": { "message": "Oops" } }), Unavailable), // nothing known: the upstream's fault
        (json!({ "error": "Oops" }), Unavailable),                // not even an object
        (json!({ "status": 500, "error": "Internal Server Error" }), Unavailable),
        (json!({ "error": { "code": "context_length_exceeded" }, "choices": [] }), ContextWindow), // empty results are none
        (json!({ "error": { "code": "insufficient_quota" }, "data": null }), Quota),
        (
            json!({ "error": { "type": "invalid_request_error", "message": "maximum context length" } }),
            ContextWindow,
        ),
        (json!({ "error": { "type": "invalid_request_error" } }), BadRequest),
        (
            json!({ "id": "resp_1", "status": "failed", "output": [], "error": { "code": "server_error" } }),
            Unavailable,
        ),
        // A response that failed without a reason.
        (
            json!({ "id": "resp_1", "object": "response", "status": "failed", "output": [], "error": null }),
            Unavailable,
        ),
        // A response that failed after some output is a failure.
        (
            json!({ "status": "failed", "output": [{}], "error": { "code": "rate_limit_exceeded" } }),
            RateLimit,
        ),
    ];
    for (body, class) in rows {
        let failure = fault(Operation::Responses, JSON, body.to_string().as_bytes())
            .unwrap_or_else(|| panic!("{body} is a failure"));
        assert_eq!((failure.class, failure.status), (class, Some(200)), "{body}");
    }
}

#[test]
fn a_success_is_no_failure() {
    use Operation::{
        AudioTranscriptions, ChatCompletions, Completions, Embeddings, ImagesEdits, ImagesGenerations,
        Moderations, Responses, ResponsesCompact, ResponsesInputTokens,
    };
    let rows = [
        // The text only mentions an error.
        (
            ChatCompletions,
            json!({ "choices": [{ "message": { "content": "the \"error\": {\"code\": 500}" } }] }),
        ),
        (ChatCompletions, json!({ "error": null, "choices": [{}] })),
        (ChatCompletions, json!({ "error": {}, "choices": [{}] })),
        (Embeddings, json!({ "error": "", "data": [1.0] })),
        (ChatCompletions, json!({ "error": { "code": "partial" }, "choices": [{}] })), // there is a result beside it
        (
            Responses,
            json!({ "status": "completed", "output": [{ "error": { "code": "x" } }], "error": null }),
        ),
        (Responses, json!({ "status": "incomplete", "output": [{}], "error": null })),
        // The error is below the top level.
        (
            ChatCompletions,
            json!({ "choices": [{ "content_filter_results": { "error": { "code": "content_filter_error" } } }] }),
        ),
        // One known member is enough, even an empty one.
        (Completions, json!({ "choices": [] })),
        (Responses, json!({ "id": "resp_1", "status": "queued" })),
        (ResponsesInputTokens, json!({ "object": "response.input_tokens", "input_tokens": 11 })),
        (ResponsesInputTokens, json!({ "input_tokens": 11 })),
        (ResponsesCompact, json!({ "object": "response.compaction", "output": [] })),
        (Moderations, json!({ "results": [{}] })),
        (ImagesGenerations, json!({ "created": 1, "data": [{ "url": "https://images.example/1" }] })),
        (ImagesEdits, json!({ "images": [{}] })),
        (AudioTranscriptions, json!({ "text": "" })), // silence
        (AudioTranscriptions, json!({ "task": "transcribe", "segments": [] })),
    ];
    for (operation, body) in rows {
        for content_type in [JSON, "Application/JSON; charset=utf-8", "application/vnd.x+json", ""] {
            let body = body.to_string();
            assert_eq!(
                fault(operation, content_type, body.as_bytes()),
                None,
                "{operation:?} {content_type} {body}"
            );
        }
    }
    let twice = br#"{"object":"x","object":"y","choices":[{}],"choices":[{}]}"#;
    assert_eq!(fault(ChatCompletions, JSON, twice), None, "clients read a member that comes twice");
    assert_eq!(fault(ChatCompletions, JSON, b" \r\n{\"choices\": [{}]}\n"), None, "blanks around it");
}

#[test]
fn a_success_that_is_no_answer_is_a_failure() {
    use Operation::{
        AudioSpeech, AudioTranscriptions, AudioTranslations, ChatCompletions, Completions, Embeddings,
        ImagesEdits, ImagesGenerations, ImagesVariations, Moderations, Responses, ResponsesCompact,
        ResponsesInputTokens,
    };
    type Row<'a> = (Operation, &'a str, &'a [u8], Option<(ErrorClass, &'a str)>);
    const DETAIL: &[u8] = br#"{"detail":"Not authenticated"}"#;
    const PAGE: &[u8] = b"<!doctype html><title>Sign in</title>";
    let empty = Some((Truncated, "empty"));
    let early = Some((Truncated, "ended_early"));
    let not_json = Some((Unavailable, "not_json"));
    let no_answer = Some((Unavailable, "no_answer"));
    let rows: &[Row<'_>] = &[
        // An empty body.
        (ChatCompletions, JSON, b"", empty),
        (ChatCompletions, "", b"", empty),
        (ChatCompletions, JSON, b" \n", empty),
        (ChatCompletions, EVENTS, b"", empty),
        (AudioSpeech, "audio/mpeg", b"", empty),
        // The text of silence.
        (AudioTranscriptions, "text/plain; charset=utf-8", b"", None),
        (AudioTranslations, "application/x-subrip", b"", None),
        (AudioTranscriptions, "text/vtt", b"", None),
        (AudioTranscriptions, "text/plain", b"\n", None),
        (AudioTranscriptions, JSON, b"", empty),
        (AudioTranscriptions, "", b"", empty),
        (AudioTranscriptions, "text/html", b"", empty),
        (AudioTranscriptions, EVENTS, b"", empty),
        // An HTML page for people. No operation answers with one, even if the body is JSON.
        (ChatCompletions, "text/html", PAGE, not_json),
        (ChatCompletions, "Text/HTML; charset=utf-8", br#"{"choices":[{}]}"#, not_json),
        (AudioSpeech, "text/html", PAGE, not_json),
        (AudioTranscriptions, "application/xhtml+xml", PAGE, not_json),
        // A client that asked for JSON cannot use this, because the SDKs read the header.
        (ChatCompletions, "text/plain", b"Bad gateway", not_json),
        // Some servers send another media type, or a byte order mark.
        (ChatCompletions, "text/plain", br#"{"choices":[{}]}"#, None),
        (ChatCompletions, JSON, b"\xEF\xBB\xBF{\"choices\":[{}]}", None),
        (Embeddings, "application/octet-stream", br#"{"data":[1]}"#, None),
        // Without the header, the body decides.
        (ChatCompletions, "", PAGE, not_json),
        (ChatCompletions, "", br#"{"choices":[{}]}"#, None),
        // Not JSON, or not one object.
        (ChatCompletions, JSON, PAGE, not_json),
        (ChatCompletions, JSON, b"null", not_json),
        (ChatCompletions, JSON, b"\"error\"", not_json),
        (ChatCompletions, JSON, br#"[{"error":{"code":500}}]"#, not_json),
        (ChatCompletions, JSON, br#"{"choices":[{}]}{"choices":[{}]}"#, not_json),
        (ChatCompletions, JSON, br#"{"choices":[{}],}"#, not_json),
        (ChatCompletions, JSON, b"{\"choices\":[\"\xff\"]}", not_json),
        (ChatCompletions, JSON, b"data: {}\n\n", not_json), // a stream that says that it is none
        // The body breaks off, also within a word or a character.
        (ChatCompletions, JSON, b"{", early),
        (ChatCompletions, JSON, br#"{"choices":[{"message":{"content":"Z"#, early),
        (ChatCompletions, JSON, b"{\"choices\":[{\"message\":{\"content\":\"Z\xc3", early),
        (ChatCompletions, "", br#"{"error":{"code":500}"#, early),
        // JSON that is not an answer of this operation.
        (ChatCompletions, JSON, DETAIL, no_answer),
        (ChatCompletions, JSON, b"{}", no_answer),
        (ChatCompletions, JSON, br#"{"choices":null}"#, no_answer),
        (ChatCompletions, JSON, br#"{"message":{"choices":[{}]}}"#, no_answer),
        (ChatCompletions, JSON, br#"{"data":[]}"#, no_answer), // the answer of another operation
        (Completions, JSON, DETAIL, no_answer),
        (Embeddings, JSON, DETAIL, no_answer),
        (Responses, JSON, DETAIL, no_answer),
        (ResponsesInputTokens, JSON, DETAIL, no_answer),
        (ResponsesCompact, JSON, DETAIL, no_answer),
        (Moderations, JSON, DETAIL, no_answer),
        (ImagesGenerations, JSON, DETAIL, no_answer),
        (ImagesEdits, JSON, DETAIL, no_answer),
        (ImagesVariations, JSON, DETAIL, no_answer),
        (AudioSpeech, JSON, DETAIL, no_answer),
        (AudioTranscriptions, JSON, DETAIL, no_answer),
        (AudioTranslations, JSON, DETAIL, no_answer),
        // The header says that the body is audio. Only JSON bodies are read.
        (AudioSpeech, "audio/mpeg", b"\xff\xfb\x90 \"error\": {", None),
        (AudioSpeech, "", DETAIL, None),
        (AudioTranscriptions, "text/plain", b"Hi", None),
        // Text as JSON.
        (AudioTranscriptions, JSON, b"\"Hi\"", None),
        (AudioTranslations, JSON, b"\"\"\n", None),
        (AudioTranscriptions, JSON, b"\"Hi", early),
        (AudioTranscriptions, JSON, b"\"Hi\" x", not_json),
        (ChatCompletions, JSON, b"\"Hi\"", not_json),
        (AudioSpeech, JSON, br#"{"error":{"code":"server_error"}}"#, Some((Unavailable, "server_error"))),
        // The code that reads an event stream judges its events.
        (ChatCompletions, EVENTS, b"data: [DONE]\n\n", None),
        (ChatCompletions, "Text/Event-Stream;charset=utf-8", b"data: {", None),
    ];
    for (operation, content_type, body, expected) in rows {
        let fault = fault(*operation, content_type, body);
        let found = fault.as_ref().map(|fault| (fault.class, fault.reason.as_str()));
        assert_eq!(found, *expected, "{operation:?} {content_type:?} {}", body.escape_ascii());
        assert_eq!(fault.map_or(Some(200), |fault| fault.status), Some(200));
    }
    for status in [204, 205] {
        let success = Success {
            operation: ChatCompletions,
            status,
            content_type: JSON,
            body: br#"{"choices":[{}]}"#,
            is_whole: true,
        };
        let fault = fault_behind_success(&success).expect("no client reads a body behind these");
        assert_eq!((fault.class, fault.status), (Truncated, Some(status)));
    }
}

#[test]
fn of_a_large_body_only_the_beginning_is_judged() {
    let rows: [(Operation, &str, &[u8], bool); 8] = [
        (Operation::ChatCompletions, JSON, b"{\"choices\":[{\"mess", true),
        (Operation::ChatCompletions, JSON, b"{\"detail\":\"x", true), // an answer may follow
        (Operation::ChatCompletions, JSON, b"{\"choices\": \xff", true),
        (Operation::ChatCompletions, JSON, b"   ", true),
        (Operation::ChatCompletions, JSON, b"", true),
        (Operation::ChatCompletions, JSON, b"\n <!doctype html>", false),
        (Operation::ChatCompletions, "text/html", b"{", false),
        (Operation::AudioSpeech, "audio/mpeg", b"\xff\xfb", true),
    ];
    for (operation, content_type, body, is_answer) in rows {
        let success = Success { operation, status: 200, content_type, body, is_whole: false };
        let fault = fault_behind_success(&success);
        assert_eq!(fault.is_none(), is_answer, "{content_type} {}", body.escape_ascii());
    }
}

#[test]
fn an_event_stream_is_known_by_its_media_type() {
    for content_type in ["text/event-stream", "Text/Event-Stream", " text/event-stream ;charset=UTF-8"] {
        assert!(is_event_stream(content_type), "{content_type}");
    }
    for content_type in ["", "text/plain", "text/event-streams", "application/json; as=text/event-stream"] {
        assert!(!is_event_stream(content_type), "{content_type}");
    }
}

#[test]
fn a_stored_response_is_an_answer_however_it_ended() {
    let record = |status: &str, error: Value| json!({ "id": "resp_1", "object": "response", "status": status, "error": error, "output": [] });
    let failed = record("failed", json!({ "code": "server_error", "message": "The model failed." }));
    for answer in [
        failed.clone(),
        record("cancelled", Value::Null),
        json!({ "id": "resp_1", "object": "response", "deleted": true }),
        json!({ "object": "list", "data": [], "has_more": false }),
        // Servers that leave `object` out.
        json!({ "id": "resp_1", "status": "failed", "error": { "code": "insufficient_quota" } }),
    ] {
        let body = answer.to_string();
        assert_eq!(fault(Operation::StoredResponses, JSON, body.as_bytes()), None, "{answer}");
    }
    // In a request that creates a response, the same body is a failure.
    assert!(fault(Operation::Responses, JSON, failed.to_string().as_bytes()).is_some());
    // An error that is not a response, an empty body, and other content.
    for body in [r#"{"error":{"message":"overloaded"}}"#, "", "<html>"] {
        assert!(fault(Operation::StoredResponses, JSON, body.as_bytes()).is_some(), "{body}");
    }
    // Objects of any kind: new ones come, and graders answer with a reward.
    let reward = r#"{"reward":1.0,"metadata":{},"sub_rewards":{},"model_grader_token_usage_per_model":{}}"#;
    for (operation, body) in [(Operation::FineTuning, reward), (Operation::Evals, r#"{"ok":true}"#)] {
        assert_eq!(fault(operation, JSON, body.as_bytes()), None, "{body}");
    }
    let deleted = Success {
        operation: Operation::StoredResponses,
        status: 204,
        content_type: "",
        body: b"",
        is_whole: true,
    };
    assert_eq!(fault_behind_success(&deleted), None);
}
