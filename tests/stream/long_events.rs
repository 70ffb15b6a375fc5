//! Events that are too long to be kept: their ends give their meaning.

use super::*;

/// Data that is longer than the limit: `start`, many bytes, `end`.
fn long(start: &str, end: &str) -> String {
    format!("{start}{}{end}", "x".repeat(EVENT_LIMIT * 3 / 2))
}

fn meaning(protocol: Protocol, name: &str, data: &str) -> Meaning {
    let bytes = format!("event: {name}\ndata: {data}\n\n");
    let mut found = None;
    let mut parser = Parser::default();
    for chunk in bytes.as_bytes().chunks(32 * 1024) {
        parser.push(chunk, |event| {
            assert!(event.is_oversized);
            assert!(protocol.may_end(&event));
            found = Some(protocol.meaning(&event));
        });
    }
    found.unwrap()
}

#[test]
fn both_ends_of_an_event_beyond_the_limit_are_kept() {
    let head = |data: usize| {
        let data = [vec![b'x'; data], b"\ny".to_vec()].concat();
        (data[..RETAINED_BYTES].to_vec(), data[data.len() - RETAINED_BYTES..].to_vec())
    };
    // The longest data that fits in a line, one byte more, and three times the limit.
    for (data, fits) in [(EVENT_LIMIT - 6, true), (EVENT_LIMIT - 5, false), (EVENT_LIMIT * 3, false)] {
        let bytes = [&b"event: n\ndata: "[..], &vec![b'x'; data], b"\ndata: y\n\ndata: z\n\n"].concat();
        for size in [bytes.len(), 1000, 65_536] {
            let mut events = Vec::new();
            let mut parser = Parser::default();
            for chunk in bytes.chunks(size) {
                parser.push(chunk, |event| {
                    events.push((event.data.to_vec(), event.end.to_vec(), event.is_oversized));
                });
            }
            if fits {
                assert_eq!((events[0].0.len(), events[0].1.len(), events[0].2), (data + 2, 0, false));
            } else {
                let (start, end) = head(data);
                assert!(events[0] == (start, end, true), "{data} in pieces of {size}");
            }
            assert_eq!(events[1], (b"z".to_vec(), Vec::new(), false));
        }
    }
    // Many lines that are long together. The line ends between them count.
    let lines = b"data: xxxxxxxxxxxxxxx\n".repeat(EVENT_LIMIT / 16 + 1);
    let events = parse([&*[b"event: n\n".to_vec(), lines, b"\ndata: z\n\n".to_vec()].concat()]);
    assert_eq!((events[0].1.len(), events[0].2), (RETAINED_BYTES, true));
    let lines = b"data: xxxxxxxxxxxxxxx\n".repeat(EVENT_LIMIT / 16);
    assert!(!parse([&*[lines, b"\n".to_vec()].concat()])[0].2);
}

