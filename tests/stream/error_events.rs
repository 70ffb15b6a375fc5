//! The error event that ends a broken stream.

use super::*;

#[test]
fn the_error_event_is_written_in_the_protocol() {
    // The test compares bytes. Snapshots do not preserve the line ends, which matter here.
    let broken = broken_stream("broke", "It \"broke\"\nin the middle");
    let text = |protocol| String::from_utf8(error_event(protocol, &broken)).unwrap();
    let error =
        r#"{"code":"broke","message":"It \"broke\"\nin the middle","param":null,"type":"server_error"}"#;
    assert_eq!(text(Chat), format!("\n\ndata: {{\"error\":{error}}}\n\n"));
    assert_eq!(text(Other), text(Chat));
    let (head, tail) =
        (r#"{"code":"broke","error":"#, r#","param":null,"sequence_number":0,"type":"error"}"#);
    let message = r#","message":"It \"broke\"\nin the middle""#;
    assert_eq!(text(Responses), format!("\n\nevent: error\ndata: {head}{error}{message}{tail}\n\n"));
}

#[test]
fn an_upstreams_error_is_passed_on_complete_and_unchanged() {
    let unknown = "The request failed while its answer was streamed.";
    let rows = [
        // Existing members stay: names, numbers as codes, and members that only this upstream has.
        (
            json!({ "message": "Slow down", "type": "tokens", "param": "n", "code": "rate_limit_exceeded" }),
            json!({ "message": "Slow down", "type": "tokens", "param": "n", "code": "rate_limit_exceeded" }),
        ),
        (
            json!({ "message": "Oops", "code": 500, "innererror": { "code": "x" } }),
            json!({ "message": "Oops", "type": null, "param": null, "code": 500, "innererror": { "code": "x" } }),
        ),
        // Without a message, or with a message that is not a readable text.
        (
            json!({ "code": "x", "message": null }),
            json!({ "message": unknown, "type": null, "param": null, "code": "x" }),
        ),
        (
            json!({ "code": "x", "message": "" }),
            json!({ "message": unknown, "type": null, "param": null, "code": "x" }),
        ),
        (
            json!({ "message": ["Oops"] }),
            json!({ "message": unknown, "type": null, "param": null, "code": null }),
        ),
        // The error is not an object.
        (json!("Oops"), json!({ "message": "Oops", "type": null, "param": null, "code": null })),
        (Value::Null, json!({ "message": unknown, "type": null, "param": null, "code": null })),
    ];
    let event_json = |protocol, error: &Value| -> Value {
        let events = parse([&*error_event(protocol, error)]);
        serde_json::from_slice(&events[0].1).unwrap()
    };
    for (error, expected) in rows {
        assert_eq!(event_json(Chat, &error), json!({ "error": expected }), "{error}");
        let event = event_json(Responses, &error);
        assert_eq!((&event["type"], &event["error"]), (&json!("error"), &expected), "{error}");
        for member in ["code", "message", "param"] {
            assert_eq!(event[member], expected[member], "{error}");
        }
    }
}

#[test]
fn an_error_in_an_event_can_be_sent_as_the_body_of_a_response() {
    let error = json!({ "message": "Invalid image", "type": "invalid_request_error", "param": "a[0]", "code": "invalid_image_url" });
    let failed =
        json!({ "message": "Invalid image", "type": null, "param": null, "code": "invalid_image_url" });
    let flat =
        json!({ "message": "Invalid image", "type": null, "param": "a[0]", "code": "invalid_image_url" });
    let code = json!("invalid_image_url");
    let rows = [
        (Chat, "", json!({ "error": error }), Some(&error)),
        (Chat, "", json!({ "error": [error] }), Some(&error)),
        (Responses, "error", json!({ "type": "error", "error": error, "sequence_number": 1 }), Some(&error)),
        (
            Responses,
            "",
            json!({ "type": "error", "code": code, "message": "Invalid image", "param": "a[0]", "sequence_number": 1 }),
            Some(&flat),
        ),
        (
            Responses,
            "response.failed",
            json!({ "response": { "error": { "code": code, "message": "Invalid image" } } }),
            Some(&failed),
        ),
        (Chat, "", json!({ "error": { "code": code } }), None),
        (Chat, "", json!({ "error": { "code": code, "message": "" } }), None),
    ];
    for (protocol, name, data, expected) in rows {
        let bytes = data.to_string();
        let event = SseEvent { name: name.as_bytes(), data: bytes.as_bytes(), end: b"", is_oversized: false };
        let Meaning::Error(failure) = protocol.meaning(&event) else { panic!("{data}") };
        let body = failure.response.map(|response| serde_json::from_slice::<Value>(&response.body).unwrap());
        assert_eq!(body, expected.map(|error| json!({ "error": error })), "{data}");
    }
}

#[test]
fn the_error_event_is_recognised_wherever_the_stream_was_cut() {
    for (protocol, events) in [(Chat, [ROLE, TEXT]), (Responses, [CREATED, DELTA])] {
        for line_end in ["\n", "\r\n", "\r"] {
            let bytes = String::from_utf8(stream(&events)).unwrap().replace('\n', line_end).into_bytes();
            for cut in 0..=bytes.len() {
                let closing = error_event(protocol, &broken_stream("upstream_broke", "It broke"));
                let events = parse([&bytes[..cut], &closing]);
                let (name, data, _) = events.last().unwrap();
                let meaning = protocol.meaning(&SseEvent { name, data, end: b"", is_oversized: false });
                let Meaning::Error(failure) = meaning else { panic!("cut at {cut}: {meaning:?}") };
                assert_eq!(failure.reason, "upstream_broke");
                assert!(events.len() <= 3, "it comes alone");
            }
        }
    }
}

#[test]
fn an_error_event_that_is_plain_text_keeps_it_as_its_message() {
    for protocol in [Chat, Responses, Other] {
        let event = SseEvent { name: b"error", data: b"Model is loading", end: b"", is_oversized: false };
        let Meaning::Error(failure) = protocol.meaning(&event) else { panic!("{protocol:?}") };
        let body: Value = serde_json::from_slice(&failure.response.unwrap().body).unwrap();
        assert_eq!(body["error"]["message"], "Model is loading", "{protocol:?}");
    }
}