#[test]
fn the_ends_give_the_type() {
    let rows: &[(Protocol, &str, String, Meaning)] = &[
        (Responses, "response.completed", long("{\"response\":\"", "\"}"), Meaning::Done),
        (Responses, "", long(r#"{"type":"response.completed","response":{"a":""#, "\"}}"), Meaning::Done),
        (Responses, "", long(r#"{"response":{"a":""#, r#""},"type":"response.incomplete"}"#), Meaning::Done),
        (Responses, "", long(r#"{"type":"response.output_text.delta","delta":""#, "\"}"), Meaning::Content),
        // A text that mentions the end.
        (Responses, "", long(r#"{"delta":"\"type\":\"response.completed\""#, "\"}"), Meaning::Content),
        (Chat, "", long(r#"{"choices":[{"delta":{"content":""#, "\"}}]}"), Meaning::Content),
        (Chat, "", long(r#"{"choices":[],"error":null,"a":""#, "\"}"), Meaning::Content),
        (
            Chat,
            "",
            long(r#"{"choices":[{"content_filter_results":{"error":{"code":1}}}],"a":""#, "\"}"),
            Meaning::Content,
        ),
        (Other, "", long(r#"{"type":"image_generation.completed","b64_json":""#, "\"}"), Meaning::Finish),
        (Other, "", long(r#"{"b64_json":""#, r#"","type":"image_edit.completed"}"#), Meaning::Finish),
        (Other, "", long(r#"{"text":""#, r#"","type":"transcript.text.done"}"#), Meaning::Done),
        (
            Other,
            "",
            long(r#"{"type":"image_generation.partial_image","b64_json":""#, "\"}"),
            Meaning::Content,
        ),
    ];
    for (protocol, name, data, expected) in rows {
        assert_eq!(
            meaning(*protocol, name, data),
            *expected,
            "{protocol:?} {name} {}",
            data.get(..60).unwrap_or(data)
        );
    }
}

#[test]
fn a_long_chunk_may_finish_its_choice() {
    let first = r#"data: {"choices":[{"index":0,"delta":{"role":"assistant"}}]}"#;
    let second = r#"data: {"choices":[{"index":1,"delta":{"content":"b"},"finish_reason":"stop"}]}"#;
    let stop = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    let long = |start: &str, end: &str| format!("data: {}", long(start, end));
    let content = |end: &str| long(r#"{"choices":[{"index":0,"delta":{"content":""#, end);
    let tool = r#"{"choices":[{"delta":{"tool_calls":[{"index":1,"function":{"arguments":""#;
    for (events, expected) in [
        (vec![first, &content(r#""},"finish_reason":"stop"}]}"#)], Ending::Finished),
        (vec![first, &content(r#""},"finish_reason":null}]}"#)], Ending::Truncated),
        (vec![first, &content(r#""},"finish_reason":null}]}"#), stop], Ending::Finished),
        (vec![first, &content(r#"\"finish_reason\":\"stop\""}}]}"#)], Ending::Truncated),
        (vec![&content(r#""},"finish_reason":null}]}"#), second], Ending::Truncated),
        (
            vec![
                first,
                &long(r#"{"choices":[{"finish_reason":"stop","index":0,"delta":{"content":""#, r#""}}]}"#),
            ],
            Ending::Finished,
        ),
        (vec![first, &long(tool, r#""}}]},"finish_reason":"tool_calls","index":0}]}"#)], Ending::Finished),
        (
            vec![
                first,
                &long(
                    r#"{"choices":[{"text":""#,
                    r#"","index":0,"logprobs":null,"finish_reason":"length"}]}"#,
                ),
            ],
            Ending::Finished,
        ),
        (
            vec![
                first,
                &long(
                    r#"{"choices":[{"text":""#,
                    r#"","index":1,"logprobs":null,"finish_reason":"length"}]}"#,
                ),
            ],
            Ending::Truncated,
        ),
        (vec![first, &long(r#"{"object":"x","a":""#, r#"","finish_reason":"stop"}"#)], Ending::Truncated),
    ] {
        let mut tail = Tail::new(Chat);
        for chunk in (events.join("\n\n") + "\n\n").as_bytes().chunks(64 * 1024) {
            tail.push(chunk);
        }
        let ends: Vec<_> = events.iter().map(|event| event.get(event.len() - 30..)).collect();
        assert_eq!(tail.ending(false), expected, "{ends:?}");
        assert_eq!(tail.ending(true), Ending::Truncated, "{ends:?}");
    }
}

#[test]
fn a_long_error_is_classified_by_its_ends() {
    use ErrorClass::BadRequest;
    let code = r#"","type":"invalid_request_error","param":"input","code":"invalid_image"}"#;
    let rows: &[(Protocol, &str, String, ErrorClass)] = &[
        (Chat, "", long(r#"{"error":{"message":""#, &format!("{code}}}")), BadRequest),
        (Responses, "error", long(r#"{"message":""#, code), BadRequest),
        (
            Responses,
            "",
            long(r#"{"type":"error","code":"content_policy_violation","message":""#, "\"}"),
            ContentPolicy,
        ),
        (
            Responses,
            "",
            long(r#"{"code":"rate_limit_exceeded","message":""#, r#"","type":"error"}"#),
            RateLimit,
        ),
        (
            Responses,
            "",
            long(
                r#"{"type":"response.failed","response":{"output":""#,
                r#"","error":{"code":"rate_limit_exceeded","message":"Slow"}}}"#,
            ),
            RateLimit,
        ),
        (Responses, "response.failed", long("", ""), Unavailable),
    ];
    for (protocol, name, data, class) in rows {
        let Meaning::Error(failure) = meaning(*protocol, name, data) else {
            panic!("{name} {}", data.get(..60).unwrap_or(data))
        };
        assert_eq!(failure.class, *class, "{name} {}", data.get(..60).unwrap_or(data));
    }
}

#[test]
fn a_long_first_error_is_a_failure_before_the_commit_point() {
    let error = long(r#"data: {"error":{"message":""#, r#"","type":"tokens","code":"rate_limit_exceeded"}}"#);
    let bytes = stream(&[ROLE, &error]);
    for until in [Commit::FirstToken, Commit::Complete] {
        let course = run(Chat, until, 300_000, bytes.chunks(10_000));
        assert_eq!(course.ending.unwrap_err().class, RateLimit);
    }
    // The stream ends within it.
    let course = run(Chat, Commit::FirstToken, 0, bytes[..700_000].chunks(10_000));
    assert_eq!(course.ending.unwrap_err().class, Truncated);
    // It began as an error, and is none.
    let liar = format!("data: {{\"error\":{{\"a\":1}},\"b\":\"{}\"\n\n", "x".repeat(FIRST_TOKEN_BYTES));
    let bytes = [liar.as_bytes(), &stream(&[SPEECH])].concat();
    let course = run(Other, Commit::FirstToken, 0, bytes.chunks(10_000));
    assert_eq!(course.ending.unwrap_err().reason, "malformed_event");
}

#[test]
fn a_long_last_event_without_a_name_ends_a_stream() {
    let last =
        long(r#"data: {"type":"response.completed","response":{"a":""#, r#"","usage":{"output_tokens":7}}}"#);
    let mut tail = Tail::new(Responses);
    for chunk in stream(&[NAMELESS_CREATED, NAMELESS_DELTA, &last]).chunks(32 * 1024) {
        tail.push(chunk);
    }
    assert_eq!((tail.ending(true), tail.usage(&BASIS).usage.output_tokens), (Ending::Finished, 7));
}

#[test]
fn a_long_part_of_an_image_asks_for_the_whole_image() {
    for part in [
        long(r#"data: {"type":"image_generation.partial_image","b64_json":""#, "\"}"),
        long(r#"data: {"b64_json":""#, r#"","type":"image_edit.partial_image"}"#),
    ] {
        let mut tail = Tail::new(Other);
        tail.push(&stream(&[&part]));
        assert_eq!(tail.ending(false), Ending::Truncated);
        tail.push(&stream(&[IMAGE]));
        assert_eq!(tail.ending(false), Ending::Finished);
    }
}

proptest! {
    #[test]
    fn no_ends_make_it_panic(
        data in prop_oneof![any::<Vec<u8>>().boxed(), "[{}\\[\\]\":,a\\\\u]{0,60}|\\{\"(error|type|message)\":[{\\[\"na]{0,3}.*".prop_map(String::into_bytes).boxed()],
        end in any::<Vec<u8>>(),
        name in prop::sample::select(vec!["", "error", "response.failed", "response.completed"]),
    ) {
        let event = SseEvent { name: name.as_bytes(), data: &data, end: &end, is_oversized: true };
        for protocol in [Chat, Responses, Other] {
            prop_assert!(protocol.may_end(&event));
            if let Meaning::Error(failure) = protocol.meaning(&event) {
                prop_assert_eq!(failure.status, Some(200));
            }
        }
    }
}
